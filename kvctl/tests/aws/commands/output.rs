//! Documents, event streams and exit codes, for programs.

use serde_json::Value;

use super::{refuse, refused};
use crate::harness::{Bed, DOWN, UP};

const STATUS: &str = "cluster status kvstore-dev --provider aws";

/// Each with its exit codes: before there is a cluster, with one, and after it.
const COMMANDS: [(&str, [i32; 3]); 8] = [
    ("cluster plan --provider aws", [10, 0, 10]),
    ("cluster status kvstore-dev --provider aws", [10, 0, 10]),
    ("cluster list", [0, 0, 0]),
    ("cluster up --provider aws --dry-run", [10, 0, 10]),
    ("cluster up --provider aws", [13, 0, 13]),
    ("cluster down kvstore-dev --provider aws --dry-run", [0, 10, 0]),
    ("cluster down kvstore-dev --provider aws", [0, 13, 0]),
    ("cluster status nobody --provider aws", [2, 2, 2]),
];

#[test]
fn every_command_writes_one_document_or_a_stream_that_ends_with_its_exit_code() {
    let Some(bed) = Bed::make() else { return };
    for (when, change) in [(0, None), (1, Some(UP)), (2, Some(DOWN))] {
        if let Some(change) = change {
            stream(&bed, &format!("{change} -o jsonl"), 0);
        }
        for (line, exits) in COMMANDS {
            let exit = exits[when];
            let run = bed.kvctl(&format!("{line} -o json"));
            run.exits(exit);
            if matches!(exit, 0 | 10) {
                let document: Result<Value, _> = serde_json::from_str(&run.stdout);
                assert!(document.is_ok(), "{line}: {run}");
            } else {
                assert_eq!(run.stdout, "", "{line}: {run}");
                assert!(run.stderr.starts_with("error: ") || run.stderr.contains("\nerror: "), "{line}: {run}");
            }
            if !line.contains("list") && exit != 2 {
                stream(&bed, &format!("{line} -o jsonl"), exit);
            }
        }
    }
}

/// Each line is a document, and the last one tells the exit code.
fn stream(bed: &Bed, line: &str, exit: i32) {
    let run = bed.kvctl(line);
    run.exits(exit);
    let events: Vec<Value> =
        run.stdout.lines().map(|text| serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}: {run}"))).collect();
    let last = events.last().unwrap_or_else(|| panic!("{line}: {run}"));
    assert_eq!((&last["event"], &last["exit_code"]), (&Value::from("end"), &Value::from(exit)), "{line}");
}

#[test]
fn status_tells_absent_healthy_drifted_and_unknown_apart() {
    let Some(bed) = Bed::make() else { return };
    let verdict = |exit: i32| {
        let run = bed.kvctl_with(&format!("{STATUS} -o json"), Vec::new(), 0);
        run.exits(exit);
        super::unchanged(&bed, &run);
        let document: Value = serde_json::from_str(&run.stdout).expect("a document");
        (document["verdict"].as_str().unwrap_or_default().to_owned(), document["reasons"].to_string())
    };
    assert_eq!(verdict(10).0, "ABSENT");
    bed.kvctl(UP).exits(0);
    assert_eq!(verdict(0), ("HEALTHY".to_owned(), "[]".to_owned()));
    let census = bed.census();
    bed.client().ec2("StopInstances", &[("InstanceId.1", census.id("kvstore-dev-node-a1"))]).xml();
    bed.client().ec2("DeleteFlowLogs", &[("FlowLogId.1", census.id("kvstore-dev-fl-vpc"))]).xml();
    let (word, reasons) = verdict(10);
    assert_eq!(word, "DEGRADED");
    assert!(reasons.contains("1 missing") && reasons.contains("not as wanted"), "{reasons}");
    let rule = refuse("DescribeFlowLogs", 403, "UnauthorizedOperation", "You may not.");
    refused(&bed, STATUS, vec![rule], 11, &["UNKNOWN", "ec2:DescribeFlowLogs"]);
}

#[test]
fn list_knows_the_cluster_while_it_is_there() {
    let Some(bed) = Bed::make() else { return };
    let listed = |there: bool| {
        let run = bed.kvctl_with("cluster list -o json", Vec::new(), 0);
        run.exits(0);
        assert_eq!(bed.proxy.calls().len(), 0, "it asks nobody");
        let document: Value = serde_json::from_str(&run.stdout).expect("a document");
        let row = document.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == "kvstore-dev").cloned());
        assert_eq!(row.is_some(), there, "{run}");
        row.unwrap_or_default()
    };
    listed(false);
    bed.kvctl(UP).exits(0);
    let row = listed(true);
    assert_eq!((&row["provider"], &row["state"]), (&Value::from("aws"), &Value::from("aws us-east-1 123456789012")));
    assert_eq!(row["current"], true);
    bed.kvctl(DOWN).exits(0);
    listed(false);
}

#[test]
fn a_cluster_that_nobody_knows_is_a_wrong_command_line() {
    let Some(bed) = Bed::make() else { return };
    for command in ["plan", "up --yes", "status", "down --yes"] {
        let run = refused(&bed, &format!("cluster {command} nobody --provider aws"), Vec::new(), 2, &["nobody", "-f"]);
        assert_eq!(bed.proxy.calls().len(), 0, "{run}");
    }
    std::fs::write(bed.file("cluster.yaml"), "provider: aws\nproject: shop\n").expect("it is written");
    let words = ["shop-dev", "kvstore-dev"];
    refused(&bed, "cluster plan kvstore-dev -f cluster.yaml", Vec::new(), 2, &words);
}
