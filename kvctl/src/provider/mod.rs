//! Where clusters live. `local`: daemons of this machine.
//!
//! A provider observes and carries out; what is to be done was decided by `infra::processes`, what is shown by `ui`.

#[cfg(feature = "aws")]
pub mod aws;
pub mod local;
