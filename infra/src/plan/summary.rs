//! A plan in numbers: how many resources it makes, changes, deletes, and how much that can hurt.
//!
//! Counting only; the words around the numbers are `render`'s.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Action, Plan, Risk, Step};
use crate::resource::Key;

/// How many resources a plan makes, changes, deletes; each is counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Made, where none was.
    pub create: usize,
    /// Changed in place.
    pub update: usize,
    /// Deleted, and not made anew.
    pub delete: usize,
    /// Deleted and made anew.
    pub replace: usize,
    /// Only waited for.
    pub wait: usize,
}

impl Plan {
    /// Whether there is nothing to do and nothing that forbids it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blockers.is_empty()
    }

    /// The steps that change something: all but those that only wait.
    pub fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| !matches!(step.action, Action::Await { .. }))
    }

    /// The greatest risk of all steps.
    #[must_use]
    pub fn risk(&self) -> Risk {
        self.steps.iter().map(|step| step.risk).max().unwrap_or(Risk::Safe)
    }

    /// Resources that are deleted and made anew.
    #[must_use]
    pub fn replaced(&self) -> BTreeSet<&Key> {
        let made: BTreeSet<&Key> = self.keys(|action| matches!(action, Action::Create { .. })).collect();
        self.keys(|action| matches!(action, Action::Delete { .. })).filter(|key| made.contains(key)).collect()
    }

    fn keys(&self, which: fn(&Action) -> bool) -> impl Iterator<Item = &Key> {
        self.steps.iter().filter(move |step| which(&step.action)).map(|step| &step.key)
    }

    /// How many resources are concerned.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let count = |which: fn(&Action) -> bool| self.keys(which).count();
        let replace = self.replaced().len();
        Summary {
            create: count(|action| matches!(action, Action::Create { .. })) - replace,
            update: count(|action| matches!(action, Action::Update { .. })),
            delete: count(|action| matches!(action, Action::Delete { .. })) - replace,
            replace,
            wait: count(|action| matches!(action, Action::Await { .. })),
        }
    }
}
