//! `kvctl cluster list`: the clusters of the state folder, whether local daemons run and where the others are.
//!
//! Looks at processes and files only; `status` asks the nodes, or AWS.

use infra::topology::Topology;
use serde::Serialize;

use crate::cli::Output;
use crate::context::Contexts;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::process::{Presence, Record};
use crate::provider::local::state::Folder;
use crate::session::Session;
use crate::ui::table::table;

/// List the clusters that this machine knows.
#[derive(Debug, clap::Args)]
pub struct List {}

#[derive(Serialize)]
struct Row {
    name: String,
    current: bool,
    provider: &'static str,
    /// Running daemons of a local cluster.
    running: Option<usize>,
    /// Nodes of a local cluster.
    nodes: Option<usize>,
    /// For people: how many run, or where it is.
    state: String,
    folder: String,
}

pub(super) async fn run(session: &Session, _list: &List) -> Result<Exit, CommandError> {
    let contexts = Contexts::load(&session.settings.state_dir)?;
    let mut rows = Vec::new();
    for folder in Folder::all(&session.settings.state_dir)? {
        let (running, nodes) = count(&folder)?;
        let name = folder.cluster().to_string();
        let current = contexts.current.as_deref() == Some(&name);
        rows.push(Row {
            name,
            current,
            provider: "local",
            running: Some(running),
            nodes: Some(nodes),
            state: format!("{running} of {nodes} running"),
            folder: folder.root().display().to_string(),
        });
    }
    #[cfg(feature = "aws")]
    for known in super::aws::clusters(session)? {
        let current = contexts.current.as_deref() == Some(&known.name);
        let super::aws::Known { name, place: state, folder } = known;
        rows.push(Row { name, current, provider: "aws", running: None, nodes: None, state, folder });
    }
    match session.settings.output {
        Output::Json => session.ui.json(&rows)?,
        Output::Jsonl => rows.iter().try_for_each(|row| session.ui.json_line(row))?,
        Output::Table => {
            let cells = |row: Row| {
                let mark = if row.current { "*" } else { "" };
                [mark.to_owned(), row.name, row.state, row.folder]
            };
            let rows: Vec<[String; 4]> = rows.into_iter().map(cells).collect();
            session.ui.line(table(["", "cluster", "state", "folder"], &rows))?;
        }
    }
    Ok(Exit::Ok)
}

fn count(folder: &Folder) -> Result<(usize, usize), CommandError> {
    let draft = folder.load()?.map(|saved| saved.draft);
    let Some(Ok(topology)) = draft.map(Topology::parse) else { return Ok((0, 0)) };
    let runs = |node: &&infra::topology::Node| {
        let record = Record::load(&folder.process_file(&node.name)).ok().flatten();
        record.is_some_and(|record| matches!(record.presence(), Presence::Runs { .. }))
    };
    Ok((topology.nodes().iter().filter(runs).count(), topology.nodes().len()))
}
