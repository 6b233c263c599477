//! Primitives of gossip's bytes, and how one member is written. Big endian; every length is checked before it is used.
//!
//! A member is `id 16 | incarnation 8 | name 1+n | zone 1+n | release 1+n | api, peer, gossip | cluster | epoch 8 |
//! epoch hash 32 | flags 1 | load 1`; an address is `4 or 6, ip, port 2`; a cluster is `0` or `1 and 16 bytes`.
//! Unknown flags are refused: a new field needs a new version.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::protocol::id::{ClusterId, EpochNumber, NodeId};
use crate::protocol::membership::member::{Addresses, Facts, Incarnation, Member};

/// Why bytes are not what they should be; they are to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// They go on after the end.
    #[error("there are bytes after the end")]
    TooLong,
    /// A version other than the one known.
    #[error("version {found} is not known")]
    Version {
        /// The one found.
        found: u8,
    },
    /// A part has no valid value.
    #[error("{part} is not valid")]
    Invalid {
        /// Which part.
        part: &'static str,
    },
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }
    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }
    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }
    pub(super) fn node(&mut self) -> Result<NodeId, DecodeError> {
        self.array().map(u128::from_be_bytes).map(NodeId::from_bits)
    }
    pub(super) fn incarnation(&mut self) -> Result<Incarnation, DecodeError> {
        Incarnation::new(self.u64()?).ok_or(DecodeError::Invalid { part: "incarnation" })
    }

    pub(super) fn version(&mut self, known: u8) -> Result<(), DecodeError> {
        let found = self.byte()?;
        if found == known { Ok(()) } else { Err(DecodeError::Version { found }) }
    }

    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TooLong) }
    }

    fn text<T: FromStr>(&mut self, part: &'static str) -> Result<T, DecodeError> {
        let length = usize::from(self.byte()?);
        let text = std::str::from_utf8(self.take(length)?).ok().and_then(|text| text.parse().ok());
        text.ok_or(DecodeError::Invalid { part })
    }

    pub(super) fn address(&mut self) -> Result<SocketAddr, DecodeError> {
        let ip: IpAddr = match self.byte()? {
            4 => Ipv4Addr::from(self.array::<4>()?).into(),
            6 => Ipv6Addr::from(self.array::<16>()?).into(),
            _ => return Err(DecodeError::Invalid { part: "address" }),
        };
        Ok(SocketAddr::new(ip, self.u16()?))
    }

    fn facts(&mut self) -> Result<Facts, DecodeError> {
        let cluster = match self.byte()? {
            0 => None,
            1 => Some(ClusterId::from_bits(u128::from_be_bytes(self.array()?))),
            _ => return Err(DecodeError::Invalid { part: "cluster" }),
        };
        let (epoch, epoch_hash) = (EpochNumber(self.u64()?), self.array()?);
        let draining = match self.byte()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Invalid { part: "flags" }),
        };
        Ok(Facts { cluster, epoch, epoch_hash, draining })
    }

    pub(super) fn member(&mut self) -> Result<Member, DecodeError> {
        let (id, incarnation) = (self.node()?, self.incarnation()?);
        let (name, zone, release) = (self.text("name")?, self.text("zone")?, self.text("release")?);
        let addresses = Addresses { api: self.address()?, peer: self.address()?, gossip: self.address()? };
        let (facts, load) = (self.facts()?, self.byte()?);
        Ok(Member { id, name, zone, addresses, incarnation, release, facts, load })
    }
}

pub(super) fn put_node(bytes: &mut Vec<u8>, id: NodeId) {
    bytes.extend_from_slice(&id.bits().to_be_bytes());
}

pub(super) fn put_incarnation(bytes: &mut Vec<u8>, incarnation: Incarnation) {
    bytes.extend_from_slice(&incarnation.get().to_be_bytes());
}

pub(super) fn put_address(bytes: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            bytes.push(4);
            bytes.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(6);
            bytes.extend_from_slice(&ip.octets());
        }
    }
    bytes.extend_from_slice(&address.port().to_be_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    // Names, zones and releases are far below 255 bytes by construction; a longer one would not decode.
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

pub(super) fn put_member(bytes: &mut Vec<u8>, member: &Member) {
    put_node(bytes, member.id);
    put_incarnation(bytes, member.incarnation);
    put_text(bytes, member.name.as_str());
    put_text(bytes, member.zone.as_str());
    put_text(bytes, member.release.as_str());
    put_address(bytes, member.addresses.api);
    put_address(bytes, member.addresses.peer);
    put_address(bytes, member.addresses.gossip);
    match member.facts.cluster {
        None => bytes.push(0),
        Some(cluster) => {
            bytes.push(1);
            bytes.extend_from_slice(&cluster.bits().to_be_bytes());
        }
    }
    bytes.extend_from_slice(&member.facts.epoch.0.to_be_bytes());
    bytes.extend_from_slice(&member.facts.epoch_hash);
    bytes.push(u8::from(member.facts.draining));
    bytes.push(member.load);
}
