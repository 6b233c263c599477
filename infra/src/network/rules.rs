//! The intent: who may reach whom on what. The reference network's rules, and the extra ones that were asked for.
//!
//! Security groups and network ACLs are both derived from these. Rules with a description that the cloud would
//! refuse, or that would open the nodes' own ports to the world, do not become one.

use ipnet::Ipv4Net;

use super::draft::{Draft, RuleDraft};
use crate::resource::{Direction, PortRange};
use crate::topology::Impossible;
use crate::topology::layout::impossible;

/// Most extra rules: a network ACL has 20 entries in each direction unless the account's quota was raised, and 12
/// are taken.
pub const MAX_EXTRA_RULES: usize = 8;
/// Shortest prefix of a peer that may reach the ports between nodes: a wider one is the world cut in pieces.
const WIDEST_PEER_OF_NODES: u8 = 8;
/// Longest description that the cloud takes.
const MAX_DESCRIPTION: usize = 255;
/// Where Prometheus listens.
pub const PROMETHEUS_PORT: u16 = 9090;
/// Where the node exporter listens.
pub const NODE_EXPORTER_PORT: u16 = 9100;

/// A security group of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The machines that hold the data.
    Nodes,
    /// The load balancer.
    LoadBalancer,
    /// Prometheus and the node exporters.
    Monitoring,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nodes, Self::LoadBalancer, Self::Monitoring];

    /// Its role: `nodes`, `lb` or `monitoring`.
    #[must_use]
    pub const fn role(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::LoadBalancer => "lb",
            Self::Monitoring => "monitoring",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.role() == name)
    }
}

/// Which packets a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packets {
    /// All of them.
    All,
    /// TCP to these ports.
    Tcp(PortRange),
    /// UDP to these ports.
    Udp(PortRange),
}

impl Packets {
    pub(super) const fn tcp(port: u16) -> Self {
        Self::Tcp(PortRange { from: port as i32, to: port as i32 })
    }

    pub(super) const fn udp(port: u16) -> Self {
        Self::Udp(PortRange { from: port as i32, to: port as i32 })
    }

    /// The ports; none for all packets.
    #[must_use]
    pub const fn ports(self) -> Option<PortRange> {
        match self {
            Self::All => None,
            Self::Tcp(ports) | Self::Udp(ports) => Some(ports),
        }
    }

    fn overlaps(self, other: Self) -> bool {
        let meet = |one: PortRange, other: PortRange| one.from <= other.to && other.from <= one.to;
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) | (Self::Udp(one), Self::Udp(other)) => meet(one, other),
            _ => false,
        }
    }
}

/// The other side of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// Addresses.
    Cidr(Ipv4Net),
    /// The members of a group.
    Group(Group),
}

/// One thing that is allowed; everything else is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whose.
    pub group: Group,
    /// Which way the first packet goes.
    pub direction: Direction,
    /// Which packets.
    pub packets: Packets,
    /// From or to whom.
    pub other: Other,
    /// Why.
    pub description: String,
}

impl Rule {
    fn of(group: Group, packets: Packets, other: Other, description: &str) -> Self {
        Self { group, direction: Direction::In, packets, other, description: description.to_owned() }
    }

    fn same_as(&self, other: &Self) -> bool {
        (self.group, self.direction, self.packets, self.other)
            == (other.group, other.direction, other.packets, other.other)
    }
}

/// The rules of the reference network.
pub(super) fn reference(draft: &Draft, vpc: Ipv4Net, clients: &[Ipv4Net]) -> Vec<Rule> {
    let ports = draft.ports;
    let network = Other::Cidr(vpc);
    let nodes = Other::Group(Group::Nodes);
    let mut rules = vec![
        Rule::of(Group::Nodes, Packets::tcp(ports.api), network, "REST from the network"),
        Rule::of(Group::Nodes, Packets::tcp(ports.peer), nodes, "replication between nodes"),
        Rule::of(Group::Nodes, Packets::udp(ports.gossip), nodes, "membership between nodes"),
        Rule::of(Group::Monitoring, Packets::tcp(PROMETHEUS_PORT), network, "Prometheus from the network"),
        Rule::of(Group::Monitoring, Packets::tcp(NODE_EXPORTER_PORT), network, "node exporter from the network"),
    ];
    let public = clients.iter().map(|client| {
        Rule::of(Group::LoadBalancer, Packets::tcp(ports.api), Other::Cidr(*client), "REST from clients")
    });
    rules.extend(public);
    rules.extend(Group::ALL.map(|group| Rule {
        group,
        direction: Direction::Out,
        packets: Packets::All,
        other: Other::Cidr(Ipv4Net::default()),
        description: "everything out".to_owned(),
    }));
    rules
}

/// The extra rules of a draft; what cannot be one is told.
pub(super) fn extra(draft: &Draft, reference: &[Rule], found: &mut Vec<Impossible>) -> Vec<Rule> {
    if draft.rules.len() > MAX_EXTRA_RULES {
        let reason = format!("{} extra rules; network ACLs have room for {MAX_EXTRA_RULES}", draft.rules.len());
        found.push(impossible("rules", reason, "summarise them: wider ranges of ports or addresses"));
    }
    let mut rules: Vec<Rule> = Vec::new();
    for (index, asked) in draft.rules.iter().enumerate() {
        let path = format!("rules[{index}]");
        let Some(rule) = rule(asked, &path, found) else { continue };
        if rules.iter().chain(reference).any(|other| other.same_as(&rule)) {
            found.push(impossible(path.clone(), "the same is allowed by another rule already", "leave it out"));
        }
        refuse_world(draft, &rule, &path, found);
        rules.push(rule);
    }
    rules
}

fn refuse_world(draft: &Draft, rule: &Rule, path: &str, found: &mut Vec<Impossible>) {
    let Other::Cidr(cidr) = rule.other else { return };
    let inner = [Packets::tcp(draft.ports.peer), Packets::udp(draft.ports.gossip)];
    let opens = inner.into_iter().any(|port| rule.packets.overlaps(port));
    let wide = cidr.prefix_len() < WIDEST_PEER_OF_NODES;
    if opens && wide && rule.group == Group::Nodes && rule.direction == Direction::In {
        let reason = format!(
            "it would open the ports between nodes ({}, {}) to {cidr}",
            inner_ports(draft).0,
            inner_ports(draft).1
        );
        found.push(impossible(
            format!("{path}.peer"),
            reason,
            "clients use the api port; name the few addresses that must",
        ));
    }
}

const fn inner_ports(draft: &Draft) -> (u16, u16) {
    (draft.ports.peer, draft.ports.gossip)
}

fn rule(asked: &RuleDraft, path: &str, found: &mut Vec<Impossible>) -> Option<Rule> {
    let before = found.len();
    let mut refuse =
        |field: &str, reason: String, fix: &str| found.push(impossible(format!("{path}.{field}"), reason, fix));
    let group = Group::named(&asked.group);
    if group.is_none() {
        refuse("group", format!("there is no group {:?}", asked.group), "nodes, lb or monitoring");
    }
    let direction = match asked.direction.as_str() {
        "in" => Direction::In,
        "out" => Direction::Out,
        other => {
            refuse("direction", format!("{other:?} is no direction"), "in or out");
            Direction::In
        }
    };
    let ports = ports(&asked.ports);
    if ports.is_none() {
        refuse(
            "ports",
            format!("{:?} is not a port or a range of ports", asked.ports),
            "for example 9200 or 9200-9300",
        );
    }
    let packets = match (asked.protocol.as_str(), ports) {
        ("tcp", ports) => ports.map(Packets::Tcp),
        ("udp", ports) => ports.map(Packets::Udp),
        (other, _) => {
            refuse("protocol", format!("{other:?} is not a protocol with ports"), "tcp or udp");
            None
        }
    };
    let other = Group::named(&asked.peer).map(Other::Group).or_else(|| {
        let cidr: Ipv4Net = asked.peer.parse().ok()?;
        (cidr.trunc() == cidr).then_some(Other::Cidr(cidr))
    });
    if other.is_none() {
        let reason = format!("{:?} is neither a group nor a block of addresses", asked.peer);
        refuse("peer", reason, "nodes, lb, monitoring, or for example 10.1.0.0/16 without host bits");
    }
    if let Some(reason) = bad_description(&asked.description) {
        refuse("description", reason, "1 to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*");
    }
    let rule =
        Rule { group: group?, direction, packets: packets?, other: other?, description: asked.description.clone() };
    (found.len() == before).then_some(rule)
}

/// One port or `from-to`, 1 to 65535.
fn ports(text: &str) -> Option<PortRange> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to): (u16, u16) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (from > 0 && from <= to).then_some(PortRange { from: from.into(), to: to.into() })
}

fn bad_description(text: &str) -> Option<String> {
    let bad = text.chars().find(|&one| !(one.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(one)));
    if let Some(bad) = bad {
        return Some(format!("the cloud refuses {bad:?} in a description"));
    }
    let length = text.len();
    (length == 0 || length > MAX_DESCRIPTION)
        .then(|| format!("a description has 1 to {MAX_DESCRIPTION} characters, this has {length}"))
}
