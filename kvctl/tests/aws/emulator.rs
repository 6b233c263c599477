//! Starts strict moto and lends it to one test at a time.
//!
//! As many emulators as there are processors, at most [`MOST`], are started when they are first needed and kept; each
//! lease begins empty. They end by themselves when this process is gone, however it went.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use kvnode::runtime::clock;

use crate::client::Client;

/// Most emulators: each is a Python process of 200 MB that keeps one processor busy.
const MOST: usize = 2;
/// Longest time for one to answer after it was started; an idle machine takes one second.
const START: Duration = Duration::from_secs(60);

/// A running emulator.
struct Emulator {
    process: Child,
    client: Client,
}

struct Pool {
    idle: Vec<Emulator>,
    started: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { idle: Vec::new(), started: 0 });
static RETURNED: Condvar = Condvar::new();

/// An emulator for one test, empty at the beginning.
pub(crate) struct Lease {
    emulator: Option<Emulator>,
}

impl Lease {
    /// Speaks to it.
    pub(crate) fn client(&self) -> Client {
        self.emulator.as_ref().map(|emulator| emulator.client).expect("invariant: a lease holds one until it ends")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(emulator) = self.emulator.take() {
            POOL.lock().unwrap_or_else(PoisonError::into_inner).idle.push(emulator);
            RETURNED.notify_one();
        }
    }
}

/// Waits for an emulator; none where it is not installed, which is an error in CI.
pub(crate) fn lease() -> Option<Lease> {
    refuse_routes();
    let python = python()?;
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let emulator = loop {
        if let Some(mut emulator) = pool.idle.pop() {
            if matches!(emulator.process.try_wait(), Ok(None)) {
                break emulator;
            }
            pool.started -= 1;
        } else if pool.started < MOST {
            pool.started += 1;
            drop(pool);
            break start(&python);
        } else {
            pool = RETURNED.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    };
    emulator.client.reset();
    Some(Lease { emulator: Some(emulator) })
}

/// A free port of this machine; another process may take it before it is used, which shows at once.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
    listener.local_addr().expect("it is bound").port()
}

fn start(python: &Path) -> Emulator {
    let launcher = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aws/emulator/launcher.py");
    for _ in 0..3 {
        let port = free_port();
        let process = Command::new(python)
            .arg("-B")
            .args([launcher, &port.to_string(), &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let client = Client { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) };
        let mut emulator = Emulator { process, client };
        if answers(&mut emulator) {
            return emulator;
        }
    }
    panic!("the emulator does not start; try: {} {launcher} 5000", python.display());
}

fn answers(emulator: &mut Emulator) -> bool {
    let deadline = clock::monotonic_now() + START;
    while clock::monotonic_now() < deadline && matches!(emulator.process.try_wait(), Ok(None)) {
        if emulator.client.answers() {
            return true;
        }
        clock::pause_thread(Duration::from_millis(20));
    }
    false
}

/// The interpreter of the virtual environment that `.ci/emulator.sh` makes.
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("emulator");
    let python = folder.join("venv/bin/python");
    if python.exists() {
        return Some(python);
    }
    let missing = format!("{} is missing; make it with: sh .ci/emulator.sh", python.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    left_out(&missing);
    None
}

#[expect(clippy::print_stderr, reason = "what is left out is said loudly")]
fn left_out(why: &str) {
    eprintln!("LEFT OUT: {why}");
}

/// No test may be able to reach the real AWS, however wrong it is.
fn refuse_routes() {
    if std::env::var_os("KVCTL_TEST_ALLOW_ROUTES").is_some_and(|value| value == "1") {
        return;
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let leaving = leaving_interfaces(&read("/proc/net/route"), &read("/proc/net/ipv6_route"));
    assert!(
        leaving.is_empty(),
        "routes leave this machine through {}: run these tests with `sh .ci/aws.sh`, which takes the network away, \
         or set KVCTL_TEST_ALLOW_ROUTES=1",
        leaving.join(", ")
    );
}

/// The interfaces other than loopback that have routes, from the kernel's two tables.
fn leaving_interfaces(ipv4: &str, ipv6: &str) -> Vec<String> {
    let first = ipv4.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    let last = ipv6.lines().filter_map(|line| line.split_whitespace().last());
    let mut leaving: Vec<String> = first.chain(last).filter(|name| *name != "lo").map(str::to_owned).collect();
    leaving.sort_unstable();
    leaving.dedup();
    leaving
}

#[test]
fn routes_that_leave_the_machine_are_seen() {
    let ipv4 = "Iface\tDestination\tGateway\neth0\t00000000\t0100000A\nlo\t0000007F\t00000000\n";
    let ipv6 = "00000000000000000000000000000001 80 00 00 00 00 00 00 lo\nfe80 40 00 00 00 00 00 00 eth1\n";
    assert_eq!(leaving_interfaces(ipv4, ipv6), ["eth0", "eth1"]);
    assert_eq!(leaving_interfaces("Iface\tDestination\n", ""), [""; 0]);
}
