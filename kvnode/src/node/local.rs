//! A replica's answers from its own storage: the one place where register questions meet the store.
//!
//! Used for this node's own operations and for those of its peers alike. It checks neither epoch nor placement: its
//! callers did.

use crate::peer::{PeerReply, ScanRequest};
use crate::protocol::record::{Content, Record};
use crate::protocol::register::{Refusal, Reply, Request};
use crate::storage::{Origin, ReadError, Storage, WriteError};

/// Most items of one scan page, whatever the caller asks: about 1 MiB of keys.
const SCAN_LIMIT: usize = 1000;

/// Carries a request out; `done` is called exactly once, here or on the committer's thread, and must not block.
pub(super) fn carry_out(
    storage: &Storage,
    request: Request,
    origin: Origin,
    done: impl FnOnce(Reply) + Send + 'static,
) {
    match request {
        Request::Read { partition, key } => storage.read(partition, &key, move |result| {
            done(result.map_or_else(|error| refused_read(&error), Reply::Record));
        }),
        Request::ReadVersion { partition, key } => storage.read_version(partition, &key, move |result| {
            done(result.map_or_else(|error| refused_read(&error), Reply::Version));
        }),
        Request::LatestVersion { partition, key } => {
            let result = storage.latest_version(partition, &key);
            done(result.map_or_else(|error| refused_read(&error), Reply::Version));
        }
        Request::Write { partition, key, record } => {
            storage.write(partition, &key, &record, origin, move |result| {
                done(result.map_or_else(|error| Reply::Refused(refusal_of(&error)), |()| Reply::Written));
            });
        }
    }
}

fn refused_read(_error: &ReadError) -> Reply {
    Reply::Refused(Refusal::StoreFailed)
}

/// How a peer is told of a failed write.
pub(super) fn refusal_of(error: &WriteError) -> Refusal {
    match error {
        WriteError::Overloaded => Refusal::Overloaded,
        WriteError::BelowFloor => Refusal::DiskFull,
        // Part of the batch may be on disk: the coordinator must not call it "not applied".
        WriteError::DiskFull | WriteError::Failed { .. } => Refusal::StoreFailed,
        WriteError::TooLarge { .. } | WriteError::Damaged | WriteError::Closed => Refusal::StoreFailed,
    }
}

/// One page of this node's own records.
pub(super) fn scan(storage: &Storage, request: &ScanRequest) -> PeerReply {
    let limit = usize::try_from(request.limit).unwrap_or(SCAN_LIMIT).clamp(1, SCAN_LIMIT);
    match storage.scan(&request.partitions, &request.start, &request.end, limit, request.with_values) {
        Ok(page) => {
            let mut items = page.items;
            if !request.with_values {
                items.iter_mut().for_each(|(_, record)| drop_bytes(record));
            }
            PeerReply::Scanned { items, more: page.more }
        }
        Err(_) => PeerReply::Refused(Refusal::StoreFailed),
    }
}

fn drop_bytes(record: &mut Record) {
    if let Content::Value(value) = &mut record.content {
        value.bytes = bytes::Bytes::new();
    }
}
