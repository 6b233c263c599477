//! The operations: one method per endpoint of the API.
//!
//! Keys are raw bytes; they are checked by the server, which says what is wrong with them.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use serde::Serialize;

use super::send::Call;
use super::{Client, Consistency, Error};
use crate::api::key_text;
use crate::api::types::{
    BatchRequest, BatchResponse, BootstrapRequest, BootstrapResponse, ClusterDocument, DrainDocument, ExplainDocument,
    ListDocument, NodeDocument, NodesDocument, PartitionsDocument, RingDocument, VersionDocument,
};

pub use crate::api::types::VersionDocument as Version;

/// How an operation on data is carried out; the default leaves both to the server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Replicas to wait for; a quorum if none.
    pub consistency: Option<Consistency>,
    /// The server's time limit, 1 ms to 30 s; 2 s if none. Keep it below [`super::Config::timeout`].
    pub timeout: Option<Duration>,
}

/// How a value is stored.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// As for every operation.
    pub options: Options,
    /// Content-Type to serve it with.
    pub content_type: Option<String>,
    /// Time to live, in whole milliseconds; for ever if none.
    pub ttl: Option<Duration>,
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The bytes.
    pub value: Bytes,
    /// As in the header, quotes included.
    pub etag: String,
    /// Stored Content-Type; none if it was stored without.
    pub content_type: Option<String>,
    /// Ring epoch of the read.
    pub epoch: u64,
}

/// The durability receipt of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Of a put: whether the key held no live value before.
    pub created: bool,
    /// As in the header, quotes included.
    pub etag: String,
    /// Replicas that had it durable when the answer was made.
    pub replicas_acked: usize,
    /// Replicas of the key.
    pub replicas_total: usize,
    /// Distinct zones among those that acknowledged.
    pub zones_acked: usize,
    /// Ring epoch of the write.
    pub epoch: u64,
}

/// Which keys to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only keys that begin with these bytes.
    pub prefix: Vec<u8>,
    /// First key, inclusive.
    pub start: Option<Vec<u8>>,
    /// End, exclusive.
    pub end: Option<Vec<u8>>,
    /// Most keys in a page: 1 to 1000, with values 1 to 100; the server's default if none.
    pub limit: Option<usize>,
    /// Where the last page ended: its [`Page::next`].
    pub cursor: Option<String>,
    /// Whether values come along.
    pub values: bool,
    /// The server's time limit.
    pub timeout: Option<Duration>,
}

/// One page of a listing, as the server sent it; keys are decoded by [`crate::api::key_text::decode`].
pub type Page = ListDocument;

/// What a probe said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Whether every check holds.
    pub ok: bool,
    /// A line per check.
    pub text: String,
}

impl Client {
    /// Reads a key; none if it is absent. May be called again.
    pub async fn get(&self, key: &[u8], options: Options) -> Result<Option<Found>, Error> {
        let path = path_of(key, &query_of(options))?;
        let answer = self.send(&Call::read(path)).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(Found {
                etag: answer.required_header(&header::ETAG)?,
                content_type: answer.header(&header::CONTENT_TYPE).map(str::to_owned),
                epoch: answer.epoch()?,
                value: answer.body,
            })),
            StatusCode::NOT_FOUND if answer.header(&crate::api::KV_EPOCH).is_some() => Ok(None),
            _ => Err(answer.into_error()),
        }
    }

    /// Writes a key. On an error see [`Error::outcome`] before calling again.
    pub async fn put(&self, key: &[u8], value: Bytes, put: &PutOptions) -> Result<Receipt, Error> {
        let mut query = query_of(put.options);
        if let Some(ttl) = put.ttl {
            query.push(("ttl", format!("{}ms", ttl.as_millis())));
        }
        let path_and_query = path_of(key, &query)?;
        let content_type = put.content_type.clone();
        self.write(Call { method: Method::PUT, path_and_query, body: Some(value), content_type, is_read: false }).await
    }

    /// Deletes a key, whether or not it is there.
    pub async fn delete(&self, key: &[u8], options: Options) -> Result<Receipt, Error> {
        let path_and_query = path_of(key, &query_of(options))?;
        self.write(Call { method: Method::DELETE, path_and_query, body: None, content_type: None, is_read: false })
            .await
    }

    async fn write(&self, call: Call) -> Result<Receipt, Error> {
        let answer = self.send(&call).await?;
        if answer.status.is_success() { answer.receipt() } else { Err(answer.into_error()) }
    }

    /// One page of keys; pass its `next` as the next query's `cursor`.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let mut pairs = Vec::new();
        if !query.prefix.is_empty() {
            pairs.push(("prefix", key_text::encode(&query.prefix)));
        }
        let bounds = [("start", &query.start), ("end", &query.end)];
        pairs.extend(bounds.into_iter().filter_map(|(name, key)| Some((name, key_text::encode(key.as_deref()?)))));
        pairs.extend(query.limit.map(|limit| ("limit", limit.to_string())));
        pairs.extend(query.cursor.clone().map(|cursor| ("cursor", cursor)));
        pairs.extend(query.timeout.map(timeout_pair));
        if query.values {
            pairs.push(("values", "true".to_owned()));
        }
        self.read_json(with_query("/v1/kv".to_owned(), &pairs)).await
    }

    /// Runs up to 100 operations side by side; each result has its own status.
    pub async fn batch(&self, request: &BatchRequest, options: Options) -> Result<BatchResponse, Error> {
        let is_read = request
            .operations
            .iter()
            .all(|operation| matches!(operation, crate::api::types::BatchOperation::Get { .. }));
        self.post(with_query("/v1/batch".to_owned(), &query_of(options)), Some(request), is_read).await
    }

    /// Why a key reads as it does; role admin.
    pub async fn explain(&self, key: &[u8], options: Options) -> Result<ExplainDocument, Error> {
        let mut query = query_of(options);
        query.push(("explain", "true".to_owned()));
        self.read_json(path_of(key, &query)?).await
    }

    /// What the node believes of the cluster.
    pub async fn cluster(&self) -> Result<ClusterDocument, Error> {
        self.read_json("/v1/cluster").await
    }

    /// The ring as the node knows it.
    pub async fn ring(&self) -> Result<RingDocument, Error> {
        self.read_json("/v1/ring").await
    }

    /// The members as the node sees them.
    pub async fn nodes(&self) -> Result<Vec<NodeDocument>, Error> {
        self.read_json::<NodesDocument>("/v1/nodes").await.map(|document| document.nodes)
    }

    /// Every partition and its replicas.
    pub async fn partitions(&self) -> Result<PartitionsDocument, Error> {
        self.read_json("/v1/partitions").await
    }

    /// Forms the first ring; role admin. Safe to repeat with the same act.
    pub async fn bootstrap(&self, request: &BootstrapRequest) -> Result<BootstrapResponse, Error> {
        // Idempotent by contract, so that a lost answer is asked for again.
        self.post("/v1/admin/bootstrap".to_owned(), Some(request), true).await
    }

    /// Turns draining of the endpoint that answers on or off; role admin. Use a client of one endpoint.
    pub async fn set_draining(&self, draining: bool) -> Result<DrainDocument, Error> {
        let path = if draining { "/v1/admin/drain" } else { "/v1/admin/undrain" };
        self.post::<(), _>(path.to_owned(), None, true).await
    }

    /// Whether the node lives.
    pub async fn livez(&self) -> Result<Probe, Error> {
        self.probe("/livez?verbose").await
    }

    /// Whether the node wants work, check by check.
    pub async fn readyz(&self) -> Result<Probe, Error> {
        self.probe("/readyz?verbose").await
    }

    /// What the node runs.
    pub async fn version(&self) -> Result<VersionDocument, Error> {
        self.read_json("/version").await
    }

    /// The metrics as Prometheus text.
    pub async fn metrics(&self) -> Result<String, Error> {
        let answer = self.send(&Call::read("/metrics")).await?;
        if answer.status.is_success() { Ok(answer.text()) } else { Err(answer.into_error()) }
    }

    async fn probe(&self, path: &str) -> Result<Probe, Error> {
        let answer = self.send(&Call::read(path)).await?;
        match answer.status {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {
                Ok(Probe { ok: answer.status == StatusCode::OK, text: answer.text() })
            }
            _ => Err(answer.into_error()),
        }
    }

    async fn read_json<T: serde::de::DeserializeOwned>(&self, path: impl Into<String>) -> Result<T, Error> {
        self.send(&Call::read(path)).await?.json()
    }

    async fn post<B: Serialize, T: serde::de::DeserializeOwned>(
        &self,
        path_and_query: String,
        body: Option<&B>,
        is_read: bool,
    ) -> Result<T, Error> {
        let body = body.map(|body| serde_json::to_vec(body).expect("invariant: API bodies serialize").into());
        let content_type = body.is_some().then(|| "application/json".to_owned());
        self.send(&Call { method: Method::POST, path_and_query, body, content_type, is_read }).await?.json()
    }
}

fn query_of(options: Options) -> Vec<(&'static str, String)> {
    let consistency = options.consistency.map(|consistency| ("consistency", consistency.name().to_owned()));
    consistency.into_iter().chain(options.timeout.map(timeout_pair)).collect()
}

fn timeout_pair(timeout: Duration) -> (&'static str, String) {
    ("timeout", format!("{}ms", timeout.as_millis()))
}

fn path_of(key: &[u8], query: &[(&'static str, String)]) -> Result<String, Error> {
    if matches!(key, b"." | b"..") {
        return Err(Error::KeyNotSendable);
    }
    Ok(with_query(format!("/v1/kv/{}", key_text::encode(key)), query))
}

fn with_query(mut path: String, pairs: &[(&'static str, String)]) -> String {
    for (number, (name, value)) in pairs.iter().enumerate() {
        path.push(if number == 0 { '?' } else { '&' });
        path.push_str(name);
        path.push('=');
        path.push_str(value);
    }
    path
}
