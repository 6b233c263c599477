//! One step's life: what is being done for it now, and what follows from each answer.
//!
//! It keeps the counts and times that the table in `decision` asks for. It knows nothing of other steps, of the order
//! among them or of clouds; `machine` runs its operations and hands it the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::decision::{self, Becoming, Cause, Doing, Going, Next, Search, Tried};
use super::event::News;
use super::limits::{Limits, Measure};
use super::machine::{Answer, Operation};
use super::reason::Reason;
use super::token::token;
use crate::observed::Condition;
use crate::plan::{Action, Step};
use crate::provider::{Class, Failure, Holder, Ids};
use crate::resource::{Kind, Resource};

/// What a step needs to know of its run.
pub(super) struct Context<'a> {
    pub(super) now: Duration,
    pub(super) step: &'a Step,
    pub(super) limits: &'a Limits,
    /// Ids that the plan deletes: never to be adopted.
    pub(super) condemned: &'a BTreeSet<(Kind, String)>,
    /// Differs from step to step and from moment to moment.
    pub(super) jitter: u64,
}

/// What follows from an answer.
#[derive(Debug)]
pub(super) enum Move {
    /// Run [`Progress::operation`] at this time.
    At(Duration),
    /// The step is done.
    Done,
    /// The step failed.
    Failed(Reason),
}

#[derive(Debug)]
enum Phase {
    Creating,
    Finding {
        cause: Cause,
        failure: Failure,
        looked: u32,
    },
    Configuring,
    Becoming,
    Deleting,
    /// A deletion was refused; who holds it is asked, then it is tried again.
    Asking {
        again: Duration,
    },
    Going,
}

#[derive(Debug)]
struct Tries {
    count: u32,
    since: Duration,
}

/// Where a step stands.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) started: Duration,
    phase: Phase,
    /// When the phase began.
    since: Duration,
    id: Option<String>,
    /// Failures of this phase, by class: each class has its own patience.
    tries: BTreeMap<Class, Tries>,
    /// How often it was made again after nothing could be seen of the last time.
    recreated: u32,
    /// How often it turned out broken.
    replaced: u32,
    /// Whether what is being deleted is to be made anew.
    remake: bool,
    /// Ids that turned out broken.
    broken: BTreeSet<String>,
    /// When the first and the last deletion were accepted.
    deleted: Option<(Duration, Duration)>,
    holders: Vec<Holder>,
    told: Option<String>,
    /// Something could not be found for so long while it was configured: it, or what it refers to?
    missing: Option<Failure>,
}

impl Progress {
    pub(super) fn start(action: &Action, now: Duration) -> Self {
        let (phase, id) = match action {
            Action::Create { .. } => (Phase::Creating, None),
            Action::Update { id, .. } => (Phase::Configuring, Some(id.clone())),
            Action::Await { id, .. } => (Phase::Becoming, Some(id.clone())),
            Action::Delete { found } => (Phase::Deleting, Some(found.id.clone())),
        };
        Self {
            started: now,
            phase,
            since: now,
            id,
            tries: BTreeMap::new(),
            recreated: 0,
            replaced: 0,
            remake: false,
            broken: BTreeSet::new(),
            deleted: None,
            holders: Vec::new(),
            told: None,
            missing: None,
        }
    }

    /// The id, as soon as it is known.
    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// Whether the next plan goes on where this is left without losing track of anything.
    pub(super) fn only_waits(&self) -> bool {
        match self.phase {
            // A creation that waits for its next attempt was refused, or left nothing that could be seen.
            Phase::Becoming | Phase::Going | Phase::Creating => true,
            Phase::Deleting => self.tries.contains_key(&Class::InUse),
            Phase::Finding { .. } | Phase::Configuring | Phase::Asking { .. } => false,
        }
    }

    /// What to run.
    pub(super) fn operation(&self, step: &Step, nonce: &str, ids: &Ids) -> Operation {
        let id = self.id().to_owned();
        match self.phase {
            Phase::Creating => Operation::Create {
                token: resource(step).map(|wanted| token(nonce, wanted, ids, self.replaced)).unwrap_or_default(),
            },
            Phase::Finding { .. } => Operation::Find,
            Phase::Configuring => Operation::Configure { id, fresh: self.is_fresh(step) },
            Phase::Becoming | Phase::Going => Operation::Look { id },
            Phase::Deleting => Operation::Delete { id },
            Phase::Asking { .. } => Operation::Holders { id },
        }
    }

    /// Whether all of it is to be configured, not only the differences that were planned.
    fn is_fresh(&self, step: &Step) -> bool {
        !matches!(step.action, Action::Update { .. }) || self.replaced > 0
    }

    /// What follows from the answer to the last operation.
    pub(super) fn advance(&mut self, context: &Context<'_>, answer: Answer, news: &mut Vec<News>) -> Move {
        match answer {
            // Nothing is left to say of it, and nobody has to wait for it.
            Answer::Made(Ok(id)) if context.step.kind().is_made_at_once() => {
                self.id = Some(id);
                Move::Done
            }
            Answer::Made(Ok(id)) => self.made(context, id),
            Answer::Made(Err(failure)) => self.failed(context, Doing::Create, failure, news),
            Answer::Found(Ok(found)) => self.found(context, found, news),
            Answer::Found(Err(failure)) => self.failed(context, Doing::Find, failure, news),
            Answer::Configured(Ok(())) => self.configured(context),
            Answer::Configured(Err(failure)) => self.failed(context, Doing::Configure, failure, news),
            Answer::Seen(Err(failure)) if failure.class == Class::Gone => self.seen(context, Condition::Gone, news),
            Answer::Seen(Ok(condition)) => self.seen(context, condition, news),
            Answer::Seen(Err(failure)) => self.failed(context, Doing::Look, failure, news),
            Answer::Deleted(Ok(())) => self.deleted(context),
            Answer::Deleted(Err(failure)) => self.failed(context, Doing::Delete, failure, news),
            Answer::Held(holders) => self.held(context, holders, news),
        }
    }

    fn enter(&mut self, phase: Phase, at: Duration) -> Move {
        self.phase = phase;
        self.since = at;
        self.tries.clear();
        Move::At(at)
    }

    fn made(&mut self, context: &Context<'_>, id: String) -> Move {
        self.id = Some(id);
        self.enter(Phase::Configuring, context.now)
    }

    fn configured(&mut self, context: &Context<'_>) -> Move {
        if context.limits.leaves_out(Measure::WaitForReady) || context.step.kind().is_made_at_once() {
            return Move::Done;
        }
        self.enter(Phase::Becoming, context.now)
    }

    fn deleted(&mut self, context: &Context<'_>) -> Move {
        if context.limits.leaves_out(Measure::WaitForGone) || context.step.kind().is_made_at_once() {
            return self.gone(context);
        }
        self.look_whether_gone(context)
    }

    fn look_whether_gone(&mut self, context: &Context<'_>) -> Move {
        let first = self.deleted.map_or(context.now, |(first, _)| first);
        self.deleted = Some((first, context.now));
        self.enter(Phase::Going, context.now)
    }

    /// It is gone, as it should be.
    fn gone(&mut self, context: &Context<'_>) -> Move {
        if !self.remake {
            return Move::Done;
        }
        self.remake = false;
        self.deleted = None;
        self.enter(Phase::Creating, context.now + context.limits.before_replacement * self.replaced)
    }

    fn failed(&mut self, context: &Context<'_>, doing: Doing, failure: Failure, news: &mut Vec<News>) -> Move {
        let tries = self.tries.entry(failure.class).or_insert(Tries { count: 0, since: context.now });
        tries.count = tries.count.saturating_add(1);
        let (attempt, waited) = (tries.count, context.now.saturating_sub(tries.since));
        let tried = Tried { attempt, waited, jitter: context.jitter };
        match decision::after_failure(doing, failure.class, tried, context.limits) {
            Next::Again { after } => {
                let after_ms = millis(after);
                news.push(News::Retrying { failure, after_ms, attempt });
                Move::At(context.now + after)
            }
            Next::Find => self.doubt(context, failure, news),
            Next::Ask { after } => {
                self.phase = Phase::Asking { again: context.now + after };
                Move::At(context.now)
            }
            Next::Look => self.look_whether_gone(context),
            Next::Stop if (doing, failure.class) == (Doing::Configure, Class::Gone) => {
                self.missing = Some(failure);
                self.enter(Phase::Becoming, context.now)
            }
            Next::Stop => Move::Failed(Reason::of(failure, doing, attempt, waited, &self.holders)),
        }
    }

    /// It may exist already.
    fn doubt(&mut self, context: &Context<'_>, failure: Failure, news: &mut Vec<News>) -> Move {
        let cause = if failure.class == Class::Exists { Cause::Exists } else { Cause::Unknown };
        news.push(News::Retrying { failure: failure.clone(), after_ms: 0, attempt: self.recreated + 1 });
        if cause == Cause::Unknown && context.limits.leaves_out(Measure::LookAfterUnknown) {
            return self.enter(Phase::Creating, context.now);
        }
        self.enter(Phase::Finding { cause, failure, looked: 0 }, context.now)
    }

    fn found(&mut self, context: &Context<'_>, mut ids: Vec<String>, news: &mut Vec<News>) -> Move {
        // Its deletion was told that there is nothing to delete, because it was not yet visible: it still is there.
        let in_the_way = self.is_in_the_way() && self.recreated < context.limits.recreations;
        if let Some(id) = ids.iter().find(|id| self.broken.contains(*id)).filter(|_| in_the_way) {
            self.id = Some(id.clone());
            self.remake = true;
            self.recreated += 1;
            return self.enter(Phase::Deleting, context.now);
        }
        if !context.limits.leaves_out(Measure::SpareCondemned) {
            let kind = context.step.kind();
            ids.retain(|id| !context.condemned.contains(&(kind, id.clone())) && !self.broken.contains(id));
        }
        ids.sort_unstable();
        self.tries.clear();
        let waited = context.now.saturating_sub(self.since);
        let Phase::Finding { cause, failure, looked } = &mut self.phase else { return Move::At(context.now) };
        *looked += 1;
        match decision::after_search(*cause, ids.len(), *looked, waited, self.recreated, context.limits) {
            Search::Adopt => {
                let id = ids.swap_remove(0);
                news.push(News::Adopted { id: id.clone() });
                self.made(context, id)
            }
            Search::Again { after } => Move::At(context.now + after),
            Search::Create => {
                self.recreated += 1;
                self.enter(Phase::Creating, context.now)
            }
            Search::Foreign => Move::Failed(Reason::Foreign { failure: failure.clone() }),
            Search::Stop => Move::Failed(Reason::GaveUp {
                failure: failure.clone(),
                attempts: self.recreated + 1,
                waited_seconds: context.now.saturating_sub(self.started).as_secs(),
            }),
        }
    }

    /// Whether what is looked for cannot be made because something is there already.
    const fn is_in_the_way(&self) -> bool {
        matches!(self.phase, Phase::Finding { cause: Cause::Exists, .. })
    }

    fn seen(&mut self, context: &Context<'_>, condition: Condition, news: &mut Vec<News>) -> Move {
        self.tries.clear();
        match self.phase {
            Phase::Going => self.going(context, &condition, news),
            _ => self.becoming(context, condition, news),
        }
    }

    fn becoming(&mut self, context: &Context<'_>, condition: Condition, news: &mut Vec<News>) -> Move {
        let waited = context.now.saturating_sub(self.since);
        let kind = context.step.kind();
        if let Some(failure) = self.missing.take() {
            return match condition {
                Condition::Gone => self.vanished(context, news),
                _ => Move::Failed(Reason::Vanished { what: failure.to_string() }),
            };
        }
        match decision::while_becoming(kind, condition, waited, context.limits) {
            Becoming::Done => Move::Done,
            Becoming::Again { after, what } => self.wait(context, after, what, news),
            Becoming::Broken { reason } => self.replace(context, reason, news),
            Becoming::Leaving { state } if self.may_replace(context) => {
                news.push(News::Replacing { why: format!("it is going away ({state})"), id: self.id().to_owned() });
                self.condemn_own();
                self.deleted = Some((context.now, context.now));
                self.enter(Phase::Going, context.now)
            }
            Becoming::Vanished => self.vanished(context, news),
            Becoming::Leaving { state } => {
                Move::Failed(Reason::Vanished { what: format!("{} is going away ({state})", self.id()) })
            }
            Becoming::TimedOut { what } => Move::Failed(Reason::TimedOut { what, waited_seconds: waited.as_secs() }),
        }
    }

    /// It was made and is not there. The cloud may have answered from its memory of tokens, with something that is
    /// deleted since.
    fn vanished(&mut self, context: &Context<'_>, news: &mut Vec<News>) -> Move {
        if !self.may_replace(context) {
            return Move::Failed(Reason::Vanished { what: self.id().to_owned() });
        }
        news.push(News::Replacing { why: "it is not there".to_owned(), id: self.id().to_owned() });
        self.condemn_own();
        self.gone(context)
    }

    /// An update's thing was there before this run: replacing it would be a decision, which is the plan's.
    fn may_replace(&self, context: &Context<'_>) -> bool {
        self.replaced < context.limits.replacements && !matches!(context.step.action, Action::Update { .. })
    }

    fn replace(&mut self, context: &Context<'_>, why: String, news: &mut Vec<News>) -> Move {
        if !self.may_replace(context) {
            return Move::Failed(Reason::Broken { why, times: self.replaced + 1 });
        }
        news.push(News::Replacing { why, id: self.id().to_owned() });
        self.condemn_own();
        self.enter(Phase::Deleting, context.now)
    }

    fn condemn_own(&mut self) {
        self.replaced += 1;
        self.remake = true;
        self.deleted = None;
        self.broken.extend(self.id.clone());
    }

    fn going(&mut self, context: &Context<'_>, condition: &Condition, news: &mut Vec<News>) -> Move {
        let (first, last) = self.deleted.unwrap_or((self.since, self.since));
        let (waited, unharmed) = (context.now.saturating_sub(first), context.now.saturating_sub(last));
        match decision::while_going(context.step.kind(), condition, waited, unharmed, context.limits) {
            Going::Done => self.gone(context),
            Going::Again { after, what } => self.wait(context, after, what, news),
            Going::Delete => self.enter(Phase::Deleting, context.now),
            Going::TimedOut { what } => Move::Failed(Reason::TimedOut { what, waited_seconds: waited.as_secs() }),
        }
    }

    fn held(&mut self, context: &Context<'_>, holders: Result<Vec<Holder>, Failure>, news: &mut Vec<News>) -> Move {
        let Phase::Asking { again } = self.phase else { return Move::At(context.now) };
        self.phase = Phase::Deleting;
        let since = self.tries.get(&Class::InUse).map_or(context.now, |tries| tries.since);
        // Who holds it is told, and nothing depends on it: if that cannot be asked, the last answer stays.
        let holders = holders.unwrap_or_else(|_| self.holders.clone());
        let first = self.tries.get(&Class::InUse).is_some_and(|tries| tries.count == 1);
        if first || holders != self.holders {
            news.push(News::Blocked {
                holders: holders.clone(),
                since_ms: millis(since),
                until_ms: millis(since + context.limits.blocked),
            });
        }
        self.holders = holders;
        Move::At(again.max(context.now))
    }

    fn wait(&mut self, context: &Context<'_>, after: Duration, what: String, news: &mut Vec<News>) -> Move {
        if self.told.as_ref() != Some(&what) {
            news.push(News::Waiting { id: self.id().to_owned(), what: what.clone(), since_ms: millis(self.since) });
            self.told = Some(what);
        }
        Move::At(context.now + after)
    }
}

/// What a step wants; none for a deletion.
pub(super) const fn resource(step: &Step) -> Option<&Resource> {
    match &step.action {
        Action::Create { resource } | Action::Update { resource, .. } | Action::Await { resource, .. } => {
            Some(resource)
        }
        Action::Delete { .. } => None,
    }
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
