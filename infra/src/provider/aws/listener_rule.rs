//! Rules of a listener: which paths go to which target group, recognised by their place in the order.
//!
//! The default rule is part of the listener and never told. Conditions other than on the path are told as texts that
//! are never wanted, so that such a rule shows as different.

use aws_sdk_elasticloadbalancingv2::types::{self, Action, ActionTypeEnum, PathPatternConditionConfig, RuleCondition};

use super::balancer::{elb_tags, mend_tags, number, set_tags};
use super::changes::any_differs;
use super::clients::Clients;
use super::failure::Effect;
use super::identity::{incomplete, resolve};
use super::pages::none_if_gone;
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{ListenerRule, Reference, Resource, Spec, Tags};

const DESCRIBE: &str = "elasticloadbalancing:DescribeRules";
const PATH_PATTERN: &str = "path-pattern";

async fn of_listener(clients: &Clients, listener: &str) -> Result<Vec<types::Rule>, Failure> {
    let page = |marker| clients.elb.describe_rules().listener_arn(listener).set_marker(marker).send();
    none_if_gone(clients.pages(DESCRIBE, page, |answer| (answer.rules, answer.next_marker)).await)
}

/// The rules of a listener but the default one; their tags and names are not read.
pub(super) async fn list(clients: &Clients, listener: &str) -> Result<Vec<Found>, Failure> {
    let rules = of_listener(clients, listener).await?;
    let own = rules.iter().filter(|rule| rule.is_default() != Some(true) && rule.priority() != Some("default"));
    own.map(|rule| translate(rule, listener).ok_or_else(|| incomplete(DESCRIBE, "readable rule", Class::Transient)))
        .collect()
}

fn translate(rule: &types::Rule, listener: &str) -> Option<Found> {
    let spec = ListenerRule {
        listener: Reference::Id(listener.to_owned()),
        priority: rule.priority()?.parse().ok()?,
        paths: rule.conditions().iter().flat_map(paths).collect(),
        target_group: forward(rule.actions()).map(|arn| Reference::Id(arn.to_owned())),
    };
    Some(Found {
        id: rule.rule_arn()?.to_owned(),
        name: String::new(),
        tags: Tags::new(),
        spec: Spec::ListenerRule(spec),
        condition: Condition::Ready,
    })
}

fn paths(condition: &RuleCondition) -> Vec<String> {
    let field = condition.field().unwrap_or("unknown");
    let patterns = condition.path_pattern_config().map(PathPatternConditionConfig::values).unwrap_or_default();
    match (field, patterns.is_empty()) {
        (PATH_PATTERN, false) => patterns.to_vec(),
        (PATH_PATTERN, true) if !condition.values().is_empty() => condition.values().to_vec(),
        // Regular expressions, hosts, headers, addresses.
        (other, _) => vec![format!("(a condition on {other})")],
    }
}

/// The target group of an action that hands everything to one group.
fn forward(actions: &[Action]) -> Option<&str> {
    let [only] = actions else { return None };
    if only.r#type() != Some(&ActionTypeEnum::Forward) {
        return None;
    }
    match only.forward_config().map(types::ForwardActionConfig::target_groups) {
        Some([group]) => group.target_group_arn(),
        Some([_, ..]) => None,
        Some([]) | None => only.target_group_arn(),
    }
}

fn condition_on(spec: &ListenerRule) -> RuleCondition {
    let patterns = PathPatternConditionConfig::builder().set_values(Some(spec.paths.iter().cloned().collect())).build();
    RuleCondition::builder().field(PATH_PATTERN).path_pattern_config(patterns).build()
}

fn forward_to(action: &str, spec: &ListenerRule, ids: &Ids) -> Result<Action, Failure> {
    let group = spec.target_group.as_ref().ok_or_else(|| Failure {
        action: action.to_owned(),
        code: "no target group".to_owned(),
        message: "a rule needs somebody to forward to".to_owned(),
        class: Class::Invalid,
    })?;
    let arn = resolve(action, group, ids)?;
    Ok(Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(arn).build())
}

pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &ListenerRule,
    ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let action = "elasticloadbalancing:CreateRule";
    let call = clients
        .elb
        .create_rule()
        .listener_arn(resolve(action, &spec.listener, ids)?)
        .priority(number(spec.priority))
        .conditions(condition_on(spec))
        .actions(forward_to(action, spec, ids)?)
        .set_tags(elb_tags(&resource.tags));
    let answer = clients.call(action, Effect::Create, call.send()).await?;
    let arn = answer.rules().first().and_then(types::Rule::rule_arn);
    arn.map(str::to_owned).ok_or_else(|| incomplete(action, "ARN", Class::Unknown))
}

pub(super) async fn find(
    clients: &Clients,
    _resource: &Resource,
    spec: &ListenerRule,
    ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let rules = of_listener(clients, resolve(DESCRIBE, &spec.listener, ids)?).await?;
    let priority = spec.priority.to_string();
    let same = |rule: &types::Rule| rule.priority() == Some(priority.as_str());
    Ok(rules.into_iter().filter(same).filter_map(|rule| rule.rule_arn).collect())
}

pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &ListenerRule,
    changes: Option<&[Difference]>,
    ids: &Ids,
) -> Result<(), Failure> {
    // One that was found in place of a new one may say anything.
    if changes.is_none() || any_differs(changes, &["paths", "target group"]) {
        let action = "elasticloadbalancing:ModifyRule";
        let target = forward_to(action, spec, ids)?;
        let call = clients.elb.modify_rule().rule_arn(id).conditions(condition_on(spec)).actions(target).send();
        clients.call(action, Effect::Idempotent, call).await?;
    }
    if changes.is_none() {
        return set_tags(clients, id, &resource.tags).await;
    }
    mend_tags(clients, id, resource, changes).await
}

pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    let call = || clients.elb.describe_rules().rule_arns(id).send();
    let answer = clients.read(DESCRIBE, call).await.map(|answer| answer.rules.unwrap_or_default());
    Ok(none_if_gone(answer)?.first().map_or(Condition::Gone, |_| Condition::Ready))
}

pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.elb.delete_rule().rule_arn(id).send();
    clients.call("elasticloadbalancing:DeleteRule", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{ForwardActionConfig, TargetGroupTuple};

    use super::*;

    fn plain(arn: &str) -> Action {
        Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(arn).build()
    }

    fn weighted(arns: &[&str]) -> Action {
        let groups = arns.iter().map(|arn| TargetGroupTuple::builder().target_group_arn(*arn).build()).collect();
        let config = ForwardActionConfig::builder().set_target_groups(Some(groups)).build();
        Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
    }

    #[test]
    fn only_a_plain_forward_has_a_group() {
        let redirect = Action::builder().r#type(ActionTypeEnum::Redirect).build();
        for (name, actions, expected) in [
            ("plain", vec![plain("arn:tg")], Some("arn:tg")),
            ("one of one", vec![weighted(&["arn:tg"])], Some("arn:tg")),
            ("split", vec![weighted(&["arn:tg", "arn:other"])], None),
            ("redirect", vec![redirect.clone()], None),
            ("authenticated first", vec![redirect, plain("arn:tg")], None),
            ("nothing", vec![], None),
        ] {
            assert_eq!(forward(&actions), expected, "{name}");
        }
    }

    #[test]
    fn conditions_are_told_even_if_nobody_wants_them() {
        let by = |field: &str| RuleCondition::builder().field(field);
        let spec = ListenerRule {
            listener: Reference::Id("arn:l".to_owned()),
            priority: 1,
            paths: ["/v1/kv/*".to_owned(), "/v1/kv".to_owned()].into(),
            target_group: None,
        };
        for (condition, expected) in [
            (condition_on(&spec), vec!["/v1/kv", "/v1/kv/*"]),
            (by(PATH_PATTERN).values("/old").build(), vec!["/old"]),
            (by(PATH_PATTERN).build(), vec!["(a condition on path-pattern)"]),
            (by("host-header").values("x").build(), vec!["(a condition on host-header)"]),
            (RuleCondition::builder().build(), vec!["(a condition on unknown)"]),
        ] {
            assert_eq!(paths(&condition), expected);
        }
    }

    #[test]
    fn a_rule_without_a_readable_place_is_not_told() {
        let rule = |priority: &str| types::Rule::builder().rule_arn("arn:r").priority(priority).build();
        assert!(translate(&rule("7"), "arn:l").is_some());
        assert!(translate(&rule("first"), "arn:l").is_none());
    }
}
