//! Keeps this node's ring, peers and liveness beliefs in step with what gossip tells.
//!
//! Gossip spreads only the number and hash of an epoch; the document is fetched from a node that has it, checked
//! against the hash, made durable, and only then used. A node adopts only higher epochs of its own cluster; a node
//! without a ring adopts only one that names it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::operation::MemberState;
use super::shared::Shared;
use crate::peer::client::PeerAddress;
use crate::peer::{Class, PeerReply, PeerRequest};
use crate::protocol::id::NodeId;
use crate::protocol::ring::DecodeError;
use crate::protocol::ring::epoch::RingEpoch;
use crate::runtime::clock;

/// Document that holds the adopted epoch.
const EPOCH_DOCUMENT: &str = "ring-epoch";
/// How long fetching an epoch may take.
const FETCH_DEADLINE: Duration = Duration::from_secs(2);
/// Look again even when gossip is silent: connections come and go without a membership change.
const PERIOD: Duration = Duration::from_secs(1);

/// Why the kept ring could not be read. Nothing was changed; the store is damaged.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error("cannot read the ring from the store")]
    Store(#[source] crate::storage::ReadError),
    /// The bytes are no epoch.
    #[error("the ring kept in the store is damaged")]
    Damaged(#[source] DecodeError),
}

/// Why an epoch was not adopted. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdoptError {
    /// It belongs to another cluster.
    #[error("this node belongs to another cluster")]
    OtherCluster,
    /// It could not be made durable.
    #[error("the store failed")]
    Store,
}

/// Reads the kept ring, if there is one.
pub(super) fn load(shared: &Arc<Shared>) -> Result<(), LoadError> {
    let Some(bytes) = shared.storage.document(EPOCH_DOCUMENT).map_err(LoadError::Store)? else { return Ok(()) };
    let ring = RingEpoch::from_bytes(&bytes).map_err(LoadError::Damaged)?;
    put_to_use(shared, ring);
    Ok(())
}

/// Makes an epoch durable and then this node's own; lower or equal epochs change nothing.
pub(super) async fn adopt(shared: &Arc<Shared>, ring: RingEpoch) -> Result<(), AdoptError> {
    if let Some(current) = shared.ring.load().as_ref() {
        if current.cluster() != ring.cluster() {
            return Err(AdoptError::OtherCluster);
        }
        if current.number() >= ring.number() {
            return Ok(());
        }
    }
    let (done, stored) = tokio::sync::oneshot::channel();
    shared.storage.put_document(EPOCH_DOCUMENT, ring.to_bytes(), move |result| drop(done.send(result)));
    match stored.await {
        Ok(Ok(())) => {}
        _ => return Err(AdoptError::Store),
    }
    tracing::info!(epoch = %ring.number(), cluster = %ring.cluster(), nodes = ring.nodes().len(), "ring adopted");
    put_to_use(shared, ring);
    Ok(())
}

fn put_to_use(shared: &Arc<Shared>, ring: RingEpoch) {
    shared.local.set_cluster(ring.cluster());
    shared.ring.store(Some(Arc::new(ring)));
    shared.tell_gossip();
    refresh_peers(shared);
}

/// Follows gossip for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut changes = shared.gossip.events();
    loop {
        refresh_peers(&shared);
        fetch_newer(&shared).await;
        // Either a change or the period: both lead to the same look at everything.
        drop(clock::until(clock::monotonic_now() + PERIOD, changes.recv()).await);
    }
}

/// Tells the peer pool whom to connect to, and remembers who is not worth asking.
fn refresh_peers(shared: &Arc<Shared>) {
    let members = shared.gossip.members();
    let this = shared.identity.id;
    let (mut shunned, mut reluctant) = (HashSet::new(), HashSet::new());
    let mut peers: Vec<PeerAddress> = Vec::new();
    for record in members.iter().filter(|record| record.member.id != this) {
        let id = record.member.id;
        match record.member_state() {
            MemberState::Dead | MemberState::Left => drop(shunned.insert(id)),
            MemberState::Draining => drop(reluctant.insert(id)),
            MemberState::Alive | MemberState::Suspect => {}
        }
        let address = record.member.addresses.peer.to_string();
        peers.push(PeerAddress { id, name: record.member.name.clone(), address });
    }
    let known: HashSet<NodeId> = peers.iter().map(|peer| peer.id).collect();
    for node in shared.ring.load().iter().flat_map(|ring| ring.nodes().to_vec()) {
        if node.id != this && !known.contains(&node.id) {
            peers.push(PeerAddress { id: node.id, name: node.name.clone(), address: node.peer.to_string() });
        }
    }
    shared.peers.set_peers(peers);
    shared.reluctant.store(Arc::new(reluctant));
    let before = shared.shunned.swap(Arc::new(shunned));
    for node in before.iter().filter(|node| shared.is_usable(**node)) {
        shared.peers.nudge(*node);
    }
}

/// Fetches the epoch of a member that has a higher one than this node.
async fn fetch_newer(shared: &Arc<Shared>) {
    let own = shared.ring.load().as_ref().map(|ring| (ring.cluster(), ring.number()));
    let members = shared.gossip.members();
    let ahead = members.iter().filter(|record| record.state.is_present()).find(|record| {
        let facts = &record.member.facts;
        match own {
            Some((cluster, number)) => facts.cluster == Some(cluster) && facts.epoch > number,
            None => facts.cluster.is_some() && facts.epoch.0 > 0,
        }
    });
    let Some(record) = ahead else { return };
    let deadline = clock::monotonic_now() + FETCH_DEADLINE;
    let reply = shared.peers.request(record.member.id, &PeerRequest::FetchEpoch, Class::Sync, deadline).await;
    let Ok(PeerReply::Epoch(bytes)) = reply else { return };
    if let Err(error) = take(shared, &bytes, &record.member.facts.epoch_hash).await {
        tracing::warn!(peer = %record.member.name, error, "the epoch fetched from a peer was not adopted");
    }
}

async fn take(shared: &Arc<Shared>, bytes: &Bytes, expected_hash: &[u8; 32]) -> Result<(), String> {
    let ring = RingEpoch::from_bytes(bytes).map_err(|error| error.to_string())?;
    if ring.hash().0 != *expected_hash {
        // It may have moved on since it gossiped; the next look settles it.
        return Err("its hash is not the one gossiped".to_owned());
    }
    if shared.ring.load().is_none() && ring.node(shared.identity.id).is_none() {
        // A first ring binds only the nodes it names, so that half-started clusters cannot swallow each other.
        return Ok(());
    }
    adopt(shared, ring).await.map_err(|error| error.to_string())
}
