//! What a request asks for: the action by name, whether it changes anything, and errors in its service's form.

use super::message::{Request, Response};

/// One call that came by.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Its place, from 0.
    pub(crate) index: usize,
    /// The action, after `DryRun:` if it is one; for S3 the method with what is asked of: `PUT bucket?versioning`.
    pub(crate) action: String,
    /// Whether it may change anything. Dry runs do not.
    pub(crate) mutating: bool,
    /// When it came and when it was answered, in microseconds since the proxy began or was reset.
    pub(crate) began: u64,
    pub(crate) ended: Option<u64>,
    /// What was answered; none while it runs and if it was not.
    pub(crate) status: Option<u16>,
}

/// The service of a request, from its signature's scope.
pub(crate) fn service(request: &Request) -> String {
    let scope = request.header("authorization").unwrap_or_default().split("Credential=").nth(1).unwrap_or_default();
    scope.split('/').nth(3).unwrap_or("s3").to_owned()
}

/// The action of a request.
pub(crate) fn action(request: &Request) -> String {
    if let Some(target) = request.header("x-amz-target") {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    match parameter(request, "Action") {
        Some(action) if dry_run(request) => format!("DryRun:{action}"),
        Some(action) => action,
        None => s3_action(&request.method, &request.target),
    }
}

fn s3_action(method: &str, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let what = match path.trim_matches('/').split_once('/') {
        _ if path == "/" => "service",
        Some(_) => "object",
        None => "bucket",
    };
    let names: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    match names.into_iter().find(|name| !name.is_empty() && *name != "x-id") {
        Some(name) => format!("{method} {what}?{name}"),
        None => format!("{method} {what}"),
    }
}

/// A parameter of a form; only as the SDK encodes them, which for names and ids means not at all.
pub(crate) fn parameter(request: &Request, name: &str) -> Option<String> {
    let form = std::str::from_utf8(&request.body).ok()?;
    let pair = form.split('&').find(|pair| pair.split('=').next() == Some(name))?;
    pair.split_once('=').map(|(_, value)| value.to_owned())
}

fn dry_run(request: &Request) -> bool {
    parameter(request, "DryRun").as_deref() == Some("true")
}

/// Whether a request may change anything.
pub(crate) fn mutating(request: &Request, action: &str) -> bool {
    if dry_run(request) {
        return false;
    }
    if request.header("x-amz-target").is_none() && parameter(request, "Action").is_none() {
        return !matches!(request.method.as_str(), "GET" | "HEAD");
    }
    !["Describe", "Get", "List", "Filter", "Lookup"].iter().any(|prefix| action.starts_with(prefix))
}

/// An error in the form of the request's service.
pub(crate) fn refusal(request: &Request, status: u16, code: &str, message: &str) -> Response {
    let error = format!("<Code>{code}</Code><Message>{message}</Message>");
    let (kind, body) = match service(request).as_str() {
        _ if request.header("x-amz-target").is_some() => {
            let document = serde_json::json!({ "__type": code, "message": message });
            ("application/x-amz-json-1.1", document.to_string())
        }
        "ec2" => {
            let errors = format!("<Errors><Error>{error}</Error></Errors>");
            ("text/xml", format!("<Response>{errors}<RequestID>p</RequestID></Response>"))
        }
        "s3" => ("application/xml", format!("<Error>{error}<RequestId>p</RequestId></Error>")),
        _ => {
            let error = format!("<Error><Type>Sender</Type>{error}</Error>");
            ("text/xml", format!("<ErrorResponse>{error}<RequestId>p</RequestId></ErrorResponse>"))
        }
    };
    Response { status, headers: vec![("Content-Type".to_owned(), kind.to_owned())], body: body.into_bytes() }
}

/// A page of a load balancer that stands in the way: no XML, no JSON.
pub(crate) fn html() -> Response {
    let body = "<html><head><title>500</title></head><body><h1>Internal Server Error<br></h1></body>";
    let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
    Response { status: 500, headers, body: body.as_bytes().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str, header: (&str, &str), body: &str) -> Request {
        let headers = vec![(header.0.to_owned(), header.1.to_owned())];
        Request { method: method.to_owned(), target: target.to_owned(), headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn actions_have_names_and_tell_whether_they_change_anything() {
        let ec2 = ("Authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/ec2/aws4_request, S=1");
        let none = ("x-other", "");
        for (request, name, changes) in [
            (request("POST", "/", ec2, "Action=CreateVpc&Version=1"), "CreateVpc", true),
            (request("POST", "/", ec2, "Version=1&Action=DescribeVpcs"), "DescribeVpcs", false),
            (request("POST", "/", ec2, "Action=CreateVpc&DryRun=true"), "DryRun:CreateVpc", false),
            (request("POST", "/", ("X-Amz-Target", "AmazonSSM.PutParameter"), "{}"), "PutParameter", true),
            (request("POST", "/", ("X-Amz-Target", "AmazonSSM.GetParameter"), "{}"), "GetParameter", false),
            (request("PUT", "/bucket/", none, ""), "PUT bucket", true),
            (request("PUT", "/bucket?versioning", none, ""), "PUT bucket?versioning", true),
            (request("HEAD", "/bucket/a/b", none, ""), "HEAD object", false),
            (request("PUT", "/bucket/a/b?x-id=PutObject", none, ""), "PUT object", true),
            (request("GET", "/?x-id=ListBuckets", none, ""), "GET service", false),
        ] {
            assert_eq!((action(&request).as_str(), mutating(&request, &action(&request))), (name, changes));
        }
        assert_eq!(service(&request("POST", "/", ec2, "")), "ec2");
    }

    #[test]
    fn errors_have_the_form_of_their_service() {
        let scope = |service: &str| format!("X Credential=a/1/us-east-1/{service}/aws4_request");
        for (service, start) in [("ec2", "<Response>"), ("iam", "<ErrorResponse>"), ("s3", "<Error>")] {
            let request = request("POST", "/", ("authorization", &scope(service)), "");
            let body = refusal(&request, 400, "Code", "words").body;
            assert!(String::from_utf8_lossy(&body).starts_with(start), "{service}");
        }
        let json = request("POST", "/", ("x-amz-target", "AmazonSSM.PutParameter"), "");
        assert_eq!(refusal(&json, 400, "Code", "words").body, br#"{"__type":"Code","message":"words"}"#);
    }
}
