//! The parts of a start: each turns configuration into one running thing.
//!
//! In which order they run, and how they end, is decided in `server`.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::Error;
use crate::api::{connection, limits};
use crate::config::{Config, StorageEngine};
use crate::credentials::Loaded;
use crate::gossip::keyring::Keyring;
use crate::metrics::Metrics;
use crate::node::gossip::{self, GossipHandle};
use crate::node::identity::{self, Kept};
use crate::node::node::{Node, Parts};
use crate::peer::client::{self, PeerEvent, PeerPool};
use crate::peer::greeting::LocalIdentity;
use crate::peer::server::PeerServer;
use crate::peer::tls::PeerTls;
use crate::peer::{PeerReply, PeerRequest};
use crate::protocol::membership::member::{Addresses, Facts, Incarnation, Member};
use crate::protocol::membership::{self, Contact, Remembered};
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;
use crate::storage::{self, Storage};

/// Document with what gossip keeps across restarts.
const GOSSIP_DOCUMENT: &str = "gossip";
/// How long one exchange of full state may take.
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(3);

/// The three sockets, bound before anyone hears of this node.
pub(super) struct Listeners {
    pub(super) api: TcpListener,
    pub(super) peer: TcpListener,
    pub(super) gossip: UdpSocket,
}

impl Listeners {
    pub(super) fn bind(config: &Config) -> Result<Self, Error> {
        let addresses = &config.addresses;
        let listen = |purpose, flag, address| move |source| Error::Listen { purpose, flag, address, source };
        let (api, peer, gossip) = (addresses.listen_api, addresses.listen_peer, addresses.listen_gossip);
        Ok(Self {
            api: connection::bind(api).map_err(listen("the API", "api", api))?,
            peer: connection::bind(peer).map_err(listen("peers", "peer", peer))?,
            gossip: UdpSocket::bind(gossip).map_err(listen("gossip", "gossip", gossip))?,
        })
    }
}

/// What the store is told.
pub(super) fn storage_config(config: &Config, failed: watch::Sender<Option<String>>) -> storage::Config {
    let settings = &config.storage;
    storage::Config {
        engine: match settings.engine {
            StorageEngine::Sled => storage::Engine::Sled,
            StorageEngine::Memory => storage::Engine::Memory(storage::memory::MemoryStore::new()),
        },
        cache_bytes: settings.cache_bytes,
        free_floor_percent: settings.disk_floor_percent,
        hint_bytes_per_target: settings.hint_bytes,
        hint_age: settings.hint_age,
        on_failure: Arc::new(move |reason: &str| drop(failed.send_replace(Some(reason.to_owned())))),
        ..storage::Config::new(&config.data_dir)
    }
}

/// TLS for clients.
pub(super) fn api_tls(loaded: &Loaded) -> Result<rustls::ServerConfig, Error> {
    let unusable = |what: &str| Error::ApiCertificate(rustls::Error::General(format!("no {what} in the PEM file")));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&loaded.pem.certificate).collect();
    let chain = chain.map_err(|_| unusable("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&loaded.pem.key).map_err(|_| unusable("private key"))?;
    connection::tls_config(chain, key).map_err(Error::ApiCertificate)
}

/// What the API is told.
pub(super) fn api_limits(config: &Config) -> limits::Limits {
    limits::Limits {
        max_value_bytes: config.limits.max_value_bytes,
        max_connections: config.limits.max_connections,
        max_operations: config.limits.max_in_flight,
        drain_timeout: config.drain_timeout,
        ..limits::Limits::default()
    }
}

/// What a node is started with.
pub(super) struct NodeStart<'a> {
    pub(super) config: &'a Config,
    pub(super) kept: Kept,
    pub(super) storage: Storage,
    pub(super) loaded: &'a Loaded,
    pub(super) tls: &'a Arc<PeerTls>,
    pub(super) local: &'a Arc<LocalIdentity>,
    pub(super) socket: UdpSocket,
    pub(super) tasks: &'a Tasks,
}

/// Starts gossip and the node over it.
pub(super) fn node(start: NodeStart<'_>) -> Result<(Node, GossipHandle), Error> {
    let tasks = start.tasks.clone();
    let peers = PeerPool::new(Arc::clone(start.tls), Arc::clone(start.local), tasks.clone(), client::Limits::default());
    let gossip = start_gossip(&start, &peers)?;
    let told = gossip.clone();
    peers.on_state_change(Arc::new(move |event| on_peer_event(&told, event)));
    let node = Node::start(Parts {
        id: start.kept.node,
        name: start.config.name.clone(),
        zone: start.config.zone.clone(),
        writer: start.kept.writer,
        storage: start.storage,
        peers,
        local: Arc::clone(start.local),
        gossip: gossip.clone(),
        metrics: Metrics::new(),
        tasks,
    })?;
    Ok((node, gossip))
}

/// A broken data connection is the earliest sign of a dead peer: gossip probes it at once.
fn on_peer_event(gossip: &GossipHandle, event: PeerEvent) {
    match event {
        PeerEvent::Connected(node) => gossip.evidence(node),
        PeerEvent::Lost(node) => gossip.connection_lost(node),
        PeerEvent::Replaced { expected, found } => tracing::warn!(
            name = %found.name, %expected, found = %found.id,
            "a node answers under a known name with another id: its data folder was lost or replaced"
        ),
    }
}

fn start_gossip(start: &NodeStart<'_>, peers: &PeerPool) -> Result<GossipHandle, Error> {
    let config = start.config;
    let keyring = Keyring::parse(&start.loaded.gossip_keys).map_err(|error| Error::Keyring {
        path: start.loaded.files.credentials.gossip_key_file.clone(),
        problem: error.to_string(),
    })?;
    let setup = gossip::Setup {
        config: membership::config::Config::default(),
        local: local_member(config, start.kept)?,
        remembered: remembered(&start.storage)?,
        seeds: config.join.iter().filter_map(|text| Contact::new(text)).collect(),
        keyring,
        socket: tokio_socket(start.socket.try_clone(), config)?,
        exchange: exchange_over(peers.clone()),
        remember: remember_in(start.storage.clone()),
    };
    gossip::Gossip::start(setup, start.tasks).map_err(Error::Gossip)
}

fn tokio_socket(socket: std::io::Result<UdpSocket>, config: &Config) -> Result<tokio::net::UdpSocket, Error> {
    let address = config.addresses.listen_gossip;
    let failed = |source| Error::Listen { purpose: "gossip", flag: "gossip", address, source };
    let socket = socket.map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    tokio::net::UdpSocket::from_std(socket).map_err(failed)
}

fn local_member(config: &Config, kept: Kept) -> Result<Member, Error> {
    let addresses = &config.addresses;
    Ok(Member {
        id: kept.node,
        name: config.name.clone(),
        zone: config.zone.clone(),
        addresses: Addresses {
            api: addresses.advertise_api,
            peer: addresses.advertise_peer,
            gossip: addresses.advertise_gossip,
        },
        incarnation: Incarnation::default(),
        release: env!("CARGO_PKG_VERSION").parse().map_err(Error::Release)?,
        facts: Facts::default(),
        load: 0,
    })
}

/// What gossip kept; damage costs nothing but a slower start.
fn remembered(storage: &Storage) -> Result<Option<Remembered>, identity::Error> {
    Ok(storage.document(GOSSIP_DOCUMENT)?.and_then(|bytes| Remembered::from_bytes(&bytes).ok()))
}

fn remember_in(storage: Storage) -> gossip::Remember {
    Box::new(move |remembered| {
        // Losing it is safe, so nobody waits for it.
        storage.put_document(GOSSIP_DOCUMENT, remembered.to_bytes().into(), |_| {});
    })
}

fn exchange_over(peers: PeerPool) -> gossip::ExchangeWith {
    Box::new(move |contact, bytes| {
        let peers = peers.clone();
        Box::pin(async move {
            let deadline = clock::monotonic_now() + EXCHANGE_DEADLINE;
            let request = PeerRequest::GossipExchange(bytes);
            match peers.request_address(contact.as_str(), &request, deadline).await {
                Ok((_, PeerReply::GossipExchange(answer))) => Some(answer),
                Ok(_) => None,
                Err(error) => {
                    tracing::debug!(contact = contact.as_str(), %error, "gossip exchange failed");
                    None
                }
            }
        })
    })
}

/// Serves peers: `serving` accepts, and what was accepted lives as long as `core`, because this node answers as a replica
/// until its own clients' requests are done and the members know that it goes.
pub(super) fn peer_server(
    node: &Node,
    tls: &Arc<PeerTls>,
    local: &Arc<LocalIdentity>,
    listener: TcpListener,
    serving: &Tasks,
    core: &Tasks,
) {
    let server = PeerServer::new(Arc::clone(tls), Arc::clone(local), node.clone(), core.clone());
    serving.spawn("peer accept", server.serve(listener));
}
