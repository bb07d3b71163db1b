//! Writes durable slots on a thread of its own, because flushing a disk takes milliseconds. At most one content for
//! each slot waits: a newer one replaces it.
//!
//! A write that the disk refuses is retried, because the node asks for it only once and may wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use bruit_core::Slot;

use crate::state::{StateDir, StateError};

/// The pause before a refused write is retried.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Waiting {
    slots: BTreeMap<Slot, (u64, Vec<u8>)>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next content to write. Returns `None` once the queue is closed and empty.
    fn next(&self) -> Option<(Slot, u64, Vec<u8>)> {
        let idle = |waiting: &mut Waiting| waiting.slots.is_empty() && !waiting.closed;
        let mut waiting = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        waiting.slots.pop_first().map(|(slot, (serial, bytes))| (slot, serial, bytes))
    }

    /// Waits, and then queues a refused content again unless a newer one has come. Once the queue is closed there is
    /// no second try, so that a full disk cannot keep the process from ending.
    fn retry(&self, slot: Slot, serial: u64, bytes: Vec<u8>) {
        let open = |waiting: &mut Waiting| !waiting.closed;
        let waited = self.changed.wait_timeout_while(self.lock(), RETRY, open);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        if !waiting.closed {
            waiting.slots.entry(slot).or_insert((serial, bytes));
        }
    }
}

/// The sending end of the queue. Dropping it waits until the queued slots are written and the directory is released.
#[derive(Debug)]
pub(crate) struct Store {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Starts the thread. It calls `done` after each successful write of a slot, and after the first of several failed
    /// writes in a row.
    pub(crate) fn start(
        dir: StateDir,
        mut done: impl FnMut(Slot, u64, Result<(), StateError>) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let waiting = Arc::clone(&queue);
        let work = move || {
            let mut refused = BTreeSet::new();
            while let Some((slot, serial, bytes)) = waiting.next() {
                match dir.write(slot, &bytes) {
                    Ok(()) => {
                        refused.remove(&slot);
                        done(slot, serial, Ok(()));
                    }
                    Err(error) => {
                        let may_pass = matches!(error, StateError::Io { .. });
                        if refused.insert(slot) {
                            done(slot, serial, Err(error));
                        }
                        if may_pass {
                            waiting.retry(slot, serial, bytes);
                        }
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("bruit-store".to_owned()).spawn(work)?;
        Ok(Self { queue, thread: Some(thread) })
    }

    pub(crate) fn write(&self, slot: Slot, serial: u64, bytes: &[u8]) {
        self.queue.lock().slots.insert(slot, (serial, bytes.to_vec()));
        self.queue.changed.notify_one();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_one();
        let Some(thread) = self.thread.take() else { return };
        // The thread itself may drop the last handle, in its callback. It must not wait for itself.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bruit_core::NodeId;
    use std::sync::mpsc::channel;

    #[test]
    fn the_latest_content_is_durable_once_the_store_is_dropped() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir::open(dir.path(), NodeId(1)).expect("opens");
        let store = Store::start(state, |_, _, written| written.expect("written")).expect("a thread");
        for serial in 1..=100 {
            store.write(Slot::Ballot, serial, &serial.to_le_bytes());
        }
        drop(store);
        let state = StateDir::open(dir.path(), NodeId(1)).expect("the lock is released");
        assert_eq!(state.restore().expect("readable"), vec![(Slot::Ballot, 100_u64.to_le_bytes().to_vec())]);
    }

    #[test]
    fn a_write_that_the_disk_refuses_is_retried() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir::open(dir.path(), NodeId(1)).expect("opens");
        // A directory stands where the new content would be written.
        let in_the_way = dir.path().join("seen-set.new");
        std::fs::create_dir(&in_the_way).expect("made");
        let (told, tells) = channel();
        let done = move |_, serial, written: Result<(), _>| {
            told.send((serial, written.is_ok())).expect("the test listens");
        };
        let store = Store::start(state, done).expect("a thread");
        store.write(Slot::SeenSet, 1, b"one");
        assert_eq!(tells.recv(), Ok((1, false)));
        store.write(Slot::SeenSet, 2, b"two");
        std::fs::remove_dir(&in_the_way).expect("removed");
        assert_eq!(tells.recv(), Ok((2, true)), "the newer content is written, the older one dropped");
        std::fs::create_dir(&in_the_way).expect("made");
        store.write(Slot::SeenSet, 3, b"three");
        assert_eq!(tells.recv(), Ok((3, false)));
        drop(store);
        assert!(tells.recv().is_err(), "the drop does not retry");
    }
}
