//! The only spawner. Every task has a name and belongs to one [`Tasks`]; `shutdown` cancels and joins them all.
//!
//! A task that panics stops the node (restart from a known state beats going on in an unknown one): the panic is
//! reported through [`Tasks::failed`], which the server watches. Short request tasks are spawned by the same
//! handle and counted.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// Spawns and owns tasks. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    inner: Arc<Inner>,
}

struct Inner {
    stopping: watch::Sender<bool>,
    failed: watch::Sender<Option<&'static str>>,
    running: std::sync::atomic::AtomicUsize,
    idle: Notify,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts a task down and reports a panic, on every way out of it.
struct Running {
    inner: Arc<Inner>,
    name: &'static str,
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.inner.failed.send_replace(Some(self.name));
        }
        if self.inner.running.fetch_sub(1, std::sync::atomic::Ordering::AcqRel) == 1 {
            self.inner.idle.notify_waiters();
        }
    }
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            stopping: watch::Sender::new(false),
            failed: watch::Sender::new(None),
            running: std::sync::atomic::AtomicUsize::new(0),
            idle: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Runs a future to its end, or until [`Tasks::shutdown`] drops it at an await point.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let mut stopping = self.inner.stopping.subscribe();
        self.spawn_to_end(name, async move {
            tokio::select! {
                () = future => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// Runs a future to its end; shutdown waits for it. For work that must not be cut off, such as a write in flight.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn_to_end(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.inner.running.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        let running = Running { inner: Arc::clone(&self.inner), name };
        tokio::spawn(async move {
            let _running = running;
            future.await;
        });
    }

    /// Runs blocking work on the pool for it; shutdown waits for it.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn_blocking(&self, name: &'static str, work: impl FnOnce() + Send + 'static) {
        self.inner.running.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        let running = Running { inner: Arc::clone(&self.inner), name };
        drop(tokio::task::spawn_blocking(move || {
            let _running = running;
            work();
        }));
    }

    /// Runs blocking work and waits for its result; none if it panicked.
    pub async fn run_blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = tokio::sync::oneshot::channel();
        self.spawn_blocking(name, move || drop(done.send(work())));
        result.await.ok()
    }

    /// Resolves with the name of the first task that panicked.
    pub async fn failed(&self) -> &'static str {
        let mut failed = self.inner.failed.subscribe();
        match failed.wait_for(Option::is_some).await.map(|name| *name) {
            Ok(Some(name)) => name,
            _ => std::future::pending().await,
        }
    }

    /// Resolves once shutdown has begun.
    pub async fn stopping(&self) {
        let mut stopping = self.inner.stopping.subscribe();
        // An error means that the sender is gone, which cannot be while `self` lives.
        drop(stopping.wait_for(|stop| *stop).await);
    }

    /// Cancels what may be cancelled and waits for the rest, at most until `deadline`. Returns the tasks left over.
    pub async fn shutdown(&self, deadline: std::time::Instant) -> usize {
        self.inner.stopping.send_replace(true);
        loop {
            let idle = self.inner.idle.notified();
            let left = self.inner.running.load(std::sync::atomic::Ordering::Acquire);
            if left == 0 {
                return 0;
            }
            if super::clock::until(deadline, idle).await.is_none() {
                return left;
            }
        }
    }
}
