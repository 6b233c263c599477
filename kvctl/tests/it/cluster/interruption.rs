//! `up` that is killed on its way, or not alone: the next one goes on, and nothing is done twice.
//!
//! Where it is killed is bound to what it has written, not to time.

use std::process::{Command, Stdio};

use super::local::{Local, eventually};

/// `cluster up`, started and left alone.
fn first_up(local: &Local) -> Command {
    let mut up = local.command(&local.first_up());
    up.stdout(Stdio::null()).stderr(Stdio::piped());
    up
}

#[test]
fn a_killed_up_is_continued() {
    for file in ["cluster.json", "certs/ca-key.pem", "certs/b1.pem", "tokens", "a1/log", "c1/process.json"] {
        let local = Local::new();
        let mut up = first_up(&local).spawn().expect("kvctl runs");
        let written = local.folder().join(file);
        eventually(file, || written.exists());
        up.kill().expect("a child of this test");
        up.wait().expect("a child of this test");
        local.succeeds("cluster up");
        assert_eq!(local.processes().len(), 3, "killed at {file}");
        local.exits(0, "cluster status");
        local.succeeds("-q kv put after the-kill");
    }
}

#[test]
fn a_killed_down_is_continued() {
    let local = Local::started();
    local.succeeds("-q kv put before the-kill");
    let mut down =
        local.command("cluster down").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kvctl runs");
    eventually("one node has ended", || local.processes().len() < 3);
    // It may have ended by itself just now.
    down.kill().expect("a child of this test");
    down.wait().expect("a child of this test");
    local.succeeds("cluster down");
    assert_eq!(local.processes(), Vec::<u32>::new());
    local.succeeds("cluster up");
    assert_eq!(local.succeeds("kv get before"), "the-kill");
}

#[test]
fn of_two_at_once_one_works_and_the_other_says_so() {
    let local = Local::new();
    let children: Vec<_> = (0..4).map(|_| first_up(&local).spawn().expect("kvctl runs")).collect();
    let outputs = children.into_iter().map(|child| child.wait_with_output().expect("it ends"));
    let mut succeeded = 0;
    for output in outputs {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => succeeded += 1,
            code => assert!(code == Some(1) && told.contains("another kvctl (pid "), "{code:?}: {told}"),
        }
    }
    assert!(succeeded >= 1);
    assert_eq!(local.processes().len(), 3);
    local.exits(0, "cluster status");
}
