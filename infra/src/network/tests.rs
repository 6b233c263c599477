//! What can be built and what is refused, with the words people read.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn network(change: impl FnOnce(&mut Draft)) -> Network {
    let mut draft = Draft::default();
    change(&mut draft);
    Network::parse(draft).expect("can be built")
}

fn refused(change: impl FnOnce(&mut Draft)) -> String {
    let mut draft = Draft::default();
    change(&mut draft);
    let problems = Network::parse(draft).expect_err("must be refused");
    problems.iter().map(|one| format!("{one}; {}", one.fix)).collect::<Vec<_>>().join("\n")
}

fn zones(draft: &mut Draft, letters: &str) {
    draft.zones = letters.chars().map(|letter| ZoneDraft::new(format!("{}{letter}", draft.region))).collect();
}

fn rule(group: &str, ports: &str, peer: &str) -> RuleDraft {
    RuleDraft {
        group: group.to_owned(),
        direction: "in".to_owned(),
        protocol: "tcp".to_owned(),
        ports: ports.to_owned(),
        peer: peer.to_owned(),
        description: "more".to_owned(),
    }
}

fn blocks(network: &Network) -> String {
    let lines = network.zones().iter().map(|zone| format!("{} {} {}", zone.name, zone.private, zone.public));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_default_is_the_reference_network() {
    let network = network(|_| {});
    insta::assert_snapshot!(blocks(&network), @r"
    us-east-1a 10.0.0.0/19 10.0.96.0/19
    us-east-1b 10.0.32.0/19 10.0.128.0/19
    us-east-1c 10.0.64.0/19 10.0.160.0/19
    ");
    let nodes: Vec<String> =
        network.nodes().iter().map(|node| format!("{} {} {}", node.name, node.address, node.subnet_role())).collect();
    insta::assert_snapshot!(nodes.join("\n"), @r"
    a1 10.0.0.11 private-us-east-1a
    b1 10.0.32.11 private-us-east-1b
    c1 10.0.64.11 private-us-east-1c
    ");
    assert_eq!((network.cluster(), network.vpc().to_string().as_str()), ("kvstore-dev", "10.0.0.0/16"));
    assert!(network.survives_zone_loss());
}

#[test]
fn blocks_follow_the_same_pattern_for_any_number_of_zones() {
    for (letters, private, public) in [
        ("a", "10.0.0.0/17", "10.0.128.0/17"),
        ("ab", "10.0.64.0/18", "10.0.192.0/18"),
        ("abcd", "10.0.96.0/19", "10.0.224.0/19"),
        ("abcde", "10.0.64.0/20", "10.0.144.0/20"),
        ("abcdef", "10.0.80.0/20", "10.0.176.0/20"),
    ] {
        let network = network(|draft| {
            zones(draft, letters);
            draft.accept_zone_outage = true;
            draft.replicas = 1;
        });
        let last = network.zones().last().expect("zones");
        assert_eq!(
            (last.private.to_string().as_str(), last.public.to_string().as_str()),
            (private, public),
            "{letters}"
        );
    }
}

#[test]
fn a_zone_added_to_what_is_written_down_moves_nothing() {
    let mut draft = network(|_| {}).settled_draft();
    draft.zones.push(ZoneDraft::new("us-east-1d"));
    insta::assert_snapshot!(blocks(&Network::parse(draft).expect("there is room")), @r"
    us-east-1a 10.0.0.0/19 10.0.96.0/19
    us-east-1b 10.0.32.0/19 10.0.128.0/19
    us-east-1c 10.0.64.0/19 10.0.160.0/19
    us-east-1d 10.0.192.0/19 10.0.224.0/19
    ");
}

type Change = fn(&mut Draft);

const BAD_DRAFTS: [(&str, Change); 36] = [
    ("names", |d| d.project = "Shop".to_owned()),
    ("reserved", |d| d.project = "sg".to_owned()),
    ("reserved", |d| d.project = "awsome".to_owned()),
    ("hyphen", |d| d.environment = "dev-1".to_owned()),
    ("long", |d| d.project = "a-very-long-project-name".to_owned()),
    ("region", |d| d.region = "us-east".to_owned()),
    ("account", |d| d.account = Some("12".to_owned())),
    ("profile", |d| d.profile = Some(" ".to_owned())),
    ("no block", |d| d.vpc_cidr = "10.0.0.0".to_owned()),
    ("host bits", |d| d.vpc_cidr = "10.0.0.1/16".to_owned()),
    ("too large", |d| d.vpc_cidr = "10.0.0.0/8".to_owned()),
    ("reserved block", |d| d.vpc_cidr = "169.254.0.0/16".to_owned()),
    ("too small", |d| d.vpc_cidr = "10.0.0.0/26".to_owned()),
    ("outside", |d| d.zones[0].private_cidr = Some("10.1.0.0/19".to_owned())),
    ("overlap", |d| {
        d.zones[0].private_cidr = Some("10.0.0.0/18".to_owned());
        d.zones[1].public_cidr = Some("10.0.32.0/19".to_owned());
    }),
    ("small subnets", |d| {
        d.zones[0].private_cidr = Some("10.0.0.0/29".to_owned());
        d.zones[0].public_cidr = Some("10.0.1.0/28".to_owned());
    }),
    ("no room", |d| d.zones[0].private_cidr = Some("10.0.0.0/16".to_owned())),
    ("other region's zone", |d| d.zones[1].name = "b".to_owned()),
    ("local zone", |d| d.zones[1].name = "us-east-1-bos-1a".to_owned()),
    ("twice", |d| d.zones[1].name = "us-east-1a".to_owned()),
    ("no nodes", |d| d.zones[1].nodes = 0),
    ("no zones", |d| d.zones.clear()),
    ("too many zones", |d| zones(d, "abcdefg")),
    ("too many nodes", |d| {
        d.zones[0].private_cidr = Some("10.0.0.0/28".to_owned());
        d.zones[0].nodes = 5;
    }),
    ("quorum", |d| {
        zones(d, "ab");
        d.zones.iter_mut().for_each(|zone| zone.nodes = 2);
    }),
    ("ports", |d| d.ports = Ports { api: 9100, peer: 9100, gossip: 40000 }),
    ("type", |d| d.instance_type = "large".to_owned()),
    ("arm", |d| d.instance_type = "m7g.large".to_owned()),
    ("image", |d| d.image = "debian".to_owned()),
    ("volume", |d| d.volume_gib = 0),
    ("nobody", |d| d.client_cidrs.clear()),
    ("clients overlap", |d| d.client_cidrs.push("10.0.0.0/8".to_owned())),
    ("days", |d| d.flow_log_days = 10),
    ("tls", |d| d.tls_policy = "ELBSecurityPolicy-2016-08".to_owned()),
    ("certificate", |d| d.certificate = Some("arn:aws:acm:eu-west-1:123456789012:certificate/x".to_owned())),
    ("domain", |d| d.domain = Some("kv".to_owned())),
];

#[test]
fn bad_drafts_say_where_why_and_what_instead() {
    let lines: Vec<String> =
        BAD_DRAFTS.into_iter().map(|(what, change)| format!("{what}: {}", refused(change))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    names: project: "Shop": a project is made of a-z, 0-9 and inner '-', and starts with a letter; for example kvstore
    reserved: project: the cloud keeps names that start with sg- for itself; choose another name, for example kvstore
    reserved: project: the cloud keeps names that start with aws for itself; choose another name, for example kvstore
    hyphen: environment: "dev-1": an environment is made of a-z and 0-9; for example dev
    long: project: a-very-long-project-name-dev has 28 characters; the load balancer's names leave room for 23; shorten it by 5
    region: region: "us-east" is not a region; for example us-east-1
    account: account: "12" is not an account; its 12 digits, in quotation marks
    profile: profile: the profile has no name; leave it out to take what the environment says
    no block: vpc_cidr: "10.0.0.0" is not a block of IPv4 addresses; for example 10.0.0.0/16
    host bits: vpc_cidr: 10.0.0.1/16 has host bits set; 10.0.0.0/16 is the block that holds it
    too large: vpc_cidr: 10.0.0.0/8: a network is a /16 to a /28; for example 10.0.0.0/16
    reserved block: vpc_cidr: 169.254.0.0/16 is link-local; a private block, for example 10.0.0.0/16
    too small: vpc_cidr: 10.0.0.0/26 has no room for all subnets of 3 zones; give a larger network, or private_cidr and public_cidr of each zone
    outside: zones[0].private_cidr: 10.1.0.0/19 is outside the network 10.0.0.0/16; choose a block of 10.0.0.0/16
    overlap: zones[1].public_cidr: 10.0.32.0/19 overlaps 10.0.0.0/18 (zones[0].private_cidr); subnets share no address; leave one of them out to have it chosen
    small subnets: zones[0].private_cidr: 10.0.0.0/29 is too small; a private subnet is a /28 at least; 10.0.0.0/28 for example
    zones[0].public_cidr: 10.0.1.0/28 is too small; a public subnet is a /27 at least; 10.0.1.0/27 for example
    no room: vpc_cidr: 10.0.0.0/16 has no room for all subnets of 3 zones; give a larger network, or private_cidr and public_cidr of each zone
    other region's zone: zones[1].name: "b" is not a zone of us-east-1; for example us-east-1b
    local zone: zones[1].name: "us-east-1-bos-1a" is not a zone of us-east-1; for example us-east-1a
    twice: zones[1].name: zone us-east-1a is named twice; give each zone once, with all its nodes
    no nodes: zones[1].nodes: 0 nodes; a zone has 1 to 100; leave the zone out, or give it a node
    no zones: zones: 0 zones; a cluster has 1 to 6; 3 zones survive the loss of any one
    too many zones: zones: 7 zones; a cluster has 1 to 6; 3 zones survive the loss of any one
    too many nodes: zones[0].nodes: 5 nodes; 10.0.0.0/28 has room for 4 (the first 11 addresses are kept); fewer nodes, or a larger private_cidr
    quorum: zones: losing one zone would leave 1 of 3 replicas, 2 are needed; 3 zones with 3 replicas survive it; to go without: accept_zone_outage: true (--accept-zone-outage)
    ports: ports.peer: port 9100 is the api port too; both are TCP on one address: choose two ports
    ports.gossip: port 40000 is one of those that Linux gives to outgoing connections; choose one between 1024 and 32767
    ports.api: port 9100 is that of Prometheus or the node exporter; choose another one
    ports.peer: port 9100 is that of Prometheus or the node exporter; choose another one
    type: instance_type: "large" is not an instance type; for example m6i.large
    arm: image: m7g.large has an Arm processor, the image /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64 is for x86_64; take /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64
    image: image: "debian" is neither an image nor a parameter that names one; ami-0123456789abcdef0, or /aws/service/…
    volume: volume_gib: 0 GiB; a gp3 volume has 1 to 16384; for example 100
    nobody: client_cidrs: 0 blocks of client addresses; there are 1 to 6; for example 0.0.0.0/0 for everybody; summarise many blocks
    clients overlap: client_cidrs[1]: 10.0.0.0/8 overlaps 0.0.0.0/0; leave the smaller one out
    days: flow_log_days: logs cannot be kept for 10 days; the next the cloud knows is 14
    tls: tls_policy: "ELBSecurityPolicy-2016-08" is not a policy that wants TLS 1.2 at least; for example ELBSecurityPolicy-TLS13-1-2-2021-06
    certificate: certificate: "arn:aws:acm:eu-west-1:123456789012:certificate/x" is not a certificate of us-east-1; it is arn:aws:acm:us-east-1:ACCOUNT:certificate/ID, or left out
    domain: domain: "kv" is not a host name; for example kv.example.com
    "#);
}

#[test]
fn bad_extra_rules_say_so() {
    let lines: Vec<String> = [
        rule("nodes", "7946", "0.0.0.0/0"),
        rule("nodes", "1-65535", "0.0.0.0/1"),
        rule("nodes", "8080", "10.0.0.0/16"),
        rule("lb", "443", "10.0.0.1/8"),
        rule("lb", "443", "::/0"),
        RuleDraft { description: String::new(), ..rule("monitoring", "0", "lb") },
    ]
    .into_iter()
    .map(|rule| refused(|draft| draft.rules = vec![rule]))
    .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    rules[0].peer: it would open the ports between nodes (7946, 7947) to 0.0.0.0/0; clients use the api port; name the few addresses that must
    rules[0].peer: it would open the ports between nodes (7946, 7947) to 0.0.0.0/1; clients use the api port; name the few addresses that must
    rules[0]: the same is allowed by another rule already; leave it out
    rules[0].peer: "10.0.0.1/8" is neither a group nor a block of addresses; nodes, lb, monitoring, or for example 10.1.0.0/16 without host bits
    rules[0].peer: "::/0" is neither a group nor a block of addresses; nodes, lb, monitoring, or for example 10.1.0.0/16 without host bits
    rules[0].ports: "0" is not a port or a range of ports; for example 9200 or 9200-9300
    rules[0].description: a description has 1 to 255 characters, this has 0; 1 to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*
    "#);
    let many =
        refused(|draft| draft.rules = (0..9).map(|index| rule("lb", &(443 + index).to_string(), "nodes")).collect());
    insta::assert_snapshot!(many, @r"rules: 9 extra rules; network ACLs have room for 8; summarise them: wider ranges of ports or addresses");
    let twice = refused(|draft| draft.rules = vec![rule("lb", "443", "nodes"), rule("lb", "443-443", "nodes")]);
    insta::assert_snapshot!(twice, @r"rules[1]: the same is allowed by another rule already; leave it out");
}

#[test]
fn what_is_wrong_is_said_all_at_once() {
    insta::assert_snapshot!(refused(|draft| {
        draft.project = "1".to_owned();
        draft.vpc_cidr = "10.0.0.0/30".to_owned();
        draft.replicas = 0;
        draft.rules = vec![rule("nodes", "22", "0.0.0.0/0")];
        draft.flow_log_days = 0;
    }), @r#"
    project: "1": a project is made of a-z, 0-9 and inner '-', and starts with a letter; for example kvstore
    vpc_cidr: 10.0.0.0/30: a network is a /16 to a /28; for example 10.0.0.0/16
    replicas: 0 replicas; a key has 1 to 7; 3 is right for nearly everyone
    flow_log_days: logs cannot be kept for 0 days; the next the cloud knows is 1
    "#);
}

/// Drafts of any number of zones, sizes of networks and nodes, most of which can be built.
pub(crate) fn drafts() -> impl Strategy<Value = Draft> {
    let zone = proptest::sample::subsequence(vec!['a', 'b', 'c', 'd', 'e', 'f'], 1..=6);
    (zone, 1..=4_u8, 16..=22_u8, any::<u16>(), proptest::bool::ANY).prop_map(|(letters, nodes, prefix, place, own)| {
        let mut draft = Draft { replicas: 1, accept_zone_outage: true, ..Draft::default() };
        zones(&mut draft, &letters.into_iter().collect::<String>());
        draft.zones.iter_mut().for_each(|zone| zone.nodes = nodes);
        let address = Ipv4Addr::from_bits(0x0a00_0000 | u32::from(place) << 8);
        draft.vpc_cidr = Ipv4Net::new(address, prefix).expect("a prefix").trunc().to_string();
        draft.certificate = own.then(|| "arn:aws:acm:us-east-1:123456789012:certificate/x".to_owned());
        draft.rules =
            if own { vec![rule("lb", "443", "monitoring"), rule("nodes", "22", "10.0.0.0/8")] } else { Vec::new() };
        draft
    })
}

proptest! {
    #[test]
    fn subnets_are_inside_and_apart_and_nodes_in_theirs(draft in drafts()) {
        let network = Network::parse(draft).expect("valid by construction");
        let subnets: Vec<Ipv4Net> = network.zones().iter().flat_map(|zone| [zone.private, zone.public]).collect();
        for (index, subnet) in subnets.iter().enumerate() {
            prop_assert!(network.vpc().contains(subnet));
            prop_assert!(subnets[..index].iter().all(|other| !other.contains(subnet) && !subnet.contains(other)));
        }
        let addresses: BTreeSet<Ipv4Addr> = network.nodes().iter().map(|node| node.address).collect();
        prop_assert_eq!(addresses.len(), network.nodes().len());
        for node in network.nodes() {
            let zone = network.zones().iter().find(|zone| zone.name == node.zone).expect("its zone");
            prop_assert!(zone.private.contains(&node.address) && zone.private.broadcast() != node.address);
        }
    }

    #[test]
    fn what_was_derived_can_be_written_down(draft in drafts()) {
        let network = Network::parse(draft).expect("valid by construction");
        let settled = Network::parse(network.settled_draft()).expect("still valid");
        prop_assert_eq!(settled.zones(), network.zones());
        prop_assert_eq!(settled.nodes(), network.nodes());
    }

    #[test]
    fn no_draft_makes_it_panic(text in "\\PC{0,12}", nodes in any::<u8>(), number in any::<u32>(), prefix in 0..=40_u8) {
        let mut draft = Draft { project: text.clone(), environment: text.clone(), image: text.clone(), ..Draft::default() };
        draft.vpc_cidr = format!("{}/{prefix}", Ipv4Addr::from_bits(number));
        draft.zones[0] = ZoneDraft { nodes, private_cidr: Some(draft.vpc_cidr.clone()), ..ZoneDraft::new(text.clone()) };
        draft.region = if nodes % 2 == 0 { text.clone() } else { draft.region };
        draft.rules = vec![RuleDraft { description: text.clone(), ..rule(&text, &text, &text) }];
        draft.client_cidrs = vec![text.clone(), draft.vpc_cidr.clone()];
        draft.tls_policy = text;
        prop_assert!(Network::parse(draft).is_err());
    }
}
