//! Daemons as processes: started so that they outlive the terminal, recognised beyond doubt, stopped by signal.
//!
//! A process is ours if its pid, its start time and the boot of the machine are those written down: a pid alone is
//! given again to strangers. Start times are in clock ticks since boot, from field 22 of `/proc/<pid>/stat`
//! (proc(5)). Nothing here decides who is to be started or stopped.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::state::{Error, read_bounded};

/// Ticks in a second as the kernel shows them to programs: 100 on every Linux architecture, whatever its own rate.
pub const TICKS_PER_SECOND: u64 = 100;
/// Largest record read.
const MAX_RECORD: u64 = 256 * 1024;
/// The hidden command that detaches a daemon.
pub const DETACH: &str = "__detach";

/// Which process a node is: enough to recognise it beyond doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Process id.
    pub pid: u32,
    /// Ticks from boot to its start.
    pub start_ticks: u64,
    /// Which boot of the machine.
    pub boot: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What a record's process is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It runs, for so long.
    Runs {
        /// Since its start.
        age: Duration,
    },
    /// No process has its pid, or it is only waiting to be reaped.
    Gone,
    /// Its pid was given to another program.
    Other {
        /// That program's name.
        program: String,
    },
}

/// Figures of a process from `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// One letter; `Z` is waiting to be reaped.
    pub state: char,
    /// Ticks from boot to its start.
    pub start_ticks: u64,
    /// Ticks of processor time, user and system together.
    pub busy_ticks: u64,
}

impl Record {
    /// Reads a record; none if there is none.
    ///
    /// # Errors
    /// The file cannot be read or is not what kvctl writes.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        let Some(bytes) = read_bounded(path, MAX_RECORD)? else { return Ok(None) };
        let read = serde_json::from_slice(&bytes);
        let odd = |error| Error::HalfWritten { path: path.to_owned(), reason: format!("cannot be read: {error}") };
        Ok(Some(read.map_err(odd)?))
    }

    /// Writes the record.
    ///
    /// # Errors
    /// It cannot be replaced; the old one is in place.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(self).expect("invariant: plain structs serialize");
        Ok(kvnode::certificates::write_private(path, &bytes)?)
    }

    /// The record of a process that runs now; none if it does not.
    #[must_use]
    pub fn of_running(pid: u32) -> Option<Self> {
        let stat = Stat::of(pid).filter(|stat| stat.state != 'Z')?;
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let arguments = command_line(pid)?.into_iter().skip(1).collect();
        Some(Self { pid, start_ticks: stat.start_ticks, boot: boot_id()?, program, arguments })
    }

    /// What its process is now.
    #[must_use]
    pub fn presence(&self) -> Presence {
        let Some(stat) = Stat::of(self.pid) else { return Presence::Gone };
        if stat.state == 'Z' {
            return Presence::Gone;
        }
        if stat.start_ticks != self.start_ticks || boot_id().as_deref() != Some(&*self.boot) {
            return Presence::Other { program: name_of(self.pid) };
        }
        Presence::Runs { age: age(stat.start_ticks) }
    }

    /// Sends a signal to its process, if it is still the one; tells whether it was.
    ///
    /// # Errors
    /// The system refused the signal.
    pub fn signal(&self, signal: Signal) -> Result<bool, nix::Error> {
        if !matches!(self.presence(), Presence::Runs { .. }) {
            return Ok(false);
        }
        let Ok(pid) = i32::try_from(self.pid) else { return Ok(false) };
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) => Ok(true),
            Err(nix::Error::ESRCH) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Stat {
    /// Figures of a process; none if there is none.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads the text of `/proc/<pid>/stat`. The name in it may hold spaces and parentheses, so it is cut off first.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
        // Numbered in proc(5) from 1 with the pid; the third is the first after the name.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |at: usize| field(at)?.parse::<u64>().ok();
        Some(Self { state: field(3)?.chars().next()?, start_ticks: number(22)?, busy_ticks: number(14)? + number(15)? })
    }
}

/// Memory of a process that is in RAM, in bytes.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Whether a process has a handler for a signal; without one most signals would end it.
#[must_use]
pub fn catches(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
    // Bit n - 1 stands for signal n (proc(5)).
    caught.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

/// The short name of a process.
#[must_use]
pub fn name_of(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.trim().is_empty() { "an unknown program".to_owned() } else { name.trim().to_owned() }
}

/// A daemon whose arguments name this data folder, though nothing says so.
#[must_use]
pub fn find_by_data_dir(data_dir: &Path) -> Option<u32> {
    let entries = fs::read_dir("/proc").ok()?;
    let mut pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let named = command_line(*pid).is_some_and(|arguments| {
            arguments.windows(2).any(|pair| pair[0] == "--data-dir" && Path::new(&pair[1]) == data_dir)
        });
        // Others may name the folder too (an editor, a backup): only the daemon's own program counts.
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let daemon = program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kvnode"));
        named && daemon && Stat::of(*pid).is_some_and(|stat| stat.state != 'Z')
    })
}

fn command_line(pid: u32) -> Option<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
    Some(text.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

fn boot_id() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

fn age(start_ticks: u64) -> Duration {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime: f64 = text.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
    let uptime = Duration::try_from_secs_f64(uptime).unwrap_or_default();
    uptime.saturating_sub(Duration::from_millis(start_ticks * 1000 / TICKS_PER_SECOND))
}

/// Opens a log to append to.
///
/// # Errors
/// The system refused.
pub fn open_log(log: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(log)
}

/// Starts a daemon that outlives this process and its terminal; what it says is appended to `log`.
///
/// # Errors
/// The log cannot be opened or the process cannot be made; then nothing runs.
pub fn spawn(program: &Path, arguments: &[String], folder: &Path, log: &Path) -> io::Result<Child> {
    let log = open_log(log)?;
    // A process cannot leave its session after it became another program, and std offers no safe hook in between:
    // so this very program is started first, leaves the session, and then becomes the daemon, under the same pid.
    Command::new(std::env::current_exe()?)
        .arg(DETACH)
        .arg("--")
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// The other half of [`spawn`], in the new process: leaves the session, closes what it inherited, becomes the daemon.
/// Returns only if that failed.
#[must_use]
pub fn detach(program: &Path, arguments: &[std::ffi::OsString]) -> io::Error {
    // Fails only for the leader of a process group, which a child that was just made is not.
    if let Err(error) = nix::unistd::setsid() {
        return error.into();
    }
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    // A lock, a pipe of make or of a script that was inherited would stay open as long as the daemon runs. Nothing of
    // this process is lost: it is about to become another program.
    for descriptor in inherited_descriptors() {
        // One that cannot be closed stays open, as it would have anyway.
        nix::unistd::close(descriptor).ok();
    }
    Command::new(program).args(arguments).exec()
}

/// Open descriptors but the standard three.
fn inherited_descriptors() -> Vec<std::os::fd::RawFd> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // Collected first: the listing is itself a descriptor, closed by now.
    numbers.filter(|number| *number > 2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let tail = "S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 5 0 123456 1000 200 18446744073709551615";
        let expected = Some(Stat { state: 'S', start_ticks: 123_456, busy_ticks: 42 });
        for name in ["kvnode", "a b", "x) S 9 (", ""] {
            assert_eq!(Stat::parse(&format!("7 ({name}) {tail}")), expected, "{name}");
        }
        for bad in ["", "7", "7 (x)", "7 (x) S 1 2", ")"] {
            assert_eq!(Stat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_process_is_recognised_and_its_double_is_not() {
        let record = Record::of_running(std::process::id()).expect("this process runs");
        assert!(matches!(record.presence(), Presence::Runs { .. }));
        let later = Record { start_ticks: record.start_ticks + 1, ..record.clone() };
        assert!(matches!(later.presence(), Presence::Other { .. }));
        assert_eq!(later.signal(Signal::SIGKILL), Ok(false));
        let other_boot = Record { boot: "another".to_owned(), ..record };
        assert!(matches!(other_boot.presence(), Presence::Other { .. }));
    }

    #[test]
    fn handlers_are_told_from_their_absence() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep runs");
        assert!(!catches(child.id(), Signal::SIGHUP));
        child.kill().expect("killed");
        child.wait().expect("reaped");
        let mut child = Command::new("sh")
            .args(["-c", "trap : HUP; echo; read x"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut said = [0];
        io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut said).expect("the handler is set");
        assert!(catches(child.id(), Signal::SIGHUP));
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    #[test]
    fn a_process_that_ended_is_gone_before_it_is_reaped() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let record = Record::of_running(child.id()).expect("it runs");
        assert_eq!(record.signal(Signal::SIGKILL), Ok(true));
        while !matches!(record.presence(), Presence::Gone) {
            std::thread::yield_now();
        }
        assert_eq!(record.signal(Signal::SIGTERM), Ok(false));
        child.wait().expect("reaped");
        assert_eq!(record.presence(), Presence::Gone);
    }
}
