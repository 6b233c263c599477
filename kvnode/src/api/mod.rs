//! The REST API: HTTP/1.1 and h2 over TLS on port 8080.
//!
//! It parses, authenticates, bounds and renders; what an operation means is decided behind
//! [`crate::node::service::NodeService`]. Every body fits in memory by its limits, so nothing here streams.
//!
//! Reading order: `types` (the bodies), `action` (what there is), `service` (from request to answer), `kv` (the hot
//! path), then `problem`, `auth`, `limits`; `connection` and `watch` carry it all over TLS.

mod action;
pub mod auth;
mod batch;
mod body;
mod cluster;
pub mod connection;
pub mod key_text;
mod kv;
pub mod limits;
mod list;
pub mod openapi;
mod probes;
mod problem;
mod query;
pub mod service;
pub mod tokens;
pub mod types;
mod watch;

use http::header::HeaderName;

/// The durability receipt of a write: `replicas=3/3; zones=3`.
pub const KV_ACKS: HeaderName = HeaderName::from_static("kv-acks");
/// The ring epoch that an operation ran under.
pub const KV_EPOCH: HeaderName = HeaderName::from_static("kv-epoch");
/// Set on answers that promise less than a quorum does: `one`.
pub const KV_CONSISTENCY: HeaderName = HeaderName::from_static("kv-consistency");

#[cfg(test)]
mod tests;
