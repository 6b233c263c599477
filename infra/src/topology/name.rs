//! Names of clusters, zones and nodes: DNS labels, because folders, certificates and cloud tags carry them.
//!
//! Each is a newtype with one fallible constructor. The rule is the same as the daemon's, so that no name that
//! passes here is refused there.

use std::fmt;
use std::str::FromStr;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or longer than a DNS label.
    #[error("a {what} has 1 to {max} characters, this has {length}")]
    Length {
        /// What was to be named.
        what: &'static str,
        /// Longest accepted length.
        max: usize,
        /// Length found.
        length: usize,
    },
    /// A character outside the allowed set or in the wrong place.
    #[error("a {what} is made of a-z, 0-9 and inner '-'; found {found:?} at position {position}")]
    Character {
        /// What was to be named.
        what: &'static str,
        /// The character.
        found: char,
        /// Its position, counted from 0.
        position: usize,
    },
}

fn check(text: &str, what: &'static str, max: usize) -> Result<(), NameError> {
    let length = text.chars().count();
    if length == 0 || length > max {
        return Err(NameError::Length { what, max, length });
    }
    for (position, found) in text.chars().enumerate() {
        let edge = position == 0 || position + 1 == length;
        let plain = found.is_ascii_lowercase() || found.is_ascii_digit();
        if !(plain || (found == '-' && !edge)) {
            return Err(NameError::Character { what, found, position });
        }
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

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
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $what, $max)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// Name of a cluster; shorter than a label, because cloud names add a prefix and a suffix to it.
    ClusterName,
    "cluster name",
    40
);
name!(
    /// Name of a failure domain; leaves room for a node's number behind it.
    ZoneName,
    "zone name",
    56
);
name!(
    /// Name of a node.
    NodeName,
    "node name",
    63
);
