//! Each fault alone, and mixtures of them: kvctl converges, or says what it is and ends with the right code; the run
//! after it converges.
//!
//! KVCTL_FAULT=TEXT runs only faults whose name or number has it. KVCTL_SEEDS=N tries so many mixtures instead of a
//! few, KVCTL_SEED=S only that one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::faults::{During, Expect, Fault, mixture, table};
use crate::harness::{Bed, DOWN, Run, UP, fast};
use crate::network::reference;

/// Mixtures unless told otherwise.
const SAMPLE: u64 = 4;
/// Beds at once.
const BEDS: usize = 2;
/// Codes with which a command may end that faults kept from its end: what it did stays, and it can be called again.
const HONEST: [i32; 6] = [0, 1, 11, 12, 14, 15];

fn run(bed: &Bed, fault: &Fault) -> Run {
    bed.proxy.begin(fault.rules.clone(), 1);
    bed.client().set(&fault.settings);
    let line = if fault.during == During::Up { UP } else { DOWN };
    let mut command = bed.command(line);
    command.envs(fault.environment.iter().copied());
    let run = bed.finish(command);
    // What is set for a fault ends with it.
    bed.client().set(&normal());
    run
}

/// Every setting that a fault may have changed, as it was.
fn normal() -> serde_json::Value {
    let mut settings = fast();
    let others = serde_json::json!({
        "lag": 0.0,
        "page": 0,
        "empty_pages": false,
        "denied": [],
        "full_zones": [],
        "failing_nat_gateways": 0,
        "quota_addresses": 5,
        "target_health": "healthy",
    });
    if let (Some(settings), serde_json::Value::Object(others)) = (settings.as_object_mut(), others) {
        settings.extend(others);
    }
    settings
}

fn check(bed: &Bed, fault: &Fault) {
    bed.clear();
    if fault.during == During::Down {
        bed.kvctl(UP).exits(0);
    }
    let run = run(bed, fault);
    let changes = bed.proxy.changes().iter().filter(|call| call.status == Some(200)).count();
    assert!(fault.rules.is_empty() || bed.proxy.hits().iter().sum::<usize>() > 0, "it did not happen: {run}");
    match fault.expect {
        Expect::Converges => {
            run.exits(0);
            let told = format!("{}{}", run.stdout, run.stderr).to_lowercase();
            assert!(!told.contains("not allowed") && !told.contains("permission to"), "{run}");
        }
        Expect::Exits { code, says } | Expect::Refuses { code, says } => {
            run.exits(code);
            for word in says {
                assert!(run.stderr.contains(word), "it does not say {word}: {run}");
            }
            if matches!(fault.expect, Expect::Refuses { .. }) {
                assert_eq!(changes, 0, "{run}");
            }
            let line = if fault.during == During::Up { UP } else { DOWN };
            bed.kvctl_with(line, Vec::new(), 0).exits(0);
        }
    }
    let wanted = if fault.during == During::Up { reference() } else { Vec::new() };
    bed.census().is(&wanted, &run);
    if fault.during == During::Up {
        let quiet = bed.kvctl_with(UP, Vec::new(), 0);
        quiet.exits(0);
        assert_eq!(bed.proxy.changes().len(), 0, "it did not come to rest: {quiet}");
    }
}

/// Runs work on several beds; what went wrong comes back as text, all of it.
fn on_beds(bed: &Bed, work: impl Fn(&Bed) -> bool + Sync, name: impl Fn() -> String + Sync) -> Vec<String> {
    let wrong = Mutex::new(Vec::new());
    let all = |bed: &Bed| {
        loop {
            match catch_unwind(AssertUnwindSafe(|| work(bed))) {
                Ok(true) => {}
                Ok(false) => return,
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "no words".to_owned());
                    wrong.lock().expect("nobody panics with it").push(format!("{}: {text}", name()));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..BEDS {
            scope.spawn(|| Bed::make().as_ref().map(all));
        }
        all(bed);
    });
    wrong.into_inner().expect("nobody panicked with it")
}

thread_local! {
    /// What this thread is at.
    static AT: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

fn at() -> String {
    AT.with_borrow(Clone::clone)
}

#[test]
fn each_fault_alone_ends_well_or_says_why_not() {
    let Some(bed) = Bed::make() else { return };
    let only = std::env::var("KVCTL_FAULT").unwrap_or_default();
    let mut faults = table();
    faults.retain(|fault| fault.name.contains(&only) || fault.number.to_string() == only);
    let next = AtomicUsize::new(0);
    let work = |bed: &Bed| {
        let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) else { return false };
        AT.set(format!("{} {} ({:?})", fault.number, fault.name, fault.during));
        check(bed, fault);
        true
    };
    let wrong = on_beds(&bed, work, at);
    eprintln!("faults: {} cases, {} not as they should be", faults.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What mixtures came to.
#[derive(Default)]
struct Figures {
    /// Faults of the proxy that happened.
    faults: AtomicUsize,
    /// Runs that converged in spite of them.
    converged: AtomicUsize,
    /// Runs that ended before their end.
    ended: AtomicUsize,
}

fn mixed(bed: &Bed, seed: u64, figures: &Figures) {
    bed.clear();
    for (line, wanted, salt) in [(UP, reference(), 0), (DOWN, Vec::new(), 1_000_000)] {
        let (rules, settings) = mixture(seed + salt);
        bed.proxy.begin(rules, seed);
        bed.client().set(&settings);
        let run = bed.kvctl(line);
        assert!(run.exit.is_some_and(|code| HONEST.contains(&code)), "seed {seed}: {run}");
        let told = run.exit == Some(0) || run.stderr.contains("again");
        assert!(told, "seed {seed}: it does not say how to go on: {run}");
        figures.faults.fetch_add(bed.proxy.hits().iter().sum(), Ordering::Relaxed);
        let ended = if run.exit == Some(0) { &figures.converged } else { &figures.ended };
        ended.fetch_add(1, Ordering::Relaxed);
        bed.client().set(&normal());
        let again = bed.kvctl_with(line, Vec::new(), 0);
        assert_eq!(again.exit, Some(0), "seed {seed}: first {run}\nthen {again}");
        bed.census().is(&wanted, &format!("seed {seed}: first {run}\nthen {again}"));
    }
}

#[test]
fn mixtures_of_faults_end_well_or_say_why_not_and_the_next_run_converges() {
    let Some(bed) = Bed::make() else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match number("KVCTL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KVCTL_SEEDS").unwrap_or(SAMPLE),
    };
    let figures = Figures::default();
    let next = AtomicU64::new(seeds.start);
    let work = |bed: &Bed| {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        AT.set(format!("replay with KVCTL_SEED={seed}"));
        if seeds.contains(&seed) {
            mixed(bed, seed, &figures);
        }
        seed + 1 < seeds.end
    };
    let wrong = on_beds(&bed, work, at);
    eprintln!(
        "mixtures: {} seeds, {} faults, {} runs converged at once, {} ended and the next did; {} not as they should be",
        seeds.end - seeds.start,
        figures.faults.load(Ordering::Relaxed),
        figures.converged.load(Ordering::Relaxed),
        figures.ended.load(Ordering::Relaxed),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
