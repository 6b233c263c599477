//! A local cluster under test, and ways to look at it that do not go through kvctl.
//!
//! Processes are found by the test's own folder in their command lines, files by walking the state folder. Dropping
//! it stops and deletes everything, and fails the test if kvctl left a process behind.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kvnode::runtime::clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::command::{Home, Run};

/// Longest wait for something that takes a running cluster moments.
const SOON: Duration = Duration::from_secs(15);

/// A cluster named `local`, perhaps not started yet.
pub(crate) struct Local {
    home: Home,
    ports: [u16; 3],
}

impl Local {
    /// Chooses ports; starts nothing.
    pub(crate) fn new() -> Self {
        let daemon = Path::new(env!("CARGO_BIN_EXE_kvctl")).with_file_name("kvnode");
        assert!(daemon.is_file(), "there is no {}; build it: cargo build -p kvnode", daemon.display());
        Self { home: Home::new(), ports: free_ports() }
    }

    /// A cluster that is up.
    pub(crate) fn started() -> Self {
        let local = Self::new();
        local.succeeds(&local.first_up());
        local
    }

    /// The command line that starts it for the first time; after that its ports are remembered.
    pub(crate) fn first_up(&self) -> String {
        let [api, peer, gossip] = self.ports;
        format!("cluster up --api-port {api} --peer-port {peer} --gossip-port {gossip}")
    }

    /// The cluster's folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home.cluster()
    }

    /// A folder to put things into.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// kvctl, without a terminal, not yet run.
    pub(crate) fn command(&self, line: &str) -> Command {
        self.home.command(line)
    }

    /// Runs kvctl.
    pub(crate) fn run(&self, line: &str) -> Run {
        self.home.run(line)
    }

    /// Runs kvctl, which must end with this code, and gives what it said on both streams.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32, line: &str) -> String {
        let run = self.run(line);
        assert_eq!(run.exit, code, "kvctl {line}: {run}");
        format!("{}{}", run.stdout, run.stderr)
    }

    /// Runs kvctl, which must succeed, and gives its standard output as it is.
    #[track_caller]
    pub(crate) fn succeeds(&self, line: &str) -> String {
        let output = self.command(line).output().expect("kvctl runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kvctl {line}: {}\n{error}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs kvctl with `-o json`, which must end with this code, and gives the document.
    #[track_caller]
    pub(crate) fn json(&self, code: i32, line: &str) -> Value {
        let run = self.run(&format!("{line} -o json"));
        assert_eq!(run.exit, code, "kvctl {line}: {run}");
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("kvctl {line}: {error}: {run}"))
    }

    /// Pids of the nodes by name, as `cluster status` tells them; those that run.
    #[track_caller]
    pub(crate) fn pids(&self) -> BTreeMap<String, u32> {
        let run = self.run("cluster status -o json");
        let status: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"));
        let nodes = status["nodes"].as_array().expect("nodes");
        let running = nodes
            .iter()
            .filter_map(|node| Some((node["name"].as_str()?.to_owned(), u32::try_from(node["pid"].as_u64()?).ok()?)));
        running.collect()
    }

    /// Kills nodes as `kill -9` does, and waits until their processes are gone.
    #[track_caller]
    pub(crate) fn kill<'a>(&self, pids: impl IntoIterator<Item = &'a u32>) {
        let pids: Vec<u32> = pids.into_iter().copied().collect();
        assert!(pids.iter().all(|pid| self.processes().contains(pid)), "{pids:?} are not this test's");
        pids.iter().for_each(|pid| end(*pid));
        eventually("the killed are gone", || self.processes().iter().all(|pid| !pids.contains(pid)));
    }

    /// Processes whose command lines name this test's folder, dead ones that nobody reaped aside.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let folder = self.home.path().to_string_lossy().into_owned();
        let entries = std::fs::read_dir("/proc").expect("Linux");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        // The command line of a dead process is empty.
        let named = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&folder)
        };
        pids.filter(named).collect()
    }

    /// A context that reaches one node only, with kvctl's own token or that in a file.
    pub(crate) fn context_to(&self, node: &str, token_file: Option<&Path>) -> String {
        let path = self.home.path().join("state/contexts.json");
        let read = |path: &Path| -> Value {
            serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("a document")
        };
        let mut contexts = read(&path);
        let mut context = contexts["contexts"]["local"].clone();
        let endpoint = context["endpoints"].as_array().expect("endpoints").iter().find(|endpoint| {
            // Zone a is 127.0.1, its first node 127.0.1.1.
            let mut letters = node.bytes();
            let zone = letters.next().map_or(0, |letter| letter - b'a' + 1);
            let address = format!("//127.0.{zone}.{}:", String::from_utf8_lossy(&letters.collect::<Vec<_>>()));
            endpoint.as_str().is_some_and(|endpoint| endpoint.contains(&address))
        });
        context["endpoints"] = json!([endpoint.expect("a node of the cluster")]);
        if let Some(file) = token_file {
            context["token_file"] = json!(file);
        }
        let name = format!("only-{node}");
        contexts["contexts"][&name] = context;
        std::fs::write(&path, contexts.to_string()).expect("written");
        name
    }

    /// Every file of the cluster with its mode and bytes, but for the lock and what nodes write by themselves.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut tree = BTreeMap::new();
        let mut left = vec![self.home.path().join("state")];
        while let Some(path) = left.pop() {
            let metadata = std::fs::symlink_metadata(&path).expect("it is there");
            let mode = std::os::unix::fs::MetadataExt::mode(&metadata);
            let bytes = if metadata.is_file() { std::fs::read(&path).expect("readable") } else { Vec::new() };
            let own = path.file_name().is_some_and(|name| name == "lock" || name == "log" || name == "data");
            if metadata.is_dir() && !own {
                left.extend(std::fs::read_dir(&path).expect("readable").filter_map(|entry| Some(entry.ok()?.path())));
            }
            tree.insert(path, (mode, if own { Vec::new() } else { bytes }));
        }
        tree
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let down = self.run("cluster down --delete-data --yes --grace 10s");
        let left = self.processes();
        left.iter().for_each(|pid| end(*pid));
        assert!(std::thread::panicking() || left.is_empty(), "{left:?} were left behind by: {down}");
    }
}

fn end(pid: u32) {
    // One that has ended meanwhile is as wanted.
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), Signal::SIGKILL).ok();
}

/// Waits for something that is about to be.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = clock::monotonic_now() + SOON;
    while !holds() {
        assert!(clock::monotonic_now() < deadline, "not within {} s: {what}", SOON.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Three ports that are free on every address now: API, peers, gossip.
fn free_ports() -> [u16; 3] {
    let [api, peer] = [(); 2].map(|()| TcpListener::bind("0.0.0.0:0").expect("bound"));
    let gossip = UdpSocket::bind("0.0.0.0:0").expect("bound");
    let addresses = [api.local_addr(), peer.local_addr(), gossip.local_addr()];
    addresses.map(|address| address.expect("bound").port())
}
