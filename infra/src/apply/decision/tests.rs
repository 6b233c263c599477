//! The table, row by row, and its laws: every wait ends, and no wait is longer than it says.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const CLASSES: [Class; 12] = [
    Class::Throttled,
    Class::Transient,
    Class::Unknown,
    Class::NotYet,
    Class::InUse,
    Class::Exists,
    Class::Gone,
    Class::Quota,
    Class::Capacity,
    Class::Denied,
    Class::Credentials,
    Class::Invalid,
];
const DOINGS: [Doing; 5] = [Doing::Create, Doing::Find, Doing::Configure, Doing::Look, Doing::Delete];

/// What follows from the first failure, after a minute of failures, and after an hour.
fn row(doing: Doing, class: Class) -> String {
    let words = [(1, 0), (9, 60), (99, 3600)].map(|(attempt, seconds)| {
        let tried = Tried { attempt, waited: Duration::from_secs(seconds), jitter: 0 };
        match after_failure(doing, class, tried, &Limits::default()) {
            Next::Again { .. } => "again",
            Next::Find => "find",
            Next::Ask { .. } => "ask",
            Next::Look => "look",
            Next::Stop => "stop",
        }
    });
    format!("{words:?}")
}

#[test]
fn the_table() {
    let lines: Vec<String> = CLASSES
        .iter()
        .flat_map(|class| [Doing::Create, Doing::Configure, Doing::Delete].map(|doing| (doing, *class)))
        .map(|(doing, class)| format!("{class:?} {doing:?} {}", row(doing, class)).replace(['"', '[', ']'], ""))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    Throttled Create again, again, stop
    Throttled Configure again, again, stop
    Throttled Delete again, again, stop
    Transient Create again, again, stop
    Transient Configure again, again, stop
    Transient Delete again, again, stop
    Unknown Create find, find, find
    Unknown Configure again, again, stop
    Unknown Delete again, again, stop
    NotYet Create again, again, stop
    NotYet Configure again, again, stop
    NotYet Delete again, again, stop
    InUse Create again, again, stop
    InUse Configure again, again, stop
    InUse Delete ask, ask, stop
    Exists Create find, find, find
    Exists Configure again, again, stop
    Exists Delete again, again, stop
    Gone Create again, stop, stop
    Gone Configure again, stop, stop
    Gone Delete again, look, look
    Quota Create stop, stop, stop
    Quota Configure stop, stop, stop
    Quota Delete stop, stop, stop
    Capacity Create stop, stop, stop
    Capacity Configure stop, stop, stop
    Capacity Delete stop, stop, stop
    Denied Create stop, stop, stop
    Denied Configure stop, stop, stop
    Denied Delete stop, stop, stop
    Credentials Create stop, stop, stop
    Credentials Configure stop, stop, stop
    Credentials Delete stop, stop, stop
    Invalid Create stop, stop, stop
    Invalid Configure stop, stop, stop
    Invalid Delete stop, stop, stop
    ");
}

#[test]
fn a_search_gives_what_is_invisible_time() {
    let limits = Limits::default();
    let search = |cause, found, seconds, recreated| {
        after_search(cause, found, 3, Duration::from_secs(seconds), recreated, &limits)
    };
    assert_eq!(search(Cause::Unknown, 2, 0, 0), Search::Adopt);
    assert_eq!(search(Cause::Unknown, 0, 0, 0), Search::Again { after: Duration::from_secs(2) });
    assert_eq!(search(Cause::Unknown, 0, 19, 0), Search::Again { after: Duration::from_secs(1) });
    assert_eq!(search(Cause::Unknown, 0, 20, 0), Search::Create);
    assert_eq!(search(Cause::Unknown, 0, 20, limits.recreations), Search::Stop);
    assert_eq!(search(Cause::Exists, 0, 60, 0), Search::Foreign);
}

#[test]
fn conditions_of_what_shall_be_ready() {
    let limits = Limits::default();
    let pending = || Condition::Pending { state: "pending".to_owned() };
    let at = |kind, condition, seconds| while_becoming(kind, condition, Duration::from_secs(seconds), &limits);
    assert_eq!(at(Kind::Vpc, Condition::Ready, 0), Becoming::Done);
    assert!(matches!(at(Kind::NatGateway, pending(), 599), Becoming::Again { .. }));
    assert!(matches!(at(Kind::NatGateway, pending(), 600), Becoming::TimedOut { .. }));
    assert!(matches!(at(Kind::LoadBalancer, pending(), 899), Becoming::Again { .. }));
    assert!(matches!(at(Kind::Vpc, Condition::Gone, 59), Becoming::Again { .. }));
    assert_eq!(at(Kind::Vpc, Condition::Gone, 60), Becoming::Vanished);
    assert_eq!(
        at(Kind::Vpc, Condition::Deleting { state: "d".to_owned() }, 0),
        Becoming::Leaving { state: "d".to_owned() }
    );
    assert_eq!(
        at(Kind::NatGateway, Condition::Failed { reason: "no".to_owned() }, 0),
        Becoming::Broken { reason: "no".to_owned() }
    );
}

#[test]
fn conditions_of_what_shall_be_gone() {
    let limits = Limits::default();
    let at = |condition: &Condition, waited, unharmed| {
        while_going(Kind::NatGateway, condition, Duration::from_secs(waited), Duration::from_secs(unharmed), &limits)
    };
    let deleting = Condition::Deleting { state: "deleting".to_owned() };
    assert_eq!(at(&Condition::Gone, 1, 1), Going::Done);
    assert!(matches!(at(&deleting, 400, 400), Going::Again { .. }));
    assert!(matches!(at(&deleting, 900, 900), Going::TimedOut { .. }));
    assert!(matches!(at(&Condition::Ready, 5, 5), Going::Again { .. }));
    assert_eq!(at(&Condition::Ready, 20, 20), Going::Delete);
    assert!(matches!(at(&Condition::Ready, 20, 4), Going::Again { .. }));
}

proptest! {
    /// Whatever fails for ever, every phase ends within the longest of its limits and one more wait.
    #[test]
    fn every_phase_ends(doing in 0..DOINGS.len(), class in 0..CLASSES.len(), jitter: u64) {
        let limits = Limits::default();
        let (mut waited, mut attempt) = (Duration::ZERO, 0);
        loop {
            attempt += 1;
            prop_assert!(attempt < 2000);
            match after_failure(DOINGS[doing], CLASSES[class], Tried { attempt, waited, jitter }, &limits) {
                Next::Again { after } | Next::Ask { after } => {
                    prop_assert!(after >= Duration::from_millis(250) && after <= Duration::from_secs(20));
                    waited += after;
                }
                Next::Find | Next::Look | Next::Stop => break,
            }
        }
        prop_assert!(waited <= limits.blocked + Duration::from_secs(20));
    }
}
