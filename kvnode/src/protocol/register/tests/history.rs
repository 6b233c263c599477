//! Whether a history of one register is linearizable (Herlihy and Wing 1990): a search for an order of the operations
//! that keeps real-time precedence and explains every answer (Wing and Gong 1993, with visited states remembered as
//! Lowe 2017 does).

use std::collections::HashSet;

/// What a client did and saw. Moments are numbered from 0 in the order they happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// When it asked.
    pub(super) invoked: usize,
    /// When it was answered; none if it does not know whether the operation took place.
    pub(super) answered: Option<usize>,
    /// What.
    pub(super) action: Action,
}

/// An operation and, for a read, its answer. None stands for "no value".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Returned this value.
    Read(Option<u8>),
    /// Put this value, or deleted.
    Write(Option<u8>),
}

/// At most 16 operations.
pub(super) fn is_linearizable(history: &[Seen]) -> bool {
    assert!(history.len() <= 16, "the search is for short histories");
    search(history, (1u32 << history.len()) - 1, None, &mut HashSet::new())
}

fn search(history: &[Seen], left: u32, value: Option<u8>, visited: &mut HashSet<(u32, Option<u8>)>) -> bool {
    let remaining = || history.iter().enumerate().filter(|(index, _)| left & (1 << index) != 0);
    let Some(first_answer) = remaining().filter_map(|(_, seen)| seen.answered).min() else { return true };
    if !visited.insert((left, value)) {
        return false;
    }
    remaining().filter(|(_, seen)| seen.invoked < first_answer).any(|(index, seen)| {
        let after = match seen.action {
            Action::Read(found) if found == value || seen.answered.is_none() => value,
            Action::Read(_) => return false,
            Action::Write(written) => written,
        };
        search(history, left & !(1 << index), after, visited)
    })
}

fn check(history: &[(usize, Option<usize>, Action)], expected: bool) {
    let history: Vec<Seen> =
        history.iter().map(|&(invoked, answered, action)| Seen { invoked, answered, action }).collect();
    assert_eq!(is_linearizable(&history), expected, "{history:?}");
}

#[test]
fn the_judge_knows_legal_from_illegal() {
    use Action::{Read, Write};
    check(&[], true);
    check(&[(0, Some(1), Write(Some(1))), (2, Some(3), Read(Some(1)))], true);
    check(&[(0, Some(1), Write(Some(1))), (2, Some(3), Read(None))], false);
    check(&[(0, Some(3), Write(Some(1))), (1, Some(2), Read(None))], true);
    // An unanswered write may take effect late, or never, but not come and go.
    check(&[(0, None, Write(Some(1))), (1, Some(2), Read(None)), (3, Some(4), Read(Some(1)))], true);
    check(&[(0, None, Write(Some(1))), (1, Some(2), Read(Some(1))), (3, Some(4), Read(None))], false);
    check(&[(0, Some(9), Write(Some(1))), (1, Some(2), Read(Some(1))), (3, Some(4), Read(None))], false);
    check(&[(0, Some(1), Write(Some(1))), (2, Some(3), Write(None)), (4, Some(5), Read(None))], true);
    check(&[(0, Some(1), Read(Some(7)))], false);
}
