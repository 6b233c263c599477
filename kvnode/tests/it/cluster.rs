//! Clusters of real processes on loopback: files, addresses, start, kill, pause, restart, and the waiting in between.
//!
//! Every node has an address of its own in 127.0.0.0/8, drawn from the test's process id and a counter, so that the
//! default ports are always free and test runs do not meet. All files lie in one temporary folder, removed at the
//! end. It makes credentials through kvnode's own library and talks to nodes through kvnode's own client.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvnode::api::tokens::{Entry, Role, Token};
use kvnode::api::types::{BootstrapRequest, NodeState};
use kvnode::certificates::{Authority, NodeRequest, write_private};
use kvnode::client::{Client, Config};
use kvnode::runtime::clock;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use super::process::Process;

/// One test with processes at a time.
static TURN: Mutex<()> = Mutex::const_new(());
/// Nodes addressed so far by this test process.
static ADDRESSED: AtomicU8 = AtomicU8::new(1);

/// How long a cluster may take to do what it does in two seconds on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What all nodes of a cluster share.
struct Credentials {
    directory: TempDir,
    authority: Authority,
    tokens: Vec<(Role, Token)>,
}

/// A node: a place for a process.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) zone: String,
    pub(crate) host: Ipv4Addr,
    pub(crate) directory: PathBuf,
    pub(crate) process: Option<Process>,
    paused: bool,
}

impl Node {
    /// The address for a port of this node.
    pub(crate) fn address(&self, port: u16) -> String {
        format!("{}:{port}", self.host)
    }

    /// Its log file.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }
}

/// Several nodes with one authority, keyring and set of tokens.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    credentials: std::sync::Arc<Credentials>,
    /// Flags added to each node's.
    pub(crate) extra_flags: Vec<String>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Cluster {
    /// Files and addresses for nodes named `a1 b1 …`, one per zone; nothing runs yet. Waits for its turn.
    pub(crate) async fn prepare(nodes: usize) -> Self {
        let turn = TURN.lock().await;
        let directory = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::create("test", Duration::from_secs(86_400)).expect("an authority");
        let tokens = Role::ALL.map(|role| (role, Token::from_random(role, rand::random())));
        let credentials = Credentials { directory, authority, tokens: tokens.into() };
        write_shared(&credentials);
        let mut cluster =
            Self { nodes: Vec::new(), credentials: credentials.into(), extra_flags: Vec::new(), _turn: Some(turn) };
        cluster.add_nodes(&["a", "b", "c", "d", "e"][..nodes], 1);
        cluster
    }

    /// Another cluster under the same authority, keyring and turn, with nodes `a2 b2 …`.
    pub(crate) fn sibling(&self, nodes: usize) -> Self {
        let credentials = std::sync::Arc::clone(&self.credentials);
        let mut cluster = Self { nodes: Vec::new(), credentials, extra_flags: Vec::new(), _turn: None };
        cluster.add_nodes(&["a", "b", "c", "d", "e"][..nodes], 2);
        cluster
    }

    /// Three nodes in three zones, bootstrapped, seeing each other, ready.
    pub(crate) async fn start() -> Self {
        let mut cluster = Self::prepare(3).await;
        cluster.start_all();
        cluster.bootstrap().await;
        cluster.settled().await;
        cluster
    }

    fn add_nodes(&mut self, zones: &[&str], number: u8) {
        for zone in zones {
            let name = format!("{zone}{number}");
            let directory = self.path(&name);
            std::fs::create_dir(&directory).expect("a folder for the node");
            let host = next_address();
            let request = NodeRequest::new(name.parse().expect("a name"), vec![host.to_string()]);
            let issued = self.credentials.authority.issue(&request).expect("a certificate");
            issued.write(&directory.join("cert.pem"), &directory.join("key.pem")).expect("written");
            let zone = (*zone).to_owned();
            self.nodes.push(Node { name, zone, host, directory, process: None, paused: false });
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.credentials.directory.path().join(name)
    }

    /// PEM of the authority.
    pub(crate) fn ca_pem(&self) -> Vec<u8> {
        self.credentials.authority.issued().certificate_pem.clone().into_bytes()
    }

    /// The secret of a role.
    pub(crate) fn token(&self, role: Role) -> &str {
        let found = self.credentials.tokens.iter().find(|(each, _)| *each == role);
        found.expect("every role has one").1.secret_text()
    }

    /// The flags a node is started with.
    pub(crate) fn flags(&self, index: usize) -> Vec<String> {
        let node = &self.nodes[index];
        let file = |name: &str| node.directory.join(name).display().to_string();
        let shared = |name: &str| self.path(name).display().to_string();
        let mut flags: Vec<String> = [
            ("--name", node.name.clone()),
            ("--zone", node.zone.clone()),
            ("--data-dir", file("data")),
            ("--listen-api", node.address(8080)),
            ("--listen-peer", node.address(7946)),
            ("--listen-gossip", node.address(7947)),
            ("--ca-file", shared("ca.pem")),
            ("--cert-file", file("cert.pem")),
            ("--key-file", file("key.pem")),
            ("--gossip-key-file", shared("keyring")),
            ("--tokens-file", shared("tokens")),
            ("--replicas", self.nodes.len().min(3).to_string()),
            ("--worker-threads", "2".to_owned()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect();
        for (_, other) in self.nodes.iter().enumerate().filter(|(other, _)| *other != index) {
            flags.extend(["--join".to_owned(), other.address(7946)]);
        }
        flags.extend(self.extra_flags.iter().cloned());
        flags
    }

    /// Starts a node that is not running; does not wait.
    pub(crate) fn start_node(&mut self, index: usize) {
        let flags = self.flags(index);
        let node = &mut self.nodes[index];
        assert!(node.process.is_none(), "{} runs already", node.name);
        node.process = Some(Process::start(&flags, &node.log()));
    }

    /// Starts every node that is not running; does not wait.
    pub(crate) fn start_all(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].process.is_none() {
                self.start_node(index);
            }
        }
    }

    /// `kill -9`; nothing happens if it does not run.
    pub(crate) fn kill(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.paused = false;
        if let Some(process) = node.process.take() {
            process.kill();
        }
    }

    /// `kill -9` of all at once: every signal is sent before the first process is waited for.
    pub(crate) fn kill_all(&mut self) {
        for process in self.nodes.iter().filter_map(|node| node.process.as_ref()) {
            process.signal(Signal::SIGKILL);
        }
        for index in 0..self.nodes.len() {
            self.kill(index);
        }
    }

    /// SIGSTOP: it holds its ports and connections and does nothing.
    pub(crate) fn pause(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if let Some(process) = &node.process {
            process.signal(Signal::SIGSTOP);
            node.paused = true;
        }
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if let Some(process) = node.process.as_ref().filter(|_| node.paused) {
            process.signal(Signal::SIGCONT);
        }
        node.paused = false;
    }

    /// Resumes what is paused and starts what is dead; does not wait.
    pub(crate) fn heal(&mut self) {
        for index in 0..self.nodes.len() {
            self.resume(index);
        }
        self.start_all();
    }

    /// A client of one node alone, with the admin token: its errors are that node's.
    pub(crate) fn client(&self, index: usize) -> Client {
        self.client_as(index, Role::Admin)
    }

    /// A client of one node alone, with a role's token.
    pub(crate) fn client_as(&self, index: usize, role: Role) -> Client {
        let endpoint = format!("https://{}", self.nodes[index].address(8080));
        let mut config = Config::new(vec![endpoint], self.ca_pem(), Some(self.token(role).to_owned()));
        config.timeout = Duration::from_secs(4);
        Client::new(&config).expect("a valid config")
    }

    /// Forms the ring of all nodes, as soon as they see each other.
    pub(crate) async fn bootstrap(&self) {
        let names: Vec<String> = self.nodes.iter().map(|node| node.name.clone()).collect();
        let replicas = u8::try_from(names.len().min(3)).expect("few");
        let request = BootstrapRequest { nodes: names, replicas, partitions: 256 };
        let client = self.client(0);
        eventually("the bootstrap", PATIENCE, async || client.bootstrap(&request).await.map_err(|e| e.to_string()))
            .await;
    }

    /// Waits until every running node is ready and sees all nodes alive.
    pub(crate) async fn settled(&self) {
        for index in self.running() {
            let client = self.client(index);
            let expected = self.nodes.len();
            eventually(&format!("{} to be ready and see all", self.nodes[index].name), PATIENCE, async || {
                let probe = client.readyz().await.map_err(|error| error.to_string())?;
                let nodes = client.nodes().await.map_err(|error| error.to_string())?;
                let alive = nodes.iter().filter(|node| node.state == NodeState::Alive).count();
                if probe.ok && alive == expected { Ok(()) } else { Err(format!("{alive} alive; {}", probe.text)) }
            })
            .await;
        }
    }

    /// Indexes of the nodes whose process runs and is not paused.
    pub(crate) fn running(&self) -> Vec<usize> {
        let runs = |index: &usize| self.nodes[*index].process.is_some() && !self.nodes[*index].paused;
        (0..self.nodes.len()).filter(runs).collect()
    }

    /// The folder of everything.
    pub(crate) fn directory(&self) -> &Path {
        self.credentials.directory.path()
    }

    /// How node `by` sees the node called `name`; none if it does not list it or does not answer.
    pub(crate) async fn state_seen(&self, by: usize, name: &str) -> Option<NodeState> {
        let nodes = self.client(by).nodes().await.ok()?;
        nodes.iter().find(|node| node.name == name).map(|node| node.state)
    }
}

fn write_shared(credentials: &Credentials) {
    let path = |name: &str| credentials.directory.path().join(name);
    let lines = credentials.tokens.iter().map(|(role, token)| {
        let entry = Entry { role: *role, name: format!("test-{role}"), hash: token.hash() };
        format!("{entry}\n")
    });
    write_private(&path("tokens"), lines.collect::<String>().as_bytes()).expect("written");
    let key: [u8; 32] = rand::random();
    write_private(&path("keyring"), format!("{}\n", STANDARD.encode(key)).as_bytes()).expect("written");
    std::fs::write(path("ca.pem"), &credentials.authority.issued().certificate_pem).expect("written");
}

fn next_address() -> Ipv4Addr {
    let number = ADDRESSED.fetch_add(1, Ordering::Relaxed);
    assert!(number < 250, "one test process addresses at most 250 nodes");
    let process = std::process::id();
    // 50 000 networks: two test processes at a time share one with a chance of 1 in 50 000.
    let second = u8::try_from(process % 200 + 20).expect("below 220");
    let third = u8::try_from(process / 200 % 250 + 1).expect("below 251");
    Ipv4Addr::new(127, second, third, number)
}

/// Tries again every 50 ms until it succeeds; fails the test with the last reason when `limit` has passed.
/// Returns what it took.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, String>,
) -> (T, Duration) {
    let start: Instant = clock::monotonic_now();
    loop {
        let reason = match attempt().await {
            Ok(done) => return (done, start.elapsed()),
            Err(reason) => reason,
        };
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}: {reason}");
        clock::sleep(Duration::from_millis(50)).await;
    }
}
