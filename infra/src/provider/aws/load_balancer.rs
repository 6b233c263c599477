//! Load balancers (application load balancers), recognised by name.
//!
//! What `create` cannot say (dropping malformed headers, the idle time) is set by `configure`. Listeners, rules and
//! targets have files of their own.

use aws_sdk_elasticloadbalancingv2::types::{
    self, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerStateEnum, LoadBalancerTypeEnum,
};

use super::balancer::{elb_tags, mend_tags, only_ours, tags_of_all};
use super::changes::any_differs;
use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, resolve};
use super::pages::none_if_gone;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{CLUSTER_TAG, LoadBalancer, Reference, Resource, Spec, Tags};

const DESCRIBE: &str = "elasticloadbalancing:DescribeLoadBalancers";
const MODIFY: &str = "elasticloadbalancing:ModifyLoadBalancerAttributes";
const DROP_INVALID_HEADERS: &str = "routing.http.drop_invalid_header_fields.enabled";
const IDLE_TIMEOUT: &str = "idle_timeout.timeout_seconds";

/// What a balancer says in its attributes; the defaults are the service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Attributes {
    drop_invalid_headers: bool,
    idle_timeout_seconds: u32,
}

const DEFAULTS: Attributes = Attributes { drop_invalid_headers: false, idle_timeout_seconds: 60 };

async fn named(clients: &Clients, name: &str) -> Result<Vec<types::LoadBalancer>, Failure> {
    let call = || clients.elb.describe_load_balancers().names(name).send();
    none_if_gone(clients.read(DESCRIBE, call).await.map(|answer| answer.load_balancers.unwrap_or_default()))
}

/// The public name of the one called `name`; none while there is none.
pub(super) async fn host(clients: &Clients, name: &str) -> Result<Option<String>, Failure> {
    Ok(named(clients, name).await?.into_iter().find_map(|balancer| balancer.dns_name))
}

pub(super) async fn observe(
    clients: &Clients,
    names: impl Iterator<Item = &str> + Send,
) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    // One by one: asked for several names, the service refuses all if one is unknown.
    for name in names {
        for balancer in named(clients, name).await? {
            let unreadable = || incomplete(DESCRIBE, "readable load balancer", Class::Transient);
            let arn = balancer.load_balancer_arn().ok_or_else(unreadable)?.to_owned();
            let tags = tags_of_all(clients, std::slice::from_ref(&arn)).await?.remove(&arn).unwrap_or_default();
            // A foreign one is only named, so that its attributes do not matter.
            let attributes = match tags.contains_key(CLUSTER_TAG) {
                true => attributes(clients, &arn).await?,
                false => DEFAULTS,
            };
            all.push(translate(&balancer, attributes, tags).ok_or_else(unreadable)?);
        }
    }
    Ok(all)
}

async fn attributes(clients: &Clients, arn: &str) -> Result<Attributes, Failure> {
    let call = || clients.elb.describe_load_balancer_attributes().load_balancer_arn(arn).send();
    let answer = clients.read("elasticloadbalancing:DescribeLoadBalancerAttributes", call).await?;
    Ok(read_attributes(answer.attributes()))
}

fn read_attributes(list: &[LoadBalancerAttribute]) -> Attributes {
    let value = |key: &str| list.iter().find(|one| one.key() == Some(key)).and_then(LoadBalancerAttribute::value);
    Attributes {
        drop_invalid_headers: value(DROP_INVALID_HEADERS)
            .map_or(DEFAULTS.drop_invalid_headers, |text| text.eq_ignore_ascii_case("true")),
        idle_timeout_seconds: value(IDLE_TIMEOUT)
            .and_then(|text| text.parse().ok())
            .unwrap_or(DEFAULTS.idle_timeout_seconds),
    }
}

fn translate(balancer: &types::LoadBalancer, attributes: Attributes, tags: Tags) -> Option<Found> {
    let id = |id: &str| Reference::Id(id.to_owned());
    let spec = LoadBalancer {
        internet_facing: balancer.scheme() == Some(&LoadBalancerSchemeEnum::InternetFacing),
        subnets: balancer.availability_zones().iter().filter_map(|zone| zone.subnet_id().map(id)).collect(),
        groups: balancer.security_groups().iter().map(|group| id(group)).collect(),
        drop_invalid_headers: attributes.drop_invalid_headers,
        idle_timeout_seconds: attributes.idle_timeout_seconds,
    };
    Some(Found {
        id: balancer.load_balancer_arn()?.to_owned(),
        name: balancer.load_balancer_name()?.to_owned(),
        tags,
        spec: Spec::LoadBalancer(spec),
        condition: standing(balancer),
    })
}

fn standing(balancer: &types::LoadBalancer) -> Condition {
    let state = balancer.state();
    let word = state.and_then(|state| state.code()).map_or("unknown", LoadBalancerStateEnum::as_str);
    match word {
        // Impaired: it serves, but could not grow as it would like to.
        "active" | "active_impaired" => Condition::Ready,
        "failed" => Condition::Failed {
            reason: state.and_then(types::LoadBalancerState::reason).unwrap_or("no reason given").to_owned(),
        },
        word => Condition::Pending { state: word.to_owned() },
    }
}

fn resolved<'a>(
    action: &str,
    references: impl Iterator<Item = &'a Reference>,
    ids: &'a Ids,
) -> Result<Vec<String>, Failure> {
    references.map(|reference| resolve(action, reference, ids).map(str::to_owned)).collect()
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &LoadBalancer,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let action = "elasticloadbalancing:CreateLoadBalancer";
    let scheme = match spec.internet_facing {
        true => LoadBalancerSchemeEnum::InternetFacing,
        false => LoadBalancerSchemeEnum::Internal,
    };
    let call = clients
        .elb
        .create_load_balancer()
        .name(&resource.name)
        .r#type(LoadBalancerTypeEnum::Application)
        .scheme(scheme)
        .set_subnets(Some(resolved(action, spec.subnets.iter(), ids)?))
        .set_security_groups(Some(resolved(action, spec.groups.iter(), ids)?))
        .set_tags(elb_tags(&resource.tags));
    let answer = clients.call(action, Effect::Create, call.send()).await?;
    let arn = answer.load_balancers().first().and_then(types::LoadBalancer::load_balancer_arn);
    arn.map(str::to_owned).ok_or_else(|| incomplete(action, "ARN", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &LoadBalancer,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let balancers = named(clients, &resource.name).await?;
    only_ours(clients, resource, balancers.into_iter().filter_map(|one| one.load_balancer_arn).collect()).await
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &LoadBalancer,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    if changes.is_none() || any_differs(changes, &["drop invalid headers", "idle timeout"]) {
        let attribute = |key: &str, value: String| LoadBalancerAttribute::builder().key(key).value(value).build();
        let call = clients
            .elb
            .modify_load_balancer_attributes()
            .load_balancer_arn(id)
            .attributes(attribute(DROP_INVALID_HEADERS, spec.drop_invalid_headers.to_string()))
            .attributes(attribute(IDLE_TIMEOUT, spec.idle_timeout_seconds.to_string()));
        clients.call(MODIFY, Effect::Idempotent, call.send()).await?;
    }
    if any_differs(changes, &["subnets"]) {
        let action = "elasticloadbalancing:SetSubnets";
        let subnets = resolved(action, spec.subnets.iter(), ids)?;
        let call = clients.elb.set_subnets().load_balancer_arn(id).set_subnets(Some(subnets));
        clients.call(action, Effect::Idempotent, call.send()).await?;
    }
    if any_differs(changes, &["groups"]) {
        let action = "elasticloadbalancing:SetSecurityGroups";
        let groups = resolved(action, spec.groups.iter(), ids)?;
        let call = clients.elb.set_security_groups().load_balancer_arn(id).set_security_groups(Some(groups));
        clients.call(action, Effect::Idempotent, call.send()).await?;
    }
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let call = || clients.elb.describe_load_balancers().load_balancer_arns(id).send();
    let answer = clients.read(DESCRIBE, call).await.map(|answer| answer.load_balancers.unwrap_or_default());
    Ok(none_if_gone(answer)?.first().map_or(Condition::Gone, standing))
}

/// It does not say when there was none: the service does not either.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.elb.delete_load_balancer().load_balancer_arn(id).send();
    clients.call("elasticloadbalancing:DeleteLoadBalancer", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{AvailabilityZone, LoadBalancerState};

    use super::*;

    fn balancer(state: &str) -> types::LoadBalancer {
        let zone = |subnet: &str| AvailabilityZone::builder().subnet_id(subnet).build();
        types::LoadBalancer::builder()
            .load_balancer_arn("arn:lb")
            .load_balancer_name("kvstore-dev-alb")
            .scheme(LoadBalancerSchemeEnum::InternetFacing)
            .availability_zones(zone("subnet-2"))
            .availability_zones(zone("subnet-1"))
            .security_groups("sg-1")
            .state(LoadBalancerState::builder().code(state.into()).reason("too small").build())
            .build()
    }

    #[test]
    fn states_have_conditions() {
        let pending = |state: &str| Condition::Pending { state: state.to_owned() };
        for (state, expected) in [
            ("provisioning", pending("provisioning")),
            ("active", Condition::Ready),
            ("active_impaired", Condition::Ready),
            ("failed", Condition::Failed { reason: "too small".to_owned() }),
            ("something_new", pending("something_new")),
        ] {
            assert_eq!(standing(&balancer(state)), expected, "{state}");
        }
        assert_eq!(standing(&types::LoadBalancer::builder().build()), pending("unknown"));
    }

    #[test]
    fn a_balancer_is_told_with_its_attributes() {
        let found = translate(&balancer("active"), DEFAULTS, Tags::new()).unwrap();
        assert_eq!((found.id.as_str(), found.name.as_str()), ("arn:lb", "kvstore-dev-alb"));
        let fields: Vec<String> =
            found.spec.fields().iter().map(|field| format!("{}={}", field.name, field.value)).collect();
        assert_eq!(
            fields,
            [
                "internet facing=yes",
                "subnets=subnet-1, subnet-2",
                "groups=sg-1",
                "drop invalid headers=no",
                "idle timeout=60"
            ]
        );
        assert_eq!(translate(&types::LoadBalancer::builder().build(), DEFAULTS, Tags::new()), None);
    }

    #[test]
    fn missing_and_unreadable_attributes_are_the_defaults() {
        let attribute = |key: &str, value: &str| LoadBalancerAttribute::builder().key(key).value(value).build();
        for (list, drop_invalid_headers, idle_timeout_seconds) in [
            (vec![], false, 60),
            (vec![attribute(DROP_INVALID_HEADERS, "true"), attribute(IDLE_TIMEOUT, "75")], true, 75),
            (vec![attribute(DROP_INVALID_HEADERS, "maybe"), attribute(IDLE_TIMEOUT, "long")], false, 60),
        ] {
            assert_eq!(read_attributes(&list), Attributes { drop_invalid_headers, idle_timeout_seconds });
        }
    }
}
