//! What this node believes, as plain data for the API: members, ring, own figures, and the checks behind probes.
//!
//! Belief, not truth: another node may see it otherwise. It asks nobody and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::gossip::MemberRecord;
use super::operation::MemberState;
use super::service::{Check, ClusterView, LocalView, NodeView};
use super::shared::Shared;
use crate::protocol::id::{EpochNumber, NodeId};
use crate::protocol::ring::epoch::RingEpoch;

/// A sync that takes longer than this means that the disk hangs: the probe says so, so that the node is restarted.
const COMMITTER_STUCK: Duration = Duration::from_secs(10);

/// The whole view.
pub(super) fn cluster(shared: &Arc<Shared>) -> ClusterView {
    let ring = shared.ring.load_full();
    let hints = shared.storage.hint_counts();
    let mut nodes: BTreeMap<NodeId, NodeView> = BTreeMap::new();
    for node in ring.iter().flat_map(|ring| ring.nodes()) {
        let view = NodeView {
            id: node.id,
            name: node.name.clone(),
            zone: node.zone.clone(),
            in_ring: true,
            state: MemberState::Dead,
            since_micros: 0,
            incarnation: 0,
            version: String::new(),
            api: node.api.to_string(),
            peer: node.peer.to_string(),
            gossip: node.gossip.to_string(),
            epoch: EpochNumber(0),
            hints: 0,
            connected: false,
        };
        nodes.insert(node.id, view);
    }
    for record in shared.gossip.members().iter() {
        let in_ring = nodes.contains_key(&record.member.id);
        nodes.insert(record.member.id, member(shared, record, in_ring));
    }
    for (id, node) in &mut nodes {
        node.hints = hints.get(id).map_or(0, |count| count.count);
    }
    let mut nodes: Vec<_> = nodes.into_values().collect();
    nodes.sort_by(|left, right| left.name.cmp(&right.name));
    ClusterView {
        this: shared.identity.id,
        cluster: ring.as_ref().map(|ring| ring.cluster()),
        epoch: ring.as_ref().map_or(EpochNumber(0), |ring| ring.number()),
        epoch_hash: ring.as_ref().map(|ring| ring.hash().to_string()).unwrap_or_default(),
        replicas: ring.as_ref().map_or(0, |ring| ring.replica_count()),
        nodes,
        assignment: Arc::new(ring.as_deref().map(assignment).unwrap_or_default()),
        local: local(shared),
    }
}

fn member(shared: &Shared, record: &MemberRecord, in_ring: bool) -> NodeView {
    let member = &record.member;
    let is_self = member.id == shared.identity.id;
    NodeView {
        id: member.id,
        name: member.name.clone(),
        zone: member.zone.clone(),
        in_ring,
        state: record.member_state(),
        since_micros: record.since_micros,
        incarnation: member.incarnation.get(),
        version: member.release.as_str().to_owned(),
        api: member.addresses.api.to_string(),
        peer: member.addresses.peer.to_string(),
        gossip: member.addresses.gossip.to_string(),
        epoch: member.facts.epoch,
        hints: 0,
        connected: is_self || shared.peers.is_connected(member.id),
    }
}

fn assignment(ring: &RingEpoch) -> Vec<Vec<NodeId>> {
    let partitions = 0..ring.partitioner().count();
    partitions
        .map(|number| ring.replicas(crate::protocol::id::PartitionId(number)).map(|node| node.id).collect())
        .collect()
}

fn local(shared: &Shared) -> LocalView {
    let statistics = shared.storage.statistics();
    let hints = shared.storage.hint_counts();
    LocalView {
        store_bytes: statistics.store_bytes,
        records: statistics.records,
        hint_bytes: hints.values().map(|count| count.bytes).sum(),
        dirty: hints
            .iter()
            .filter(|(_, count)| !count.dirty.is_empty())
            .map(|(node, count)| (*node, count.dirty.clone()))
            .collect(),
        hints: hints.into_iter().map(|(node, count)| (node, count.count)).collect(),
        uptime_seconds: shared.started_at.elapsed().as_secs(),
        draining: shared.is_draining(),
        pid: std::process::id(),
        health_score: shared.gossip.health_score(),
    }
}

/// The checks behind `/livez`. That this runs at all shows that the event loop turns.
pub(super) fn liveness(shared: &Shared) -> Vec<Check> {
    let stuck = shared.storage.committer_stuck_for().filter(|stuck| *stuck >= COMMITTER_STUCK);
    let committer = stuck.map(|stuck| format!("no sync has finished for {} s", stuck.as_secs()));
    vec![Check { name: "event-loop", failure: None }, Check { name: "committer", failure: committer }]
}

/// The checks behind `/readyz`.
pub(super) fn readiness(shared: &Shared) -> Vec<Check> {
    let ring = shared.ring.load();
    let no_ring = "no ring yet: kvctl cluster up, or kvnode --bootstrap, forms it once";
    let not_member = "this node is in no partition's replica set";
    let ring_failure = match ring.as_ref() {
        None => Some(no_ring.to_owned()),
        Some(ring) if ring.node(shared.identity.id).is_none() => Some(not_member.to_owned()),
        Some(_) => None,
    };
    let draining = shared.is_draining().then(|| "draining: it finishes what it has and takes nothing new".to_owned());
    let full = shared.storage.disk_full().then(|| "the disk is below its free-space floor".to_owned());
    let mut checks = liveness(shared);
    checks.extend([
        Check { name: "ring", failure: ring_failure },
        Check { name: "disk", failure: full },
        Check { name: "draining", failure: draining },
    ]);
    checks
}
