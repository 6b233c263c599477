//! Which found resource is which wanted one.
//!
//! Parents first, because what is recognised by its content needs to know which parents are kept. Of several with one
//! key the one in use is kept. Nothing is compared beyond what that choice needs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::compare::{differences, fits};
use super::survey::{FoundAt, Survey};
use super::translate::translate;
use crate::observed::Condition;
use crate::resource::{Identity, Key, Kind, Reference, Resource, Spec};

/// Index of a wanted resource.
pub(super) type WantedAt = usize;

/// What a found resource is to the wanted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is this one.
    Kept(WantedAt),
    /// It has the key of one that is kept.
    Second(FoundAt),
    /// Nobody wants it.
    Extra,
    /// It is going away, or what it is part of is.
    Going,
}

/// The standing of everything found.
pub(super) struct Matching {
    /// For each found resource.
    pub(super) standing: Vec<Standing>,
    /// For each wanted resource: the found one that is kept.
    pub(super) kept: Vec<Option<FoundAt>>,
    /// Wanted resources of which one was seen going away.
    pub(super) going: BTreeMap<WantedAt, FoundAt>,
}

impl Matching {
    /// Nothing is wanted.
    pub(super) fn none(survey: &Survey<'_>) -> Self {
        Self::of(&[], survey)
    }

    pub(super) fn of(wanted: &[Resource], survey: &Survey<'_>) -> Self {
        let names = Names::of(wanted);
        let mut matching = Self {
            standing: vec![Standing::Extra; survey.found.len()],
            kept: vec![None; wanted.len()],
            going: BTreeMap::new(),
        };
        let mut start = 0;
        while start < survey.found.len() {
            let kind = survey.found[start].kind();
            let end = start + survey.found[start..].iter().take_while(|one| one.kind() == kind).count();
            matching.match_kind(wanted, survey, &names, start..end);
            start = end;
        }
        matching
    }

    fn match_kind(
        &mut self,
        wanted: &[Resource],
        survey: &Survey<'_>,
        names: &Names<'_>,
        all: std::ops::Range<FoundAt>,
    ) {
        let mut groups: BTreeMap<WantedAt, Vec<FoundAt>> = BTreeMap::new();
        let mut nameless = Vec::new();
        for at in all {
            let key = self.wanted_of(survey, names, wanted, at);
            if self.is_going(survey, at) {
                self.standing[at] = Standing::Going;
                self.going.extend(key.map(|key| (key, at)));
            } else if let Some(key) = key {
                groups.entry(key).or_default().push(at);
            } else {
                nameless.push(at);
            }
        }
        // Somebody changed its tag `kvstore:role`: the name tells, if nothing else plays that role.
        for at in nameless {
            let found = survey.found[at];
            if found.kind().identity() == Identity::Tag
                && let Some(key) = names.named(found.kind(), &found.name)
                && !groups.contains_key(&key)
                && !is_default(&found.spec)
            {
                let _none = groups.insert(key, vec![at]);
            }
        }
        for (key, group) in groups {
            self.keep_one(wanted, key, survey, &group);
        }
    }

    fn is_going(&self, survey: &Survey<'_>, at: FoundAt) -> bool {
        matches!(survey.found[at].condition, Condition::Deleting { .. })
            || survey.carrier[at].is_some_and(|carrier| self.standing[carrier] == Standing::Going)
    }

    fn wanted_of(&self, survey: &Survey<'_>, names: &Names<'_>, wanted: &[Resource], at: FoundAt) -> Option<WantedAt> {
        let found = survey.found[at];
        let kind = found.kind();
        if is_default(&found.spec) {
            let vpc = survey.carrier[at]?;
            return names.default_group.filter(|_| matches!(self.standing[vpc], Standing::Kept(_)));
        }
        match kind.identity() {
            Identity::Tag => names.key(&Key::new(kind, found.role()?)),
            Identity::Name => names.named(kind, &found.name).or_else(|| names.named(kind, &found.id)),
            Identity::Content => names.key(&Key::new(kind, self.translated(survey, wanted, at).derived_role()?)),
        }
    }

    /// What it says, with the ids of kept resources as keys.
    pub(super) fn translated(&self, survey: &Survey<'_>, wanted: &[Resource], at: FoundAt) -> Spec {
        translate(&survey.found[at].spec, &mut |kind, reference| match survey
            .find(kind, reference)
            .map(|named| self.standing[named])
        {
            Some(Standing::Kept(key)) => Reference::Key(wanted[key].key.clone()),
            _ => reference.clone(),
        })
    }

    fn keep_one(&mut self, wanted: &[Resource], key: WantedAt, survey: &Survey<'_>, group: &[FoundAt]) {
        let best = match group {
            [only] => Some(*only),
            several => several.iter().copied().max_by_key(|at| self.worth(wanted, key, survey, *at)),
        };
        let Some(best) = best else { return };
        for at in group {
            self.standing[*at] = if *at == best { Standing::Kept(key) } else { Standing::Second(best) };
        }
        self.kept[key] = Some(best);
    }

    /// What speaks for keeping this one of several: that it works and fits, that it has the place that only one can
    /// have, that others need it, that little has to be changed, that it is ready. The smallest id decides between
    /// equals, so that every run keeps the same one.
    fn worth<'s>(
        &self,
        wanted: &[Resource],
        key: WantedAt,
        survey: &'s Survey<'_>,
        at: FoundAt,
    ) -> (bool, bool, bool, usize, Reverse<usize>, bool, Reverse<&'s str>) {
        let found = survey.found[at];
        let spec = self.translated(survey, wanted, at);
        // A network has one internet gateway, which cannot be let go while addresses are in use.
        let has_place = !matches!(&spec, Spec::InternetGateway(_)) || spec == wanted[key].spec;
        (
            !matches!(found.condition, Condition::Failed { .. }),
            fits(&wanted[key], &spec),
            has_place,
            survey.dependents(at),
            Reverse(differences(&wanted[key], found, &spec).len()),
            found.condition == Condition::Ready,
            Reverse(found.id.as_str()),
        )
    }
}

/// Wanted resources by what they are found by.
struct Names<'a> {
    keys: HashMap<&'a Key, WantedAt>,
    names: HashMap<(Kind, &'a str), WantedAt>,
    default_group: Option<WantedAt>,
}

impl<'a> Names<'a> {
    fn of(wanted: &'a [Resource]) -> Self {
        Self {
            keys: wanted.iter().enumerate().map(|(at, resource)| (&resource.key, at)).collect(),
            names: wanted
                .iter()
                .enumerate()
                .map(|(at, resource)| ((resource.key.kind, resource.name.as_str()), at))
                .collect(),
            default_group: wanted.iter().position(|resource| is_default(&resource.spec)),
        }
    }

    fn key(&self, key: &Key) -> Option<WantedAt> {
        self.keys.get(key).copied()
    }

    fn named(&self, kind: Kind, name: &str) -> Option<WantedAt> {
        self.names.get(&(kind, name)).copied()
    }
}

/// Whether it is the security group that a network comes with.
pub(super) const fn is_default(spec: &Spec) -> bool {
    matches!(spec, Spec::SecurityGroup(group) if group.default)
}
