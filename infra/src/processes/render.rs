//! A plan as the text people read: the verdict first, then one line for each node.
//!
//! Rendering only; nothing is decided here. Colours are the caller's.

use std::fmt;

use super::{Action, Plan, Risk};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |wanted: fn(&Action) -> bool| self.steps.iter().filter(|step| wanted(&step.action)).count();
        if self.is_empty() {
            return write!(f, "NO CHANGES  {} nodes are as wanted", self.steps.len());
        }
        if self.blockers.is_empty() {
            write!(
                f,
                "CHANGES  {} to start, {} to restart, {} to adopt, {} to await",
                count(|action| *action == Action::Start),
                count(|action| matches!(action, Action::Restart { .. })),
                count(|action| matches!(action, Action::Adopt { .. })),
                count(|action| *action == Action::Await),
            )?;
            if self.forms_ring {
                f.write_str("; the ring is to be formed")?;
            }
        } else {
            write!(f, "BLOCKED  nothing may be done, for {} reasons", self.blockers.len())?;
            for blocker in &self.blockers {
                write!(f, "\n  {blocker}")?;
            }
        }
        let name = self.steps.iter().map(|step| step.node.as_str().len()).max().unwrap_or(0);
        let zone = self.steps.iter().map(|step| step.zone.as_str().len()).max().unwrap_or(0);
        for step in &self.steps {
            let risk = if step.risk == Risk::Disruptive { " (requests in flight through it are cut off)" } else { "" };
            write!(
                f,
                "\n  {:<7}  {:<name$}  zone {:<zone$}  {}{risk}",
                step.action, step.node, step.zone, step.because
            )?;
        }
        Ok(())
    }
}
