//! What the application is told. A reader that is slow, or reads nothing, costs the node a bounded queue and
//! never a wait: the oldest news go first, and the reader is told how many it missed.
//!
//! Every notice about members can be caught up with by reading the node's members again, broadcasts by reading
//! [`Node::recent`](bruit_core::Node::recent).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bruit_core::Notice;

use crate::error::Trouble;

/// News that wait for the reader at most.
pub const NOTICES_MAX: usize = 4_096;
/// Bytes of the broadcasts among them at most, unless a single one is longer.
pub const NOTICES_BYTES_MAX: usize = 16 << 20;

/// One thing that the application may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The node says something.
    Notice(Notice<'static>),
    /// Something around the node does not work at the moment.
    Trouble(Trouble),
    /// So many earlier news were dropped because they were not read in time.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl News {
    /// What it takes beside its place in the queue, as far as others decide how much that is.
    fn bytes(&self) -> usize {
        match self {
            Self::Notice(Notice::Delivered { topic, payload, .. }) => topic.len() + payload.len(),
            Self::Notice(_) | Self::Trouble(_) | Self::Lagged { .. } => 0,
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    news: VecDeque<News>,
    bytes: usize,
    missed: u64,
    ended: bool,
    abandoned: bool,
    /// The task that waits, if the reader is asynchronous.
    waker: Option<Waker>,
}

impl Queue {
    fn pop(&mut self) -> Option<News> {
        match std::mem::take(&mut self.missed) {
            0 => self.pop_front(),
            missed => Some(News::Lagged { missed }),
        }
    }

    fn pop_front(&mut self) -> Option<News> {
        let news = self.news.pop_front()?;
        self.bytes -= news.bytes();
        Some(news)
    }

    /// Whether there is no room for so many more bytes.
    fn is_full(&self, max: usize, bytes: usize) -> bool {
        self.news.len() >= max || (!self.news.is_empty() && self.bytes + bytes > NOTICES_BYTES_MAX)
    }
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    max: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of whoever tells the news. Dropping it lets the reader see the end after the last news.
#[derive(Debug)]
pub struct NoticeSender {
    shared: Arc<Shared>,
}

/// The application's end: blocking, with a timeout, without waiting, as an iterator, or polled by a task.
///
/// It ends when the node has stopped. Keeping it does not keep the node running.
#[derive(Debug)]
pub struct Notices {
    shared: Arc<Shared>,
}

/// Why there is no news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// None has arrived in time.
    Timeout,
    /// The node has stopped, and all is read.
    Ended,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no news in time",
            Self::Ended => "the node has stopped",
        })
    }
}

impl std::error::Error for RecvError {}

/// A queue of at most `max` news, and at least one. [`Settings::start`](crate::Settings::start) makes the one of a
/// node; a program that passes news on to several readers makes one for each.
#[must_use]
pub fn notices(max: usize) -> (NoticeSender, Notices) {
    let shared = Arc::new(Shared { queue: Mutex::default(), arrived: Condvar::new(), max: max.max(1) });
    (NoticeSender { shared: Arc::clone(&shared) }, Notices { shared })
}

impl NoticeSender {
    /// Adds one; how many older ones had to go for it.
    pub fn push(&self, news: News) -> u64 {
        let mut queue = self.shared.lock();
        if queue.abandoned {
            return 0;
        }
        let bytes = news.bytes();
        let mut gone = 0;
        while queue.is_full(self.shared.max, bytes) && queue.pop_front().is_some() {
            gone += 1;
        }
        queue.missed += gone;
        queue.bytes += bytes;
        queue.news.push_back(news);
        let waker = queue.waker.take();
        drop(queue);
        self.shared.arrived.notify_one();
        waker.into_iter().for_each(Waker::wake);
        gone
    }

    /// Whether the reader has gone: nothing that is added will be read.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.shared.lock().abandoned
    }
}

impl Drop for NoticeSender {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.ended = true;
        let waker = queue.waker.take();
        drop(queue);
        self.shared.arrived.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Notices {
    /// Waits for the next news; `None` once the node has stopped and all is read.
    pub fn recv(&mut self) -> Option<News> {
        let mut queue = self.shared.lock();
        loop {
            if let Some(news) = queue.pop() {
                return Some(news);
            }
            if queue.ended {
                return None;
            }
            queue = self.shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same, waiting at most `timeout`.
    ///
    /// # Errors
    /// Nothing has arrived in time, or nothing will.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<News, RecvError> {
        let started = Instant::now();
        let mut queue = self.shared.lock();
        loop {
            if let Some(news) = queue.pop() {
                return Ok(news);
            }
            if queue.ended {
                return Err(RecvError::Ended);
            }
            let left = timeout.checked_sub(started.elapsed()).ok_or(RecvError::Timeout)?;
            let waited = self.shared.arrived.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next news, for a task, which is woken when there is one; `Ready(None)` once the node has stopped and
    /// all is read.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<News>> {
        let mut queue = self.shared.lock();
        if let Some(news) = queue.pop() {
            return Poll::Ready(Some(news));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next news if there is one now.
    pub fn try_recv(&mut self) -> Option<News> {
        self.shared.lock().pop()
    }
}

impl Iterator for Notices {
    type Item = News;

    /// Waits, as [`recv`](Self::recv) does.
    fn next(&mut self) -> Option<News> {
        self.recv()
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.abandoned = true;
        queue.news = VecDeque::new();
        queue.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Wake;

    fn failed(number: u64) -> News {
        News::Notice(Notice::PingFailed { ping: bruit_core::PingId(number), id: bruit_core::NodeId(1) })
    }

    #[test]
    fn a_slow_reader_is_told_what_it_missed_and_reads_the_newest() {
        let (sender, mut notices) = notices(2);
        let full: Vec<_> = (0..5).map(|number| sender.push(failed(number))).collect();
        assert_eq!(full, [0, 0, 1, 1, 1]);
        drop(sender);
        let read: Vec<_> = notices.by_ref().collect();
        assert_eq!(read, vec![News::Lagged { missed: 3 }, failed(3), failed(4)]);
        assert_eq!(notices.recv_timeout(Duration::ZERO), Err(RecvError::Ended));
    }

    #[test]
    fn broadcasts_that_nobody_reads_are_bounded_in_bytes() {
        let (sender, mut notices) = notices(NOTICES_MAX);
        let delivered = |seq, len| {
            let id = bruit_core::MessageId { origin: bruit_core::NodeId(1), epoch: 1, seq };
            News::Notice(Notice::Delivered { id, topic: "".into(), payload: vec![0; len].into(), hops: 0 })
        };
        let mib = 1 << 20;
        assert_eq!((0..16).map(|seq| sender.push(delivered(seq, mib))).sum::<u64>(), 0);
        assert_eq!(sender.push(failed(1)), 0, "what has no bytes needs none");
        assert_eq!(sender.push(delivered(16, 3 * mib)), 3);
        assert_eq!(notices.try_recv(), Some(News::Lagged { missed: 3 }));
        assert_eq!(notices.try_recv(), Some(delivered(3, mib)));
        assert_eq!(sender.push(delivered(17, 99 * mib)), 14, "one is always kept");
        drop(notices.try_recv());
        assert_eq!(notices.try_recv(), Some(delivered(17, 99 * mib)));
        assert_eq!(sender.push(delivered(18, mib)), 0);
    }

    #[derive(Default)]
    struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_is_woken_by_news_and_by_the_end() {
        let (sender, mut notices) = notices(2);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert_eq!(notices.poll_recv(&mut cx), Poll::Pending);
        assert_eq!((sender.push(failed(0)), sender.push(failed(1))), (0, 0));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "once for each time it waits");
        assert_eq!(notices.poll_recv(&mut cx), Poll::Ready(Some(failed(0))));
        assert_eq!(notices.poll_recv(&mut cx), Poll::Ready(Some(failed(1))));
        assert_eq!(notices.poll_recv(&mut cx), Poll::Pending);
        drop(sender);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert_eq!(notices.poll_recv(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn waiting_ends_in_time_and_an_abandoned_queue_keeps_nothing() {
        let (sender, mut notices) = notices(2);
        assert_eq!(notices.try_recv(), None);
        assert_eq!(notices.recv_timeout(Duration::from_millis(1)), Err(RecvError::Timeout));
        assert!(!sender.is_abandoned());
        drop(notices);
        assert!(sender.is_abandoned());
        assert!((0..9).all(|number| sender.push(failed(number)) == 0));
    }
}
