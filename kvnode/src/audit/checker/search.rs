//! The general decider: follows every order at once, moment by moment.
//!
//! Wing and Gong, Testing and verifying concurrent objects, JPDC 1993, with the memory of Lowe, Testing for
//! linearizability, 2017: an operation needs to happen only when some answer forces it ("just in time"), and two
//! orders that leave the same register and the same set of happened operations are one configuration.
//! Exponential in the worst case, so it counts configurations and gives up at a limit.

use std::collections::HashSet;

use super::{Decision, Effect, Step};
use crate::audit::history::ValueId;

/// Most configurations looked at for one key: some 20 MB and a second.
pub(super) const MAX_CONFIGURATIONS: usize = 100_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Configuration {
    register: Option<ValueId>,
    /// Steps under way that have happened, sorted.
    happened: Vec<usize>,
}

impl Configuration {
    /// This one with a step more; none if the step cannot happen here or has happened.
    fn with(&self, index: usize, effect: Effect) -> Option<Self> {
        let place = self.happened.binary_search(&index).err()?;
        let register = effect.apply(self.register)?;
        let mut happened = self.happened.clone();
        happened.insert(place, index);
        Some(Self { register, happened })
    }

    /// Lets every read that can happen happen: it changes nothing, so waiting gains nothing.
    fn with_reads(mut self, under_way: &[usize], steps: &[Step]) -> Self {
        for &index in under_way {
            if matches!(steps[index].effect, Effect::Read(_)) {
                self = self.with(index, steps[index].effect).unwrap_or(self);
            }
        }
        self
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Called(usize),
    Answered(usize),
}

pub(super) fn decide(steps: &[Step]) -> Decision {
    let mut events = Vec::with_capacity(2 * steps.len());
    for (index, step) in steps.iter().enumerate() {
        events.push((step.from, Event::Called(index)));
        if step.certain {
            events.push((step.to, Event::Answered(index)));
        }
    }
    events.sort_unstable();
    let mut under_way = Vec::new();
    let mut configurations = HashSet::from([Configuration { register: None, happened: Vec::new() }]);
    let mut looked_at = 0;
    for (_, event) in events {
        match event {
            Event::Called(index) => under_way.push(index),
            Event::Answered(index) => {
                let Some(next) = force(index, configurations, &under_way, steps, &mut looked_at) else {
                    return Decision::Undecided;
                };
                if next.is_empty() {
                    return Decision::Violated;
                }
                configurations = next;
                under_way.retain(|&other| other != index);
            }
        }
    }
    Decision::Linearizable
}

/// All configurations in which `index` has happened, reached by the fewest steps; none past the limit.
fn force(
    index: usize,
    from: HashSet<Configuration>,
    under_way: &[usize],
    steps: &[Step],
    looked_at: &mut usize,
) -> Option<HashSet<Configuration>> {
    let mut reached = HashSet::new();
    let mut seen = HashSet::new();
    let mut open: Vec<Configuration> = from.into_iter().map(|one| one.with_reads(under_way, steps)).collect();
    while let Some(mut configuration) = open.pop() {
        *looked_at += 1;
        if *looked_at > MAX_CONFIGURATIONS {
            return None;
        }
        if let Ok(place) = configuration.happened.binary_search(&index) {
            configuration.happened.remove(place);
            reached.insert(configuration);
            continue;
        }
        for &other in under_way {
            if let Some(next) = configuration.with(other, steps[other].effect) {
                let next = next.with_reads(under_way, steps);
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
    }
    Some(reached)
}
