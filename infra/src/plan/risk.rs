//! How much a step can hurt: one table for changes, one for deletions.
//!
//! Making something new and waiting hurt nobody. The tables are about what a healthy cluster would lose; what failed
//! or was never used is lost without anybody noticing.

use super::{Difference, Risk};
use crate::resource::Kind;

/// Of changing it in place.
pub(super) fn of_update(kind: Kind, changes: &[Difference]) -> Risk {
    changes.iter().map(|change| of_change(kind, change)).max().unwrap_or(Risk::Safe)
}

fn of_change(kind: Kind, change: &Difference) -> Risk {
    if change.field.starts_with("tag ") {
        return Risk::Safe;
    }
    match kind {
        // Entries older than the new limit are deleted by the service.
        Kind::LogGroup if shorter(change) => Risk::Destructive,
        Kind::InternetGateway if change.from == "none" => Risk::Safe,
        Kind::SecurityGroupRule
        | Kind::Vpc
        | Kind::Subnet
        | Kind::LogGroup
        | Kind::Role
        | Kind::InstanceProfile
        | Kind::Certificate
        | Kind::Bucket
        | Kind::Object
        | Kind::Parameter
        | Kind::Volume => Risk::Safe,
        Kind::LoadBalancer if !matches!(change.field.as_str(), "subnets" | "groups") => Risk::Safe,
        _ => Risk::Disruptive,
    }
}

fn shorter(change: &Difference) -> bool {
    let days = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
    days(&change.to) < days(&change.from)
}

/// Of deleting it; `idle` if it never served: it failed, or is a second one that nothing names.
pub(super) const fn of_delete(kind: Kind, idle: bool) -> Risk {
    match kind {
        _ if idle => Risk::Safe,
        Kind::Route
        | Kind::RouteTableAssociation
        | Kind::SecurityGroupRule
        | Kind::NetworkAclEntry
        | Kind::NetworkAclAssociation
        | Kind::GatewayEndpoint
        | Kind::FlowLog
        | Kind::ListenerRule
        | Kind::TargetRegistration => Risk::Disruptive,
        _ => Risk::Destructive,
    }
}
