//! Looking at a local cluster: its processes, and what each node says of itself. Changes nothing.
//!
//! What could not be looked at is said to be so; it is never taken for absent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use infra::processes::{Health, Observation, Observed};
use infra::topology::{Node, NodeName, Topology};
use kvnode::client::{self, Client};

use super::launch;
use super::process::{self, Presence, Record};
use super::secrets;
use super::state::{Error, Folder, Saved, read_bounded};

/// How long a node may take to answer a question about itself: on loopback it takes milliseconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest token or certificate read.
const MAX_SECRET: u64 = 64 * 1024;

/// Talks to each node of a cluster alone.
#[derive(Clone)]
pub struct Clients {
    nodes: BTreeMap<NodeName, Client>,
}

/// Why no clients could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// A file is missing or cannot be read.
    #[error(transparent)]
    State(#[from] Error),
    /// What was read cannot be used.
    #[error("{} or the token beside it cannot be used", ca_file.display())]
    Build {
        /// The authority's certificate.
        ca_file: PathBuf,
        /// Why.
        source: client::BuildError,
    },
}

impl Clients {
    /// Clients with the cluster's own certificate and token.
    ///
    /// # Errors
    /// See [`ClientsError`].
    pub fn new(folder: &Folder, topology: &Topology) -> Result<Self, ClientsError> {
        let ca_file = secrets::ca_file(folder);
        let ca_pem = read_bounded(&ca_file, MAX_SECRET)?.unwrap_or_default();
        let token = read_bounded(&folder.admin_token_file(), MAX_SECRET)?.unwrap_or_default();
        let token = String::from_utf8_lossy(&token).trim().to_owned();
        let mut nodes = BTreeMap::new();
        for node in topology.nodes() {
            let mut config = client::Config::new(vec![endpoint(node)], ca_pem.clone(), Some(token.clone()));
            config.timeout = ANSWER_TIMEOUT;
            let client = Client::new(&config);
            let client = client.map_err(|source| ClientsError::Build { ca_file: ca_file.clone(), source })?;
            nodes.insert(node.name.clone(), client);
        }
        Ok(Self { nodes })
    }

    /// The client of one node.
    #[must_use]
    pub fn of(&self, node: &NodeName) -> Option<&Client> {
        self.nodes.get(node)
    }

    /// All nodes with their clients, by name.
    pub fn all(&self) -> impl Iterator<Item = (&NodeName, &Client)> {
        self.nodes.iter()
    }
}

/// Where a node's API is.
#[must_use]
pub fn endpoint(node: &Node) -> String {
    format!("https://{}", node.api)
}

/// Looks at every node of a cluster, all at once.
pub async fn observe(folder: &Folder, saved: &Saved, topology: &Topology, cores: usize) -> Observation {
    let clients = Clients::new(folder, topology).ok();
    let looks = topology.nodes().iter().map(|node| async {
        let client = clients.as_ref().and_then(|clients| clients.of(&node.name));
        let wanted = launch::arguments(topology, node, folder, cores);
        (node.name.clone(), observe_node(folder, node, &wanted, client).await)
    });
    let mut nodes: BTreeMap<NodeName, Observed> = join_all(looks).await.into_iter().collect();
    nodes.extend(forgotten(folder, topology));
    Observation { nodes, formed: saved.formed }
}

async fn observe_node(folder: &Folder, node: &Node, wanted: &[String], client: Option<&Client>) -> Observed {
    let record = match Record::load(&folder.process_file(&node.name)) {
        Ok(record) => record,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            return Observed::NotSeen { why: format!("{error}{}", source.unwrap_or_default()) };
        }
    };
    let seen = match record {
        None if folder.data_dir(&node.name).exists() => Observed::Stopped,
        None => Observed::Absent,
        Some(record) => match record.presence() {
            Presence::Runs { age } => {
                let health = match client {
                    Some(client) => health(client).await,
                    None => Health::Silent,
                };
                let drift = launch::drift(&record.arguments, wanted);
                return Observed::Running { pid: record.pid, age, health, drift };
            }
            Presence::Gone => Observed::Died { pid: record.pid },
            Presence::Other { program } => Observed::ForeignPid { pid: record.pid, program },
        },
    };
    match process::find_by_data_dir(&folder.data_dir(&node.name)) {
        Some(pid) => Observed::Unrecorded { pid },
        None => seen,
    }
}

/// What a node says of itself.
pub async fn health(client: &Client) -> Health {
    match client.livez().await {
        Err(_) => Health::Silent,
        Ok(probe) if !probe.ok => Health::Failing { why: failing(&probe.text) },
        Ok(_) => match client.readyz().await {
            Err(_) => Health::Silent,
            Ok(probe) if probe.ok => Health::Ready,
            Ok(probe) => Health::NotReady { why: failing(&probe.text) },
        },
    }
}

/// The lines of a verbose probe that tell of failures (`[-]ring failed: …`).
fn failing(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("[-]")).collect();
    if lines.is_empty() { text.lines().next().unwrap_or("no reason is given").to_owned() } else { lines.join(", ") }
}

/// Nodes that have a process record here but no place in the topology.
fn forgotten(folder: &Folder, topology: &Topology) -> BTreeMap<NodeName, Observed> {
    let Ok(entries) = std::fs::read_dir(folder.root()) else { return BTreeMap::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<NodeName>().ok());
    let strangers = names.filter(|name| topology.node(name).is_none() && folder.data_dir(name).exists());
    strangers.map(|name| (name, Observed::Stopped)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_checks_are_picked_from_a_probe() {
        assert_eq!(
            failing("[+]store ok\n[-]ring failed: none yet\n[-]draining failed\n"),
            "ring failed: none yet, draining failed"
        );
        assert_eq!(failing("not ready\n"), "not ready");
        assert_eq!(failing(""), "no reason is given");
    }
}
