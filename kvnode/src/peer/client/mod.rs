//! The calling side: connections to every peer, kept up, and calls over them that always end.
//!
//! [`PeerPool::call`] never blocks: a call that cannot be sent is answered at once, a connection that breaks
//! answers all its calls at once (which is what makes fail-over fast), and a call past its deadline is answered
//! within [`SWEEP`]. Bulk classes have a connection of their own, so that hints never stand before a client.
//!
//! It repeats no call: whether to ask someone else is for the coordinator to decide.

mod dial;
mod lane;
mod once;
mod pending;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use dial::DialError;
pub use once::RequestAddressError;

use super::greeting::LocalIdentity;
use super::latency::{Latency, Recorder};
use super::tls::PeerTls;
use super::wire::Purpose;
use super::{CallError, Class, PeerIdentity, PeerReply, PeerRequest, ReplySink};
use crate::protocol::id::{NodeId, NodeName};
use crate::runtime::tasks::Tasks;
use lane::Lane;

/// How late a call may learn that its deadline has passed: one timer serves all calls of a connection.
pub const SWEEP: Duration = Duration::from_millis(20);

/// Bounds of a pool. Reaching one is reported to the caller, never waited for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections to each peer for the classes that clients wait for, 1 to 4. One carries over 100 000 calls a
    /// second; more help only where one core cannot encrypt fast enough.
    pub connections: usize,
    /// Calls in flight on one connection; the same as what a server accepts before it stops reading.
    pub in_flight: usize,
    /// Bytes queued and not yet written on one connection: two of the largest frames.
    pub queued_bytes: usize,
    /// Time for name lookup, TCP, TLS and greeting together.
    pub connect: Duration,
    /// With calls waiting and nothing heard for so long, the peer counts as gone. Bulk connections get five times
    /// that, because one large frame may take long on a slow link.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1,
            in_flight: super::server::MAX_IN_FLIGHT,
            queued_bytes: 2 * super::codec::MAX_FRAME_BYTES,
            connect: Duration::from_secs(2),
            silence: Duration::from_secs(2),
        }
    }
}

/// Where a peer is to be found and who it should prove to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// `host:port`; names are looked up at every attempt.
    pub address: String,
}

/// What happened to the connections of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// The first connection for client calls stands.
    Connected(NodeId),
    /// The last connection for client calls is gone.
    Lost(NodeId),
    /// Another node answers at the address with the right name: its data folder was lost or replaced.
    Replaced {
        /// Who was expected.
        expected: NodeId,
        /// Who answered.
        found: PeerIdentity,
    },
}

/// Told of every [`PeerEvent`]; must not block.
pub type EventSink = Arc<dyn Fn(PeerEvent) + Send + Sync>;

/// Figures of one peer since this process knows it.
#[derive(Debug, Clone)]
pub struct PeerStatistics {
    /// The peer.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Whether client calls can be sent now.
    pub connected: bool,
    /// Connections tried.
    pub attempts: u64,
    /// Connections made.
    pub connects: u64,
    /// Calls sent.
    pub calls: u64,
    /// Replies received.
    pub replies: u64,
    /// Calls that a broken connection ended.
    pub broken: u64,
    /// Calls that ended at their deadline.
    pub timed_out: u64,
    /// Calls refused because a queue was full.
    pub queue_full: u64,
    /// Replies or frames that made no sense; each ended a connection.
    pub malformed: u64,
    /// Time to answer reads, once there were enough.
    pub latency: Option<Latency>,
}

/// Connections to all peers. Cheap to clone; all clones are one pool.
#[derive(Clone)]
pub struct PeerPool {
    shared: Arc<Shared>,
    peers: Arc<ArcSwap<HashMap<NodeId, Peer>>>,
    changing: Arc<Mutex<()>>,
}

/// What all connections of a pool use.
struct Shared {
    tls: Arc<PeerTls>,
    local: Arc<LocalIdentity>,
    tasks: Tasks,
    limits: Limits,
    events: Mutex<Option<EventSink>>,
}

impl Shared {
    fn report(&self, event: PeerEvent) {
        let sink = self.events.lock().clone();
        if let Some(sink) = sink {
            sink(event);
        }
    }
}

/// One peer: its connections and what is known of it.
#[derive(Clone)]
struct Peer {
    facts: Arc<PeerFacts>,
    lanes: Arc<[Arc<Lane>]>,
    bulk: Arc<Lane>,
}

/// What the connections of one peer share.
struct PeerFacts {
    address: PeerAddress,
    up: AtomicUsize,
    turn: AtomicUsize,
    latency: Mutex<Recorder>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    attempts: AtomicU64,
    connects: AtomicU64,
    calls: AtomicU64,
    replies: AtomicU64,
    broken: AtomicU64,
    timed_out: AtomicU64,
    queue_full: AtomicU64,
    malformed: AtomicU64,
}

impl Peer {
    fn start(address: PeerAddress, shared: &Arc<Shared>) -> Self {
        let facts = Arc::new(PeerFacts {
            address,
            up: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            latency: Mutex::new(Recorder::new()),
            counters: Counters::default(),
        });
        let lane = |purpose| Lane::start(Arc::clone(&facts), purpose, Arc::clone(shared));
        let lanes = (0..shared.limits.connections.clamp(1, 4)).map(|_| lane(Purpose::Clients)).collect();
        let bulk = lane(Purpose::Bulk);
        Self { facts, lanes, bulk }
    }

    fn all_lanes(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lanes.iter().chain(std::iter::once(&self.bulk))
    }

    fn lane(&self, class: Class) -> &Lane {
        match class {
            Class::Hints | Class::Sync => &self.bulk,
            Class::Client | Class::Repair => match &*self.lanes {
                [only] => only,
                several => &several[self.facts.turn.fetch_add(1, Ordering::Relaxed) % several.len()],
            },
        }
    }
}

impl PeerPool {
    /// A pool without peers. Tasks are spawned as peers are set.
    #[must_use]
    pub fn new(tls: Arc<PeerTls>, local: Arc<LocalIdentity>, tasks: Tasks, limits: Limits) -> Self {
        let shared = Arc::new(Shared { tls, local, tasks, limits, events: Mutex::new(None) });
        Self { shared, peers: Arc::default(), changing: Arc::default() }
    }

    /// Has `sink` told of connections that come and go, instead of whoever was told before.
    pub fn on_state_change(&self, sink: EventSink) {
        *self.shared.events.lock() = Some(sink);
    }

    /// Keeps connections to exactly these peers. Those that stay as they are keep theirs; calls to a peer that is
    /// dropped end with [`CallError::Broken`]. Must be called on the runtime.
    pub fn set_peers(&self, wanted: Vec<PeerAddress>) {
        let _changing = self.changing.lock();
        let before = self.peers.load_full();
        let mut after = HashMap::with_capacity(wanted.len());
        for address in wanted {
            let id = address.id;
            let kept = before.get(&id).filter(|peer| peer.facts.address == address).cloned();
            after.insert(id, kept.unwrap_or_else(|| Peer::start(address, &self.shared)));
        }
        let kept = |id: &NodeId, peer: &Peer| after.get(id).is_some_and(|now| Arc::ptr_eq(&now.facts, &peer.facts));
        let dropped: Vec<Peer> =
            before.iter().filter(|(id, peer)| !kept(id, peer)).map(|(_, peer)| peer.clone()).collect();
        self.peers.store(Arc::new(after));
        dropped.iter().flat_map(Peer::all_lanes).for_each(|lane| lane.close());
    }

    /// Tries at once to connect to a peer that is not connected, for example because it was heard of.
    pub fn nudge(&self, peer: NodeId) {
        if let Some(peer) = self.peers.load().get(&peer) {
            peer.all_lanes().for_each(|lane| lane.nudge());
        }
    }

    /// Sends a request; `reply` is called exactly once, perhaps before this returns, on any thread.
    pub fn call(&self, target: NodeId, request: &PeerRequest, class: Class, deadline: Instant, reply: ReplySink) {
        match self.peers.load().get(&target) {
            Some(peer) => peer.lane(class).call(request, class, deadline, reply),
            None => reply(Err(CallError::NotConnected)),
        }
    }

    /// Like [`PeerPool::call`], as a future; dropping it does not take the request back.
    pub async fn request(
        &self,
        target: NodeId,
        request: &PeerRequest,
        class: Class,
        deadline: Instant,
    ) -> Result<PeerReply, CallError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let sink: ReplySink = Box::new(move |reply| drop(sender.send(reply)));
        self.call(target, request, class, deadline, sink);
        receiver.await.unwrap_or(Err(CallError::Broken))
    }

    /// Sends one request to whoever of the cluster's authority answers at `address` (`host:port`), over a connection
    /// of its own, and says who that was. For seeds, whose ids are not known. May be repeated if the request may.
    pub async fn request_address(
        &self,
        address: &str,
        request: &PeerRequest,
        deadline: Instant,
    ) -> Result<(PeerIdentity, PeerReply), RequestAddressError> {
        once::request(&self.shared.tls, &self.shared.local, address, request, deadline).await
    }

    /// Whether client calls to this peer can be sent now.
    #[must_use]
    pub fn is_connected(&self, peer: NodeId) -> bool {
        self.peers.load().get(&peer).is_some_and(|peer| peer.facts.up.load(Ordering::Relaxed) > 0)
    }

    /// How fast this peer answered reads lately; none before it answered enough of them.
    #[must_use]
    pub fn latency(&self, peer: NodeId) -> Option<Latency> {
        self.peers.load().get(&peer).and_then(|peer| peer.facts.latency.lock().latency())
    }

    /// Figures of all peers, in order of their names.
    #[must_use]
    pub fn statistics(&self) -> Vec<PeerStatistics> {
        let mut all: Vec<PeerStatistics> = self.peers.load().values().map(|peer| peer.facts.statistics()).collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }
}

impl PeerFacts {
    fn statistics(&self) -> PeerStatistics {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PeerStatistics {
            id: self.address.id,
            name: self.address.name.clone(),
            connected: self.up.load(Ordering::Relaxed) > 0,
            attempts: count(&self.counters.attempts),
            connects: count(&self.counters.connects),
            calls: count(&self.counters.calls),
            replies: count(&self.counters.replies),
            broken: count(&self.counters.broken),
            timed_out: count(&self.counters.timed_out),
            queue_full: count(&self.counters.queue_full),
            malformed: count(&self.counters.malformed),
            latency: self.latency.lock().latency(),
        }
    }
}
