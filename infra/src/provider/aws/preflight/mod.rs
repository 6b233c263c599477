//! What can be known to fail before anything is changed: everything that is missing, said at once.
//!
//! Who we are, what we may do (dry runs), what the account still has room for, and whether zones, images, instance
//! types and certificates exist. It only reads, and dry runs are refused by design. What cannot be found out is a
//! warning, never a problem: the work itself would tell. Nothing here knows how a problem is shown.

mod needs;
mod permissions;
mod places;
mod quotas;

use serde::{Deserialize, Serialize};

use super::clients::Clients;
use crate::plan::Plan;
use crate::provider::{Class, Failure};
use needs::Needs;

/// Something that would fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is about it.
    pub topic: Topic,
    /// What is wrong, for example `needs 3 Elastic IPs (quota 5, used 3: ONE TOO MANY)`.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

/// What a problem is about; a caller may answer each with another exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Who we are is missing, expired, or not who it should be.
    Credentials,
    /// Something may not be done.
    Permission,
    /// The account has no room.
    Quota,
    /// A zone, an image, an instance type or a certificate is not there.
    Missing,
}

/// What was found before the work.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Preflight {
    /// Not empty: the work would fail.
    pub problems: Vec<Problem>,
    /// What may surprise, and what could not be found out.
    pub warnings: Vec<String>,
    /// What was found out, for people, for example `us-east-1a is use1-az6`.
    pub facts: Vec<String>,
}

impl Preflight {
    fn problem(topic: Topic, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { problems: vec![Problem { topic, what: what.into(), fix: fix.into() }], ..Self::default() }
    }

    fn warning(text: impl Into<String>) -> Self {
        Self { warnings: vec![text.into()], ..Self::default() }
    }

    fn fact(text: impl Into<String>) -> Self {
        Self { facts: vec![text.into()], ..Self::default() }
    }

    /// A question that was not answered.
    fn untold(question: &str, failure: &Failure) -> Self {
        Self::warning(format!("{question} could not be found out ({failure})"))
    }

    fn add(&mut self, other: Self) {
        self.problems.extend(other.problems);
        self.warnings.extend(other.warnings);
        self.facts.extend(other.facts);
    }
}

/// Asks everything that a plan depends on. `account` is the account that the cluster is pinned to, if it is.
///
/// It never fails: what cannot be asked is told. If who we are is the problem, nothing else is asked.
pub async fn preflight(clients: &Clients, plan: &Plan, account: Option<&str>) -> Preflight {
    let mut found = identity(clients, account).await;
    if !found.problems.is_empty() {
        return found;
    }
    let needs = Needs::of(plan);
    let (permissions, quotas, places) = tokio::join!(
        permissions::check(clients, plan),
        quotas::check(clients, &needs),
        places::check(clients, &needs, &plan.cluster),
    );
    for part in [permissions, quotas, places] {
        found.add(part);
    }
    found
}

async fn identity(clients: &Clients, pinned: Option<&str>) -> Preflight {
    match clients.caller().await {
        Ok(caller) => match pinned.filter(|pinned| *pinned != caller.account) {
            Some(pinned) => Preflight::problem(
                Topic::Credentials,
                format!("the credentials are of account {}, the cluster is in account {pinned}", caller.account),
                "use the profile of that account (--profile, AWS_PROFILE)",
            ),
            None => Preflight::fact(format!("account {} as {}", caller.account, caller.arn)),
        },
        Err(failure) if matches!(failure.class, Class::Credentials | Class::Denied) => Preflight::problem(
            Topic::Credentials,
            format!("the cloud does not accept who we are: {}", failure.message),
            "check AWS_PROFILE and the credentials; renew them if they have expired (aws sso login)",
        ),
        Err(failure) => Preflight::untold("whose credentials these are", &failure),
    }
}
