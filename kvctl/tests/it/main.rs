//! kvctl as a process: what a person or a script sees, without a cluster behind it and with one.
//!
//! Each test has a state folder of its own and no terminal. `cluster` starts real daemons: `cargo build -p kvnode`
//! comes first.

mod cluster;
mod command;
mod failures;
mod streams;
