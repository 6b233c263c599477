//! The service clients, configured the way AWS tools are: region, profile, endpoints and credentials from the
//! environment and the shared files, each overridable.
//!
//! The SDK's own retries are off: a blindly repeated create makes a second network, and whether to repeat is the
//! engine's decision. Secrets never pass through here but inside the SDK.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use super::connector::{self, CallLog};
use super::pace::{DEFAULT_RATE, Pace};
use crate::provider::Failure;

/// How to reach the cloud. What is not given comes from the environment and the shared files.
#[derive(Debug, Clone)]
pub struct Options {
    /// Region; the cluster's own.
    pub region: String,
    /// Profile of the shared files; else `AWS_PROFILE`, else `default`.
    pub profile: Option<String>,
    /// One endpoint for all services; else `AWS_ENDPOINT_URL` and its variants for single services.
    pub endpoint: Option<String>,
    /// Certificates to trust besides the system's; else `AWS_CA_BUNDLE` as the caller reads it.
    pub ca_bundle: Option<PathBuf>,
    /// Refuses to send anything to an address that is not loopback.
    pub loopback_only: bool,
    /// Longest time for one call.
    pub call_timeout: Duration,
    /// Most calls a second.
    pub rate: f64,
}

impl Options {
    /// The defaults for a region.
    #[must_use]
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            profile: None,
            endpoint: None,
            ca_bundle: None,
            loopback_only: false,
            call_timeout: Duration::from_secs(30),
            rate: DEFAULT_RATE,
        }
    }
}

/// Why there are no clients. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The certificates cannot be read.
    #[error("cannot read the certificates in {}", path.display())]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Who we are to the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account, twelve digits.
    pub account: String,
    /// The identity's ARN.
    pub arn: String,
}

/// All service clients.
#[derive(Debug)]
pub struct Clients {
    pub(super) acm: aws_sdk_acm::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) logs: aws_sdk_cloudwatchlogs::Client,
    pub(super) quotas: aws_sdk_servicequotas::Client,
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
    region: String,
    log: CallLog,
    pace: Arc<Pace>,
}

impl Clients {
    /// Reads the configuration and makes the clients. Sends nothing, except what finding a region or credentials
    /// needs.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(options: &Options) -> Result<Self, ConnectError> {
        let (log, pace) = (CallLog::default(), Arc::new(Pace::new(options.rate)));
        let http = connector::client(Arc::clone(&pace), log.clone(), options.ca_bundle.as_ref(), options.loopback_only)
            .map_err(|source| ConnectError::CaBundle { path: options.ca_bundle.clone().unwrap_or_default(), source })?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(options.call_timeout)
            .operation_timeout(options.call_timeout)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(options.region.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(profile) = &options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &options.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let config = loader.load().await;
        // Buckets in the path rather than in the host: the one form that works with every endpoint.
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        Ok(Self {
            acm: aws_sdk_acm::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            quotas: aws_sdk_servicequotas::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            ssm: aws_sdk_ssm::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            region: options.region.clone(),
            log,
            pace,
        })
    }

    /// Who we are.
    ///
    /// # Errors
    /// Nothing was changed; [`Class::Credentials`](crate::provider::Class::Credentials) if that is the reason.
    pub async fn caller(&self) -> Result<Caller, Failure> {
        let answer = self.read("sts:GetCallerIdentity", || self.sts.get_caller_identity().send()).await?;
        let unreadable = || Failure {
            action: "sts:GetCallerIdentity".to_owned(),
            code: "unreadable answer".to_owned(),
            message: "the answer names no account".to_owned(),
            class: crate::provider::Class::Invalid,
        };
        Ok(Caller {
            account: answer.account().ok_or_else(unreadable)?.to_owned(),
            arn: answer.arn().unwrap_or_default().to_owned(),
        })
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Every call that left.
    #[must_use]
    pub fn log(&self) -> &CallLog {
        &self.log
    }

    /// The cloud said: too many calls.
    pub(super) fn complain(&self) {
        self.pace.complain();
    }
}
