//! One file per command: its options (their text is the help) and `run`, which decides what is done.
//!
//! Commands draw only through `ui` and never end the process.

pub mod bench;
pub mod certs;
pub mod cluster;
pub mod completions;
pub mod context;
pub mod doctor;
pub mod kv;
pub mod logs;
pub mod man;
pub mod node;
pub mod ring;
pub mod token;

use crate::cli::{Command, Detach};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::process;
use crate::session::Session;

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(session: &Session, command: &Command) -> Result<Exit, CommandError> {
    match command {
        Command::Cluster(command) => cluster::run(session, command).await,
        Command::Kv(command) => kv::run(session, command).await,
        Command::Node(command) => node::run(session, command).await,
        Command::Ring(command) => ring::run(session, command).await,
        Command::Logs(logs) => logs::run(session, logs).await,
        Command::Token(command) => token::run(session, command),
        Command::Certs(command) => certs::run(session, command),
        Command::Context(command) => context::run(session, command),
        Command::Bench(bench) => bench::run(session, bench).await,
        Command::Doctor(doctor) => doctor::run(session, doctor).await,
        Command::Completions(completions) => completions::run(session, completions),
        Command::Man(man) => man::run(session, man),
        Command::Detach(command) => Err(detach(command)),
    }
}

/// Becomes the daemon; comes back only if that failed.
#[must_use]
pub fn detach(command: &Detach) -> CommandError {
    let error = process::detach(&command.program, &command.arguments);
    CommandError::failed(format!("cannot become {}", command.program.display())).because(&error)
}
