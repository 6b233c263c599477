//! Registrations: the machines of a target group, recognised by group, machine and port.
//!
//! One becomes ready only when the load balancer's health checks pass, that is when the cluster works. One that
//! leaves finishes its requests first.

use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetHealth, TargetHealthDescription, TargetHealthReasonEnum, TargetHealthStateEnum,
};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, resolve};
use super::pages::none_if_gone;
use super::tagged::untagged;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Reference, Resource, Spec, TargetRegistration};

const DESCRIBE: &str = "elasticloadbalancing:DescribeTargetHealth";

/// What an id is made of: group, machine, port.
type Parts<'a> = (&'a str, &'a str, i32);

fn id_of(group: &str, instance: &str, port: i32) -> String {
    format!("{group}/{instance}/{port}")
}

/// Takes `arn/i-1/8080` apart; an ARN has slashes of its own.
fn parts<'a>(action: &str, id: &'a str) -> Result<Parts<'a>, Failure> {
    let mut pieces = id.rsplitn(3, '/');
    let port = pieces.next().and_then(|port| port.parse().ok());
    match (pieces.next(), pieces.next(), port) {
        (Some(instance), Some(group), Some(port)) => Ok((group, instance, port)),
        _ => Err(Failure {
            action: action.to_owned(),
            code: "unreadable id".to_owned(),
            message: format!("{id} is not GROUP/INSTANCE/PORT"),
            class: Class::Invalid,
        }),
    }
}

fn target(instance: &str, port: i32) -> TargetDescription {
    TargetDescription::builder().id(instance).port(port).build()
}

async fn health(
    clients: &Clients,
    group: &str,
    targets: Option<Vec<TargetDescription>>,
) -> Result<Vec<TargetHealthDescription>, Failure> {
    let call = || clients.elb.describe_target_health().target_group_arn(group).set_targets(targets.clone()).send();
    let answer = clients.read(DESCRIBE, call).await.map(|answer| answer.target_health_descriptions.unwrap_or_default());
    none_if_gone(answer)
}

/// The registrations of a target group.
pub(super) async fn list(clients: &Clients, group: &str) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for one in health(clients, group, None).await? {
        let condition = standing(one.target_health());
        if condition == Condition::Gone {
            continue;
        }
        let found = translate(&one, group, condition);
        all.push(found.ok_or_else(|| incomplete(DESCRIBE, "readable target", Class::Transient))?);
    }
    Ok(all)
}

fn translate(one: &TargetHealthDescription, group: &str, condition: Condition) -> Option<Found> {
    let (instance, port) = one.target().and_then(|target| Some((target.id()?, target.port()?)))?;
    let spec = TargetRegistration {
        target_group: Reference::Id(group.to_owned()),
        instance: Reference::Id(instance.to_owned()),
        port: u16::try_from(port).ok()?,
    };
    Some(untagged(id_of(group, instance, port), Spec::TargetRegistration(spec), condition))
}

fn standing(health: Option<&TargetHealth>) -> Condition {
    let reason = health.and_then(TargetHealth::reason).map(TargetHealthReasonEnum::as_str);
    let word = health.and_then(TargetHealth::state).map_or("unknown", TargetHealthStateEnum::as_str);
    let state = match (reason, health.and_then(TargetHealth::description)) {
        (_, Some(description)) => format!("{word}: {description}"),
        (Some(reason), None) => format!("{word}: {reason}"),
        (None, None) => word.to_owned(),
    };
    match (word, reason) {
        ("healthy", _) => Condition::Ready,
        ("draining", _) => Condition::Deleting { state },
        // Asked for one target, the service answers this instead of nothing.
        ("unused" | "unavailable", Some("Target.NotRegistered")) => Condition::Gone,
        // Nobody checks it, so that nobody can say more.
        ("unavailable", Some("Target.HealthCheckDisabled")) => Condition::Ready,
        _ => Condition::Pending { state },
    }
}

pub(super) async fn create(
    clients: &Clients,
    _resource: &Resource,
    spec: &TargetRegistration,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let action = "elasticloadbalancing:RegisterTargets";
    let (group, instance) = (resolve(action, &spec.target_group, ids)?, resolve(action, &spec.instance, ids)?);
    let call =
        clients.elb.register_targets().target_group_arn(group).targets(target(instance, spec.port.into())).send();
    // A machine that EC2 calls running may not be known as such here for a while.
    let answer = clients.call(action, Effect::Idempotent, call).await;
    answer.map_err(|failure| invalid_target(failure, Class::NotYet))?;
    Ok(id_of(group, instance, spec.port.into()))
}

/// The service's one word for a target that it does not know as one asks something other of each call.
fn invalid_target(failure: Failure, class: Class) -> Failure {
    if failure.code == "InvalidTarget" { Failure { class, ..failure } } else { failure }
}

pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &TargetRegistration,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let (group, instance) = (resolve(DESCRIBE, &spec.target_group, ids)?, resolve(DESCRIBE, &spec.instance, ids)?);
    let id = id_of(group, instance, spec.port.into());
    Ok(match condition(clients, &id).await? {
        Condition::Gone | Condition::Deleting { .. } => Vec::new(),
        Condition::Ready | Condition::Pending { .. } | Condition::Failed { .. } => vec![id],
    })
}

/// Nothing of a registration can be changed in place.
#[expect(clippy::unused_async, reason = "every kind has the same six verbs")]
pub(super) async fn configure(
    _clients: &Clients,
    _id: &str,
    _resource: &Resource,
    _spec: &TargetRegistration,
    _changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    Ok(())
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let (group, instance, port) = parts(DESCRIBE, id)?;
    let health = health(clients, group, Some(vec![target(instance, port)])).await?;
    Ok(health.first().map_or(Condition::Gone, |one| standing(one.target_health())))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let action = "elasticloadbalancing:DeregisterTargets";
    let (group, instance, port) = parts(action, id)?;
    let call = clients.elb.deregister_targets().target_group_arn(group).targets(target(instance, port)).send();
    let answer = clients.call(action, Effect::Idempotent, call).await.map(drop);
    answer.map_err(|failure| invalid_target(failure, Class::Gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/kvstore-dev-tg-nodes/0a1";

    #[test]
    fn ids_are_made_and_taken_apart() {
        let id = id_of(GROUP, "i-1", 8080);
        assert_eq!(parts(DESCRIBE, &id), Ok((GROUP, "i-1", 8080)));
        for wrong in ["", "i-1/8080", "arn/i-1/port", "arn/i-1/"] {
            assert_eq!(parts(DESCRIBE, wrong).unwrap_err().class, Class::Invalid, "{wrong}");
        }
    }

    #[test]
    fn health_has_conditions() {
        let pending = |state: &str| Condition::Pending { state: state.to_owned() };
        for (state, reason, expected) in [
            ("initial", "Elb.RegistrationInProgress", pending("initial: Elb.RegistrationInProgress")),
            ("unhealthy", "Target.ResponseCodeMismatch", pending("unhealthy: Target.ResponseCodeMismatch")),
            ("healthy", "", Condition::Ready),
            (
                "draining",
                "Target.DeregistrationInProgress",
                Condition::Deleting { state: "draining: Target.DeregistrationInProgress".to_owned() },
            ),
            ("unused", "Target.NotRegistered", Condition::Gone),
            ("unused", "Target.NotInUse", pending("unused: Target.NotInUse")),
            ("unused", "Target.InvalidState", pending("unused: Target.InvalidState")),
            ("unavailable", "Target.HealthCheckDisabled", Condition::Ready),
            ("something_new", "", pending("something_new")),
        ] {
            let health = TargetHealth::builder().state(state.into());
            let health = if reason.is_empty() { health } else { health.reason(reason.into()) };
            assert_eq!(standing(Some(&health.build())), expected, "{state} {reason}");
        }
        assert_eq!(standing(None), pending("unknown"));
    }

    #[test]
    fn an_unknown_target_is_what_the_call_makes_of_it() {
        for (code, class, expected) in [
            ("InvalidTarget", Class::Invalid, Class::NotYet),
            ("TargetGroupNotFound", Class::Gone, Class::Gone),
            ("Throttling", Class::Throttled, Class::Throttled),
        ] {
            let failure = Failure { action: String::new(), code: code.to_owned(), message: String::new(), class };
            assert_eq!(invalid_target(failure, Class::NotYet).class, expected, "{code}");
        }
    }
}
