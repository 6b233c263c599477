//! Who may do what: bearer tokens (RFC 6750) against the roles that actions need.
//!
//! The set of tokens can be replaced while the node serves. It knows nothing of client certificates or users.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue, header};

use super::problem::{FORBIDDEN, NOT_AUTHENTICATED, Refused};
use super::tokens::{Role, Tokens};

/// How requests are let in. Cheap to clone; clones share the tokens.
#[derive(Clone)]
pub struct Access {
    /// None lets everyone do everything.
    tokens: Option<Arc<ArcSwap<Tokens>>>,
    open_metrics: bool,
}

impl Access {
    /// Everyone may do everything: for a node that only its own machine reaches.
    #[must_use]
    pub fn open() -> Self {
        Self { tokens: None, open_metrics: true }
    }

    /// Only who shows a token; `open_metrics` lets `/metrics` be read without.
    #[must_use]
    pub fn with_tokens(tokens: Tokens, open_metrics: bool) -> Self {
        Self { tokens: Some(Arc::new(ArcSwap::from_pointee(tokens))), open_metrics }
    }

    /// From now on these tokens hold; no effect on an open node.
    pub fn replace_tokens(&self, tokens: Tokens) {
        if let Some(current) = &self.tokens {
            current.store(Arc::new(tokens));
        }
    }

    pub(super) fn metrics_are_open(&self) -> bool {
        self.open_metrics
    }

    /// Lets a request pass that shows a token of at least this role.
    pub(super) fn require(&self, role: Role, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(tokens) = &self.tokens else {
            return Ok(());
        };
        let Some(presented) = bearer(headers) else {
            return Err(not_authenticated("the request shows no bearer token", "Bearer realm=\"kvstore\""));
        };
        match tokens.load().role_of(presented) {
            Some(held) if held >= role => Ok(()),
            Some(held) => Err(forbidden(role, held)),
            None => Err(not_authenticated(
                "the token is not one of this node's",
                "Bearer realm=\"kvstore\", error=\"invalid_token\"",
            )),
        }
    }
}

/// The token of `Authorization: Bearer …`; the scheme's case does not matter.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

fn not_authenticated(detail: &'static str, challenge: &'static str) -> Refused {
    Refused::new(NOT_AUTHENTICATED, detail)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
        .with_hint("send 'Authorization: Bearer <token>'; 'kvctl token create' makes one")
}

fn forbidden(needed: Role, held: Role) -> Refused {
    let challenge = match needed {
        Role::Admin => "Bearer realm=\"kvstore\", error=\"insufficient_scope\", scope=\"admin\"",
        _ => "Bearer realm=\"kvstore\", error=\"insufficient_scope\", scope=\"write\"",
    };
    Refused::new(FORBIDDEN, format!("this needs the role {needed}, the token has the role {held}"))
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}
