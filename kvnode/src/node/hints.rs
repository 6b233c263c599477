//! Brings a returned node level: delivers its hints, then pushes the partitions whose hints were capped.
//!
//! One batch in flight per target, in the class below client and repair traffic. A hint is removed only after the
//! target said that it is durable there; the target's merge makes repetition harmless. It runs while the target is
//! connected and believed alive; nothing is lost when it stops half-way.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::peer::{Class, MAX_WRITE_MANY, PeerReply, PeerRequest};
use crate::protocol::id::{NodeId, PartitionId};
use crate::protocol::key::Key;
use crate::protocol::record::Record;
use crate::runtime::clock;

/// How often to look for hints that can be delivered.
const PERIOD: Duration = Duration::from_millis(200);
/// How long a batch may take: long enough for a busy disk, short enough to notice a stuck target.
const BATCH_DEADLINE: Duration = Duration::from_secs(10);
/// Values of one batch, in bytes: a quarter of a frame.
const BATCH_BYTES: usize = 1 << 20;

/// Delivers for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        clock::sleep(PERIOD).await;
        for (target, count) in shared.storage.hint_counts() {
            let reachable = shared.is_usable(target) && shared.peers.is_connected(target);
            if reachable && (count.count > 0 || !count.dirty.is_empty()) {
                deliver(&shared, target).await;
            }
        }
    }
}

/// Delivers all that one target is owed, until done or refused.
async fn deliver(shared: &Arc<Shared>, target: NodeId) {
    loop {
        let storage = shared.storage.clone();
        // On a thread that may wait for the disk, as below.
        let read = shared.tasks.run_blocking("hints", move || storage.hints(target, MAX_WRITE_MANY)).await;
        let Some(Ok(mut batch)) = read else { return };
        if batch.is_empty() {
            break;
        }
        cut_to_bytes(&mut batch, BATCH_BYTES);
        let delivered: Vec<_> =
            batch.iter().map(|(partition, key, record)| (*partition, key.clone(), record.stamp)).collect();
        if !send(shared, target, batch).await {
            return;
        }
        shared.metrics.hints_delivered.inc_by(delivered.len() as u64);
        shared.storage.remove_hints(target, delivered);
    }
    let Some(count) = shared.storage.hint_counts().remove(&target) else { return };
    for partition in count.dirty {
        if !push_partition(shared, target, partition).await {
            return;
        }
        shared.storage.clear_dirty(target, partition, count.marks);
    }
}

/// Pushes every record of a partition. Writes that come in meanwhile reach the target themselves.
async fn push_partition(shared: &Arc<Shared>, target: NodeId, partition: PartitionId) -> bool {
    let mut start = Vec::new();
    loop {
        let storage = shared.storage.clone();
        let scan = move || storage.scan(&[partition], &start, &[], MAX_WRITE_MANY, true);
        let Some(Ok(page)) = shared.tasks.run_blocking("partition push", scan).await else { return false };
        let Some((last, _)) = page.items.last() else { return true };
        start = successor(last.as_bytes());
        let mut rest: Vec<_> = page.items.into_iter().map(|(key, record)| (partition, key, record)).collect();
        while !rest.is_empty() {
            let mut batch = rest;
            rest = cut_to_bytes(&mut batch, BATCH_BYTES);
            if !send(shared, target, batch).await {
                return false;
            }
        }
        if !page.more {
            return true;
        }
    }
}

async fn send(shared: &Arc<Shared>, target: NodeId, records: Vec<(PartitionId, Key, Record)>) -> bool {
    let request = PeerRequest::WriteMany { epoch: shared.epoch_number(), records };
    let deadline = clock::monotonic_now() + BATCH_DEADLINE;
    matches!(shared.peers.request(target, &request, Class::Hints, deadline).await, Ok(PeerReply::WrittenMany))
}

/// Keeps a prefix of at most `limit` value bytes (but at least one record) and returns the rest.
fn cut_to_bytes(batch: &mut Vec<(PartitionId, Key, Record)>, limit: usize) -> Vec<(PartitionId, Key, Record)> {
    let mut bytes = 0;
    let fits = batch
        .iter()
        .take_while(|(_, key, record)| {
            bytes += key.as_bytes().len() + record.value_bytes();
            bytes <= limit
        })
        .count();
    batch.split_off(fits.max(1).min(batch.len()))
}

/// The smallest key above this one.
pub(super) fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::{Content, Value};
    use crate::protocol::stamp::Stamp;

    fn batch(sizes: &[usize]) -> Vec<(PartitionId, Key, Record)> {
        let record = |size: &usize| {
            let value = Value { bytes: vec![0; *size].into(), content_type: None, expires_at: None };
            let record = Record { stamp: Stamp::ZERO, content: Content::Value(value) };
            (PartitionId(0), Key::parse(vec![1]).expect("a key"), record)
        };
        sizes.iter().map(record).collect()
    }

    fn check(sizes: &[usize], limit: usize, kept: usize) {
        let mut first = batch(sizes);
        let rest = cut_to_bytes(&mut first, limit);
        assert_eq!((first.len(), rest.len()), (kept, sizes.len() - kept), "{sizes:?} within {limit}");
    }

    #[test]
    fn batches_are_cut_by_bytes_but_never_to_nothing() {
        check(&[], 10, 0);
        check(&[9, 9, 9], 20, 2);
        check(&[9, 9, 9], 30, 3);
        check(&[50, 1], 10, 1);
        check(&[1, 50, 1], 10, 1);
    }

    #[test]
    fn nothing_lies_between_a_key_and_its_successor() {
        for key in [&b"a"[..], b"", b"\xff\xff", b"a\0"] {
            let next = successor(key);
            assert!(next.as_slice() > key);
            assert!(
                [&b"a"[..], b"a\0", b"a\0\0", b"b", b"\xff\xff\0"]
                    .iter()
                    .all(|other| *other <= key || *other >= next.as_slice())
            );
        }
    }
}
