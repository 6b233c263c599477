//! The keys of a cluster on this machine.
//!
//! What cannot be read is told here. Whether a topology can be made of what was read is `topology`'s to say.

use super::{Foreign, Section, Walk, aws, foreign_keys, ports};
use crate::topology::{Draft, ZoneDraft};

pub(super) const KEYS: [&str; 8] =
    ["cluster", "provider", "zones", "nodes_per_zone", "replicas", "partitions", "ports", "accept_zone_outage"];
const ZONE_KEYS: [&str; 2] = ["name", "nodes"];

pub(super) fn draft(walk: &mut Walk) -> Draft {
    let default = Draft::default();
    // A provider that is not known may have any keys of those that are.
    let unknown = walk.peek("provider").is_some_and(|provider| provider != "local");
    let foreign = foreign_keys(&KEYS, &aws::KEYS);
    let known = if unknown { [&KEYS[..], &foreign].concat() } else { KEYS.to_vec() };
    let keys = if unknown { &[][..] } else { &foreign };
    let Some(root) = walk.root(&known, &Foreign { keys, fix: "for a cluster on AWS add provider: aws" }) else {
        return default;
    };
    if let Some(provider) = walk.text(&root, "provider").filter(|provider| provider != "local") {
        walk.add("provider", format!("unknown provider {provider}"), "there are local and aws");
    }
    let nodes = walk.number(&root, "nodes_per_zone").unwrap_or(1);
    Draft {
        cluster: walk.text(&root, "cluster").unwrap_or(default.cluster),
        zones: zones(walk, &root, nodes).unwrap_or_else(|| with_nodes(default.zones, nodes)),
        replicas: walk.number(&root, "replicas").unwrap_or(default.replicas),
        partitions: walk.number(&root, "partitions").unwrap_or(default.partitions),
        ports: ports(walk, &root, default.ports),
        accept_zone_outage: walk.flag(&root, "accept_zone_outage").unwrap_or(default.accept_zone_outage),
    }
}

fn with_nodes(mut zones: Vec<ZoneDraft>, nodes: u8) -> Vec<ZoneDraft> {
    for zone in &mut zones {
        zone.nodes = nodes;
    }
    zones
}

fn zones(walk: &mut Walk, root: &Section, nodes: u8) -> Option<Vec<ZoneDraft>> {
    let items = walk.list(root, "zones", "write one zone per line: - name: a")?;
    let mut zones = Vec::new();
    for item in items {
        if let Some(name) = item.text() {
            zones.push(ZoneDraft { name: name.to_owned(), nodes });
            continue;
        }
        let mut zone = ZoneDraft { name: String::new(), nodes };
        if let Some(section) = walk.item(&item, &ZONE_KEYS) {
            zone.name = walk.text(&section, "name").unwrap_or_default();
            zone.nodes = walk.number(&section, "nodes").unwrap_or(nodes);
            if !section.has("name") {
                walk.add(&item.path, "the zone has no name", "add name:");
            }
        }
        // One that could not be read stays, so that the others keep their places; nothing more is said of it.
        zones.push(zone);
    }
    Some(zones)
}
