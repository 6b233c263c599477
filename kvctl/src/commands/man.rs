//! `kvctl man`: the manual page in roff, on standard output.
//!
//! Made from the grammar; one page for kvctl, or one for each command with `--to`.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::cli::Cli;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

/// Print the manual page.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Write a page for every command into this folder instead
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// Prints or writes manual pages.
///
/// # Errors
/// They could not be written.
pub fn run(session: &Session, man: &Man) -> Result<Exit, CommandError> {
    let failed = |error: std::io::Error| CommandError::failed("the manual cannot be written").because(&error);
    if let Some(folder) = &man.to {
        clap_mangen::generate_to(Cli::command(), folder).map_err(failed)?;
        return Ok(Exit::Ok);
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut text).map_err(failed)?;
    session.ui.bytes(&text)?;
    Ok(Exit::Ok)
}
