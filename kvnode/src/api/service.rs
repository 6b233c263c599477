//! The API as one function from request to answer, whatever connection it came by.
//!
//! Order of the checks: path and method, role, size and shape, then the limit on operations in flight; so a
//! request that is refused costs little and a slow body holds no place of an operation.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Body;
use serde::Serialize;

use super::action::Action;
use super::auth::Access;
use super::limits::{Entered, Gate, Limits};
use super::problem::Refused;
use super::{batch, body, cluster, kv, list, openapi, probes};
use crate::metrics::{Metrics, Operation, Sample};
use crate::node::service::NodeService;
use crate::runtime::clock;

/// An answer: every body is in memory.
pub type Answer = Response<Full<Bytes>>;

/// The API of one node. Cheap to clone; clones share limits and figures.
#[derive(Clone)]
pub struct Api<S> {
    pub(super) node: S,
    pub(super) shared: Arc<Shared>,
}

/// What all requests share.
pub(super) struct Shared {
    pub(super) access: Access,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    pub(super) operations: Gate,
    pub(super) bodies: Gate,
    pub(super) connections: Gate,
    /// Drawn at start, so that request names of two runs differ.
    run: u32,
    failed_requests: AtomicU64,
}

impl<S: NodeService> Api<S> {
    /// `run` is any number drawn at start; it makes the names of failed requests unique over restarts.
    #[must_use]
    pub fn new(node: S, access: Access, limits: Limits, metrics: Metrics, run: u32) -> Self {
        let shared = Arc::new(Shared {
            access,
            operations: Gate::new(limits.max_operations),
            bodies: Gate::new(limits.max_body_bytes),
            connections: Gate::new(limits.max_connections),
            limits,
            metrics,
            run,
            failed_requests: AtomicU64::new(0),
        });
        Self { node, shared }
    }

    /// Answers one request. Never fails: what goes wrong is an answer too.
    pub async fn respond<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin + Send,
        B::Error: Display,
    {
        let started = clock::monotonic_now();
        let (parts, mut body) = request.into_parts();
        let (operation, answered) = match Action::resolve(&parts.method, parts.uri.path()) {
            Ok(action) => (action.operation(), self.act(action, parts, &mut body, started).await),
            Err(refused) => (Operation::Other, Err(refused)),
        };
        if answered.is_err() && !body.is_end_stream() {
            body::discard(body).await;
        }
        let mut answer = answered.unwrap_or_else(|refused| self.refuse(operation, refused));
        let took = clock::monotonic_now().saturating_duration_since(started);
        self.shared.metrics.answered(operation, answer.status().as_u16(), took);
        if !matches!(operation, Operation::Probe | Operation::View) {
            answer.headers_mut().insert(SERVER_TIMING, server_timing(took));
        }
        answer
    }

    async fn act<B>(&self, action: Action, parts: Parts, body: B, started: Instant) -> Result<Answer, Refused>
    where
        B: Body<Data = Bytes> + Unpin + Send,
        B::Error: Display,
    {
        if let Some(role) = action.role()
            && !(action == Action::Metrics && self.shared.access.metrics_are_open())
        {
            self.shared.access.require(role, &parts.headers)?;
        }
        match action {
            Action::Get => kv::get(self, &parts, started).await,
            Action::Put => kv::put(self, &parts, body, started).await,
            Action::Delete => kv::delete(self, &parts, started).await,
            // Boxed, so that what is rare does not make the future of every request larger.
            _ => Box::pin(self.act_rarely(action, parts, body, started)).await,
        }
    }

    async fn act_rarely<B>(&self, action: Action, parts: Parts, body: B, started: Instant) -> Result<Answer, Refused>
    where
        B: Body<Data = Bytes> + Unpin + Send,
        B::Error: Display,
    {
        match action {
            Action::List => list::list(self, &parts, started).await,
            Action::Batch => batch::batch(self, &parts, body, started).await,
            Action::Bootstrap => cluster::bootstrap(self, &parts, body).await,
            Action::Drain => cluster::drain(self, &parts),
            Action::Undrain => cluster::undrain(self, &parts),
            Action::Cluster => cluster::cluster(self, &parts),
            Action::Ring => cluster::ring(self, &parts),
            Action::Nodes => cluster::nodes(self, &parts),
            Action::Partitions => cluster::partitions(self, &parts),
            Action::Livez => probes::livez(self, &parts),
            Action::Readyz => probes::readyz(self, &parts),
            Action::Metrics => probes::metrics(self, &parts),
            Action::Version => probes::version(&parts),
            Action::OpenApi => openapi::openapi(&parts),
            Action::Get | Action::Put | Action::Delete => Err(Refused::no_such_resource()),
        }
    }

    fn refuse(&self, operation: Operation, refused: Refused) -> Answer {
        let number = self.shared.failed_requests.fetch_add(1, Ordering::Relaxed);
        let instance = format!("urn:kvstore:request:{:08x}-{number}", self.shared.run);
        let status = refused.kind().status.as_u16();
        tracing::debug!(instance, operation = operation.name(), status, kind = refused.kind().name, "request refused");
        refused.into_response(instance)
    }
}

impl Shared {
    /// A place among the operations in flight.
    pub(super) fn enter_operation(&self) -> Result<Entered, Refused> {
        self.operations.enter(1).ok_or_else(|| {
            self.metrics.shed("operations");
            Refused::overloaded("the node carries out as many operations at once as it is allowed to")
        })
    }

    /// The figures of the limits.
    pub(super) fn samples(&self) -> [Sample; 3] {
        let figure = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        [
            Sample::gauge("inflight_requests", "Operations in flight", figure(self.operations.count())),
            Sample::gauge("connections", "Open client connections", figure(self.connections.count())),
            Sample::gauge("request_body_bytes", "Bytes of large bodies held", figure(self.bodies.count())),
        ]
    }
}

const SERVER_TIMING: header::HeaderName = header::HeaderName::from_static("server-timing");

/// `total;dur=<milliseconds>` without floating point, which formats slowly.
fn server_timing(took: Duration) -> HeaderValue {
    let micros = took.as_micros();
    header_value(format!("total;dur={}.{:03}", micros / 1000, micros % 1000))
}

/// A header value of text that we made of visible ASCII.
pub(super) fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("invariant: only visible ASCII is put together here")
}

/// A JSON answer that is not to be cached.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(document).expect("invariant: API bodies serialize");
    typed(status, "application/json", body)
}

/// A text answer that is not to be cached.
pub(super) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
