//! The engine killed before every single operation of a run, up and down.

use super::*;

/// Operations of an undisturbed run.
fn operations(up_first: bool) -> (u64, u64) {
    let mut case = Case::new(3, Faults::calm());
    assert!(!case.round(true));
    let up = case.operations;
    if up_first {
        assert!(!case.round(false));
    }
    (up, case.operations)
}

#[test]
fn killed_anywhere_on_the_way_up() {
    let (up, _) = operations(false);
    assert!(up > 100, "a run has {up} operations");
    for index in 0..up {
        let mut case = Case::new(3, Faults { invisible: Duration::from_secs(4), ..Faults::calm() });
        case.kill_before = Some(index);
        case.converge(true).unwrap_or_else(|why| panic!("killed before operation {index}: {why}"));
        assert_eq!(case.faults_of_up(), Vec::<String>::new(), "killed before operation {index}");
    }
}

#[test]
fn killed_anywhere_on_the_way_down() {
    let (up, both) = operations(true);
    for index in up..both {
        let mut case = Case::new(3, Faults::calm());
        assert!(!case.round(true));
        case.kill_before = Some(index);
        case.converge(false).unwrap_or_else(|why| panic!("killed before operation {index}: {why}"));
        assert_eq!(case.faults_of_down(), Vec::<String>::new(), "killed before operation {index}");
    }
}
