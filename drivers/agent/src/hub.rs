//! Copies the node's notices to several readers: the agent's own output, listeners, and callers that wait for a report.
//! Each reader has a queue of its own, so that a slow reader misses only its own notices, is told how many, and does
//! not delay the others.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bruit_driver::{NOTICES_MAX, NoticeSender, notices};
use bruit_udp::{DriverNotice, Notices};

/// The most readers at one time. It is less than the number of callers, so that others can still ask.
const READERS_MAX: usize = 24;

/// The hub that copies notices to its readers.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    readers: Mutex<Readers>,
}

#[derive(Debug, Default)]
struct Readers {
    open: Vec<Reader>,
    ended: bool,
}

/// A reader's queue, and its choice of notices.
struct Reader {
    wants: Box<dyn Fn(&DriverNotice) -> bool + Send>,
    sender: NoticeSender,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("sender", &self.sender).finish_non_exhaustive()
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reader of the notices that `wants` accepts from now on. Returns `None` if there are too many readers.
    pub(crate) fn read(&self, wants: impl Fn(&DriverNotice) -> bool + Send + 'static) -> Option<Notices> {
        let mut readers = self.lock();
        readers.open.retain(|reader| !reader.sender.is_abandoned());
        if readers.open.len() == READERS_MAX {
            return None;
        }
        let (sender, notices) = notices(NOTICES_MAX);
        if !readers.ended {
            readers.open.push(Reader { wants: Box::new(wants), sender });
        }
        Some(notices)
    }

    /// Copies a notice to the readers that want it. `Lagged` goes to every reader, because the hub itself has then
    /// missed notices of any kind.
    pub(crate) fn pass(&self, notice: &DriverNotice) {
        for reader in &self.lock().open {
            if matches!(notice, DriverNotice::Lagged { .. }) || (reader.wants)(notice) {
                reader.sender.push(notice.clone());
            }
        }
    }

    /// Ends all readers after the notices that they have not read yet.
    pub(crate) fn end(&self) {
        let mut readers = self.lock();
        readers.ended = true;
        readers.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bruit_udp::core::{NodeId, Notice};

    #[test]
    fn each_reader_gets_what_it_wants_and_all_see_the_end() {
        let hub = Hub::default();
        let joined = DriverNotice::Node(Notice::Joined { via: NodeId(1) });
        let (all, none) = (hub.read(|_| true).expect("room"), hub.read(|_| false).expect("room"));
        hub.pass(&joined);
        hub.pass(&DriverNotice::Lagged { missed: 2 });
        hub.end();
        assert_eq!(all.collect::<Vec<_>>(), [joined, DriverNotice::Lagged { missed: 2 }]);
        assert_eq!(none.collect::<Vec<_>>(), [DriverNotice::Lagged { missed: 2 }]);
        assert_eq!(hub.read(|_| true).expect("room").collect::<Vec<_>>(), [], "a late reader sees the end");
    }

    #[test]
    fn readers_are_bounded_and_make_room_when_they_go() {
        let hub = Hub::default();
        let mut readers: Vec<_> = (0..READERS_MAX).map(|_| hub.read(|_| true).expect("room")).collect();
        assert!(hub.read(|_| true).is_none());
        readers.pop();
        assert!(hub.read(|_| true).is_some());
    }
}
