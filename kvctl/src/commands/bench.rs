//! `kvctl bench`: how fast a cluster is, and what that costs its nodes.
//!
//! Fills the keys, then runs closed loops for each number of connections. What is measured and how is in `bench`.

use std::time::Duration;

use kvnode::runtime::clock;
use rand::{SeedableRng, TryRngCore};
use serde::Serialize;

use super::cluster::existing;
use crate::bench::connection::{Connection, Target};
use crate::bench::keys::{Chooser, Distribution};
use crate::bench::load::{self, Mix, Plan};
use crate::bench::report::{self, Run};
use crate::bench::server::{Snapshot, own_processor};
use crate::cli::Output;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::process::Record;
use crate::session::{Session, read_secrets};
use crate::units;

/// Most loops: each is a connection, and a node takes 4096.
const MAX_CONNECTIONS: usize = 4096;
/// Most keys: names are numbered with eight digits.
const MAX_KEYS: u64 = 100_000_000;

/// Measure a cluster; writes keys that begin with the prefix.
#[derive(Debug, clap::Args)]
pub struct Bench {
    /// Connections, one request in flight each; several numbers are several runs
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 16, 64])]
    pub connections: Vec<usize>,
    /// Size of a value
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = units::size)]
    pub value_size: usize,
    /// What is done: put, get, or mixed:PERCENT-OF-PUTS
    #[arg(long, default_value = "mixed:50")]
    pub mix: Mix,
    /// How many keys
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub keys: u64,
    /// How keys are chosen
    #[arg(long, value_enum, default_value_t)]
    pub distribution: Distribution,
    /// What keys begin with
    #[arg(long, default_value = "bench/")]
    pub prefix: String,
    /// What is measured of each run
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = units::duration)]
    pub duration: Duration,
    /// What comes before and is not measured
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = units::duration)]
    pub warmup: Duration,
    /// Do not write the keys first; reads of keys that are not there are errors
    #[arg(long)]
    pub no_fill: bool,
    /// Exit 1 if any operation failed
    #[arg(long)]
    pub fail_on_errors: bool,
    /// Seed of all randomness [default: drawn, and told]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Say what would be done and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    cluster: &'a str,
    endpoints: &'a [String],
    keys: u64,
    distribution: String,
    seed: u64,
    runs: &'a [Run],
}

/// Measures.
///
/// # Errors
/// The options are impossible, or no node answers.
pub async fn run(session: &Session, bench: &Bench) -> Result<Exit, CommandError> {
    check(bench)?;
    let (_, context) = session.context()?;
    let seed = bench.seed.unwrap_or_else(|| rand::rngs::OsRng.try_next_u64().unwrap_or(0));
    if bench.dry_run {
        let text = format!(
            "would write {} keys under {} and run {:?} connections",
            bench.keys, bench.prefix, bench.connections
        );
        session.ui.line(text)?;
        return Ok(Exit::Ok);
    }
    let (ca_pem, token) = read_secrets(&context)?;
    let targets = Target::all(&context.endpoints, &ca_pem, &token)?;
    reach(&targets, &context).await?;
    let records = records(session, &context);
    let mut plan = plan(bench, seed);
    if !bench.no_fill {
        let task = session.ui.progress().task(format!("{} keys of {} bytes", bench.keys, bench.value_size));
        let begun = clock::monotonic_now();
        load::fill(&targets, &plan).await.map_err(|failure| {
            CommandError::failed(format!("the keys could not be written: {}", failure.name()))
                .hint("kvctl cluster status")
        })?;
        task.done(&format!("written in {:.1} s", clock::monotonic_now().duration_since(begun).as_secs_f64()));
    }
    let mut runs = Vec::new();
    for connections in &bench.connections {
        plan.connections = *connections;
        let task = session.ui.progress().task(format!("{connections} connections, {}", bench.mix));
        let (before, own) = (Snapshot::take(&records), own_processor());
        let measured = load::run(&targets, &plan).await;
        let (spent, client) = (before.spent(), own_processor().saturating_sub(own));
        let run = Run::new(&plan, &context.endpoints, &measured, &spent, client);
        task.done(&format!("{:.0} operations a second", run.operations_per_second));
        if session.settings.output == Output::Jsonl {
            session.ui.json_line(&run)?;
        }
        runs.push(run);
    }
    show(session, bench, &context, seed, &runs)?;
    let failed = runs.iter().any(|run| run.errors > 0);
    Ok(if failed && bench.fail_on_errors { Exit::Error } else { Exit::Ok })
}

fn check(bench: &Bench) -> Result<(), CommandError> {
    if bench.connections.iter().any(|count| !(1..=MAX_CONNECTIONS).contains(count)) {
        return Err(CommandError::usage(format!("connections: 1 to {MAX_CONNECTIONS}")));
    }
    if !(1..=MAX_KEYS).contains(&bench.keys) {
        return Err(CommandError::usage(format!("keys: 1 to {MAX_KEYS}")));
    }
    if bench.duration.is_zero() {
        return Err(CommandError::usage("nothing can be measured in no time"));
    }
    let plain = |one: char| one.is_ascii_alphanumeric() || "-_./~".contains(one);
    if !bench.prefix.chars().all(plain) {
        return Err(CommandError::usage("the prefix may hold letters, digits and - _ . / ~"));
    }
    Ok(())
}

fn plan(bench: &Bench, seed: u64) -> Plan {
    Plan {
        connections: 1,
        mix: bench.mix,
        value_size: bench.value_size,
        keys: bench.keys,
        chooser: Chooser::new(bench.keys, bench.distribution),
        prefix: bench.prefix.clone(),
        duration: bench.duration,
        warmup: bench.warmup,
        seed: rand::rngs::StdRng::seed_from_u64(seed).try_next_u64().unwrap_or(seed),
    }
}

/// Fails early, with a name, if nobody is there.
async fn reach(targets: &[Target], context: &Context) -> Result<(), CommandError> {
    for target in targets {
        if Connection::open(target).await.is_ok() {
            return Ok(());
        }
    }
    Err(CommandError::failed(format!("no node of cluster {} can be reached", context.cluster))
        .hint("see: kvctl cluster status"))
}

/// Processes of the nodes, if they are of this machine.
fn records(session: &Session, context: &Context) -> Vec<(String, Record)> {
    let Ok((folder, _, topology)) = existing(session, Some(&context.cluster)) else { return Vec::new() };
    let record = |node: &infra::topology::Node| {
        Some((node.name.to_string(), Record::load(&folder.process_file(&node.name)).ok()??))
    };
    topology.nodes().iter().filter_map(record).collect()
}

fn show(session: &Session, bench: &Bench, context: &Context, seed: u64, runs: &[Run]) -> Result<(), CommandError> {
    match session.settings.output {
        Output::Json => session.ui.json(&Document {
            cluster: &context.cluster,
            endpoints: &context.endpoints,
            keys: bench.keys,
            distribution: format!("{:?}", bench.distribution).to_lowercase(),
            seed,
            runs,
        }),
        Output::Jsonl => Ok(()),
        Output::Table => session.ui.line(report::render(runs)),
    }
}
