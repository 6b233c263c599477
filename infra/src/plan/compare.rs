//! What differs between a wanted resource and the found one that it is.
//!
//! Fields are compared one by one, as `Spec::fields` lists them; of the tags only those that we set. Whether a
//! difference is acted on is said here, how is not.

use super::Difference;
use crate::observed::Found;
use crate::resource::{Kind, OnChange, Resource, Spec, Value};

/// Told by the field `user data`: setting the tag anew would hide that the machine started with other data.
const USER_DATA_TAG: &str = "kvstore:user-data";

/// Every difference; `spec` is the found one's with references to kept resources as keys.
pub(super) fn differences(wanted: &Resource, found: &Found, spec: &Spec) -> Vec<Difference> {
    let mut all: Vec<Difference> = spec
        .fields()
        .into_iter()
        .zip(wanted.spec.fields())
        .filter(|(seen, wish)| seen.value != wish.value)
        .map(|(seen, wish)| Difference {
            field: wish.name.to_owned(),
            from: seen.value.to_string(),
            to: wish.value.to_string(),
            on_change: if shrinks(wanted.key.kind, &seen.value, &wish.value) {
                OnChange::Leave
            } else {
                wish.on_change
            },
        })
        .collect();
    let tags = wanted.tags.iter().filter(|(tag, value)| *tag != USER_DATA_TAG && found.tags.get(*tag) != Some(*value));
    all.extend(tags.map(|(tag, value)| Difference {
        field: format!("tag {tag}"),
        from: found.tags.get(tag).cloned().unwrap_or_else(|| "none".to_owned()),
        to: value.clone(),
        on_change: OnChange::Configure,
    }));
    all
}

/// A disk can grow only; asking for less would fail at every run.
const fn shrinks(kind: Kind, seen: &Value, wish: &Value) -> bool {
    match (kind, seen, wish) {
        (Kind::Volume, Value::Number(seen), Value::Number(wish)) => *wish < *seen,
        _ => false,
    }
}

/// Whether nothing differs that would need a new resource.
pub(super) fn fits(wanted: &Resource, spec: &Spec) -> bool {
    let same = |(seen, wish): (crate::resource::Field, crate::resource::Field)| {
        wish.on_change != OnChange::Replace || seen.value == wish.value
    };
    spec.kind() == wanted.key.kind && spec.fields().into_iter().zip(wanted.spec.fields()).all(same)
}

/// A difference in words, for example `tag Owner is bob, wanted kvctl`.
pub(super) fn sentence(difference: &Difference) -> String {
    format!("{} is {}, wanted {}", difference.field, difference.from, difference.to)
}
