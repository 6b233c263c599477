//! Batches: up to 100 gets, puts and deletes in one request, each with its own status; not atomic.
//!
//! The operations run side by side, a bounded number at a time, under one deadline. The batch takes one place among
//! the operations in flight. A bad operation fails alone; only a batch that cannot be read fails as a whole.

use std::fmt::Display;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::StatusCode;
use http::request::Parts;
use hyper::body::Body;

use super::kv;
use super::limits::{BATCH_CONCURRENCY, MAX_ANSWER_VALUE_BYTES, MAX_BATCH_BYTES, MAX_BATCH_OPERATIONS};
use super::problem::{INVALID_BODY, KEY_ABSENT, Refused, TOO_LARGE};
use super::query::{self, DataQuery};
use super::service::{Answer, Api, json};
use super::tokens::Role;
use super::types::{BatchOperation, BatchRequest, BatchResponse, BatchResult};
use crate::metrics::Operation;
use crate::node::operation::{Options, PutValue, Wrote};
use crate::node::service::NodeService;

/// POST of a batch; role read if it only gets, else write.
#[utoipa::path(post, path = "/v1/batch", operation_id = "batch", tag = "data", params(super::openapi::Data),
    request_body = BatchRequest, responses(
    (status = 200, description = "What became of each operation", body = BatchResponse),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) async fn batch<S, B>(api: &Api<S>, parts: &Parts, body: B, started: Instant) -> Result<Answer, Refused>
where
    S: NodeService,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let query = DataQuery::parse(parts.uri.query(), query::PLAIN)?;
    let held = super::body::read(body, MAX_BATCH_BYTES, &api.shared.bodies).await?;
    let request: BatchRequest = super::body::parse_json(&held.bytes)?;
    if !(1..=MAX_BATCH_OPERATIONS).contains(&request.operations.len()) {
        let found = request.operations.len();
        let detail = format!("a batch has 1 to {MAX_BATCH_OPERATIONS} operations, this has {found}");
        return Err(Refused::new(INVALID_BODY, detail));
    }
    if !request.operations.iter().all(|operation| matches!(operation, BatchOperation::Get { .. })) {
        api.shared.access.require(Role::Write, &parts.headers)?;
    }
    let _place = api.shared.enter_operation()?;
    let options = kv::options_of(&query, started);
    let results = stream::iter(request.operations)
        .map(|operation| run(api, operation, options))
        .buffered(BATCH_CONCURRENCY)
        .scan(0, |value_bytes, result| std::future::ready(Some(cut(value_bytes, result))))
        .collect()
        .await;
    Ok(json(StatusCode::OK, &BatchResponse { results }))
}

/// Leaves values out once the answer is as long as it may be.
fn cut(value_bytes: &mut usize, result: BatchResult) -> BatchResult {
    *value_bytes += result.value.as_ref().map_or(0, String::len);
    if result.value.is_none() || *value_bytes <= MAX_ANSWER_VALUE_BYTES {
        return result;
    }
    let detail = format!("the values of this batch pass {MAX_ANSWER_VALUE_BYTES} bytes");
    let refused = Refused::new(TOO_LARGE, detail).with_hint("read this key on its own");
    failed(result.key, refused)
}

async fn run<S: NodeService>(api: &Api<S>, operation: BatchOperation, options: Options) -> BatchResult {
    let (key, result) = match operation {
        BatchOperation::Get { key } => {
            let result = get(api, &key, options).await;
            (key, result)
        }
        BatchOperation::Put { key, value, content_type, ttl } => {
            let result = put(api, &key, &value, content_type.as_deref(), ttl.as_deref(), options).await;
            (key, result)
        }
        BatchOperation::Delete { key } => {
            let result = delete(api, &key, options).await;
            (key, result)
        }
    };
    match result {
        Ok(result) => BatchResult { key, ..result },
        Err(refused) => failed(key, refused),
    }
}

async fn get<S: NodeService>(api: &Api<S>, key: &str, options: Options) -> Result<BatchResult, Refused> {
    let got = api.node.get(kv::parse_key(key)?, options).await;
    let got = got.map_err(|failed| kv::failed_as(api, Operation::Get, &failed))?;
    let Some((stamp, value)) = got.value else {
        return Err(
            Refused::new(KEY_ABSENT, "it was never written, was deleted or has expired").with_epoch(got.epoch.0)
        );
    };
    Ok(BatchResult {
        etag: Some(kv::etag_of(stamp)),
        value: Some(STANDARD.encode(&value.bytes)),
        content_type: value.content_type.as_deref().map(str::to_owned),
        ..empty(StatusCode::OK)
    })
}

async fn put<S: NodeService>(
    api: &Api<S>,
    key: &str,
    value: &str,
    content_type: Option<&str>,
    ttl: Option<&str>,
    options: Options,
) -> Result<BatchResult, Refused> {
    let key = kv::parse_key(key)?;
    let bytes = STANDARD.decode(value).map_err(|error| Refused::new(INVALID_BODY, format!("value: {error}")))?;
    if bytes.len() > api.shared.limits.max_value_bytes {
        return Err(kv::value_too_large(api.shared.limits.max_value_bytes, bytes.len()));
    }
    let content_type = content_type.map(|text| kv::parse_content_type(text.as_bytes())).transpose()?;
    let ttl = ttl.map(|text| query::parse_ttl("ttl", text)).transpose()?;
    let wrote = api.node.put(key, PutValue { bytes: bytes.into(), content_type, ttl }, options).await;
    let wrote = wrote.map_err(|failed| kv::failed_as(api, Operation::Put, &failed))?;
    Ok(written(&wrote, if wrote.replaced { StatusCode::NO_CONTENT } else { StatusCode::CREATED }))
}

async fn delete<S: NodeService>(api: &Api<S>, key: &str, options: Options) -> Result<BatchResult, Refused> {
    let wrote = api.node.delete(kv::parse_key(key)?, options).await;
    let wrote = wrote.map_err(|failed| kv::failed_as(api, Operation::Delete, &failed))?;
    Ok(written(&wrote, StatusCode::NO_CONTENT))
}

fn written(wrote: &Wrote, status: StatusCode) -> BatchResult {
    BatchResult { etag: Some(kv::etag_of(wrote.stamp)), acks: Some(kv::acks_of(wrote)), ..empty(status) }
}

fn failed(key: String, refused: Refused) -> BatchResult {
    let status = refused.kind().status;
    BatchResult { key, problem: Some(refused.into_problem(None)), ..empty(status) }
}

fn empty(status: StatusCode) -> BatchResult {
    let status = status.as_u16();
    BatchResult { key: String::new(), status, etag: None, value: None, content_type: None, acks: None, problem: None }
}
