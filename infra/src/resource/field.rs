//! A specification as named values: what the planner compares, and what a plan shows.
//!
//! Each field says what a difference in it asks for. The comparison itself is the planner's.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Reference;

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Not set.
    Absent,
    /// A text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(u64),
    /// Another resource.
    Reference(Reference),
    /// Several resources, in no order.
    References(BTreeSet<Reference>),
    /// Several texts, in no order.
    Texts(BTreeSet<String>),
}

/// What a difference in a field asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// It is told and left: the value matters only at creation, or another command changes it.
    Leave,
    /// The resource is changed where it is.
    Configure,
    /// The resource must be made anew.
    Replace,
}

/// One named value of a specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, for people and for comparison.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// What a difference asks for.
    pub on_change: OnChange,
}

impl Field {
    /// A field that can be changed in place.
    pub(super) fn configure(name: &'static str, value: impl Into<Value>) -> Self {
        Self { name, value: value.into(), on_change: OnChange::Configure }
    }

    /// A field whose change makes the resource anew.
    pub(super) fn replace(name: &'static str, value: impl Into<Value>) -> Self {
        Self { name, value: value.into(), on_change: OnChange::Replace }
    }

    /// A field whose change is only told.
    pub(super) fn leave(name: &'static str, value: impl Into<Value>) -> Self {
        Self { name, value: value.into(), on_change: OnChange::Leave }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<&Reference> for Value {
    fn from(reference: &Reference) -> Self {
        Self::Reference(reference.clone())
    }
}

impl From<&BTreeSet<Reference>> for Value {
    fn from(references: &BTreeSet<Reference>) -> Self {
        Self::References(references.clone())
    }
}

impl From<&BTreeSet<String>> for Value {
    fn from(texts: &BTreeSet<String>) -> Self {
        Self::Texts(texts.clone())
    }
}

impl<V: Into<Self>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, texts: Vec<String>| match texts.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&texts.join(", ")),
        };
        match self {
            Self::Absent => f.write_str("none"),
            Self::Text(text) => f.write_str(text),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Number(number) => number.fmt(f),
            Self::Reference(reference) => reference.fmt(f),
            Self::References(references) => list(f, references.iter().map(ToString::to_string).collect()),
            Self::Texts(texts) => list(f, texts.iter().cloned().collect()),
        }
    }
}
