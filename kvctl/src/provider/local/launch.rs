//! The daemon's command line, finding its program, starting and stopping it.
//!
//! No secret is ever an argument: files are named instead. Stopping is asked for with SIGTERM; SIGKILL only after a
//! grace that the caller sets, and only for a process that is surely ours.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use infra::topology::{Node, Topology};
use kvnode::runtime::clock;
use nix::sys::signal::Signal;

use super::process::{self, Presence, Record};
use super::secrets;
use super::state::{self, Folder};

/// The daemon's program.
pub const PROGRAM: &str = "kvnode";
/// How often a process that shall end is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How much of a log is shown when a daemon ends at once.
const TAIL_LINES: usize = 10;
const TAIL_BYTES: u64 = 16 * 1024;

/// Why a daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No program was found. Nothing was changed.
    #[error("the daemon kvnode was not found at {}", places(tried))]
    NoProgram {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// The process could not be made.
    #[error("cannot start {node}")]
    Spawn {
        /// The node.
        node: String,
        /// Why.
        source: std::io::Error,
    },
    /// It was started and ended again.
    #[error("{node} ended at once ({status}); its last words in {}:\n{tail}", log.display())]
    Ended {
        /// The node.
        node: String,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The folder is in the way.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A process does not end.
    #[error("{node} (pid {pid}) still runs {} s after SIGTERM", grace.as_secs())]
    Hangs {
        /// The node.
        node: String,
        /// Its process.
        pid: u32,
        /// How long it was given.
        grace: Duration,
    },
    /// The system refused a signal.
    #[error("cannot signal {node} (pid {pid})")]
    Signal {
        /// The node.
        node: String,
        /// Its process.
        pid: u32,
        /// Why.
        source: nix::Error,
    },
}

/// The first place, which is the likely one, and how many more.
fn places(tried: &[PathBuf]) -> String {
    let first = tried.first().map(|path| path.display().to_string()).unwrap_or_default();
    if tried.len() > 1 { format!("{first}, nor in PATH") } else { first }
}

/// Finds the daemon's program: as named, else beside kvctl, else in the search path.
///
/// # Errors
/// It is nowhere.
pub fn find_program(named: Option<&Path>, search_path: &[PathBuf]) -> Result<PathBuf, Error> {
    let tried: Vec<PathBuf> = match named {
        Some(named) => vec![std::path::absolute(named).unwrap_or_else(|_| named.to_owned())],
        None => {
            let beside = std::env::current_exe().ok().map(|program| program.with_file_name(PROGRAM));
            beside.into_iter().chain(search_path.iter().map(|folder| folder.join(PROGRAM))).collect()
        }
    };
    tried.iter().find(|path| path.is_file()).cloned().ok_or(Error::NoProgram { tried })
}

/// Worker threads for each node: the machine's cores shared out, at least one each.
#[must_use]
pub fn worker_threads(cores: usize, nodes: usize) -> usize {
    (cores / nodes.max(1)).max(1)
}

/// The command line of a node.
#[must_use]
pub fn arguments(topology: &Topology, node: &Node, folder: &Folder, cores: usize) -> Vec<String> {
    let files = secrets::node_files(folder, &node.name);
    let draft = topology.draft();
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let mut pairs: Vec<(&str, String)> = vec![
        ("--name", node.name.to_string()),
        ("--zone", node.zone.to_string()),
        ("--data-dir", text(folder.data_dir(&node.name))),
        ("--listen-api", node.api.to_string()),
        ("--listen-peer", node.peer.to_string()),
        ("--listen-gossip", node.gossip.to_string()),
        ("--ca-file", text(secrets::ca_file(folder))),
        ("--cert-file", text(files.certificate)),
        ("--key-file", text(files.key)),
        ("--gossip-key-file", text(folder.keyring_file())),
        ("--tokens-file", text(folder.tokens_file())),
        ("--replicas", draft.replicas.to_string()),
        ("--worker-threads", worker_threads(cores, topology.nodes().len()).to_string()),
        ("--log-format", "json".to_owned()),
    ];
    let others = topology.nodes().iter().filter(|other| other.name != node.name);
    pairs.extend(others.map(|other| ("--join", other.peer.to_string())));
    pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// What differs between the command line a node was started with and the one it should have, in words.
#[must_use]
pub fn drift(started: &[String], wanted: &[String]) -> Vec<String> {
    let pairs = |arguments: &[String]| arguments.chunks(2).map(<[String]>::to_vec).collect::<Vec<_>>();
    let (started, wanted) = (pairs(started), pairs(wanted));
    let new = wanted.iter().filter(|pair| !started.contains(pair)).map(|pair| format!("wanted {}", pair.join(" ")));
    let old = started.iter().filter(|pair| !wanted.contains(pair)).map(|pair| format!("has {}", pair.join(" ")));
    new.chain(old).collect()
}

/// A daemon that was just started.
#[derive(Debug)]
pub struct Started {
    /// Its name, for messages.
    node: String,
    child: Child,
    log: PathBuf,
    /// Where in the log it began: what is before are the words of those before it.
    log_start: u64,
}

/// Makes what a node's start needs in its folder: to be done for all nodes before any is started.
///
/// # Errors
/// A folder or the log cannot be made, or is open to others. Nothing runs.
pub fn prepare(node: &Node, folder: &Folder) -> Result<(), Error> {
    Folder::ensure_dir(&folder.node_dir(&node.name))?;
    Folder::ensure_dir(&folder.data_dir(&node.name))?;
    let path = folder.log_file(&node.name);
    match process::open_log(&path) {
        Ok(_) => Ok(()),
        Err(source) => Err(state::Error::Io { action: "open", path, source }.into()),
    }
}

impl Started {
    /// Starts a node that was prepared and writes down which process it is.
    ///
    /// # Errors
    /// It could not be started, or not be written down; in the latter case the next `cluster up` adopts it.
    pub fn start(program: &Path, node: &Node, folder: &Folder, arguments: Vec<String>) -> Result<Self, Error> {
        let log = folder.log_file(&node.name);
        let log_start = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let spawned = process::spawn(program, &arguments, folder.root(), &log);
        let child = spawned.map_err(|source| Error::Spawn { node: node.name.to_string(), source })?;
        let mut started = Self { node: node.name.to_string(), child, log, log_start };
        started.check()?;
        if let Some(record) = Record::of_running(started.child.id()) {
            // Its own view of program and arguments is still that of the detaching step.
            let record = Record { program: program.to_owned(), arguments, ..record };
            record.save(&folder.process_file(&node.name))?;
        }
        Ok(started)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It ended; its last words are in the error.
    pub fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let tail = tail(&self.log, self.log_start)
                    .iter()
                    .map(|line| format!("  {line}"))
                    .collect::<Vec<_>>()
                    .join("\n");
                let (node, log) = (self.node.clone(), self.log.clone());
                Err(Error::Ended { node, status: status.to_string(), log, tail })
            }
            Err(source) => Err(Error::Spawn { node: self.node.clone(), source }),
        }
    }
}

/// The last lines of a log from a position on.
fn tail(log: &Path, start: u64) -> Vec<String> {
    use std::io::{Read, Seek, SeekFrom};
    let Ok(mut file) = std::fs::File::open(log) else { return Vec::new() };
    let length = file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
    let mut bytes = Vec::new();
    let from = SeekFrom::Start(length.saturating_sub(TAIL_BYTES).max(start));
    if file.seek(from).is_err() || file.take(TAIL_BYTES).read_to_end(&mut bytes).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

/// Asks a process to end and waits for it; `waiting` is told now and then.
///
/// # Errors
/// It still runs after the grace, or could not be signalled.
pub async fn stop(node: &str, record: &Record, grace: Duration, waiting: impl Fn(&str)) -> Result<(), Error> {
    let failed = |source| Error::Signal { node: node.to_owned(), pid: record.pid, source };
    record.signal(Signal::SIGTERM).map_err(failed)?;
    // A stopped process would take SIGTERM only when it goes on.
    record.signal(Signal::SIGCONT).map_err(failed)?;
    if ends_by(record, clock::monotonic_now() + grace, waiting).await {
        return Ok(());
    }
    Err(Error::Hangs { node: node.to_owned(), pid: record.pid, grace })
}

/// Ends a process that did not end when asked.
///
/// # Errors
/// It could not be signalled, or even so still runs (it waits for a device).
pub async fn kill(node: &str, record: &Record, grace: Duration) -> Result<(), Error> {
    let failed = |source| Error::Signal { node: node.to_owned(), pid: record.pid, source };
    record.signal(Signal::SIGKILL).map_err(failed)?;
    if ends_by(record, clock::monotonic_now() + grace, |_| {}).await {
        return Ok(());
    }
    Err(Error::Hangs { node: node.to_owned(), pid: record.pid, grace })
}

/// Has running nodes read their certificates and tokens again; tells which were asked. A node that is not there, or
/// too young to know the signal, reads them at its start anyway.
#[must_use]
pub fn reload(folder: &Folder, topology: &Topology) -> Vec<String> {
    let mut asked = Vec::new();
    for node in topology.nodes() {
        let Ok(Some(record)) = Record::load(&folder.process_file(&node.name)) else { continue };
        if process::catches(record.pid, Signal::SIGHUP) && record.signal(Signal::SIGHUP) == Ok(true) {
            asked.push(node.name.to_string());
        }
    }
    asked
}

async fn ends_by(record: &Record, deadline: Instant, waiting: impl Fn(&str)) -> bool {
    while matches!(record.presence(), Presence::Runs { .. }) {
        if clock::monotonic_now() >= deadline {
            return false;
        }
        waiting(&format!("pid {} to end", record.pid));
        clock::sleep(POLL).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use infra::topology::Draft;

    use super::*;

    #[test]
    fn the_command_line_names_files_and_never_secrets() {
        let topology = Topology::parse(Draft::default()).expect("the default");
        let folder = Folder::new(Path::new("/s"), topology.cluster());
        let line = arguments(&topology, &topology.nodes()[0], &folder, 2).join(" ");
        insta::assert_snapshot!(line, @"--name a1 --zone a --data-dir /s/local/a1/data --listen-api 127.0.1.1:8080 --listen-peer 127.0.1.1:7946 --listen-gossip 127.0.1.1:7947 --ca-file /s/local/certs/ca.pem --cert-file /s/local/certs/a1.pem --key-file /s/local/certs/a1-key.pem --gossip-key-file /s/local/keyring --tokens-file /s/local/tokens --replicas 3 --worker-threads 1 --log-format json --join 127.0.2.1:7946 --join 127.0.3.1:7946");
    }

    #[test]
    fn cores_are_shared_out() {
        assert_eq!([(2, 3), (16, 3), (0, 0), (8, 1)].map(|(cores, nodes)| worker_threads(cores, nodes)), [1, 5, 1, 8]);
    }

    #[test]
    fn drift_names_both_sides() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (old, new) =
            (words("--name a1 --listen-api 127.0.1.1:8080"), words("--name a1 --listen-api 127.0.1.1:9080"));
        assert_eq!(drift(&old, &old), Vec::<String>::new());
        assert_eq!(drift(&old, &new), ["wanted --listen-api 127.0.1.1:9080", "has --listen-api 127.0.1.1:8080"]);
    }

    #[test]
    fn a_missing_program_says_where_it_was_looked_for() {
        let error = find_program(Some(Path::new("/nowhere/kvnode")), &[]).expect_err("it is not there");
        assert_eq!(error.to_string(), "the daemon kvnode was not found at /nowhere/kvnode");
    }
}
