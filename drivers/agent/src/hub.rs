//! Passes what the node says on to all who want to hear it: the agent's own output, listeners, whoever waits for a
//! report. Each has a queue of its own, so that a slow one misses its own news, is told so, and holds up nobody.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bruit_driver::{NOTICES_MAX, NoticeSender, notices};
use bruit_udp::{DriverNotice, Notices};

/// Readers at one time, so that some callers can always be answered.
const READERS_MAX: usize = 24;

/// Where the news are passed on.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    readers: Mutex<Readers>,
}

#[derive(Debug, Default)]
struct Readers {
    open: Vec<Reader>,
    ended: bool,
}

/// One who reads, and what of all the news.
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

    /// What is said from now on, as far as the reader wants it; `None` if too many read already.
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

    /// Passes one piece of news on. Who wants any is also told what the hub itself has missed.
    pub(crate) fn pass(&self, news: &DriverNotice) {
        for reader in &self.lock().open {
            if matches!(news, DriverNotice::Lagged { .. }) || (reader.wants)(news) {
                reader.sender.push(news.clone());
            }
        }
    }

    /// Nothing more will be said.
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
        assert_eq!(hub.read(|_| true).expect("room").collect::<Vec<_>>(), [], "who comes late sees the end");
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
