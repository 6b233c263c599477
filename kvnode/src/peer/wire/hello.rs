//! Bytes of the greeting: the dialer's [`Hello`], the acceptor's [`Welcome`].
//!
//! This is the one message whose layout can never change, because it is read before a version is agreed on. Fields
//! may be added at its end: a reader ignores what it does not know there.

use std::ops::RangeInclusive;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::reader::Reader;
use super::record::{name, put_name};
use super::{Malformed, OLDEST_WIRE_VERSION, WIRE_VERSION};
use crate::peer::PeerIdentity;
use crate::protocol::id::{ClusterId, NodeId};

/// First bytes of every hello and welcome: tells a foreign protocol from a damaged message.
const MAGIC: u32 = u32::from_be_bytes(*b"kvnP");

const ACCEPTED: u8 = 0;
const REFUSED: u8 = 1;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Requests that clients wait for.
    Clients,
    /// Hints and whole partitions.
    Bulk,
    /// One request to an address whose node is not known yet.
    Once,
}

/// How one end presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Wire versions it speaks.
    pub versions: RangeInclusive<u16>,
    /// Its cluster; none before it has a ring.
    pub cluster: Option<ClusterId>,
    /// Its name (its certificate proves it) and id.
    pub identity: PeerIdentity,
    /// What the connection is for.
    pub purpose: Purpose,
}

/// The acceptor's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Welcome {
    /// Requests may follow.
    Accepted {
        /// Wire version from here on.
        version: u16,
        /// The acceptor.
        hello: Hello,
    },
    /// The acceptor closes the connection.
    Refused(HelloRefusal),
}

/// Why a connection was refused after TLS. Retrying helps only after someone changed something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloRefusal {
    /// No wire version in common.
    #[error("it speaks wire versions {} to {} only", versions.start(), versions.end())]
    Version {
        /// What the refusing node speaks.
        versions: RangeInclusive<u16>,
    },
    /// Both have a cluster, and not the same.
    #[error("it is in cluster {theirs}")]
    Cluster {
        /// The refusing node's cluster.
        theirs: ClusterId,
    },
    /// The dialer's certificate is not valid for the name it told.
    #[error("the certificate does not prove the name")]
    Name,
    /// The dialer reached itself, or a copy of its data folder.
    #[error("it has the same node id: the same node, or a copied data folder")]
    SameNode,
    /// The refusing node has the dialer's name and another id.
    #[error("it has the same name and is another node ({theirs})")]
    NameTaken {
        /// The refusing node's id.
        theirs: NodeId,
    },
    /// A reason that this release does not know.
    #[error("reason {code}, which this release does not know")]
    Other {
        /// Its number.
        code: u8,
    },
}

/// Appends a hello.
pub fn encode_hello(out: &mut BytesMut, hello: &Hello) {
    out.put_u32(MAGIC);
    put_body(out, hello);
}

/// Reads a hello back; bytes after its end are left to later releases.
pub fn decode_hello(bytes: Bytes) -> Result<Hello, Malformed> {
    let mut reader = Reader::new(bytes);
    magic(&mut reader)?;
    body(&mut reader)
}

/// Appends a welcome.
pub fn encode_welcome(out: &mut BytesMut, welcome: &Welcome) {
    out.put_u32(MAGIC);
    match welcome {
        Welcome::Accepted { version, hello } => {
            out.put_u8(ACCEPTED);
            out.put_u16(*version);
            put_body(out, hello);
        }
        Welcome::Refused(refusal) => {
            out.put_u8(REFUSED);
            put_refusal(out, refusal);
        }
    }
}

/// Reads a welcome back; bytes after its end are left to later releases.
pub fn decode_welcome(bytes: Bytes) -> Result<Welcome, Malformed> {
    let mut reader = Reader::new(bytes);
    magic(&mut reader)?;
    match reader.u8("welcome")? {
        ACCEPTED => {
            let version = reader.u16("wire version")?;
            if !(OLDEST_WIRE_VERSION..=WIRE_VERSION).contains(&version) {
                return Err(Malformed { what: "wire version" });
            }
            Ok(Welcome::Accepted { version, hello: body(&mut reader)? })
        }
        REFUSED => refusal(&mut reader).map(Welcome::Refused),
        _ => Err(Malformed { what: "welcome" }),
    }
}

fn magic(reader: &mut Reader) -> Result<(), Malformed> {
    if reader.u32("greeting")? == MAGIC { Ok(()) } else { Err(Malformed { what: "greeting" }) }
}

fn put_body(out: &mut BytesMut, hello: &Hello) {
    out.put_u16(*hello.versions.start());
    out.put_u16(*hello.versions.end());
    out.put_u8(u8::from(hello.cluster.is_some()));
    out.put_u128(hello.cluster.map_or(0, ClusterId::bits));
    out.put_u128(hello.identity.id.bits());
    out.put_u8(match hello.purpose {
        Purpose::Clients => 1,
        Purpose::Bulk => 2,
        Purpose::Once => 3,
    });
    put_name(out, &hello.identity.name).expect("invariant: a node name has at most 63 bytes");
}

fn body(reader: &mut Reader) -> Result<Hello, Malformed> {
    let versions = reader.u16("wire version")?..=reader.u16("wire version")?;
    let has_cluster = reader.bool("cluster id")?;
    let cluster = ClusterId::from_bits(reader.u128("cluster id")?);
    let id = NodeId::from_bits(reader.u128("node id")?);
    let purpose = match reader.u8("purpose")? {
        1 => Purpose::Clients,
        2 => Purpose::Bulk,
        3 => Purpose::Once,
        _ => return Err(Malformed { what: "purpose" }),
    };
    let name = name(reader)?;
    Ok(Hello { versions, cluster: has_cluster.then_some(cluster), identity: PeerIdentity { name, id }, purpose })
}

fn put_refusal(out: &mut BytesMut, refusal: &HelloRefusal) {
    match refusal {
        HelloRefusal::Version { versions } => {
            out.put_u8(1);
            out.put_u16(*versions.start());
            out.put_u16(*versions.end());
        }
        HelloRefusal::Cluster { theirs } => {
            out.put_u8(2);
            out.put_u128(theirs.bits());
        }
        HelloRefusal::Name => out.put_u8(3),
        HelloRefusal::SameNode => out.put_u8(4),
        HelloRefusal::NameTaken { theirs } => {
            out.put_u8(5);
            out.put_u128(theirs.bits());
        }
        HelloRefusal::Other { code } => out.put_u8(*code),
    }
}

fn refusal(reader: &mut Reader) -> Result<HelloRefusal, Malformed> {
    let what = "refusal";
    Ok(match reader.u8(what)? {
        1 => HelloRefusal::Version { versions: reader.u16(what)?..=reader.u16(what)? },
        2 => HelloRefusal::Cluster { theirs: ClusterId::from_bits(reader.u128(what)?) },
        3 => HelloRefusal::Name,
        4 => HelloRefusal::SameNode,
        5 => HelloRefusal::NameTaken { theirs: NodeId::from_bits(reader.u128(what)?) },
        code => HelloRefusal::Other { code },
    })
}
