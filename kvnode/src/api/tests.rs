//! Tests of the API against a fake node: `requests` in process, `sockets` over TLS, `openapi` for the description.
//!
//! This file holds the tools: a fake with three nodes, tokens of each role, and one call that answers as text.

mod fake;
mod openapi;
mod requests;
mod sockets;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};

use self::fake::FakeNode;
use super::auth::Access;
use super::limits::Limits;
use super::service::Api;
use super::tokens::{Entry, Role, Token, Tokens};
use crate::metrics::Metrics;

/// The token of a role.
fn token(role: Role) -> String {
    Token::from_random(role, [role as u8; 32]).secret_text().to_owned()
}

/// A file with one token of each role.
fn tokens() -> Tokens {
    let line = |role: Role| {
        let entry = Entry { role, name: format!("{role}er"), hash: Token::from_random(role, [role as u8; 32]).hash() };
        format!("{entry}\n")
    };
    Tokens::parse(&Role::ALL.map(line).concat()).expect("valid tokens")
}

fn api(node: &FakeNode, limits: Limits) -> Api<FakeNode> {
    Api::new(node.clone(), Access::with_tokens(tokens(), false), limits, Metrics::new(), 0xabc)
}

/// An answer, read whole.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The named headers, a line each.
    fn headers(&self, names: &[&str]) -> String {
        let line = |name: &&str| {
            let value = self.headers.get(*name).map_or("absent", |value| value.to_str().expect("a text header"));
            format!("{name}: {value}")
        };
        names.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Status, name, outcome and detail of a problem in one line.
    fn problem(&self) -> String {
        let problem: super::types::Problem = serde_json::from_slice(&self.body).expect("a problem");
        assert_eq!(problem.status, self.status.as_u16());
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert!(problem.instance.is_some_and(|instance| instance.starts_with("urn:kvstore:request:00000abc-")));
        let name = problem.kind.trim_start_matches("urn:kvstore:error:");
        format!("{} {name} {:?}: {}", problem.status, problem.outcome, problem.detail)
    }
}

/// Asks in process, as the admin unless an Authorization header is given.
async fn ask(api: &Api<FakeNode>, line: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answered {
    let (method, target) = line.split_once(' ').expect("a method and a target");
    let mut request = Request::builder().method(method).uri(target);
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", format!("Bearer {}", token(Role::Admin)));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).expect("a request");
    let (parts, body) = api.respond(request).await.into_parts();
    let body = body.collect().await.expect("a body in memory").to_bytes();
    Answered { status: parts.status, headers: parts.headers, body }
}
