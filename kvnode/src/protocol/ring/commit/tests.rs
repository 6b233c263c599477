//! Bytes of the messages, and the act step by step; `model` has the random schedules.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::protocol::ring::DecodeError;
use crate::protocol::ring::epoch::tests::{epoch, node};

fn id(number: u32) -> NodeId {
    NodeId::from_bits(u128::from(number))
}

fn ring(cluster: u32, nodes: &[u32]) -> Arc<RingEpoch> {
    Arc::new(epoch(cluster, nodes.iter().map(|&number| node(number, "a")).collect()))
}

/// Acceptors that answer at once, unless they are down.
struct Cluster {
    acceptors: BTreeMap<NodeId, Acceptor>,
    down: Vec<NodeId>,
}

impl Cluster {
    fn new(numbers: std::ops::RangeInclusive<u32>) -> Self {
        let new = |number| (id(number), Acceptor::new(id(number), Durable::NEW, None));
        Self { acceptors: numbers.map(new).collect(), down: Vec::new() }
    }

    fn ask(&mut self, to: NodeId, request: &Request) -> Option<Reply> {
        let acceptor = self.acceptors.get_mut(&to).filter(|_| !self.down.contains(&to))?;
        let decision = acceptor.on_request(request);
        decision.persist.into_iter().for_each(|durable| acceptor.stored(durable));
        decision.adopt.into_iter().for_each(|epoch| acceptor.adopted(epoch));
        Some(decision.reply)
    }

    /// Runs a proposer to its end; a silent node means a timeout.
    fn run(&mut self, me: u32, proposal: &Arc<RingEpoch>) -> Step {
        let above = self.acceptors[&id(me)].durable().promised;
        let (mut proposer, mut step) = Proposer::start(id(me), Arc::clone(proposal), above);
        loop {
            step = match step {
                Step::Send { to, request } => {
                    let mut next = Step::Wait;
                    for node in to {
                        if let (Step::Wait, Some(reply)) = (&next, self.ask(node, &request)) {
                            next = proposer.on_reply(node, reply);
                        }
                    }
                    if next == Step::Wait { proposer.on_timeout() } else { next }
                }
                Step::Retry { .. } => proposer.retry(),
                end => return end,
            }
        }
    }
}

#[test]
fn the_named_nodes_agree_and_a_second_act_finds_the_ring() {
    let mut cluster = Cluster::new(1..=3);
    let (first, second) = (ring(1, &[1, 2, 3]), ring(2, &[1, 2, 3]));
    assert_eq!(cluster.run(1, &first), Step::Committed { epoch: Arc::clone(&first), own: true });
    assert_eq!(cluster.run(2, &second), Step::Committed { epoch: Arc::clone(&first), own: false });
    assert_eq!(cluster.run(1, &first), Step::Committed { epoch: first, own: true });
}

#[test]
fn a_silent_node_stops_the_act_and_running_it_again_finishes_it() {
    let mut cluster = Cluster::new(1..=3);
    cluster.down = vec![id(3)];
    let (first, second) = (ring(1, &[1, 2, 3]), ring(2, &[1, 2, 3]));
    assert_eq!(cluster.run(1, &first), Step::Failed(Failure::Silent { nodes: vec![id(3)] }));
    cluster.down.clear();
    assert_eq!(cluster.run(2, &second), Step::Committed { epoch: second, own: true });
}

#[test]
fn a_half_accepted_value_is_adopted_by_the_same_nodes_only() {
    let mut cluster = Cluster::new(1..=4);
    let (first, same, other) = (ring(1, &[1, 2, 3]), ring(2, &[1, 2, 3]), ring(3, &[1, 4]));
    let accept = Request::Accept { ballot: Ballot { round: 1, node: id(9) }, epoch: Arc::clone(&first) };
    assert!(matches!(cluster.ask(id(1), &accept), Some(Reply::Accepted { .. })));
    let nodes = first.nodes().iter().map(|node| node.name.clone()).collect();
    assert_eq!(cluster.run(4, &other), Step::Failed(Failure::OtherAct { node: id(1), nodes }));
    assert_eq!(cluster.run(2, &same), Step::Committed { epoch: first, own: false });
    assert!(matches!(cluster.run(4, &other), Step::Failed(Failure::OtherRing { .. })));
}

#[test]
fn a_decided_ring_is_finished_on_nodes_that_missed_it() {
    let mut cluster = Cluster::new(1..=2);
    let first = ring(1, &[1, 2]);
    let accept = Request::Accept { ballot: Ballot { round: 1, node: id(1) }, epoch: Arc::clone(&first) };
    let commit = Request::Commit { epoch: Arc::clone(&first) };
    for number in 1..=2 {
        assert!(matches!(cluster.ask(id(number), &accept), Some(Reply::Accepted { .. })));
    }
    assert!(matches!(cluster.ask(id(1), &commit), Some(Reply::Committed { .. })));
    assert_eq!(cluster.run(2, &ring(2, &[1, 2])), Step::Committed { epoch: Arc::clone(&first), own: false });
    let probe = Request::Prepare { ballot: Ballot { round: 99, node: id(5) } };
    assert_eq!(cluster.ask(id(2), &probe), Some(Reply::Committed { epoch: first }));
}

#[test]
fn an_acceptor_refuses_what_is_not_its_ring() {
    let mut cluster = Cluster::new(1..=1);
    let (ballot, lower) = (Ballot { round: 2, node: id(1) }, Ballot { round: 1, node: id(1) });
    let accept = |ballot, nodes: &[u32]| Request::Accept { ballot, epoch: ring(1, nodes) };
    let mut check = |request: Request, expected: Reply| assert_eq!(cluster.ask(id(1), &request), Some(expected));
    check(accept(ballot, &[2, 3]), Reply::Unfit);
    check(Request::Commit { epoch: ring(1, &[1]) }, Reply::Refused { promised: Ballot::ZERO });
    check(Request::Prepare { ballot }, Reply::Promised { ballot, accepted: None });
    check(Request::Prepare { ballot }, Reply::Refused { promised: ballot });
    check(accept(lower, &[1]), Reply::Refused { promised: ballot });
    check(accept(ballot, &[1]), Reply::Accepted { ballot });
    check(Request::Commit { epoch: ring(2, &[1]) }, Reply::Refused { promised: ballot });
}

#[test]
fn an_unconfirmed_decision_is_reported_as_decided() {
    let proposal = ring(1, &[1]);
    let (mut proposer, _) = Proposer::start(id(1), Arc::clone(&proposal), Ballot::ZERO);
    let ballot = Ballot { round: 1, node: id(1) };
    proposer.on_reply(id(1), Reply::Promised { ballot, accepted: None });
    let commit = Step::Send { to: vec![id(1)], request: Request::Commit { epoch: Arc::clone(&proposal) } };
    assert_eq!(proposer.on_reply(id(1), Reply::Accepted { ballot }), commit);
    for _ in 1..MAX_ATTEMPTS {
        assert_eq!(proposer.on_timeout(), commit);
    }
    let unfinished = Failure::Unfinished { epoch: proposal, nodes: vec![id(1)] };
    assert_eq!(proposer.on_timeout(), Step::Failed(unfinished.clone()));
    assert_eq!(proposer.on_timeout(), Step::Wait);
    insta::assert_snapshot!(unfinished, @"the ring is decided, but 00000000000000000000000000000001 did not confirm that they stored it");
}

#[test]
fn failures_read_well() {
    let names = |names: &[&str]| names.iter().map(|name| name.parse().expect("test name")).collect::<Vec<_>>();
    let ring = Failure::OtherRing {
        node: id(1),
        cluster: crate::protocol::id::ClusterId::from_bits(2),
        number: crate::protocol::id::EpochNumber(3),
        nodes: names(&["a1", "b1"]),
    };
    insta::assert_snapshot!(ring, @"node 00000000000000000000000000000001 already has epoch 3 of cluster 00000000000000000000000000000002 with nodes a1, b1");
    insta::assert_snapshot!(Failure::OtherAct { node: id(1), nodes: names(&["a1"]) }, @"node 00000000000000000000000000000001 has accepted another first ring, with nodes a1");
    insta::assert_snapshot!(Failure::Silent { nodes: vec![id(1), id(2)] }, @"no agreement after 10 attempts: no answer from 00000000000000000000000000000001, 00000000000000000000000000000002");
    insta::assert_snapshot!(Failure::Contended { above: Ballot { round: 7, node: id(1) } }, @"no agreement after 10 attempts: other bootstrap acts are under way (ballot 7 by 00000000000000000000000000000001)");
}

fn any_ballot() -> impl Strategy<Value = Ballot> {
    (any::<u32>(), any::<u128>()).prop_map(|(round, bits)| Ballot { round, node: NodeId::from_bits(bits) })
}

fn any_epoch() -> impl Strategy<Value = Arc<RingEpoch>> {
    (any::<u32>(), 1u32..6).prop_map(|(cluster, nodes)| ring(cluster, &(1..=nodes).collect::<Vec<_>>()))
}

fn any_accepted() -> impl Strategy<Value = Option<Accepted>> {
    prop::option::of((any_ballot(), any_epoch()).prop_map(|(ballot, epoch)| Accepted { ballot, epoch }))
}

fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        any_ballot().prop_map(|ballot| Request::Prepare { ballot }),
        (any_ballot(), any_epoch()).prop_map(|(ballot, epoch)| Request::Accept { ballot, epoch }),
        any_epoch().prop_map(|epoch| Request::Commit { epoch }),
    ]
}

fn any_reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        (any_ballot(), any_accepted()).prop_map(|(ballot, accepted)| Reply::Promised { ballot, accepted }),
        any_ballot().prop_map(|ballot| Reply::Accepted { ballot }),
        any_epoch().prop_map(|epoch| Reply::Committed { epoch }),
        any_ballot().prop_map(|promised| Reply::Refused { promised }),
        Just(Reply::Unfit),
    ]
}

/// Round trip, no prefix and nothing longer parses, one changed byte never panics.
fn check_bytes<T: PartialEq + fmt::Debug>(
    value: &T,
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<T, DecodeError>,
    (position, byte): (prop::sample::Index, u8),
) {
    assert_eq!(read(bytes).as_ref(), Ok(value));
    let position = position.index(bytes.len());
    assert!(read(&bytes[..position]).is_err());
    assert!(read(&[bytes, &[0]].concat()).is_err());
    let mut damaged = bytes.to_vec();
    damaged[position] = byte;
    let _ = read(&damaged);
}

proptest! {
    #[test]
    fn messages_round_trip(request in any_request(), reply in any_reply(), damage: (prop::sample::Index, u8)) {
        check_bytes(&request, &request.to_bytes(), Request::from_bytes, damage);
        check_bytes(&reply, &reply.to_bytes(), Reply::from_bytes, damage);
    }

    #[test]
    fn durable_state_round_trips(promised in any_ballot(), accepted in any_accepted(), damage: (prop::sample::Index, u8)) {
        let durable = Durable { promised, accepted };
        check_bytes(&durable, &durable.to_bytes(), Durable::from_bytes, damage);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let bytes = [&[1][..], &bytes].concat();
        let _ = (Request::from_bytes(&bytes), Reply::from_bytes(&bytes), Durable::from_bytes(&bytes));
    }
}

#[test]
fn golden_bytes() {
    let hex = |bytes: Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let ballot = Ballot { round: 2, node: id(3) };
    insta::assert_snapshot!(hex(Request::Prepare { ballot }.to_bytes()), @"01010000000200000000000000000000000000000003");
    insta::assert_snapshot!(hex(Reply::Promised { ballot, accepted: None }.to_bytes()), @"0101000000020000000000000000000000000000000300");
    insta::assert_snapshot!(hex(Reply::Accepted { ballot }.to_bytes()), @"01020000000200000000000000000000000000000003");
    insta::assert_snapshot!(hex(Reply::Refused { promised: ballot }.to_bytes()), @"01040000000200000000000000000000000000000003");
    insta::assert_snapshot!(hex(Reply::Unfit.to_bytes()), @"0105");
    insta::assert_snapshot!(hex(Durable::NEW.to_bytes()), @"01000000000000000000000000000000000000000000");
    let epoch = ring(1, &[1]);
    let length = format!("{:08x}", epoch.to_bytes().len());
    let body = format!("{length}{}", hex(epoch.to_bytes()));
    assert_eq!(hex(Request::Commit { epoch: Arc::clone(&epoch) }.to_bytes()), format!("0103{body}"));
    assert_eq!(hex(Reply::Committed { epoch }.to_bytes()), format!("0103{body}"));
}
