//! The OpenAPI 3.1 description, generated from the handlers and the bodies they share with clients.
//!
//! Served at `/openapi.json` and checked in as `docs/openapi.json`; a test keeps the two and the table of resources
//! equal. It describes, it decides nothing.

use std::sync::OnceLock;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoParams, Modify, OpenApi, ToResponse};

use super::problem::Refused;
use super::query;
use super::service::{Answer, typed};
use super::types::{self, Problem};

/// Any error.
#[derive(ToResponse)]
#[response(
    description = "A problem (RFC 9457); `outcome` says whether the operation may be applied",
    content_type = "application/problem+json"
)]
#[expect(dead_code, reason = "only its derived description is used")]
pub(super) struct ProblemAnswer(#[to_schema] Problem);

/// The key in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its derived description is used")]
pub(super) struct KeyPath {
    /// 1 to 1024 bytes, percent-encoded; `/` may stand as it is
    key: String,
}

/// Parameters of every operation on data.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its derived description is used")]
pub(super) struct Data {
    /// Replicas to wait for: `one`, `quorum` (default) or `all`
    consistency: Option<String>,
    /// Longest time, `1ms` to `30s`; 2 s if absent
    timeout: Option<String>,
}

/// What only a read takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its derived description is used")]
pub(super) struct Explain {
    /// `true`: why the key reads as it does, as JSON; role admin
    explain: Option<bool>,
}

/// What only a read takes, as headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its derived description is used")]
pub(super) struct Conditions {
    /// ETags that the client holds
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// What only a write takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its derived description is used")]
pub(super) struct TimeToLive {
    /// Time to live, for example `60s` or `12h`; for ever if absent
    ttl: Option<String>,
}

/// Parameters of a listing.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its derived description is used")]
pub(super) struct ListKeys {
    /// Only keys that begin so, percent-encoded
    prefix: Option<String>,
    /// First key, inclusive, percent-encoded
    start: Option<String>,
    /// End, exclusive, percent-encoded
    end: Option<String>,
    /// Most keys of the page, 1 to 1000, with values to 100; 100 if absent
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before
    cursor: Option<String>,
    /// `true`: values come along
    values: Option<bool>,
    /// Longest time, `1ms` to `30s`; 2 s if absent
    timeout: Option<String>,
}

/// Parameters of a probe.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its derived description is used")]
pub(super) struct Verbose {
    /// `true`: a line per check, also when all hold
    verbose: Option<bool>,
}

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let text = "kv_<role>_<secret>; roles read, write, admin";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build();
        openapi.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "kvnode", description = "A leaderless, quorum-replicated, linearizable key-value store",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    paths(
        super::kv::get, super::kv::put, super::kv::delete, super::list::list, super::batch::batch,
        super::cluster::cluster, super::cluster::ring, super::cluster::nodes, super::cluster::partitions,
        super::cluster::bootstrap, super::cluster::drain, super::cluster::undrain,
        super::probes::livez, super::probes::readyz, super::probes::metrics, super::probes::version, openapi,
    ),
    components(responses(ProblemAnswer), schemas(types::ExplainDocument)),
    modifiers(&BearerToken),
    security(("token" = []))
)]
struct Description;

/// The description as JSON, ending in a line break: the bytes of `docs/openapi.json`.
#[must_use]
pub fn document() -> String {
    let mut text = Description::openapi().to_pretty_json().expect("invariant: the description serializes");
    text.push('\n');
    text
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "probes", responses(
    (status = 200, description = "OpenAPI 3.1", body = Object),
    (status = "default", response = ProblemAnswer)))]
pub(super) fn openapi(parts: &Parts) -> Result<Answer, Refused> {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    query::parse_none(parts.uri.query())?;
    let text = DOCUMENT.get_or_init(|| document().into()).clone();
    Ok(typed(StatusCode::OK, "application/json", text))
}
