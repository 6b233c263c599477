//! Cuts a failing key down to the few operations that contradict each other.
//!
//! Each cut must be *sound*: if the smaller history has no order, the larger has none. Sound are: ending the history
//! early; leaving out a read; leaving out all writes and reads of one value (the last write before any other read
//! stays the last); leaving out a delete that no remaining read of absence can have seen. Cuts are tried in halves
//! (delta debugging, Zeller and Hildebrandt 2002), so that a few hundred trials do for 100 000 operations.

use std::collections::HashSet;

use super::{Decision, Effect, Step, decide};
use crate::audit::history::ValueId;

fn fails(steps: &[Step]) -> bool {
    decide(steps) == Decision::Violated
}

/// A small failing part of a failing history, usually two to five steps.
pub(super) fn smallest_failing(steps: Vec<Step>) -> Vec<Step> {
    let mut steps = shortest_prefix(steps);
    loop {
        let before = steps.len();
        steps = without_values(&steps);
        steps = without_reads(steps);
        steps = without_unseen_deletes(&steps);
        if steps.len() == before {
            return steps;
        }
    }
}

/// The history as it stood when the first answer came that has no explanation.
fn shortest_prefix(steps: Vec<Step>) -> Vec<Step> {
    let mut ends: Vec<u64> = steps.iter().filter(|step| step.certain).map(|step| step.to).collect();
    ends.sort_unstable();
    ends.dedup();
    // A prefix of a linearizable history is linearizable: failing is monotone in the end.
    let first_failing = ends.partition_point(|&end| !fails(&prefix(&steps, end)));
    match ends.get(first_failing) {
        Some(&end) => prefix(&steps, end),
        None => steps,
    }
}

fn prefix(steps: &[Step], end: u64) -> Vec<Step> {
    let cut = |step: &Step| match step.effect {
        _ if step.from > end => None,
        _ if step.to <= end => Some(*step),
        Effect::Read(_) => None,
        Effect::Write(_) => Some(Step { to: u64::MAX, certain: false, ..*step }),
    };
    steps.iter().filter_map(cut).collect()
}

fn without_values(steps: &[Step]) -> Vec<Step> {
    let mut values: Vec<Option<ValueId>> = steps.iter().map(|step| step.effect.value()).collect();
    values.sort_unstable();
    values.dedup();
    let keep = |values: &[Option<ValueId>]| -> Vec<Step> {
        let values: HashSet<_> = values.iter().collect();
        steps.iter().filter(|step| values.contains(&step.effect.value())).copied().collect()
    };
    keep(&reduce(values, |values| fails(&keep(values))))
}

fn without_reads(steps: Vec<Step>) -> Vec<Step> {
    let (reads, writes): (Vec<Step>, Vec<Step>) =
        steps.into_iter().partition(|step| matches!(step.effect, Effect::Read(_)));
    let with = |reads: &[Step]| [reads, &writes].concat();
    with(&reduce(reads, |reads| fails(&with(reads))))
}

/// A delete is out of every absent read's sight if the read was over before it began, or if some put, over before
/// the read began, began after the delete was over.
fn without_unseen_deletes(steps: &[Step]) -> Vec<Step> {
    let absent: Vec<Step> = steps.iter().filter(|step| step.effect == Effect::Read(None)).copied().collect();
    let is_put = |step: &&Step| step.certain && matches!(step.effect, Effect::Write(Some(_)));
    let puts: Vec<Step> = steps.iter().filter(is_put).copied().collect();
    let unseen = |step: &Step| {
        let hidden = |read: &Step| puts.iter().any(|put| step.to < put.from && put.to < read.from);
        step.effect == Effect::Write(None) && absent.iter().all(|read| read.to < step.from || hidden(read))
    };
    let (deletes, rest): (Vec<Step>, Vec<Step>) = steps.iter().partition(|step| unseen(step));
    let with = |deletes: &[Step]| [deletes, &rest].concat();
    with(&reduce(deletes, |deletes| fails(&with(deletes))))
}

/// Leaves out ever smaller chunks of `units` while what is left still fails.
fn reduce<T: Clone>(mut units: Vec<T>, still_fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut chunk = units.len();
    while chunk > 0 {
        let mut start = 0;
        while start < units.len() {
            let end = (start + chunk).min(units.len());
            let rest = [&units[..start], &units[end..]].concat();
            if still_fails(&rest) {
                units = rest;
            } else {
                start = end;
            }
        }
        chunk /= 2;
    }
    units
}
