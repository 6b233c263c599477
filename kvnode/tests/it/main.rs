//! Tests of the whole daemon: real processes, real sockets, real disks, real signals.
//!
//! `process` runs one kvnode, `cluster` several of them with certificates, tokens and addresses of their own, and
//! `workload` drives clients and remembers what they saw; the other files are the tests. Clusters take turns, so
//! that what a test times is not another test's load. `architecture` alone starts nothing: it reads the sources.

mod architecture;
mod bad_input;
mod bootstrap;
mod cluster;
mod durability;
mod failover;
mod linearizability;
mod membership;
mod process;
mod sources;
mod workload;
