//! A state folder that is not as kvctl left it: what is wrong is named and nothing is destroyed.
//!
//! The whole folder is compared before and after. Files stand where folders should be, since mode bits do not stop
//! an administrator.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

use super::local::Local;

/// Another program of this machine, which happens to have the pid that a record names.
struct Stranger(Child);

impl Stranger {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").spawn().expect("sleep runs"))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().expect("a child of this test");
        self.0.wait().expect("a child of this test");
    }
}

/// Every command that could change something ends with `code`, names `what`, and leaves the folder as it was.
#[track_caller]
fn refused(local: &Local, lines: &[&str], code: i32, what: &[&str]) {
    let before = local.tree();
    for line in lines {
        let told = local.exits(code, line);
        assert!(what.iter().all(|word| told.contains(word)), "kvctl {line}: {told}");
        assert_eq!(local.tree(), before, "kvctl {line}");
        assert_eq!(local.processes(), Vec::<u32>::new(), "kvctl {line}");
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
}

#[test]
fn a_pid_that_another_program_has_now_is_left_alone() {
    let local = Local::started();
    local.kill([&local.pids()["b1"]]);
    let file = local.folder().join("b1/process.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&fs::read(&file).expect("readable")).expect("a document");
    let mut stranger = Stranger::new();
    record["pid"] = stranger.0.id().into();
    fs::write(&file, record.to_string()).expect("written");
    let named = format!("its pid {} is sleep now", stranger.0.id());
    assert!(local.exits(10, "cluster status").contains(&named));
    let plan = local.exits(10, "cluster plan");
    assert!(plan.contains(&format!("pid {} is sleep now and is left alone", stranger.0.id())), "{plan}");
    local.succeeds("cluster up");
    local.exits(0, "cluster status");
    fs::write(&file, record.to_string()).expect("written");
    local.succeeds("cluster down");
    assert_eq!(local.processes(), Vec::<u32>::new(), "the real b1 was found without its record");
    assert!(stranger.0.try_wait().expect("a child of this test").is_none(), "the stranger was ended");
}

#[test]
fn a_lost_or_half_written_record_of_a_running_node_stops_nothing() {
    let local = Local::started();
    let pids = local.pids();
    let file = local.folder().join("c1/process.json");
    fs::remove_file(&file).expect("removed");
    assert!(local.exits(10, "cluster status").contains("which no record says"));
    local.succeeds("cluster up");
    assert_eq!(local.pids(), pids, "it was adopted");
    fs::write(&file, "{\"pid\": 1").expect("written");
    let told = local.exits(13, "cluster up");
    assert!(told.contains("c1/process.json") && told.contains("nothing was changed"), "{told}");
    assert_eq!(local.processes().len(), 3);
    local.succeeds("cluster down");
    assert_eq!(local.processes(), Vec::<u32>::new());
}

#[test]
fn a_half_written_cluster_file_is_named_and_kept() {
    let local = Local::started();
    local.succeeds("cluster down");
    let file = local.folder().join("cluster.json");
    let whole = fs::read(&file).expect("readable");
    let lines = ["cluster up", "cluster plan", "cluster status", "cluster down --delete-data --yes"];
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).expect("written");
        refused(&local, &lines, 13, &["local/cluster.json: cannot be read", "nothing was changed"]);
    }
    fs::write(&file, &whole).expect("written");
    local.succeeds("cluster up");
}

#[test]
fn what_is_open_to_others_is_named_with_the_command_that_closes_it() {
    let local = Local::started();
    local.succeeds("cluster down");
    for (name, open, closed) in [
        ("", 0o755, 0o700),
        ("certs", 0o750, 0o700),
        ("certs/a1-key.pem", 0o644, 0o600),
        ("certs/ca-key.pem", 0o640, 0o600),
        ("keyring", 0o604, 0o600),
        ("admin.token", 0o644, 0o600),
        ("a1", 0o755, 0o700),
        ("c1/data", 0o755, 0o700),
    ] {
        let path = local.folder().join(name);
        set_mode(&path, open);
        let way_out = format!("chmod {closed:03o} ");
        refused(&local, &["cluster up"], 13, &[&way_out, name, "nothing was changed"]);
        set_mode(&path, closed);
    }
    local.succeeds("cluster up");
}

#[test]
fn a_file_where_a_folder_should_be_is_named_and_kept() {
    let local = Local::new();
    let up = local.first_up();
    let thesis = "years of work";
    fs::write(local.path("state"), thesis).expect("written");
    refused(&local, &[&up], 1, &["HOME/state", "another folder: kvctl --state-dir DIR"]);
    fs::remove_file(local.path("state")).expect("removed");
    fs::create_dir(local.path("state")).expect("made");
    set_mode(&local.path("state"), 0o700);
    fs::write(local.folder(), thesis).expect("written");
    refused(&local, &[&up], 1, &["HOME/state/local", "another folder: kvctl --state-dir DIR"]);
    fs::remove_file(local.folder()).expect("removed");
    local.succeeds(&up);
    local.succeeds("cluster down");
    let certificates = local.folder().join("certs");
    fs::rename(&certificates, local.path("aside")).expect("moved");
    fs::write(&certificates, thesis).expect("written");
    refused(&local, &["cluster up"], 1, &["certs", "another folder: kvctl --state-dir DIR"]);
    fs::remove_file(&certificates).expect("removed");
    fs::rename(local.path("aside"), &certificates).expect("moved");
    for (name, code, what) in [("b1/data", 1, "b1/data"), ("c1", 13, "c1/process.json: Not a directory")] {
        fs::rename(local.folder().join(name), local.path("aside")).expect("moved");
        fs::write(local.folder().join(name), thesis).expect("written");
        // The nodes before it are not left running without it.
        refused(&local, &["cluster up"], code, &[what]);
        fs::remove_file(local.folder().join(name)).expect("removed");
        fs::rename(local.path("aside"), local.folder().join(name)).expect("moved");
    }
    local.succeeds("cluster up");
}

#[test]
fn a_lost_or_damaged_secret_is_never_made_anew() {
    let local = Local::started();
    local.succeeds("cluster down");
    for name in ["certs/ca.pem", "certs/ca-key.pem", "keyring", "tokens", "admin.token"] {
        let (path, aside) = (local.folder().join(name), local.path("aside"));
        fs::rename(&path, &aside).expect("moved");
        refused(&local, &["cluster up"], 15, &[name, "nothing was changed"]);
        fs::rename(&aside, &path).expect("moved");
    }
    let authority = local.folder().join("certs/ca.pem");
    let whole = fs::read(&authority).expect("readable");
    fs::write(&authority, &whole[..100]).expect("written");
    refused(&local, &["cluster up", "cluster status", "kv get x"], 15, &["certs/ca.pem"]);
    fs::write(&authority, &whole).expect("written");
    local.succeeds("cluster up");
}
