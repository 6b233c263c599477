//! `kvctl cluster down`: stops every daemon of a cluster; leaves no process and, unless told otherwise, all data.
//!
//! All are asked at once with SIGTERM; SIGKILL comes only after the grace, and is told. A process that is not surely
//! ours is never signalled.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use infra::topology::{Node, Topology};
use serde::Serialize;

use super::target::{self, Provider};
use crate::context::Contexts;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::launch;
use crate::provider::local::process::{self, Presence, Record};
use crate::provider::local::state::Folder;
use crate::session::Session;
use crate::ui::progress::Progress;
use crate::units;

/// How long a killed process may take to be gone: longer means that it waits for a broken device.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// Stop a cluster.
#[derive(Debug, clap::Args)]
pub struct Down {
    /// Name of the cluster [default: that of the context, or local]
    pub name: Option<String>,
    /// Remove its data, keys and context too; asks for the cluster's name
    #[arg(long)]
    pub delete_data: bool,
    /// Show what would be stopped and do nothing (exit 10: something would be)
    #[arg(long)]
    pub dry_run: bool,
    /// How long daemons may take to flush and end before they are killed
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = units::duration)]
    pub grace: Duration,
    /// Longest time for all of it [default in aws: 45m]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub timeout: Option<Duration>,
    /// Specification that names the cluster (aws)
    #[arg(short, long, value_name = "CLUSTER.YAML")]
    pub file: Option<PathBuf>,
    /// Where: local or aws [default: as the file or the context says, else local]
    #[arg(long, value_enum, value_name = "PROVIDER", hide_possible_values = true)]
    pub provider: Option<Provider>,
}

#[derive(Serialize)]
struct Document {
    cluster: String,
    stopped: Vec<String>,
    killed: Vec<String>,
    data_deleted: bool,
}

/// How a node came to its end.
enum Ended {
    WasNotRunning,
    Stopped,
    Killed,
}

pub(super) async fn run(session: &Session, down: &Down) -> Result<Exit, CommandError> {
    if target::provider(session, down.name.as_deref(), down.provider, down.file.as_deref())? == Provider::Aws {
        #[cfg(feature = "aws")]
        return super::aws::down(session, down).await;
        #[cfg(not(feature = "aws"))]
        return Err(target::without_aws());
    }
    let (folder, _, topology) = target::existing(session, down.name.as_deref())?;
    let running: Vec<(&Node, Record)> =
        topology.nodes().iter().filter_map(|node| Some((node, running(&folder, node)?))).collect();
    if down.dry_run {
        return dry_run(session, &folder, &running, down.delete_data);
    }
    if down.delete_data {
        let what =
            format!("all data of cluster {} ({} nodes) will be deleted", folder.cluster(), topology.nodes().len());
        session.ui.confirm(&what, folder.cluster().as_str())?;
    }
    let lock = folder.lock()?;
    let progress = session.ui.progress();
    let stops = running.iter().map(|(node, record)| stop(&folder, node, record, down.grace, &progress));
    let mut document = Document {
        cluster: folder.cluster().to_string(),
        stopped: Vec::new(),
        killed: Vec::new(),
        data_deleted: down.delete_data,
    };
    let mut failure = None;
    for ((node, _), ended) in running.iter().zip(join_all(stops).await) {
        match ended {
            Ok(Ended::WasNotRunning) => {}
            Ok(Ended::Stopped) => document.stopped.push(node.name.to_string()),
            Ok(Ended::Killed) => document.killed.push(node.name.to_string()),
            Err(error) => failure = Some(error),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    forget_processes(&folder, &topology);
    if down.delete_data {
        folder.remove(&lock)?;
        let mut contexts = Contexts::load(&session.settings.state_dir)?;
        contexts.remove(folder.cluster().as_str());
        contexts.save(&session.settings.state_dir)?;
    }
    drop(lock);
    report(session, &document)
}

/// The process of a node, recorded or not, if it runs.
fn running(folder: &Folder, node: &Node) -> Option<Record> {
    let recorded = Record::load(&folder.process_file(&node.name)).ok().flatten();
    let recorded = recorded.filter(|record| matches!(record.presence(), Presence::Runs { .. }));
    recorded.or_else(|| Record::of_running(process::find_by_data_dir(&folder.data_dir(&node.name))?))
}

async fn stop(
    folder: &Folder,
    node: &Node,
    record: &Record,
    grace: Duration,
    progress: &Progress,
) -> Result<Ended, CommandError> {
    if !matches!(record.presence(), Presence::Runs { .. }) {
        return Ok(Ended::WasNotRunning);
    }
    let task = progress.task(format!("zone {}  {}", node.zone, node.name));
    let name = node.name.as_str();
    let ended = match launch::stop(name, record, grace, |what| task.waiting(what)).await {
        Ok(()) => {
            task.done("stopped");
            Ended::Stopped
        }
        Err(launch::Error::Hangs { .. }) => {
            launch::kill(name, record, KILL_GRACE).await.inspect_err(|_| task.failed("cannot be killed"))?;
            task.done(&format!(
                "killed: it did not end within {} s; what it had acknowledged is safe",
                grace.as_secs()
            ));
            Ended::Killed
        }
        Err(error) => return Err(error.into()),
    };
    // Its record says "died" as long as it is there, and it did not.
    drop(std::fs::remove_file(folder.process_file(&node.name)));
    Ok(ended)
}

/// Records of processes that were gone before: the cluster is stopped on purpose now.
fn forget_processes(folder: &Folder, topology: &Topology) {
    for node in topology.nodes() {
        drop(std::fs::remove_file(folder.process_file(&node.name)));
    }
}

fn dry_run(
    session: &Session,
    folder: &Folder,
    running: &[(&Node, Record)],
    delete_data: bool,
) -> Result<Exit, CommandError> {
    for (node, record) in running {
        session.ui.line(format!("would stop {} (pid {})", node.name, record.pid))?;
    }
    if delete_data {
        session.ui.line(format!("would delete {}", folder.root().display()))?;
    }
    let nothing = running.is_empty() && !delete_data;
    if nothing {
        session.ui.line("nothing would be done: no node runs")?;
    }
    Ok(if nothing { Exit::Ok } else { Exit::Findings })
}

fn report(session: &Session, document: &Document) -> Result<Exit, CommandError> {
    if session.machine() {
        session.ui.json(document)?;
        return Ok(Exit::Ok);
    }
    let cluster = &document.cluster;
    let count = document.stopped.len() + document.killed.len();
    let what = if count == 0 { "was not running".to_owned() } else { format!("is stopped ({count} nodes)") };
    let data = if document.data_deleted { "its data is deleted" } else { "its data is kept; start: kvctl cluster up" };
    session.ui.line(format!("Cluster {cluster} {what}; {data}."))?;
    Ok(Exit::Ok)
}
