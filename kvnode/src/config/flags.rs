//! The command line. Every flag is also a key of the configuration file, by the same name.
//!
//! Values stay text here; `parse` gives them meaning, so that flags and file obey the same rules and all errors
//! come out together.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::raw::{Place, RawSettings};

/// kvnode: a node of a leaderless, replicated, linearizable key-value store.
///
/// With nothing but --data-dir it runs alone on loopback: at its first start it makes a certificate authority, a
/// certificate and a token in that folder and prints a curl line that works. With --join and certificates it is
/// part of a cluster, usually started by `kvctl cluster up`.
#[derive(Debug, Parser)]
#[command(name = "kvnode", version, max_term_width = 110, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// What to do instead of running.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Settings.
    #[command(flatten)]
    pub run: RunFlags,
}

/// Things other than running.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Read the configuration, report everything that is wrong with its place, and exit: 0 if it is good, 2 if not.
    CheckConfig(Box<RunFlags>),
    /// Make the certificate, keys and token hashes of one node of a cluster started by hand; kvctl does this itself.
    MakeCredentials(MakeCredentials),
}

/// Whose credentials, and where to.
#[derive(Debug, Args)]
pub struct MakeCredentials {
    /// Folder that keeps the cluster's authority, gossip key and admin token; made by the first call
    #[arg(long, value_name = "DIR")]
    pub authority: PathBuf,
    /// Name of the node
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Address or DNS name clients use for it, put into its certificate; may be repeated
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
    /// Folder for the node's files, to be copied to its host
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// The settings as flags.
#[derive(Debug, Default, Args)]
pub struct RunFlags {
    /// Configuration file (TOML, keys named like these flags); flags win over it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of this node, unique in the cluster: a-z, 0-9 and '-', 1 to 63 characters [default: n1]
    #[arg(long, value_name = "NAME", help_heading = "Identity")]
    name: Option<String>,
    /// Failure domain this node stands in; copies of a key are spread over zones [default: a]
    #[arg(long, value_name = "ZONE", help_heading = "Identity")]
    zone: Option<String>,
    /// Folder of the store, created readable by the owner only; required
    #[arg(long, value_name = "DIR", help_heading = "Identity")]
    data_dir: Option<String>,
    /// Listen here for the REST API over TLS [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    listen_api: Option<String>,
    /// Listen here for peers over mutual TLS, TCP [default: 127.0.0.1:7946]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    listen_peer: Option<String>,
    /// Listen here for gossip, UDP [default: 127.0.0.1:7947]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    listen_gossip: Option<String>,
    /// REST address told to others [default: --listen-api]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    advertise_api: Option<String>,
    /// Peer address told to others [default: --listen-peer]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    advertise_peer: Option<String>,
    /// Gossip address told to others [default: --listen-gossip]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    advertise_gossip: Option<String>,
    /// Peer address (TCP 7946) of a node to meet the cluster at; may be repeated; none: a node on its own
    #[arg(long, value_name = "HOST:PORT", help_heading = "Cluster")]
    join: Vec<String>,
    /// Form the first ring of exactly these nodes, once all of them are alive: names separated by commas; harmless
    /// when the ring stands [default: wait for kvctl, or form a ring of one when there is no --join and no --ca-file]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Cluster")]
    bootstrap: Vec<String>,
    /// Copies of each key in a ring that this node forms, 1 to 7 [default: 3, or as many as there are nodes]
    #[arg(long, value_name = "NUMBER", help_heading = "Cluster")]
    replicas: Option<String>,
    /// Partitions of a ring that this node forms: a power of two, 1 to 4096 [default: 256]
    #[arg(long, value_name = "NUMBER", help_heading = "Cluster")]
    partitions: Option<String>,
    /// The cluster's CA certificate, PEM; the next three go with it [default: made in the data folder]
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    ca_file: Option<String>,
    /// This node's certificate, PEM, for the name <NAME>.kvnode.internal
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    cert_file: Option<String>,
    /// Its private key, PEM, mode 0600
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    key_file: Option<String>,
    /// Gossip keyring: one base64 key of 32 bytes per line, the first seals; mode 0600
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    gossip_key_file: Option<String>,
    /// Token hashes: lines of `role name sha256` [default: made in the data folder]
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    tokens_file: Option<String>,
    /// Who may call the API: `tokens`, or `off` on loopback only [default: tokens]
    #[arg(long, value_name = "MODE", help_heading = "Security")]
    authentication: Option<String>,
    /// Storage engine: sled, or memory (keeps nothing) [default: sled]
    #[arg(long, value_name = "ENGINE", help_heading = "Storage")]
    storage_engine: Option<String>,
    /// Page cache of the engine, at least 1MiB [default: 64MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Storage")]
    cache_size: Option<String>,
    /// Refuse client writes below this share of free disk, 0 to 50 percent [default: 5]
    #[arg(long, value_name = "PERCENT", help_heading = "Storage")]
    disk_floor: Option<String>,
    /// Hints kept for each absent node; beyond it the partition is pushed whole on return [default: 1GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Storage")]
    hint_size: Option<String>,
    /// Hints older than this turn into a push of the whole partition [default: 3h]
    #[arg(long, value_name = "DURATION", help_heading = "Storage")]
    hint_age: Option<String>,
    /// Largest value, 1B to 1MiB [default: 1MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    max_value_size: Option<String>,
    /// Client connections at once, 1 to 65536 [default: 4096]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    max_connections: Option<String>,
    /// Client operations in flight at once, 1 to 65536; more are told to retry [default: 1024]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    max_in_flight: Option<String>,
    /// Threads of the event loop; 0 for one per processor, at most 256 [default: 0]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    worker_threads: Option<String>,
    /// How long SIGTERM waits for requests in flight [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Limits")]
    drain_timeout: Option<String>,
    /// What to log: error, warn, info, debug, or a filter such as info,kvnode::node=debug [default: info]
    #[arg(long, value_name = "FILTER", help_heading = "Logs")]
    log_filter: Option<String>,
    /// Form of the log on standard error: human or json [default: human]
    #[arg(long, value_name = "FORMAT", help_heading = "Logs")]
    log_format: Option<String>,
}

impl RunFlags {
    /// Adds what was given on the command line.
    pub fn collect(self, settings: &mut RawSettings) {
        let single = [
            ("name", self.name),
            ("zone", self.zone),
            ("data-dir", self.data_dir),
            ("listen-api", self.listen_api),
            ("listen-peer", self.listen_peer),
            ("listen-gossip", self.listen_gossip),
            ("advertise-api", self.advertise_api),
            ("advertise-peer", self.advertise_peer),
            ("advertise-gossip", self.advertise_gossip),
            ("replicas", self.replicas),
            ("partitions", self.partitions),
            ("ca-file", self.ca_file),
            ("cert-file", self.cert_file),
            ("key-file", self.key_file),
            ("gossip-key-file", self.gossip_key_file),
            ("tokens-file", self.tokens_file),
            ("authentication", self.authentication),
            ("storage-engine", self.storage_engine),
            ("cache-size", self.cache_size),
            ("disk-floor", self.disk_floor),
            ("hint-size", self.hint_size),
            ("hint-age", self.hint_age),
            ("max-value-size", self.max_value_size),
            ("max-connections", self.max_connections),
            ("max-in-flight", self.max_in_flight),
            ("worker-threads", self.worker_threads),
            ("drain-timeout", self.drain_timeout),
            ("log-filter", self.log_filter),
            ("log-format", self.log_format),
        ];
        for (name, value) in single {
            if let Some(text) = value {
                settings.set(name, vec![text], Place::Flag(name.to_owned()));
            }
        }
        for (name, texts) in [("join", self.join), ("bootstrap", self.bootstrap)] {
            if !texts.is_empty() {
                settings.set(name, texts, Place::Flag(name.to_owned()));
            }
        }
    }
}

/// Every setting, with whether it is a list. The file may hold exactly these.
pub const SETTINGS: &[(&str, bool)] = &[
    ("name", false),
    ("zone", false),
    ("data-dir", false),
    ("listen-api", false),
    ("listen-peer", false),
    ("listen-gossip", false),
    ("advertise-api", false),
    ("advertise-peer", false),
    ("advertise-gossip", false),
    ("join", true),
    ("bootstrap", true),
    ("replicas", false),
    ("partitions", false),
    ("ca-file", false),
    ("cert-file", false),
    ("key-file", false),
    ("gossip-key-file", false),
    ("tokens-file", false),
    ("authentication", false),
    ("storage-engine", false),
    ("cache-size", false),
    ("disk-floor", false),
    ("hint-size", false),
    ("hint-age", false),
    ("max-value-size", false),
    ("max-connections", false),
    ("max-in-flight", false),
    ("worker-threads", false),
    ("drain-timeout", false),
    ("log-filter", false),
    ("log-format", false),
];

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_flag_is_a_setting_and_the_other_way_round() {
        let command = CommandLine::command();
        let mut flags: Vec<String> = command
            .get_arguments()
            .filter_map(|argument| argument.get_long().map(str::to_owned))
            .filter(|flag| !["config", "help", "version"].contains(&flag.as_str()))
            .collect();
        let mut settings: Vec<String> = SETTINGS.iter().map(|(name, _)| (*name).to_owned()).collect();
        flags.sort();
        settings.sort();
        assert_eq!(flags, settings);
    }
}
