//! NAT gateways: minutes in the making, minutes in going, and listed for an hour after they are gone.
//!
//! A deleted one is never told. A failed one is, with the cloud's reason: it never mends by itself.

use aws_sdk_ec2::types::{self, ConnectivityType, Filter, NatGatewayState, ResourceType};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, of_cluster, resolve, tag_specification};
use super::pages::{none_if_gone, translate};
use super::scope::Scope;
use super::tagged::{found, mend_tags, of_resource};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{NatGateway, Reference, Resource, Spec};

const DESCRIBE: &str = "ec2:DescribeNatGateways";
const CREATE: &str = "ec2:CreateNatGateway";

pub(super) async fn list(clients: &Clients, filters: &[Filter]) -> Result<Vec<types::NatGateway>, Failure> {
    let page =
        |token| clients.ec2.describe_nat_gateways().set_filter(Some(filters.to_vec())).set_next_token(token).send();
    let all = clients.pages(DESCRIBE, page, |answer| (answer.nat_gateways, answer.next_token)).await?;
    Ok(all.into_iter().filter(|gateway| gateway.state() != Some(&NatGatewayState::Deleted)).collect())
}

pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    translate(DESCRIBE, &list(clients, &[of_cluster(scope.cluster)]).await?, seen)
}

fn seen(gateway: &types::NatGateway) -> Option<Found> {
    let addresses = gateway.nat_gateway_addresses();
    let first = addresses.iter().find(|address| address.is_primary() == Some(true)).or(addresses.first());
    // One that failed or is going may have lost its address.
    let address = first.and_then(|address| address.allocation_id()).unwrap_or_default();
    let spec = NatGateway {
        subnet: Reference::Id(gateway.subnet_id()?.to_owned()),
        address: Reference::Id(address.to_owned()),
    };
    Some(found(gateway.nat_gateway_id()?, gateway.tags(), Spec::NatGateway(spec), standing(gateway)))
}

fn standing(gateway: &types::NatGateway) -> Condition {
    match gateway.state().map_or("unknown", NatGatewayState::as_str) {
        "available" => Condition::Ready,
        "deleting" => Condition::Deleting { state: "deleting".to_owned() },
        "deleted" => Condition::Gone,
        "failed" => Condition::Failed { reason: why(gateway) },
        state => Condition::Pending { state: state.to_owned() },
    }
}

fn why(gateway: &types::NatGateway) -> String {
    match (gateway.failure_code(), gateway.failure_message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => "failed without a reason".to_owned(),
    }
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &NatGateway,
    ids: &Ids,
    token: &str,
) -> Result<String, Failure> {
    refuse_while_predecessor_goes(clients, resource, resolve(CREATE, &spec.address, ids)?).await?;
    let call = clients
        .ec2
        .create_nat_gateway()
        .connectivity_type(ConnectivityType::Public)
        .subnet_id(resolve(CREATE, &spec.subnet, ids)?)
        .allocation_id(resolve(CREATE, &spec.address, ids)?)
        .client_token(token)
        .tag_specifications(tag_specification(ResourceType::Natgateway, resource))
        .send();
    let answer = clients.call(CREATE, Effect::Create, call).await?;
    let id = answer.nat_gateway.and_then(|gateway| gateway.nat_gateway_id);
    id.ok_or_else(|| incomplete(CREATE, "nat gateway id", Class::Unknown))
}

/// An address stays with a gateway until that is gone. AWS takes the call all the same, and the new gateway fails
/// after a while.
async fn refuse_while_predecessor_goes(clients: &Clients, resource: &Resource, address: &str) -> Result<(), Failure> {
    let gateways = list(clients, &of_resource(resource)).await?;
    match gateways.iter().find(|gateway| keeps(gateway, address)) {
        None => Ok(()),
        Some(gateway) => Err(Failure {
            action: CREATE.to_owned(),
            code: "address in use".to_owned(),
            message: format!("{address} is still with {}", gateway.nat_gateway_id().unwrap_or("another gateway")),
            class: Class::InUse,
        }),
    }
}

/// Whether a gateway is on its way out and still has an address.
fn keeps(gateway: &types::NatGateway, address: &str) -> bool {
    gateway.state() == Some(&NatGatewayState::Deleting)
        && gateway.nat_gateway_addresses().iter().any(|one| one.allocation_id() == Some(address))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    spec: &NatGateway,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let subnet = resolve(DESCRIBE, &spec.subnet, ids)?;
    let gateways = list(clients, &of_resource(resource)).await?;
    // One that is going, or that stands elsewhere, is not what was just made.
    let same = |gateway: &types::NatGateway| {
        gateway.subnet_id() == Some(subnet) && gateway.state() != Some(&NatGatewayState::Deleting)
    };
    Ok(gateways.into_iter().filter(same).filter_map(|gateway| gateway.nat_gateway_id).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    _spec: &NatGateway,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let page = |token| clients.ec2.describe_nat_gateways().nat_gateway_ids(id).set_next_token(token).send();
    let all = none_if_gone(clients.pages(DESCRIBE, page, |answer| (answer.nat_gateways, answer.next_token)).await)?;
    Ok(all.first().map_or(Condition::Gone, standing))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.delete_nat_gateway().nat_gateway_id(id).send();
    clients.call("ec2:DeleteNatGateway", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(state: &str) -> types::builders::NatGatewayBuilder {
        types::NatGateway::builder().nat_gateway_id("nat-1").subnet_id("subnet-1").state(state.into())
    }

    #[test]
    fn states_are_conditions() {
        let text = |text: &str| text.to_owned();
        let failed = gateway("failed").failure_code("Gateway.NotAttached").failure_message("no gateway");
        for (gateway, condition) in [
            (gateway("pending"), Condition::Pending { state: text("pending") }),
            (gateway("available"), Condition::Ready),
            (gateway("deleting"), Condition::Deleting { state: text("deleting") }),
            (gateway("deleted"), Condition::Gone),
            (failed, Condition::Failed { reason: text("Gateway.NotAttached: no gateway") }),
            (gateway("failed"), Condition::Failed { reason: text("failed without a reason") }),
            (gateway("resting"), Condition::Pending { state: text("resting") }),
        ] {
            assert_eq!(standing(&gateway.build()), condition);
        }
    }

    #[test]
    fn a_gateway_that_goes_keeps_its_address() {
        let address = types::NatGatewayAddress::builder().allocation_id("eipalloc-1").build();
        for (state, asked, keeps_it) in [
            ("deleting", "eipalloc-1", true),
            ("deleting", "eipalloc-2", false),
            ("available", "eipalloc-1", false),
            ("failed", "eipalloc-1", false),
        ] {
            let gateway = gateway(state).nat_gateway_addresses(address.clone()).build();
            assert_eq!(keeps(&gateway, asked), keeps_it, "{state} {asked}");
        }
    }

    #[test]
    fn the_primary_address_counts() {
        let address = |id: &str, primary: Option<bool>| {
            types::NatGatewayAddress::builder().allocation_id(id).set_is_primary(primary).build()
        };
        for (addresses, expected) in [
            (vec![address("eipalloc-1", None)], "eipalloc-1"),
            (vec![address("eipalloc-1", Some(false)), address("eipalloc-2", Some(true))], "eipalloc-2"),
            (vec![], ""),
        ] {
            let found = seen(&gateway("available").set_nat_gateway_addresses(Some(addresses)).build()).unwrap();
            let (subnet, address) = (Reference::Id("subnet-1".to_owned()), Reference::Id(expected.to_owned()));
            assert_eq!(found.spec, Spec::NatGateway(NatGateway { subnet, address }));
        }
    }
}
