//! `kvctl completions`: a shell's completions, on standard output.
//!
//! Made from the grammar, so that they never fall behind it.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

/// Print a shell's completions.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Prints the completions.
///
/// # Errors
/// Standard output failed.
pub fn run(session: &Session, completions: &Completions) -> Result<Exit, CommandError> {
    let mut text = Vec::new();
    clap_complete::generate(completions.shell, &mut Cli::command(), "kvctl", &mut text);
    session.ui.bytes(&text)?;
    Ok(Exit::Ok)
}
