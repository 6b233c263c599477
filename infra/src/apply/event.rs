//! What a run tells while it goes on: typed, serializable, one line of JSON each.
//!
//! Events are facts for people and programs; nothing is decided by them, and losing one loses nothing else. Times are
//! milliseconds of the clock that the run was given.

use serde::Serialize;

use super::reason::Reason;
use crate::plan::{Action, Plan, StepId};
use crate::provider::{Failure, Holder};
use crate::resource::Key;

/// Which step an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Its place in the plan.
    pub step: StepId,
    /// Which resource.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// What the step does.
    pub verb: Verb,
}

impl Subject {
    pub(super) fn of(plan: &Plan, step: StepId) -> Option<Self> {
        plan.steps.get(step).map(|found| Self {
            step,
            key: found.key.clone(),
            name: found.name.clone(),
            verb: Verb::of(&found.action),
        })
    }
}

/// What a step does, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Makes something.
    Create,
    /// Changes something in place.
    Update,
    /// Waits for something that is in the making.
    Await,
    /// Deletes something.
    Delete,
}

impl Verb {
    const fn of(action: &Action) -> Self {
        match action {
            Action::Create { .. } => Self::Create,
            Action::Update { .. } => Self::Update,
            Action::Await { .. } => Self::Await,
            Action::Delete { .. } => Self::Delete,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum News {
    /// A step began.
    Started,
    /// The outcome of making it was unknown, and it was found: it is used.
    Adopted {
        /// Its id.
        id: String,
    },
    /// It takes its time. Told when what is awaited changes.
    Waiting {
        /// Its id.
        id: String,
        /// What is awaited, for example `provisioning`.
        what: String,
        /// Since when, on the run's clock.
        since_ms: u64,
    },
    /// Something went wrong that is tried again.
    Retrying {
        /// What.
        failure: Failure,
        /// After how long.
        after_ms: u64,
        /// Which failure of its class this is, from 1.
        attempt: u32,
    },
    /// It cannot be deleted yet. Told when the holders change.
    Blocked {
        /// Who holds it; empty if nobody could be named.
        holders: Vec<Holder>,
        /// Since when, on the run's clock.
        since_ms: u64,
        /// When it is given up, on the run's clock.
        until_ms: u64,
    },
    /// It does not work and is made anew.
    Replacing {
        /// Why, in the cloud's words.
        why: String,
        /// Its id.
        id: String,
    },
    /// A step is done.
    Done {
        /// The id.
        id: String,
        /// How long it took.
        took_ms: u64,
    },
    /// A step failed; nothing new is started after it.
    Failed {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
    },
    /// A step that only waits was left, since the run stops; the next one goes on with it.
    Left {
        /// Its id.
        id: String,
    },
    /// The end.
    Summary {
        /// Steps done.
        done: usize,
        /// Steps failed.
        failed: usize,
        /// Steps left waiting.
        left: usize,
        /// Steps never started.
        not_started: usize,
        /// Whether it was asked to stop.
        interrupted: bool,
        /// How long it took.
        took_ms: u64,
    },
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When, on the run's clock.
    pub at_ms: u64,
    /// The step it is about; none for the summary.
    #[serde(flatten)]
    pub subject: Option<Subject>,
    /// What.
    #[serde(flatten)]
    pub news: News,
}
