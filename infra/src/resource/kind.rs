//! The kinds of resources, and how one of each kind is recognised.
//!
//! One table; adding a kind makes the compiler name every place that must know it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a resource of a kind is recognised as the one that a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// By its tags `kvstore:cluster` and `kvstore:role`. The cloud allows several with the same ones: duplicates.
    Tag,
    /// By its name, which the cloud keeps unique; the tag proves that it is ours.
    Name,
    /// By what it says, inside a parent that is ours: a route in a table, a rule in a group.
    Content,
}

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the cloud's own; `Kind::noun` spells them out")]
pub enum Kind {
    Vpc,
    InternetGateway,
    Subnet,
    ElasticIp,
    NatGateway,
    RouteTable,
    Route,
    RouteTableAssociation,
    SecurityGroup,
    SecurityGroupRule,
    NetworkAcl,
    NetworkAclEntry,
    NetworkAclAssociation,
    GatewayEndpoint,
    LogGroup,
    Role,
    InstanceProfile,
    FlowLog,
    Certificate,
    TargetGroup,
    LoadBalancer,
    Listener,
    ListenerRule,
    Bucket,
    Object,
    Parameter,
    Volume,
    Instance,
    VolumeAttachment,
    TargetRegistration,
}

impl Kind {
    /// Every kind, in the order in which people expect to read them.
    pub const ALL: [Self; 30] = [
        Self::Vpc,
        Self::InternetGateway,
        Self::Subnet,
        Self::ElasticIp,
        Self::NatGateway,
        Self::RouteTable,
        Self::Route,
        Self::RouteTableAssociation,
        Self::SecurityGroup,
        Self::SecurityGroupRule,
        Self::NetworkAcl,
        Self::NetworkAclEntry,
        Self::NetworkAclAssociation,
        Self::GatewayEndpoint,
        Self::LogGroup,
        Self::Role,
        Self::InstanceProfile,
        Self::FlowLog,
        Self::Certificate,
        Self::TargetGroup,
        Self::LoadBalancer,
        Self::Listener,
        Self::ListenerRule,
        Self::Bucket,
        Self::Object,
        Self::Parameter,
        Self::Volume,
        Self::Instance,
        Self::VolumeAttachment,
        Self::TargetRegistration,
    ];

    /// The kind in words, for example `nat gateway`.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Vpc => "vpc",
            Self::InternetGateway => "internet gateway",
            Self::Subnet => "subnet",
            Self::ElasticIp => "elastic ip",
            Self::NatGateway => "nat gateway",
            Self::RouteTable => "route table",
            Self::Route => "route",
            Self::RouteTableAssociation => "route table association",
            Self::SecurityGroup => "security group",
            Self::SecurityGroupRule => "security group rule",
            Self::NetworkAcl => "network acl",
            Self::NetworkAclEntry => "network acl entry",
            Self::NetworkAclAssociation => "network acl association",
            Self::GatewayEndpoint => "gateway endpoint",
            Self::LogGroup => "log group",
            Self::Role => "role",
            Self::InstanceProfile => "instance profile",
            Self::FlowLog => "flow log",
            Self::Certificate => "certificate",
            Self::TargetGroup => "target group",
            Self::LoadBalancer => "load balancer",
            Self::Listener => "listener",
            Self::ListenerRule => "listener rule",
            Self::Bucket => "bucket",
            Self::Object => "object",
            Self::Parameter => "parameter",
            Self::Volume => "volume",
            Self::Instance => "instance",
            Self::VolumeAttachment => "volume attachment",
            Self::TargetRegistration => "target registration",
        }
    }

    /// How one of this kind is recognised.
    #[must_use]
    pub const fn identity(self) -> Identity {
        match self {
            Self::Route
            | Self::RouteTableAssociation
            | Self::SecurityGroupRule
            | Self::NetworkAclEntry
            | Self::NetworkAclAssociation
            | Self::Listener
            | Self::ListenerRule
            | Self::Object
            | Self::VolumeAttachment
            | Self::TargetRegistration => Identity::Content,
            Self::LogGroup
            | Self::Role
            | Self::InstanceProfile
            | Self::TargetGroup
            | Self::LoadBalancer
            | Self::Bucket
            | Self::Parameter => Identity::Name,
            Self::Vpc
            | Self::InternetGateway
            | Self::Subnet
            | Self::ElasticIp
            | Self::NatGateway
            | Self::RouteTable
            | Self::SecurityGroup
            | Self::NetworkAcl
            | Self::GatewayEndpoint
            | Self::FlowLog
            | Self::Certificate
            | Self::Volume
            | Self::Instance => Identity::Tag,
        }
    }

    /// Whether the call that makes one says everything and leaves nothing to wait for, and the call that deletes one
    /// too. What is made so and is not yet visible everywhere is waited for by those who name it.
    #[must_use]
    pub const fn is_made_at_once(self) -> bool {
        matches!(
            self,
            Self::Route
                | Self::RouteTableAssociation
                | Self::SecurityGroupRule
                | Self::NetworkAclEntry
                | Self::NetworkAclAssociation
                | Self::Listener
                | Self::ListenerRule
                | Self::Object
                | Self::Parameter
        )
    }

    /// Whether the cloud lets this kind carry tags.
    #[must_use]
    pub const fn takes_tags(self) -> bool {
        !matches!(
            self,
            Self::Route
                | Self::RouteTableAssociation
                | Self::NetworkAclEntry
                | Self::NetworkAclAssociation
                | Self::Object
                | Self::VolumeAttachment
                | Self::TargetRegistration
        )
    }
}

impl fmt::Display for Kind {
    /// The noun with hyphens, as in a [`Key`](super::Key).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.noun().replace(' ', "-"))
    }
}
