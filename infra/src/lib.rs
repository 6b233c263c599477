//! The typed model between the operator's wish and the world: specification, network, resources, plan, work.
//!
//! `spec` turns the text of cluster.yaml into a `topology` (daemons of one machine) or a `network` (a cluster in AWS),
//! or into every reason why it cannot be one. `desired` says what a network is made of, `observed` what was seen,
//! `plan` what would have to be done, and `apply` carries that out through a `provider`. `processes` plans for daemons
//! of one machine.
//! Everything here but `provider::aws` and the loop in `apply::drive` is pure: nothing prints, opens a socket, starts a
//! process or reads the environment.

pub mod apply;
pub mod desired;
pub mod network;
pub mod observed;
pub mod plan;
pub mod pricing;
pub mod processes;
pub mod provider;
pub mod resource;
pub mod spec;
pub mod topology;
pub mod user_data;
