//! Operations of many clients on many keys, and the recorder that collects them while the clients run.
//!
//! Values are named by numbers that the clients choose, best unique within a history: a read then tells which write
//! it saw, and the checker is fast. Times are monotonic nanoseconds from a zero that all clients share; equal times
//! count as concurrent. The recorder does not judge: an operation begun and never completed stays `Unknown`.

use std::sync::Arc;

use parking_lot::Mutex;

/// Names a written value; clients draw a new one for each put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u64);

/// A client: a sequential caller that has at most one operation under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// What was asked, and for a read what came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A read. `observed` counts only if the operation completed `Ok`; none means that the key was absent.
    Get {
        /// The value read.
        observed: Option<ValueId>,
    },
    /// A write.
    Put {
        /// The value written.
        value: ValueId,
    },
    /// A removal, also of a key that is absent.
    Delete,
}

/// How it ended, as the client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// It took effect at one moment between its start and `at`.
    Ok {
        /// Nanoseconds at which the answer arrived.
        at: u64,
    },
    /// The store vouched that it had no effect and never will.
    NotApplied {
        /// Nanoseconds at which the answer arrived.
        at: u64,
    },
    /// No answer, or one that says "unknown": it may take effect at any time after its start, or never.
    Unknown,
}

/// One call of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Who called.
    pub client: ClientId,
    /// The key, in any spelling that is the same for the same key.
    pub key: Arc<str>,
    /// What was asked.
    pub kind: Kind,
    /// Nanoseconds at which the call began.
    pub invoked_at: u64,
    /// How it ended.
    pub completion: Completion,
}

impl Operation {
    /// When the answer arrived, if one did.
    #[must_use]
    pub fn completed_at(&self) -> Option<u64> {
        match self.completion {
            Completion::Ok { at } | Completion::NotApplied { at } => Some(at),
            Completion::Unknown => None,
        }
    }
}

/// Most operations one recorder takes: about 1 GiB, a hundred times the longest test.
pub const MAX_OPERATIONS: usize = 10_000_000;

/// The recorder holds [`MAX_OPERATIONS`]; the operation was not recorded and must not be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the history is full: it holds {MAX_OPERATIONS} operations")]
pub struct Full;

/// Names an operation under way in its recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(usize);

/// Collects the operations of concurrent clients; shared by reference or `Arc`.
#[derive(Debug, Default)]
pub struct Recorder {
    operations: Mutex<Vec<Operation>>,
}

impl Recorder {
    /// Notes that a call begins; must come before its first byte is sent. For a get, `observed` is not yet looked at.
    pub fn begin(&self, client: ClientId, key: Arc<str>, kind: Kind, invoked_at: u64) -> Result<Ticket, Full> {
        let mut operations = self.operations.lock();
        if operations.len() >= MAX_OPERATIONS {
            return Err(Full);
        }
        operations.push(Operation { client, key, kind, invoked_at, completion: Completion::Unknown });
        Ok(Ticket(operations.len() - 1))
    }

    /// Notes how a put or delete ended. A time before its start is taken as its start.
    pub fn complete(&self, ticket: Ticket, completion: Completion) {
        if let Some(operation) = self.operations.lock().get_mut(ticket.0) {
            operation.completion = not_before(completion, operation.invoked_at);
        }
    }

    /// Notes what a get saw, and when.
    pub fn complete_get(&self, ticket: Ticket, observed: Option<ValueId>, at: u64) {
        if let Some(operation) = self.operations.lock().get_mut(ticket.0) {
            operation.kind = Kind::Get { observed };
            operation.completion = not_before(Completion::Ok { at }, operation.invoked_at);
        }
    }

    /// How many operations have completed `Ok` so far.
    #[must_use]
    pub fn succeeded(&self) -> usize {
        let operations = self.operations.lock();
        operations.iter().filter(|operation| matches!(operation.completion, Completion::Ok { .. })).count()
    }

    /// All operations so far, in order of their start; what is under way is `Unknown`.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = self.operations.lock().clone();
        operations.sort_by_key(|operation| operation.invoked_at);
        operations
    }
}

fn not_before(completion: Completion, start: u64) -> Completion {
    match completion {
        Completion::Ok { at } => Completion::Ok { at: at.max(start) },
        Completion::NotApplied { at } => Completion::NotApplied { at: at.max(start) },
        Completion::Unknown => Completion::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_begun_and_never_completed_is_unknown() {
        let recorder = Recorder::default();
        let put = Kind::Put { value: ValueId(1) };
        let first = recorder.begin(ClientId(0), "k".into(), put, 5).expect("room");
        let second = recorder.begin(ClientId(1), "k".into(), Kind::Get { observed: None }, 2).expect("room");
        recorder.complete_get(second, Some(ValueId(9)), 1);
        let operations = recorder.operations();
        assert_eq!(operations[1].completion, Completion::Unknown);
        assert_eq!(operations[0].kind, Kind::Get { observed: Some(ValueId(9)) });
        assert_eq!(operations[0].completed_at(), Some(2), "never before its start");
        recorder.complete(first, Completion::NotApplied { at: 8 });
        assert_eq!(recorder.operations()[1].completed_at(), Some(8));
    }
}
