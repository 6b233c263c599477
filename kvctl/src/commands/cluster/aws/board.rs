//! What is shown while a plan is carried out: one line for each kind of resource, with what it waits for.
//!
//! [`Board`] is pure: events go in, lines come out. Drawing is `ui::progress`'s. It decides nothing.

use std::collections::BTreeMap;

use infra::apply::{Event, News};
use infra::plan::{Plan, StepId};
use infra::resource::Kind;

/// One kind's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// For example `nat gateways`.
    pub(super) label: String,
    /// For example `1/3, waiting for nat-0a1 (pending 41 s)`.
    pub(super) text: String,
    /// Where it stands.
    pub(super) state: State,
}

/// Where a kind's steps stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// None has begun.
    Idle,
    /// Some go on.
    Working,
    /// All are done.
    Done,
    /// One failed.
    Failed,
}

#[derive(Debug, Default)]
struct Row {
    total: usize,
    done: usize,
    failed: bool,
    begun: bool,
    /// What each step of it waits for, and since when.
    waits: BTreeMap<StepId, (String, u64)>,
}

/// All kinds of a plan.
#[derive(Debug)]
pub(super) struct Board {
    rows: BTreeMap<Kind, Row>,
}

impl Board {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut rows: BTreeMap<Kind, Row> = BTreeMap::new();
        for step in &plan.steps {
            rows.entry(step.kind()).or_default().total += 1;
        }
        Self { rows }
    }

    /// Takes an event and tells whose line changed.
    pub(super) fn take(&mut self, event: &Event) -> Option<Kind> {
        let subject = event.subject.as_ref()?;
        let row = self.rows.get_mut(&subject.key.kind)?;
        row.begun = true;
        let step = subject.step;
        match &event.news {
            News::Started | News::Adopted { .. } => {}
            News::Waiting { id, what, since_ms } => {
                row.waits.insert(step, (format!("{id} ({what}"), *since_ms));
            }
            News::Retrying { failure, .. } => {
                let since = row.waits.get(&step).map_or(event.at_ms, |(_, since)| *since);
                let name = &subject.name;
                row.waits.insert(step, (format!("{name} ({}, {}", failure.code, short(&failure.message)), since));
            }
            News::Blocked { holders, since_ms, .. } => {
                let who = holders.first().map_or("something unnamed".to_owned(), |one| one.what.clone());
                let more = if holders.len() > 1 { format!(" and {} more", holders.len() - 1) } else { String::new() };
                row.waits.insert(step, (format!("{}, held by {who}{more} (", subject.name), *since_ms));
            }
            News::Replacing { why, .. } => {
                row.waits.insert(step, (format!("{} to be made anew ({}", subject.name, short(why)), event.at_ms));
            }
            News::Done { .. } => {
                row.waits.remove(&step);
                row.done += 1;
            }
            News::Failed { .. } => {
                row.waits.remove(&step);
                row.failed = true;
            }
            News::Left { .. } => {
                row.waits.remove(&step);
            }
            News::Summary { .. } => return None,
        }
        Some(subject.key.kind)
    }

    /// The line of a kind at a moment of the run's clock.
    pub(super) fn line(&self, kind: Kind, now_ms: u64) -> Option<Line> {
        let row = self.rows.get(&kind)?;
        let state = match row {
            Row { failed: true, .. } => State::Failed,
            Row { done, total, .. } if done == total => State::Done,
            Row { begun: true, .. } => State::Working,
            _ => State::Idle,
        };
        let mut text = format!("{}/{}", row.done, row.total);
        if let Some((what, since)) = row.waits.values().min_by_key(|(_, since)| *since) {
            let seconds = now_ms.saturating_sub(*since) / 1000;
            let gap = if what.ends_with('(') { "" } else { " " };
            text.push_str(&format!(", waiting for {what}{gap}{seconds} s)"));
            if row.waits.len() > 1 {
                text.push_str(&format!(" and {} more", row.waits.len() - 1));
            }
        }
        Some(Line { label: plural(kind, row.total), text, state })
    }

    /// The kinds that have begun and are not done.
    pub(super) fn working(&self) -> Vec<Kind> {
        let goes_on = |row: &Row| row.begun && !row.failed && row.done < row.total;
        self.rows.iter().filter(|(_, row)| goes_on(row)).map(|(kind, _)| *kind).collect()
    }
}

/// The first sentence of AWS's words.
fn short(message: &str) -> &str {
    message.split(['.', '\n']).next().unwrap_or(message)
}

/// A kind in words, as many as there are.
pub(super) fn plural(kind: Kind, count: usize) -> String {
    match (kind.noun(), count) {
        (noun, 1) => noun.to_owned(),
        (noun, _) if noun.ends_with("ry") => format!("{}ies", noun.trim_end_matches('y')),
        (noun, _) => format!("{noun}s"),
    }
}
