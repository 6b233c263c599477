//! `kvctl node`: look at nodes as the cluster sees them.
//!
//! It asks one node, the first that answers; `cluster status` asks all and looks at processes too.

use std::time::Duration;

use crate::cli::Output;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::bootstrap::state_name;
use crate::session::Session;
use crate::ui::table::table;

/// Longest time for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Commands on nodes.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the members of the cluster
    List,
}

/// Runs a command on nodes.
///
/// # Errors
/// No node answers.
pub async fn run(session: &Session, command: &Command) -> Result<Exit, CommandError> {
    let Command::List = command;
    let nodes = session.client(TIMEOUT)?.nodes().await?;
    match session.settings.output {
        Output::Json => session.ui.json(&nodes)?,
        Output::Jsonl => nodes.iter().try_for_each(|node| session.ui.json_line(node))?,
        Output::Table => {
            let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
            let rows: Vec<[String; 9]> = nodes
                .into_iter()
                .map(|node| {
                    let state = state_name(node.state).to_owned();
                    let hints = node.hints.to_string();
                    let epoch = node.epoch.to_string();
                    [node.zone, node.name, state, yes(node.in_ring), epoch, hints, node.api, node.version, node.id]
                })
                .collect();
            session
                .ui
                .line(table(["zone", "node", "state", "in ring", "epoch", "hints", "api", "version", "id"], &rows))?;
        }
    }
    Ok(Exit::Ok)
}
