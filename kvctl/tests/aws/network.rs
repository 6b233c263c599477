//! From nothing to the reference network and back: resource by resource, rule by rule, tag by tag, name by name.
//!
//! `reference.txt` is what must be there, in the words of `census`; it was compared with the design's table line by
//! line and is changed by hand only.

use std::collections::BTreeMap;

use crate::census::Census;
use crate::foreign;
use crate::harness::{Bed, CLUSTER, DOWN, PLAN, UP};

/// What must be there, sorted.
pub(crate) fn reference() -> Vec<String> {
    include_str!("reference.txt").lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn up_gives_the_reference_network_and_nothing_else() {
    let Some(bed) = Bed::make() else { return };
    let run = bed.kvctl(UP);
    run.exits(0);
    let census = bed.census();
    census.is(&reference(), &run);
    assert_tags(&census);
}

/// Every resource that can carry tags carries these, and nothing else but a machine's digest of its user data.
fn assert_tags(census: &Census) {
    let common = [
        ("Environment", "dev"),
        ("Project", "kvstore"),
        ("ManagedBy", "kvctl"),
        ("Region", "us-east-1"),
        ("kvstore:cluster", CLUSTER),
    ];
    let mut roles: BTreeMap<(String, String), String> = BTreeMap::new();
    for (whose, tags) in &census.tags {
        for (key, value) in common {
            assert_eq!(tags.get(key).map(String::as_str), Some(value), "{key} of {whose}: {tags:?}");
        }
        let kind = whose.split(' ').next().unwrap_or_default();
        let mut more: Vec<&str> = tags.keys().map(String::as_str).collect();
        more.retain(|key| !common.iter().any(|(common, _)| common == key));
        let wanted: &[&str] = match kind {
            "instance" => &["Name", "kvstore:role", "kvstore:user-data"],
            _ => &["Name", "kvstore:role"],
        };
        assert_eq!(more, wanted, "{whose}");
        let role = (kind.to_owned(), tags["kvstore:role"].clone());
        if let Some(other) = roles.insert(role.clone(), whose.clone()) {
            panic!("{role:?} is played by {whose} and {other}");
        }
    }
    for (kind, role) in [
        ("vpc", "main"),
        ("igw", "main"),
        ("subnet", "private-us-east-1a"),
        ("nat", "us-east-1c"),
        ("eip", "us-east-1b"),
        ("rtb", "public"),
        ("sg", "default"),
        ("acl", "private"),
        ("alb", "main"),
        ("target-group", "nodes"),
        ("bucket", "artifacts"),
        ("parameter", "nodes/a1/key.pem"),
        ("instance", "a1"),
        ("volume", "c1"),
    ] {
        assert!(roles.contains_key(&(kind.to_owned(), role.to_owned())), "no {kind} plays {role}");
    }
}

#[test]
fn a_second_up_says_no_changes_and_changes_nothing() {
    let Some(bed) = Bed::make() else { return };
    bed.kvctl(UP).exits(0);
    for line in [UP, PLAN, "cluster plan --provider aws -o json"] {
        let run = bed.kvctl_with(line, Vec::new(), 0);
        run.exits(0);
        assert_eq!(bed.proxy.changes().iter().map(|call| &call.action).collect::<Vec<_>>(), [""; 0], "{line}: {run}");
    }
    let run = bed.kvctl(UP);
    assert!(run.stdout.contains("No changes"), "{run}");
}

#[test]
fn plans_and_dry_runs_change_nothing() {
    let Some(bed) = Bed::make() else { return };
    for line in [PLAN, "cluster up --provider aws --yes --dry-run"] {
        let run = bed.kvctl_with(line, Vec::new(), 0);
        run.exits(10);
        assert_eq!(bed.proxy.changes().len(), 0, "{line}: {run}");
    }
    bed.census().is(&[], &"nothing was made");
    bed.kvctl(UP).exits(0);
    let run = bed.kvctl_with(&format!("{DOWN} --dry-run"), Vec::new(), 0);
    run.exits(10);
    assert_eq!(bed.proxy.changes().len(), 0, "{run}");
}

#[test]
fn down_leaves_nothing_and_touches_nobody_else() {
    let Some(bed) = Bed::make() else { return };
    foreign::settle(bed.client());
    let before = bed.census();
    bed.kvctl(UP).exits(0);
    let all: Vec<String> = [before.lines.clone(), reference()].concat();
    bed.census().is(&all, &"the cluster stands beside what was there");
    let run = bed.kvctl(DOWN);
    run.exits(0);
    let after = bed.census();
    after.is(&before.lines, &run);
    assert_eq!(after.tags, before.tags);
    let again = bed.kvctl_with(DOWN, Vec::new(), 0);
    again.exits(0);
    assert_eq!(bed.proxy.changes().len(), 0, "{again}");
}

#[test]
fn down_keeps_data_unless_told_otherwise_and_up_takes_it_up_again() {
    let Some(bed) = Bed::make() else { return };
    bed.kvctl(UP).exits(0);
    let volumes = bed.census();
    let volume = volumes.id("kvstore-dev-vol-a1").to_owned();
    let run = bed.kvctl(&DOWN.replace(" --delete-data", ""));
    run.exits(0);
    let kept = bed.census();
    assert_eq!(kept.of("volume").len(), 3, "{run}");
    assert_eq!(kept.of("vpc").len() + kept.of("instance").len() + kept.of("nat").len(), 0, "{}", kept.text());
    let run = bed.kvctl(UP);
    run.exits(0);
    let census = bed.census();
    census.is(&reference(), &run);
    assert_eq!(census.id("kvstore-dev-vol-a1"), volume, "the same disk");
    let run = bed.kvctl(DOWN);
    run.exits(0);
    bed.census().is(&[], &run);
}

#[test]
fn a_saved_plan_is_carried_out_as_it_is_and_refused_when_the_world_moved() {
    let Some(bed) = Bed::make() else { return };
    bed.kvctl("cluster plan --provider aws --out plan.json").exits(10);
    bed.client().ec2("CreateVpc", &[("CidrBlock", "10.77.0.0/16")]).xml();
    bed.kvctl("cluster up --provider aws --yes --plan plan.json").exits(0);
    let run = bed.kvctl_with("cluster up --provider aws --yes --plan plan.json", Vec::new(), 0);
    run.exits(13);
    assert!(run.stderr.contains("plan"), "{run}");
    assert_eq!(bed.proxy.changes().len(), 0, "{run}");
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_done() {
    let Some(bed) = Bed::make() else { return };
    let run = bed.kvctl_with("cluster up --provider aws", Vec::new(), 0);
    assert!(matches!(run.exit, Some(2 | 13)), "{run}");
    assert!(run.stderr.contains("--yes"), "{run}");
    assert_eq!(bed.proxy.changes().len(), 0, "{run}");
}
