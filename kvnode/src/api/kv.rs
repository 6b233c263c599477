//! One key: GET, HEAD, PUT, DELETE and `?explain=true`.
//!
//! The hot path of the API: it parses by hand, copies a value once and makes few headers. Conditional writes
//! (`If-Match`, `If-None-Match` with PUT or DELETE) are refused, never ignored.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Body;

use super::action::KEY_PREFIX;
use super::problem::{CONDITIONAL_WRITE, INVALID_HEADER, INVALID_KEY, KEY_ABSENT, Refused, TOO_LARGE};
use super::query::{self, DataQuery};
use super::service::{Answer, Api, header_value, json};
use super::tokens::Role;
use super::types::{ExplainDocument, ExplainReplica};
use super::{KV_ACKS, KV_CONSISTENCY, KV_EPOCH, body, key_text, openapi};
use crate::metrics::Operation;
use crate::node::operation::{Explained, Failed, FailureKind, Got, Options, PutValue, Wrote};
use crate::node::service::NodeService;
use crate::protocol::key::Key;
use crate::protocol::quorum::Consistency;
use crate::protocol::record::Value;
use crate::protocol::stamp::Stamp;

/// What a value without a Content-Type is served as.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// GET and HEAD of a key.
#[utoipa::path(get, path = "/v1/kv/{key}", operation_id = "getKey", tag = "data", params(openapi::KeyPath, openapi::Data, openapi::Explain, openapi::Conditions), responses(
    (status = 200, description = "The value as stored, or with explain=true an ExplainDocument", content_type = "*/*",
     headers(("etag" = String, description = "Stamp of the value, quoted"), ("kv-epoch" = u64, description = "Ring epoch"),
             ("kv-consistency" = String, description = "`one` if no more was asked"))),
    (status = 304, description = "The value is the one that If-None-Match names"),
    (status = "default", response = openapi::ProblemAnswer)))]
pub(super) async fn get<S: NodeService>(api: &Api<S>, parts: &Parts, started: Instant) -> Result<Answer, Refused> {
    let key = key_of(parts)?;
    let query = DataQuery::parse(parts.uri.query(), query::GET)?;
    let _place = api.shared.enter_operation()?;
    let options = options_of(&query, started);
    if query.explain {
        return Box::pin(explain(api, parts, key, options)).await;
    }
    let got = api.node.get(key, options).await.map_err(|failed| failed_as(api, Operation::Get, &failed))?;
    answer_get(got, query.consistency, &parts.headers)
}

fn answer_get(got: Got, consistency: Consistency, headers: &HeaderMap) -> Result<Answer, Refused> {
    let Some((stamp, value)) = got.value else {
        return Err(
            Refused::new(KEY_ABSENT, "it was never written, was deleted or has expired").with_epoch(got.epoch.0)
        );
    };
    let etag = etag_of(stamp);
    let unchanged = headers.get_all(header::IF_NONE_MATCH).iter().any(|named| names_etag(named, &etag));
    let mut answer = Response::new(Full::new(if unchanged { Bytes::new() } else { value.bytes }));
    if unchanged {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        // Stored content types were checked when they came in; a replica of another release may be less strict.
        let stored = value.content_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
        answer.headers_mut().insert(header::CONTENT_TYPE, stored.unwrap_or(OCTETS));
    }
    finish(&mut answer, etag, got.epoch.0, consistency);
    Ok(answer)
}

/// PUT of a key.
#[utoipa::path(put, path = "/v1/kv/{key}", operation_id = "putKey", tag = "data", params(openapi::KeyPath, openapi::Data, openapi::TimeToLive),
    request_body(content = inline(String), content_type = "*/*", description = "The value, at most 1 MiB; its Content-Type is kept"),
    responses(
    (status = 201, description = "Durable; the key held no value before",
     headers(("etag" = String, description = "Stamp of the value, quoted"), ("kv-epoch" = u64, description = "Ring epoch"),
             ("kv-acks" = String, description = "Durability receipt: `replicas=3/3; zones=3`"))),
    (status = 204, description = "Durable; a value was replaced"),
    (status = "default", response = openapi::ProblemAnswer)))]
pub(super) async fn put<S, B>(api: &Api<S>, parts: &Parts, body: B, started: Instant) -> Result<Answer, Refused>
where
    S: NodeService,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let key = key_of(parts)?;
    let query = DataQuery::parse(parts.uri.query(), query::PUT)?;
    refuse_conditions(&parts.headers)?;
    let content_type = content_type_of(&parts.headers)?;
    let held = body::read(body, api.shared.limits.max_value_bytes, &api.shared.bodies).await?;
    let _place = api.shared.enter_operation()?;
    let value = PutValue { bytes: held.bytes.clone(), content_type, ttl: query.ttl };
    let wrote = api.node.put(key, value, options_of(&query, started)).await;
    let wrote = wrote.map_err(|failed| failed_as(api, Operation::Put, &failed))?;
    let status = if wrote.replaced { StatusCode::NO_CONTENT } else { StatusCode::CREATED };
    Ok(answer_write(&wrote, status, query.consistency))
}

/// DELETE of a key.
#[utoipa::path(delete, path = "/v1/kv/{key}", operation_id = "deleteKey", tag = "data", params(openapi::KeyPath, openapi::Data), responses(
    (status = 204, description = "Durable; the key has no value, whether or not it had one",
     headers(("etag" = String, description = "Stamp of the deletion, quoted"), ("kv-epoch" = u64, description = "Ring epoch"),
             ("kv-acks" = String, description = "Durability receipt: `replicas=3/3; zones=3`"))),
    (status = "default", response = openapi::ProblemAnswer)))]
pub(super) async fn delete<S: NodeService>(api: &Api<S>, parts: &Parts, started: Instant) -> Result<Answer, Refused> {
    let key = key_of(parts)?;
    let query = DataQuery::parse(parts.uri.query(), query::PLAIN)?;
    refuse_conditions(&parts.headers)?;
    let _place = api.shared.enter_operation()?;
    let wrote = api.node.delete(key, options_of(&query, started)).await;
    let wrote = wrote.map_err(|failed| failed_as(api, Operation::Delete, &failed))?;
    Ok(answer_write(&wrote, StatusCode::NO_CONTENT, query.consistency))
}

fn answer_write(wrote: &Wrote, status: StatusCode, consistency: Consistency) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer.headers_mut().insert(KV_ACKS, header_value(acks_of(wrote)));
    finish(&mut answer, etag_of(wrote.stamp), wrote.epoch.0, consistency);
    answer
}

fn finish(answer: &mut Answer, etag: String, epoch: u64, consistency: Consistency) {
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, header_value(etag));
    headers.insert(KV_EPOCH, HeaderValue::from(epoch));
    if consistency == Consistency::One {
        headers.insert(KV_CONSISTENCY, HeaderValue::from_static("one"));
    }
}

async fn explain<S: NodeService>(api: &Api<S>, parts: &Parts, key: Key, options: Options) -> Result<Answer, Refused> {
    api.shared.access.require(Role::Admin, &parts.headers)?;
    let text = key_text::encode(key.as_bytes());
    let explained = api.node.explain(key, options).await.map_err(|failed| failed_as(api, Operation::Get, &failed))?;
    Ok(json(StatusCode::OK, &explain_document(text, explained)))
}

fn explain_document(key: String, explained: Explained) -> ExplainDocument {
    let replicas = explained.replicas.into_iter().map(|replica| ExplainReplica {
        node: replica.name.to_string(),
        zone: replica.zone.to_string(),
        answered: replica.latency.is_some(),
        etag: replica.stamp.filter(|stamp| *stamp != Stamp::ZERO).map(etag_of),
        tombstone: replica.tombstone,
        latency_micros: replica.latency.map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
        hints: replica.hints,
    });
    ExplainDocument { key, partition: explained.partition.0, epoch: explained.epoch.0, replicas: replicas.collect() }
}

/// The key of the path: all that follows the prefix, `/` included.
fn key_of(parts: &Parts) -> Result<Key, Refused> {
    let text = parts.uri.path().strip_prefix(KEY_PREFIX).unwrap_or_default();
    parse_key(text)
}

/// Reads a percent-encoded key.
pub(super) fn parse_key(text: &str) -> Result<Key, Refused> {
    let decoded = key_text::decode(text.as_bytes()).map_err(|error| Refused::new(INVALID_KEY, error.to_string()))?;
    // Checked before it is copied: a path may be far longer than a key.
    if decoded.is_empty() || decoded.len() > Key::MAX_BYTES {
        let error = crate::protocol::key::KeyError { length: decoded.len() };
        return Err(Refused::new(INVALID_KEY, error.to_string()));
    }
    Key::parse(decoded.into_owned()).map_err(|error| Refused::new(INVALID_KEY, error.to_string()))
}

pub(super) fn options_of(query: &DataQuery, started: Instant) -> Options {
    Options { consistency: query.consistency, deadline: started + query.timeout }
}

/// The problem of a failed operation, counted.
pub(super) fn failed_as<S: NodeService>(api: &Api<S>, operation: Operation, failed: &Failed) -> Refused {
    let reason = match failed.failure.kind {
        FailureKind::QuorumUnavailable => "quorum_unavailable",
        FailureKind::Deadline => "deadline",
        FailureKind::Overloaded => "overloaded",
        FailureKind::DiskFull => "disk_full",
        FailureKind::StoreFailed => "store_failed",
        FailureKind::NoRing => "no_ring",
        FailureKind::NotReplica => "ring_changed",
    };
    api.shared.metrics.quorum_failed(operation, reason);
    Refused::from_failed(failed, matches!(operation, Operation::Get | Operation::List))
}

/// `"time-writer-rmw"` with its quotes.
pub(super) fn etag_of(stamp: Stamp) -> String {
    format!("\"{stamp}\"")
}

/// `replicas=3/3; zones=3`.
pub(super) fn acks_of(wrote: &Wrote) -> String {
    format!("replicas={}/{}; zones={}", wrote.acked.len(), wrote.replicas_total, wrote.zones_acked)
}

/// Whether an If-None-Match header names this ETag (RFC 9110 section 13.1.2, weak comparison).
fn names_etag(header: &HeaderValue, etag: &str) -> bool {
    let Ok(text) = header.to_str() else {
        return false;
    };
    text.split(',').map(str::trim).any(|named| named == "*" || named.strip_prefix("W/").unwrap_or(named) == etag)
}

fn refuse_conditions(headers: &HeaderMap) -> Result<(), Refused> {
    let conditions = [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_UNMODIFIED_SINCE];
    match conditions.into_iter().find(|name| headers.contains_key(name)) {
        None => Ok(()),
        Some(name) => Err(Refused::new(CONDITIONAL_WRITE, format!("the header {name} makes this write conditional"))
            .with_hint("leave it out for a plain write; nothing was changed")),
    }
}

fn content_type_of(headers: &HeaderMap) -> Result<Option<Arc<str>>, Refused> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    parse_content_type(value.as_bytes()).map(Some)
}

/// Reads a Content-Type to be stored: visible ASCII and spaces, as it will be sent in a header again.
pub(super) fn parse_content_type(bytes: &[u8]) -> Result<Arc<str>, Refused> {
    let plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    match std::str::from_utf8(bytes) {
        Ok(text) if plain && (1..=Value::MAX_CONTENT_TYPE_BYTES).contains(&text.len()) => Ok(Arc::from(text)),
        _ => {
            let max = Value::MAX_CONTENT_TYPE_BYTES;
            Err(Refused::new(INVALID_HEADER, format!("a Content-Type has 1 to {max} visible ASCII characters")))
        }
    }
}

/// The refusal of a value that is too long, outside of a body of its own.
pub(super) fn value_too_large(max: usize, length: usize) -> Refused {
    Refused::new(TOO_LARGE, format!("at most {max} bytes are taken; this value has {length}"))
}
