//! The one place where requests leave: paced, counted, and in tests kept on loopback.
//!
//! It wraps the SDK's HTTPS connector (rustls with ring). It repeats nothing and reads no bodies but the first bytes
//! of a form, to know an action's name.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::pace::Pace;

/// Most calls remembered; a first `up` of 100 nodes makes some thousand.
const MAX_LOGGED: usize = 100_000;

/// One call that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedCall {
    /// Since the clients were made.
    pub at: Duration,
    /// The action, for example `CreateVpc`; for S3 the method and path.
    pub action: String,
}

/// Every call that left, in order; bounded.
#[derive(Debug, Clone, Default)]
pub struct CallLog(Arc<Mutex<Vec<LoggedCall>>>);

impl CallLog {
    fn add(&self, call: LoggedCall) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < MAX_LOGGED {
            calls.push(call);
        }
    }

    /// What left so far.
    #[must_use]
    pub fn calls(&self) -> Vec<LoggedCall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many left so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[derive(Debug)]
struct Gate {
    pace: Arc<Pace>,
    log: CallLog,
    loopback_only: bool,
}

/// A client whose connections all pass one gate.
#[derive(Debug)]
struct GatedClient {
    inner: SharedHttpClient,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct GatedConnector {
    inner: SharedHttpConnector,
    gate: Arc<Gate>,
}

/// Why a request may not leave.
#[derive(Debug, thiserror::Error)]
#[error("{host} is not on loopback, and only loopback is allowed here")]
struct NotLoopback {
    host: String,
}

/// Makes the client.
///
/// # Errors
/// `ca` cannot be read.
pub(super) fn client(
    pace: Arc<Pace>,
    log: CallLog,
    ca: Option<&PathBuf>,
    loopback_only: bool,
) -> Result<SharedHttpClient, std::io::Error> {
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let inner = match ca {
        None => builder.build_https(),
        Some(path) => {
            let store = TrustStore::empty().with_native_roots(true).with_pem_certificate(std::fs::read(path)?);
            let context = TlsContext::builder().with_trust_store(store).build().map_err(std::io::Error::other)?;
            builder.tls_context(context).build_https()
        }
    };
    let gate = Arc::new(Gate { pace, log, loopback_only });
    Ok(SharedHttpClient::new(GatedClient { inner, gate }))
}

impl HttpClient for GatedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(GatedConnector { inner, gate: Arc::clone(&self.gate) })
    }
}

impl HttpConnector for GatedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if self.gate.loopback_only && !is_loopback(request.uri()) {
            let host = request.uri().split('/').nth(2).unwrap_or_default().to_owned();
            return HttpConnectorFuture::ready(Err(ConnectorError::user(NotLoopback { host }.into())));
        }
        let (inner, gate) = (self.inner.clone(), Arc::clone(&self.gate));
        HttpConnectorFuture::new(async move {
            gate.pace.admit().await;
            gate.log.add(LoggedCall { at: gate.pace.elapsed(), action: action(&request) });
            inner.call(request).await
        })
    }
}

fn is_loopback(uri: &str) -> bool {
    let authority = uri.split('/').nth(2).unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    // A bucket's name may stand before the host.
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The action of a request: a JSON service says it in a header, a query service in its form, S3 by method and path.
fn action(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    let body = request.body().bytes().unwrap_or_default();
    let form = std::str::from_utf8(&body[..body.len().min(200)]).unwrap_or_default();
    match form.strip_prefix("Action=") {
        Some(rest) => rest.split('&').next().unwrap_or(rest).to_owned(),
        None => {
            let path = request.uri().splitn(4, '/').nth(3).unwrap_or_default();
            format!("{} /{path}", request.method())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_loopback() {
        for (uri, loopback) in [
            ("http://127.0.0.1:5000/", true),
            ("http://127.9.9.9/x", true),
            ("http://[::1]:5000/", true),
            ("http://localhost:5000/", true),
            ("http://bucket.localhost:5000/", true),
            ("https://ec2.us-east-1.amazonaws.com/", false),
            ("https://127.0.0.1.example.com/", false),
            ("http://10.0.0.1:5000/", false),
            ("http://169.254.169.254/latest", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_loopback(uri), loopback, "{uri}");
        }
    }
}
