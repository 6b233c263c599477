//! Where clusters live. `local`: daemons of this machine.
//!
//! A provider observes and carries out; what is to be done was decided by `infra::plan`, what is shown by `ui`.

pub mod local;
