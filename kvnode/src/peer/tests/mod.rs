//! Pools and servers against each other over real sockets on loopback, with real certificates.
//!
//! Times are bounds far from what is expected (a busy machine must not fail a test); what is asserted is which of
//! two outcomes came first.

mod calls;
mod connections;
mod strangers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};

use super::client::{Limits, PeerAddress, PeerPool};
use super::greeting::{self, GreetingError, LocalIdentity};
use super::server::PeerServer;
use super::tls::{PeerTls, Pem};
use super::wire::Purpose;
use super::{CallError, Class, PeerIdentity, PeerReply, PeerRequest, PeerService, Responder};
use crate::certificates::{Authority, DEFAULT_AUTHORITY_VALIDITY, NodeRequest};
use crate::protocol::id::{ClusterId, NodeId, NodeName};
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn soon() -> Instant {
    clock::monotonic_now() + LONG
}

fn name(text: &str) -> NodeName {
    text.parse().expect("valid name")
}

/// An authority and the certificates it hands out.
struct Zone {
    authority: Authority,
}

impl Zone {
    fn new() -> Self {
        Self { authority: Authority::create("test", DEFAULT_AUTHORITY_VALIDITY).expect("made") }
    }

    fn tls(&self, node: &str) -> Arc<PeerTls> {
        let issued = self.authority.issue(&NodeRequest::new(name(node), vec![])).expect("issued");
        let pem = Pem {
            authority: self.authority.issued().certificate_pem.clone().into_bytes(),
            certificate: issued.certificate_pem.into_bytes(),
            key: issued.key_pem.into_bytes(),
        };
        Arc::new(PeerTls::new(&name(node), &pem).expect("good certificates"))
    }
}

fn local(node: &str, id: u128, cluster: Option<u128>) -> Arc<LocalIdentity> {
    let identity = PeerIdentity { name: name(node), id: NodeId::from_bits(id) };
    Arc::new(LocalIdentity::new(identity, cluster.map(ClusterId::from_bits)))
}

/// Echoes gossip exchanges; keeps all other requests until the test answers them.
#[derive(Clone, Default)]
struct Service {
    held: Arc<Mutex<Vec<(PeerRequest, Responder)>>>,
}

impl PeerService for Service {
    fn handle(&self, _from: &PeerIdentity, request: PeerRequest, _deadline: Instant, respond: Responder) {
        match request {
            PeerRequest::GossipExchange(body) => respond(PeerReply::GossipExchange(body)),
            other => self.held.lock().push((other, respond)),
        }
    }
}

/// A serving node that can be killed and started again at its address.
struct Node {
    tls: Arc<PeerTls>,
    local: Arc<LocalIdentity>,
    service: Service,
    server: PeerServer<Service>,
    tasks: Tasks,
    address: SocketAddr,
}

impl Node {
    async fn start(tls: Arc<PeerTls>, local: Arc<LocalIdentity>) -> Self {
        Self::start_at(tls, local, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    async fn start_at(tls: Arc<PeerTls>, local: Arc<LocalIdentity>, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (service, tasks) = (Service::default(), Tasks::new());
        let server = PeerServer::new(Arc::clone(&tls), Arc::clone(&local), service.clone(), tasks.clone());
        tasks.spawn("test server", server.clone().serve(listener));
        Self { tls, local, service, server, tasks, address }
    }

    async fn kill(self) -> (Arc<PeerTls>, Arc<LocalIdentity>, SocketAddr) {
        assert_eq!(self.tasks.shutdown(soon()).await, 0);
        (self.tls, self.local, self.address)
    }

    fn peer_address(&self) -> PeerAddress {
        let identity = self.local.identity();
        PeerAddress { id: identity.id, name: identity.name.clone(), address: self.address.to_string() }
    }

    fn id(&self) -> NodeId {
        self.local.identity().id
    }
}

/// A pool for node `b` with id 2, of no cluster.
fn pool(zone: &Zone, limits: Limits) -> PeerPool {
    PeerPool::new(zone.tls("b"), local("b", 2, None), Tasks::new(), limits)
}

/// Node `a` with id 1, and a pool that is connected to it.
async fn connected(limits: Limits) -> (Zone, Node, PeerPool) {
    let zone = Zone::new();
    let node = Node::start(zone.tls("a"), local("a", 1, None)).await;
    let pool = pool(&zone, limits);
    pool.set_peers(vec![node.peer_address()]);
    eventually("connected", || pool.is_connected(node.id())).await;
    (zone, node, pool)
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = soon();
    while !condition() {
        assert!(clock::monotonic_now() < deadline, "not in time: {what}");
        clock::sleep(Duration::from_millis(2)).await;
    }
}

fn echo(text: impl Into<Bytes>) -> PeerRequest {
    PeerRequest::GossipExchange(text.into())
}

async fn ask(pool: &PeerPool, target: NodeId, request: &PeerRequest) -> Result<PeerReply, CallError> {
    pool.request(target, request, Class::Client, soon()).await
}

/// A connection without a pool: TLS stands and greetings are exchanged, the rest is the test's.
async fn raw(
    tls: &PeerTls,
    local: &LocalIdentity,
    address: SocketAddr,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, GreetingError> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("unchecked.invalid").expect("a DNS name");
    let mut stream = tokio_rustls::TlsConnector::from(tls.dial_unnamed()).connect(name, tcp).await?;
    let certificate = stream.get_ref().1.peer_certificates().expect("shown")[0].clone();
    greeting::greet(&mut stream, local, Purpose::Clients, &certificate).await?;
    Ok(stream)
}
