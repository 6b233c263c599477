//! Everything a network is made of: the wanted resources, a function of the network and two facts alone.
//!
//! References are keys, names and tags are complete, and what must be there first without being named stands in
//! `needs`. One file per family of resources. Nothing here compares, orders or calls; the planner does.

mod balancer;
mod filters;
mod list;
mod machines;
mod policies;
mod routing;
mod services;
#[cfg(test)]
mod tests;

use crate::network::Network;
use crate::resource::Resource;
use list::List;

pub use machines::DATA_DEVICE;

/// What a network's resources depend on beside the network itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// The account it is made in: 12 digits. Names of buckets and policies hold it.
    pub account: String,
    /// SHA-256 of the daemon's binary in lower-case hexadecimal.
    pub artifact_sha256: String,
}

/// Path of the daemon's binary in the artifact bucket.
#[must_use]
pub fn artifact_path(sha256: &str) -> String {
    format!("kvnode/{sha256}/kvnode")
}

/// All wanted resources, in an order people read well; keys are unique.
#[must_use]
pub fn resources(network: &Network, inputs: &Inputs) -> Vec<Resource> {
    let mut list = List::new(network, inputs);
    routing::add(&mut list);
    filters::add(&mut list);
    services::add(&mut list);
    balancer::add(&mut list);
    machines::add(&mut list);
    list.resources()
}
