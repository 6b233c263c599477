//! The rules of the house that a reader cannot see from one file, read from the sources.
//!
//! Directions of imports, sizes, opening docs, and who may spawn, sleep, read clocks and call a cloud. A new top-level
//! module of a crate fails here until it has a row in the crate's table ([`KVNODE`], [`INFRA`], [`KVCTL`]): deciding
//! what it may know is part of adding it.

use super::sources::{Source, all, in_folders};

const CRATES: [&str; 3] = ["infra", "kvctl", "kvnode"];
const MAX_FILE_LINES: usize = 800;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_MAIN_LINES: usize = 30;
const MIN_DOC_LINES: usize = 3;
/// Files of tests say in one line what they hold to be true; their parent says the rest.
const MIN_TEST_DOC_LINES: usize = 1;

/// What each top-level module of a crate may import from its crate, besides itself. `*` is everything.
type MayImport = &'static [(&'static str, &'static [&'static str])];

const KVNODE: MayImport = &[
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

/// The way through `infra` is one way: what is wanted and what was seen make a plan, a plan is carried out through a
/// provider. Nobody below a plan knows how it is carried out, and nobody but a provider knows a cloud.
const INFRA: MayImport = &[
    ("resource", &[]),
    ("topology", &[]),
    ("network", &["resource", "topology"]),
    ("spec", &["network", "topology"]),
    ("processes", &["topology"]),
    ("user_data", &["desired", "network"]),
    ("desired", &["network", "resource", "user_data"]),
    ("observed", &["resource"]),
    ("plan", &["observed", "resource"]),
    ("pricing", &["resource"]),
    ("provider", &["apply::Clock", "observed", "plan", "resource"]),
    ("apply", &["observed", "plan", "provider", "resource"]),
    ("lib", &[]),
];

/// Words and files below, commands above: a provider knows no command, and only commands know how one is called.
const KVCTL: MayImport = &[
    ("exit_code", &[]),
    ("units", &[]),
    ("error", &["exit_code", "provider::local"]),
    ("settings", &["cli", "error", "units"]),
    ("ui", &["error", "exit_code", "settings"]),
    ("context", &["error", "provider::local"]),
    ("provider", &["error", "ui::progress"]),
    ("session", &["cli", "context", "error", "exit_code", "provider::local", "settings", "ui"]),
    ("bench", &["error", "provider::local", "ui::table"]),
    ("cli", &["commands", "exit_code"]),
    ("commands", &["bench", "cli", "context", "error", "exit_code", "provider", "session", "ui", "units"]),
    ("main", &["*"]),
    ("lib", &["*"]),
];

const CLOCKS: &[&str] = &["kvnode/src/runtime/", "infra/src/provider/aws/pace.rs"];

/// Text that may stand only under the given paths.
const ONLY_UNDER: &[(&str, &[&str])] = &[
    ("tokio::spawn", &["kvnode/src/runtime/"]),
    ("tokio::task::spawn", &["kvnode/src/runtime/"]),
    ("tokio::time::sleep", CLOCKS),
    ("tokio::time::timeout", CLOCKS),
    ("tokio::time::interval", CLOCKS),
    ("Instant::now(", CLOCKS),
    ("SystemTime::now(", CLOCKS),
    ("process::exit", &["kvnode/src/main.rs", "kvctl/src/main.rs"]),
    ("serde_yaml::", &["infra/src/spec/"]),
    ("kvnode::", &["kvnode/", "kvctl/"]),
    // One module knows the SDK, one file of it sends, one configures: retries are off there, for all services.
    ("aws_config", &["infra/src/provider/aws/clients.rs"]),
    ("aws_sdk_", &["infra/src/provider/aws/"]),
    ("aws_smithy_", &["infra/src/provider/aws/"]),
    ("aws_smithy_http_client", &["infra/src/provider/aws/connector.rs"]),
    ("RetryConfig", &["infra/src/provider/aws/clients.rs"]),
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
const PURE: [&str; 3] = ["kvnode/src/protocol/", "kvnode/src/audit/", "infra/src/"];
/// What is not pure in there: the provider that calls a cloud.
const IMPURE_WITHIN: [&str; 1] = ["infra/src/provider/aws/"];

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

fn forbidden_imports(table: MayImport, sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let module = source.module();
        let Some((_, allowed)) = table.iter().find(|(name, _)| *name == module) else {
            broken.push(format!("{} has module {module}, without a row in its crate's table", source.path));
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
    for (name, table) in [("kvnode", KVNODE), ("infra", INFRA), ("kvctl", KVCTL)] {
        assert_none("forbidden imports", &forbidden_imports(table, &all(&[name])));
    }
}

#[test]
fn a_wrong_import_is_seen_however_it_is_written() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        let table = if path.starts_with("infra/") { INFRA } else { KVNODE };
        let found = forbidden_imports(table, &[Source::imagined(path, text)]);
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
    check("kvnode/src/novelty.rs", "", &["has module novelty, without a row in its crate's table"]);
    check("infra/src/plan/mod.rs", "use crate::provider::Cloud;", &["imports provider::Cloud"]);
    check("infra/src/provider/aws/vpc.rs", "use crate::apply::Machine;", &["imports apply::Machine"]);
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
    let under = |source: &Source, folders: &[&str]| folders.iter().any(|folder| source.path.starts_with(folder));
    let sources = all(&CRATES);
    let pure = sources.iter().filter(|one| under(one, &PURE) && !under(one, &IMPURE_WITHIN) && !one.is_test());
    for source in pure {
        broken
            .extend(IMPURE.iter().filter(|text| source.says(text)).map(|text| format!("{} says {text}", source.path)));
    }
    assert_none("impure", &broken);
}

#[test]
fn the_sdk_repeats_nothing_by_itself() {
    let sources = all(&["infra"]);
    let told: Vec<&Source> = sources.iter().filter(|source| source.shipped_code().contains("RetryConfig::")).collect();
    assert_eq!(told.len(), 1, "one place configures retries");
    assert_eq!(told[0].shipped_code().matches("RetryConfig::").count(), 1, "{}", told[0].path);
    assert!(told[0].shipped_code().contains("RetryConfig::disabled()"), "{}", told[0].path);
}

#[test]
fn files_and_functions_are_short() {
    let mut broken = Vec::new();
    for source in everything("rs") {
        let lines = source.text.lines().count();
        let limit = if source.path.ends_with("/src/main.rs") { MAX_MAIN_LINES } else { MAX_FILE_LINES };
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
    let broken: Vec<String> = everything("rs").iter().filter_map(undocumented).collect();
    assert_none("what a file is, and what it deliberately does not do, stands at its top", &broken);
}

#[test]
fn every_script_opens_with_its_doc_and_is_short() {
    let mut broken = Vec::new();
    for (extension, opens) in [("py", "\"\"\""), ("sh", "# ")] {
        let scripts = everything(extension);
        assert!(!scripts.is_empty(), "there are files that end in {extension}");
        for script in scripts {
            let mut lines = script.text.lines().skip_while(|line| line.starts_with("#!"));
            if !lines.next().is_some_and(|line| line.starts_with(opens)) {
                broken.push(format!("{} has no opening doc", script.path));
            }
            if script.text.lines().count() > MAX_FILE_LINES {
                broken.push(format!("{} is too long", script.path));
            }
        }
    }
    assert_none("scripts are sources too", &broken);
}

/// All files of a language: sources, tests, benches, and what continuous integration runs.
fn everything(extension: &str) -> Vec<Source> {
    let parts = ["src", "tests", "benches"];
    let mut folders = vec![".ci".to_owned()];
    folders.extend(CRATES.iter().flat_map(|name| parts.iter().map(move |part| format!("{name}/{part}"))));
    in_folders(&folders, extension)
}
