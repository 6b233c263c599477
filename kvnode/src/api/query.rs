//! Query strings: parsed by hand, once, into typed parameters.
//!
//! What is not known is refused by name rather than ignored, as is a parameter given twice: a mistyped
//! `consistancy=all` must not quietly mean the default. Values are percent-decoded; `+` is a plus.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::key_text;
use super::limits::{DEFAULT_TIMEOUT, MAX_LIST_KEYS, MAX_LIST_VALUES, MAX_TIMEOUT};
use super::problem::{INVALID_QUERY, Refused};
use crate::protocol::key::Key;
use crate::protocol::quorum::Consistency;

/// Longest time to live, about ten years: well inside what hybrid time can add.
const MAX_TTL: Duration = Duration::from_secs(10 * 366 * 86_400);
/// Longest part of a request that is repeated in an error, in characters.
const MAX_ECHO: usize = 64;

/// Why a query was refused. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    #[error("there is no parameter {name:?} here; there is {}", list(accepted))]
    Unknown { name: String, accepted: &'static [&'static str] },
    #[error("the parameter {name:?} is given more than once")]
    Duplicate { name: &'static str },
    #[error("{name}={value:?} is not {expected}")]
    Value { name: &'static str, value: String, expected: &'static str },
    #[error("the value of {name:?}: {error}")]
    Encoding { name: &'static str, error: key_text::DecodeError },
    #[error("start must be below end")]
    EmptyRange,
    #[error("with values, limit is at most {MAX_LIST_VALUES}")]
    TooManyValues,
}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        Self::new(INVALID_QUERY, error.to_string())
    }
}

/// How an operation on one key, or a batch, is to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DataQuery {
    pub(super) consistency: Consistency,
    pub(super) timeout: Duration,
    pub(super) ttl: Option<Duration>,
    pub(super) explain: bool,
}

impl Default for DataQuery {
    fn default() -> Self {
        Self { consistency: Consistency::Quorum, timeout: DEFAULT_TIMEOUT, ttl: None, explain: false }
    }
}

/// Parameters of a read.
pub(super) const GET: &[&str] = &["consistency", "timeout", "explain"];
/// Parameters of a write.
pub(super) const PUT: &[&str] = &["consistency", "timeout", "ttl"];
/// Parameters of a delete and a batch.
pub(super) const PLAIN: &[&str] = &["consistency", "timeout"];
/// Parameters of a listing.
pub(super) const LIST: &[&str] = &["prefix", "start", "end", "limit", "cursor", "values", "timeout"];
/// Parameters of a probe.
pub(super) const PROBE: &[&str] = &["verbose"];

impl DataQuery {
    /// Reads the query of an operation that knows the parameters `accepted`.
    pub(super) fn parse(query: Option<&str>, accepted: &'static [&'static str]) -> Result<Self, QueryError> {
        let mut parsed = Self::default();
        let Some(query) = query else {
            return Ok(parsed);
        };
        for_each(query, accepted, |name, value| {
            match name {
                "consistency" => {
                    let level = Consistency::from_name(value);
                    parsed.consistency = level.ok_or_else(|| bad(name, value, "one, quorum or all"))?;
                }
                "timeout" => parsed.timeout = parse_timeout(name, value)?,
                "ttl" => parsed.ttl = Some(parse_ttl(name, value)?),
                _ => parsed.explain = parse_flag(name, value)?,
            }
            Ok(())
        })?;
        Ok(parsed)
    }
}

/// A range of keys, with the prefix and the cursor folded into its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListParameters {
    pub(super) start: Vec<u8>,
    pub(super) end: Vec<u8>,
    pub(super) limit: usize,
    pub(super) values: bool,
    pub(super) timeout: Duration,
}

impl ListParameters {
    /// Reads the query of a listing. Without `limit` a page has 100 keys.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, QueryError> {
        let mut parsed = Self {
            start: Vec::new(),
            end: Vec::new(),
            limit: MAX_LIST_VALUES,
            values: false,
            timeout: DEFAULT_TIMEOUT,
        };
        let (mut prefix, mut cursor) = (Vec::new(), None);
        for_each(query.unwrap_or_default(), LIST, |name, value| {
            match name {
                "prefix" => prefix = parse_bytes(name, value)?,
                "start" => parsed.start = parse_bytes(name, value)?,
                "end" => parsed.end = parse_bytes(name, value)?,
                "limit" => parsed.limit = parse_limit(name, value)?,
                "cursor" => cursor = Some(decode_cursor(name, value)?),
                "values" => parsed.values = parse_flag(name, value)?,
                _ => parsed.timeout = parse_timeout(name, value)?,
            }
            Ok(())
        })?;
        if !parsed.end.is_empty() && parsed.start >= parsed.end {
            return Err(QueryError::EmptyRange);
        }
        if parsed.values && parsed.limit > MAX_LIST_VALUES {
            return Err(QueryError::TooManyValues);
        }
        parsed.narrow(prefix, cursor);
        Ok(parsed)
    }

    fn narrow(&mut self, prefix: Vec<u8>, cursor: Option<Vec<u8>>) {
        if let Some(after) = key_after_prefix(&prefix)
            && (self.end.is_empty() || after < self.end)
        {
            self.end = after;
        }
        for bound in [Some(prefix), cursor].into_iter().flatten() {
            if bound > self.start {
                self.start = bound;
            }
        }
    }

    /// Whether no key can be in the range, for example because prefix and end exclude each other.
    pub(super) fn is_empty(&self) -> bool {
        !self.end.is_empty() && self.start >= self.end
    }
}

/// The text that brings a later request to `key`: opaque to clients.
pub(super) fn encode_cursor(key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// Whether a probe shall list its checks.
pub(super) fn parse_probe(query: Option<&str>) -> Result<bool, QueryError> {
    let mut verbose = false;
    for_each(query.unwrap_or_default(), PROBE, |name, value| {
        verbose = parse_flag(name, value)?;
        Ok(())
    })?;
    Ok(verbose)
}

/// Refuses any parameter.
pub(super) fn parse_none(query: Option<&str>) -> Result<(), QueryError> {
    for_each(query.unwrap_or_default(), &[], |_, _| Ok(()))
}

/// Reads a time to live: a whole number of ms, s, m, h or d, 1 ms to ten years.
pub(super) fn parse_ttl(name: &'static str, value: &str) -> Result<Duration, QueryError> {
    parse_duration(value)
        .filter(|ttl| !ttl.is_zero() && *ttl <= MAX_TTL)
        .ok_or_else(|| bad(name, value, "a time such as 60s or 12h (ms, s, m, h, d), 1ms to 3660d"))
}

fn parse_timeout(name: &'static str, value: &str) -> Result<Duration, QueryError> {
    parse_duration(value)
        .filter(|timeout| value.ends_with('s') && !timeout.is_zero() && *timeout <= MAX_TIMEOUT)
        .ok_or_else(|| bad(name, value, "a time such as 500ms or 2s, 1ms to 30s"))
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

fn parse_limit(name: &'static str, value: &str) -> Result<usize, QueryError> {
    let plain = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(limit @ 1..=MAX_LIST_KEYS) if plain => Ok(limit),
        _ => Err(bad(name, value, "a number from 1 to 1000")),
    }
}

fn parse_flag(name: &'static str, value: &str) -> Result<bool, QueryError> {
    match value {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(bad(name, value, "true or false")),
    }
}

fn parse_bytes(name: &'static str, value: &str) -> Result<Vec<u8>, QueryError> {
    let bytes = key_text::decode(value.as_bytes()).map_err(|error| QueryError::Encoding { name, error })?;
    // One byte more than a key: the bound just after the longest key.
    if bytes.len() > Key::MAX_BYTES + 1 {
        return Err(bad(name, value, "at most 1024 bytes long"));
    }
    Ok(bytes.into_owned())
}

fn decode_cursor(name: &'static str, value: &str) -> Result<Vec<u8>, QueryError> {
    let decoded = URL_SAFE_NO_PAD.decode(value).ok().filter(|key| key.len() <= Key::MAX_BYTES + 1);
    decoded.ok_or_else(|| bad(name, value, "a cursor of an earlier page"))
}

/// The first byte string above all that begin with the prefix; none if there is no such (all 0xff, or empty).
fn key_after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

fn bad(name: &'static str, value: &str, expected: &'static str) -> QueryError {
    QueryError::Value { name, value: shorten(value), expected }
}

fn list(accepted: &[&str]) -> String {
    if accepted.is_empty() { "none".to_owned() } else { accepted.join(", ") }
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_ECHO).collect()
}

/// Calls `take` with each parameter; its name is the one in `accepted`.
fn for_each(
    query: &str,
    accepted: &'static [&'static str],
    mut take: impl FnMut(&'static str, &str) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let mut seen = 0u32;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(index) = accepted.iter().position(|known| *known == name) else {
            return Err(QueryError::Unknown { name: shorten(name), accepted });
        };
        if seen & (1 << index) != 0 {
            return Err(QueryError::Duplicate { name: accepted[index] });
        }
        seen |= 1 << index;
        take(accepted[index], value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_queries_parse_or_name_what_is_wrong() {
        fn check(query: &str, expected: &str) {
            let parsed = DataQuery::parse(Some(query), PUT);
            let text = match parsed {
                Ok(parsed) => format!("{} {:?} {:?}", parsed.consistency.name(), parsed.timeout, parsed.ttl),
                Err(error) => error.to_string(),
            };
            assert_eq!(text, expected, "{query}");
        }
        check("", "quorum 2s None");
        check("consistency=all&timeout=30s&ttl=60s", "all 30s Some(60s)");
        check("&timeout=1ms&", "quorum 1ms None");
        check("ttl=2d", "quorum 2s Some(172800s)");
        check("consistency=most", "consistency=\"most\" is not one, quorum or all");
        check("consistancy=all", "there is no parameter \"consistancy\" here; there is consistency, timeout, ttl");
        check("explain=true", "there is no parameter \"explain\" here; there is consistency, timeout, ttl");
        check("ttl=1s&ttl=1s", "the parameter \"ttl\" is given more than once");
        for timeout in ["0s", "31s", "2", "2m", "-1s", "1.5s", "99999999999999999999s", ""] {
            check(
                &format!("timeout={timeout}"),
                &format!("timeout={timeout:?} is not a time such as 500ms or 2s, 1ms to 30s"),
            );
        }
        check("ttl=0s", "ttl=\"0s\" is not a time such as 60s or 12h (ms, s, m, h, d), 1ms to 3660d");
    }

    #[test]
    fn listings_fold_prefix_and_cursor_into_bounds() {
        fn check(query: &str, expected: Result<(&[u8], &[u8], usize), &str>) {
            let parsed = ListParameters::parse(Some(query));
            let parsed = parsed.as_ref().map(|parsed| (&*parsed.start, &*parsed.end, parsed.limit));
            assert_eq!(parsed.map_err(ToString::to_string), expected.map_err(str::to_owned), "{query}");
        }
        check("", Ok((b"", b"", 100)));
        check("prefix=a/&limit=7", Ok((b"a/", b"a0", 7)));
        check("prefix=a%ff", Ok((b"a\xff", b"b", 100)));
        check("prefix=%ff", Ok((b"\xff", b"", 100)));
        check("start=b&end=c", Ok((b"b", b"c", 100)));
        check("prefix=a&start=aa&end=ab", Ok((b"aa", b"ab", 100)));
        check("prefix=a&start=0&end=z", Ok((b"a", b"b", 100)));
        check(&format!("prefix=a&cursor={}", encode_cursor(b"ab\0")), Ok((b"ab\0", b"b", 100)));
        check("start=c&end=b", Err("start must be below end"));
        check("cursor=!!", Err("cursor=\"!!\" is not a cursor of an earlier page"));
        check("limit=0", Err("limit=\"0\" is not a number from 1 to 1000"));
        check("limit=+5", Err("limit=\"+5\" is not a number from 1 to 1000"));
        check("values=true&limit=101", Err("with values, limit is at most 100"));
        check("prefix=%4", Err("the value of \"prefix\": '%' at position 0 is not followed by two hexadecimal digits"));
        check("values=maybe", Err("values=\"maybe\" is not true or false"));
    }

    #[test]
    fn excluded_prefixes_are_empty_ranges() {
        let parsed = ListParameters::parse(Some("prefix=b&end=a")).expect("valid");
        assert!(parsed.is_empty());
        assert!(!ListParameters::parse(None).expect("valid").is_empty());
    }
}
