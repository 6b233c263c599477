//! Up, up again, broken, repaired, down: what each leaves running, what it says, and that data stays.

use std::process::Command;

use serde_json::Value;

use super::local::Local;

/// Enough to meet a good part of the partitions, few enough to be written one by one.
const KEYS: usize = 20;

fn write_keys(local: &Local) {
    for key in 0..KEYS {
        local.succeeds(&format!("-q kv put lasting/{key} value-{key}"));
    }
}

#[track_caller]
fn check_keys(local: &Local) {
    for key in 0..KEYS {
        assert_eq!(local.succeeds(&format!("kv get lasting/{key}")), format!("value-{key}"));
    }
    let listed = local.succeeds("kv list lasting/");
    assert_eq!(listed.lines().count(), KEYS, "{listed}");
}

#[test]
fn the_first_up_tells_how_to_use_the_cluster() {
    let local = Local::new();
    let told = local.succeeds(&local.first_up());
    let context = serde_json::from_str::<Value>(&local.succeeds("context show -o json")).expect("a document");
    let first = context["endpoints"][0].as_str().expect("an endpoint");
    let curl = told.lines().find_map(|line| line.trim().strip_prefix("use it    ")).expect("a line to paste");
    assert!(told.starts_with("Cluster local is up: 3 nodes in 3 zones; any one zone may fail.\n"), "{told}");
    assert!(curl.starts_with("curl --cacert ") && curl.contains(first), "{told}");
    let pasted = Command::new("sh").args(["-c", &format!("{curl} --silent --show-error --fail")]).output();
    let pasted = pasted.expect("sh runs");
    assert!(pasted.status.success(), "{curl}: {}", String::from_utf8_lossy(&pasted.stderr));
    assert_eq!(local.succeeds("kv get hello"), "world");
    for file in ["ca_file", "token_file"] {
        assert!(context[file].as_str().is_some_and(|file| std::path::Path::new(file).is_file()), "{context}");
    }
    assert_eq!(context["endpoints"].as_array().map(Vec::len), Some(3));
}

#[test]
fn status_tells_each_node_and_the_verdict() {
    let local = Local::started();
    let status = local.json(0, "cluster status");
    assert_eq!((status["verdict"].as_str(), status["certain"].as_bool()), (Some("healthy"), Some(true)), "{status}");
    let nodes = status["nodes"].as_array().expect("nodes");
    let names: Vec<_> = nodes.iter().filter_map(|node| node["name"].as_str()).collect();
    assert_eq!(names, ["a1", "b1", "c1"]);
    for node in nodes {
        assert_eq!(node["state"], "alive", "{node}");
        assert!(["zone", "api", "peer", "gossip"].iter().all(|field| node[field].is_string()), "{node}");
        let pid = node["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid");
        assert!(local.processes().contains(&pid), "{node}");
    }
    assert_eq!(local.processes().len(), 3);
    assert!(local.succeeds("cluster status").starts_with("HEALTHY  local: 3 of 3 nodes, epoch 1, "));
}

#[test]
fn the_second_up_does_nothing() {
    let local = Local::started();
    let pids = local.pids();
    let again = local.json(0, "cluster up");
    assert_eq!(again["changed"], false, "{again}");
    assert_eq!(local.pids(), pids);
    assert_eq!(local.json(0, "cluster plan")["changes"], false);
    assert_eq!(local.json(0, "cluster up --dry-run")["changes"], false);
    assert!(local.succeeds("cluster up").starts_with("Cluster local was up already, nothing to do: "));
    let listed = local.json(0, "cluster list");
    assert_eq!((&listed[0]["running"], &listed[0]["nodes"]), (&3.into(), &3.into()), "{listed}");
}

#[test]
fn one_killed_node_is_told_and_brought_back_alone() {
    let local = Local::started();
    write_keys(&local);
    let before = local.pids();
    local.kill([&before["b1"]]);
    let status = local.json(10, "cluster status");
    assert_eq!((status["verdict"].as_str(), status["nodes"][1]["state"].as_str()), (Some("degraded"), Some("dead")));
    let told = local.exits(10, "cluster status");
    assert!(told.starts_with("DEGRADED  local: b1 is dead (") && told.contains("reads and writes go on"), "{told}");
    check_keys(&local);
    let plan = local.exits(10, "cluster plan");
    assert!(plan.starts_with("CHANGES  local: 1 to start"), "{plan}");
    assert_eq!(local.json(0, "cluster up")["changed"], true);
    let after = local.pids();
    assert_eq!((after["a1"], after["c1"]), (before["a1"], before["c1"]));
    assert_ne!(after["b1"], before["b1"]);
    local.exits(0, "cluster status");
    check_keys(&local);
}

#[test]
fn all_killed_nodes_are_brought_back_with_every_key() {
    let local = Local::started();
    write_keys(&local);
    local.kill(local.pids().values());
    let status = local.json(10, "cluster status");
    assert_eq!(status["verdict"], "unavailable", "{status}");
    local.succeeds("cluster up");
    assert_eq!(local.processes().len(), 3);
    local.exits(0, "cluster status");
    check_keys(&local);
}

#[test]
fn down_keeps_the_data_until_told_otherwise() {
    let local = Local::started();
    write_keys(&local);
    assert!(local.succeeds("cluster down").starts_with("Cluster local is stopped (3 nodes); its data is kept"));
    assert_eq!(local.processes(), Vec::<u32>::new());
    assert_eq!(local.json(10, "cluster status")["verdict"], "stopped");
    assert!(local.succeeds("cluster down").starts_with("Cluster local was not running"));
    local.succeeds("cluster up");
    check_keys(&local);
    let document = local.json(0, "cluster down --delete-data --yes");
    assert_eq!((document["stopped"].as_array().map(Vec::len), &document["data_deleted"]), (Some(3), &true.into()));
    assert_eq!((local.processes(), local.folder().exists()), (Vec::new(), false));
    assert!(local.exits(2, "context show").contains("make one: kvctl cluster up"));
}

#[test]
fn deleting_data_needs_consent() {
    let local = Local::started();
    let (pids, tree) = (local.pids(), local.tree());
    let told = local.exits(13, "cluster down --delete-data");
    assert!(told.contains("nothing was changed") && told.contains("to consent: --yes"), "{told}");
    let told = local.exits(10, "cluster down --delete-data --dry-run");
    assert!(told.contains(&format!("would stop a1 (pid {})", pids["a1"])), "{told}");
    assert_eq!(local.pids(), pids);
    assert_eq!(local.tree(), tree);
}

#[test]
fn each_of_six_nodes_serves_every_key() {
    let local = Local::new();
    let up = local.json(0, &format!("{} --nodes-per-zone 2", local.first_up()));
    assert_eq!(up["nodes"].as_array().map(Vec::len), Some(6), "{up}");
    let nodes = ["a1", "a2", "b1", "b2", "c1", "c2"];
    let contexts = nodes.map(|node| local.context_to(node, None));
    for (node, context) in nodes.iter().zip(&contexts) {
        local.succeeds(&format!("-q --context {context} kv put through/{node} {node}"));
    }
    // Three of six hold a key: half of these reads and writes are passed on.
    for context in &contexts {
        for node in nodes {
            assert_eq!(local.succeeds(&format!("--context {context} kv get through/{node}")), node);
        }
    }
    local.succeeds("cluster down");
    assert_eq!(local.processes(), Vec::<u32>::new());
}
