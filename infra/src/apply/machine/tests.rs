//! Order, number and end of what a machine runs, with plans and answers made by hand.

use std::time::Duration;

use super::*;
use crate::plan::{Risk, Step};
use crate::provider::Failure;
use crate::resource::{ElasticIp, Resource, Spec, Tags};

const NOW: Duration = Duration::ZERO;

fn resource(role: &str) -> Resource {
    Resource {
        key: Key::new(Kind::ElasticIp, role),
        name: format!("kvstore-dev-eip-{role}"),
        tags: Tags::new(),
        spec: Spec::ElasticIp(ElasticIp {}),
        needs: Vec::new(),
    }
}

/// A plan that creates addresses; each step with what it comes after.
fn plan(steps: &[&[StepId]]) -> Plan {
    let steps = steps.iter().enumerate().map(|(at, after)| {
        let resource = resource(&at.to_string());
        Step {
            key: resource.key.clone(),
            name: resource.name.clone(),
            action: Action::Create { resource },
            because: String::new(),
            risk: Risk::Safe,
            after: after.iter().copied().collect(),
        }
    });
    Plan {
        format: FORMAT,
        cluster: "kvstore-dev".to_owned(),
        basis: String::new(),
        steps: steps.collect(),
        ids: Vec::new(),
        blockers: Vec::new(),
        notes: Vec::new(),
    }
}

fn machine(plan: &Plan) -> Machine<'_> {
    Machine::new(plan, "nonce", 1, None, Limits::default()).expect("it can be carried out")
}

fn failure(class: Class) -> Failure {
    Failure { action: "ec2:AllocateAddress".into(), code: "code".into(), message: "message".into(), class }
}

/// Answers a command as a cloud without faults does.
fn good(command: &Command) -> Answer {
    match &command.operation {
        Operation::Create { .. } => Answer::Made(Ok(format!("eip-{}", command.step))),
        Operation::Find => Answer::Found(Ok(Vec::new())),
        Operation::Configure { .. } => Answer::Configured(Ok(())),
        Operation::Look { .. } => Answer::Seen(Ok(Condition::Ready)),
        Operation::Delete { .. } => Answer::Deleted(Ok(())),
        Operation::Holders { .. } => Answer::Held(Ok(Vec::new())),
    }
}

/// Runs until nothing is left at this moment.
fn settle(machine: &mut Machine<'_>, now: Duration) {
    loop {
        let commands = machine.poll(now);
        if commands.is_empty() {
            return;
        }
        commands.iter().for_each(|command| machine.finished(command.step, now, good(command)));
    }
}

#[test]
fn steps_start_when_what_they_come_after_is_done() {
    let plan = plan(&[&[], &[0], &[0], &[1, 2]]);
    let mut machine = machine(&plan);
    let first = machine.poll(NOW);
    assert_eq!(first.iter().map(|command| command.step).collect::<Vec<_>>(), [0]);
    settle_one(&mut machine, &first[0]);
    let second = machine.poll(NOW);
    assert_eq!(second.iter().map(|command| command.step).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(second[0].ids.get(&Key::new(Kind::ElasticIp, "0")).map(String::as_str), Some("eip-0"));
    second.iter().for_each(|command| machine.finished(command.step, NOW, good(command)));
    settle(&mut machine, NOW);
    assert!(machine.is_over());
    let outcome = machine.into_outcome();
    assert!(outcome.is_complete());
    assert_eq!(outcome.done.last(), Some(&3));
    assert_eq!(outcome.ids.len(), 4);
}

/// Brings one step from its creation to its end.
fn settle_one(machine: &mut Machine<'_>, create: &Command) {
    machine.finished(create.step, NOW, good(create));
    for _ in 0..2 {
        let commands = machine.poll(NOW);
        assert_eq!(commands.len(), 1);
        machine.finished(commands[0].step, NOW, good(&commands[0]));
    }
}

#[test]
fn no_more_than_the_limit_at_once_and_fewer_while_throttled() {
    let plan = plan(&[&[] as &[StepId]; 40]);
    let mut machine = machine(&plan);
    let first = machine.poll(NOW);
    assert_eq!(first.len(), 16);
    assert!(machine.poll(NOW).is_empty());
    for command in &first {
        machine.finished(command.step, NOW, Answer::Made(Err(failure(Class::Throttled))));
    }
    assert_eq!(machine.poll(NOW).len(), 1);
}

#[test]
fn the_first_failure_stops_what_is_new_and_ends_what_is_begun() {
    let plan = plan(&[&[], &[], &[1]]);
    let mut machine = machine(&plan);
    let commands = machine.poll(NOW);
    assert_eq!(commands.len(), 2);
    machine.finished(0, NOW, Answer::Made(Err(failure(Class::Denied))));
    // The other one is made by now: it is also configured, but not waited for.
    machine.finished(1, NOW, good(&commands[1]));
    let next = machine.poll(NOW);
    assert_eq!(next.len(), 1);
    assert!(matches!(next[0].operation, Operation::Configure { .. }));
    machine.finished(1, NOW, good(&next[0]));
    assert!(machine.poll(NOW).is_empty());
    assert!(machine.is_over());
    let outcome = machine.into_outcome();
    assert_eq!((outcome.left, outcome.not_started), (vec![1], vec![2]));
    assert!(matches!(outcome.failed[0].reason, Reason::Denied { .. }));
    assert_eq!(outcome.ids.get(&Key::new(Kind::ElasticIp, "1")).map(String::as_str), Some("eip-1"));
}

#[test]
fn an_interruption_and_a_deadline_start_nothing_new() {
    let plan = plan(&[&[], &[0]]);
    for late in [false, true] {
        let deadline = late.then(|| Duration::from_secs(5));
        let mut machine = Machine::new(&plan, "nonce", 1, deadline, Limits::default()).expect("fine");
        let commands = machine.poll(NOW);
        if late {
            assert_eq!(machine.wake(), deadline);
        } else {
            machine.interrupt(NOW);
        }
        let now = Duration::from_secs(6);
        assert!(machine.poll(now).is_empty());
        machine.finished(0, now, good(&commands[0]));
        settle(&mut machine, now);
        let outcome = machine.into_outcome();
        assert_eq!((outcome.interrupted, outcome.late), (!late, late));
        assert_eq!((outcome.left, outcome.not_started), (vec![0], vec![1]));
    }
}

#[test]
fn after_an_unknown_outcome_what_is_found_is_used_and_nothing_is_made_again() {
    let plan = plan(&[&[]]);
    let mut machine = machine(&plan);
    let create = machine.poll(NOW);
    machine.finished(0, NOW, Answer::Made(Err(failure(Class::Unknown))));
    let find = machine.poll(NOW);
    assert_eq!(find[0].operation, Operation::Find);
    machine.finished(0, NOW, Answer::Found(Ok(Vec::new())));
    let wake = machine.wake().expect("it looks again");
    let find = machine.poll(wake);
    assert_eq!(find[0].operation, Operation::Find);
    machine.finished(0, wake, Answer::Found(Ok(vec!["eip-9".to_owned(), "eip-7".to_owned()])));
    let next = machine.poll(wake);
    assert_eq!(next[0].operation, Operation::Configure { id: "eip-7".to_owned(), fresh: true });
    assert!(matches!(&create[0].operation, Operation::Create { token } if token.len() == 32));
}

#[test]
fn nothing_found_for_long_enough_means_to_make_it_again_with_the_same_token() {
    let plan = plan(&[&[]]);
    let mut machine = machine(&plan);
    let first = machine.poll(NOW);
    machine.finished(0, NOW, Answer::Made(Err(failure(Class::Unknown))));
    let mut now = NOW;
    loop {
        let commands = machine.poll(now);
        match commands.first().map(|command| &command.operation) {
            Some(Operation::Find) => machine.finished(0, now, Answer::Found(Ok(Vec::new()))),
            Some(other) => {
                assert_eq!(*other, first[0].operation);
                break;
            }
            None => now = machine.wake().expect("it goes on"),
        }
    }
    assert!(now >= Limits::default().dwell, "{now:?}");
}

#[test]
fn a_damaged_or_forbidden_plan_is_refused() {
    let order = plan(&[&[1], &[]]);
    assert_eq!(refusal(&order), NotApplicable::Order { step: 0, after: 1 });
    let format = Plan { format: FORMAT + 1, ..plan(&[]) };
    assert_eq!(refusal(&format), NotApplicable::Format { format: FORMAT + 1 });
    let mut blocked = plan(&[&[]]);
    blocked.blockers.push(crate::plan::Blocker::OtherWriter { id: "vpc-1".into(), writer: "terraform".into() });
    assert!(matches!(refusal(&blocked), NotApplicable::Blocked { count: 1, .. }));
}

fn refusal(plan: &Plan) -> NotApplicable {
    Machine::new(plan, "nonce", 1, None, Limits::default()).expect_err("it is refused")
}

#[test]
fn events_tell_a_story_in_json() {
    let plan = plan(&[&[]]);
    let mut machine = machine(&plan);
    settle(&mut machine, NOW);
    let lines: Vec<String> =
        machine.events().iter().map(|event| serde_json::to_string(event).expect("plain data")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"at_ms":0,"step":0,"key":{"kind":"elastic_ip","role":"0"},"name":"kvstore-dev-eip-0","verb":"create","event":"started"}
    {"at_ms":0,"step":0,"key":{"kind":"elastic_ip","role":"0"},"name":"kvstore-dev-eip-0","verb":"create","event":"done","id":"eip-0","took_ms":0}
    {"at_ms":0,"event":"summary","done":1,"failed":0,"left":0,"not_started":0,"interrupted":false,"took_ms":0}
    "#);
}

#[test]
fn disks_have_the_same_token_in_every_run_of_a_lineage() {
    let plan = Plan::between(&[], &crate::observed::Observed::default());
    let nonces = |run: &str, lineage: &str, kind| {
        let machine = Machine::new(&plan, run, 1, None, Limits::default()).expect("an empty plan");
        machine.with_lineage(lineage).nonce_of(kind).to_owned()
    };
    for (kind, of_run, of_lineage) in [(Kind::Volume, false, true), (Kind::Instance, true, false)] {
        assert_eq!(nonces("a", "x", kind) != nonces("b", "x", kind), of_run, "{kind}");
        assert_eq!(nonces("a", "x", kind) != nonces("a", "y", kind), of_lineage, "{kind}");
    }
}
