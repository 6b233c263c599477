//! What can be built and what is refused, with the words people read.

use proptest::prelude::*;

use super::*;

fn zones(nodes: &[u8]) -> Vec<ZoneDraft> {
    let name = |index: usize| char::from(b'a' + u8::try_from(index).expect("few zones")).to_string();
    nodes.iter().enumerate().map(|(index, &nodes)| ZoneDraft { name: name(index), nodes }).collect()
}

fn refused(draft: Draft) -> String {
    let problems = Topology::parse(draft).expect_err("must be refused");
    problems.iter().map(|one| format!("{one}; {}", one.fix)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_default_is_three_zones_on_loopback() {
    let topology = Topology::parse(Draft::default()).expect("the default can be built");
    let lines: Vec<String> =
        topology.nodes().iter().map(|n| format!("{} {} {} {} {}", n.name, n.zone, n.api, n.peer, n.gossip)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    a1 a 127.0.1.1:8080 127.0.1.1:7946 127.0.1.1:7947
    b1 b 127.0.2.1:8080 127.0.2.1:7946 127.0.2.1:7947
    c1 c 127.0.3.1:8080 127.0.3.1:7946 127.0.3.1:7947
    ");
    assert!(topology.survives_zone_loss());
}

#[test]
fn everything_impossible_is_said_at_once() {
    let mut draft = Draft { replicas: 9, partitions: 100, ..Draft::default() };
    draft.cluster = "My Cluster".to_owned();
    draft.zones[1].name = "a".to_owned();
    draft.zones[2].nodes = 0;
    draft.ports = Ports { api: 80, peer: 80, gossip: 7947 };
    insta::assert_snapshot!(refused(draft), @r"
    cluster: a cluster name is made of a-z, 0-9 and inner '-'; found 'M' at position 0; choose another name
    zones[1].name: zone a is named twice; give each zone its own name
    zones[2].nodes: 0 nodes; a zone has 1 to 32; leave the zone out, or give it a node
    replicas: 9 replicas; a key has 1 to 7; 3 is right for nearly everyone
    partitions: 100 is not a power of two up to 4096; 256 is right up to some 50 nodes
    ports.api: port 80 is below 1024 and needs privileges; choose one between 1024 and 65535
    ports.peer: port 80 is below 1024 and needs privileges; choose one between 1024 and 65535
    ports.peer: port 80 is the api port too; both are TCP on one address: choose two ports
    ");
}

#[test]
fn a_layout_that_one_zone_stops_needs_consent() {
    let mut draft = Draft { zones: zones(&[2, 2]), ..Draft::default() };
    insta::assert_snapshot!(refused(draft.clone()), @"zones: losing one zone would leave 1 of 3 replicas, 2 are needed; 3 zones with 3 replicas survive it; to go without: accept_zone_outage: true (--accept-zone-outage)");
    draft.accept_zone_outage = true;
    let topology = Topology::parse(draft).expect("consented");
    assert!(!topology.survives_zone_loss());
}

#[test]
fn uneven_zones_are_judged_by_the_fullest() {
    for (nodes, replicas, survives) in
        [(&[1, 1, 1][..], 3, true), (&[3, 1, 1], 5, false), (&[2, 2, 2], 5, true), (&[1, 1, 1], 2, false)]
    {
        let draft = Draft { zones: zones(nodes), replicas, accept_zone_outage: true, ..Draft::default() };
        let topology = Topology::parse(draft).expect("consented");
        assert_eq!(topology.survives_zone_loss(), survives, "{nodes:?} × {replicas}");
    }
}

proptest! {
    #[test]
    fn names_and_addresses_never_collide(
        names in proptest::collection::btree_set("[a-z][a-z0-9]{0,2}", 1..=MAX_ZONES),
        nodes in 1..=MAX_NODES_PER_ZONE,
    ) {
        let zones = names.into_iter().map(|name| ZoneDraft { name, nodes }).collect();
        let draft = Draft { zones, replicas: 1, accept_zone_outage: true, ..Draft::default() };
        let topology = Topology::parse(draft.clone()).expect("valid by construction");
        let names: std::collections::BTreeSet<_> = topology.nodes().iter().map(|node| &node.name).collect();
        let addresses: std::collections::BTreeSet<_> = topology.nodes().iter().map(|node| node.api).collect();
        prop_assert_eq!(names.len(), topology.nodes().len());
        prop_assert_eq!(addresses.len(), topology.nodes().len());
        prop_assert_eq!(topology.draft(), &draft);
    }
}
