//! Runs kvctl in a folder of its own: environment cleared, no terminal, output captured.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder to work in; gone with the test.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.path().join("state/local")
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvctl"));
        command.env_clear().env("KVCTL_STATE_DIR", self.path().join("state"));
        command.current_dir(self.path()).args(line.split_ascii_whitespace()).stdin(Stdio::null());
        command
    }

    /// Runs a command line; the folder's name is replaced in what it prints.
    pub(crate) fn run(&self, line: &str) -> Run {
        let Output { status, stdout, stderr } = self.command(line).output().expect("kvctl runs");
        let folder = self.path().to_string_lossy().into_owned();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder, "HOME");
        Run { exit: status.code().unwrap_or(-1), stdout: text(&stdout), stderr: text(&stderr) }
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}exit {}", self.stdout, self.stderr, self.exit)
    }
}
