//! The proposer: one run of the bootstrap act.
//!
//! The shell sends what a [`Step`] says, feeds each reply with its sender to [`Proposer::on_reply`], calls
//! [`Proposer::on_timeout`] when the answers take too long, and after [`Step::Retry`] waits a random while and calls
//! [`Proposer::retry`]. After `Committed` or `Failed` it is finished and answers `Wait` for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Accepted, Ballot, MAX_ATTEMPTS, Reply, Request};
use crate::protocol::id::{ClusterId, EpochNumber, NodeId, NodeName};
use crate::protocol::ring::epoch::RingEpoch;

/// What the shell shall do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing: wait for replies or the timeout.
    Wait,
    /// Send the request to these nodes and start the timeout anew.
    Send {
        /// The receivers; this node may be among them.
        to: Vec<NodeId>,
        /// The request.
        request: Request,
    },
    /// Somebody proposes at the same time, or a node was silent: pause a random while, then [`Proposer::retry`].
    Retry {
        /// The ballot the next attempt exceeds.
        above: Ballot,
    },
    /// The ring stands, and every node it names has it.
    Committed {
        /// The ring.
        epoch: Arc<RingEpoch>,
        /// Whether it is the one this run proposed; else an earlier act of the same nodes was finished or stood.
        own: bool,
    },
    /// No ring by this run.
    Failed(Failure),
}

/// Why a run gave up. Running the act again is always safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The node has a ring of other nodes. Nothing was changed; trying again fails again.
    #[error("node {node} already has epoch {number} of cluster {cluster} with nodes {}", join(nodes))]
    OtherRing {
        /// Who has it.
        node: NodeId,
        /// Its cluster.
        cluster: ClusterId,
        /// Its number.
        number: EpochNumber,
        /// The nodes of that ring.
        nodes: Vec<NodeName>,
    },
    /// The node took part in an unfinished act of other nodes, which may yet be decided. Finish that act, or give the
    /// node an empty data folder.
    #[error("node {node} has accepted another first ring, with nodes {}", join(nodes))]
    OtherAct {
        /// Who accepted it.
        node: NodeId,
        /// The nodes of that act.
        nodes: Vec<NodeName>,
    },
    /// The node's id is not the one in the proposal: its data folder was replaced meanwhile.
    #[error("node {node} is not the node that the proposed ring names")]
    Unfit {
        /// Who said so.
        node: NodeId,
    },
    /// Some nodes did not answer in any attempt. The act may be half accepted; run it again when they are up.
    #[error("no agreement after {MAX_ATTEMPTS} attempts: no answer from {}", join_ids(nodes))]
    Silent {
        /// Who did not answer the last attempt.
        nodes: Vec<NodeId>,
    },
    /// Other proposers got in between each time.
    #[error("no agreement after {MAX_ATTEMPTS} attempts: other bootstrap acts are under way (ballot {above})")]
    Contended {
        /// The highest ballot seen.
        above: Ballot,
    },
    /// The ring is decided, but not every node is known to have stored it. Run the act again to finish it.
    #[error("the ring is decided, but {} did not confirm that they stored it", join_ids(nodes))]
    Unfinished {
        /// The decided ring.
        epoch: Arc<RingEpoch>,
        /// Who did not confirm.
        nodes: Vec<NodeId>,
    },
}

fn join(names: &[NodeName]) -> String {
    names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

fn join_ids(ids: &[NodeId]) -> String {
    ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}

/// One run.
#[derive(Debug)]
pub struct Proposer {
    acceptors: BTreeSet<NodeId>,
    /// Answers that decide: all of the acceptors. A field so that a test can show what fewer lead to.
    required: usize,
    proposal: Arc<RingEpoch>,
    ballot: Ballot,
    highest_seen: Ballot,
    attempts: u32,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Preparing { promises: BTreeMap<NodeId, Option<Accepted>> },
    Accepting { epoch: Arc<RingEpoch>, accepted_by: BTreeSet<NodeId> },
    Pausing,
    Committing { epoch: Arc<RingEpoch>, stored_by: BTreeSet<NodeId> },
    Finished,
}

impl Proposer {
    /// Starts a run for a first epoch: its nodes are the acceptors. `above` is what this node's own acceptor has
    /// promised. One run at a time per node.
    #[must_use]
    pub fn start(me: NodeId, proposal: Arc<RingEpoch>, above: Ballot) -> (Self, Step) {
        let required = proposal.nodes().len();
        Self::start_with(me, proposal, above, required)
    }

    pub(super) fn start_with(me: NodeId, proposal: Arc<RingEpoch>, above: Ballot, required: usize) -> (Self, Step) {
        let mut proposer = Self {
            acceptors: proposal.nodes().iter().map(|node| node.id).collect(),
            required,
            proposal,
            ballot: Ballot { round: 0, node: me },
            highest_seen: above,
            attempts: 0,
            phase: Phase::Pausing,
        };
        let first = proposer.retry();
        (proposer, first)
    }

    /// The next attempt; call it after [`Step::Retry`] and a pause.
    pub fn retry(&mut self) -> Step {
        if !matches!(self.phase, Phase::Pausing) {
            return Step::Wait;
        }
        let Some(round) = self.highest_seen.round.max(self.ballot.round).checked_add(1) else {
            return self.fail(Failure::Contended { above: self.highest_seen });
        };
        self.ballot = Ballot { round, ..self.ballot };
        self.attempts += 1;
        self.phase = Phase::Preparing { promises: BTreeMap::new() };
        self.send_to_all(Request::Prepare { ballot: self.ballot })
    }

    /// Takes one reply. Repeated, late and foreign replies are ignored.
    pub fn on_reply(&mut self, from: NodeId, reply: Reply) -> Step {
        if !self.acceptors.contains(&from) || matches!(self.phase, Phase::Finished) {
            return Step::Wait;
        }
        match reply {
            Reply::Promised { ballot, accepted } if ballot == self.ballot => self.on_promise(from, accepted),
            Reply::Accepted { ballot } if ballot == self.ballot => self.on_accepted(from),
            Reply::Committed { epoch } => self.on_committed(from, epoch),
            Reply::Refused { promised } => self.on_refused(promised),
            Reply::Unfit => self.fail(Failure::Unfit { node: from }),
            Reply::Promised { .. } | Reply::Accepted { .. } => Step::Wait,
        }
    }

    /// The answers to the last `Send` took too long.
    pub fn on_timeout(&mut self) -> Step {
        let silent = self.silent();
        match &self.phase {
            Phase::Pausing | Phase::Finished => Step::Wait,
            Phase::Preparing { .. } | Phase::Accepting { .. } => self.pause_or(Failure::Silent { nodes: silent }),
            Phase::Committing { epoch, .. } => {
                let epoch = Arc::clone(epoch);
                if self.attempts >= MAX_ATTEMPTS {
                    return self.fail(Failure::Unfinished { epoch, nodes: silent });
                }
                self.attempts += 1;
                Step::Send { to: silent, request: Request::Commit { epoch } }
            }
        }
    }

    fn on_promise(&mut self, from: NodeId, accepted: Option<Accepted>) -> Step {
        if let Some(accepted) = accepted.as_ref().filter(|accepted| !self.is_same_act(&accepted.epoch)) {
            let nodes = names(&accepted.epoch);
            return self.fail(Failure::OtherAct { node: from, nodes });
        }
        let Phase::Preparing { promises } = &mut self.phase else { return Step::Wait };
        promises.insert(from, accepted);
        if promises.len() < self.required {
            return Step::Wait;
        }
        let highest = promises.values().flatten().max_by_key(|accepted| accepted.ballot);
        let epoch = Arc::clone(highest.map_or(&self.proposal, |accepted| &accepted.epoch));
        self.phase = Phase::Accepting { epoch: Arc::clone(&epoch), accepted_by: BTreeSet::new() };
        self.send_to_all(Request::Accept { ballot: self.ballot, epoch })
    }

    fn on_accepted(&mut self, from: NodeId) -> Step {
        let Phase::Accepting { epoch, accepted_by } = &mut self.phase else { return Step::Wait };
        accepted_by.insert(from);
        if accepted_by.len() < self.required {
            return Step::Wait;
        }
        let epoch = Arc::clone(epoch);
        self.phase = Phase::Committing { epoch: Arc::clone(&epoch), stored_by: BTreeSet::new() };
        self.send_to_all(Request::Commit { epoch })
    }

    /// The sender has a ring: ours, or one that was decided before.
    fn on_committed(&mut self, from: NodeId, epoch: Arc<RingEpoch>) -> Step {
        if !self.is_same_act(&epoch) {
            let (cluster, number) = (epoch.cluster(), epoch.number());
            return self.fail(Failure::OtherRing { node: from, cluster, number, nodes: names(&epoch) });
        }
        if epoch.number() != EpochNumber(1) {
            // The act was finished long ago: the ring has changed since.
            self.phase = Phase::Finished;
            return Step::Committed { epoch, own: false };
        }
        if let Phase::Committing { epoch: decided, stored_by } = &mut self.phase {
            stored_by.insert(from);
            let (epoch, complete) = (Arc::clone(decided), stored_by.len() == self.acceptors.len());
            return if complete { self.finish(epoch) } else { Step::Wait };
        }
        self.phase = Phase::Committing { epoch: Arc::clone(&epoch), stored_by: BTreeSet::from([from]) };
        match self.silent() {
            missing if missing.is_empty() => self.finish(epoch),
            missing => Step::Send { to: missing, request: Request::Commit { epoch } },
        }
    }

    fn on_refused(&mut self, promised: Ballot) -> Step {
        self.highest_seen = self.highest_seen.max(promised);
        match self.phase {
            // Not above ours: an echo of our own earlier request.
            Phase::Preparing { .. } | Phase::Accepting { .. } if promised > self.ballot => {
                self.pause_or(Failure::Contended { above: promised })
            }
            _ => Step::Wait,
        }
    }

    fn pause_or(&mut self, failure: Failure) -> Step {
        if self.attempts >= MAX_ATTEMPTS {
            return self.fail(failure);
        }
        self.phase = Phase::Pausing;
        Step::Retry { above: self.highest_seen.max(self.ballot) }
    }

    fn finish(&mut self, epoch: Arc<RingEpoch>) -> Step {
        self.phase = Phase::Finished;
        let own = epoch == self.proposal;
        Step::Committed { epoch, own }
    }

    fn fail(&mut self, failure: Failure) -> Step {
        self.phase = Phase::Finished;
        Step::Failed(failure)
    }

    /// Acceptors that did not answer what was asked last.
    fn silent(&self) -> Vec<NodeId> {
        let answered = |node: &NodeId| match &self.phase {
            Phase::Preparing { promises } => promises.contains_key(node),
            Phase::Accepting { accepted_by: nodes, .. } | Phase::Committing { stored_by: nodes, .. } => {
                nodes.contains(node)
            }
            Phase::Pausing | Phase::Finished => true,
        };
        self.acceptors.iter().filter(|node| !answered(node)).copied().collect()
    }

    fn is_same_act(&self, epoch: &RingEpoch) -> bool {
        epoch.nodes().iter().map(|node| node.id).eq(self.acceptors.iter().copied())
    }

    fn send_to_all(&self, request: Request) -> Step {
        Step::Send { to: self.acceptors.iter().copied().collect(), request }
    }
}

fn names(epoch: &RingEpoch) -> Vec<NodeName> {
    epoch.nodes().iter().map(|node| node.name.clone()).collect()
}
