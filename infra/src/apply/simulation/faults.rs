//! Seeded mixtures of faults, kills and drift: everything converges, and everything can be removed again.
//!
//! `KVSTORE_SIMULATION_SEEDS` sets how many seeds each of the four mixtures gets.

use std::time::Duration;

use super::*;
use crate::apply::Reason;
use crate::provider::Class;
use crate::resource::InternetGateway;

/// Seeds of each mixture unless told otherwise: a few seconds without optimisation.
const SEEDS: u64 = 40;

fn seeds() -> u64 {
    std::env::var("KVSTORE_SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

/// A few rounds under faults and kills, then calm: whatever happened before must not matter.
fn disturb(case: &mut Case, faults: Faults, up: bool) {
    case.world.faults = faults;
    for _ in 0..3 {
        case.kill_before = (case.chance.below(2) == 0).then(|| case.operations + case.chance.below(300));
        case.round(up);
    }
    case.kill_before = None;
    case.world.faults = Faults::calm();
}

/// Up, then down, each first under faults; gives what is wrong with either end.
fn check(name: &str, seed: u64, faults: &Faults) -> Result<(), String> {
    let told = |what: &str, wrong: Vec<String>| match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("{name}, seed {seed}, {what}: {}", wrong.join("; "))),
    };
    let mut case = Case::new(seed, faults.clone());
    disturb(&mut case, faults.clone(), true);
    case.converge(true).map_err(|why| format!("{name}, seed {seed}, up: {why}"))?;
    told("up", case.faults_of_up())?;
    disturb(&mut case, faults.clone(), false);
    case.converge(false).map_err(|why| format!("{name}, seed {seed}, down: {why}"))?;
    told("down", case.faults_of_down())
}

fn check_seeds(name: &str, faults: impl Fn(u64) -> Faults) {
    let seeds = seeds();
    let wrong: Vec<String> = (0..seeds).filter_map(|seed| check(name, seed, &faults(seed)).err()).collect();
    assert!(wrong.is_empty(), "{} of {seeds}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_mixture_of_faults_converges() {
    check_seeds("mixture", Faults::mixture);
}

#[test]
fn lost_replies_and_requests_converge() {
    check_seeds("lost", |_| Faults { lost_replies: 200, lost_requests: 200, ..Faults::calm() });
}

#[test]
fn late_visibility_and_stale_reads_converge() {
    check_seeds("late", |seed| Faults {
        invisible: Duration::from_secs(seed % 30),
        stale: Duration::from_secs(seed % 20),
        lost_replies: 50,
        ..Faults::calm()
    });
}

#[test]
fn throttling_and_failing_gateways_converge() {
    check_seeds("slow", |_| Faults {
        throttled: 400,
        transient: 100,
        failing_gateways: 400,
        propagation: Duration::from_secs(40),
        ..Faults::calm()
    });
}

#[test]
fn without_faults_one_run_is_enough() {
    let mut case = Case::new(1, Faults::calm());
    assert!(!case.round(true));
    assert!(case.outcomes[0].is_complete(), "{:?}", case.outcomes[0]);
    let changes = case.world.changes();
    assert!(case.round(true), "the second run has nothing to do");
    assert_eq!(case.world.changes(), changes, "and changes nothing");
    assert_eq!(case.faults_of_up(), Vec::<String>::new());
    assert!(!case.round(false));
    assert!(case.outcomes[1].is_complete(), "{:?}", case.outcomes[1]);
    assert_eq!(case.faults_of_down(), Vec::<String>::new());
}

#[test]
fn what_was_removed_can_be_made_again() {
    let mut case = Case::new(2, Faults::calm());
    for up in [true, false, true] {
        case.converge(up).unwrap_or_else(|why| panic!("up {up}: {why}"));
    }
    assert_eq!(case.faults_of_up(), Vec::<String>::new());
}

#[test]
fn drift_is_planned_back() {
    let can_vanish = [
        Kind::Route,
        Kind::RouteTableAssociation,
        Kind::SecurityGroupRule,
        Kind::NetworkAclEntry,
        Kind::NetworkAclAssociation,
        Kind::NatGateway,
        Kind::GatewayEndpoint,
        Kind::LogGroup,
        Kind::FlowLog,
        Kind::LoadBalancer,
        Kind::Listener,
        Kind::ListenerRule,
        Kind::Object,
        Kind::Parameter,
        Kind::Instance,
        Kind::TargetRegistration,
    ];
    let mut made = Case::new(4, Faults::calm());
    made.converge(true).unwrap_or_else(|why| panic!("{why}"));
    for kind in can_vanish.into_iter().filter(|kind| made.wanted.iter().any(|one| one.key.kind == *kind)) {
        let mut case = Case { world: made.world.clone(), ..Case::new(4, Faults::calm()) };
        let id = case.world.things().find(|thing| thing.spec.kind() == kind).map(|thing| thing.id.clone());
        case.world.take(&id.unwrap_or_else(|| panic!("there is a {kind}")));
        assert_ne!(case.faults_of_up(), Vec::<String>::new(), "{kind} is missing");
        case.converge(true).unwrap_or_else(|why| panic!("{kind}: {why}"));
        assert_eq!(case.faults_of_up(), Vec::<String>::new(), "{kind}");
    }
}

#[test]
fn refusals_stop_at_once_and_the_next_run_goes_on() {
    let denied = ["ec2:CreateNatGateway".to_owned()].into();
    let table: [(&str, Faults, Class); 3] = [
        ("denied", Faults { denied, ..Faults::calm() }, Class::Denied),
        ("quota", Faults { quotas: [(Kind::ElasticIp, 2)].into(), ..Faults::calm() }, Class::Quota),
        ("capacity", Faults { no_capacity: 1000, ..Faults::calm() }, Class::Capacity),
    ];
    for (name, faults, class) in table {
        let mut case = Case::new(7, faults);
        case.round(true);
        let outcome = &case.outcomes[0];
        assert!(!outcome.failed.is_empty(), "{name} stops");
        for failure in &outcome.failed {
            let given = match &failure.reason {
                Reason::Denied { failure } | Reason::Quota { failure } | Reason::Capacity { failure } => failure.class,
                other => panic!("{name}: {} failed with {other}", failure.key),
            };
            assert_eq!(given, class, "{name}");
        }
        case.world.faults = Faults::calm();
        case.converge(true).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(case.faults_of_up(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_stranger_in_the_way_of_a_removal_is_named_and_left() {
    let mut case = Case::new(5, Faults::calm());
    case.converge(true).unwrap_or_else(|why| panic!("{why}"));
    let ours = case.world.things().find(|thing| thing.spec.kind() == Kind::Instance).expect("there are machines");
    let mut spec = ours.spec.clone();
    if let Spec::Instance(instance) = &mut spec {
        instance.address = "10.0.31.200".parse().expect("an address");
    }
    let stranger = Thing::settled("i-of-somebody-else", "somebody's", Tags::new(), spec);
    case.world.put(stranger.clone());
    assert!(!case.round(false));
    let outcome = case.outcomes.last().expect("a run");
    let named = outcome.failed.iter().any(|failure| match &failure.reason {
        Reason::Blocked { holders, waited_seconds, .. } => {
            *waited_seconds >= 600 && holders.iter().any(|holder| holder.id == stranger.id && !holder.ours)
        }
        _ => false,
    });
    assert!(named, "{:?}", outcome.failed);
    assert!(case.world.things().any(|thing| *thing == stranger), "it is left alone");
}

/// A run was killed after it made a gateway that nobody saw, and the next one made another: the first one holds the
/// network's only place, and cannot be let go while addresses are in use.
#[test]
fn of_two_internet_gateways_the_attached_one_is_kept() {
    let mut case = Case::new(6, Faults::calm());
    case.converge(true).unwrap_or_else(|why| panic!("{why}"));
    let attached = case.world.things().find(|thing| thing.spec.kind() == Kind::InternetGateway).cloned();
    let attached = attached.expect("there is one");
    let detached = Spec::InternetGateway(InternetGateway { vpc: None });
    case.world.put(Thing { id: "a-smaller-id".to_owned(), spec: detached, ..attached.clone() });
    let routes = case.world.things().filter(|thing| thing.spec.kind() == Kind::Route);
    let routes: Vec<String> = routes.map(|route| route.id.clone()).collect();
    for route in routes {
        case.world.take(&route);
    }
    case.converge(true).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(case.faults_of_up(), Vec::<String>::new());
    assert!(case.world.things().any(|thing| thing.id == attached.id));
}
