//! `kvctl ring show`: who holds which partition.
//!
//! The table counts per node; `--partitions` lists every one. JSON is the API's own document.

use std::time::Duration;

use kvnode::api::types::{PartitionStatus, PartitionsDocument, RingDocument};
use serde::Serialize;

use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::bootstrap::state_name;
use crate::session::Session;
use crate::ui::table::table;

/// Longest time for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Commands on the ring.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the ring as the cluster knows it
    Show(Show),
}

/// Show the ring.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Every partition and its replicas
    #[arg(long)]
    pub partitions: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    ring: &'a RingDocument,
    partitions: &'a PartitionsDocument,
}

/// Runs a command on the ring.
///
/// # Errors
/// No node answers.
pub async fn run(session: &Session, command: &Command) -> Result<Exit, CommandError> {
    let Command::Show(show) = command;
    let client = session.client(TIMEOUT)?;
    let ring = client.ring().await?;
    let partitions = client.partitions().await?;
    if session.machine() {
        session.ui.json(&Document { ring: &ring, partitions: &partitions })?;
        return Ok(Exit::Ok);
    }
    session.ui.line(summary(&ring, &partitions))?;
    if show.partitions {
        let rows: Vec<[String; 3]> = partitions
            .partitions
            .iter()
            .map(|one| [one.partition.to_string(), one.replicas.join(" "), status_name(one.status).to_owned()])
            .collect();
        session.ui.line(table(["partition", "replicas", "status"], &rows))?;
    }
    Ok(Exit::Ok)
}

fn summary(ring: &RingDocument, partitions: &PartitionsDocument) -> String {
    let Some(cluster) = &ring.cluster else {
        return "no ring was formed yet; kvctl cluster up forms it".to_owned();
    };
    let counts = partitions.counts;
    let rows: Vec<[String; 4]> = ring
        .nodes
        .iter()
        .map(|node| {
            [node.zone.clone(), node.name.clone(), state_name(node.state).to_owned(), node.partitions.to_string()]
        })
        .collect();
    let head = format!(
        "epoch {}, {} partitions × {} replicas, cluster {cluster}\n{} ok, {} degraded, {} with a bare quorum, {} unavailable",
        ring.epoch, ring.partitions, ring.replicas, counts.ok, counts.degraded, counts.quorum, counts.unavailable,
    );
    format!("{head}\n{}", table(["zone", "node", "state", "partitions"], &rows))
}

fn status_name(status: PartitionStatus) -> &'static str {
    match status {
        PartitionStatus::Ok => "ok",
        PartitionStatus::Degraded => "degraded",
        PartitionStatus::Quorum => "quorum",
        PartitionStatus::Unavailable => "unavailable",
    }
}
