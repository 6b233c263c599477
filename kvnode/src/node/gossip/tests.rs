//! Gossip over real loopback sockets: nodes meet, one dies, strangers and garbage are dropped. Laws of the protocol
//! are tested in `protocol::membership`; here only that the shell carries out what the machine says.

use std::collections::HashMap;

use super::*;
use crate::gossip::keyring::GossipKey;
use crate::protocol::membership::member::Addresses;

type Directory = Arc<Mutex<HashMap<String, GossipHandle>>>;

struct Node {
    handle: GossipHandle,
    tasks: Tasks,
    addresses: Addresses,
}

/// As fast as the ranges allow within reason.
fn quick() -> Config {
    let ms = Duration::from_millis;
    Config {
        probe_interval: ms(200),
        probe_timeout: ms(80),
        suspicion_min: ms(400),
        suspicion_max: ms(1500),
        reconnect_interval: ms(200),
        evidence_window: ms(400),
        ..Config::default()
    }
}

async fn start(number: u8, key: u8, seed: Option<&Node>, directory: &Directory) -> Node {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let gossip = socket.local_addr().unwrap();
    // Streams go through the directory; the port only has to be this node's own.
    let peer = SocketAddr::from(([127, 0, 0, 2], gossip.port()));
    let addresses = Addresses { api: peer, peer, gossip };
    let local = Member {
        id: NodeId::from_bits(number.into()),
        name: format!("n{number}").parse().unwrap(),
        zone: format!("z{number}").parse().unwrap(),
        addresses,
        incarnation: Incarnation::default(),
        release: "0.1.0".parse().unwrap(),
        facts: Facts::default(),
        load: 0,
    };
    let streams = Arc::clone(directory);
    let exchange: ExchangeWith = Box::new(move |with, request| {
        let target = streams.lock().get(with.as_str()).cloned();
        Box::pin(async move { target.and_then(|target| target.handle_exchange(&request).ok()) })
    });
    let seeds = seed.map(|node| Contact::from(node.addresses.peer)).into_iter().collect();
    let keyring = Keyring::new(GossipKey::from_bytes([key; 32]));
    let (config, remember): (_, Remember) = (quick(), Box::new(|_| {}));
    let tasks = Tasks::new();
    let setup = Setup { config, local, remembered: None, seeds, keyring, socket, exchange, remember };
    let handle = Gossip::start(setup, &tasks).unwrap();
    directory.lock().insert(peer.to_string(), handle.clone());
    Node { handle, tasks, addresses }
}

/// Waits for an event after which `holds`; generous, as the machine may be busy.
async fn until(node: &Node, what: &str, holds: impl Fn(&[MemberRecord]) -> bool) {
    let mut events = node.handle.events();
    let deadline = clock::monotonic_now() + Duration::from_secs(30);
    while !holds(&node.handle.members()) {
        let event = clock::until(deadline, events.recv()).await;
        assert!(event.is_some(), "{what}: {:?}", node.handle.members());
    }
}

fn count_in(members: &[MemberRecord], state: State) -> usize {
    members.iter().filter(|record| record.state == state).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_meet_and_one_dies() {
    let directory = Directory::default();
    let first = start(1, 7, None, &directory).await;
    let second = start(2, 7, Some(&first), &directory).await;
    let third = start(3, 7, Some(&first), &directory).await;
    for node in [&first, &second, &third] {
        until(node, "all meet", |members| count_in(members, State::Alive) == 3).await;
    }
    let facts = Facts { draining: true, ..Facts::default() };
    third.handle.set_local(facts);
    let drains = |members: &[MemberRecord]| members.iter().any(|r| r.member_state() == MemberState::Draining);
    until(&first, "facts travel", drains).await;

    directory.lock().remove(&third.addresses.peer.to_string());
    third.tasks.shutdown(clock::monotonic_now()).await;
    first.handle.connection_lost(NodeId::from_bits(3));
    for node in [&first, &second] {
        until(node, "third is dead", |members| count_in(members, State::Dead) == 1).await;
    }
    second.handle.leave().await;
    until(&first, "second has left", |members| count_in(members, State::Left) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_strangers_are_dropped_and_counted() {
    let directory = Directory::default();
    let node = start(1, 7, None, &directory).await;
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stranger = Keyring::new(GossipKey::from_bytes([9; 32])).seal(b"x", [1; NONCE_BYTES]).unwrap();
    let mut altered = Keyring::new(GossipKey::from_bytes([7; 32])).seal(b"x", [1; NONCE_BYTES]).unwrap();
    let nonsense = altered.clone();
    *altered.last_mut().unwrap() ^= 1;
    for datagram in [&[][..], &[1; 9], &[1; 1500], &stranger, &altered, &nonsense] {
        other.send_to(datagram, node.addresses.gossip).await.unwrap();
    }
    let deadline = clock::monotonic_now() + Duration::from_secs(30);
    let dropped = || {
        let counters = node.handle.counters();
        [counters.malformed, counters.unknown_key, counters.forged, counters.undecodable]
    };
    while dropped().iter().sum::<u64>() < 6 && clock::monotonic_now() < deadline {
        tokio::task::yield_now().await;
    }
    assert_eq!((dropped(), node.handle.counters().received), ([3, 1, 1, 1], 6));
    assert_eq!(node.handle.members().len(), 1);
    assert!(matches!(node.handle.handle_exchange(&[1, 2, 3]), Err(ExchangeError::Malformed(_))));
}
