//! Client connections: TLS 1.2 and 1.3, HTTP/1.1 or h2 by ALPN, every one bounded in time and number.
//!
//! A connection over the limit is closed at once, so that its client tries another node instead of waiting. One
//! slow look ([`super::watch`]) per connection replaces a timer per request. The owner of the given [`Tasks`] stops
//! the API: connections then finish what they have begun.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::Service;
use hyper::{Request, server::conn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::limits::{HANDSHAKE_TIMEOUT, MAX_HEAD_BYTES, MAX_HEADERS};
use super::service::{Answer, Api};
use super::watch::{Activity, Busy, Observed, Verdict, Watch};
use crate::node::service::NodeService;
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

/// Streams of one h2 connection at once: a browser's habit; a client that wants more opens another.
const H2_STREAMS: u32 = 128;
/// Bytes a stream and a connection may send ahead of what was read: they bound memory per connection.
const H2_STREAM_WINDOW: u32 = 64 * 1024;
const H2_CONNECTION_WINDOW: u32 = 256 * 1024;
/// How often a silent h2 peer is asked whether it is still there, and how long it has to answer.
const H2_PING_EVERY: Duration = Duration::from_secs(30);
const H2_PING_PATIENCE: Duration = Duration::from_secs(10);
/// How long accepting pauses when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Protocols offered in the handshake, in order of preference.
#[must_use]
pub fn alpn_protocols() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

/// The TLS side of the API for a certificate chain and its key; fails if they do not fit.
pub fn tls_config(
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: rustls::pki_types::PrivateKeyDer<'static>,
) -> Result<rustls::ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = alpn_protocols();
    Ok(config)
}

/// Accepts and serves connections until `tasks` stops; then those that are open finish what they have begun.
///
/// `tls` may be replaced at any time: new connections use the new certificate.
pub fn serve<S: NodeService>(
    listener: TcpListener,
    tls: Arc<ArcSwap<rustls::ServerConfig>>,
    api: Api<S>,
    tasks: &Tasks,
) {
    let owner = tasks.clone();
    tasks.spawn("api accept", async move {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => admit(stream, from, &tls, &api, &owner),
                Err(error) => {
                    tracing::warn!(%error, "a client connection could not be accepted");
                    clock::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
}

fn admit<S: NodeService>(
    stream: TcpStream,
    from: SocketAddr,
    tls: &ArcSwap<rustls::ServerConfig>,
    api: &Api<S>,
    tasks: &Tasks,
) {
    let Some(place) = api.shared.connections.enter(1) else {
        api.shared.metrics.shed("connections");
        return;
    };
    let (acceptor, api, owner) = (TlsAcceptor::from(tls.load_full()), api.clone(), tasks.clone());
    tasks.spawn_to_end("api connection", async move {
        let _place = place;
        if let Err(error) = run(stream, acceptor, api, &owner).await {
            tracing::debug!(%from, error, "client connection ended");
        }
    });
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn run<S: NodeService>(stream: TcpStream, tls: TlsAcceptor, api: Api<S>, tasks: &Tasks) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let deadline = clock::monotonic_now() + HANDSHAKE_TIMEOUT;
    let stream = tokio::select! {
        stream = clock::until(deadline, tls.accept(stream)) => stream.ok_or("the TLS handshake took too long")??,
        () = tasks.stopping() => return Ok(()),
    };
    let activity = Arc::new(Activity::default());
    let handler = Handler { api, activity: Arc::clone(&activity) };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let limits = handler.api.shared.limits.clone();
        let io = TokioIo::new(stream);
        let connection = h2(tasks).serve_connection(io, handler);
        supervise(connection, conn::http2::Connection::graceful_shutdown, &activity, &limits, tasks).await
    } else {
        let limits = handler.api.shared.limits.clone();
        let io = TokioIo::new(Observed::new(stream, Arc::clone(&activity)));
        let connection = http1().serve_connection(io, handler);
        supervise(connection, conn::http1::Connection::graceful_shutdown, &activity, &limits, tasks).await
    }
}

fn http1() -> conn::http1::Builder {
    let mut builder = conn::http1::Builder::new();
    builder.max_headers(MAX_HEADERS).max_header_size(MAX_HEAD_BYTES).max_buf_size(2 * MAX_HEAD_BYTES);
    builder
}

fn h2(tasks: &Tasks) -> conn::http2::Builder<Streams> {
    let mut builder = conn::http2::Builder::new(Streams { tasks: tasks.clone() });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .keep_alive_interval(H2_PING_EVERY)
        .keep_alive_timeout(H2_PING_PATIENCE);
    builder
}

/// Drives a connection to its end, looking at it now and then; `finish` asks it to end after what it has begun.
async fn supervise<C>(
    connection: C,
    finish: impl Fn(std::pin::Pin<&mut C>),
    activity: &Activity,
    limits: &super::limits::Limits,
    tasks: &Tasks,
) -> Result<(), Failure>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut stopping = pin!(tasks.stopping());
    let mut watch = Watch::default();
    loop {
        let look = pin!(clock::sleep(limits.watch_interval));
        tokio::select! {
            biased;
            ended = &mut connection => return Ok(ended?),
            () = &mut stopping => break,
            () = look => match watch.look(activity.now()) {
                Verdict::Keep => {}
                Verdict::Finish => finish(connection.as_mut()),
                Verdict::Close(reason) => return Err(reason.into()),
            },
        }
    }
    finish(connection.as_mut());
    let deadline = clock::monotonic_now() + limits.drain_timeout;
    match clock::until(deadline, connection).await {
        Some(ended) => Ok(ended?),
        None => Err("it did not finish in time when the node stopped".into()),
    }
}

/// Calls the API for each request of one connection.
struct Handler<S> {
    api: Api<S>,
    activity: Arc<Activity>,
}

impl<S: NodeService> Service<Request<Incoming>> for Handler<S> {
    type Response = Answer;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (api, busy) = (self.api.clone(), Busy::begin(&self.activity));
        Box::pin(async move {
            let _busy = busy;
            Ok(api.respond(request).await)
        })
    }
}

/// Runs the streams of h2 connections as owned tasks.
#[derive(Clone)]
struct Streams {
    tasks: Tasks,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.tasks.spawn_to_end("api stream", stream);
    }
}

/// Binds the address of the API; the error names it.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    /// Connections that wait to be accepted: a burst of reconnecting clients.
    const BACKLOG: u32 = 1024;
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    socket.bind(address).map_err(named)?;
    socket.listen(BACKLOG).map_err(named)
}
