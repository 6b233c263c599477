//! Raw settings: text with the place it came from, so that every error can say where.
//!
//! No meaning yet: what a text must look like is decided in `parse`, once for flags and file alike.

use std::collections::BTreeMap;
use std::fmt;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the command line.
    Flag(String),
    /// In the configuration file, at a line and column counted from 1.
    File {
        /// Its path as given.
        path: String,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// Nowhere: a default, or something that is missing.
    Absent,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Absent => f.write_str("missing"),
        }
    }
}

/// A value as written; lists have any number of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawValue {
    /// The texts.
    pub texts: Vec<String>,
    /// The place.
    pub place: Place,
}

/// All values given, by setting name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawSettings {
    values: BTreeMap<&'static str, RawValue>,
}

impl RawSettings {
    /// Sets a value; a later call for the same setting replaces it (so read the file first, then the flags).
    pub fn set(&mut self, name: &'static str, texts: Vec<String>, place: Place) {
        self.values.insert(name, RawValue { texts, place });
    }

    /// The value of a setting, if given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.values.get(name)
    }
}

/// One thing that is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// Which setting.
    pub setting: String,
    /// What, and how it should be.
    pub problem: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            // A flag's name is the setting's.
            Place::Flag(_) => write!(f, "{}: {}", self.place, self.problem),
            Place::File { .. } | Place::Absent => write!(f, "{}: {}: {}", self.place, self.setting, self.problem),
        }
    }
}
