//! The node's handle: what the API and the peer server hold, and the loops that run behind it.
//!
//! It delegates: operations to `request` and `forward`, listings to `listing`, documents to `view`, the first ring
//! to `bootstrap`, its spread to `adoption`, hints to `hints`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::gossip::GossipHandle;
use super::operation::{Explained, Failed, FailureKind, Got, ListQuery, Listed, Options, PutValue, Wrote};
use super::service::{Bootstrap, BootstrapError, Bootstrapped, Check, ClusterView, NodeService};
use super::shared::{Identity, Shared};
use super::{adoption, bootstrap, explain, figures, forward, hints, listing, request, view};
use crate::metrics::Metrics;
use crate::peer::client::PeerPool;
use crate::peer::greeting::LocalIdentity;
use crate::protocol::id::{EpochNumber, NodeId, NodeName, ZoneName};
use crate::protocol::key::Key;
use crate::protocol::record::Record;
use crate::protocol::stamp::HybridClock;
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;
use crate::storage::Storage;

/// How long an operation that found too few replicas is repeated before the client is told: longer than a
/// reconnect after a restart, short beside any deadline.
const PATIENCE: Duration = Duration::from_millis(300);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(30);

/// A running node. Cheap to clone.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

/// What a node is made of; `server` makes it.
pub struct Parts {
    /// Id of its data folder.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Its zone.
    pub zone: ZoneName,
    /// Drawn at this start and already durable.
    pub writer: u64,
    /// Its store.
    pub storage: Storage,
    /// Its connections to others.
    pub peers: PeerPool,
    /// Who it says it is to peers.
    pub local: Arc<LocalIdentity>,
    /// Its membership.
    pub gossip: GossipHandle,
    /// Its counters.
    pub metrics: Metrics,
    /// Its tasks.
    pub tasks: Tasks,
}

impl Node {
    /// Loads the ring kept in the store, if any, and starts the loops.
    pub fn start(parts: Parts) -> Result<Self, adoption::LoadError> {
        let tasks = parts.tasks.clone();
        let shared = Arc::new(Shared {
            identity: Identity { id: parts.id, name: parts.name, zone: parts.zone },
            storage: parts.storage,
            peers: parts.peers,
            local: parts.local,
            tasks: parts.tasks,
            metrics: parts.metrics,
            gossip: parts.gossip,
            hedges: super::hedging::Budget::default(),
            ring: arc_swap::ArcSwapOption::empty(),
            shunned: arc_swap::ArcSwap::default(),
            reluctant: arc_swap::ArcSwap::default(),
            slow: parking_lot::RwLock::default(),
            draining: std::sync::atomic::AtomicBool::new(false),
            started_at: clock::monotonic_now(),
            hybrid: parking_lot::Mutex::new(HybridClock::new(parts.writer)),
            acceptor: tokio::sync::Mutex::new(()),
        });
        adoption::load(&shared)?;
        figures::register(&shared);
        tasks.spawn("adoption", adoption::run(Arc::clone(&shared)));
        tasks.spawn("hints", hints::run(Arc::clone(&shared)));
        Ok(Self { shared })
    }

    /// Its counters.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics.clone()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    async fn read(&self, key: Key, options: Options) -> Result<(EpochNumber, Option<Record>), Failed> {
        let until = patience(options);
        loop {
            let result = self.read_once(key.clone(), options).await;
            if !worth_repeating(&result, until) {
                return result;
            }
            clock::sleep(PAUSE).await;
        }
    }

    async fn write(&self, key: Key, intent: request::Intent, options: Options) -> Result<Wrote, Failed> {
        let until = patience(options);
        loop {
            let result = self.write_once(key.clone(), intent.clone(), options).await;
            if !worth_repeating(&result, until) {
                return result;
            }
            clock::sleep(PAUSE).await;
        }
    }

    /// Reads as coordinator, or through one.
    async fn read_once(&self, key: Key, options: Options) -> Result<(EpochNumber, Option<Record>), Failed> {
        let route = self.shared.route(&key)?;
        let epoch = route.epoch_number();
        let record = if route.includes_self() {
            request::read(&self.shared, route, key, options).await?
        } else {
            forward::read(&self.shared, &route, key, options).await?
        };
        Ok((epoch, record))
    }

    async fn write_once(&self, key: Key, intent: request::Intent, options: Options) -> Result<Wrote, Failed> {
        let route = self.shared.route(&key)?;
        if route.includes_self() {
            request::write(&self.shared, route, key, intent, options).await
        } else {
            forward::write(&self.shared, &route, key, intent, options).await
        }
    }
}

fn patience(options: Options) -> Instant {
    options.deadline.min(clock::monotonic_now() + PATIENCE)
}

/// Whether an operation found too few replicas, certainly did nothing, and there is time to try again: connections
/// to a node that has just returned take a few milliseconds, and a client should not have to know.
fn worth_repeating<T>(result: &Result<T, Failed>, until: Instant) -> bool {
    let Err(Failed { failure, .. }) = result else { return false };
    let harmless = failure.kind == FailureKind::QuorumUnavailable && !failure.may_be_applied;
    harmless && clock::monotonic_now() + PAUSE < until
}

impl NodeService for Node {
    async fn get(&self, key: Key, options: Options) -> Result<Got, Failed> {
        let (epoch, record) = self.read(key, options).await?;
        Ok(request::got(&self.shared, epoch, record))
    }

    async fn put(&self, key: Key, value: PutValue, options: Options) -> Result<Wrote, Failed> {
        let value = request::intent_of(&self.shared, value);
        self.write(key, Some(value), options).await
    }

    async fn delete(&self, key: Key, options: Options) -> Result<Wrote, Failed> {
        self.write(key, None, options).await
    }

    async fn list(&self, query: ListQuery) -> Result<Listed, Failed> {
        listing::list(&self.shared, query).await
    }

    async fn explain(&self, key: Key, options: Options) -> Result<Explained, Failed> {
        explain::explain(&self.shared, key, options.deadline).await
    }

    fn view(&self) -> ClusterView {
        view::cluster(&self.shared)
    }

    fn liveness(&self) -> Vec<Check> {
        view::liveness(&self.shared)
    }

    fn readiness(&self) -> Vec<Check> {
        view::readiness(&self.shared)
    }

    async fn bootstrap(&self, act: Bootstrap) -> Result<Bootstrapped, BootstrapError> {
        bootstrap::propose(&self.shared, act).await
    }

    fn set_draining(&self, draining: bool) {
        self.shared.draining.store(draining, Ordering::Relaxed);
        self.shared.tell_gossip();
    }
}
