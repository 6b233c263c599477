//! The async shell: drives the pure machines of `protocol` with storage, peers and timers.
//!
//! [`service::NodeService`] is all that the API sees. One client operation is one small machine, driven by one task
//! that runs to its end even if the client goes away, so that hints for replicas that missed a write are never skipped.
//!
//! Reading order: `service` and `operation` (the vocabulary), `node` (the handle), `request` (one operation),
//! `route` (whom it concerns), `replica` (what peers are answered), then the loops `adoption` and `hints`.

pub mod adoption;
mod bootstrap;
mod explain;
mod figures;
mod forward;
pub mod gossip;
mod hedging;
mod hints;
pub mod identity;
mod inbox;
mod listing;
mod local;
#[expect(clippy::module_inception, reason = "the handle of a node is a node")]
pub mod node;
pub mod operation;
mod replica;
mod request;
mod route;
mod routing;
pub mod service;
mod shared;
mod view;
