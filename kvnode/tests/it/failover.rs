//! Losing one node costs its neighbours' clients nothing; losing two stops quorums honestly and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kvnode::api::types::{NodeState, Outcome};
use kvnode::client::{Consistency, Error, Options, PutOptions};
use kvnode::runtime::clock;
use kvnode::runtime::tasks::Tasks;
use nix::sys::signal::Signal;
use tokio::sync::mpsc;

use super::cluster::{Cluster, PATIENCE, eventually};
use super::workload::{Stop, Writer, Written, options, verify};

/// Writers per remaining node.
const WRITERS: usize = 4;
/// Longest silence a client of a remaining node may see: generous, for a machine shared with other builds.
const LONGEST_GAP: Duration = Duration::from_secs(2);

fn one() -> Options {
    Options { consistency: Some(Consistency::One), ..options() }
}

/// Starts writers on nodes 0 and 1; what they report comes out when they are told to stop.
fn start_writers(cluster: &Cluster, stop: &Stop, tasks: &Tasks, count: &Arc<AtomicUsize>) -> mpsc::Receiver<Written> {
    let (report, reports) = mpsc::channel(2 * WRITERS);
    for number in 0..2 * WRITERS {
        let writer = Writer {
            client: cluster.client(number % 2),
            prefix: format!("w{number}"),
            value_bytes: 100,
            stop: stop.clone(),
            count: Arc::clone(count),
        };
        let report = report.clone();
        tasks.spawn_to_end("writer", async move { drop(report.send(writer.run().await).await) });
    }
    reports
}

async fn more_acks(count: &AtomicUsize, more: usize) {
    let goal = count.load(Ordering::Relaxed) + more;
    eventually("acknowledgements", PATIENCE, async || {
        let acks = count.load(Ordering::Relaxed);
        if acks >= goal { Ok(()) } else { Err(format!("{acks} of {goal}")) }
    })
    .await;
}

/// Waits until nobody holds hints for anyone.
async fn hints_delivered(cluster: &Cluster) {
    for index in cluster.running() {
        let client = cluster.client(index);
        eventually("hints to be delivered", PATIENCE, async || {
            let document = client.cluster().await.map_err(|error| error.to_string())?;
            let left: u64 = document.this_node.hints.values().sum();
            if left == 0 && document.this_node.dirty.is_empty() { Ok(()) } else { Err(format!("{left} hints left")) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_not_missed_and_catches_up() {
    let mut cluster = Cluster::start().await;
    let (stop, tasks, count) = (Stop::default(), Tasks::new(), Arc::new(AtomicUsize::new(0)));
    let mut reports = start_writers(&cluster, &stop, &tasks, &count);
    more_acks(&count, 500).await;
    cluster.kill(2);
    more_acks(&count, 2_000).await;
    cluster.start_node(2);
    cluster.settled().await;
    more_acks(&count, 500).await;
    stop.now();
    let mut expected = Vec::new();
    while let Some(written) = reports.recv().await {
        assert_eq!(written.failed_twice, 0, "a retry failed too: {:?}", written.errors);
        assert!(written.errors.len() <= 1, "more errors than requests in flight: {:?}", written.errors);
        assert!(written.longest_gap < LONGEST_GAP, "silence of {:?}", written.longest_gap);
        expected.extend(written.acknowledged);
    }
    hints_delivered(&cluster).await;
    // From the returned node's own disk: it missed most of these.
    let wrong = verify(&cluster.client(2), &expected, one()).await;
    assert!(wrong.is_empty(), "{} of {} are not level: {:?}", wrong.len(), expected.len(), wrong.first());
}

/// A quorum operation on a cluster without quorum.
fn assert_refused(what: &str, result: Result<(), Error>, took: Duration, limit: Duration) {
    let error = result.expect_err(what);
    let problem = error.problem().unwrap_or_else(|| panic!("{what}: {error}"));
    assert_eq!((problem.status, problem.outcome), (503, Outcome::NotApplied), "{what}: {problem:?}");
    assert!(took <= limit, "{what} took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_nodes_dead_quorums_refuse_and_single_reads_work() {
    let mut cluster = Cluster::start().await;
    let client = cluster.client(0);
    let mut expected = Vec::new();
    for number in 0..200 {
        let (key, value) = (format!("before-{number}"), format!("value-{number}"));
        client.put(key.as_bytes(), value.clone().into(), &PutOptions::default()).await.expect("three nodes");
        expected.push((key, Some(value)));
    }
    cluster.kill(1);
    cluster.kill(2);
    // At once, while they count as alive, and later, when they are known to be dead.
    for wait in [Duration::ZERO, Duration::from_secs(8)] {
        clock::sleep(wait).await;
        let limit = Duration::from_millis(1_000);
        let bounded = Options { consistency: None, timeout: Some(limit) };
        let start = clock::monotonic_now();
        let read = client.get(b"before-1", bounded).await.map(|_| ());
        assert_refused("a quorum read", read, start.elapsed(), limit + Duration::from_millis(250));
        let start = clock::monotonic_now();
        let put = PutOptions { options: bounded, ..PutOptions::default() };
        let written = client.put(b"during", "x".into(), &put).await.map(|_| ());
        assert_refused("a quorum write", written, start.elapsed(), limit + Duration::from_millis(250));
        let wrong = verify(&client, &expected, one()).await;
        assert!(wrong.is_empty(), "single reads: {wrong:?}");
    }
    cluster.start_node(1);
    eventually("writes to work again", PATIENCE, async || {
        let put = client.put(b"after", "y".into(), &PutOptions::default()).await;
        put.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    expected.push(("after".to_owned(), Some("y".to_owned())));
    expected.push(("during".to_owned(), None));
    for index in 0..2 {
        let wrong = verify(&cluster.client(index), &expected, options()).await;
        assert!(wrong.is_empty(), "missing after the return: {wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_node_answers_its_clients_and_stays_a_replica_until_then() {
    let mut cluster = Cluster::start().await;
    // A paused node keeps a write of all replicas waiting, and leaves the other two to make every quorum.
    cluster.pause(2);
    let client = cluster.client(1);
    let (tasks, (done, waiting)) = (Tasks::new(), tokio::sync::oneshot::channel());
    tasks.spawn_to_end("waiting write", async move {
        let options = Options { consistency: Some(Consistency::All), timeout: Some(Duration::from_secs(3)) };
        let put = PutOptions { options, ..PutOptions::default() };
        drop(done.send(client.put(b"waiting", "x".into(), &put).await));
    });
    eventually("the write to be under way", PATIENCE, async || {
        let found = cluster.client(0).get(b"waiting", one()).await;
        if matches!(found, Ok(Some(_))) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    let mut stopping = cluster.nodes[1].process.take().expect("it runs");
    stopping.signal(Signal::SIGTERM);
    eventually("the drain to be told", PATIENCE, async || match cluster.state_seen(0, "b1").await {
        Some(NodeState::Draining) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    cluster.client(0).put(b"meanwhile", "y".into(), &PutOptions::default()).await.expect("two replicas still answer");
    let answer = waiting.await.expect("sent").expect_err("one replica is paused");
    assert_eq!(answer.problem().map(|problem| problem.outcome), Some(Outcome::Unknown), "{answer}");
    assert!(stopping.ended_within(PATIENCE).await.is_some_and(|status| status.success()));
}
