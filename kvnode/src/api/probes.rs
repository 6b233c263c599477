//! Probes, metrics and version: what machines ask a node about itself.
//!
//! `/livez` asks whether a restart would help, `/readyz` whether the node wants work; both as etcd writes them.
//! Both and `/version` need no token, and say nothing that one should.

use http::StatusCode;
use http::request::Parts;

use super::cluster::partition_counts;
use super::problem::Refused;
use super::query;
use super::service::{Answer, Api, json, typed};
use super::types::VersionDocument;
use crate::metrics::Sample;
use crate::node::operation::MemberState;
use crate::node::service::{Check, ClusterView, NodeService};

/// OpenMetrics text, which Prometheus asks for and reads.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Whether the node lives; needs no peers.
#[utoipa::path(get, path = "/livez", operation_id = "livez", tag = "probes", params(super::openapi::Verbose), security(()),
    responses(
    (status = 200, description = "`ok`, or a line per check", body = String),
    (status = 503, description = "A restart may help; a line per check", body = String)))]
pub(super) fn livez<S: NodeService>(api: &Api<S>, parts: &Parts) -> Result<Answer, Refused> {
    let verbose = query::parse_probe(parts.uri.query())?;
    Ok(probe("livez", &api.node.liveness(), verbose))
}

/// Whether the node wants work.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "probes", params(super::openapi::Verbose), security(()),
    responses(
    (status = 200, description = "`ok`, or a line per check", body = String),
    (status = 503, description = "Send requests elsewhere; a line per check", body = String)))]
pub(super) fn readyz<S: NodeService>(api: &Api<S>, parts: &Parts) -> Result<Answer, Refused> {
    let verbose = query::parse_probe(parts.uri.query())?;
    Ok(probe("readyz", &api.node.readiness(), verbose))
}

fn probe(name: &str, checks: &[Check], verbose: bool) -> Answer {
    let failed = checks.iter().any(|check| check.failure.is_some());
    let status = if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    if !failed && !verbose {
        return typed(status, TEXT, "ok");
    }
    let mut text: String = checks.iter().map(check_line).collect();
    text += &format!("{name} check {}\n", if failed { "failed" } else { "passed" });
    typed(status, TEXT, text)
}

fn check_line(check: &Check) -> String {
    match &check.failure {
        None => format!("[+]{} ok\n", check.name),
        Some(reason) => format!("[-]{} failed: {reason}\n", check.name),
    }
}

/// All figures.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "probes", responses(
    (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) fn metrics<S: NodeService>(api: &Api<S>, parts: &Parts) -> Result<Answer, Refused> {
    query::parse_none(parts.uri.query())?;
    Ok(typed(StatusCode::OK, METRICS_TYPE, api.shared.metrics.encode()))
}

/// What runs.
#[utoipa::path(get, path = "/version", operation_id = "version", tag = "probes", security(()), responses(
    (status = 200, description = "Program and release", body = VersionDocument),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) fn version(parts: &Parts) -> Result<Answer, Refused> {
    query::parse_none(parts.uri.query())?;
    let document = VersionDocument { name: "kvnode".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    Ok(json(StatusCode::OK, &document))
}

/// The view as figures, at scrape time.
pub(super) fn samples(view: &ClusterView) -> Vec<Sample> {
    let local = &view.local;
    let mut samples = vec![
        Sample::gauge("ring_epoch", "Ring epoch adopted; 0 without a ring", figure(view.epoch.0)),
        Sample::gauge("store_bytes", "Bytes of the store on disk", figure(local.store_bytes)),
        Sample::gauge("store_records", "Records in the store, tombstones included", figure(local.records)),
        Sample::gauge("hints_bytes", "Bytes of all hints held", figure(local.hint_bytes)),
        Sample::gauge("gossip_health_score", "Lifeguard health score; 0 is healthy", f64::from(local.health_score)),
        Sample::gauge("draining", "1 while the node asks for no new work", f64::from(u8::from(local.draining))),
        Sample::gauge("uptime_seconds", "Seconds since start", figure(local.uptime_seconds)),
    ];
    let counts = partition_counts(view);
    for (state, count) in [
        ("ok", counts.ok),
        ("degraded", counts.degraded),
        ("quorum", counts.quorum),
        ("unavailable", counts.unavailable),
    ] {
        let help = "Partitions by what their living replicas allow, as this node sees it";
        samples.push(Sample::gauge("partitions", help, figure(count as u64)).with("state", state));
    }
    for node in view.nodes.iter().filter(|node| node.id != view.this) {
        let help = "Hints held for a node";
        samples.push(Sample::gauge("hints_pending", help, figure(node.hints)).with("peer", node.name.as_str()));
    }
    samples.extend(members(view));
    samples
}

fn members(view: &ClusterView) -> Vec<Sample> {
    let mut counts = std::collections::BTreeMap::<(&str, MemberState), u32>::new();
    for node in &view.nodes {
        *counts.entry((node.zone.as_str(), node.state)).or_default() += 1;
    }
    let sample = |((zone, state), count): ((&str, MemberState), u32)| {
        let help = "Members by state and zone, as this node sees them";
        Sample::gauge("members", help, f64::from(count)).with("state", state.name()).with("zone", zone)
    };
    counts.into_iter().map(sample).collect()
}

/// Exact up to 2^53, which no figure here passes in practice.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floating point only")]
fn figure(count: u64) -> f64 {
    count as f64
}
