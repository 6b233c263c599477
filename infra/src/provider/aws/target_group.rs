//! Target groups, recognised by name.
//!
//! Targets are instances, reached and checked by HTTPS; 200 means healthy. Who is in a group is
//! `target_registration`'s matter.

use aws_sdk_elasticloadbalancingv2::types::{self, Matcher, ProtocolEnum, TargetGroupAttribute, TargetTypeEnum};

use super::balancer::{elb_tags, mend_tags, number, only_ours, tags_of_all};
use super::changes::any_differs;
use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, resolve};
use super::pages::none_if_gone;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{CLUSTER_TAG, Reference, Resource, Spec, Tags, TargetGroup};

const DESCRIBE: &str = "elasticloadbalancing:DescribeTargetGroups";
const DELAY: &str = "deregistration_delay.timeout_seconds";
/// The service's own delay, in seconds.
const DEFAULT_DELAY: u32 = 300;
/// The status that a healthy target answers.
const HEALTHY_STATUS: &str = "200";
const HEALTH_FIELDS: [&str; 5] =
    ["health path", "health interval", "health timeout", "healthy after", "unhealthy after"];

async fn named(clients: &Clients, name: &str) -> Result<Vec<types::TargetGroup>, Failure> {
    let call = || clients.elb.describe_target_groups().names(name).send();
    none_if_gone(clients.read(DESCRIBE, call).await.map(|answer| answer.target_groups.unwrap_or_default()))
}

pub(super) async fn observe(
    clients: &Clients,
    names: impl Iterator<Item = &str> + Send,
) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    // One by one: asked for several names, the service refuses all if one is unknown.
    for name in names {
        for group in named(clients, name).await? {
            let unreadable = || incomplete(DESCRIBE, "readable target group", Class::Transient);
            let arn = group.target_group_arn().ok_or_else(unreadable)?.to_owned();
            let tags = tags_of_all(clients, std::slice::from_ref(&arn)).await?.remove(&arn).unwrap_or_default();
            let delay = match tags.contains_key(CLUSTER_TAG) {
                true => delay(clients, &arn).await?,
                false => DEFAULT_DELAY,
            };
            all.push(translate(&group, delay, tags).ok_or_else(unreadable)?);
        }
    }
    Ok(all)
}

/// The cluster that a group is tagged with, and the ARNs of the load balancers that use it.
pub(super) async fn users(clients: &Clients, arn: &str) -> Result<(Option<String>, Vec<String>), Failure> {
    let arns = [arn.to_owned()];
    let cluster = tags_of_all(clients, &arns).await?.remove(arn).and_then(|mut tags| tags.remove(CLUSTER_TAG));
    let call = || clients.elb.describe_target_groups().target_group_arns(arn).send();
    let groups =
        none_if_gone(clients.read(DESCRIBE, call).await.map(|answer| answer.target_groups.unwrap_or_default()));
    Ok((cluster, groups?.into_iter().flat_map(|group| group.load_balancer_arns.unwrap_or_default()).collect()))
}

async fn delay(clients: &Clients, arn: &str) -> Result<u32, Failure> {
    let call = || clients.elb.describe_target_group_attributes().target_group_arn(arn).send();
    let answer = clients.read("elasticloadbalancing:DescribeTargetGroupAttributes", call).await?;
    let attribute = answer.attributes().iter().find(|one| one.key() == Some(DELAY));
    Ok(attribute.and_then(|one| one.value()?.parse().ok()).unwrap_or(DEFAULT_DELAY))
}

fn translate(group: &types::TargetGroup, deregistration_delay_seconds: u32, tags: Tags) -> Option<Found> {
    // A number that is missing is one that we never set: it shows as a difference.
    let number = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
    let spec = TargetGroup {
        vpc: Reference::Id(group.vpc_id().unwrap_or("none").to_owned()),
        protocol: group.protocol().map_or("none", ProtocolEnum::as_str).to_owned(),
        port: group.port().and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
        health_path: group.health_check_path().unwrap_or_default().to_owned(),
        health_interval_seconds: number(group.health_check_interval_seconds()),
        health_timeout_seconds: number(group.health_check_timeout_seconds()),
        healthy_after: number(group.healthy_threshold_count()),
        unhealthy_after: number(group.unhealthy_threshold_count()),
        deregistration_delay_seconds,
    };
    Some(Found {
        id: group.target_group_arn()?.to_owned(),
        name: group.target_group_name()?.to_owned(),
        tags,
        spec: Spec::TargetGroup(spec),
        condition: Condition::Ready,
    })
}

fn protocol(name: &str) -> ProtocolEnum {
    ProtocolEnum::from(name)
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &TargetGroup,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let action = "elasticloadbalancing:CreateTargetGroup";
    let call = clients
        .elb
        .create_target_group()
        .name(&resource.name)
        .target_type(TargetTypeEnum::Instance)
        .vpc_id(resolve(action, &spec.vpc, ids)?)
        .protocol(protocol(&spec.protocol))
        .port(spec.port.into())
        .health_check_enabled(true)
        .health_check_protocol(protocol(&spec.protocol))
        .health_check_path(&spec.health_path)
        .health_check_interval_seconds(number(spec.health_interval_seconds))
        .health_check_timeout_seconds(number(spec.health_timeout_seconds))
        .healthy_threshold_count(number(spec.healthy_after))
        .unhealthy_threshold_count(number(spec.unhealthy_after))
        .matcher(Matcher::builder().http_code(HEALTHY_STATUS).build())
        .set_tags(elb_tags(&resource.tags));
    let answer = clients.call(action, Effect::Create, call.send()).await?;
    let arn = answer.target_groups().first().and_then(types::TargetGroup::target_group_arn);
    arn.map(str::to_owned).ok_or_else(|| incomplete(action, "ARN", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &TargetGroup,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let groups = named(clients, &resource.name).await?;
    only_ours(clients, resource, groups.into_iter().filter_map(|one| one.target_group_arn).collect()).await
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &TargetGroup,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    if changes.is_none() || any_differs(changes, &["deregistration delay"]) {
        let delay = spec.deregistration_delay_seconds.to_string();
        let attribute = TargetGroupAttribute::builder().key(DELAY).value(delay).build();
        let call = clients.elb.modify_target_group_attributes().target_group_arn(id).attributes(attribute).send();
        clients.call("elasticloadbalancing:ModifyTargetGroupAttributes", Effect::Idempotent, call).await?;
    }
    if any_differs(changes, &HEALTH_FIELDS) {
        let call = clients
            .elb
            .modify_target_group()
            .target_group_arn(id)
            .health_check_protocol(protocol(&spec.protocol))
            .health_check_path(&spec.health_path)
            .health_check_interval_seconds(number(spec.health_interval_seconds))
            .health_check_timeout_seconds(number(spec.health_timeout_seconds))
            .healthy_threshold_count(number(spec.healthy_after))
            .unhealthy_threshold_count(number(spec.unhealthy_after))
            .matcher(Matcher::builder().http_code(HEALTHY_STATUS).build())
            .send();
        clients.call("elasticloadbalancing:ModifyTargetGroup", Effect::Idempotent, call).await?;
    }
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let call = || clients.elb.describe_target_groups().target_group_arns(id).send();
    let answer = clients.read(DESCRIBE, call).await.map(|answer| answer.target_groups.unwrap_or_default());
    Ok(none_if_gone(answer)?.first().map_or(Condition::Gone, |_| Condition::Ready))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.elb.delete_target_group().target_group_arn(id).send();
    clients.call("elasticloadbalancing:DeleteTargetGroup", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_told() {
        let group = types::TargetGroup::builder()
            .target_group_arn("arn:tg")
            .target_group_name("kvstore-dev-tg-nodes")
            .vpc_id("vpc-1")
            .protocol(ProtocolEnum::Https)
            .port(8080)
            .health_check_path("/readyz")
            .health_check_interval_seconds(10)
            .health_check_timeout_seconds(5)
            .healthy_threshold_count(2)
            .unhealthy_threshold_count(3)
            .build();
        let found = translate(&group, 30, Tags::new()).unwrap();
        let fields: Vec<String> =
            found.spec.fields().iter().map(|field| format!("{}={}", field.name, field.value)).collect();
        assert_eq!(
            fields,
            [
                "vpc=vpc-1",
                "protocol=HTTPS",
                "port=8080",
                "health path=/readyz",
                "health interval=10",
                "health timeout=5",
                "healthy after=2",
                "unhealthy after=3",
                "deregistration delay=30"
            ]
        );
    }

    #[test]
    fn a_group_of_something_else_shows_as_different() {
        let group =
            types::TargetGroup::builder().target_group_arn("arn:tg").target_group_name("lambda").port(-1).build();
        let Spec::TargetGroup(spec) = translate(&group, DEFAULT_DELAY, Tags::new()).unwrap().spec else {
            panic!("another kind")
        };
        assert_eq!((spec.protocol.as_str(), spec.port, spec.healthy_after), ("none", 0, 0));
        assert_eq!(translate(&types::TargetGroup::builder().build(), 0, Tags::new()), None, "no ARN");
    }
}
