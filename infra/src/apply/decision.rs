//! The table of what follows from each answer of a cloud.
//!
//! Pure: what was being done, how it went, how often and how long that has been going on, and the limits give the
//! next move. No clock, no cloud, no memory: `progress` keeps the counts. The classes of failures come from the
//! cloud's side of the border and are not second-guessed here.

use std::time::Duration;

use super::limits::Limits;
use crate::observed::Condition;
use crate::provider::Class;
use crate::resource::Kind;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Making it.
    Create,
    /// Looking for what may have been made.
    Find,
    /// Bringing it to what is wanted.
    Configure,
    /// Asking where it stands.
    Look,
    /// Deleting it.
    Delete,
}

/// How often and how long a failure of one class has been met in the same phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Which failure of its class this is, from 1.
    pub attempt: u32,
    /// Time since the first of them.
    pub waited: Duration,
    /// Any number; spreads the waits of steps that failed together.
    pub jitter: u64,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same again, later.
    Again {
        /// How much later.
        after: Duration,
    },
    /// Look for what may have been made.
    Find,
    /// Ask who holds it, then the same again, later.
    Ask {
        /// How much later.
        after: Duration,
    },
    /// See whether it is gone as was said.
    Look,
    /// Nothing more can be done about it in this run.
    Stop,
}

/// What follows from a failed operation.
#[must_use]
pub fn after_failure(doing: Doing, class: Class, tried: Tried, limits: &Limits) -> Next {
    match (doing, class) {
        (_, Class::Denied | Class::Credentials | Class::Quota | Class::Capacity | Class::Invalid) => Next::Stop,
        (Doing::Create, Class::Unknown | Class::Exists) => Next::Find,
        // What was just made is not known everywhere: one voice that says it is gone is not enough.
        (Doing::Delete, Class::Gone) if tried.attempt < limits.gone_voices => {
            Next::Again { after: backoff(tried, 1_000, 4_000) }
        }
        // Not trusted even then: a code like `InvalidRoute.NotFound` may be about something else than what is deleted.
        (Doing::Delete, Class::Gone) => Next::Look,
        (Doing::Delete, Class::InUse) => match within(tried, limits.blocked, limits.in_use_interval) {
            Next::Again { after } => Next::Ask { after },
            other => other,
        },
        (_, Class::InUse) => within(tried, limits.busy, limits.in_use_interval),
        (_, Class::Throttled) => within(tried, limits.throttled, backoff(tried, 1_000, 20_000)),
        (_, Class::NotYet) => within(tried, limits.not_yet, backoff(tried, 500, 5_000)),
        // What it refers to was made a moment ago and is not visible everywhere, or is really gone.
        (_, Class::Gone) => within(tried, limits.invisible, backoff(tried, 500, 5_000)),
        // All but creations are idempotent, so an unknown outcome is a reason to try again.
        (_, Class::Transient | Class::Unknown | Class::Exists) => {
            within(tried, limits.transient, backoff(tried, 500, 10_000))
        }
    }
}

fn within(tried: Tried, limit: Duration, after: Duration) -> Next {
    if tried.waited >= limit { Next::Stop } else { Next::Again { after } }
}

/// Doubles from `first` to `most` milliseconds, then takes between half and all of it.
fn backoff(tried: Tried, first: u64, most: u64) -> Duration {
    let doubled = first.saturating_mul(1 << tried.attempt.saturating_sub(1).min(16)).min(most);
    let half = doubled / 2;
    Duration::from_millis(half + tried.jitter % (doubled - half + 1))
}

/// Why one looks for something that may have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The outcome of making it is unknown.
    Unknown,
    /// The cloud says that it exists already.
    Exists,
}

/// What follows from what a search brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// Go on with the first one; the next plan deals with more than one.
    Adopt,
    /// Nothing is visible yet.
    Again {
        /// Look again after this.
        after: Duration,
    },
    /// It was not made: make it again, with the same token.
    Create,
    /// It exists, but none of ours does.
    Foreign,
    /// Made again too often.
    Stop,
}

/// What follows from a search that found `found` candidates; `recreated` counts earlier verdicts of
/// [`Search::Create`], `waited` is the time since the search began and `looked` counts its looks, from 1.
#[must_use]
pub fn after_search(
    cause: Cause,
    found: usize,
    looked: u32,
    waited: Duration,
    recreated: u32,
    limits: &Limits,
) -> Search {
    if found > 0 {
        return Search::Adopt;
    }
    let patience = match cause {
        Cause::Unknown => limits.dwell,
        Cause::Exists => limits.invisible,
    };
    if waited < patience {
        let doubled = Duration::from_millis(500 << looked.saturating_sub(1).min(4));
        return Search::Again { after: doubled.min(patience - waited) };
    }
    match cause {
        Cause::Exists => Search::Foreign,
        Cause::Unknown if recreated < limits.recreations => Search::Create,
        Cause::Unknown => Search::Stop,
    }
}

/// What follows from where something stands that shall become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becoming {
    /// It is ready.
    Done,
    /// It takes its time.
    Again {
        /// Look again after this.
        after: Duration,
        /// What is awaited.
        what: String,
    },
    /// It will never work.
    Broken {
        /// Why.
        reason: String,
    },
    /// It is going away: one that was on its way out was taken for ours, or somebody else deletes it.
    Leaving {
        /// In the cloud's words.
        state: String,
    },
    /// It is not there, and does not become visible.
    Vanished,
    /// It took too long.
    TimedOut {
        /// What was awaited.
        what: String,
    },
}

/// What follows from where something stands `waited` after the first look, if it shall become ready.
#[must_use]
pub fn while_becoming(kind: Kind, condition: Condition, waited: Duration, limits: &Limits) -> Becoming {
    let wait = |what: String, limit: Duration| match waited < limit {
        true => Becoming::Again { after: interval(waited), what },
        false => Becoming::TimedOut { what },
    };
    match condition {
        Condition::Ready => Becoming::Done,
        Condition::Pending { state } => wait(state, limits.ready(kind)),
        Condition::Failed { reason } => Becoming::Broken { reason },
        Condition::Deleting { state } => Becoming::Leaving { state },
        Condition::Gone => match wait("to become visible".to_owned(), limits.invisible) {
            Becoming::TimedOut { .. } => Becoming::Vanished,
            other => other,
        },
    }
}

/// What follows from where something stands that shall be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Going {
    /// It is gone.
    Done,
    /// It takes its time.
    Again {
        /// Look again after this.
        after: Duration,
        /// What is awaited.
        what: String,
    },
    /// It looks as if nobody had deleted it: delete it again.
    Delete,
    /// It took too long.
    TimedOut {
        /// What was awaited.
        what: String,
    },
}

/// What follows from where something stands that shall be gone: `waited` since the first deletion was accepted,
/// `unharmed` since the last one.
#[must_use]
pub fn while_going(kind: Kind, condition: &Condition, waited: Duration, unharmed: Duration, limits: &Limits) -> Going {
    let late = waited >= limits.gone(kind);
    match condition {
        Condition::Gone => Going::Done,
        Condition::Deleting { state } if late => Going::TimedOut { what: state.clone() },
        _ if late => Going::TimedOut { what: "to go".to_owned() },
        Condition::Deleting { state } => Going::Again { after: interval(waited), what: state.clone() },
        Condition::Ready | Condition::Pending { .. } | Condition::Failed { .. } => {
            if unharmed < limits.delete_again {
                Going::Again { after: interval(waited), what: "to go".to_owned() }
            } else {
                Going::Delete
            }
        }
    }
}

/// Time between two looks: short at first, since most things are ready at once, then a quarter of the wait so far.
fn interval(waited: Duration) -> Duration {
    (waited / 4).clamp(Duration::from_millis(200), Duration::from_secs(5))
}

#[cfg(test)]
mod tests;
