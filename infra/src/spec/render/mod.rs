//! A specification as the text of a cluster.yaml that explains itself; what `kvctl cluster init` writes.
//!
//! `parse` reads back exactly what was rendered; property tests hold it to that. Blocks of addresses that were
//! derived are written down, so that a zone added to the file later moves none of them.

mod aws;
mod local;

use super::Specification;

/// The text for a specification.
#[must_use]
pub fn render(specification: &Specification) -> String {
    match specification {
        Specification::Local(topology) => local::render(topology.draft()),
        Specification::Aws(network) => aws::render(&network.settled_draft()),
    }
}
