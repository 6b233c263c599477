//! What bounds the API: sizes, counts and times, each with its reason.
//!
//! Reaching a bound is an answer (413, 503) or a clean close, never a queue that grows. [`Gate`] is the one
//! mechanism for counts: connections, operations in flight and bytes of bodies being read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Longest head of a request in bytes: a key of 1024 bytes, all of them encoded, and a token leave ample room.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most headers of a request; browsers send about 20.
pub const MAX_HEADERS: usize = 64;
/// Most operations of a batch.
pub const MAX_BATCH_OPERATIONS: usize = 100;
/// Longest body of a batch in bytes: a hundred values of some 30 KiB.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Operations of one batch that run at once: enough to overlap syncs, too few to starve other clients.
pub const BATCH_CONCURRENCY: usize = 16;
/// Longest body of an act of administration in bytes: names of some hundred nodes.
pub const MAX_ADMIN_BYTES: usize = 64 * 1024;
/// Most keys of a page.
pub const MAX_LIST_KEYS: usize = 1000;
/// Most keys of a page with values.
pub const MAX_LIST_VALUES: usize = 100;
/// Bytes of values after which a page or a batch's answer is cut: one of each fits in a client's memory.
pub const MAX_ANSWER_VALUE_BYTES: usize = 8 * 1024 * 1024;
/// How long an operation may take unless asked otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time an operation may be given.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a body may take to arrive: 1 MiB at 100 KiB/s.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a forming of the ring may take: a few round trips to each node.
pub const BOOTSTRAP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take: two round trips around the world and a lost packet.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The bounds that an operator may set.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest value in bytes. 1 MiB: a value passes through memory on every replica at once.
    pub max_value_bytes: usize,
    /// Open connections. 4096: about 200 MiB of buffers at worst.
    pub max_connections: usize,
    /// Operations on data in flight. 1024: beyond that, waiting only adds latency.
    pub max_operations: usize,
    /// Bytes of request bodies held at once, of those over 16 KiB. 128 MiB.
    pub max_body_bytes: usize,
    /// How often a connection is looked at. 5 s: a head must arrive within two or three looks, an idle connection
    /// is closed after 60 (5 minutes).
    pub watch_interval: Duration,
    /// How long a connection may go on with what it has begun when the node stops. 10 s.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_value_bytes: 1024 * 1024,
            max_connections: 4096,
            max_operations: 1024,
            max_body_bytes: 128 * 1024 * 1024,
            watch_interval: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Lets in up to a limit and refuses the rest at once. Cheap to clone; clones share the count.
#[derive(Debug, Clone)]
pub struct Gate {
    inner: Arc<Inside>,
}

#[derive(Debug)]
struct Inside {
    count: AtomicUsize,
    limit: usize,
}

/// Leaves the gate when dropped.
#[derive(Debug)]
#[must_use = "dropping it leaves the gate"]
pub struct Entered {
    inner: Arc<Inside>,
    amount: usize,
}

impl Gate {
    /// A gate for `limit` at once.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { inner: Arc::new(Inside { count: AtomicUsize::new(0), limit }) }
    }

    /// Enters with an amount; none if that would pass the limit.
    pub fn enter(&self, amount: usize) -> Option<Entered> {
        let before = self.inner.count.fetch_add(amount, Ordering::Relaxed);
        let entered = Entered { inner: Arc::clone(&self.inner), amount };
        // When refused, dropping `entered` takes the amount back.
        (before.saturating_add(amount) <= self.inner.limit).then_some(entered)
    }

    /// How much is inside now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.count.load(Ordering::Relaxed)
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.inner.limit
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.inner.count.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_refuses_what_does_not_fit_and_remembers_who_left() {
        let gate = Gate::new(10);
        let six = gate.enter(6);
        assert!(six.is_some() && gate.enter(5).is_none());
        let four = gate.enter(4);
        assert!(four.is_some() && gate.enter(1).is_none());
        drop(six);
        assert_eq!(gate.count(), 4);
        assert!(gate.enter(6).is_some());
    }
}
