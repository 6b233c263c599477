//! Route tables, and the one look that tells their routes and associations too.
//!
//! Three kinds stand in one answer: `observe` tells all of them, so that they are of one moment and cost one call.
//! `route` and `route_table_association` next to this file change them.

use aws_sdk_ec2::types::{self, Filter, ResourceType};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, of_cluster, resolve, tag_specification};
use super::pages::{none_if_gone, translate};
use super::scope::Scope;
use super::tagged::{found, mend_tags, of_resource};
use super::{route, route_table_association};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Reference, Resource, RouteTable, Spec};

pub(super) const DESCRIBE: &str = "ec2:DescribeRouteTables";
const CREATE: &str = "ec2:CreateRouteTable";

pub(super) async fn list(clients: &Clients, filters: &[Filter]) -> Result<Vec<types::RouteTable>, Failure> {
    let page =
        |token| clients.ec2.describe_route_tables().set_filters(Some(filters.to_vec())).set_next_token(token).send();
    clients.pages(DESCRIBE, page, |answer| (answer.route_tables, answer.next_token)).await
}

pub(super) async fn by_id(clients: &Clients, id: &str) -> Result<Option<types::RouteTable>, Failure> {
    let page = |token| clients.ec2.describe_route_tables().route_table_ids(id).set_next_token(token).send();
    let all = clients.pages(DESCRIBE, page, |answer| (answer.route_tables, answer.next_token)).await;
    Ok(none_if_gone(all)?.pop())
}

/// The cluster's tables with their routes, and which table, ours or not, each of the cluster's subnets uses.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let tables = list(clients, &[of_cluster(scope.cluster)]).await?;
    let mut all = translate(DESCRIBE, &tables, seen)?;
    for table in &tables {
        all.extend(route::seen(table).ok_or_else(|| incomplete(DESCRIBE, "readable route", Class::Transient))?);
    }
    let subnets = scope.subnet_ids(clients).await?;
    // A subnet of ours may have been given to a table that is not ours.
    all.extend(route_table_association::of(clients, &tables, &subnets).await?);
    Ok(all)
}

fn seen(table: &types::RouteTable) -> Option<Found> {
    let spec = RouteTable { vpc: Reference::Id(table.vpc_id()?.to_owned()) };
    Some(found(table.route_table_id()?, table.tags(), Spec::RouteTable(spec), Condition::Ready))
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &RouteTable,
    ids: &Ids,
    token: &str,
) -> Result<String, Failure> {
    let call = clients
        .ec2
        .create_route_table()
        .vpc_id(resolve(CREATE, &spec.vpc, ids)?)
        .client_token(token)
        .tag_specifications(tag_specification(ResourceType::RouteTable, resource))
        .send();
    let answer = clients.call(CREATE, Effect::Create, call).await?;
    let id = answer.route_table.and_then(|table| table.route_table_id);
    id.ok_or_else(|| incomplete(CREATE, "route table id", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    spec: &RouteTable,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let vpc = resolve(DESCRIBE, &spec.vpc, ids)?;
    let tables = list(clients, &of_resource(resource)).await?;
    // One of another network, with the same tags, is a duplicate's.
    let same = |table: &types::RouteTable| table.vpc_id() == Some(vpc);
    Ok(tables.into_iter().filter(same).filter_map(|table| table.route_table_id).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    _spec: &RouteTable,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(by_id(clients, id).await?.map_or(Condition::Gone, |_| Condition::Ready))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.delete_route_table().route_table_id(id).send();
    clients.call("ec2:DeleteRouteTable", Effect::Idempotent, call).await.map(drop)
}
