//! The checker against an independent judge: brute force on small histories, simulated atomic registers and their
//! mutations on large ones. Randomness is seeded, so that a failing case names itself. Speed is not judged here: a
//! hundred thousand operations merely have to finish.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::audit::history::ClientId;

fn op(client: u32, kind: Kind, invoked_at: u64, completion: Completion) -> Operation {
    Operation { client: ClientId(client), key: "k".into(), kind, invoked_at, completion }
}

/// Parses lines `put 1 0..5`, `get 1 3..9`, `get - 3..9`, `del 4..7`; `4..` is unknown, `4..7!` not applied.
fn parse(text: &str) -> Vec<Operation> {
    let line = |(number, line): (usize, &str)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let value = || words[1].parse().ok().map(ValueId);
        let kind = match words[0] {
            "get" => Kind::Get { observed: value() },
            "put" => Kind::Put { value: value().expect("number") },
            _ => Kind::Delete,
        };
        let (from, to) = words.last().expect("times").split_once("..").expect("a..b");
        let completion = match to.strip_suffix('!') {
            Some(to) => Completion::NotApplied { at: to.parse().expect("time") },
            None => to.parse().map_or(Completion::Unknown, |at| Completion::Ok { at }),
        };
        op(u32::try_from(number).expect("few"), kind, from.parse().expect("time"), completion)
    };
    text.split(';').enumerate().map(line).collect()
}

fn check_text(text: &str, expected: Result<(), (Reason, usize)>) {
    let found = match check(&parse(text)) {
        Ok(_) => Ok(()),
        Err(Failure::Violation(violation)) => Err((violation.reason, violation.operations.len())),
        Err(other) => panic!("{text}: {other}"),
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn plain_cases() {
    let fails = |operations| Err((Reason::NoOrder, operations));
    check_text("put 1 0..1;get 1 2..3", Ok(()));
    check_text("put 1 0..5;get - 1..2;get 1 3..4", Ok(()));
    check_text("put 1 0..5;get 1 1..2;get - 3..4", fails(3));
    check_text("put 1 0..1;put 2 2..3;get 1 4..5", fails(3));
    check_text("put 1 0..1;get - 2..3", fails(2));
    check_text("put 1 0..1;del 2..3;get 1 4..5", fails(3));
    check_text("put 1 0..1;del 2..3;get - 4..5", Ok(()));
    check_text("put 1 0..1;del 2..;get - 9..10;get 1 3..4", Ok(()));
    check_text("put 1 0..1;del 2..;get - 3..4;get 1 5..6", fails(4));
    check_text("put 1 0..;get 1 5..6;get - 7..8", fails(3));
    check_text("put 1 0..;get - 5..6;get 1 7..8", Ok(()));
    check_text("get 7 0..1", Err((Reason::NeverWritten, 1)));
    check_text("put 7 0..1!;get 7 2..3", Err((Reason::RefusedButObserved, 2)));
    check_text("get 7 0..1;put 7 2..3", Err((Reason::ReadBeforeWritten, 2)));
    check_text("put 1 0..2;get 1 2..3;get - 0..2", Ok(()));
    // A delete that is due while the key is absent must take the waiting put with it.
    check_text("put 1 3..7;del 4..5;get - 8..9", Ok(()));
    check_text("put 1 3..7;del 4..5;put 2 6..8;get - 9..10", fails(2));
    // The same value written twice goes through the search.
    check_text("put 1 0..1;put 2 2..3;put 1 4..5;get 1 6..7", Ok(()));
    check_text("put 1 0..1;put 1 2..3;put 2 4..5;get 1 6..7", fails(4));
}

/// Every order of every subset that includes all certain steps.
fn brute_force(steps: &[Step]) -> bool {
    fn explore(steps: &[Step], used: u32, register: Option<ValueId>) -> bool {
        let open = |index: usize| used & (1 << index) == 0;
        if (0..steps.len()).all(|index| !open(index) || !steps[index].certain) {
            return true;
        }
        (0..steps.len()).filter(|&index| open(index)).any(|index| {
            // A step may come next unless one that must happen was over before it began.
            let first = (0..steps.len())
                .all(|other| !open(other) || !steps[other].certain || steps[other].to >= steps[index].from);
            let after = match steps[index].effect {
                Effect::Read(value) => (value == register).then_some(register),
                Effect::Write(value) => Some(value),
            };
            first && after.is_some_and(|register| explore(steps, used | 1 << index, register))
        })
    }
    explore(steps, 0, None)
}

fn random_steps(random: &mut StdRng, unique: bool) -> Vec<Step> {
    let count = random.random_range(1..=8);
    let span = random.random_range(2..20);
    let mut next = 0;
    let mut step = |index| {
        let from = random.random_range(0..span);
        let write = random.random_bool(0.5);
        let value = match random.random_range(0..4) {
            0 | 1 => None,
            _ if write && unique => {
                next += 1;
                Some(ValueId(next))
            }
            _ => Some(ValueId(random.random_range(1..=3))),
        };
        let certain = !write || random.random_bool(0.75);
        let to = if certain { from + random.random_range(0..span / 2) } else { u64::MAX };
        let effect = if write { Effect::Write(value) } else { Effect::Read(value) };
        Step { effect, from, to, certain, index }
    };
    (0..count).map(&mut step).collect()
}

#[test]
fn every_decider_agrees_with_brute_force() {
    let mut verdicts = [0u32; 2];
    for seed in 0..20_000 {
        let steps = random_steps(&mut StdRng::seed_from_u64(seed), seed % 4 != 0);
        let truth = brute_force(&steps);
        let expected = if truth { Decision::Linearizable } else { Decision::Violated };
        verdicts[usize::from(truth)] += 1;
        assert_eq!(search::decide(&steps), expected, "search, seed {seed}: {steps:#?}");
        assert_eq!(decide(&steps), expected, "seed {seed}: {steps:#?}");
        if let Some(swept) = sweep::decide(&steps) {
            assert_eq!(swept, expected, "sweep, seed {seed}: {steps:#?}");
        }
    }
    assert!(verdicts.iter().all(|&count| count > 4_000), "a one-sided test: {verdicts:?}");
}

#[test]
fn what_is_left_of_a_failing_history_fails_and_needs_every_step() {
    for seed in 0..3_000 {
        let steps = random_steps(&mut StdRng::seed_from_u64(seed), true);
        if brute_force(&steps) {
            continue;
        }
        let core = shrink::smallest_failing(steps.clone());
        assert!(!brute_force(&core), "seed {seed}: {core:#?} of {steps:#?}");
        for read in core.iter().filter(|step| matches!(step.effect, Effect::Read(_))) {
            let rest: Vec<Step> = core.iter().filter(|step| *step != read).copied().collect();
            assert!(brute_force(&rest), "seed {seed}: {read:?} is not needed in {core:#?}");
        }
    }
}

struct Simulation {
    clients: u32,
    operations: usize,
    keys: usize,
    unknown: f64,
}

/// Clients in closed loops on atomic registers: each operation takes effect at a random moment of its span.
fn simulate(random: &mut StdRng, simulation: &Simulation) -> Vec<Operation> {
    let mut clocks = vec![0u64; usize::try_from(simulation.clients).expect("few")];
    let mut planned = Vec::new();
    for number in 0..simulation.operations {
        let client = number % clocks.len();
        let from = clocks[client] + random.random_range(1..20);
        let to = from + random.random_range(1..100);
        clocks[client] = to;
        let key = ["k", "l", "m"][random.random_range(0..simulation.keys)];
        let kind = match random.random_range(0..10) {
            0..5 => Kind::Get { observed: None },
            5..9 => Kind::Put { value: ValueId(u64::try_from(number).expect("few")) },
            _ => Kind::Delete,
        };
        let (completion, effect_at) = match kind {
            Kind::Get { .. } => (Completion::Ok { at: to }, Some(random.random_range(from..=to))),
            _ if random.random_bool(simulation.unknown) => {
                (Completion::Unknown, random.random_bool(0.5).then(|| random.random_range(from..=to + 300)))
            }
            _ if random.random_bool(0.02) => (Completion::NotApplied { at: to }, None),
            _ => (Completion::Ok { at: to }, Some(random.random_range(from..=to))),
        };
        let client = ClientId(u32::try_from(client).expect("few"));
        planned.push((effect_at, Operation { client, key: key.into(), kind, invoked_at: from, completion }));
    }
    let mut order: Vec<usize> = (0..planned.len()).filter(|&index| planned[index].0.is_some()).collect();
    order.sort_by_key(|&index| planned[index].0);
    let mut registers: BTreeMap<std::sync::Arc<str>, ValueId> = BTreeMap::new();
    for index in order {
        let operation = &mut planned[index].1;
        match &mut operation.kind {
            Kind::Get { observed } => *observed = registers.get(&operation.key).copied(),
            Kind::Put { value } => drop(registers.insert(operation.key.clone(), *value)),
            Kind::Delete => drop(registers.remove(&operation.key)),
        }
    }
    planned.into_iter().map(|(_, operation)| operation).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn atomic_registers_are_accepted(seed: u64, clients in 1u32..12, keys in 1usize..=3, unknown in 0.0..0.5f64) {
        let simulation = Simulation { clients, operations: 300, keys, unknown };
        let operations = simulate(&mut StdRng::seed_from_u64(seed), &simulation);
        let statistics = check(&operations).map_err(|failure| TestCaseError::fail(failure.to_string()))?;
        prop_assert_eq!(statistics.operations, 300);
    }
}

/// Adds one lie, after all else, to an honest history of one key.
fn lie(operations: &mut Vec<Operation>, which: usize) -> &'static str {
    let end = operations.iter().filter_map(Operation::completed_at).max().unwrap_or(0) + 10_000;
    let at = |step: u64| (end + 10 * step, Completion::Ok { at: end + 10 * step + 5 });
    let mut add = |step, kind| {
        let (from, completion) = at(step);
        operations.push(op(99, kind, from, completion));
    };
    let (get, put) = (|id| Kind::Get { observed: Some(ValueId(id)) }, |id| Kind::Put { value: ValueId(id) });
    let (name, kinds) = match which {
        0 => ("stale read", vec![put(1_000_001), put(1_000_002), get(1_000_001)]),
        1 => ("lost write", vec![put(1_000_001), Kind::Get { observed: None }]),
        2 => ("resurrected delete", vec![put(1_000_001), Kind::Delete, get(1_000_001)]),
        3 => ("value from nowhere", vec![get(1_000_009)]),
        4 => ("two readers disagree", vec![put(1_000_001), put(1_000_002), get(1_000_002), get(1_000_001)]),
        _ => ("absent, back, absent", vec![Kind::Delete, put(1_000_003), Kind::Get { observed: None }]),
    };
    for (step, kind) in (0..).zip(kinds) {
        add(step, kind);
    }
    name
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn lies_are_found_and_shown_alone(seed: u64, which in 0usize..6, clients in 1u32..8) {
        // No unknown deletes: one of them could truly explain an absent read.
        let simulation = Simulation { clients, operations: 200, keys: 1, unknown: 0.0 };
        let mut operations = simulate(&mut StdRng::seed_from_u64(seed), &simulation);
        let name = lie(&mut operations, which);
        match check(&operations) {
            Err(Failure::Violation(violation)) => prop_assert!(violation.operations.len() <= 4, "{}: {:#?}", name, violation),
            other => prop_assert!(false, "{}: {:?}", name, other),
        }
    }

    #[test]
    fn a_changed_read_is_judged_as_brute_force_would(seed: u64) {
        let random = &mut StdRng::seed_from_u64(seed);
        let mut operations = simulate(random, &Simulation { clients: 4, operations: 9, keys: 1, unknown: 0.3 });
        let victim = random.random_range(0..operations.len());
        if let Kind::Get { observed } = &mut operations[victim].kind {
            *observed = random.random_bool(0.8).then(|| ValueId(random.random_range(0..9)));
        }
        let borrowed: Vec<&Operation> = operations.iter().collect();
        prop_assert_eq!(check(&operations).is_ok(), brute_force(&steps_of(&borrowed)));
    }
}

#[test]
fn a_hundred_thousand_operations_of_many_clients_on_one_key() {
    let simulation = Simulation { clients: 64, operations: 100_000, keys: 1, unknown: 0.05 };
    let mut operations = simulate(&mut StdRng::seed_from_u64(1), &simulation);
    let statistics = check(&operations).expect("an atomic register");
    assert!(statistics.unknown > 2_000, "{statistics:?}");
    let name = lie(&mut operations, 0);
    match check(&operations) {
        Err(Failure::Violation(violation)) => assert_eq!(violation.operations.len(), 3, "{name}: {violation:#?}"),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn a_search_too_wide_is_undecided() {
    let mut operations: Vec<Operation> = (0..24)
        .map(|client| op(client, Kind::Put { value: ValueId(u64::from(client)) }, 0, Completion::Ok { at: 100 }))
        .collect();
    operations.push(op(30, Kind::Put { value: ValueId(0) }, 0, Completion::Ok { at: 100 }));
    operations.push(op(31, Kind::Get { observed: Some(ValueId(77)) }, 1, Completion::Ok { at: 100 }));
    assert!(matches!(check(&operations), Err(Failure::Undecided { .. })));
}
