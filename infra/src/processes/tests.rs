//! The plan's laws, over every combination of observations, and the text people read.

use proptest::prelude::*;

use super::*;
use crate::topology::Draft;

fn desired() -> Topology {
    Topology::parse(Draft::default()).expect("the default can be built")
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a name")
}

fn running(pid: u32, seconds: u64, health: Health) -> Observed {
    Observed::Running { pid, age: Duration::from_secs(seconds), health, drift: Vec::new() }
}

fn seen(formed: bool, nodes: [Observed; 3]) -> Observation {
    Observation { nodes: ["a1", "b1", "c1"].map(name).into_iter().zip(nodes).collect(), formed }
}

#[test]
fn a_first_start_starts_all_and_forms_the_ring() {
    let plan = Plan::between(&desired(), &seen(false, [Observed::Absent, Observed::Absent, Observed::Absent]));
    insta::assert_snapshot!(plan, @r"
    CHANGES  3 to start, 0 to restart, 0 to adopt, 0 to await; the ring is to be formed
      start    a1  zone a  it was never started
      start    b1  zone b  it was never started
      start    c1  zone c  it was never started
    ");
}

#[test]
fn each_kind_of_trouble_has_its_step() {
    let foreign = Observed::ForeignPid { pid: 7, program: "sshd".to_owned() };
    let plan =
        Plan::between(&desired(), &seen(true, [Observed::Died { pid: 41 }, foreign, Observed::Unrecorded { pid: 9 }]));
    insta::assert_snapshot!(plan, @r"
    CHANGES  2 to start, 0 to restart, 1 to adopt, 0 to await
      start    a1  zone a  its process 41 is gone
      start    b1  zone b  it is not running; pid 7 is sshd now and is left alone
      adopt    c1  zone c  pid 9 runs it without a pid file
    ");
    let failing = Health::Failing { why: "committer stuck".to_owned() };
    let nodes = [running(1, 5, failing), running(2, 5, Health::Silent), running(3, 90, Health::Silent)];
    insta::assert_snapshot!(Plan::between(&desired(), &seen(true, nodes)), @r"
    CHANGES  0 to start, 2 to restart, 0 to adopt, 1 to await
      restart  a1  zone a  pid 1 cannot go on: committer stuck (requests in flight through it are cut off)
      await    b1  zone b  pid 2 was started and does not answer yet
      restart  c1  zone c  pid 3 has not answered; it runs since 90 s (requests in flight through it are cut off)
    ");
}

#[test]
fn what_is_not_seen_or_not_wanted_blocks() {
    let mut observation = seen(true, [Observed::Absent, Observed::Stopped, Observed::Stopped]);
    observation.nodes.insert(name("d1"), Observed::Stopped);
    observation.nodes.remove(&name("c1"));
    insta::assert_snapshot!(Plan::between(&desired(), &observation), @r"
    BLOCKED  nothing may be done, for 3 reasons
      a1 is new, but the ring is already formed; a node joins a cluster only by an explicit act on the ring
      c1 could not be looked at: nobody looked
      d1 exists but is not wanted; a node leaves a cluster only by an explicit act on the ring
      start    b1  zone b  it is stopped
    ");
}

fn any_observed() -> impl Strategy<Value = Observed> {
    let health = prop_oneof![
        Just(Health::Ready),
        Just(Health::NotReady { why: "starting".to_owned() }),
        Just(Health::Failing { why: "stuck".to_owned() }),
        Just(Health::Silent),
    ];
    let drift = proptest::collection::vec(Just("api port".to_owned()), 0..2);
    prop_oneof![
        Just(Observed::Absent),
        Just(Observed::Stopped),
        (1..9_u32).prop_map(|pid| Observed::Died { pid }),
        (1..9_u32).prop_map(|pid| Observed::ForeignPid { pid, program: "vi".to_owned() }),
        (1..9_u32).prop_map(|pid| Observed::Unrecorded { pid }),
        Just(Observed::NotSeen { why: "permission denied".to_owned() }),
        (1..9_u32, 0..120_u64, health, drift).prop_map(|(pid, age, health, drift)| Observed::Running {
            pid,
            age: Duration::from_secs(age),
            health,
            drift,
        }),
    ]
}

/// What the world looks like after a plan was carried out.
fn carried_out(plan: &Plan) -> Observation {
    let nodes = plan.steps.iter().map(|step| (step.node.clone(), running(1, 1, Health::Ready))).collect();
    Observation { nodes, formed: true }
}

proptest! {
    #[test]
    fn every_node_is_decided_or_blocks(nodes in proptest::collection::vec(any_observed(), 3), formed: bool) {
        let nodes: [Observed; 3] = nodes.try_into().expect("three");
        let plan = Plan::between(&desired(), &seen(formed, nodes));
        prop_assert_eq!(plan.steps.len() + plan.blockers.len(), 3);
        prop_assert!(plan.steps.iter().all(|step| !step.because.is_empty()));
    }

    #[test]
    fn only_a_process_known_as_ours_is_ever_stopped(nodes in proptest::collection::vec(any_observed(), 3)) {
        let nodes: [Observed; 3] = nodes.try_into().expect("three");
        let observation = seen(true, nodes);
        for step in &Plan::between(&desired(), &observation).steps {
            if let Action::Restart { pid } = step.action {
                let ours = matches!(observation.nodes[&step.node], Observed::Running { pid: seen, .. } if seen == pid);
                prop_assert!(ours);
            }
        }
    }

    #[test]
    fn a_carried_out_plan_leaves_nothing_to_do(nodes in proptest::collection::vec(any_observed(), 3), formed: bool) {
        let nodes: [Observed; 3] = nodes.try_into().expect("three");
        let plan = Plan::between(&desired(), &seen(formed, nodes));
        if plan.blockers.is_empty() {
            prop_assert!(Plan::between(&desired(), &carried_out(&plan)).is_empty());
        } else {
            prop_assert!(!plan.is_empty());
        }
    }
}
