//! The text of cluster.yaml to a topology. The only importer of the YAML library.
//!
//! The library stops at its first error and gives values no positions, so it only makes a tree here; the tree is
//! walked by hand and every problem is kept. Keys that are absent take the default draft's value.

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

use super::lines::Lines;
use super::suggest::nearest;
use super::{MAX_BYTES, Problem, SpecError};
use crate::topology::{Draft, Topology, ZoneDraft};

const KEYS: [&str; 8] =
    ["cluster", "provider", "zones", "nodes_per_zone", "replicas", "partitions", "ports", "accept_zone_outage"];
const ZONE_KEYS: [&str; 2] = ["name", "nodes"];
const PORT_KEYS: [&str; 3] = ["api", "peer", "gossip"];

/// Reads a specification.
///
/// # Errors
/// All problems at once, each with its line.
pub fn parse(text: &str) -> Result<Topology, SpecError> {
    if text.len() > MAX_BYTES {
        let reason = format!("the file has {} bytes, at most {MAX_BYTES} are read", text.len());
        return Err(whole(0, reason));
    }
    let tree: Value = serde_yaml::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |place| place.line());
        whole(line, error.to_string())
    })?;
    let mut walk = Walk { lines: Lines::of(text), problems: Vec::new(), bad: BTreeSet::new() };
    let draft = walk.draft(&tree);
    let impossible = Topology::parse(draft);
    if let Err(found) = &impossible {
        let unread = !walk.problems.is_empty();
        for one in found {
            // What could not be read has its default here; what only follows from that would be no news.
            let follows = unread && (one.path == "zones" || walk.lines.line(&one.path) == 0);
            if !follows && !walk.bad.contains(&one.path) {
                walk.add(&one.path, one.reason.clone(), one.fix.clone());
            }
        }
    }
    match impossible {
        Ok(topology) if walk.problems.is_empty() => Ok(topology),
        _ => {
            walk.problems.sort_by_key(|problem| problem.line);
            Err(SpecError { problems: walk.problems })
        }
    }
}

fn whole(line: usize, reason: String) -> SpecError {
    SpecError { problems: vec![Problem { line, path: String::new(), reason, fix: String::new() }] }
}

struct Walk {
    lines: Lines,
    problems: Vec<Problem>,
    bad: BTreeSet<String>,
}

impl Walk {
    fn add(&mut self, path: &str, reason: impl Into<String>, fix: impl Into<String>) {
        self.bad.insert(path.to_owned());
        let line = self.lines.line(path);
        self.problems.push(Problem { line, path: path.to_owned(), reason: reason.into(), fix: fix.into() });
    }

    fn draft(&mut self, tree: &Value) -> Draft {
        let mut draft = Draft::default();
        let Some(map) = self.mapping(tree, "", &KEYS) else { return draft };
        if let Some(cluster) = self.text(&map, "", "cluster") {
            draft.cluster = cluster;
        }
        if let Some(provider) = self.text(&map, "", "provider").filter(|provider| provider != "local") {
            self.add("provider", format!("unknown provider {provider}"), "this build has local");
        }
        let nodes = self.number(&map, "", "nodes_per_zone").unwrap_or(1);
        for zone in &mut draft.zones {
            zone.nodes = nodes;
        }
        if let Some(zones) = map.get("zones") {
            draft.zones = self.zones(zones, nodes);
        }
        draft.replicas = self.number(&map, "", "replicas").unwrap_or(draft.replicas);
        draft.partitions = self.number(&map, "", "partitions").unwrap_or(draft.partitions);
        if let Some(ports) = map.get("ports").and_then(|ports| self.mapping(ports, "ports", &PORT_KEYS)) {
            draft.ports.api = self.number(&ports, "ports", "api").unwrap_or(draft.ports.api);
            draft.ports.peer = self.number(&ports, "ports", "peer").unwrap_or(draft.ports.peer);
            draft.ports.gossip = self.number(&ports, "ports", "gossip").unwrap_or(draft.ports.gossip);
        }
        match map.get("accept_zone_outage") {
            None | Some(Value::Null) => {}
            Some(Value::Bool(accept)) => draft.accept_zone_outage = *accept,
            Some(other) => self.add("accept_zone_outage", format!("{} is not true or false", kind(other)), ""),
        }
        draft
    }

    fn zones(&mut self, value: &Value, nodes: u8) -> Vec<ZoneDraft> {
        let Value::Sequence(items) = value else {
            self.add("zones", format!("{} is not a list", kind(value)), "write one zone per line: - name: a");
            return Draft::default().zones;
        };
        let mut zones = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("zones[{index}]");
            if let Value::String(name) = item {
                zones.push(ZoneDraft { name: name.clone(), nodes });
                continue;
            }
            let Some(map) = self.mapping(item, &path, &ZONE_KEYS) else { continue };
            let name = self.text(&map, &path, "name");
            if name.is_none() && !map.contains_key("name") {
                self.add(&path, "the zone has no name", "add name:");
            }
            let nodes = self.number(&map, &path, "nodes").unwrap_or(nodes);
            zones.extend(name.map(|name| ZoneDraft { name, nodes }));
        }
        zones
    }

    /// A mapping whose keys are all known; the unknown ones are reported.
    fn mapping(&mut self, value: &Value, path: &str, known: &[&str]) -> Option<Mapping> {
        let map = match value {
            Value::Mapping(map) => map.clone(),
            // An empty file or an empty section asks for the defaults.
            Value::Null => Mapping::new(),
            other => {
                self.add(path, format!("{} is not a set of keys", kind(other)), format!("keys: {}", known.join(", ")));
                return None;
            }
        };
        for key in map.keys() {
            let name = key.as_str().map_or_else(|| kind(key).to_owned(), str::to_owned);
            if !known.contains(&name.as_str()) {
                let fix = nearest(&name, known)
                    .map_or_else(|| format!("keys: {}", known.join(", ")), |word| format!("did you mean {word}?"));
                self.add(&join(path, &name), "unknown key", fix);
            }
        }
        Some(map)
    }

    fn text(&mut self, map: &Mapping, path: &str, key: &str) -> Option<String> {
        match map.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            other => {
                self.add(&join(path, key), format!("{} is not a name", kind(other)), "");
                None
            }
        }
    }

    fn number<N: TryFrom<u64>>(&mut self, map: &Mapping, path: &str, key: &str) -> Option<N> {
        let value = map.get(key)?;
        let number = value.as_u64().and_then(|number| N::try_from(number).ok());
        if number.is_none() {
            let shown = value.as_i64().map_or_else(|| kind(value).to_owned(), |number| number.to_string());
            self.add(&join(path, key), format!("{shown} is not a whole number in range"), "");
        }
        number
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a set of keys",
        Value::Tagged(_) => "a tagged value",
    }
}
