//! What is awaited: spinners on a terminal, plain lines elsewhere.
//!
//! Off a terminal a line is written when something is done, and a heartbeat that names what is awaited, at most one
//! every few seconds and thing; nothing is drawn in place. Quiet shows neither.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kvnode::runtime::clock;
use parking_lot::Mutex;

/// Longest silence about a thing that is awaited: long enough not to fill a log, short enough to show life.
const HEARTBEAT: Duration = Duration::from_secs(5);
const SPIN: Duration = Duration::from_millis(100);

/// Several things in progress at once.
#[derive(Debug, Clone)]
pub struct Progress {
    bars: Option<MultiProgress>,
    quiet: bool,
}

/// One thing in progress. Dropped unsettled, it disappears.
#[derive(Debug, Clone)]
pub struct Task {
    bar: Option<ProgressBar>,
    quiet: bool,
    label: String,
    since: Instant,
    spoke: Arc<Mutex<Instant>>,
}

impl Progress {
    pub(super) fn new(terminal: bool, quiet: bool) -> Self {
        let bars = (terminal && !quiet).then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { bars, quiet }
    }

    /// Begins to show a thing.
    #[must_use]
    pub fn task(&self, label: impl Into<String>) -> Task {
        let label = label.into();
        let now = clock::monotonic_now();
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            bar.set_style(
                ProgressStyle::with_template(" {spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(SPIN);
            bar.set_message(label.clone());
            bar
        });
        Task { bar, quiet: self.quiet, label, since: now, spoke: Arc::new(Mutex::new(now)) }
    }
}

impl Task {
    /// Says what it waits for now.
    pub fn waiting(&self, what: &str) {
        let now = clock::monotonic_now();
        let seconds = now.duration_since(self.since).as_secs();
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}  {what} ({seconds} s)", self.label));
            return;
        }
        let mut spoke = self.spoke.lock();
        if !self.quiet && now.duration_since(*spoke) >= HEARTBEAT {
            *spoke = now;
            super::say(&format!("   {}  still waiting: {what} ({seconds} s)", self.label));
        }
    }

    /// It is done.
    pub fn done(&self, text: &str) {
        self.settle('✔', text);
    }

    /// It failed; the error itself is reported by the command.
    pub fn failed(&self, text: &str) {
        self.settle('✘', text);
    }

    fn settle(&self, mark: char, text: &str) {
        let line = format!(" {mark} {}  {text}", self.label);
        match &self.bar {
            Some(bar) => {
                bar.set_style(
                    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                bar.finish_with_message(line.trim_end().to_owned());
            }
            None if !self.quiet => super::say(line.trim_end()),
            None => {}
        }
    }
}
