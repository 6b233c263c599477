//! A node that keeps its keys in a map and fails when told to.
//!
//! Stamps count up from 1 with writer 0xa, so that answers can be pinned. It decides nothing about quorums.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::node::operation::{
    Explained, Failed, FailureKind, Got, ListQuery, Listed, MemberState, OperationFailure, Options, PutValue,
    ReplicaExplained, Wrote,
};
use crate::node::service::{
    Bootstrap, BootstrapError, Bootstrapped, Check, ClusterView, LocalView, NodeService, NodeView,
};
use crate::protocol::id::{ClusterId, EpochNumber, NodeId, NodeName, PartitionId};
use crate::protocol::key::Key;
use crate::protocol::record::{Content, Record, Value};
use crate::protocol::stamp::Stamp;

#[derive(Clone, Default)]
pub(super) struct FakeNode {
    pub(super) state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(super) struct State {
    keys: BTreeMap<Key, Record>,
    stamps: u64,
    /// What every operation on data fails with.
    pub(super) failure: Option<(FailureKind, bool)>,
    /// Whether gets wait for ever.
    pub(super) stuck: bool,
    pub(super) draining: bool,
    /// Options of the last operation, as text.
    pub(super) last_consistency: &'static str,
    pub(super) last_ttl: Option<Duration>,
}

impl FakeNode {
    fn begin(&self, options: Options) -> Result<(), Failed> {
        let mut state = self.state.lock();
        state.last_consistency = options.consistency.name();
        let Some((kind, may_be_applied)) = state.failure else {
            return Ok(());
        };
        let (required, received) = if kind == FailureKind::NoRing { (0, 0) } else { (2, 1) };
        let failure = OperationFailure { kind, may_be_applied, required, received };
        Err(Failed { failure, epoch: EpochNumber(7), partition: Some(PartitionId(113)), replicas_total: 3 })
    }

    fn write(&self, key: Key, content: Content) -> Wrote {
        let mut state = self.state.lock();
        state.stamps += 1;
        let stamp = Stamp { time: state.stamps, writer: 0xa, rmw: 0 };
        let before = state.keys.insert(key, Record { stamp, content });
        let replaced = before.is_some_and(|record| record.live_value(0).is_some());
        Wrote { stamp, replaced, acked: acked(), replicas_total: 3, zones_acked: 2, epoch: EpochNumber(7) }
    }
}

impl NodeService for FakeNode {
    async fn get(&self, key: Key, options: Options) -> Result<Got, Failed> {
        if self.state.lock().stuck {
            std::future::pending::<()>().await;
        }
        self.begin(options)?;
        let state = self.state.lock();
        let value = state.keys.get(&key).and_then(|record| Some((record.stamp, record.live_value(0)?.clone())));
        Ok(Got { value, epoch: EpochNumber(7) })
    }

    async fn put(&self, key: Key, value: PutValue, options: Options) -> Result<Wrote, Failed> {
        self.begin(options)?;
        self.state.lock().last_ttl = value.ttl;
        let value = Value { bytes: value.bytes, content_type: value.content_type, expires_at: None };
        Ok(self.write(key, Content::Value(value)))
    }

    async fn delete(&self, key: Key, options: Options) -> Result<Wrote, Failed> {
        self.begin(options)?;
        Ok(self.write(key, Content::Tombstone))
    }

    async fn list(&self, query: ListQuery) -> Result<Listed, Failed> {
        self.begin(Options { consistency: crate::protocol::quorum::Consistency::Quorum, deadline: query.deadline })?;
        let state = self.state.lock();
        let inside =
            |key: &Key| key.as_bytes() >= &*query.start && (query.end.is_empty() || key.as_bytes() < &*query.end);
        let live = |(key, record): (&Key, &Record)| Some((key.clone(), record.live_value(0).map(|_| record.clone())?));
        let mut items: Vec<_> = state.keys.iter().filter(|(key, _)| inside(key)).filter_map(live).collect();
        let next = items.get(query.limit).map(|(key, _)| key.to_bytes());
        items.truncate(query.limit);
        Ok(Listed { items, next, epoch: EpochNumber(7) })
    }

    async fn explain(&self, key: Key, options: Options) -> Result<Explained, Failed> {
        self.begin(options)?;
        let stamp = self.state.lock().keys.get(&key).map(|record| record.stamp);
        let replica = |name: &str, latency: Option<Duration>| ReplicaExplained {
            name: format!("{name}1").parse().expect("a name"),
            zone: name.parse().expect("a zone"),
            stamp: latency.and(stamp),
            tombstone: false,
            latency,
            hints: 0,
        };
        let replicas = vec![replica("a", Some(Duration::from_micros(250))), replica("b", None)];
        Ok(Explained { partition: PartitionId(113), epoch: EpochNumber(7), replicas })
    }

    fn view(&self) -> ClusterView {
        let id = NodeId::from_bits;
        let node = |number: u128, zone: &str, state| NodeView {
            id: id(number),
            name: format!("{zone}1").parse().expect("a name"),
            zone: zone.parse().expect("a zone"),
            in_ring: true,
            state,
            since_micros: 1_700_000_000_000_000,
            incarnation: 2,
            version: "0.1.0".to_owned(),
            api: format!("127.0.{number}.1:8080"),
            peer: format!("127.0.{number}.1:7946"),
            gossip: format!("127.0.{number}.1:7947"),
            epoch: EpochNumber(7),
            hints: 0,
            connected: true,
        };
        ClusterView {
            this: id(1),
            cluster: Some(ClusterId::from_bits(0xc)),
            epoch: EpochNumber(7),
            epoch_hash: "ab".to_owned(),
            replicas: 3,
            nodes: vec![
                node(1, "a", MemberState::Alive),
                node(2, "b", MemberState::Dead),
                node(3, "c", MemberState::Alive),
            ],
            assignment: Arc::new(vec![vec![id(1), id(2), id(3)], vec![id(3), id(1), id(9)]]),
            local: LocalView {
                store_bytes: 4096,
                hints: BTreeMap::from([(id(2), 5)]),
                draining: self.state.lock().draining,
                pid: 42,
                ..LocalView::default()
            },
        }
    }

    fn liveness(&self) -> Vec<Check> {
        vec![Check { name: "loop", failure: None }, Check { name: "committer", failure: None }]
    }

    fn readiness(&self) -> Vec<Check> {
        let draining = self.state.lock().draining.then(|| "draining on request".to_owned());
        vec![Check { name: "ring", failure: None }, Check { name: "draining", failure: draining }]
    }

    async fn bootstrap(&self, act: Bootstrap) -> Result<Bootstrapped, BootstrapError> {
        match act.nodes.len() {
            1 => Err(BootstrapError::Missing { missing: act.nodes }),
            2 => Err(BootstrapError::OtherRing { cluster: ClusterId::from_bits(1), nodes: act.nodes }),
            3 => Ok(Bootstrapped { cluster: ClusterId::from_bits(0xc), epoch: EpochNumber(1), already: false }),
            4 => Err(BootstrapError::NotAgreed { reason: "b1 did not answer".to_owned() }),
            _ => Err(BootstrapError::Impossible { reason: "more replicas than nodes".to_owned() }),
        }
    }

    fn set_draining(&self, draining: bool) {
        self.state.lock().draining = draining;
    }
}

/// A value of this many bytes.
pub(super) fn value_of(length: usize) -> Bytes {
    Bytes::from(vec![b'v'; length])
}

fn acked() -> Vec<NodeName> {
    ["a1", "b1"].into_iter().map(|name| name.parse().expect("a name")).collect()
}
