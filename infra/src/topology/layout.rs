//! The rules a draft must meet, and where its nodes go. All pure; every broken rule is reported, not just the first.
//!
//! Placement is the ring's business; here only its bound is used: copies are spread over zones as evenly as the
//! zones have nodes, so the fullest zone holds a known number of them.

use super::{
    Draft, Impossible, MAX_NODES_PER_ZONE, MAX_PARTITIONS, MAX_REPLICAS, MAX_ZONES, NameError, Node, NodeName, Ports,
    ZoneDraft, ZoneName, loopback,
};
use std::net::SocketAddrV4;

/// Ports below need privileges that a daemon should not have.
const LOWEST_PORT: u16 = 1024;

pub(super) fn check(draft: &Draft) -> Result<(), Vec<Impossible>> {
    let mut found = Vec::new();
    if let Err(error) = draft.cluster.parse::<super::ClusterName>() {
        found.push(bad_name("cluster", &error));
    }
    check_zones(&draft.zones, &mut found);
    check_copies(draft, &mut found);
    check_ports(draft.ports, &mut found);
    if found.is_empty() && !draft.accept_zone_outage && !survives_zone_loss(draft) {
        found.push(zone_outage(draft));
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

pub(crate) fn impossible(path: impl Into<String>, reason: impl Into<String>, fix: impl Into<String>) -> Impossible {
    Impossible { path: path.into(), reason: reason.into(), fix: fix.into() }
}

pub(crate) fn bad_name(path: &str, error: &NameError) -> Impossible {
    impossible(path, error.to_string(), "choose another name")
}

fn check_zones(zones: &[ZoneDraft], found: &mut Vec<Impossible>) {
    if zones.is_empty() || zones.len() > MAX_ZONES {
        let reason = format!("{} zones; a cluster has 1 to {MAX_ZONES}", zones.len());
        found.push(impossible("zones", reason, "3 zones survive the loss of any one"));
    }
    for (index, zone) in zones.iter().enumerate() {
        let path = format!("zones[{index}]");
        if let Err(error) = zone.name.parse::<ZoneName>() {
            found.push(bad_name(&format!("{path}.name"), &error));
        }
        if zones[..index].iter().any(|earlier| earlier.name == zone.name) {
            found.push(impossible(
                format!("{path}.name"),
                format!("zone {} is named twice", zone.name),
                "give each zone its own name",
            ));
        }
        if zone.nodes == 0 || zone.nodes > MAX_NODES_PER_ZONE {
            let reason = format!("{} nodes; a zone has 1 to {MAX_NODES_PER_ZONE}", zone.nodes);
            found.push(impossible(format!("{path}.nodes"), reason, "leave the zone out, or give it a node"));
        }
    }
}

pub(crate) fn check_copies(draft: &Draft, found: &mut Vec<Impossible>) {
    let nodes: usize = draft.zones.iter().map(|zone| usize::from(zone.nodes)).sum();
    if draft.replicas == 0 || draft.replicas > MAX_REPLICAS {
        let reason = format!("{} replicas; a key has 1 to {MAX_REPLICAS}", draft.replicas);
        found.push(impossible("replicas", reason, "3 is right for nearly everyone"));
    } else if usize::from(draft.replicas) > nodes {
        let reason = format!("{} replicas need as many nodes, there are {nodes}", draft.replicas);
        found.push(impossible("replicas", reason, "add nodes, or ask for fewer replicas"));
    }
    if !draft.partitions.is_power_of_two() || draft.partitions > MAX_PARTITIONS {
        let reason = format!("{} is not a power of two up to {MAX_PARTITIONS}", draft.partitions);
        found.push(impossible("partitions", reason, "256 is right up to some 50 nodes"));
    }
}

pub(crate) fn check_ports(ports: Ports, found: &mut Vec<Impossible>) {
    for (path, port) in [("ports.api", ports.api), ("ports.peer", ports.peer), ("ports.gossip", ports.gossip)] {
        if port < LOWEST_PORT {
            let reason = format!("port {port} is below {LOWEST_PORT} and needs privileges");
            found.push(impossible(path, reason, "choose one between 1024 and 65535"));
        }
    }
    // Gossip is UDP and may share its number with either of the others.
    if ports.api == ports.peer {
        let reason = format!("port {} is the api port too", ports.peer);
        found.push(impossible("ports.peer", reason, "both are TCP on one address: choose two ports"));
    }
}

/// Copies that the fullest zone holds when they are dealt out one zone at a time.
fn most_copies_in_a_zone(draft: &Draft) -> u8 {
    let mut held = vec![0_u8; draft.zones.len()];
    let mut left = draft.replicas;
    while left > 0 {
        let open = (0..held.len()).filter(|&zone| held[zone] < draft.zones[zone].nodes);
        let Some(zone) = open.min_by_key(|&zone| held[zone]) else { break };
        held[zone] += 1;
        left -= 1;
    }
    held.into_iter().max().unwrap_or(0)
}

pub(crate) fn survives_zone_loss(draft: &Draft) -> bool {
    draft.replicas.saturating_sub(most_copies_in_a_zone(draft)) > draft.replicas / 2
}

pub(crate) fn zone_outage(draft: &Draft) -> Impossible {
    let left = draft.replicas.saturating_sub(most_copies_in_a_zone(draft));
    let needed = draft.replicas / 2 + 1;
    let reason = format!("losing one zone would leave {left} of {} replicas, {needed} are needed", draft.replicas);
    impossible(
        "zones",
        reason,
        "3 zones with 3 replicas survive it; to go without: accept_zone_outage: true (--accept-zone-outage)",
    )
}

pub(super) fn node(zone: &ZoneName, index: usize, ordinal: u8, ports: Ports) -> Result<Node, Vec<Impossible>> {
    // `a` gives a1, but a zone that ends in a digit needs a hyphen, or a1's first node would be a's eleventh.
    let digit = zone.as_str().ends_with(|last: char| last.is_ascii_digit());
    let name = format!("{zone}{}{ordinal}", if digit { "-" } else { "" });
    let name: NodeName = name.parse().map_err(|error| vec![bad_name(&format!("zones[{index}].name"), &error)])?;
    let address = loopback(index, ordinal)
        .ok_or_else(|| vec![impossible("zones", "too many zones", format!("at most {MAX_ZONES}"))])?;
    Ok(Node {
        name,
        zone: zone.clone(),
        api: SocketAddrV4::new(address, ports.api),
        peer: SocketAddrV4::new(address, ports.peer),
        gossip: SocketAddrV4::new(address, ports.gossip),
    })
}
