//! Gateway endpoints: a route to a service in chosen tables, without NAT.
//!
//! Interface endpoints are never told and never made. The cloud spells the states in several ways (`available`,
//! `Available`); they are compared without case.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{self, Filter, ResourceType, VpcEndpointType};

use super::clients::Clients;
use super::failure::{Effect, classify};
use super::identity::{incomplete, of_cluster, resolve, tag_specification};
use super::pages::{none_if_gone, translate};
use super::scope::Scope;
use super::tagged::{differs, found, mend_tags, of_resource};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{GatewayEndpoint, Reference, Resource, Spec};

const DESCRIBE: &str = "ec2:DescribeVpcEndpoints";
const CREATE: &str = "ec2:CreateVpcEndpoint";
const MODIFY: &str = "ec2:ModifyVpcEndpoint";
const DELETE: &str = "ec2:DeleteVpcEndpoints";

pub(super) async fn list(clients: &Clients, filters: &[Filter]) -> Result<Vec<types::VpcEndpoint>, Failure> {
    let page =
        |token| clients.ec2.describe_vpc_endpoints().set_filters(Some(filters.to_vec())).set_next_token(token).send();
    clients.pages(DESCRIBE, page, |answer| (answer.vpc_endpoints, answer.next_token)).await
}

async fn by_id(clients: &Clients, id: &str) -> Result<Option<types::VpcEndpoint>, Failure> {
    let page = |token| clients.ec2.describe_vpc_endpoints().vpc_endpoint_ids(id).set_next_token(token).send();
    let all = clients.pages(DESCRIBE, page, |answer| (answer.vpc_endpoints, answer.next_token)).await;
    Ok(none_if_gone(all)?.pop())
}

fn is_gateway(endpoint: &types::VpcEndpoint) -> bool {
    endpoint.vpc_endpoint_type() == Some(&VpcEndpointType::Gateway)
}

pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut endpoints = list(clients, &[of_cluster(scope.cluster)]).await?;
    endpoints.retain(|endpoint| is_gateway(endpoint) && standing(endpoint) != Condition::Gone);
    translate(DESCRIBE, &endpoints, seen)
}

fn seen(endpoint: &types::VpcEndpoint) -> Option<Found> {
    let spec = GatewayEndpoint {
        vpc: Reference::Id(endpoint.vpc_id()?.to_owned()),
        service: endpoint.service_name()?.to_owned(),
        tables: endpoint.route_table_ids().iter().cloned().map(Reference::Id).collect(),
    };
    let spec = Spec::GatewayEndpoint(spec);
    Some(found(endpoint.vpc_endpoint_id()?, endpoint.tags(), spec, standing(endpoint)))
}

fn standing(endpoint: &types::VpcEndpoint) -> Condition {
    let state = endpoint.state().map_or("unknown", types::State::as_str).to_ascii_lowercase();
    match state.as_str() {
        "available" => Condition::Ready,
        "deleting" => Condition::Deleting { state },
        "deleted" => Condition::Gone,
        "failed" | "rejected" | "expired" => {
            let reason = endpoint.last_error().and_then(|error| error.message()).or(endpoint.failure_reason());
            Condition::Failed { reason: reason.map_or(state, str::to_owned) }
        }
        _ => Condition::Pending { state },
    }
}

fn tables(action: &str, spec: &GatewayEndpoint, ids: &Ids) -> Result<BTreeSet<String>, Failure> {
    spec.tables.iter().map(|table| resolve(action, table, ids).map(str::to_owned)).collect()
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &GatewayEndpoint,
    ids: &Ids,
    token: &str,
) -> Result<String, Failure> {
    let call = clients
        .ec2
        .create_vpc_endpoint()
        .vpc_endpoint_type(VpcEndpointType::Gateway)
        .vpc_id(resolve(CREATE, &spec.vpc, ids)?)
        .service_name(&spec.service)
        .set_route_table_ids(Some(tables(CREATE, spec, ids)?.into_iter().collect()))
        .client_token(token)
        .tag_specifications(tag_specification(ResourceType::VpcEndpoint, resource))
        .send();
    let answer = clients.call(CREATE, Effect::Create, call).await?;
    let id = answer.vpc_endpoint.and_then(|endpoint| endpoint.vpc_endpoint_id);
    id.ok_or_else(|| incomplete(CREATE, "endpoint id", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    spec: &GatewayEndpoint,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let vpc = resolve(DESCRIBE, &spec.vpc, ids)?;
    let endpoints = list(clients, &of_resource(resource)).await?;
    // One that is going, or of another network, is not what was just made.
    let same = |endpoint: &types::VpcEndpoint| {
        is_gateway(endpoint)
            && endpoint.vpc_id() == Some(vpc)
            && !matches!(standing(endpoint), Condition::Gone | Condition::Deleting { .. })
    };
    Ok(endpoints.into_iter().filter(same).filter_map(|endpoint| endpoint.vpc_endpoint_id).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &GatewayEndpoint,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    if differs(changes, "tables") {
        mend_tables(clients, id, &tables(MODIFY, spec, ids)?).await?;
    }
    mend_tags(clients, id, resource, changes).await
}

async fn mend_tables(clients: &Clients, id: &str, wanted: &BTreeSet<String>) -> Result<(), Failure> {
    let endpoint = by_id(clients, id).await?.ok_or_else(|| incomplete(MODIFY, "such endpoint", Class::Gone))?;
    let now: BTreeSet<String> = endpoint.route_table_ids().iter().cloned().collect();
    if now == *wanted {
        return Ok(());
    }
    let some = |tables: Vec<String>| Some(tables).filter(|tables| !tables.is_empty());
    let call = clients
        .ec2
        .modify_vpc_endpoint()
        .vpc_endpoint_id(id)
        .set_add_route_table_ids(some(wanted.difference(&now).cloned().collect()))
        .set_remove_route_table_ids(some(now.difference(wanted).cloned().collect()))
        .send();
    clients.call(MODIFY, Effect::Idempotent, call).await.map(drop)
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(by_id(clients, id).await?.as_ref().map_or(Condition::Gone, standing))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.delete_vpc_endpoints().vpc_endpoint_ids(id).send();
    let answer = clients.call(DELETE, Effect::Idempotent, call).await?;
    answer.unsuccessful().first().map_or(Ok(()), |item| Err(refused(item)))
}

/// What went wrong with one endpoint of a call that went well.
fn refused(item: &types::UnsuccessfulItem) -> Failure {
    /// Status of the answer as a whole; the item's code alone tells its class.
    const OK: u16 = 200;
    let error = item.error();
    let code = error.and_then(|error| error.code()).unwrap_or("unknown error").to_owned();
    let message = error.and_then(|error| error.message()).unwrap_or("no message").to_owned();
    let class = classify(&code, &message, OK, Effect::Idempotent);
    Failure { action: DELETE.to_owned(), code, message, class }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(state: &str) -> types::VpcEndpoint {
        types::VpcEndpoint::builder()
            .vpc_endpoint_id("vpce-1")
            .vpc_id("vpc-1")
            .service_name("com.amazonaws.us-east-1.s3")
            .vpc_endpoint_type(VpcEndpointType::Gateway)
            .route_table_ids("rtb-2")
            .route_table_ids("rtb-1")
            .state(state.into())
            .failure_reason("no such service")
            .build()
    }

    #[test]
    fn an_endpoint_is_told_in_full() {
        let id = |id: &str| Reference::Id(id.to_owned());
        let spec = GatewayEndpoint {
            vpc: id("vpc-1"),
            service: "com.amazonaws.us-east-1.s3".to_owned(),
            tables: BTreeSet::from([id("rtb-1"), id("rtb-2")]),
        };
        assert_eq!(seen(&endpoint("available")).unwrap().spec, Spec::GatewayEndpoint(spec));
    }

    #[test]
    fn states_are_conditions_in_any_case() {
        let text = |text: &str| text.to_owned();
        for (state, condition) in [
            ("available", Condition::Ready),
            ("Available", Condition::Ready),
            ("PendingAcceptance", Condition::Pending { state: text("pendingacceptance") }),
            ("Deleting", Condition::Deleting { state: text("deleting") }),
            ("deleted", Condition::Gone),
            ("Failed", Condition::Failed { reason: text("no such service") }),
        ] {
            assert_eq!(standing(&endpoint(state)), condition);
        }
    }

    #[test]
    fn a_refused_item_is_a_failure() {
        for (code, class) in [
            ("InvalidVpcEndpoint.NotFound", Class::Gone),
            ("UnauthorizedOperation", Class::Denied),
            ("RequestLimitExceeded", Class::Throttled),
            ("InvalidParameter", Class::Invalid),
        ] {
            let error = types::UnsuccessfulItemError::builder().code(code).message("no").build();
            let failure = refused(&types::UnsuccessfulItem::builder().resource_id("vpce-1").error(error).build());
            assert_eq!((failure.code.as_str(), failure.class), (code, class));
        }
    }
}
