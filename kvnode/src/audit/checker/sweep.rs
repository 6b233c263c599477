//! The fast decider, for a register whose puts all write different values: one pass over time.
//!
//! After Gibbons and Korach, Testing shared memories, SIAM J. Comput. 1997, section 4: a put and the reads of its
//! value form a cluster that must stand together in any order. Let `first_end` be the earliest answer in it and
//! `last_start` the latest call. If `first_end < last_start` the register holds the value all through that *zone*:
//! zones may not overlap, and nothing else may lie wholly inside one. Otherwise the cluster fits into a single
//! *point* anywhere in `last_start..=first_end`.
//!
//! Absence is not unique (every delete makes it), so reads of absence are not clustered but scheduled. Moments are
//! taken in order, and each choice is the one that cannot hurt, by exchange with any other valid order:
//! reads of absence happen at once while the key is absent; points happen at once while it is present, since one
//! more value on a present key changes nothing; a delete waits until it, or a read of absence, is due, takes all
//! waiting points before it, and of several deletes the one due first goes first. What is still waiting when it is
//! due and cannot happen is a contradiction.

use std::collections::{BTreeSet, HashMap};

use super::{Decision, Effect, Step};
use crate::audit::history::ValueId;

/// A put and the reads of its value.
struct Cluster {
    put_from: u64,
    first_end: u64,
    last_start: u64,
    /// False while neither the put is certain nor any read saw it.
    happened: bool,
}

#[derive(Clone, Copy)]
enum Task {
    Point,
    ReadAbsent,
    Delete,
}

#[derive(Clone, Copy)]
struct Item {
    task: Task,
    from: u64,
    to: u64,
}

/// What happens at a moment. The order of the variants is the order within a moment: equal times are concurrent, so
/// everything that begins at a moment may precede everything that ends at it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    ZoneEnds,
    Released(usize),
    Due(usize),
    ZoneStarts { ends_at: u64 },
}

/// None if some value is written twice: this decider does not apply.
pub(super) fn decide(steps: &[Step]) -> Option<Decision> {
    let mut clusters = clusters_of(steps)?;
    if !add_reads(&mut clusters, steps) {
        return Some(Decision::Violated);
    }
    let mut zones = Vec::new();
    let mut items = Vec::new();
    for cluster in clusters.into_values().filter(|cluster| cluster.happened) {
        if cluster.first_end < cluster.last_start {
            zones.push((cluster.first_end, cluster.last_start));
        } else {
            items.push(Item { task: Task::Point, from: cluster.last_start, to: cluster.first_end });
        }
    }
    for step in steps {
        match step.effect {
            Effect::Read(None) => items.push(Item { task: Task::ReadAbsent, from: step.from, to: step.to }),
            Effect::Write(None) => items.push(Item { task: Task::Delete, from: step.from, to: step.to }),
            _ => {}
        }
    }
    zones.sort_unstable();
    let apart = zones.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    let fits = apart && Sweep::new(items).run(&zones);
    Some(if fits { Decision::Linearizable } else { Decision::Violated })
}

fn clusters_of(steps: &[Step]) -> Option<HashMap<ValueId, Cluster>> {
    let mut clusters = HashMap::new();
    for step in steps {
        if let Effect::Write(Some(value)) = step.effect {
            let cluster =
                Cluster { put_from: step.from, first_end: step.to, last_start: step.from, happened: step.certain };
            if clusters.insert(value, cluster).is_some() {
                return None;
            }
        }
    }
    Some(clusters)
}

/// False if a read saw a value that was not, or not yet, written.
fn add_reads(clusters: &mut HashMap<ValueId, Cluster>, steps: &[Step]) -> bool {
    for step in steps {
        let Effect::Read(Some(value)) = step.effect else { continue };
        let Some(cluster) = clusters.get_mut(&value).filter(|cluster| cluster.put_from <= step.to) else {
            return false;
        };
        cluster.happened = true;
        cluster.first_end = cluster.first_end.min(step.to);
        cluster.last_start = cluster.last_start.max(step.from);
    }
    true
}

struct Sweep {
    items: Vec<Item>,
    happened: Vec<bool>,
    absent: bool,
    in_zone: bool,
    points: Vec<usize>,
    reads: Vec<usize>,
    /// Waiting deletes by due time; those of unknown outcome are never due and so come last.
    deletes: BTreeSet<(u64, usize)>,
}

impl Sweep {
    fn new(items: Vec<Item>) -> Self {
        let happened = vec![false; items.len()];
        let (points, reads, deletes) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { items, happened, absent: true, in_zone: false, points, reads, deletes }
    }

    fn run(mut self, zones: &[(u64, u64)]) -> bool {
        let mut events = Vec::with_capacity(2 * (self.items.len() + zones.len()));
        for (index, item) in self.items.iter().enumerate() {
            events.push((item.from, Event::Released(index)));
            if item.to != u64::MAX {
                events.push((item.to, Event::Due(index)));
            }
        }
        for &(start, end) in zones {
            events.push((start, Event::ZoneStarts { ends_at: end }));
            events.push((end, Event::ZoneEnds));
        }
        events.sort_unstable();
        events.into_iter().all(|(_, event)| self.step(event))
    }

    /// False on a contradiction.
    fn step(&mut self, event: Event) -> bool {
        match event {
            Event::Released(index) => self.release(index),
            Event::Due(index) => return self.due(index),
            Event::ZoneStarts { ends_at } => return self.start_zone(ends_at),
            Event::ZoneEnds => {
                self.in_zone = false;
                self.take_points();
            }
        }
        true
    }

    fn release(&mut self, index: usize) {
        let free = !self.in_zone;
        match self.items[index].task {
            Task::Point if free && !self.absent => self.happened[index] = true,
            Task::Point => self.points.push(index),
            Task::ReadAbsent if free && self.absent => self.happened[index] = true,
            Task::ReadAbsent => self.reads.push(index),
            Task::Delete => {
                self.deletes.insert((self.items[index].to, index));
            }
        }
    }

    fn due(&mut self, index: usize) -> bool {
        if self.happened[index] {
            return true;
        }
        if self.in_zone {
            return false;
        }
        match self.items[index].task {
            Task::Point => self.take_points(),
            Task::ReadAbsent => return self.delete_first_due(),
            Task::Delete => self.delete((self.items[index].to, index)),
        }
        true
    }

    /// Whatever is due inside the zone, and waits already, happens just before it.
    fn start_zone(&mut self, ends_at: u64) -> bool {
        while let Some(&first) = self.deletes.first().filter(|(due, _)| *due < ends_at) {
            self.delete(first);
        }
        let pressing = self.reads.iter().any(|&index| self.items[index].to < ends_at);
        if pressing && !self.delete_first_due() {
            return false;
        }
        self.take_points();
        self.absent = false;
        self.in_zone = true;
        true
    }

    fn delete_first_due(&mut self) -> bool {
        let Some(&first) = self.deletes.first() else { return false };
        self.delete(first);
        true
    }

    fn delete(&mut self, entry: (u64, usize)) {
        self.deletes.remove(&entry);
        self.happened[entry.1] = true;
        self.take_points();
        self.absent = true;
        for index in self.reads.drain(..) {
            self.happened[index] = true;
        }
    }

    fn take_points(&mut self) {
        for index in self.points.drain(..) {
            self.happened[index] = true;
            self.absent = false;
        }
    }
}
