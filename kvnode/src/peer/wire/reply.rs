//! Bytes of [`PeerReply`].
//!
//! Tags are never reused: a reply that is given up leaves a hole.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::reader::Reader;
use super::record::{
    KEY_BYTES, RECORD_BYTES, key, name, optional_record, put_key, put_name, put_optional_record, put_record, put_stamp,
    put_version, record, stamp, version,
};
use super::{Malformed, TooLarge, decode_all};
use crate::peer::{FailureKind, ForwardReply, OperationFailure, PeerReply};
use crate::protocol::id::{EpochNumber, NodeName};
use crate::protocol::key::Key;
use crate::protocol::record::Record;
use crate::protocol::register::{Refusal, Reply};
use crate::protocol::stamp::Stamp;

const RECORD: u8 = 1;
const VERSION: u8 = 2;
const WRITTEN: u8 = 3;
const REGISTER_REFUSED: u8 = 4;
const FORWARD_GOT: u8 = 5;
const FORWARD_WROTE: u8 = 6;
const FORWARD_FAILED: u8 = 7;
const WRITTEN_MANY: u8 = 8;
const SCANNED: u8 = 9;
const GOSSIP_EXCHANGE: u8 = 10;
const EPOCH: u8 = 11;
const RING_COMMIT: u8 = 12;
const REFUSED: u8 = 13;

fn failure_number(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::QuorumUnavailable => 1,
        FailureKind::Deadline => 2,
        FailureKind::Overloaded => 3,
        FailureKind::DiskFull => 4,
        FailureKind::StoreFailed => 5,
        FailureKind::NoRing => 6,
        FailureKind::NotReplica => 7,
    }
}

fn failure_kind(number: u8) -> Option<FailureKind> {
    Some(match number {
        1 => FailureKind::QuorumUnavailable,
        2 => FailureKind::Deadline,
        3 => FailureKind::Overloaded,
        4 => FailureKind::DiskFull,
        5 => FailureKind::StoreFailed,
        6 => FailureKind::NoRing,
        7 => FailureKind::NotReplica,
        _ => return None,
    })
}

/// Appends a reply. On an error `out` holds a part of it, which the caller cuts off.
pub fn encode_reply(out: &mut BytesMut, reply: &PeerReply) -> Result<(), TooLarge> {
    match reply {
        PeerReply::Register(reply) => return put_register(out, reply),
        PeerReply::Forward(reply) => return put_forward(out, reply),
        PeerReply::Scanned { items, more } => return put_scanned(out, items, *more),
        PeerReply::WrittenMany => out.put_u8(WRITTEN_MANY),
        PeerReply::GossipExchange(body) => put_opaque(out, GOSSIP_EXCHANGE, body),
        PeerReply::Epoch(body) => put_opaque(out, EPOCH, body),
        PeerReply::RingCommit(body) => put_opaque(out, RING_COMMIT, body),
        PeerReply::Refused(refusal) => {
            out.put_u8(REFUSED);
            put_refusal(out, *refusal);
        }
    }
    Ok(())
}

/// Reads one reply back; refuses bytes after its end.
pub fn decode_reply(body: Bytes) -> Result<PeerReply, Malformed> {
    decode_all(body, |reader| match reader.u8("reply tag")? {
        RECORD => optional_record(reader).map(|record| PeerReply::Register(Reply::Record(record))),
        VERSION => version(reader).map(|version| PeerReply::Register(Reply::Version(version))),
        WRITTEN => Ok(PeerReply::Register(Reply::Written)),
        REGISTER_REFUSED => refusal(reader).map(|refusal| PeerReply::Register(Reply::Refused(refusal))),
        FORWARD_GOT => optional_record(reader).map(|record| PeerReply::Forward(ForwardReply::Got(record))),
        FORWARD_WROTE => forward_wrote(reader).map(PeerReply::Forward),
        FORWARD_FAILED => failure(reader).map(|failure| PeerReply::Forward(ForwardReply::Failed(failure))),
        WRITTEN_MANY => Ok(PeerReply::WrittenMany),
        SCANNED => scanned(reader),
        GOSSIP_EXCHANGE => Ok(PeerReply::GossipExchange(reader.rest())),
        EPOCH => Ok(PeerReply::Epoch(reader.rest())),
        RING_COMMIT => Ok(PeerReply::RingCommit(reader.rest())),
        REFUSED => refusal(reader).map(PeerReply::Refused),
        _ => Err(Malformed { what: "reply tag" }),
    })
}

fn put_opaque(out: &mut BytesMut, tag: u8, body: &[u8]) {
    out.put_u8(tag);
    out.put_slice(body);
}

fn put_register(out: &mut BytesMut, reply: &Reply) -> Result<(), TooLarge> {
    match reply {
        Reply::Record(record) => {
            out.put_u8(RECORD);
            return put_optional_record(out, record.as_ref());
        }
        Reply::Version(version) => {
            out.put_u8(VERSION);
            put_version(out, *version);
        }
        Reply::Written => out.put_u8(WRITTEN),
        Reply::Refused(refusal) => {
            out.put_u8(REGISTER_REFUSED);
            put_refusal(out, *refusal);
        }
    }
    Ok(())
}

fn put_refusal(out: &mut BytesMut, refusal: Refusal) {
    match refusal {
        Refusal::WrongEpoch { current } => {
            out.put_u8(1);
            out.put_u64(current.0);
        }
        Refusal::NotReplica => out.put_u8(2),
        Refusal::Overloaded => out.put_u8(3),
        Refusal::DiskFull => out.put_u8(4),
        Refusal::StoreFailed => out.put_u8(5),
        Refusal::Expired => out.put_u8(6),
    }
}

fn refusal(reader: &mut Reader) -> Result<Refusal, Malformed> {
    let what = "refusal";
    match reader.u8(what)? {
        1 => Ok(Refusal::WrongEpoch { current: EpochNumber(reader.u64(what)?) }),
        2 => Ok(Refusal::NotReplica),
        3 => Ok(Refusal::Overloaded),
        4 => Ok(Refusal::DiskFull),
        5 => Ok(Refusal::StoreFailed),
        6 => Ok(Refusal::Expired),
        _ => Err(Malformed { what }),
    }
}

fn put_forward(out: &mut BytesMut, reply: &ForwardReply) -> Result<(), TooLarge> {
    match reply {
        ForwardReply::Got(record) => {
            out.put_u8(FORWARD_GOT);
            put_optional_record(out, record.as_ref())
        }
        ForwardReply::Wrote { stamp, replaced, acked } => put_wrote(out, *stamp, *replaced, acked),
        ForwardReply::Failed(failure) => {
            let (number, may_be_applied) = (failure_number(failure.kind), u8::from(failure.may_be_applied));
            out.put_slice(&[FORWARD_FAILED, number, may_be_applied, failure.required, failure.received]);
            Ok(())
        }
    }
}

fn put_wrote(out: &mut BytesMut, stamp: Stamp, replaced: bool, acked: &[NodeName]) -> Result<(), TooLarge> {
    out.put_u8(FORWARD_WROTE);
    put_stamp(out, stamp);
    out.put_u8(u8::from(replaced));
    out.put_u8(u8::try_from(acked.len()).map_err(|_| TooLarge { what: "list of replicas" })?);
    acked.iter().try_for_each(|name| put_name(out, name))
}

fn forward_wrote(reader: &mut Reader) -> Result<ForwardReply, Malformed> {
    let what = "list of replicas";
    let stamp = stamp(reader)?;
    let replaced = reader.bool("mark for a replaced value")?;
    let count = usize::from(reader.u8(what)?);
    Ok(ForwardReply::Wrote { stamp, replaced, acked: reader.items(count, 2, what, name)? })
}

fn failure(reader: &mut Reader) -> Result<OperationFailure, Malformed> {
    let what = "failure";
    Ok(OperationFailure {
        kind: failure_kind(reader.u8(what)?).ok_or(Malformed { what })?,
        may_be_applied: reader.bool(what)?,
        required: reader.u8(what)?,
        received: reader.u8(what)?,
    })
}

fn put_scanned(out: &mut BytesMut, items: &[(Key, Record)], more: bool) -> Result<(), TooLarge> {
    out.put_u8(SCANNED);
    out.put_u8(u8::from(more));
    out.put_u32(u32::try_from(items.len()).map_err(|_| TooLarge { what: "list of items" })?);
    items.iter().try_for_each(|(key, record)| {
        put_key(out, key)?;
        put_record(out, record)
    })
}

fn scanned(reader: &mut Reader) -> Result<PeerReply, Malformed> {
    let what = "list of items";
    let more = reader.bool("mark for more items")?;
    let count = usize::try_from(reader.u32(what)?).map_err(|_| Malformed { what })?;
    let items = reader.items(count, KEY_BYTES + RECORD_BYTES, what, |reader| Ok((key(reader)?, record(reader)?)))?;
    Ok(PeerReply::Scanned { items, more })
}
