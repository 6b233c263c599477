//! What the commands say and how they end: refusals, documents, exit codes, and what a changed specification does.

mod lifecycle;
mod output;
mod refusals;
mod saved;
mod specification;

use crate::harness::{Bed, Run};
use crate::proxy::{Effect, Rule, When};

const PLAN_JSON: &str = "cluster plan --provider aws -o json";

/// Runs a command that must refuse: it ends with a code, says all of some words, and changes nothing.
#[track_caller]
fn refused(bed: &Bed, line: &str, rules: Vec<Rule>, exit: i32, words: &[&str]) -> Run {
    let run = bed.kvctl_with(line, rules, 0);
    is_refusal(bed, &run, exit, words);
    run
}

#[track_caller]
fn is_refusal(bed: &Bed, run: &Run, exit: i32, words: &[&str]) {
    run.exits(exit);
    let told = format!("{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(told.contains(word), "it does not say {word:?}: {run}");
    }
    unchanged(bed, run);
}

#[track_caller]
fn unchanged(bed: &Bed, run: &Run) {
    let changes: Vec<String> = bed.proxy.changes().into_iter().map(|call| call.action).collect();
    assert_eq!(changes, [""; 0], "{run}");
}

/// Refuses every call of some actions.
fn refuse(actions: &'static str, status: u16, code: &'static str, message: &'static str) -> Rule {
    Rule { actions, when: When::Always, effect: Effect::Refuse { status, code, message } }
}
