//! Another cluster.yaml for a cluster that stands: only what it says otherwise is changed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::census::Census;
use crate::drift::steps;
use crate::harness::Bed;

const UP: &str = "cluster up -f cluster.yaml --yes";
const PLAN: &str = "cluster plan -f cluster.yaml -o json";

fn write(bed: &Bed, zones: &[&str], more: &str) {
    let zones: String = zones.iter().map(|zone| format!("  - us-east-1{zone}\n")).collect();
    let text = format!("provider: aws\nzones:\n{zones}{more}");
    std::fs::write(bed.file("cluster.yaml"), text).expect("it is written");
}

/// Plans and carries out; returns what was planned.
fn change(bed: &Bed) -> Vec<String> {
    let before = bed.census();
    let plan = bed.kvctl(PLAN);
    plan.exits(10);
    let planned = steps(&serde_json::from_str::<Value>(&plan.stdout).expect("a document"), &before);
    bed.kvctl(UP).exits(0);
    bed.kvctl(PLAN).exits(0);
    planned
}

/// Names of what lost its id.
fn lost(before: &Census, bed: &Bed) -> BTreeSet<String> {
    before.missing_in(&bed.census()).into_iter().collect()
}

#[test]
fn a_zone_comes_and_goes_and_its_neighbours_do_not_notice() {
    let Some(bed) = Bed::make() else { return };
    write(&bed, &["a", "b", "c"], "");
    bed.kvctl(UP).exits(0);
    let three = bed.census();
    write(&bed, &["a", "b", "c", "d"], "");
    let planned = change(&bed);
    let odd: Vec<&String> = planned.iter().filter(|step| !step.starts_with("create ") && !known(step)).collect();
    assert_eq!(odd, [""; 0], "{planned:#?}");
    let elsewhere: Vec<&String> = planned
        .iter()
        .filter(|step| step.starts_with("create ") && !step.contains("us-east-1d") && !step.contains("d1"))
        .collect();
    assert_eq!(elsewhere, [""; 0], "{planned:#?}");
    assert_eq!(lost(&three, &bed), BTreeSet::new());
    write(&bed, &["a", "b", "c"], "");
    let planned = change(&bed);
    let odd: Vec<&String> = planned.iter().filter(|step| !step.starts_with("delete ") && !known(step)).collect();
    assert_eq!(odd, [""; 0], "{planned:#?}");
    assert_eq!(lost(&three, &bed), BTreeSet::new());
}

/// What all zones share takes note of a new one.
fn known(step: &str) -> bool {
    ["change load-balancer/main: subnets", "change gateway-endpoint/s3: tables"].contains(&step)
}

#[test]
fn other_clients_change_two_rules_and_nothing_else() {
    let Some(bed) = Bed::make() else { return };
    write(&bed, &["a", "b", "c"], "");
    bed.kvctl(UP).exits(0);
    let before = bed.census();
    write(&bed, &["a", "b", "c"], "client_cidrs:\n  - 203.0.113.0/24\n");
    let planned = change(&bed);
    assert_eq!(
        planned,
        [
            "change network-acl-entry/public/in/100: cidr",
            "create security-group-rule/lb/in/tcp/8080/203.0.113.0/24",
            "delete security-group-rule/kvstore-dev-sg-lb/in/8080-8080/0.0.0.0/0",
        ]
    );
    let rule = "kvstore-dev-sg-lb/in/8080-8080/0.0.0.0/0".to_owned();
    assert_eq!(lost(&before, &bed), BTreeSet::from([rule]));
}

#[test]
fn larger_machines_are_new_machines_with_the_old_disks() {
    let Some(bed) = Bed::make() else { return };
    write(&bed, &["a", "b", "c"], "");
    bed.kvctl(UP).exits(0);
    let before = bed.census();
    write(&bed, &["a", "b", "c"], "instance_type: m6i.xlarge\n");
    let planned = change(&bed);
    let kinds: BTreeSet<&str> = planned.iter().filter_map(|step| step.split('/').next()).collect();
    assert_eq!(
        kinds,
        BTreeSet::from([
            "create instance",
            "create target-registration",
            "create volume-attachment",
            "delete instance",
            "delete target-registration",
        ]),
        "{planned:#?}"
    );
    let machines = ["a1", "b1", "c1"].map(|node| format!("kvstore-dev-node-{node}"));
    assert_eq!(lost(&before, &bed), BTreeSet::from(machines));
    let after = bed.census();
    assert!(after.of("instance").iter().all(|line| line.contains("m6i.xlarge")), "{}", after.text());
    assert_eq!(after.of("volume"), before.of("volume"));
}
