//! Fixed public addresses, by their allocation ids.
//!
//! Who uses an address is not part of it. While a NAT gateway that used it is going, releasing it is refused as a
//! matter of permission; `failure` knows that it is none.

use aws_sdk_ec2::types::{self, DomainType, Filter, ResourceType};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, of_cluster, tag_specification};
use super::pages::none_if_gone;
use super::scope::Scope;
use super::tagged::{found, mend_tags, of_resource};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{ElasticIp, Resource, Spec};

const DESCRIBE: &str = "ec2:DescribeAddresses";

/// The only list of EC2 that has no pages.
async fn list(clients: &Clients, filters: &[Filter]) -> Result<Vec<types::Address>, Failure> {
    let call = || clients.ec2.describe_addresses().set_filters(Some(filters.to_vec())).send();
    Ok(clients.read(DESCRIBE, call).await?.addresses.unwrap_or_default())
}

pub(super) async fn by_id(clients: &Clients, id: &str) -> Result<Option<types::Address>, Failure> {
    let answer = clients.read(DESCRIBE, || clients.ec2.describe_addresses().allocation_ids(id).send()).await;
    Ok(none_if_gone(answer.map(|answer| answer.addresses.unwrap_or_default()))?.pop())
}

pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    super::pages::translate(DESCRIBE, &list(clients, &[of_cluster(scope.cluster)]).await?, seen)
}

fn seen(address: &types::Address) -> Option<Found> {
    Some(found(address.allocation_id()?, address.tags(), Spec::ElasticIp(ElasticIp {}), Condition::Ready))
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    _spec: &ElasticIp,
    _ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let action = "ec2:AllocateAddress";
    let tags = tag_specification(ResourceType::ElasticIp, resource);
    let call = clients.ec2.allocate_address().domain(DomainType::Vpc).tag_specifications(tags).send();
    let answer = clients.call(action, Effect::Create, call).await?;
    answer.allocation_id.ok_or_else(|| incomplete(action, "allocation id", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &ElasticIp,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let addresses = list(clients, &of_resource(resource)).await?;
    Ok(addresses.into_iter().filter_map(|address| address.allocation_id).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    _spec: &ElasticIp,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(by_id(clients, id).await?.map_or(Condition::Gone, |_| Condition::Ready))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.release_address().allocation_id(id).send();
    clients.call("ec2:ReleaseAddress", Effect::Idempotent, call).await.map(drop)
}
