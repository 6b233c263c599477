//! Roles, recognised by name, with their trust, their inline policies and the cloud's own policies attached to them.
//!
//! Found under the wanted names even if they are not tagged: the planner refuses what is foreign. IAM gives documents
//! back encoded and as they were written; they are compared in one canonical form.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::operation::list_instance_profiles_for_role::ListInstanceProfilesForRoleOutput;
use aws_sdk_iam::operation::list_role_policies::ListRolePoliciesOutput;
use aws_sdk_iam::types::{Role as Answer, Tag};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::incomplete;
use super::policy_document::canonical;
use super::scope::Scope;
use super::verbs::{if_there, is_it, tags_differ, there, to_set};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::{Class, Failure, Ids};
use crate::resource::{CLUSTER_TAG, Kind, Resource, Role, Spec, Tags};

const CREATE: &str = "iam:CreateRole";
const DELETE: &str = "iam:DeleteRole";
const GET: &str = "iam:GetRole";
const GET_POLICY: &str = "iam:GetRolePolicy";
const LIST_POLICIES: &str = "iam:ListRolePolicies";
const LIST_ATTACHED: &str = "iam:ListAttachedRolePolicies";

/// Those with a wanted name.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for name in scope.names(Kind::Role) {
        // One that goes away while it is looked at is not there.
        all.extend(if_there(look(clients, name).await)?.flatten());
    }
    Ok(all)
}

async fn look(clients: &Clients, name: &str) -> Result<Option<Found>, Failure> {
    let Some(role) = by_name(clients, name).await? else { return Ok(None) };
    let mut policies = BTreeMap::new();
    for policy in inline(clients, name).await? {
        let call = || clients.iam.get_role_policy().role_name(name).policy_name(&policy).send();
        let answer = clients.read(GET_POLICY, call).await?;
        policies.insert(policy, canonical(&answer.policy_document));
    }
    let managed_policies = attached(clients, name).await?.into_iter().collect();
    Ok(Some(found(name, &role, policies, managed_policies)))
}

fn found(name: &str, role: &Answer, policies: BTreeMap<String, String>, managed_policies: BTreeSet<String>) -> Found {
    let trust = role.assume_role_policy_document().map(canonical).unwrap_or_default();
    Found {
        id: name.to_owned(),
        name: name.to_owned(),
        tags: tags_of(role.tags()),
        spec: Spec::Role(Role { trust, policies, managed_policies }),
        condition: Condition::Ready,
    }
}

/// Tags as ours; the cloud's own are left out.
pub(super) fn tags_of(tags: &[Tag]) -> Tags {
    let pairs = tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
    pairs.filter(|(key, _)| !key.starts_with("aws:")).collect()
}

pub(super) fn iam_tags(tags: &Tags) -> Vec<Tag> {
    let tag = |(key, value)| Tag::builder().key(key).value(value).build().expect("invariant: it has a key and a value");
    tags.iter().map(tag).collect()
}

async fn by_name(clients: &Clients, name: &str) -> Result<Option<Answer>, Failure> {
    let answer = clients.read(GET, || clients.iam.get_role().role_name(name).send()).await;
    Ok(if_there(answer)?.and_then(|answer| answer.role))
}

/// The ARN of a role.
pub(super) async fn arn(clients: &Clients, name: &str) -> Result<String, Failure> {
    let answer = clients.read(GET, || clients.iam.get_role().role_name(name).send()).await?;
    answer.role.map(|role| role.arn).ok_or_else(|| incomplete(GET, "role", Class::Invalid))
}

/// The cluster that a role is tagged with, and the names of the profiles that hold it.
pub(super) async fn users(clients: &Clients, name: &str) -> Result<(Option<String>, Vec<String>), Failure> {
    let Some(role) = by_name(clients, name).await? else { return Ok((None, Vec::new())) };
    let page = |marker| clients.iam.list_instance_profiles_for_role().role_name(name).set_marker(marker).send();
    let split = |answer: ListInstanceProfilesForRoleOutput| (Some(answer.instance_profiles), answer.marker);
    let profiles = clients.pages("iam:ListInstanceProfilesForRole", page, split).await?;
    let names = profiles.into_iter().map(|profile| profile.instance_profile_name).collect();
    Ok((tags_of(role.tags()).remove(CLUSTER_TAG), names))
}

/// Names of its inline policies.
async fn inline(clients: &Clients, name: &str) -> Result<Vec<String>, Failure> {
    let page = |marker| clients.iam.list_role_policies().role_name(name).set_marker(marker).send();
    let split = |answer: ListRolePoliciesOutput| (Some(answer.policy_names), answer.marker);
    clients.pages(LIST_POLICIES, page, split).await
}

/// ARNs of the policies attached to it.
async fn attached(clients: &Clients, name: &str) -> Result<Vec<String>, Failure> {
    let page = |marker| clients.iam.list_attached_role_policies().role_name(name).set_marker(marker).send();
    let policies = clients.pages(LIST_ATTACHED, page, |answer| (answer.attached_policies, answer.marker)).await?;
    Ok(policies.into_iter().filter_map(|policy| policy.policy_arn).collect())
}

/// Makes it, with its trust and tags. The cloud refuses a second one of the same name.
pub(super) async fn create(
    clients: &Clients,
    resource: &Resource,
    spec: &Role,
    _ids: &Ids,
    _token: &str,
) -> Result<String, Failure> {
    let call = clients
        .iam
        .create_role()
        .role_name(&resource.name)
        .assume_role_policy_document(&spec.trust)
        .set_tags(Some(iam_tags(&resource.tags)));
    clients.call(CREATE, Effect::Idempotent, call.send()).await?;
    Ok(resource.name.clone())
}

/// By name, if it is ours.
pub(super) async fn find(
    clients: &Clients,
    resource: &Resource,
    _spec: &Role,
    _ids: &Ids,
) -> Result<Vec<String>, Failure> {
    let role = by_name(clients, &resource.name).await?;
    let ours = role.is_some_and(|role| is_it(&tags_of(role.tags()), resource));
    Ok(ours.then(|| resource.name.clone()).into_iter().collect())
}

/// Sets trust, policies and tags; policies that are not wanted go.
pub(super) async fn configure(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    spec: &Role,
    changes: Option<&[Difference]>,
    _ids: &Ids,
) -> Result<(), Failure> {
    if changes.is_some() && to_set(changes, "trust") {
        let call = clients.iam.update_assume_role_policy().role_name(id).policy_document(&spec.trust);
        clients.call("iam:UpdateAssumeRolePolicy", Effect::Idempotent, call.send()).await?;
    }
    if to_set(changes, "policies") {
        for (name, document) in &spec.policies {
            let call = clients.iam.put_role_policy().role_name(id).policy_name(name).policy_document(document);
            clients.call("iam:PutRolePolicy", Effect::Idempotent, call.send()).await?;
        }
        let extra = inline(clients, id).await?.into_iter().filter(|name| !spec.policies.contains_key(name));
        remove_inline(clients, id, extra).await?;
    }
    if to_set(changes, "managed policies") {
        let there = attached(clients, id).await?;
        for arn in spec.managed_policies.iter().filter(|arn| !there.contains(arn)) {
            let call = clients.iam.attach_role_policy().role_name(id).policy_arn(arn);
            clients.call("iam:AttachRolePolicy", Effect::Idempotent, call.send()).await?;
        }
        detach(clients, id, there.into_iter().filter(|arn| !spec.managed_policies.contains(arn))).await?;
    }
    if tags_differ(changes) {
        let call = clients.iam.tag_role().role_name(id).set_tags(Some(iam_tags(&resource.tags)));
        clients.call("iam:TagRole", Effect::Idempotent, call.send()).await?;
    }
    Ok(())
}

async fn remove_inline(clients: &Clients, id: &str, names: impl Iterator<Item = String>) -> Result<(), Failure> {
    for name in names {
        let call = clients.iam.delete_role_policy().role_name(id).policy_name(name);
        if_there(clients.call("iam:DeleteRolePolicy", Effect::Idempotent, call.send()).await)?;
    }
    Ok(())
}

async fn detach(clients: &Clients, id: &str, arns: impl Iterator<Item = String>) -> Result<(), Failure> {
    for arn in arns {
        let call = clients.iam.detach_role_policy().role_name(id).policy_arn(arn);
        if_there(clients.call("iam:DetachRolePolicy", Effect::Idempotent, call.send()).await)?;
    }
    Ok(())
}

/// Ready as soon as it is there; whether services can take it on yet is not told.
pub(super) async fn condition(clients: &Clients, id: &str) -> Result<Condition, Failure> {
    Ok(there(by_name(clients, id).await?))
}

/// Takes its policies away and deletes it. A profile that holds it must let it go first.
pub(super) async fn delete(clients: &Clients, id: &str) -> Result<(), Failure> {
    detach(clients, id, attached(clients, id).await?.into_iter()).await?;
    remove_inline(clients, id, inline(clients, id).await?.into_iter()).await?;
    let call = clients.iam.delete_role().role_name(id);
    clients.call(DELETE, Effect::Idempotent, call.send()).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;

    use super::*;

    #[test]
    fn roles_are_told_as_they_are() {
        let tags = Tags::from([("kvstore:cluster".to_owned(), "kvstore-dev".to_owned())]);
        let role = Answer::builder()
            .path("/")
            .role_name("kvstore-dev-role-nodes")
            .role_id("AROA1")
            .arn("arn:aws:iam::123456789012:role/kvstore-dev-role-nodes")
            .create_date(DateTime::from_secs(0))
            .assume_role_policy_document("%7B%22b%22%3A%201%2C%22a%22%3A2%7D")
            .set_tags(Some(iam_tags(&tags)))
            .build()
            .unwrap();
        let found = found("kvstore-dev-role-nodes", &role, BTreeMap::new(), BTreeSet::new());
        assert_eq!((found.id.as_str(), found.tags), ("kvstore-dev-role-nodes", tags));
        let Spec::Role(role) = found.spec else { panic!("not a role") };
        assert_eq!(role.trust, r#"{"a":2,"b":1}"#);
    }
}
