//! The text of cluster.yaml to a specification: which provider it is for, then that provider's keys.
//!
//! Keys that are absent take the default draft's value. What the values may be is the drafts' business; here only
//! what cannot be read is told, and both kinds of problems are given together.

mod aws;
mod local;

use super::tree::{Foreign, Section, Walk};
use super::{MAX_BYTES, Problem, SpecError, Specification};
use crate::network::Network;
use crate::topology::{Ports, Topology};

const PORT_KEYS: [&str; 3] = ["api", "peer", "gossip"];

/// Reads a specification.
///
/// # Errors
/// All problems at once, each with its line.
pub fn parse(text: &str) -> Result<Specification, SpecError> {
    if text.len() > MAX_BYTES {
        let reason = format!("the file has {} bytes, at most {MAX_BYTES} are read", text.len());
        return Err(SpecError { problems: vec![Problem { line: 0, path: String::new(), reason, fix: String::new() }] });
    }
    let mut walk = Walk::of(text)?;
    if walk.peek("provider") == Some("aws") {
        let draft = aws::draft(&mut walk);
        let network = walk.finish(Network::parse(draft))?;
        return Ok(Specification::Aws(Box::new(network)));
    }
    let draft = local::draft(&mut walk);
    walk.finish(Topology::parse(draft)).map(Specification::Local)
}

fn ports(walk: &mut Walk, root: &Section, default: Ports) -> Ports {
    let Some(section) = walk.section(root, "ports", &PORT_KEYS) else { return default };
    Ports {
        api: walk.number(&section, "api").unwrap_or(default.api),
        peer: walk.number(&section, "peer").unwrap_or(default.peer),
        gossip: walk.number(&section, "gossip").unwrap_or(default.gossip),
    }
}

/// Keys of `theirs` that are not of `ours`.
fn foreign_keys<'a>(ours: &[&str], theirs: &[&'a str]) -> Vec<&'a str> {
    theirs.iter().copied().filter(|key| !ours.contains(key)).collect()
}
