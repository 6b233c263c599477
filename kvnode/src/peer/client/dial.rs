//! Opens one connection: look the name up, connect, prove both ends by TLS, greet.
//!
//! It bounds nothing in time (the caller does) and keeps nothing.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::peer::PeerIdentity;
use crate::peer::greeting::{self, GreetingError, LocalIdentity};
use crate::peer::socket;
use crate::peer::wire::Purpose;

/// A connection as it is dialed.
pub(super) type Stream = TlsStream<BufReader<TcpStream>>;

/// Why no connection came about. Nothing was asked of the other node; try again later.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name does not resolve, or nothing listens there.
    #[error("cannot connect: {source}")]
    Connect {
        /// What the system said.
        source: io::Error,
    },
    /// The TLS handshake failed: often another authority, or another name.
    #[error("TLS failed: {source}")]
    Tls {
        /// What the TLS library said.
        source: io::Error,
    },
    /// TLS stands, and one end refuses the other.
    #[error(transparent)]
    Greeting(#[from] GreetingError),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The right name, and another data folder.
    #[error("the node there has id {}", found.id)]
    Replaced {
        /// Who answered.
        found: PeerIdentity,
    },
}

/// Dials and greets. `name` is what TLS checks, as far as the configuration checks names.
pub(super) async fn dial(
    address: &str,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    local: &LocalIdentity,
    purpose: Purpose,
) -> Result<(PeerIdentity, Stream), DialError> {
    let tcp = TcpStream::connect(address).await.map_err(|source| DialError::Connect { source })?;
    let tcp = socket::prepare(tcp).map_err(|source| DialError::Connect { source })?;
    let connector = TlsConnector::from(config);
    let mut stream = connector.connect(name, tcp).await.map_err(|source| DialError::Tls { source })?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
    let missing = || io::Error::new(io::ErrorKind::InvalidData, "the other end showed no certificate");
    let certificate = certificate.ok_or_else(missing).map_err(|source| DialError::Tls { source })?;
    let identity = greeting::greet(&mut stream, local, purpose, &certificate).await?;
    Ok((identity, stream))
}
