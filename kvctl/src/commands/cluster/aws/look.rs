//! One look at AWS and what follows from it: the observation, the plan, and how they are told.
//!
//! The verdict comes first, then the steps, then needs and cost. Nothing is changed here.

use infra::network::Network;
use infra::observed::Observed;
use infra::plan::{Action, Plan};
use infra::pricing::{self, Estimate};
use infra::provider::Cloud;
use infra::provider::aws::{Preflight, Problem, Topic, preflight};
use kvnode::runtime::clock;
use serde::Serialize;
use time::OffsetDateTime;

use super::failure::{self, Stage};
use super::target::{Connected, Target};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::session::Session;
use crate::ui::Tone;

/// What was seen at one moment, and what would have to be done.
pub(super) struct Look {
    pub(super) observed: Observed,
    pub(super) plan: Plan,
    /// Calls that it took.
    pub(super) calls: usize,
    /// When, for example `14:01:07Z`.
    pub(super) at: String,
}

/// Everything that is told of a plan.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    cluster: &'a str,
    account: &'a str,
    region: &'a str,
    verdict: Word,
    read_at: &'a str,
    calls: usize,
    preflight: Option<&'a Preflight>,
    cost: &'a Estimate,
    plan: &'a Plan,
}

/// The verdict in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// Everything is as wanted.
    NoChanges,
    /// There is something to do.
    Changes,
    /// There is something to do and it may not be done.
    Blocked,
}

/// Looks and plans what is wanted.
pub(super) async fn look(target: &Target, connected: &Connected, stage: Stage) -> Result<Look, CommandError> {
    let before = connected.cloud.clients().log().count();
    let observed = connected.cloud.observe(target.name.as_str(), &connected.wanted).await;
    let observed = observed.map_err(|failure| failure::of_call(&failure, &target.network, stage))?;
    let plan = Plan::between(&connected.wanted, &observed);
    let calls = connected.cloud.clients().log().count() - before;
    Ok(Look { observed, plan, calls, at: now() })
}

/// Checks what AWS would refuse, if something is to be made.
pub(super) async fn check(target: &Target, connected: &Connected, plan: &Plan) -> Option<Preflight> {
    let makes = plan.steps.iter().any(|step| matches!(step.action, Action::Create { .. }));
    if makes {
        Some(preflight(connected.cloud.clients(), plan, target.network.draft().account.as_deref()).await)
    } else {
        None
    }
}

/// The wall clock as people read it.
pub(super) fn now() -> String {
    let seconds = i64::try_from(clock::wall_micros() / 1_000_000).unwrap_or_default();
    let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!("{:02}:{:02}:{:02}Z", now.hour(), now.minute(), now.second())
}

impl Look {
    /// The verdict; `preflight` may forbid what the plan would allow.
    pub(super) fn word(&self, preflight: Option<&Preflight>) -> Word {
        if self.plan.is_empty() {
            Word::NoChanges
        } else if self.plan.blockers.is_empty() && preflight.is_none_or(|checked| checked.problems.is_empty()) {
            Word::Changes
        } else {
            Word::Blocked
        }
    }

    /// The verdict as one line.
    fn verdict(&self, session: &Session, word: Word) -> String {
        let (shown, tone) = match word {
            Word::NoChanges => ("NO CHANGES", Tone::Good),
            Word::Changes => ("CHANGES", Tone::Warning),
            Word::Blocked => ("BLOCKED", Tone::Bad),
        };
        let text = self.plan.verdict();
        let rest = text.split_once("  ").map_or(text.as_str(), |(_, rest)| rest);
        let hidden = match self.observed.unseen.len() {
            0 => "nothing hidden".to_owned(),
            count => format!("{count} looks refused"),
        };
        let (at, calls) = (&self.at, self.calls);
        format!("{}  {rest}      (read {at}, {calls} calls, {hidden})", session.ui.paint(tone, shown))
    }

    /// All of it, for people.
    pub(super) fn text(&self, session: &Session, preflight: Option<&Preflight>, cost: &Estimate) -> String {
        let word = self.word(preflight);
        let mut text = format!("{}\n{}", self.verdict(session, word), self.plan.listing());
        for problem in preflight.iter().flat_map(|checked| &checked.problems) {
            text.push_str(&format!("refused  {}\n         {}\n", problem.what, problem.fix));
        }
        for warning in preflight.iter().flat_map(|checked| &checked.warnings) {
            text.push_str(&format!("warning  {warning}\n"));
        }
        for fact in preflight.iter().flat_map(|checked| &checked.facts) {
            text.push_str(&format!("checked  {fact}\n"));
        }
        if word != Word::NoChanges {
            text.push_str(&cost_line(cost));
        }
        text.trim_end().to_owned()
    }

    /// All of it, for programs.
    pub(super) fn document<'a>(
        &'a self,
        connected: &'a Connected,
        network: &'a Network,
        preflight: Option<&'a Preflight>,
        cost: &'a Estimate,
    ) -> Document<'a> {
        Document {
            cluster: &self.plan.cluster,
            account: &connected.caller.account,
            region: network.region(),
            verdict: self.word(preflight),
            read_at: &self.at,
            calls: self.calls,
            preflight,
            cost,
            plan: &self.plan,
        }
    }

    /// The exit code of a command that only looks.
    pub(super) fn exit(&self, preflight: Option<&Preflight>) -> Exit {
        match self.word(preflight) {
            _ if !self.observed.unseen.is_empty() => Exit::Undetermined,
            Word::NoChanges => Exit::Ok,
            Word::Changes => Exit::Findings,
            Word::Blocked => blocked_by(preflight),
        }
    }

    /// Refuses to go on when the plan or the checks forbid it.
    ///
    /// # Errors
    /// What forbids it, all at once; nothing more is changed.
    pub(super) fn refuse_blocked(&self, preflight: Option<&Preflight>, stage: Stage) -> Result<(), CommandError> {
        if self.word(preflight) != Word::Blocked {
            return Ok(());
        }
        let mut lines: Vec<String> = self.plan.blockers.iter().map(ToString::to_string).collect();
        let mut hints = Vec::new();
        for problem in preflight.iter().flat_map(|checked| &checked.problems) {
            lines.push(problem.what.clone());
            hints.push(problem.fix.clone());
        }
        hints.dedup();
        let unseen = self.plan.blockers.iter().any(|one| matches!(one, infra::plan::Blocker::Unseen(_)));
        let exit = if unseen { Exit::Undetermined } else { blocked_by(preflight) };
        let error = CommandError::new(exit, lines.join("\n"));
        Err(hints.into_iter().fold(error, CommandError::hint).hint(stage.hint()))
    }
}

/// Who we are comes before what is unsafe: with other credentials the rest may look otherwise.
fn blocked_by(preflight: Option<&Preflight>) -> Exit {
    let weak = |problem: &Problem| matches!(problem.topic, Topic::Credentials | Topic::Permission);
    let problems = preflight.map_or(&[][..], |checked| &checked.problems);
    if problems.iter().any(weak) { Exit::Credentials } else { Exit::Refused }
}

/// What the whole cluster costs.
pub(super) fn estimate(target: &Target, connected: &Connected) -> Estimate {
    pricing::estimate(target.network.region(), connected.wanted.iter())
}

fn cost_line(cost: &Estimate) -> String {
    let Estimate { hourly, monthly, date, unknown } = cost;
    let mut text = format!(
        "cost     about {hourly:.2} USD an hour, {monthly:.0} a month (prices of {date}; traffic not included)\n"
    );
    if !unknown.is_empty() {
        text.push_str(&format!("         not counted, prices unknown: {}\n", unknown.join(", ")));
    }
    text
}
