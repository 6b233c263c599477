//! No acknowledged write is lost when every node is killed at once, twenty times over.
//!
//! `kill -9` leaves the page cache, so this shows that nothing is acknowledged from a process's memory; what a power
//! cut takes is tested at the store, where unsynced bytes can be dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kvnode::client::Options;
use kvnode::runtime::clock;
use kvnode::runtime::tasks::Tasks;
use tokio::sync::mpsc;

use super::cluster::{Cluster, PATIENCE, eventually};
use super::workload::{Stop, Writer, Written, options, verify};

const ROUNDS: usize = 20;
const CLIENTS: usize = 12;
/// Acknowledgements that each round waits for before it kills.
const ACKS_PER_ROUND: usize = 1_000;

/// Writes through all nodes until enough is acknowledged, and kills every node under the load.
async fn round(cluster: &mut Cluster, round: usize) -> Written {
    let (stop, tasks, count) = (Stop::default(), Tasks::new(), Arc::new(AtomicUsize::new(0)));
    let (report, mut reports) = mpsc::channel(CLIENTS);
    for number in 0..CLIENTS {
        let client = cluster.client(number % cluster.nodes.len());
        let prefix = format!("r{round}-c{number}");
        let writer = Writer { client, prefix, value_bytes: 200, stop: stop.clone(), count: Arc::clone(&count) };
        let report = report.clone();
        tasks.spawn_to_end("writer", async move { drop(report.send(writer.run().await).await) });
    }
    drop(report);
    eventually("enough acknowledgements", PATIENCE, async || {
        let acks = count.load(Ordering::Relaxed);
        if acks >= ACKS_PER_ROUND { Ok(()) } else { Err(format!("{acks} so far")) }
    })
    .await;
    // A different moment of the load in each round.
    clock::sleep(Duration::from_millis(rand::random_range(0..50))).await;
    cluster.kill_all();
    stop.now();
    let mut all = Written::default();
    while let Some(written) = reports.recv().await {
        all.acks += written.acks;
        all.acknowledged.extend(written.acknowledged);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_twenty_kills_of_all_nodes() {
    let mut cluster = Cluster::start().await;
    let (mut expected, mut acks) = (Vec::new(), 0);
    for number in 0..ROUNDS {
        let written = round(&mut cluster, number).await;
        acks += written.acks;
        cluster.start_all();
        cluster.settled().await;
        let wrong = verify(&cluster.client(number % 3), &written.acknowledged, options()).await;
        assert!(wrong.is_empty(), "round {number} lost {} of {}: {:?}", wrong.len(), written.acks, wrong.first());
        expected.extend(written.acknowledged);
    }
    println!("{acks} acknowledged writes over {ROUNDS} kills of all nodes");
    assert!(acks >= 20_000, "only {acks} acknowledged writes");
    let wrong = verify(&cluster.client(0), &expected, Options::default()).await;
    assert!(wrong.is_empty(), "lost later: {} of {acks}: {:?}", wrong.len(), wrong.first());
}
