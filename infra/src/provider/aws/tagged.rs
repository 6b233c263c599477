//! EC2 resources that are recognised by their tags: how they are looked for, told and tagged again.
//!
//! Only tags that we set are ever written; tags that others added stay. Nothing here knows a kind.

use aws_sdk_ec2::types::{Filter, Tag};

use super::clients::Clients;
use super::failure::Effect;
use super::identity::{ec2_tags, filter, tags_of};
use crate::observed::{Condition, Found};
use crate::plan::Difference;
use crate::provider::Failure;
use crate::resource::{CLUSTER_TAG, ROLE_TAG, Resource, Spec, Tags};

/// What a difference in a tag is called: `tag NAME`.
const TAG_FIELD: &str = "tag ";

/// The filters for everything with the tags that tell one resource from all others.
pub(super) fn of_resource(resource: &Resource) -> Vec<Filter> {
    let tag = |name: &str| resource.tags.get(name).map(|value| filter(&format!("tag:{name}"), value));
    let mut filters: Vec<Filter> = tag(CLUSTER_TAG).into_iter().collect();
    filters.push(tag(ROLE_TAG).unwrap_or_else(|| filter(&format!("tag:{ROLE_TAG}"), &resource.key.role)));
    filters
}

/// A resource as it was seen; its name is its tag `Name`.
pub(super) fn found(id: &str, tags: &[Tag], spec: Spec, condition: Condition) -> Found {
    let tags = tags_of(tags);
    let name = tags.get("Name").cloned().unwrap_or_default();
    Found { id: id.to_owned(), name, tags, spec, condition }
}

/// A resource as it was seen, of a kind that takes no tags.
pub(super) fn untagged(id: String, spec: Spec, condition: Condition) -> Found {
    Found { id, name: String::new(), tags: Tags::new(), spec, condition }
}

/// Whether a field is among those to be mended. Nothing is after a create.
pub(super) fn differs(changes: Option<&[Difference]>, field: &str) -> bool {
    changes.unwrap_or_default().iter().any(|change| change.field == field)
}

/// The tags to be written again: those that differ, as they are wanted.
fn differing(resource: &Resource, changes: Option<&[Difference]>) -> Vec<Tag> {
    let names = changes.unwrap_or_default().iter().filter_map(|change| change.field.strip_prefix(TAG_FIELD));
    names.filter_map(|name| Some(Tag::builder().key(name).value(resource.tags.get(name)?).build())).collect()
}

/// Writes all tags, on something that the cloud made by itself.
///
/// # Errors
/// What went wrong; writing them again gives the same.
pub(super) async fn set_tags(clients: &Clients, id: &str, tags: &Tags) -> Result<(), Failure> {
    let call = clients.ec2.create_tags().resources(id).set_tags(Some(ec2_tags(tags))).send();
    clients.call("ec2:CreateTags", Effect::Idempotent, call).await.map(drop)
}

/// Writes the tags that differ; calls nothing if none does.
///
/// # Errors
/// What went wrong; writing them again gives the same.
pub(super) async fn mend_tags(
    clients: &Clients,
    id: &str,
    resource: &Resource,
    changes: Option<&[Difference]>,
) -> Result<(), Failure> {
    let tags = differing(resource, changes);
    if tags.is_empty() {
        return Ok(());
    }
    let call = clients.ec2.create_tags().resources(id).set_tags(Some(tags)).send();
    clients.call("ec2:CreateTags", Effect::Idempotent, call).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{ElasticIp, Key, Kind, OnChange};

    fn resource() -> Resource {
        let tags = [(CLUSTER_TAG, "kvstore-dev"), (ROLE_TAG, "us-east-1a"), ("Name", "kvstore-dev-eip-us-east-1a")];
        Resource {
            key: Key::new(Kind::ElasticIp, "us-east-1a"),
            name: "kvstore-dev-eip-us-east-1a".to_owned(),
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            spec: Spec::ElasticIp(ElasticIp {}),
            needs: Vec::new(),
        }
    }

    fn change(field: &str) -> Difference {
        let text = |text: &str| text.to_owned();
        Difference { field: text(field), from: text("x"), to: text("y"), on_change: OnChange::Configure }
    }

    #[test]
    fn only_wanted_tags_that_differ_are_written() {
        for (changes, expected) in [
            (None, vec![]),
            (Some(vec![]), vec![]),
            (Some(vec![change("cidr")]), vec![]),
            (Some(vec![change("tag Name"), change("tag Owner")]), vec![("Name", "kvstore-dev-eip-us-east-1a")]),
        ] {
            let tags = differing(&resource(), changes.as_deref());
            let pairs: Vec<_> =
                tags.iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default())).collect();
            assert_eq!(pairs, expected);
        }
    }

    #[test]
    fn a_resource_is_looked_for_by_cluster_and_role() {
        let names = |resource: &Resource| -> Vec<String> {
            of_resource(resource)
                .iter()
                .map(|filter| format!("{}={}", filter.name().unwrap(), filter.values()[0]))
                .collect()
        };
        assert_eq!(names(&resource()), ["tag:kvstore:cluster=kvstore-dev", "tag:kvstore:role=us-east-1a"]);
    }

    #[test]
    fn the_clouds_own_tags_are_not_told() {
        let tags = [("aws:cloudformation:stack-name", "x"), ("Name", "n"), ("Owner", "o")];
        let tags: Vec<Tag> = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
        let found = found("eipalloc-1", &tags, Spec::ElasticIp(ElasticIp {}), Condition::Ready);
        assert_eq!(found.name, "n");
        assert_eq!(found.tags.keys().collect::<Vec<_>>(), ["Name", "Owner"]);
    }
}
