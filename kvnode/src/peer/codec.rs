//! Frames: `u32 length | u8 kind | u64 id | …`, where the length counts what follows it.
//!
//! A request adds `u32` milliseconds that its caller will still wait and `u8` class before the body; a reply is the
//! body only; ping and pong carry nothing. Ids are chosen by the caller and come back with the reply, in any order.
//! A length over [`MAX_FRAME_BYTES`] is refused before anything is reserved for it.
//!
//! It knows nothing of sockets and does not look into bodies.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::wire::{self, Malformed, TooLarge};
use super::{Class, PeerReply, PeerRequest};

/// Longest frame after its length field: a value of 1 MiB fits with room, and so do 128 records of 24 KiB each.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of the length field.
const LENGTH_BYTES: usize = 4;
/// Kind and id.
const HEADER_BYTES: usize = 9;
/// Deadline and class.
const REQUEST_HEADER_BYTES: usize = 5;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const PING: u8 = 3;
const PONG: u8 = 4;

/// One frame, its body still undecoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Asks for a reply with the same id.
    Request {
        /// Chosen by the caller.
        id: u64,
        /// How long the caller will still wait, from the moment it sent this.
        remaining: Duration,
        /// Urgency.
        class: Class,
        /// See [`wire::decode_request`].
        body: Bytes,
    },
    /// Answers a request.
    Reply {
        /// That of the request.
        id: u64,
        /// See [`wire::decode_reply`].
        body: Bytes,
    },
    /// Asks whether the other end is there.
    Ping {
        /// Chosen by the caller.
        id: u64,
    },
    /// It is.
    Pong {
        /// That of the ping.
        id: u64,
    },
}

/// Takes the next whole frame off the buffer; none if more bytes are needed. Bodies share the buffer's memory.
pub fn take_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some(length) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if !(HEADER_BYTES..=MAX_FRAME_BYTES).contains(&length) {
        return Err(Malformed { what: "frame length" });
    }
    if buffer.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    parse(buffer.split_to(length).freeze()).map(Some)
}

fn parse(mut frame: Bytes) -> Result<Frame, Malformed> {
    let (kind, id) = (frame.get_u8(), frame.get_u64());
    match kind {
        REQUEST if frame.len() >= REQUEST_HEADER_BYTES => {
            let remaining = Duration::from_millis(frame.get_u32().into());
            let class = class(frame.get_u8())?;
            Ok(Frame::Request { id, remaining, class, body: frame })
        }
        REPLY => Ok(Frame::Reply { id, body: frame }),
        PING if frame.is_empty() => Ok(Frame::Ping { id }),
        PONG if frame.is_empty() => Ok(Frame::Pong { id }),
        _ => Err(Malformed { what: "frame kind" }),
    }
}

fn class(number: u8) -> Result<Class, Malformed> {
    match number {
        1 => Ok(Class::Client),
        2 => Ok(Class::Repair),
        3 => Ok(Class::Hints),
        4 => Ok(Class::Sync),
        _ => Err(Malformed { what: "class" }),
    }
}

fn class_number(class: Class) -> u8 {
    match class {
        Class::Client => 1,
        Class::Repair => 2,
        Class::Hints => 3,
        Class::Sync => 4,
    }
}

/// Appends a request that its caller waits for `remaining` (rounded up to milliseconds, at most 49 days).
/// On an error `out` is as before.
pub fn put_request(
    out: &mut BytesMut,
    id: u64,
    remaining: Duration,
    class: Class,
    request: &PeerRequest,
) -> Result<(), TooLarge> {
    put_frame(out, REQUEST, id, |out| {
        let millis = remaining.as_nanos().div_ceil(1_000_000);
        out.put_u32(u32::try_from(millis).unwrap_or(u32::MAX));
        out.put_u8(class_number(class));
        wire::encode_request(out, request)
    })
}

/// Appends a reply. On an error `out` is as before.
pub fn put_reply(out: &mut BytesMut, id: u64, reply: &PeerReply) -> Result<(), TooLarge> {
    put_frame(out, REPLY, id, |out| wire::encode_reply(out, reply))
}

/// Appends a ping.
pub fn put_ping(out: &mut BytesMut, id: u64) {
    put_frame(out, PING, id, |_| Ok(())).expect("invariant: an empty frame fits");
}

/// Appends the answer to a ping.
pub fn put_pong(out: &mut BytesMut, id: u64) {
    put_frame(out, PONG, id, |_| Ok(())).expect("invariant: an empty frame fits");
}

fn put_frame(
    out: &mut BytesMut,
    kind: u8,
    id: u64,
    body: impl FnOnce(&mut BytesMut) -> Result<(), TooLarge>,
) -> Result<(), TooLarge> {
    let start = out.len();
    out.put_u32(0);
    out.put_u8(kind);
    out.put_u64(id);
    let result = body(out).and_then(|()| {
        let length = out.len() - start - LENGTH_BYTES;
        let fits = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME_BYTES);
        fits.ok_or(TooLarge { what: "message" })
    });
    match result {
        Ok(length) => {
            out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn buffer(fill: impl FnOnce(&mut BytesMut)) -> BytesMut {
        let mut out = BytesMut::new();
        fill(&mut out);
        out
    }

    fn request(out: &mut BytesMut) {
        put_request(out, 5, Duration::from_micros(1_500), Class::Hints, &PeerRequest::FetchEpoch).expect("small");
    }

    fn reply(out: &mut BytesMut) {
        put_reply(out, 6, &PeerReply::WrittenMany).expect("small");
    }

    #[test]
    fn golden_frames() {
        let hex = |fill: fn(&mut BytesMut)| format!("{:x}", buffer(fill));
        insta::assert_snapshot!(hex(request), @"0000000f01000000000000000500000002030a");
        insta::assert_snapshot!(hex(reply), @"0000000a02000000000000000608");
        insta::assert_snapshot!(hex(|out| put_ping(out, 7)), @"00000009030000000000000007");
        insta::assert_snapshot!(hex(|out| put_pong(out, 7)), @"00000009040000000000000007");
    }

    #[test]
    fn frames_come_out_whole_and_in_order_however_they_arrive() {
        let whole = buffer(|out| {
            request(out);
            reply(out);
            put_ping(out, 7);
            put_pong(out, 8);
        });
        let expected = [
            Frame::Request {
                id: 5,
                remaining: Duration::from_millis(2),
                class: Class::Hints,
                body: Bytes::from_static(&[10]),
            },
            Frame::Reply { id: 6, body: Bytes::from_static(&[8]) },
            Frame::Ping { id: 7 },
            Frame::Pong { id: 8 },
        ];
        for step in [1, 3, 7, 100] {
            let (mut arrived, mut frames) = (BytesMut::new(), Vec::new());
            for piece in whole.chunks(step) {
                arrived.put_slice(piece);
                while let Some(frame) = take_frame(&mut arrived).expect("well-formed") {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, expected, "{step}");
        }
    }

    #[test]
    fn lengths_out_of_range_are_refused_at_once() {
        for length in [0, 8, 4 * 1024 * 1024 + 1, u32::MAX] {
            let mut bytes = BytesMut::from(&length.to_be_bytes()[..]);
            assert_eq!(take_frame(&mut bytes), Err(Malformed { what: "frame length" }), "{length}");
            assert!(bytes.capacity() < 1024);
        }
    }

    #[test]
    fn what_fits_no_frame_leaves_the_buffer_as_it_was() {
        let mut out = buffer(reply);
        let before = out.clone();
        let large = PeerRequest::GossipExchange(Bytes::from(vec![0; MAX_FRAME_BYTES]));
        assert!(put_request(&mut out, 1, Duration::ZERO, Class::Client, &large).is_err());
        assert_eq!(out, before);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), small in any::<bool>()) {
            let mut buffer = BytesMut::from(&bytes[..]);
            if small && buffer.len() >= 4 {
                buffer[..3].fill(0);
            }
            while let Ok(Some(_)) = take_frame(&mut buffer) {}
            prop_assert!(buffer.len() <= bytes.len());
        }
    }
}
