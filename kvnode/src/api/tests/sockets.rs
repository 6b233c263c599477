//! The API over real TLS sockets: limits of connections, and the typed client against it.
//!
//! Nothing here sleeps to wait for an effect: each test awaits the close or the answer itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::fake::FakeNode;
use super::{api, token};
use crate::api::connection;
use crate::api::limits::Limits;
use crate::api::tokens::Role;
use crate::api::types::{BatchOperation, BatchRequest, BootstrapRequest, Outcome};
use crate::client::{Client, Config, Error, ListQuery, Options, PutOptions};
use crate::node::operation::FailureKind;
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

/// A served API; stopped when dropped with its runtime.
struct Served {
    address: SocketAddr,
    ca_pem: String,
    tasks: Tasks,
    node: FakeNode,
}

fn serve(limits: Limits) -> Served {
    let node = FakeNode::default();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let tls = connection::tls_config(vec![made.cert.der().clone()], key).expect("they fit");
    let listener = connection::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let tasks = Tasks::new();
    connection::serve(listener, Arc::new(ArcSwap::from_pointee(tls)), api(&node, limits), &tasks);
    Served { address, ca_pem: made.cert.pem(), tasks, node }
}

impl Served {
    async fn connect(&self, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        let pem = rustls::pki_types::pem::PemObject::from_pem_slice(self.ca_pem.as_bytes());
        let certificate: CertificateDer<'static> = pem.expect("PEM");
        roots.add(certificate).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    fn client(&self, role: Role) -> Client {
        let endpoints = vec![format!("https://{}", self.address)];
        Client::new(&Config::new(endpoints, self.ca_pem.clone().into_bytes(), Some(token(role)))).expect("a client")
    }
}

/// Limits that look at connections often, so that tests need not wait.
fn quick() -> Limits {
    Limits { watch_interval: Duration::from_millis(20), ..Limits::default() }
}

/// All bytes until the other side closes; none if it does not within 10 s.
async fn read_to_close(stream: &mut TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let deadline = clock::monotonic_now() + Duration::from_secs(10);
    // A close without a TLS goodbye is an error of reading, and a close all the same.
    clock::until(deadline, stream.read_to_end(&mut bytes)).await.map(|_| bytes)
}

async fn read_answer(stream: &mut TlsStream<TcpStream>) -> String {
    let mut buffer = vec![0; 64 * 1024];
    let length = stream.read(&mut buffer).await.expect("an answer");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_slow_head_is_closed_and_others_are_served() {
    let served = serve(quick());
    let mut slow = served.connect(&["http/1.1"]).await.expect("connected");
    slow.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-drip: ").await.expect("written");
    assert_eq!(read_to_close(&mut slow).await.as_deref(), Some(&b""[..]));
    let mut after = served.connect(&["http/1.1"]).await.expect("connected");
    after.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    assert!(read_answer(&mut after).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn an_idle_connection_ends() {
    for protocol in ["http/1.1", "h2"] {
        let served = serve(Limits { watch_interval: Duration::from_millis(5), ..Limits::default() });
        let mut idle = served.connect(&[protocol]).await.expect("connected");
        assert!(read_to_close(&mut idle).await.is_some(), "{protocol}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let served = serve(Limits { max_connections: 2, ..Limits::default() });
    let first = served.connect(&["http/1.1"]).await.expect("connected");
    let mut second = served.connect(&["http/1.1"]).await.expect("connected");
    assert!(served.connect(&["http/1.1"]).await.is_err());
    second.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("written");
    assert!(read_to_close(&mut second).await.is_some_and(|bytes| bytes.starts_with(b"HTTP/1.1 200 OK")));
    drop((first, second));
    // The places are free again once the server has seen the closes.
    while served.connect(&["http/1.1"]).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn garbage_and_long_heads_are_refused() {
    async fn check(sent: &[u8], expected: &str) {
        let served = serve(quick());
        let mut stream = served.connect(&["http/1.1"]).await.expect("connected");
        stream.write_all(sent).await.expect("written");
        let answer = read_to_close(&mut stream).await.expect("closed");
        let status = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        assert_eq!(status, expected);
    }
    check(b"\x16\x03garbage\r\n\r\n", "HTTP/1.1 400 Bad Request").await;
    let long = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    check(long.as_bytes(), "HTTP/1.1 431 Request Header Fields Too Large").await;
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(65));
    check(many.as_bytes(), "HTTP/1.1 431 Request Header Fields Too Large").await;
}

#[tokio::test]
async fn a_head_request_has_the_length_and_no_body() {
    let served = serve(Limits::default());
    let mut stream = served.connect(&["http/1.1"]).await.expect("connected");
    stream.write_all(b"HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    let answer = read_answer(&mut stream).await;
    assert!(answer.contains("content-length: 2\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_it_is_sent() {
    let served = serve(Limits::default());
    let mut stream = served.connect(&["http/1.1"]).await.expect("connected");
    let head = format!(
        "PUT /v1/kv/a HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1048577\r\n\r\n",
        token(Role::Write)
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 413 Payload Too Large"));
}

#[tokio::test]
async fn a_stop_lets_connections_finish() {
    let served = serve(Limits::default());
    let mut idle = served.connect(&["http/1.1"]).await.expect("connected");
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    read_answer(&mut idle).await;
    assert_eq!(served.tasks.shutdown(clock::monotonic_now() + Duration::from_secs(5)).await, 0);
    assert_eq!(read_to_close(&mut idle).await.as_deref(), Some(&b""[..]));
    assert!(served.connect(&["http/1.1"]).await.is_err());
}

#[tokio::test]
async fn the_client_speaks_the_whole_api() {
    let served = serve(Limits::default());
    let client = served.client(Role::Admin);
    let key = b"a/../\0\xff ?&%";
    let created = client.put(key, Bytes::from_static(b"v1"), &PutOptions::default()).await.expect("put");
    assert_eq!((created.created, created.replicas_acked, created.zones_acked, created.epoch), (true, 2, 2, 7));
    let put =
        PutOptions { content_type: Some("t/x".to_owned()), ttl: Some(Duration::from_secs(5)), ..PutOptions::default() };
    assert!(!client.put(key, Bytes::from_static(b"v2"), &put).await.expect("put").created);
    let found = client.get(key, Options::default()).await.expect("get").expect("found");
    assert_eq!((&*found.value, found.content_type.as_deref(), &*found.etag), (&b"v2"[..], Some("t/x"), "\"2-a-0\""));
    let page =
        client.list(&ListQuery { prefix: b"a/".to_vec(), values: true, ..ListQuery::default() }).await.expect("list");
    assert_eq!(page.items.len(), 1);
    client.delete(key, Options::default()).await.expect("delete");
    assert_eq!(client.get(key, Options::default()).await.expect("get"), None);
    assert!(matches!(client.get(b"..", Options::default()).await, Err(Error::KeyNotSendable)));

    let batch = BatchRequest { operations: vec![BatchOperation::Get { key: "..".to_owned() }] };
    assert_eq!(client.batch(&batch, Options::default()).await.expect("batch").results[0].status, 404);
    assert_eq!(client.cluster().await.expect("cluster").this_node.pid, 42);
    assert_eq!(client.ring().await.expect("ring").partitions, 2);
    assert_eq!(client.nodes().await.expect("nodes").len(), 3);
    assert_eq!(client.partitions().await.expect("partitions").quorum, 2);
    assert_eq!(client.explain(b"a", Options::default()).await.expect("explain").partition, 113);
    assert_eq!(client.version().await.expect("version").name, "kvnode");
    assert!(client.livez().await.expect("livez").ok && client.metrics().await.expect("metrics").contains("kvnode_"));
    assert!(client.set_draining(true).await.expect("drain").draining);
    let ready = client.readyz().await.expect("readyz");
    assert!(!ready.ok && ready.text.contains("[-]draining"), "{}", ready.text);
    let act = BootstrapRequest { nodes: ["a", "b", "c"].map(str::to_owned).to_vec(), replicas: 3, partitions: 256 };
    assert_eq!(client.bootstrap(&act).await.expect("bootstrap").epoch, 1);
}

#[tokio::test]
async fn the_client_goes_on_where_nothing_was_applied() {
    let (first, second) = (serve(Limits::default()), serve(Limits::default()));
    let dead = connection::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let refused = dead.local_addr().expect("bound");
    drop(dead);
    let endpoints = [refused, first.address, second.address].map(|address| format!("https://{address}"));
    let ca_pem = format!("{}{}", first.ca_pem, second.ca_pem).into_bytes();
    let client = Client::new(&Config::new(endpoints.to_vec(), ca_pem, Some(token(Role::Admin)))).expect("a client");
    let options = PutOptions::default();
    let put = || client.put(b"k", Bytes::from_static(b"v"), &options);

    assert!(put().await.expect("the first that lives").created);
    assert!(first.node.state.lock().last_consistency == "quorum");
    first.node.state.lock().failure = Some((FailureKind::QuorumUnavailable, false));
    assert!(put().await.expect("the second node").created);
    second.node.state.lock().failure = Some((FailureKind::Deadline, true));
    let unknown = put().await.expect_err("not repeated");
    assert_eq!(unknown.outcome(), Outcome::Unknown);
    assert_eq!(unknown.problem().map(|problem| problem.status), Some(504));
    first.node.state.lock().failure = None;
    assert!(client.get(b"k", Options::default()).await.expect("a read is repeated").is_some());

    let alone = client.each_endpoint();
    assert!(matches!(alone[0].version().await, Err(Error::Unreachable { attempts }) if attempts.len() == 1));
    assert!(alone[2].version().await.is_ok());
}
