//! The laws of the assignment, over random rings and random changes of them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::protocol::ring::epoch::tests::node;

const PARTITIONS: u16 = 64;

/// Zones with nodes of these weights each.
fn ring(zones: &[Vec<u32>]) -> Vec<RingNode> {
    let mut nodes = Vec::new();
    for (zone, weights) in zones.iter().enumerate() {
        for &weight in weights {
            let number = u32::try_from(nodes.len()).expect("small");
            nodes.push(RingNode { weight, ..node(number, &format!("z{zone}")) });
        }
    }
    nodes
}

fn counts(nodes: &[RingNode], table: &Table) -> Vec<usize> {
    let mut counts = vec![0; nodes.len()];
    for &index in table.rows().flatten() {
        counts[usize::from(index)] += 1;
    }
    counts
}

fn ids(nodes: &[RingNode], row: &[u16]) -> BTreeSet<NodeId> {
    row.iter().map(|&index| nodes[usize::from(index)].id).collect()
}

fn moved(before: (&[RingNode], &Table), after: (&[RingNode], &Table)) -> usize {
    let rows = before.1.rows().zip(after.1.rows());
    rows.map(|(old, new)| ids(after.0, new).difference(&ids(before.0, old)).count()).sum()
}

/// Distinct nodes, as many distinct zones as there are, firsts balanced.
fn check_laws(nodes: &[RingNode], replicas: usize, table: &Table) {
    let active: Vec<&RingNode> = nodes.iter().filter(|node| node.state == NodeState::Active).collect();
    let zones: BTreeSet<_> = active.iter().map(|node| &node.zone).collect();
    for row in table.rows() {
        assert_eq!(ids(nodes, row).len(), replicas, "distinct nodes");
        let row_zones: BTreeSet<_> = row.iter().map(|&index| &nodes[usize::from(index)].zone).collect();
        assert_eq!(row_zones.len(), zones.len().min(replicas), "distinct zones");
        assert!(row.iter().all(|&index| nodes[usize::from(index)].state == NodeState::Active), "no draining node");
    }
    let mut firsts = vec![0; nodes.len()];
    for row in table.rows() {
        firsts[usize::from(row[0])] += 1;
    }
    for (first, held) in firsts.iter().zip(counts(nodes, table)) {
        assert!(*first <= held.div_ceil(replicas), "firsts {firsts:?}");
    }
}

/// With as many zones as replicas, each zone shares out its slots within one slot of the exact proportion.
fn check_balance(nodes: &[RingNode], table: &Table) {
    for (node, count) in nodes.iter().zip(counts(nodes, table)) {
        let peers = nodes.iter().filter(|peer| peer.zone == node.zone && peer.state == NodeState::Active);
        let total: u32 = peers.map(|peer| peer.weight).sum();
        let ideal = f64::from(PARTITIONS) * f64::from(node.weight) / f64::from(total);
        #[expect(clippy::cast_precision_loss, reason = "small test numbers")]
        let difference = (count as f64 - ideal).abs();
        assert!(node.state != NodeState::Active || difference < 1.0, "{count} of {ideal}");
    }
}

/// What must move at least, given each node's quota: slots above quota and slots of nodes that are gone.
fn lower_bound(before: (&[RingNode], &Table), after: (&[RingNode], &Table)) -> usize {
    let (held, quota) = (counts(before.0, before.1), counts(after.0, after.1));
    let kept: usize = after
        .0
        .iter()
        .zip(quota)
        .map(|(node, quota)| before.0.iter().position(|old| old.id == node.id).map_or(0, |old| held[old].min(quota)))
        .sum();
    after.1.rows().flatten().count() - kept
}

/// Zones that share weight 1 only, so that quotas differ by ties alone: the least that any balanced table must move.
fn lower_bound_of_equal_weights(before: (&[RingNode], &Table), after: &[RingNode]) -> usize {
    let held = counts(before.0, before.1);
    let zones: BTreeSet<_> = after.iter().map(|node| &node.zone).collect();
    let kept_in = |zone: &ZoneName| {
        let members: Vec<&RingNode> = after.iter().filter(|node| node.zone == *zone).collect();
        let held_by = |node: &RingNode| before.0.iter().position(|old| old.id == node.id).map_or(0, |old| held[old]);
        let mut here: Vec<usize> = members.iter().map(|node| held_by(node)).collect();
        here.sort_unstable_by(|left, right| right.cmp(left));
        let (each, extra) = (usize::from(PARTITIONS) / here.len(), usize::from(PARTITIONS) % here.len());
        here.iter().enumerate().map(|(rank, &held)| held.min(each + usize::from(rank < extra))).sum::<usize>()
    };
    zones.len() * usize::from(PARTITIONS) - zones.into_iter().map(kept_in).sum::<usize>()
}

fn plan(nodes: &[RingNode], replicas: usize, previous: Option<(&[RingNode], &Table)>, seed: u64) -> Table {
    let previous = previous.map(|(nodes, table)| Previous { nodes, table });
    assign(nodes, replicas, PARTITIONS, previous, seed).expect("enough nodes")
}

/// 1 to 5 zones of 1 to 4 nodes.
fn any_zones(weights: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = Vec<Vec<u32>>> {
    proptest::collection::vec(proptest::collection::vec(weights, 1..5), 1..6)
}

/// Removes some nodes, drains or reweighs others, and adds one: never below `replicas` active ones.
fn change(nodes: &[RingNode], replicas: usize, acts: &[u8], reweigh: bool) -> Vec<RingNode> {
    let mut changed = nodes.to_vec();
    for (index, act) in acts.iter().enumerate().take(nodes.len()) {
        let id = nodes[index].id;
        let position = changed.iter().position(|node| node.id == id).expect("still there");
        let spare = changed.iter().filter(|node| node.state == NodeState::Active).count() > replicas;
        let alone = changed.iter().filter(|node| node.zone == nodes[index].zone).count() == 1;
        match act % 8 {
            0 if spare && !alone => drop(changed.remove(position)),
            1 if spare && reweigh => changed[position].state = NodeState::Draining,
            2 if reweigh => changed[position].weight = 1 + u32::from(*act),
            3 => changed
                .push(RingNode { ..node(1000 + u32::try_from(index).expect("small"), nodes[index].zone.as_str()) }),
            _ => {}
        }
    }
    changed.sort_by_key(|node| node.id);
    changed
}

proptest! {
    #[test]
    fn tables_keep_the_laws_also_after_changes(
        zones in any_zones(1..=9), replicas in 1usize..=5, seed: u64, acts in proptest::collection::vec(any::<u8>(), 20),
    ) {
        let nodes = ring(&zones);
        let replicas = replicas.min(nodes.len());
        let first = plan(&nodes, replicas, None, seed);
        check_laws(&nodes, replicas, &first);
        let changed = change(&nodes, replicas, &acts, true);
        let second = plan(&changed, replicas, Some((&nodes, &first)), seed);
        check_laws(&changed, replicas, &second);
        prop_assert_eq!(&plan(&changed, replicas, Some((&changed, &second)), seed ^ 1), &second, "a replan changes nothing");
        prop_assert_eq!(&plan(&changed, replicas, Some((&nodes, &first)), seed), &second, "equal arguments, equal tables");
    }

    #[test]
    fn one_replica_per_zone_is_exact_in_balance_and_movement(
        zones in any_zones(1..=9), seed: u64, acts in proptest::collection::vec(any::<u8>(), 20),
    ) {
        let nodes = ring(&zones);
        let replicas = zones.len();
        let first = plan(&nodes, replicas, None, seed);
        check_balance(&nodes, &first);
        let mut changed = change(&nodes, replicas, &acts, true);
        for node in &mut changed {
            node.state = NodeState::Active;
        }
        let second = plan(&changed, replicas, Some((&nodes, &first)), seed);
        check_balance(&changed, &second);
        let (before, after) = ((&nodes[..], &first), (&changed[..], &second));
        prop_assert_eq!(moved(before, after), lower_bound(before, after));
    }

    #[test]
    fn with_equal_weights_no_balanced_table_moves_less(
        zones in any_zones(1..=1), seed: u64, acts in proptest::collection::vec(any::<u8>(), 20),
    ) {
        let nodes = ring(&zones);
        let first = plan(&nodes, zones.len(), None, seed);
        let changed = change(&nodes, zones.len(), &acts, false);
        let second = plan(&changed, zones.len(), Some((&nodes, &first)), seed);
        let before = (&nodes[..], &first);
        prop_assert_eq!(moved(before, (&changed, &second)), lower_bound_of_equal_weights(before, &changed));
    }
}

#[test]
fn three_nodes_in_three_zones_share_firsts() {
    let nodes = ring(&[vec![1], vec![1], vec![1]]);
    let table = assign(&nodes, 3, 256, None, 1).expect("three nodes");
    let mut firsts = [0; 3];
    for row in table.rows() {
        firsts[usize::from(row[0])] += 1;
    }
    firsts.sort_unstable();
    assert_eq!(firsts, [85, 85, 86]);
}

#[test]
fn uneven_zones_are_used_as_evenly_as_their_nodes_allow() {
    let check = |zones: &[Vec<u32>], replicas: usize, expected: &[usize]| {
        let nodes = ring(zones);
        assert_eq!(counts(&nodes, &plan(&nodes, replicas, None, 7)), expected, "{zones:?}");
    };
    check(&[vec![1, 1]], 2, &[64, 64]);
    check(&[vec![1, 1], vec![1]], 3, &[64, 64, 64]);
    check(&[vec![1, 1], vec![1, 1]], 3, &[48, 48, 48, 48]);
    check(&[vec![1, 1], vec![1, 1, 1, 1]], 3, &[32, 32, 32, 32, 32, 32]);
    check(&[vec![1], vec![1], vec![1], vec![1]], 3, &[48, 48, 48, 48]);
    check(&[vec![3], vec![1], vec![1], vec![1]], 3, &[64, 43, 43, 42]);
}

#[test]
fn impossible_requests_are_refused_in_words() {
    let nodes = ring(&[vec![1], vec![1]]);
    let refuse = |replicas, partitions, previous| {
        assign(&nodes, replicas, partitions, previous, 1).expect_err("impossible").to_string()
    };
    insta::assert_snapshot!(refuse(3, 64, None), @"3 replicas need at least 3 active nodes, there are 2");
    insta::assert_snapshot!(refuse(0, 64, None), @"a ring needs at least 1 replica and 1 partition");
    let table = plan(&nodes, 2, None, 1);
    insta::assert_snapshot!(refuse(2, 128, Some(Previous { nodes: &nodes, table: &table })), @"the cluster has 64 partitions, this asks for 128");
}

#[test]
fn a_lost_node_burdens_all_others_of_its_zone() {
    let nodes = ring(&[vec![1; 4], vec![1; 4], vec![1; 4]]);
    let before = plan(&nodes, 3, None, 5);
    let after_nodes: Vec<RingNode> = nodes[1..].to_vec();
    let after = plan(&after_nodes, 3, Some((&nodes, &before)), 5);
    let mut zone: Vec<usize> = counts(&after_nodes, &after)[..3].to_vec();
    zone.sort_unstable();
    assert_eq!(zone, [21, 21, 22]);
    assert_eq!(moved((&nodes, &before), (&after_nodes, &after)), 16);
}
