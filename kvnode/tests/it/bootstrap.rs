//! How a cluster begins and how a node ends: one ring by an explicit act, a single node out of nothing, SIGTERM,
//! a bad configuration, two processes on one folder.

use std::process::{Command, Output};
use std::time::Duration;

use kvnode::api::types::{BootstrapRequest, Outcome};
use kvnode::client::PutOptions;
use kvnode::runtime::clock;
use nix::sys::signal::Signal;

use super::cluster::{Cluster, PATIENCE, eventually};
use super::process::{Process, binary, tail};

fn act(names: &[&str]) -> BootstrapRequest {
    let replicas = u8::try_from(names.len()).expect("few");
    BootstrapRequest { nodes: names.iter().map(ToString::to_string).collect(), replicas, partitions: 256 }
}

/// Waits until every node lists `count` members: a ring may be formed.
async fn acquainted(cluster: &Cluster, count: usize) {
    for index in cluster.running() {
        let client = cluster.client(index);
        eventually("nodes to see each other", PATIENCE, async || {
            let nodes = client.nodes().await.map_err(|error| error.to_string())?;
            if nodes.len() >= count { Ok(()) } else { Err(format!("{} members", nodes.len())) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_ring_a_write_is_refused_with_what_to_do() {
    let mut cluster = Cluster::prepare(3).await;
    cluster.start_all();
    acquainted(&cluster, 3).await;
    let error = cluster.client(0).put(b"k", "v".into(), &PutOptions::default()).await.expect_err("no ring");
    let problem = error.problem().expect("a problem");
    assert_eq!((problem.status, problem.outcome), (503, Outcome::NotApplied));
    assert!(problem.hint.as_deref().is_some_and(|hint| hint.contains("bootstrap")), "{problem:?}");
    let probe = cluster.client(0).readyz().await.expect("a probe");
    assert!(!probe.ok && probe.text.contains("ring"), "{}", probe.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_is_idempotent_and_concurrent_acts_give_one_ring() {
    let mut cluster = Cluster::prepare(3).await;
    cluster.start_all();
    acquainted(&cluster, 3).await;
    let request = act(&["a1", "b1", "c1"]);
    let (first, second) = (cluster.client(0), cluster.client(1));
    let (left, right) = tokio::join!(first.bootstrap(&request), second.bootstrap(&request));
    let formed: Vec<String> = [left, right].into_iter().flatten().map(|response| response.cluster).collect();
    assert!(!formed.is_empty(), "neither act succeeded");
    cluster.bootstrap().await;
    cluster.settled().await;
    let again = cluster.client(2).bootstrap(&request).await.expect("idempotent");
    assert!(again.already, "{again:?}");
    assert!(formed.iter().all(|id| *id == again.cluster), "two rings: {formed:?} {again:?}");
    for index in 0..3 {
        let ring = cluster.client(index).ring().await.expect("a ring");
        assert_eq!((ring.cluster.as_deref(), ring.epoch), (Some(again.cluster.as_str()), 1));
    }
    let other = cluster.client(0).bootstrap(&act(&["a1", "b1"])).await.expect_err("another ring");
    let problem = other.problem().expect("a problem");
    assert!(problem.status == 409 && problem.detail.contains("c1"), "names the ring that stands: {problem:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_do_not_merge() {
    let mut first = Cluster::prepare(3).await;
    let mut second = first.sibling(3);
    for cluster in [&mut first, &mut second] {
        cluster.start_all();
        cluster.bootstrap().await;
        cluster.settled().await;
    }
    first.client(0).put(b"whose", "first".into(), &PutOptions::default()).await.expect("a write");
    second.client(0).put(b"whose", "second".into(), &PutOptions::default()).await.expect("a write");
    // One node of the second is told, wrongly, to join the first.
    second.kill(0);
    second.extra_flags = vec!["--join".to_owned(), first.nodes[0].address(7946)];
    second.start_node(0);
    second.settled().await;
    clock::sleep(Duration::from_secs(3)).await;
    for (cluster, value) in [(&first, "first"), (&second, "second")] {
        let own: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
        for index in 0..3 {
            let client = cluster.client(index);
            let members = client.nodes().await.expect("a view");
            let strangers: Vec<_> = members.iter().filter(|node| !own.contains(&node.name.as_str())).collect();
            assert!(strangers.is_empty(), "{} lists {strangers:?}", cluster.nodes[index].name);
            let found = client.get(b"whose", super::workload::options()).await.expect("a read").expect("a value");
            assert_eq!(found.value, value);
        }
    }
    let ids = [&first, &second].map(|cluster| cluster.client(0));
    let (one, other) = (ids[0].cluster().await.expect("a view"), ids[1].cluster().await.expect("a view"));
    assert_ne!(one.cluster, other.cluster);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_halves_cannot_both_form_a_ring() {
    let mut cluster = Cluster::prepare(3).await;
    cluster.start_all();
    acquainted(&cluster, 3).await;
    let (left, right) = (cluster.client(0), cluster.client(2));
    let (requests_left, requests_right) = (act(&["a1", "b1"]), act(&["b1", "c1"]));
    let (left, right) = tokio::join!(left.bootstrap(&requests_left), right.bootstrap(&requests_right));
    assert!(left.is_err() || right.is_err(), "b1 is in two rings: {left:?} {right:?}");
    let mut rings = Vec::new();
    for index in 0..3 {
        rings.extend(cluster.client(index).cluster().await.expect("a view").cluster);
    }
    rings.dedup();
    assert!(rings.len() <= 1, "{rings:?}");
}

/// The flags of a node on its own, on addresses that no other test uses.
fn single_flags(cluster: &Cluster, directory: &str) -> Vec<String> {
    let node = &cluster.nodes[0];
    let pairs = [
        ("--data-dir", cluster.directory().join(directory).display().to_string()),
        ("--listen-api", node.address(8080)),
        ("--listen-peer", node.address(7946)),
        ("--listen-gossip", node.address(7947)),
    ];
    pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

fn run(arguments: &[String]) -> Output {
    Command::new(binary()).args(arguments).output().expect("kvnode runs")
}

/// The command of the line that begins with this word, as a person would copy it.
fn printed_command(text: &str, word: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(word))?.trim();
    line.starts_with("curl ").then(|| line.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_node_prints_curl_lines_that_work() {
    let cluster = Cluster::prepare(1).await;
    let log = cluster.directory().join("single.log");
    let mut process = Process::start(&single_flags(&cluster, "single"), &log);
    let ((put, get), _) = eventually("the curl lines", PATIENCE, async || {
        let text = tail(&log);
        printed_command(&text, "put").zip(printed_command(&text, "get")).ok_or(text)
    })
    .await;
    for (line, expected) in [(put, ""), (get, "world")] {
        eventually(&line, PATIENCE, async || {
            let output = Command::new("sh").args(["-c", &line]).output().expect("sh runs");
            let reply = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() && reply == expected { Ok(()) } else { Err(reply) }
        })
        .await;
    }
    assert_private(&cluster.directory().join("single"));
    process.signal(Signal::SIGTERM);
    let status = process.ended_within(PATIENCE).await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", tail(&log));
}

/// Nothing under `folder`, nor itself, may be open to group or others where it is secret.
fn assert_private(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(folder).expect("it exists").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{} is open to others: {mode:o}", folder.display());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_flushes_and_exits_0() {
    let mut cluster = Cluster::start().await;
    cluster.client(1).put(b"kept", "value".into(), &PutOptions::default()).await.expect("a write");
    for node in &mut cluster.nodes {
        let mut process = node.process.take().expect("it runs");
        process.signal(Signal::SIGTERM);
        let status = process.ended_within(PATIENCE).await.expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", tail(&node.log()));
    }
    cluster.start_all();
    cluster.settled().await;
    let found = cluster.client(2).get(b"kept", super::workload::options()).await.expect("a read");
    assert_eq!(found.expect("a value").value, "value");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_config_reports_everything_with_its_place() {
    let cluster = Cluster::prepare(1).await;
    let file = cluster.directory().join("bad.toml");
    std::fs::write(&file, "name = \"UPPER\"\nlisten-api = \"nowhere\"\nnonsense = 1\n").expect("written");
    let output = run(&["check-config".to_owned(), "--config".to_owned(), file.display().to_string()]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for expected in ["bad.toml:1", "bad.toml:2", "bad.toml:3", "name", "listen-api", "nonsense", "data-dir"] {
        assert!(said.contains(expected), "{expected:?} is missing in:\n{said}");
    }
    let good = run(&[vec!["check-config".to_owned()], cluster.flags(0)].concat());
    let said = String::from_utf8_lossy(&good.stderr).into_owned();
    assert_eq!(good.status.code(), Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_one_folder_is_told_who_has_it() {
    let mut cluster = Cluster::prepare(1).await;
    cluster.start_node(0);
    cluster.bootstrap().await;
    let other = cluster.sibling(1);
    let mut flags = cluster.flags(0);
    for port in [8080, 7946, 7947] {
        let (taken, free) = (cluster.nodes[0].address(port), other.nodes[0].address(port));
        flags.iter_mut().filter(|flag| **flag == taken).for_each(|flag| flag.clone_from(&free));
    }
    let log = cluster.directory().join("second.log");
    let mut second = Process::start(&flags, &log);
    let status = second.ended_within(PATIENCE).await.expect("it gives up");
    let said = tail(&log);
    assert!(!status.success(), "{said}");
    let folder = cluster.nodes[0].directory.join("data").display().to_string();
    assert!(said.contains(&folder) && said.contains("in use"), "names the folder: {said}");
    cluster.client(0).put(b"still", "there".into(), &PutOptions::default()).await.expect("the first goes on");
}
