//! Subnets.
//!
//! Whether instances get public addresses by themselves is an attribute that a new subnet has off.

use aws_sdk_ec2::types::{self, AttributeBooleanValue, Filter, ResourceType};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, resolve, tag_specification};
use super::pages::{none_if_gone, translate};
use super::scope::Scope;
use super::tagged::{differs, found, mend_tags, of_resource};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Reference, Resource, Spec, Subnet};

const DESCRIBE: &str = "ec2:DescribeSubnets";
const CREATE: &str = "ec2:CreateSubnet";

pub(super) async fn list(clients: &Clients, filters: &[Filter]) -> Result<Vec<types::Subnet>, Failure> {
    let page = |token| clients.ec2.describe_subnets().set_filters(Some(filters.to_vec())).set_next_token(token).send();
    clients.pages(DESCRIBE, page, |answer| (answer.subnets, answer.next_token)).await
}

pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    translate(DESCRIBE, scope.subnets(clients).await?, seen)
}

fn seen(subnet: &types::Subnet) -> Option<Found> {
    let spec = Subnet {
        vpc: Reference::Id(subnet.vpc_id()?.to_owned()),
        cidr: subnet.cidr_block()?.parse().ok()?,
        zone: subnet.availability_zone()?.to_owned(),
        public_addresses: subnet.map_public_ip_on_launch()?,
    };
    Some(found(subnet.subnet_id()?, subnet.tags(), Spec::Subnet(spec), standing(subnet)))
}

fn standing(subnet: &types::Subnet) -> Condition {
    match subnet.state().map_or("unknown", types::SubnetState::as_str) {
        "available" => Condition::Ready,
        state if state.starts_with("failed") => Condition::Failed { reason: state.to_owned() },
        state => Condition::Pending { state: state.to_owned() },
    }
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &Subnet,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let call = clients
        .ec2
        .create_subnet()
        .vpc_id(resolve(CREATE, &spec.vpc, ids)?)
        .cidr_block(spec.cidr.to_string())
        .availability_zone(&spec.zone)
        .tag_specifications(tag_specification(ResourceType::Subnet, resource))
        .send();
    let answer = clients.call(CREATE, Effect::Create, call).await?;
    let id = answer.subnet.and_then(|subnet| subnet.subnet_id);
    id.ok_or_else(|| incomplete(CREATE, "subnet id", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    spec: &Subnet,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let vpc = resolve(DESCRIBE, &spec.vpc, ids)?;
    let subnets = list(clients, &of_resource(resource)).await?;
    // One with the same tags elsewhere is about to be replaced.
    let same = |subnet: &types::Subnet| {
        subnet.vpc_id() == Some(vpc) && subnet.cidr_block().and_then(|cidr| cidr.parse().ok()) == Some(spec.cidr)
    };
    Ok(subnets.into_iter().filter(same).filter_map(|subnet| subnet.subnet_id).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &Subnet,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    let of_new = changes.is_none() && spec.public_addresses;
    if of_new || differs(changes, "public addresses") {
        let value = AttributeBooleanValue::builder().value(spec.public_addresses).build();
        let call = clients.ec2.modify_subnet_attribute().subnet_id(id).map_public_ip_on_launch(value).send();
        clients.call("ec2:ModifySubnetAttribute", Effect::Idempotent, call).await?;
    }
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let page = |token| clients.ec2.describe_subnets().subnet_ids(id).set_next_token(token).send();
    let subnets = none_if_gone(clients.pages(DESCRIBE, page, |answer| (answer.subnets, answer.next_token)).await)?;
    Ok(subnets.first().map_or(Condition::Gone, standing))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.delete_subnet().subnet_id(id).send();
    clients.call("ec2:DeleteSubnet", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(state: &str) -> types::Subnet {
        types::Subnet::builder()
            .subnet_id("subnet-1")
            .vpc_id("vpc-1")
            .cidr_block("10.0.96.0/19")
            .availability_zone("us-east-1a")
            .map_public_ip_on_launch(true)
            .state(state.into())
            .build()
    }

    #[test]
    fn a_subnet_is_told_in_full() {
        let found = seen(&subnet("available")).unwrap();
        let vpc = Reference::Id("vpc-1".to_owned());
        let cidr = "10.0.96.0/19".parse().unwrap();
        let spec = Subnet { vpc, cidr, zone: "us-east-1a".to_owned(), public_addresses: true };
        assert_eq!((found.id.as_str(), found.spec), ("subnet-1", Spec::Subnet(spec)));
    }

    #[test]
    fn states_are_conditions() {
        let failed = |reason: &str| Condition::Failed { reason: reason.to_owned() };
        let pending = |state: &str| Condition::Pending { state: state.to_owned() };
        for (state, condition) in [
            ("available", Condition::Ready),
            ("pending", pending("pending")),
            ("unavailable", pending("unavailable")),
            ("failed", failed("failed")),
            ("failed-insufficient-capacity", failed("failed-insufficient-capacity")),
            ("never heard of", pending("never heard of")),
        ] {
            assert_eq!(standing(&subnet(state)), condition);
        }
    }

    #[test]
    fn half_a_subnet_is_none() {
        assert_eq!(seen(&types::Subnet::builder().subnet_id("subnet-1").build()), None);
    }
}
