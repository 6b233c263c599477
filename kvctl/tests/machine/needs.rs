//! What must be on this machine before machines can be made on it.
//!
//! Nothing is installed here: `.ci/hosts.sh` and `.ci/emulator.sh` do that.

use std::io::Write as _;
use std::path::{Path, PathBuf};

const PROGRAMS: [&str; 8] = ["systemd-nspawn", "nsenter", "ip", "losetup", "mount", "curl", "openssl", "mkswap"];

/// The root folder that every machine starts from.
pub(crate) fn base() -> PathBuf {
    target().join("hosts/base")
}

/// The emulator's interpreter.
pub(crate) fn python() -> PathBuf {
    target().join("emulator/venv/bin/python")
}

/// The daemon that machines run.
pub(crate) fn daemon() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_kvctl")).with_file_name("kvnode")
}

/// Where machines live while they do.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

/// Whether everything is here; says loudly what is not.
pub(crate) fn are_met() -> bool {
    let lacks = lacking();
    for what in &lacks {
        drop(writeln!(std::io::stderr(), "LEFT OUT: machines need {what}"));
    }
    assert!(lacks.is_empty() || std::env::var_os("CI").is_none(), "nothing may be left out here: {lacks:?}");
    lacks.is_empty()
}

fn lacking() -> Vec<String> {
    let mut lacks = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        lacks.push("root".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = |program: &&str| folders.iter().any(|folder| folder.join(program).is_file());
    lacks.extend(PROGRAMS.iter().filter(|program| !found(program)).map(|program| format!("the program {program}")));
    for (file, maker) in [
        (base().join("usr/bin/cloud-init"), "sh .ci/hosts.sh"),
        (python(), "sh .ci/emulator.sh"),
        (daemon(), "cargo build -p kvnode"),
    ] {
        if !file.exists() {
            lacks.push(format!("{} (made by: {maker})", file.display()));
        }
    }
    lacks
}
