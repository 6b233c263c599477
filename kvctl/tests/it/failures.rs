//! What goes wrong before a cluster stands: the exit code, the words, and that nothing was destroyed.

use std::net::TcpListener;

use crate::command::Home;

#[test]
fn commands_without_a_cluster_say_how_to_make_one() {
    let home = Home::new();
    for line in ["kv get x", "node list", "ring show", "context show", "bench"] {
        let run = home.run(line);
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{line}");
        assert!(run.stderr.contains("make one: kvctl cluster up"), "{line}: {run}");
    }
    insta::assert_snapshot!(home.run("cluster status"), @r"
    error: there is no cluster local in HOME/state
           make it: kvctl cluster up local
    exit 2
    ");
}

#[test]
fn a_bad_specification_is_told_at_once_with_its_lines() {
    let home = Home::new();
    std::fs::write(home.path().join("cluster.yaml"), "cluster: dev\nreplica: 3\nports:\n  api: 80\n").expect("written");
    insta::assert_snapshot!(home.run("cluster plan -f cluster.yaml"), @r"
    error: cluster.yaml has 2 problems
           line 2     replica    unknown key; did you mean replicas?
           line 4     ports.api  port 80 is below 1024 and needs privileges; choose one between 1024 and 65535
    exit 2
    ");
}

#[test]
fn what_init_writes_is_what_plan_reads() {
    let home = Home::new();
    assert_eq!(home.run("cluster init dev --zones x,y,z --nodes-per-zone 2").exit, 0);
    let plan = home.run("cluster plan -f cluster.yaml");
    assert_eq!(plan.exit, 10);
    assert!(plan.stdout.starts_with("CHANGES  dev: 6 to start"), "{plan}");
    let again = home.run("cluster init dev");
    assert_eq!(again.exit, 1, "an existing file is kept: {again}");
}

#[test]
fn a_missing_daemon_changes_nothing() {
    let home = Home::new();
    insta::assert_snapshot!(home.run("cluster up --kvnode ./kvnode"), @r"
    error: the daemon kvnode was not found at HOME/kvnode
           nothing was changed; name it: kvctl cluster up --kvnode PATH
    exit 1
    ");
    assert!(!home.cluster().join("cluster.json").exists());
}

#[test]
fn a_daemon_that_ends_at_once_is_told_with_its_last_words() {
    let home = Home::new();
    let program = home.path().join("kvnode");
    std::fs::write(&program, "#!/bin/sh\necho cannot read the stars >&2\nexit 3\n").expect("written");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&program, executable).expect("changed");
    let run = home.run("cluster up --kvnode ./kvnode --api-port 21080 --peer-port 21946 --gossip-port 21947");
    assert_eq!(run.exit, 14, "{run}");
    assert!(run.stderr.contains("ended at once (exit status: 3)"), "{run}");
    assert!(run.stderr.contains("cannot read the stars"), "{run}");
    let status = home.run("cluster status");
    assert_eq!(status.exit, 10, "{status}");
    assert_eq!(home.run("-q cluster down --delete-data --yes").exit, 0);
    assert!(!home.cluster().exists());
}

#[test]
fn a_taken_port_is_named_with_its_holder() {
    let home = Home::new();
    let program = home.path().join("kvnode");
    std::fs::write(&program, "").expect("written");
    let listener = TcpListener::bind("127.0.2.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let run =
        home.run(&format!("cluster up --kvnode ./kvnode --api-port {port} --peer-port 22946 --gossip-port 22947"));
    assert_eq!(run.exit, 1, "{run}");
    let holder = format!("127.0.2.1:{port} is taken by pid {} (", std::process::id());
    assert!(run.stderr.contains("cannot start b1") && run.stderr.contains(&holder), "{run}");
    assert!(run.stderr.contains(&format!("kvctl cluster up --api-port {}", port.wrapping_add(1000))), "{run}");
    assert!(!home.cluster().join("cluster.json").exists());
}

#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let home = Home::new();
    std::fs::create_dir_all(home.cluster()).expect("made");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(home.cluster(), closed).expect("changed");
    std::fs::write(home.cluster().join("thesis.tex"), "years").expect("written");
    insta::assert_snapshot!(home.run("cluster up"), @r"
    error: HOME/state/local: it holds thesis.tex but no cluster.json
           nothing was changed; move it away, or use another folder: kvctl --state-dir DIR
    exit 13
    ");
    let kept = std::fs::read_to_string(home.cluster().join("thesis.tex"));
    assert_eq!(kept.ok().as_deref(), Some("years"));
    assert_eq!(std::fs::read_dir(home.cluster()).expect("readable").count(), 1, "nothing was added");
}
