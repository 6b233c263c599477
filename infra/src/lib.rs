//! The typed model between the operator's wish and the world: specification, topology, plan.
//!
//! `spec` turns the text of cluster.yaml into a `topology`, or into every reason why it cannot be one; `plan`
//! compares a topology with an observation of the world and says what would have to be done.
//! Everything here is pure: nothing prints, opens a socket, starts a process or reads the environment. Observing
//! and carrying out belong to kvctl's providers, which translate at the border.

pub mod plan;
pub mod spec;
pub mod topology;
