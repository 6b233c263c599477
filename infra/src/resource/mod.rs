//! What a network is made of: kinds of resources, their keys, tags and typed specifications.
//!
//! The same types describe what is wanted (`desired`) and what was seen (`observed`), so that a plan is a comparison
//! of like with like. References between resources are keys where something is wanted and cloud ids where something
//! was seen; the planner translates. Nothing here knows a cloud's API, and nothing compares or orders.

mod field;
mod kind;
mod spec;
mod tags;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use field::{Field, OnChange, Value};
pub use kind::{Identity, Kind};
pub use spec::{
    Bucket, Certificate, Direction, ElasticIp, FlowLog, GatewayEndpoint, Instance, InstanceProfile, InternetGateway,
    Listener, ListenerRule, LoadBalancer, LogGroup, NatGateway, NetworkAcl, NetworkAclAssociation, NetworkAclEntry,
    Object, Parameter, Peer, PortRange, Role, Route, RouteTable, RouteTableAssociation, RouteTarget, SecurityGroup,
    SecurityGroupRule, Spec, Subnet, TargetGroup, TargetRegistration, Volume, VolumeAttachment, Vpc,
};
pub use tags::{CLUSTER_TAG, MANAGED_BY, ROLE_TAG, Tags};

/// Which resource of a cluster: its kind and the role it plays, for example `subnet/private-us-east-1a`.
///
/// Stable over the life of a cluster and independent of cloud ids. For kinds with [`Identity::Tag`] or
/// [`Identity::Name`] the role is also the value of the tag `kvstore:role`; for [`Identity::Content`] it is derived
/// from what the resource says ([`Spec::derived_role`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// Which of its kind.
    pub role: String,
}

impl Key {
    /// A key.
    #[must_use]
    pub fn new(kind: Kind, role: impl Into<String>) -> Self {
        Self { kind, role: role.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.role)
    }
}

/// Another resource, as a specification names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// One of the cluster's own, by its key: what desired specifications hold.
    Key(Key),
    /// By cloud id, ARN or name: what observed specifications hold, and what a user gave (a certificate's ARN).
    Id(String),
}

impl Reference {
    /// The key, if it is one.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Id(_) => None,
        }
    }
}

impl From<Key> for Reference {
    fn from(key: Key) -> Self {
        Self::Key(key)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Id(id) => f.write_str(id),
        }
    }
}

/// A wanted resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Which it is.
    pub key: Key,
    /// Its name: the tag `Name`, and the cloud's own name for kinds that have one.
    pub name: String,
    /// All tags it shall carry; empty for kinds that take none.
    pub tags: Tags,
    /// What it shall be.
    pub spec: Spec,
    /// Resources it needs without naming them, for example a NAT gateway the attached internet gateway.
    pub needs: Vec<Key>,
}

impl Resource {
    /// Every resource that must be there first: those its specification names, and [`Resource::needs`].
    pub fn dependencies(&self) -> impl Iterator<Item = Key> + '_ {
        let named = self.spec.references().into_iter().filter_map(|reference| match reference {
            Reference::Key(key) => Some(key),
            Reference::Id(_) => None,
        });
        named.chain(self.needs.iter().cloned())
    }
}
