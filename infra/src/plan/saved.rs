//! A plan as a file, and whether the world is still the one it was made for.
//!
//! A file is not trusted: its size, its format and the order of its steps are checked before anything acts on it.
//! Reading and writing the file itself is the caller's.

use super::{FORMAT, Plan};
use crate::observed::Observed;

/// Most bytes of a saved plan. The largest cluster's takes under 10 MiB; more is not a plan.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Why a text is not a plan that can be carried out. Nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is larger than [`MAX_BYTES`].
    #[error("the plan is {bytes} bytes long; at most {MAX_BYTES} are read")]
    TooLong {
        /// Its size.
        bytes: usize,
    },
    /// It is not JSON, or not that of a plan.
    #[error("this is not a saved plan")]
    Unreadable(#[source] serde_json::Error),
    /// Another version of this program wrote it.
    #[error("the plan has format {found}, this program reads {FORMAT}; plan again")]
    Format {
        /// Its format.
        found: u64,
    },
    /// A step waits for one that does not come before it.
    #[error("step {step} of the plan waits for a later one; plan again")]
    Order {
        /// Which, from 0.
        step: usize,
    },
}

/// The world is not the one that the plan was made for. Nothing was done; a new plan is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// It is about another cluster.
    #[error("the plan is for {planned}, not for {observed}")]
    OtherCluster {
        /// The plan's.
        planned: String,
        /// The one that was observed.
        observed: String,
    },
    /// Something was made, changed or deleted since.
    #[error("{cluster} has changed since the plan was made; plan again")]
    Moved {
        /// The cluster.
        cluster: String,
    },
}

impl Plan {
    /// The plan as JSON, for [`Plan::from_json`].
    ///
    /// # Errors
    /// None that a plan made here can cause.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// A plan from JSON.
    ///
    /// # Errors
    /// If it is not one that can be carried out.
    pub fn from_json(text: &str) -> Result<Self, LoadError> {
        if text.len() > MAX_BYTES {
            return Err(LoadError::TooLong { bytes: text.len() });
        }
        // The format is looked at first: another one need not have the same fields.
        let any: serde_json::Value = serde_json::from_str(text).map_err(LoadError::Unreadable)?;
        match any.get("format").and_then(serde_json::Value::as_u64) {
            Some(found) if found != u64::from(FORMAT) => return Err(LoadError::Format { found }),
            _ => {}
        }
        let plan: Self = serde_json::from_value(any).map_err(LoadError::Unreadable)?;
        let waits_for_later = |(at, step): (usize, &super::Step)| step.after.iter().any(|first| *first >= at);
        match plan.steps.iter().enumerate().position(waits_for_later) {
            Some(step) => Err(LoadError::Order { step }),
            None => Ok(plan),
        }
    }

    /// Whether the plan may still be carried out.
    ///
    /// # Errors
    /// If it was made for another cluster, or anything it depends on has moved since.
    pub fn check(&self, observed: &Observed) -> Result<(), Stale> {
        if self.cluster != observed.cluster {
            let (planned, observed) = (self.cluster.clone(), observed.cluster.clone());
            return Err(Stale::OtherCluster { planned, observed });
        }
        if self.basis != observed.fingerprint() {
            return Err(Stale::Moved { cluster: self.cluster.clone() });
        }
        Ok(())
    }
}
