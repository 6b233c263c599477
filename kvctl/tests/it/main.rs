//! kvctl as a process: what a person or a script sees, without a cluster behind it.
//!
//! Each test has a state folder of its own and no terminal. Clusters of real daemons are tested where daemons are
//! built.

mod command;
mod failures;
mod streams;
