//! The membership machine in a simulated network: seeded, in virtual time, thousands of seconds per real one.
//!
//! `world` is the simulator; `scenarios` are whole-cluster laws, each a function that a mutation can break;
//! `mutations` switches parts of the protocol off and expects the law to break; `traps` replays known bugs of other
//! implementations, each named by its issue. To add a law: write a scenario that returns what went wrong.

mod mutations;
mod scenarios;
mod traps;
mod world;
