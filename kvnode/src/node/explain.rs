//! Why one key reads as it does: asks every replica for its version and times the answers.
//!
//! For operators. It changes nothing, repairs nothing, and shows a replica that does not answer as just that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::local;
use super::operation::{Explained, Failed, ReplicaExplained};
use super::route::Route;
use super::shared::Shared;
use crate::peer::{Class, PeerReply, PeerRequest};
use crate::protocol::key::Key;
use crate::protocol::record::Version;
use crate::protocol::register::replicas::ReplicaIndex;
use crate::protocol::register::{Reply, Request};
use crate::runtime::clock;
use crate::storage::Origin;

/// Asks all replicas at once; those that do not answer by the deadline are shown without a stamp.
pub(super) async fn explain(shared: &Arc<Shared>, key: Key, deadline: Instant) -> Result<Explained, Failed> {
    let route = shared.route(&key)?;
    let asked = route.preference().iter().map(|replica| ask(shared, &route, *replica, &key, deadline));
    let answers = futures_util::future::join_all(asked).await;
    let hints = shared.storage.hint_counts();
    let replicas = route.preference().iter().zip(answers).filter_map(|(replica, answer)| {
        let node = route.epoch.node(route.node(*replica))?;
        Some(ReplicaExplained {
            name: node.name.clone(),
            zone: node.zone.clone(),
            stamp: answer.map(|(version, _)| version.stamp),
            tombstone: answer.is_some_and(|(version, _)| version != Version::NONE && !version.is_value),
            latency: answer.map(|(_, latency)| latency),
            hints: hints.get(&node.id).map_or(0, |count| count.count),
        })
    });
    Ok(Explained { partition: route.partition, epoch: route.epoch_number(), replicas: replicas.collect() })
}

async fn ask(
    shared: &Arc<Shared>,
    route: &Route,
    replica: ReplicaIndex,
    key: &Key,
    deadline: Instant,
) -> Option<(Version, Duration)> {
    let started = clock::monotonic_now();
    let request = Request::ReadVersion { partition: route.partition, key: key.clone() };
    let reply = if route.is_self(replica) {
        let (done, answer) = tokio::sync::oneshot::channel();
        local::carry_out(&shared.storage, request, Origin::Client, move |reply| drop(done.send(reply)));
        clock::until(deadline, answer).await?.ok()?
    } else {
        let request = PeerRequest::Register { epoch: route.epoch_number(), request };
        match shared.peers.request(route.node(replica), &request, Class::Client, deadline).await.ok()? {
            PeerReply::Register(reply) => reply,
            _ => return None,
        }
    };
    match reply {
        Reply::Version(version) => Some((version, started.elapsed())),
        _ => None,
    }
}
