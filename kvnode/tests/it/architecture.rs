//! The rules of the house that a reader cannot see from one file, read from the sources.
//!
//! Directions of imports, sizes, opening docs, and who may spawn, sleep and read clocks. A new top-level module of
//! kvnode fails here until it has a row in [`MAY_IMPORT`]: deciding what it may know is part of adding it.

use super::sources::{Source, all};

const CRATES: [&str; 3] = ["infra", "kvctl", "kvnode"];
const MAX_FILE_LINES: usize = 800;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_MAIN_LINES: usize = 30;
const MIN_DOC_LINES: usize = 3;
/// Files of tests say in one line what they hold to be true; their parent says the rest.
const MIN_TEST_DOC_LINES: usize = 1;

/// What each top-level module of kvnode may import from kvnode, besides itself. `*` is everything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("runtime", &[]),
    ("audit", &[]),
    ("metrics", &[]),
    ("config", &["protocol"]),
    ("storage", &["protocol", "runtime", "metrics"]),
    ("peer", &["protocol", "runtime", "metrics"]),
    ("gossip", &["protocol", "runtime", "metrics"]),
    ("certificates", &["protocol", "runtime", "peer::tls"]),
    ("node", &["storage", "peer", "gossip", "protocol", "runtime", "metrics"]),
    // The failure vocabulary is the peers': it travels between nodes as it is.
    (
        "api",
        &[
            "node::service",
            "node::operation",
            "protocol",
            "runtime",
            "metrics",
            "peer::FailureKind",
            "peer::OperationFailure",
        ],
    ),
    ("client", &["api", "protocol", "runtime"]),
    ("credentials", &["api::tokens", "certificates", "config", "peer::tls", "protocol"]),
    ("command", &["config", "credentials", "protocol", "server"]),
    ("server", &["*"]),
    ("main", &["*"]),
    ("lib", &[]),
];

/// Text that may stand only under the given paths.
const ONLY_UNDER: &[(&str, &[&str])] = &[
    ("tokio::spawn", &["kvnode/src/runtime/"]),
    ("tokio::task::spawn", &["kvnode/src/runtime/"]),
    ("tokio::time::sleep", &["kvnode/src/runtime/", "kvctl/", "infra/"]),
    ("tokio::time::timeout", &["kvnode/src/runtime/", "kvctl/", "infra/"]),
    ("tokio::time::interval", &["kvnode/src/runtime/", "kvctl/", "infra/"]),
    ("Instant::now(", &["kvnode/src/runtime/", "kvctl/", "infra/"]),
    ("SystemTime::now(", &["kvnode/src/runtime/", "kvctl/", "infra/"]),
    ("process::exit", &["kvnode/src/main.rs", "kvctl/src/main.rs"]),
    ("aws_sdk_", &["infra/src/provider/aws/"]),
    ("serde_yaml::", &["infra/src/spec/"]),
    ("kvnode::", &["kvnode/", "kvctl/"]),
];

/// What the pure modules never name.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Instant",
    "SystemTime",
    "rand::rng",
    "rand::random",
    "thread_rng",
    "tracing",
];
const PURE: [&str; 2] = ["kvnode/src/protocol/", "kvnode/src/audit/"];

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

fn forbidden_imports(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let module = source.module();
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            broken.push(format!("{} has module {module}, without a row in MAY_IMPORT", source.path));
            continue;
        };
        for path in source.own_paths() {
            let inside = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}::"));
            let fine = inside(module) || allowed.iter().any(|prefix| *prefix == "*" || inside(prefix));
            if !fine {
                broken.push(format!("{} imports {path}", source.path));
            }
        }
    }
    broken
}

#[test]
fn imports_go_one_way() {
    assert_none("forbidden imports", &forbidden_imports(&all(&["kvnode"])));
}

#[test]
fn a_wrong_import_is_seen_however_it_is_written() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        let found = forbidden_imports(&[Source::imagined(path, text)]);
        assert_eq!(found, expected.iter().map(|rest| format!("{path} {rest}")).collect::<Vec<_>>(), "{text}");
    };
    check("kvnode/src/protocol/key.rs", "use crate::protocol::id; use super::stamp;", &[]);
    check("kvnode/src/protocol/key.rs", "fn f() { crate::peer::wire::g() }", &["imports peer::wire"]);
    check("kvnode/src/storage/sled.rs", "use super::super::peer;", &["imports peer"]);
    check(
        "kvnode/src/api/kv.rs",
        "use crate::{node::{service, shared}, peer::FailureKind};",
        &["imports node::shared"],
    );
    check("kvnode/src/api/kv.rs", "#[cfg(test)] mod tests { use crate::storage; }", &[]);
    check("kvnode/src/novelty.rs", "", &["has module novelty, without a row in MAY_IMPORT"]);
}

#[test]
fn only_their_owners_spawn_sleep_read_clocks_and_exit() {
    let mut broken = Vec::new();
    for source in all(&CRATES).iter().filter(|source| !source.is_test()) {
        for (text, owners) in ONLY_UNDER {
            let owned = owners.iter().any(|owner| source.path.starts_with(owner));
            if !owned && source.shipped_code().contains(text) {
                broken.push(format!("{} says {text}", source.path));
            }
        }
    }
    assert_none("outside their owners", &broken);
}

#[test]
fn the_pure_modules_touch_nothing() {
    let mut broken = Vec::new();
    let pure = |source: &&Source| PURE.iter().any(|folder| source.path.starts_with(folder)) && !source.is_test();
    for source in all(&["kvnode"]).iter().filter(pure) {
        let word = |text: &str| {
            source.shipped_code().match_indices(text).any(|(at, _)| {
                let before = source.code[..at].chars().next_back();
                let after = source.code[at + text.len()..].chars().next();
                let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !joins(before) && !joins(after)
            })
        };
        broken.extend(IMPURE.iter().filter(|text| word(text)).map(|text| format!("{} says {text}", source.path)));
    }
    assert_none("impure", &broken);
}

#[test]
fn files_and_functions_are_short() {
    let mut broken = Vec::new();
    for source in all(&CRATES) {
        let lines = source.text.lines().count();
        let limit = if source.path.ends_with("/main.rs") { MAX_MAIN_LINES } else { MAX_FILE_LINES };
        if lines > limit {
            broken.push(format!("{} has {lines} lines", source.path));
        }
        let long = source.functions().into_iter().filter(|(_, lines)| *lines > MAX_FUNCTION_LINES);
        broken.extend(long.map(|(name, lines)| format!("{}: {name} has {lines} lines", source.path)));
    }
    assert_none("too long", &broken);
}

#[test]
fn every_file_opens_with_its_doc() {
    let undocumented = |source: &Source| {
        let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        let least = if source.is_test() { MIN_TEST_DOC_LINES } else { MIN_DOC_LINES };
        (lines < least).then(|| format!("{} has {lines} lines of opening doc", source.path))
    };
    let broken: Vec<String> = all(&CRATES).iter().filter_map(undocumented).collect();
    assert_none("what a file is, and what it deliberately does not do, stands at its top", &broken);
}
