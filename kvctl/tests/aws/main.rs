//! kvctl against an AWS that is as strict and as unreliable as the real one, without AWS.
//!
//! `emulator` is moto with guards (`emulator/strict`), `conformance` proves each guard, `proxy` stands between kvctl
//! and the emulator and makes the faults of `faults`, `harness` runs the kvctl program, `census` looks at what there
//! is by Describes of its own. Nothing here can reach the real AWS: without KVCTL_TEST_ALLOW_ROUTES=1 the tests
//! refuse to run where a route leaves the machine. Run them with `sh .ci/aws.sh`.

mod calls;
mod census;
mod client;
mod commands;
mod conformance;
mod drift;
mod emulator;
mod fault_cases;
mod faults;
mod foreign;
mod harness;
mod network;
mod proxy;
mod sweep;
mod xml;
