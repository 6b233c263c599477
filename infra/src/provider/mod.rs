//! The border between decisions and a cloud: what an engine must be able to do, and how it tells what went wrong.
//!
//! A cloud carries out single operations, once each, without repeating anything: whether to try again, look, wait or
//! stop is decided by `apply`, from the class of a failure. `fake` is a cloud in memory for tests; `aws` is the real
//! one. No implementation decides what a cluster should look like.

#[cfg(feature = "aws")]
pub mod aws;
pub mod fake;

use std::collections::BTreeMap;
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::observed::{Condition, Observed};
use crate::plan::Difference;
use crate::resource::{Key, Kind, Resource};

/// Ids of the cluster's resources that exist, as far as is known: what references resolve to.
pub type Ids = BTreeMap<Key, String>;

/// What a failure asks for. The table of what follows from each stands in `apply::decision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Too many calls (`RequestLimitExceeded`, `Throttling`). Nothing was done; slower, then again.
    Throttled,
    /// The service failed before doing anything that matters, or it does not matter (a read, an idempotent call).
    Transient,
    /// It may or may not have been done: the reply was lost, late or unreadable. Look before trying again.
    Unknown,
    /// Something that was just made is not known everywhere yet (`Invalid*.NotFound`, a fresh instance profile).
    NotYet,
    /// Others still need or hold it (`DependencyViolation`, `ResourceInUse`, an address whose NAT gateway is going).
    InUse,
    /// It exists already (`*.Duplicate`, `*AlreadyExists`): find it and go on.
    Exists,
    /// What was to be changed or deleted is not there. A delete is done; a change needs a new plan.
    Gone,
    /// A limit of the account is reached (`VpcLimitExceeded`).
    Quota,
    /// The cloud has no room for it now (`InsufficientInstanceCapacity`).
    Capacity,
    /// Not allowed to (`UnauthorizedOperation`, `AccessDenied`).
    Denied,
    /// Who we are is missing, wrong or expired (`ExpiredToken`, `AuthFailure` that is not about an address).
    Credentials,
    /// The request is wrong in itself. Trying again gives the same.
    Invalid,
}

/// One operation that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{action}: {code}: {message}")]
pub struct Failure {
    /// The call, for example `ec2:CreateVpc`.
    pub action: String,
    /// The cloud's code, or our word for one that has none (`timeout`, `connection`).
    pub code: String,
    /// The cloud's words.
    pub message: String,
    /// What it asks for.
    pub class: Class,
}

/// Something that keeps another from being deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its id.
    pub id: String,
    /// What it is and whose, for people, for example `network interface eni-07 of load balancer app/kvstore-dev-alb`.
    pub what: String,
    /// Where it stands, for example `in-use`.
    pub state: String,
    /// Whether it carries the cluster's tag or is the service's own for one of the cluster's resources. What is not
    /// ours is never touched, only named.
    pub ours: bool,
}

/// A cloud, as the engine drives it. Each method is one attempt and may be cancelled; none repeats a call that
/// changes anything. Reads may be repeated inside for pagination only.
pub trait Cloud: Sync {
    /// Everything that concerns the cluster `cluster`; `wanted` names the resources whose names are to be looked up.
    /// Calls that are refused become [`Observed::unseen`]; other failures end it.
    fn observe(&self, cluster: &str, wanted: &[Resource]) -> impl Future<Output = Result<Observed, Failure>> + Send;

    /// Makes it, with all its tags at once where the cloud can, and gives its id as in
    /// [`Found::id`](crate::observed::Found::id). `token` is the same for every attempt at this step of this plan and
    /// goes where the cloud takes client tokens. For kinds that always exist (a default security group, a subnet's
    /// ACL association) it finds or switches.
    fn create(
        &self,
        resource: &Resource,
        ids: &Ids,
        token: &str,
    ) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Looks for what `create` may have made: by tags, name or content. Empty: nothing is visible (yet).
    fn find(&self, resource: &Resource, ids: &Ids) -> impl Future<Output = Result<Vec<String>, Failure>> + Send;

    /// Brings everything that can differ in place to what is wanted, tags included. Idempotent. `changes` are the
    /// differences to mend. None after a create or when something was found in its place: then everything that
    /// `create` could not say is set, and of kinds that are made at once ([`Kind::is_made_at_once`]), which are
    /// configured only when they were found, everything.
    fn configure(
        &self,
        id: &str,
        resource: &Resource,
        changes: Option<&[Difference]>,
        ids: &Ids,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Where it stands. [`Condition::Gone`] if it does not exist.
    fn condition(&self, kind: Kind, id: &str) -> impl Future<Output = Result<Condition, Failure>> + Send;

    /// Deletes it. Of a security group its rules go first, of a bucket its objects. What is gone already is
    /// [`Class::Gone`].
    fn delete(&self, kind: Kind, id: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Who keeps it from being deleted.
    fn holders(&self, kind: Kind, id: &str) -> impl Future<Output = Result<Vec<Holder>, Failure>> + Send;
}
