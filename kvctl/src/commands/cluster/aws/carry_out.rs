//! Carrying a plan out: `infra::apply` with this machine's clock, drawn as it goes.
//!
//! The first Ctrl-C starts nothing new and lets what runs come to its end. Nothing is decided here.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{Either, select};
use infra::apply::{self, Clock, Event, Outcome};
use infra::plan::Plan;
use infra::provider::Cloud;
use infra::resource::Kind;
use kvnode::runtime::clock;
use parking_lot::Mutex;
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::board::{Board, State};
use super::failure::Stage;
use crate::cli::Output;
use crate::error::CommandError;
use crate::provider::aws::clock::RunClock;
use crate::session::Session;
use crate::ui::progress::{Progress, Task};

/// How often the seconds of what is awaited are drawn anew.
const TICK: Duration = Duration::from_secs(1);

struct Screen<'a> {
    session: &'a Session,
    progress: Progress,
    board: Board,
    tasks: BTreeMap<Kind, Task>,
    failed: Option<CommandError>,
}

impl Screen<'_> {
    fn take(&mut self, event: &Event) {
        if self.session.settings.output == Output::Jsonl {
            let written = self.session.ui.json_line(event);
            self.failed = self.failed.take().or(written.err());
        }
        if let Some(kind) = self.board.take(event) {
            self.draw(kind, event.at_ms);
        }
    }

    fn tick(&mut self, now_ms: u64) {
        for kind in self.board.working() {
            self.draw(kind, now_ms);
        }
    }

    fn draw(&mut self, kind: Kind, now_ms: u64) {
        let Some(line) = self.board.line(kind, now_ms) else { return };
        let progress = &self.progress;
        let task = self.tasks.entry(kind).or_insert_with(|| progress.task(line.label.clone()));
        match line.state {
            State::Idle => {}
            State::Working => task.waiting(&line.text),
            State::Done => task.done(&line.text),
            State::Failed => task.failed(&line.text),
        }
    }
}

/// Carries a plan out.
///
/// # Errors
/// The plan cannot be carried out as it is, or the reader of our events went away; what failed in the cloud stands in
/// the outcome.
pub(super) async fn carry_out(
    session: &Session,
    cloud: &impl Cloud,
    plan: &Plan,
    deadline: Duration,
    lineage: String,
    stage: Stage,
) -> Result<Outcome, CommandError> {
    let time = RunClock::start(session.settings.aws.haste);
    session.interruption.end_orderly();
    let random = OsRng.try_next_u64().map_err(|error| CommandError::failed("no random bytes").because(&error))?;
    let options = apply::Options {
        nonce: format!("{random:016x}"),
        lineage,
        seed: random,
        deadline: Some(deadline),
        ..apply::Options::default()
    };
    let screen = Mutex::new(Screen {
        session,
        progress: session.ui.progress(),
        board: Board::new(plan),
        tasks: BTreeMap::new(),
        failed: None,
    });
    let mut sink = |event: Event| screen.lock().take(&event);
    let work = Box::pin(apply::drive(cloud, plan, &time, &options, session.interruption.wait(), &mut sink));
    let ticking = Box::pin(async {
        loop {
            clock::sleep(TICK).await;
            let now = u64::try_from(time.now().as_millis()).unwrap_or(u64::MAX);
            screen.lock().tick(now);
        }
    });
    let outcome = match select(work, ticking).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((never, _)) => never,
    };
    match screen.into_inner().failed {
        Some(error) => Err(error),
        None => outcome.map_err(|error| CommandError::failed(error.to_string()).hint(stage.hint())),
    }
}
