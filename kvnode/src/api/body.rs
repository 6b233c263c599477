//! Reads request bodies whole, within their bounds of size, time and total memory.
//!
//! A body whose announced length is too large is refused before a byte of it is read.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::de::DeserializeOwned;

use super::limits::{BODY_TIMEOUT, Entered, Gate};
use super::problem::{BODY_TIMEOUT as TOO_SLOW, INVALID_BODY, Refused, TOO_LARGE};
use crate::runtime::clock;

/// Bodies up to this many bytes are not counted towards the total: the limit on connections bounds them.
const UNCOUNTED_BYTES: usize = 16 * 1024;

/// Bytes of a refused body that are read all the same: four of the largest values.
const DISCARDED_BYTES: usize = 4 * 1024 * 1024;
/// How long that may take: a client that is really sending has sent it by then.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// A whole body, and its share of the memory for bodies until it is dropped.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _share: Option<Entered>,
}

/// Reads a body of at most `max` bytes.
pub(super) async fn read<B>(body: B, max: usize, memory: &Gate) -> Result<Held, Refused>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    if body.is_end_stream() {
        return Ok(Held { bytes: Bytes::new(), _share: None });
    }
    let hint = body.size_hint();
    if hint.lower() > max as u64 {
        return Err(too_large(max, &format!("{} bytes are announced", hint.lower())));
    }
    let expected = usize::try_from(hint.upper().unwrap_or(max as u64)).unwrap_or(max).min(max);
    let share = if expected > UNCOUNTED_BYTES {
        let share = memory.enter(expected);
        Some(share.ok_or_else(|| Refused::overloaded("the bodies being read fill the memory set aside for them"))?)
    } else {
        None
    };
    let deadline = clock::monotonic_now() + BODY_TIMEOUT;
    match clock::until(deadline, collect(body, expected, max)).await {
        Some(bytes) => Ok(Held { bytes: bytes?, _share: share }),
        None => Err(Refused::new(TOO_SLOW, format!("it was not complete after {} s", BODY_TIMEOUT.as_secs()))),
    }
}

/// Copies the frames together, so that a small value does not keep a connection's whole read buffer alive.
async fn collect<B>(mut body: B, expected: usize, max: usize) -> Result<Bytes, Refused>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let mut bytes = BytesMut::with_capacity(expected.min(UNCOUNTED_BYTES));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refused::new(INVALID_BODY, format!("it broke off: {error}")))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > max {
                return Err(too_large(max, "more were sent"));
            }
            bytes.reserve(expected.saturating_sub(bytes.len()).max(data.len()).min(max - bytes.len()));
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// Reads on and forgets, so that a client still sending sees the refusal instead of a broken connection. Bounded in
/// bytes and time: past that the connection closes under it.
pub(super) async fn discard<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut left = DISCARDED_BYTES;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Whether it came to the end makes no difference to the answer.
    let _ended = clock::until(clock::monotonic_now() + DISCARD_TIME, all).await;
}

fn too_large(max: usize, found: &str) -> Refused {
    Refused::new(TOO_LARGE, format!("at most {max} bytes are taken; {found}"))
}

/// Reads JSON; the problem names line and column.
pub(super) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(bytes).map_err(|error| Refused::new(INVALID_BODY, Cow::Owned(error.to_string())))
}
