//! Thousands of random schedules of concurrent bootstrap acts: equal, overlapping and disjoint sets of nodes;
//! messages lost, repeated and reordered; nodes and proposers that crash and come back with what was durable.
//!
//! What must hold: two committed rings are the same ring or share no node. Each rule of the protocol is shown to be
//! needed by a test that takes it away and finds the violation.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::*;
use crate::protocol::ring::epoch::tests::{epoch, node};

const NODES: u32 = 5;
const EVENTS: usize = 160;

/// What is taken away from the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weakness {
    None,
    /// Acceptors accept whatever they promised to others.
    NoPromiseCheck,
    /// A majority of the named nodes decides.
    MajorityDecides,
    /// An accepted value is in memory only.
    AcceptNotPersisted,
    /// Promises do not tell what was accepted before.
    AcceptedNotTold,
}

/// A node: what it would come back with, and what it is now.
struct Node {
    stored: Durable,
    ring: Option<Arc<RingEpoch>>,
    acceptor: Acceptor,
}

/// One act in progress; a crash replaces it.
struct Act {
    me: NodeId,
    proposer: Proposer,
    paused: bool,
}

struct Message {
    /// Replies reach only the run that asked.
    run: usize,
    node: NodeId,
    body: Body,
}

enum Body {
    Request(Request),
    Reply(Reply),
}

struct World {
    random: StdRng,
    weakness: Weakness,
    nodes: BTreeMap<NodeId, Node>,
    sets: Vec<Vec<u32>>,
    runs: Vec<Option<Act>>,
    network: Vec<Message>,
    committed: Vec<Arc<RingEpoch>>,
    proposals: u32,
}

fn id(number: u32) -> NodeId {
    NodeId::from_bits(u128::from(number))
}

impl World {
    fn new(seed: u64, weakness: Weakness) -> Self {
        let new = |number| {
            let acceptor = Acceptor::new(id(number), Durable::NEW, None);
            (id(number), Node { stored: Durable::NEW, ring: None, acceptor })
        };
        let shapes: [&[&[u32]]; 6] = [
            &[&[1, 2, 3], &[1, 2, 3]],
            &[&[1, 2], &[2, 3]],
            &[&[1, 2, 3], &[3, 4, 5]],
            &[&[1, 2], &[3, 4]],
            &[&[1], &[1, 2]],
            &[&[1, 2, 3], &[1, 2, 3], &[3, 4]],
        ];
        let mut random = StdRng::seed_from_u64(seed);
        let sets = shapes.choose(&mut random).expect("not empty").iter().map(|set| set.to_vec()).collect();
        let nodes = (1..=NODES).map(new).collect();
        Self {
            random,
            weakness,
            nodes,
            sets,
            runs: Vec::new(),
            network: Vec::new(),
            committed: Vec::new(),
            proposals: 0,
        }
    }

    /// Starts an act for one of the sets, proposed by any node that has no run of its own.
    fn start(&mut self) {
        let me = id(self.random.random_range(1..=NODES));
        if self.runs.iter().flatten().any(|act| act.me == me) {
            return;
        }
        let set = self.sets.choose(&mut self.random).expect("not empty");
        self.proposals += 1;
        let proposal = Arc::new(epoch(self.proposals, set.iter().map(|&number| node(number, "a")).collect()));
        let required = if self.weakness == Weakness::MajorityDecides { set.len() / 2 + 1 } else { set.len() };
        let above = self.nodes[&me].acceptor.durable().promised;
        let (proposer, step) = Proposer::start_with(me, proposal, above, required);
        self.runs.push(Some(Act { me, proposer, paused: false }));
        self.follow(self.runs.len() - 1, step);
    }

    fn follow(&mut self, run: usize, step: Step) {
        match step {
            Step::Wait => {}
            Step::Send { to, request } => {
                let send = |node| Message { run, node, body: Body::Request(request.clone()) };
                self.network.extend(to.into_iter().map(send));
            }
            Step::Retry { .. } => {
                if let Some(act) = &mut self.runs[run] {
                    act.paused = true;
                }
            }
            Step::Committed { epoch, .. } => {
                self.committed.push(epoch);
                self.runs[run] = None;
            }
            Step::Failed(_) => self.runs[run] = None,
        }
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.network.len());
        let message = self.network.swap_remove(index);
        if self.random.random_bool(0.05) {
            return;
        }
        if self.random.random_bool(0.05) {
            let body = match &message.body {
                Body::Request(request) => Body::Request(request.clone()),
                Body::Reply(reply) => Body::Reply(reply.clone()),
            };
            self.network.push(Message { body, ..message });
        }
        match message.body {
            Body::Request(request) => {
                let reply = self.ask(message.node, &request);
                self.network.push(Message { body: Body::Reply(reply), ..message });
            }
            Body::Reply(reply) => {
                if let Some(act) = &mut self.runs[message.run] {
                    let step = act.proposer.on_reply(message.node, reply);
                    self.follow(message.run, step);
                }
            }
        }
    }

    fn ask(&mut self, to: NodeId, request: &Request) -> Reply {
        let node = self.nodes.get_mut(&to).expect("acts name existing nodes");
        let is_accept = matches!(request, Request::Accept { .. });
        if is_accept && self.weakness == Weakness::NoPromiseCheck {
            let forgetful = Durable { promised: Ballot::ZERO, ..node.acceptor.durable().clone() };
            node.acceptor.stored(forgetful);
        }
        let mut decision = node.acceptor.on_request(request);
        if let Some(durable) = decision.persist {
            node.acceptor.stored(durable.clone());
            if !(is_accept && self.weakness == Weakness::AcceptNotPersisted) {
                node.stored = durable;
            }
        }
        if let Some(epoch) = decision.adopt {
            node.acceptor.adopted(Arc::clone(&epoch));
            node.ring = Some(Arc::clone(&epoch));
            self.committed.push(epoch);
        }
        if let (Weakness::AcceptedNotTold, Reply::Promised { accepted, .. }) = (self.weakness, &mut decision.reply) {
            *accepted = None;
        }
        decision.reply
    }

    /// The process is gone: with it its run, and all that was not durable.
    fn crash(&mut self) {
        let me = id(self.random.random_range(1..=NODES));
        let node = self.nodes.get_mut(&me).expect("all nodes exist");
        let stored = Durable::from_bytes(&node.stored.to_bytes()).expect("own bytes");
        node.acceptor = Acceptor::new(me, stored, node.ring.clone());
        for run in &mut self.runs {
            if run.as_ref().is_some_and(|act| act.me == me) {
                *run = None;
            }
        }
    }

    fn wake(&mut self) {
        let run = self.random.random_range(0..self.runs.len().max(1));
        let Some(Some(act)) = self.runs.get_mut(run) else { return };
        let step = if act.paused { act.proposer.retry() } else { act.proposer.on_timeout() };
        act.paused = false;
        self.follow(run, step);
    }

    fn violation(&self) -> Option<String> {
        let shares =
            |left: &RingEpoch, right: &RingEpoch| left.nodes().iter().any(|node| right.node(node.id).is_some());
        for (position, left) in self.committed.iter().enumerate() {
            if let Some(right) = self.committed[..position].iter().find(|right| *right != left && shares(left, right)) {
                return Some(format!("{left:?} and {right:?} are both committed and share a node"));
            }
        }
        None
    }

    fn run(mut self) -> Self {
        let crashes = if self.random.random_bool(0.5) { 0.03 } else { 0.0 };
        self.start();
        self.start();
        for _ in 0..EVENTS {
            match self.random.random_range(0.0..1.0) {
                chance if chance < crashes => self.crash(),
                chance if chance < crashes + 0.03 => self.start(),
                chance if chance < crashes + 0.09 => self.wake(),
                _ => self.deliver(),
            }
        }
        self
    }
}

fn first_violation(weakness: Weakness, seeds: u64) -> Option<String> {
    (0..seeds).find_map(|seed| {
        World::new(seed, weakness).run().violation().map(|violation| format!("seed {seed}: {violation}"))
    })
}

fn check_refuted(weakness: Weakness) {
    assert!(first_violation(weakness, 20_000).is_some(), "{weakness:?} was not refuted: the model is too weak");
}

#[test]
fn two_rings_never_share_a_node() {
    assert_eq!(first_violation(Weakness::None, 10_000), None);
}

#[test]
fn most_schedules_commit_something() {
    let committed = (0..300).filter(|&seed| !World::new(seed, Weakness::None).run().committed.is_empty()).count();
    assert!(committed > 150, "{committed} of 300");
}

#[test]
fn refuted_no_promise_check() {
    check_refuted(Weakness::NoPromiseCheck);
}

#[test]
fn refuted_majority_of_overlapping_sets() {
    check_refuted(Weakness::MajorityDecides);
}

#[test]
fn refuted_accept_not_persisted() {
    check_refuted(Weakness::AcceptNotPersisted);
}

#[test]
fn refuted_accepted_value_not_told() {
    check_refuted(Weakness::AcceptedNotTold);
}
