//! A key, and the partition it falls into.
//!
//! Keys are opaque bytes; order is byte order. The partition is the top bits of a keyed 64-bit hash
//! (SipHash-2-4, Aumasson and Bernstein 2012), keyed per cluster so that a client cannot aim at one partition.

use std::fmt;
use std::hash::Hasher;

use bytes::Bytes;
use siphasher::sip::SipHasher24;

use super::id::PartitionId;

/// Why a key was refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to {max} bytes, this has {length}", max = Key::MAX_BYTES)]
pub struct KeyError {
    /// Bytes found.
    pub length: usize,
}

/// A key of 1 to 1024 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// Longest key in bytes: keys stand in every index page and every peer message, so they stay small.
    pub const MAX_BYTES: usize = 1024;

    /// Takes bytes as a key; refuses none and more than [`Key::MAX_BYTES`].
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, KeyError> {
        let bytes = bytes.into();
        match bytes.len() {
            1..=Self::MAX_BYTES => Ok(Self(bytes)),
            length => Err(KeyError { length }),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }
}

impl fmt::Debug for Key {
    /// Length only: keys may be personal data and do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.0.len())
    }
}

/// How keys map to partitions in one cluster: fixed at bootstrap, part of every epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitioner {
    hash_key: [u8; 16],
    partition_bits: u8,
}

/// Why a partition count was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number of partitions must be a power of two from 1 to {max}, this is {count}", max = Partitioner::MAX_COUNT)]
pub struct PartitionCountError {
    /// The count given.
    pub count: u32,
}

impl Partitioner {
    /// Partitions of a new cluster unless said otherwise.
    pub const DEFAULT_COUNT: u32 = 256;

    /// Most partitions: enough for a thousand nodes, few enough to list and to gossip about.
    pub const MAX_COUNT: u32 = 4096;

    /// `count` must be a power of two from 1 to [`Partitioner::MAX_COUNT`]; `hash_key` is drawn at random once per cluster.
    pub fn new(hash_key: [u8; 16], count: u32) -> Result<Self, PartitionCountError> {
        match u8::try_from(count.trailing_zeros()) {
            Ok(partition_bits) if count.is_power_of_two() && count <= Self::MAX_COUNT => {
                Ok(Self { hash_key, partition_bits })
            }
            _ => Err(PartitionCountError { count }),
        }
    }

    /// The partition of a key.
    #[must_use]
    pub fn partition_of(&self, key: &Key) -> PartitionId {
        let mut hasher = SipHasher24::new_with_key(&self.hash_key);
        hasher.write(key.as_bytes());
        let top = hasher.finish().checked_shr(64 - u32::from(self.partition_bits)).unwrap_or(0);
        PartitionId(u16::try_from(top).unwrap_or(u16::MAX))
    }

    /// Number of partitions.
    #[must_use]
    pub fn count(&self) -> u16 {
        1 << self.partition_bits
    }

    /// The hash key, for the epoch's canonical bytes.
    #[must_use]
    pub fn hash_key(&self) -> [u8; 16] {
        self.hash_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text.as_bytes().to_vec()).expect("test key")
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(Key::parse(Vec::new()), Err(KeyError { length: 0 }));
        assert!(Key::parse(vec![0; 1024]).is_ok());
        assert_eq!(Key::parse(vec![0; 1025]), Err(KeyError { length: 1025 }));
    }

    #[test]
    fn partitions_are_in_range_even_and_pinned() {
        let partitioner = Partitioner::new([7; 16], 256).expect("valid");
        let mut counts = [0u32; 256];
        for number in 0..25_600 {
            counts[usize::from(partitioner.partition_of(&key(&format!("key-{number}"))).0)] += 1;
        }
        assert!(counts.iter().all(|count| (50..160).contains(count)), "{counts:?}");
        assert_eq!(Partitioner::new([7; 16], 1).expect("valid").partition_of(&key("x")), PartitionId(0));
        for count in [0, 3, 8192] {
            assert_eq!(Partitioner::new([7; 16], count), Err(PartitionCountError { count }));
        }
    }
}
