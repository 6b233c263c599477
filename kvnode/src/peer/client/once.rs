//! One request to an address over a connection of its own: how a node meets seeds whose ids it does not know.
//!
//! It repeats nothing and keeps nothing; the deadline bounds all of it.

use std::io;
use std::time::Instant;

use bytes::BytesMut;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::dial::{self, DialError, Stream};
use crate::peer::codec::{self, Frame};
use crate::peer::greeting::LocalIdentity;
use crate::peer::tls::{NODE_DOMAIN, PeerTls};
use crate::peer::wire::{self, Malformed, Purpose, TooLarge};
use crate::peer::{Class, PeerIdentity, PeerReply, PeerRequest};
use crate::runtime::clock;

/// Why a request to an address brought no reply.
#[derive(Debug, thiserror::Error)]
pub enum RequestAddressError {
    /// Never sent.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// Never sent: it fits no frame.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// Perhaps sent; it may have been carried out.
    #[error("the connection broke: {source}")]
    Broken {
        /// What the system said.
        #[from]
        source: io::Error,
    },
    /// Sent, and what came back made no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The deadline passed; it may have been carried out.
    #[error("no reply before the deadline")]
    TimedOut,
}

pub(super) async fn request(
    tls: &PeerTls,
    local: &LocalIdentity,
    address: &str,
    request: &PeerRequest,
    deadline: Instant,
) -> Result<(PeerIdentity, PeerReply), RequestAddressError> {
    let exchange = async {
        // Not checked by this configuration and not sent: the name is learned from the greeting.
        let name = ServerName::try_from(NODE_DOMAIN).expect("invariant: the domain is a DNS name");
        let (identity, mut stream) = dial::dial(address, tls.dial_unnamed(), name, local, Purpose::Once).await?;
        let mut out = BytesMut::new();
        let remaining = deadline.saturating_duration_since(clock::monotonic_now());
        codec::put_request(&mut out, 0, remaining, Class::Sync, request)?;
        stream.write_all(&out).await?;
        stream.flush().await?;
        let reply = reply(&mut stream).await?;
        // The reply is here; how the goodbye fares changes nothing.
        drop(stream.shutdown().await);
        Ok((identity, reply))
    };
    clock::until(deadline, exchange).await.unwrap_or(Err(RequestAddressError::TimedOut))
}

async fn reply(stream: &mut Stream) -> Result<PeerReply, RequestAddressError> {
    let mut incoming = BytesMut::new();
    loop {
        while let Some(frame) = codec::take_frame(&mut incoming)? {
            match frame {
                Frame::Reply { id: 0, body } => return Ok(wire::decode_reply(body)?),
                Frame::Pong { .. } => {}
                _ => return Err(Malformed { what: "frame kind" }.into()),
            }
        }
        if stream.read_buf(&mut incoming).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}
