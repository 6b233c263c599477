//! Network ACLs. Their entries and associations are resources of their own, told with them in one look.
//!
//! A list that still filters a subnet cannot be deleted: the association goes first, back to the network's default
//! list. Default lists are never touched.

use aws_sdk_ec2::types::{Filter, NetworkAcl as Answer, ResourceType};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{filter, incomplete, of_cluster, resolve, tag_specification};
use super::pages::translate;
use super::scope::Scope;
use super::tagged::{found, mend_tags, of_resource};
use super::verbs::{if_there, there};
use super::{network_acl_association, network_acl_entry};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{NetworkAcl, Reference, Resource, Spec};

const CREATE: &str = "ec2:CreateNetworkAcl";
const DELETE: &str = "ec2:DeleteNetworkAcl";
pub(super) const DESCRIBE: &str = "ec2:DescribeNetworkAcls";

/// The cluster's lists with all their entries, and the association of each of the cluster's subnets.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let lists = describe(clients, &[of_cluster(scope.cluster)]).await?;
    let mut all = translate(DESCRIBE, &lists, seen)?;
    all.extend(lists.iter().flat_map(network_acl_entry::of_list));
    all.extend(network_acl_association::of(clients, &scope.subnet_ids(clients).await?).await?);
    Ok(all)
}

/// Lists with their entries and associations.
pub(super) async fn describe(clients: &Clients, filters: &[Filter]) -> Result<Vec<Answer>, Failure> {
    let page =
        |token| clients.ec2.describe_network_acls().set_filters(Some(filters.to_vec())).set_next_token(token).send();
    clients.pages(DESCRIBE, page, |answer| (answer.network_acls, answer.next_token)).await
}

/// One list, if it is there.
pub(super) async fn by_id(clients: &Clients, id: &str) -> Result<Option<Answer>, Failure> {
    let call = || clients.ec2.describe_network_acls().network_acl_ids(id).send();
    let answer = if_there(clients.read(DESCRIBE, call).await)?;
    Ok(answer.and_then(|answer| answer.network_acls.unwrap_or_default().into_iter().next()))
}

fn seen(acl: &Answer) -> Option<Found> {
    let spec = NetworkAcl { vpc: Reference::Id(acl.vpc_id()?.to_owned()) };
    Some(found(acl.network_acl_id()?, acl.tags(), Spec::NetworkAcl(spec), Condition::Ready))
}

/// Makes it. The client token protects a repeated call on AWS, but not on everything that speaks its protocol.
pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &NetworkAcl,
    ids: &Ids,
    token: &str,
) -> Result<String, Failure> {
    let call = clients
        .ec2
        .create_network_acl()
        .vpc_id(resolve(CREATE, &spec.vpc, ids)?)
        .client_token(token)
        .tag_specifications(tag_specification(ResourceType::NetworkAcl, resource));
    let answer = clients.call(CREATE, Effect::Create, call.send()).await?;
    let acl = answer.network_acl.and_then(|acl| acl.network_acl_id);
    acl.ok_or_else(|| incomplete(CREATE, "list id", Class::Unknown))
}

/// By tags inside its network.
pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    spec: &NetworkAcl,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let mut filters = of_resource(resource);
    filters.push(filter("vpc-id", resolve(DESCRIBE, &spec.vpc, ids)?));
    Ok(describe(clients, &filters).await?.into_iter().filter_map(|acl| acl.network_acl_id).collect())
}

/// Sets tags; nothing else can differ.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    _spec: &NetworkAcl,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    mend_tags(clients, id, resource, changes).await
}

/// Ready as soon as it is there.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(there(by_id(clients, id).await?))
}

/// Deletes it with its entries.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.ec2.delete_network_acl().network_acl_id(id);
    clients.call(DELETE, Effect::Idempotent, call.send()).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Tag;

    use super::*;

    #[test]
    fn lists_are_told_as_they_are() {
        let name = Tag::builder().key("Name").value("kvstore-dev-acl-public").build();
        let own = Tag::builder().key("aws:cloudformation:stack-name").value("x").build();
        let acl = Answer::builder().network_acl_id("acl-1").vpc_id("vpc-1").tags(name).tags(own).build();
        let found = seen(&acl).unwrap();
        assert_eq!((found.id.as_str(), found.name.as_str()), ("acl-1", "kvstore-dev-acl-public"));
        assert_eq!(found.tags.len(), 1, "the cloud's own tags are left out");
        assert_eq!(found.spec, Spec::NetworkAcl(NetworkAcl { vpc: Reference::Id("vpc-1".to_owned()) }));
    }
}
