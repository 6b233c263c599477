//! One test's bed: an emulator, a proxy before it, a folder for kvctl's state, and kvctl as a process.
//!
//! kvctl gets an environment of its own with nothing in it but what a test gives: no profile, no metadata service,
//! and an endpoint on loopback, which it is told never to leave.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kvnode::runtime::clock;
use serde_json::{Value, json};

use crate::census::Census;
use crate::client::{Client, REGION};
use crate::emulator::{self, Lease};
use crate::proxy::{Proxy, Rule};

/// The cluster of all tests.
pub(crate) const CLUSTER: &str = "kvstore-dev";
/// Longest time for one run of kvctl; with fast times it takes seconds.
const LONGEST_RUN: Duration = Duration::from_secs(240);
/// Calls a second that kvctl may make: as many as it likes, except where that is what is tested.
const RATE: &str = "100000";
/// How many times faster the engine's waits pass: as much as the emulator is faster than AWS, roughly.
const HASTE: &str = "20";

/// Brings the cluster up.
pub(crate) const UP: &str = "cluster up --provider aws --yes";
/// Takes it down with everything in it.
pub(crate) const DOWN: &str = "cluster down kvstore-dev --provider aws --yes --delete-data";
/// Shows what would be done.
pub(crate) const PLAN: &str = "cluster plan --provider aws";

/// A test's bed.
pub(crate) struct Bed {
    lease: Lease,
    pub(crate) proxy: Proxy,
    home: tempfile::TempDir,
}

/// What a run of kvctl left behind.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The exit code; none after a signal.
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The plan and what went well fill pages; what matters is told at the end.
        let told = |line: &&str| !line.starts_with("  create") && !line.starts_with("  delete") && !line.contains('✔');
        let stderr: Vec<&str> = self.stderr.lines().filter(told).collect();
        write!(f, "{}{}\nexit {:?} after {:.1?}", self.stdout, stderr.join("\n"), self.exit, self.took)
    }
}

impl Run {
    /// Asserts how it ended.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.exit, Some(code), "{self}");
        self
    }
}

impl Bed {
    /// A bed with an empty AWS; none where there is no emulator.
    pub(crate) fn make() -> Option<Self> {
        let lease = emulator::lease()?;
        let proxy = Proxy::start(lease.client());
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let programs = home.path().join("bin");
        std::fs::create_dir(&programs).expect("a folder");
        std::fs::hard_link(env!("CARGO_BIN_EXE_kvctl"), programs.join("kvctl")).expect("on the same file system");
        // The daemon is looked for beside kvctl. Small, so that it is sent in no time; nobody runs it here.
        std::fs::write(programs.join("kvnode"), "#!/bin/sh\nexit 0\n").expect("a program");
        let bed = Self { lease, proxy, home };
        bed.clear();
        Some(bed)
    }

    /// Begins anew: an empty AWS with fast times, no state, no faults.
    pub(crate) fn clear(&self) {
        self.client().reset();
        self.client().set(&fast());
        self.forget_state();
        self.proxy.begin(Vec::new(), 0);
    }

    /// Removes what kvctl remembers, as another machine of the same operator would not have it.
    pub(crate) fn forget_state(&self) {
        let state = self.home.path().join("state");
        if state.exists() {
            std::fs::remove_dir_all(state).expect("it is ours");
        }
    }

    /// Speaks to the emulator, past the proxy.
    pub(crate) fn client(&self) -> Client {
        self.lease.client()
    }

    /// Everything that is there.
    pub(crate) fn census(&self) -> Census {
        Census::take(self.client())
    }

    /// A file in the bed's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// kvctl with a command line, not started yet.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(self.file("bin/kvctl"));
        command.env_clear().current_dir(self.home.path()).stdin(Stdio::null());
        command.args(line.split_ascii_whitespace());
        let nothing = Path::new("/dev/null");
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_REGION", REGION),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("KVCTL_AWS_LOOPBACK_ONLY", "1"),
            ("KVCTL_AWS_RATE", RATE),
            ("KVCTL_AWS_HASTE", HASTE),
            ("KVCTL_AWS_CALL_TIMEOUT", "10s"),
        ] {
            command.env(name, value);
        }
        command.env("AWS_ENDPOINT_URL", self.proxy.url());
        command.env("AWS_CONFIG_FILE", nothing).env("AWS_SHARED_CREDENTIALS_FILE", nothing);
        command.env("HOME", self.home.path()).env("KVCTL_STATE_DIR", self.home.path().join("state"));
        command
    }

    /// Runs kvctl with a command line.
    pub(crate) fn kvctl(&self, line: &str) -> Run {
        self.finish(self.command(line))
    }

    /// Runs kvctl with these faults from now on, and counts its calls from 0.
    pub(crate) fn kvctl_with(&self, line: &str, rules: Vec<Rule>, seed: u64) -> Run {
        self.proxy.begin(rules, seed);
        self.kvctl(line)
    }

    /// Runs a command to its end. It is the process that faults kill.
    pub(crate) fn finish(&self, mut command: Command) -> Run {
        let began = clock::monotonic_now();
        let (stdout, stderr) = (self.file("stdout"), self.file("stderr"));
        let create = |path: &Path| std::fs::File::create(path).expect("a file");
        let mut child = command.stdout(create(&stdout)).stderr(create(&stderr)).spawn().expect("kvctl starts");
        self.proxy.set_victim(child.id());
        let exit = wait(&mut child, began + LONGEST_RUN);
        let read = |path: &Path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let run = Run {
            exit: exit.and_then(|status| status.code()),
            stdout: read(&stdout).unwrap_or_default(),
            stderr: read(&stderr).unwrap_or_default(),
            took: clock::monotonic_now().duration_since(began),
        };
        assert!(exit.is_some(), "kvctl did not end in {LONGEST_RUN:?}\n{run}");
        run
    }
}

/// Times of the emulator that a machine does not notice, but a wrong order does.
pub(crate) fn fast() -> Value {
    json!({
        "nat_pending": 0.05,
        "nat_deleting": 0.05,
        "balancer_provisioning": 0.05,
        "balancer_interfaces": 0.05,
        "instance_pending": 0.05,
        "instance_shutting_down": 0.05,
        "volume_moving": 0.01,
        "target_initial": 0.05,
        "target_draining": 0.05,
        "address_held": 0.05,
        "profile_propagation": 0.05,
        "role_propagation": 0.05,
    })
}

/// Waits for a process, polling; at the deadline it is killed and there is no status.
fn wait(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if clock::monotonic_now() < deadline => clock::pause_thread(Duration::from_millis(5)),
            _ => {
                // It may end between the two lines, which changes nothing.
                let _ended_already = child.kill();
                let _status = child.wait();
                return None;
            }
        }
    }
}
