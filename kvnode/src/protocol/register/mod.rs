//! The register protocol: one linearizable register per key over N replicas.
//!
//! ABD (Attiya, Bar-Noy, Dolev, JACM 1995) with several writers (Lynch and Shvartsman 1997): a read writes back
//! what it saw before it answers whenever replicas differ; a write learns the highest stamp of a quorum first.
//! A coordinator runs one small machine per request ([`get::Get`], [`put::Put`]); a replica answers
//! [`Request`]s. No machine sends, waits or reads a clock: the shell in `node` does.

pub mod get;
pub mod put;
pub mod replicas;
#[cfg(test)]
mod tests;

use super::id::{EpochNumber, PartitionId};
use super::key::Key;
use super::record::{Record, Version};

/// What a coordinator asks of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The durable record of a key.
    Read {
        /// Partition of `key` under the epoch in the frame.
        partition: PartitionId,
        /// The key.
        key: Key,
    },
    /// The version of the durable record (digest of a quorum read).
    ReadVersion {
        /// Partition of `key`.
        partition: PartitionId,
        /// The key.
        key: Key,
    },
    /// The highest version held in memory or on disk (round 1 of a write; needs no durability).
    LatestVersion {
        /// Partition of `key`.
        partition: PartitionId,
        /// The key.
        key: Key,
    },
    /// Merge this record; answered after it, or a higher one, is durable.
    Write {
        /// Partition of `key`.
        partition: PartitionId,
        /// The key.
        key: Key,
        /// The record.
        record: Record,
    },
}

impl Request {
    /// The partition it concerns.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        match self {
            Self::Read { partition, .. }
            | Self::ReadVersion { partition, .. }
            | Self::LatestVersion { partition, .. }
            | Self::Write { partition, .. } => *partition,
        }
    }
}

/// What a replica answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To `Read`; none if the key was never written here.
    Record(Option<Record>),
    /// To `ReadVersion` and `LatestVersion`.
    Version(Version),
    /// To `Write`: a record at or above the one sent is durable on this replica.
    Written,
    /// The replica did not do it; for a write see [`Refusal::may_have_acted`].
    Refused(Refusal),
}

/// Why a replica did not carry a request out; a later or differently stamped request may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request's epoch is not the replica's.
    WrongEpoch {
        /// The replica's epoch.
        current: EpochNumber,
    },
    /// The replica holds no copy of that partition.
    NotReplica,
    /// Its queue is full.
    Overloaded,
    /// Its disk is below the free-space floor.
    DiskFull,
    /// Its store failed, perhaps in the middle of a write.
    StoreFailed,
    /// The request's deadline had passed on arrival.
    Expired,
}

impl Refusal {
    /// Whether a write refused so may be, or come to be, on the replica's disk all the same.
    #[must_use]
    pub fn may_have_acted(self) -> bool {
        match self {
            Self::StoreFailed => true,
            Self::WrongEpoch { .. } | Self::NotReplica | Self::Overloaded | Self::DiskFull | Self::Expired => false,
        }
    }
}
