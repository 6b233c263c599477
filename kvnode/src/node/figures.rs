//! The node's figures for `/metrics`: store, peers and gossip, read when they are asked for.
//!
//! Names follow the Prometheus guide (base units, `_total` for counters, added by the encoder). No figure is kept
//! here; each part counts for itself.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::gossip::Traffic;
use super::shared::Shared;
use crate::metrics::Sample;
use crate::peer::client::PeerStatistics;
use crate::storage::Statistics;

/// Has the metrics ask this node at every scrape.
pub(super) fn register(shared: &Arc<Shared>) {
    // Weak, because the metrics belong to the node.
    let node: Weak<Shared> = Arc::downgrade(shared);
    shared.metrics.add_source(Box::new(move || node.upgrade().map(|shared| samples(&shared)).unwrap_or_default()));
}

fn samples(shared: &Shared) -> Vec<Sample> {
    let mut samples = store(&shared.storage.statistics());
    samples.extend(gossip(&shared.gossip.counters()));
    samples.extend(shared.peers.statistics().iter().flat_map(peer));
    samples
}

#[expect(clippy::cast_precision_loss, reason = "a figure beyond 2^53 may be rounded")]
fn figure(count: u64) -> f64 {
    count as f64
}

fn store(figures: &Statistics) -> Vec<Sample> {
    let counter = |name, help, count| Sample::counter(name, help, figure(count));
    let seconds = |duration: Duration| duration.as_secs_f64();
    vec![
        counter("log_syncs", "Syncs of the store", figures.syncs),
        Sample::counter("log_sync_seconds", "Time spent in syncs", seconds(figures.total_sync)),
        Sample::gauge("log_last_sync_seconds", "Duration of the last sync", seconds(figures.last_sync)),
        counter("log_operations", "Operations made durable; by syncs, the mean batch", figures.committed_operations),
        counter("log_bytes", "Bytes handed to the storage engine", figures.committed_bytes),
        Sample::gauge("log_queued_writes", "Writes submitted and not yet durable", figure(figures.queued_writes)),
        counter("store_refused_overloaded", "Writes refused because the queue was full", figures.refused_overloaded),
        counter("store_refused_disk_full", "Writes refused because the disk was", figures.refused_disk_full),
        counter("store_damaged_reads", "Reads that met a checksum that failed", figures.damaged_reads),
        Sample::gauge("tombstones", "Tombstones in the store", figure(figures.tombstones)),
    ]
}

fn gossip(traffic: &Traffic) -> Vec<Sample> {
    let (dropped, help) = ("gossip_packets_dropped", "Datagrams received and dropped, by reason");
    let drop_of = |reason, count| Sample::counter(dropped, help, figure(count)).with("reason", reason);
    let (outcomes, outcome_help) = ("gossip_suspicions", "Suspicions, by outcome");
    let members = &traffic.membership;
    vec![
        Sample::counter("gossip_packets_sent", "Datagrams sent", figure(traffic.sent)),
        Sample::counter("gossip_packets_received", "Datagrams received, good or bad", figure(traffic.received)),
        drop_of("malformed", traffic.malformed),
        drop_of("unknown_key", traffic.unknown_key),
        drop_of("forged", traffic.forged),
        drop_of("undecodable", traffic.undecodable),
        drop_of("foreign_cluster", members.foreign),
        Sample::counter(outcomes, outcome_help, figure(members.suspected)).with("outcome", "begun"),
        Sample::counter(outcomes, outcome_help, figure(members.refuted)).with("outcome", "refuted"),
        Sample::counter(outcomes, outcome_help, figure(members.died)).with("outcome", "confirmed"),
        Sample::counter("gossip_stalls", "Times this process did not run for too long", figure(members.stalls)),
    ]
}

fn peer(figures: &PeerStatistics) -> Vec<Sample> {
    let name = figures.name.as_str();
    let (calls, help) = ("peer_calls", "Calls to a peer, by outcome");
    let outcome =
        |outcome, count| Sample::counter(calls, help, figure(count)).with("peer", name).with("outcome", outcome);
    let connected =
        Sample::gauge("peer_connected", "1 while calls can be sent", f64::from(u8::from(figures.connected)));
    let mut samples = vec![
        connected.with("peer", name),
        outcome("replied", figures.replies),
        outcome("broken", figures.broken),
        outcome("timed_out", figures.timed_out),
        outcome("queue_full", figures.queue_full),
    ];
    if let Some(latency) = figures.latency {
        let help = "Time to answer reads lately, by quantile";
        let of = |quantile, value: Duration| {
            Sample::gauge("peer_latency_seconds", help, value.as_secs_f64())
                .with("peer", name)
                .with("quantile", quantile)
        };
        samples.extend([of("mean", latency.mean), of("0.95", latency.p95)]);
    }
    samples
}
