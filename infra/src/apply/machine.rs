//! All steps of a plan at once, without a clock and without a cloud.
//!
//! The machine says which operations to run now and when to be asked again, and is told their answers; the same
//! machine runs against a real cloud (`drive`) and, with made-up time, against thousands of simulated ones. A step
//! starts when all steps it comes after are done. After the first failure, an interruption or the deadline nothing
//! new starts: what is being made is brought to an end, what only waits is left to the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::event::{Event, News, Subject};
use super::limits::Limits;
use super::progress::{Context, Move, Progress, millis};
use super::reason::Reason;
use crate::observed::Condition;
use crate::plan::{Action, FORMAT, Plan, StepId};
use crate::provider::{Class, Failure, Holder, Ids};
use crate::resource::{Identity, Key, Kind};

/// One operation of a [`Cloud`](crate::provider::Cloud) on the resource of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `create`.
    Create {
        /// The client token.
        token: String,
    },
    /// `find`.
    Find,
    /// `configure`.
    Configure {
        /// Its id.
        id: String,
        /// Everything (true), or the changes of the step.
        fresh: bool,
    },
    /// `condition`.
    Look {
        /// Its id.
        id: String,
    },
    /// `delete`.
    Delete {
        /// Its id.
        id: String,
    },
    /// `holders`.
    Holders {
        /// Its id.
        id: String,
    },
}

/// The answer to an [`Operation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a creation.
    Made(Result<String, Failure>),
    /// To a search.
    Found(Result<Vec<String>, Failure>),
    /// To a configuration.
    Configured(Result<(), Failure>),
    /// To a look.
    Seen(Result<Condition, Failure>),
    /// To a deletion.
    Deleted(Result<(), Failure>),
    /// To the question who holds it.
    Held(Result<Vec<Holder>, Failure>),
}

impl Answer {
    const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Made(Err(failure))
            | Self::Found(Err(failure))
            | Self::Configured(Err(failure))
            | Self::Seen(Err(failure))
            | Self::Deleted(Err(failure))
            | Self::Held(Err(failure)) => Some(failure),
            _ => None,
        }
    }
}

/// Something to run now.
#[derive(Debug, Clone)]
pub struct Command {
    /// For which step of the plan.
    pub step: StepId,
    /// What.
    pub operation: Operation,
    /// All ids known now: what references resolve to.
    pub ids: Arc<Ids>,
}

/// Why a plan cannot be carried out at all. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApplicable {
    /// Something forbids it.
    #[error("{count} things forbid the plan; the first: {first}")]
    Blocked {
        /// How many.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// It was saved by another version.
    #[error("the plan has format {format}, this program carries out format {FORMAT}: plan again")]
    Format {
        /// The plan's.
        format: u32,
    },
    /// A step comes after itself or a later one.
    #[error("step {step} of the plan comes after step {after}: the plan is damaged, plan again")]
    Order {
        /// The step.
        step: StepId,
        /// What it says it comes after.
        after: StepId,
    },
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StepFailure {
    /// Its place in the plan.
    pub step: StepId,
    /// Which resource.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Steps done, in the order in which they ended.
    pub done: Vec<StepId>,
    /// Steps that failed; usually one, more if several were under way.
    pub failed: Vec<StepFailure>,
    /// Steps left while they only waited; the next plan goes on with them.
    pub left: Vec<StepId>,
    /// Steps never started.
    pub not_started: Vec<StepId>,
    /// Ids of wanted resources that exist, as far as is known.
    pub ids: Ids,
    /// It was asked to stop before the end.
    pub interrupted: bool,
    /// The deadline passed before the end.
    pub late: bool,
}

impl Outcome {
    /// Whether every step is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.left.is_empty() && self.not_started.is_empty()
    }
}

/// Carries a plan out.
#[derive(Debug)]
pub struct Machine<'p> {
    plan: &'p Plan,
    nonce: String,
    lineage: String,
    seed: u64,
    limits: Limits,
    deadline: Option<Duration>,
    begun: Option<Duration>,
    /// Steps started and not ended.
    active: BTreeMap<StepId, Progress>,
    /// How many steps each step still comes after.
    before: Vec<usize>,
    /// Which steps come after each step.
    behind: Vec<Vec<StepId>>,
    ready: BTreeSet<StepId>,
    timers: BTreeSet<(Duration, StepId)>,
    in_flight: usize,
    /// How many operations may be in flight: halved when the cloud throttles, then slowly up again.
    allowed: usize,
    answers: u64,
    ids: Arc<Ids>,
    condemned: BTreeSet<(Kind, String)>,
    stopping: bool,
    outcome: Outcome,
    events: Vec<Event>,
    summed_up: bool,
}

impl<'p> Machine<'p> {
    /// A machine for one run. `nonce` differs from run to run (it keeps client tokens apart); `seed` spreads waits;
    /// `deadline` is on the clock of `poll`.
    ///
    /// # Errors
    ///
    /// If the plan cannot be carried out at all.
    pub fn new(
        plan: &'p Plan,
        nonce: &str,
        seed: u64,
        deadline: Option<Duration>,
        limits: Limits,
    ) -> Result<Self, NotApplicable> {
        check(plan)?;
        let mut behind = vec![Vec::new(); plan.steps.len()];
        for (id, step) in plan.steps.iter().enumerate() {
            step.after.iter().for_each(|&after| behind[after].push(id));
        }
        let before: Vec<usize> = plan.steps.iter().map(|step| step.after.len()).collect();
        let condemned = plan.steps.iter().filter_map(|step| match &step.action {
            Action::Delete { found } => Some((found.kind(), found.id.clone())),
            Action::Create { .. } | Action::Update { .. } | Action::Await { .. } => None,
        });
        Ok(Self {
            plan,
            nonce: nonce.to_owned(),
            lineage: String::new(),
            seed,
            deadline,
            begun: None,
            active: BTreeMap::new(),
            ready: (0..before.len()).filter(|&id| before[id] == 0).collect(),
            before,
            behind,
            timers: BTreeSet::new(),
            in_flight: 0,
            allowed: limits.concurrent.max(1),
            answers: 0,
            ids: Arc::new(plan.ids.iter().cloned().collect()),
            condemned: condemned.collect(),
            limits,
            stopping: false,
            outcome: Outcome {
                done: Vec::new(),
                failed: Vec::new(),
                left: Vec::new(),
                not_started: Vec::new(),
                ids: Ids::new(),
                interrupted: false,
                late: false,
            },
            events: Vec::new(),
            summed_up: false,
        })
    }

    /// The same machine with a lineage: what is the same in all runs until everything is removed, data included.
    #[must_use]
    pub fn with_lineage(self, lineage: &str) -> Self {
        Self { lineage: lineage.to_owned(), ..self }
    }

    /// What keeps the tokens of a kind apart from others. Those of disks are the same in every run, so that a killed
    /// one and the next never make two; they change with the lineage, since the cloud remembers disks that are gone.
    fn nonce_of(&self, kind: Kind) -> &str {
        if kind == Kind::Volume { &self.lineage } else { &self.nonce }
    }

    /// What to run now. Every command must be answered with [`Machine::finished`].
    pub fn poll(&mut self, now: Duration) -> Vec<Command> {
        self.begun.get_or_insert(now);
        if self.deadline.is_some_and(|deadline| now >= deadline) && !self.stopping && !self.is_over() {
            self.outcome.late = true;
            self.stop(now);
        }
        let mut commands = Vec::new();
        while self.in_flight < self.allowed {
            let Some(step) = self.due(now) else { break };
            let Some(progress) = self.active.get(&step) else { continue };
            let wanted = &self.plan.steps[step];
            let operation = progress.operation(wanted, self.nonce_of(wanted.kind()), &self.ids);
            self.in_flight += 1;
            commands.push(Command { step, operation, ids: Arc::clone(&self.ids) });
        }
        if self.is_over() {
            self.sum_up(now);
        }
        commands
    }

    /// When to be polled next if no answer comes before; none while only answers are awaited.
    #[must_use]
    pub fn wake(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|(at, _)| *at).filter(|_| self.in_flight < self.allowed);
        let deadline = self.deadline.filter(|_| !self.stopping && !self.is_over());
        [timer, deadline].into_iter().flatten().min()
    }

    /// Takes the answer to a command.
    pub fn finished(&mut self, step: StepId, now: Duration, answer: Answer) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.answers += 1;
        self.adapt(&answer);
        let Some(progress) = self.active.get_mut(&step) else { return };
        let context = Context {
            now,
            step: &self.plan.steps[step],
            limits: &self.limits,
            condemned: &self.condemned,
            jitter: spread(self.seed, step as u64, self.answers),
        };
        let mut news = Vec::new();
        let next = progress.advance(&context, answer, &mut news);
        let id = progress.id().to_owned();
        news.into_iter().for_each(|one| self.tell(step, now, one));
        self.learn(step, &id);
        match next {
            Move::At(at) if self.stopping => self.leave_or_go_on(step, at, now),
            Move::At(at) => {
                self.timers.insert((at, step));
            }
            Move::Done => self.done(step, now, id),
            Move::Failed(reason) => self.fail(step, now, reason),
        }
    }

    /// Starts nothing new: what is being made is brought to an end, what only waits is left.
    pub fn interrupt(&mut self, now: Duration) {
        if !self.stopping && !self.is_over() {
            self.outcome.interrupted = true;
            self.stop(now);
        }
    }

    /// Whether there is nothing left to run or to wait for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.active.is_empty() && (self.stopping || self.ready.is_empty())
    }

    /// The events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// How it ended.
    #[must_use]
    pub fn into_outcome(self) -> Outcome {
        let mut outcome = self.outcome;
        let ended: BTreeSet<StepId> = outcome
            .done
            .iter()
            .chain(&outcome.left)
            .chain(outcome.failed.iter().map(|failure| &failure.step))
            .chain(self.active.keys())
            .copied()
            .collect();
        outcome.not_started = (0..self.plan.steps.len()).filter(|id| !ended.contains(id)).collect();
        outcome.left.extend(self.active.keys());
        outcome.ids = Arc::unwrap_or_clone(self.ids);
        outcome
    }

    /// The next step with something to do now: one under way before a new one.
    fn due(&mut self, now: Duration) -> Option<StepId> {
        if self.timers.first().is_some_and(|(at, _)| *at <= now) {
            return self.timers.pop_first().map(|(_, step)| step);
        }
        if self.stopping {
            return None;
        }
        let step = self.ready.pop_first()?;
        self.active.insert(step, Progress::start(&self.plan.steps[step].action, now));
        self.tell(step, now, News::Started);
        Some(step)
    }

    fn adapt(&mut self, answer: &Answer) {
        match answer.failure() {
            Some(failure) if failure.class == Class::Throttled => self.allowed = (self.allowed / 2).max(1),
            Some(_) => {}
            None => self.allowed = (self.allowed + 1).min(self.limits.concurrent.max(1)),
        }
    }

    /// Keeps an id that is now known, and forgets it while nothing is there.
    fn learn(&mut self, step: StepId, id: &str) {
        let step = &self.plan.steps[step];
        let is_deletion = matches!(step.action, Action::Delete { .. });
        if !is_deletion && !id.is_empty() && self.ids.get(&step.key).is_none_or(|known| known != id) {
            Arc::make_mut(&mut self.ids).insert(step.key.clone(), id.to_owned());
        }
    }

    fn done(&mut self, step: StepId, now: Duration, id: String) {
        let Some(progress) = self.active.remove(&step) else { return };
        let key = &self.plan.steps[step].key;
        if matches!(self.plan.steps[step].action, Action::Delete { .. }) {
            if self.ids.get(key).is_some_and(|known| *known == id) {
                Arc::make_mut(&mut self.ids).remove(key);
            }
            // What has a name or a content for an id may be made again under the same one.
            if key.kind.identity() != Identity::Tag {
                self.condemned.remove(&(key.kind, id.clone()));
            }
        }
        let took_ms = millis(now.saturating_sub(progress.started));
        self.tell(step, now, News::Done { id, took_ms });
        self.outcome.done.push(step);
        for &next in &self.behind[step] {
            self.before[next] -= 1;
            if self.before[next] == 0 {
                self.ready.insert(next);
            }
        }
    }

    fn fail(&mut self, step: StepId, now: Duration, reason: Reason) {
        self.active.remove(&step);
        let found = &self.plan.steps[step];
        let (key, name) = (found.key.clone(), found.name.clone());
        self.tell(step, now, News::Failed { reason: reason.clone() });
        self.outcome.failed.push(StepFailure { step, key, name, reason });
        self.stop(now);
    }

    fn stop(&mut self, now: Duration) {
        self.stopping = true;
        for (at, step) in std::mem::take(&mut self.timers) {
            self.leave_or_go_on(step, at, now);
        }
    }

    fn leave_or_go_on(&mut self, step: StepId, at: Duration, now: Duration) {
        if !self.active.get(&step).is_some_and(Progress::only_waits) {
            self.timers.insert((at, step));
            return;
        }
        if let Some(progress) = self.active.remove(&step) {
            self.tell(step, now, News::Left { id: progress.id().to_owned() });
            self.outcome.left.push(step);
        }
    }

    fn tell(&mut self, step: StepId, now: Duration, news: News) {
        self.events.push(Event { at_ms: millis(now), subject: Subject::of(self.plan, step), news });
    }

    fn sum_up(&mut self, now: Duration) {
        if std::mem::replace(&mut self.summed_up, true) {
            return;
        }
        let (done, failed, left) = (self.outcome.done.len(), self.outcome.failed.len(), self.outcome.left.len());
        let news = News::Summary {
            done,
            failed,
            left,
            not_started: self.plan.steps.len() - done - failed - left,
            interrupted: self.outcome.interrupted,
            took_ms: millis(now.saturating_sub(self.begun.unwrap_or(now))),
        };
        self.events.push(Event { at_ms: millis(now), subject: None, news });
    }
}

fn check(plan: &Plan) -> Result<(), NotApplicable> {
    if plan.format != FORMAT {
        return Err(NotApplicable::Format { format: plan.format });
    }
    if let Some(first) = plan.blockers.first() {
        return Err(NotApplicable::Blocked { count: plan.blockers.len(), first: first.to_string() });
    }
    for (step, found) in plan.steps.iter().enumerate() {
        if let Some(&after) = found.after.iter().find(|&&after| after >= step) {
            return Err(NotApplicable::Order { step, after });
        }
    }
    Ok(())
}

/// A number that looks random and depends on all three (the finaliser of splitmix64).
fn spread(seed: u64, step: u64, answers: u64) -> u64 {
    let mut mixed = seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ answers.rotate_left(32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
