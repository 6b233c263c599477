//! Which network ACL a subnet uses.
//!
//! Every subnet always has exactly one, if only the network's default list: nothing is ever made or deleted here, only
//! switched. The cloud gives the association a new id at each switch, so it is called by its subnet:
//! `subnet-1/acl`. It counts as gone while the subnet uses the default list.

use aws_sdk_ec2::types::{Filter, NetworkAcl as List};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{filter, incomplete, resolve};
use super::network_acl::{self, DESCRIBE};
use super::tagged::untagged;
use super::verbs::{MAX_FILTER_VALUES, gone, not_yet};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{NetworkAclAssociation, Reference, Resource, Spec};

const REPLACE: &str = "ec2:ReplaceNetworkAclAssociation";
const SUFFIX: &str = "/acl";

/// What a subnet uses now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Current {
    association: String,
    subnet: String,
    acl: String,
    is_default: bool,
    vpc: String,
}

/// The association of each of the cluster's subnets, also those with a default list.
pub(super) async fn of(clients: &Clients, subnets: &[String]) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for some in subnets.chunks(MAX_FILTER_VALUES) {
        all.extend(current(clients, some).await?);
    }
    Ok(all.into_iter().map(found).collect())
}

async fn current(clients: &Clients, subnets: &[String]) -> Result<Vec<Current>, Failure> {
    let filter = Filter::builder().name("association.subnet-id").set_values(Some(subnets.to_vec())).build();
    let lists = network_acl::describe(clients, &[filter]).await?;
    Ok(lists.iter().flat_map(associations).filter(|current| subnets.contains(&current.subnet)).collect())
}

/// All associations of a list; the answer holds also those of subnets that were not asked for.
fn associations(list: &List) -> Vec<Current> {
    let current = |association: &aws_sdk_ec2::types::NetworkAclAssociation| {
        Some(Current {
            association: association.network_acl_association_id()?.to_owned(),
            subnet: association.subnet_id()?.to_owned(),
            acl: list.network_acl_id()?.to_owned(),
            is_default: list.is_default().unwrap_or_default(),
            vpc: list.vpc_id().unwrap_or_default().to_owned(),
        })
    };
    list.associations().iter().filter_map(current).collect()
}

async fn of_subnet(clients: &Clients, subnet: &str) -> Result<Option<Current>, Failure> {
    Ok(current(clients, &[subnet.to_owned()]).await?.into_iter().next())
}

fn found(current: Current) -> Found {
    let id = id_of(&current.subnet);
    let spec = NetworkAclAssociation { acl: Reference::Id(current.acl), subnet: Reference::Id(current.subnet) };
    untagged(id, Spec::NetworkAclAssociation(spec), Condition::Ready)
}

fn id_of(subnet: &str) -> String {
    format!("{subnet}{SUFFIX}")
}

fn subnet_of(id: &str) -> &str {
    id.strip_suffix(SUFFIX).unwrap_or(id)
}

/// Switches the subnet to the wanted list, unless it uses it already.
pub(super) async fn create(
    clients: &Clients,
    _resource: &Resource,
    spec: &NetworkAclAssociation,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    switch(clients, spec, ids).await
}

async fn switch(clients: &Clients, spec: &NetworkAclAssociation, ids: &Ids) -> Result<String, Failure> {
    let (subnet, acl) = (resolve(REPLACE, &spec.subnet, ids)?, resolve(REPLACE, &spec.acl, ids)?);
    let current = of_subnet(clients, subnet).await?.ok_or_else(|| not_yet(DESCRIBE, &id_of(subnet)))?;
    if current.acl != acl {
        replace(clients, &current.association, acl).await?;
    }
    Ok(id_of(subnet))
}

async fn replace(clients: &Clients, association: &str, acl: &str) -> Result<(), Failure> {
    let call = clients.ec2.replace_network_acl_association().association_id(association).network_acl_id(acl);
    clients.call(REPLACE, Effect::Idempotent, call.send()).await.map(|_| ())
}

/// Found only when the subnet uses the wanted list.
pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &NetworkAclAssociation,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let (subnet, acl) = (resolve(DESCRIBE, &spec.subnet, ids)?, resolve(DESCRIBE, &spec.acl, ids)?);
    let current = of_subnet(clients, subnet).await?.filter(|current| current.acl == acl);
    Ok(current.map(|current| id_of(&current.subnet)).into_iter().collect())
}

/// Switches the subnet if it uses another list. After a create it does not.
pub(super) async fn configure(
    clients: &Clients,
    _id: &str,
    _resource: &Resource,
    spec: &NetworkAclAssociation,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    if changes.is_none_or(<[_]>::is_empty) {
        return Ok(());
    }
    switch(clients, spec, ids).await.map(|_| ())
}

/// Ready while the subnet uses a list of its own; gone while it uses the default one.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let current = of_subnet(clients, subnet_of(id)).await?;
    Ok(if current.is_some_and(|current| !current.is_default) { Condition::Ready } else { Condition::Gone })
}

/// Switches the subnet back to its network's default list, which is what a list needs to be deleted.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let current = of_subnet(clients, subnet_of(id)).await?.filter(|current| !current.is_default);
    let current = current.ok_or_else(|| gone(REPLACE, id))?;
    let filters = [filter("vpc-id", current.vpc), filter("default", "true")];
    let default = network_acl::describe(clients, &filters).await?.into_iter().find_map(|acl| acl.network_acl_id);
    let default = default.ok_or_else(|| incomplete(DESCRIBE, "default list", Class::Transient))?;
    replace(clients, &current.association, &default).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::NetworkAclAssociation as Answer;

    use super::*;

    #[test]
    fn associations_are_told_by_subnet() {
        let answer = |id: &str, subnet: &str| {
            Answer::builder().network_acl_association_id(id).network_acl_id("acl-1").subnet_id(subnet).build()
        };
        let list = List::builder()
            .network_acl_id("acl-1")
            .vpc_id("vpc-1")
            .is_default(true)
            .associations(answer("aclassoc-1", "subnet-1"))
            .associations(answer("aclassoc-2", "subnet-2"))
            .associations(Answer::builder().network_acl_association_id("aclassoc-3").build())
            .build();
        let told: Vec<Found> = associations(&list).into_iter().map(found).collect();
        let ids: Vec<&str> = told.iter().map(|found| found.id.as_str()).collect();
        assert_eq!(ids, ["subnet-1/acl", "subnet-2/acl"]);
        assert_eq!(ids.iter().map(|id| subnet_of(id)).collect::<Vec<_>>(), ["subnet-1", "subnet-2"]);
        let (acl, subnet) = (Reference::Id("acl-1".to_owned()), Reference::Id("subnet-1".to_owned()));
        assert_eq!(told[0].spec, Spec::NetworkAclAssociation(NetworkAclAssociation { acl, subnet }));
    }
}
