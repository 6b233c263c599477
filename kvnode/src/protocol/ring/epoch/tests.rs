//! Epochs: canonical bytes, constructor, lookups, voters.
//!
//! [`node`] and [`epoch`] build small rings for the tests of the whole `ring` module.

use proptest::prelude::*;

use super::*;

/// A node with this number as id, in this zone, weight 1.
pub(crate) fn node(number: u32, zone: &str) -> RingNode {
    let address = |port: u32| format!("10.0.{}.{}:{port}", number / 256, number % 256).parse().expect("test address");
    RingNode {
        id: NodeId::from_bits(u128::from(number)),
        name: format!("{zone}{number}").parse().expect("test name"),
        zone: zone.parse().expect("test zone"),
        weight: 1,
        api: address(8080),
        peer: address(7946),
        gossip: address(7947),
        state: NodeState::Active,
    }
}

/// The first epoch of these nodes with up to 3 replicas and 4 partitions; `cluster` tells epochs apart.
pub(crate) fn epoch(cluster: u32, nodes: Vec<RingNode>) -> RingEpoch {
    let replicas = nodes.len().min(3);
    let partitioner = Partitioner::new([3; 16], 4).expect("valid");
    RingEpoch::first(ClusterId::from_bits(u128::from(cluster)), nodes, replicas, partitioner, 1).expect("valid ring")
}

fn draft() -> Draft {
    epoch(9, vec![node(1, "a"), node(2, "b"), node(3, "c")]).draft
}

#[test]
fn golden_bytes() {
    let epoch = epoch(9, vec![node(2, "b"), node(1, "a")]);
    let hex: String = epoch.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    insta::assert_snapshot!(hex, @"010000000000000000000000000000000900000000000000010000000000000000000000000000000000000000000000000000000000000000000303030303030303030303030303030300000004020002000000000000000000000000000000010261310161000000010d31302e302e302e313a383038300d31302e302e302e313a373934360d31302e302e302e313a3739343700000000000000000000000000000000020262320162000000010d31302e302e302e323a383038300d31302e302e302e323a373934360d31302e302e302e323a37393437000002000000010000000100010000000000010001000000");
    insta::assert_snapshot!(epoch.hash(), @"134b3d844eeada491a6a33630532f4e08d890a39fc529b6c0a3afdfcd53f9217");
}

#[test]
fn every_problem_is_told() {
    let mut bad = draft();
    bad.number = EpochNumber(2);
    bad.nodes[1].name = bad.nodes[0].name.clone();
    bad.nodes[1].weight = 0;
    bad.nodes.swap(1, 2);
    bad.voters = vec![NodeId::from_bits(77)];
    bad.table = Table::from_cells(2, vec![0, 0, 0, 3]).expect("even");
    insta::assert_snapshot!(RingEpoch::new(bad).expect_err("all wrong"), @"epoch 2 needs a parent; node 00000000000000000000000000000002 is listed twice or out of order; two nodes are named a1; the weight of a1 must be from 1 to 1000000, this is 0; voter 0000000000000000000000000000004d is no node of the ring, or is listed twice or out of order; there are 4 partitions and the table has 2; the replicas of partition 0 are not distinct nodes of the ring");
    let mut none = draft();
    none.number = EpochNumber(0);
    none.nodes.clear();
    none.voters.clear();
    none.table = Table::from_cells(8, (0..32).collect()).expect("even");
    insta::assert_snapshot!(RingEpoch::new(none).expect_err("all wrong"), @"epochs are numbered from 1; a ring has 1 to 1024 nodes, this has 0; a ring has 1 to 7 voters, this has 0; a ring keeps 1 to 7 replicas, this keeps 8");
}

#[test]
fn lookups_agree_with_each_other() {
    let nodes: Vec<RingNode> = (1..=6).map(|n| node(n, ["a", "b", "c"][n as usize % 3])).collect();
    let epoch = epoch(1, nodes);
    assert_eq!(epoch.zones().iter().map(|zone| zone.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    for partition in (0..4).map(PartitionId) {
        assert_eq!(epoch.replicas(partition).len(), 3);
        for node in epoch.nodes() {
            let listed = epoch.partitions_of(node.id).any(|held| held == partition);
            assert_eq!(epoch.is_replica(partition, node.id), listed);
            assert_eq!(epoch.node(node.id), Some(node));
            assert_eq!(epoch.node_named(&node.name), Some(node));
        }
    }
    assert_eq!(epoch.replicas(PartitionId(4)).len(), 0);
    assert_eq!(epoch.replicas(PartitionId(u16::MAX)).len(), 0);
    assert_eq!(epoch.partitions_of(NodeId::from_bits(99)).count(), 0);
    let key = Key::parse("some key").expect("valid");
    assert!(epoch.replicas(epoch.partition_of(&key)).len() == 3);
}

#[test]
fn addresses_are_bounded_host_and_port() {
    for good in ["localhost:1", "10.0.0.1:65535", "[::1]:7946", "node-1.example.com:7946"] {
        assert_eq!(good.parse::<Address>().expect(good).as_str(), good);
    }
    let long = format!("{}:1", "a".repeat(254));
    for bad in ["", "host", ":1", "host:", "host:0", "host:65536", "a b:1", "hö:1", &long] {
        assert!(bad.parse::<Address>().is_err(), "{bad}");
    }
}

fn check_voters(zones: &[&str], expected: usize) {
    let nodes: Vec<RingNode> = (1..).zip(zones).map(|(number, zone)| node(number, zone)).collect();
    let chosen = voters::choose(&nodes);
    assert_eq!(chosen.len(), expected, "{zones:?}");
    let all_zones: std::collections::BTreeSet<_> = zones.iter().collect();
    let seen: std::collections::BTreeSet<_> =
        nodes.iter().filter(|node| chosen.contains(&node.id)).map(|node| node.zone.as_str()).collect();
    assert_eq!(seen.len(), all_zones.len().min(expected), "{zones:?}");
}

#[test]
fn voters_are_odd_and_spread() {
    check_voters(&["a"], 1);
    check_voters(&["a", "b"], 2);
    check_voters(&["a", "b", "c"], 3);
    check_voters(&["a", "a", "b", "c"], 3);
    check_voters(&["a", "b", "c", "a", "b", "c"], 5);
    check_voters(&["a", "b", "c", "a", "b", "c", "a", "b", "c"], 7);
    check_voters(&["a", "a", "a", "a", "a", "b", "c"], 3);
    check_voters(&["a", "a", "b", "b"], 3);
    check_voters(&["a", "b", "c", "d", "e", "f", "g", "h", "i"], 7);
}

fn any_ring() -> impl Strategy<Value = RingEpoch> {
    let nodes = proptest::collection::vec((0usize..4, 1u32..=MAX_WEIGHT, any::<u32>()), 1..12);
    (nodes, 0u32..8, any::<u64>(), any::<[u8; 16]>()).prop_map(|(parts, bits, seed, hash_key)| {
        let mut nodes: Vec<RingNode> = (0..)
            .zip(&parts)
            .map(|(number, &(zone, weight, id))| RingNode {
                id: NodeId::from_bits(u128::from(id) << 32 | u128::from(number)),
                weight,
                ..node(number, ["a", "b", "c", "d"][zone])
            })
            .collect();
        if nodes.len() > 3 {
            nodes[3].state = NodeState::Draining;
        }
        let partitioner = Partitioner::new(hash_key, 1 << bits).expect("power of two");
        let replicas = nodes.len().min(3);
        RingEpoch::first(ClusterId::from_bits(u128::from(seed)), nodes, replicas, partitioner, seed).expect("valid")
    })
}

proptest! {
    #[test]
    fn bytes_round_trip_and_no_prefix_parses(epoch in any_ring(), cut in 0.0f64..1.0) {
        let bytes = epoch.to_bytes();
        prop_assert_eq!(&RingEpoch::from_bytes(&bytes), &Ok(epoch));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length of a test")]
        let cut = (bytes.len() as f64 * cut) as usize;
        prop_assert!(RingEpoch::from_bytes(&bytes[..cut]).is_err());
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(RingEpoch::from_bytes(&longer).is_err());
    }

    #[test]
    fn damaged_bytes_never_panic_nor_pass_as_another_spelling(epoch in any_ring(), position: prop::sample::Index, byte: u8) {
        let mut bytes = epoch.to_bytes().to_vec();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        if let Ok(other) = RingEpoch::from_bytes(&bytes) {
            prop_assert_eq!(other.to_bytes(), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(RingEpoch::from_bytes(&tail).is_err() || tail.len() > 80);
        let _ = RingEpoch::from_bytes(&[&[1][..], &tail].concat());
    }
}

#[test]
fn oversized_and_unknown_bytes_are_refused_by_name() {
    let check = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = epoch(1, vec![node(1, "a")]).to_bytes().to_vec();
        change(&mut bytes);
        RingEpoch::from_bytes(&bytes).expect_err("changed")
    };
    assert_eq!(check(&|bytes| bytes[0] = 2), DecodeError::Unknown { what: "version of a ring epoch", found: 2 });
    assert_eq!(check(&|bytes| bytes[57] = 1), DecodeError::Unknown { what: "kind of a ring epoch", found: 1 });
    assert_eq!(check(&|bytes| bytes.push(0)), DecodeError::Trailing { count: 1 });
    let too_large = DecodeError::TooLarge { what: "ring epoch", found: MAX_ENCODED_BYTES + 1, max: MAX_ENCODED_BYTES };
    assert_eq!(check(&|bytes| bytes.resize(MAX_ENCODED_BYTES + 1, 0)), too_large);
}
