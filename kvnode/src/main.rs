//! The daemon's entry: hands the command line to the library and returns its exit code.
//!
//! Nothing else is here but the choice of allocator, which belongs to the program and not to the library.

use std::process::ExitCode;

/// Replication makes many small, short-lived buffers on several threads: the system's allocator spends a fifth of the
/// processor on them, this one a quarter of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kvnode::command::run(std::env::args_os())
}
