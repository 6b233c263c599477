//! Tokens, certificates, views, logs and the benchmark on a running cluster, as an operator calls them.
//!
//! What a view shows is the API's to test; here it is that each command reaches the cluster and says the essential.

use std::fs;
use std::process::Stdio;

use super::local::{Local, eventually};

const NODES: [&str; 3] = ["a1", "b1", "c1"];

#[test]
fn tokens_take_effect_on_running_nodes() {
    let local = Local::started();
    let pids = local.pids();
    let (guest, clerk) = (local.path("guest.token"), local.path("clerk.token"));
    local.succeeds("-q kv put open book");
    fs::write(&guest, local.succeeds("-q token create guest")).expect("written");
    fs::write(&clerk, local.succeeds("-q token create clerk --role write")).expect("written");
    let listed = local.succeeds("token list -o json");
    let secret = fs::read_to_string(&guest).expect("readable");
    assert!(listed.contains("guest") && !listed.contains(secret.trim()), "{listed}");
    assert!(local.exits(2, "token create guest").contains("guest has a token already"));
    for node in NODES {
        let context = local.context_to(node, Some(&guest));
        let get = format!("--context {context} kv get open");
        eventually(&format!("{node} knows the guest"), || local.run(&get).exit == 0);
        local.exits(15, &format!("--context {context} kv put open letter"));
        let context = local.context_to(node, Some(&clerk));
        local.exits(0, &format!("--context {context} kv put by-{node} clerk"));
    }
    local.succeeds("-q token revoke guest");
    for node in NODES {
        let get = format!("--context {} kv get open", local.context_to(node, Some(&guest)));
        eventually(&format!("{node} knows the guest no more"), || local.run(&get).exit == 15);
        let clerks = local.context_to(node, Some(&clerk));
        local.exits(0, &format!("--context {clerks} kv get by-{node}"));
    }
    assert!(local.exits(13, "token revoke kvctl").contains("nothing was changed"));
    assert!(local.exits(2, "token revoke guest").contains("guest has no token"));
    assert_eq!(local.pids(), pids, "no node was restarted");
}

#[test]
fn certificates_are_renewed_under_load() {
    let local = Local::started();
    let shown = local.json(0, "certs show");
    let of: Vec<_> = shown.as_array().expect("rows").iter().filter_map(|row| row["of"].as_str()).collect();
    assert_eq!(of, ["the authority", "a1", "b1", "c1"]);
    assert!(shown.as_array().expect("rows").iter().all(|row| row["days_left"].as_i64() > Some(30)), "{shown}");
    let files = NODES.map(|node| local.folder().join(format!("certs/{node}.pem")));
    let before = files.clone().map(|file| fs::read(file).expect("readable"));
    let pids = local.pids();
    let mut load = local.command("-q bench -o json --fail-on-errors -c 4 --keys 50 --warmup 0s --duration 2s");
    let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kvctl runs");
    for _ in 0..3 {
        let told = local.exits(0, "certs renew");
        assert!(told.contains("a1, b1, c1 read them again now"), "{told}");
    }
    let load = load.wait_with_output().expect("it ends");
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stdout));
    for (file, before) in files.iter().zip(&before) {
        assert!(fs::read(file).expect("readable") != *before, "{}", file.display());
    }
    // A node that comes back has only new ones, the others meet it with what they read again.
    local.kill([&pids["c1"]]);
    local.succeeds("cluster up");
    for node in NODES {
        local.exits(0, &format!("--context {} kv put renewed {node}", local.context_to(node, None)));
    }
    assert!(local.exits(0, "certs renew --node a1").contains("renewed a1"));
    assert!(local.exits(2, "certs renew --node z9").contains("there is no node z9"));
}

#[test]
fn views_say_the_essential() {
    let local = Local::started();
    for (line, essential) in [
        ("ring show", "epoch 1, 256 partitions × 3 replicas"),
        ("ring show --partitions", "partition  replicas  status"),
        ("node list", "127.0.3.1"),
        ("cluster list", "3 of 3 running"),
        ("context list", "local"),
        ("certs show", "the authority"),
        ("token list", "admin"),
        ("doctor", "certificates"),
    ] {
        let told = local.exits(0, line);
        assert!(told.contains(essential), "kvctl {line}: {told}");
    }
    let ring = local.json(0, "ring show");
    assert_eq!(ring["partitions"]["partitions"].as_array().map(Vec::len), Some(256));
    assert_eq!(local.json(0, "node list").as_array().map(Vec::len), Some(3));
    local.succeeds("cluster down");
    for line in ["ring show", "node list", "kv get x"] {
        let told = local.exits(1, line);
        assert!(told.starts_with("error: ") && told.contains("kvctl cluster status"), "kvctl {line}: {told}");
    }
}

#[test]
fn logs_are_of_each_node_and_outlive_it() {
    let local = Local::started();
    let all = local.succeeds("logs");
    assert!(NODES.iter().all(|node| all.lines().any(|line| line.contains(&format!(" {node} ")))), "{all}");
    let one = local.succeeds("logs --node b1");
    assert!(!one.is_empty() && one.lines().all(|line| line.contains(" b1 ")), "{one}");
    for line in local.succeeds("logs -o jsonl").lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
    local.exits(2, "logs --node z9");
    local.succeeds("cluster down");
    assert!(local.succeeds("logs").len() > all.len(), "stopping was logged too");
}

#[test]
fn the_benchmark_tells_sane_figures() {
    let local = Local::started();
    let document = local.json(0, "bench --fail-on-errors --duration 1s --warmup 0s -c 2 --keys 100");
    let run = &document["runs"][0];
    let figure = |pointer: &str| run.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap_or(-1.0);
    assert_eq!((document["keys"].as_u64(), run["errors"].as_u64()), (Some(100), Some(0)), "{document}");
    assert!(figure("/operations") > 0.0, "{run}");
    assert!((figure("/operations") - figure("/operations_per_second")).abs() < 1.0, "one second: {run}");
    assert!((figure("/puts/count") + figure("/gets/count") - figure("/operations")).abs() < 0.5, "{run}");
    for kind in ["puts", "gets"] {
        let latencies = ["p50", "p90", "p99", "p999", "max"].map(|name| figure(&format!("/{kind}/{name}")));
        assert!(latencies[0] > 0.0 && latencies.is_sorted() && latencies[4] < 1e6 * 30.0, "{run}");
    }
    assert_eq!(run["server"]["nodes"].as_array().map(Vec::len), Some(3), "{run}");
    assert!(figure("/server/micros_per_operation") > 0.0 && figure("/client_micros_per_operation") > 0.0, "{run}");
    assert_eq!(local.succeeds("kv list bench/").lines().count(), 100);
}

#[test]
fn the_benchmark_counts_failures_and_fails_only_if_asked_to() {
    let local = Local::started();
    let missing = "bench --no-fill --prefix missing/ --mix get --duration 1s --warmup 0s -c 1 --keys 10";
    for (options, exit) in [("", 0), (" --fail-on-errors", 1)] {
        let document = local.json(exit, &format!("{missing}{options}"));
        let run = &document["runs"][0];
        assert!(run["errors"].as_u64() > Some(0) && run["operations"] == 0, "{document}");
    }
    for line in ["bench -c 0", "bench --duration 0s", "bench --keys 0", "bench --mix some", "bench --prefix a?b"] {
        local.exits(2, line);
    }
}
