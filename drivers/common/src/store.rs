//! Makes slots durable on a thread of its own: flushing a disk takes milliseconds, and the node goes on
//! meanwhile. Its memory is one content for each slot, since a newer one replaces one that still waits.
//!
//! What the disk refuses is tried again: the node may wait for it, and asks only once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use bruit_core::Slot;

use crate::state::{StateDir, StateError};

/// After the disk has refused.
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

    /// The next content to write; `None` when all is written and no more will come.
    fn next(&self) -> Option<(Slot, u64, Vec<u8>)> {
        let idle = |waiting: &mut Waiting| waiting.slots.is_empty() && !waiting.closed;
        let mut waiting = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        waiting.slots.pop_first().map(|(slot, (serial, bytes))| (slot, serial, bytes))
    }

    /// Waits, and puts a content back that the disk has refused, unless a newer one has come. At the end there is no
    /// second try, or a full disk would keep the process.
    fn retry(&self, slot: Slot, serial: u64, bytes: Vec<u8>) {
        let open = |waiting: &mut Waiting| !waiting.closed;
        let waited = self.changed.wait_timeout_while(self.lock(), RETRY, open);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        if !waiting.closed {
            waiting.slots.entry(slot).or_insert((serial, bytes));
        }
    }
}

/// The end that the node's stores go into. Dropping it writes what waits, and then releases the directory.
#[derive(Debug)]
pub(crate) struct Store {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Starts the thread; `done` is called on it for each slot that was written, and when one cannot be, once until
    /// it can.
    pub(crate) fn start(
        dir: StateDir,
        mut done: impl FnMut(Slot, u64, Result<(), StateError>) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        let work = move || {
            let mut refused = BTreeSet::new();
            while let Some((slot, serial, bytes)) = theirs.next() {
                match dir.write(slot, &bytes) {
                    Ok(()) => {
                        refused.remove(&slot);
                        done(slot, serial, Ok(()));
                    }
                    Err(error) => {
                        let passes = matches!(error, StateError::Io { .. });
                        if refused.insert(slot) {
                            done(slot, serial, Err(error));
                        }
                        if passes {
                            theirs.retry(slot, serial, bytes);
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
        // The thread's own callback may hold the last handle.
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
    fn what_the_disk_refuses_is_tried_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir::open(dir.path(), NodeId(1)).expect("opens");
        // A directory in the place of the file that is written beside it.
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
        assert_eq!(tells.recv(), Ok((2, true)), "the newer one, and no word of the older");
        std::fs::create_dir(&in_the_way).expect("made");
        store.write(Slot::SeenSet, 3, b"three");
        assert_eq!(tells.recv(), Ok((3, false)));
        drop(store);
        assert!(tells.recv().is_err(), "the end waits for no disk");
    }
}
