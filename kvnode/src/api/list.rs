//! Listings: a page of live keys in byte order over all partitions, with an opaque cursor to the next.
//!
//! Not a snapshot: keys written while pages are fetched may or may not show. A page ends early when its values
//! pass a bound, so a page may be shorter than `limit` and still have a `next`.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::kv;
use super::limits::MAX_ANSWER_VALUE_BYTES;
use super::problem::Refused;
use super::query::{ListParameters, encode_cursor};
use super::service::{Answer, Api, json};
use super::types::{ListDocument, ListItem};
use super::{KV_EPOCH, key_text};
use crate::metrics::Operation;
use crate::node::operation::{ListQuery, Listed};
use crate::node::service::NodeService;
use crate::protocol::key::Key;
use crate::protocol::record::{Content, Record};

/// GET of a page of keys.
#[utoipa::path(get, path = "/v1/kv", operation_id = "listKeys", tag = "data", params(super::openapi::ListKeys), responses(
    (status = 200, description = "One page; follow `next` until it is absent", body = ListDocument,
     headers(("kv-epoch" = u64, description = "Ring epoch"))),
    (status = "default", response = super::openapi::ProblemAnswer)))]
pub(super) async fn list<S: NodeService>(api: &Api<S>, parts: &Parts, started: Instant) -> Result<Answer, Refused> {
    let wanted = ListParameters::parse(parts.uri.query())?;
    if wanted.is_empty() {
        return Ok(json(StatusCode::OK, &ListDocument { items: Vec::new(), next: None }));
    }
    let _place = api.shared.enter_operation()?;
    let query = ListQuery {
        start: wanted.start.into(),
        end: wanted.end.into(),
        limit: wanted.limit,
        with_values: wanted.values,
        deadline: started + wanted.timeout,
    };
    let listed = api.node.list(query).await.map_err(|failed| kv::failed_as(api, Operation::List, &failed))?;
    let epoch = listed.epoch.0;
    let mut answer = json(StatusCode::OK, &page(listed, wanted.values));
    answer.headers_mut().insert(KV_EPOCH, HeaderValue::from(epoch));
    Ok(answer)
}

fn page(listed: Listed, values: bool) -> ListDocument {
    let (mut items, mut next, mut value_bytes) = (Vec::with_capacity(listed.items.len()), listed.next, 0);
    for (key, record) in listed.items {
        let length = if values { value_length(&record) } else { 0 };
        if !items.is_empty() && value_bytes + length > MAX_ANSWER_VALUE_BYTES {
            next = Some(key.to_bytes());
            break;
        }
        value_bytes += length;
        items.extend(item(&key, record, values));
    }
    ListDocument { items, next: next.map(|key: Bytes| encode_cursor(&key)) }
}

fn value_length(record: &Record) -> usize {
    match &record.content {
        Content::Value(value) => value.bytes.len(),
        Content::Tombstone => 0,
    }
}

fn item(key: &Key, record: Record, values: bool) -> Option<ListItem> {
    let Content::Value(value) = record.content else {
        return None;
    };
    Some(ListItem {
        key: key_text::encode(key.as_bytes()),
        etag: kv::etag_of(record.stamp),
        value: values.then(|| STANDARD.encode(&value.bytes)),
        content_type: value.content_type.filter(|_| values).map(|text| text.to_string()),
    })
}
