//! One key, three replicas, a few clients, and everything that goes wrong between them.
//!
//! Messages are reordered, lost and repeated; replicas refuse, crash and come back with what they had synced;
//! coordinators crash in the middle, and their messages arrive afterwards; clocks are wrong; hints arrive late.
//! A seed decides all of it. The coordinators run the real machines; a replica is the few rules it must keep.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::history::{Action, Seen};
use crate::protocol::quorum::Consistency;
use crate::protocol::record::{Content, Record, Value, Version, version_of};
use crate::protocol::register::get::{self, Get};
use crate::protocol::register::put::{self, Put};
use crate::protocol::register::replicas::{Ask, Event, ReplicaIndex, Send};
use crate::protocol::register::{Refusal, Reply};
use crate::protocol::stamp::{HybridClock, Stamp};

const REPLICAS: usize = 3;
const EVENTS: usize = 300;
/// How often a message on a slow path lets another go first.
const PATIENCE: usize = 4;
static VALUES: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// What is taken away from the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weakness {
    None,
    /// A read believes at once that what it writes back is stored.
    NoWriteBack,
    /// A write learns nothing of earlier stamps.
    NoRound1,
    /// Replicas show reads what a crash may still take away.
    ReadsSeeNonDurable,
    /// Replicas acknowledge what a crash may still take away.
    AckBeforeDurable,
    /// One replica is enough for reads and writes.
    QuorumOfOne,
    /// All coordinators issue stamps under one writer id, so that a stamp may be issued twice.
    WriterShared,
}

#[derive(Default)]
struct Replica {
    durable: Option<Record>,
    /// Written and not yet synced, each with the operation to tell; none for hints.
    pending: Vec<(Record, Option<usize>)>,
}

impl Replica {
    fn latest(&self) -> Option<&Record> {
        let pending = self.pending.iter().map(|(record, _)| record);
        pending.chain(&self.durable).max_by_key(|record| record.stamp)
    }
}

struct Coordinator {
    clock: HybridClock,
    wall_micros: u64,
}

enum Machine {
    Get(Get),
    Put(Put),
}

/// A client's operation.
struct Operation {
    machine: Machine,
    coordinator: usize,
    /// What a put stores; none deletes.
    value: Option<u8>,
    invoked: usize,
    outcome: Outcome,
    crashed: bool,
    hinted: bool,
    /// Replicas it has a slow path to: what makes concurrent operations see different ones first.
    slow: [bool; REPLICAS],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Not answered, or answered that it may have been applied.
    Unknown,
    /// Answered at this moment.
    Answered(usize, Action),
    /// The client was told that nothing happened.
    NotApplied,
}

#[derive(Clone)]
enum Message {
    Request { operation: Option<usize>, to: ReplicaIndex, ask: Ask, record: Option<Record>, repeated: bool },
    Event { operation: usize, event: Event },
}

pub(super) struct World {
    random: StdRng,
    weakness: Weakness,
    replicas: [Replica; REPLICAS],
    coordinators: Vec<Coordinator>,
    zones: [u8; REPLICAS],
    operations: Vec<Operation>,
    to_start: usize,
    network: Vec<Message>,
    moment: usize,
    next_writer: u64,
    loss: f64,
    crashes: f64,
}

impl World {
    pub(super) fn new(seed: u64, weakness: Weakness) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let coordinators = (1..=random.random_range(1..=2))
            .map(|number| Coordinator {
                clock: HybridClock::new(writer(weakness, number)),
                wall_micros: random.random_range(0..6),
            })
            .collect();
        Self {
            weakness,
            replicas: Default::default(),
            coordinators,
            zones: *[[0, 1, 2], [0, 0, 1], [0, 0, 0]].choose(&mut random).expect("not empty"),
            operations: Vec::new(),
            to_start: random.random_range(2..=8),
            network: Vec::new(),
            moment: 0,
            next_writer: 100,
            loss: *[0.0, 0.0, 0.05, 0.2].choose(&mut random).expect("not empty"),
            crashes: *[0.0, 0.01, 0.03].choose(&mut random).expect("not empty"),
            random,
        }
    }

    /// Runs the schedule; what the clients saw.
    pub(super) fn run(mut self) -> Vec<Seen> {
        for _ in 0..EVENTS {
            let idle = self.network.is_empty() && self.replicas.iter().all(|replica| replica.pending.is_empty());
            if idle && self.to_start == 0 {
                break;
            }
            match self.random.random_range(0.0..1.0) {
                chance if chance < self.crashes => self.crash_replica(),
                chance if chance < 2.0 * self.crashes => self.crash_coordinator(),
                chance if idle || chance > 0.94 => self.start_operation(),
                chance if chance > 0.93 => self.tell_one(Event::Hedge),
                chance if chance > 0.925 => self.tell_one(Event::Deadline),
                chance if chance > 0.75 => self.sync_replica(),
                _ => self.deliver(),
            }
        }
        self.history()
    }

    fn history(&self) -> Vec<Seen> {
        let seen = |operation: &Operation| {
            let invoked = operation.invoked;
            match (operation.outcome, &operation.machine) {
                (Outcome::Answered(moment, action), _) => Some(Seen { invoked, answered: Some(moment), action }),
                (Outcome::Unknown, Machine::Put(_)) => {
                    Some(Seen { invoked, answered: None, action: Action::Write(operation.value) })
                }
                (Outcome::Unknown, Machine::Get(_)) | (Outcome::NotApplied, _) => None,
            }
        };
        self.operations.iter().filter_map(seen).collect()
    }

    fn now(&mut self) -> usize {
        self.moment += 1;
        self.moment
    }

    fn start_operation(&mut self) {
        if self.to_start == 0 {
            return;
        }
        self.to_start -= 1;
        let number = self.operations.len();
        let mut preference = [0, 1, 2].map(ReplicaIndex);
        preference.shuffle(&mut self.random);
        let consistency = if self.weakness == Weakness::QuorumOfOne { Consistency::One } else { Consistency::Quorum };
        let mut out = Vec::new();
        let mut progress = put::Progress::Pending;
        let mut value = None;
        let machine = if self.random.random_bool(0.5) {
            Machine::Get(Get::start(&preference, consistency, &mut out))
        } else {
            value = VALUES.get(number).copied().filter(|_| self.random.random_bool(0.75));
            let (put, first) = Put::start(&preference, &self.zones, consistency, &mut out);
            progress = first;
            Machine::Put(put)
        };
        let (coordinator, invoked) = (self.random.random_range(0..self.coordinators.len()), self.now());
        let (outcome, crashed, hinted) = (Outcome::Unknown, false, false);
        let slow = [0.4; REPLICAS].map(|chance| self.random.random_bool(chance));
        self.operations.push(Operation { machine, coordinator, value, invoked, outcome, crashed, hinted, slow });
        self.on_put_progress(number, &progress, &mut out);
        self.send(number, out);
    }

    /// Puts the machine's messages on the network, or their failures.
    fn send(&mut self, operation: usize, out: Vec<Send>) {
        for Send { to, ask } in out {
            let record = match &self.operations[operation].machine {
                Machine::Get(get) => get.record().cloned(),
                Machine::Put(put) => put.record().cloned(),
            };
            let is_get = matches!(self.operations[operation].machine, Machine::Get(_));
            let failed = if is_get && ask == Ask::Write && self.weakness == Weakness::NoWriteBack {
                Some(Event::Reply { from: to, ask, reply: Reply::Written })
            } else if self.random.random_bool(self.loss / 2.0) {
                Some(Event::Unreached { from: to, ask, may_have_acted: false })
            } else if self.random.random_bool(self.loss / 4.0) {
                Some(Event::Reply { from: to, ask, reply: Reply::Refused(Refusal::Overloaded) })
            } else {
                None
            };
            self.network.push(match failed {
                Some(event) => Message::Event { operation, event },
                None => {
                    let record = record.filter(|_| ask == Ask::Write);
                    Message::Request { operation: Some(operation), to, ask, record, repeated: false }
                }
            });
        }
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let pick = |random: &mut StdRng| random.random_range(0..self.network.len());
        let mut index = pick(&mut self.random);
        for _ in 0..PATIENCE {
            if self.is_slow(&self.network[index]) {
                index = pick(&mut self.random);
            }
        }
        let message = self.network.swap_remove(index);
        if self.random.random_bool(self.loss) {
            self.lose(&message);
            return;
        }
        if self.random.random_bool(self.loss / 2.0) {
            let mut again = message.clone();
            if let Message::Request { repeated, .. } = &mut again {
                *repeated = true;
            }
            self.network.push(again);
        }
        match message {
            Message::Request { operation, to, ask, record, repeated } => {
                self.ask_replica(operation.filter(|_| !repeated), to, ask, record);
            }
            Message::Event { operation, event } => self.tell(operation, event),
        }
    }

    fn is_slow(&self, message: &Message) -> bool {
        match *message {
            Message::Request { operation: Some(operation), to: replica, .. }
            | Message::Event { operation, event: Event::Reply { from: replica, .. } } => {
                self.operations[operation].slow[replica.index()]
            }
            Message::Request { .. } | Message::Event { .. } => false,
        }
    }

    /// Silence, or a connection that is seen to break.
    fn lose(&mut self, message: &Message) {
        let told = match *message {
            Message::Request { operation: Some(operation), to, ask, repeated: false, .. } => Some((operation, to, ask)),
            Message::Event { operation, event: Event::Reply { from, ask, .. } } => Some((operation, from, ask)),
            _ => None,
        };
        if let Some((operation, from, ask)) = told.filter(|_| self.random.random_bool(0.5)) {
            let event = Event::Unreached { from, ask, may_have_acted: true };
            self.network.push(Message::Event { operation, event });
        }
    }

    fn ask_replica(&mut self, operation: Option<usize>, to: ReplicaIndex, ask: Ask, record: Option<Record>) {
        let replica = &mut self.replicas[to.index()];
        let readable =
            if self.weakness == Weakness::ReadsSeeNonDurable { replica.latest() } else { replica.durable.as_ref() };
        let reply = match (ask, record) {
            (Ask::Read, _) => Reply::Record(readable.cloned()),
            (Ask::ReadVersion, _) => Reply::Version(version_of(readable)),
            (Ask::LatestVersion, _) if self.weakness == Weakness::NoRound1 => Reply::Version(Version::NONE),
            (Ask::LatestVersion, _) => Reply::Version(version_of(replica.latest())),
            (Ask::Write, Some(record)) if record.stamp > version_of(replica.durable.as_ref()).stamp => {
                let early = self.weakness == Weakness::AckBeforeDurable;
                replica.pending.push((record, operation.filter(|_| !early)));
                if !early {
                    return;
                }
                Reply::Written
            }
            (Ask::Write, _) => Reply::Written,
        };
        if let Some(operation) = operation {
            self.network.push(Message::Event { operation, event: Event::Reply { from: to, ask, reply } });
        }
    }

    fn sync_replica(&mut self) {
        let index = self.random.random_range(0..REPLICAS);
        let from = [0, 1, 2].map(ReplicaIndex)[index];
        let replica = &mut self.replicas[index];
        for (record, operation) in std::mem::take(&mut replica.pending) {
            if record.stamp > version_of(replica.durable.as_ref()).stamp {
                replica.durable = Some(record);
            }
            if let Some(operation) = operation {
                let event = Event::Reply { from, ask: Ask::Write, reply: Reply::Written };
                self.network.push(Message::Event { operation, event });
            }
        }
    }

    fn crash_replica(&mut self) {
        let index = self.random.random_range(0..REPLICAS);
        self.replicas[index].pending.clear();
    }

    /// Its operations end unanswered; what they sent is still under way.
    fn crash_coordinator(&mut self) {
        let index = self.random.random_range(0..self.coordinators.len());
        for operation in self.operations.iter_mut().filter(|operation| operation.coordinator == index) {
            operation.crashed = true;
        }
        self.next_writer += 1;
        self.coordinators[index].clock = HybridClock::new(writer(self.weakness, self.next_writer));
    }

    fn tell_one(&mut self, event: Event) {
        if !self.operations.is_empty() {
            let operation = self.random.random_range(0..self.operations.len());
            self.tell(operation, event);
        }
    }

    fn tell(&mut self, number: usize, event: Event) {
        let operation = &mut self.operations[number];
        if operation.crashed {
            return;
        }
        let mut out = Vec::new();
        match &mut operation.machine {
            Machine::Get(get) => {
                let progress = get.on_event(event, &mut out);
                self.on_get_progress(number, progress);
            }
            Machine::Put(put) => {
                let progress = put.on_event(event, &mut out);
                self.on_put_progress(number, &progress, &mut out);
            }
        }
        self.send(number, out);
        self.leave_hints(number);
    }

    fn on_get_progress(&mut self, number: usize, progress: get::Progress) {
        let get::Progress::Done { record, .. } = progress else { return };
        let coordinator = self.operations[number].coordinator;
        self.coordinators[coordinator].clock.observe(record.as_ref().map_or(Stamp::ZERO, |record| record.stamp));
        let value = record.as_ref().and_then(|record| record.live_value(0)).map(|value| value.bytes[0]);
        self.operations[number].outcome = Outcome::Answered(self.now(), Action::Read(value));
    }

    fn on_put_progress(&mut self, number: usize, progress: &put::Progress, out: &mut Vec<Send>) {
        match progress {
            put::Progress::Pending => {}
            put::Progress::NeedStamp { highest } => {
                let operation = &mut self.operations[number];
                let coordinator = &mut self.coordinators[operation.coordinator];
                let stamp = coordinator.clock.issue(coordinator.wall_micros, highest.stamp);
                let record = Record { stamp, content: content(operation.value) };
                if let Machine::Put(put) = &mut operation.machine {
                    put.write(record, out);
                }
            }
            put::Progress::Done => {
                let moment = self.now();
                let operation = &mut self.operations[number];
                operation.outcome = Outcome::Answered(moment, Action::Write(operation.value));
            }
            put::Progress::Failed(failure) if !failure.may_be_applied => {
                self.operations[number].outcome = Outcome::NotApplied;
            }
            put::Progress::Failed(_) => {}
        }
    }

    /// What the shell does when a put is settled: the replicas that missed it get it at some later time.
    fn leave_hints(&mut self, number: usize) {
        let operation = &mut self.operations[number];
        let Machine::Put(put) = &operation.machine else { return };
        if operation.hinted || !put.is_settled() {
            return;
        }
        operation.hinted = true;
        let hint = |to| Message::Request {
            operation: None,
            to,
            ask: Ask::Write,
            record: put.record().cloned(),
            repeated: false,
        };
        self.network.extend(put.missed().map(hint));
    }
}

fn writer(weakness: Weakness, drawn: u64) -> u64 {
    if weakness == Weakness::WriterShared { 0 } else { drawn }
}

fn content(value: Option<u8>) -> Content {
    value.map_or(Content::Tombstone, |value| {
        let bytes = Bytes::from_static(&VALUES[usize::from(value)..][..1]);
        Content::Value(Value { bytes, content_type: None, expires_at: None })
    })
}
