//! The async shell: drives the pure machines of `protocol` with storage, peers and timers.
//!
//! [`service::NodeService`] is all that the API sees. One client operation is one small machine, driven by one task
//! that runs to its end even if the client goes away, so that hints for replicas that missed a write are never skipped.

pub mod gossip;
pub mod operation;
pub mod service;
