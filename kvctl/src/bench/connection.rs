//! One keep-alive HTTP/1.1 connection over TLS: one request at a time, as cheap as hyper makes it.
//!
//! No pool, no redirects, no retries: what fails is told, and the caller decides. The connection's own work is done
//! by whoever waits for an answer, so that no task is spawned.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use kvnode::runtime::clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::CommandError;

/// Longest time for a connection to be made and for a request to be answered: above the server's own limit, so that
/// its answer is seen rather than ours.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer taken: a value of the largest size and some room.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// How to reach one endpoint.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    host: HeaderValue,
    authorization: HeaderValue,
    tls: TlsConnector,
}

/// Why a request has no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// The connection broke.
    Broken,
    /// No answer in time.
    Timeout,
    /// An answer of another status than hoped for.
    Status(u16),
    /// A read that found nothing, or another length than was written.
    WrongValue,
}

impl Failure {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Connect => "connect".to_owned(),
            Self::Broken => "broken".to_owned(),
            Self::Timeout => "timeout".to_owned(),
            Self::Status(status) => format!("status {status}"),
            Self::WrongValue => "wrong value".to_owned(),
        }
    }
}

impl Target {
    /// Reads endpoints, which must be addresses: names would be looked up again and again.
    ///
    /// # Errors
    /// An endpoint, the certificate or the token cannot be used.
    pub fn all(endpoints: &[String], ca_pem: &[u8], token: &str) -> Result<Vec<Self>, CommandError> {
        let unusable = |what: &str| CommandError::usage(format!("{what} of this context cannot be used"));
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            let certificate = certificate.map_err(|error| unusable("the certificate").because(&error))?;
            roots.add(certificate).map_err(|error| unusable("the certificate").because(&error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("TLS").because(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        let authorization = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut authorization = authorization.map_err(|error| unusable("the token").because(&error))?;
        authorization.set_sensitive(true);
        let target = |endpoint: &String| {
            let authority = endpoint.trim_start_matches("https://").trim_end_matches('/');
            let address = authority.parse().map_err(|_| unusable(&format!("endpoint {endpoint}")))?;
            let host = HeaderValue::from_str(authority).map_err(|_| unusable(&format!("endpoint {endpoint}")))?;
            Ok(Self { address, host, authorization: authorization.clone(), tls: tls.clone() })
        };
        endpoints.iter().map(target).collect()
    }
}

type Driver = Pin<Box<http1::Connection<TokioIo<tokio_rustls::client::TlsStream<TcpStream>>, Full<Bytes>>>>;

/// An open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    target: Target,
}

impl Connection {
    /// Opens a connection.
    ///
    /// # Errors
    /// It was not made in time, or at all.
    pub async fn open(target: &Target) -> Result<Self, Failure> {
        let opened = async {
            let tcp = TcpStream::connect(target.address).await.ok()?;
            tcp.set_nodelay(true).ok()?;
            let name = ServerName::from(target.address.ip());
            let tls = target.tls.connect(name, tcp).await.ok()?;
            http1::handshake(TokioIo::new(tls)).await.ok()
        };
        let opened = clock::until(clock::monotonic_now() + TIMEOUT, opened).await.flatten();
        let (sender, driver) = opened.ok_or(Failure::Connect)?;
        Ok(Self { sender, driver: Box::pin(driver), target: target.clone() })
    }

    /// Writes a value.
    ///
    /// # Errors
    /// See [`Failure`]; after anything but a status the connection is to be opened anew.
    pub async fn put(&mut self, path: &str, value: Bytes) -> Result<(), Failure> {
        let (status, _) = self.send(Method::PUT, path, value).await?;
        if status.is_success() { Ok(()) } else { Err(Failure::Status(status.as_u16())) }
    }

    /// Reads a value and checks its length.
    ///
    /// # Errors
    /// See [`Failure`]; after anything but a status or a wrong value the connection is to be opened anew.
    pub async fn get(&mut self, path: &str, length: usize) -> Result<(), Failure> {
        let (status, body) = self.send(Method::GET, path, Bytes::new()).await?;
        match status {
            StatusCode::OK if body == length => Ok(()),
            StatusCode::OK | StatusCode::NOT_FOUND => Err(Failure::WrongValue),
            other => Err(Failure::Status(other.as_u16())),
        }
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, usize), Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.target.host.clone())
            .header(header::AUTHORIZATION, self.target.authorization.clone())
            .body(Full::new(body))
            .map_err(|_| Failure::Broken)?;
        let sender = &mut self.sender;
        let exchange = async {
            sender.ready().await.map_err(|_| Failure::Broken)?;
            let response = sender.send_request(request).await.map_err(|_| Failure::Broken)?;
            let status = response.status();
            Ok((status, body_length(response.into_body()).await?))
        };
        let driver = &mut self.driver;
        let driven = async {
            tokio::select! {
                answer = exchange => answer,
                _ = driver.as_mut() => Err(Failure::Broken),
            }
        };
        clock::until(clock::monotonic_now() + TIMEOUT, driven).await.unwrap_or(Err(Failure::Timeout))
    }
}

/// Reads a body to its end, so that the connection can be used again; its bytes are not kept.
async fn body_length(mut body: Incoming) -> Result<usize, Failure> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Broken)?;
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > MAX_ANSWER {
            return Err(Failure::Broken);
        }
    }
    Ok(length)
}

/// Values of one size to write: a few blocks of random bytes, so that nothing can compress them.
#[must_use]
pub fn values(size: usize, rng: &mut impl rand::RngCore) -> Vec<Bytes> {
    const BLOCKS: usize = 16;
    let block = |_| {
        let mut bytes = BytesMut::zeroed(size);
        rng.fill_bytes(&mut bytes);
        bytes.freeze()
    };
    (0..BLOCKS).map(block).collect()
}
