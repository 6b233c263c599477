//! Histories as JSON lines: a header line with format and version, then one operation a line.
//!
//! `{"client":1,"key":"k","op":"put","value":7,"invoked":100,"outcome":"ok","completed":250}`
//! The version rises when an old reader would misread a new file. Reading is strict and names the line: a history
//! that is half understood proves nothing. It opens no files; callers bring the reader and the writer.

use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};

use super::history::{ClientId, Completion, Kind, MAX_OPERATIONS, Operation, ValueId};

const FORMAT: &str = "kvstore-history";
const VERSION: u32 = 1;

/// Longest line: a key of 1024 bytes, each escaped as six characters, and the rest.
const MAX_LINE_BYTES: u64 = 8 * 1024;

/// Why a history could not be read. Nothing of it should be judged.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("the history cannot be read at line {line}")]
    Io {
        /// Line, counted from 1.
        line: usize,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// The first line is not this format's header, or of another version.
    #[error("line 1: not a {FORMAT} of version {VERSION}")]
    Header,
    /// A line that is no operation.
    #[error("line {line}: {reason}")]
    Line {
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Op {
    Get,
    Put,
    Delete,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok,
    NotApplied,
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    client: u32,
    key: String,
    op: Op,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<u64>,
    invoked: u64,
    outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed: Option<u64>,
}

/// Writes a header and all operations. After an error the sink holds an unfinished history.
pub fn write(operations: &[Operation], mut sink: impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut sink, &Header { format: FORMAT.to_owned(), version: VERSION })?;
    sink.write_all(b"\n")?;
    for operation in operations {
        serde_json::to_writer(&mut sink, &line_of(operation))?;
        sink.write_all(b"\n")?;
    }
    sink.flush()
}

fn line_of(operation: &Operation) -> Line {
    let (op, value) = match operation.kind {
        Kind::Get { observed } => (Op::Get, observed.map(|id| id.0)),
        Kind::Put { value } => (Op::Put, Some(value.0)),
        Kind::Delete => (Op::Delete, None),
    };
    let outcome = match operation.completion {
        Completion::Ok { .. } => Outcome::Ok,
        Completion::NotApplied { .. } => Outcome::NotApplied,
        Completion::Unknown => Outcome::Unknown,
    };
    Line {
        client: operation.client.0,
        key: operation.key.to_string(),
        op,
        value,
        invoked: operation.invoked_at,
        outcome,
        completed: operation.completed_at(),
    }
}

/// Reads a whole history, at most [`MAX_OPERATIONS`].
pub fn read(mut source: impl BufRead) -> Result<Vec<Operation>, ReadError> {
    let header = next_line(&mut source, 1)?.ok_or(ReadError::Header)?;
    match serde_json::from_str::<Header>(&header) {
        Ok(header) if header.format == FORMAT && header.version == VERSION => {}
        _ => return Err(ReadError::Header),
    }
    let mut operations = Vec::new();
    let mut line = 2;
    while let Some(text) = next_line(&mut source, line)? {
        let refuse = |reason: String| ReadError::Line { line, reason };
        if operations.len() >= MAX_OPERATIONS {
            return Err(refuse(format!("more than {MAX_OPERATIONS} operations")));
        }
        let parsed: Line = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        operations.push(operation_of(parsed).map_err(|reason| refuse(reason.to_owned()))?);
        line += 1;
    }
    Ok(operations)
}

fn next_line(source: &mut impl BufRead, line: usize) -> Result<Option<String>, ReadError> {
    let mut text = String::new();
    let read = source.by_ref().take(MAX_LINE_BYTES).read_line(&mut text);
    match read.map_err(|source| ReadError::Io { line, source })? {
        0 => Ok(None),
        _ if text.ends_with('\n') => Ok(Some(text)),
        // The writer ends every line: a torn tail is a torn history.
        _ => Err(ReadError::Line { line, reason: "too long, or cut off".to_owned() }),
    }
}

fn operation_of(line: Line) -> Result<Operation, &'static str> {
    let kind = match (line.op, line.value.map(ValueId)) {
        (Op::Get, observed) => Kind::Get { observed },
        (Op::Put, Some(value)) => Kind::Put { value },
        (Op::Put, None) => return Err("a put needs a value"),
        (Op::Delete, None) => Kind::Delete,
        (Op::Delete, Some(_)) => return Err("a delete has no value"),
    };
    let completion = match (line.outcome, line.completed) {
        (_, Some(at)) if at < line.invoked => return Err("completed before it was invoked"),
        (Outcome::Ok, Some(at)) => Completion::Ok { at },
        (Outcome::NotApplied, Some(at)) => Completion::NotApplied { at },
        (Outcome::Unknown, None) => Completion::Unknown,
        (Outcome::Unknown, Some(_)) => return Err("an unknown outcome has no completion"),
        (_, None) => return Err("completed is missing"),
    };
    Ok(Operation { client: ClientId(line.client), key: line.key.into(), kind, invoked_at: line.invoked, completion })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn operation() -> impl Strategy<Value = Operation> {
        let kind = prop_oneof![
            any::<Option<u64>>().prop_map(|id| Kind::Get { observed: id.map(ValueId) }),
            any::<u64>().prop_map(|id| Kind::Put { value: ValueId(id) }),
            Just(Kind::Delete),
        ];
        (any::<u32>(), ".{0,20}", kind, 0..1000u64, 0..1000u64, 0..3).prop_map(
            |(client, key, kind, start, length, outcome)| Operation {
                client: ClientId(client),
                key: key.into(),
                kind,
                invoked_at: start,
                completion: match outcome {
                    0 => Completion::Ok { at: start + length },
                    1 => Completion::NotApplied { at: start + length },
                    _ => Completion::Unknown,
                },
            },
        )
    }

    proptest! {
        #[test]
        fn histories_round_trip(operations in proptest::collection::vec(operation(), 0..20)) {
            let mut bytes = Vec::new();
            write(&operations, &mut bytes).expect("memory");
            prop_assert_eq!(read(&*bytes).expect("just written"), operations);
        }

        #[test]
        fn random_bytes_are_refused_not_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&*bytes).is_err());
        }
    }

    fn check(line: &str, expected: &str) {
        let text = format!("{{\"format\":\"kvstore-history\",\"version\":1}}\n{line}\n");
        let error = read(text.as_bytes()).expect_err(line);
        assert!(error.to_string().starts_with(expected), "{line}: {error}");
    }

    #[test]
    fn errors_name_the_line() {
        let good = r#"{"client":1,"key":"k","op":"delete","invoked":1,"outcome":"unknown"}"#;
        check(&format!("{good}\n{{}}"), "line 3: missing field");
        check(r#"{"client":1,"key":"k","op":"put","invoked":1,"outcome":"unknown"}"#, "line 2: a put needs a value");
        check(
            r#"{"client":1,"key":"k","op":"get","invoked":5,"outcome":"ok","completed":4}"#,
            "line 2: completed before",
        );
        check(r#"{"client":1,"key":"k","op":"get","invoked":5,"outcome":"ok"}"#, "line 2: completed is missing");
        check(&"x".repeat(9000), "line 2: too long");
        for header in ["", "{}\n", "{\"format\":\"kvstore-history\",\"version\":2}\n", "x\n"] {
            assert!(matches!(read(header.as_bytes()), Err(ReadError::Header)), "{header}");
        }
    }
}
