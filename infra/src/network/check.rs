//! The rules a draft must meet, all of them checked; every broken one is reported with the way out.
//!
//! Copies, partitions and quorum follow the same rules as on one machine (`topology::layout`); the bounds of names,
//! zones and addresses are the cloud's.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::draft::{Draft, ZoneDraft};
use super::{
    FIRST_NODE_ADDRESS, MAX_CLIENT_CIDRS, MAX_NODES_PER_ZONE, MAX_ZONES, NODE_EXPORTER_PORT, Network, Node,
    PROMETHEUS_PORT, Zone, addresses, rules,
};
use crate::topology::layout::{self, impossible};
use crate::topology::{self, ClusterName, Impossible};

/// Longest `{project}-{environment}`: a target group's name has 32 characters at most, and ours ends in `-tg-nodes`.
const MAX_CLUSTER: usize = 32 - "-tg-nodes".len();
/// Longest region: a bucket's name has 63 characters at most, and ours ends in it, after `-artifacts-` and an account.
const MAX_REGION: usize = 63 - MAX_CLUSTER - "-artifacts-".len() - 12 - "-".len();
/// Starts of a project's name that would start a cloud name which the cloud keeps for itself.
const RESERVED_STARTS: [&str; 6] = ["aws", "ssm", "sg-", "internal-", "xn--", "sthree-"];
/// What Linux hands to outgoing connections: nothing of ours listens there, and network ACLs let replies in there.
pub(crate) const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;
/// Days for which the cloud keeps logs; it knows no others.
const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
/// Largest volume of type gp3 in GiB.
const MAX_VOLUME_GIB: u32 = 16384;

pub(super) fn parse(draft: Draft) -> Result<Network, Vec<Impossible>> {
    let mut found = Vec::new();
    names(&draft, &mut found);
    region(&draft, &mut found);
    let vpc = addresses::vpc(&draft, &mut found);
    zones(&draft, &mut found);
    // How many subnets there are is known only of a possible number of zones.
    let possible = vpc.filter(|_| (1..=MAX_ZONES).contains(&draft.zones.len()));
    let pairs = possible.and_then(|vpc| addresses::subnets(&draft, vpc, &mut found));
    if let Some(pairs) = &pairs {
        room(&draft, pairs, &mut found);
    }
    copies(&draft, &mut found);
    machines(&draft, &mut found);
    let clients = clients(&draft, &mut found);
    let reference = vpc.map_or_else(Vec::new, |vpc| rules::reference(&draft, vpc, &clients));
    let extra = rules::extra(&draft, &reference, &mut found);
    services(&draft, &mut found);
    let (Some(vpc), Some(pairs), true) = (vpc, pairs, found.is_empty()) else { return Err(found) };
    build(draft, vpc, &pairs, [reference, extra].concat(), clients)
}

fn build(
    draft: Draft,
    vpc: Ipv4Net,
    pairs: &[(Ipv4Net, Ipv4Net)],
    rules: Vec<rules::Rule>,
    clients: Vec<Ipv4Net>,
) -> Result<Network, Vec<Impossible>> {
    let name = |path: &str, error: &topology::NameError| vec![layout::bad_name(path, error)];
    let cluster: ClusterName =
        format!("{}-{}", draft.project, draft.environment).parse().map_err(|error| name("project", &error))?;
    let (mut zones, mut nodes) = (Vec::new(), Vec::new());
    for (asked, (private, public)) in draft.zones.iter().zip(pairs) {
        let zone: topology::ZoneName = asked.name.parse().map_err(|error| name("zones", &error))?;
        let letter = asked.name.strip_prefix(&draft.region).unwrap_or(&asked.name);
        for ordinal in 1..=asked.nodes {
            let node = format!("{letter}{ordinal}").parse().map_err(|error| name("zones", &error))?;
            nodes.push(Node { name: node, zone: zone.clone(), address: address(*private, ordinal) });
        }
        zones.push(Zone { name: zone, private: *private, public: *public });
    }
    Ok(Network { draft, cluster, vpc, zones, nodes, rules, clients })
}

fn address(subnet: Ipv4Net, ordinal: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(subnet.network().to_bits().saturating_add(FIRST_NODE_ADDRESS + u32::from(ordinal)))
}

fn names(draft: &Draft, found: &mut Vec<Impossible>) {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let Draft { project, environment, .. } = draft;
    let starts = project.starts_with(|first: char| first.is_ascii_lowercase());
    if !starts || project.ends_with('-') || !plain(&project.replace('-', "")) {
        let reason = format!("{project:?}: a project is made of a-z, 0-9 and inner '-', and starts with a letter");
        found.push(impossible("project", reason, "for example kvstore"));
    }
    let full = format!("{project}-");
    if let Some(start) = RESERVED_STARTS.into_iter().find(|start| full.starts_with(start)) {
        let reason = format!("the cloud keeps names that start with {start} for itself");
        found.push(impossible("project", reason, "choose another name, for example kvstore"));
    }
    // Without hyphens here, one cluster's name never means two pairs of project and environment.
    if environment.is_empty() || !plain(environment) {
        let reason = format!("{environment:?}: an environment is made of a-z and 0-9");
        found.push(impossible("environment", reason, "for example dev"));
    }
    let length = project.len() + 1 + environment.len();
    if length > MAX_CLUSTER {
        let reason = format!(
            "{project}-{environment} has {length} characters; the load balancer's names leave room for {MAX_CLUSTER}"
        );
        found.push(impossible("project", reason, format!("shorten it by {}", length - MAX_CLUSTER)));
    }
}

/// As ARNs name it.
pub(super) fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// `us-east-1`: words, then a number.
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let lower = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let digits = number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit());
    digits && words.split('-').count() >= 2 && words.split('-').all(lower) && text.len() <= MAX_REGION
}

fn region(draft: &Draft, found: &mut Vec<Impossible>) {
    if !is_region(&draft.region) {
        found.push(impossible("region", format!("{:?} is not a region", draft.region), "for example us-east-1"));
    }
    if let Some(account) = draft.account.as_deref().filter(|account| !is_account(account)) {
        found.push(impossible(
            "account",
            format!("{account:?} is not an account"),
            "its 12 digits, in quotation marks",
        ));
    }
    if draft.profile.as_deref().is_some_and(|profile| profile.trim().is_empty()) {
        found.push(impossible("profile", "the profile has no name", "leave it out to take what the environment says"));
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn zones(draft: &Draft, found: &mut Vec<Impossible>) {
    if draft.zones.is_empty() || draft.zones.len() > MAX_ZONES {
        let reason = format!("{} zones; a cluster has 1 to {MAX_ZONES}", draft.zones.len());
        found.push(impossible("zones", reason, "3 zones survive the loss of any one"));
    }
    for (index, zone) in draft.zones.iter().enumerate() {
        let path = format!("zones[{index}]");
        if is_region(&draft.region) && !is_zone_of(&draft.region, &zone.name) {
            let reason = format!("{:?} is not a zone of {}", zone.name, draft.region);
            found.push(impossible(format!("{path}.name"), reason, zone_like(&draft.region, &zone.name)));
        }
        if draft.zones[..index].iter().any(|earlier| earlier.name == zone.name) {
            let reason = format!("zone {} is named twice", zone.name);
            found.push(impossible(format!("{path}.name"), reason, "give each zone once, with all its nodes"));
        }
        if zone.nodes == 0 || zone.nodes > MAX_NODES_PER_ZONE {
            let reason = format!("{} nodes; a zone has 1 to {MAX_NODES_PER_ZONE}", zone.nodes);
            found.push(impossible(format!("{path}.nodes"), reason, "leave the zone out, or give it a node"));
        }
    }
}

/// The region's name and one letter. Local zones have longer names, and neither NAT gateways nor every machine.
fn is_zone_of(region: &str, zone: &str) -> bool {
    zone.strip_prefix(region)
        .is_some_and(|letter| letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase()))
}

fn zone_like(region: &str, zone: &str) -> String {
    let letter = zone.chars().last().filter(char::is_ascii_lowercase).unwrap_or('a');
    format!("for example {region}{letter}")
}

fn room(draft: &Draft, pairs: &[(Ipv4Net, Ipv4Net)], found: &mut Vec<Impossible>) {
    for (index, (ZoneDraft { nodes, .. }, (private, _))) in draft.zones.iter().zip(pairs).enumerate() {
        // The last address is the broadcast address, which no machine can have.
        let addresses = 1_u32 << (32 - private.prefix_len()).min(31);
        let places = addresses.saturating_sub(FIRST_NODE_ADDRESS + 2);
        if u32::from(*nodes) > places {
            let reason = format!(
                "{nodes} nodes; {private} has room for {places} (the first {} addresses are kept)",
                FIRST_NODE_ADDRESS + 1
            );
            found.push(impossible(format!("zones[{index}].nodes"), reason, "fewer nodes, or a larger private_cidr"));
        }
    }
}

/// The same cluster as one machine would run it, for the rules that are the same.
fn ring(draft: &Draft) -> topology::Draft {
    let zone = |zone: &ZoneDraft| topology::ZoneDraft { name: zone.name.clone(), nodes: zone.nodes };
    topology::Draft {
        cluster: draft.project.clone(),
        zones: draft.zones.iter().map(zone).collect(),
        replicas: draft.replicas,
        partitions: draft.partitions,
        ports: draft.ports,
        accept_zone_outage: draft.accept_zone_outage,
    }
}

pub(super) fn survives_zone_loss(draft: &Draft) -> bool {
    layout::survives_zone_loss(&ring(draft))
}

fn copies(draft: &Draft, found: &mut Vec<Impossible>) {
    let mut ring = ring(draft);
    let bad_zones = found.iter().any(|one| one.path.starts_with("zones"));
    if bad_zones {
        // How many nodes there are is not known then: that they are too few would be no news.
        let plenty = |name: &str| topology::ZoneDraft { name: name.to_owned(), nodes: MAX_NODES_PER_ZONE };
        ring.zones = ["a", "b", "c"].map(plenty).to_vec();
    }
    let before = found.len();
    layout::check_copies(&ring, found);
    let countable = found.len() == before && !bad_zones;
    layout::check_ports(ring.ports, found);
    let ports = [("ports.api", ring.ports.api), ("ports.peer", ring.ports.peer), ("ports.gossip", ring.ports.gossip)];
    for (path, port) in ports {
        if EPHEMERAL.contains(&port) {
            let reason = format!("port {port} is one of those that Linux gives to outgoing connections");
            found.push(impossible(path, reason, "choose one between 1024 and 32767"));
        }
    }
    for (path, port) in &ports[..2] {
        if [PROMETHEUS_PORT, NODE_EXPORTER_PORT].contains(port) {
            let reason = format!("port {port} is that of Prometheus or the node exporter");
            found.push(impossible(*path, reason, "choose another one"));
        }
    }
    if countable && !draft.accept_zone_outage && !layout::survives_zone_loss(&ring) {
        found.push(layout::zone_outage(&ring));
    }
}

fn machines(draft: &Draft, found: &mut Vec<Impossible>) {
    let (kind, image) = (&draft.instance_type, &draft.image);
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let family = kind.split_once('.').filter(|(family, size)| word(family) && word(size)).map(|(family, _)| family);
    match family {
        None => {
            let reason = format!("{kind:?} is not an instance type");
            found.push(impossible("instance_type", reason, "for example m6i.large"));
        }
        Some(family) if is_arm(family) && image.ends_with("x86_64") => {
            let reason = format!("{kind} has an Arm processor, the image {image} is for x86_64");
            found.push(impossible("image", reason, format!("take {}arm64", image.trim_end_matches("x86_64"))));
        }
        Some(family) if !is_arm(family) && image.ends_with("arm64") => {
            let reason = format!("{kind} has an x86_64 processor, the image {image} is for Arm");
            found.push(impossible("image", reason, format!("take {}x86_64", image.trim_end_matches("arm64"))));
        }
        Some(_) => {}
    }
    let hexadecimal = |id: &str| matches!(id.len(), 8 | 17) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parameter =
        image.starts_with('/') && image.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if !parameter && !image.strip_prefix("ami-").is_some_and(hexadecimal) {
        let reason = format!("{image:?} is neither an image nor a parameter that names one");
        found.push(impossible("image", reason, "ami-0123456789abcdef0, or /aws/service/…"));
    }
    if draft.volume_gib == 0 || draft.volume_gib > MAX_VOLUME_GIB {
        let reason = format!("{} GiB; a gp3 volume has 1 to {MAX_VOLUME_GIB}", draft.volume_gib);
        found.push(impossible("volume_gib", reason, "for example 100"));
    }
}

/// Whether machines of a family (`m7g`, `c6gn`, `a1`) have Arm processors: a `g` after the generation says so.
fn is_arm(family: &str) -> bool {
    let after_generation = family.trim_start_matches(|one: char| one.is_ascii_lowercase());
    let attributes = after_generation.trim_start_matches(|one: char| one.is_ascii_digit());
    family == "a1" || (attributes.len() < after_generation.len() && attributes.starts_with('g'))
}

fn clients(draft: &Draft, found: &mut Vec<Impossible>) -> Vec<Ipv4Net> {
    let count = draft.client_cidrs.len();
    if count == 0 || count > MAX_CLIENT_CIDRS {
        let reason = format!("{count} blocks of client addresses; there are 1 to {MAX_CLIENT_CIDRS}");
        found.push(impossible("client_cidrs", reason, "for example 0.0.0.0/0 for everybody; summarise many blocks"));
    }
    let mut clients: Vec<Ipv4Net> = Vec::new();
    for (index, text) in draft.client_cidrs.iter().enumerate() {
        let path = format!("client_cidrs[{index}]");
        let Some(net) = addresses::block(text, &path, found) else { continue };
        if let Some(other) = clients.iter().find(|other| other.contains(&net) || net.contains(*other)) {
            found.push(impossible(path, format!("{net} overlaps {other}"), "leave the smaller one out"));
        }
        clients.push(net);
    }
    clients
}

fn services(draft: &Draft, found: &mut Vec<Impossible>) {
    if !RETENTION_DAYS.contains(&draft.flow_log_days) {
        let nearest = RETENTION_DAYS.iter().find(|days| **days > draft.flow_log_days).unwrap_or(&RETENTION_DAYS[21]);
        let reason = format!("logs cannot be kept for {} days", draft.flow_log_days);
        found.push(impossible("flow_log_days", reason, format!("the next the cloud knows is {nearest}")));
    }
    let policy = &draft.tls_policy;
    let modern = ["TLS13-1-2", "TLS13-1-3", "TLS-1-2", "FS-1-2"].iter().any(|version| policy.contains(version));
    if !policy.starts_with("ELBSecurityPolicy-") || !modern {
        let reason = format!("{policy:?} is not a policy that wants TLS 1.2 at least");
        found.push(impossible("tls_policy", reason, format!("for example {}", super::DEFAULT_TLS_POLICY)));
    }
    if let Some(arn) = &draft.certificate {
        let start = format!("arn:{}:acm:{}:", partition(&draft.region), draft.region);
        let parts = arn.strip_prefix(&start).and_then(|rest| rest.split_once(":certificate/"));
        if !parts.is_some_and(|(account, id)| is_account(account) && !id.is_empty()) {
            let reason = format!("{arn:?} is not a certificate of {}", draft.region);
            found.push(impossible("certificate", reason, format!("it is {start}ACCOUNT:certificate/ID, or left out")));
        }
    }
    if let Some(domain) = draft.domain.as_deref().filter(|domain| !is_host(domain)) {
        found.push(impossible("domain", format!("{domain:?} is not a host name"), "for example kv.example.com"));
    }
}

/// A DNS name of two labels or more; the first may be `*`.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let rest = text.strip_prefix("*.").unwrap_or(text);
    // A certificate's common name has 64 characters at most.
    text.len() <= 64 && rest.contains('.') && rest.split('.').all(label)
}
