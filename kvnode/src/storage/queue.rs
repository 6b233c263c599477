//! The bounded queue between those who write and the one thread that commits.
//!
//! Whoever submits takes a lock and pushes; the committer takes all that waits, up to a batch. Operations count
//! against the bounds until they are answered, not only until they are taken. It does not know what they change.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use super::WriteError;
use super::draft::Mutation;

/// Most bytes in one batch, unless a single operation is larger: well under an engine segment, which a batch must
/// not span, and about what a disk takes in the time of a few syncs.
pub(super) const MAX_BATCH_BYTES: usize = 4 << 20;

/// Most operations in one batch, so that nobody waits long behind many tiny ones.
pub(super) const MAX_BATCH_OPERATIONS: usize = 4096;

/// Internal operations (hints and their removal) have nobody to refuse, so they may use this multiple of the bounds.
const INTERNAL_FACTOR: usize = 2;

/// Called once with the outcome.
pub(super) type Done = Box<dyn FnOnce(Result<(), WriteError>) + Send>;

/// A change and who wants to know of it.
pub(super) struct Operation {
    /// The change.
    pub(super) mutation: Mutation,
    /// Nobody for internal operations.
    pub(super) done: Option<Done>,
}

/// An operation that found no room, given back with the reason.
pub(super) struct Refused {
    pub(super) operation: Operation,
    pub(super) error: WriteError,
}

/// Who asks for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody who can be refused.
    External,
    /// Hints and the like.
    Internal,
}

/// Operations waiting or under way.
pub(super) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    max_writes: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Operation>,
    writes: usize,
    bytes: usize,
    committer_idle: bool,
    ended: Option<WriteError>,
}

impl Queue {
    /// An empty queue with these bounds.
    pub(super) fn new(max_writes: usize, max_bytes: usize) -> Self {
        Self { state: Mutex::new(State::default()), ready: Condvar::new(), max_writes, max_bytes }
    }

    /// Adds an operation, or gives it back with the reason.
    pub(super) fn push(&self, operation: Operation, kind: Kind) -> Result<(), Box<Refused>> {
        let (writes, bytes) = operation.mutation.weight();
        let factor = if kind == Kind::Internal { INTERNAL_FACTOR } else { 1 };
        let mut state = self.state.lock();
        if let Some(reason) = &state.ended {
            let error = reason.clone();
            return Err(Box::new(Refused { operation, error }));
        }
        if state.writes + writes > self.max_writes * factor || state.bytes + bytes > self.max_bytes * factor {
            return Err(Box::new(Refused { operation, error: WriteError::Overloaded }));
        }
        state.writes += writes;
        state.bytes += bytes;
        state.waiting.push_back(operation);
        if state.committer_idle {
            state.committer_idle = false;
            drop(state);
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Waits for operations and takes a batch of them, in order; none once the queue has ended and is empty.
    pub(super) fn take(&self) -> Option<Vec<Operation>> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.ended.is_some() {
                return None;
            }
            state.committer_idle = true;
            self.ready.wait(&mut state);
        }
        state.committer_idle = false;
        let mut bytes = 0;
        let mut taken = Vec::with_capacity(state.waiting.len().min(MAX_BATCH_OPERATIONS));
        while taken.len() < MAX_BATCH_OPERATIONS && bytes < MAX_BATCH_BYTES {
            let Some(operation) = state.waiting.pop_front() else { break };
            bytes += operation.mutation.weight().1;
            taken.push(operation);
        }
        Some(taken)
    }

    /// Gives back the room of operations that were taken.
    pub(super) fn release(&self, writes: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.writes -= writes;
        state.bytes -= bytes;
    }

    /// Refuses new operations with this reason from now on; what waits will still be taken. The first reason stays.
    pub(super) fn end(&self, reason: WriteError) {
        let mut state = self.state.lock();
        state.ended.get_or_insert(reason);
        drop(state);
        self.ready.notify_all();
    }

    /// Writes and bytes waiting or under way.
    pub(super) fn depth(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.writes, state.bytes)
    }
}
