//! What was seen of a cluster's resources at one moment.
//!
//! Everything here is as the cloud told it: references are cloud ids, tags are all tags. Nothing is compared or
//! judged. What could not be seen is listed as such and is never the same as absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::resource::{CLUSTER_TAG, Kind, ROLE_TAG, Spec, Tags};

/// Where a resource stands in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It does its work.
    Ready,
    /// It is being made or changed; its dependents wait.
    Pending {
        /// What is awaited, in the cloud's words, for example `provisioning`.
        state: String,
    },
    /// It is going away; it counts as absent, but may still block others.
    Deleting {
        /// In the cloud's words.
        state: String,
    },
    /// It will never work; it is to be deleted and made anew.
    Failed {
        /// Why, in the cloud's words.
        reason: String,
    },
    /// It is not there (any more).
    Gone,
}

/// One resource that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// How the cloud calls it: an id (`vpc-0a1`), an ARN for kinds whose calls take one (load balancer, target group,
    /// listener, rule, certificate), a name (role, profile, log group, bucket, parameter), or for kinds without any
    /// a composite `parent-id/what` (a route: `rtb-1/0.0.0.0/0`; an entry: `acl-1/in/100`; an object: `bucket/path`;
    /// a registration: `arn/i-1/8080`; a volume attachment: `vol-1/i-1`). Security group rules and associations have
    /// ids of their own.
    pub id: String,
    /// Its name: the tag `Name`, or the cloud's own.
    pub name: String,
    /// All tags it carries; empty for kinds that take none.
    pub tags: Tags,
    /// What it says of itself; references are ids, exactly as in [`Found::id`] of what they name.
    pub spec: Spec,
    /// Where it stands.
    pub condition: Condition,
}

impl Found {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.spec.kind()
    }

    /// The cluster it says it belongs to.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.tags.get(CLUSTER_TAG).map(String::as_str)
    }

    /// The role it says it plays.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.tags.get(ROLE_TAG).map(String::as_str)
    }
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unseen {
    /// The kinds that may exist without having been seen.
    pub kinds: Vec<Kind>,
    /// The call that was refused, for example `ec2:DescribeFlowLogs`.
    pub action: String,
    /// Why, in the cloud's words.
    pub reason: String,
    /// Whether it was refused for want of permission.
    pub permission: bool,
}

/// Everything that was seen of one cluster.
///
/// It holds the resources tagged as the cluster's, those of kinds recognised by name whose name is wanted (whether
/// tagged or not: the planner refuses foreign ones), everything inside a parent that is ours (rules, routes, entries,
/// associations, listeners), and the default security group of a network that is ours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// The cluster (`project-environment`).
    pub cluster: String,
    /// What was found, in any order.
    pub found: Vec<Found>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
}

impl Observed {
    /// What of one kind was found.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(move |found| found.kind() == kind)
    }

    /// The found resources by id.
    #[must_use]
    pub fn by_id(&self) -> BTreeMap<&str, &Found> {
        self.found.iter().map(|found| (found.id.as_str(), found)).collect()
    }

    /// A digest of all that a plan depends on: equal if and only if nothing relevant moved. 64 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut lines: Vec<String> = self
            .found
            .iter()
            .map(|found| {
                let fields: Vec<String> =
                    found.spec.fields().iter().map(|field| format!("{}={}", field.name, field.value)).collect();
                format!("{}|{}|{:?}|{:?}|{}", found.kind(), found.id, found.condition, found.tags, fields.join(";"))
            })
            .collect();
        lines.extend(self.unseen.iter().map(|unseen| format!("unseen|{}|{}", unseen.action, unseen.reason)));
        lines.sort_unstable();
        let mut hash = Sha256::new();
        for line in &lines {
            hash.update(line.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
