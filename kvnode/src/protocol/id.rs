//! Identities: node, cluster, zone, partition, epoch, writer.
//!
//! Each is a newtype with one fallible constructor, so that a value that exists is a value that is valid.
//! Random identities are drawn by the caller and passed in; nothing here makes randomness.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a textual identity was refused. Nothing was changed; correct the text and try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty or longer than its limit.
    #[error("{what} must have 1 to {max} characters, this has {length}")]
    Length {
        /// What was parsed, for example "node name".
        what: &'static str,
        /// Longest accepted length in characters.
        max: usize,
        /// Length found.
        length: usize,
    },
    /// A character outside the allowed set.
    #[error(
        "{what} may hold only a-z, 0-9 and '-', and must start and end with a letter or digit; found {found:?} at position {position}"
    )]
    Character {
        /// What was parsed.
        what: &'static str,
        /// The character found.
        found: char,
        /// Its position, counted from 0.
        position: usize,
    },
    /// Not 32 hexadecimal digits.
    #[error("{what} must be 32 hexadecimal digits")]
    Hex {
        /// What was parsed.
        what: &'static str,
    },
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// Wraps 128 bits that the caller drew at random.
            #[must_use]
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }
            /// The 128 bits.
            #[must_use]
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:032x})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                match u128::from_str_radix(text, 16) {
                    Ok(bits) if plain => Ok(Self(bits)),
                    _ => Err(IdError::Hex { what: $what }),
                }
            }
        }
    };
}

random_id!(
    /// A node's identity: drawn once per data folder, kept in its store. A lost folder means a new identity,
    /// so that a node that forgot what it acknowledged never votes under its old name.
    NodeId,
    "node id"
);
random_id!(
    /// A cluster's identity: drawn at bootstrap, part of every ring epoch, peer hello and gossip packet.
    ClusterId,
    "cluster id"
);

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Longest accepted length in characters.
            pub const MAX: usize = $max;
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_label(text, $what, $max).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

label!(
    /// A node's name, unique in its cluster: a DNS label, because certificates carry it.
    NodeName,
    "node name",
    63
);
label!(
    /// The failure domain a node stands in, for example `a` or `us-east-1a`.
    ZoneName,
    "zone name",
    63
);

fn parse_label(text: &str, what: &'static str, max: usize) -> Result<Arc<str>, IdError> {
    let length = text.chars().count();
    if length == 0 || length > max {
        return Err(IdError::Length { what, max, length });
    }
    for (position, found) in text.chars().enumerate() {
        let edge = position == 0 || position + 1 == length;
        let plain = found.is_ascii_lowercase() || found.is_ascii_digit();
        if !(plain || (found == '-' && !edge)) {
            return Err(IdError::Character { what, found, position });
        }
    }
    Ok(Arc::from(text))
}

/// One of the fixed partitions of the key space, 0 to `Q - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u16);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a ring epoch; the first is 1, 0 means "no ring yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EpochNumber(pub u64);

impl fmt::Display for EpochNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_or_say_what_is_wrong() {
        for good in ["a", "a1", "node-7", "0", "us-east-1a"] {
            assert_eq!(good.parse::<NodeName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for (bad, position) in [("-a", 0), ("a-", 1), ("A", 0), ("a_b", 1), ("ä", 0), ("a.b", 1)] {
            match bad.parse::<NodeName>() {
                Err(IdError::Character { position: found, .. }) => assert_eq!(found, position, "{bad}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
        assert!(matches!("".parse::<ZoneName>(), Err(IdError::Length { length: 0, .. })));
        assert!(matches!("a".repeat(64).parse::<ZoneName>(), Err(IdError::Length { length: 64, .. })));
    }

    #[test]
    fn random_ids_round_trip() {
        let id = NodeId::from_bits(0xabc);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "abc", "+0000000000000000000000000000abc", "zz000000000000000000000000000abc"] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
    }
}
