//! A plan as the text people read: the verdict, then one line for each step, then what forbids it and what to know.
//!
//! Rendering only; nothing is decided here. Colours, times and prices are the caller's.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Action, Plan, Risk, Step};
use crate::resource::{Key, RouteTarget, Spec};

/// Longest value of a field in a line; policies are longer than anyone reads there.
const MAX_VALUE: usize = 60;
/// Widest column of names. Longer ones push their own line only: an object's path, a rule with an IPv6 block.
const MAX_NAME_COLUMN: usize = 48;

impl Plan {
    /// The verdict in one line, for example `CHANGES  kvstore-dev: 55 to create, 0 to change, 0 to delete`.
    #[must_use]
    pub fn verdict(&self) -> String {
        let cluster = &self.cluster;
        if !self.blockers.is_empty() {
            let reasons = if self.blockers.len() == 1 { "reason" } else { "reasons" };
            return format!("BLOCKED  {cluster}: nothing may be done, for {} {reasons}", self.blockers.len());
        }
        let summary = self.summary();
        if self.steps.is_empty() {
            return format!("NO CHANGES  {cluster}: {} resources are as wanted", self.ids.len());
        }
        let mut text = format!(
            "CHANGES  {cluster}: {} to create, {} to change, {} to delete",
            summary.create, summary.update, summary.delete
        );
        for (count, what) in [(summary.replace, "make anew"), (summary.wait, "wait for")] {
            if count > 0 {
                let _infallible = write!(text, ", {count} to {what}");
            }
        }
        text
    }

    /// Everything below the verdict; empty if there is nothing to tell. Each line ends with a newline.
    #[must_use]
    pub fn listing(&self) -> String {
        let mut text = String::new();
        let replaced = self.replaced();
        let rows: Vec<Row> = self.steps.iter().map(|step| row(step, &replaced)).collect();
        let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
        let (verb, noun, name) =
            (width(|row| row.verb), width(|row| row.noun), width(|row| &row.name).min(MAX_NAME_COLUMN));
        for row in &rows {
            let line = format!("  {:<verb$}  {:<noun$}  {:<name$}  {}", row.verb, row.noun, row.name, row.detail);
            text.push_str(line.trim_end());
            text.push('\n');
            for change in &row.changes {
                let _infallible = writeln!(text, "  {:<verb$}    {change}", "");
            }
        }
        for blocker in &self.blockers {
            let _infallible = writeln!(text, "blocked  {blocker}");
        }
        for note in &self.notes {
            let name = if note.name.is_empty() { &note.key.role } else { &note.name };
            let _infallible = writeln!(text, "note     {} {name}: {}", note.key.kind.noun(), note.text);
        }
        text
    }
}

struct Row {
    verb: &'static str,
    noun: &'static str,
    name: String,
    detail: String,
    changes: Vec<String>,
}

fn row(step: &Step, replaced: &BTreeSet<&Key>) -> Row {
    let anew = replaced.contains(&step.key);
    let (verb, detail, changes) = match &step.action {
        Action::Create { resource } if anew => ("create", format!("{}; made anew", detail(&resource.spec)), Vec::new()),
        Action::Create { resource } => ("create", detail(&resource.spec), Vec::new()),
        Action::Update { id, changes, .. } => {
            let line = |change: &super::Difference| {
                format!("{}: {} -> {}", change.field, short(&change.from), short(&change.to))
            };
            let id = if *id == step.name { String::new() } else { id.clone() };
            ("change", id, changes.iter().map(line).collect())
        }
        Action::Await { .. } => ("await", step.because.clone(), Vec::new()),
        Action::Delete { found } if found.id == step.name => ("delete", step.because.clone(), Vec::new()),
        Action::Delete { found } => ("delete", format!("{}; {}", found.id, step.because), Vec::new()),
    };
    let risk = match step.risk {
        Risk::Safe => "",
        Risk::Disruptive => "  (DISRUPTIVE)",
        Risk::Destructive => "  (DESTRUCTIVE)",
    };
    let detail = format!("{}{risk}", detail.trim_start_matches("; "));
    Row { verb, noun: step.kind().noun(), name: step.name.clone(), detail, changes }
}

fn short(text: &str) -> String {
    if text.chars().count() <= MAX_VALUE {
        return text.to_owned();
    }
    text.chars().take(MAX_VALUE - 1).chain(['…']).collect()
}

/// What tells one of a kind from the others.
fn detail(spec: &Spec) -> String {
    match spec {
        Spec::Vpc(vpc) => vpc.cidr.to_string(),
        Spec::Subnet(subnet) => format!("{} in {}", subnet.cidr, subnet.zone),
        Spec::NatGateway(gateway) => format!("in {}, with {}", gateway.subnet, gateway.address),
        Spec::Route(route) => match &route.target {
            RouteTarget::InternetGateway(target) | RouteTarget::NatGateway(target) => {
                format!("{} to {target}", route.destination)
            }
            RouteTarget::Other(target) => format!("{} to {target}", route.destination),
        },
        Spec::RouteTableAssociation(association) => format!("{} uses {}", association.subnet, association.table),
        Spec::NetworkAclAssociation(association) => format!("{} uses {}", association.subnet, association.acl),
        Spec::Instance(instance) => format!("{}, {}", instance.instance_type, instance.address),
        Spec::Volume(volume) => format!("{} GiB {} in {}", volume.gib, volume.volume_type, volume.zone),
        Spec::VolumeAttachment(attachment) => format!("{} in {}", attachment.volume, attachment.instance),
        Spec::TargetRegistration(registration) => format!("{} port {}", registration.instance, registration.port),
        Spec::Listener(listener) => format!("{} {}", listener.protocol, listener.port),
        Spec::ListenerRule(rule) => rule.paths.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        Spec::TargetGroup(group) => format!("{} {}, checked by {}", group.protocol, group.port, group.health_path),
        Spec::SecurityGroupRule(rule) => rule.description.clone(),
        Spec::Certificate(certificate) => certificate.domain.clone(),
        Spec::GatewayEndpoint(endpoint) => endpoint.service.clone(),
        Spec::NetworkAclEntry(entry) => acl_entry(entry),
        _ => String::new(),
    }
}

fn acl_entry(entry: &crate::resource::NetworkAclEntry) -> String {
    let protocol = match entry.protocol.as_str() {
        "-1" => "all",
        "1" => "icmp",
        "6" => "tcp",
        "17" => "udp",
        other => other,
    };
    let ports = entry.ports.map(|range| format!(" {}-{}", range.from, range.to)).unwrap_or_default();
    format!("{} {protocol}{ports} {}", if entry.allow { "allow" } else { "deny" }, entry.cidr)
}
