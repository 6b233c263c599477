//! Specifications people write: what they become, and how their mistakes are told.

use proptest::prelude::*;

use super::*;
use crate::network;
use crate::topology::{Draft, Ports, ZoneDraft};

fn local(text: &str) -> Topology {
    match parse(text).expect("good") {
        Specification::Local(topology) => topology,
        Specification::Aws(network) => panic!("a local cluster was meant, not {}", network.cluster()),
    }
}

fn aws(text: &str) -> Network {
    match parse(text).expect("good") {
        Specification::Aws(network) => *network,
        Specification::Local(topology) => panic!("a cluster on AWS was meant, not {}", topology.cluster()),
    }
}

fn problems(text: &str) -> String {
    parse(text).expect_err("must be refused").to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "---\n", "# nothing\n", "ports:\n"] {
        assert_eq!(local(text).draft(), &Draft::default(), "{text:?}");
    }
}

#[test]
fn zones_may_be_short_or_long() {
    let topology = local("cluster: dev\nnodes_per_zone: 2\nzones:\n- x\n- name: y\n- {name: z, nodes: 3}\n");
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
    line 12    provider       unknown provider gcp; there are local and aws
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

#[test]
fn a_file_for_aws_may_be_one_line() {
    assert_eq!(aws("provider: aws\n").draft(), &network::Draft::default());
    let draft = aws("provider: aws\nregion: eu-west-1\nnodes_per_zone: 2\n").draft().clone();
    let zones: Vec<_> = draft.zones.iter().map(|zone| (zone.name.as_str(), zone.nodes)).collect();
    assert_eq!(zones, [("eu-west-1a", 2), ("eu-west-1b", 2), ("eu-west-1c", 2)]);
}

#[test]
fn everything_about_a_network_can_be_said() {
    let network = aws("\
provider: aws
project: shop
environment: prod
region: eu-central-1
account: '012345678901'
vpc_cidr: 10.8.0.0/20
zones:
- eu-central-1a
- {name: eu-central-1b, nodes: 2, private_cidr: 10.8.4.0/23, public_cidr: 10.8.8.0/24}
- name: eu-central-1c
instance_type: m7g.large
image: ami-0123456789abcdef0
client_cidrs: [203.0.113.0/24, 198.51.100.0/24]
rules:
- group: nodes
  ports: 9200
  peer: monitoring
  description: second exporter
certificate:
domain: kv.example.com
");
    let zones: Vec<String> =
        network.zones().iter().map(|zone| format!("{} {} {}", zone.name, zone.private, zone.public)).collect();
    insta::assert_snapshot!(zones.join("\n"), @r"
    eu-central-1a 10.8.0.0/23 10.8.6.0/23
    eu-central-1b 10.8.4.0/23 10.8.8.0/24
    eu-central-1c 10.8.2.0/23 10.8.10.0/23
    ");
    let nodes: Vec<String> = network.nodes().iter().map(|node| format!("{} {}", node.name, node.address)).collect();
    assert_eq!(nodes, ["a1 10.8.0.11", "b1 10.8.4.11", "b2 10.8.4.12", "c1 10.8.2.11"]);
    assert_eq!((network.domain().as_str(), network.extra_rules().len()), ("kv.example.com", 1));
}

#[test]
fn mistakes_about_a_network_are_told_at_once_with_their_lines() {
    insta::assert_snapshot!(problems("\
provider: aws
cluster: mine
projct: shop
region: us-east-1
vpc_cidr: 10.0.0.1/16
zones:
- us-east-1a
- name: eu-west-1b
- nodes: 2
- [x]
ports:
  peer: none
client_cidrs:
- 10.0.0.0/33
- 7
rules:
- group: nodes
  port: 22
  peer: 0.0.0.0/0
- group: knots
  direction: through
  protocol: icmp
  ports: 9-8
  peer: everyone
  description: 'ü'
accept_zone_outage: perhaps
flow_log_days: 31
"), @r#"
    19 problems
    line 2     cluster               this key is of another provider; a cluster on AWS is named by project and environment
    line 3     projct                unknown key; did you mean project?
    line 5     vpc_cidr              10.0.0.1/16 has host bits set; 10.0.0.0/16 is the block that holds it
    line 8     zones[1].name         "eu-west-1b" is not a zone of us-east-1; for example us-east-1b
    line 9     zones[2]              the zone has no name; add name:
    line 10    zones[3]              a list is not a set of keys; keys: name, nodes, private_cidr, public_cidr
    line 12    ports.peer            a text is not a whole number in range
    line 14    client_cidrs[0]       "10.0.0.0/33" is not a block of IPv4 addresses; for example 10.0.0.0/16
    line 15    client_cidrs[1]       a number is not a text; write one block per line: - 203.0.113.0/24
    line 17    rules[0]              the rule has no ports, no description; all four are needed
    line 18    rules[0].port         unknown key; did you mean ports?
    line 20    rules[1].group        there is no group "knots"; nodes, lb or monitoring
    line 21    rules[1].direction    "through" is no direction; in or out
    line 22    rules[1].protocol     "icmp" is not a protocol with ports; tcp or udp
    line 23    rules[1].ports        "9-8" is not a port or a range of ports; for example 9200 or 9200-9300
    line 24    rules[1].peer         "everyone" is neither a group nor a block of addresses; nodes, lb, monitoring, or for example 10.1.0.0/16 without host bits
    line 25    rules[1].description  the cloud refuses 'ü' in a description; 1 to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*
    line 26    accept_zone_outage    a text is not true or false
    line 27    flow_log_days         logs cannot be kept for 31 days; the next the cloud knows is 60
    "#);
}

#[test]
fn keys_of_the_other_provider_say_so() {
    insta::assert_snapshot!(problems("cluster: dev\nvpc_cidr: 10.0.0.0/16\n"), @r"
    1 problem
    line 2     vpc_cidr  this key is of another provider; for a cluster on AWS add provider: aws
    ");
    insta::assert_snapshot!(problems("cluster: dev\nprovider: aws\n"), @r"
    1 problem
    line 1     cluster  this key is of another provider; a cluster on AWS is named by project and environment
    ");
}

#[test]
fn the_rendered_default_explains_itself() {
    let network = Network::parse(network::Draft::default()).expect("can be built");
    insta::assert_snapshot!(render(&Specification::Aws(Box::new(network))), @r#"
    # A kvstore cluster on AWS. Check it: kvctl cluster plan -f cluster.yaml
    provider: aws
    project: "kvstore"                  # every name starts with project-environment
    environment: "dev"
    region: "us-east-1"
    # profile: "work"                   # of the credentials; else as the environment says
    # account: "123456789012"           # no other account is ever touched
    vpc_cidr: "10.0.0.0/16"             # addresses of the network
    zones:                              # copies of a key stand in different ones
      - name: "us-east-1a"
        nodes: 1
        private_cidr: "10.0.0.0/19"     # nodes
        public_cidr: "10.0.96.0/19"     # NAT gateway, load balancer
      - name: "us-east-1b"
        nodes: 1
        private_cidr: "10.0.32.0/19"    # nodes
        public_cidr: "10.0.128.0/19"    # NAT gateway, load balancer
      - name: "us-east-1c"
        nodes: 1
        private_cidr: "10.0.64.0/19"    # nodes
        public_cidr: "10.0.160.0/19"    # NAT gateway, load balancer
    replicas: 3                         # copies of each key; a quorum is more than half of them
    partitions: 256                     # a power of two; cannot be changed later
    ports:
      api: 8080                         # REST over TLS (TCP), the load balancer's too
      peer: 7946                        # node to node, mutual TLS (TCP)
      gossip: 7947                      # membership (UDP)
    accept_zone_outage: false           # true allows a layout that losing one zone stops
    instance_type: "m6i.large"
    # an ami-…, or a public parameter that names one; matters when a machine is made
    image: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    volume_gib: 100                     # data of one node; can grow, never shrink
    client_cidrs:                       # who may reach the load balancer
      - "0.0.0.0/0"
    rules: []                           # more for the security groups nodes, lb and monitoring, for example:
    #   - group: nodes
    #     ports: 9200-9300              # of protocol: tcp, direction: in
    #     peer: monitoring              # a group, or addresses
    #     description: a second exporter
    flow_log_days: 30                   # for which who spoke to whom is kept
    tls_policy: "ELBSecurityPolicy-TLS13-1-2-2021-06"
    # certificate: "arn:aws:acm:us-east-1:123456789012:certificate/ID"  # else the cluster makes one
    # domain: "kv.example.com"          # for which that one is made
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
        let expected = Specification::Local(Topology::parse(draft).expect("valid by construction"));
        prop_assert_eq!(parse(&render(&expected)), Ok(expected));
    }

    #[test]
    fn what_is_rendered_of_a_network_is_read_back(
        draft in network::tests::drafts(), profile in proptest::option::of("\\PC{1,12}"), domain in proptest::bool::ANY,
    ) {
        let profile = profile.filter(|profile| !profile.trim().is_empty());
        let domain = domain.then(|| "kv.example.com".to_owned());
        let network = Network::parse(network::Draft { profile, domain, ..draft }).expect("valid by construction");
        let settled = Network::parse(network.settled_draft()).expect("still valid");
        let text = render(&Specification::Aws(Box::new(network)));
        prop_assert_eq!(parse(&text), Ok(Specification::Aws(Box::new(settled))));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}", lines in proptest::collection::vec("[ -]{0,6}[a-z\\[]{0,3}:? ?[0-9a-z]{0,2}", 0..8)) {
        let _ = (parse(&text).is_ok(), parse(&lines.join("\n")).is_ok(), parse(&format!("provider: aws\n{text}")).is_ok());
    }
}
