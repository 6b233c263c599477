//! Whether an observation can be true: nothing is inside something that is not there.
//!
//! Lists are told by many servers, and one may lag behind another: a network that is missing from its list while its
//! subnets are told is not gone, and a plan made from such a view would make everything anew. What is named and was
//! not seen is therefore asked for by its id. Nothing here decides how often to look, and nothing is changed.

use std::collections::BTreeSet;

use super::clients::Clients;
use super::identity::filter;
use super::verbs::MAX_FILTER_VALUES;
use super::vpc;
use crate::observed::{Condition, Found, Unseen};
use crate::plan::translate::translate;
use crate::provider::{Class, Failure};
use crate::resource::{CLUSTER_TAG, Kind, Spec};

/// Something that exists and was not told.
pub(super) type Hidden = (Kind, String);

/// What must exist because something is inside it or uses it, and was not told.
///
/// # Errors
/// It could not be asked for.
pub(super) async fn hidden(clients: &Clients, cluster: &str, found: &[Found]) -> Result<Vec<Hidden>, Failure> {
    let dangling = dangling(found);
    if dangling.is_empty() {
        return Ok(Vec::new());
    }
    let ours = tagged(clients, cluster, &dangling).await?;
    // A network that holds ours is needed even if it says that it is somebody else's.
    let networks = dangling.iter().filter(|(kind, id)| *kind == Kind::Vpc && !ours.contains(id));
    let networks: Vec<String> = networks.map(|(_, id)| id.clone()).collect();
    let strayed = vpc::existing(clients, &networks).await?;
    let hidden = dangling.into_iter().filter(|(_, id)| ours.contains(id) || strayed.contains(id));
    Ok(hidden.collect())
}

/// What to tell of those that stayed hidden.
pub(super) fn unseen(cluster: &str, hidden: &[Hidden]) -> Unseen {
    let kinds: BTreeSet<Kind> = hidden.iter().map(|(kind, _)| *kind).collect();
    let ids: Vec<&str> = hidden.iter().map(|(_, id)| id.as_str()).collect();
    let reason = format!(
        "{} must be there, because others of the cluster name it, and is not listed with the tag \
         {CLUSTER_TAG}={cluster}; try again in a minute, and if somebody took its tag away give it back",
        ids.join(", ")
    );
    Unseen { kinds: kinds.into_iter().collect(), action: "ec2:Describe*".to_owned(), reason, permission: false }
}

/// The references that lead to nothing that was told, of kinds that cannot go before those that name them.
fn dangling(found: &[Found]) -> BTreeSet<Hidden> {
    let there: BTreeSet<(Kind, &str)> = found.iter().map(|one| (one.kind(), one.id.as_str())).collect();
    let mut dangling = BTreeSet::new();
    for one in found.iter().filter(|one| holds(one)) {
        // The copy is not needed; the references are.
        let _same = translate(&one.spec, &mut |kind, reference| {
            let id = reference.to_string();
            if is_held(kind) && !id.is_empty() && !there.contains(&(kind, id.as_str())) {
                dangling.insert((kind, id));
            }
            reference.clone()
        });
    }
    dangling
}

/// Whether the cloud keeps what this names from going. Something that is going may have lost it.
const fn holds(found: &Found) -> bool {
    matches!(found.condition, Condition::Ready | Condition::Pending { .. })
        && matches!(
            found.spec,
            Spec::Subnet(_)
                | Spec::RouteTable(_)
                | Spec::SecurityGroup(_)
                | Spec::NetworkAcl(_)
                | Spec::GatewayEndpoint(_)
                | Spec::NatGateway(_)
                | Spec::LoadBalancer(_)
                | Spec::Instance(_)
        )
}

const fn is_held(kind: Kind) -> bool {
    matches!(kind, Kind::Vpc | Kind::Subnet | Kind::RouteTable | Kind::SecurityGroup | Kind::ElasticIp)
}

/// Which of them carry the cluster's tag. None where tags may not be read.
async fn tagged(clients: &Clients, cluster: &str, ids: &BTreeSet<Hidden>) -> Result<BTreeSet<String>, Failure> {
    let ids: Vec<String> = ids.iter().map(|(_, id)| id.clone()).collect();
    let mut ours = BTreeSet::new();
    for chunk in ids.chunks(MAX_FILTER_VALUES) {
        let chunk = aws_sdk_ec2::types::Filter::builder().name("resource-id").set_values(Some(chunk.to_vec())).build();
        let filters = vec![filter("key", CLUSTER_TAG), filter("value", cluster), chunk];
        let page = |token| clients.ec2.describe_tags().set_filters(Some(filters.clone())).set_next_token(token).send();
        match clients.pages("ec2:DescribeTags", page, |answer| (answer.tags, answer.next_token)).await {
            Ok(tags) => ours.extend(tags.into_iter().filter_map(|tag| tag.resource_id)),
            Err(failure) if failure.class == Class::Denied => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use super::super::tagged::untagged;
    use super::*;
    use crate::resource::{NatGateway, Reference, Route, RouteTarget, Subnet, Vpc};

    fn id(id: &str) -> Reference {
        Reference::Id(id.to_owned())
    }

    fn check(found: &[Found], expected: &[(Kind, &str)]) {
        let expected: BTreeSet<Hidden> = expected.iter().map(|(kind, id)| (*kind, (*id).to_owned())).collect();
        assert_eq!(dangling(found), expected);
    }

    #[test]
    fn what_holds_others_shows_that_they_exist() {
        let cidr = "10.0.0.0/16".parse().unwrap();
        let vpc = untagged(
            "vpc-1".to_owned(),
            Spec::Vpc(Vpc { cidr, dns_support: true, dns_hostnames: true }),
            Condition::Ready,
        );
        let subnet = Subnet { vpc: id("vpc-1"), cidr, zone: "us-east-1a".to_owned(), public_addresses: false };
        let subnet = untagged("subnet-1".to_owned(), Spec::Subnet(subnet), Condition::Ready);
        let gateway = |condition| {
            let spec = NatGateway { subnet: id("subnet-1"), address: id("") };
            untagged("nat-1".to_owned(), Spec::NatGateway(spec), condition)
        };
        let going = Condition::Deleting { state: "deleting".to_owned() };
        check(&[vpc.clone(), subnet.clone(), gateway(Condition::Ready)], &[]);
        check(std::slice::from_ref(&subnet), &[(Kind::Vpc, "vpc-1")]);
        check(&[vpc.clone(), gateway(Condition::Ready)], &[(Kind::Subnet, "subnet-1")]);
        check(&[vpc, gateway(going)], &[]);
        // A route may lead to nothing.
        let route = Route {
            table: id("rtb-1"),
            destination: "0.0.0.0/0".to_owned(),
            target: RouteTarget::NatGateway(id("nat-9")),
        };
        check(&[untagged("rtb-1/0.0.0.0/0".to_owned(), Spec::Route(route), Condition::Ready)], &[]);
    }

    #[test]
    fn what_stays_hidden_is_told() {
        let hidden = [(Kind::Subnet, "subnet-1".to_owned()), (Kind::Vpc, "vpc-1".to_owned())];
        let unseen = unseen("kvstore-dev", &hidden);
        assert_eq!(unseen.kinds, [Kind::Vpc, Kind::Subnet]);
        assert!(unseen.reason.starts_with("subnet-1, vpc-1 must be there"), "{}", unseen.reason);
    }
}
