//! Plans against a world that is as strict as a cloud: tables of single cases, then laws over random ones.

mod cases;
mod laws;
mod mutate;
mod render;
mod saved;
mod world;

use crate::desired::{Inputs, resources};
use crate::network::{Draft, Network};
use crate::plan::{Action, Plan, Risk};
use crate::resource::Resource;
use world::World;

/// The wanted resources of a network.
fn wanted(draft: Draft) -> Vec<Resource> {
    let inputs = Inputs { account: "123456789012".to_owned(), artifact_sha256: "ab".repeat(32) };
    resources(&Network::parse(draft).expect("can be built"), &inputs)
}

/// The reference network in two zones: small enough to read.
fn small() -> Draft {
    let mut draft = Draft { accept_zone_outage: true, replicas: 1, ..Draft::default() };
    draft.zones.truncate(2);
    draft
}

/// One line for each step.
fn lines(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|step| {
            let (verb, id) = match &step.action {
                Action::Create { .. } => ("create", ""),
                Action::Update { id, .. } => ("update", id.as_str()),
                Action::Await { id, .. } => ("await", id.as_str()),
                Action::Delete { found } => ("delete", found.id.as_str()),
            };
            let risk = match step.risk {
                Risk::Safe => "",
                Risk::Disruptive => " !",
                Risk::Destructive => " !!",
            };
            let text = format!("{verb} {}{risk}: {}", step.key, step.because);
            let text = without_ids(&if id.is_empty() { text } else { text.replace(id, "ID") });
            // How many others there are depends on the reference network.
            match text.split_once(" in use by ") {
                Some((start, count)) if count.ends_with(" resources") => format!("{start} in use by others"),
                _ => text,
            }
        })
        .collect()
}

/// The test world's ids (five digits after a hyphen) are not part of what is expected.
fn without_ids(text: &str) -> String {
    let mut words = text.split('-');
    let mut clean = words.next().unwrap_or_default().to_owned();
    for word in words {
        let number = word.get(..5).is_some_and(|start| start.bytes().all(|byte| byte.is_ascii_digit()));
        clean.push('-');
        clean.push_str(if number { "N" } else { "" });
        clean.push_str(if number { &word[5..] } else { word });
    }
    clean
}

/// Carries the plan out, in two very different orders, and asserts that nothing is left to do.
fn settle(wanted: &[Resource], world: &mut World) -> Plan {
    let plan = Plan::between(wanted, &world.observed);
    let mut other = world.clone();
    other.apply_last_first(&plan);
    world.apply(&plan);
    for world in [other, world.clone()] {
        let second = Plan::between(wanted, &world.observed);
        assert_eq!(lines(&second), Vec::<String>::new(), "after {:#?}", lines(&plan));
    }
    plan
}
