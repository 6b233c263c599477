//! Machines that execute the rendered user data exactly as rendered: what is shown is that it works, not how it reads.
//!
//! A machine is a throw-away Debian root with systemd and cloud-init, booted by systemd-nspawn in a network of its
//! own that holds nothing but the machines and the AWS emulator; its data volume is a loop device. `.ci/hosts.sh`
//! makes the root, `.ci/emulator.sh` the emulator, `cargo build -p kvnode` the artifact.
//! Where root or a tool is missing this says so loudly and shows nothing; with CI=true it fails.

mod cluster;
mod lab;
mod machine;
mod needs;

use std::sync::{Mutex, MutexGuard, PoisonError};

use cluster::Cluster;
use machine::Volume;

/// Three machines fill a small one: one scenario at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What every scenario starts with; none if something is missing on a person's machine.
fn begin() -> Option<(MutexGuard<'static, ()>, Cluster)> {
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    needs::are_met().then(|| (guard, Cluster::new()))
}

#[test]
fn three_machines_become_a_cluster_and_stay_one() {
    let Some((_guard, cluster)) = begin() else { return };
    let mut machines = cluster.boot_all();
    for machine in &machines {
        machine.await_cloud_init("done");
    }
    cluster.await_ready(["a1", "b1", "c1"]);
    cluster.put("a1", "k", "before");
    for machine in &machines {
        assert_eq!(cluster.get(machine.name(), "k"), "before");
        assert_eq!(machine.run("systemctl is-system-running"), "running");
        machine.check_files();
        machine.check_that_nothing_secret_was_shown(&cluster.secrets(machine.name()));
        machine.check_exposure();
    }

    let machine = &machines[0];
    let before = machine.snapshot();
    let said = machine.run_user_data().expect("a second run succeeds");
    assert!(said.ends_with("kvstore: done: kvnode listens on 10.0.0.11:8080"), "{said}");
    for line in ["installed", "wrote", "mounted", "made a file system", "added"] {
        assert!(!said.contains(line), "a second run changed something: {said}");
    }
    let changed: Vec<String> = machine.snapshot().difference(&before).cloned().collect();
    assert_eq!(changed, Vec::<String>::new(), "a second run changes and restarts nothing");

    machine.run("kill -KILL $(systemctl show --value --property MainPID kvnode)");
    cluster.await_ready(["a1"]);
    machines[0].reboot();
    cluster.await_ready(["a1"]);
    assert_eq!(cluster.get("a1", "k"), "before");
    assert_eq!(machines[0].run("systemctl is-system-running --wait"), "running");

    // Power off, a new root disk and a new cloud-init, the old volume: the same node again.
    let ring = cluster.ring();
    cluster.replace(&mut machines[0]);
    machines[0].await_cloud_init("done");
    cluster.await_ready(["a1", "b1", "c1"]);
    assert_eq!(cluster.get("a1", "k"), "before");
    assert_eq!(cluster.ring(), ring, "no other ring was formed");
    assert!(!machines[0].cloud_init_output().contains("made a file system"));
}

#[test]
fn a_rotated_secret_is_taken_up_without_a_restart() {
    let Some((_guard, cluster)) = begin() else { return };
    let machine = cluster.boot("a1", Volume::Empty);
    machine.await_cloud_init("done");
    let process = machine.run("systemctl show --property MainPID,NRestarts kvnode");
    let old = cluster.served_certificate("a1");
    cluster.issue_again("a1");
    let said = machine.run_user_data().expect("a run after a rotation succeeds");
    assert!(said.contains("wrote /etc/kvstore/credentials/certificate.pem"), "{said}");
    assert!(!said.contains("wrote /etc/kvstore/credentials/ca.pem"), "{said}");
    cluster.await_other_certificate("a1", &old);
    assert_eq!(machine.run("systemctl show --property MainPID,NRestarts kvnode"), process);
}

#[test]
fn an_artifact_with_another_checksum_is_refused() {
    let Some((_guard, cluster)) = begin() else { return };
    cluster.damage_artifact();
    let machine = cluster.boot("a1", Volume::Empty);
    machine.await_cloud_init("error");
    let said = machine.cloud_init_output();
    assert!(said.contains("kvstore: FAILED: s3://") && said.contains("has not the checksum"), "{said}");
    let left = machine
        .run("ls -d /usr/local/bin/kvnode /usr/local/lib/kvstore/*/* /etc/systemd/system/kvnode.service || true");
    assert_eq!(left, "");

    cluster.repair_artifact();
    machine.run_user_data().expect("a run after the repair succeeds");
    assert_eq!(machine.run("systemctl is-active kvnode"), "active");
}

#[test]
fn a_volume_that_holds_something_else_is_left_alone() {
    let Some((_guard, cluster)) = begin() else { return };
    for (volume, reason) in [
        (Volume::Noise, "holds something that is no file system; it is left alone"),
        (Volume::Partitioned, "holds partitions, not ext4 or xfs; it is left alone"),
        (Volume::Swap, "holds swap, not ext4 or xfs; it is left alone"),
    ] {
        let machine = cluster.boot("b1", volume);
        let before = machine.volume_digest();
        machine.await_cloud_init("error");
        let said = machine.cloud_init_output();
        assert!(said.contains(reason), "{volume:?}: {said}");
        assert_eq!(machine.volume_digest(), before, "{volume:?}");
        assert_eq!(machine.run("ls /etc/systemd/system/kvnode.service || true"), "");
    }
}

#[test]
fn a_late_volume_and_late_secrets_are_waited_for() {
    let Some((_guard, cluster)) = begin() else { return };
    let secret = cluster.hide_parameter("nodes/c1/key.pem");
    let machine = cluster.boot("c1", Volume::Later);
    machine.await_output("the data volume /dev/sdf: not yet");
    machine.attach_volume();
    machine.await_output("the parameter /kvstore-dev/nodes/c1/key.pem: not yet");
    cluster.show_parameter(secret);
    machine.await_cloud_init("done");
    assert_eq!(machine.run("systemctl is-active kvnode"), "active");
}
