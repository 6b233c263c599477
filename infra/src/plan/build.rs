//! [`Plan::between`] and [`Plan::removal`]: from decisions and an order to steps.
//!
//! What is decided stands in `decide`, in which order in `order`; here both are put together with what forbids them.

use std::collections::BTreeSet;

use super::decide::{Decisions, Fate};
use super::matching::{Matching, Standing, is_default};
use super::order::{Circle, Graph, Node};
use super::survey::{FoundAt, Survey};
use super::{Action, Blocker, FORMAT, Plan, Risk, Step, StepId, risk};
use crate::observed::{Condition, Found, Observed};
use crate::resource::{CLUSTER_TAG, Identity, Key, Kind, MANAGED_BY, Resource};

/// How often a circle may make another resource be made anew; each time takes all that are in it.
const MAX_ESCALATIONS: usize = 16;
/// What we write into the tag `ManagedBy`.
const WRITER: &str = "kvctl";

impl Plan {
    /// What would make the world as wanted. Pure and complete; nothing is looked up later.
    #[must_use]
    pub fn between(wanted: &[Resource], observed: &Observed) -> Self {
        let survey = Survey::of(observed);
        let matching = Matching::of(wanted, &survey);
        let unseen: BTreeSet<Kind> = observed.unseen.iter().flat_map(|unseen| unseen.kinds.clone()).collect();
        let foreign = foreign(wanted, &survey, &matching, &observed.cluster);
        let names: BTreeSet<&Key> = foreign.iter().filter_map(foreign_key).collect();
        let blocked = |resource: &Resource| unseen.contains(&resource.key.kind) || names.contains(&resource.key);
        let mut decisions = Decisions::between(wanted, &survey, &matching, &blocked);
        let steps = arrange(&mut decisions);
        let kinds: BTreeSet<Kind> = wanted.iter().map(|resource| resource.key.kind).collect();
        let relevant = observed.unseen.iter().filter(|unseen| unseen.kinds.iter().any(|kind| kinds.contains(kind)));
        let mut blockers: Vec<Blocker> = relevant.cloned().map(Blocker::Unseen).collect();
        blockers.extend(other_writers(&survey));
        blockers.extend(foreign.iter().cloned());
        let ids = (0..wanted.len())
            .filter(|at| matches!(decisions.fates[*at], Fate::Same | Fate::Update(_) | Fate::Await(_)))
            .filter_map(|at| Some((wanted[at].key.clone(), survey.found[matching.kept[at]?].id.clone())))
            .collect();
        Self {
            format: FORMAT,
            cluster: observed.cluster.clone(),
            basis: observed.fingerprint(),
            steps,
            ids,
            blockers,
            notes: decisions.notes,
        }
    }

    /// What would delete everything that is the cluster's, and nothing else; volumes and parameters stay if
    /// `keep_data`.
    #[must_use]
    pub fn removal(observed: &Observed, keep_data: bool) -> Self {
        let survey = Survey::of(observed);
        let matching = Matching::none(&survey);
        let mut decisions = Decisions::removal(&survey, &matching, keep_data);
        let steps = arrange(&mut decisions);
        let mut blockers: Vec<Blocker> = observed.unseen.iter().cloned().map(Blocker::Unseen).collect();
        blockers.extend(other_writers(&survey));
        Self {
            format: FORMAT,
            cluster: observed.cluster.clone(),
            basis: observed.fingerprint(),
            steps,
            ids: Vec::new(),
            blockers,
            notes: decisions.notes,
        }
    }
}

/// Orders the steps. Where changes in place and replacements wait for each other, what was to be changed is made anew
/// as well: a load balancer in a subnet that moves.
fn arrange(decisions: &mut Decisions<'_>) -> Vec<Step> {
    for _ in 0..MAX_ESCALATIONS {
        let mut graph = Graph::of(decisions);
        match graph.sort() {
            Ok(order) => return steps(decisions, &graph, &order),
            Err(Circle(circle)) => {
                if !escalate(decisions, &circle) {
                    break;
                }
            }
        }
    }
    let mut graph = Graph::of(decisions);
    let order = graph.sort_anyhow();
    steps(decisions, &graph, &order)
}

fn escalate(decisions: &mut Decisions<'_>, circle: &[Node]) -> bool {
    let mut changed = false;
    for node in circle {
        if let Node::Make(at) = node
            && let Fate::Update(changes) = &decisions.fates[*at]
            && decisions.wanted[*at].key.kind != Kind::Volume
        {
            let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
            let why = format!("{} can only be changed by making it anew", fields.join(", "));
            decisions.fates[*at] = Fate::Replace(why);
            changed = true;
        }
    }
    decisions.spread();
    changed
}

fn steps(decisions: &Decisions<'_>, graph: &Graph<'_, '_>, order: &[usize]) -> Vec<Step> {
    let mut place: Vec<StepId> = vec![0; graph.nodes.len()];
    for (id, node) in order.iter().enumerate() {
        place[*node] = id;
    }
    order
        .iter()
        .map(|node| {
            // An edge that was dropped as the last resort is not in the graph any more; all others point backwards.
            let after = graph.firsts(*node).map(|first| place[first]).collect();
            match graph.nodes[*node] {
                Node::Make(at) => make(decisions, at, after),
                Node::Delete(at) => delete(decisions, at, after),
            }
        })
        .collect()
}

fn make(decisions: &Decisions<'_>, at: usize, after: BTreeSet<StepId>) -> Step {
    let resource = decisions.wanted[at].clone();
    let id = || decisions.matching.kept[at].map(|found| decisions.survey.found[found].id.clone()).unwrap_or_default();
    let (key, name) = (resource.key.clone(), resource.name.clone());
    let (action, because, risk) = match &decisions.fates[at] {
        Fate::Update(changes) => {
            let because = changes.iter().map(super::compare::sentence).collect::<Vec<_>>().join("; ");
            let risk = risk::of_update(key.kind, changes);
            (Action::Update { id: id(), resource, changes: changes.clone() }, because, risk)
        }
        Fate::Await(state) => {
            (Action::Await { id: id(), resource }, format!("it is not ready yet ({state})"), Risk::Safe)
        }
        Fate::Create(why) | Fate::Replace(why) => (Action::Create { resource }, why.clone(), Risk::Safe),
        Fate::Same | Fate::Blocked => (Action::Create { resource }, String::new(), Risk::Safe),
    };
    Step { key, name, action, because, risk, after }
}

fn delete(decisions: &Decisions<'_>, at: FoundAt, after: BTreeSet<StepId>) -> Step {
    let found: &Found = decisions.survey.found[at];
    let standing = decisions.matching.standing[at];
    let (key, name) = match standing {
        Standing::Kept(wanted) => (decisions.wanted[wanted].key.clone(), decisions.wanted[wanted].name.clone()),
        _ => (Key::new(found.kind(), found.id.clone()), found.name.clone()),
    };
    let idle = matches!(found.condition, Condition::Failed { .. }) || is_idle(decisions, at);
    Step {
        key,
        name: if name.is_empty() { found.id.clone() } else { name },
        because: decisions.doomed[at].clone().unwrap_or_default(),
        risk: risk::of_delete(found.kind(), idle),
        action: Action::Delete { found: found.clone() },
        after,
    }
}

/// Whether it is a second one that nothing uses but what came with it and other idle ones. What names a resource is
/// of a later kind, so this ends.
fn is_idle(decisions: &Decisions<'_>, at: FoundAt) -> bool {
    let survey = decisions.survey;
    let second = |at: FoundAt| matches!(decisions.matching.standing[at], Standing::Second(_));
    let came_with_it =
        |user: FoundAt| survey.carrier[user] == Some(at) && survey.found[user].kind() != Kind::VolumeAttachment;
    let harmless =
        |user: &FoundAt| is_idle(decisions, *user) || (came_with_it(*user) && survey.users[*user].is_empty());
    let default = is_default(&survey.found[at].spec);
    (second(at) || default) && survey.users[at].iter().all(harmless)
}

fn other_writers(survey: &Survey<'_>) -> Vec<Blocker> {
    let writer = |found: &&Found| found.tags.get(MANAGED_BY).filter(|writer| *writer != WRITER).cloned();
    let all = survey.found.iter();
    all.filter_map(|found| Some(Blocker::OtherWriter { id: found.id.clone(), writer: writer(found)? })).collect()
}

/// Wanted names that somebody else has.
fn foreign(wanted: &[Resource], survey: &Survey<'_>, matching: &Matching, cluster: &str) -> Vec<Blocker> {
    let by_name: std::collections::HashMap<(Kind, &str), &Found> = survey
        .foreign
        .iter()
        .flat_map(|found| [((found.kind(), found.name.as_str()), *found), ((found.kind(), found.id.as_str()), *found)])
        .collect();
    let missing = wanted.iter().zip(&matching.kept).filter(|(_, kept)| kept.is_none());
    let named = missing.filter(|(resource, _)| resource.key.kind.identity() == Identity::Name);
    named
        .filter_map(|(resource, _)| {
            let found = by_name.get(&(resource.key.kind, resource.name.as_str()))?;
            let why = match found.cluster() {
                None => format!("it has no tag {CLUSTER_TAG}"),
                Some(other) => format!("its tag {CLUSTER_TAG} is {other}, not {cluster}"),
            };
            let (name, id) = (resource.name.clone(), found.id.clone());
            Some(Blocker::Foreign { key: resource.key.clone(), name, id, why })
        })
        .collect()
}

const fn foreign_key(blocker: &Blocker) -> Option<&Key> {
    match blocker {
        Blocker::Foreign { key, .. } => Some(key),
        Blocker::Unseen(_) | Blocker::OtherWriter { .. } => None,
    }
}
