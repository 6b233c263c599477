//! Decides whether a history is linearizable: whether each key could be one register on which every operation took
//! effect at one moment between its start and its answer (Herlihy and Wing, TOPLAS 1990).
//!
//! Linearizability is local, so each key is judged alone. Keys whose puts all write different values, which is what
//! our own clients do, go through [`sweep`]: exact, O(n log n). Others go through [`search`]: exact, exponential in
//! the concurrency, and so bounded. A failing key is cut down by [`shrink`] to the operations that matter.
//! Every key is taken to be absent at first. Nothing here knows nodes, replicas or stamps.

mod search;
mod shrink;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use super::history::{Completion, Kind, Operation, ValueId};

/// What a history that passed consisted of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Distinct keys.
    pub keys: usize,
    /// All operations.
    pub operations: usize,
    /// Gets that completed; only these constrain anything.
    pub reads: usize,
    /// Puts and deletes that completed `Ok`.
    pub writes: usize,
    /// Operations vouched not to be applied.
    pub refused: usize,
    /// Operations of unknown outcome.
    pub unknown: usize,
}

/// Why a history did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No order explains what the clients saw of one key.
    #[error("{0}")]
    Violation(Box<Violation>),
    /// The search gave up; only histories that write one value twice can end so.
    #[error("key {key:?} is undecided: it writes the same value twice and needs more than {limit} configurations")]
    Undecided {
        /// The key.
        key: String,
        /// Configurations looked at.
        limit: usize,
    },
}

/// What kind of contradiction it is, as far as it has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A read returned a value that nobody wrote.
    NeverWritten,
    /// A read returned the value of a put that was answered `not_applied`.
    RefusedButObserved,
    /// A read was answered before the put of its value began.
    ReadBeforeWritten,
    /// Each operation is plausible, all of them together are not.
    NoOrder,
}

/// A contradiction on one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: String,
    /// What kind it is.
    pub reason: Reason,
    /// The operations that contradict each other, by start, without those that play no part. A delete stays if some
    /// read might have seen it.
    pub operations: Vec<Operation>,
    /// Other operations of the key that overlap the window, without reads that saw nothing, by start; at most
    /// [`MAX_CONTEXT`].
    pub context: Vec<Operation>,
    /// First and last nanosecond that matters.
    pub window: (u64, u64),
}

/// Most operations shown around a violation: a screenful.
pub const MAX_CONTEXT: usize = 40;

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.reason {
            Reason::NeverWritten => "a value was read that nobody wrote",
            Reason::RefusedButObserved => "a value was read whose put was answered not_applied",
            Reason::ReadBeforeWritten => "a value was read before its put began",
            Reason::NoOrder => "no order explains what was seen",
        };
        write!(f, "key {:?} is not linearizable: {what} ({} operations decide it)", self.key, self.operations.len())
    }
}

impl std::error::Error for Violation {}

/// Judges a whole history, in any order of operations.
pub fn check(operations: &[Operation]) -> Result<Statistics, Failure> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    let mut statistics = Statistics { operations: operations.len(), ..Statistics::default() };
    for operation in operations {
        keys.entry(&operation.key).or_default().push(operation);
        match (operation.completion, operation.kind) {
            (Completion::Ok { .. }, Kind::Get { .. }) => statistics.reads += 1,
            (Completion::Ok { .. }, _) => statistics.writes += 1,
            (Completion::NotApplied { .. }, _) => statistics.refused += 1,
            (Completion::Unknown, _) => statistics.unknown += 1,
        }
    }
    statistics.keys = keys.len();
    for (key, operations) in keys {
        check_key(key, &operations)?;
    }
    Ok(statistics)
}

fn check_key(key: &str, operations: &[&Operation]) -> Result<(), Failure> {
    let steps = steps_of(operations);
    match decide(&steps) {
        Decision::Linearizable => Ok(()),
        Decision::Undecided => Err(Failure::Undecided { key: key.to_owned(), limit: search::MAX_CONFIGURATIONS }),
        Decision::Violated => Err(Failure::Violation(Box::new(explain(key, operations, steps)))),
    }
}

/// What an operation does to the register; absent is a value like any other. Compare-and-set becomes a third.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Read(Option<ValueId>),
    Write(Option<ValueId>),
}

impl Effect {
    fn value(self) -> Option<ValueId> {
        match self {
            Self::Read(value) | Self::Write(value) => value,
        }
    }

    /// The register after it, if it can happen on this register.
    fn apply(self, register: Option<ValueId>) -> Option<Option<ValueId>> {
        match self {
            Self::Read(value) => (value == register).then_some(register),
            Self::Write(value) => Some(value),
        }
    }
}

/// An operation as the deciders see it: it happens once in `from..=to`, and if it is not `certain` perhaps never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    effect: Effect,
    from: u64,
    to: u64,
    certain: bool,
    /// Its place in the key's operations.
    index: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Linearizable,
    Violated,
    Undecided,
}

/// Drops what cannot constrain: reads without an answer, and writes that were vouched not to be applied.
fn steps_of(operations: &[&Operation]) -> Vec<Step> {
    let step = |(index, operation): (usize, &&Operation)| {
        let effect = match operation.kind {
            Kind::Get { observed } => Effect::Read(observed),
            Kind::Put { value } => Effect::Write(Some(value)),
            Kind::Delete => Effect::Write(None),
        };
        match (operation.completion, effect) {
            (Completion::Ok { at }, _) => {
                Some(Step { effect, from: operation.invoked_at, to: at, certain: true, index })
            }
            (Completion::Unknown, Effect::Write(_)) => {
                Some(Step { effect, from: operation.invoked_at, to: u64::MAX, certain: false, index })
            }
            _ => None,
        }
    };
    operations.iter().enumerate().filter_map(step).collect()
}

/// Drops uncertain writes that no read can have seen. Take an order that includes such a write `w`: no read stands
/// between `w` and the next write, for it would have returned the value of `w`, so the order stays valid without
/// `w`. An order without `w` is one in which it never happened. Hence the verdict is the same with and without it.
fn without_unseen(steps: &[Step]) -> Vec<Step> {
    let reads = || steps.iter().filter(|step| matches!(step.effect, Effect::Read(_)));
    let seen: HashSet<ValueId> = reads().filter_map(|step| step.effect.value()).collect();
    let last_absent = reads().filter(|step| step.effect.value().is_none()).map(|step| step.to).max();
    let kept = |step: &&Step| {
        step.certain
            || match step.effect {
                Effect::Write(Some(value)) => seen.contains(&value),
                Effect::Write(None) => last_absent.is_some_and(|last| last >= step.from),
                Effect::Read(_) => true,
            }
    };
    steps.iter().filter(kept).copied().collect()
}

fn decide(steps: &[Step]) -> Decision {
    let steps = without_unseen(steps);
    sweep::decide(&steps).unwrap_or_else(|| search::decide(&steps))
}

fn explain(key: &str, operations: &[&Operation], steps: Vec<Step>) -> Violation {
    let core = shrink::smallest_failing(steps);
    let mut chosen: Vec<usize> = core.iter().map(|step| step.index).collect();
    let reason = reason_of(&core, operations, &mut chosen);
    let all = |keep: &dyn Fn(usize, &Operation) -> bool| {
        let kept = operations.iter().enumerate().filter(|(index, operation)| keep(*index, operation));
        let mut kept: Vec<Operation> = kept.map(|(_, operation)| (*operation).clone()).collect();
        kept.sort_by_key(|operation| (operation.invoked_at, operation.completed_at()));
        kept
    };
    let deciding = all(&|index, _| chosen.contains(&index));
    let first = deciding.iter().map(|operation| operation.invoked_at).min().unwrap_or_default();
    let moments = deciding.iter().flat_map(|operation| [Some(operation.invoked_at), operation.completed_at()]);
    let window = (first, moments.flatten().max().unwrap_or(first));
    let unanswered_read = |operation: &Operation| {
        matches!(operation.kind, Kind::Get { .. }) && !matches!(operation.completion, Completion::Ok { .. })
    };
    let overlaps = |operation: &Operation| {
        !unanswered_read(operation)
            && operation.invoked_at <= window.1
            && operation.completed_at().is_none_or(|at| at >= window.0)
    };
    let mut context = all(&|index, operation| !chosen.contains(&index) && overlaps(operation));
    // The operations that end the window are the likeliest to tell: keep the latest.
    context.drain(..context.len().saturating_sub(MAX_CONTEXT));
    Violation { key: key.to_owned(), reason, operations: deciding, context, window }
}

/// Names the contradiction, and adds the refused put that a read saw to what is shown.
fn reason_of(core: &[Step], operations: &[&Operation], chosen: &mut Vec<usize>) -> Reason {
    let read = core.iter().find(|step| matches!(step.effect, Effect::Read(Some(_))));
    match (core, read) {
        ([_], Some(read)) => {
            let put = Kind::Put { value: read.effect.value().unwrap_or(ValueId(0)) };
            let Some(refused) = operations.iter().position(|operation| operation.kind == put) else {
                return Reason::NeverWritten;
            };
            chosen.push(refused);
            match operations[refused].completion {
                Completion::NotApplied { .. } => Reason::RefusedButObserved,
                // The cut that found the failure ends before the put begins.
                _ => Reason::ReadBeforeWritten,
            }
        }
        ([one, other], Some(read)) if one.effect.value() == other.effect.value() => {
            let before = core.iter().any(|step| matches!(step.effect, Effect::Write(_)) && step.from > read.to);
            if before { Reason::ReadBeforeWritten } else { Reason::NoOrder }
        }
        _ => Reason::NoOrder,
    }
}
