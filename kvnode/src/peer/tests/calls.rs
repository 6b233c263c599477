//! Calls over a standing connection: every one ends, once, with its own outcome.

use super::*;
use crate::peer::codec::MAX_FRAME_BYTES;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_get_their_own_replies() {
    let (_zone, node, pool) = connected(Limits::default()).await;
    let (done, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    for number in 0u32..10_000 {
        let (sender, body) = (done.clone(), Bytes::copy_from_slice(&number.to_be_bytes()));
        let expected = PeerReply::GossipExchange(body.clone());
        let sink = Box::new(move |reply| sender.send(reply == Ok(expected)).expect("awaited below"));
        pool.call(node.id(), &echo(body), Class::Client, soon(), sink);
        if number % 1000 == 999 {
            for _ in 0..1000 {
                assert_eq!(outcomes.recv().await, Some(true));
            }
        }
    }
    let statistics = &pool.statistics()[0];
    assert_eq!((statistics.calls, statistics.replies, statistics.broken), (10_000, 10_000, 0));
    assert_eq!(node.server.statistics().requests, 10_000);
}

#[tokio::test]
async fn replies_may_come_in_any_order() {
    let (_zone, node, pool) = connected(Limits::default()).await;
    let requests: Vec<PeerRequest> = (0u8..20).map(|n| PeerRequest::RingCommit(vec![n].into())).collect();
    let calls = futures_util::future::join_all(requests.iter().map(|request| ask(&pool, node.id(), request)));
    let answers = async {
        eventually("all held", || node.service.held.lock().len() == 20).await;
        let mut held = std::mem::take(&mut *node.service.held.lock());
        held.reverse();
        for (request, respond) in held {
            let PeerRequest::RingCommit(body) = request else { panic!("{request:?}") };
            respond(PeerReply::RingCommit(body));
        }
    };
    let (replies, ()) = tokio::join!(calls, answers);
    let expected: Vec<_> = (0u8..20).map(|n| Ok(PeerReply::RingCommit(vec![n].into()))).collect();
    assert_eq!(replies, expected);
}

#[tokio::test]
async fn large_messages_pass_and_larger_ones_are_refused_by_the_sender() {
    let (_zone, node, pool) = connected(Limits::default()).await;
    let body = Bytes::from(vec![7; MAX_FRAME_BYTES - 64]);
    assert_eq!(ask(&pool, node.id(), &echo(body.clone())).await, Ok(PeerReply::GossipExchange(body)));
    let body = Bytes::from(vec![7; MAX_FRAME_BYTES]);
    assert_eq!(ask(&pool, node.id(), &echo(body)).await, Err(CallError::TooLarge));
    assert_eq!(ask(&pool, node.id(), &echo("still here")).await, Ok(PeerReply::GossipExchange("still here".into())));
}

#[tokio::test]
async fn a_reply_too_large_becomes_a_refusal() {
    let (_zone, node, pool) = connected(Limits::default()).await;
    let answer = async {
        eventually("held", || !node.service.held.lock().is_empty()).await;
        let (_, respond) = node.service.held.lock().pop().expect("held");
        respond(PeerReply::Epoch(Bytes::from(vec![0; MAX_FRAME_BYTES])));
    };
    let (reply, ()) = tokio::join!(ask(&pool, node.id(), &PeerRequest::FetchEpoch), answer);
    assert_eq!(reply, Ok(PeerReply::Refused(crate::protocol::register::Refusal::Overloaded)));
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_its_late_reply_is_dropped() {
    // Silence shorter than the deadline: a slow service is no dead peer, pings tell them apart.
    let (_zone, node, pool) = connected(Limits { silence: Duration::from_millis(60), ..Limits::default() }).await;
    let deadline = clock::monotonic_now() + Duration::from_millis(300);
    let reply = pool.request(node.id(), &PeerRequest::FetchEpoch, Class::Client, deadline).await;
    assert_eq!(reply, Err(CallError::TimedOut));
    assert!(clock::monotonic_now() >= deadline);
    let (_, respond) = node.service.held.lock().pop().expect("held");
    respond(PeerReply::Epoch(Bytes::new()));
    assert_eq!(ask(&pool, node.id(), &echo("next")).await, Ok(PeerReply::GossipExchange("next".into())));
    let statistics = &pool.statistics()[0];
    assert_eq!((statistics.timed_out, statistics.broken, statistics.connects), (1, 0, 1));
}

#[tokio::test]
async fn full_queues_refuse_the_less_urgent_first() {
    let (_zone, node, pool) = connected(Limits { in_flight: 8, ..Limits::default() }).await;
    let send = |class| {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let sink = Box::new(move |reply| drop(sender.send(reply)));
        pool.call(node.id(), &PeerRequest::FetchEpoch, class, soon(), sink);
        receiver
    };
    let _waiting: Vec<_> = (0..6).map(|_| send(Class::Repair)).collect();
    assert_eq!(send(Class::Repair).await, Ok(Err(CallError::QueueFull)));
    let _waiting_too: Vec<_> = (0..2).map(|_| send(Class::Client)).collect();
    assert_eq!(send(Class::Client).await, Ok(Err(CallError::QueueFull)));
    // The bulk connection is another one, opened by its first call.
    let bulk = send(Class::Hints);
    eventually("nine held", || node.service.held.lock().len() == 9).await;
    for (_, respond) in std::mem::take(&mut *node.service.held.lock()) {
        respond(PeerReply::Epoch(Bytes::new()));
    }
    assert_eq!(bulk.await, Ok(Ok(PeerReply::Epoch(Bytes::new()))));
    assert_eq!(node.server.statistics().connections, 2);
    assert_eq!(pool.statistics()[0].queue_full, 2);
}

#[tokio::test]
async fn requests_that_cannot_be_sent_end_at_once() {
    let zone = Zone::new();
    let pool = pool(&zone, Limits::default());
    let stranger = NodeId::from_bits(9);
    assert_eq!(ask(&pool, stranger, &echo("x")).await, Err(CallError::NotConnected));
    let nowhere = PeerAddress { id: stranger, name: name("x"), address: "127.0.0.1:1".to_owned() };
    pool.set_peers(vec![nowhere]);
    assert_eq!(ask(&pool, stranger, &echo("x")).await, Err(CallError::NotConnected));
    let bulk = pool.request(stranger, &echo("x"), Class::Sync, soon()).await;
    assert_eq!(bulk, Err(CallError::NotConnected));
    assert!(!pool.is_connected(stranger));
}

#[tokio::test]
async fn a_request_to_an_address_tells_who_answered() {
    let zone = Zone::new();
    let node = Node::start(zone.tls("a"), local("a", 1, None)).await;
    let pool = pool(&zone, Limits::default());
    let (identity, reply) =
        pool.request_address(&node.address.to_string(), &echo("hi"), soon()).await.expect("answered");
    assert_eq!((&identity, reply), (node.local.identity(), PeerReply::GossipExchange("hi".into())));
    let nowhere = pool.request_address("127.0.0.1:1", &echo("hi"), soon()).await;
    assert!(nowhere.is_err());
    eventually("closed", || node.server.statistics().connections == 0).await;
}

#[tokio::test]
async fn reads_tell_how_fast_a_peer_is() {
    let (_zone, node, pool) = connected(Limits::default()).await;
    let key = crate::protocol::key::Key::parse(Bytes::from_static(b"k")).expect("valid");
    let partition = crate::protocol::id::PartitionId(0);
    let request = crate::protocol::register::Request::Read { partition, key };
    let read = PeerRequest::Register { epoch: Default::default(), request };
    let absent = || PeerReply::Register(crate::protocol::register::Reply::Record(None));
    for _ in 0..40 {
        assert_eq!(pool.latency(node.id()).is_some(), pool.statistics()[0].replies >= 32);
        let answer = async {
            eventually("held", || !node.service.held.lock().is_empty()).await;
            node.service.held.lock().pop().expect("held").1(absent());
        };
        let (reply, ()) = tokio::join!(ask(&pool, node.id(), &read), answer);
        assert_eq!(reply, Ok(absent()));
    }
    let latency = pool.latency(node.id()).expect("enough replies");
    assert!(latency.p95 >= latency.mean / 2 && latency.p95 < LONG, "{latency:?}");
}
