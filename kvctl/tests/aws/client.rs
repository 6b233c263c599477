//! The tests' own way to the emulator: unsigned requests by hand, one connection each.
//!
//! Deliberately not the SDK and nothing of infra: what kvctl did is judged by other eyes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::xml::{self, Element};

/// The region of all tests.
pub(crate) const REGION: &str = "us-east-1";
/// The account that the emulator plays.
pub(crate) const ACCOUNT: &str = "123456789012";
/// Longest time for an answer; moto's slowest takes two seconds.
const ANSWER: Duration = Duration::from_secs(60);

/// Speaks to an emulator, or to the proxy before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    /// The error's code; empty for answers that are none.
    pub(crate) fn code(&self) -> String {
        if let Some(root) = xml::parse(&self.body) {
            return root.find("Code").map(|code| code.text.clone()).unwrap_or_default();
        }
        let document: Value = serde_json::from_str(&self.body).unwrap_or_default();
        document["__type"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default().to_owned()
    }

    /// The document; it panics if there is none or the request failed.
    pub(crate) fn xml(&self) -> Element {
        assert_eq!(self.status, 200, "{}", self.body);
        xml::parse(&self.body).unwrap_or_else(|| panic!("not XML: {}", self.body))
    }

    /// The document; it panics if there is none or the request failed.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The text of the first element of a name; it panics if the request failed.
    pub(crate) fn value(&self, name: &str) -> String {
        let root = self.xml();
        root.find(name).unwrap_or_else(|| panic!("no {name} in {}", self.body)).text.clone()
    }
}

impl Client {
    /// An EC2 action.
    pub(crate) fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> Reply {
        self.query("ec2", "2016-11-15", action, parameters)
    }

    /// A load balancer action.
    pub(crate) fn elb(&self, action: &str, parameters: &[(&str, &str)]) -> Reply {
        self.query("elasticloadbalancing", "2015-12-01", action, parameters)
    }

    /// An IAM action.
    pub(crate) fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> Reply {
        self.query("iam", "2010-05-08", action, parameters)
    }

    fn query(&self, service: &str, version: &str, action: &str, parameters: &[(&str, &str)]) -> Reply {
        let mut form = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            form.push_str(&format!("&{name}={}", encoded(value)));
        }
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        self.send("POST", "/", service, &[("Content-Type", kind)], form.as_bytes())
    }

    /// An action of a service that speaks JSON, for example `AmazonSSM.GetParameter` of `ssm`.
    pub(crate) fn json(&self, service: &str, target: &str, document: &Value) -> Reply {
        let headers = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", target)];
        self.send("POST", "/", service, &headers, document.to_string().as_bytes())
    }

    /// A request to S3.
    pub(crate) fn s3(&self, method: &str, path: &str, body: &str) -> Reply {
        self.send(method, path, "s3", &[], body.as_bytes())
    }

    /// Changes how the strict emulator behaves; see `emulator/strict/core.py` for the names.
    pub(crate) fn set(&self, settings: &Value) {
        let reply = self.send("POST", "/strict/settings", "ec2", &[], settings.to_string().as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// Forgets all resources and settings.
    pub(crate) fn reset(&self) {
        let reply = self.send("POST", "/strict/reset", "ec2", &[], b"");
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// Whether anybody answers.
    pub(crate) fn answers(&self) -> bool {
        TcpStream::connect(self.address).is_ok()
    }

    fn send(&self, method: &str, path: &str, service: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let exchange = || -> std::io::Result<Vec<u8>> {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(ANSWER))?;
            let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", self.address);
            head.push_str(&format!(
                "Authorization: AWS4-HMAC-SHA256 Credential=testing/20260101/{REGION}/{service}/aws4_request, \
                 SignedHeaders=host, Signature=0\r\n"
            ));
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
            stream.write_all(head.as_bytes())?;
            stream.write_all(body)?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(answer)
        };
        let answer = exchange().unwrap_or_else(|error| panic!("{method} {path} at {}: {error}", self.address));
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Reply { status, body: body.to_owned() }
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
