//! What an observation of a fake cloud shows: the cluster's things, seen through stale eyes.
//!
//! New things may be missing, gone ones may still be there, and changed ones may look as before, each for a while and
//! differently from one observation to the next.

use std::collections::BTreeSet;

use super::thing::Thing;
use super::world::{Effect, World, action};
use crate::observed::{Found, Observed, Unseen};
use crate::provider::Failure;
use crate::resource::{CLUSTER_TAG, Identity, Kind, Resource, Spec};

impl World {
    /// See [`Cloud::observe`](crate::provider::Cloud::observe).
    ///
    /// # Errors
    ///
    /// As a cloud would.
    pub fn observe(&mut self, cluster: &str, wanted: &[Resource]) -> Result<Observed, Failure> {
        let mut observed = Observed { cluster: cluster.to_owned(), found: Vec::new(), unseen: Vec::new() };
        // One chance to fail for all of it: with one for each of 30 calls hardly any observation would succeed.
        self.call("Observe", Effect::Read, |_| Ok(()))?;
        for kind in Kind::ALL {
            let action = action("Describe", kind);
            if self.faults.denied.contains(&action) {
                let reason = "UnauthorizedOperation".to_owned();
                observed.unseen.push(Unseen { kinds: vec![kind], action, reason, permission: true });
            }
        }
        let hidden: Vec<Kind> = observed.unseen.iter().flat_map(|unseen| unseen.kinds.clone()).collect();
        observed.found = self.ours(cluster, wanted);
        observed.found.retain(|found| !hidden.contains(&found.kind()));
        Ok(observed)
    }

    fn ours(&mut self, cluster: &str, wanted: &[Resource]) -> Vec<Found> {
        let names: BTreeSet<(Kind, &str)> = wanted
            .iter()
            .filter(|resource| resource.key.kind.identity() == Identity::Name)
            .map(|resource| (resource.key.kind, resource.name.as_str()))
            .collect();
        let mut shown: BTreeSet<String> = BTreeSet::new();
        let mut found = Vec::new();
        let mut things = self.shown();
        // Parents stand before what is inside them.
        things.sort_by_key(Thing::kind);
        for thing in things {
            let default_of_ours = matches!(&thing.spec, Spec::SecurityGroup(group)
                if group.default && shown.contains(&group.vpc.to_string()));
            let inside = thing.spec.parent().is_some_and(|parent| shown.contains(&parent.to_string()));
            let tagged = thing.tags.get(CLUSTER_TAG).is_some_and(|value| value == cluster);
            if tagged || inside || default_of_ours || names.contains(&(thing.kind(), thing.name.as_str())) {
                shown.insert(thing.id.clone());
                found.push(thing.found(self.now));
            }
        }
        found
    }

    /// All things as this observation sees them.
    fn shown(&mut self) -> Vec<Thing> {
        let ids: Vec<String> = self.things.keys().cloned().collect();
        let mut shown: Vec<Thing> = Vec::with_capacity(ids.len());
        for id in ids {
            if !self.sees(&id) {
                continue;
            }
            let old = self.chance.below(2) == 0;
            let Some(thing) = self.things.get(&id) else { continue };
            let mut thing = thing.clone();
            if let Some((spec, tags, until)) = thing.before.take()
                && old
                && self.now < until
            {
                thing.spec = spec;
                thing.tags = tags;
            }
            shown.push(thing);
        }
        for (ghost, _) in self.ghosts.clone() {
            if self.chance.below(2) == 0 && !self.things.contains_key(&ghost.id) {
                shown.push(ghost);
            }
        }
        shown
    }
}
