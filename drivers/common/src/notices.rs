//! The queue of notices between a node and the application. A reader that is slow, or reads nothing, costs the node a
//! bounded queue and never a wait: the oldest notices are dropped first, and the reader is told how many it missed.
//!
//! A reader that missed notices catches up by reading the members again, and broadcasts by
//! [`Node::recent`](bruit_core::Node::recent).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bruit_core::Notice;

use crate::error::Trouble;

/// The default of the largest number of notices that wait for the reader.
pub const NOTICES_MAX: usize = 4_096;
/// The most bytes of delivered broadcasts that wait for the reader, unless a single broadcast is longer.
pub const NOTICES_BYTES_MAX: usize = 16 << 20;

/// One notice of a driver to the application: the node sent it, or something happened around the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverNotice {
    /// The node sent this notice.
    Node(Notice<'static>),
    /// A part of the driver around the node, such as the disk or a look-up, does not work at the moment.
    Trouble(Trouble),
    /// Earlier notices were dropped because they were not read in time.
    Lagged {
        /// The number of dropped notices.
        missed: u64,
    },
}

impl DriverNotice {
    /// The length of a delivered broadcast, which other members decide; 0 for every other notice.
    fn bytes(&self) -> usize {
        match self {
            Self::Node(Notice::Delivered { topic, payload, .. }) => topic.len() + payload.len(),
            Self::Node(_) | Self::Trouble(_) | Self::Lagged { .. } => 0,
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<DriverNotice>,
    bytes: usize,
    missed: u64,
    ended: bool,
    abandoned: bool,
    /// Wakes the reading task, if the reader is asynchronous and waits.
    waker: Option<Waker>,
}

impl Queue {
    fn pop(&mut self) -> Option<DriverNotice> {
        match std::mem::take(&mut self.missed) {
            0 => self.pop_front(),
            missed => Some(DriverNotice::Lagged { missed }),
        }
    }

    fn pop_front(&mut self) -> Option<DriverNotice> {
        let notice = self.waiting.pop_front()?;
        self.bytes -= notice.bytes();
        Some(notice)
    }

    /// True if there is no room for one more notice with this many bytes.
    fn is_full(&self, max: usize, bytes: usize) -> bool {
        self.waiting.len() >= max || (!self.waiting.is_empty() && self.bytes + bytes > NOTICES_BYTES_MAX)
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

/// The sending end of the queue. After it is dropped, the reader reads what still waits and then sees the end.
#[derive(Debug)]
pub struct NoticeSender {
    shared: Arc<Shared>,
}

/// The application's end of the queue. It can be read blocking, with a timeout, without waiting, as an iterator, or
/// by a task that polls it.
///
/// It ends when the node has stopped. Keeping it does not keep the node running.
#[derive(Debug)]
pub struct Notices {
    shared: Arc<Shared>,
}

/// The reason why [`Notices::recv_timeout`] returned no notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// No notice arrived in time.
    Timeout,
    /// The node has stopped, and every notice was read.
    Ended,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no notice arrived in time",
            Self::Ended => "the node has stopped",
        })
    }
}

impl std::error::Error for RecvError {}

/// Creates a queue of at most `max` notices; `max` counts as 1 if it is 0. [`Settings::start`](crate::Settings::start)
/// creates the queue of a node. A program that passes notices on to several readers creates one more for each.
#[must_use]
pub fn notices(max: usize) -> (NoticeSender, Notices) {
    let shared = Arc::new(Shared { queue: Mutex::default(), arrived: Condvar::new(), max: max.max(1) });
    (NoticeSender { shared: Arc::clone(&shared) }, Notices { shared })
}

impl NoticeSender {
    /// Adds a notice, and returns how many older ones were dropped for it.
    pub fn push(&self, notice: DriverNotice) -> u64 {
        let mut queue = self.shared.lock();
        if queue.abandoned {
            return 0;
        }
        let bytes = notice.bytes();
        let mut dropped = 0;
        while queue.is_full(self.shared.max, bytes) && queue.pop_front().is_some() {
            dropped += 1;
        }
        queue.missed += dropped;
        queue.bytes += bytes;
        queue.waiting.push_back(notice);
        let waker = queue.waker.take();
        drop(queue);
        self.shared.arrived.notify_one();
        waker.into_iter().for_each(Waker::wake);
        dropped
    }

    /// True if the reader was dropped, so that nothing more will be read.
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
    /// Waits for the next notice; `None` once the node has stopped and every notice was read.
    pub fn recv(&mut self) -> Option<DriverNotice> {
        let mut queue = self.shared.lock();
        loop {
            if let Some(notice) = queue.pop() {
                return Some(notice);
            }
            if queue.ended {
                return None;
            }
            queue = self.shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the next notice for at most `timeout`.
    ///
    /// # Errors
    /// No notice arrived in time, or the node has stopped and every notice was read.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<DriverNotice, RecvError> {
        let started = Instant::now();
        let mut queue = self.shared.lock();
        loop {
            if let Some(notice) = queue.pop() {
                return Ok(notice);
            }
            if queue.ended {
                return Err(RecvError::Ended);
            }
            let left = timeout.checked_sub(started.elapsed()).ok_or(RecvError::Timeout)?;
            let waited = self.shared.arrived.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Polls for the next notice. The task is woken when there is one. `Ready(None)` means that the node has stopped
    /// and every notice was read.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<DriverNotice>> {
        let mut queue = self.shared.lock();
        if let Some(notice) = queue.pop() {
            return Poll::Ready(Some(notice));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Returns the next notice if one waits already.
    pub fn try_recv(&mut self) -> Option<DriverNotice> {
        self.shared.lock().pop()
    }
}

impl Iterator for Notices {
    type Item = DriverNotice;

    /// Waits for the next notice as [`recv`](Self::recv) does.
    fn next(&mut self) -> Option<DriverNotice> {
        self.recv()
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.abandoned = true;
        queue.waiting = VecDeque::new();
        queue.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Wake;

    fn failed(number: u64) -> DriverNotice {
        DriverNotice::Node(Notice::PingFailed { ping: bruit_core::PingId(number), id: bruit_core::NodeId(1) })
    }

    #[test]
    fn a_slow_reader_is_told_how_many_it_missed_and_reads_the_newest() {
        let (sender, mut notices) = notices(2);
        let full: Vec<_> = (0..5).map(|number| sender.push(failed(number))).collect();
        assert_eq!(full, [0, 0, 1, 1, 1]);
        drop(sender);
        let read: Vec<_> = notices.by_ref().collect();
        assert_eq!(read, vec![DriverNotice::Lagged { missed: 3 }, failed(3), failed(4)]);
        assert_eq!(notices.recv_timeout(Duration::ZERO), Err(RecvError::Ended));
    }

    #[test]
    fn broadcasts_that_nobody_reads_are_bounded_in_bytes() {
        let (sender, mut notices) = notices(NOTICES_MAX);
        let delivered = |seq, len| {
            let id = bruit_core::MessageId { origin: bruit_core::NodeId(1), epoch: 1, seq };
            DriverNotice::Node(Notice::Delivered {
                id,
                topic: "".into(),
                payload: vec![0; len].into(),
                hops: 0,
            })
        };
        let mib = 1 << 20;
        assert_eq!((0..16).map(|seq| sender.push(delivered(seq, mib))).sum::<u64>(), 0);
        assert_eq!(sender.push(failed(1)), 0, "a notice without a payload takes no bytes");
        assert_eq!(sender.push(delivered(16, 3 * mib)), 3);
        assert_eq!(notices.try_recv(), Some(DriverNotice::Lagged { missed: 3 }));
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
    fn a_task_is_woken_by_a_notice_and_by_the_end() {
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
