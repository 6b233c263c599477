//! Tags: how a resource says whose it is.
//!
//! Ownership is proven by [`CLUSTER_TAG`] alone, never by adjacency. Only the tags that we set are ever compared;
//! tags that others added are left alone.

use std::collections::BTreeMap;

/// Names the cluster (`project-environment`) that owns a resource.
pub const CLUSTER_TAG: &str = "kvstore:cluster";
/// Names the role it plays in it; with the kind this is its [`Key`](super::Key).
pub const ROLE_TAG: &str = "kvstore:role";
/// The one writer of the cluster: `kvctl` or `terraform`.
pub const MANAGED_BY: &str = "ManagedBy";

/// Tags of a resource, by key.
pub type Tags = BTreeMap<String, String>;
