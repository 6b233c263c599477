//! Moves bytes on one connection: a single task reads, hands frames over, and writes whatever was queued meanwhile.
//!
//! One task, not a reader and a writer: replies made while frames are handled leave with the same wake-up, and the
//! TLS state needs no lock. Any thread may queue frames through the connection's [`Port`]; it encodes them straight
//! into the buffer that goes out next, and wakes the task only if that has gone to sleep. What was queued by then
//! leaves in one TLS write. Reading never waits for writing, unless the handler asks for it (back-pressure).
//!
//! It knows nothing of requests, deadlines or identities: that is the [`Handler`]'s.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::codec::{self, Frame};
use super::wire::Malformed;
use crate::runtime::clock;

/// Room made for each read: many small frames, or a good part of a large one.
const READ_BYTES: usize = 64 * 1024;
/// Room made while little arrives, so that idle connections stay small.
const FIRST_READ_BYTES: usize = 8 * 1024;
/// Bytes read before the task writes and lets others run.
const READ_TURN_BYTES: usize = 512 * 1024;
/// Write buffers above this are given back once empty, so that one large value does not pin memory.
const KEPT_BUFFER_BYTES: usize = 256 * 1024;
/// With fewer bytes than this to write, the task first lets tasks that are ready run once: they often add more.
/// With 64 calls in flight that is the difference between 85 000 and 360 000 calls a second (`benches/peer.rs`), and
/// with one in flight no difference at all.
const COALESCE_BYTES: usize = 16 * 1024;

/// Where frames for one connection are queued, with the state `S` that its lock also guards.
pub(super) struct Port<S> {
    queue: Mutex<Queue<S>>,
    waker: AtomicWaker,
}

/// The locked part of a [`Port`].
pub(super) struct Queue<S> {
    /// Encoded frames that go out next.
    pub(super) outgoing: BytesMut,
    /// Set to have the task look again even though nothing was queued.
    pub(super) look: bool,
    /// Set to end the connection.
    pub(super) stop: bool,
    /// What else belongs under the same lock.
    pub(super) own: S,
    sleep: Sleep,
}

/// Whether the connection's task needs a wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// No: it looks at the queue again before it sleeps.
    Awake,
    /// For frames and for anything else.
    Asleep,
    /// Not for frames: the socket takes no bytes now, and its own wake-up will come.
    Blocked,
}

impl<S> Port<S> {
    pub(super) fn new(own: S) -> Self {
        let queue = Queue { outgoing: BytesMut::new(), look: false, stop: false, own, sleep: Sleep::Awake };
        Self { queue: Mutex::new(queue), waker: AtomicWaker::new() }
    }

    /// Works on the queue under its lock, and wakes the connection's task if there is now something to do.
    /// The closure must not call out.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Queue<S>) -> R) -> R {
        let mut queue = self.queue.lock();
        let result = work(&mut queue);
        let wake = match queue.sleep {
            Sleep::Awake => false,
            Sleep::Asleep => !queue.outgoing.is_empty() || queue.look || queue.stop,
            Sleep::Blocked => queue.look || queue.stop,
        };
        if wake {
            queue.sleep = Sleep::Awake;
        }
        drop(queue);
        if wake {
            self.waker.wake();
        }
        result
    }
}

/// What a connection is used for: the client's or the server's side.
pub(super) trait Handler<S> {
    /// Takes a frame; an error ends the connection. Must not block.
    fn frame(&mut self, frame: Frame, now: Instant) -> Result<(), Malformed>;
    /// After all frames of one turn.
    fn turn_done(&mut self, port: &Port<S>, now: Instant);
    /// Whether reading shall wait; asked under the lock.
    fn paused(&self, queue: &Queue<S>) -> bool;
    /// The timer fired. Returns when it shall fire next; an error ends the connection.
    fn tick(&mut self, port: &Port<S>, progress: Progress) -> Result<Duration, End>;
    /// While frames go out the timer fires at least this often; none leaves it to [`Handler::tick`].
    fn busy_tick(&self) -> Option<Duration>;
}

/// How a connection is doing, for [`Handler::tick`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) now: Instant,
    /// When anything last arrived; at first, when the connection began.
    pub(super) received: Instant,
    /// Since when the other end takes nothing of what waits to go out.
    pub(super) blocked_since: Option<Instant>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("closed by the other end")]
    Closed,
    #[error("closed by this node")]
    Stopped,
    #[error("{0}")]
    Io(io::Error),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("nothing heard for {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("the other end reads too slowly")]
    Stalled,
}

impl From<io::Error> for End {
    /// A process that ends does not say goodbye in TLS, so its missing goodbye is no fault worth a warning: nothing of
    /// ours depends on it, as every frame says how long it is.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Closed } else { Self::Io(error) }
    }
}

/// Serves a connection until it ends.
pub(super) async fn drive<T, S, H>(stream: T, port: &Port<S>, handler: &mut H) -> End
where
    T: AsyncRead + AsyncWrite + Unpin,
    H: Handler<S>,
{
    let now = clock::monotonic_now();
    let mut driver = Driver {
        stream,
        port,
        handler,
        incoming: BytesMut::new(),
        writing: BytesMut::new(),
        written: 0,
        unflushed: false,
        coalesced: false,
        received: now,
        blocked_since: None,
        timer: Box::pin(std::future::ready(())),
        timer_is_busy: false,
    };
    std::future::poll_fn(|cx| driver.poll(cx)).await
}

struct Driver<'a, T, S, H> {
    stream: T,
    port: &'a Port<S>,
    handler: &'a mut H,
    incoming: BytesMut,
    writing: BytesMut,
    written: usize,
    unflushed: bool,
    coalesced: bool,
    received: Instant,
    blocked_since: Option<Instant>,
    timer: Pin<Box<dyn Future<Output = ()> + Send>>,
    timer_is_busy: bool,
}

/// What one step left.
enum Step {
    /// Nothing to do until something outside happens.
    Waits,
    /// There is more; let others run first.
    More,
}

/// What was there to write.
enum Refill {
    /// Something; it is in `writing` now.
    Taken,
    /// Nothing.
    Nothing,
    /// A little: look again once other tasks had their chance to queue more.
    Later,
}

impl<T, S, H> Driver<'_, T, S, H>
where
    T: AsyncRead + AsyncWrite + Unpin,
    H: Handler<S>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match self.turn(cx) {
            Ok(Step::Waits) => Poll::Pending,
            Ok(Step::More) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(end) => Poll::Ready(end),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Step, End> {
        self.port.waker.register(cx.waker());
        let paused = {
            let mut queue = self.port.queue.lock();
            queue.sleep = Sleep::Awake;
            queue.look = false;
            if queue.stop {
                return Err(End::Stopped);
            }
            self.handler.paused(&queue)
        };
        let now = clock::monotonic_now();
        self.tick(cx, now)?;
        let read = if paused { Step::Waits } else { self.read(cx, now)? };
        let written = self.write(cx, now)?;
        if matches!((&read, &written), (Step::Waits, Step::Waits)) && self.sleep(paused) {
            Ok(Step::Waits)
        } else {
            Ok(Step::More)
        }
    }

    /// Goes to sleep unless something was queued, or the pause ended, since this turn looked.
    fn sleep(&mut self, was_paused: bool) -> bool {
        let mut queue = self.port.queue.lock();
        let all_written = self.written == self.writing.len();
        let pending = queue.look || queue.stop || (all_written && !queue.outgoing.is_empty());
        if pending || self.handler.paused(&queue) != was_paused {
            return false;
        }
        queue.sleep = if all_written { Sleep::Asleep } else { Sleep::Blocked };
        true
    }

    fn tick(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), End> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let progress = Progress { now, received: self.received, blocked_since: self.blocked_since };
            let next = self.handler.tick(self.port, progress)?;
            self.timer_is_busy = self.handler.busy_tick().is_some_and(|busy| next <= busy);
            self.timer = Box::pin(clock::sleep_until(now + next));
        }
        Ok(())
    }

    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<Step, End> {
        let mut total = 0;
        let result = loop {
            if total >= READ_TURN_BYTES {
                break Step::More;
            }
            self.incoming.reserve(if total == 0 { FIRST_READ_BYTES } else { READ_BYTES });
            match pin!(self.stream.read_buf(&mut self.incoming)).poll(cx) {
                Poll::Pending => break Step::Waits,
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Ready(Ok(0)) => return Err(End::Closed),
                Poll::Ready(Ok(length)) => total += length,
            }
            while let Some(frame) = codec::take_frame(&mut self.incoming)? {
                self.handler.frame(frame, now)?;
            }
            if self.handler.paused(&self.port.queue.lock()) {
                break Step::More;
            }
        };
        if total > 0 {
            self.received = now;
            self.handler.turn_done(self.port, now);
        }
        Ok(result)
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<Step, End> {
        loop {
            if self.written == self.writing.len() {
                match self.refill(cx, now) {
                    Refill::Taken => {}
                    Refill::Nothing => return self.flush(cx, now),
                    Refill::Later => return Ok(Step::More),
                }
            }
            match Pin::new(&mut self.stream).poll_write(cx, &self.writing[self.written..]) {
                Poll::Pending => {
                    self.blocked_since.get_or_insert(now);
                    return Ok(Step::Waits);
                }
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Ready(Ok(length)) => {
                    self.written += length;
                    self.blocked_since = None;
                    self.unflushed = true;
                }
            }
        }
    }

    fn refill(&mut self, cx: &mut Context<'_>, now: Instant) -> Refill {
        self.written = 0;
        self.writing.clear();
        if self.writing.capacity() > KEPT_BUFFER_BYTES {
            self.writing = BytesMut::new();
        }
        let mut queue = self.port.queue.lock();
        if queue.outgoing.is_empty() {
            return Refill::Nothing;
        }
        if queue.outgoing.len() < COALESCE_BYTES && !self.coalesced {
            self.coalesced = true;
            return Refill::Later;
        }
        self.coalesced = false;
        std::mem::swap(&mut self.writing, &mut queue.outgoing);
        drop(queue);
        if let (Some(busy), false) = (self.handler.busy_tick(), self.timer_is_busy) {
            self.timer_is_busy = true;
            self.timer = Box::pin(clock::sleep_until(now + busy));
            // Polled once, so that it wakes this task; it cannot be due yet, and if it is the next turn sees it.
            if self.timer.as_mut().poll(cx).is_ready() {
                self.timer = Box::pin(std::future::ready(()));
                cx.waker().wake_by_ref();
            }
        }
        Refill::Taken
    }

    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<Step, End> {
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Pending => {
                    self.blocked_since.get_or_insert(now);
                }
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    self.blocked_since = None;
                }
            }
        }
        Ok(Step::Waits)
    }
}
