//! Two small exact algorithms behind the assignment: dividing slots by weight, and giving rows to columns.
//!
//! [`shares`] is the largest-remainder method with a lower and an upper bound per column (clamped the way flexible
//! lengths are resolved in CSS Flexible Box Layout §9.7, which is exact). [`distribute`] is bipartite b-matching by
//! shortest augmenting paths (Ford and Fulkerson 1956; breadth first as Edmonds and Karp 1972), starting from what
//! is to be kept. Neither knows what a node or a partition is.

use std::cmp::Reverse;
use std::collections::VecDeque;

/// One column's claim on the slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// Its weight, at least 1.
    pub(super) weight: u64,
    /// Fewest slots it may get.
    pub(super) least: usize,
    /// Most slots it may get.
    pub(super) most: usize,
    /// Slots it has now: of two equal claims to a last slot, the one that would have to give one up gets it.
    pub(super) held: usize,
}

/// Divides `total` slots by weight within the bounds. Sums to `total` whenever the bounds allow that.
pub(super) fn shares(total: usize, claims: &[Claim]) -> Vec<usize> {
    let mut shares = vec![0; claims.len()];
    let mut open: Vec<usize> = (0..claims.len()).collect();
    let mut left = total;
    loop {
        let weight: u128 = open.iter().map(|&column| u128::from(claims[column].weight)).sum();
        // Ideal share times `weight`, so that all comparisons are exact.
        let excess = |&column: &usize| -> i128 {
            let claim = claims[column];
            let ideal = wide(left).saturating_mul(i128::from(claim.weight));
            let scale = i128::try_from(weight).unwrap_or(i128::MAX);
            ideal.clamp(wide(claim.least) * scale, wide(claim.most) * scale) - ideal
        };
        let total_excess: i128 = open.iter().map(excess).sum();
        let (fixed, rest): (Vec<usize>, Vec<usize>) = open.iter().partition(|column| match total_excess.signum() {
            1 => excess(column) > 0,
            -1 => excess(column) < 0,
            _ => excess(column) != 0,
        });
        if fixed.is_empty() {
            break;
        }
        for &column in &fixed {
            let claim = claims[column];
            shares[column] = if excess(&column) > 0 { claim.least } else { claim.most };
        }
        left = left.saturating_sub(fixed.iter().map(|&column| shares[column]).sum());
        open = rest;
    }
    round_by_largest_remainder(left, claims, &open, &mut shares);
    shares
}

fn wide(count: usize) -> i128 {
    i128::try_from(count).unwrap_or(i128::MAX)
}

fn round_by_largest_remainder(left: usize, claims: &[Claim], open: &[usize], shares: &mut [usize]) {
    let weight: u128 = open.iter().map(|&column| u128::from(claims[column].weight)).sum();
    let mut remainders = Vec::with_capacity(open.len());
    let mut given = 0;
    for &column in open {
        let ideal = left as u128 * u128::from(claims[column].weight);
        shares[column] = usize::try_from(ideal / weight).unwrap_or(left);
        given += shares[column];
        let would_lose_one = claims[column].held > shares[column];
        remainders.push((Reverse(ideal % weight), Reverse(would_lose_one), column));
    }
    remainders.sort_unstable();
    for (_, _, column) in remainders.into_iter().take(left.saturating_sub(given)) {
        shares[column] += 1;
    }
}

/// What [`distribute`] is asked for.
pub(super) struct Distribution<'a, Allowed> {
    /// Columns that each row needs, all different.
    pub(super) demand: &'a [usize],
    /// Rows that each column takes at most.
    pub(super) room: Vec<usize>,
    /// Columns each row would like to keep, best first.
    pub(super) keep: &'a [Vec<usize>],
    /// The order in which rows are served: decides which of several equal solutions comes out.
    pub(super) order: &'a [usize],
    /// Whether a row may have a column at all.
    pub(super) allowed: Allowed,
}

/// A row that can't get what it needs, because the bounds contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stuck {
    /// The row.
    pub(super) row: usize,
}

/// Gives each row the columns it needs: first those it would keep, then the columns with most room.
/// Finds a full solution whenever there is one.
pub(super) fn distribute<Allowed>(ask: Distribution<'_, Allowed>) -> Result<Vec<Vec<usize>>, Stuck>
where
    Allowed: Fn(usize, usize) -> bool,
{
    let mut matching = Matching { chosen: vec![Vec::new(); ask.demand.len()], room: ask.room, allowed: ask.allowed };
    for &row in ask.order {
        for &column in &ask.keep[row] {
            if matching.chosen[row].len() < ask.demand[row] && matching.fits(row, column) {
                matching.take(row, column);
            }
        }
    }
    for &row in ask.order {
        while matching.chosen[row].len() < ask.demand[row] {
            matching.add_one(row)?;
        }
    }
    Ok(matching.chosen)
}

struct Matching<Allowed> {
    chosen: Vec<Vec<usize>>,
    room: Vec<usize>,
    allowed: Allowed,
}

impl<Allowed: Fn(usize, usize) -> bool> Matching<Allowed> {
    fn could_have(&self, row: usize, column: usize) -> bool {
        (self.allowed)(row, column) && !self.chosen[row].contains(&column)
    }

    fn fits(&self, row: usize, column: usize) -> bool {
        self.room[column] > 0 && self.could_have(row, column)
    }

    fn take(&mut self, row: usize, column: usize) {
        self.chosen[row].push(column);
        self.room[column] -= 1;
    }

    fn add_one(&mut self, row: usize) -> Result<(), Stuck> {
        let fitting = (0..self.room.len()).filter(|&column| self.fits(row, column));
        match fitting.max_by_key(|&column| (self.room[column], Reverse(column))) {
            Some(column) => self.take(row, column),
            None => self.augment(row)?,
        }
        Ok(())
    }

    /// All columns this row may have are full: moves other rows along the shortest chain that ends at room.
    fn augment(&mut self, row: usize) -> Result<(), Stuck> {
        let mut reached = vec![Reached::Not; self.room.len()];
        let mut queue: VecDeque<usize> = (0..self.room.len()).filter(|&column| self.could_have(row, column)).collect();
        for &column in &queue {
            reached[column] = Reached::ByAsker;
        }
        while let Some(column) = queue.pop_front() {
            if self.room[column] > 0 {
                self.shift(row, column, &reached);
                return Ok(());
            }
            for mover in (0..self.chosen.len()).filter(|&mover| self.chosen[mover].contains(&column)) {
                let fresh = |&next: &usize| reached[next] == Reached::Not && self.could_have(mover, next);
                let fresh: Vec<usize> = (0..self.room.len()).filter(fresh).collect();
                for &next in &fresh {
                    reached[next] = Reached::By { mover, leaving: column };
                }
                queue.extend(fresh);
            }
        }
        Err(Stuck { row })
    }

    fn shift(&mut self, row: usize, end: usize, reached: &[Reached]) {
        self.room[end] -= 1;
        let mut column = end;
        while let Reached::By { mover, leaving } = reached[column] {
            self.chosen[mover].retain(|&held| held != leaving);
            self.chosen[mover].push(column);
            column = leaving;
        }
        self.chosen[row].push(column);
    }
}

/// How a search for room came to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Not,
    /// The row that needs a column may have it.
    ByAsker,
    /// A row would move into it and leave another column.
    By {
        mover: usize,
        leaving: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_shares(total: usize, claims: &[(u64, usize, usize, usize)], expected: &[usize]) {
        let claims: Vec<Claim> =
            claims.iter().map(|&(weight, least, most, held)| Claim { weight, least, most, held }).collect();
        assert_eq!(shares(total, &claims), expected, "{claims:?}");
    }

    #[test]
    fn slots_follow_weights_bounds_and_holders() {
        check_shares(10, &[(1, 0, 10, 0), (1, 0, 10, 0), (1, 0, 10, 0)], &[4, 3, 3]);
        check_shares(10, &[(1, 0, 10, 0), (1, 0, 10, 3), (1, 0, 10, 5)], &[3, 3, 4]);
        check_shares(9, &[(1, 0, 9, 0), (1, 0, 9, 5)], &[4, 5]);
        check_shares(4, &[(3, 0, 9, 3), (5, 0, 9, 1)], &[2, 2]);
        check_shares(10, &[(3, 0, 10, 0), (1, 0, 10, 0)], &[8, 2]);
        check_shares(20, &[(9, 0, 10, 0), (1, 0, 10, 0)], &[10, 10]);
        check_shares(30, &[(9, 0, 20, 0), (1, 0, 20, 0), (3, 0, 20, 0)], &[20, 3, 7]);
        check_shares(12, &[(1, 5, 10, 0), (9, 0, 10, 0)], &[5, 7]);
        check_shares(5, &[], &[]);
    }

    proptest! {
        #[test]
        fn shares_sum_up_and_stay_in_bounds(
            bounds in proptest::collection::vec((1u64..50, 0usize..5, 0usize..40), 1..8), position in 0.0f64..=1.0,
        ) {
            let claims: Vec<Claim> = bounds.iter()
                .map(|&(weight, least, extra)| Claim { weight, least, most: least + extra, held: 0 }).collect();
            let (low, high) = claims.iter().fold((0, 0), |(low, high), claim| (low + claim.least, high + claim.most));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small test numbers")]
            let total = low + ((high - low) as f64 * position) as usize;
            let shares = shares(total, &claims);
            prop_assert_eq!(shares.iter().sum::<usize>(), total);
            for (share, claim) in shares.iter().zip(&claims) {
                prop_assert!((claim.least..=claim.most).contains(share));
            }
        }

        #[test]
        fn a_row_gets_what_it_needs_if_columns_can_give_it(
            rows in 1usize..12, columns in 1usize..5, keep_seed in proptest::collection::vec(any::<u8>(), 64), demand in 1usize..5,
        ) {
            let demand = demand.min(columns);
            let claims = vec![Claim { weight: 1, least: 0, most: rows, held: 0 }; columns];
            let keep: Vec<Vec<usize>> =
                (0..rows).map(|row| (0..columns).filter(|column| keep_seed[row * 5 + column] % 2 == 0).collect()).collect();
            let order: Vec<usize> = (0..rows).rev().collect();
            let given = distribute(Distribution {
                demand: &vec![demand; rows],
                room: shares(demand * rows, &claims),
                keep: &keep,
                order: &order,
                allowed: |_, _| true,
            });
            for mut row in given.expect("uniform demand within bounds has a solution") {
                prop_assert_eq!(row.len(), demand);
                row.sort_unstable();
                row.dedup();
                prop_assert_eq!(row.len(), demand);
            }
        }
    }

    #[test]
    fn contradictory_bounds_are_told() {
        let ask = |room: Vec<usize>| {
            distribute(Distribution {
                demand: &[1, 1],
                room,
                keep: &[vec![], vec![]],
                order: &[0, 1],
                allowed: |row, column| row == 0 || column == 0,
            })
        };
        assert_eq!(ask(vec![1, 0]), Err(Stuck { row: 1 }));
        // Row 0 takes column 0 (lowest of equals) and must move on to 1 for row 1, which may have no other.
        assert_eq!(ask(vec![1, 1]), Ok(vec![vec![1], vec![0]]));
    }
}
