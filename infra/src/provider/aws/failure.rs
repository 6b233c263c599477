//! Errors of the SDK as classes: the one table of codes.
//!
//! The reference is the services' documented error codes and what was seen of them in the wild. A code that nobody
//! listed falls back to its HTTP status and to what the call would have done. Nothing is retried here.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::provider::{Class, Failure};

/// What a call does to the world, and so what a lost reply leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    Read,
    /// A second time gives the same: attributes, tags, deletes, calls with a client token.
    Idempotent,
    /// A second time would make a second one.
    Create,
}

impl Effect {
    /// The class of an outcome that nobody knows.
    const fn unknown(self) -> Class {
        match self {
            Self::Read | Self::Idempotent => Class::Transient,
            Self::Create => Class::Unknown,
        }
    }
}

/// What went wrong with one call.
pub(super) fn failure<E>(action: &str, effect: Effect, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let told = |code: &str, message: String, class| Failure {
        action: action.to_owned(),
        code: code.to_owned(),
        message,
        class,
    };
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let Some(code) = service.err().code() else {
                return told(
                    "unreadable answer",
                    format!("HTTP status {status}: {}", chain(error)),
                    codeless(status, effect),
                );
            };
            let message = service.err().message().unwrap_or("no message");
            told(code, message.to_owned(), classify(code, message, status, effect))
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            told("unreadable answer", format!("HTTP status {status}: {}", chain(error)), effect.unknown())
        }
        SdkError::TimeoutError(_) => told("timeout", chain(error), effect.unknown()),
        SdkError::DispatchFailure(dispatch) if dispatch.is_user() => told("refused", chain(error), Class::Invalid),
        SdkError::DispatchFailure(dispatch) if dispatch.is_io() || dispatch.is_timeout() => {
            told("connection", chain(error), effect.unknown())
        }
        // The rest is about who we are: no profile, no credentials, an expired session.
        _ if chain(error).to_lowercase().contains("credentials") => {
            told("credentials", chain(error), Class::Credentials)
        }
        SdkError::ConstructionFailure(_) => told("request", chain(error), Class::Invalid),
        _ => told("dispatch", chain(error), effect.unknown()),
    }
}

/// The class of an answer without a code: a proxy's page, an answer to `HEAD`, a document with another root.
fn codeless(status: u16, effect: Effect) -> Class {
    match status {
        // It was done, but what was said of it is lost.
        200..=299 => effect.unknown(),
        _ => classify("", "", status, effect),
    }
}

/// The error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
        next = cause.source();
    }
    if parts.is_empty() { error.to_string() } else { parts.join(": ") }
}

/// The class of an error code.
#[must_use]
pub(super) fn classify(code: &str, message: &str, status: u16, effect: Effect) -> Class {
    if let Some(class) = by_code(code, message) {
        return class;
    }
    match status {
        429 => Class::Throttled,
        // Without a code of its own nobody knows how far the service got.
        500..=599 => effect.unknown(),
        401 | 403 => Class::Denied,
        _ if code.ends_with("NotFound") || code.contains(".NotFound") => Class::Gone,
        404 => Class::Gone,
        _ => Class::Invalid,
    }
}

fn by_code(code: &str, message: &str) -> Option<Class> {
    if let Some(class) = by_message(code, message) {
        return Some(class);
    }
    TABLE.iter().find(|(_, codes)| codes.contains(&code)).map(|(class, _)| *class)
}

/// Codes that mean several things; the message tells which.
fn by_message(code: &str, message: &str) -> Option<Class> {
    match code {
        // The address of a NAT gateway that is still going: EC2 calls it a matter of permission, which it is not.
        "AuthFailure" if message.contains("permission to access the specified resource") => Some(Class::InUse),
        // A profile that was just made is not known to EC2 for 10 to 60 seconds; every other wrong value is wrong.
        "InvalidParameterValue" if message.contains("Invalid IAM Instance Profile") => Some(Class::NotYet),
        // A role that was just made, for flow logs.
        "InvalidParameter" if message.contains("Unable to assume") => Some(Class::NotYet),
        // An internet gateway that was attached a moment ago, for load balancers.
        "InvalidSubnet" if message.contains("has no internet gateway") => Some(Class::NotYet),
        _ => None,
    }
}

/// The codes of each class. `InternalError` and its like are not here: nobody knows how far the service got.
const TABLE: [(Class, &[&str]); 10] = [
    // An earlier attempt with this token was taken, and since then something outside of the plan changed (the image
    // that a public parameter names): look for what it made.
    (Class::Unknown, &["IdempotentParameterMismatch"]),
    (
        Class::Throttled,
        &[
            "RequestLimitExceeded",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestThrottled",
            "EC2ThrottledException",
            "SlowDown",
            "PriorRequestNotComplete",
            "TooManyUpdates",
        ],
    ),
    (
        Class::Credentials,
        &[
            "AuthFailure",
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "IncompleteSignature",
            "MissingAuthenticationToken",
            "TokenRefreshRequired",
            "OptInRequired",
            "RequestTimeTooSkewed",
            "InvalidSignatureException",
            "IncompleteSignatureException",
            "MissingAuthenticationTokenException",
            "InvalidToken",
        ],
    ),
    (Class::Denied, &["UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "NotAuthorized", "Forbidden"]),
    (
        Class::InUse,
        &[
            "DependencyViolation",
            "ResourceInUse",
            "ResourceInUseException",
            "InvalidIPAddress.InUse",
            "VolumeInUse",
            "InvalidNetworkInterface.InUse",
            "DeleteConflict",
            "Resource.AlreadyAssociated",
            "BucketNotEmpty",
            "InvalidGroup.InUse",
            "IncorrectState",
            "IncorrectInstanceState",
            "InvalidStateTransition",
            "OperationInProgress",
            "ConcurrentModification",
            "ConcurrentModificationException",
            "ConflictException",
            "OperationAborted",
            "OperationAbortedException",
            "AssociationInProgress",
        ],
    ),
    (
        Class::Exists,
        &[
            "InvalidGroup.Duplicate",
            "InvalidPermission.Duplicate",
            "RouteAlreadyExists",
            "NetworkAclEntryAlreadyExists",
            "EntityAlreadyExists",
            "EntityAlreadyExistsException",
            "ResourceAlreadyExistsException",
            "FlowLogAlreadyExists",
            "DuplicateLoadBalancerName",
            "DuplicateListener",
            "DuplicateTargetGroupName",
            "PriorityInUse",
            "BucketAlreadyOwnedByYou",
            "ParameterAlreadyExists",
        ],
    ),
    (
        Class::Quota,
        &[
            "VpcLimitExceeded",
            "AddressLimitExceeded",
            "NatGatewayLimitExceeded",
            "RulesPerSecurityGroupLimitExceeded",
            "SecurityGroupLimitExceeded",
            "SubnetLimitExceeded",
            "InternetGatewayLimitExceeded",
            "RouteTableLimitExceeded",
            "RouteLimitExceeded",
            "NetworkAclLimitExceeded",
            "NetworkAclEntryLimitExceeded",
            "InstanceLimitExceeded",
            "VcpuLimitExceeded",
            "VolumeLimitExceeded",
            "TooManyLoadBalancers",
            "TooManyTargetGroups",
            "TooManyListeners",
            "TooManyRules",
            "LimitExceeded",
            "LimitExceededException",
            "ParameterLimitExceeded",
            "TooManyBuckets",
            "ServiceQuotaExceededException",
            "VpcEndpointLimitExceeded",
            "FlowLogLimitExceeded",
        ],
    ),
    (
        Class::Capacity,
        &[
            "InsufficientInstanceCapacity",
            "InsufficientHostCapacity",
            "InsufficientFreeAddressesInSubnet",
            "InsufficientAddressCapacity",
            "InsufficientVolumeCapacity",
            "Unsupported",
        ],
    ),
    (Class::Transient, &["Unavailable", "ServiceUnavailable", "ServiceUnavailableException"]),
    (
        Class::Gone,
        &[
            "NoSuchEntity",
            "NoSuchEntityException",
            "NoSuchBucket",
            "NoSuchKey",
            "InvalidNatGatewayID",
            "ResourceNotFoundException",
            "NoSuchResourceException",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[test]
    fn answers_without_a_code_have_classes() {
        for (status, effect, class) in [
            (200, Effect::Create, Class::Unknown),
            (200, Effect::Read, Class::Transient),
            (502, Effect::Create, Class::Unknown),
            (503, Effect::Read, Class::Transient),
            (403, Effect::Read, Class::Denied),
            (404, Effect::Read, Class::Gone),
            (400, Effect::Read, Class::Invalid),
        ] {
            let answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
            let error = SdkError::service_error(ErrorMetadata::builder().build(), answer);
            let failure = failure("s3:GetBucketVersioning", effect, &error);
            assert_eq!((failure.code.as_str(), failure.class), ("unreadable answer", class), "{status} {effect:?}");
        }
    }

    #[test]
    fn codes_have_classes() {
        let table = [
            ("RequestLimitExceeded", "", 503, Effect::Create, Class::Throttled),
            ("Throttling", "Rate exceeded", 400, Effect::Read, Class::Throttled),
            (
                "AuthFailure",
                "You do not have permission to access the specified resource.",
                400,
                Effect::Idempotent,
                Class::InUse,
            ),
            (
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
                401,
                Effect::Read,
                Class::Credentials,
            ),
            ("ExpiredToken", "", 403, Effect::Create, Class::Credentials),
            ("UnauthorizedOperation", "", 403, Effect::Create, Class::Denied),
            ("DependencyViolation", "", 400, Effect::Idempotent, Class::InUse),
            ("InvalidVpcID.NotFound", "", 400, Effect::Read, Class::Gone),
            ("NatGatewayNotFound", "", 400, Effect::Read, Class::Gone),
            ("NoSuchBucket", "", 404, Effect::Read, Class::Gone),
            ("ResourceNotFoundException", "", 400, Effect::Read, Class::Gone),
            ("InternalError", "", 500, Effect::Create, Class::Unknown),
            ("InternalError", "", 500, Effect::Read, Class::Transient),
            ("InvalidParameterValue", "Invalid IAM Instance Profile name", 400, Effect::Create, Class::NotYet),
            ("InvalidParameterValue", "Value (x) for parameter y is invalid", 400, Effect::Create, Class::Invalid),
            ("VpcLimitExceeded", "", 400, Effect::Create, Class::Quota),
            ("InsufficientInstanceCapacity", "", 500, Effect::Create, Class::Capacity),
            ("IdempotentParameterMismatch", "", 400, Effect::Create, Class::Unknown),
            ("InvalidSignatureException", "Signature expired", 400, Effect::Create, Class::Credentials),
            ("InvalidParameter", "Unable to assume given IAM role", 400, Effect::Create, Class::NotYet),
            ("InvalidParameter", "Value (x) is invalid", 400, Effect::Create, Class::Invalid),
            ("InvalidSubnet", "VPC vpc-1 has no internet gateway", 400, Effect::Create, Class::NotYet),
            ("SomethingNew", "", 400, Effect::Create, Class::Invalid),
        ];
        for (code, message, status, effect, class) in table {
            assert_eq!(classify(code, message, status, effect), class, "{code} {message}");
        }
    }
}
