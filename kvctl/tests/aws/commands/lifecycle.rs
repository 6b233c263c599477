//! Taking a cluster down: what is shown first, what stays, and how it comes back.

use super::unchanged;
use crate::harness::{Bed, DOWN, UP};
use crate::network::reference;

const KEEP: &str = "cluster down kvstore-dev --provider aws --yes";

#[test]
fn a_dry_run_of_down_tells_all_and_changes_nothing() {
    let Some(bed) = Bed::make() else { return };
    let before = bed.census();
    bed.kvctl_with(&format!("{DOWN} --dry-run"), Vec::new(), 0).exits(0);
    bed.kvctl(UP).exits(0);
    let there = bed.census();
    for (line, volumes) in [(DOWN, true), (KEEP, false)] {
        let run = bed.kvctl_with(&format!("{line} --dry-run"), Vec::new(), 0);
        run.exits(10);
        unchanged(&bed, &run);
        let deletes = |name: &str| run.stdout.lines().any(|line| line.contains("delete ") && line.contains(name));
        assert!(deletes("kvstore-dev-vpc") && deletes("kvstore-dev-alb"), "{run}");
        assert_eq!(deletes("kvstore-dev-vol-a1"), volumes, "{run}");
        assert_eq!(deletes("/kvstore-dev/ca.pem"), volumes, "{run}");
    }
    assert_eq!(bed.census(), there);
    bed.kvctl(DOWN).exits(0);
    assert_eq!(bed.census().lines, before.lines);
}

#[test]
fn data_and_secrets_outlive_the_cluster_and_are_taken_up_again() {
    let Some(bed) = Bed::make() else { return };
    bed.kvctl(UP).exits(0);
    let data = |census: &crate::census::Census| -> Vec<String> {
        let names = ["a1", "b1", "c1"].map(|node| census.id(&format!("kvstore-dev-vol-{node}")).to_owned());
        names.to_vec()
    };
    let volumes = data(&bed.census());
    let run = bed.kvctl(KEEP);
    run.exits(0);
    assert!(run.stdout.contains("kept") && run.stdout.contains("--delete-data"), "{run}");
    let kept = bed.census();
    let kinds: Vec<&str> = kept.lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(kinds.iter().all(|kind| ["volume", "parameter"].contains(kind)), "{}", kept.text());
    assert_eq!((kept.of("volume").len(), kept.of("parameter").len()), (3, 9));
    // What is kept is told again, and nothing is done.
    let again = bed.kvctl_with(KEEP, Vec::new(), 0);
    again.exits(0);
    unchanged(&bed, &again);
    assert!(again.stdout.contains("nothing was there"), "{again}");
    let run = bed.kvctl(UP);
    run.exits(0);
    let census = bed.census();
    census.is(&reference(), &run);
    assert_eq!(data(&census), volumes, "the same disks");
    bed.kvctl(DOWN).exits(0);
    let run = bed.kvctl_with(DOWN, Vec::new(), 0);
    run.exits(0);
    assert!(run.stdout.contains("nothing was there"), "{run}");
    unchanged(&bed, &run);
}
