//! Plans in files: carried out exactly as they were written, or not at all.

use std::collections::BTreeSet;

use serde_json::Value;

use super::refused;
use crate::harness::{Bed, UP};

const OUT: &str = "cluster plan --provider aws --out plan.json";
const CARRY_OUT: &str = "cluster up --provider aws --yes --plan plan.json -o jsonl";

fn key(value: &Value) -> String {
    format!("{}/{}", value["kind"].as_str().unwrap_or_default(), value["role"].as_str().unwrap_or_default())
}

/// Something that a plan mends.
fn edit(bed: &Bed, days: u32) {
    let group = serde_json::json!({ "logGroupName": "kvstore-dev-lg-flow-logs", "retentionInDays": days });
    let reply = bed.client().json("logs", "Logs_20140328.PutRetentionPolicy", &group);
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[test]
fn a_saved_plan_is_carried_out_step_by_step() {
    let Some(bed) = Bed::make() else { return };
    bed.kvctl(OUT).exits(10);
    let text = std::fs::read_to_string(bed.file("plan.json")).expect("it was written");
    let plan: Value = serde_json::from_str(&text).expect("a document");
    let steps = plan["steps"].as_array().expect("steps");
    let planned: BTreeSet<String> = steps.iter().map(|step| key(&step["key"])).collect();
    let run = bed.kvctl(CARRY_OUT);
    run.exits(0);
    let events = run.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let done: Vec<String> = events.filter(|event| event["event"] == "done").map(|event| key(&event["key"])).collect();
    assert_eq!(done.len(), steps.len(), "{run}");
    assert_eq!(done.into_iter().collect::<BTreeSet<_>>(), planned, "{run}");
    bed.kvctl(super::PLAN_JSON).exits(0);
}

#[test]
fn a_saved_plan_that_the_world_has_overtaken_is_refused() {
    let Some(bed) = Bed::make() else { return };
    bed.kvctl(UP).exits(0);
    edit(&bed, 1);
    bed.kvctl(OUT).exits(10);
    edit(&bed, 3);
    refused(&bed, CARRY_OUT, Vec::new(), 13, &["plan again", "nothing was changed"]);
    bed.kvctl(OUT).exits(10);
    bed.kvctl(CARRY_OUT).exits(0);
    // Done already: the same file is about a world that is no more.
    refused(&bed, CARRY_OUT, Vec::new(), 13, &["plan again"]);
}

#[test]
fn what_is_no_plan_of_this_cluster_is_refused() {
    let Some(bed) = Bed::make() else { return };
    bed.kvctl(OUT).exits(10);
    let text = std::fs::read_to_string(bed.file("plan.json")).expect("it was written");
    let other = text.replacen("\"kvstore-dev\"", "\"kvstore-prod\"", 1);
    for (content, exit, words) in [
        (Some(other.as_str()), 2, "kvstore-prod"),
        (Some("{}"), 2, "is no plan"),
        (Some("not a plan"), 2, "is no plan"),
        (
            Some(
                text.replacen("\"format\":1", "\"format\":99", 1)
                    .replacen("\"format\": 1", "\"format\": 99", 1)
                    .as_str(),
            ),
            2,
            "format",
        ),
        (None, 2, "plan --out"),
    ] {
        match content {
            Some(content) => std::fs::write(bed.file("plan.json"), content).expect("it is written"),
            None => std::fs::remove_file(bed.file("plan.json")).expect("it was there"),
        }
        refused(&bed, CARRY_OUT, Vec::new(), exit, &[words]);
    }
}

#[test]
fn nothing_is_done_without_consent() {
    let Some(bed) = Bed::make() else { return };
    refused(&bed, "cluster up --provider aws", Vec::new(), 13, &["--yes"]);
    bed.kvctl(OUT).exits(10);
    refused(&bed, "cluster up --provider aws --plan plan.json", Vec::new(), 13, &["--yes"]);
    bed.kvctl(UP).exits(0);
    refused(&bed, "cluster down kvstore-dev --provider aws", Vec::new(), 13, &["--yes"]);
}
