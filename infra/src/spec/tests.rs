//! Specifications people write: what they become, and how their mistakes are told.

use proptest::prelude::*;

use super::*;
use crate::topology::{Draft, Ports, Topology, ZoneDraft};

fn problems(text: &str) -> String {
    parse(text).expect_err("must be refused").to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "---\n", "# nothing\n", "ports:\n"] {
        assert_eq!(parse(text).map(|topology| topology.draft().clone()), Ok(Draft::default()), "{text:?}");
    }
}

#[test]
fn zones_may_be_short_or_long() {
    let topology =
        parse("cluster: dev\nnodes_per_zone: 2\nzones:\n- x\n- name: y\n- {name: z, nodes: 3}\n").expect("good");
    let names: Vec<&str> = topology.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["x1", "x2", "y1", "y2", "z1", "z2", "z3"]);
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let text = "\
cluster: dev
replica: 3
zones:
  - name: a
    node: 1
  - name: a
  - nodes: 1
ports:
  api: 80
  peer: many
partitions: -4
provider: gcp
";
    insta::assert_snapshot!(problems(text), @r"
    8 problems
    line 2     replica        unknown key; did you mean replicas?
    line 5     zones[0].node  unknown key; did you mean nodes?
    line 6     zones[1].name  zone a is named twice; give each zone its own name
    line 7     zones[2]       the zone has no name; add name:
    line 9     ports.api      port 80 is below 1024 and needs privileges; choose one between 1024 and 65535
    line 10    ports.peer     a text is not a whole number in range
    line 11    partitions     -4 is not a whole number in range
    line 12    provider       unknown provider gcp; this build has local
    ");
}

#[test]
fn text_that_is_no_yaml_says_where() {
    insta::assert_snapshot!(problems("zones: [a\nreplicas: 3\n"), @r"
    1 problem
    line 2       did not find expected ',' or ']' at line 2 column 9, while parsing a flow sequence at line 1 column 8
    ");
    insta::assert_snapshot!(problems("- a\n- b\n"), @r"
    1 problem
    (not set)    a list is not a set of keys; keys: cluster, provider, zones, nodes_per_zone, replicas, partitions, ports, accept_zone_outage
    ");
    insta::assert_snapshot!(problems("replicas: 3\nreplicas: 4\n"), @r#"
    1 problem
    line 1       duplicate entry with key "replicas"
    "#);
}

proptest! {
    #[test]
    fn what_is_rendered_is_read_back(
        names in proptest::collection::btree_set("[a-z0-9]{1,5}", 1..=6),
        nodes in 1..=5_u8, replicas in 1..=1_u8, power in 0..=12_u32, api in 1024..2000_u16, peer in 2000..9000_u16,
    ) {
        let zones = names.into_iter().map(|name| ZoneDraft { name, nodes }).collect();
        let draft = Draft {
            cluster: "c".to_owned(), zones, replicas, partitions: 1 << power,
            ports: Ports { api, peer, gossip: 7947 }, accept_zone_outage: true,
        };
        let expected = Topology::parse(draft.clone()).expect("valid by construction");
        prop_assert_eq!(parse(&render(&draft)), Ok(expected));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}", lines in proptest::collection::vec("[ -]{0,6}[a-z\\[]{0,3}:? ?[0-9a-z]{0,2}", 0..8)) {
        let _ = (parse(&text).is_ok(), parse(&lines.join("\n")).is_ok());
    }
}
