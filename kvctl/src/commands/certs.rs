//! `kvctl certs`: the certificates of a local cluster, their end, and new ones.
//!
//! Renewing gives nodes new certificates by the same authority; nodes read them when they start, and that is said.

use infra::topology::{Node, Topology};
use kvnode::certificates;
use kvnode::runtime::clock;
use serde::Serialize;

use super::cluster::existing;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::secrets;
use crate::provider::local::state::{Folder, read_bounded};
use crate::session::Session;
use crate::ui::table::table;

const DAY: i64 = 24 * 60 * 60;
/// Days before its end from which a certificate is a finding: a month to act in.
pub const WARN_DAYS: i64 = 30;
/// Largest certificate read.
const MAX_CERTIFICATE: u64 = 64 * 1024;

/// Commands on certificates.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show them and how long they hold (exit 10: one ends within 30 days)
    Show,
    /// Give nodes new certificates by the same authority
    Renew(Renew),
}

/// Give nodes new certificates.
#[derive(Debug, clap::Args)]
pub struct Renew {
    /// Only these nodes; may be repeated [default: all]
    #[arg(long, value_name = "NODE")]
    pub node: Vec<String>,
    /// Say what would be renewed and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// One certificate.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Whose it is.
    pub of: String,
    /// Its file.
    pub file: String,
    /// Whole days until it ends; negative if it has.
    pub days_left: Option<i64>,
    /// Why it could not be read.
    pub problem: Option<String>,
}

/// Runs a command on certificates.
///
/// # Errors
/// There is no such cluster or node, or a file cannot be written.
pub fn run(session: &Session, command: &Command) -> Result<Exit, CommandError> {
    let (folder, _, topology) = existing(session, None)?;
    match command {
        Command::Show => show(session, &rows(&folder, &topology)),
        Command::Renew(renew) => self::renew(session, &folder, &topology, renew),
    }
}

/// All certificates of a cluster.
#[must_use]
pub fn rows(folder: &Folder, topology: &Topology) -> Vec<Row> {
    let authority = ("the authority".to_owned(), secrets::ca_file(folder));
    let nodes = topology
        .nodes()
        .iter()
        .map(|node| (node.name.to_string(), secrets::node_files(folder, &node.name).certificate));
    std::iter::once(authority)
        .chain(nodes)
        .map(|(of, path)| {
            let read = days_left(&path);
            let file = path.display().to_string();
            Row { of, file, days_left: read.as_ref().ok().copied(), problem: read.err() }
        })
        .collect()
}

fn days_left(path: &std::path::Path) -> Result<i64, String> {
    let bytes = read_bounded(path, MAX_CERTIFICATE).map_err(|error| error.to_string())?;
    let bytes = bytes.ok_or("it is missing")?;
    let end = certificates::expiry(&String::from_utf8_lossy(&bytes)).map_err(|error| error.to_string())?;
    let now = i64::try_from(clock::wall_micros() / 1_000_000).unwrap_or(i64::MAX);
    Ok((end - now).div_euclid(DAY))
}

fn show(session: &Session, rows: &[Row]) -> Result<Exit, CommandError> {
    if session.machine() {
        session.ui.json(&rows)?;
    } else {
        let cells = |row: &Row| {
            let state = match (row.days_left, &row.problem) {
                (_, Some(problem)) => problem.clone(),
                (Some(days), None) if days < 0 => format!("ended {} days ago", -days),
                (Some(days), None) => format!("{days} days left"),
                (None, None) => "unknown".to_owned(),
            };
            [row.of.clone(), state, row.file.clone()]
        };
        let rows: Vec<[String; 3]> = rows.iter().map(cells).collect();
        session.ui.line(table(["certificate of", "holds", "file"], &rows))?;
    }
    let soon = rows.iter().any(|row| row.days_left.is_none_or(|days| days < WARN_DAYS));
    Ok(if soon { Exit::Findings } else { Exit::Ok })
}

fn renew(session: &Session, folder: &Folder, topology: &Topology, renew: &Renew) -> Result<Exit, CommandError> {
    let named = |name: &String| {
        let node = topology.nodes().iter().find(|node| node.name.as_str() == name);
        node.ok_or_else(|| CommandError::usage(format!("there is no node {name} in cluster {}", folder.cluster())))
    };
    let nodes: Vec<&Node> = match renew.node.is_empty() {
        true => topology.nodes().iter().collect(),
        false => renew.node.iter().map(named).collect::<Result<_, _>>()?,
    };
    let _lock = folder.lock()?;
    for node in nodes {
        if renew.dry_run {
            session.ui.line(format!("would renew the certificate of {}", node.name))?;
        } else {
            secrets::renew(folder, &node.name, node.api.ip().to_string())?;
            session.ui.note(format!("renewed {}", node.name));
        }
    }
    if !renew.dry_run {
        let cluster = folder.cluster();
        session.ui.note(format!(
            "nodes follow from their next start on: kvctl cluster down {cluster}; kvctl cluster up {cluster}"
        ));
    }
    Ok(Exit::Ok)
}
