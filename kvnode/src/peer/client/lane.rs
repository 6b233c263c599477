//! One connection to one peer, kept up: connect, serve calls, and after a loss connect again with growing pauses.
//!
//! A lane for clients connects by itself. A bulk lane connects at its first call and lets calls queue meanwhile.
//! It does not choose among lanes and repeats no call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::dial::{self, DialError, Stream};
use super::pending::{Call, Pending};
use super::{PeerEvent, PeerFacts, SWEEP, Shared};
use crate::peer::codec::{self, Frame};
use crate::peer::connection::{self, End, Handler, Port, Progress, Queue};
use crate::peer::tls::server_name;
use crate::peer::wire::{self, Malformed, Purpose};
use crate::peer::{CallError, Class, PeerReply, PeerRequest, ReplySink};
use crate::protocol::register;
use crate::runtime::clock;

/// First and longest pause between attempts: short, because a peer that is back should be used at once, and never
/// long, because an attempt costs little.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that stood so long was a good one: the pauses start over.
const GOOD_CONNECTION: Duration = Duration::from_secs(1);
/// How often an idle connection is checked, and pinged: the server closes those it hears nothing from.
const IDLE_TICK: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Calls are refused until the next attempt.
    Down,
    /// A bulk lane without a connection: the first call has one opened.
    Dormant,
    /// A bulk lane that connects: calls queue.
    Opening,
    Up,
    /// For good.
    Closed,
}

struct State {
    phase: Phase,
    pending: Pending,
}

pub(super) struct Lane {
    facts: Arc<PeerFacts>,
    shared: Arc<Shared>,
    purpose: Purpose,
    port: Port<State>,
    /// A reason to stop waiting: a nudge, a first bulk call, closing.
    wake: Notify,
}

impl Lane {
    pub(super) fn start(facts: Arc<PeerFacts>, purpose: Purpose, shared: Arc<Shared>) -> Arc<Self> {
        let phase = if purpose == Purpose::Bulk { Phase::Dormant } else { Phase::Down };
        let port = Port::new(State { phase, pending: Pending::default() });
        let lane = Arc::new(Self { facts, shared, purpose, port, wake: Notify::new() });
        let running = CloseOnDrop(Arc::clone(&lane));
        lane.shared.tasks.spawn("peer connection", async move { running.0.run().await });
        lane
    }

    /// Ends the lane for good; waiting calls end with `Broken`.
    pub(super) fn close(&self) {
        self.end_calls(Phase::Closed, CallError::Broken);
        self.port.with(|queue| queue.stop = true);
        self.wake.notify_one();
    }

    /// Shortens the pause before the next attempt, if there is one.
    pub(super) fn nudge(&self) {
        if self.port.with(|queue| queue.own.phase == Phase::Down) {
            self.wake.notify_one();
        }
    }

    pub(super) fn call(&self, request: &PeerRequest, class: Class, deadline: Instant, sink: ReplySink) {
        let now = clock::monotonic_now();
        let mut call = Some(Call { sink, deadline, sent: now, timed: is_read(request) });
        let result = self.port.with(|queue| self.enqueue(queue, request, class, now, &mut call));
        match (result, call) {
            (Ok(open), _) => {
                count(&self.facts.counters.calls);
                if open {
                    self.wake.notify_one();
                }
            }
            (Err(error), call) => {
                if error == CallError::QueueFull {
                    count(&self.facts.counters.queue_full);
                }
                if let Some(call) = call {
                    (call.sink)(Err(error));
                }
            }
        }
    }

    /// Queues a call, taking it; on an error it is still there. True if the lane has to be opened for it.
    fn enqueue(
        &self,
        queue: &mut Queue<State>,
        request: &PeerRequest,
        class: Class,
        now: Instant,
        call: &mut Option<Call>,
    ) -> Result<bool, CallError> {
        if matches!(queue.own.phase, Phase::Down | Phase::Closed) {
            return Err(CallError::NotConnected);
        }
        let limits = &self.shared.limits;
        let full = queue.own.pending.len() >= share(limits.in_flight, class)
            || queue.outgoing.len() >= share(limits.queued_bytes, class);
        if full {
            return Err(CallError::QueueFull);
        }
        let remaining = call.as_ref().map(|call| call.deadline.saturating_duration_since(now)).unwrap_or_default();
        if remaining.is_zero() {
            return Err(CallError::TimedOut);
        }
        let id = queue.own.pending.next_id();
        codec::put_request(&mut queue.outgoing, id, remaining, class, request).map_err(|_| CallError::TooLarge)?;
        if let Some(call) = call.take() {
            queue.own.pending.insert(call);
        }
        let open = queue.own.phase == Phase::Dormant;
        if open {
            queue.own.phase = Phase::Opening;
        }
        Ok(open)
    }

    /// Goes over to `phase` (unless closed) and ends all waiting calls.
    fn end_calls(&self, phase: Phase, error: CallError) {
        let calls = self.port.with(|queue| {
            if queue.own.phase != Phase::Closed {
                queue.own.phase = phase;
            }
            queue.outgoing.clear();
            queue.own.pending.take_all()
        });
        if error == CallError::Broken {
            add(&self.facts.counters.broken, calls.len());
        }
        for call in calls {
            (call.sink)(Err(error));
        }
    }

    fn phase(&self) -> Phase {
        self.port.with(|queue| queue.own.phase)
    }

    async fn run(self: &Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        let mut complaint = String::new();
        loop {
            while self.phase() == Phase::Dormant {
                self.wake.notified().await;
            }
            if self.phase() == Phase::Closed {
                return;
            }
            match self.connect().await {
                Ok(stream) => {
                    complaint.clear();
                    let began = clock::monotonic_now();
                    self.serve(stream).await;
                    if clock::monotonic_now() - began >= GOOD_CONNECTION {
                        pause = FIRST_PAUSE;
                    }
                }
                Err(error) => {
                    self.end_calls(Phase::Down, CallError::NotConnected);
                    self.complain(&error, &mut complaint);
                }
            }
            if self.phase() == Phase::Closed {
                return;
            }
            // Half of the pause is random, so that nodes that lost a peer together do not return to it together.
            let jittered = pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            pause = (pause * 2).min(LONGEST_PAUSE);
            tokio::select! {
                () = clock::sleep(jittered) => {}
                () = self.wake.notified() => pause = FIRST_PAUSE,
            }
            if self.purpose == Purpose::Bulk {
                self.end_calls(Phase::Dormant, CallError::NotConnected);
            }
        }
    }

    async fn connect(&self) -> Result<Stream, DialError> {
        count(&self.facts.counters.attempts);
        let target = &self.facts.address;
        let config = self.shared.tls.dial_named();
        let name = server_name(&target.name);
        let dial = dial::dial(&target.address, config, name, &self.shared.local, self.purpose);
        let deadline = clock::monotonic_now() + self.shared.limits.connect;
        let (found, stream) = clock::until(deadline, dial).await.unwrap_or(Err(DialError::TimedOut))?;
        if found.id != target.id {
            self.shared.report(PeerEvent::Replaced { expected: target.id, found: found.clone() });
            return Err(DialError::Replaced { found });
        }
        Ok(stream)
    }

    /// Says once why there is no connection, and again when the reason changes.
    fn complain(&self, error: &DialError, before: &mut String) {
        let reason = error.to_string();
        if *before != reason {
            let PeerFacts { address, .. } = &*self.facts;
            tracing::warn!(peer = %address.name, address = address.address, reason, "cannot reach a peer, trying on");
            *before = reason;
        }
    }

    async fn serve(self: &Arc<Self>, stream: Stream) {
        let closed = self.port.with(|queue| {
            let closed = queue.own.phase == Phase::Closed;
            if !closed {
                queue.own.phase = Phase::Up;
            }
            closed
        });
        if closed {
            return;
        }
        let up = UpGuard::new(self);
        count(&self.facts.counters.connects);
        tracing::info!(peer = %self.facts.address.name, purpose = ?self.purpose, "connected");
        let silence = if self.purpose == Purpose::Bulk { 5 } else { 1 } * self.shared.limits.silence;
        let mut caller = Caller::new(Arc::clone(&self.facts), silence);
        let end = connection::drive(stream, &self.port, &mut caller).await;
        if let End::Malformed(_) = end {
            count(&self.facts.counters.malformed);
        }
        tracing::info!(peer = %self.facts.address.name, purpose = ?self.purpose, reason = %end, "disconnected");
        // Refuse new calls before failing the old ones: whoever is told "broken" must not queue here again.
        self.end_calls(Phase::Down, CallError::Broken);
        drop(up);
    }
}

/// Closes the lane however its task ends, also by shutdown: no call may wait for ever.
struct CloseOnDrop(Arc<Lane>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Counts a standing client connection, and reports the first and the last.
struct UpGuard<'a> {
    lane: &'a Lane,
}

impl<'a> UpGuard<'a> {
    fn new(lane: &'a Lane) -> Self {
        if lane.purpose == Purpose::Clients && lane.facts.up.fetch_add(1, Ordering::AcqRel) == 0 {
            lane.shared.report(PeerEvent::Connected(lane.facts.address.id));
        }
        Self { lane }
    }
}

impl Drop for UpGuard<'_> {
    fn drop(&mut self) {
        let lane = self.lane;
        if lane.purpose == Purpose::Clients && lane.facts.up.fetch_sub(1, Ordering::AcqRel) == 1 {
            lane.shared.report(PeerEvent::Lost(lane.facts.address.id));
        }
    }
}

/// The part of a limit that a class may fill: what is less urgent is refused first.
fn share(limit: usize, class: Class) -> usize {
    match class {
        Class::Client => limit,
        Class::Repair => limit / 4 * 3,
        Class::Hints => limit / 2,
        Class::Sync => limit / 4,
    }
}

/// Reads are what coordinators hedge: only they tell how long a hedge should wait.
fn is_read(request: &PeerRequest) -> bool {
    let PeerRequest::Register { request, .. } = request else { return false };
    matches!(request, register::Request::Read { .. } | register::Request::ReadVersion { .. })
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// The calling end of a connection.
struct Caller {
    facts: Arc<PeerFacts>,
    silence: Duration,
    /// Replies of this turn, handed out together.
    replies: Vec<(u64, PeerReply)>,
    /// Since when something has been waited for without a break.
    waiting_since: Option<Instant>,
    pinged: Option<Instant>,
}

impl Caller {
    fn new(facts: Arc<PeerFacts>, silence: Duration) -> Self {
        Self { facts, silence, replies: Vec::new(), waiting_since: None, pinged: None }
    }

    fn end_expired(&self, port: &Port<State>, now: Instant) -> bool {
        let (expired, busy) = port.with(|queue| (queue.own.pending.take_expired(now), !queue.own.pending.is_empty()));
        add(&self.facts.counters.timed_out, expired.len());
        for call in expired {
            if call.timed {
                self.facts.latency.lock().record(now - call.sent);
            }
            (call.sink)(Err(CallError::TimedOut));
        }
        busy
    }
}

impl Handler<State> for Caller {
    fn frame(&mut self, frame: Frame, _now: Instant) -> Result<(), Malformed> {
        match frame {
            Frame::Reply { id, body } => self.replies.push((id, wire::decode_reply(body)?)),
            Frame::Pong { .. } => {}
            Frame::Request { .. } | Frame::Ping { .. } => return Err(Malformed { what: "frame kind" }),
        }
        Ok(())
    }

    fn turn_done(&mut self, port: &Port<State>, now: Instant) {
        self.pinged = None;
        if self.replies.is_empty() {
            return;
        }
        add(&self.facts.counters.replies, self.replies.len());
        let take = |queue: &mut Queue<State>| {
            let replies = self.replies.drain(..);
            replies.filter_map(|(id, reply)| Some((queue.own.pending.take(id)?, reply))).collect::<Vec<_>>()
        };
        let done = port.with(take);
        let mut latency = self.facts.latency.lock();
        done.iter().filter(|(call, _)| call.timed).for_each(|(call, _)| latency.record(now - call.sent));
        drop(latency);
        for (call, reply) in done {
            (call.sink)(Ok(reply));
        }
    }

    fn paused(&self, _queue: &Queue<State>) -> bool {
        // Replies free memory: reading them can never be the wrong thing.
        false
    }

    fn tick(&mut self, port: &Port<State>, progress: Progress) -> Result<Duration, End> {
        let Progress { now, received, blocked_since } = progress;
        let busy = self.end_expired(port, now) || blocked_since.is_some();
        if !busy && self.pinged.is_none() {
            self.waiting_since = None;
            if now - received >= IDLE_TICK {
                self.ping(port, now);
            }
            return Ok(if self.pinged.is_some() { SWEEP } else { IDLE_TICK });
        }
        let since = *self.waiting_since.get_or_insert(now);
        let quiet = now - since.max(received);
        if quiet >= self.silence {
            return Err(End::Silent(quiet));
        }
        if quiet >= self.silence / 2 && self.pinged.is_none() {
            self.ping(port, now);
        }
        Ok(SWEEP)
    }

    fn busy_tick(&self) -> Option<Duration> {
        Some(SWEEP)
    }
}

impl Caller {
    fn ping(&mut self, port: &Port<State>, now: Instant) {
        self.pinged = Some(now);
        port.with(|queue| codec::put_ping(&mut queue.outgoing, 0));
    }
}
