//! The shell of membership: one task that receives datagrams and sleeps to the machine's next deadline.
//!
//! Other threads reach the machine through [`GossipHandle`], under one lock that is held for microseconds; what it
//! puts out is carried out at once (datagrams without waiting, exchanges as tasks). Datagrams that wait in the
//! socket are read before a timer is judged, so that a busy machine does not accuse peers whose acks have arrived.
//! It decides nothing about members and touches no files: what is to be remembered goes to a callback.

mod evidence;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, broadcast};

use self::evidence::Evidence;
use super::operation::MemberState;
use crate::gossip::keyring::{Keyring, NONCE_BYTES, OpenError};
use crate::gossip::packet::{self, DecodeError, MAX_DATAGRAM};
use crate::protocol::id::NodeId;
use crate::protocol::membership::config::{Config, OutOfRange};
use crate::protocol::membership::machine::{self, Membership, Start};
use crate::protocol::membership::member::{Facts, Incarnation, Member, State};
use crate::protocol::membership::message::{Exchange, Packet};
use crate::protocol::membership::{Contact, Event, Input, MonotonicTime, Output, Remembered};
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

/// Longest wait for one exchange: a stream, its handshake and one answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(3);
/// Datagrams read in one go, before timers get their turn.
const RECEIVE_BATCH: usize = 256;
/// Datagrams that wait because the socket was full; beyond it the newest is dropped, as the network would.
const MAX_OUTBOX: usize = 256;
/// Events a slow listener may lag behind; it then reads [`GossipHandle::members`] instead.
const MAX_EVENTS: usize = 1024;
/// Pause after a socket error, so that a lasting one does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// The answer to an exchange to come; none if it failed for any reason.
pub type ExchangeFuture = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;
/// Sends `PeerRequest::GossipExchange` with these bytes to a peer address and gives its answer.
pub type ExchangeWith = Box<dyn Fn(Contact, Bytes) -> ExchangeFuture + Send + Sync>;
/// Keeps this across restarts. Called under the machine's lock, before datagrams that depend on it go out: hand slow
/// work on. Losing the last call is safe.
pub type Remember = Box<dyn Fn(&Remembered) + Send + Sync>;

/// All that gossip starts from.
pub struct Setup {
    /// Timing and limits.
    pub config: Config,
    /// This node; its incarnation is set by `start`.
    pub local: Member,
    /// What was kept from the last run; none at the first.
    pub remembered: Option<Remembered>,
    /// Peer addresses by configuration.
    pub seeds: Vec<Contact>,
    /// Keys of the cluster.
    pub keyring: Keyring,
    /// Bound to the gossip address.
    pub socket: UdpSocket,
    /// How to exchange full state.
    pub exchange: ExchangeWith,
    /// How to keep state.
    pub remember: Remember,
}

/// A member as this node believes, itself included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// In its own words.
    pub member: Arc<Member>,
    /// The belief.
    pub state: State,
    /// Incarnation at which it holds.
    pub incarnation: Incarnation,
    /// Wall microseconds at which `state` last changed here.
    pub since_micros: u64,
}

impl MemberRecord {
    /// The belief as operators see it: a living node that drains is draining.
    #[must_use]
    pub fn member_state(&self) -> MemberState {
        match self.state {
            State::Alive if self.member.facts.draining => MemberState::Draining,
            State::Alive => MemberState::Alive,
            State::Suspect => MemberState::Suspect,
            State::Dead => MemberState::Dead,
            State::Left => MemberState::Left,
        }
    }
}

/// What went over the socket and what became of it; all only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams not sent: the socket was full or failed, or the packet too long.
    pub unsent: u64,
    /// Datagrams received, good or bad.
    pub received: u64,
    /// Dropped: longer than a packet may be, or not one.
    pub malformed: u64,
    /// Dropped: sealed with an unknown key.
    pub unknown_key: u64,
    /// Dropped: altered or forged.
    pub forged: u64,
    /// Dropped: opened, but not understood.
    pub undecodable: u64,
    /// Exchanges that brought no usable answer.
    pub exchanges_failed: u64,
    /// What happened to members.
    pub membership: machine::Counters,
}

#[derive(Default)]
struct TrafficCounters {
    sent: AtomicU64,
    unsent: AtomicU64,
    received: AtomicU64,
    malformed: AtomicU64,
    unknown_key: AtomicU64,
    forged: AtomicU64,
    undecodable: AtomicU64,
    exchanges_failed: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

struct Core {
    machine: Membership,
    rng: StdRng,
    /// Datagrams for which the socket had no room.
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    /// When the task will wake by itself.
    armed: MonotonicTime,
}

struct Shared {
    started: Instant,
    started_micros: u64,
    settle: Duration,
    socket: UdpSocket,
    keyring: ArcSwap<Keyring>,
    core: Mutex<Core>,
    members: ArcSwap<Vec<MemberRecord>>,
    events: broadcast::Sender<Event>,
    evidence: Evidence,
    rearm: Notify,
    traffic: TrafficCounters,
    tasks: Tasks,
    exchange: ExchangeWith,
    remember: Remember,
}

/// Why an exchange of a peer was refused; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Its bytes are no exchange of our version.
    #[error("not a gossip exchange")]
    Malformed(#[source] DecodeError),
    /// This node's own state does not fit an answer.
    #[error("the state is too large to exchange")]
    TooLarge(#[source] packet::TooLarge),
}

/// Starts gossip.
pub struct Gossip;

impl Gossip {
    /// Starts the task; it runs until the tasks shut down. Never waits for seeds.
    ///
    /// # Errors
    /// If a setting is outside its range; nothing was started.
    pub fn start(setup: Setup, tasks: &Tasks) -> Result<GossipHandle, OutOfRange> {
        let config = setup.config.checked()?;
        let settle = config.gossip_interval * 2;
        let started_micros = clock::wall_micros();
        let saved = setup.remembered.as_ref().map(|remembered| remembered.incarnation);
        let incarnation = Incarnation::at_start(saved, started_micros / 1000);
        let peers = setup.remembered.map(|remembered| remembered.peers).unwrap_or_default();
        let start = Start { local: Member { incarnation, ..setup.local }, peers, seeds: setup.seeds };
        let mut rng = StdRng::from_os_rng();
        let machine = Membership::new(config, start, MonotonicTime::default(), &mut rng);
        let armed = machine.next_deadline();
        let shared = Arc::new(Shared {
            started: clock::monotonic_now(),
            started_micros,
            settle,
            socket: setup.socket,
            keyring: ArcSwap::from_pointee(setup.keyring),
            core: Mutex::new(Core { machine, rng, outbox: VecDeque::new(), armed }),
            members: ArcSwap::default(),
            events: broadcast::Sender::new(MAX_EVENTS),
            evidence: Evidence::default(),
            rearm: Notify::new(),
            traffic: TrafficCounters::default(),
            tasks: tasks.clone(),
            exchange: setup.exchange,
            remember: setup.remember,
        });
        shared.publish(&shared.core.lock().machine);
        tasks.spawn("gossip", run(Arc::clone(&shared)));
        Ok(GossipHandle { shared })
    }
}

/// Asks and tells a running gossip. Cheap to clone; every method may be called from any thread.
#[derive(Clone)]
pub struct GossipHandle {
    shared: Arc<Shared>,
}

impl GossipHandle {
    /// All members, this node included, by id; a snapshot.
    #[must_use]
    pub fn members(&self) -> Arc<Vec<MemberRecord>> {
        self.shared.members.load_full()
    }
    /// What happens from now on. A listener that lags misses events and should read [`GossipHandle::members`].
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }
    /// A data-plane reply came from this node. Nearly free: for every reply.
    pub fn evidence(&self, node: NodeId) {
        self.shared.evidence.note(node, self.shared.now());
    }
    /// The data-plane connection to this node broke: it is probed at once.
    pub fn connection_lost(&self, node: NodeId) {
        self.shared.input(Input::ConnectionLost { node });
    }
    /// What this node says of itself has changed. No effect if it has not.
    pub fn set_local(&self, facts: Facts) {
        self.shared.input(Input::SetFacts(facts));
    }
    /// How busy this node is, 0 to 255.
    pub fn set_load(&self, load: u8) {
        self.shared.input(Input::SetLoad(load));
    }
    /// What this node says of itself now.
    #[must_use]
    pub fn local(&self) -> Arc<Member> {
        Arc::clone(self.shared.core.lock().machine.local())
    }
    /// More seeds to try.
    pub fn join(&self, seeds: Vec<Contact>) {
        self.shared.input(Input::Join(seeds));
    }
    /// Says goodbye and gives it the time of two gossip rounds to travel. Only before this process ends.
    pub async fn leave(&self) {
        self.shared.input(Input::Leave);
        clock::sleep(self.shared.settle).await;
    }
    /// Puts another keyring to use at once.
    pub fn set_keyring(&self, keyring: Keyring) {
        self.shared.keyring.store(Arc::new(keyring));
    }
    /// The serving side of `PeerRequest::GossipExchange`.
    ///
    /// # Errors
    /// If the bytes are not understood; the caller may drop the request.
    pub fn handle_exchange(&self, request: &[u8]) -> Result<Bytes, ExchangeError> {
        let request = packet::decode_exchange(request).map_err(ExchangeError::Malformed)?;
        let answer = self.shared.step(|core, now, out| core.machine.answer_exchange(&request, now, &mut core.rng, out));
        packet::encode_exchange(&answer).map(Bytes::from).map_err(ExchangeError::TooLarge)
    }
    /// Lifeguard's local health score, 0 is healthy.
    #[must_use]
    pub fn health_score(&self) -> u32 {
        self.shared.core.lock().machine.health_score()
    }
    /// Figures for metrics.
    #[must_use]
    pub fn counters(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.traffic;
        Traffic {
            sent: read(&counters.sent),
            unsent: read(&counters.unsent),
            received: read(&counters.received),
            malformed: read(&counters.malformed),
            unknown_key: read(&counters.unknown_key),
            forged: read(&counters.forged),
            undecodable: read(&counters.undecodable),
            exchanges_failed: read(&counters.exchanges_failed),
            membership: self.shared.core.lock().machine.counters(),
        }
    }
}

async fn run(shared: Arc<Shared>) {
    let mut buffer = [0; MAX_DATAGRAM + 1];
    loop {
        let deadline = shared.arm();
        tokio::select! {
            received = shared.socket.recv_from(&mut buffer) => match received {
                Ok((length, from)) => shared.on_datagram(&buffer[..length], from),
                Err(error) => {
                    tracing::warn!(%error, "gossip socket");
                    clock::sleep(ERROR_PAUSE).await;
                }
            },
            () = clock::sleep_until(deadline) => {}
            () = shared.rearm.notified() => {}
        }
        shared.receive_waiting(&mut buffer);
        shared.wake_if_due();
        shared.send_waiting().await;
    }
}

impl Shared {
    fn now(&self) -> MonotonicTime {
        MonotonicTime::from_start(clock::monotonic_now().saturating_duration_since(self.started))
    }

    fn input(self: &Arc<Self>, input: Input) {
        self.step(|core, now, out| core.machine.handle(input, now, &mut core.rng, out));
    }

    /// One step of the machine, and all that follows from it.
    fn step<T>(self: &Arc<Self>, step: impl FnOnce(&mut Core, MonotonicTime, &mut Vec<Output>) -> T) -> T {
        let mut out = Vec::new();
        let mut core = self.core.lock();
        let before = Arc::clone(core.machine.local());
        let now = self.now();
        let result = step(&mut core, now, &mut out);
        let changed =
            |output: &Output| matches!(output, Output::Event(Event::Changed { .. } | Event::Forgotten { .. }));
        if out.iter().any(changed) || *core.machine.local() != before {
            self.publish(&core.machine);
        }
        for output in out {
            self.carry_out(&mut core, output);
        }
        if core.machine.next_deadline() < core.armed || !core.outbox.is_empty() {
            self.rearm.notify_one();
        }
        result
    }

    fn carry_out(self: &Arc<Self>, core: &mut Core, output: Output) {
        match output {
            Output::Send { to, packet } => self.send(core, to, &packet),
            Output::Exchange { ticket, with, request } => self.start_exchange(ticket, with, request),
            Output::Remember(remembered) => (self.remember)(&remembered),
            // An error means that nobody listens.
            Output::Event(event) => drop(self.events.send(event)),
        }
    }

    fn send(&self, core: &mut Core, to: SocketAddr, packet: &Packet) {
        let mut nonce = [0; NONCE_BYTES];
        core.rng.fill_bytes(&mut nonce);
        let sealed = packet::encode(packet).ok().and_then(|content| self.keyring.load().seal(&content, nonce).ok());
        let Some(sealed) = sealed else { return count(&self.traffic.unsent) };
        match self.socket.try_send_to(&sealed, to) {
            Ok(_) => count(&self.traffic.sent),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && core.outbox.len() < MAX_OUTBOX => {
                core.outbox.push_back((to, sealed));
            }
            Err(_) => count(&self.traffic.unsent),
        }
    }

    fn start_exchange(self: &Arc<Self>, ticket: u64, with: Contact, request: Exchange) {
        let shared = Arc::clone(self);
        self.tasks.spawn("gossip exchange", async move {
            let answer = match packet::encode_exchange(&request) {
                Ok(body) => {
                    let deadline = clock::monotonic_now() + EXCHANGE_TIMEOUT;
                    clock::until(deadline, (shared.exchange)(with, Bytes::from(body))).await.flatten()
                }
                Err(_) => None,
            };
            let exchange = answer.and_then(|bytes| packet::decode_exchange(&bytes).ok());
            shared.input(match exchange {
                Some(exchange) => Input::ExchangeReply { ticket, exchange },
                None => {
                    count(&shared.traffic.exchanges_failed);
                    Input::ExchangeFailed { ticket }
                }
            });
        });
    }

    fn publish(&self, machine: &Membership) {
        let micros = |since: MonotonicTime| u64::try_from(since.since_start().as_micros()).unwrap_or(u64::MAX);
        let local = Arc::clone(machine.local());
        let state = if machine.is_leaving() { State::Left } else { State::Alive };
        let incarnation = local.incarnation;
        let own = MemberRecord { member: local, state, incarnation, since_micros: self.started_micros };
        let others = machine.members().map(|known| MemberRecord {
            member: Arc::clone(&known.member),
            state: known.state,
            incarnation: known.incarnation,
            since_micros: self.started_micros.saturating_add(micros(known.since)),
        });
        let mut members: Vec<MemberRecord> = others.chain([own]).collect();
        members.sort_by_key(|record| record.member.id);
        self.evidence.follow(machine.members().map(|known| known.member.id));
        self.members.store(Arc::new(members));
    }

    fn arm(&self) -> Instant {
        let mut core = self.core.lock();
        core.armed = core.machine.next_deadline();
        self.started + core.armed.since_start()
    }

    fn on_datagram(self: &Arc<Self>, datagram: &[u8], from: SocketAddr) {
        count(&self.traffic.received);
        if datagram.len() > MAX_DATAGRAM {
            return count(&self.traffic.malformed);
        }
        let content = match self.keyring.load().open(datagram) {
            Ok(content) => content,
            Err(OpenError::Malformed) => return count(&self.traffic.malformed),
            Err(OpenError::UnknownKey) => return count(&self.traffic.unknown_key),
            Err(OpenError::Forged) => return count(&self.traffic.forged),
        };
        match packet::decode(&content) {
            Ok(packet) => self.input(Input::Packet { from, packet }),
            Err(_) => count(&self.traffic.undecodable),
        }
    }

    fn receive_waiting(self: &Arc<Self>, buffer: &mut [u8]) {
        for _ in 0..RECEIVE_BATCH {
            match self.socket.try_recv_from(buffer) {
                Ok((length, from)) => self.on_datagram(&buffer[..length], from),
                Err(_) => return,
            }
        }
    }

    fn wake_if_due(self: &Arc<Self>) {
        if self.core.lock().machine.next_deadline() > self.now() {
            return;
        }
        for (node, at) in self.evidence.collect() {
            self.input(Input::Heard { node, at });
        }
        self.input(Input::Wake);
    }

    async fn send_waiting(&self) {
        loop {
            let next = self.core.lock().outbox.pop_front();
            let Some((to, sealed)) = next else { return };
            match self.socket.send_to(&sealed, to).await {
                Ok(_) => count(&self.traffic.sent),
                Err(_) => count(&self.traffic.unsent),
            }
        }
    }
}
