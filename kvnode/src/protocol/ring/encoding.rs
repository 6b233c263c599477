//! Reading and writing the length-prefixed parts of ring documents and messages.
//!
//! Numbers are big-endian and come straight from `bytes::Buf`. Every length is compared with its limit and with
//! what is left before anything is copied, so bad bytes cost no memory and never panic.
//! Not a general codec: other modules pin their own formats.

use bytes::{Buf, BufMut, TryGetError};

/// Why bytes of a ring document or message were refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes follow the last field.
    #[error("{count} bytes follow the end")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// More bytes or items than the format allows.
    #[error("{what}: {found} is over the limit of {max}")]
    TooLarge {
        /// The field.
        what: &'static str,
        /// Found.
        found: usize,
        /// Limit.
        max: usize,
    },
    /// A version or variant that this release does not know, perhaps written by a later one.
    #[error("{what} {found} is not known to this release")]
    Unknown {
        /// The field.
        what: &'static str,
        /// Found.
        found: u8,
    },
    /// A field holds what its type refuses.
    #[error("{what}: {reason}")]
    Invalid {
        /// The field.
        what: &'static str,
        /// In words.
        reason: String,
    },
}

impl From<TryGetError> for DecodeError {
    fn from(_: TryGetError) -> Self {
        Self::Truncated
    }
}

/// A field's text, at most 255 bytes (all callers' types are shorter or equal).
pub(super) fn put_short_text(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.put_u8(length);
    out.put_slice(text.as_bytes().get(..usize::from(length)).unwrap_or_default());
}

/// Reads a text back and parses it.
pub(super) fn get_short_text<T>(input: &mut &[u8], what: &'static str) -> Result<T, DecodeError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let length = usize::from(input.try_get_u8()?);
    let invalid = |reason: String| DecodeError::Invalid { what, reason };
    let text = std::str::from_utf8(take(input, length)?).map_err(|error| invalid(error.to_string()))?;
    text.parse().map_err(|error: T::Err| invalid(error.to_string()))
}

/// The next `length` bytes.
pub(super) fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, rest) = input.split_at_checked(length).ok_or(DecodeError::Truncated)?;
    *input = rest;
    Ok(taken)
}

/// The next bytes as an array.
pub(super) fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (taken, rest) = input.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
    *input = rest;
    Ok(*taken)
}

/// A `u16` count, refused above `max`.
pub(super) fn get_count(input: &mut &[u8], what: &'static str, max: usize) -> Result<usize, DecodeError> {
    let found = usize::from(input.try_get_u16()?);
    if found > max { Err(DecodeError::TooLarge { what, found, max }) } else { Ok(found) }
}

/// Refuses bytes after the end.
pub(super) fn finish(input: &[u8]) -> Result<(), DecodeError> {
    if input.is_empty() { Ok(()) } else { Err(DecodeError::Trailing { count: input.len() }) }
}
