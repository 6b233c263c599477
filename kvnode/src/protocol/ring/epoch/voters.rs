//! Which nodes decide the next epoch: few, odd, and spread so that no zone's loss stops changes if that can be had.
//!
//! The choice is part of the document, so it needs to be good, not reproducible for ever.

use std::collections::BTreeMap;

use super::{MAX_VOTERS, NodeState, RingNode};
use crate::protocol::id::{NodeId, ZoneName};

/// Chooses voters among the active nodes: all of up to three; else the largest odd number up to [`MAX_VOTERS`] that
/// leaves a majority when any one zone is lost; if none does, the largest odd number. Ascending.
pub(super) fn choose(nodes: &[RingNode]) -> Vec<NodeId> {
    let turns = in_turns(nodes);
    let count = match turns.len() {
        few @ 0..=3 => few,
        many => {
            let odd = || (3..=MAX_VOTERS.min(many)).rev().filter(|count| count % 2 == 1);
            odd().find(|&count| survives_any_zone(&turns[..count])).or_else(|| odd().next()).unwrap_or(many)
        }
    };
    let mut voters: Vec<NodeId> = turns.into_iter().take(count).map(|node| node.id).collect();
    voters.sort_unstable();
    voters
}

/// Active nodes, taking one from each zone in turn.
fn in_turns(nodes: &[RingNode]) -> Vec<&RingNode> {
    let mut taken: BTreeMap<&ZoneName, usize> = BTreeMap::new();
    let mut turns: Vec<(usize, &RingNode)> = Vec::new();
    for node in nodes.iter().filter(|node| node.state == NodeState::Active) {
        let turn = taken.entry(&node.zone).or_default();
        turns.push((*turn, node));
        *turn += 1;
    }
    turns.sort_by_key(|(turn, node)| (*turn, &node.zone));
    turns.into_iter().map(|(_, node)| node).collect()
}

fn survives_any_zone(voters: &[&RingNode]) -> bool {
    voters.iter().all(|voter| 2 * voters.iter().filter(|other| other.zone == voter.zone).count() < voters.len())
}
