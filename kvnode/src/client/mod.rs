//! A typed client of the REST API, for operators' tools and tests.
//!
//! It tries each endpoint at most once per call, beginning with the one that answered last. The rule of retries:
//! what certainly was not carried out (connection refused, 503 with outcome `not_applied`) goes to the next
//! endpoint; what may have been carried out (the connection broke, the time was up, outcome `unknown`) is repeated
//! for reads only, and for writes if [`Config::repeat_unknown_writes`] asks for it: a repeated put may undo what
//! another client wrote in between. It never follows redirects, uses no proxy and does not pace repeated calls.

mod answer;
mod error;
mod operations;
mod send;

pub use error::{Attempt, BuildError, Error};
pub use operations::{Found, ListQuery, Options, Page, Probe, PutOptions, Receipt, Version};

pub use crate::protocol::quorum::Consistency;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// How long a connection may take to be made, TLS included; then the next endpoint is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections kept per endpoint: a tool runs few calls at once.
const IDLE_PER_ENDPOINT: usize = 16;
/// How long they are kept: less than the server's own idle limit, so that it never closes one under a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the cluster is and who asks.
#[derive(Clone)]
pub struct Config {
    /// Nodes as `https://host:port`, in order of preference; at least one.
    pub endpoints: Vec<String>,
    /// PEM of the authorities that sign the nodes' certificates.
    pub ca_pem: Vec<u8>,
    /// Bearer token; none for a node that runs without.
    pub token: Option<String>,
    /// Longest time for one call over all endpoints.
    pub timeout: Duration,
    /// Whether a write whose outcome is unknown is repeated on the next endpoint.
    pub repeat_unknown_writes: bool,
}

impl Config {
    /// A config with a time limit of 10 s that does not repeat writes of unknown outcome.
    #[must_use]
    pub fn new(endpoints: Vec<String>, ca_pem: Vec<u8>, token: Option<String>) -> Self {
        Self { endpoints, ca_pem, token, timeout: Duration::from_secs(10), repeat_unknown_writes: false }
    }
}

impl std::fmt::Debug for Config {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("endpoints", &self.endpoints)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Talks to a cluster. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoints: Arc<[String]>,
    /// Index of the endpoint that answered last.
    preferred: Arc<AtomicUsize>,
    authorization: Option<http::HeaderValue>,
    timeout: Duration,
    repeat_unknown_writes: bool,
}

impl Client {
    /// Checks the config; connects to nothing yet.
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        if config.endpoints.is_empty() {
            return Err(BuildError::NoEndpoint);
        }
        let endpoints = config.endpoints.iter().map(|text| parse_endpoint(text)).collect::<Result<Arc<[_]>, _>>()?;
        let authorization = config.token.as_deref().map(parse_token).transpose()?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config(&config.ca_pem)?)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_ENDPOINT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(|source| BuildError::Http { source })?;
        Ok(Self {
            http,
            endpoints,
            preferred: Arc::new(AtomicUsize::new(0)),
            authorization,
            timeout: config.timeout,
            repeat_unknown_writes: config.repeat_unknown_writes,
        })
    }

    /// The endpoints, without trailing `/`.
    #[must_use]
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// A client of each endpoint alone, in order: to ask every node for its own view. They share connections.
    #[must_use]
    pub fn each_endpoint(&self) -> Vec<Self> {
        let alone = |endpoint: &String| Self {
            endpoints: Arc::from([endpoint.clone()]),
            preferred: Arc::new(AtomicUsize::new(0)),
            ..self.clone()
        };
        self.endpoints.iter().map(alone).collect()
    }
}

fn parse_endpoint(text: &str) -> Result<String, BuildError> {
    let bare = text.trim_end_matches('/');
    match bare.parse::<http::Uri>() {
        Ok(uri)
            if uri.scheme_str() == Some("https")
                && uri.host().is_some()
                && uri.path() == "/"
                && uri.query().is_none() =>
        {
            Ok(bare.to_owned())
        }
        _ => Err(BuildError::BadEndpoint { text: text.to_owned() }),
    }
}

fn parse_token(token: &str) -> Result<http::HeaderValue, BuildError> {
    let mut value =
        http::HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| BuildError::BadToken)?;
    value.set_sensitive(true);
    Ok(value)
}

fn tls_config(ca_pem: &[u8]) -> Result<rustls::ClientConfig, BuildError> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        let certificate = certificate.map_err(|error| BuildError::BadAuthority { reason: error.to_string() })?;
        roots.add(certificate).map_err(|error| BuildError::BadAuthority { reason: error.to_string() })?;
    }
    if roots.is_empty() {
        return Err(BuildError::BadAuthority { reason: "it holds no certificate".to_owned() });
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::BadAuthority { reason: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_config_is_refused_with_its_reason() {
        fn check(endpoints: &[&str], ca_pem: &[u8], token: Option<&str>, expected: &str) {
            let endpoints = endpoints.iter().map(ToString::to_string).collect();
            let built = Client::new(&Config::new(endpoints, ca_pem.to_vec(), token.map(str::to_owned)));
            assert_eq!(built.err().map(|error| error.to_string()).as_deref(), Some(expected));
        }
        check(&[], b"", None, "no endpoint is given");
        check(&["http://a:1"], b"", None, "\"http://a:1\" is not an endpoint of the form https://host:port");
        check(&["https://a:1/v1"], b"", None, "\"https://a:1/v1\" is not an endpoint of the form https://host:port");
        check(&["https://a:1"], b"", Some("a\nb"), "the token holds characters that no header may carry");
        check(&["https://a:1"], b"", None, "the authority's certificate cannot be used: it holds no certificate");
    }
}
