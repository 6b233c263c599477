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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::codec;
    use crate::protocol::id::{EpochNumber, PartitionId};
    use crate::protocol::key::Key;
    use crate::protocol::record::Value;
    use crate::protocol::stamp::Stamp;
    use crate::storage::{Config, memory::MemoryStore};
    use bytes::{Bytes, BytesMut};

    /// Stores this many values of this size under the longest keys, and sends the first page of them.
    fn check_page_fits_a_frame(values: u32, bytes: usize) {
        let storage = Storage::open(Config::in_memory(MemoryStore::new())).expect("opens");
        let record = |number: u32| {
            let mut key = vec![b'k'; Key::MAX_BYTES - 4];
            key.extend_from_slice(&number.to_be_bytes());
            let content_type = Some("x".repeat(Value::MAX_CONTENT_TYPE_BYTES).into());
            let value = Value { bytes: vec![7; bytes].into(), content_type, expires_at: Some(u64::MAX) };
            let record = Record { stamp: Stamp { time: 1, writer: 1, rmw: 0 }, content: Content::Value(value) };
            (PartitionId(0), Key::parse(key).expect("a key"), record)
        };
        for number in 0..values {
            let (sender, receiver) = std::sync::mpsc::channel();
            storage.write_many(vec![record(number)], move |outcome| sender.send(outcome).expect("awaited"));
            assert_eq!(receiver.recv(), Ok(Ok(())));
        }
        let (partitions, start, end) = (vec![PartitionId(0)], Bytes::new(), Bytes::new());
        let request = ScanRequest { epoch: EpochNumber(1), partitions, start, end, limit: 1000, with_values: true };
        let reply = scan(&storage, &request);
        assert!(matches!(&reply, PeerReply::Scanned { items, .. } if !items.is_empty()));
        assert!(codec::put_reply(&mut BytesMut::new(), 1, &reply).is_ok(), "{values} values of {bytes} bytes");
    }

    #[test]
    fn every_page_can_be_sent() {
        check_page_fits_a_frame(6, 1 << 20);
        check_page_fits_a_frame(6, (1 << 20) - 100);
        check_page_fits_a_frame(1000, 4096);
        check_page_fits_a_frame(1000, 0);
    }
}
