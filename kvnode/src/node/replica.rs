//! What this node does for its peers: answers register questions, takes hints, serves scans and documents.
//!
//! Runs inside the connection's reader task and so never blocks: storage answers through callbacks, a scan or a
//! forwarded operation gets a task. A request of another epoch, or for a partition not held, is refused, never
//! guessed at.

use std::sync::Arc;
use std::time::Instant;

use super::local;
use super::node::Node;
use super::{bootstrap, forward};
use crate::peer::{PeerIdentity, PeerReply, PeerRequest, PeerService, Responder, ScanRequest};
use crate::protocol::id::{EpochNumber, PartitionId};
use crate::protocol::key::Key;
use crate::protocol::record::Record;
use crate::protocol::register::{Refusal, Reply, Request};
use crate::storage::Origin;

impl PeerService for Node {
    fn handle(&self, from: &PeerIdentity, request: PeerRequest, deadline: Instant, respond: Responder) {
        let shared = self.shared();
        shared.gossip.evidence(from.id);
        match request {
            PeerRequest::Register { epoch, request } => self.register(epoch, request, respond),
            PeerRequest::Forward { epoch, operation } => {
                let task = Arc::clone(shared);
                shared.tasks.spawn_to_end("forwarded", async move {
                    respond(forward::accept(&task, epoch, operation, deadline).await);
                });
            }
            PeerRequest::WriteMany { epoch, records } => self.write_many(epoch, records, respond),
            PeerRequest::Scan(request) => self.scan(request, respond),
            PeerRequest::GossipExchange(bytes) => respond(match shared.gossip.handle_exchange(&bytes) {
                Ok(answer) => PeerReply::GossipExchange(answer),
                Err(_) => PeerReply::Refused(Refusal::StoreFailed),
            }),
            PeerRequest::FetchEpoch => {
                let bytes = shared.ring.load().as_ref().map(|ring| ring.to_bytes()).unwrap_or_default();
                respond(PeerReply::Epoch(bytes));
            }
            PeerRequest::RingCommit(bytes) => bootstrap::accept(shared, bytes, respond),
        }
    }
}

impl Node {
    fn register(&self, epoch: EpochNumber, request: Request, respond: Responder) {
        let shared = self.shared();
        if let Err(refusal) = shared.holds(epoch, request.partition()) {
            return respond(PeerReply::Register(Reply::Refused(refusal)));
        }
        if let Request::Write { record, .. } = &request {
            shared.observe(record.stamp);
        }
        local::carry_out(&shared.storage, request, Origin::Client, move |reply| respond(PeerReply::Register(reply)));
    }

    fn write_many(&self, epoch: EpochNumber, records: Vec<(PartitionId, Key, Record)>, respond: Responder) {
        let shared = self.shared();
        for (partition, _, record) in &records {
            if let Err(refusal) = shared.holds(epoch, *partition) {
                return respond(PeerReply::Refused(refusal));
            }
            shared.observe(record.stamp);
        }
        shared.storage.write_many(records, move |result| {
            respond(
                result.map_or_else(|error| PeerReply::Refused(local::refusal_of(&error)), |()| PeerReply::WrittenMany),
            );
        });
    }

    fn scan(&self, request: ScanRequest, respond: Responder) {
        let shared = self.shared();
        if shared.epoch_number() != request.epoch {
            return respond(PeerReply::Refused(Refusal::WrongEpoch { current: shared.epoch_number() }));
        }
        let storage = shared.storage.clone();
        shared.tasks.spawn_blocking("scan", move || respond(local::scan(&storage, &request)));
    }
}
