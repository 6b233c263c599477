//! Routes, by their table and destination: `rtb-1/0.0.0.0/0`.
//!
//! Told are only routes that somebody set and can take away: not `local` ones, not those of prefix lists (gateway
//! endpoints), not those that a VPN gateway propagates. A route whose target is gone leads to nothing.

use aws_sdk_ec2::types::{self, RouteOrigin, RouteState};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::resolve;
use super::route_table::{self, DESCRIBE};
use super::tagged::{differs, untagged};
use super::verbs::not_yet;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Reference, Resource, Route, RouteTarget, Spec};

const CREATE: &str = "ec2:CreateRoute";
const REPLACE: &str = "ec2:ReplaceRoute";
const DELETE: &str = "ec2:DeleteRoute";

/// What a route leads to whose target is gone.
const BLACKHOLE: &str = "blackhole";

/// The routes of a table; none if the table has no id.
pub(super) fn seen(table: &types::RouteTable) -> Option<Vec<Found>> {
    let id = table.route_table_id()?;
    let own = |route: &types::Route| {
        let destination = destination(route)?.to_owned();
        let target = target(route)?;
        let name = compose(id, &destination);
        let spec = Route { table: Reference::Id(id.to_owned()), destination, target };
        Some(untagged(name, Spec::Route(spec), Condition::Ready))
    };
    Some(table.routes().iter().filter_map(own).collect())
}

fn destination(route: &types::Route) -> Option<&str> {
    route.destination_cidr_block().or(route.destination_ipv6_cidr_block())
}

/// Where it leads; none for routes that are not told.
fn target(route: &types::Route) -> Option<RouteTarget> {
    let local = route.gateway_id() == Some("local") || route.origin() == Some(&RouteOrigin::CreateRouteTable);
    if local || route.origin() == Some(&RouteOrigin::EnableVgwRoutePropagation) {
        return None;
    }
    if route.state() == Some(&RouteState::Blackhole) {
        return Some(RouteTarget::Other(BLACKHOLE.to_owned()));
    }
    let id = |id: &str| Reference::Id(id.to_owned());
    if let Some(gateway) = route.gateway_id().filter(|gateway| gateway.starts_with("igw-")) {
        return Some(RouteTarget::InternetGateway(id(gateway)));
    }
    if let Some(gateway) = route.nat_gateway_id() {
        return Some(RouteTarget::NatGateway(id(gateway)));
    }
    let others = [
        route.gateway_id(),
        route.instance_id(),
        route.network_interface_id(),
        route.vpc_peering_connection_id(),
        route.transit_gateway_id(),
        route.egress_only_internet_gateway_id(),
        route.local_gateway_id(),
        route.carrier_gateway_id(),
        route.core_network_arn(),
        route.odb_network_arn(),
    ];
    // Without any target at all it leads to nothing, whatever its state says.
    Some(RouteTarget::Other(others.into_iter().flatten().next().unwrap_or(BLACKHOLE).to_owned()))
}

fn compose(table: &str, destination: &str) -> String {
    format!("{table}/{destination}")
}

/// The table and the destination of an id.
fn parts<'a>(action: &str, id: &'a str) -> Result<(&'a str, &'a str), Failure> {
    id.split_once('/').ok_or_else(|| Failure {
        action: action.to_owned(),
        code: "unreadable id".to_owned(),
        message: format!("{id} is not the id of a route"),
        class: Class::Invalid,
    })
}

/// A destination in the parameter of its family: first IPv4, second IPv6.
fn families(destination: &str) -> (Option<String>, Option<String>) {
    if destination.contains(':') { (None, Some(destination.to_owned())) } else { (Some(destination.to_owned()), None) }
}

/// A target in the parameter of its kind: first gateway, second NAT gateway.
fn targets(action: &str, target: &RouteTarget, ids: &Ids) -> Result<(Option<String>, Option<String>), Failure> {
    match target {
        RouteTarget::InternetGateway(gateway) => Ok((Some(resolve(action, gateway, ids)?.to_owned()), None)),
        RouteTarget::NatGateway(gateway) => Ok((None, Some(resolve(action, gateway, ids)?.to_owned()))),
        RouteTarget::Other(id) => Err(Failure {
            action: action.to_owned(),
            code: "unknown target".to_owned(),
            message: format!("routes to {id} are never made"),
            class: Class::Invalid,
        }),
    }
}

pub(super) async fn create(
    clients: &Clients,
    _resource: &Resource,
    spec: &Route,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let table = resolve(CREATE, &spec.table, ids)?;
    let (gateway, nat_gateway) = targets(CREATE, &spec.target, ids)?;
    let (v4, v6) = families(&spec.destination);
    let call = clients
        .ec2
        .create_route()
        .route_table_id(table)
        .set_destination_cidr_block(v4)
        .set_destination_ipv6_cidr_block(v6)
        .set_gateway_id(gateway)
        .set_nat_gateway_id(nat_gateway)
        .send();
    clients.call(CREATE, Effect::Create, call).await?;
    Ok(compose(table, &spec.destination))
}

pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &Route,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let id = compose(resolve(DESCRIBE, &spec.table, ids)?, &spec.destination);
    Ok(if is_there(clients, &id).await? { vec![id] } else { Vec::new() })
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    _resource: &Resource,
    spec: &Route,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    let (table, destination) = parts(REPLACE, id)?;
    // One that was found in place of a new one may lead anywhere: the table is ours, so it is put right.
    if !differs(changes, "target") && (changes.is_some() || leads_to(clients, id, spec, ids).await?) {
        return Ok(());
    }
    let (gateway, nat_gateway) = targets(REPLACE, &spec.target, ids)?;
    let (v4, v6) = families(destination);
    let call = clients
        .ec2
        .replace_route()
        .route_table_id(table)
        .set_destination_cidr_block(v4)
        .set_destination_ipv6_cidr_block(v6)
        .set_gateway_id(gateway)
        .set_nat_gateway_id(nat_gateway)
        .send();
    clients.call(REPLACE, Effect::Idempotent, call).await.map(drop)
}

async fn is_there(clients: &Clients, id: &str) -> Result<bool, Failure> {
    let (table, wanted) = parts(DESCRIBE, id)?;
    let table = route_table::by_id(clients, table).await?;
    Ok(table.is_some_and(|table| table.routes().iter().any(|route| destination(route) == Some(wanted))))
}

/// Whether a route leads to where it shall.
async fn leads_to(clients: &Clients, id: &str, spec: &Route, ids: &Ids) -> Result<bool, Failure> {
    let (table, wanted) = parts(DESCRIBE, id)?;
    let (gateway, nat_gateway) = targets(DESCRIBE, &spec.target, ids)?;
    let table = route_table::by_id(clients, table).await?.ok_or_else(|| not_yet(DESCRIBE, id))?;
    let route = table.routes().iter().find(|route| destination(route) == Some(wanted));
    let same = |route: &types::Route| match target(route) {
        Some(RouteTarget::InternetGateway(id)) => gateway == Some(id.to_string()),
        Some(RouteTarget::NatGateway(id)) => nat_gateway == Some(id.to_string()),
        Some(RouteTarget::Other(_)) | None => false,
    };
    Ok(route.is_some_and(same))
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(if is_there(clients, id).await? { Condition::Ready } else { Condition::Gone })
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let (table, destination) = parts(DELETE, id)?;
    let (v4, v6) = families(destination);
    let call = clients
        .ec2
        .delete_route()
        .route_table_id(table)
        .set_destination_cidr_block(v4)
        .set_destination_ipv6_cidr_block(v6)
        .send();
    clients.call(DELETE, Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> types::builders::RouteBuilder {
        types::Route::builder().destination_cidr_block("0.0.0.0/0").state(RouteState::Active)
    }

    fn check(route: types::builders::RouteBuilder, expected: Option<(&str, RouteTarget)>) {
        let table = types::RouteTable::builder().route_table_id("rtb-1").routes(route.build()).build();
        let expected: Vec<Found> = expected
            .into_iter()
            .map(|(destination, target)| {
                let table = Reference::Id("rtb-1".to_owned());
                let spec = Spec::Route(Route { table, destination: destination.to_owned(), target });
                untagged(format!("rtb-1/{destination}"), spec, Condition::Ready)
            })
            .collect();
        assert_eq!(seen(&table).unwrap(), expected);
    }

    #[test]
    fn routes_are_told_by_their_target() {
        let id = |id: &str| Reference::Id(id.to_owned());
        let other = |id: &str| RouteTarget::Other(id.to_owned());
        let all = "0.0.0.0/0";
        check(route().gateway_id("igw-1"), Some((all, RouteTarget::InternetGateway(id("igw-1")))));
        check(route().nat_gateway_id("nat-1"), Some((all, RouteTarget::NatGateway(id("nat-1")))));
        check(route().nat_gateway_id("nat-1").state(RouteState::Blackhole), Some((all, other("blackhole"))));
        check(route().gateway_id("vgw-1"), Some((all, other("vgw-1"))));
        check(route().instance_id("i-1").network_interface_id("eni-1"), Some((all, other("i-1"))));
        check(route().transit_gateway_id("tgw-1"), Some((all, other("tgw-1"))));
        check(route(), Some((all, other("blackhole"))));
        let v6 = types::Route::builder().destination_ipv6_cidr_block("::/0").gateway_id("igw-1");
        check(v6, Some(("::/0", RouteTarget::InternetGateway(id("igw-1")))));
    }

    #[test]
    fn routes_that_nobody_set_are_not_told() {
        check(route().gateway_id("local"), None);
        check(route().origin(RouteOrigin::CreateRouteTable), None);
        check(route().gateway_id("vgw-1").origin(RouteOrigin::EnableVgwRoutePropagation), None);
        check(types::Route::builder().destination_prefix_list_id("pl-1").gateway_id("vpce-1"), None);
    }

    #[test]
    fn ids_are_taken_apart_at_the_first_slash() {
        assert_eq!(parts(DELETE, "rtb-1/0.0.0.0/0"), Ok(("rtb-1", "0.0.0.0/0")));
        assert_eq!(parts(DELETE, "rtb-1").unwrap_err().class, Class::Invalid);
        assert_eq!(families("::/0"), (None, Some("::/0".to_owned())));
        assert_eq!(families("0.0.0.0/0"), (Some("0.0.0.0/0".to_owned()), None));
    }
}
