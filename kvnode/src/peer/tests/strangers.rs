//! Whoever does not belong here: other authorities, other clusters, other names, other protocols.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::peer::client::PeerEvent;

/// What a dialer with this certificate, name, id and cluster gets from node `a` (id 1, cluster 7).
async fn check_refused(tls: &PeerTls, dialer: &LocalIdentity, node: &Node) -> String {
    match raw(tls, dialer, node.address).await {
        Ok(_) => "accepted".to_owned(),
        Err(GreetingError::Io { .. }) => "closed".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn each_stranger_is_refused_for_its_own_reason() {
    let (zone, foreign) = (Zone::new(), Zone::new());
    let node = Node::start(zone.tls("a"), local("a", 1, Some(7))).await;
    let (b, a) = (zone.tls("b"), zone.tls("a"));
    insta::assert_snapshot!(check_refused(&b, &local("b", 2, Some(7)), &node).await, @"accepted");
    insta::assert_snapshot!(check_refused(&b, &local("b", 2, None), &node).await, @"accepted");
    insta::assert_snapshot!(check_refused(&b, &local("b", 2, Some(8)), &node).await, @"refused by the other node: it is in cluster 00000000000000000000000000000007");
    insta::assert_snapshot!(check_refused(&b, &local("c", 2, Some(7)), &node).await, @"refused by the other node: the certificate does not prove the name");
    insta::assert_snapshot!(check_refused(&b, &local("b", 1, Some(7)), &node).await, @"refused by the other node: it has the same node id: the same node, or a copied data folder");
    insta::assert_snapshot!(check_refused(&a, &local("a", 2, Some(7)), &node).await, @"refused by the other node: it has the same name and is another node (00000000000000000000000000000001)");
    eventually("counted", || node.server.statistics().refused == 4).await;
    // A dialer of another authority refuses the server before the server could refuse it.
    insta::assert_snapshot!(check_refused(&foreign.tls("b"), &local("b", 2, Some(7)), &node).await, @"closed");
}

#[tokio::test]
async fn a_client_certificate_of_another_authority_is_refused() {
    let (zone, foreign) = (Zone::new(), Zone::new());
    let node = Node::start(zone.tls("a"), local("a", 1, None)).await;
    // Trusts the cluster's authority, and has a certificate of another: all of its own checks pass.
    let issued = foreign.authority.issue(&NodeRequest::new(name("b"), vec![])).expect("issued");
    let key = rustls_pki_types::pem::PemObject::from_pem_slice(issued.key_pem.as_bytes()).expect("a key");
    let pem = |text: &str| -> rustls_pki_types::CertificateDer<'static> {
        rustls_pki_types::pem::PemObject::from_pem_slice(text.as_bytes()).expect("a certificate")
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pem(&zone.authority.issued().certificate_pem)).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![pem(&issued.certificate_pem)], key)
        .expect("usable");
    let tcp = TcpStream::connect(node.address).await.expect("connected");
    let name = ServerName::try_from("a.kvnode.internal").expect("a DNS name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, tcp).await.expect("in TLS 1.3 the client is done first");
    let error = stream.read_u8().await.expect_err("refused");
    assert!(error.to_string().contains("received fatal alert: UnknownCA"), "{error}");
    eventually("counted", || node.server.statistics().refused == 1).await;
}

#[tokio::test]
async fn a_pool_connects_only_to_the_node_it_means() {
    let zone = Zone::new();
    let node = Node::start(zone.tls("a"), local("a", 1, Some(7))).await;
    let pool = PeerPool::new(zone.tls("b"), local("b", 2, Some(7)), Tasks::new(), Limits::default());
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    pool.on_state_change(Arc::new(move |event| sink.lock().push(event)));

    let wrong_name = PeerAddress { name: name("c"), ..node.peer_address() };
    pool.set_peers(vec![wrong_name]);
    eventually("refused", || node.server.statistics().refused >= 2).await;
    assert!(!pool.is_connected(node.id()) && events.lock().is_empty());

    let expected = NodeId::from_bits(5);
    pool.set_peers(vec![PeerAddress { id: expected, ..node.peer_address() }]);
    eventually("reported", || !events.lock().is_empty()).await;
    assert_eq!(events.lock()[0], PeerEvent::Replaced { expected, found: node.local.identity().clone() });
    assert!(!pool.is_connected(expected));
}

#[tokio::test]
async fn a_cluster_set_later_counts_from_then_on() {
    let (zone, node, pool) = connected(Limits::default()).await;
    node.local.set_cluster(ClusterId::from_bits(7));
    assert_eq!(ask(&pool, node.id(), &echo("kept")).await, Ok(PeerReply::GossipExchange("kept".into())));
    insta::assert_snapshot!(check_refused(&zone.tls("c"), &local("c", 3, Some(8)), &node).await, @"refused by the other node: it is in cluster 00000000000000000000000000000007");
}

/// Sends bytes after a proper greeting (or instead of TLS) and returns once the server has hung up.
async fn check_hung_up(bytes: &[u8], proven: Option<(&Zone, &str)>, node: &Node) {
    let mut rest = Vec::new();
    match proven {
        None => {
            let mut tcp = TcpStream::connect(node.address).await.expect("connected");
            tcp.write_all(bytes).await.expect("sent");
            drop(clock::until(soon(), tcp.read_to_end(&mut rest)).await.expect("the server hangs up"));
        }
        Some((zone, who)) => {
            let mut stream = raw(&zone.tls(who), &local(who, 3, None), node.address).await.expect("greeted");
            stream.write_all(bytes).await.expect("sent");
            stream.flush().await.expect("sent");
            drop(clock::until(soon(), stream.read_to_end(&mut rest)).await.expect("the server hangs up"));
        }
    }
}

#[tokio::test]
async fn garbage_closes_its_own_connection_and_no_other() {
    let (zone, node, pool) = connected(Limits::default()).await;
    let noise: Vec<u8> = (0..4096u32).map(|n| u8::try_from(n * 7919 % 251).expect("a byte")).collect();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &noise] {
        check_hung_up(bytes, None, &node).await;
    }
    eventually("refused", || node.server.statistics().refused == 2).await;
    // A length of four thousand million; a length that is too small; an unknown kind; a reply nobody asked for.
    let frames: [&[u8]; 4] = [
        &[255, 255, 255, 255, 1, 0, 0, 0],
        &[0, 0, 0, 1, 1],
        &[0, 0, 0, 9, 77, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 8],
    ];
    for bytes in frames.into_iter().chain([&noise[..]]) {
        check_hung_up(bytes, Some((&zone, "c")), &node).await;
    }
    eventually("counted", || node.server.statistics().malformed == 5).await;
    assert_eq!(ask(&pool, node.id(), &echo("x")).await, Ok(PeerReply::GossipExchange("x".into())));
    assert_eq!(pool.statistics()[0].connects, 1);
}
