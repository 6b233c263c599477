//! The shell around `infra`'s AWS provider: what it takes from this machine.
//!
//! `material` hands over secrets, certificates and the daemon's program; `clock` is time for `infra::apply`. Planning,
//! calling and waiting are `infra`'s; nothing here talks to AWS.

pub mod clock;
pub mod material;
