//! The daemon's entry: hands the command line to the library and returns its exit code. Nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    kvnode::command::run(std::env::args_os())
}
