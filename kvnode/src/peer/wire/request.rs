//! Bytes of [`PeerRequest`].
//!
//! Tags are never reused: a request that is given up leaves a hole.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::reader::Reader;
use super::record::{KEY_BYTES, RECORD_BYTES, key, optional_value, put_key, put_optional_value, put_record, record};
use super::{Malformed, TooLarge, decode_all, put_u16_length};
use crate::peer::{MAX_WRITE_MANY, Operation, PeerRequest, ScanRequest};
use crate::protocol::id::{EpochNumber, PartitionId};
use crate::protocol::key::Key;
use crate::protocol::quorum::Consistency;
use crate::protocol::record::Record;
use crate::protocol::register::Request;

const READ: u8 = 1;
const READ_VERSION: u8 = 2;
const LATEST_VERSION: u8 = 3;
const WRITE: u8 = 4;
const FORWARD_GET: u8 = 5;
const FORWARD_WRITE: u8 = 6;
const WRITE_MANY: u8 = 7;
const SCAN: u8 = 8;
const GOSSIP_EXCHANGE: u8 = 9;
const FETCH_EPOCH: u8 = 10;
const RING_COMMIT: u8 = 11;

/// Appends a request. On an error `out` holds a part of it, which the caller cuts off.
pub fn encode_request(out: &mut BytesMut, request: &PeerRequest) -> Result<(), TooLarge> {
    match request {
        PeerRequest::Register { epoch, request } => put_register(out, *epoch, request),
        PeerRequest::Forward { epoch, operation } => put_forward(out, *epoch, operation),
        PeerRequest::WriteMany { epoch, records } => put_write_many(out, *epoch, records),
        PeerRequest::Scan(scan) => put_scan(out, scan),
        PeerRequest::GossipExchange(body) => {
            put_opaque(out, GOSSIP_EXCHANGE, body);
            Ok(())
        }
        PeerRequest::FetchEpoch => {
            out.put_u8(FETCH_EPOCH);
            Ok(())
        }
        PeerRequest::RingCommit(body) => {
            put_opaque(out, RING_COMMIT, body);
            Ok(())
        }
    }
}

/// Reads one request back; refuses bytes after its end.
pub fn decode_request(body: Bytes) -> Result<PeerRequest, Malformed> {
    decode_all(body, |reader| match reader.u8("request tag")? {
        tag @ READ..=WRITE => register(reader, tag),
        tag @ (FORWARD_GET | FORWARD_WRITE) => forward(reader, tag),
        WRITE_MANY => write_many(reader),
        SCAN => scan(reader).map(PeerRequest::Scan),
        GOSSIP_EXCHANGE => Ok(PeerRequest::GossipExchange(reader.rest())),
        FETCH_EPOCH => Ok(PeerRequest::FetchEpoch),
        RING_COMMIT => Ok(PeerRequest::RingCommit(reader.rest())),
        _ => Err(Malformed { what: "request tag" }),
    })
}

fn put_opaque(out: &mut BytesMut, tag: u8, body: &[u8]) {
    out.put_u8(tag);
    out.put_slice(body);
}

fn put_register(out: &mut BytesMut, epoch: EpochNumber, request: &Request) -> Result<(), TooLarge> {
    let (tag, key) = match request {
        Request::Read { key, .. } => (READ, key),
        Request::ReadVersion { key, .. } => (READ_VERSION, key),
        Request::LatestVersion { key, .. } => (LATEST_VERSION, key),
        Request::Write { key, .. } => (WRITE, key),
    };
    out.put_u8(tag);
    out.put_u64(epoch.0);
    out.put_u16(request.partition().0);
    put_key(out, key)?;
    if let Request::Write { record, .. } = request {
        put_record(out, record)?;
    }
    Ok(())
}

fn register(reader: &mut Reader, tag: u8) -> Result<PeerRequest, Malformed> {
    let epoch = epoch(reader)?;
    let partition = partition(reader)?;
    let key = key(reader)?;
    let request = match tag {
        READ => Request::Read { partition, key },
        READ_VERSION => Request::ReadVersion { partition, key },
        LATEST_VERSION => Request::LatestVersion { partition, key },
        _ => Request::Write { partition, key, record: record(reader)? },
    };
    Ok(PeerRequest::Register { epoch, request })
}

fn put_forward(out: &mut BytesMut, epoch: EpochNumber, operation: &Operation) -> Result<(), TooLarge> {
    let (tag, key, consistency) = match operation {
        Operation::Get { key, consistency } => (FORWARD_GET, key, consistency),
        Operation::Write { key, consistency, .. } => (FORWARD_WRITE, key, consistency),
    };
    out.put_u8(tag);
    out.put_u64(epoch.0);
    out.put_u8(match consistency {
        Consistency::One => 1,
        Consistency::Quorum => 2,
        Consistency::All => 3,
    });
    put_key(out, key)?;
    if let Operation::Write { value, .. } = operation {
        put_optional_value(out, value.as_ref())?;
    }
    Ok(())
}

fn forward(reader: &mut Reader, tag: u8) -> Result<PeerRequest, Malformed> {
    let epoch = epoch(reader)?;
    let consistency = match reader.u8("consistency")? {
        1 => Consistency::One,
        2 => Consistency::Quorum,
        3 => Consistency::All,
        _ => return Err(Malformed { what: "consistency" }),
    };
    let key = key(reader)?;
    let operation = match tag {
        FORWARD_GET => Operation::Get { key, consistency },
        _ => Operation::Write { key, consistency, value: optional_value(reader)? },
    };
    Ok(PeerRequest::Forward { epoch, operation })
}

fn put_write_many(
    out: &mut BytesMut,
    epoch: EpochNumber,
    records: &[(PartitionId, Key, Record)],
) -> Result<(), TooLarge> {
    let count = u16::try_from(records.len()).ok().filter(|_| records.len() <= MAX_WRITE_MANY);
    out.put_u8(WRITE_MANY);
    out.put_u64(epoch.0);
    out.put_u16(count.ok_or(TooLarge { what: "list of records" })?);
    for (partition, key, record) in records {
        out.put_u16(partition.0);
        put_key(out, key)?;
        put_record(out, record)?;
    }
    Ok(())
}

fn write_many(reader: &mut Reader) -> Result<PeerRequest, Malformed> {
    let what = "list of records";
    let epoch = epoch(reader)?;
    let count = usize::from(reader.u16(what)?);
    if count > MAX_WRITE_MANY {
        return Err(Malformed { what });
    }
    let records = reader.items(count, 2 + KEY_BYTES + RECORD_BYTES, what, |reader| {
        Ok((partition(reader)?, key(reader)?, record(reader)?))
    })?;
    Ok(PeerRequest::WriteMany { epoch, records })
}

fn put_scan(out: &mut BytesMut, scan: &ScanRequest) -> Result<(), TooLarge> {
    let what = "list of partitions";
    out.put_u8(SCAN);
    out.put_u64(scan.epoch.0);
    out.put_u16(u16::try_from(scan.partitions.len()).map_err(|_| TooLarge { what })?);
    for partition in &scan.partitions {
        out.put_u16(partition.0);
    }
    put_u16_length(out, &scan.start, "start of a range")?;
    put_u16_length(out, &scan.end, "end of a range")?;
    out.put_u32(scan.limit);
    out.put_u8(u8::from(scan.with_values));
    Ok(())
}

fn scan(reader: &mut Reader) -> Result<ScanRequest, Malformed> {
    let what = "list of partitions";
    let epoch = epoch(reader)?;
    let count = usize::from(reader.u16(what)?);
    Ok(ScanRequest {
        epoch,
        partitions: reader.items(count, 2, what, partition)?,
        start: reader.u16_bytes("start of a range")?,
        end: reader.u16_bytes("end of a range")?,
        limit: reader.u32("limit")?,
        with_values: reader.bool("mark for values")?,
    })
}

fn epoch(reader: &mut Reader) -> Result<EpochNumber, Malformed> {
    reader.u64("epoch").map(EpochNumber)
}

fn partition(reader: &mut Reader) -> Result<PartitionId, Malformed> {
    reader.u16("partition").map(PartitionId)
}
