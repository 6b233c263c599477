//! Where the replies of one operation arrive: a small queue with one reader, filled from any thread.
//!
//! It exists because an operation gets a handful of events (bounded by the messages its machine sends) and a
//! general channel costs more than the rest of the operation. It knows nothing of what the events mean.

use std::sync::Arc;
use std::task::Poll;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::protocol::register::replicas::Event;

/// The sending side; cheap to clone.
#[derive(Clone)]
pub(super) struct Inbox {
    shared: Arc<Shared>,
}

struct Shared {
    events: Mutex<Vec<Event>>,
    waker: AtomicWaker,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { shared: Arc::new(Shared { events: Mutex::new(Vec::new()), waker: AtomicWaker::new() }) }
    }

    /// Adds an event and wakes the reader.
    pub(super) fn push(&self, event: Event) {
        self.shared.events.lock().push(event);
        self.shared.waker.wake();
    }

    /// Moves all events into `batch` (empty before); waits if there are none.
    pub(super) async fn receive(&self, batch: &mut Vec<Event>) {
        std::future::poll_fn(|context| {
            if self.take(batch) {
                return Poll::Ready(());
            }
            self.shared.waker.register(context.waker());
            // Again after registering: an event may have come in between.
            if self.take(batch) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn take(&self, batch: &mut Vec<Event>) -> bool {
        let mut events = self.shared.events.lock();
        std::mem::swap(&mut *events, batch);
        !batch.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_arrive_in_order_from_another_thread() {
        let inbox = Inbox::new();
        let sender = inbox.clone();
        let thread = std::thread::spawn(move || {
            for _ in 0..1000 {
                sender.push(Event::Hedge);
            }
            sender.push(Event::Deadline);
        });
        let (mut count, mut batch) = (0, Vec::new());
        while batch.last() != Some(&Event::Deadline) {
            batch.clear();
            inbox.receive(&mut batch).await;
            count += batch.len();
        }
        thread.join().expect("the sender ends");
        assert_eq!(count, 1001);
    }
}
