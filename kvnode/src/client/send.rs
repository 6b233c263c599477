//! One call over the endpoints: the order, the time limit and the rule of retries.
//!
//! It knows HTTP, not operations: `operations` makes the calls and `answer` reads what comes back.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use super::{Attempt, Client, Error};
use crate::api::types::{Outcome, Problem};
use crate::runtime::clock;

/// Longest answer taken, in bytes: a page of values is cut by the server well below.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A request, whichever endpoint gets it.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path_and_query: String,
    pub(super) body: Option<Bytes>,
    pub(super) content_type: Option<String>,
    /// Whether it changes nothing.
    pub(super) is_read: bool,
}

impl Call {
    pub(super) fn read(path_and_query: impl Into<String>) -> Self {
        let path_and_query = path_and_query.into();
        Self { method: Method::GET, path_and_query, body: None, content_type: None, is_read: true }
    }
}

/// An answer that is no problem.
pub(super) struct Answer {
    pub(super) endpoint: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What became of one attempt.
enum Tried {
    Answered(Answer),
    /// Certainly not carried out.
    NotSent(String),
    /// Perhaps carried out.
    Lost(String),
    TooLong,
}

impl Client {
    /// Sends until an endpoint settles it. Answers of any status but those worth another endpoint are returned.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let deadline = clock::monotonic_now() + self.timeout;
        let first = self.preferred.load(Ordering::Relaxed);
        let count = self.endpoints.len();
        let mut unreached = Vec::new();
        let mut last = None;
        for turn in 0..count {
            let index = (first + turn) % count;
            let endpoint = &self.endpoints[index];
            let error = match self.try_endpoint(endpoint, call, deadline).await {
                Tried::Answered(answer) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    match worth_another_endpoint(&answer) {
                        Some(problem) => Error::Refused { endpoint: answer.endpoint, problem: Box::new(problem) },
                        None => return Ok(answer),
                    }
                }
                Tried::NotSent(reason) => {
                    unreached.push(Attempt { endpoint: endpoint.clone(), reason });
                    continue;
                }
                Tried::Lost(reason) => {
                    Error::NoAnswer { endpoint: endpoint.clone(), reason, outcome: self.outcome_if_lost(call) }
                }
                Tried::TooLong => {
                    let reason = format!("its answer is longer than {MAX_ANSWER_BYTES} bytes");
                    return Err(Error::BadAnswer { endpoint: endpoint.clone(), reason, outcome: Outcome::Unknown });
                }
            };
            if !self.may_repeat(call, &error) {
                return Err(error);
            }
            last = Some(error);
        }
        Err(last.unwrap_or(Error::Unreachable { attempts: unreached }))
    }

    fn may_repeat(&self, call: &Call, error: &Error) -> bool {
        call.is_read || self.repeat_unknown_writes || error.outcome() == Outcome::NotApplied
    }

    fn outcome_if_lost(&self, call: &Call) -> Outcome {
        if call.is_read { Outcome::NotApplied } else { Outcome::Unknown }
    }

    async fn try_endpoint(&self, endpoint: &str, call: &Call, deadline: Instant) -> Tried {
        let left = deadline.saturating_duration_since(clock::monotonic_now());
        if left.is_zero() {
            return Tried::NotSent("no time was left".to_owned());
        }
        let url = format!("{endpoint}{}", call.path_and_query);
        let mut request = self.http.request(call.method.clone(), url).timeout(left);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        if let Some(content_type) = &call.content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        match request.send().await {
            Ok(response) => read_answer(endpoint, response).await,
            Err(error) if error.is_connect() || error.is_builder() => Tried::NotSent(innermost(&error)),
            Err(error) => Tried::Lost(innermost(&error)),
        }
    }
}

async fn read_answer(endpoint: &str, mut response: reqwest::Response) -> Tried {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = bytes::BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_ANSWER_BYTES => return Tried::TooLong,
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Tried::Lost(innermost(&error)),
        }
    }
    Tried::Answered(Answer { endpoint: endpoint.to_owned(), status, headers, body: body.freeze() })
}

/// The problem of an answer that another node may do better with, whatever the operation: it was not carried out.
fn worth_another_endpoint(answer: &Answer) -> Option<Problem> {
    if answer.status != StatusCode::SERVICE_UNAVAILABLE && answer.status != StatusCode::GATEWAY_TIMEOUT {
        return None;
    }
    serde_json::from_slice(&answer.body).ok()
}

/// The deepest source: "connection refused" rather than "error sending request".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
