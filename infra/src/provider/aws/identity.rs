//! Tags and references at the border: how ours become the SDK's and back.
//!
//! Types of EC2 only, the other services have their own. Whose a resource is, is not judged here.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use crate::provider::{Class, Failure, Ids};
use crate::resource::{CLUSTER_TAG, Reference, Resource, Tags};

/// The cloud id that a reference means.
///
/// # Errors
/// It is one of ours that does not exist: the order of the plan is wrong. Nothing was sent.
pub(super) fn resolve<'a>(action: &str, reference: &'a Reference, ids: &'a Ids) -> Result<&'a str, Failure> {
    match reference {
        Reference::Id(id) => Ok(id),
        Reference::Key(key) => ids.get(key).map(String::as_str).ok_or_else(|| Failure {
            action: action.to_owned(),
            code: "unknown reference".to_owned(),
            message: format!("{key} does not exist yet"),
            class: Class::Invalid,
        }),
    }
}

/// An answer that lacks what every answer has.
pub(super) fn incomplete(action: &str, missing: &str, class: Class) -> Failure {
    Failure {
        action: action.to_owned(),
        code: "incomplete answer".to_owned(),
        message: format!("the answer has no {missing}"),
        class,
    }
}

/// A filter with one value.
pub(super) fn filter(name: &str, value: impl Into<String>) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// The filter for everything that is tagged as the cluster's.
pub(super) fn of_cluster(cluster: &str) -> Filter {
    filter(&format!("tag:{CLUSTER_TAG}"), cluster)
}

/// All tags of a resource, to be set in the very call that makes it.
pub(super) fn tag_specification(resource_type: ResourceType, resource: &Resource) -> TagSpecification {
    TagSpecification::builder().resource_type(resource_type).set_tags(Some(ec2_tags(&resource.tags))).build()
}

pub(super) fn ec2_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Tags as ours; the cloud's own (`aws:…`) are left out.
pub(super) fn tags_of(tags: &[Tag]) -> Tags {
    let pairs = tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    pairs.filter(|(key, _)| !key.starts_with("aws:")).collect()
}
