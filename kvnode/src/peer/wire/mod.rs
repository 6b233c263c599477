//! Bytes for every peer message: one tag byte, then fixed-width big-endian fields and length-prefixed strings.
//!
//! Written by hand, because this is a stability boundary: release n talks to n-1 and n+1, so a layout changes only
//! together with [`WIRE_VERSION`], and golden tests pin each message. Decoding copies no keys and no values: they
//! are slices of the read buffer, which lives as long as they do (whoever keeps one for long should copy it).
//!
//! It does not frame (see `codec`) and gives no meaning to opaque bodies.

mod hello;
mod reader;
mod record;
mod reply;
mod request;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use bytes::{BufMut as _, Bytes, BytesMut};

pub use hello::{Hello, HelloRefusal, Purpose, Welcome, decode_hello, decode_welcome, encode_hello, encode_welcome};
pub use reply::{decode_reply, encode_reply};
pub use request::{decode_request, encode_request};

use reader::Reader;

/// The layout this release prefers.
pub const WIRE_VERSION: u16 = 1;
/// The oldest layout this release still speaks: that of the release before it.
pub const OLDEST_WIRE_VERSION: u16 = 1;

/// The newest layout both ends speak; none if they have no common one.
#[must_use]
pub fn negotiate(theirs: &RangeInclusive<u16>) -> Option<u16> {
    let newest = WIRE_VERSION.min(*theirs.end());
    (newest >= OLDEST_WIRE_VERSION && theirs.contains(&newest)).then_some(newest)
}

/// The bytes are no message. Nothing was done; the connection they came over can no longer be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}")]
pub struct Malformed {
    /// The part that made no sense.
    pub what: &'static str,
}

/// A message holds more than the wire can carry. Nothing was sent; make it smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} is too large for a peer message")]
pub struct TooLarge {
    /// The part that is too large.
    pub what: &'static str,
}

fn put_u8_length(out: &mut BytesMut, bytes: &[u8], what: &'static str) -> Result<(), TooLarge> {
    out.put_u8(u8::try_from(bytes.len()).map_err(|_| TooLarge { what })?);
    out.put_slice(bytes);
    Ok(())
}

fn put_u16_length(out: &mut BytesMut, bytes: &[u8], what: &'static str) -> Result<(), TooLarge> {
    out.put_u16(u16::try_from(bytes.len()).map_err(|_| TooLarge { what })?);
    out.put_slice(bytes);
    Ok(())
}

fn put_u32_length(out: &mut BytesMut, bytes: &[u8], what: &'static str) -> Result<(), TooLarge> {
    out.put_u32(u32::try_from(bytes.len()).map_err(|_| TooLarge { what })?);
    out.put_slice(bytes);
    Ok(())
}

/// Decodes all of `bytes` or refuses it.
fn decode_all<T>(bytes: Bytes, decode: impl FnOnce(&mut Reader) -> Result<T, Malformed>) -> Result<T, Malformed> {
    let mut reader = Reader::new(bytes);
    let decoded = decode(&mut reader)?;
    reader.finish()?;
    Ok(decoded)
}
