//! Networks.
//!
//! The two DNS attributes are set by calls of their own, one attribute each, and only where they differ from what a
//! new network has.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{self, AttributeBooleanValue, Filter, ResourceType, VpcAttributeName};

use futures_util::future::try_join;

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, tag_specification};
use super::pages::none_if_gone;
use super::scope::Scope;
use super::tagged::{differs, found, mend_tags, of_resource};
use super::verbs::MAX_FILTER_VALUES;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Resource, Spec, Vpc};

const DESCRIBE: &str = "ec2:DescribeVpcs";
const ATTRIBUTE: &str = "ec2:DescribeVpcAttribute";

/// Whether a new network has DNS support, and DNS names.
const NEW: (bool, bool) = (true, false);

pub(super) async fn list(clients: &Clients, filters: &[Filter]) -> Result<Vec<types::Vpc>, Failure> {
    let page = |token| clients.ec2.describe_vpcs().set_filters(Some(filters.to_vec())).set_next_token(token).send();
    clients.pages(DESCRIBE, page, |answer| (answer.vpcs, answer.next_token)).await
}

/// Which of some networks exist, whosever they are.
pub(super) async fn existing(clients: &Clients, ids: &[String]) -> Result<BTreeSet<String>, Failure> {
    let mut existing = BTreeSet::new();
    for some in ids.chunks(MAX_FILTER_VALUES) {
        // A filter rather than ids: with ids, one that is gone hides the others.
        let filter = Filter::builder().name("vpc-id").set_values(Some(some.to_vec())).build();
        existing.extend(list(clients, &[filter]).await?.into_iter().filter_map(|vpc| vpc.vpc_id));
    }
    Ok(existing)
}

async fn attribute(clients: &Clients, id: &str, name: &VpcAttributeName) -> Result<bool, Failure> {
    let call = || clients.ec2.describe_vpc_attribute().vpc_id(id).attribute(name.clone()).send();
    let answer = clients.read(ATTRIBUTE, call).await?;
    let value = match name {
        VpcAttributeName::EnableDnsSupport => answer.enable_dns_support,
        _ => answer.enable_dns_hostnames,
    };
    value.and_then(|value| value.value).ok_or_else(|| incomplete(ATTRIBUTE, name.as_str(), Class::Transient))
}

/// The network as it is; none if it went between the calls.
async fn look(clients: &Clients, vpc: &types::Vpc) -> Result<Option<Found>, Failure> {
    let id = vpc.vpc_id().ok_or_else(|| incomplete(DESCRIBE, "vpc id", Class::Transient))?;
    let (support, hostnames) = (VpcAttributeName::EnableDnsSupport, VpcAttributeName::EnableDnsHostnames);
    match try_join(attribute(clients, id, &support), attribute(clients, id, &hostnames)).await {
        Ok(dns) => translate(vpc, dns).map(Some).ok_or_else(|| incomplete(DESCRIBE, "readable vpc", Class::Transient)),
        Err(Failure { class: Class::Gone, .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for vpc in scope.vpcs(clients).await? {
        all.extend(look(clients, vpc).await?);
    }
    Ok(all)
}

fn translate(vpc: &types::Vpc, (dns_support, dns_hostnames): (bool, bool)) -> Option<Found> {
    let spec = Vpc { cidr: vpc.cidr_block()?.parse().ok()?, dns_support, dns_hostnames };
    Some(found(vpc.vpc_id()?, vpc.tags(), Spec::Vpc(spec), standing(vpc)))
}

fn standing(vpc: &types::Vpc) -> Condition {
    match vpc.state().map_or("unknown", types::VpcState::as_str) {
        "available" => Condition::Ready,
        "deleting" => Condition::Deleting { state: "deleting".to_owned() },
        state => Condition::Pending { state: state.to_owned() },
    }
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &Vpc,
    _ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let action = "ec2:CreateVpc";
    let tags = tag_specification(ResourceType::Vpc, resource);
    let call = clients.ec2.create_vpc().cidr_block(spec.cidr.to_string()).tag_specifications(tags).send();
    let answer = clients.call(action, Effect::Create, call).await?;
    let id = answer.vpc.and_then(|vpc| vpc.vpc_id);
    id.ok_or_else(|| incomplete(action, "vpc id", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    spec: &Vpc,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let vpcs = list(clients, &of_resource(resource)).await?;
    // One with the same tags and other addresses is about to be replaced.
    let same = |vpc: &types::Vpc| vpc.cidr_block().and_then(|cidr| cidr.parse().ok()) == Some(spec.cidr);
    Ok(vpcs.into_iter().filter(same).filter_map(|vpc| vpc.vpc_id).collect())
}

/// The attributes to set, in an order the cloud takes: names need support.
fn attributes(spec: &Vpc, changes: Option<&[Difference]>) -> Vec<(VpcAttributeName, bool)> {
    let wanted = |field: &str, is: bool, new: bool| match changes {
        None => is != new,
        Some(_) => differs(changes, field),
    };
    let mut set = Vec::new();
    if wanted("dns support", spec.dns_support, NEW.0) {
        set.push((VpcAttributeName::EnableDnsSupport, spec.dns_support));
    }
    if wanted("dns hostnames", spec.dns_hostnames, NEW.1) {
        set.push((VpcAttributeName::EnableDnsHostnames, spec.dns_hostnames));
    }
    if !spec.dns_support {
        set.reverse();
    }
    set
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &Vpc,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    for (name, value) in attributes(spec, changes) {
        let value = AttributeBooleanValue::builder().value(value).build();
        let call = clients.ec2.modify_vpc_attribute().vpc_id(id);
        let call = match name {
            VpcAttributeName::EnableDnsSupport => call.enable_dns_support(value),
            _ => call.enable_dns_hostnames(value),
        };
        clients.call("ec2:ModifyVpcAttribute", Effect::Idempotent, call.send()).await?;
    }
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let page = |token| clients.ec2.describe_vpcs().vpc_ids(id).set_next_token(token).send();
    let vpcs = none_if_gone(clients.pages(DESCRIBE, page, |answer| (answer.vpcs, answer.next_token)).await)?;
    Ok(vpcs.first().map_or(Condition::Gone, standing))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    clients.call("ec2:DeleteVpc", Effect::Idempotent, clients.ec2.delete_vpc().vpc_id(id).send()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::OnChange;

    fn vpc(state: &str) -> types::Vpc {
        types::Vpc::builder().vpc_id("vpc-1").cidr_block("10.0.0.0/16").state(state.into()).build()
    }

    #[test]
    fn a_network_is_told_in_full() {
        let found = translate(&vpc("available"), (true, false)).unwrap();
        let spec = Vpc { cidr: "10.0.0.0/16".parse().unwrap(), dns_support: true, dns_hostnames: false };
        assert_eq!((found.id.as_str(), found.spec), ("vpc-1", Spec::Vpc(spec)));
        assert_eq!(translate(&types::Vpc::builder().vpc_id("vpc-1").build(), (true, true)), None);
    }

    #[test]
    fn states_are_conditions() {
        let text = |text: &str| text.to_owned();
        for (state, condition) in [
            ("available", Condition::Ready),
            ("pending", Condition::Pending { state: text("pending") }),
            ("deleting", Condition::Deleting { state: text("deleting") }),
            ("never heard of", Condition::Pending { state: text("never heard of") }),
        ] {
            assert_eq!(standing(&vpc(state)), condition);
        }
    }

    #[test]
    fn attributes_are_set_where_they_differ_and_in_an_order_the_cloud_takes() {
        let change = |field: &str| Difference {
            field: field.to_owned(),
            from: String::new(),
            to: String::new(),
            on_change: OnChange::Configure,
        };
        let both = [change("dns hostnames"), change("dns support")];
        for ((dns_support, dns_hostnames), changes, expected) in [
            ((true, false), None, vec![]),
            ((true, true), None, vec![("enableDnsHostnames", true)]),
            ((false, false), None, vec![("enableDnsSupport", false)]),
            ((true, true), Some(&both[..0]), vec![]),
            ((true, true), Some(&both[..1]), vec![("enableDnsHostnames", true)]),
            ((true, true), Some(&both[..]), vec![("enableDnsSupport", true), ("enableDnsHostnames", true)]),
            ((false, false), Some(&both[..]), vec![("enableDnsHostnames", false), ("enableDnsSupport", false)]),
        ] {
            let spec = Vpc { cidr: "10.0.0.0/16".parse().unwrap(), dns_support, dns_hostnames };
            let set = attributes(&spec, changes);
            let set: Vec<_> = set.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            assert_eq!(set, expected);
        }
    }
}
