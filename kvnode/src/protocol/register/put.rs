//! One linearizable write: learn the highest stamp of a quorum, then write above it to all replicas.
//!
//! The ABD write with several writers. Round 1 needs no durability: a stamp that was seen and then lost only
//! makes the new one higher than necessary. Round 2 is answered after `required` durable acknowledgements in at
//! least two zones where the replicas have two; the machine goes on until every replica has answered or failed,
//! so that the shell can leave hints for those that missed it. It knows no time and issues no stamp: the shell
//! does when told [`Progress::NeedStamp`].

use super::super::quorum::Consistency;
use super::super::record::{Record, Version};
use super::super::stamp::Stamp;
use super::replicas::{Ask, Event, Failure, MAX_REPLICAS, ReplicaIndex, Replicas, Send};
use super::{Refusal, Reply};

/// A write in flight.
#[derive(Debug)]
pub struct Put {
    replicas: Replicas,
    /// Zone number of each replica, by replica index.
    zones: [u8; MAX_REPLICAS],
    phase: Phase,
    versions_required: usize,
    acks_required: usize,
    zones_required: usize,
    highest: Version,
    record: Option<Record>,
    may_be_applied: bool,
    answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Version,
    Stamping,
    Write,
    Finished,
}

/// Where the write stands after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Waiting for replies.
    Pending,
    /// Issue a stamp above `highest.stamp` and call [`Put::write`].
    NeedStamp {
        /// The highest version a quorum knew; [`Version::NONE`] when round 1 is not taken.
        highest: Version,
    },
    /// Answer the client; more events may follow until [`Put::is_settled`].
    Done,
    /// Give up; hints are due for the replicas that missed it if `may_be_applied`.
    Failed(Failure),
}

impl Put {
    /// Starts a write. `preference` orders the replica indexes, best first; `zones[i]` is the zone number of replica
    /// `i`. With [`Consistency::One`] round 1 is skipped: call [`Put::write`] at once (the first progress says so).
    pub fn start(
        preference: &[ReplicaIndex],
        zones: &[u8],
        consistency: Consistency,
        out: &mut Vec<Send>,
    ) -> (Self, Progress) {
        let count = preference.len().min(MAX_REPLICAS);
        let mut by_replica = [0; MAX_REPLICAS];
        by_replica[..count].copy_from_slice(&zones[..count]);
        let acks_required = consistency.required(count);
        let mut put = Self {
            replicas: Replicas::new(preference),
            zones: by_replica,
            phase: Phase::Version,
            versions_required: Consistency::Quorum.required(count),
            acks_required,
            zones_required: distinct(&by_replica[..count]).min(2).min(acks_required),
            highest: Version::NONE,
            record: None,
            may_be_applied: false,
            answered: false,
        };
        if consistency == Consistency::One {
            put.phase = Phase::Stamping;
            return (put, Progress::NeedStamp { highest: Version::NONE });
        }
        for _ in 0..put.versions_required {
            put.ask_one(out);
        }
        (put, Progress::Pending)
    }

    /// Starts round 2 with a record whose stamp was issued above the told version.
    pub fn write(&mut self, record: Record, out: &mut Vec<Send>) {
        debug_assert!(self.phase == Phase::Stamping && record.stamp > self.highest.stamp);
        self.phase = Phase::Write;
        self.record = Some(record);
        self.replicas.reset();
        while let Some(to) = self.replicas.ask_next() {
            out.push(Send { to, ask: Ask::Write });
        }
    }

    /// The record being written, once stamped.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Takes an event; messages to send are appended to `out`.
    pub fn on_event(&mut self, event: Event, out: &mut Vec<Send>) -> Progress {
        match (self.phase, event) {
            (Phase::Stamping | Phase::Finished, _) => Progress::Pending,
            (_, Event::Reply { from, ask, .. } | Event::Unreached { from, ask, .. }) if !self.expects(from, ask) => {
                Progress::Pending
            }
            (_, Event::Reply { from, reply: Reply::Refused(refusal), .. }) => {
                self.on_failure(from, Some(refusal), refusal.may_have_acted(), out)
            }
            (Phase::Version, Event::Reply { from, reply: Reply::Version(version), .. }) => {
                self.on_version(from, version)
            }
            (Phase::Write, Event::Reply { from, reply: Reply::Written, .. }) => self.on_ack(from),
            // A reply of the wrong kind is a broken peer: nothing is known of what it did.
            (_, Event::Reply { from, .. }) => self.on_failure(from, Some(Refusal::StoreFailed), true, out),
            (_, Event::Unreached { from, may_have_acted, .. }) => self.on_failure(from, None, may_have_acted, out),
            (Phase::Version, Event::Hedge) => {
                self.ask_one(out);
                Progress::Pending
            }
            (Phase::Write, Event::Hedge) => Progress::Pending,
            (_, Event::Deadline) => self.on_deadline(),
        }
    }

    /// Replicas that acknowledged durably.
    pub fn acknowledged(&self) -> impl Iterator<Item = ReplicaIndex> + '_ {
        let writing = matches!(self.phase, Phase::Write | Phase::Finished) && self.record.is_some();
        self.replicas.preferred().filter(move |replica| writing && self.replicas.stamp_of(*replica).is_some())
    }

    /// Distinct zones among the acknowledgements.
    #[must_use]
    pub fn zones_acknowledged(&self) -> usize {
        let mut seen = [0; MAX_REPLICAS];
        let mut count = 0;
        for replica in self.acknowledged() {
            seen[count] = self.zones[replica.index()];
            count += 1;
        }
        distinct(&seen[..count])
    }

    /// Replicas that certainly or possibly missed the write: each is due a hint once the write may exist somewhere.
    pub fn missed(&self) -> impl Iterator<Item = ReplicaIndex> + '_ {
        let due = self.may_be_applied && self.record.is_some();
        self.replicas.failures().filter(move |_| due)
    }

    /// True when no reply is awaited any more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.phase == Phase::Finished || (self.phase == Phase::Write && self.replicas.awaited() == 0)
    }

    fn expects(&self, from: ReplicaIndex, ask: Ask) -> bool {
        self.replicas.is_awaited(from) && (ask == Ask::Write) == (self.phase == Phase::Write)
    }

    fn on_version(&mut self, from: ReplicaIndex, version: Version) -> Progress {
        self.replicas.answered(from, version.stamp);
        if version.stamp > self.highest.stamp {
            self.highest = version;
        }
        if self.replicas.answers() < self.versions_required {
            return Progress::Pending;
        }
        self.phase = Phase::Stamping;
        Progress::NeedStamp { highest: self.highest }
    }

    fn on_ack(&mut self, from: ReplicaIndex) -> Progress {
        let stamp = self.record.as_ref().map_or(Stamp::ZERO, |record| record.stamp);
        self.replicas.answered(from, stamp);
        self.may_be_applied = true;
        let enough = self.replicas.answers() >= self.acks_required && self.zones_acknowledged() >= self.zones_required;
        if enough && !self.answered {
            self.answered = true;
            return Progress::Done;
        }
        Progress::Pending
    }

    fn on_failure(
        &mut self,
        from: ReplicaIndex,
        refusal: Option<Refusal>,
        may_have_acted: bool,
        out: &mut Vec<Send>,
    ) -> Progress {
        self.replicas.failed(from, refusal);
        if self.phase == Phase::Version {
            if self.replicas.usable() < self.versions_required {
                self.phase = Phase::Finished;
                return Progress::Failed(self.replicas.too_few(self.versions_required, false));
            }
            self.ask_one(out);
            return Progress::Pending;
        }
        self.may_be_applied |= may_have_acted;
        if !self.answered && !self.can_succeed() {
            self.answered = true;
            let uncertain = self.may_be_applied || self.replicas.awaited() > 0;
            self.may_be_applied = uncertain;
            return Progress::Failed(self.replicas.too_few(self.acks_required, uncertain));
        }
        Progress::Pending
    }

    /// Whether the replicas that have not failed can still make up the acknowledgements and zones required.
    fn can_succeed(&self) -> bool {
        let mut zones = [0; MAX_REPLICAS];
        let mut count = 0;
        for replica in self.replicas.preferred() {
            if self.replicas.is_awaited(replica) || self.replicas.stamp_of(replica).is_some() {
                zones[count] = self.zones[replica.index()];
                count += 1;
            }
        }
        count >= self.acks_required && distinct(&zones[..count]) >= self.zones_required
    }

    /// Time is up: whoever has not answered counts as failed and may have acted.
    fn on_deadline(&mut self) -> Progress {
        let writing = self.phase == Phase::Write;
        let required = if writing { self.acks_required } else { self.versions_required };
        let failure = self.replicas.too_late(required, writing);
        self.may_be_applied |= writing;
        for replica in self.replicas.preferred() {
            self.replicas.failed(replica, None);
        }
        self.phase = Phase::Finished;
        if self.answered { Progress::Pending } else { Progress::Failed(failure) }
    }

    fn ask_one(&mut self, out: &mut Vec<Send>) {
        out.extend(self.replicas.ask_next().map(|to| Send { to, ask: Ask::LatestVersion }));
    }
}

/// Distinct numbers in a short slice.
fn distinct(zones: &[u8]) -> usize {
    zones.iter().enumerate().filter(|(position, zone)| !zones[..*position].contains(zone)).count()
}
