//! The REST API: HTTP/1.1 and h2 over TLS on port 8080.
//!
//! It parses, authenticates, bounds and renders; what an operation means is decided behind
//! [`crate::node::service::NodeService`]. Every body fits in memory by its limits, so nothing here streams.
//!
//! Reading order: `types` (the bodies), `key_text` (keys as text).

pub mod key_text;
pub mod types;
