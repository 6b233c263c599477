//! Who keeps a resource from being deleted, for people: which interface, which group, whose.
//!
//! Asked only when a delete was refused. Whose a holder is follows from its own tag `kvstore:cluster`, from the tag
//! of what it belongs to, or from the name of a load balancer of the cluster (which may be gone while its interfaces
//! linger). Nothing is changed. Other services' resources are `service`'s matter.

mod interface;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{self, Filter};

use super::clients::Clients;
use super::identity::filter;
use super::verbs::MAX_FILTER_VALUES;
use super::{elastic_ip, gateway_endpoint, internet_gateway, route_table, subnet};
use crate::provider::{Class, Failure, Holder};
use crate::resource::{CLUSTER_TAG, Kind};

/// A holder before it is known whose it is.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    id: String,
    what: String,
    state: String,
    /// Ids whose tags say whose it is: what it belongs to.
    owners: Vec<String>,
    /// The name of a load balancer that it belongs to.
    balancer: Option<String>,
}

impl Held {
    fn new(noun: &str, id: Option<&str>, state: &str) -> Self {
        let id = id.unwrap_or("unknown");
        let (owners, balancer) = (Vec::new(), None);
        Self { id: id.to_owned(), what: format!("{noun} {id}"), state: state.to_owned(), owners, balancer }
    }
}

/// Who holds a resource. Empty if nobody is seen to, and for kinds that nothing of EC2 holds.
pub(super) async fn of(clients: &Clients, kind: Kind, id: &str) -> Result<Vec<Holder>, Failure> {
    let held = match kind {
        Kind::SecurityGroup => of_group(clients, id).await?,
        Kind::Subnet => interfaces(clients, "subnet-id", id).await?,
        Kind::Vpc => of_vpc(clients, id).await?,
        Kind::InternetGateway => of_internet_gateway(clients, id).await?,
        Kind::ElasticIp => of_address(clients, id).await?,
        Kind::RouteTable => of_table(clients, id).await?,
        Kind::NetworkAcl => of_acl(clients, id).await?,
        Kind::Volume => of_volume(clients, id).await?,
        _ => return service::of(clients, kind, id).await,
    };
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let clusters = clusters(clients, id, &held).await?;
    Ok(judge(held, clusters.get(id).map(String::as_str), &clusters))
}

/// Says whose each is: ours is what belongs to the cluster of the resource that is held.
fn judge(held: Vec<Held>, cluster: Option<&str>, clusters: &BTreeMap<String, String>) -> Vec<Holder> {
    let of_cluster = |held: &Held| {
        cluster.is_some_and(|cluster| {
            let tagged =
                held.owners.iter().chain([&held.id]).any(|id| clusters.get(id).is_some_and(|of| of == cluster));
            let named = held.balancer.as_ref().and_then(|name| name.strip_prefix(cluster));
            tagged || named.is_some_and(|rest| rest.starts_with('-'))
        })
    };
    let holder = |held: Held| {
        let ours = of_cluster(&held);
        Holder { id: held.id, what: held.what, state: held.state, ours }
    };
    held.into_iter().map(holder).collect()
}

/// The cluster that each of the resources is tagged with. Empty where tags may not be read: then nothing is ours.
async fn clusters(clients: &Clients, id: &str, held: &[Held]) -> Result<BTreeMap<String, String>, Failure> {
    let mut ids: BTreeSet<&str> = BTreeSet::from([id]);
    ids.extend(held.iter().flat_map(|held| held.owners.iter().chain([&held.id])).map(String::as_str));
    let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
    let mut clusters = BTreeMap::new();
    for chunk in ids.chunks(MAX_FILTER_VALUES) {
        let resources = Filter::builder().name("resource-id").set_values(Some(chunk.to_vec())).build();
        let filters = vec![filter("key", CLUSTER_TAG), resources];
        let page = |token| clients.ec2.describe_tags().set_filters(Some(filters.clone())).set_next_token(token).send();
        match clients.pages("ec2:DescribeTags", page, |answer| (answer.tags, answer.next_token)).await {
            Ok(tags) => clusters.extend(tags.into_iter().filter_map(|tag| Some((tag.resource_id?, tag.value?)))),
            Err(failure) if failure.class == Class::Denied => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(clusters)
}

async fn interfaces(clients: &Clients, by: &str, value: &str) -> Result<Vec<Held>, Failure> {
    Ok(interface::list(clients, by, value).await?.iter().map(interface::held).collect())
}

async fn groups(clients: &Clients, by: &str, value: &str) -> Result<Vec<types::SecurityGroup>, Failure> {
    let page = |token| clients.ec2.describe_security_groups().filters(filter(by, value)).set_next_token(token).send();
    clients.pages("ec2:DescribeSecurityGroups", page, |answer| (answer.security_groups, answer.next_token)).await
}

async fn acls(clients: &Clients, by: &str, value: &str) -> Result<Vec<types::NetworkAcl>, Failure> {
    let page = |token| clients.ec2.describe_network_acls().filters(filter(by, value)).set_next_token(token).send();
    clients.pages("ec2:DescribeNetworkAcls", page, |answer| (answer.network_acls, answer.next_token)).await
}

/// Interfaces that carry a group, and other groups whose rules name it.
async fn of_group(clients: &Clients, id: &str) -> Result<Vec<Held>, Failure> {
    let mut held = interfaces(clients, "group-id", id).await?;
    for (by, noun) in [
        ("ip-permission.group-id", "an incoming rule of security group"),
        ("egress.ip-permission.group-id", "an outgoing rule of security group"),
    ] {
        let others = groups(clients, by, id).await?;
        let others = others.iter().filter(|group| group.group_id() != Some(id));
        held.extend(others.map(|group| Held::new(noun, group.group_id(), "refers to it")));
    }
    Ok(held)
}

/// Everything in a network that does not go with it.
async fn of_vpc(clients: &Clients, id: &str) -> Result<Vec<Held>, Failure> {
    let inside = || [filter("vpc-id", id)];
    let mut held = interfaces(clients, "vpc-id", id).await?;
    let gateways = internet_gateway::list(clients, &[filter("attachment.vpc-id", id)]).await?;
    held.extend(gateways.iter().map(|one| Held::new("internet gateway", one.internet_gateway_id(), "attached")));
    let endpoints = gateway_endpoint::list(clients, &inside()).await?;
    held.extend(
        endpoints.iter().map(|one| {
            Held::new("endpoint", one.vpc_endpoint_id(), one.state().map_or("unknown", types::State::as_str))
        }),
    );
    let subnets = subnet::list(clients, &inside()).await?;
    held.extend(subnets.iter().map(|one| Held::new("subnet", one.subnet_id(), "exists")));
    let is_main = |table: &types::RouteTable| table.associations().iter().any(|one| one.main() == Some(true));
    let tables = route_table::list(clients, &inside()).await?;
    let tables = tables.iter().filter(|table| !is_main(table));
    held.extend(tables.map(|one| Held::new("route table", one.route_table_id(), "exists")));
    let acls = acls(clients, "vpc-id", id).await?;
    let acls = acls.iter().filter(|acl| acl.is_default() != Some(true));
    held.extend(acls.map(|one| Held::new("network acl", one.network_acl_id(), "exists")));
    let groups = groups(clients, "vpc-id", id).await?;
    let groups = groups.iter().filter(|group| group.group_name() != Some("default"));
    held.extend(groups.map(|one| Held::new("security group", one.group_id(), "exists")));
    Ok(held)
}

/// Interfaces of its network that have a public address.
async fn of_internet_gateway(clients: &Clients, id: &str) -> Result<Vec<Held>, Failure> {
    let gateways = internet_gateway::list(clients, &[filter("internet-gateway-id", id)]).await?;
    let networks = gateways.iter().flat_map(types::InternetGateway::attachments).filter_map(|one| one.vpc_id());
    let mut held = Vec::new();
    for vpc in networks {
        let interfaces = interface::list(clients, "vpc-id", vpc).await?;
        let public = interfaces.iter().filter(|one| one.association().and_then(|one| one.public_ip()).is_some());
        held.extend(public.map(interface::held));
    }
    Ok(held)
}

/// The interface that uses an address.
async fn of_address(clients: &Clients, id: &str) -> Result<Vec<Held>, Failure> {
    let Some(address) = elastic_ip::by_id(clients, id).await? else { return Ok(Vec::new()) };
    if let Some(interface) = address.network_interface_id().filter(|interface| !interface.is_empty()) {
        let held = interfaces(clients, "network-interface-id", interface).await?;
        if !held.is_empty() {
            return Ok(held);
        }
    }
    let association = address.association_id().filter(|association| !association.is_empty());
    Ok(association.map(|association| Held::new("association", Some(association), "associated")).into_iter().collect())
}

async fn of_table(clients: &Clients, id: &str) -> Result<Vec<Held>, Failure> {
    let table = route_table::by_id(clients, id).await?;
    let associations = table.iter().flat_map(types::RouteTable::associations);
    let used = |one: &types::RouteTableAssociation| {
        let by = one.subnet_id().or(one.gateway_id())?;
        let what = format!("association {} with {by}", one.route_table_association_id()?);
        let held = Held::new("association", one.route_table_association_id(), "associated");
        Some(Held { what, owners: vec![by.to_owned()], ..held })
    };
    Ok(associations.filter_map(used).collect())
}

async fn of_acl(clients: &Clients, id: &str) -> Result<Vec<Held>, Failure> {
    let acls = acls(clients, "network-acl-id", id).await?;
    let used = |one: &types::NetworkAclAssociation| {
        let subnet = one.subnet_id()?;
        let what = format!("association {} with {subnet}", one.network_acl_association_id()?);
        let held = Held::new("association", one.network_acl_association_id(), "associated");
        Some(Held { what, owners: vec![subnet.to_owned()], ..held })
    };
    Ok(acls.iter().flat_map(types::NetworkAcl::associations).filter_map(used).collect())
}

async fn of_volume(clients: &Clients, id: &str) -> Result<Vec<Held>, Failure> {
    let page = |token| clients.ec2.describe_volumes().filters(filter("volume-id", id)).set_next_token(token).send();
    let volumes = clients.pages("ec2:DescribeVolumes", page, |answer| (answer.volumes, answer.next_token)).await?;
    let attachments = volumes.iter().flat_map(types::Volume::attachments);
    let state = |one: &types::VolumeAttachment| one.state().map_or("unknown", |state| state.as_str()).to_owned();
    Ok(attachments.map(|one| Held::new("instance", one.instance_id(), &state(one))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_what_belongs_to_the_cluster_of_what_is_held() {
        let cluster = Some("kvstore-dev");
        for (owner, balancer, cluster, ours) in [
            ("nat-ours", None, cluster, true),
            ("nat-other", None, cluster, false),
            ("nat-untagged", None, cluster, false),
            ("", Some("kvstore-dev-alb"), cluster, true),
            ("", Some("kvstore-dev2-alb"), cluster, false),
            ("", Some("kvstore-dev"), cluster, false),
            ("", Some("shop"), cluster, false),
            ("nat-ours", Some("kvstore-dev-alb"), None, false),
        ] {
            let clusters = [("nat-ours", "kvstore-dev"), ("nat-other", "kvstore-prod")];
            let clusters = clusters.map(|(id, cluster)| (id.to_owned(), cluster.to_owned())).into();
            let held = Held {
                owners: vec![owner.to_owned()],
                balancer: balancer.map(str::to_owned),
                ..Held::new("network interface", Some("eni-1"), "in-use")
            };
            let holders = judge(vec![held], cluster, &clusters);
            assert_eq!(holders[0].ours, ours, "{owner} {balancer:?} {cluster:?}");
        }
    }

    #[test]
    fn its_own_tag_counts_as_well() {
        let clusters = [("subnet-1".to_owned(), "kvstore-dev".to_owned())].into();
        let held =
            vec![Held::new("subnet", Some("subnet-1"), "exists"), Held::new("subnet", Some("subnet-2"), "exists")];
        let holders = judge(held, Some("kvstore-dev"), &clusters);
        let told: Vec<_> = holders.iter().map(|one| (one.what.as_str(), one.ours)).collect();
        assert_eq!(told, [("subnet subnet-1", true), ("subnet subnet-2", false)]);
    }
}
