//! The whole engine against the fake cloud, in made-up time: observe, plan, carry out, again, under seeded faults.
//!
//! A failing case prints one line with the function and the seed that replay it. Time passes as fast as the machine
//! can compute: a run of ten minutes takes about a millisecond. The driver's futures are not in it (`drive` has its
//! own tests), everything that decides is.

mod faults;
mod measures;
mod sweep;

use std::collections::BTreeMap;
use std::time::Duration;

use super::progress::resource;
use super::{Answer, Command, Limits, Machine, Operation, Outcome};
use crate::desired::{Inputs, resources};
use crate::network::{Draft, Network};
use crate::plan::Plan;
use crate::provider::fake::{Chance, Faults, Thing, World};
use crate::resource::{CLUSTER_TAG, Identity, Kind, ROLE_TAG, Resource, Spec, Tags, Vpc};

const CLUSTER: &str = "kvstore-dev";
/// Rounds of observing, planning and applying after which a case counts as one that does not converge.
const MOST_ROUNDS: u32 = 40;

/// Everything that the reference network is made of.
fn reference() -> Vec<Resource> {
    let network = Network::parse(Draft::default()).expect("the default can be built");
    resources(&network, &Inputs { account: "123456789012".to_owned(), artifact_sha256: "ab".repeat(32) })
}

/// How a run ended.
enum End {
    Over(Outcome),
    Killed,
}

/// One case: a world, what is wanted of it, and the runs.
struct Case {
    world: World,
    wanted: Vec<Resource>,
    limits: Limits,
    chance: Chance,
    runs: u32,
    /// Operations run so far, over all runs.
    operations: u64,
    /// The operation before which the engine is killed, once.
    kill_before: Option<u64>,
    outcomes: Vec<Outcome>,
}

impl Case {
    fn new(seed: u64, faults: Faults) -> Self {
        let mut world = World::new(seed, faults);
        strangers().into_iter().for_each(|thing| world.put(thing));
        Self {
            world,
            wanted: reference(),
            limits: Limits::default(),
            chance: Chance::new(!seed),
            runs: 0,
            operations: 0,
            kill_before: None,
            outcomes: Vec::new(),
        }
    }

    /// Carries a plan out, to its end or to the kill.
    fn apply(&mut self, plan: &Plan) -> End {
        self.runs += 1;
        let nonce = format!("run {}", self.runs);
        let mut machine = Machine::new(plan, &nonce, self.chance.next(), None, self.limits.clone())
            .expect("an unblocked plan can be carried out");
        let mut answers: BTreeMap<(Duration, u64), (usize, Answer)> = BTreeMap::new();
        loop {
            let now = self.world.now();
            for command in machine.poll(now) {
                if self.kill_before == Some(self.operations) {
                    self.kill_before = None;
                    return End::Killed;
                }
                self.operations += 1;
                let latency = Duration::from_millis(20 + self.chance.below(400));
                answers.insert((now + latency, self.operations), (command.step, run(&mut self.world, plan, &command)));
            }
            let answer = answers.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = [answer, machine.wake()].into_iter().flatten().min() else {
                assert!(machine.is_over(), "nothing to wait for, and not over");
                return End::Over(machine.into_outcome());
            };
            self.world.pass_until(next);
            while let Some(entry) = answers.first_entry().filter(|entry| entry.key().0 <= next) {
                let (step, answer) = entry.remove();
                machine.finished(step, self.world.now(), answer);
            }
        }
    }

    /// Observes until it works, and plans.
    fn plan(&mut self, up: bool) -> Plan {
        loop {
            match self.world.observe(CLUSTER, &self.wanted) {
                Ok(observed) if up => return Plan::between(&self.wanted, &observed),
                Ok(observed) => return Plan::removal(&observed, false),
                Err(_) => self.pass(Duration::from_secs(2)),
            }
        }
    }

    fn pass(&mut self, duration: Duration) {
        let until = self.world.now() + duration;
        self.world.pass_until(until);
    }

    /// One round, as a person's command: observe, plan, carry out. Whether there was nothing to do.
    fn round(&mut self, up: bool) -> bool {
        let plan = self.plan(up);
        if plan.steps.is_empty() && plan.blockers.is_empty() {
            return true;
        }
        if plan.blockers.is_empty()
            && let End::Over(outcome) = self.apply(&plan)
        {
            self.outcomes.push(outcome);
        }
        false
    }

    /// Rounds until there is nothing to do, and that not only for a moment.
    fn converge(&mut self, up: bool) -> Result<u32, String> {
        for round in 0..MOST_ROUNDS {
            if self.round(up) {
                self.pass(Duration::from_secs(600));
                if self.round(up) {
                    return Ok(round);
                }
            }
            let pause = self.chance.below(20);
            self.pass(Duration::from_secs(1 + pause));
        }
        let plan = self.plan(up);
        let steps: Vec<String> = plan.steps.iter().map(|step| format!("{} ({})", step.key, step.because)).collect();
        let last = self.outcomes.last().map(|outcome| format!("{:?}", outcome.failed));
        Err(format!("does not converge; still {steps:?} blocked by {:?}; last run failed with {last:?}", plan.blockers))
    }

    /// What is wrong with the world after everything was made: counted from the world itself, not from a plan.
    fn faults_of_up(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for resource in &self.wanted {
            let count = self.world.things().filter(|thing| plays(thing, resource)).count();
            if resource.key.kind.identity() != Identity::Content && count != 1 {
                wrong.push(format!("{count} of {}", resource.key));
            }
        }
        for kind in Kind::ALL {
            let made = self.world.things().filter(|thing| thing.spec.kind() == kind && !is_stranger(thing)).count();
            let wanted = self.wanted.iter().filter(|resource| resource.key.kind == kind).count();
            if made != wanted {
                wrong.push(format!("{made} of kind {kind} instead of {wanted}"));
            }
        }
        let broken = self.world.things().filter(|thing| thing.broken.is_some());
        wrong.extend(broken.map(|thing| format!("{} does not work", thing.id)));
        wrong.extend(self.harmed_strangers());
        wrong
    }

    /// What is left after everything was removed.
    fn faults_of_down(&self) -> Vec<String> {
        let left = self.world.things().filter(|thing| !is_stranger(thing)).map(|thing| format!("{} is left", thing.id));
        left.chain(self.harmed_strangers()).collect()
    }

    fn harmed_strangers(&self) -> Vec<String> {
        let here: BTreeMap<&str, &Thing> = self.world.things().map(|thing| (thing.id.as_str(), thing)).collect();
        let harmed = strangers().into_iter().filter(|thing| here.get(thing.id.as_str()) != Some(&thing));
        harmed.map(|thing| format!("{} was touched", thing.id)).collect()
    }
}

fn plays(thing: &Thing, resource: &Resource) -> bool {
    let tag = |name: &str| thing.tags.get(name).map(String::as_str);
    thing.spec.kind() == resource.key.kind
        && tag(CLUSTER_TAG) == Some(CLUSTER)
        && tag(ROLE_TAG) == Some(resource.key.role.as_str())
        && resource.tags.iter().all(|(name, value)| thing.tags.get(name) == Some(value))
}

/// Things of others in the same account, as like ours as can be.
fn strangers() -> Vec<Thing> {
    let vpc =
        Spec::Vpc(Vpc { cidr: "10.0.0.0/16".parse().expect("a network"), dns_support: true, dns_hostnames: false });
    let tags = |cluster: &str| -> Tags {
        [(CLUSTER_TAG, cluster), (ROLE_TAG, "main")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    };
    let mut stripped = tags(CLUSTER);
    stripped.remove(CLUSTER_TAG);
    vec![
        Thing::settled("stranger-other-cluster", "kvstore-dev-vpc", tags("kvstore-prod"), vpc.clone()),
        Thing::settled("stranger-without-tag", "kvstore-dev-vpc", stripped, vpc),
    ]
}

fn is_stranger(thing: &Thing) -> bool {
    thing.id.starts_with("stranger-")
}

/// Runs one command, as the driver does.
fn run(world: &mut World, plan: &Plan, command: &Command) -> Answer {
    let step = &plan.steps[command.step];
    let kind = step.kind();
    let wanted = || resource(step).expect("only deletions want nothing, and they make nothing");
    match &command.operation {
        Operation::Create { token } => Answer::Made(world.create(wanted(), &command.ids, token)),
        Operation::Find => Answer::Found(world.find(wanted(), &command.ids)),
        Operation::Configure { id, .. } => Answer::Configured(world.configure(id, wanted(), &command.ids)),
        Operation::Look { id } => Answer::Seen(world.condition(kind, id)),
        Operation::Delete { id } => Answer::Deleted(world.delete(kind, id)),
        Operation::Holders { id } => Answer::Held(world.holders(kind, id)),
    }
}
