//! Bytes of requests, replies and the acceptor's durable state, version 1.
//!
//! ```text
//! request  1 version, 1 tag: 1 Prepare ballot | 2 Accept ballot epoch | 3 Commit epoch
//! reply    1 version, 1 tag: 1 Promised ballot accepted | 2 Accepted ballot | 3 Committed epoch | 4 Refused ballot | 5 Unfit
//! durable  1 version, ballot, accepted
//! ballot   4 round, 16 node      accepted  1 (0 none, 1 some) [ballot epoch]      epoch  4 length, canonical bytes
//! ```
//! Big-endian; bounded by [`MAX_MESSAGE_BYTES`].

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};

use super::super::encoding::{DecodeError, finish, take};
use super::{Accepted, Ballot, Durable, Reply, Request};
use crate::protocol::id::NodeId;
use crate::protocol::ring::epoch::{MAX_ENCODED_BYTES, RingEpoch};

const VERSION: u8 = 1;

/// Longest message or state in bytes: an epoch, two ballots and their tags.
pub const MAX_MESSAGE_BYTES: usize = MAX_ENCODED_BYTES + 64;

impl Request {
    /// Its bytes for `PeerRequest::RingCommit`.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = vec![VERSION];
        match self {
            Self::Prepare { ballot } => {
                out.put_u8(1);
                put_ballot(&mut out, *ballot);
            }
            Self::Accept { ballot, epoch } => {
                out.put_u8(2);
                put_ballot(&mut out, *ballot);
                put_epoch(&mut out, epoch);
            }
            Self::Commit { epoch } => {
                out.put_u8(3);
                put_epoch(&mut out, epoch);
            }
        }
        Bytes::from(out)
    }

    /// Reads a request; anything unknown or damaged is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = start(bytes)?;
        let request = match input.try_get_u8()? {
            1 => Self::Prepare { ballot: get_ballot(&mut input)? },
            2 => Self::Accept { ballot: get_ballot(&mut input)?, epoch: get_epoch(&mut input)? },
            3 => Self::Commit { epoch: get_epoch(&mut input)? },
            found => return Err(DecodeError::Unknown { what: "ring request", found }),
        };
        finish(input).map(|()| request)
    }
}

impl Reply {
    /// Its bytes for `PeerReply::RingCommit`.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = vec![VERSION];
        match self {
            Self::Promised { ballot, accepted } => {
                out.put_u8(1);
                put_ballot(&mut out, *ballot);
                put_accepted(&mut out, accepted.as_ref());
            }
            Self::Accepted { ballot } => {
                out.put_u8(2);
                put_ballot(&mut out, *ballot);
            }
            Self::Committed { epoch } => {
                out.put_u8(3);
                put_epoch(&mut out, epoch);
            }
            Self::Refused { promised } => {
                out.put_u8(4);
                put_ballot(&mut out, *promised);
            }
            Self::Unfit => out.put_u8(5),
        }
        Bytes::from(out)
    }

    /// Reads a reply; anything unknown or damaged is an error, to be treated as no answer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = start(bytes)?;
        let reply = match input.try_get_u8()? {
            1 => Self::Promised { ballot: get_ballot(&mut input)?, accepted: get_accepted(&mut input)? },
            2 => Self::Accepted { ballot: get_ballot(&mut input)? },
            3 => Self::Committed { epoch: get_epoch(&mut input)? },
            4 => Self::Refused { promised: get_ballot(&mut input)? },
            5 => Self::Unfit,
            found => return Err(DecodeError::Unknown { what: "ring reply", found }),
        };
        finish(input).map(|()| reply)
    }
}

impl Durable {
    /// Its bytes for the store.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = vec![VERSION];
        put_ballot(&mut out, self.promised);
        put_accepted(&mut out, self.accepted.as_ref());
        Bytes::from(out)
    }

    /// Reads it back. An error means that the node no longer knows what it promised: it must not act as an acceptor.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = start(bytes)?;
        let durable = Self { promised: get_ballot(&mut input)?, accepted: get_accepted(&mut input)? };
        finish(input).map(|()| durable)
    }
}

fn start(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(DecodeError::TooLarge { what: "ring message", found: bytes.len(), max: MAX_MESSAGE_BYTES });
    }
    let mut input = bytes;
    match input.try_get_u8()? {
        VERSION => Ok(input),
        found => Err(DecodeError::Unknown { what: "version of a ring message", found }),
    }
}

fn put_ballot(out: &mut Vec<u8>, ballot: Ballot) {
    out.put_u32(ballot.round);
    out.put_u128(ballot.node.bits());
}

fn get_ballot(input: &mut &[u8]) -> Result<Ballot, DecodeError> {
    Ok(Ballot { round: input.try_get_u32()?, node: NodeId::from_bits(input.try_get_u128()?) })
}

fn put_epoch(out: &mut Vec<u8>, epoch: &RingEpoch) {
    let bytes = epoch.to_bytes();
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(&bytes);
}

fn get_epoch(input: &mut &[u8]) -> Result<Arc<RingEpoch>, DecodeError> {
    let length = usize::try_from(input.try_get_u32()?).map_err(|_| DecodeError::Truncated)?;
    RingEpoch::from_bytes(take(input, length)?).map(Arc::new)
}

fn put_accepted(out: &mut Vec<u8>, accepted: Option<&Accepted>) {
    out.put_u8(u8::from(accepted.is_some()));
    if let Some(accepted) = accepted {
        put_ballot(out, accepted.ballot);
        put_epoch(out, &accepted.epoch);
    }
}

fn get_accepted(input: &mut &[u8]) -> Result<Option<Accepted>, DecodeError> {
    match input.try_get_u8()? {
        0 => Ok(None),
        1 => Ok(Some(Accepted { ballot: get_ballot(input)?, epoch: get_epoch(input)? })),
        found => Err(DecodeError::Unknown { what: "accepted value", found }),
    }
}
