//! Bytes of what most messages share: keys, stamps, versions, records, node names.
//!
//! A record is its stamp, then one byte of flags ([`HAS_VALUE`] and what comes with it), then the parts that the
//! flags announce. Unknown flags are refused: they would change the meaning of what follows.

use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};

use super::reader::Reader;
use super::{Malformed, TooLarge, put_u8_length, put_u16_length, put_u32_length};
use crate::protocol::id::NodeName;
use crate::protocol::key::Key;
use crate::protocol::record::{Content, Record, Value, Version};
use crate::protocol::stamp::Stamp;

const HAS_VALUE: u8 = 1;
const HAS_EXPIRY: u8 = 2;
const HAS_CONTENT_TYPE: u8 = 4;

/// Least bytes of a record: stamp and flags.
pub(super) const RECORD_BYTES: usize = 21;
/// Least bytes of a key: its length and one byte.
pub(super) const KEY_BYTES: usize = 3;

pub(super) fn put_key(out: &mut BytesMut, key: &Key) -> Result<(), TooLarge> {
    put_u16_length(out, key.as_bytes(), "key")
}

pub(super) fn key(reader: &mut Reader) -> Result<Key, Malformed> {
    let what = "key";
    Key::parse(reader.u16_bytes(what)?).map_err(|_| Malformed { what })
}

pub(super) fn put_name(out: &mut BytesMut, name: &NodeName) -> Result<(), TooLarge> {
    put_u8_length(out, name.as_str().as_bytes(), "node name")
}

pub(super) fn name(reader: &mut Reader) -> Result<NodeName, Malformed> {
    let what = "node name";
    let bytes = reader.u8_bytes(what)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Malformed { what })?;
    text.parse().map_err(|_| Malformed { what })
}

pub(super) fn put_stamp(out: &mut BytesMut, stamp: Stamp) {
    out.put_u64(stamp.time);
    out.put_u64(stamp.writer);
    out.put_u32(stamp.rmw);
}

pub(super) fn stamp(reader: &mut Reader) -> Result<Stamp, Malformed> {
    let what = "stamp";
    Ok(Stamp { time: reader.u64(what)?, writer: reader.u64(what)?, rmw: reader.u32(what)? })
}

pub(super) fn put_version(out: &mut BytesMut, version: Version) {
    put_stamp(out, version.stamp);
    let value = if version.is_value { HAS_VALUE } else { 0 };
    let expiry = if version.expires_at.is_some() { HAS_EXPIRY } else { 0 };
    out.put_u8(value | expiry);
    if let Some(at) = version.expires_at {
        out.put_u64(at);
    }
}

pub(super) fn version(reader: &mut Reader) -> Result<Version, Malformed> {
    let what = "version";
    let stamp = stamp(reader)?;
    let flags = reader.u8(what)?;
    if flags & !(HAS_VALUE | HAS_EXPIRY) != 0 {
        return Err(Malformed { what });
    }
    let expires_at = if flags & HAS_EXPIRY == 0 { None } else { Some(reader.u64(what)?) };
    Ok(Version { stamp, is_value: flags & HAS_VALUE != 0, expires_at })
}

pub(super) fn put_value(out: &mut BytesMut, value: &Value) -> Result<(), TooLarge> {
    let expiry = if value.expires_at.is_some() { HAS_EXPIRY } else { 0 };
    let content_type = if value.content_type.is_some() { HAS_CONTENT_TYPE } else { 0 };
    out.put_u8(HAS_VALUE | expiry | content_type);
    if let Some(at) = value.expires_at {
        out.put_u64(at);
    }
    if let Some(text) = &value.content_type {
        put_u8_length(out, text.as_bytes(), "content type")?;
    }
    put_u32_length(out, &value.bytes, "value")
}

/// A value, or none for a tombstone or a delete.
pub(super) fn optional_value(reader: &mut Reader) -> Result<Option<Value>, Malformed> {
    let what = "value";
    let flags = reader.u8(what)?;
    if flags == 0 {
        return Ok(None);
    }
    if flags & HAS_VALUE == 0 || flags & !(HAS_VALUE | HAS_EXPIRY | HAS_CONTENT_TYPE) != 0 {
        return Err(Malformed { what });
    }
    let expires_at = if flags & HAS_EXPIRY == 0 { None } else { Some(reader.u64(what)?) };
    let content_type = if flags & HAS_CONTENT_TYPE == 0 { None } else { Some(content_type(reader)?) };
    Ok(Some(Value { bytes: reader.u32_bytes(what)?, content_type, expires_at }))
}

fn content_type(reader: &mut Reader) -> Result<Arc<str>, Malformed> {
    let what = "content type";
    let bytes = reader.u8_bytes(what)?;
    std::str::from_utf8(&bytes).map(Arc::from).map_err(|_| Malformed { what })
}

pub(super) fn put_optional_value(out: &mut BytesMut, value: Option<&Value>) -> Result<(), TooLarge> {
    match value {
        Some(value) => put_value(out, value),
        None => {
            out.put_u8(0);
            Ok(())
        }
    }
}

pub(super) fn put_record(out: &mut BytesMut, record: &Record) -> Result<(), TooLarge> {
    put_stamp(out, record.stamp);
    match &record.content {
        Content::Value(value) => put_value(out, value),
        Content::Tombstone => put_optional_value(out, None),
    }
}

pub(super) fn record(reader: &mut Reader) -> Result<Record, Malformed> {
    let stamp = stamp(reader)?;
    let content = optional_value(reader)?.map_or(Content::Tombstone, Content::Value);
    Ok(Record { stamp, content })
}

pub(super) fn put_optional_record(out: &mut BytesMut, record: Option<&Record>) -> Result<(), TooLarge> {
    out.put_u8(u8::from(record.is_some()));
    record.map_or(Ok(()), |record| put_record(out, record))
}

pub(super) fn optional_record(reader: &mut Reader) -> Result<Option<Record>, Malformed> {
    if reader.bool("record mark")? { record(reader).map(Some) } else { Ok(None) }
}
