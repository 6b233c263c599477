//! Why a step could not be carried out, as a person or a program needs it: what, why, and what to do next.
//!
//! The words of the cloud are kept. Which reason follows from which failure is decided here; whether it is a reason
//! at all was decided before (`decision`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::Doing;
use crate::provider::{Class, Failure, Holder};

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The identity may not do it.
    #[error("not allowed: {} ({}: {})", .failure.action, .failure.code, .failure.message)]
    Denied {
        /// What was refused.
        failure: Failure,
    },
    /// Who we are is missing, wrong or expired.
    #[error("credentials are missing, wrong or expired ({failure})")]
    Credentials {
        /// What was refused.
        failure: Failure,
    },
    /// A limit of the account is reached.
    #[error("a limit of the account is reached: {} ({})", .failure.code, .failure.message)]
    Quota {
        /// What was refused.
        failure: Failure,
    },
    /// The cloud has no room.
    #[error("the cloud has no capacity for it now: {} ({})", .failure.code, .failure.message)]
    Capacity {
        /// What was refused.
        failure: Failure,
    },
    /// The cloud calls the request wrong.
    #[error("the cloud refused the request: {failure}")]
    Invalid {
        /// What was refused.
        failure: Failure,
    },
    /// Others still hold what is to be deleted.
    #[error("still held after {waited_seconds} s by {}", list(.holders, .failure))]
    Blocked {
        /// Who; empty if nobody could be named.
        holders: Vec<Holder>,
        /// The cloud's last refusal.
        failure: Failure,
        /// How long it was tried.
        waited_seconds: u64,
    },
    /// The cloud says it exists, but none of ours does.
    #[error("it exists already and is not this cluster's ({failure})")]
    Foreign {
        /// What was refused.
        failure: Failure,
    },
    /// It, or something it needs, is not there any more.
    #[error("it, or what it needs, is gone: {what}")]
    Vanished {
        /// In the cloud's words, or ours.
        what: String,
    },
    /// It was made and does not work.
    #[error("it does not work, made {times} times: {why}")]
    Broken {
        /// Why, in the cloud's words.
        why: String,
        /// How often it was made.
        times: u32,
    },
    /// It took too long.
    #[error("waited {waited_seconds} s for: {what}")]
    TimedOut {
        /// What was awaited.
        what: String,
        /// How long.
        waited_seconds: u64,
    },
    /// It failed too often.
    #[error("failed {attempts} times in {waited_seconds} s, last with {failure}")]
    GaveUp {
        /// The last one.
        failure: Failure,
        /// How often.
        attempts: u32,
        /// In which time.
        waited_seconds: u64,
    },
}

fn list(holders: &[Holder], failure: &Failure) -> String {
    let named: Vec<String> = holders.iter().map(|holder| format!("{} ({})", holder.what, holder.state)).collect();
    if named.is_empty() { format!("something the cloud does not name ({failure})") } else { named.join(", ") }
}

impl Reason {
    /// The reason of a failure that ends a step.
    pub(super) fn of(failure: Failure, doing: Doing, attempts: u32, waited: Duration, holders: &[Holder]) -> Self {
        let waited_seconds = waited.as_secs();
        match failure.class {
            Class::Denied => Self::Denied { failure },
            Class::Credentials => Self::Credentials { failure },
            Class::Quota => Self::Quota { failure },
            Class::Capacity => Self::Capacity { failure },
            Class::Invalid => Self::Invalid { failure },
            Class::Gone => Self::Vanished { what: failure.to_string() },
            Class::InUse if doing == Doing::Delete => {
                Self::Blocked { holders: holders.to_vec(), failure, waited_seconds }
            }
            Class::InUse => Self::TimedOut { what: failure.to_string(), waited_seconds },
            Class::Throttled | Class::Transient | Class::Unknown | Class::NotYet | Class::Exists => {
                Self::GaveUp { failure, attempts, waited_seconds }
            }
        }
    }

    /// What a person does about it. `command` is what was run, for example `kvctl cluster up`.
    #[must_use]
    pub fn next(&self, command: &str) -> String {
        match self {
            Self::Denied { failure } => {
                format!("allow {} to this identity, then run {command} again; it goes on from here", failure.action)
            }
            Self::Credentials { .. } => {
                format!("renew the credentials, then run {command} again; it goes on from here")
            }
            Self::Quota { failure } => {
                format!("have the quota behind {} raised or free some, then run {command} again", failure.code)
            }
            Self::Capacity { .. } => format!("run {command} again later, or choose another instance type or zone"),
            Self::Invalid { .. } => {
                "correct cluster.yaml as the message says; if it says nothing of it, report a bug".into()
            }
            Self::Blocked { holders, .. } if holders.iter().any(|holder| !holder.ours) => {
                format!("remove what holds it and is not this cluster's, then run {command} again")
            }
            Self::Foreign { .. } => "choose another project or environment name, or remove what has the name".into(),
            Self::Broken { .. } => format!("mend what the message names, then run {command} again"),
            Self::Blocked { .. } | Self::Vanished { .. } | Self::TimedOut { .. } | Self::GaveUp { .. } => {
                format!("run {command} again; it plans anew and goes on from here")
            }
        }
    }
}
