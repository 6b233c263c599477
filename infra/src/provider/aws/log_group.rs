//! Log groups, recognised by name; their tags prove whose they are.
//!
//! Found under the wanted names even if they are not tagged: the planner refuses what is foreign. What is logged is
//! never read.

use std::collections::HashMap;

use aws_sdk_cloudwatchlogs::types::LogGroup as Answer;

use super::clients::Clients;
use super::failure::Effect;
use super::identity::incomplete;
use super::scope::Scope;
use super::verbs::{gone, if_there, is_it, tags_differ, there, to_set};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{Kind, LogGroup, Resource, Spec, Tags};

const CREATE: &str = "logs:CreateLogGroup";
const DELETE: &str = "logs:DeleteLogGroup";
const DESCRIBE: &str = "logs:DescribeLogGroups";
const LIST_TAGS: &str = "logs:ListTagsForResource";
const TAG: &str = "logs:TagResource";

/// Those with a wanted name.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for name in scope.names(Kind::LogGroup) {
        if let Some(group) = by_name(clients, name).await?
            && let Some(tags) = if_there(tags(clients, &group).await)?
        {
            all.push(found(name, &group, tags));
        }
    }
    Ok(all)
}

async fn by_name(clients: &Clients, name: &str) -> Result<Option<Answer>, Failure> {
    let page = |next| clients.logs.describe_log_groups().log_group_name_prefix(name).set_next_token(next).send();
    let groups = clients.pages(DESCRIBE, page, |answer| (answer.log_groups, answer.next_token)).await?;
    Ok(groups.into_iter().find(|group| group.log_group_name() == Some(name)))
}

/// The ARN as the tagging calls take it: without the `:*` at its end.
fn arn(group: &Answer) -> Option<&str> {
    group.log_group_arn().or(group.arn()).map(|arn| arn.strip_suffix(":*").unwrap_or(arn))
}

async fn tags(clients: &Clients, group: &Answer) -> Result<Tags, Failure> {
    let arn = arn(group).ok_or_else(|| incomplete(DESCRIBE, "ARN", Class::Invalid))?;
    let answer = clients.read(LIST_TAGS, || clients.logs.list_tags_for_resource().resource_arn(arn).send()).await?;
    Ok(answer.tags.unwrap_or_default().into_iter().filter(|(key, _)| !key.starts_with("aws:")).collect())
}

fn found(name: &str, group: &Answer, tags: Tags) -> Found {
    let retention_days = group.retention_in_days().and_then(|days| u32::try_from(days).ok());
    Found {
        id: name.to_owned(),
        name: name.to_owned(),
        tags,
        spec: Spec::LogGroup(LogGroup { retention_days }),
        condition: Condition::Ready,
    }
}

fn map(tags: &Tags) -> HashMap<String, String> {
    tags.clone().into_iter().collect()
}

/// Makes it. The cloud refuses a second one of the same name.
pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    _spec: &LogGroup,
    _ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let call = clients.logs.create_log_group().log_group_name(&resource.name).set_tags(Some(map(&resource.tags)));
    clients.call(CREATE, Effect::Idempotent, call.send()).await?;
    Ok(resource.name.clone())
}

/// By name, if it is ours.
pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &LogGroup,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let Some(group) = by_name(clients, &resource.name).await? else { return Ok(Vec::new()) };
    let tags = if_there(tags(clients, &group).await)?;
    let ours = tags.is_some_and(|tags| is_it(&tags, resource));
    Ok(ours.then(|| resource.name.clone()).into_iter().collect())
}

/// Sets retention and tags.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &LogGroup,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    if to_set(changes, "retention days") {
        retain(clients, id, spec.retention_days).await?;
    }
    if tags_differ(changes) {
        let group = by_name(clients, id).await?.ok_or_else(|| gone(TAG, id))?;
        let arn = arn(&group).ok_or_else(|| incomplete(DESCRIBE, "ARN", Class::Invalid))?;
        let call = clients.logs.tag_resource().resource_arn(arn).set_tags(Some(map(&resource.tags)));
        clients.call(TAG, Effect::Idempotent, call.send()).await?;
    }
    Ok(())
}

async fn retain(clients: &Clients, id: &str, days: Option<u32>) -> Result<(), Failure> {
    match days.and_then(|days| i32::try_from(days).ok()) {
        Some(days) => {
            let call = clients.logs.put_retention_policy().log_group_name(id).retention_in_days(days);
            clients.call("logs:PutRetentionPolicy", Effect::Idempotent, call.send()).await.map(|_| ())
        }
        None => {
            let call = clients.logs.delete_retention_policy().log_group_name(id);
            clients.call("logs:DeleteRetentionPolicy", Effect::Idempotent, call.send()).await.map(|_| ())
        }
    }
}

/// Ready as soon as it is there.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(there(by_name(clients, id).await?))
}

/// Deletes it with everything that was logged.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    let call = clients.logs.delete_log_group().log_group_name(id);
    clients.call(DELETE, Effect::Idempotent, call.send()).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_as_they_are() {
        for (days, told) in [(Some(30), Some(30)), (None, None), (Some(-1), None)] {
            let group = Answer::builder().log_group_name("/kvstore/dev").set_retention_in_days(days).build();
            let found = found("/kvstore/dev", &group, Tags::new());
            assert_eq!(found.spec, Spec::LogGroup(LogGroup { retention_days: told }));
            assert_eq!((found.id.as_str(), found.name.as_str()), ("/kvstore/dev", "/kvstore/dev"));
        }
    }

    #[test]
    fn the_arn_is_the_one_that_tagging_takes() {
        let plain = "arn:aws:logs:us-east-1:123456789012:log-group:/kvstore/dev";
        let star = format!("{plain}:*");
        for group in [
            Answer::builder().arn(&star),
            Answer::builder().arn(plain),
            Answer::builder().log_group_arn(plain).arn(&star),
        ] {
            assert_eq!(arn(&group.build()), Some(plain));
        }
        assert_eq!(arn(&Answer::builder().build()), None);
    }
}
