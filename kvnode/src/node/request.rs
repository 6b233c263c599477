//! Drives one client operation: the machine decides, this sends, waits and answers.
//!
//! Every message sent produces exactly one event, so a machine always comes to an end; the deadline ends it in any
//! case. A write runs in a task of its own that outlives its client: whoever missed it gets a hint.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::hedging;
use super::inbox::Inbox;
use super::local;
use super::operation::{Failed, Got, Options, PutValue, Wrote};
use super::route::Route;
use super::shared::Shared;
use crate::peer::{CallError, Class, FailureKind, OperationFailure, PeerReply, PeerRequest};
use crate::protocol::key::Key;
use crate::protocol::record::{Content, Record, Value};
use crate::protocol::register::get::{self, Get};
use crate::protocol::register::put::{self, Put};
use crate::protocol::register::replicas::{Ask, Event, Failure, Kind, ReplicaIndex, Send};
use crate::protocol::register::{Refusal, Reply, Request};
use crate::runtime::clock;
use crate::storage::Origin;

/// What an operation is about, and how it reaches replicas.
struct Driver {
    shared: Arc<Shared>,
    route: Route,
    key: Key,
    options: Options,
    /// On whose behalf it writes.
    origin: Origin,
    inbox: Inbox,
    sends: Vec<Send>,
    events: VecDeque<Event>,
    batch: Vec<Event>,
    started_at: Instant,
    hedge_at: Option<Instant>,
}

impl Driver {
    fn new(shared: Arc<Shared>, route: Route, key: Key, options: Options, origin: Origin) -> Self {
        let started_at = clock::monotonic_now();
        let hedge_at = shared.hedge_delay(&route).map(|delay| started_at + delay);
        shared.hedges.earn();
        Self {
            shared,
            route,
            key,
            options,
            origin,
            inbox: Inbox::new(),
            sends: Vec::with_capacity(4),
            events: VecDeque::new(),
            batch: Vec::new(),
            started_at,
            hedge_at,
        }
    }

    /// Sends what the machine asked for.
    fn dispatch(&mut self, record: Option<&Record>) {
        let mut sends = std::mem::take(&mut self.sends);
        for send in sends.drain(..) {
            let (inbox, to, ask) = (self.inbox.clone(), send.to, send.ask);
            let request = request_for(ask, &self.route, &self.key, record);
            if self.route.is_self(to) {
                let done = move |reply| inbox.push(Event::Reply { from: to, ask, reply });
                local::carry_out(&self.shared.storage, request, self.origin, done);
            } else if !self.shared.is_usable(self.route.node(to)) {
                inbox.push(Event::Unreached { from: to, ask, may_have_acted: false });
            } else {
                let (request, class) = self.message(request);
                let reply = Box::new(move |result| inbox.push(event_of(to, ask, result)));
                self.shared.peers.call(self.route.node(to), &request, class, self.options.deadline, reply);
            }
        }
        self.sends = sends;
    }

    /// How a request travels: what a read writes back is repair, which a nearly full disk still takes.
    fn message(&self, request: Request) -> (PeerRequest, Class) {
        let epoch = self.route.epoch_number();
        match request {
            Request::Write { partition, key, record } if self.origin == Origin::Repair => {
                (PeerRequest::WriteMany { epoch, records: vec![(partition, key, record)] }, Class::Repair)
            }
            request => (PeerRequest::Register { epoch, request }, Class::Client),
        }
    }

    /// The next thing that happens.
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let wake_at = self.hedge_at.unwrap_or(self.options.deadline).min(self.options.deadline);
            if clock::until(wake_at, self.inbox.receive(&mut self.batch)).await.is_some() {
                self.events.extend(self.batch.drain(..));
            } else if clock::monotonic_now() >= self.options.deadline {
                return Event::Deadline;
            } else if self.hedge_is_due() {
                return Event::Hedge;
            }
        }
    }

    /// The time to hedge has come: whether the budget allows it, and when to look again if not.
    fn hedge_is_due(&mut self) -> bool {
        let stalled = clock::monotonic_now() >= self.started_at + hedging::CEILING;
        let why = if stalled { hedging::Why::Stalled } else { hedging::Why::Late };
        if !self.shared.hedges.spend(why) {
            self.hedge_at = Some(clock::monotonic_now().max(self.started_at) + hedging::CEILING);
            return false;
        }
        self.hedge_at = None;
        self.shared.metrics.hedged.inc();
        if let Some(peer) = self.route.first_other().filter(|_| stalled) {
            self.shared.avoid(peer);
        }
        true
    }

    fn failed(&self, failure: Failure) -> Failed {
        failed(&self.route, failure)
    }
}

fn request_for(ask: Ask, route: &Route, key: &Key, record: Option<&Record>) -> Request {
    let (partition, key) = (route.partition, key.clone());
    match (ask, record) {
        (Ask::Write, Some(record)) => Request::Write { partition, key, record: record.clone() },
        (Ask::Read, _) => Request::Read { partition, key },
        (Ask::LatestVersion, _) => Request::LatestVersion { partition, key },
        // A machine asks for a write only once it has a record; a version is the harmless question otherwise.
        (Ask::ReadVersion | Ask::Write, _) => Request::ReadVersion { partition, key },
    }
}

fn event_of(from: ReplicaIndex, ask: Ask, result: Result<PeerReply, CallError>) -> Event {
    match result {
        Ok(PeerReply::Register(reply)) => Event::Reply { from, ask, reply },
        Ok(PeerReply::WrittenMany) => Event::Reply { from, ask, reply: Reply::Written },
        Ok(PeerReply::Refused(refusal)) => Event::Reply { from, ask, reply: Reply::Refused(refusal) },
        Ok(_) => Event::Reply { from, ask, reply: Reply::Refused(Refusal::StoreFailed) },
        Err(CallError::NotConnected | CallError::QueueFull | CallError::TooLarge) => {
            Event::Unreached { from, ask, may_have_acted: false }
        }
        Err(CallError::Broken | CallError::TimedOut) => Event::Unreached { from, ask, may_have_acted: true },
    }
}

/// Reads a key as coordinator; this node must be one of its replicas. Returns the raw record (also tombstones).
pub(super) async fn read(
    shared: &Arc<Shared>,
    route: Route,
    key: Key,
    options: Options,
) -> Result<Option<Record>, Failed> {
    let mut driver = Driver::new(Arc::clone(shared), route, key, options, Origin::Repair);
    let mut machine = Get::start(driver.route.preference(), options.consistency, &mut driver.sends);
    loop {
        driver.dispatch(machine.record());
        let event = driver.next().await;
        match machine.on_event(event, &mut driver.sends) {
            get::Progress::Pending => {}
            get::Progress::Done { record, repaired } => {
                if repaired {
                    shared.metrics.read_repairs.inc();
                }
                if let Some(record) = &record {
                    shared.observe(record.stamp);
                }
                return Ok(record);
            }
            get::Progress::Failed(failure) => return Err(driver.failed(failure)),
        }
    }
}

/// What to write: a value with an absolute expiry, or a tombstone.
pub(super) type Intent = Option<Value>;

/// Turns a client's value into what is stored: expiry becomes absolute hybrid time.
pub(super) fn intent_of(shared: &Shared, value: PutValue) -> Value {
    let expires_at = value.ttl.map(|ttl| {
        let ttl = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
        shared.hybrid_now().saturating_add(ttl)
    });
    Value { bytes: value.bytes, content_type: value.content_type, expires_at }
}

/// Writes a key as coordinator; this node must be one of its replicas.
pub(super) async fn write(
    shared: &Arc<Shared>,
    route: Route,
    key: Key,
    intent: Intent,
    options: Options,
) -> Result<Wrote, Failed> {
    let (answer, answered) = oneshot::channel();
    let failed_route = route.clone();
    let driver = Driver::new(Arc::clone(shared), route, key, options, Origin::Client);
    shared.tasks.spawn_to_end("write", drive_write(driver, intent, answer));
    answered.await.unwrap_or_else(|_| {
        // The task ended without an answer: only when the process is going down.
        Err(failed(&failed_route, Failure { kind: Kind::Deadline, may_be_applied: true, required: 0, received: 0 }))
    })
}

async fn drive_write(mut driver: Driver, intent: Intent, answer: oneshot::Sender<Result<Wrote, Failed>>) {
    let (preference, zones) = (driver.route.preference(), driver.route.zones());
    let (mut machine, mut progress) = Put::start(preference, zones, driver.options.consistency, &mut driver.sends);
    let mut content = Some(intent.map_or(Content::Tombstone, Content::Value));
    let mut answer = Some(answer);
    let mut replaced = false;
    loop {
        match progress {
            put::Progress::Pending => {}
            put::Progress::NeedStamp { highest } => {
                replaced = highest.is_live(driver.shared.hybrid_now());
                if let Some(content) = content.take() {
                    let stamp = driver.shared.issue_stamp(highest.stamp);
                    machine.write(Record { stamp, content }, &mut driver.sends);
                    // All replicas are asked now; there is nobody to hedge with.
                    driver.hedge_at = None;
                }
            }
            put::Progress::Done => reply(&mut answer, Ok(receipt(&driver, &machine, replaced))),
            put::Progress::Failed(failure) => reply(&mut answer, Err(driver.failed(failure))),
        }
        driver.dispatch(machine.record());
        if machine.is_settled() {
            break;
        }
        let event = driver.next().await;
        progress = machine.on_event(event, &mut driver.sends);
    }
    leave_hints(&driver, &machine);
}

/// Sends the answer, once; the client may be gone.
fn reply(answer: &mut Option<oneshot::Sender<Result<Wrote, Failed>>>, result: Result<Wrote, Failed>) {
    if let Some(answer) = answer.take() {
        drop(answer.send(result));
    }
}

fn receipt(driver: &Driver, machine: &Put, replaced: bool) -> Wrote {
    Wrote {
        stamp: machine.record().map(|record| record.stamp).unwrap_or_default(),
        replaced,
        acked: machine.acknowledged().filter_map(|replica| driver.route.name(replica)).collect(),
        replicas_total: driver.route.preference().len(),
        zones_acked: machine.zones_acknowledged(),
        epoch: driver.route.epoch_number(),
    }
}

fn leave_hints(driver: &Driver, machine: &Put) {
    let Some(record) = machine.record() else { return };
    for replica in machine.missed().filter(|replica| !driver.route.is_self(*replica)) {
        let (target, partition) = (driver.route.node(replica), driver.route.partition);
        driver.shared.storage.add_hint(target, partition, &driver.key, record);
    }
}

/// Translates a machine's failure for the API.
pub(super) fn failed(route: &Route, failure: Failure) -> Failed {
    let kind = match failure.kind {
        Kind::Unreachable => FailureKind::QuorumUnavailable,
        Kind::Deadline => FailureKind::Deadline,
        Kind::Refused(Refusal::Overloaded) => FailureKind::Overloaded,
        Kind::Refused(Refusal::DiskFull) => FailureKind::DiskFull,
        Kind::Refused(Refusal::StoreFailed) => FailureKind::StoreFailed,
        Kind::Refused(Refusal::Expired) => FailureKind::Deadline,
        Kind::Refused(Refusal::WrongEpoch { .. } | Refusal::NotReplica) => FailureKind::QuorumUnavailable,
    };
    let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
    Failed {
        failure: OperationFailure {
            kind,
            may_be_applied: failure.may_be_applied,
            required: small(failure.required),
            received: small(failure.received),
        },
        epoch: route.epoch_number(),
        partition: Some(route.partition),
        replicas_total: route.preference().len(),
    }
}

/// What a client sees of a record now.
pub(super) fn got(shared: &Shared, route_epoch: crate::protocol::id::EpochNumber, record: Option<Record>) -> Got {
    let now = shared.hybrid_now();
    let value = record.and_then(|record| record.live_value(now).map(|value| (record.stamp, value.clone())));
    Got { value, epoch: route_epoch }
}

impl Shared {
    /// When to hedge an operation on this route; none if nobody but this node will be asked.
    fn hedge_delay(&self, route: &Route) -> Option<Duration> {
        let other = route.first_other()?;
        Some(hedging::delay(self.peers.latency(other).map(|latency| latency.p95)))
    }
}
