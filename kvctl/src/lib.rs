//! kvctl: the operator's command line for kvstore clusters.
//!
//! `cli` is the grammar; `commands` has one file per command, which decides what is done; `infra` decides how it is
//! planned, `provider` carries it out; `ui` draws. Settings come from `settings` alone, errors become text and exit
//! codes in `error` alone, and only `main` ends the process.
//! Data goes to standard output, everything else to standard error.

pub mod bench;
pub mod cli;
pub mod commands;
pub mod context;
pub mod error;
pub mod exit_code;
pub mod provider;
pub mod session;
pub mod settings;
pub mod ui;
pub mod units;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;
use crate::settings::{Environment, Settings};

/// Runs one command line and tells how it ended.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Also help and version, which are no errors; a reader that went away is nobody's loss.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    match execute(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            ui::report(&error);
            error.exit().into()
        }
    }
}

fn execute(cli: &Cli) -> Result<Exit, CommandError> {
    if let Command::Detach(detach) = &cli.command {
        return Err(commands::detach(detach));
    }
    let settings = Settings::resolve(&cli.global, &Environment::of_process())?;
    let session = Session::new(settings);
    // One thread: a command mostly waits, and what measures (bench) shares the machine with what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::failed("cannot start the runtime").because(&error))?;
    runtime.block_on(async {
        tokio::select! {
            done = commands::run(&session, &cli.command) => done,
            () = interrupted(&session) => Err(CommandError::new(Exit::Interrupted, "interrupted")
                .hint("what was begun may go on; calling the same command again continues it")),
        }
    })
}

/// Ends when the command is to be given up: at the first Ctrl-C, or at the second if it can end in an orderly way.
async fn interrupted(session: &Session) {
    loop {
        // A handler that cannot be installed leaves the system's own behaviour: the process ends.
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        if !session.interruption.accept() {
            return;
        }
    }
}
