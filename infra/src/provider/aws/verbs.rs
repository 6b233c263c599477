//! What the six verbs of several kinds share beside pages and tags: what is to be set, and what an answer means.
//!
//! Nothing here calls anything, knows a single kind, or decides whether to try again.

use crate::observed::Condition;
use crate::plan::Difference;
use crate::provider::{Class, Failure};
use crate::resource::{CLUSTER_TAG, ROLE_TAG, Resource, Tags};

/// Most values of one filter that EC2 takes.
pub(super) const MAX_FILTER_VALUES: usize = 200;

/// Whether a field is to be set: it differs, or the resource has just been made.
pub(super) fn to_set(changes: Option<&[Difference]>, field: &str) -> bool {
    changes.is_none_or(|changes| changes.iter().any(|change| change.field == field))
}

/// Whether a tag differs. Not after a create: there tags were said with the creation.
pub(super) fn tags_differ(changes: Option<&[Difference]>) -> bool {
    changes.is_some_and(|changes| changes.iter().any(|change| change.field.starts_with("tag ")))
}

/// Whether tags say that this is the very resource.
pub(super) fn is_it(tags: &Tags, resource: &Resource) -> bool {
    [CLUSTER_TAG, ROLE_TAG].into_iter().all(|tag| tags.contains_key(tag) && tags.get(tag) == resource.tags.get(tag))
}

/// What was to be changed or deleted is not there.
pub(super) fn gone(action: &str, id: &str) -> Failure {
    Failure {
        action: action.to_owned(),
        code: "not found".to_owned(),
        message: format!("{id} does not exist"),
        class: Class::Gone,
    }
}

/// What was just made is not to be seen yet.
pub(super) fn not_yet(action: &str, what: &str) -> Failure {
    Failure {
        action: action.to_owned(),
        code: "not visible yet".to_owned(),
        message: format!("{what} cannot be seen yet"),
        class: Class::NotYet,
    }
}

/// Not there is an answer, not a failure.
///
/// # Errors
/// Every failure but [`Class::Gone`].
pub(super) fn if_there<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.class == Class::Gone => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The condition of something that is either there or not.
pub(super) fn there<T>(answer: Option<T>) -> Condition {
    answer.map_or(Condition::Gone, |_| Condition::Ready)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::OnChange;

    #[test]
    fn fields_are_set_when_they_differ_or_after_a_create() {
        let difference = |field: &str| Difference {
            field: field.to_owned(),
            from: String::new(),
            to: String::new(),
            on_change: OnChange::Configure,
        };
        for (changes, field, tags) in [
            (None, true, false),
            (Some(vec![]), false, false),
            (Some(vec![difference("description")]), true, false),
            (Some(vec![difference("tag Name")]), false, true),
            (Some(vec![difference("tags")]), false, false),
        ] {
            assert_eq!(to_set(changes.as_deref(), "description"), field, "{changes:?}");
            assert_eq!(tags_differ(changes.as_deref()), tags, "{changes:?}");
        }
    }
}
