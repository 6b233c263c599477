//! One thing in a fake cloud: what it is, since when it is there, and for how long it stays in between states.
//!
//! States follow from times, so that nothing has to happen for them to change.

use std::time::Duration;

use crate::observed::{Condition, Found};
use crate::resource::{Kind, OnChange, Reference, Spec, Tags};

/// One thing. References in its specification are ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: Tags,
    /// What it is.
    pub spec: Spec,
    /// When it was made.
    pub made: Duration,
    /// From when on every call sees it.
    pub visible: Duration,
    /// From when on it is ready.
    pub ready: Duration,
    /// Why it will never work.
    pub broken: Option<String>,
    /// When its deletion ends, once it began.
    pub gone: Option<Duration>,
    /// What it was before its last change, and how long some observations show that.
    pub before: Option<(Spec, Tags, Duration)>,
}

impl Thing {
    /// A thing that is there, ready and seen by all.
    #[must_use]
    pub fn settled(id: &str, name: &str, tags: Tags, spec: Spec) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            tags,
            spec,
            made: Duration::ZERO,
            visible: Duration::ZERO,
            ready: Duration::ZERO,
            broken: None,
            gone: None,
            before: None,
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        self.spec.kind()
    }

    /// Whether its specification names this id.
    pub(super) fn names(&self, id: &str) -> bool {
        self.spec.references().iter().any(|reference| is(reference, id))
    }

    /// Whether it is inside the thing with this id.
    pub(super) fn is_inside(&self, id: &str) -> bool {
        self.spec.parent().is_some_and(|parent| is(parent, id))
    }

    /// Whether it is the same place as another one of its kind: all that cannot be changed is equal.
    pub(super) fn takes_the_place_of(&self, spec: &Spec) -> bool {
        self.kind() == spec.kind()
            && self
                .spec
                .fields()
                .iter()
                .zip(spec.fields())
                .all(|(mine, theirs)| mine.on_change != OnChange::Replace || mine.value == theirs.value)
    }

    pub(super) fn condition(&self, now: Duration) -> Condition {
        match (&self.gone, &self.broken) {
            (Some(gone), _) if *gone <= now => Condition::Gone,
            (Some(_), _) => Condition::Deleting { state: "deleting".to_owned() },
            (None, _) if now < self.ready => Condition::Pending { state: pending(self.kind()).to_owned() },
            (None, Some(reason)) => Condition::Failed { reason: reason.clone() },
            (None, None) => Condition::Ready,
        }
    }

    pub(super) fn found(&self, now: Duration) -> Found {
        Found {
            id: self.id.clone(),
            name: self.name.clone(),
            tags: self.tags.clone(),
            spec: self.spec.clone(),
            condition: self.condition(now),
        }
    }
}

/// Whether a reference names this id.
pub(super) fn is(reference: &Reference, id: &str) -> bool {
    matches!(reference, Reference::Id(named) if named == id)
}

const fn pending(kind: Kind) -> &'static str {
    match kind {
        Kind::LoadBalancer => "provisioning",
        Kind::Volume => "creating",
        _ => "pending",
    }
}
