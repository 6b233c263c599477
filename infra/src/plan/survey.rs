//! What of an observation is the cluster's own, and who names whom in it.
//!
//! Ownership is a tag, or a parent that is ours; nothing else. What is not ours is not in a survey at all, except
//! what stands in the way of a wanted name. A survey decides nothing.

use std::collections::{BTreeSet, HashMap};

use super::translate::{carrier, parent_kind, references};
use crate::observed::{Condition, Found, Observed};
use crate::resource::{Identity, Kind, Reference, Spec};

/// Index of a found resource in a [`Survey`].
pub(super) type FoundAt = usize;

/// The cluster's own resources, in order of kind (what is named before what names it) and id.
pub(super) struct Survey<'a> {
    /// Ours, without those that are gone.
    pub(super) found: Vec<&'a Found>,
    /// For each: which of ours it names.
    pub(super) uses: Vec<Vec<FoundAt>>,
    /// For each: which of ours name it.
    pub(super) users: Vec<Vec<FoundAt>>,
    /// For each: what of ours it goes away with.
    pub(super) carrier: Vec<Option<FoundAt>>,
    /// Others' resources of kinds that are recognised by name.
    pub(super) foreign: Vec<&'a Found>,
    at: HashMap<(Kind, &'a str), FoundAt>,
}

impl<'a> Survey<'a> {
    pub(super) fn of(observed: &'a Observed) -> Self {
        let mut all: Vec<&Found> = observed.found.iter().filter(|one| one.condition != Condition::Gone).collect();
        all.sort_by(|one, other| (one.kind(), &one.id).cmp(&(other.kind(), &other.id)));
        all.dedup_by(|one, other| one.kind() == other.kind() && one.id == other.id);
        let mut survey = Self {
            found: Vec::with_capacity(all.len()),
            uses: Vec::new(),
            users: Vec::new(),
            carrier: Vec::new(),
            foreign: Vec::new(),
            at: HashMap::with_capacity(all.len()),
        };
        // Kinds are sorted so that parents come before what is inside them.
        for one in all {
            if survey.is_ours(one, &observed.cluster) {
                let _none = survey.at.insert((one.kind(), one.id.as_str()), survey.found.len());
                survey.found.push(one);
            } else if one.kind().identity() == Identity::Name {
                survey.foreign.push(one);
            }
        }
        survey.link();
        survey
    }

    fn is_ours(&self, one: &Found, cluster: &str) -> bool {
        let inside = |kind: Kind, parent: &Reference| self.find(kind, parent).is_some();
        match (&one.spec, parent_kind(one.kind()), one.spec.parent()) {
            (_, Some(kind), Some(parent)) => inside(kind, parent),
            (Spec::SecurityGroup(group), ..) if group.default => inside(Kind::Vpc, &group.vpc),
            _ => one.cluster() == Some(cluster),
        }
    }

    fn link(&mut self) {
        self.users = vec![Vec::new(); self.found.len()];
        for (at, one) in self.found.iter().enumerate() {
            let uses: BTreeSet<FoundAt> =
                references(&one.spec).iter().filter_map(|(kind, reference)| self.find(*kind, reference)).collect();
            for used in &uses {
                if *used != at {
                    self.users[*used].push(at);
                }
            }
            self.uses.push(uses.into_iter().filter(|used| *used != at).collect());
            self.carrier.push(carrier(&one.spec).and_then(|(kind, reference)| self.find(kind, reference)));
        }
    }

    /// The one of ours that a reference of a found resource names.
    pub(super) fn find(&self, kind: Kind, reference: &Reference) -> Option<FoundAt> {
        match reference {
            Reference::Id(id) => self.at.get(&(kind, id.as_str())).copied(),
            Reference::Key(_) => None,
        }
    }

    /// How many of ours need it, directly or through others.
    pub(super) fn dependents(&self, at: FoundAt) -> usize {
        let mut seen = BTreeSet::from([at]);
        let mut next = vec![at];
        while let Some(one) = next.pop() {
            next.extend(self.users[one].iter().filter(|user| seen.insert(**user)));
        }
        seen.len() - 1
    }
}
