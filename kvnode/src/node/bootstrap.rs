//! The shell of the first ring's agreement: stores what the acceptor decides, carries the proposer's messages.
//!
//! An explicit act starts it (`kvctl cluster up`, or `kvnode --bootstrap`); nothing else does. The act names exactly
//! the nodes; all of them must be alive here and agree, so two half-started clusters cannot merge or split. The
//! acceptor handles one request at a time and replies only after its state is durable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::adoption;
use super::operation::MemberState;
use super::service::{Bootstrap, BootstrapError, Bootstrapped};
use super::shared::Shared;
use crate::peer::{Class, PeerReply, PeerRequest, Responder};
use crate::protocol::id::{ClusterId, NodeId, NodeName};
use crate::protocol::key::Partitioner;
use crate::protocol::membership::member::Member;
use crate::protocol::register::Refusal;
use crate::protocol::ring::commit::{Acceptor, Durable, Failure, Proposer, Reply, Request, Step};
use crate::protocol::ring::epoch::{AddressError, NodeState, RingEpoch, RingNode};
use crate::runtime::clock;

/// Document that holds the acceptor's durable state.
const ACCEPTOR_DOCUMENT: &str = "first-ring-acceptor";
/// Weight of a node in a first ring: all alike; later changes of the ring set others.
const DEFAULT_WEIGHT: u32 = 100;
/// How long one round of messages may take.
const ROUND: Duration = Duration::from_secs(1);
/// Longest random pause before another attempt.
const PAUSE_MS: u64 = 300;

/// Answers a peer's step.
pub(super) fn accept(shared: &Arc<Shared>, bytes: Bytes, respond: Responder) {
    let task = Arc::clone(shared);
    shared.tasks.spawn_to_end("first ring acceptor", async move {
        let reply = match Request::from_bytes(&bytes) {
            Ok(request) => decide(&task, &request).await,
            Err(error) => Err(error.to_string()),
        };
        respond(match reply {
            Ok(reply) => PeerReply::RingCommit(reply.to_bytes()),
            Err(error) => {
                tracing::warn!(error, "a step of the first ring's agreement was not answered");
                PeerReply::Refused(Refusal::StoreFailed)
            }
        });
    });
}

/// One request to this node's acceptor: decide, persist, adopt, and only then reply.
async fn decide(shared: &Arc<Shared>, request: &Request) -> Result<Reply, String> {
    let _one_at_a_time = shared.acceptor.lock().await;
    let acceptor = Acceptor::new(shared.identity.id, load(shared)?, shared.ring.load_full());
    let decision = acceptor.on_request(request);
    if let Some(durable) = decision.persist {
        let (done, stored) = tokio::sync::oneshot::channel();
        shared.storage.put_document(ACCEPTOR_DOCUMENT, durable.to_bytes(), move |result| drop(done.send(result)));
        stored.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    }
    if let Some(epoch) = decision.adopt {
        adoption::adopt(shared, RingEpoch::clone(&epoch)).await.map_err(|error| error.to_string())?;
    }
    Ok(decision.reply)
}

fn load(shared: &Shared) -> Result<Durable, String> {
    match shared.storage.document(ACCEPTOR_DOCUMENT).map_err(|error| error.to_string())? {
        Some(bytes) => Durable::from_bytes(&bytes).map_err(|error| error.to_string()),
        None => Ok(Durable::NEW),
    }
}

/// Carries out the explicit act.
pub(super) async fn propose(shared: &Arc<Shared>, act: Bootstrap) -> Result<Bootstrapped, BootstrapError> {
    if let Some(ring) = shared.ring.load_full() {
        return standing(&ring, &act);
    }
    let proposal = Arc::new(draft(shared, &act)?);
    let above = load(shared).map_err(|reason| BootstrapError::NotAgreed { reason })?.promised;
    let (mut proposer, mut step) = Proposer::start(shared.identity.id, proposal, above);
    loop {
        step = match step {
            Step::Wait => proposer.on_timeout(),
            Step::Send { to, request } => exchange(shared, &mut proposer, &to, &request).await,
            Step::Retry { .. } => {
                clock::sleep(Duration::from_millis(rand::random_range(0..PAUSE_MS))).await;
                proposer.retry()
            }
            Step::Committed { epoch, own } => {
                return Ok(Bootstrapped { cluster: epoch.cluster(), epoch: epoch.number(), already: !own });
            }
            Step::Failed(failure) => return Err(not_agreed(failure)),
        };
    }
}

/// The ring stands: the same act again is fine, another is refused.
fn standing(ring: &RingEpoch, act: &Bootstrap) -> Result<Bootstrapped, BootstrapError> {
    let mut wanted = act.nodes.clone();
    let mut nodes: Vec<NodeName> = ring.nodes().iter().map(|node| node.name.clone()).collect();
    wanted.sort();
    nodes.sort();
    if wanted == nodes {
        return Ok(Bootstrapped { cluster: ring.cluster(), epoch: ring.number(), already: true });
    }
    Err(BootstrapError::OtherRing { cluster: ring.cluster(), nodes })
}

/// Sends one step to all receivers at once and feeds the replies as they come; the timeout ends the round.
async fn exchange(shared: &Arc<Shared>, proposer: &mut Proposer, to: &[NodeId], request: &Request) -> Step {
    let deadline = clock::monotonic_now() + ROUND;
    let mut replies: futures_util::stream::FuturesUnordered<_> =
        to.iter().map(|node| async move { (*node, ask(shared, *node, request, deadline).await) }).collect();
    while let Some((node, reply)) = futures_util::StreamExt::next(&mut replies).await {
        let Some(reply) = reply else { continue };
        match proposer.on_reply(node, reply) {
            Step::Wait => {}
            step => return step,
        }
    }
    proposer.on_timeout()
}

async fn ask(shared: &Arc<Shared>, node: NodeId, request: &Request, deadline: std::time::Instant) -> Option<Reply> {
    if node == shared.identity.id {
        return decide(shared, request).await.ok();
    }
    let message = PeerRequest::RingCommit(request.to_bytes());
    match shared.peers.request(node, &message, Class::Sync, deadline).await {
        Ok(PeerReply::RingCommit(bytes)) => Reply::from_bytes(&bytes).ok(),
        _ => None,
    }
}

/// The ring that the act asks for, from what gossip knows of the named nodes.
fn draft(shared: &Shared, act: &Bootstrap) -> Result<RingEpoch, BootstrapError> {
    let members = shared.gossip.members();
    let alive = |name: &NodeName| {
        let named = members.iter().find(|record| record.member.name == *name);
        named.filter(|record| record.member_state() == MemberState::Alive).map(|record| ring_node(&record.member))
    };
    let nodes: Vec<Option<Result<RingNode, AddressError>>> = act.nodes.iter().map(alive).collect();
    let missing: Vec<NodeName> =
        act.nodes.iter().zip(&nodes).filter(|(_, node)| node.is_none()).map(|(name, _)| name.clone()).collect();
    if !missing.is_empty() {
        return Err(BootstrapError::Missing { missing });
    }
    let impossible = |reason: String| BootstrapError::Impossible { reason };
    let nodes: Result<Vec<RingNode>, AddressError> = nodes.into_iter().flatten().collect();
    let nodes = nodes.map_err(|error| impossible(error.to_string()))?;
    if !nodes.iter().any(|node| node.id == shared.identity.id) {
        return Err(impossible(format!("{} is not among the named nodes; ask one of them", shared.identity.name)));
    }
    let partitioner =
        Partitioner::new(rand::random(), act.partitions).map_err(|error| impossible(error.to_string()))?;
    let cluster = ClusterId::from_bits(rand::random());
    RingEpoch::first(cluster, nodes, usize::from(act.replicas), partitioner, rand::random())
        .map_err(|error| impossible(error.to_string()))
}

fn ring_node(member: &Member) -> Result<RingNode, AddressError> {
    Ok(RingNode {
        id: member.id,
        name: member.name.clone(),
        zone: member.zone.clone(),
        weight: DEFAULT_WEIGHT,
        api: member.addresses.api.to_string().parse()?,
        peer: member.addresses.peer.to_string().parse()?,
        gossip: member.addresses.gossip.to_string().parse()?,
        state: NodeState::Active,
    })
}

fn not_agreed(failure: Failure) -> BootstrapError {
    match failure {
        Failure::OtherRing { cluster, nodes, .. } => BootstrapError::OtherRing { cluster, nodes },
        other => BootstrapError::NotAgreed { reason: other.to_string() },
    }
}
