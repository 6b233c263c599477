//! The group committer: one thread that takes all that waits, applies it as one batch, syncs once, answers all.
//!
//! While a sync runs, the next batch gathers by itself, so that batches grow with load. After a batch of several the
//! thread also pauses for the time of a sync: fewer, larger batches cost far less of a busy processor, and a writer
//! that comes alone never waits. A batch that finds the disk full is answered so and the engine reopened from what is on disk. Any other
//! failure is final: after a failed sync the kernel may have dropped the pages and let the next one succeed
//! (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020), so it is never repeated.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::draft::{Draft, Mutation, Outcome, Published};
use super::engine::{self, Batch};
use super::hint::{Ledger, Limits};
use super::in_flight::Waiter;
use super::queue::Operation;
use super::shared::Shared;
use super::{WriteError, counter, keyspace};
use crate::protocol::id::{NodeId, PartitionId};
use crate::runtime::clock;

/// How often the numbers of records are saved with a batch.
const SAVE_TOTALS_EVERY: Duration = Duration::from_secs(1);

/// Operations in a batch from which the committer lets the next one gather: writers come together, so more will.
const GATHER_FROM: usize = 4;

/// Longest such pause: about the sync of a slow disk, and little beside what a loaded node takes anyway.
const GATHER_AT_MOST: Duration = Duration::from_millis(1);

/// How often a store that ran full is opened again while the disk stays full.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// An operation and its outcome, to be told when the batch has ended.
type Answers = Vec<(Operation, Result<(), WriteError>)>;

/// Runs until the queue has ended and is empty.
pub(super) struct Committer {
    shared: Arc<Shared>,
    /// The committer's own copy of the published ledger.
    ledger: Ledger,
    totals_saved_at: Instant,
    totals_changed: bool,
    /// True for the last batch, which saves what is only saved now and then.
    closing: bool,
    /// When a reopen last failed; none while the engine is up.
    down_since: Option<Instant>,
    /// Marks taken into the batch under way, to be made again if it fails.
    marking: BTreeSet<(NodeId, PartitionId)>,
}

/// Raises the alarm if the thread unwinds: nothing would ever be answered again.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            fail(&self.0, "the committer panicked");
        }
    }
}

impl Committer {
    /// A committer for this store.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let ledger = shared.ledger.lock().clone();
        let totals_saved_at = clock::monotonic_now();
        let (totals_changed, closing, down_since, marking) = Default::default();
        Self { shared, ledger, totals_saved_at, totals_changed, closing, down_since, marking }
    }

    /// The thread's whole life.
    pub(super) fn run(mut self) {
        let _alarm = Alarm(Arc::clone(&self.shared));
        while let Some(operations) = self.shared.queue.take() {
            self.shared.set_busy(true);
            let together = operations.len();
            self.commit(operations);
            if together >= GATHER_FROM {
                clock::pause_thread(self.shared.counters.last_sync().min(GATHER_AT_MOST));
            }
            self.shared.set_busy(false);
        }
        if self.shared.failure.get().is_none() {
            self.closing = true;
            self.commit(Vec::new());
        }
        self.shared.store.close();
    }

    fn commit(&mut self, operations: Vec<Operation>) {
        if let Some(reason) = self.shared.failure.get() {
            let failed = WriteError::Failed { reason: Arc::clone(reason) };
            return self.refuse(operations, &failed);
        }
        self.reopen_if_down();
        if self.down_since.is_some() {
            return self.refuse(operations, &WriteError::DiskFull);
        }
        let shared = Arc::clone(&self.shared);
        let (batch, published, answers) = self.draft(&shared, operations);
        if batch.is_empty() {
            return self.answer(answers);
        }
        let bytes = batch.bytes();
        #[cfg(test)]
        if shared.config.acknowledge_before_sync {
            shared.store.apply(batch).expect("only tests get here");
            self.answer(answers);
            return drop(shared.store.sync());
        }
        match self.make_durable(batch) {
            Ok(sync) => {
                shared.counters.committed(answers.len(), bytes, sync);
                self.publish(published);
                self.answer(answers);
            }
            Err(error) => self.give_up(&error, answers),
        }
    }

    /// Turns operations into one batch; those that change nothing are answered at once.
    fn draft(&mut self, shared: &Shared, operations: Vec<Operation>) -> (Batch, Published, Answers) {
        let age_micros = u64::try_from(shared.config.hint_age.as_micros()).unwrap_or(u64::MAX);
        let limits = Limits { bytes: shared.config.hint_bytes_per_target, age_micros };
        let mut draft = Draft::new(&*shared.store, &self.ledger, limits, clock::wall_micros());
        let (mut answers, mut durable) = (Answers::with_capacity(operations.len()), Answers::new());
        for operation in operations {
            match draft.add(&operation.mutation) {
                Ok(Outcome::InBatch) => answers.push((operation, Ok(()))),
                Ok(Outcome::Durable) => durable.push((operation, Ok(()))),
                Err(error) => answers.push((operation, Err(error))),
            }
        }
        for (target, partition) in std::mem::take(&mut *shared.unhinted.lock()) {
            // Marking reads nothing, so it cannot fail.
            let _marked = draft.add(&Mutation::Dirty { target, partition });
            self.marking.insert((target, partition));
        }
        let (mut batch, published) = draft.finish();
        self.answer(durable);
        self.add_totals(&mut batch, &published);
        (batch, published, answers)
    }

    fn add_totals(&mut self, batch: &mut Batch, published: &Published) {
        self.totals_changed |= published.records != 0 || published.tombstones != 0;
        let due = self.closing || self.totals_saved_at.elapsed() >= SAVE_TOTALS_EVERY;
        if !self.totals_changed || !due {
            return;
        }
        let counters = &self.shared.counters;
        let records = counters.records.load(Ordering::Relaxed).saturating_add_signed(published.records);
        let tombstones = counters.tombstones.load(Ordering::Relaxed).saturating_add_signed(published.tombstones);
        let row = keyspace::totals_row();
        let stored = counter::encode(&row, [records, tombstones]);
        batch.put(row, stored);
        self.totals_saved_at = clock::monotonic_now();
        self.totals_changed = false;
    }

    fn make_durable(&self, batch: Batch) -> Result<Duration, engine::Error> {
        {
            let _gate = self.shared.apply_gate.write();
            self.shared.store.apply(batch)?;
        }
        let started = clock::monotonic_now();
        self.shared.store.sync()?;
        Ok(started.elapsed())
    }

    fn publish(&mut self, published: Published) {
        self.marking.clear();
        let shared = &self.shared;
        let add = |counter: &std::sync::atomic::AtomicU64, change: i64| {
            let now = counter.load(Ordering::Relaxed).saturating_add_signed(change);
            counter.store(now, Ordering::Relaxed);
        };
        add(&shared.counters.records, published.records);
        add(&shared.counters.tombstones, published.tombstones);
        if !published.targets.is_empty() {
            self.ledger.extend(published.targets);
            self.ledger.retain(|_, target| *target != super::hint::Target::default());
            shared.ledger.lock().clone_from(&self.ledger);
        }
        for (name, bytes) in published.documents {
            match bytes {
                Some(bytes) => shared.documents.write().insert(name, bytes),
                None => shared.documents.write().remove(&name),
            };
        }
    }

    /// Ends a batch that is not durable.
    fn give_up(&mut self, error: &engine::Error, mut answers: Answers) {
        let outcome = if *error == engine::Error::Full {
            // Before anyone is told: what the engine shows of this batch must be gone first.
            self.reopen();
            self.shared.generation.fetch_add(1, Ordering::SeqCst);
            WriteError::DiskFull
        } else {
            let reason = error.to_string();
            fail(&self.shared, &reason);
            WriteError::Failed { reason: reason.into() }
        };
        self.shared.unhinted.lock().append(&mut self.marking);
        answers.iter_mut().for_each(|(_, answer)| *answer = Err(outcome.clone()));
        self.answer(answers);
    }

    fn reopen_if_down(&mut self) {
        if self.down_since.is_some_and(|since| since.elapsed() >= REOPEN_EVERY) {
            self.reopen();
        }
    }

    /// Opens the engine again, or notes that it is down. Only what passes with time is worth another try: anything
    /// else, a failed sync above all, is as final here as it is in a batch.
    fn reopen(&mut self) {
        self.down_since = self.shared.store.reopen().err().map(|error| {
            // Engines make damage of what they cannot write out while they open.
            let passes = match &error {
                engine::Error::Full | engine::Error::Busy => true,
                engine::Error::Damaged { .. } => self.shared.guard.is_full(),
                engine::Error::Failed { .. } | engine::Error::Closed => false,
            };
            if !passes {
                fail(&self.shared, &error.to_string());
            }
            clock::monotonic_now()
        });
    }

    /// Answers operations that reach no batch.
    fn refuse(&self, operations: Vec<Operation>, error: &WriteError) {
        self.answer(operations.into_iter().map(|operation| (operation, Err(error.clone()))).collect());
    }

    /// Tells everyone, after the table and the queue have let go of the operations.
    fn answer(&self, answers: Answers) {
        let mut woken: Vec<(Waiter, Result<(), Arc<str>>)> = Vec::new();
        let (mut writes, mut bytes) = (0, 0);
        for (operation, outcome) in &answers {
            let weight = operation.mutation.weight();
            writes += weight.0;
            bytes += weight.1;
            if let (Mutation::Hint { target, partition, .. }, Err(_)) = (&operation.mutation, outcome) {
                // It must not be forgotten that the target missed something.
                self.shared.unhinted.lock().insert((*target, *partition));
            }
            let mut waiters = Vec::new();
            for write in operation.mutation.writes() {
                self.shared.in_flight.finish(&write.row, write.version.stamp, &mut waiters);
            }
            let told = |error: &WriteError| Arc::from(error.to_string());
            woken.extend(waiters.into_iter().map(|waiter| (waiter, outcome.as_ref().map(|_| ()).map_err(told))));
        }
        self.shared.queue.release(writes, bytes);
        for (operation, outcome) in answers {
            if let Some(done) = operation.done {
                done(outcome);
            }
        }
        woken.into_iter().for_each(|(waiter, outcome)| waiter(outcome));
    }
}

/// Marks the store as failed for good, once, and says so.
fn fail(shared: &Shared, reason: &str) {
    let reason: Arc<str> = reason.into();
    if shared.failure.set(Arc::clone(&reason)).is_ok() {
        shared.generation.fetch_add(1, Ordering::SeqCst);
        shared.queue.end(WriteError::Failed { reason: Arc::clone(&reason) });
        tracing::error!(%reason, "the store has failed");
        (shared.config.on_failure)(&reason);
    }
}
