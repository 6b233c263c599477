//! Failure detection as operators see it: deaths are found, returns are noticed, and load kills nobody.
//!
//! The soak is short by default; `KVSTORE_SOAK_SECONDS=600` makes it the ten minutes that the promise speaks of.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use kvnode::api::types::NodeState;
use kvnode::runtime::clock;
use kvnode::runtime::tasks::Tasks;

use super::cluster::{Cluster, PATIENCE, eventually};
use super::workload::{Stop, Writer};

/// From the kill to "dead" on all others.
const DEATH_LIMIT: Duration = Duration::from_secs(10);
/// From the start of the process, or SIGCONT, to "alive" on all.
const RETURN_LIMIT: Duration = Duration::from_secs(3);

/// Waits until all of `by` see `name` in that state; fails after `limit`.
async fn seen_as(cluster: &Cluster, by: &[usize], name: &str, state: NodeState, limit: Duration) -> Duration {
    let what = format!("{name} to be {state:?} for all others");
    let ((), took) = eventually(&what, limit, async || {
        for &index in by {
            let seen = cluster.state_seen(index, name).await;
            if seen != Some(state) {
                return Err(format!("{} sees {seen:?}", cluster.nodes[index].name));
            }
        }
        Ok(())
    })
    .await;
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_dead_within_10_s_and_alive_3_s_after_its_return() {
    let mut cluster = Cluster::start().await;
    for victim in 0..3 {
        let name = cluster.nodes[victim].name.clone();
        let others: Vec<usize> = (0..3).filter(|&index| index != victim).collect();
        cluster.kill(victim);
        seen_as(&cluster, &others, &name, NodeState::Dead, DEATH_LIMIT).await;
        cluster.start_node(victim);
        seen_as(&cluster, &others, &name, NodeState::Alive, RETURN_LIMIT).await;
        for index in others {
            let other = cluster.nodes[index].name.clone();
            seen_as(&cluster, &[victim], &other, NodeState::Alive, RETURN_LIMIT).await;
        }
        cluster.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_is_dead_until_it_goes_on_and_refutes() {
    let mut cluster = Cluster::start().await;
    cluster.pause(2);
    let name = cluster.nodes[2].name.clone();
    seen_as(&cluster, &[0, 1], &name, NodeState::Dead, DEATH_LIMIT).await;
    cluster.resume(2);
    seen_as(&cluster, &[0, 1, 2], &name, NodeState::Alive, RETURN_LIMIT).await;
}

fn soak() -> Duration {
    let seconds = std::env::var("KVSTORE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(20))
}

/// Who counts as gone, by each node's view. A suspicion is no fault: it is there to be refuted.
async fn given_up(cluster: &Cluster) -> Vec<String> {
    let mut found = Vec::new();
    for index in 0..cluster.nodes.len() {
        // A view that does not come in time is no verdict about a member.
        let Ok(nodes) = cluster.client(index).nodes().await else { continue };
        let dead = nodes.iter().filter(|node| matches!(node.state, NodeState::Dead | NodeState::Left));
        found.extend(dead.map(|node| format!("{} sees {} {:?}", cluster.nodes[index].name, node.name, node.state)));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_kills_nobody() {
    let cluster = Cluster::start().await;
    let (stop, tasks) = (Stop::default(), Tasks::new());
    for number in 0..32 {
        let writer = Writer {
            client: cluster.client(number % 3),
            prefix: format!("soak-{number}"),
            value_bytes: 1000,
            stop: stop.clone(),
            count: Arc::new(AtomicUsize::new(0)),
        };
        tasks.spawn_to_end("writer", async move { drop(writer.run().await) });
    }
    let end = clock::monotonic_now() + soak();
    while clock::monotonic_now() < end {
        let found = given_up(&cluster).await;
        assert!(found.is_empty(), "a false death: {found:?}");
        clock::sleep(Duration::from_millis(100)).await;
    }
    stop.now();
    assert_eq!(tasks.shutdown(clock::monotonic_now() + PATIENCE).await, 0);
    // A death between two looks shows in the counters.
    for index in 0..3 {
        assert_eq!(deaths_confirmed(&cluster, index).await, 0.0, "by {}", cluster.nodes[index].name);
    }
}

/// Members that this node declared dead since it started.
async fn deaths_confirmed(cluster: &Cluster, index: usize) -> f64 {
    let text = cluster.client(index).metrics().await.expect("metrics");
    let line = text.lines().find(|line| line.starts_with("kvnode_gossip_") && line.contains("\"confirmed\""));
    let value = line.and_then(|line| line.rsplit(' ').next()).expect("a counter of confirmed suspicions");
    value.parse().expect("a number")
}
