//! The answering side: accepts connections of other nodes and hands their requests to a [`PeerService`].
//!
//! The service is called on the connection's own task and must not block; its answers may come from any thread, in
//! any order. A connection with [`MAX_IN_FLIGHT`] unanswered requests, or whose other end does not read its
//! answers, is not read from until that changes. Whoever cannot prove to be of the cluster gets nothing but a
//! closed connection, and cannot take the places of those who can.
//!
//! It keeps no requests: what was not answered when a connection ends is forgotten.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::codec::{self, Frame};
use super::connection::{self, End, Handler, Port, Progress, Queue};
use super::greeting::{self, GreetingError, LocalIdentity};
use super::tls::PeerTls;
use super::wire::{self, Malformed, Purpose};
use super::{FailureKind, ForwardReply, OperationFailure, PeerIdentity, PeerReply, PeerRequest, PeerService, socket};
use crate::protocol::register::{Refusal, Reply};
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

/// Most connections of proven nodes: two from each of a few hundred nodes, and seeds passing by.
pub const MAX_CONNECTIONS: usize = 1024;
/// Most connections that have yet to prove themselves: enough for every node to return at once, small enough that
/// strangers cost little.
pub const MAX_UNPROVEN: usize = 256;
/// TLS and greeting must be done by then.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Unanswered requests on one connection before it is no longer read: far more than a round trip can use.
pub const MAX_IN_FLIGHT: usize = 4096;
/// Bytes of answers that wait on one connection before it is no longer read.
const PAUSE_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of answers that wait on one connection before further ones with content are replaced by a refusal.
const MAX_QUEUED_BYTES: usize = 4 * PAUSE_BYTES;
/// Callers ping their idle connections every 10 s: one that is silent for so long is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The other end must take something of what waits for it within this.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How often idle and stalled connections are looked for.
const TICK: Duration = Duration::from_secs(5);
/// Pause when the system has no descriptors left; connections wait in the kernel meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Refused strangers are logged at most this often: anyone who reaches the port can cause such lines.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Figures of the answering side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Connections of proven nodes that stand now.
    pub connections: usize,
    /// Connections that passed TLS and greeting.
    pub accepted: u64,
    /// Connections turned away because too many stood.
    pub over_limit: u64,
    /// Connections that failed TLS or the greeting, or took too long over it.
    pub refused: u64,
    /// Frames and messages that made no sense; each ended a connection.
    pub malformed: u64,
    /// Requests handed to the service.
    pub requests: u64,
    /// Requests whose deadline had passed on arrival.
    pub expired: u64,
}

/// The answering side of a node. Cheap to clone; all clones are one.
pub struct PeerServer<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for PeerServer<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<S> {
    tls: Arc<PeerTls>,
    local: Arc<LocalIdentity>,
    service: S,
    tasks: Tasks,
    connections: Arc<AtomicUsize>,
    unproven: Arc<AtomicUsize>,
    counters: Counters,
    /// When a refusal may be logged next, and how many went unlogged.
    log: Mutex<(Instant, u64)>,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    over_limit: AtomicU64,
    refused: AtomicU64,
    malformed: AtomicU64,
    requests: AtomicU64,
    expired: AtomicU64,
}

/// A place among a limited number, given back when dropped.
struct Place {
    taken: Arc<AtomicUsize>,
}

impl Place {
    fn take(taken: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let more = |count| if count < limit { Some(count + 1) } else { None };
        taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
        Some(Self { taken: Arc::clone(taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Why a connection came to nothing before its first request.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("TLS failed: {0}")]
    Tls(std::io::Error),
    #[error(transparent)]
    Greeting(#[from] GreetingError),
    #[error("no greeting within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut,
    #[error("there are {MAX_CONNECTIONS} connections already")]
    OverLimit,
}

impl<S: PeerService> PeerServer<S> {
    /// A server that does nothing until [`PeerServer::serve`].
    #[must_use]
    pub fn new(tls: Arc<PeerTls>, local: Arc<LocalIdentity>, service: S, tasks: Tasks) -> Self {
        let shared = Shared {
            tls,
            local,
            service,
            tasks,
            connections: Arc::default(),
            unproven: Arc::default(),
            counters: Counters::default(),
            log: Mutex::new((clock::monotonic_now(), 0)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Accepts connections for ever; dropping the future stops accepting and keeps what stands.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.shared.admit(stream, remote),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a peer connection");
                    clock::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Figures since the start.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        Statistics {
            connections: self.shared.connections.load(Ordering::Relaxed),
            accepted: count(&counters.accepted),
            over_limit: count(&counters.over_limit),
            refused: count(&counters.refused),
            malformed: count(&counters.malformed),
            requests: count(&counters.requests),
            expired: count(&counters.expired),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl<S: PeerService> Shared<S> {
    fn admit(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        let Some(unproven) = Place::take(&self.unproven, MAX_UNPROVEN) else {
            count(&self.counters.over_limit);
            return;
        };
        let shared = Arc::clone(self);
        self.tasks.spawn("peer server connection", async move { shared.connection(stream, remote, unproven).await });
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, unproven: Place) {
        let deadline = clock::monotonic_now() + HANDSHAKE_TIMEOUT;
        let handshake = self.handshake(stream);
        let (identity, purpose, stream) =
            match clock::until(deadline, handshake).await.unwrap_or(Err(Refused::TimedOut)) {
                Ok(proven) => proven,
                Err(refused) => return self.log_refusal(remote, &refused),
            };
        let Some(_place) = Place::take(&self.connections, MAX_CONNECTIONS) else {
            count(&self.counters.over_limit);
            return self.log_refusal(remote, &Refused::OverLimit);
        };
        drop(unproven);
        count(&self.counters.accepted);
        tracing::debug!(peer = %identity.name, %remote, ?purpose, "accepted a peer connection");
        let port = Arc::new(Port::new(State { in_flight: 0, ended: false }));
        let mut answerer = Answerer { shared: Arc::clone(&self), port: Arc::clone(&port), identity };
        let end = {
            let _ending = EndOnDrop(&port);
            connection::drive(stream, &port, &mut answerer).await
        };
        let name = &answerer.identity.name;
        if let End::Malformed(what) = &end {
            count(&self.counters.malformed);
            tracing::warn!(peer = %name, %remote, %what, "closed a peer connection that made no sense");
        } else {
            tracing::debug!(peer = %name, %remote, reason = %end, "a peer connection ended");
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
    ) -> Result<(PeerIdentity, Purpose, TlsStream<BufReader<TcpStream>>), Refused> {
        let tcp = socket::prepare(stream).map_err(Refused::Tls)?;
        let mut stream = TlsAcceptor::from(self.tls.accept()).accept(tcp).await.map_err(Refused::Tls)?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
        let missing = || Refused::Tls(std::io::Error::new(std::io::ErrorKind::InvalidData, "no client certificate"));
        let certificate = certificate.ok_or_else(missing)?;
        let (identity, purpose) = greeting::answer(&mut stream, &self.local, &certificate).await?;
        Ok((identity, purpose, stream))
    }

    fn log_refusal(&self, remote: SocketAddr, refused: &Refused) {
        count(&self.counters.refused);
        let now = clock::monotonic_now();
        let unlogged = {
            let mut log = self.log.lock();
            if now < log.0 {
                log.1 += 1;
                return;
            }
            let unlogged = log.1;
            *log = (now + LOG_INTERVAL, 0);
            unlogged
        };
        tracing::warn!(%remote, reason = %refused, unlogged, "refused a peer connection");
    }
}

/// What the answers of one connection share.
struct State {
    in_flight: usize,
    /// Answers are thrown away from now on.
    ended: bool,
}

struct EndOnDrop<'a>(&'a Port<State>);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.with(|queue| {
            queue.own.ended = true;
            queue.outgoing = bytes::BytesMut::new();
        });
    }
}

/// The duty to answer one request. Dropped unused it gives its place back, and the caller waits in vain.
struct Answer {
    port: Arc<Port<State>>,
    id: u64,
    used: bool,
}

impl Answer {
    fn send(mut self, reply: &PeerReply) {
        self.used = true;
        self.port.with(|queue| {
            release(queue);
            if queue.own.ended {
                return;
            }
            let full = may_be_large(reply) && queue.outgoing.len() >= MAX_QUEUED_BYTES;
            if full || codec::put_reply(&mut queue.outgoing, self.id, reply).is_err() {
                let refusal = refusal_like(reply, Refusal::Overloaded);
                codec::put_reply(&mut queue.outgoing, self.id, &refusal).expect("invariant: a refusal is small");
            }
        });
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.used {
            self.port.with(release);
        }
    }
}

fn release(queue: &mut Queue<State>) {
    // The connection may have stopped reading because of this one.
    queue.look |= queue.own.in_flight >= MAX_IN_FLIGHT;
    queue.own.in_flight -= 1;
}

/// Whether a reply brings content, and so may be replaced by a refusal. What became of a write never is: a refusal in
/// its place would say that the write was not carried out. Those are a few bytes for each request in flight.
fn may_be_large(reply: &PeerReply) -> bool {
    match reply {
        PeerReply::Register(reply) => matches!(reply, Reply::Record(_)),
        PeerReply::Forward(reply) => matches!(reply, ForwardReply::Got(_)),
        PeerReply::WrittenMany | PeerReply::Refused(_) => false,
        PeerReply::Scanned { .. } | PeerReply::GossipExchange(_) | PeerReply::Epoch(_) | PeerReply::RingCommit(_) => {
            true
        }
    }
}

/// A refusal in place of a reply with content that cannot be sent, of the kind its caller expects.
fn refusal_like(reply: &PeerReply, refusal: Refusal) -> PeerReply {
    match reply {
        PeerReply::Register(_) => PeerReply::Register(Reply::Refused(refusal)),
        PeerReply::Forward(_) => PeerReply::Forward(ForwardReply::Failed(OperationFailure {
            kind: FailureKind::Overloaded,
            may_be_applied: false,
            required: 0,
            received: 0,
        })),
        _ => PeerReply::Refused(refusal),
    }
}

/// The answer to a request that came too late.
fn expired(request: &PeerRequest) -> PeerReply {
    match request {
        PeerRequest::Register { .. } => PeerReply::Register(Reply::Refused(Refusal::Expired)),
        PeerRequest::Forward { .. } => PeerReply::Forward(ForwardReply::Failed(OperationFailure {
            kind: FailureKind::Deadline,
            may_be_applied: false,
            required: 0,
            received: 0,
        })),
        _ => PeerReply::Refused(Refusal::Expired),
    }
}

/// The answering end of a connection.
struct Answerer<S> {
    shared: Arc<Shared<S>>,
    port: Arc<Port<State>>,
    identity: PeerIdentity,
}

impl<S: PeerService> Handler<State> for Answerer<S> {
    fn frame(&mut self, frame: Frame, now: Instant) -> Result<(), Malformed> {
        let (id, remaining, body) = match frame {
            Frame::Request { id, remaining, body, .. } => (id, remaining, body),
            Frame::Ping { id } => {
                self.port.with(|queue| codec::put_pong(&mut queue.outgoing, id));
                return Ok(());
            }
            Frame::Reply { .. } | Frame::Pong { .. } => return Err(Malformed { what: "frame kind" }),
        };
        let request = wire::decode_request(body)?;
        self.port.with(|queue| queue.own.in_flight += 1);
        let answer = Answer { port: Arc::clone(&self.port), id, used: false };
        if remaining.is_zero() {
            count(&self.shared.counters.expired);
            answer.send(&expired(&request));
            return Ok(());
        }
        count(&self.shared.counters.requests);
        let respond = Box::new(move |reply| answer.send(&reply));
        self.shared.service.handle(&self.identity, request, now + remaining, respond);
        Ok(())
    }

    fn turn_done(&mut self, _port: &Port<State>, _now: Instant) {}

    fn paused(&self, queue: &Queue<State>) -> bool {
        queue.own.in_flight >= MAX_IN_FLIGHT || queue.outgoing.len() >= PAUSE_BYTES
    }

    fn tick(&mut self, _port: &Port<State>, progress: Progress) -> Result<Duration, End> {
        let Progress { now, received, blocked_since } = progress;
        if blocked_since.is_some_and(|since| now - since >= STALL_TIMEOUT) {
            return Err(End::Stalled);
        }
        let silent = now - received;
        // While this end does not read, silence says nothing.
        let paused = self.port.with(|queue| self.paused(queue));
        if silent >= IDLE_TIMEOUT && !paused { Err(End::Silent(silent)) } else { Ok(TICK) }
    }

    fn busy_tick(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::stamp::Stamp;
    use bytes::{Bytes, BytesMut};

    /// Sends a reply while as many bytes wait as may; returns what its caller will read.
    fn sent_when_full(reply: &PeerReply) -> PeerReply {
        let port = Arc::new(Port::new(State { in_flight: 1, ended: false }));
        port.with(|queue| queue.outgoing.resize(MAX_QUEUED_BYTES, 0));
        Answer { port: Arc::clone(&port), id: 1, used: false }.send(reply);
        let mut sent: BytesMut = port.with(|queue| queue.outgoing.split_off(MAX_QUEUED_BYTES));
        match codec::take_frame(&mut sent) {
            Ok(Some(Frame::Reply { body, .. })) => wire::decode_reply(body).expect("our own bytes"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_outcome_of_a_write_is_told_however_much_waits() {
        let failure = OperationFailure { kind: FailureKind::Deadline, may_be_applied: true, required: 2, received: 1 };
        for outcome in [
            PeerReply::Register(Reply::Written),
            PeerReply::Register(Reply::Refused(Refusal::StoreFailed)),
            PeerReply::WrittenMany,
            PeerReply::Forward(ForwardReply::Failed(failure)),
            PeerReply::Forward(ForwardReply::Wrote { stamp: Stamp::ZERO, replaced: true, acked: Vec::new() }),
        ] {
            assert_eq!(sent_when_full(&outcome), outcome);
        }
        let content = PeerReply::Epoch(Bytes::from_static(b"ring"));
        assert_eq!(sent_when_full(&content), PeerReply::Refused(Refusal::Overloaded));
    }
}
