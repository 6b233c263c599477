//! `kvctl logs`: what the nodes of a local cluster log, merged by time.
//!
//! Daemons log JSON lines; they are shown as text, or with `-o jsonl` as they are, with the node added. A line that
//! is no JSON (a last word before the end) keeps the place of the line before it. Reads the end of each file only.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use infra::topology::NodeName;
use kvnode::runtime::clock;
use serde_json::Value;

use super::cluster::existing;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;

/// How much of each file's end is read at first: some ten thousand lines.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// How often followed files are looked at: fast for eyes, idle for the machine.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// Show what the nodes log.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// Name of the cluster [default: that of the context, or local]
    pub name: Option<String>,
    /// Only these nodes; may be repeated
    #[arg(long, value_name = "NODE")]
    pub node: Vec<String>,
    /// Lines to begin with
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    pub tail: usize,
    /// Go on with what comes, until interrupted
    #[arg(short, long)]
    pub follow: bool,
}

/// One line with its place in time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    /// RFC 3339 in UTC sorts as text; empty if the file began with something else.
    at: String,
    node: String,
    text: String,
}

/// A file that is read on.
struct Source {
    node: NodeName,
    path: PathBuf,
    position: u64,
    rest: Vec<u8>,
    at: String,
}

/// Shows the logs.
///
/// # Errors
/// There is no such cluster or node.
pub async fn run(session: &Session, logs: &Logs) -> Result<Exit, CommandError> {
    let (folder, _, topology) = existing(session, logs.name.as_deref())?;
    for wanted in &logs.node {
        if !topology.nodes().iter().any(|node| node.name.as_str() == wanted) {
            return Err(CommandError::usage(format!("there is no node {wanted} in cluster {}", folder.cluster())));
        }
    }
    let wanted = |name: &NodeName| logs.node.is_empty() || logs.node.iter().any(|one| one == name.as_str());
    let nodes = topology.nodes().iter().map(|node| &node.name).filter(|name| wanted(name));
    let mut sources: Vec<Source> = nodes.map(|name| Source::new(name, folder.log_file(name))).collect();
    let mut lines = read_all(&mut sources);
    lines.drain(..lines.len().saturating_sub(logs.tail));
    loop {
        for line in &lines {
            session.ui.line(render(session, line))?;
        }
        if !logs.follow {
            return Ok(Exit::Ok);
        }
        clock::sleep(FOLLOW_INTERVAL).await;
        lines = read_all(&mut sources);
    }
}

/// All new lines, in order of time.
fn read_all(sources: &mut [Source]) -> Vec<Line> {
    let mut lines: Vec<Line> = sources.iter_mut().flat_map(Source::read).collect();
    // Stable: lines of one node and moment stay in their order.
    lines.sort_by(|left, right| left.at.cmp(&right.at));
    lines
}

impl Source {
    fn new(node: &NodeName, path: PathBuf) -> Self {
        let length = std::fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or(0);
        let position = length.saturating_sub(MOST_BYTES);
        Self { node: node.clone(), path, position, rest: Vec::new(), at: String::new() }
    }

    /// Whole lines that came since; a file that is gone or unreadable has none.
    fn read(&mut self) -> Vec<Line> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        let length = file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
        if length < self.position {
            // Emptied or replaced: begin again.
            (self.position, self.rest) = (0, Vec::new());
        }
        let mut bytes = Vec::new();
        if file.seek(SeekFrom::Start(self.position)).is_err() || file.take(MOST_BYTES).read_to_end(&mut bytes).is_err()
        {
            return Vec::new();
        }
        self.position += bytes.len() as u64;
        self.rest.append(&mut bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let text = String::from_utf8_lossy(&whole);
        text.lines().map(|line| self.place(line)).collect()
    }

    fn place(&mut self, text: &str) -> Line {
        let parsed: Option<Value> = serde_json::from_str(text).ok();
        if let Some(at) = parsed.as_ref().and_then(|value| value.get("timestamp")?.as_str()) {
            at.clone_into(&mut self.at);
        }
        Line { at: self.at.clone(), node: self.node.to_string(), text: text.to_owned() }
    }
}

fn render(session: &Session, line: &Line) -> String {
    let parsed = serde_json::from_str::<Value>(&line.text).ok();
    match parsed {
        Some(Value::Object(mut object)) if session.machine() => {
            object.insert("node".to_owned(), Value::String(line.node.clone()));
            Value::Object(object).to_string()
        }
        _ if session.machine() => serde_json::json!({ "node": line.node, "text": line.text }).to_string(),
        Some(Value::Object(object)) => format!("{} {} {}", line.at, line.node, human(&object)),
        _ => format!("{} {} {}", line.at, line.node, line.text),
    }
}

/// `INFO joined members=3 (kvnode::node)`.
fn human(object: &serde_json::Map<String, Value>) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let level = object.get("level").map(text).unwrap_or_default();
    let fields = object.get("fields").and_then(Value::as_object);
    let message = fields.and_then(|fields| fields.get("message")).map(text).unwrap_or_default();
    let mut words = format!("{level:<5} {message}");
    for (name, value) in fields.into_iter().flatten().filter(|(name, _)| *name != "message") {
        words.push_str(&format!(" {name}={}", text(value)));
    }
    words
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_are_merged_by_time_and_halves_are_awaited() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            let mut file = File::options().create(true).append(true).open(path(name)).expect("opened");
            file.write_all(text.as_bytes()).expect("written");
        };
        write(
            "a1",
            "{\"timestamp\":\"2026-01-01T00:00:02Z\",\"level\":\"INFO\",\"fields\":{\"message\":\"two\",\"n\":2}}\npanic\n{\"time",
        );
        write("b1", "{\"timestamp\":\"2026-01-01T00:00:01Z\",\"level\":\"WARN\",\"fields\":{\"message\":\"one\"}}\n");
        let name = |text: &str| text.parse::<NodeName>().expect("a name");
        let mut sources = [Source::new(&name("a1"), path("a1")), Source::new(&name("b1"), path("b1"))];
        let nodes: Vec<_> = read_all(&mut sources).into_iter().map(|line| (line.node, line.at)).collect();
        let expected = [("b1", "01Z"), ("a1", "02Z"), ("a1", "02Z")];
        assert_eq!(nodes.len(), 3);
        for ((node, at), (expected_node, end)) in nodes.iter().zip(expected) {
            assert!(node == expected_node && at.ends_with(end), "{node} {at}");
        }
        assert_eq!(read_all(&mut sources), []);
        write("a1", "stamp\":\"2026-01-01T00:00:03Z\"}\n");
        assert_eq!(read_all(&mut sources).len(), 1);
    }

    #[test]
    fn json_reads_as_a_sentence() {
        let value = serde_json::json!({"level": "INFO", "fields": {"message": "joined", "members": 3, "zone": "a"}});
        assert_eq!(human(value.as_object().expect("an object")), "INFO  joined members=3 zone=a");
    }
}
