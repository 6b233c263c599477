//! What would have to be done: the difference between wanted and observed resources.
//!
//! [`Plan::between`] and [`Plan::removal`] are pure and complete: every decision is in the plan, with its reasons and
//! risk, in an order that can be carried out. Carrying it out (`apply`) takes none. A plan can be saved, shown and
//! applied later, if the world has not moved ([`Plan::basis`]). What could not be seen blocks; what is not ours is
//! never touched.

mod build;
mod compare;
mod decide;
mod matching;
mod order;
mod render;
mod risk;
mod saved;
mod summary;
mod survey;
#[cfg(test)]
mod tests;
pub(crate) mod translate;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use saved::{LoadError, MAX_BYTES, Stale};
pub use summary::Summary;

use crate::observed::{Found, Unseen};
use crate::resource::{Key, Kind, OnChange, Resource};

/// Format of a saved plan; another one is refused.
pub const FORMAT: u32 = 1;

/// A step's place in its plan.
pub type StepId = usize;

/// How much a step can hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Nobody notices.
    Safe,
    /// Traffic may be interrupted for a moment.
    Disruptive,
    /// Something that served, or held data, is gone afterwards.
    Destructive,
}

/// One field that is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The field, or `tag NAME`.
    pub field: String,
    /// What was seen.
    pub from: String,
    /// What is wanted.
    pub to: String,
    /// What it asks for.
    pub on_change: OnChange,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Makes it and waits until it is ready.
    Create {
        /// What.
        resource: Resource,
    },
    /// Changes it in place and waits until it is ready.
    Update {
        /// Its cloud id.
        id: String,
        /// What it shall be.
        resource: Resource,
        /// What differs.
        changes: Vec<Difference>,
    },
    /// Changes nothing, but waits until it is ready: it was seen in the making.
    Await {
        /// Its cloud id.
        id: String,
        /// What it is.
        resource: Resource,
    },
    /// Deletes it and waits until it is gone.
    Delete {
        /// What was seen.
        found: Found,
    },
}

/// One decision, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which resource; of a delete that has no key among the wanted: the kind and its id or role.
    pub key: Key,
    /// Its name, for people.
    pub name: String,
    /// What to do.
    pub action: Action,
    /// Why, for people.
    pub because: String,
    /// How much it can hurt.
    pub risk: Risk,
    /// Steps that must be done first; all are smaller than this step's own place.
    pub after: BTreeSet<StepId>,
}

impl Step {
    /// What it concerns.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.key.kind
    }
}

/// Why nothing may be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Blocker {
    /// Something could not be looked at.
    #[error("{} could not be looked at ({}): {}", list(&.0.kinds), .0.action, .0.reason)]
    Unseen(Unseen),
    /// A name that is wanted belongs to somebody else.
    #[error("{key}: {name} ({id}) exists and is not this cluster's: {why}")]
    Foreign {
        /// What was to be made.
        key: Key,
        /// The name.
        name: String,
        /// What has it.
        id: String,
        /// How we know, for example `it has no tag kvstore:cluster`.
        why: String,
    },
    /// Another engine is the cluster's one writer.
    #[error("{id} is managed by {writer}; a cluster has one writer")]
    OtherWriter {
        /// What says so.
        id: String,
        /// Its tag `ManagedBy`.
        writer: String,
    },
}

fn list(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| format!("{}s", kind.noun())).collect::<Vec<_>>().join(", ")
}

/// Something to know that is not acted on: a difference that is left, a volume that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which resource.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// What to know.
    pub text: String,
}

/// Everything that would be done, and everything that forbids it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// The cluster (`project-environment`).
    pub cluster: String,
    /// [`Observed::fingerprint`](crate::observed::Observed::fingerprint) of what it was made from.
    pub basis: String,
    /// In an order that can be carried out.
    pub steps: Vec<Step>,
    /// Ids of wanted resources that exist: what references resolve to.
    pub ids: Vec<(Key, String)>,
    /// Not empty: nothing may be done.
    pub blockers: Vec<Blocker>,
    /// For people.
    pub notes: Vec<Note>,
}
