//! What a replica keeps for a key: the value or tombstone with the highest stamp.
//!
//! Merging two records is taking the one with the higher stamp: commutative, associative, idempotent, so
//! repeated, reordered and late writes are harmless. Expiry is judged by the reader, against hybrid time.

use std::sync::Arc;

use bytes::Bytes;

use super::stamp::Stamp;

/// A value, or the mark that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The value, as the client sent it.
    Value(Value),
    /// Deleted at this stamp.
    Tombstone,
}

/// A stored value and how to serve it.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// The bytes.
    pub bytes: Bytes,
    /// The client's Content-Type, at most [`Value::MAX_CONTENT_TYPE_BYTES`]; none if it sent none.
    pub content_type: Option<Arc<str>>,
    /// Hybrid time in microseconds from which readers treat the value as absent.
    pub expires_at: Option<u64>,
}

impl Value {
    /// Longest Content-Type kept, in bytes: real ones are under 100.
    pub const MAX_CONTENT_TYPE_BYTES: usize = 255;
}

impl std::fmt::Debug for Value {
    /// Length only: values never reach logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({} bytes)", self.bytes.len())
    }
}

/// A stamped content: the unit of replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the order of the key's writes.
    pub stamp: Stamp,
    /// Value or tombstone.
    pub content: Content,
}

/// What round 1 of a write and a digest read need to know of a record, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The record's stamp; [`Stamp::ZERO`] if the key was never written here.
    pub stamp: Stamp,
    /// True for a value (also an expired one), false for a tombstone or nothing.
    pub is_value: bool,
    /// When the value expires, in hybrid microseconds.
    pub expires_at: Option<u64>,
}

impl Version {
    /// The version of a key that was never written.
    pub const NONE: Self = Self { stamp: Stamp::ZERO, is_value: false, expires_at: None };

    /// Whether a reader at this hybrid time would see a value.
    #[must_use]
    pub fn is_live(&self, now_micros: u64) -> bool {
        self.is_value && self.expires_at.is_none_or(|at| now_micros < at)
    }
}

impl Record {
    /// The record's version.
    #[must_use]
    pub fn version(&self) -> Version {
        match &self.content {
            Content::Value(value) => Version { stamp: self.stamp, is_value: true, expires_at: value.expires_at },
            Content::Tombstone => Version { stamp: self.stamp, is_value: false, expires_at: None },
        }
    }

    /// Bytes of the value; 0 for a tombstone.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        match &self.content {
            Content::Value(value) => value.bytes.len(),
            Content::Tombstone => 0,
        }
    }

    /// The value a reader at this hybrid time sees; none if deleted or expired.
    #[must_use]
    pub fn live_value(&self, now_micros: u64) -> Option<&Value> {
        match &self.content {
            Content::Value(value) if self.version().is_live(now_micros) => Some(value),
            _ => None,
        }
    }
}

/// The version of what may be absent.
#[must_use]
pub fn version_of(record: Option<&Record>) -> Version {
    record.map_or(Version::NONE, Record::version)
}
