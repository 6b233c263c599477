//! Lists keys in order over all partitions: each partition is read from a quorum of its replicas, and merged.
//!
//! Not a snapshot and not linearizable: every item is as new as some quorum knew when its page was read. Deleted and
//! expired keys are skipped. A node that fails during a page is left out and the page is read again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::hints::successor;
use super::local;
use super::operation::{Failed, ListQuery, Listed};
use super::request;
use super::shared::{Shared, no_ring};
use crate::peer::{Class, PeerReply, PeerRequest, ScanRequest};
use crate::protocol::id::{NodeId, PartitionId};
use crate::protocol::key::Key;
use crate::protocol::quorum::Consistency;
use crate::protocol::record::Record;
use crate::protocol::register::replicas::{Failure, Kind};
use crate::protocol::ring::epoch::RingEpoch;
use crate::runtime::clock;

/// Pages of deleted keys passed over for one answer; past it the answer is short and says where to go on.
const MAX_ROUNDS: usize = 16;
/// Bytes of values in one answer; past it the answer is short and says where to go on. As many as the API hands out.
const MAX_VALUE_BYTES: usize = 8 << 20;

/// One page of live keys.
pub(super) async fn list(shared: &Arc<Shared>, query: ListQuery) -> Result<Listed, Failed> {
    let ring = shared.ring.load_full().ok_or_else(no_ring)?;
    let (mut start, mut items, mut value_bytes) = (query.start.clone(), Vec::new(), 0);
    for _ in 0..MAX_ROUNDS {
        let round = read_round(shared, &ring, &query, &start).await?;
        let now = shared.hybrid_now();
        for (key, record) in round.records {
            let bytes = record.value_bytes();
            if items.len() == query.limit || (value_bytes > 0 && value_bytes + bytes > MAX_VALUE_BYTES) {
                let next = Some(key.to_bytes());
                return Ok(Listed { items, next, epoch: ring.number() });
            }
            if record.version().is_live(now) {
                value_bytes += bytes;
                items.push((key, record));
            }
        }
        match round.next {
            None => return Ok(Listed { items, next: None, epoch: ring.number() }),
            Some(next) => start = next,
        }
    }
    Ok(Listed { items, next: Some(start), epoch: ring.number() })
}

struct Round {
    records: BTreeMap<Key, Record>,
    next: Option<Bytes>,
}

/// Reads one merged page, leaving out nodes that fail, as long as every partition has a quorum.
async fn read_round(
    shared: &Arc<Shared>,
    ring: &Arc<RingEpoch>,
    query: &ListQuery,
    start: &Bytes,
) -> Result<Round, Failed> {
    let mut excluded = HashSet::new();
    loop {
        let plan = plan(shared, ring, &excluded)?;
        let scans = plan.into_iter().map(|(node, partitions)| {
            let request = ScanRequest {
                epoch: ring.number(),
                partitions,
                start: start.clone(),
                end: query.end.clone(),
                limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
                with_values: query.with_values,
            };
            async move { (node, scan_node(shared, node, request, query.deadline).await) }
        });
        let pages = futures_util::future::join_all(scans).await;
        let failed: Vec<NodeId> = pages.iter().filter(|(_, page)| page.is_none()).map(|(node, _)| *node).collect();
        if failed.is_empty() {
            return Ok(merge(pages.into_iter().filter_map(|(_, page)| page)));
        }
        if clock::monotonic_now() >= query.deadline {
            return Err(too_few(shared, ring, PartitionId(0), Kind::Deadline));
        }
        excluded.extend(failed);
    }
}

/// Which node is asked for which partitions: a quorum of each, the preferred replicas first.
fn plan(
    shared: &Arc<Shared>,
    ring: &Arc<RingEpoch>,
    excluded: &HashSet<NodeId>,
) -> Result<BTreeMap<NodeId, Vec<PartitionId>>, Failed> {
    let mut plan: BTreeMap<NodeId, Vec<PartitionId>> = BTreeMap::new();
    for number in 0..ring.partitioner().count() {
        let partition = PartitionId(number);
        let route = shared.route_partition(Arc::clone(ring), partition);
        let required = Consistency::Quorum.required(route.preference().len());
        let usable = route.preference().iter().map(|replica| route.node(*replica));
        let chosen: Vec<NodeId> = usable.filter(|node| !excluded.contains(node)).take(required).collect();
        if chosen.len() < required {
            return Err(too_few(shared, ring, partition, Kind::Unreachable));
        }
        for node in chosen {
            plan.entry(node).or_default().push(partition);
        }
    }
    Ok(plan)
}

fn too_few(shared: &Arc<Shared>, ring: &Arc<RingEpoch>, partition: PartitionId, kind: Kind) -> Failed {
    let route = shared.route_partition(Arc::clone(ring), partition);
    let required = Consistency::Quorum.required(route.preference().len());
    request::failed(&route, Failure { kind, may_be_applied: false, required, received: 0 })
}

type Page = (Vec<(Key, Record)>, bool);

async fn scan_node(
    shared: &Arc<Shared>,
    node: NodeId,
    request: ScanRequest,
    deadline: std::time::Instant,
) -> Option<Page> {
    let reply = if node == shared.identity.id {
        let storage = shared.storage.clone();
        let scanned = shared.tasks.run_blocking("scan", move || local::scan(&storage, &request));
        // It waits for the disk, which may hang; the operation must end all the same.
        clock::until(deadline, scanned).await??
    } else {
        shared.peers.request(node, &PeerRequest::Scan(request), Class::Sync, deadline).await.ok()?
    };
    match reply {
        PeerReply::Scanned { items, more } => Some((items, more)),
        _ => None,
    }
}

/// Merges pages by highest stamp, up to the first key that some truncated page may be missing.
fn merge(pages: impl Iterator<Item = Page>) -> Round {
    let mut records: BTreeMap<Key, Record> = BTreeMap::new();
    let mut horizon: Option<Vec<u8>> = None;
    for (items, more) in pages {
        if more {
            let end = items.last().map(|(key, _)| successor(key.as_bytes())).unwrap_or_default();
            horizon = Some(horizon.map_or(end.clone(), |horizon| horizon.min(end)));
        }
        for (key, record) in items {
            match records.get(&key) {
                Some(present) if present.stamp >= record.stamp => {}
                _ => drop(records.insert(key, record)),
            }
        }
    }
    if let Some(horizon) = &horizon {
        records.retain(|key, _| key.as_bytes() < horizon.as_slice());
    }
    Round { records, next: horizon.map(Bytes::from) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::Content;
    use crate::protocol::stamp::Stamp;

    fn page(items: &[(&str, u64)], more: bool) -> Page {
        let item = |(key, time): &(&str, u64)| {
            let stamp = Stamp { time: *time, writer: 0, rmw: 0 };
            (Key::parse(key.as_bytes().to_vec()).expect("key"), Record { stamp, content: Content::Tombstone })
        };
        (items.iter().map(item).collect(), more)
    }

    fn check(pages: Vec<Page>, expected: &[(&str, u64)], next: Option<&[u8]>) {
        let round = merge(pages.into_iter());
        let found: Vec<_> =
            round.records.iter().map(|(key, record)| (key.as_bytes().to_vec(), record.stamp.time)).collect();
        let expected: Vec<_> = expected.iter().map(|(key, time)| (key.as_bytes().to_vec(), *time)).collect();
        assert_eq!(found, expected);
        assert_eq!(round.next.as_deref(), next);
    }

    #[test]
    fn pages_merge_by_stamp_up_to_the_shortest_truncated_page() {
        check(vec![page(&[("a", 1), ("b", 2)], false), page(&[("a", 3)], false)], &[("a", 3), ("b", 2)], None);
        check(
            vec![page(&[("a", 1), ("c", 2)], true), page(&[("b", 3), ("d", 1), ("e", 1)], true)],
            &[("a", 1), ("b", 3), ("c", 2)],
            Some(b"c\0"),
        );
        check(vec![page(&[], false), page(&[("x", 1)], true)], &[("x", 1)], Some(b"x\0"));
    }
}
