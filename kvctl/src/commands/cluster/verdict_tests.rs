//! Verdicts over the states a cluster gets into, as people read them.

use std::time::Duration;

use kvnode::api::types::{PartitionCounts, PartitionDocument, PartitionStatus};

use super::*;

fn ready() -> Observed {
    running(Health::Ready)
}

fn running(health: Health) -> Observed {
    Observed::Running { pid: 7, age: Duration::from_secs(60), health, drift: Vec::new() }
}

fn facts(observed: [Observed; 3]) -> Facts {
    let names = ["a1", "b1", "c1"];
    let nodes = names.iter().zip(observed).map(|(name, observed)| NodeFacts {
        name: (*name).to_owned(),
        observed,
        believed: None,
        epoch: Some(1),
    });
    let replicas = names.map(str::to_owned).to_vec();
    let partition =
        |partition| PartitionDocument { partition, replicas: replicas.clone(), alive: 3, status: PartitionStatus::Ok };
    let partitions = PartitionsDocument {
        epoch: 1,
        replicas: 3,
        quorum: 2,
        counts: PartitionCounts::default(),
        partitions: (0..256).map(partition).collect(),
    };
    Facts { cluster: "local".to_owned(), replicas: 3, nodes: nodes.collect(), partitions: Some(partitions) }
}

fn told(facts: &Facts) -> String {
    let judgement = judge(facts);
    let states: Vec<_> = facts.nodes.iter().map(NodeFacts::state).collect();
    format!("{}  {}\n{}", judgement.verdict.word(), headline(facts, &judgement), states.join(" "))
}

#[test]
fn a_whole_cluster_is_healthy() {
    insta::assert_snapshot!(told(&facts([ready(), ready(), ready()])), @r"
    HEALTHY  local: 3 of 3 nodes, epoch 1, every partition has 3 of 3 replicas
    alive alive alive
    ");
}

#[test]
fn one_death_degrades_and_says_what_is_next() {
    let mut facts = facts([Observed::Died { pid: 41 }, ready(), ready()]);
    insta::assert_snapshot!(told(&facts), @r"
    DEGRADED  local: a1 is dead (its process 41 is gone); reads and writes go on; one more failure would stop 256 of 256 partitions
    dead alive alive
    ");
    facts.nodes[0].believed =
        Some(Belief { state: NodeState::Dead, seconds: 3, by: vec!["b1".to_owned(), "c1".to_owned()] });
    insta::assert_snapshot!(told(&facts), @r"
    DEGRADED  local: a1 is dead (b1 and c1 agree, 3s ago); reads and writes go on; one more failure would stop 256 of 256 partitions
    dead alive alive
    ");
}

#[test]
fn two_deaths_stop_the_quorum() {
    insta::assert_snapshot!(told(&facts([Observed::Died { pid: 41 }, Observed::Stopped, ready()])), @r"
    UNAVAILABLE  local: a1 is dead (its process 41 is gone); b1 is stopped; 256 of 256 partitions have no quorum
    dead stopped alive
    ");
}

#[test]
fn all_stopped_is_not_a_failure() {
    let stopped = facts([Observed::Stopped, Observed::Stopped, Observed::Stopped]);
    insta::assert_snapshot!(told(&stopped), @r"
    STOPPED  local: every node is stopped, the data is kept; start: kvctl cluster up
    stopped stopped stopped
    ");
}

#[test]
fn silence_is_not_certainty() {
    let silent = Facts {
        partitions: None,
        ..facts([running(Health::Silent), running(Health::Silent), Observed::Died { pid: 9 }])
    };
    insta::assert_snapshot!(told(&silent), @r"
    UNAVAILABLE  local: a1 (pid 7) does not answer; b1 (pid 7) does not answer; c1 is dead (its process 9 is gone) (not certain: too few nodes could be asked)
    silent silent dead
    ");
    assert!(!judge(&silent).certain);
}

#[test]
fn a_doubted_node_and_split_epochs_are_told() {
    let mut facts = facts([ready(), ready(), running(Health::NotReady { why: "ring failed".to_owned() })]);
    facts.nodes[1].believed = Some(Belief { state: NodeState::Suspect, seconds: 1, by: vec!["a1".to_owned()] });
    facts.nodes[0].epoch = Some(2);
    insta::assert_snapshot!(told(&facts), @r"
    DEGRADED  local: b1 answers, but is suspect to a1; c1 is not ready: ring failed; the nodes are at different epochs: [1, 2]; reads and writes go on; one more failure would stop 256 of 256 partitions
    alive suspect starting
    ");
}
