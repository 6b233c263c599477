//! kvctl with real daemons: clusters on this machine's loopback addresses, started, broken, repaired and removed.
//!
//! Each test has ports and a state folder of its own and leaves neither a process nor a file behind. The daemon is
//! the `kvnode` beside the `kvctl` under test. What a daemon does by itself is tested where daemons are built.

mod interruption;
mod keys;
mod lifecycle;
mod local;
mod operations;
mod state;
