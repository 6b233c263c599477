//! Reads answers: statuses, headers and JSON bodies into typed results.
//!
//! An answer that does not parse is [`Error::BadAnswer`], never a default.

use http::header::HeaderName;
use serde::de::DeserializeOwned;

use super::send::Answer;
use super::{Error, Receipt};
use crate::api::types::{Outcome, Problem};

impl Answer {
    /// The error of an answer that is no success.
    pub(super) fn into_error(self) -> Error {
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) => Error::Refused { endpoint: self.endpoint, problem: Box::new(problem) },
            Err(_) => self.bad(format!("status {} without a problem", self.status)),
        }
    }

    /// The JSON body of a success.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        if !self.status.is_success() {
            return Err(self.into_error());
        }
        serde_json::from_slice(&self.body).map_err(|error| self.bad(error.to_string()))
    }

    /// The text body, whatever the status.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header that must be there.
    pub(super) fn required_header(&self, name: &HeaderName) -> Result<String, Error> {
        let text = self.header(name).map(str::to_owned);
        text.ok_or_else(|| self.bad(format!("the header {name} is missing")))
    }

    /// The receipt of a write.
    pub(super) fn receipt(&self) -> Result<Receipt, Error> {
        let acks = self.required_header(&crate::api::KV_ACKS)?;
        let (replicas_acked, replicas_total, zones_acked) =
            parse_acks(&acks).ok_or_else(|| self.bad(format!("{acks:?} is not a receipt")))?;
        Ok(Receipt {
            created: self.status == http::StatusCode::CREATED,
            etag: self.required_header(&http::header::ETAG)?,
            replicas_acked,
            replicas_total,
            zones_acked,
            epoch: self.epoch()?,
        })
    }

    /// The ring epoch it ran under.
    pub(super) fn epoch(&self) -> Result<u64, Error> {
        let text = self.required_header(&crate::api::KV_EPOCH)?;
        text.parse().map_err(|_| self.bad(format!("{text:?} is not an epoch")))
    }

    pub(super) fn bad(&self, reason: String) -> Error {
        Error::BadAnswer { endpoint: self.endpoint.clone(), reason, outcome: Outcome::Unknown }
    }
}

/// Reads `replicas=3/3; zones=3`.
fn parse_acks(text: &str) -> Option<(usize, usize, usize)> {
    let (replicas, zones) = text.strip_prefix("replicas=")?.split_once("; zones=")?;
    let (acked, total) = replicas.split_once('/')?;
    Some((acked.parse().ok()?, total.parse().ok()?, zones.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_parse_exactly() {
        assert_eq!(parse_acks("replicas=2/3; zones=2"), Some((2, 3, 2)));
        for bad in ["", "replicas=2; zones=2", "replicas=2/3;zones=2", "replicas=a/3; zones=2"] {
            assert_eq!(parse_acks(bad), None, "{bad}");
        }
    }
}
