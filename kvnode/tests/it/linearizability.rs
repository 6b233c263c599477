//! What clients see while nodes are killed, paused and restarted could have come from one register per key.
//!
//! The history of 4 clients on 10 keys is judged by `kvnode::audit`. Length and number of operations are asserted,
//! so that a cluster that merely refuses everything does not pass.

use std::sync::Arc;
use std::time::Duration;

use kvnode::audit::checker::{Failure, check};
use kvnode::audit::history::{Operation, Recorder};
use kvnode::audit::{journal, picture};
use kvnode::runtime::clock;
use kvnode::runtime::tasks::Tasks;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::cluster::{Cluster, PATIENCE};
use super::workload::{Mix, Stop};

const CLIENTS: u32 = 4;
const KEYS: u32 = 10;
/// Failures go on at least this long,
const LEAST_TIME: Duration = Duration::from_secs(60);
/// and until so many operations have succeeded,
const LEAST_OPERATIONS: usize = 20_000;
/// but not longer than this.
const MOST_TIME: Duration = Duration::from_secs(150);

/// What the nemesis did.
#[derive(Debug, Default)]
struct Nemesis {
    kills: usize,
    pauses: usize,
}

impl Nemesis {
    /// Breaks something, waits, and heals it: mostly one node, at times two, at times all.
    async fn strike(&mut self, cluster: &mut Cluster, random: &mut StdRng) {
        let victim = random.random_range(0..3);
        let (killed, paused): (Vec<usize>, Vec<usize>) = match random.random_range(0..10) {
            0..4 => (vec![victim], vec![]),
            4..7 => (vec![], vec![victim]),
            7 => (vec![victim], vec![(victim + 1) % 3]),
            8 => (vec![], vec![victim, (victim + 1) % 3]),
            _ => (vec![0, 1, 2], vec![]),
        };
        self.kills += killed.len();
        self.pauses += paused.len();
        killed.iter().for_each(|&index| cluster.kill(index));
        paused.iter().for_each(|&index| cluster.pause(index));
        clock::sleep(Duration::from_millis(random.random_range(100..2500))).await;
        cluster.heal();
        clock::sleep(Duration::from_millis(random.random_range(500..2500))).await;
    }
}

fn start_clients(cluster: &Cluster, recorder: &Arc<Recorder>, stop: &Stop, tasks: &Tasks, seed: u64) {
    let start = clock::monotonic_now();
    for id in 0..CLIENTS {
        let nodes = (0..cluster.nodes.len()).map(|index| cluster.client(index)).collect();
        let (recorder, stop) = (Arc::clone(recorder), stop.clone());
        let mix = Mix { id, nodes, keys: KEYS, recorder, start, stop };
        tasks.spawn_to_end("client", mix.run(seed ^ u64::from(id)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_under_kills_and_pauses_are_linearizable() {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start().await;
    let (recorder, stop, tasks) = (Arc::new(Recorder::default()), Stop::default(), Tasks::new());
    start_clients(&cluster, &recorder, &stop, &tasks, seed);
    let start = clock::monotonic_now();
    let mut nemesis = Nemesis::default();
    while start.elapsed() < LEAST_TIME || (recorder.succeeded() < LEAST_OPERATIONS && start.elapsed() < MOST_TIME) {
        nemesis.strike(&mut cluster, &mut random).await;
    }
    let lasted = start.elapsed();
    cluster.settled().await;
    stop.now();
    assert_eq!(tasks.shutdown(clock::monotonic_now() + PATIENCE).await, 0, "clients stop");
    judge(&recorder.operations(), seed, &nemesis);
    println!("{} operations succeeded in {lasted:?} under {nemesis:?}", recorder.succeeded());
    assert!(lasted >= LEAST_TIME);
    assert!(recorder.succeeded() >= LEAST_OPERATIONS, "{} in {lasted:?}, seed {seed}", recorder.succeeded());
    assert!(nemesis.kills >= 5 && nemesis.pauses >= 5, "{nemesis:?}, seed {seed}");
}

/// Fails with a picture; the whole history and the SVG are left in the system's temporary folder.
fn judge(operations: &[Operation], seed: u64, nemesis: &Nemesis) {
    let failure = match check(operations) {
        Ok(statistics) => return assert_eq!(statistics.keys, usize::try_from(KEYS).expect("few")),
        Err(failure) => failure,
    };
    let base = std::env::temp_dir().join(format!("kvstore-history-{seed}"));
    let file = std::fs::File::create(base.with_extension("jsonl")).expect("a file");
    journal::write(operations, std::io::BufWriter::new(file)).expect("written");
    let Failure::Violation(violation) = failure else { panic!("{failure}, seed {seed}") };
    std::fs::write(base.with_extension("svg"), picture::svg(&violation)).expect("written");
    panic!("seed {seed}, {nemesis:?}, history in {}.jsonl\n{}", base.display(), picture::text(&violation));
}
