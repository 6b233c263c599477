//! Security groups and network ACLs, both from the network's rules.
//!
//! Groups are stateful and say exactly who may reach whom. ACLs are stateless: each allowed packet needs its reply
//! allowed too, by the port that the other side chose. They are the coarse second wall around a subnet. The numbers
//! of their entries are fixed by purpose, so that adding one never renumbers another.

use super::list::{List, private_subnet, public_subnet, vpc};
use crate::network::{EPHEMERAL, Group, NODE_EXPORTER_PORT, Other, PROMETHEUS_PORT, Packets, Rule};
use crate::resource::{
    Direction, Key, Kind, NetworkAcl, NetworkAclAssociation, NetworkAclEntry, Peer, PortRange, SecurityGroup,
    SecurityGroupRule, Spec,
};

/// The cloud's own description of the group that a network comes with.
const DEFAULT_GROUP_DESCRIPTION: &str = "default VPC security group";
/// Everybody.
const ANYWHERE: &str = "0.0.0.0/0";
/// First entry for client addresses; there are few.
const CLIENTS: u16 = 100;
/// First entry for extra rules, ten apart.
const EXTRA: u16 = 500;
/// Ports that load balancers, NAT gateways and other systems than Linux choose for their side of a connection.
const HIGH: PortRange = PortRange { from: 1024, to: 65535 };
/// Ports that our own machines choose.
const CHOSEN: PortRange = PortRange { from: *EPHEMERAL.start() as i32, to: *EPHEMERAL.end() as i32 };

pub(super) fn add(list: &mut List<'_>) {
    groups(list);
    for (role, entries) in [("private", private(list)), ("public", public(list))] {
        acl(list, role, entries);
    }
}

fn groups(list: &mut List<'_>) {
    let network = list.network;
    let about = |group| match group {
        Group::Nodes => "the machines that hold the data",
        Group::LoadBalancer => "the load balancer",
        Group::Monitoring => "Prometheus and node exporters",
    };
    for group in Group::ALL {
        let description = format!("{}: {}", network.cluster(), about(group));
        let spec = SecurityGroup { vpc: vpc().into(), description, default: false };
        let name = network.name(&format!("sg-{}", group.role()));
        list.add(group.role(), name, Spec::SecurityGroup(spec), Vec::new());
    }
    // The one the network came with is wanted without any rule: nothing that forgets its group may talk.
    let spec = SecurityGroup { vpc: vpc().into(), description: DEFAULT_GROUP_DESCRIPTION.to_owned(), default: true };
    list.add("default", network.name("sg-default"), Spec::SecurityGroup(spec), Vec::new());
    for rule in network.rules() {
        list.add_content(group_rule(rule), Vec::new());
    }
}

fn group_rule(rule: &Rule) -> Spec {
    let group = |group: Group| Key::new(Kind::SecurityGroup, group.role());
    Spec::SecurityGroupRule(SecurityGroupRule {
        group: group(rule.group).into(),
        direction: rule.direction,
        protocol: match rule.packets {
            Packets::All => "-1",
            Packets::Tcp(_) => "tcp",
            Packets::Udp(_) => "udp",
        }
        .to_owned(),
        ports: rule.packets.ports(),
        peer: match rule.other {
            Other::Cidr(cidr) => Peer::Cidr(cidr.to_string()),
            Other::Group(other) => Peer::Group(group(other).into()),
        },
        description: rule.description.clone(),
    })
}

fn acl(list: &mut List<'_>, role: &str, entries: Vec<Entry>) {
    let network = list.network;
    let spec = Spec::NetworkAcl(NetworkAcl { vpc: vpc().into() });
    let acl = list.add(role, network.name(&format!("acl-{role}")), spec, Vec::new());
    for entry in entries {
        list.add_content(entry.spec(&acl), Vec::new());
    }
    // A subnet gets its list only when that is complete: traffic never meets half of it.
    let needs = list.inside(Kind::NetworkAclEntry, &acl);
    for zone in network.zones() {
        let subnet = if role == "public" { public_subnet(zone) } else { private_subnet(zone) };
        let association = NetworkAclAssociation { acl: acl.clone().into(), subnet: subnet.into() };
        list.add_content(Spec::NetworkAclAssociation(association), needs.clone());
    }
}

/// An entry that allows; what no entry allows does not pass.
struct Entry {
    number: u16,
    direction: Direction,
    /// IANA number.
    protocol: &'static str,
    ports: PortRange,
    cidr: String,
}

const TCP: &str = "6";
const UDP: &str = "17";

impl Entry {
    fn new(direction: Direction, number: u16, protocol: &'static str, ports: PortRange, cidr: &str) -> Self {
        Self { number, direction, protocol, ports, cidr: cidr.to_owned() }
    }

    fn spec(self, acl: &Key) -> Spec {
        Spec::NetworkAclEntry(NetworkAclEntry {
            acl: acl.clone().into(),
            direction: self.direction,
            number: self.number,
            allow: true,
            protocol: self.protocol.to_owned(),
            ports: Some(self.ports),
            cidr: self.cidr,
        })
    }
}

fn port(number: u16) -> PortRange {
    PortRange { from: number.into(), to: number.into() }
}

/// Around the nodes. Replies come back to ports that Linux chose; the daemon's own ports are never among those, so
/// that nothing outside the network can open a connection to them, whatever the security groups say.
fn private(list: &List<'_>) -> Vec<Entry> {
    use Direction::{In, Out};
    let ports = list.network.ports();
    let vpc = list.network.vpc().to_string();
    let mut entries = vec![
        Entry::new(In, 200, TCP, port(ports.api), &vpc),
        Entry::new(In, 210, TCP, port(ports.peer), &vpc),
        Entry::new(In, 220, UDP, port(ports.gossip), &vpc),
        Entry::new(In, 230, TCP, port(PROMETHEUS_PORT), &vpc),
        Entry::new(In, 240, TCP, port(NODE_EXPORTER_PORT), &vpc),
        Entry::new(In, 400, TCP, CHOSEN, ANYWHERE),
        // Replies of time and name servers.
        Entry::new(In, 410, UDP, CHOSEN, ANYWHERE),
        Entry::new(Out, 220, UDP, port(ports.gossip), &vpc),
        // To other nodes and exporters, and replies to whoever in the network asked.
        Entry::new(Out, 400, TCP, HIGH, &vpc),
    ];
    entries.extend(outside(Out, ANYWHERE));
    entries.extend(extra(list, &[Group::Nodes, Group::Monitoring]));
    entries
}

/// Around the load balancer and the NAT gateways. A NAT gateway may use any high port for what it hands on, the api
/// port too: replies to those must pass, so that here only the security groups tell clients apart.
fn public(list: &List<'_>) -> Vec<Entry> {
    use Direction::{In, Out};
    let api = port(list.network.ports().api);
    let vpc = list.network.vpc().to_string();
    let clients = (CLIENTS..).zip(list.network.clients());
    let mut entries: Vec<Entry> =
        clients.map(|(number, client)| Entry::new(In, number, TCP, api, &client.to_string())).collect();
    entries.extend([
        Entry::new(In, 400, TCP, HIGH, ANYWHERE),
        Entry::new(In, 410, UDP, HIGH, ANYWHERE),
        Entry::new(Out, 400, TCP, HIGH, ANYWHERE),
        Entry::new(Out, 410, UDP, HIGH, &vpc),
    ]);
    // What nodes want of the internet passes here twice: in from them, out from the NAT gateway.
    entries.extend(outside(In, &vpc));
    entries.extend(outside(Out, ANYWHERE));
    entries.extend(extra(list, &[Group::LoadBalancer]));
    entries
}

/// What nodes ask of the world: the cloud's own services and packages, the time, names.
fn outside(direction: Direction, cidr: &str) -> [Entry; 4] {
    [(300, TCP, 443), (310, UDP, 123), (320, UDP, 53), (330, TCP, 53)]
        .map(|(number, protocol, to)| Entry::new(direction, number, protocol, port(to), cidr))
}

/// Extra rules of these groups: the packets one way, the replies the other.
fn extra(list: &List<'_>, groups: &[Group]) -> Vec<Entry> {
    let vpc = list.network.vpc();
    let numbered = (EXTRA..).step_by(10).zip(list.network.extra_rules());
    let mut entries = Vec::new();
    for (number, rule) in numbered.filter(|(_, rule)| groups.contains(&rule.group)) {
        // Members of a group may be anywhere in the network.
        let cidr = match rule.other {
            Other::Cidr(cidr) => cidr,
            Other::Group(_) => vpc,
        }
        .to_string();
        let (protocol, ports) = match rule.packets {
            Packets::Tcp(ports) => (TCP, ports),
            Packets::Udp(ports) => (UDP, ports),
            Packets::All => continue,
        };
        let (back, chosen) = match rule.direction {
            Direction::In => (Direction::Out, HIGH),
            Direction::Out => (Direction::In, CHOSEN),
        };
        entries.push(Entry::new(rule.direction, number, protocol, ports, &cidr));
        entries.push(Entry::new(back, number, protocol, chosen, &cidr));
    }
    entries
}
