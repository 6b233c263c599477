//! Whether a draft of an epoch contradicts itself: every problem at once, not the first.
//!
//! Only what the document alone can tell. Whether it may follow another epoch is `commit`'s question, and
//! whether its table is a good one (zones, balance) is `assignment`'s.

use std::collections::BTreeSet;
use std::fmt;

use super::{Draft, EpochHash, MAX_NODES, MAX_REPLICAS, MAX_VOTERS, MAX_WEIGHT};
use crate::protocol::id::{EpochNumber, NodeId, NodeName};

/// Everything that is wrong with a draft; never empty. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct EpochError {
    /// In the order of the document.
    pub problems: Vec<Problem>,
}

impl fmt::Display for EpochError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if position == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The number 0 means that there is no ring.
    #[error("epochs are numbered from 1")]
    NumberZero,
    /// Exactly the first epoch has no parent.
    #[error("epoch {number} {}", if number.0 == 1 { "can't have a parent" } else { "needs a parent" })]
    Parent {
        /// Its number.
        number: EpochNumber,
    },
    /// None, or too many.
    #[error("a ring has 1 to {MAX_NODES} nodes, this has {count}")]
    NodeCount {
        /// Found.
        count: usize,
    },
    /// The order is part of the canonical form.
    #[error("node {id} is listed twice or out of order")]
    NodeOrder {
        /// The later of the two.
        id: NodeId,
    },
    /// Names are what people and certificates use.
    #[error("two nodes are named {name}")]
    NameTwice {
        /// The name.
        name: NodeName,
    },
    /// Outside its range.
    #[error("the weight of {name} must be from 1 to {MAX_WEIGHT}, this is {weight}")]
    Weight {
        /// The node.
        name: NodeName,
        /// Found.
        weight: u32,
    },
    /// None, or too many.
    #[error("a ring has 1 to {MAX_VOTERS} voters, this has {count}")]
    VoterCount {
        /// Found.
        count: usize,
    },
    /// A voter that is no node, or is listed twice or out of order.
    #[error("voter {id} is no node of the ring, or is listed twice or out of order")]
    Voter {
        /// The voter.
        id: NodeId,
    },
    /// Too many copies.
    #[error("a ring keeps 1 to {MAX_REPLICAS} replicas, this keeps {count}")]
    ReplicaCount {
        /// Found.
        count: usize,
    },
    /// The table has another number of rows than there are partitions.
    #[error("there are {expected} partitions and the table has {found}")]
    TableRows {
        /// Partitions.
        expected: usize,
        /// Rows.
        found: usize,
    },
    /// A row names a node twice or one that is not there.
    #[error("the replicas of partition {partition} are not distinct nodes of the ring")]
    TableRow {
        /// The first such partition.
        partition: usize,
    },
}

pub(super) fn check(draft: &Draft) -> Result<(), EpochError> {
    let mut problems = Vec::new();
    check_place(draft, &mut problems);
    check_nodes(draft, &mut problems);
    check_voters(draft, &mut problems);
    check_table(draft, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(EpochError { problems }) }
}

fn check_place(draft: &Draft, problems: &mut Vec<Problem>) {
    let number = draft.number;
    if number.0 == 0 {
        problems.push(Problem::NumberZero);
    } else if (number.0 == 1) != (draft.parent == EpochHash::NONE) {
        problems.push(Problem::Parent { number });
    }
}

fn check_nodes(draft: &Draft, problems: &mut Vec<Problem>) {
    let count = draft.nodes.len();
    if !(1..=MAX_NODES).contains(&count) {
        problems.push(Problem::NodeCount { count });
    }
    for pair in draft.nodes.windows(2).filter(|pair| pair[0].id >= pair[1].id) {
        problems.push(Problem::NodeOrder { id: pair[1].id });
    }
    let mut names = BTreeSet::new();
    for node in &draft.nodes {
        if !names.insert(&node.name) {
            problems.push(Problem::NameTwice { name: node.name.clone() });
        }
        if !(1..=MAX_WEIGHT).contains(&node.weight) {
            problems.push(Problem::Weight { name: node.name.clone(), weight: node.weight });
        }
    }
}

fn check_voters(draft: &Draft, problems: &mut Vec<Problem>) {
    let count = draft.voters.len();
    if !(1..=MAX_VOTERS).contains(&count) {
        problems.push(Problem::VoterCount { count });
    }
    let ids: BTreeSet<NodeId> = draft.nodes.iter().map(|node| node.id).collect();
    let mut before = None;
    for &id in &draft.voters {
        if !ids.contains(&id) || before.is_some_and(|before| before >= id) {
            problems.push(Problem::Voter { id });
        }
        before = Some(id);
    }
}

fn check_table(draft: &Draft, problems: &mut Vec<Problem>) {
    let (count, found) = (draft.table.replicas(), draft.table.partitions());
    if count > MAX_REPLICAS {
        problems.push(Problem::ReplicaCount { count });
        return;
    }
    let expected = usize::from(draft.partitioner.count());
    if expected != found {
        problems.push(Problem::TableRows { expected, found });
    }
    let good = |row: &[u16]| {
        let inside = row.iter().all(|&index| usize::from(index) < draft.nodes.len());
        inside && row.iter().enumerate().all(|(position, index)| !row[..position].contains(index))
    };
    if let Some(partition) = draft.table.rows().position(|row| !good(row)) {
        problems.push(Problem::TableRow { partition });
    }
}
