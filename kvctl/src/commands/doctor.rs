//! `kvctl doctor`: whether this machine can run clusters, and whether those it has are in order.
//!
//! Every check is made and told, each with its fix; nothing is changed. What could not be checked is told as unknown,
//! never as good.

use std::path::Path;
use std::process::Command as Program;

use infra::topology::{Draft, Topology};
use kvnode::runtime::clock;
use nix::sys::resource::{Resource, getrlimit};
use serde::Serialize;

use super::certs;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::state::{Folder, check_private};
use crate::provider::local::{launch, ports};
use crate::session::Session;
use crate::ui::Tone;
use crate::ui::table::bytes;

/// Open files a node needs at full load: its default 4096 client connections, peers, store and some room.
const OPEN_FILES: u64 = 8192;
/// Free disk below which nodes refuse writes, in percent; the daemon's default.
const DISK_FLOOR: u64 = 5;
/// A clock set before this is wrong: 2026-01-01 in seconds since 1970.
const EARLIEST: u64 = 1_767_225_600;

/// Check this machine and the clusters on it (exit 10: something is wrong).
#[derive(Debug, clap::Args)]
pub struct Doctor {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    Ok,
    Warning,
    Fail,
    Unknown,
}

#[derive(Debug, Serialize)]
struct Check {
    check: String,
    grade: Grade,
    found: String,
    fix: Option<String>,
}

impl Check {
    fn new(check: impl Into<String>, grade: Grade, found: impl Into<String>) -> Self {
        Self { check: check.into(), grade, found: found.into(), fix: None }
    }

    fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: (self.grade != Grade::Ok).then(|| fix.into()), ..self }
    }
}

/// Checks everything.
///
/// # Errors
/// The clusters of the state folder cannot be listed.
pub async fn run(session: &Session, _doctor: &Doctor) -> Result<Exit, CommandError> {
    let state = &session.settings.state_dir;
    let mut checks = vec![kernel(), open_files(), folder(state), disk(state), time(), daemon(session)];
    let folders = Folder::all(state)?;
    if folders.is_empty() {
        checks.push(default_ports());
    }
    for folder in &folders {
        checks.extend(cluster(folder));
    }
    show(session, &checks)
}

fn kernel() -> Check {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match release.trim() {
        "" => Check::new("system", Grade::Fail, "this is no Linux: there is no /proc").fix("run it on Linux"),
        release => Check::new("system", Grade::Ok, format!("Linux {release}")),
    }
}

fn open_files() -> Check {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) if soft >= OPEN_FILES => Check::new("open files", Grade::Ok, format!("up to {soft}")),
        Ok((soft, hard)) => Check::new(
            "open files",
            Grade::Warning,
            format!("up to {soft} (at most {hard}); full load needs {OPEN_FILES}"),
        )
        .fix(format!("ulimit -n {}", hard.clamp(soft, OPEN_FILES))),
        Err(error) => Check::new("open files", Grade::Unknown, error.to_string()),
    }
}

/// The nearest folder that exists: the state folder itself may still be to be made.
fn existing_part(path: &Path) -> &Path {
    path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("/"))
}

fn folder(state: &Path) -> Check {
    let shown = state.display();
    if let Err(error) = check_private(state, 0o700) {
        return Check::new("state folder", Grade::Fail, error.to_string()).fix(format!("chmod 700 {shown}"));
    }
    let part = existing_part(state);
    match nix::unistd::access(part, nix::unistd::AccessFlags::W_OK) {
        Ok(()) => Check::new("state folder", Grade::Ok, format!("{shown} can be written")),
        Err(error) => Check::new("state folder", Grade::Fail, format!("{} cannot be written: {error}", part.display()))
            .fix("another folder: kvctl --state-dir DIR"),
    }
}

fn disk(state: &Path) -> Check {
    let part = existing_part(state);
    let stat = match nix::sys::statvfs::statvfs(part) {
        Ok(stat) => stat,
        Err(error) => return Check::new("disk", Grade::Unknown, error.to_string()),
    };
    let free = stat.blocks_available() * stat.fragment_size();
    let percent = stat.blocks_available() * 100 / stat.blocks().max(1);
    let grade = match percent {
        ..DISK_FLOOR => Grade::Fail,
        DISK_FLOOR..15 => Grade::Warning,
        _ => Grade::Ok,
    };
    Check::new("disk", grade, format!("{} free ({percent} %) at {}", bytes(free), part.display()))
        .fix(format!("below {DISK_FLOOR} % nodes refuse writes: make room"))
}

fn time() -> Check {
    let now = clock::wall_micros() / 1_000_000;
    if now < EARLIEST {
        return Check::new("clock", Grade::Fail, "is set before 2026")
            .fix("set the clock: certificates would not hold");
    }
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Check::new("clock", Grade::Ok, "is synchronised");
    }
    Check::new("clock", Grade::Unknown, "plausible; whether it is synchronised cannot be told")
        .fix("only expiry and display depend on it, never correctness; chrony or systemd-timesyncd keep it right")
}

fn daemon(session: &Session) -> Check {
    let program = match launch::find_program(None, &session.settings.search_path) {
        Ok(program) => program,
        Err(error) => {
            return Check::new("daemon", Grade::Fail, error.to_string()).fix("build it: cargo build --release");
        }
    };
    let version = Program::new(&program).arg("--version").output();
    let text = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match text {
        Ok(text) if text == format!("kvnode {}", env!("CARGO_PKG_VERSION")) => {
            Check::new("daemon", Grade::Ok, format!("{text} at {}", program.display()))
        }
        Ok(text) => Check::new(
            "daemon",
            Grade::Warning,
            format!("{} says {text:?}, this is kvctl {}", program.display(), env!("CARGO_PKG_VERSION")),
        )
        .fix("build both of one release"),
        Err(error) => Check::new("daemon", Grade::Fail, format!("{}: {error}", program.display())),
    }
}

fn default_ports() -> Check {
    let Ok(topology) = Topology::parse(Draft::default()) else {
        return Check::new("ports", Grade::Unknown, "the default cluster cannot be laid out");
    };
    let troubles = ports::troubles(topology.nodes().iter().flat_map(ports::of_node));
    match troubles.first() {
        None => Check::new("ports", Grade::Ok, "8080, 7946 and 7947 are free on 127.0.1.1, 127.0.2.1 and 127.0.3.1"),
        Some(first) => {
            let found = troubles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            Check::new("ports", Grade::Warning, found)
                .fix(format!("other ports: kvctl cluster up --{} NUMBER", first.wanted.option))
        }
    }
}

fn cluster(folder: &Folder) -> Vec<Check> {
    let name = folder.cluster();
    let title = |what: &str| format!("{name}: {what}");
    let saved = match folder.load() {
        Ok(Some(saved)) => saved,
        Ok(None) => return Vec::new(),
        Err(error) => {
            let error = CommandError::from(error);
            return vec![Check::new(title("state"), Grade::Fail, error.render())];
        }
    };
    let Ok(topology) = Topology::parse(saved.draft) else {
        return vec![Check::new(title("state"), Grade::Fail, "cluster.json describes a cluster that cannot be")];
    };
    let rows = certs::rows(folder, &topology);
    let first = rows.iter().min_by_key(|row| row.days_left.unwrap_or(i64::MIN));
    let certificates = match first.map(|row| (row, row.days_left)) {
        Some((row, Some(days))) => {
            let grade = match days {
                ..0 => Grade::Fail,
                0..certs::WARN_DAYS => Grade::Warning,
                _ => Grade::Ok,
            };
            Check::new(title("certificates"), grade, format!("the first to end is that of {}, in {days} days", row.of))
        }
        Some((row, None)) => {
            let problem = row.problem.clone().unwrap_or_default();
            Check::new(title("certificates"), Grade::Fail, format!("that of {}: {problem}", row.of))
        }
        None => Check::new(title("certificates"), Grade::Unknown, "there are none"),
    };
    vec![certificates.fix("kvctl certs renew")]
}

fn show(session: &Session, checks: &[Check]) -> Result<Exit, CommandError> {
    let wrong = checks.iter().filter(|check| check.grade == Grade::Fail).count();
    let doubtful = checks.iter().filter(|check| matches!(check.grade, Grade::Warning | Grade::Unknown)).count();
    if session.machine() {
        session.ui.json(&checks)?;
    } else {
        let (word, tone) = match (wrong, doubtful) {
            (0, 0) => ("GOOD", Tone::Good),
            (0, _) => ("GOOD ENOUGH", Tone::Warning),
            _ => ("TROUBLE", Tone::Bad),
        };
        let total = checks.len();
        session
            .ui
            .line(format!("{}  {total} checks: {wrong} wrong, {doubtful} doubtful", session.ui.paint(tone, word)))?;
        let width = checks.iter().map(|check| check.check.len()).max().unwrap_or(0);
        for check in checks {
            let mark = match check.grade {
                Grade::Ok => "✔",
                Grade::Warning => "!",
                Grade::Fail => "✘",
                Grade::Unknown => "?",
            };
            session.ui.line(format!(" {mark} {:<width$}  {}", check.check, check.found.replace('\n', "\n   ")))?;
            if let Some(fix) = &check.fix {
                session.ui.line(format!("   {:<width$}  {fix}", ""))?;
            }
        }
    }
    Ok(if wrong > 0 { Exit::Findings } else { Exit::Ok })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_checked() {
        for check in [kernel(), open_files(), disk(Path::new("/nowhere/at/all")), time()] {
            assert!(!check.found.is_empty(), "{}", check.check);
            assert!(check.grade != Grade::Ok || check.fix.is_none(), "{}", check.check);
        }
    }

    #[test]
    fn the_nearest_folder_that_exists_is_judged() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(existing_part(&folder.path().join("a/b")), folder.path());
    }
}
