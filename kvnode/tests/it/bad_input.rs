//! What strangers send: wrong, too long, too slow, too many. Each gets a clear answer or a clean close; the node
//! keeps its memory bounded and its data.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kvnode::api::tokens::Role;
use kvnode::api::types::Problem;
use kvnode::certificates::{Authority, NodeRequest};
use kvnode::client::{Client, PutOptions};
use kvnode::runtime::clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::cluster::{Cluster, eventually};
use super::workload::options;

/// How much a node may grow through everything in one test here.
const MOST_GROWTH: u64 = 150 * 1024 * 1024;

/// Something that must be there afterwards, on every node.
async fn remember(cluster: &Cluster) {
    cluster.client(0).put(b"remembered", "value".into(), &PutOptions::default()).await.expect("a write");
}

async fn assert_remembered(cluster: &Cluster) {
    for index in 0..cluster.nodes.len() {
        let found = cluster.client(index).get(b"remembered", options()).await.expect("a read");
        assert_eq!(found.expect("a value").value, "value");
    }
}

fn resident(cluster: &Cluster) -> Vec<u64> {
    cluster.nodes.iter().map(|node| node.process.as_ref().expect("it runs").resident_bytes()).collect()
}

fn assert_not_grown(cluster: &Cluster, before: &[u64]) {
    for (node, (before, after)) in cluster.nodes.iter().zip(before.iter().zip(resident(cluster))) {
        assert!(after < before + MOST_GROWTH, "{} grew from {before} to {after} bytes", node.name);
    }
}

/// A plain HTTPS client that sends what it is told.
fn https(cluster: &Cluster) -> reqwest::Client {
    let tls = client_config(&cluster.ca_pem(), None);
    reqwest::Client::builder().tls_backend_preconfigured(tls).http1_only().no_proxy().build().expect("a client")
}

fn client_config(ca_pem: &[u8], own: Option<(&str, &str)>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        roots.add(certificate.expect("PEM")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(chain.expect("PEM"), key).expect("a pair")
        }
    }
}

struct Bad<'a> {
    method: &'a str,
    path: String,
    role: Option<Role>,
    body: usize,
    status: u16,
    says: &'a str,
}

fn bad_requests() -> Vec<Bad<'static>> {
    let long = format!("/v1/kv/{}", "k".repeat(1025));
    let case =
        |method, path: &str, role, body, status, says| Bad { method, path: path.to_owned(), role, body, status, says };
    let admin = Some(Role::Admin);
    vec![
        case("PUT", &long, admin, 1, 400, "1024"),
        case("PUT", "/v1/kv/", admin, 1, 400, "key"),
        case("PUT", "/v1/kv/big", admin, 1024 * 1024 + 1, 413, "1048576"),
        case("GET", "/v1/kv/a%zz", admin, 0, 400, "position"),
        case("GET", "/v1/kv/a%", admin, 0, 400, "position"),
        case("GET", "/v1/kv/a?consistencie=one", admin, 0, 400, "consistencie"),
        case("GET", "/v1/kv/a?timeout=1h", admin, 0, 400, "timeout"),
        case("GET", "/v1/kv/a?timeout=1s&timeout=2s", admin, 0, 400, "timeout"),
        case("PUT", "/v1/kv/a?ttl=-1s", admin, 1, 400, "ttl"),
        case("GET", "/v1/kv?limit=1001", admin, 0, 400, "limit"),
        case("POST", "/v1/kv/a", admin, 0, 405, "POST"),
        case("GET", "/v1/nothing", admin, 0, 404, "leads nowhere"),
        case("GET", "/v1/kv/a", None, 0, 401, "token"),
        case("PUT", "/v1/kv/a", Some(Role::Read), 1, 403, "write"),
        case("DELETE", "/v1/kv/a", Some(Role::Read), 0, 403, "write"),
        case("POST", "/v1/admin/drain", Some(Role::Write), 0, 403, "admin"),
        case("GET", "/v1/kv/a?explain=true", Some(Role::Read), 0, 403, "admin"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_get_a_problem_that_names_the_fault() {
    let cluster = Cluster::start().await;
    remember(&cluster).await;
    let before = resident(&cluster);
    let http = https(&cluster);
    for bad in bad_requests() {
        let url = format!("https://{}{}", cluster.nodes[0].address(8080), bad.path);
        let method = bad.method.parse().expect("a method");
        let mut request = http.request(method, &url).body("v".repeat(bad.body));
        if let Some(role) = bad.role {
            request = request.bearer_auth(cluster.token(role));
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        let what = format!("{} {:.60} as {:?}: {status} {text}", bad.method, bad.path, bad.role);
        assert_eq!(status, bad.status, "{what}");
        let problem: Problem = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(problem.status, status, "{what}");
        let says = format!("{} {} {}", problem.title, problem.detail, problem.hint.unwrap_or_default());
        assert!(says.contains(bad.says), "{:?} is not in {says:?}", bad.says);
    }
    let forged = http.get(format!("https://{}/v1/kv/a", cluster.nodes[0].address(8080))).bearer_auth("kv_admin_x");
    let response = forged.send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 401);
    assert!(response.headers().contains_key("www-authenticate"));
    assert_not_grown(&cluster, &before);
    assert_remembered(&cluster).await;
}

/// Bytes that are no message of ours, in the sizes that parsers trip over.
fn garbage() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        vec![vec![0], vec![0xff; 4], b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 70_000], vec![0; 1400]];
    all.extend([1usize, 3, 16, 64, 1399, 9000].map(|length| (0..length).map(|_| rand::random()).collect()));
    // A TLS record header that promises more than it brings.
    all.push([&[0x16, 0x03, 0x01, 0x40, 0x00][..], &[7; 100]].concat());
    all
}

/// Writes what the node takes and reads until it closes; none if it has not after `limit`.
async fn closed_within(address: &str, bytes: &[u8], limit: Duration) -> Option<()> {
    let deadline = clock::monotonic_now() + limit;
    let mut stream = TcpStream::connect(address).await.expect("the port is open");
    clock::until(deadline, async {
        // A close while we write is as good as one while we read.
        if stream.write_all(bytes).await.is_ok() {
            let mut sink = [0; 4096];
            while matches!(stream.read(&mut sink).await, Ok(length) if length > 0) {}
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_ports_between_nodes_is_dropped() {
    let cluster = Cluster::start().await;
    remember(&cluster).await;
    let before = resident(&cluster);
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    for round in 0..50 {
        for bytes in garbage() {
            let gossip: SocketAddr = cluster.nodes[0].address(7947).parse().expect("an address");
            // Longer than a datagram may be: the system refuses it, which is as well.
            drop(socket.send_to(&bytes, gossip).await);
            if round == 0 {
                let closed = closed_within(&cluster.nodes[0].address(7946), &bytes, Duration::from_secs(8)).await;
                assert!(closed.is_some(), "{} bytes keep a connection open", bytes.len());
            }
        }
    }
    assert_not_grown(&cluster, &before);
    cluster.settled().await;
    assert_remembered(&cluster).await;
}

/// Shows a certificate on the peer port; true if the node goes on talking.
async fn peer_talks(cluster: &Cluster, authority: &Authority, name: &str) -> bool {
    let issued = authority.issue(&NodeRequest::new(name.parse().expect("a name"), Vec::new())).expect("issued");
    let tls = client_config(&cluster.ca_pem(), Some((&issued.certificate_pem, &issued.key_pem)));
    let stream = TcpStream::connect(cluster.nodes[0].address(7946)).await.expect("the port is open");
    let host = ServerName::from(std::net::IpAddr::from(cluster.nodes[0].host));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let Ok(mut stream) = connector.connect(host, stream).await else { return false };
    // In TLS 1.3 the server's verdict on a client certificate comes with the first read.
    drop(stream.write_all(&[0xff; 64]).await);
    let deadline = clock::monotonic_now() + Duration::from_secs(8);
    let mut sink = [0; 256];
    loop {
        match clock::until(deadline, stream.read(&mut sink)).await {
            None => return true,
            Some(Ok(0) | Err(_)) => return false,
            Some(Ok(_)) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_authority_opens_nothing() {
    let cluster = Cluster::start().await;
    remember(&cluster).await;
    let stranger = Authority::create("stranger", Duration::from_secs(3600)).expect("an authority");
    // Refusals are logged at most once a second, and after the connection has ended.
    eventually("the log says why", Duration::from_secs(20), async || {
        assert!(!peer_talks(&cluster, &stranger, "a1").await, "a foreign certificate was let in");
        let log = super::process::tail(&cluster.nodes[0].log());
        if log.to_lowercase().contains("certificate") { Ok(()) } else { Err(log) }
    })
    .await;
    cluster.settled().await;
    assert_remembered(&cluster).await;
}

async fn tls_stream(cluster: &Cluster) -> Option<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(cluster.nodes[0].address(8080)).await.ok()?;
    let host = ServerName::from(std::net::IpAddr::from(cluster.nodes[0].host));
    tokio_rustls::TlsConnector::from(Arc::new(client_config(&cluster.ca_pem(), None))).connect(host, stream).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_head_is_cut_off() {
    let cluster = Cluster::start().await;
    let mut stream = tls_stream(&cluster).await.expect("a connection");
    let start = clock::monotonic_now();
    // One byte a quarter of a second, for ever: the head never ends.
    let mut bytes = b"GET /v1/kv/a HTTP/1.1\r\nHost: a\r\nX-Slow: ".iter().copied().chain(std::iter::repeat(b'a'));
    let closed = loop {
        let byte = bytes.next().expect("endless");
        if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
            break true;
        }
        let mut sink = [0; 512];
        let soon = clock::monotonic_now() + Duration::from_millis(250);
        if let Some(Ok(0) | Err(_)) = clock::until(soon, stream.read(&mut sink)).await {
            break true;
        }
        if start.elapsed() > Duration::from_secs(25) {
            break false;
        }
    };
    assert!(closed, "still open after {:?}", start.elapsed());
    let answer = cluster.client(0).readyz().await.expect("an answer");
    assert!(answer.ok, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_connections_are_borne() {
    let cluster = Cluster::start().await;
    remember(&cluster).await;
    let before = resident(&cluster);
    let mut idle = Vec::new();
    for number in 0..1000 {
        let stream = tls_stream(&cluster).await;
        idle.push(stream.unwrap_or_else(|| panic!("connection {number} was refused")));
    }
    let client: Client = cluster.client(0);
    for number in 0..100 {
        let key = format!("beside-{number}");
        client.put(key.as_bytes(), "v".into(), &PutOptions::default()).await.expect("others are served");
    }
    assert_not_grown(&cluster, &before);
    drop(idle);
    assert_remembered(&cluster).await;
}
