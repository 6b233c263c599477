//! The tree of a YAML text, walked by hand. The only importer of the YAML library.
//!
//! The library stops at its first error and gives values no positions, so it only makes the tree here; whoever walks
//! it keeps every problem. Nothing here knows what the keys mean.

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use super::lines::Lines;
use super::suggest::nearest;
use super::{Problem, SpecError};
use crate::topology::Impossible;

/// A set of keys somewhere in the tree; absent sections are empty ones.
pub(super) struct Section {
    path: String,
    map: Mapping,
}

impl Section {
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// An item of a list.
pub(super) struct Item {
    pub(super) path: String,
    value: Value,
}

impl Item {
    /// The item, if it is a plain text.
    pub(super) fn text(&self) -> Option<&str> {
        self.value.as_str()
    }
}

/// Keys that belong to another kind of specification, and what to say of them.
pub(super) struct Foreign<'a> {
    pub(super) keys: &'a [&'a str],
    pub(super) fix: &'a str,
}

pub(super) struct Walk {
    lines: Lines,
    root: Value,
    problems: Vec<Problem>,
    bad: BTreeSet<String>,
}

impl Walk {
    pub(super) fn of(text: &str) -> Result<Self, SpecError> {
        let root: Value = serde_yaml::from_str(text).map_err(|error| {
            let line = error.location().map_or(0, |place| place.line());
            SpecError {
                problems: vec![Problem { line, path: String::new(), reason: error.to_string(), fix: String::new() }],
            }
        })?;
        Ok(Self { lines: Lines::of(text), root, problems: Vec::new(), bad: BTreeSet::new() })
    }

    /// A text at the top, unjudged: which kind of specification this is must be known before its keys are.
    pub(super) fn peek(&self, key: &str) -> Option<&str> {
        self.root.as_mapping()?.get(key)?.as_str()
    }

    pub(super) fn add(&mut self, path: &str, reason: impl Into<String>, fix: impl Into<String>) {
        self.bad.insert(path.to_owned());
        let line = self.lines.line(path);
        self.problems.push(Problem { line, path: path.to_owned(), reason: reason.into(), fix: fix.into() });
    }

    /// What was made of the draft, or every problem of reading and of meaning, by line.
    pub(super) fn finish<T>(mut self, made: Result<T, Vec<Impossible>>) -> Result<T, SpecError> {
        match made {
            Ok(made) if self.problems.is_empty() => return Ok(made),
            Ok(_) => {}
            Err(found) => {
                let unread = !self.problems.is_empty();
                for one in found {
                    // What could not be read has its default here; what only follows from that would be no news.
                    let follows = unread && (one.path == "zones" || self.lines.line(&one.path) == 0);
                    if !follows && !self.is_bad(&one.path) {
                        self.add(&one.path, one.reason, one.fix);
                    }
                }
            }
        }
        self.problems.sort_by_key(|problem| problem.line);
        Err(SpecError { problems: self.problems })
    }

    /// Whether a value, or what holds it, could not be read or was refused.
    fn is_bad(&self, path: &str) -> bool {
        let ends = path.match_indices(['.', '[']).map(|(end, _)| end).chain([path.len()]);
        ends.into_iter().any(|end| self.bad.contains(&path[..end]))
    }

    pub(super) fn root(&mut self, known: &[&str], foreign: &Foreign<'_>) -> Option<Section> {
        let root = self.root.clone();
        self.section_of(&root, "", known, foreign)
    }

    /// The keys below a key; none if it is absent or unreadable.
    pub(super) fn section(&mut self, section: &Section, key: &str, known: &[&str]) -> Option<Section> {
        let value = section.map.get(key)?.clone();
        self.section_of(&value, &join(&section.path, key), known, &Foreign { keys: &[], fix: "" })
    }

    /// The keys of an item.
    pub(super) fn item(&mut self, item: &Item, known: &[&str]) -> Option<Section> {
        self.section_of(&item.value, &item.path, known, &Foreign { keys: &[], fix: "" })
    }

    fn section_of(&mut self, value: &Value, path: &str, known: &[&str], foreign: &Foreign<'_>) -> Option<Section> {
        let map = match value {
            Value::Mapping(map) => map.clone(),
            // An empty file or an empty section asks for the defaults.
            Value::Null => Mapping::new(),
            other => {
                self.add(path, format!("{} is not a set of keys", kind(other)), format!("keys: {}", known.join(", ")));
                return None;
            }
        };
        for key in map.keys() {
            let name = key.as_str().map_or_else(|| kind(key).to_owned(), str::to_owned);
            if foreign.keys.contains(&name.as_str()) {
                self.add(&join(path, &name), "this key is of another provider", foreign.fix);
            } else if !known.contains(&name.as_str()) {
                let fix = nearest(&name, known)
                    .map_or_else(|| format!("keys: {}", known.join(", ")), |word| format!("did you mean {word}?"));
                self.add(&join(path, &name), "unknown key", fix);
            }
        }
        Some(Section { path: path.to_owned(), map })
    }

    /// The items of a list; none if it is absent or no list. An empty list is one.
    pub(super) fn list(&mut self, section: &Section, key: &str, fix: &str) -> Option<Vec<Item>> {
        let path = join(&section.path, key);
        match section.map.get(key)? {
            Value::Sequence(items) => {
                let item =
                    |(index, value): (usize, &Value)| Item { path: format!("{path}[{index}]"), value: value.clone() };
                Some(items.iter().enumerate().map(item).collect())
            }
            other => {
                self.add(&path, format!("{} is not a list", kind(other)), fix);
                None
            }
        }
    }

    /// A list of texts. An item that is none is told and stands as an empty text, so that the others keep their places.
    pub(super) fn texts(&mut self, section: &Section, key: &str, fix: &str) -> Option<Vec<String>> {
        let items = self.list(section, key, fix)?;
        let mut texts = Vec::new();
        for item in items {
            if item.text().is_none() {
                self.add(&item.path, format!("{} is not a text", kind(&item.value)), fix);
            }
            texts.push(item.text().unwrap_or_default().to_owned());
        }
        Some(texts)
    }

    pub(super) fn text(&mut self, section: &Section, key: &str) -> Option<String> {
        match section.map.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            other => {
                self.add(&join(&section.path, key), format!("{} is not a name", kind(other)), "");
                None
            }
        }
    }

    /// A text that may be left out or left empty.
    pub(super) fn optional(&mut self, section: &Section, key: &str) -> Option<String> {
        if section.map.get(key)?.is_null() { None } else { self.text(section, key) }
    }

    pub(super) fn number<N: TryFrom<u64>>(&mut self, section: &Section, key: &str) -> Option<N> {
        let value = section.map.get(key)?;
        let number = value.as_u64().and_then(|number| N::try_from(number).ok());
        if number.is_none() {
            let shown = value.as_i64().map_or_else(|| kind(value).to_owned(), |number| number.to_string());
            self.add(&join(&section.path, key), format!("{shown} is not a whole number in range"), "");
        }
        number
    }

    pub(super) fn flag(&mut self, section: &Section, key: &str) -> Option<bool> {
        match section.map.get(key)? {
            Value::Null => None,
            Value::Bool(flag) => Some(*flag),
            other => {
                self.add(&join(&section.path, key), format!("{} is not true or false", kind(other)), "");
                None
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a set of keys",
        Value::Tagged(_) => "a tagged value",
    }
}
