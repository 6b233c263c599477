//! What this node believes of the cluster, and the acts of administration.
//!
//! Views are made from one [`ClusterView`] each and change nothing. They state facts; a verdict such as "degraded"
//! is the reader's, except for single partitions, whose status follows from the ring alone.

use std::collections::BTreeMap;
use std::fmt::Display;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use hyper::body::Body;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::limits::{BOOTSTRAP_TIMEOUT, MAX_ADMIN_BYTES};
use super::problem::{DEADLINE, INVALID_BODY, NOT_AGREED, RING_CONFLICT, Refused};
use super::query;
use super::service::{Answer, Api, json};
use super::types::{
    BootstrapRequest, BootstrapResponse, ClusterDocument, DrainDocument, NodeDocument, NodeState, NodesDocument,
    Outcome, PartitionCounts, PartitionDocument, PartitionStatus, PartitionsDocument, RingDocument, RingNode, ThisNode,
};
use crate::node::operation::MemberState;
use crate::node::service::{Bootstrap, BootstrapError, ClusterView, NodeService, NodeView};
use crate::protocol::id::NodeId;
use crate::protocol::quorum::Consistency;
use crate::runtime::clock;

/// The cluster in one document.
#[utoipa::path(get, path = "/v1/cluster", operation_id = "cluster", tag = "cluster", responses(
    (status = 200, description = "What this node believes", body = ClusterDocument),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) fn cluster<S: NodeService>(api: &Api<S>, parts: &Parts) -> Result<Answer, Refused> {
    query::parse_none(parts.uri.query())?;
    Ok(json(StatusCode::OK, &cluster_document(&api.node.view())))
}

/// The ring in short.
#[utoipa::path(get, path = "/v1/ring", operation_id = "ring", tag = "cluster", responses(
    (status = 200, description = "The ring as this node knows it", body = RingDocument),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) fn ring<S: NodeService>(api: &Api<S>, parts: &Parts) -> Result<Answer, Refused> {
    query::parse_none(parts.uri.query())?;
    Ok(json(StatusCode::OK, &ring_document(&api.node.view())))
}

/// All members.
#[utoipa::path(get, path = "/v1/nodes", operation_id = "nodes", tag = "cluster", responses(
    (status = 200, description = "Members as this node sees them", body = NodesDocument),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) fn nodes<S: NodeService>(api: &Api<S>, parts: &Parts) -> Result<Answer, Refused> {
    query::parse_none(parts.uri.query())?;
    let nodes = api.node.view().nodes.iter().map(node_document).collect();
    Ok(json(StatusCode::OK, &NodesDocument { nodes }))
}

/// Every partition and its replicas.
#[utoipa::path(get, path = "/v1/partitions", operation_id = "partitions", tag = "cluster", responses(
    (status = 200, description = "Replicas and status of each partition", body = PartitionsDocument),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) fn partitions<S: NodeService>(api: &Api<S>, parts: &Parts) -> Result<Answer, Refused> {
    query::parse_none(parts.uri.query())?;
    let view = api.node.view();
    let partitions = partition_documents(&view);
    let document = PartitionsDocument {
        epoch: view.epoch.0,
        replicas: view.replicas,
        quorum: Consistency::Quorum.required(view.replicas),
        counts: count(&partitions),
        partitions,
    };
    Ok(json(StatusCode::OK, &document))
}

/// Forms the first ring.
#[utoipa::path(post, path = "/v1/admin/bootstrap", operation_id = "bootstrap", tag = "admin", request_body = BootstrapRequest,
    responses(
    (status = 200, description = "The ring stands; `already` if it stood before", body = BootstrapResponse),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) async fn bootstrap<S, B>(api: &Api<S>, parts: &Parts, body: B) -> Result<Answer, Refused>
where
    S: NodeService,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    query::parse_none(parts.uri.query())?;
    let held = super::body::read(body, MAX_ADMIN_BYTES, &api.shared.bodies).await?;
    let request: BootstrapRequest = super::body::parse_json(&held.bytes)?;
    let names = request.nodes.iter().map(|name| name.parse()).collect::<Result<_, _>>();
    let nodes = names.map_err(|error| Refused::new(INVALID_BODY, format!("nodes: {error}")))?;
    let act = Bootstrap { nodes, replicas: request.replicas, partitions: request.partitions };
    let formed = clock::until(clock::monotonic_now() + BOOTSTRAP_TIMEOUT, api.node.bootstrap(act)).await;
    let formed = formed.ok_or_else(still_forming)?.map_err(|error| refused_bootstrap(&error))?;
    let document =
        BootstrapResponse { cluster: formed.cluster.to_string(), epoch: formed.epoch.0, already: formed.already };
    Ok(json(StatusCode::OK, &document))
}

fn still_forming() -> Refused {
    Refused::new(DEADLINE, format!("no ring was formed in {} s", BOOTSTRAP_TIMEOUT.as_secs()))
        .with_outcome(Outcome::Unknown)
        .with_hint("repeat the request: the same act is safe to repeat")
}

fn refused_bootstrap(error: &BootstrapError) -> Refused {
    let detail = error.to_string();
    match error {
        BootstrapError::Missing { .. } => {
            Refused::new(RING_CONFLICT, detail).with_hint("start these nodes, or leave them out, and try again")
        }
        BootstrapError::OtherRing { .. } => Refused::new(RING_CONFLICT, detail)
            .with_hint("a node of another cluster joins with an empty data folder only"),
        BootstrapError::Impossible { .. } => Refused::new(INVALID_BODY, detail),
        // Some nodes may have promised or accepted: a ring may yet come of it, but the same act ends in the same ring.
        BootstrapError::NotAgreed { .. } => {
            Refused::new(NOT_AGREED, detail).with_hint("repeat the request: the same act is safe to repeat")
        }
    }
}

/// Asks for no new work.
#[utoipa::path(post, path = "/v1/admin/drain", operation_id = "drain", tag = "admin", responses(
    (status = 200, description = "`/readyz` fails from now on; requests are still served", body = DrainDocument),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) fn drain<S: NodeService>(api: &Api<S>, parts: &Parts) -> Result<Answer, Refused> {
    set_draining(api, parts, true)
}

/// Asks for work again.
#[utoipa::path(post, path = "/v1/admin/undrain", operation_id = "undrain", tag = "admin", responses(
    (status = 200, description = "The node takes work again", body = DrainDocument),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) fn undrain<S: NodeService>(api: &Api<S>, parts: &Parts) -> Result<Answer, Refused> {
    set_draining(api, parts, false)
}

fn set_draining<S: NodeService>(api: &Api<S>, parts: &Parts, draining: bool) -> Result<Answer, Refused> {
    query::parse_none(parts.uri.query())?;
    api.node.set_draining(draining);
    Ok(json(StatusCode::OK, &DrainDocument { draining }))
}

fn cluster_document(view: &ClusterView) -> ClusterDocument {
    ClusterDocument {
        cluster: view.cluster.map(|cluster| cluster.to_string()),
        epoch: view.epoch.0,
        epoch_hash: view.epoch_hash.clone(),
        replicas: view.replicas,
        partitions: view.assignment.len(),
        partition_status: count(&partition_documents(view)),
        this_node: this_node(view),
        nodes: view.nodes.iter().map(node_document).collect(),
    }
}

fn this_node(view: &ClusterView) -> ThisNode {
    let (local, names) = (&view.local, names_of(view));
    let this = view.nodes.iter().find(|node| node.id == view.this);
    let dirty = local.dirty.iter();
    ThisNode {
        id: view.this.to_string(),
        name: this.map(|node| node.name.to_string()),
        zone: this.map(|node| node.zone.to_string()),
        pid: local.pid,
        uptime_seconds: local.uptime_seconds,
        draining: local.draining,
        store_bytes: local.store_bytes,
        records: local.records,
        hints: local.hints.iter().map(|(id, count)| (name_of(&names, *id), *count)).collect(),
        hint_bytes: local.hint_bytes,
        dirty: dirty.map(|(id, parts)| (name_of(&names, *id), parts.iter().map(|part| part.0).collect())).collect(),
        health_score: local.health_score,
    }
}

fn ring_document(view: &ClusterView) -> RingDocument {
    let mut held: BTreeMap<NodeId, usize> = BTreeMap::new();
    for replica in view.assignment.iter().flatten() {
        *held.entry(*replica).or_default() += 1;
    }
    let nodes = view.nodes.iter().filter(|node| node.in_ring).map(|node| RingNode {
        id: node.id.to_string(),
        name: node.name.to_string(),
        zone: node.zone.to_string(),
        state: state_of(node.state),
        partitions: held.get(&node.id).copied().unwrap_or(0),
    });
    RingDocument {
        cluster: view.cluster.map(|cluster| cluster.to_string()),
        epoch: view.epoch.0,
        epoch_hash: view.epoch_hash.clone(),
        replicas: view.replicas,
        partitions: view.assignment.len(),
        nodes: nodes.collect(),
    }
}

fn node_document(node: &NodeView) -> NodeDocument {
    NodeDocument {
        id: node.id.to_string(),
        name: node.name.to_string(),
        zone: node.zone.to_string(),
        state: state_of(node.state),
        since: rfc3339(node.since_micros),
        incarnation: node.incarnation,
        version: node.version.clone(),
        api: node.api.clone(),
        peer: node.peer.clone(),
        gossip: node.gossip.clone(),
        epoch: node.epoch.0,
        in_ring: node.in_ring,
        hints: node.hints,
        connected: node.connected,
    }
}

fn state_of(state: MemberState) -> NodeState {
    match state {
        MemberState::Alive => NodeState::Alive,
        MemberState::Suspect => NodeState::Suspect,
        MemberState::Dead => NodeState::Dead,
        MemberState::Left => NodeState::Left,
        MemberState::Draining => NodeState::Draining,
    }
}

/// To the second: what people read; a time outside of years that RFC 3339 can write is shown as 1970.
fn rfc3339(micros: u64) -> String {
    let seconds = i64::try_from(micros / 1_000_000).unwrap_or(0);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
}

fn names_of(view: &ClusterView) -> BTreeMap<NodeId, &NodeView> {
    view.nodes.iter().map(|node| (node.id, node)).collect()
}

fn name_of(nodes: &BTreeMap<NodeId, &NodeView>, id: NodeId) -> String {
    nodes.get(&id).map_or_else(|| id.to_string(), |node| node.name.to_string())
}

fn partition_documents(view: &ClusterView) -> Vec<PartitionDocument> {
    let nodes = names_of(view);
    let serves = |id: &&NodeId| {
        nodes.get(id).is_some_and(|node| matches!(node.state, MemberState::Alive | MemberState::Draining))
    };
    let document = |(partition, replicas): (usize, &Vec<NodeId>)| {
        let alive = replicas.iter().filter(serves).count();
        PartitionDocument {
            partition,
            replicas: replicas.iter().map(|id| name_of(&nodes, *id)).collect(),
            alive,
            status: status_of(alive, replicas.len()),
        }
    };
    view.assignment.iter().enumerate().map(document).collect()
}

fn status_of(alive: usize, replicas: usize) -> PartitionStatus {
    match alive.cmp(&Consistency::Quorum.required(replicas)) {
        _ if alive == replicas => PartitionStatus::Ok,
        std::cmp::Ordering::Less => PartitionStatus::Unavailable,
        std::cmp::Ordering::Equal => PartitionStatus::Quorum,
        std::cmp::Ordering::Greater => PartitionStatus::Degraded,
    }
}

fn count(partitions: &[PartitionDocument]) -> PartitionCounts {
    let mut counts = PartitionCounts::default();
    for partition in partitions {
        match partition.status {
            PartitionStatus::Ok => counts.ok += 1,
            PartitionStatus::Degraded => counts.degraded += 1,
            PartitionStatus::Quorum => counts.quorum += 1,
            PartitionStatus::Unavailable => counts.unavailable += 1,
        }
    }
    counts
}

/// How many partitions are in which status.
pub(super) fn partition_counts(view: &ClusterView) -> PartitionCounts {
    count(&partition_documents(view))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_as_well_as_its_living_replicas() {
        use PartitionStatus::{Degraded, Ok, Quorum, Unavailable};
        for (replicas, by_alive) in [
            (1, vec![Unavailable, Ok]),
            (2, vec![Unavailable, Unavailable, Ok]),
            (3, vec![Unavailable, Unavailable, Quorum, Ok]),
            (5, vec![Unavailable, Unavailable, Unavailable, Quorum, Degraded, Ok]),
        ] {
            for (alive, status) in by_alive.into_iter().enumerate() {
                assert_eq!(status_of(alive, replicas), status, "{alive} of {replicas}");
            }
        }
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(rfc3339(1_700_000_000_999_999), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(u64::MAX), "1970-01-01T00:00:00Z");
    }
}
