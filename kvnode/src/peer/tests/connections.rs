//! Connections that break, stall and come back.

use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::peer::client::PeerEvent;
use crate::peer::codec;

#[tokio::test]
async fn a_killed_peer_breaks_its_calls_at_once_and_a_nudge_brings_it_back() {
    let (_zone, node, pool) = connected(Limits::default()).await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    pool.on_state_change(Arc::new(move |event| sink.lock().push(event)));
    let id = node.id();
    let deaths = async {
        eventually("held", || !node.service.held.lock().is_empty()).await;
        node.kill().await
    };
    let (reply, (tls, local, address)) = tokio::join!(ask(&pool, id, &PeerRequest::FetchEpoch), deaths);
    assert_eq!(reply, Err(CallError::Broken));
    assert_eq!(ask(&pool, id, &echo("x")).await, Err(CallError::NotConnected));
    assert!(!pool.is_connected(id));

    // So many that the pauses have grown to their longest, of which half is certain.
    eventually("several attempts", || pool.statistics()[0].attempts >= 7).await;
    let _again = Node::start_at(tls, local, address).await;
    let began = clock::monotonic_now();
    pool.nudge(id);
    eventually("connected again", || pool.is_connected(id)).await;
    let took = clock::monotonic_now() - began;
    assert!(took < Duration::from_millis(400), "{took:?}");
    assert_eq!(ask(&pool, id, &echo("x")).await, Ok(PeerReply::GossipExchange("x".into())));
    assert_eq!(*events.lock(), [PeerEvent::Lost(id), PeerEvent::Connected(id)]);
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_given_up() {
    let zone = Zone::new();
    let (tls, own) = (zone.tls("a"), local("a", 1, None));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let tasks = Tasks::new();
    // Greets, and then neither reads nor answers, like a stopped process.
    let silent = async move {
        let (tcp, _) = listener.accept().await.expect("dialed");
        let mut stream = tokio_rustls::TlsAcceptor::from(tls.accept()).accept(tcp).await.expect("TLS");
        let certificate = stream.get_ref().1.peer_certificates().expect("shown")[0].clone();
        greeting::answer(&mut stream, &own, &certificate).await.expect("greeted");
        std::future::pending::<()>().await;
    };
    tasks.spawn("silent peer", silent);
    let pool = pool(&zone, Limits { silence: Duration::from_millis(200), ..Limits::default() });
    let id = NodeId::from_bits(1);
    pool.set_peers(vec![PeerAddress { id, name: name("a"), address }]);
    eventually("connected", || pool.is_connected(id)).await;
    assert_eq!(ask(&pool, id, &echo("anyone?")).await, Err(CallError::Broken));
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_bounded_memory() {
    let (zone, node, _pool) = connected(Limits::default()).await;
    let mut stream = raw(&zone.tls("c"), &local("c", 3, None), node.address).await.expect("connected");
    let mut requests = bytes::BytesMut::new();
    codec::put_request(&mut requests, 1, LONG, Class::Client, &echo(vec![0; 1024 * 1024])).expect("fits");
    // Asks for echoes of 1 MiB until the server reads no more; the kernel's own buffers take some, too.
    let mut accepted = 0;
    while accepted < 200 {
        let written = clock::until(clock::monotonic_now() + Duration::from_millis(500), stream.write_all(&requests));
        match written.await {
            Some(result) => result.expect("the connection stands"),
            None => break,
        }
        accepted += 1;
    }
    assert!((8..100).contains(&accepted), "{accepted}");
    assert!(node.server.statistics().requests <= 100);
    drop(stream);
    eventually("closed", || node.server.statistics().connections == 1).await;
}

#[tokio::test]
async fn peers_that_are_dropped_are_closed_and_those_that_stay_keep_their_connection() {
    let (zone, node, pool) = connected(Limits { connections: 2, ..Limits::default() }).await;
    let other = Node::start(zone.tls("c"), local("c", 3, None)).await;
    pool.set_peers(vec![node.peer_address(), other.peer_address()]);
    eventually("all connected", || pool.statistics().iter().all(|peer| peer.connects == 2)).await;
    let waiting = ask(&pool, other.id(), &PeerRequest::FetchEpoch);
    let change = async {
        eventually("held", || !other.service.held.lock().is_empty()).await;
        pool.set_peers(vec![node.peer_address()]);
    };
    let (reply, ()) = tokio::join!(waiting, change);
    assert_eq!(reply, Err(CallError::Broken));
    eventually("closed", || other.server.statistics().connections == 0).await;
    assert!(pool.is_connected(node.id()));
    assert_eq!(pool.statistics()[0].connects, 2);
}

#[tokio::test]
async fn calls_end_when_the_pool_is_shut_down() {
    let zone = Zone::new();
    let node = Node::start(zone.tls("a"), local("a", 1, None)).await;
    let tasks = Tasks::new();
    let pool = PeerPool::new(zone.tls("b"), local("b", 2, None), tasks.clone(), Limits::default());
    pool.set_peers(vec![node.peer_address()]);
    eventually("connected", || pool.is_connected(node.id())).await;
    let stop = async {
        eventually("held", || !node.service.held.lock().is_empty()).await;
        tasks.shutdown(soon()).await
    };
    let (reply, left) = tokio::join!(ask(&pool, node.id(), &PeerRequest::FetchEpoch), stop);
    assert_eq!((reply, left), (Err(CallError::Broken), 0));
    assert_eq!(ask(&pool, node.id(), &echo("x")).await, Err(CallError::NotConnected));
}
