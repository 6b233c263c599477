//! The loop between the machine, a cloud and a clock.
//!
//! It runs what the machine says, concurrently, and hands the answers back; it decides nothing. Dropping its future
//! stops at once: operations in flight are cancelled with an unknown outcome, which the next run finds out.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::event::Event;
use super::limits::Limits;
use super::machine::{Answer, Command, Machine, NotApplicable, Operation, Outcome};
use super::progress::resource;
use crate::plan::{Action, Plan, StepId};
use crate::provider::{Class, Cloud, Failure};

/// Time, as a run sees it.
pub trait Clock: Sync {
    /// Now; never goes back.
    fn now(&self) -> Duration;

    /// Ends after this time.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// What a run is given besides its plan.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Differs from run to run: keeps the client tokens of runs apart.
    pub nonce: String,
    /// The same in all runs until everything is removed, data included; see [`Machine::with_lineage`].
    pub lineage: String,
    /// Spreads the waits of steps that failed together.
    pub seed: u64,
    /// On the run's clock; nothing new starts afterwards.
    pub deadline: Option<Duration>,
    /// Every other bound.
    pub limits: Limits,
}

/// What ended a turn of the loop.
enum Turn {
    Answered(StepId, Answer),
    Cancelled,
    Woke,
}

/// Carries `plan` out. When `cancel` ends, nothing new starts and what only waits is left; see
/// [`Machine::interrupt`].
///
/// # Errors
///
/// If the plan cannot be carried out at all; nothing was done then.
pub async fn drive<C: Cloud, K: Clock>(
    cloud: &C,
    plan: &Plan,
    clock: &K,
    options: &Options,
    cancel: impl Future<Output = ()> + Send,
    sink: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome, NotApplicable> {
    let machine = Machine::new(plan, &options.nonce, options.seed, options.deadline, options.limits.clone())?;
    let mut machine = machine.with_lineage(&options.lineage);
    let mut running = FuturesUnordered::new();
    let mut cancel = pin!(cancel);
    let mut cancelled = false;
    loop {
        let commands = machine.poll(clock.now());
        running.extend(commands.into_iter().map(|command| run(cloud, plan, command)));
        machine.events().into_iter().for_each(&mut *sink);
        if machine.is_over() && running.is_empty() {
            return Ok(machine.into_outcome());
        }
        let wake = machine.wake().map(|at| at.saturating_sub(clock.now()));
        let mut alarm = pin!(async {
            match wake {
                Some(after) => clock.sleep(after).await,
                None => std::future::pending().await,
            }
        });
        let turn = poll_fn(|context| {
            if let Poll::Ready(Some((step, answer))) = running.poll_next_unpin(context) {
                return Poll::Ready(Turn::Answered(step, answer));
            }
            if !cancelled && cancel.as_mut().poll(context).is_ready() {
                return Poll::Ready(Turn::Cancelled);
            }
            alarm.as_mut().poll(context).map(|()| Turn::Woke)
        })
        .await;
        match turn {
            Turn::Answered(step, answer) => machine.finished(step, clock.now(), answer),
            Turn::Cancelled => {
                cancelled = true;
                machine.interrupt(clock.now());
            }
            Turn::Woke => {}
        }
    }
}

/// Runs one operation once.
async fn run<C: Cloud>(cloud: &C, plan: &Plan, command: Command) -> (StepId, Answer) {
    let step = &plan.steps[command.step];
    let kind = step.kind();
    let answer = match (command.operation, resource(step)) {
        (Operation::Create { token }, Some(wanted)) => Answer::Made(cloud.create(wanted, &command.ids, &token).await),
        (Operation::Find, Some(wanted)) => Answer::Found(cloud.find(wanted, &command.ids).await),
        (Operation::Configure { id, fresh }, Some(wanted)) => {
            let changes = match &step.action {
                Action::Update { changes, .. } if !fresh => Some(changes.as_slice()),
                _ => None,
            };
            Answer::Configured(cloud.configure(&id, wanted, changes, &command.ids).await)
        }
        (Operation::Look { id }, _) => Answer::Seen(cloud.condition(kind, &id).await),
        (Operation::Delete { id }, _) => Answer::Deleted(cloud.delete(kind, &id).await),
        (Operation::Holders { id }, _) => Answer::Held(cloud.holders(kind, &id).await),
        // Deletions never make, find or change: the machine does not ask for it.
        (Operation::Create { .. }, None) => Answer::Made(Err(nothing_wanted())),
        (Operation::Find, None) => Answer::Found(Err(nothing_wanted())),
        (Operation::Configure { .. }, None) => Answer::Configured(Err(nothing_wanted())),
    };
    (command.step, answer)
}

fn nothing_wanted() -> Failure {
    Failure {
        action: "apply".to_owned(),
        code: "nothing wanted".to_owned(),
        message: "a deletion wants nothing".to_owned(),
        class: Class::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;
    use crate::apply::News;
    use crate::desired::{Inputs, resources};
    use crate::network::{Draft, Network};
    use crate::provider::fake::{FakeCloud, Faults, World};

    /// Polls until it is ready: in the fake cloud everything is, and its clock makes time pass.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
        }
    }

    fn plan(cloud: &FakeCloud) -> Plan {
        let network = Network::parse(Draft::default()).expect("the default can be built");
        let inputs = Inputs { account: "123456789012".to_owned(), artifact_sha256: "ab".repeat(32) };
        let wanted = resources(&network, &inputs);
        let observed = block_on(cloud.observe("kvstore-dev", &wanted)).expect("no faults");
        Plan::between(&wanted, &observed)
    }

    #[test]
    fn a_whole_network_is_driven_to_its_end() {
        let cloud = FakeCloud::new(World::new(1, Faults::calm()));
        let first = plan(&cloud);
        let mut events = Vec::new();
        let mut sink = |event| events.push(event);
        let options = Options { nonce: "run".to_owned(), ..Options::default() };
        let never = std::future::pending();
        let outcome =
            block_on(drive(&cloud, &first, &cloud.clock(), &options, never, &mut sink)).expect("it can be done");
        assert!(outcome.is_complete(), "{:?}", outcome.failed);
        assert!(matches!(events.last().map(|event| &event.news), Some(News::Summary { failed: 0, .. })));
        let done = events.iter().filter(|event| matches!(event.news, News::Done { .. })).count();
        assert_eq!(done, first.steps.len());
        assert!(plan(&cloud).steps.is_empty());
    }

    #[test]
    fn a_cancelled_run_ends_early_and_says_so() {
        let cloud = FakeCloud::new(World::new(1, Faults::calm()));
        let first = plan(&cloud);
        let options = Options::default();
        let outcome = block_on(drive(&cloud, &first, &cloud.clock(), &options, async {}, &mut |_| {}));
        let outcome = outcome.expect("it can be done");
        assert!(outcome.interrupted);
        assert!(!outcome.not_started.is_empty());
        assert!(outcome.failed.is_empty());
    }

    #[test]
    fn a_run_can_be_moved_between_threads() {
        fn check<T: Send>(value: T) -> T {
            value
        }
        let cloud = FakeCloud::new(World::new(1, Faults::none()));
        let (plan, clock, options) = (plan(&cloud), cloud.clock(), Options::default());
        let mut sink = |_| {};
        let run = check(drive(&cloud, &plan, &clock, &options, std::future::pending(), &mut sink));
        assert!(block_on(run).is_ok());
    }
}
