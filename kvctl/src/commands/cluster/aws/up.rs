//! `kvctl cluster up` on AWS: look, plan, check, show, ask, carry out, and look again until nothing is left to do.
//!
//! Calling it again goes on, after whatever end. What is carried out is the plan that was shown; when a question or a
//! file stood between, AWS is looked at again first and a plan that the world has overtaken is refused.

use std::path::Path;
use std::time::{Duration, Instant};

use infra::apply::Clock;
use infra::plan::{Plan, Risk};
use infra::resource::Kind;
use kvnode::runtime::clock;
use serde::Serialize;

use super::carry_out::carry_out;
use super::failure::{self, Stage};
use super::look::{self, Look, Word};
use super::target::{Connected, Target};
use crate::cli::Output;
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::aws::clock::RunClock;
use crate::provider::aws::material;
use crate::provider::local::state::{Folder, read_bounded};
use crate::session::Session;

/// Plans carried out in one call: the second mends what a lost reply or a late view left, the rest is for bad luck.
const MAX_ROUNDS: u32 = 4;
/// Looks before a plan that should be empty is believed: what was just made may not be visible everywhere.
const MAX_LOOKS: u32 = 4;
/// First wait between such looks; doubles.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Largest saved plan read: hundreds of nodes.
const MAX_PLAN: u64 = 64 * 1024 * 1024;

/// Where a command stands that has begun to change things.
const AFTER: Stage = Stage::Changed("kvctl cluster up");

/// Longest time unless said otherwise: load balancers and gateways take minutes, network interfaces that linger up to
/// half an hour.
pub(super) const TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// What the command line says.
pub(super) struct Wish<'a> {
    pub(super) program: Option<&'a Path>,
    pub(super) saved_plan: Option<&'a Path>,
    pub(super) timeout: Duration,
}

/// What is told to programs at the end.
#[derive(Serialize)]
struct Document<'a> {
    cluster: &'a str,
    account: &'a str,
    region: &'a str,
    changed: bool,
    steps: usize,
    calls: usize,
    seconds: f64,
    endpoint: Option<String>,
}

/// Where a run stands.
struct Run<'a> {
    session: &'a Session,
    target: &'a Target,
    connected: &'a Connected,
    began: Instant,
    deadline: Duration,
    /// The greatest risk of what may be done beyond the plan that was shown.
    consent: Risk,
    steps: usize,
}

pub(super) async fn run(session: &Session, target: &Target, wish: &Wish<'_>) -> Result<Exit, CommandError> {
    let began = clock::monotonic_now();
    let connected = target.connect(session, wish.program).await?;
    Folder::ensure_dir(target.folder.root())?;
    let _lock = target.folder.lock()?;
    let mut look = look::look(target, &connected, Stage::Untouched).await?;
    if let Some(path) = wish.saved_plan {
        look.plan = saved_plan(path, &look)?;
    }
    look.refuse_blocked(None, Stage::Untouched)?;
    // A saved plan is consented to as it stands, and no other one.
    let consent = if session.settings.yes && wish.saved_plan.is_none() { Risk::Disruptive } else { Risk::Safe };
    let mut run = Run { session, target, connected: &connected, began, deadline: wish.timeout, consent, steps: 0 };
    if look.plan.is_empty() {
        return run.report(&look, false).await;
    }
    let preflight = look::check(target, &connected, &look.plan).await;
    session.ui.note(look.text(session, preflight.as_ref(), &look::estimate(target, &connected)));
    look.refuse_blocked(preflight.as_ref(), Stage::Untouched)?;
    if !session.settings.yes {
        let what = format!("this changes account {}", connected.caller.account);
        session.ui.confirm(&what, target.name.as_str())?;
        look.plan
            .check(&look::look(target, &connected, Stage::Untouched).await?.observed)
            .map_err(|stale| refuse_stale(&stale))?;
    }
    let exists = look.observed.of(Kind::Parameter).next().is_some();
    material::ensure(&target.folder, &target.network, exists)?;
    target.remember(session, &connected.caller, None)?;
    let last = run.converge(look).await?;
    run.report(&last, true).await
}

/// A saved plan, if the world is still the one it was made for.
fn saved_plan(path: &Path, look: &Look) -> Result<Plan, CommandError> {
    let bytes = read_bounded(path, MAX_PLAN)?.ok_or_else(|| {
        CommandError::usage(format!("there is no {}", path.display())).hint("kvctl cluster plan --out")
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let plan = Plan::from_json(&text)
        .map_err(|error| CommandError::usage(format!("{} is no plan", path.display())).because(&error))?;
    if plan.cluster != look.plan.cluster {
        let message = format!("{} is for cluster {}, not {}", path.display(), plan.cluster, look.plan.cluster);
        return Err(CommandError::usage(message));
    }
    plan.check(&look.observed).map_err(|stale| refuse_stale(&stale))?;
    Ok(plan)
}

fn refuse_stale(stale: &infra::plan::Stale) -> CommandError {
    CommandError::new(Exit::Refused, stale.to_string()).hint("nothing was changed; plan again: kvctl cluster plan")
}

impl Run<'_> {
    /// Carries plans out until one is empty.
    async fn converge(&mut self, mut look: Look) -> Result<Look, CommandError> {
        for round in 1..=MAX_ROUNDS {
            self.carry_out(&look.plan).await?;
            look = self.settled().await?;
            if look.plan.is_empty() {
                return Ok(look);
            }
            look.refuse_blocked(None, AFTER)?;
            // Nobody consented to more than what was shown: what can hurt is not done without asking again.
            if round == MAX_ROUNDS || look.plan.risk() > self.consent {
                break;
            }
            self.session.ui.note(look.text(self.session, None, &look::estimate(self.target, self.connected)));
        }
        let verdict = look.plan.verdict();
        Err(CommandError::new(Exit::Partial, format!("{} is not as wanted yet: {verdict}", self.target.name))
            .hint("look: kvctl cluster plan; go on: kvctl cluster up"))
    }

    async fn carry_out(&mut self, plan: &Plan) -> Result<(), CommandError> {
        let spent = clock::monotonic_now().duration_since(self.began);
        let left = self.deadline.saturating_sub(spent);
        let outcome =
            carry_out(self.session, &self.connected.cloud, plan, left, self.target.lineage()?, self.stage()).await?;
        self.steps += outcome.done.len();
        match failure::of_outcome(&outcome, "kvctl cluster up", &self.target.network) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn stage(&self) -> Stage {
        if self.steps == 0 { Stage::Untouched } else { AFTER }
    }

    /// Looks until nothing is left to do, or what is left stays: a late view of what was just made passes.
    async fn settled(&self) -> Result<Look, CommandError> {
        let mut wait = LOOK_AGAIN;
        for _ in 1..MAX_LOOKS {
            let look = look::look(self.target, self.connected, AFTER).await?;
            if look.plan.is_empty() {
                return Ok(look);
            }
            RunClock::start(self.session.settings.aws.haste).sleep(wait).await;
            wait *= 2;
        }
        look::look(self.target, self.connected, AFTER).await
    }

    async fn report(&self, look: &Look, changed: bool) -> Result<Exit, CommandError> {
        let (session, target) = (self.session, self.target);
        let name = target.network.name("alb");
        let host = self.connected.cloud.balancer_host(&name).await;
        let host = host.map_err(|failure| {
            failure::of_call(&failure, &target.network, if changed { AFTER } else { Stage::Untouched })
        })?;
        let endpoint = host.map(|host| format!("https://{host}:{}", target.network.ports().api));
        target.remember(session, &self.connected.caller, endpoint.clone())?;
        let document = Document {
            cluster: target.name.as_str(),
            account: &self.connected.caller.account,
            region: target.network.region(),
            changed,
            steps: self.steps,
            calls: self.connected.cloud.clients().log().count(),
            seconds: clock::monotonic_now().duration_since(self.began).as_secs_f64(),
            endpoint,
        };
        match session.settings.output {
            Output::Json => session.ui.json(&document)?,
            Output::Jsonl => session.ui.json_line(&document)?,
            Output::Table => session.ui.line(advice(&document, look))?,
        }
        debug_assert_eq!(look.word(None), Word::NoChanges);
        Ok(Exit::Ok)
    }
}

fn advice(document: &Document<'_>, look: &Look) -> String {
    let Document { cluster, account, region, steps, calls, seconds, .. } = document;
    let mut text = match document.changed {
        true => format!(
            "Cluster {cluster} is up in {region}, account {account}: {steps} steps, {calls} calls, {seconds:.0} s."
        ),
        false => format!("No changes: cluster {cluster} is as wanted in {region}, account {account} ({calls} calls)."),
    };
    for note in &look.plan.notes {
        text.push_str(&format!("\n  note      {}  {}", note.name, note.text));
    }
    if let Some(endpoint) = &document.endpoint {
        text.push_str(&format!("\n  use it    kvctl kv put hello world      (through {endpoint})"));
    }
    text.push_str("\n  see it    kvctl cluster status\n  end it    kvctl cluster down            (data stays; --delete-data removes it)");
    text
}
