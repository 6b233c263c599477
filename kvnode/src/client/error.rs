//! What can go wrong between a client and a cluster, and what it says about the operation.
//!
//! Every case answers the one question that matters for a retry: [`Error::outcome`].

use crate::api::types::{Outcome, Problem};

/// Why no client was made. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The list of endpoints is empty.
    #[error("no endpoint is given")]
    NoEndpoint,
    /// An endpoint that is none.
    #[error("{text:?} is not an endpoint of the form https://host:port")]
    BadEndpoint {
        /// As given.
        text: String,
    },
    /// The token has control or non-ASCII characters.
    #[error("the token holds characters that no header may carry")]
    BadToken,
    /// The authority's PEM holds no usable certificate.
    #[error("the authority's certificate cannot be used: {reason}")]
    BadAuthority {
        /// In words.
        reason: String,
    },
    /// The HTTP library refused its settings.
    #[error("the HTTP client cannot be built")]
    Http {
        /// Its reason.
        source: reqwest::Error,
    },
}

/// One endpoint that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The endpoint.
    pub endpoint: String,
    /// Why, in words.
    pub reason: String,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A node answered with a problem; of several, the last.
    #[error("{endpoint}: {}: {}", problem.title, problem.detail)]
    Refused {
        /// Who answered.
        endpoint: String,
        /// What it said.
        problem: Box<Problem>,
    },
    /// No connection could be made to any endpoint: not applied.
    #[error("no node could be reached: {}", list(attempts))]
    Unreachable {
        /// Each endpoint and its reason.
        attempts: Vec<Attempt>,
    },
    /// The request was, or may have been, sent and no answer came.
    #[error("{endpoint} did not answer: {reason}")]
    NoAnswer {
        /// Who was asked.
        endpoint: String,
        /// In words.
        reason: String,
        /// Whether the operation may be applied; always [`Outcome::NotApplied`] for reads.
        outcome: Outcome,
    },
    /// A node answered what this client does not understand: perhaps no kvnode, or another release.
    #[error("{endpoint} answered something else than expected: {reason}")]
    BadAnswer {
        /// Who answered.
        endpoint: String,
        /// In words.
        reason: String,
        /// Whether the operation may be applied.
        outcome: Outcome,
    },
    /// The key is `.` or `..`, which URLs cannot carry: not applied; use a batch.
    #[error("the keys '.' and '..' cannot stand in a URL; send them in a batch")]
    KeyNotSendable,
}

impl Error {
    /// Whether the operation may be applied.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused { problem, .. } => problem.outcome,
            Self::Unreachable { .. } | Self::KeyNotSendable => Outcome::NotApplied,
            Self::NoAnswer { outcome, .. } | Self::BadAnswer { outcome, .. } => *outcome,
        }
    }

    /// The problem a node answered with, if one did.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }
}

fn list(attempts: &[Attempt]) -> String {
    let one = |attempt: &Attempt| format!("{} ({})", attempt.endpoint, attempt.reason);
    attempts.iter().map(one).collect::<Vec<_>>().join(", ")
}
