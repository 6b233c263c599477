//! Hands an operation to a replica when this node is none, and takes such operations from others. Once, never twice.
//!
//! Reads try every replica in turn. A write goes to the next replica only while it certainly was not started.

use std::sync::Arc;
use std::time::Instant;

use super::operation::{Failed, Options, Wrote};
use super::request;
use super::route::Route;
use super::shared::Shared;
use crate::peer::{CallError, Class, FailureKind, ForwardReply, Operation, OperationFailure, PeerReply, PeerRequest};
use crate::protocol::id::EpochNumber;
use crate::protocol::key::Key;
use crate::protocol::record::Record;
use crate::protocol::register::Refusal;

/// Reads through a replica.
pub(super) async fn read(
    shared: &Arc<Shared>,
    route: &Route,
    key: Key,
    options: Options,
) -> Result<Option<Record>, Failed> {
    let operation = Operation::Get { key, consistency: options.consistency };
    match forward(shared, route, &operation, options.deadline, true).await? {
        ForwardReply::Got(record) => Ok(record),
        ForwardReply::Failed(failure) => Err(with_context(route, failure)),
        ForwardReply::Wrote { .. } => Err(unreachable_replicas(route, false)),
    }
}

/// Writes through a replica.
pub(super) async fn write(
    shared: &Arc<Shared>,
    route: &Route,
    key: Key,
    intent: request::Intent,
    options: Options,
) -> Result<Wrote, Failed> {
    let operation = Operation::Write { key, consistency: options.consistency, value: intent };
    match forward(shared, route, &operation, options.deadline, false).await? {
        ForwardReply::Wrote { stamp, replaced, acked } => Ok(receipt(route, stamp, replaced, acked)),
        ForwardReply::Failed(failure) => Err(with_context(route, failure)),
        ForwardReply::Got(_) => Err(unreachable_replicas(route, true)),
    }
}

fn receipt(
    route: &Route,
    stamp: crate::protocol::stamp::Stamp,
    replaced: bool,
    acked: Vec<crate::protocol::id::NodeName>,
) -> Wrote {
    let mut zones: Vec<_> =
        route.epoch.nodes().iter().filter(|node| acked.contains(&node.name)).map(|node| &node.zone).collect();
    zones.sort();
    zones.dedup();
    Wrote {
        stamp,
        replaced,
        replicas_total: route.preference().len(),
        zones_acked: zones.len(),
        acked,
        epoch: route.epoch_number(),
    }
}

async fn forward(
    shared: &Arc<Shared>,
    route: &Route,
    operation: &Operation,
    deadline: Instant,
    idempotent: bool,
) -> Result<ForwardReply, Failed> {
    for replica in route.preference() {
        let request = PeerRequest::Forward { epoch: route.epoch_number(), operation: operation.clone() };
        match shared.peers.request(route.node(*replica), &request, Class::Client, deadline).await {
            Ok(PeerReply::Forward(ForwardReply::Failed(failure))) if failure.kind == FailureKind::NotReplica => {}
            Ok(PeerReply::Forward(reply)) => return Ok(reply),
            Err(CallError::NotConnected | CallError::QueueFull | CallError::TooLarge) | Ok(PeerReply::Refused(_)) => {}
            Err(CallError::Broken) if idempotent => {}
            Err(CallError::TimedOut) => return Err(too_late(route, !idempotent)),
            Err(CallError::Broken) | Ok(_) => return Err(unreachable_replicas(route, !idempotent)),
        }
    }
    Err(unreachable_replicas(route, false))
}

fn unreachable_replicas(route: &Route, may_be_applied: bool) -> Failed {
    let kind = FailureKind::QuorumUnavailable;
    with_context(route, OperationFailure { kind, may_be_applied, required: 1, received: 0 })
}

fn too_late(route: &Route, may_be_applied: bool) -> Failed {
    let kind = FailureKind::Deadline;
    with_context(route, OperationFailure { kind, may_be_applied, required: 1, received: 0 })
}

fn with_context(route: &Route, failure: OperationFailure) -> Failed {
    Failed {
        failure,
        epoch: route.epoch_number(),
        partition: Some(route.partition),
        replicas_total: route.preference().len(),
    }
}

/// Carries out an operation that another node forwarded.
pub(super) async fn accept(
    shared: &Arc<Shared>,
    epoch: EpochNumber,
    operation: Operation,
    deadline: Instant,
) -> PeerReply {
    let key = match &operation {
        Operation::Get { key, .. } | Operation::Write { key, .. } => key.clone(),
    };
    let route = match shared.route(&key) {
        Ok(route) if route.epoch_number() == epoch && route.includes_self() => route,
        Ok(route) if route.epoch_number() != epoch => {
            return PeerReply::Refused(Refusal::WrongEpoch { current: route.epoch_number() });
        }
        _ => {
            let failure =
                OperationFailure { kind: FailureKind::NotReplica, may_be_applied: false, required: 1, received: 0 };
            return PeerReply::Forward(ForwardReply::Failed(failure));
        }
    };
    PeerReply::Forward(match operation {
        Operation::Get { consistency, .. } => {
            let options = Options { consistency, deadline };
            match request::read(shared, route, key, options).await {
                Ok(record) => ForwardReply::Got(record),
                Err(failed) => ForwardReply::Failed(failed.failure),
            }
        }
        Operation::Write { consistency, value, .. } => {
            let options = Options { consistency, deadline };
            match request::write(shared, route, key, value, options).await {
                Ok(wrote) => ForwardReply::Wrote { stamp: wrote.stamp, replaced: wrote.replaced, acked: wrote.acked },
                Err(failed) => ForwardReply::Failed(failed.failure),
            }
        }
    })
}
