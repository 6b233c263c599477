//! The kvctl program: everything is in the library, so that tests can call it. Only this file ends the process.
//!
//! It decides nothing and prints nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    kvctl::run(std::env::args_os())
}
