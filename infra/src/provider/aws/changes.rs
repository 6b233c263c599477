//! What of a resource's tags is to be written again, for services other than EC2.
//!
//! Only tags that we set are ever written; tags that others added stay. Each service has its own type for a tag, so
//! that this gives ours.

use crate::plan::Difference;
use crate::resource::{Resource, Tags};

/// What a difference in a tag is called: `tag NAME`.
const TAG_FIELD: &str = "tag ";

/// The tags that differ, as they are wanted. None after a create, which sets all of them.
pub(super) fn tags_to_mend(resource: &Resource, changes: Option<&[Difference]>) -> Tags {
    let names = changes.unwrap_or_default().iter().filter_map(|change| change.field.strip_prefix(TAG_FIELD));
    names
        .filter_map(|name| resource.tags.get_key_value(name))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Whether any of several fields is among those to be mended. Nothing is after a create.
pub(super) fn any_differs(changes: Option<&[Difference]>, fields: &[&str]) -> bool {
    changes.unwrap_or_default().iter().any(|change| fields.contains(&change.field.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Key, Kind, OnChange, Parameter, Spec};

    fn change(field: &str) -> Difference {
        let text = |text: &str| text.to_owned();
        Difference { field: text(field), from: text("x"), to: text("y"), on_change: OnChange::Configure }
    }

    #[test]
    fn only_wanted_tags_that_differ_are_written() {
        let resource = Resource {
            key: Key::new(Kind::Parameter, "ca.pem"),
            name: "/kvstore-dev/ca.pem".to_owned(),
            tags: [("Name".to_owned(), "n".to_owned()), ("Region".to_owned(), "r".to_owned())].into(),
            spec: Spec::Parameter(Parameter { secure: true }),
            needs: Vec::new(),
        };
        for (changes, expected) in [
            (None, vec![]),
            (Some(vec![change("secure")]), vec![]),
            (Some(vec![change("tag Region"), change("tag Owner")]), vec![("Region", "r")]),
        ] {
            let tags = tags_to_mend(&resource, changes.as_deref());
            assert_eq!(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_field_differs_if_it_is_listed() {
        let changes = [change("groups")];
        for (changes, fields, expected) in [
            (None, &["groups"][..], false),
            (Some(&changes[..]), &["groups", "subnets"], true),
            (Some(&changes), &["subnets"], false),
            (Some(&changes), &[], false),
        ] {
            assert_eq!(any_differs(changes, fields), expected, "{fields:?}");
        }
    }
}
