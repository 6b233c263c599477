//! Keys as text: percent-encoding (RFC 3986 section 2.1) in paths, listings and batches.
//!
//! One encoding everywhere, so that a key copied from a listing can be pasted into a path. Decoding accepts any
//! byte that a URI may carry, `/` included; encoding leaves unreserved characters and `/` as they are. It knows
//! nothing of lengths: that is [`crate::protocol::key::Key`]'s.

use std::borrow::Cow;

/// Why a percent-encoded text was refused. Nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("'%' at position {position} is not followed by two hexadecimal digits")]
pub struct DecodeError {
    /// Byte position of the `%`, from 0.
    pub position: usize,
}

/// The bytes that a text stands for; borrows if nothing is encoded.
pub fn decode(text: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    let Some(first) = text.iter().position(|byte| *byte == b'%') else {
        return Ok(Cow::Borrowed(text));
    };
    let mut bytes = Vec::with_capacity(text.len());
    bytes.extend_from_slice(&text[..first]);
    let mut position = first;
    while let Some(byte) = text.get(position) {
        if *byte != b'%' {
            bytes.push(*byte);
            position += 1;
            continue;
        }
        match (hex_digit(text.get(position + 1)), hex_digit(text.get(position + 2))) {
            (Some(high), Some(low)) => bytes.push(high << 4 | low),
            _ => return Err(DecodeError { position }),
        }
        position += 3;
    }
    Ok(Cow::Owned(bytes))
}

fn hex_digit(byte: Option<&u8>) -> Option<u8> {
    match byte? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The text of a key: unreserved characters and `/` stay, every other byte becomes `%XX`.
///
/// A key with a segment `.` or `..` has its `.` and `/` encoded too, because URL libraries resolve such segments
/// away. (They do so even with the two keys `%2E` and `%2E%2E` alone; those can only be sent in a batch.)
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let dots = bytes.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."));
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
        if plain || (!dots && matches!(byte, b'.' | b'/')) {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_round_trip(bytes: Vec<u8>) {
            let text = encode(&bytes);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            let decoded = decode(text.as_bytes());
            prop_assert_eq!(decoded.as_deref(), Ok(&*bytes));
        }
    }

    #[test]
    fn texts_decode_or_name_the_position() {
        fn check(text: &str, expected: Result<&[u8], usize>) {
            let decoded = decode(text.as_bytes());
            let decoded = decoded.as_deref().map_err(|error| error.position);
            assert_eq!(decoded, expected, "{text}");
        }
        check("user/42", Ok(b"user/42"));
        check("a%2Fb%2fc", Ok(b"a/b/c"));
        check("%00%ff", Ok(&[0, 255]));
        check("a+b", Ok(b"a+b"));
        check("ab%", Err(2));
        check("ab%4", Err(2));
        check("%zz", Err(0));
        check("%41%4g", Err(3));
    }

    #[test]
    fn dot_segments_survive_url_libraries() {
        assert_eq!(encode(b"a/../b.c"), "a%2F%2E%2E%2Fb%2Ec");
        assert_eq!(encode(b"a/.../b.c"), "a/.../b.c");
    }
}
