//! `kvctl cluster down` on AWS: lists what is ours, asks, deletes it in order, and looks whether anything is left.
//!
//! Only what carries the cluster's tag, or is inside something that does, is touched. Volumes and secrets stay unless
//! `--delete-data`. Calling it again goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use infra::observed::Observed;
use infra::plan::Plan;
use infra::provider::Cloud;
use infra::resource::Kind;
use kvnode::runtime::clock;
use serde::Serialize;

use super::board::plural;
use super::carry_out::carry_out;
use super::failure::{self, Stage};
use super::target::{Connected, Target};
use crate::cli::Output;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::state::Folder;
use crate::session::Session;

/// Removals carried out in one call: the second takes what only became visible meanwhile.
const MAX_ROUNDS: u32 = 3;
/// Looks before "nothing is left" is believed.
const LOOKS: u32 = 2;
/// Wait between such looks.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Where a command stands that has begun to change things.
const AFTER: Stage = Stage::Changed("kvctl cluster down");
/// Names of one kind that are told one by one.
const MOST_NAMES: usize = 8;

/// Longest time unless said otherwise: load balancers and gateways take minutes, network interfaces that linger up to
/// half an hour.
pub(super) const TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// What the command line says.
pub(super) struct Wish {
    pub(super) delete_data: bool,
    pub(super) dry_run: bool,
    pub(super) timeout: Duration,
}

#[derive(Serialize)]
struct Document<'a> {
    cluster: &'a str,
    deleted: usize,
    kept: BTreeMap<Kind, Vec<String>>,
    data_deleted: bool,
    calls: usize,
    seconds: f64,
}

pub(super) async fn run(session: &Session, target: &Target, wish: &Wish) -> Result<Exit, CommandError> {
    let began = clock::monotonic_now();
    let connected = target.connect_without_program(session).await?;
    if wish.dry_run {
        return show(session, &look(target, &connected, wish.delete_data, Stage::Untouched).await?.1);
    }
    Folder::ensure_dir(target.folder.root())?;
    let lock = target.folder.lock()?;
    let mut plan = nothing_left(target, &connected, wish.delete_data, Stage::Untouched).await?;
    let mut deleted = 0;
    if !plan.is_empty() {
        refuse_blocked(&plan, Stage::Untouched)?;
        session.ui.note(plan.listing().trim_end());
        let what = format!(
            "{} of cluster {} in account {} will be deleted",
            count(plan.steps.len()),
            target.name,
            connected.caller.account
        );
        session.ui.confirm(&what, target.name.as_str())?;
        if !session.settings.yes {
            // The question took its time.
            let (observed, _) = look(target, &connected, wish.delete_data, Stage::Untouched).await?;
            plan.check(&observed).map_err(|stale| {
                CommandError::new(Exit::Refused, stale.to_string()).hint("nothing was changed; call again")
            })?;
        }
    }
    let mut rounds = 0;
    while !plan.is_empty() {
        rounds += 1;
        if rounds > MAX_ROUNDS {
            let message = format!("{} of cluster {} are still there", count(plan.steps.len()), target.name);
            return Err(CommandError::new(Exit::Partial, message).hint("go on: kvctl cluster down"));
        }
        let stage = if rounds == 1 { Stage::Untouched } else { AFTER };
        refuse_blocked(&plan, stage)?;
        let left = wish.timeout.saturating_sub(clock::monotonic_now().duration_since(began));
        let outcome = carry_out(session, &connected.cloud, &plan, left, String::new(), stage).await?;
        deleted += outcome.done.len();
        if let Some(error) = failure::of_outcome(&outcome, "kvctl cluster down", &target.network) {
            return Err(error);
        }
        plan = nothing_left(target, &connected, wish.delete_data, AFTER).await?;
    }
    drop(lock);
    if wish.delete_data {
        target.forget(session)?;
    }
    let document = Document {
        cluster: target.name.as_str(),
        deleted,
        kept: kept(&plan),
        data_deleted: wish.delete_data,
        calls: connected.cloud.clients().log().count(),
        seconds: clock::monotonic_now().duration_since(began).as_secs_f64(),
    };
    report(session, &document)
}

/// What is ours now, and what would have to be done to remove it.
async fn look(
    target: &Target,
    connected: &Connected,
    delete_data: bool,
    stage: Stage,
) -> Result<(Observed, Plan), CommandError> {
    let observed = connected.cloud.observe(target.name.as_str(), &connected.wanted).await;
    let observed = observed.map_err(|failure| failure::of_call(&failure, &target.network, stage))?;
    let plan = Plan::removal(&observed, !delete_data);
    Ok((observed, plan))
}

/// Looks until twice nothing is left, or something is.
async fn nothing_left(
    target: &Target,
    connected: &Connected,
    delete_data: bool,
    stage: Stage,
) -> Result<Plan, CommandError> {
    let mut looks = 1;
    loop {
        let (_, plan) = look(target, connected, delete_data, stage).await?;
        if !plan.is_empty() || looks == LOOKS {
            return Ok(plan);
        }
        looks += 1;
        clock::sleep(LOOK_AGAIN).await;
    }
}

/// What stays because it holds data: names by kind, in order.
fn kept(plan: &Plan) -> BTreeMap<Kind, Vec<String>> {
    let mut kinds: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for note in plan.notes.iter().filter(|note| matches!(note.key.kind, Kind::Volume | Kind::Parameter)) {
        kinds.entry(note.key.kind).or_default().push(note.name.clone());
    }
    kinds.values_mut().for_each(|names| names.sort_unstable());
    kinds
}

fn count(resources: usize) -> String {
    format!("{resources} resource{}", if resources == 1 { "" } else { "s" })
}

fn refuse_blocked(plan: &Plan, stage: Stage) -> Result<(), CommandError> {
    if plan.blockers.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = plan.blockers.iter().map(ToString::to_string).collect();
    let unseen = plan.blockers.iter().any(|one| matches!(one, infra::plan::Blocker::Unseen(_)));
    let exit = if unseen { Exit::Undetermined } else { Exit::Refused };
    Err(CommandError::new(exit, lines.join("\n")).hint(stage.hint()))
}

fn show(session: &Session, plan: &Plan) -> Result<Exit, CommandError> {
    match session.settings.output {
        Output::Table => session.ui.line(format!("{}\n{}", plan.verdict(), plan.listing()).trim_end())?,
        Output::Json => session.ui.json(plan)?,
        Output::Jsonl => session.ui.json_line(plan)?,
    }
    refuse_blocked(plan, Stage::Untouched)?;
    Ok(if plan.is_empty() { Exit::Ok } else { Exit::Findings })
}

fn report(session: &Session, document: &Document<'_>) -> Result<Exit, CommandError> {
    match session.settings.output {
        Output::Json => session.ui.json(document)?,
        Output::Jsonl => session.ui.json_line(document)?,
        Output::Table => session.ui.line(text(document))?,
    }
    Ok(Exit::Ok)
}

fn text(document: &Document<'_>) -> String {
    let Document { cluster, deleted, kept, calls, seconds, .. } = document;
    let mut text = match deleted {
        0 => format!("Cluster {cluster}: nothing was there to delete ({calls} calls)."),
        _ => format!("Cluster {cluster} is gone: {} deleted, {calls} calls, {seconds:.0} s.", count(*deleted)),
    };
    if !kept.is_empty() {
        for (kind, names) in kept {
            let (told, more) = names.split_at(names.len().min(MOST_NAMES));
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            let kind = plural(*kind, names.len());
            text.push_str(&format!("\n  kept      {} {kind}: {}{more}", names.len(), told.join(", ")));
        }
        text.push_str(&format!("\n  remove    kvctl cluster down {cluster} --provider aws --delete-data"));
    }
    text
}

#[cfg(test)]
mod tests {
    use infra::plan::Note;
    use infra::resource::Key;

    use super::*;

    #[test]
    fn what_is_kept_is_told_by_kind_and_in_order() {
        let note = |kind, name: &str| Note { key: Key::new(kind, name), name: name.to_owned(), text: String::new() };
        let mut plan = Plan::removal(&Observed::default(), true);
        plan.notes.extend((1..=10).rev().map(|at| note(Kind::Parameter, &format!("/kvstore-dev/nodes/a{at:02}"))));
        plan.notes.push(note(Kind::Volume, "kvstore-dev-vol-a1"));
        plan.notes.push(note(Kind::NatGateway, "kvstore-dev-nat-us-east-1a"));
        let document = Document {
            cluster: "kvstore-dev",
            deleted: 3,
            kept: kept(&plan),
            data_deleted: false,
            calls: 7,
            seconds: 1.0,
        };
        let names: Vec<String> = (1..=8).map(|at| format!("/kvstore-dev/nodes/a{at:02}")).collect();
        let expected = format!(
            "Cluster kvstore-dev is gone: 3 resources deleted, 7 calls, 1 s.\n  \
             kept      10 parameters: {} and 2 more\n  \
             kept      1 volume: kvstore-dev-vol-a1\n  \
             remove    kvctl cluster down kvstore-dev --provider aws --delete-data",
            names.join(", ")
        );
        assert_eq!(text(&document), expected);
    }
}
