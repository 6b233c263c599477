//! The replicas of one key during one operation: who was asked, who answered, who failed.
//!
//! Shared by the get and put machines. Replicas are numbered as in the epoch's table; the coordinator's
//! preference (itself, its zone, the fastest, the living) is a permutation of those numbers. It counts; it
//! decides nothing.

use super::super::stamp::Stamp;
use super::{Refusal, Reply};

/// Most copies of a key: an epoch refuses more. Seven survive three losses; beyond that, quorums only get slower.
pub const MAX_REPLICAS: usize = 7;

/// Position of a replica in its partition's row of the table, 0 to `MAX_REPLICAS - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplicaIndex(pub u8);

impl ReplicaIndex {
    /// As an array index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What to ask a replica; key, partition and record are the operation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The full durable record.
    Read,
    /// The durable version.
    ReadVersion,
    /// The highest version, durable or not.
    LatestVersion,
    /// Merge the operation's record.
    Write,
}

/// One message to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    /// To whom.
    pub to: ReplicaIndex,
    /// What.
    pub ask: Ask,
}

/// Something that happened to an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A replica answered.
    Reply {
        /// Who.
        from: ReplicaIndex,
        /// What it was asked: replies to an earlier round's questions are ignored.
        ask: Ask,
        /// What.
        reply: Reply,
    },
    /// A replica was not reached.
    Unreached {
        /// Who.
        from: ReplicaIndex,
        /// What it was to be asked.
        ask: Ask,
        /// Whether it may have carried the request out nevertheless.
        may_have_acted: bool,
    },
    /// An answer is later than usual: ask somebody else too.
    Hedge,
    /// The operation's time is up.
    Deadline,
}

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The reason.
    pub kind: Kind,
    /// True if some replica may hold, or come to hold, the write.
    pub may_be_applied: bool,
    /// Replicas needed in the round that failed.
    pub required: usize,
    /// Replicas that answered in it.
    pub received: usize,
}

/// The reason of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Too few replicas can be reached.
    Unreachable,
    /// Time ran out.
    Deadline,
    /// Too few replicas agreed to act; the last refusal.
    Refused(Refusal),
}

/// Where one replica stands in the current round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Idle,
    Asked,
    Answered(Stamp),
    Failed,
}

/// The standing of all replicas of an operation.
#[derive(Debug, Clone)]
pub struct Replicas {
    count: usize,
    preference: [ReplicaIndex; MAX_REPLICAS],
    standing: [Standing; MAX_REPLICAS],
    last_refusal: Option<Refusal>,
}

impl Replicas {
    /// `preference` is a permutation of `0..preference.len()`, at most [`MAX_REPLICAS`] long, best first.
    #[must_use]
    pub fn new(preference: &[ReplicaIndex]) -> Self {
        let mut order = [ReplicaIndex(0); MAX_REPLICAS];
        let count = preference.len().min(MAX_REPLICAS);
        order[..count].copy_from_slice(&preference[..count]);
        Self { count, preference: order, standing: [Standing::Idle; MAX_REPLICAS], last_refusal: None }
    }

    /// Number of replicas.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Forgets all answers and failures, for a round that asks everybody anew.
    pub fn reset(&mut self) {
        self.standing = [Standing::Idle; MAX_REPLICAS];
    }

    /// Stops waiting for those that have not answered; they may be asked again.
    pub fn stop_waiting(&mut self) {
        for standing in self.standing.iter_mut().filter(|standing| **standing == Standing::Asked) {
            *standing = Standing::Idle;
        }
    }

    /// The best replica not asked in this round, now marked as asked.
    pub fn ask_next(&mut self) -> Option<ReplicaIndex> {
        let next = self.preferred().find(|replica| self.standing[replica.index()] == Standing::Idle)?;
        self.standing[next.index()] = Standing::Asked;
        Some(next)
    }

    /// Marks a replica as asked, whatever it was.
    pub fn ask(&mut self, replica: ReplicaIndex) {
        self.standing[replica.index()] = Standing::Asked;
    }

    /// Marks a replica as having answered with (or hold) a stamp.
    pub fn answered(&mut self, replica: ReplicaIndex, stamp: Stamp) {
        self.standing[replica.index()] = Standing::Answered(stamp);
    }

    /// Marks an awaited replica as failed, remembering why it refused if it did.
    pub fn failed(&mut self, replica: ReplicaIndex, refusal: Option<Refusal>) {
        if self.is_awaited(replica) {
            self.standing[replica.index()] = Standing::Failed;
            self.last_refusal = refusal.or(self.last_refusal);
        }
    }

    /// Whether an answer of this replica is still awaited.
    #[must_use]
    pub fn is_awaited(&self, replica: ReplicaIndex) -> bool {
        self.standing[replica.index()] == Standing::Asked
    }

    /// Replicas that answered in this round.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.preferred().filter(|replica| matches!(self.standing[replica.index()], Standing::Answered(_))).count()
    }

    /// Answers still awaited.
    #[must_use]
    pub fn awaited(&self) -> usize {
        self.preferred().filter(|replica| self.is_awaited(*replica)).count()
    }

    /// Replicas that may still answer, have answered, or have not been asked.
    #[must_use]
    pub fn usable(&self) -> usize {
        self.preferred().filter(|replica| self.standing[replica.index()] != Standing::Failed).count()
    }

    /// The highest stamp answered; zero if none.
    #[must_use]
    pub fn highest(&self) -> Stamp {
        self.preferred().filter_map(|replica| self.stamp_of(replica)).max().unwrap_or(Stamp::ZERO)
    }

    /// The stamp a replica answered.
    #[must_use]
    pub fn stamp_of(&self, replica: ReplicaIndex) -> Option<Stamp> {
        match self.standing[replica.index()] {
            Standing::Answered(stamp) => Some(stamp),
            _ => None,
        }
    }

    /// All replicas, best first.
    pub fn preferred(&self) -> impl Iterator<Item = ReplicaIndex> + use<> {
        self.preference.into_iter().take(self.count)
    }

    /// The replicas that failed in this round.
    pub fn failures(&self) -> impl Iterator<Item = ReplicaIndex> + '_ {
        self.preferred().filter(|replica| self.standing[replica.index()] == Standing::Failed)
    }

    /// A failure for want of replicas.
    #[must_use]
    pub fn too_few(&self, required: usize, may_be_applied: bool) -> Failure {
        let kind = self.last_refusal.map_or(Kind::Unreachable, Kind::Refused);
        Failure { kind, may_be_applied, required, received: self.answers() }
    }

    /// A failure for want of time.
    #[must_use]
    pub fn too_late(&self, required: usize, may_be_applied: bool) -> Failure {
        Failure { kind: Kind::Deadline, may_be_applied, required, received: self.answers() }
    }
}
