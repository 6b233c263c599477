//! `kvctl cluster`: make, look at and stop clusters.
//!
//! `target` finds out which cluster is meant and what it shall look like; each other file is one command.

#[cfg(feature = "aws")]
mod aws;
pub mod down;
pub mod init;
pub mod list;
pub mod plan;
pub mod status;
mod target;
pub mod up;
mod verdict;

pub(super) use target::existing;

use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

/// Commands on clusters.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write a cluster.yaml to start from
    Init(init::Init),
    /// Show what `up` would do; changes nothing (exit 10: changes pending)
    Plan(plan::Plan),
    /// Bring a cluster up, or repair it; a second time does nothing
    Up(up::Up),
    /// Tell how a cluster is (exit 0: healthy, 10: not, 11: cannot tell)
    Status(status::Status),
    /// Stop a cluster; its data stays
    Down(down::Down),
    /// List the clusters that this machine knows
    List(list::List),
}

/// Runs a command on clusters.
///
/// # Errors
/// As the command says.
pub async fn run(session: &Session, command: &Command) -> Result<Exit, CommandError> {
    match command {
        Command::Init(init) => init::run(session, init),
        Command::Plan(plan) => plan::run(session, plan).await,
        Command::Up(up) => up::run(session, up).await,
        Command::Status(status) => status::run(session, status).await,
        Command::Down(down) => down::run(session, down).await,
        Command::List(list) => list::run(session, list).await,
    }
}
