//! How many calls kvctl makes, how many at once, and how it behaves when told that it makes too many.

use crate::harness::{Bed, DOWN, UP};
use crate::network::reference;
use crate::proxy::{Call, Effect, Rule, When};

/// Most calls of a first `up`; it makes about 400 for 109 steps.
const UP_CALLS: usize = 600;
/// Most calls of an `up` with nothing to do.
const QUIET_CALLS: usize = 100;
/// Most calls of a `down`.
const DOWN_CALLS: usize = 500;

/// Most changing calls that were under way at the same time.
fn most_at_once(calls: &[Call]) -> usize {
    let begins = calls.iter().filter(|call| call.mutating);
    begins
        .map(|one| {
            let under_way = |other: &&Call| {
                other.mutating && other.began <= one.began && other.ended.is_none_or(|end| end > one.began)
            };
            calls.iter().filter(under_way).count()
        })
        .max()
        .unwrap_or(0)
}

#[test]
fn the_number_of_calls_is_bounded_and_independent_ones_are_concurrent() {
    let Some(bed) = Bed::make() else { return };
    let mut figures = Vec::new();
    for (what, line, most) in [("first up", UP, UP_CALLS), ("quiet up", UP, QUIET_CALLS), ("down", DOWN, DOWN_CALLS)] {
        let run = bed.kvctl_with(line, Vec::new(), 0);
        run.exits(0);
        let calls = bed.proxy.calls();
        assert!(calls.len() <= most, "{what}: {} calls", calls.len());
        figures.push(format!("{what}: {} calls, {} changing", calls.len(), bed.proxy.changes().len()));
        if what == "first up" {
            let at_once = most_at_once(&calls);
            assert!((2..=16).contains(&at_once), "{at_once} at once");
            figures.push(format!("{at_once} at once"));
        }
    }
    eprintln!("calls: {}", figures.join("; "));
}

#[test]
fn throttled_calls_come_back_later_and_all_is_done() {
    let Some(bed) = Bed::make() else { return };
    let busy = Effect::Refuse { status: 503, code: "RequestLimitExceeded", message: "Request limit exceeded." };
    let rules = vec![Rule { actions: "*", when: When::OneIn { calls: 10, most: 40 }, effect: busy }];
    let run = bed.kvctl_with(UP, rules, 5);
    run.exits(0);
    assert!(bed.proxy.hits()[0] > 10, "{:?}", bed.proxy.hits());
    bed.census().is(&reference(), &run);
}

#[test]
fn the_rate_is_kept() {
    let Some(bed) = Bed::make() else { return };
    let mut command = bed.command(UP);
    command.env("KVCTL_AWS_RATE", "60");
    let run = bed.finish(command);
    run.exits(0);
    let calls = bed.proxy.calls();
    let last = calls.last().map_or(0, |call| call.began);
    // A burst of 50 may leave at once, the others at 60 a second.
    let least = (calls.len() - 50) as u64 * 1_000_000 / 60;
    assert!(last >= least * 9 / 10, "{} calls in {last} microseconds", calls.len());
}
