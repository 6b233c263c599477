//! One kvnode process: started with flags, signalled, waited for, and killed when dropped.
//!
//! Each runs in a process group of its own, so that a signal to the test runner's group does not reach it twice and
//! a kill takes whatever it started along. Its output goes to a log file that a failing test prints the end of.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use kvnode::runtime::clock;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How much of a log a failing test shows.
const TAIL_BYTES: usize = 4 * 1024;

/// The daemon under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_kvnode"))
}

/// A running kvnode.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts kvnode with these arguments; its output is appended to `log`.
    pub(crate) fn start(arguments: &[String], log: &Path) -> Self {
        let output = || -> File { OpenOptions::new().create(true).append(true).open(log).expect("the log file opens") };
        let child = Command::new(binary())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .process_group(0)
            .spawn()
            .expect("kvnode starts");
        Self { child, log: log.to_owned() }
    }

    /// Sends a signal to the process and whatever it started.
    pub(crate) fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.child.id()).expect("a process id");
        // The child is not waited for yet, so the number is still its own. An error means that it has ended.
        let _ = killpg(Pid::from_raw(group), signal);
    }

    /// SIGKILL, and waits until the system has taken the process away: its ports and locks are free then.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Waits for the process to end by itself; none if it still runs after `limit`.
    pub(crate) async fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = clock::monotonic_now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("own child") {
                return Some(status);
            }
            if clock::monotonic_now() >= deadline {
                return None;
            }
            clock::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a VmRSS line");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kib * 1024
    }

    fn end(&mut self) {
        // Once it is waited for, its number may belong to another process.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGKILL);
            drop(self.child.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            // Through the test's captured output, so that it shows only if the test fails.
            #[expect(clippy::print_stderr, reason = "a failing test shows what the node said")]
            {
                eprintln!("--- end of {}\n{}", self.log.display(), tail(&self.log));
            }
        }
    }
}

/// The last part of a log file.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]).into_owned()
}
