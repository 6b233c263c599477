//! One linearizable read: ask a quorum, and make sure a quorum holds what is answered.
//!
//! The ABD read. One replica is asked for the record, the others for its version only; if all versions agree that
//! is one round. Otherwise the highest record is fetched (if its version came without it) and written back to a
//! quorum before the answer: without that, a later read could see an older value. Replies are durable states, so
//! what was read once cannot vanish in a crash. It knows no time: `Hedge` and `Deadline` are told to it.

use super::super::quorum::Consistency;
use super::super::record::{Record, version_of};
use super::super::stamp::Stamp;
use super::replicas::{Ask, Event, Failure, ReplicaIndex, Replicas, Send};
use super::{Refusal, Reply};

/// A read in flight.
#[derive(Debug)]
pub struct Get {
    replicas: Replicas,
    phase: Phase,
    required: usize,
    write_back_required: usize,
    best: Option<Record>,
    best_known: bool,
    repaired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Collecting versions, and the record of the highest.
    Query,
    /// Writing the best record back.
    WriteBack,
    Finished,
}

/// Where the read stands after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Waiting for replies.
    Pending,
    /// Answer with this record; none if the key was never written.
    Done {
        /// The record, tombstones included.
        record: Option<Record>,
        /// Whether a write-back was needed.
        repaired: bool,
    },
    /// Give up.
    Failed(Failure),
}

impl Get {
    /// Starts a read. `preference` orders the replica indexes, best first; the first is asked for the record.
    pub fn start(preference: &[ReplicaIndex], consistency: Consistency, out: &mut Vec<Send>) -> Self {
        let count = preference.len();
        let write_back_required = match consistency {
            Consistency::One => 1,
            Consistency::Quorum | Consistency::All => Consistency::Quorum.required(count),
        };
        let mut get = Self {
            replicas: Replicas::new(preference),
            phase: Phase::Query,
            required: consistency.required(count),
            write_back_required,
            best: None,
            best_known: false,
            repaired: false,
        };
        for position in 0..get.required {
            get.ask_one(if position == 0 { Ask::Read } else { Ask::ReadVersion }, out);
        }
        get
    }

    /// The record to send with [`Ask::Write`].
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.best.as_ref()
    }

    /// Takes an event; messages to send are appended to `out`.
    pub fn on_event(&mut self, event: Event, out: &mut Vec<Send>) -> Progress {
        match event {
            _ if self.phase == Phase::Finished => Progress::Pending,
            Event::Reply { from, ask, .. } | Event::Unreached { from, ask, .. } if !self.expects(from, ask) => {
                Progress::Pending
            }
            Event::Reply { from, reply: Reply::Refused(refusal), .. } => self.on_failure(from, Some(refusal), out),
            Event::Reply { from, reply, .. } => self.on_reply(from, reply, out),
            Event::Unreached { from, .. } => self.on_failure(from, None, out),
            Event::Hedge => {
                self.ask_one(self.current_ask(), out);
                Progress::Pending
            }
            Event::Deadline => self.fail(self.replicas.too_late(self.needed(), false)),
        }
    }

    fn expects(&self, from: ReplicaIndex, ask: Ask) -> bool {
        self.replicas.is_awaited(from) && (ask == Ask::Write) == (self.phase == Phase::WriteBack)
    }

    fn needed(&self) -> usize {
        if self.phase == Phase::WriteBack { self.write_back_required } else { self.required }
    }

    fn on_reply(&mut self, from: ReplicaIndex, reply: Reply, out: &mut Vec<Send>) -> Progress {
        match (self.phase, reply) {
            (Phase::Query, Reply::Record(record)) => {
                let stamp = version_of(record.as_ref()).stamp;
                self.replicas.answered(from, stamp);
                if !self.best_known || stamp > version_of(self.best.as_ref()).stamp {
                    self.best = record;
                    self.best_known = true;
                }
            }
            (Phase::Query, Reply::Version(version)) => self.replicas.answered(from, version.stamp),
            (Phase::WriteBack, Reply::Written) => {
                self.replicas.answered(from, version_of(self.best.as_ref()).stamp);
            }
            // A reply of the wrong kind is a broken peer: as good as none.
            _ => return self.on_failure(from, Some(Refusal::StoreFailed), out),
        }
        match self.phase {
            Phase::Query if self.replicas.answers() >= self.required => self.settle(out),
            Phase::WriteBack if self.holders() >= self.write_back_required => self.finish(),
            _ => Progress::Pending,
        }
    }

    /// A quorum has answered: answer the client, fetch the highest record, or write it back.
    ///
    /// While the record of the highest version is being fetched, its holder counts as not having answered; should
    /// it be slow or die, a quorum of others settles the read without it, which is as good a quorum as any.
    fn settle(&mut self, out: &mut Vec<Send>) -> Progress {
        let highest = self.replicas.highest();
        let best = version_of(self.best.as_ref()).stamp;
        if !self.best_known || best < highest {
            let holder = self.replicas.preferred().find(|replica| self.replicas.stamp_of(*replica) == Some(highest));
            if let Some(holder) = holder {
                self.replicas.ask(holder);
                out.push(Send { to: holder, ask: Ask::Read });
            }
            return Progress::Pending;
        }
        if best == Stamp::ZERO || self.holders() >= self.write_back_required {
            return self.finish();
        }
        self.write_back(out)
    }

    /// Replicas known to hold the best record durably.
    fn holders(&self) -> usize {
        let best = version_of(self.best.as_ref()).stamp;
        self.replicas.preferred().filter(|replica| self.replicas.stamp_of(*replica) >= Some(best)).count()
    }

    /// Sends the best record to replicas that answered with an older one, and to more if those do not suffice.
    fn write_back(&mut self, out: &mut Vec<Send>) -> Progress {
        self.phase = Phase::WriteBack;
        self.repaired = true;
        self.replicas.stop_waiting();
        let best = version_of(self.best.as_ref()).stamp;
        for replica in self.replicas.preferred() {
            if self.replicas.stamp_of(replica).is_some_and(|stamp| stamp < best) {
                self.replicas.ask(replica);
                out.push(Send { to: replica, ask: Ask::Write });
            }
        }
        while self.holders() + self.replicas.awaited() < self.write_back_required && self.ask_one(Ask::Write, out) {}
        Progress::Pending
    }

    fn finish(&mut self) -> Progress {
        self.phase = Phase::Finished;
        Progress::Done { record: self.best.take(), repaired: self.repaired }
    }

    fn fail(&mut self, failure: Failure) -> Progress {
        self.phase = Phase::Finished;
        Progress::Failed(failure)
    }

    fn on_failure(&mut self, from: ReplicaIndex, refusal: Option<Refusal>, out: &mut Vec<Send>) -> Progress {
        self.replicas.failed(from, refusal);
        if self.replicas.usable() < self.needed() {
            return self.fail(self.replicas.too_few(self.needed(), false));
        }
        self.ask_one(self.current_ask(), out);
        Progress::Pending
    }

    /// What to ask whoever is asked in addition: in a query it brings the record if nobody has brought one yet.
    fn current_ask(&self) -> Ask {
        match (self.phase, self.best_known) {
            (Phase::WriteBack, _) => Ask::Write,
            (_, true) => Ask::ReadVersion,
            (_, false) => Ask::Read,
        }
    }

    fn ask_one(&mut self, ask: Ask, out: &mut Vec<Send>) -> bool {
        let next = self.replicas.ask_next();
        out.extend(next.map(|to| Send { to, ask }));
        next.is_some()
    }
}
