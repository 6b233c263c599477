//! The fake cloud itself: its things, its time, and one function for each operation of the border.
//!
//! Which operation is refused for what reason stands in `guards`, what an observation shows in `view`. Every
//! operation passes [`World::call`], where the faults are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::chance::{Chance, Faults};
use super::guards;
use super::nature;
use super::thing::Thing;
use super::times;
use crate::observed::Condition;
use crate::plan::translate::translate;
use crate::provider::{Class, Failure, Holder, Ids};
use crate::resource::{CLUSTER_TAG, Identity, Kind, ROLE_TAG, Reference, Resource, SecurityGroup, Spec, Tags};

/// What a call does, and so what a lost reply leaves open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Read,
    Idempotent,
    Create,
}

/// Something that holds others after its owner is deleted.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    /// The ids it holds.
    pub(super) holds: Vec<String>,
    /// For people.
    pub(super) what: String,
    pub(super) until: Duration,
}

/// A cloud in memory.
#[derive(Debug, Clone)]
pub struct World {
    /// How it misbehaves. May be changed at any time.
    pub faults: Faults,
    pub(super) now: Duration,
    pub(super) things: BTreeMap<String, Thing>,
    pub(super) traces: Vec<Trace>,
    /// What is gone and may still be shown, and until when.
    pub(super) ghosts: Vec<(Thing, Duration)>,
    pub(super) chance: Chance,
    /// When something ends; looking at everything each time somebody asks would take most of a simulation's time.
    ends: BTreeSet<Duration>,
    tokens: BTreeMap<String, (Spec, Tags, String)>,
    calls: BTreeMap<String, u64>,
    changes: u64,
    made: u64,
}

impl World {
    /// An empty cloud.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            faults,
            now: Duration::ZERO,
            things: BTreeMap::new(),
            traces: Vec::new(),
            ghosts: Vec::new(),
            chance: Chance::new(seed),
            ends: BTreeSet::new(),
            tokens: BTreeMap::new(),
            calls: BTreeMap::new(),
            changes: 0,
            made: 0,
        }
    }

    /// Its time.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// Lets time pass; time never goes back.
    pub fn pass_until(&mut self, now: Duration) {
        self.now = self.now.max(now);
        let now = self.now;
        if self.ends.first().is_none_or(|end| *end > now) {
            return;
        }
        self.ends = self.ends.split_off(&(now + Duration::from_nanos(1)));
        let ended: Vec<String> = self
            .things
            .values()
            .filter(|thing| thing.gone.is_some_and(|gone| gone <= now))
            .map(|thing| thing.id.clone())
            .collect();
        ended.iter().for_each(|id| self.remove(id));
        self.traces.retain(|trace| now < trace.until);
        self.ghosts.retain(|(_, until)| now < *until);
    }

    /// Everything in it, whoever owns it.
    pub fn things(&self) -> impl Iterator<Item = &Thing> {
        self.things.values()
    }

    /// Puts a thing there behind everybody's back.
    pub fn put(&mut self, thing: Thing) {
        self.things.insert(thing.id.clone(), thing);
    }

    /// Takes a thing away behind everybody's back, with all that is inside it. None if it was not there.
    pub fn take(&mut self, id: &str) -> Option<Thing> {
        let thing = self.things.get(id).cloned();
        self.remove(id);
        self.ghosts.retain(|(ghost, _)| ghost.id != id);
        thing
    }

    /// How often each call was made.
    #[must_use]
    pub const fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// How many calls that change something were made.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn call<T>(
        &mut self,
        action: &str,
        effect: Effect,
        run: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        *self.calls.entry(action.to_owned()).or_default() += 1;
        self.changes += u64::from(effect != Effect::Read);
        let lost = if effect == Effect::Create { Class::Unknown } else { Class::Transient };
        if self.faults.denied.contains(action) {
            return Err(refusal(action, "UnauthorizedOperation", Class::Denied));
        }
        if self.chance.permille(self.faults.throttled) {
            return Err(refusal(action, "RequestLimitExceeded", Class::Throttled));
        }
        if self.chance.permille(self.faults.transient) {
            return Err(refusal(action, "Unavailable", Class::Transient));
        }
        if self.chance.permille(self.faults.lost_requests) {
            return Err(refusal(action, "timeout", lost));
        }
        let answer = run(self)?;
        if self.chance.permille(self.faults.lost_replies) {
            return Err(refusal(action, "connection", lost));
        }
        Ok(answer)
    }

    /// See [`Cloud::create`](crate::provider::Cloud::create).
    ///
    /// # Errors
    ///
    /// As a cloud would.
    pub fn create(&mut self, resource: &Resource, ids: &Ids, token: &str) -> Result<String, Failure> {
        let action = action("Create", resource.key.kind);
        self.call(&action, Effect::Create, |world| world.make(&action, resource, ids, token))
    }

    fn make(&mut self, action: &str, resource: &Resource, ids: &Ids, token: &str) -> Result<String, Failure> {
        let spec = self.resolved(action, &resource.spec, ids)?;
        let takes_token = nature::remembers_tokens(resource.key.kind);
        if let Some((earlier, tags, id)) = self.tokens.get(token).filter(|_| takes_token) {
            return match (earlier, tags) == (&spec, &resource.tags) {
                true => Ok(id.clone()),
                false => Err(refusal(action, "IdempotentParameterMismatch", Class::Invalid)),
            };
        }
        if let Some(id) = self.already_there(&spec) {
            return Ok(id);
        }
        guards::creation(self, action, &resource.name, &spec)?;
        self.replace_association(&spec);
        let id = self.new_id(&resource.name, &spec);
        let kind = resource.key.kind;
        let slow = self.faults.slow;
        let thing = Thing {
            id: id.clone(),
            name: resource.name.clone(),
            tags: if kind.takes_tags() { resource.tags.clone() } else { Tags::new() },
            broken: guards::breaks(self, &spec),
            spec: nature::at_birth(spec.clone()),
            made: self.now,
            visible: self.now + self.chance.up_to(self.faults.invisible),
            ready: self.now + if slow { times::until_ready(kind, &mut self.chance) } else { Duration::ZERO },
            gone: None,
            before: None,
        };
        self.things.insert(id.clone(), thing);
        self.bring_along(&id);
        if takes_token {
            self.tokens.insert(token.to_owned(), (spec, resource.tags.clone(), id.clone()));
        }
        Ok(id)
    }

    /// What exists anyway, or is overwritten without ado.
    fn already_there(&mut self, spec: &Spec) -> Option<String> {
        match spec {
            Spec::SecurityGroup(SecurityGroup { default: true, .. }) => {
                let id = self.things.values().find(|thing| thing.takes_the_place_of(spec))?.id.clone();
                let rules: Vec<String> = self.children(&id);
                rules.iter().for_each(|rule| self.remove(rule));
                Some(id)
            }
            Spec::Object(_) | Spec::TargetRegistration(_) => {
                let thing = self.things.values_mut().find(|thing| thing.takes_the_place_of(spec))?;
                thing.spec = spec.clone();
                Some(thing.id.clone())
            }
            _ => None,
        }
    }

    /// A subnet has one ACL association at a time; switching it gives a new id.
    fn replace_association(&mut self, spec: &Spec) {
        if matches!(spec, Spec::NetworkAclAssociation(_)) {
            self.things.retain(|_, thing| !thing.takes_the_place_of(spec));
        }
    }

    /// What the cloud makes beside what was asked for: default groups and rules.
    fn bring_along(&mut self, id: &str) {
        let Some(thing) = self.things.get(id).cloned() else { return };
        let mut beside = |id: String, name: &str, spec: Spec| {
            let twin = Thing { id: id.clone(), name: name.to_owned(), tags: Tags::new(), spec, ..thing.clone() };
            self.things.insert(id, twin);
        };
        match &thing.spec {
            Spec::Vpc(_) => {
                let group = format!("sg-default-of-{id}");
                beside(group.clone(), "default", nature::default_group(id));
                beside(format!("sgr-in-of-{group}"), "", nature::rule_from_itself(&group));
                beside(format!("sgr-out-of-{group}"), "", nature::rule_to_all(&group));
            }
            Spec::SecurityGroup(_) => beside(format!("sgr-out-of-{id}"), "", nature::rule_to_all(id)),
            _ => {}
        }
    }

    fn new_id(&mut self, name: &str, spec: &Spec) -> String {
        self.made += 1;
        nature::id(name, spec, self.made)
    }

    /// See [`Cloud::find`](crate::provider::Cloud::find).
    ///
    /// # Errors
    ///
    /// As a cloud would.
    pub fn find(&mut self, resource: &Resource, ids: &Ids) -> Result<Vec<String>, Failure> {
        let action = action("Describe", resource.key.kind);
        self.call(&action, Effect::Read, |world| {
            let spec = world.resolved(&action, &resource.spec, ids)?;
            let same = |thing: &Thing| {
                thing.kind() == resource.key.kind
                    && match resource.key.kind.identity() {
                        _ if matches!(&spec, Spec::SecurityGroup(group) if group.default) => {
                            thing.takes_the_place_of(&spec)
                        }
                        Identity::Content => thing.takes_the_place_of(&spec),
                        Identity::Name => thing.name == resource.name && same_tag(thing, resource, CLUSTER_TAG),
                        Identity::Tag => same_tag(thing, resource, CLUSTER_TAG) && same_tag(thing, resource, ROLE_TAG),
                    }
            };
            let candidates: Vec<String> = world
                .things
                .values()
                .filter(|thing| thing.gone.is_none() && same(thing))
                .map(|thing| thing.id.clone())
                .collect();
            Ok(candidates.into_iter().filter(|id| world.sees(id)).collect())
        })
    }

    /// See [`Cloud::configure`](crate::provider::Cloud::configure). It sets everything, whatever differs.
    ///
    /// # Errors
    ///
    /// As a cloud would.
    pub fn configure(&mut self, id: &str, resource: &Resource, ids: &Ids) -> Result<(), Failure> {
        let action = action("Modify", resource.key.kind);
        self.call(&action, Effect::Idempotent, |world| {
            let spec = world.resolved(&action, &resource.spec, ids)?;
            if !world.sees(id) {
                return Err(refusal(&action, "NotFound", Class::Gone));
            }
            guards::configuration(world, &action, id, &spec)?;
            let until = world.now + world.chance.up_to(world.faults.stale);
            if let Some(thing) = world.things.get_mut(id) {
                let (spec, mut tags) = (nature::changed(&thing.spec, spec), thing.tags.clone());
                if thing.kind().takes_tags() {
                    tags.extend(resource.tags.clone());
                }
                if (&spec, &tags) != (&thing.spec, &thing.tags) {
                    let before = (std::mem::replace(&mut thing.spec, spec), std::mem::replace(&mut thing.tags, tags));
                    thing.before = Some((before.0, before.1, until));
                }
            }
            Ok(())
        })
    }

    /// See [`Cloud::condition`](crate::provider::Cloud::condition).
    ///
    /// # Errors
    ///
    /// As a cloud would.
    pub fn condition(&mut self, kind: Kind, id: &str) -> Result<Condition, Failure> {
        self.call(&action("Describe", kind), Effect::Read, |world| {
            if !world.sees(id) {
                return Ok(Condition::Gone);
            }
            let now = world.now;
            Ok(world.things.get(id).map_or(Condition::Gone, |thing| thing.condition(now)))
        })
    }

    /// See [`Cloud::delete`](crate::provider::Cloud::delete).
    ///
    /// # Errors
    ///
    /// As a cloud would.
    pub fn delete(&mut self, kind: Kind, id: &str) -> Result<(), Failure> {
        let action = action("Delete", kind);
        self.call(&action, Effect::Idempotent, |world| {
            if !world.sees(id) {
                return Err(refusal(&action, "NotFound", Class::Gone));
            }
            guards::deletion(world, &action, id)?;
            world.begin_to_go(kind, id);
            Ok(())
        })
    }

    fn begin_to_go(&mut self, kind: Kind, id: &str) {
        let slow = self.faults.slow;
        let takes = if slow { times::until_gone(kind, &mut self.chance) } else { Duration::ZERO };
        let lingers = if slow { times::lingering(kind, &mut self.chance) } else { Duration::ZERO };
        let now = self.now;
        if let Some(trace) = guards::trace(self, id, now + takes + lingers) {
            self.ends.insert(trace.until);
            self.traces.push(trace);
        }
        if let Some(thing) = self.things.get_mut(id) {
            self.ends.insert(*thing.gone.get_or_insert(now + takes));
        }
        // A load balancer's listeners are gone at once, whatever it takes itself.
        if kind == Kind::LoadBalancer {
            self.children(id).iter().for_each(|child| self.remove(child));
        }
        self.pass_until(now);
    }

    /// See [`Cloud::holders`](crate::provider::Cloud::holders).
    ///
    /// # Errors
    ///
    /// As a cloud would.
    pub fn holders(&mut self, kind: Kind, id: &str) -> Result<Vec<Holder>, Failure> {
        self.call(&action("Describe", kind), Effect::Read, |world| Ok(guards::holders(world, id)))
    }

    /// Ends a thing with all that is inside it or hangs on it.
    pub(super) fn remove(&mut self, id: &str) {
        for child in self.children(id) {
            self.remove(&child);
        }
        if let Some(thing) = self.things.remove(id)
            && !self.faults.stale.is_zero()
        {
            let until = self.now + self.chance.up_to(self.faults.stale);
            self.ends.insert(until);
            self.ghosts.push((Thing { gone: None, ..thing }, until));
        }
    }

    /// What lives and dies with a thing.
    fn children(&self, id: &str) -> Vec<String> {
        self.things.values().filter(|thing| nature::dies_with(thing, id)).map(|thing| thing.id.clone()).collect()
    }

    /// Whether this call sees a thing: a new one is seen by some calls only.
    pub(super) fn sees(&mut self, id: &str) -> bool {
        let Some(thing) = self.things.get(id) else { return false };
        thing.visible <= self.now || self.chance.below(3) == 0
    }

    /// The specification with ids; refused if one is not (yet) known.
    fn resolved(&mut self, action: &str, spec: &Spec, ids: &Ids) -> Result<Spec, Failure> {
        let mut unknown = None;
        let resolved = translate(spec, &mut |_, reference| match reference {
            Reference::Id(_) => reference.clone(),
            Reference::Key(key) => ids.get(key).map_or_else(
                || {
                    unknown = Some(key.clone());
                    reference.clone()
                },
                |id| Reference::Id(id.clone()),
            ),
        });
        if let Some(key) = unknown {
            let mut failure = refusal(action, "MissingParameter", Class::Invalid);
            failure.message = format!("nobody knows the id of {key}");
            return Err(failure);
        }
        // What is named by id belongs to somebody else and is taken for granted.
        for key in spec.references().iter().filter_map(Reference::key) {
            let id = ids.get(key).map_or("", String::as_str);
            let known = self.things.get(id).is_some_and(|thing| thing.gone.is_none());
            if !(known && self.sees(id)) {
                let mut failure = refusal(action, "NotFound", Class::Gone);
                failure.message = format!("{id} does not exist");
                return Err(failure);
            }
        }
        Ok(resolved)
    }
}

fn same_tag(thing: &Thing, resource: &Resource, tag: &str) -> bool {
    thing.tags.get(tag).is_some_and(|value| resource.tags.get(tag) == Some(value))
}

/// The name of a call, for example `ec2:CreateVpc`.
pub(super) fn action(verb: &str, kind: Kind) -> String {
    let noun: String = kind
        .noun()
        .split(' ')
        .map(|word| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect::<String>())
        .collect();
    format!("{}:{verb}{noun}", nature::service(kind))
}

pub(super) fn refusal(action: &str, code: &str, class: Class) -> Failure {
    Failure { action: action.to_owned(), code: code.to_owned(), message: "injected by the fake cloud".into(), class }
}
