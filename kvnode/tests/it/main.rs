//! Tests of the whole daemon: real processes, real sockets, real disks, real signals.
//!
//! `architecture` alone starts nothing: it reads the sources, through `sources`. Run one test with
//! `cargo test -p kvnode --test it <name>`.

mod architecture;
mod sources;
