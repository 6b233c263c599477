//! The first exchange on a connection, after TLS: who are you, which wire version, which cluster.
//!
//! The dialer speaks first. Both ends check the same things, and the acceptor says why it refuses before it closes.
//! A greeting is at most [`MAX_GREETING_BYTES`] long and the caller bounds its time; nothing here retries.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use parking_lot::Mutex;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::PeerIdentity;
use super::tls::proves_name;
use super::wire::{self, Hello, HelloRefusal, Malformed, Purpose, Welcome};
use crate::protocol::id::ClusterId;

/// Longest greeting: today's has at most 120 bytes; the rest is room for later releases.
const MAX_GREETING_BYTES: u16 = 1024;

/// Who this node is, as it tells others. The cluster is set once the node has a ring.
#[derive(Debug)]
pub struct LocalIdentity {
    identity: PeerIdentity,
    cluster: Mutex<Option<ClusterId>>,
}

impl LocalIdentity {
    /// A node with or without a cluster.
    #[must_use]
    pub fn new(identity: PeerIdentity, cluster: Option<ClusterId>) -> Self {
        Self { identity, cluster: Mutex::new(cluster) }
    }

    /// Name and id.
    #[must_use]
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// The cluster, if there is a ring.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        *self.cluster.lock()
    }

    /// From now on only nodes of this cluster, or of none, may connect. Standing connections are kept.
    pub fn set_cluster(&self, cluster: ClusterId) {
        *self.cluster.lock() = Some(cluster);
    }

    fn hello(&self, purpose: Purpose) -> Hello {
        let versions = wire::OLDEST_WIRE_VERSION..=wire::WIRE_VERSION;
        Hello { versions, cluster: self.cluster(), identity: self.identity.clone(), purpose }
    }

    /// What this end has against the other; `certificate` is checked against the authority already.
    fn objection(&self, theirs: &Hello, certificate: &CertificateDer<'_>) -> Option<HelloRefusal> {
        let (mine, other) = (&self.identity, &theirs.identity);
        if !proves_name(certificate, &other.name) {
            return Some(HelloRefusal::Name);
        }
        if other.id == mine.id {
            return Some(HelloRefusal::SameNode);
        }
        if other.name == mine.name {
            return Some(HelloRefusal::NameTaken { theirs: mine.id });
        }
        match (self.cluster(), theirs.cluster) {
            (Some(mine), Some(theirs)) if mine != theirs => Some(HelloRefusal::Cluster { theirs: mine }),
            _ => None,
        }
    }
}

/// Why a greeting came to nothing. The connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum GreetingError {
    /// The connection failed; in TLS 1.3 also the way to learn that the other end refused this certificate.
    #[error("the connection failed during the greeting")]
    Io {
        /// What the system or the TLS library said.
        #[from]
        source: io::Error,
    },
    /// What came is no greeting.
    #[error("the other end does not speak this protocol: {source}")]
    Malformed {
        /// The part that made no sense.
        #[from]
        source: Malformed,
    },
    /// The other end refused.
    #[error("refused by the other node: {refusal}")]
    Refused {
        /// Why.
        refusal: HelloRefusal,
    },
    /// This end refused.
    #[error("{} refused by this node ({refusal})", theirs.name)]
    Objected {
        /// Who it said it was.
        theirs: PeerIdentity,
        /// Why, in the words that the other end gets.
        refusal: HelloRefusal,
    },
}

/// Greets as dialer. Returns who answered.
pub(super) async fn greet<T: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut T,
    local: &LocalIdentity,
    purpose: Purpose,
    certificate: &CertificateDer<'_>,
) -> Result<PeerIdentity, GreetingError> {
    send(stream, |out| wire::encode_hello(out, &local.hello(purpose))).await?;
    match wire::decode_welcome(receive(stream).await?)? {
        Welcome::Refused(refusal) => Err(GreetingError::Refused { refusal }),
        Welcome::Accepted { hello, .. } => match local.objection(&hello, certificate) {
            Some(refusal) => Err(GreetingError::Objected { theirs: hello.identity, refusal }),
            None => Ok(hello.identity),
        },
    }
}

/// Answers a greeting as acceptor. Returns who greeted; a refusal has been sent when this returns it.
pub(super) async fn answer<T: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut T,
    local: &LocalIdentity,
    certificate: &CertificateDer<'_>,
) -> Result<(PeerIdentity, Purpose), GreetingError> {
    let theirs = wire::decode_hello(receive(stream).await?)?;
    let own = local.hello(theirs.purpose);
    let version = wire::negotiate(&theirs.versions);
    let objection = match local.objection(&theirs, certificate) {
        None if version.is_none() => Some(HelloRefusal::Version { versions: own.versions.clone() }),
        objection => objection,
    };
    if let Some(refusal) = objection {
        send(stream, |out| wire::encode_welcome(out, &Welcome::Refused(refusal.clone()))).await?;
        stream.shutdown().await?;
        return Err(GreetingError::Objected { theirs: theirs.identity, refusal });
    }
    let welcome = Welcome::Accepted { version: version.unwrap_or(wire::WIRE_VERSION), hello: own };
    send(stream, |out| wire::encode_welcome(out, &welcome)).await?;
    Ok((theirs.identity, theirs.purpose))
}

async fn send<T: AsyncWrite + Unpin>(stream: &mut T, encode: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
    let mut body = BytesMut::new();
    encode(&mut body);
    let mut framed = BytesMut::with_capacity(body.len() + 4);
    framed.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    framed.put_slice(&body);
    stream.write_all(&framed).await?;
    stream.flush().await
}

async fn receive<T: AsyncRead + Unpin>(stream: &mut T) -> Result<Bytes, GreetingError> {
    let length = u16::try_from(stream.read_u32().await?).ok().filter(|length| *length <= MAX_GREETING_BYTES);
    let length = length.ok_or(Malformed { what: "greeting length" })?;
    let mut body = vec![0; usize::from(length)];
    stream.read_exact(&mut body).await?;
    Ok(body.into())
}
