//! Refusals and failures as RFC 9457 problems: one table of kinds, one translation of the node's failures.
//!
//! A status of 503 always means `not_applied`, so that a client which looks at the status alone may repeat the
//! request. Details never show values, and keys not at all.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;

use super::types::{Outcome, Problem};
use crate::node::operation::{Failed, FailureKind};

/// Content-Type of a problem.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// A kind of problem: its name in `type`, its status, its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// Last part of the `type`.
    pub(super) name: &'static str,
    /// HTTP status.
    pub(super) status: StatusCode,
    /// In words.
    pub(super) title: &'static str,
}

macro_rules! kinds {
    ($($constant:ident = $name:literal, $status:ident, $title:literal;)*) => {
        $(pub(super) const $constant: Kind = Kind { name: $name, status: StatusCode::$status, title: $title };)*
        #[cfg(test)]
        const ALL: &[Kind] = &[$($constant),*];
    };
}

kinds! {
    INVALID_KEY = "invalid-key", BAD_REQUEST, "The key is not valid";
    INVALID_QUERY = "invalid-query", BAD_REQUEST, "The query is not valid";
    INVALID_BODY = "invalid-body", BAD_REQUEST, "The body is not valid";
    INVALID_HEADER = "invalid-header", BAD_REQUEST, "A header is not valid";
    CONDITIONAL_WRITE = "conditional-write", BAD_REQUEST, "Conditional writes are not offered by this release";
    NOT_AUTHENTICATED = "not-authenticated", UNAUTHORIZED, "A valid token is needed";
    FORBIDDEN = "forbidden", FORBIDDEN, "The token's role does not allow this";
    NO_SUCH_RESOURCE = "no-such-resource", NOT_FOUND, "There is no such resource";
    KEY_ABSENT = "key-absent", NOT_FOUND, "The key has no value";
    METHOD_NOT_ALLOWED = "method-not-allowed", METHOD_NOT_ALLOWED, "The resource does not have this method";
    BODY_TIMEOUT = "body-timeout", REQUEST_TIMEOUT, "The body did not arrive in time";
    RING_CONFLICT = "ring-conflict", CONFLICT, "The ring cannot be formed this way";
    TOO_LARGE = "too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    OVERLOADED = "overloaded", SERVICE_UNAVAILABLE, "The node has too much to do";
    QUORUM_UNAVAILABLE = "quorum-unavailable", SERVICE_UNAVAILABLE, "Not enough replicas answer";
    STORE_FAILED = "store-failed", SERVICE_UNAVAILABLE, "The stores of too many replicas failed";
    NO_RING = "no-ring", SERVICE_UNAVAILABLE, "The node is in no ring yet";
    RING_CHANGED = "ring-changed", SERVICE_UNAVAILABLE, "The ring changed under the request";
    NOT_AGREED = "not-agreed", SERVICE_UNAVAILABLE, "The nodes did not agree on a ring";
    DEADLINE = "deadline", GATEWAY_TIMEOUT, "The time was up";
    UNCONFIRMED = "unconfirmed", GATEWAY_TIMEOUT, "Not enough replicas confirmed the write";
    DISK_FULL = "disk-full", INSUFFICIENT_STORAGE, "The disks of too many replicas are full";
}

/// An error answer in the making; boxed, to keep the results of the good path small.
#[derive(Debug)]
pub(super) struct Refused(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: Kind,
    detail: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    outcome: Outcome,
    required: Option<usize>,
    received: Option<usize>,
    epoch: Option<u64>,
    /// A header that the status calls for, for example `Allow`.
    header: Option<(header::HeaderName, HeaderValue)>,
}

impl Refused {
    pub(super) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Details {
            kind,
            detail: detail.into(),
            hint: None,
            outcome: Outcome::NotApplied,
            required: None,
            received: None,
            epoch: None,
            header: None,
        }))
    }

    pub(super) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(super) fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    pub(super) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    pub(super) fn with_epoch(mut self, epoch: u64) -> Self {
        self.0.epoch = Some(epoch);
        self
    }

    pub(super) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The answer to a path that is none of ours.
    pub(super) fn no_such_resource() -> Self {
        Self::new(NO_SUCH_RESOURCE, "the path leads nowhere").with_hint("GET /openapi.json lists what there is")
    }

    /// The answer to a method that the path does not have.
    pub(super) fn method_not_allowed(method: &Method, allow: &'static str) -> Self {
        Self::new(METHOD_NOT_ALLOWED, format!("{method} is not one of {allow}"))
            .with_header(header::ALLOW, HeaderValue::from_static(allow))
    }

    /// The answer when a limit of this node is reached.
    pub(super) fn overloaded(what: &'static str) -> Self {
        Self::new(OVERLOADED, what).with_hint("try again in a second, or on another node")
    }

    /// A failed operation; `is_read` as nothing a read does counts as applied.
    pub(super) fn from_failed(failed: &Failed, is_read: bool) -> Self {
        let unknown = failed.failure.may_be_applied && !is_read;
        let (required, received) = (usize::from(failed.failure.required), usize::from(failed.failure.received));
        let kind = kind_of(failed.failure.kind, unknown);
        let mut refused = Self::new(kind, detail_of(failed, required, received)).with_epoch(failed.epoch.0);
        refused.0.outcome = if unknown { Outcome::Unknown } else { Outcome::NotApplied };
        refused.0.required = (required > 0).then_some(required);
        refused.0.received = (required > 0).then_some(received);
        refused.with_hint(hint_of(kind, unknown))
    }

    /// The body, for a whole answer or as part of a batch's.
    pub(super) fn into_problem(self, instance: Option<String>) -> Problem {
        Problem {
            kind: format!("urn:kvstore:error:{}", self.0.kind.name),
            title: self.0.kind.title.to_owned(),
            status: self.0.kind.status.as_u16(),
            detail: self.0.detail.into_owned(),
            instance,
            outcome: self.0.outcome,
            required: self.0.required,
            received: self.0.received,
            epoch: self.0.epoch,
            hint: self.0.hint.map(Cow::into_owned),
        }
    }

    pub(super) fn into_response(mut self, instance: String) -> Response<Full<Bytes>> {
        let (status, header, epoch) = (self.0.kind.status, self.0.header.take(), self.0.epoch);
        let body = serde_json::to_vec(&self.into_problem(Some(instance))).expect("invariant: a problem serializes");
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(epoch) = epoch {
            headers.insert(super::KV_EPOCH, HeaderValue::from(epoch));
        }
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        response
    }
}

fn kind_of(kind: FailureKind, unknown: bool) -> Kind {
    match kind {
        FailureKind::Deadline => DEADLINE,
        FailureKind::DiskFull => DISK_FULL,
        _ if unknown => UNCONFIRMED,
        FailureKind::QuorumUnavailable => QUORUM_UNAVAILABLE,
        FailureKind::Overloaded => OVERLOADED,
        FailureKind::StoreFailed => STORE_FAILED,
        FailureKind::NoRing => NO_RING,
        FailureKind::NotReplica => RING_CHANGED,
    }
}

fn detail_of(failed: &Failed, required: usize, received: usize) -> Cow<'static, str> {
    match failed.failure.kind {
        FailureKind::NoRing => Cow::Borrowed("this node does not know who holds which key"),
        FailureKind::NotReplica => Cow::Borrowed("the nodes are adopting another epoch"),
        _ => {
            let total = failed.replicas_total;
            let of = failed.partition.map(|partition| format!(" of partition {partition}")).unwrap_or_default();
            let verb = if required == 1 { "is" } else { "are" };
            Cow::Owned(format!("{received} of {total} replicas{of} answered, {required} {verb} needed"))
        }
    }
}

fn hint_of(kind: Kind, unknown: bool) -> &'static str {
    match kind {
        NO_RING => "form the ring once with 'kvctl cluster up', or start a single node with 'kvnode --bootstrap'",
        DISK_FULL => "free space on the nodes' data volumes; deletes are still taken",
        STORE_FAILED => "see the logs of the nodes: kvctl logs",
        RING_CHANGED | OVERLOADED => "try again in a second, or on another node",
        _ if unknown => "the write may or may not be there: read the key before repeating what is not idempotent",
        _ => "try again later, or see 'kvctl cluster status'",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::operation::OperationFailure;
    use crate::protocol::id::{EpochNumber, PartitionId};

    fn check(kind: FailureKind, may_be_applied: bool, is_read: bool, expected: (u16, &str, Outcome)) {
        let failed = Failed {
            failure: OperationFailure { kind, may_be_applied, required: 2, received: 1 },
            epoch: EpochNumber(4),
            partition: Some(PartitionId(113)),
            replicas_total: 3,
        };
        let problem = Refused::from_failed(&failed, is_read).into_problem(None);
        let name = problem.kind.trim_start_matches("urn:kvstore:error:");
        assert_eq!((problem.status, name, problem.outcome), expected, "{kind:?}");
    }

    #[test]
    fn a_503_always_means_not_applied() {
        use FailureKind::{Deadline, DiskFull, NoRing, NotReplica, Overloaded, QuorumUnavailable, StoreFailed};
        use Outcome::{NotApplied, Unknown};
        check(QuorumUnavailable, false, false, (503, "quorum-unavailable", NotApplied));
        check(QuorumUnavailable, true, false, (504, "unconfirmed", Unknown));
        check(QuorumUnavailable, true, true, (503, "quorum-unavailable", NotApplied));
        check(Deadline, true, false, (504, "deadline", Unknown));
        check(Deadline, true, true, (504, "deadline", NotApplied));
        check(Overloaded, false, false, (503, "overloaded", NotApplied));
        check(Overloaded, true, false, (504, "unconfirmed", Unknown));
        check(DiskFull, false, false, (507, "disk-full", NotApplied));
        check(DiskFull, true, false, (507, "disk-full", Unknown));
        check(StoreFailed, true, false, (504, "unconfirmed", Unknown));
        check(NoRing, false, false, (503, "no-ring", NotApplied));
        check(NotReplica, false, false, (503, "ring-changed", NotApplied));
    }

    #[test]
    fn names_are_unique() {
        for (index, kind) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.name != kind.name), "{}", kind.name);
        }
    }
}
