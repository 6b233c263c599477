//! The daemon's configuration: flags over file over defaults, parsed once into types that cannot be wrong.
//!
//! Every setting has one name: `--listen-api` on the command line is `listen-api` in the file. Raw text comes from
//! `flags` and `file`, each value with its place; [`parse::parse`] turns all of it into a [`Config`] or into the
//! list of everything that is wrong. Nothing here opens a socket or touches the data folder.

pub mod file;
pub mod flags;
pub mod parse;
pub mod raw;
pub mod units;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::id::{NodeName, ZoneName};

/// Everything a node needs to know at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Unique in the cluster.
    pub name: NodeName,
    /// Failure domain.
    pub zone: ZoneName,
    /// Folder of the store; created with mode 0700.
    pub data_dir: PathBuf,
    /// Where to listen and what to tell others.
    pub addresses: Addresses,
    /// Peer addresses (`host:port` of TCP 7946) to meet the cluster at; empty for a node on its own.
    pub join: Vec<String>,
    /// Certificates and keys; none lets the node make its own in its data folder.
    pub credentials: Option<Credentials>,
    /// File of token hashes; none makes one in the data folder when there are no credentials either.
    pub tokens_file: Option<PathBuf>,
    /// Whether requests need a token.
    pub authentication: Authentication,
    /// Names of exactly the nodes that shall form the first ring; empty to wait for `kvctl`.
    pub bootstrap: Vec<NodeName>,
    /// Copies of each key in a ring formed by this node; none: 3, or as many as there are nodes.
    pub replicas: Option<u8>,
    /// Partitions of a ring formed by this node.
    pub partitions: u32,
    /// Threads of the event loop; 0 for one per processor.
    pub worker_threads: usize,
    /// Store.
    pub storage: StorageSettings,
    /// Limits of the client API.
    pub limits: Limits,
    /// How long SIGTERM waits for requests in flight.
    pub drain_timeout: Duration,
    /// Logs.
    pub log: LogSettings,
}

/// The three listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// REST over TLS.
    pub listen_api: SocketAddr,
    /// Peers over mutual TLS.
    pub listen_peer: SocketAddr,
    /// Gossip over UDP.
    pub listen_gossip: SocketAddr,
    /// REST address told to others.
    pub advertise_api: SocketAddr,
    /// Peer address told to others.
    pub advertise_peer: SocketAddr,
    /// Gossip address told to others.
    pub advertise_gossip: SocketAddr,
}

/// Files that prove who this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The cluster's CA certificate, PEM.
    pub ca_file: PathBuf,
    /// This node's certificate, PEM; its name is `<name>.kvnode.internal`.
    pub cert_file: PathBuf,
    /// Its private key, PEM, mode 0600.
    pub key_file: PathBuf,
    /// The gossip keyring: one base64 key of 32 bytes per line, the first seals; mode 0600.
    pub gossip_key_file: PathBuf,
}

/// Whether API requests need a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Bearer tokens with roles.
    Tokens,
    /// None: only on loopback.
    Off,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSettings {
    /// Engine.
    pub engine: StorageEngine,
    /// Page cache in bytes.
    pub cache_bytes: u64,
    /// Free share of the disk below which client writes are refused, in percent.
    pub disk_floor_percent: u8,
    /// Hints kept per absent node, in bytes.
    pub hint_bytes: u64,
    /// Age past which a hint turns into a full push of its partition.
    pub hint_age: Duration,
}

/// Engines to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageEngine {
    /// sled behind the group committer.
    Sled,
    /// Nothing is kept: for experiments.
    Memory,
}

/// Limits of the client API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest value in bytes.
    pub max_value_bytes: usize,
    /// Client connections at once.
    pub max_connections: usize,
    /// Client operations in flight at once.
    pub max_in_flight: usize,
}

/// Logs go to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `tracing` filter, for example `info` or `kvnode=debug`.
    pub filter: String,
    /// One JSON object per line instead of text.
    pub json: bool,
}
