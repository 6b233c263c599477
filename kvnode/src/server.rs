//! Wires a node together: what is opened in which order, what runs, and how it all ends.
//!
//! Start: store, identity, credentials, listeners, then gossip, node, peer server, API; so that a port that is taken
//! or a file that is wrong is told before anyone hears of this node. Stop: refuse new requests, finish those in
//! flight, say goodbye to the members, finish the writes, flush and close the store. It does not leave the ring:
//! that is an operator's act.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::api::auth::Access;
use crate::api::connection;
use crate::api::service::Api;
use crate::config::{Authentication, Config};
use crate::credentials::{self, Files, Loaded};
use crate::node::gossip::GossipHandle;
use crate::node::identity;
use crate::node::node::Node;
use crate::node::service::{Bootstrap, BootstrapError, NodeService};
use crate::peer::greeting::LocalIdentity;
use crate::peer::tls::PeerTls;
use crate::peer::{PeerIdentity, tls};
use crate::protocol::membership::config::OutOfRange;
use crate::protocol::membership::member::ReleaseError;
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;
use crate::storage;
use crate::storage::Storage;

mod start;

use start::NodeStart;

/// How long the writes in flight and the last goodbye may take after the API is quiet.
const FINISH: Duration = Duration::from_secs(5);
/// How long to wait before the act that forms the first ring is tried again.
const BOOTSTRAP_PAUSE: Duration = Duration::from_millis(500);

/// Why a node did not start or had to stop. The store keeps everything acknowledged in every case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] storage::OpenError),
    /// What identifies the node cannot be read or kept.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// Certificates, keys or tokens.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    /// The certificates do not serve.
    #[error("the node's certificate cannot be used")]
    Certificate(#[from] tls::Error),
    /// The API's TLS.
    #[error("the API cannot use the node's certificate")]
    ApiCertificate(#[source] rustls::Error),
    /// A port.
    #[error("cannot listen on {address} for {purpose}: {source}; another --listen-{flag} avoids it")]
    Listen {
        /// What for.
        purpose: &'static str,
        /// Which flag sets it.
        flag: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The gossip keyring.
    #[error("the gossip keyring {} is not usable: {problem}", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The timing of gossip.
    #[error(transparent)]
    Gossip(OutOfRange),
    /// The version of this program.
    #[error("the version of this program cannot be told to others")]
    Release(#[source] ReleaseError),
    /// The ring in the store.
    #[error(transparent)]
    Ring(#[from] crate::node::adoption::LoadError),
    /// Signal handlers.
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
    /// The store failed while running.
    #[error("the store failed and the node stopped: {reason}")]
    StoreFailed {
        /// In words.
        reason: String,
    },
    /// A defect: a task panicked.
    #[error("the task {task:?} panicked and the node stopped; please report it with the log")]
    Panicked {
        /// Its name.
        task: &'static str,
    },
}

/// Takes what a node on its own tells its user at start.
pub type Announce = fn(&str);

/// Runs a node until it is told to stop.
pub async fn run(config: Config, announce: Announce) -> Result<(), Error> {
    let (store_failed, store_failure) = watch::channel(None);
    let storage = Storage::open(start::storage_config(&config, store_failed))?;
    let result = run_on(&config, announce, storage.clone(), store_failure).await;
    storage.close();
    result
}

async fn run_on(
    config: &Config,
    announce: Announce,
    storage: Storage,
    store_failure: watch::Receiver<Option<String>>,
) -> Result<(), Error> {
    let kept = identity::load(&config.name, &storage)?;
    let loaded = credentials::load(config)?;
    let listeners = start::Listeners::bind(config)?;
    let signals = Signals::watch()?;
    let (serving, core) = (Tasks::new(), Tasks::new());

    let local = PeerIdentity { name: config.name.clone(), id: kept.node };
    let local = Arc::new(LocalIdentity::new(local, None));
    let peer_tls = Arc::new(PeerTls::new(&config.name, &loaded.pem)?);
    let (node, gossip) = start::node(NodeStart {
        config,
        kept,
        storage,
        loaded: &loaded,
        tls: &peer_tls,
        local: &local,
        socket: listeners.gossip,
        tasks: &core,
    })?;
    start::peer_server(&node, &peer_tls, &local, listeners.peer, &serving, &core);

    let metrics = node.metrics();
    let access = match config.authentication {
        Authentication::Off => Access::open(),
        Authentication::Tokens => Access::with_tokens(loaded.tokens.clone(), false),
    };
    let api_tls = Arc::new(ArcSwap::from_pointee(start::api_tls(&loaded)?));
    let api = Api::new(node.clone(), access.clone(), start::api_limits(config), metrics, rand::random());
    connection::serve(listeners.api, Arc::clone(&api_tls), api, &serving);

    core.spawn("first ring", form_ring(node.clone(), config.clone()));
    tracing::info!(
        name = %config.name, zone = %config.zone, id = %kept.node,
        api = %config.addresses.listen_api, peer = %config.addresses.listen_peer,
        gossip = %config.addresses.listen_gossip, "serving"
    );
    if stands_alone(config) {
        announce(&how_to_use(config, &loaded.files));
    }
    let reload = Reload { config: config.clone(), access, peer_tls, api_tls };
    let outcome = wait(signals, &reload, &serving, &core, store_failure).await;
    stop(config, &node, &gossip, &serving, &core).await;
    outcome
}

/// Waits for a reason to stop; SIGHUP reads certificates and tokens again meanwhile.
async fn wait(
    mut signals: Signals,
    reload: &Reload,
    serving: &Tasks,
    core: &Tasks,
    mut store_failure: watch::Receiver<Option<String>>,
) -> Result<(), Error> {
    loop {
        tokio::select! {
            heard = signals.next() => match heard {
                Heard::Stop => return Ok(()),
                Heard::Reload => reload.run(),
            },
            task = serving.failed() => return Err(Error::Panicked { task }),
            task = core.failed() => return Err(Error::Panicked { task }),
            Ok(reason) = store_failure.wait_for(Option::is_some) => {
                return Err(Error::StoreFailed { reason: reason.clone().unwrap_or_default() });
            }
        }
    }
}

/// The order in which everything ends.
async fn stop(config: &Config, node: &Node, gossip: &GossipHandle, serving: &Tasks, core: &Tasks) {
    tracing::info!("stopping: new requests are refused, those in flight are finished");
    node.set_draining(true);
    let left = serving.shutdown(clock::monotonic_now() + config.drain_timeout).await;
    if left > 0 {
        tracing::warn!(connections = left, "the drain time is over; connections were cut");
    }
    gossip.leave().await;
    let left = core.shutdown(clock::monotonic_now() + FINISH).await;
    if left > 0 {
        tracing::warn!(tasks = left, "tasks did not end in time");
    }
    tracing::info!("stopped");
}

/// Whether this node was started alone: no cluster to join and nobody else's certificates.
fn stands_alone(config: &Config) -> bool {
    config.credentials.is_none() && config.join.is_empty()
}

/// Forms the first ring if this node was told to; repeats until it stands.
async fn form_ring(node: Node, config: Config) {
    let nodes = match config.bootstrap.as_slice() {
        [] if stands_alone(&config) => vec![config.name.clone()],
        [] => return,
        named => named.to_vec(),
    };
    let most = u8::try_from(nodes.len()).unwrap_or(u8::MAX);
    let replicas = config.replicas.unwrap_or(3.min(most));
    let act = Bootstrap { nodes, replicas, partitions: config.partitions };
    loop {
        match node.bootstrap(act.clone()).await {
            Ok(formed) => {
                return tracing::info!(cluster = %formed.cluster, epoch = %formed.epoch, already = formed.already, "ring stands");
            }
            Err(error @ (BootstrapError::OtherRing { .. } | BootstrapError::Impossible { .. })) => {
                return tracing::error!(%error, "no ring was formed and none will be");
            }
            Err(error) => tracing::info!(%error, "no ring yet"),
        }
        clock::sleep(BOOTSTRAP_PAUSE).await;
    }
}

/// How to use a node that stands alone.
fn how_to_use(config: &Config, files: &Files) -> String {
    let url = format!("https://{}", config.addresses.advertise_api);
    let ca = files.credentials.ca_file.display();
    let token = match &files.admin_token {
        Some(file) if config.authentication == Authentication::Tokens => {
            format!(" -H \"Authorization: Bearer $(cat '{}')\"", file.display())
        }
        _ => String::new(),
    };
    format!(
        "kvnode {name} serves {url} alone (one copy of each key; kvctl cluster up makes three)\n  \
         put  curl --cacert '{ca}'{token} -X PUT {url}/v1/kv/hello -d world\n  \
         get  curl --cacert '{ca}'{token} {url}/v1/kv/hello\n",
        name = config.name,
    )
}

/// What SIGHUP reads again.
struct Reload {
    config: Config,
    access: Access,
    peer_tls: Arc<PeerTls>,
    api_tls: Arc<ArcSwap<rustls::ServerConfig>>,
}

impl Reload {
    /// All or nothing: what cannot be used leaves everything as it was.
    fn run(&self) {
        let loaded: Loaded = match credentials::load(&self.config) {
            Ok(loaded) => loaded,
            Err(error) => return tracing::error!(%error, "reload refused; the old certificates and tokens stay"),
        };
        let api = match start::api_tls(&loaded) {
            Ok(api) => api,
            Err(error) => return tracing::error!(%error, "reload refused; the old certificates and tokens stay"),
        };
        if let Err(error) = self.peer_tls.reload(&loaded.pem) {
            return tracing::error!(%error, "reload refused; the old certificates and tokens stay");
        }
        self.api_tls.store(Arc::new(api));
        self.access.replace_tokens(loaded.tokens);
        tracing::info!("certificates and tokens read again");
    }
}

/// What a signal asks for.
enum Heard {
    Stop,
    Reload,
}

/// The signals a node heeds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn watch() -> Result<Self, Error> {
        let watch = |kind| signal(kind).map_err(Error::Signals);
        Ok(Self {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            hangup: watch(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Stop,
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.hangup.recv() => Heard::Reload,
        }
    }
}
