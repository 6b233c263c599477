//! The keys of a cluster on AWS.
//!
//! What cannot be read is told here. Whether a network can be made of what was read is `network`'s to say.

use super::{Foreign, Section, Walk, foreign_keys, local, ports};
use crate::network::{Draft, RuleDraft, ZoneDraft};

pub(super) const KEYS: [&str; 22] = [
    "provider",
    "project",
    "environment",
    "region",
    "profile",
    "account",
    "vpc_cidr",
    "zones",
    "nodes_per_zone",
    "replicas",
    "partitions",
    "ports",
    "accept_zone_outage",
    "instance_type",
    "image",
    "volume_gib",
    "client_cidrs",
    "rules",
    "flow_log_days",
    "tls_policy",
    "certificate",
    "domain",
];
const ZONE_KEYS: [&str; 4] = ["name", "nodes", "private_cidr", "public_cidr"];
const RULE_KEYS: [&str; 6] = ["group", "direction", "protocol", "ports", "peer", "description"];
/// Keys of a rule that have no default.
const RULE_NEEDS: [&str; 4] = ["group", "ports", "peer", "description"];

pub(super) fn draft(walk: &mut Walk) -> Draft {
    let foreign = foreign_keys(&KEYS, &local::KEYS);
    let fix = "a cluster on AWS is named by project and environment";
    let Some(root) = walk.root(&KEYS, &Foreign { keys: &foreign, fix }) else { return Draft::default() };
    let default = walk.text(&root, "region").map_or_else(Draft::default, |region| Draft::for_region(&region));
    let nodes = walk.number(&root, "nodes_per_zone").unwrap_or(1);
    Draft {
        project: walk.text(&root, "project").unwrap_or(default.project),
        environment: walk.text(&root, "environment").unwrap_or(default.environment),
        region: default.region,
        profile: walk.optional(&root, "profile"),
        account: walk.optional(&root, "account"),
        vpc_cidr: walk.text(&root, "vpc_cidr").unwrap_or(default.vpc_cidr),
        zones: zones(walk, &root, nodes).unwrap_or_else(|| with_nodes(default.zones, nodes)),
        replicas: walk.number(&root, "replicas").unwrap_or(default.replicas),
        partitions: walk.number(&root, "partitions").unwrap_or(default.partitions),
        ports: ports(walk, &root, default.ports),
        accept_zone_outage: walk.flag(&root, "accept_zone_outage").unwrap_or(default.accept_zone_outage),
        instance_type: walk.text(&root, "instance_type").unwrap_or(default.instance_type),
        image: walk.text(&root, "image").unwrap_or(default.image),
        volume_gib: walk.number(&root, "volume_gib").unwrap_or(default.volume_gib),
        client_cidrs: walk
            .texts(&root, "client_cidrs", "write one block per line: - 203.0.113.0/24")
            .unwrap_or(default.client_cidrs),
        rules: rules(walk, &root),
        flow_log_days: walk.number(&root, "flow_log_days").unwrap_or(default.flow_log_days),
        tls_policy: walk.text(&root, "tls_policy").unwrap_or(default.tls_policy),
        certificate: walk.optional(&root, "certificate"),
        domain: walk.optional(&root, "domain"),
    }
}

fn with_nodes(mut zones: Vec<ZoneDraft>, nodes: u8) -> Vec<ZoneDraft> {
    for zone in &mut zones {
        zone.nodes = nodes;
    }
    zones
}

fn zones(walk: &mut Walk, root: &Section, nodes: u8) -> Option<Vec<ZoneDraft>> {
    let items = walk.list(root, "zones", "write one zone per line: - name: us-east-1a")?;
    let mut zones = Vec::new();
    for item in items {
        let mut zone = ZoneDraft { nodes, ..ZoneDraft::new(item.text().unwrap_or_default()) };
        if item.text().is_none()
            && let Some(section) = walk.item(&item, &ZONE_KEYS)
        {
            zone.name = walk.text(&section, "name").unwrap_or_default();
            zone.nodes = walk.number(&section, "nodes").unwrap_or(nodes);
            zone.private_cidr = walk.optional(&section, "private_cidr");
            zone.public_cidr = walk.optional(&section, "public_cidr");
            if !section.has("name") {
                walk.add(&item.path, "the zone has no name", "add name:");
            }
        }
        // One that could not be read stays, so that the others keep their places; nothing more is said of it.
        zones.push(zone);
    }
    Some(zones)
}

fn rules(walk: &mut Walk, root: &Section) -> Vec<RuleDraft> {
    let fix = "write one rule per item: - group: nodes";
    let items = walk.list(root, "rules", fix).unwrap_or_default();
    let mut rules = Vec::new();
    for item in items {
        let Some(section) = walk.item(&item, &RULE_KEYS) else {
            rules.push(unread());
            continue;
        };
        let missing: Vec<&str> = RULE_NEEDS.into_iter().filter(|key| !section.has(key)).collect();
        if !missing.is_empty() {
            walk.add(section.path(), format!("the rule has no {}", missing.join(", no ")), "all four are needed");
        }
        rules.push(RuleDraft {
            group: walk.text(&section, "group").unwrap_or_default(),
            direction: walk.text(&section, "direction").unwrap_or_else(|| "in".to_owned()),
            protocol: walk.text(&section, "protocol").unwrap_or_else(|| "tcp".to_owned()),
            ports: walk.text(&section, "ports").unwrap_or_default(),
            peer: walk.text(&section, "peer").unwrap_or_default(),
            description: walk.text(&section, "description").unwrap_or_default(),
        });
    }
    rules
}

/// Stands for a rule that could not be read, so that the others keep their places.
fn unread() -> RuleDraft {
    let empty = String::new;
    RuleDraft {
        group: empty(),
        direction: empty(),
        protocol: empty(),
        ports: empty(),
        peer: empty(),
        description: empty(),
    }
}
