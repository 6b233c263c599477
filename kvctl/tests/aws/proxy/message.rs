//! HTTP/1.1 messages as the proxy needs them: read from a client whole, sent on, answered.
//!
//! Bodies have a length; the SDK sends no other kind over plain HTTP. `Expect: 100-continue` is honoured.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest body, in bytes: an artifact of some megabytes.
const LONGEST_BODY: usize = 256 << 20;
/// Longest time that the emulator may take to answer.
const ANSWER: Duration = Duration::from_secs(60);

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// Names and values, in order.
type Headers = Vec<(String, String)>;

fn invalid(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned())
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn read_head(reader: &mut impl BufRead) -> Result<Option<(String, Headers)>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some((first.trim_end().to_owned(), headers)));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header without a colon"))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}

impl Request {
    /// Reads the next request of a connection; none at its end.
    pub(crate) fn read(reader: &mut BufReader<TcpStream>) -> Result<Option<Self>> {
        let Some((first, headers)) = read_head(reader)? else { return Ok(None) };
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if header(&headers, "expect").is_some() {
            reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = header(&headers, "content-length").map_or(Ok(0), str::parse::<usize>);
        let length = length.ok().filter(|length| *length <= LONGEST_BODY).ok_or_else(|| invalid("the length"))?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Some(Self { method: method.to_owned(), target: target.to_owned(), headers, body }))
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Sends it to the emulator and reads its answer. HTTP/1.0, so that the answer ends with the connection.
    pub(crate) fn forward(&self, upstream: SocketAddr) -> Result<Response> {
        let mut stream = TcpStream::connect(upstream)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut head = format!("{} {} HTTP/1.0\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            if !["connection", "expect", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(&self.body)?;
        let mut reader = BufReader::new(stream);
        let (first, headers) = read_head(&mut reader)?.ok_or_else(|| invalid("no answer"))?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        Ok(Response { status: status.ok_or_else(|| invalid("no status"))?, headers, body })
    }
}

impl Response {
    /// Sends it to the client; `head_only` for an answer to HEAD, whose length speaks of a body that is not sent.
    pub(crate) fn write(&self, stream: &mut TcpStream, head_only: bool) -> Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, if self.status < 300 { "OK" } else { "No" });
        for (name, value) in &self.headers {
            let dropped = ["connection", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str());
            let replaced = !head_only && name.eq_ignore_ascii_case("content-length");
            if !dropped && !replaced {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        if !head_only && self.status != 204 {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        if !head_only {
            stream.write_all(&self.body)?;
        }
        stream.flush()
    }
}
