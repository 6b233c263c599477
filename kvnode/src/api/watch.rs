//! Watches one connection for signs of life, without a clock on the path of a request.
//!
//! Requests and reads leave marks in [`Activity`]; every few seconds [`Watch::look`] compares them with the marks of
//! the look before. A head that stays incomplete (a slow-loris) closes the connection after [`HEAD_LOOKS`] looks, no
//! request at all ends it after [`IDLE_LOOKS`]. hyper's own header timeout is not used: it counts idle time
//! between requests too, and makes a timer for each.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Looks that a head may take to arrive: 10 to 15 s at a look every 5 s.
pub(super) const HEAD_LOOKS: u32 = 2;
/// Looks without a request after which a connection ends: 5 minutes at a look every 5 s.
pub(super) const IDLE_LOOKS: u32 = 60;

/// The marks that a connection leaves.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
    /// Bytes came since the last request began, and no request is in hand.
    partial: AtomicBool,
}

/// The marks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks {
    pub(super) begun: u64,
    pub(super) ended: u64,
    pub(super) partial: bool,
}

impl Activity {
    pub(super) fn now(&self) -> Marks {
        Marks {
            begun: self.begun.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
            partial: self.partial.load(Ordering::Relaxed),
        }
    }
}

/// A request in hand, until dropped.
pub(super) struct Busy {
    activity: Arc<Activity>,
}

impl Busy {
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.partial.store(false, Ordering::Relaxed);
        Self { activity: Arc::clone(activity) }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// Ask it to end.
    Finish,
    /// Drop it.
    Close(&'static str),
}

/// Compares marks from look to look.
#[derive(Debug, Default)]
pub(super) struct Watch {
    last: Marks,
    unchanged: u32,
}

impl Watch {
    /// Judges a connection by its marks now.
    pub(super) fn look(&mut self, now: Marks) -> Verdict {
        let busy = now.begun != now.ended;
        self.unchanged = if busy || now != self.last { 0 } else { self.unchanged + 1 };
        self.last = now;
        match self.unchanged {
            // An operation ends by its own deadline.
            _ if busy => Verdict::Keep,
            HEAD_LOOKS.. if now.partial => Verdict::Close("the head of a request took too long"),
            IDLE_LOOKS => Verdict::Finish,
            looks if looks > IDLE_LOOKS => Verdict::Close("it was idle and did not end when asked"),
            _ => Verdict::Keep,
        }
    }
}

/// A stream whose reads leave marks.
pub(super) struct Observed<T> {
    stream: T,
    activity: Arc<Activity>,
}

impl<T> Observed<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Observed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            let marks = self.activity.now();
            if marks.begun == marks.ended {
                self.activity.partial.store(true, Ordering::Relaxed);
            }
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Observed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at the same marks until the verdict is not to keep it.
    fn check(marks: Marks, expected_looks: Option<u32>, expected: &str) {
        let mut watch = Watch::default();
        watch.look(Marks { begun: 99, ended: 99, partial: false });
        let verdicts = (0..200).map(|look| (look, watch.look(marks)));
        let first =
            verdicts.filter(|(_, verdict)| *verdict != Verdict::Keep).map(|(look, v)| (look, format!("{v:?}"))).next();
        assert_eq!(first, expected_looks.map(|looks| (looks, expected.to_owned())));
    }

    #[test]
    fn connections_end_when_they_stall() {
        let idle = Marks { begun: 7, ended: 7, partial: false };
        check(idle, Some(IDLE_LOOKS), "Finish");
        check(Marks { partial: true, ..idle }, Some(HEAD_LOOKS), "Close(\"the head of a request took too long\")");
        check(Marks { begun: 8, ..idle }, None, "");
    }

    #[test]
    fn a_stalled_connection_that_ignores_the_request_to_end_is_dropped() {
        let mut watch = Watch::default();
        let verdicts: Vec<_> = (0..=IDLE_LOOKS).map(|_| watch.look(Marks::default())).collect();
        assert_eq!(verdicts[IDLE_LOOKS as usize - 1], Verdict::Finish);
        assert!(matches!(verdicts[IDLE_LOOKS as usize], Verdict::Close(_)));
    }

    #[test]
    fn steady_requests_keep_a_connection() {
        let mut watch = Watch::default();
        for number in 0..1000 {
            let marks = Marks { begun: number, ended: number, partial: number % 2 == 0 };
            assert_eq!(watch.look(marks), Verdict::Keep);
        }
    }
}
