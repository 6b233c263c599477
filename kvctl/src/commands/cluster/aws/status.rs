//! `kvctl cluster status` on AWS: the verdict first, then how many of each kind are there and as wanted.
//!
//! It reads and compares; it changes nothing. How the daemons do is asked through the load balancer by other commands.

use std::collections::BTreeMap;

use infra::observed::Condition;
use infra::plan::Action;
use infra::resource::Kind;
use serde::Serialize;

use super::board::plural;
use super::failure::Stage;
use super::look::{self, Look};
use super::target::Target;
use crate::cli::Output;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;
use crate::ui::Tone;
use crate::ui::table::table;

#[derive(Serialize)]
struct Document<'a> {
    cluster: &'a str,
    verdict: &'static str,
    reasons: Vec<String>,
    kinds: Vec<Row>,
    read_at: &'a str,
    calls: usize,
}

/// One kind.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Row {
    kind: String,
    wanted: usize,
    there: usize,
    changed: usize,
    not_ready: Vec<String>,
}

pub(super) async fn run(session: &Session, target: &Target) -> Result<Exit, CommandError> {
    let connected = target.connect_without_program(session).await?;
    let look = look::look(target, &connected, Stage::Untouched).await?;
    let mut wanted: BTreeMap<Kind, usize> = BTreeMap::new();
    for resource in &connected.wanted {
        *wanted.entry(resource.key.kind).or_default() += 1;
    }
    let rows = rows(&wanted, &look);
    let reasons = reasons(&rows, &look);
    let (verdict, tone, exit) = judge(&rows, &look);
    match session.settings.output {
        Output::Table => {
            let why = if reasons.is_empty() { "everything is as wanted".to_owned() } else { reasons.join("; ") };
            let first = format!("{}  {}: {why}", session.ui.paint(tone, verdict), target.name);
            let cells = |row: &Row| {
                let odd = if row.changed == 0 { String::new() } else { row.changed.to_string() };
                [row.kind.clone(), format!("{} of {}", row.there, row.wanted), odd, row.not_ready.join(", ")]
            };
            let cells: Vec<[String; 4]> = rows.iter().map(cells).collect();
            session.ui.line(format!("{first}\n{}", table(["kind", "there", "differs", "not ready"], &cells)))?;
        }
        Output::Json | Output::Jsonl => {
            let cluster = target.name.as_str();
            let document = Document { cluster, verdict, reasons, kinds: rows, read_at: &look.at, calls: look.calls };
            match session.settings.output {
                Output::Jsonl => session.ui.json_line(&document)?,
                _ => session.ui.json(&document)?,
            }
        }
    }
    Ok(exit)
}

fn rows(wanted: &BTreeMap<Kind, usize>, look: &Look) -> Vec<Row> {
    let row = |(kind, wanted): (&Kind, &usize)| {
        let steps = || look.plan.steps.iter().filter(|step| step.kind() == *kind);
        let missing = steps().filter(|step| matches!(step.action, Action::Create { .. })).count();
        let changed =
            steps().filter(|step| matches!(step.action, Action::Update { .. } | Action::Delete { .. })).count();
        let not_ready = look.observed.of(*kind).filter_map(|found| match &found.condition {
            Condition::Ready | Condition::Gone => None,
            Condition::Pending { state } | Condition::Deleting { state } => Some(format!("{} {state}", found.id)),
            Condition::Failed { reason } => Some(format!("{} failed: {reason}", found.id)),
        });
        Row {
            kind: plural(*kind, *wanted),
            wanted: *wanted,
            there: wanted.saturating_sub(missing),
            changed,
            not_ready: not_ready.collect(),
        }
    };
    wanted.iter().map(row).collect()
}

fn reasons(rows: &[Row], look: &Look) -> Vec<String> {
    let mut reasons: Vec<String> =
        look.observed.unseen.iter().map(|unseen| format!("{} was refused: {}", unseen.action, unseen.reason)).collect();
    let missing: usize = rows.iter().map(|row| row.wanted - row.there).sum();
    let changed: usize = rows.iter().map(|row| row.changed).sum();
    let waiting: usize = rows.iter().map(|row| row.not_ready.len()).sum();
    for (count, what) in [(missing, "missing"), (changed, "not as wanted"), (waiting, "not ready")] {
        if count > 0 {
            reasons.push(format!("{count} {what}"));
        }
    }
    reasons
}

fn judge(rows: &[Row], look: &Look) -> (&'static str, Tone, Exit) {
    if !look.observed.unseen.is_empty() {
        return ("UNKNOWN", Tone::Bad, Exit::Undetermined);
    }
    if rows.iter().all(|row| row.there == 0) {
        return ("ABSENT", Tone::Bad, Exit::Findings);
    }
    let well = look.plan.is_empty() && rows.iter().all(|row| row.not_ready.is_empty());
    if well { ("HEALTHY", Tone::Good, Exit::Ok) } else { ("DEGRADED", Tone::Warning, Exit::Findings) }
}
