//! What the parts of load balancing share: one observation of all of them, and their tags.
//!
//! Balancers and target groups are recognised by name, everything else lies inside them, and the tags of many are
//! read with one call: that is why one function observes five kinds. Nothing here changes anything but tags.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::Tag;

use super::changes::tags_to_mend;
use super::clients::Clients;
use super::failure::Effect;
use super::scope::Scope;
use super::{listener, listener_rule, load_balancer, target_group, target_registration};
use crate::observed::Found;
use crate::plan::Difference;
use crate::provider::Failure;
use crate::resource::{CLUSTER_TAG, Kind, Resource, Tags};

/// Most ARNs that one `DescribeTags` takes.
const TAGS_AT_ONCE: usize = 20;

/// Tags of several, by ARN.
pub(super) type TagsByArn = BTreeMap<String, Tags>;

/// Load balancers and target groups of the wanted names, and what lies inside those that are ours: listeners, their
/// rules, registrations.
///
/// # Errors
/// What went wrong with any of the calls; nothing was changed.
pub(super) async fn observe(clients: &Clients, scope: &Scope<'_>) -> Result<Vec<Found>, Failure> {
    let ours = |found: &Found| found.cluster() == Some(scope.cluster);
    let mut all = load_balancer::observe(clients, scope.names(Kind::LoadBalancer)).await?;
    let mut inside = Vec::new();
    for balancer in all.iter().filter(|found| ours(found)) {
        let listeners = listener::list(clients, &balancer.id).await?;
        for listener in &listeners {
            inside.extend(listener_rule::list(clients, &listener.id).await?);
        }
        inside.extend(listeners);
    }
    tag_all(clients, &mut inside).await?;
    let groups = target_group::observe(clients, scope.names(Kind::TargetGroup)).await?;
    for group in groups.iter().filter(|found| ours(found)) {
        inside.extend(target_registration::list(clients, &group.id).await?);
    }
    all.extend(groups);
    all.extend(inside);
    Ok(all)
}

/// Reads the tags of everything in a list and the names that they say.
async fn tag_all(clients: &Clients, list: &mut [Found]) -> Result<(), Failure> {
    let arns: Vec<String> = list.iter().map(|found| found.id.clone()).collect();
    let mut tags = tags_of_all(clients, &arns).await?;
    for found in list {
        found.tags = tags.remove(&found.id).unwrap_or_default();
        found.name = found.tags.get("Name").cloned().unwrap_or_default();
    }
    Ok(())
}

/// The tags of several; the cloud's own (`aws:…`) are left out.
pub(super) async fn tags_of_all(clients: &Clients, arns: &[String]) -> Result<TagsByArn, Failure> {
    let mut all = TagsByArn::new();
    for some in arns.chunks(TAGS_AT_ONCE) {
        let call = || clients.elb.describe_tags().set_resource_arns(Some(some.to_vec())).send();
        let answer = clients.read("elasticloadbalancing:DescribeTags", call).await?;
        for one in answer.tag_descriptions() {
            all.insert(one.resource_arn().unwrap_or_default().to_owned(), ours(one.tags()));
        }
    }
    Ok(all)
}

fn ours(tags: &[Tag]) -> Tags {
    let pairs = tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    pairs.filter(|(key, _)| !key.starts_with("aws:")).collect()
}

/// Of several with the right name or place, those that carry the resource's cluster tag.
pub(super) async fn only_ours(
    clients: &Clients,
    resource: &Resource,
    arns: Vec<String>,
) -> Result<Vec<String>, Failure> {
    let tags = tags_of_all(clients, &arns).await?;
    let wanted = resource.tags.get(CLUSTER_TAG);
    let is_ours = |arn: &String| tags.get(arn).and_then(|tags| tags.get(CLUSTER_TAG)) == wanted;
    Ok(arns.into_iter().filter(is_ours).collect())
}

/// Tags as this service takes them.
pub(super) fn elb_tags(tags: &Tags) -> Option<Vec<Tag>> {
    let tags: Vec<Tag> = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    (!tags.is_empty()).then_some(tags)
}

/// Writes the tags that differ; calls nothing if none does.
pub(super) async fn mend_tags(
    clients: &Clients,
    arn: &str,
    resource: &Resource,
    changes: Option<&[Difference]>,
) -> Result<(), Failure> {
    set_tags(clients, arn, &tags_to_mend(resource, changes)).await
}

/// Writes tags; calls nothing if there are none.
pub(super) async fn set_tags(clients: &Clients, arn: &str, tags: &Tags) -> Result<(), Failure> {
    let Some(tags) = elb_tags(tags) else {
        return Ok(());
    };
    let call = clients.elb.add_tags().resource_arns(arn).set_tags(Some(tags)).send();
    clients.call("elasticloadbalancing:AddTags", Effect::Idempotent, call).await.map(drop)
}

/// A number as this service takes it; none of ours is anywhere near the limit.
pub(super) fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clouds_own_tags_are_not_told() {
        let tags = [("aws:cloudformation:stack-name", "x"), ("Name", "n"), ("Owner", "")];
        let tags: Vec<Tag> = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
        assert_eq!(
            ours(&tags).into_iter().collect::<Vec<_>>(),
            [("Name".to_owned(), "n".to_owned()), ("Owner".to_owned(), String::new())]
        );
    }

    #[test]
    fn no_tags_are_no_list() {
        assert_eq!(elb_tags(&Tags::new()), None, "the service refuses an empty list");
        assert_eq!(elb_tags(&[("a".to_owned(), "b".to_owned())].into()).map(|tags| tags.len()), Some(1));
    }
}
