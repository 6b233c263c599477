//! `kvctl kv`: read and write keys, binary safe in both directions.
//!
//! `key` reads keys as people type them; each other file is one command. Values go as raw bytes, never through text.

pub mod delete;
pub mod get;
pub mod key;
pub mod list;
pub mod put;

use std::time::Duration;

use kvnode::client::{Client, Consistency, Options};

use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;
use crate::units;

/// How much longer than the server's limit the client waits: for the way there and back, and a second endpoint.
const CLIENT_MARGIN: Duration = Duration::from_secs(3);

/// Commands on keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write the value of a key to standard output or a file (exit 1: there is none)
    Get(get::Get),
    /// Store a value under a key
    Put(put::Put),
    /// Delete a key; one that is not there is no error
    Delete(delete::Delete),
    /// List keys in byte order; not a snapshot
    List(list::List),
}

/// How an operation is carried out.
#[derive(Debug, Clone, clap::Args)]
pub struct Carried {
    /// Replicas to wait for; `one` may read an old value
    #[arg(long, value_enum, default_value_t)]
    pub consistency: Level,
    /// Longest time for the operation, up to 30s
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = units::duration)]
    pub timeout: Duration,
}

/// Replicas to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Level {
    /// Any one.
    One,
    /// More than half: linearizable.
    #[default]
    Quorum,
    /// All.
    All,
}

impl Carried {
    /// As the client takes it.
    #[must_use]
    pub fn options(&self) -> Options {
        let consistency = match self.consistency {
            Level::One => Consistency::One,
            Level::Quorum => Consistency::Quorum,
            Level::All => Consistency::All,
        };
        Options { consistency: Some(consistency), timeout: Some(self.timeout) }
    }

    /// A client that waits as long as the operation may take.
    ///
    /// # Errors
    /// There is no context, or its files cannot be used.
    pub fn client(&self, session: &Session) -> Result<Client, CommandError> {
        session.client(self.timeout.saturating_add(CLIENT_MARGIN))
    }
}

/// Runs a command on keys.
///
/// # Errors
/// As the command says.
pub async fn run(session: &Session, command: &Command) -> Result<Exit, CommandError> {
    match command {
        Command::Get(get) => get::run(session, get).await,
        Command::Put(put) => put::run(session, put).await,
        Command::Delete(delete) => delete::run(session, delete).await,
        Command::List(list) => list::run(session, list).await,
    }
}
