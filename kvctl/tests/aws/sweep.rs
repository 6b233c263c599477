//! Kill sweep: kvctl is killed at a call, then called again. Exactly one of each must be there; after `down`, nothing.
//!
//! Each round kills an `up` at one call and then the following `down` at another; odd calls are carried out first, so
//! that kvctl never hears of what it did, even ones are not. A sample of the indexes by default, all of them with
//! KVCTL_SWEEP=all. The rounds are spread over as many beds as there are emulators for.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Bed, DOWN, UP};
use crate::network::reference;
use crate::proxy::{Effect, Rule, When};

/// Rounds of the sample.
const SAMPLE: usize = 12;
/// Beds at once.
const BEDS: usize = 2;

fn killed_at(index: usize) -> Vec<Rule> {
    let effect = if index % 2 == 1 { Effect::KillAfter } else { Effect::KillBefore };
    vec![Rule { actions: "*", when: When::Index(index), effect }]
}

/// How many calls an `up` and a `down` make when nobody interferes.
fn calls(bed: &Bed) -> (usize, usize) {
    bed.kvctl_with(UP, Vec::new(), 0).exits(0);
    let up = bed.proxy.calls().len();
    bed.kvctl_with(DOWN, Vec::new(), 0).exits(0);
    (up, bed.proxy.calls().len())
}

fn round(bed: &Bed, up: usize, down: usize) {
    bed.clear();
    let killed = bed.kvctl_with(UP, killed_at(up), 0);
    assert!(killed.exit.is_none() || bed.proxy.hits() == [0], "up was to be killed at call {up}: {killed}");
    let again = bed.kvctl_with(UP, Vec::new(), 0);
    let context = format!("up, killed at call {up}, then again: {again}");
    assert_eq!(again.exit, Some(0), "{context}");
    bed.census().is(&reference(), &context);

    let killed = bed.kvctl_with(DOWN, killed_at(down), 0);
    assert!(killed.exit.is_none() || bed.proxy.hits() == [0], "down was to be killed at call {down}: {killed}");
    let again = bed.kvctl_with(DOWN, Vec::new(), 0);
    let context = format!("down, killed at call {down}, then again: {again}");
    assert_eq!(again.exit, Some(0), "{context}");
    bed.census().is(&[], &context);
}

#[test]
fn killed_at_any_call_and_called_again_there_is_one_of_each_or_nothing() {
    let Some(bed) = Bed::make() else { return };
    let (up, down) = calls(&bed);
    let all = std::env::var("KVCTL_SWEEP").is_ok_and(|value| value == "all");
    let rounds = if all { up.max(down) } else { SAMPLE };
    // A few indexes may not be reached: how often kvctl looks whether something is ready depends on time.
    let index = |round: usize, calls: usize| if all { round % calls } else { (round * calls + calls / 2) / SAMPLE };
    let next = AtomicUsize::new(0);
    let work = |bed: &Bed| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= rounds {
                return;
            }
            round(bed, index(number, up), index(number, down));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..BEDS {
            scope.spawn(|| Bed::make().as_ref().map(work));
        }
        work(&bed);
    });
    eprintln!(
        "kill sweep: {rounds} rounds; up makes {up} calls, down {down}; all came to one of each, then to nothing"
    );
}
