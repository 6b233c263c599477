//! A cluster on AWS as the text of its cluster.yaml.
//!
//! Optional keys that are not set are shown as comments with an example. Nothing is checked: a draft is written as is.

use crate::network::{Draft, RuleDraft, ZoneDraft};

/// Where comments begin.
const COMMENTS: usize = 34;

/// The text for a draft.
pub(super) fn render(draft: &Draft) -> String {
    let mut text = Text("# A kvstore cluster on AWS. Check it: kvctl cluster plan -f cluster.yaml\n".to_owned());
    place(&mut text, draft);
    text.line("zones:", "copies of a key stand in different ones");
    draft.zones.iter().for_each(|one| zone(&mut text, one));
    ring(&mut text, draft);
    machines(&mut text, draft);
    access(&mut text, draft);
    text.0
}

struct Text(String);

impl Text {
    fn line(&mut self, content: &str, comment: &str) {
        self.0.push_str(&match comment {
            "" => format!("{content}\n"),
            comment => format!("{content:<COMMENTS$}  # {comment}\n"),
        });
    }

    /// One that may be left out: then it is shown as a comment with an example.
    fn optional(&mut self, key: &str, value: Option<&str>, example: &str, comment: &str) {
        match value {
            Some(value) => self.line(&format!("{key}: {}", quoted(value)), comment),
            None => self.line(&format!("# {key}: {}", quoted(example)), comment),
        }
    }
}

/// In quotation marks. JSON's are YAML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn place(text: &mut Text, draft: &Draft) {
    text.line("provider: aws", "");
    text.line(&format!("project: {}", quoted(&draft.project)), "every name starts with project-environment");
    text.line(&format!("environment: {}", quoted(&draft.environment)), "");
    text.line(&format!("region: {}", quoted(&draft.region)), "");
    text.optional("profile", draft.profile.as_deref(), "work", "of the credentials; else as the environment says");
    text.optional("account", draft.account.as_deref(), "123456789012", "no other account is ever touched");
    text.line(&format!("vpc_cidr: {}", quoted(&draft.vpc_cidr)), "addresses of the network");
}

fn zone(text: &mut Text, zone: &ZoneDraft) {
    text.line(&format!("  - name: {}", quoted(&zone.name)), "");
    text.line(&format!("    nodes: {}", zone.nodes), "");
    if let Some(cidr) = &zone.private_cidr {
        text.line(&format!("    private_cidr: {}", quoted(cidr)), "nodes");
    }
    if let Some(cidr) = &zone.public_cidr {
        text.line(&format!("    public_cidr: {}", quoted(cidr)), "NAT gateway, load balancer");
    }
}

fn ring(text: &mut Text, draft: &Draft) {
    text.line(&format!("replicas: {}", draft.replicas), "copies of each key; a quorum is more than half of them");
    text.line(&format!("partitions: {}", draft.partitions), "a power of two; cannot be changed later");
    text.line("ports:", "");
    text.line(&format!("  api: {}", draft.ports.api), "REST over TLS (TCP), the load balancer's too");
    text.line(&format!("  peer: {}", draft.ports.peer), "node to node, mutual TLS (TCP)");
    text.line(&format!("  gossip: {}", draft.ports.gossip), "membership (UDP)");
    let accept = format!("accept_zone_outage: {}", draft.accept_zone_outage);
    text.line(&accept, "true allows a layout that losing one zone stops");
}

fn machines(text: &mut Text, draft: &Draft) {
    text.line(&format!("instance_type: {}", quoted(&draft.instance_type)), "");
    text.line("# an ami-…, or a public parameter that names one; matters when a machine is made", "");
    text.line(&format!("image: {}", quoted(&draft.image)), "");
    text.line(&format!("volume_gib: {}", draft.volume_gib), "data of one node; can grow, never shrink");
}

fn access(text: &mut Text, draft: &Draft) {
    text.line("client_cidrs:", "who may reach the load balancer");
    for cidr in &draft.client_cidrs {
        text.line(&format!("  - {}", quoted(cidr)), "");
    }
    if draft.rules.is_empty() {
        text.line("rules: []", "more for the security groups nodes, lb and monitoring, for example:");
        text.line("#   - group: nodes", "");
        text.line("#     ports: 9200-9300", "of protocol: tcp, direction: in");
        text.line("#     peer: monitoring", "a group, or addresses");
        text.line("#     description: a second exporter", "");
    } else {
        text.line("rules:", "beside those of the reference network");
    }
    draft.rules.iter().for_each(|one| rule(text, one));
    text.line(&format!("flow_log_days: {}", draft.flow_log_days), "for which who spoke to whom is kept");
    text.line(&format!("tls_policy: {}", quoted(&draft.tls_policy)), "");
    let arn = "arn:aws:acm:us-east-1:123456789012:certificate/ID";
    text.optional("certificate", draft.certificate.as_deref(), arn, "else the cluster makes one");
    text.optional("domain", draft.domain.as_deref(), "kv.example.com", "for which that one is made");
}

fn rule(text: &mut Text, rule: &RuleDraft) {
    let RuleDraft { group, direction, protocol, ports, peer, description } = rule;
    text.line(&format!("  - group: {}", quoted(group)), "");
    let fields = [
        ("direction", direction),
        ("protocol", protocol),
        ("ports", ports),
        ("peer", peer),
        ("description", description),
    ];
    for (key, value) in fields {
        text.line(&format!("    {key}: {}", quoted(value)), "");
    }
}
