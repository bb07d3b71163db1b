//! The sources of peers while the node runs: the names given to join through, and the peers file. A thread of its own
//! looks the names up, because a resolver may take many seconds; the node only ever sees addresses.
//!
//! All addresses found form one set, which is passed on whole whenever it changes.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

use bruit_core::Time;

use crate::clock::Clock;
use crate::error::Trouble;
use crate::names::{Names, Seed};
use crate::peers::PeersFile;

/// The interval at which the peers file is checked for changes.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
/// The longest sleep of the thread. After the machine was suspended, the clock is read again within this time.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// The most names that are looked up at a time.
const LOOK_UPS_MAX: usize = 16;

/// The answer of one look-up.
type Answer = io::Result<Vec<SocketAddr>>;

/// A message of the look-up thread.
#[derive(Debug)]
pub enum Feed {
    /// The complete set of peers from now on, to be given to [`Driver::set_peers`](crate::Driver::set_peers).
    Peers(Vec<SocketAddr>),
    /// The first look-up of every name, and of the peers file, has ended.
    LookedUp,
    /// A look-up failed, or the peers file is wrong.
    Trouble(Trouble),
}

/// One source of peers, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name or the address, as it was given.
    pub text: String,
    /// The addresses found for it.
    pub addrs: Vec<SocketAddr>,
}

#[derive(Debug, Default)]
struct Wanted {
    names: Vec<String>,
    changed: bool,
    /// True if every name and the peers file were looked up at least once.
    looked_up: bool,
    stop: bool,
    shown: Vec<Source>,
}

#[derive(Debug, Default)]
struct Shared {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle of the look-up thread. After it is dropped, the thread ends as soon as its present look-up returns.
#[derive(Debug)]
pub struct Sources {
    shared: Arc<Shared>,
}

impl Sources {
    /// Starts the thread, which calls `feed`.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(peers_file: Option<PathBuf>, feed: impl FnMut(Feed) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            shared: Arc::clone(&shared),
            clock: Clock::start(),
            names: Names::default(),
            file: peers_file.map(PeersFile::new),
            told: Vec::new(),
            feed,
        };
        thread::Builder::new().name("bruit-names".to_owned()).spawn(move || worker.run())?;
        Ok(Self { shared })
    }

    /// Adds names to look up. Names that are already in use change nothing.
    pub fn add_names(&self, names: impl IntoIterator<Item = String>) {
        let mut wanted = self.shared.lock();
        for name in names {
            if !wanted.names.contains(&name) {
                wanted.names.push(name);
                (wanted.changed, wanted.looked_up) = (true, false);
            }
        }
        self.shared.changed.notify_one();
    }

    /// True if the first look-up of every name, and of the peers file, has ended. [`Feed::LookedUp`] tells it, too.
    #[must_use]
    pub fn are_looked_up(&self) -> bool {
        self.shared.lock().looked_up
    }

    /// The sources in use, with their addresses.
    #[must_use]
    pub fn shown(&self) -> Vec<Source> {
        self.shared.lock().shown.clone()
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
    }
}

#[derive(Debug)]
struct Worker<F> {
    shared: Arc<Shared>,
    clock: Clock,
    names: Names,
    file: Option<PeersFile>,
    told: Vec<SocketAddr>,
    feed: F,
}

impl<F: FnMut(Feed)> Worker<F> {
    fn run(mut self) {
        while !self.shared.lock().stop {
            self.read_file();
            self.take_names();
            self.tell();
            self.look_up();
            self.tell_end();
            self.sleep();
        }
    }

    fn read_file(&mut self) {
        let troubles = self.file.as_mut().map(PeersFile::refresh).unwrap_or_default();
        troubles.into_iter().for_each(|trouble| (self.feed)(Feed::Trouble(trouble)));
    }

    fn take_names(&mut self) {
        let mut wanted = self.shared.lock();
        wanted.changed = false;
        let listed = self.file.iter().flat_map(|file| &file.peers).filter_map(|seed| match seed {
            Seed::Name(name) => Some(name.as_str()),
            Seed::Addr(_) => None,
        });
        self.names.set(wanted.names.iter().map(String::as_str).chain(listed));
    }

    /// Looks up the names that are due, several at a time, because one of them may take many seconds.
    fn look_up(&mut self) {
        for names in self.names.due(self.clock.now()).chunks(LOOK_UPS_MAX) {
            let (sender, answers) = channel();
            for name in names {
                look_up(name.clone(), sender.clone());
            }
            drop(sender);
            for (name, answer) in answers {
                let answer = answer.map_err(|error| error.to_string());
                if let Some(error) = self.names.answered(&name, answer, self.clock.now()) {
                    (self.feed)(Feed::Trouble(Trouble::Unresolved { name, error }));
                }
                self.tell();
                if self.shared.lock().stop {
                    return;
                }
            }
        }
    }

    fn tell(&mut self) {
        let shown = self.current();
        let mut addrs: Vec<_> = shown.iter().flat_map(|source| source.addrs.iter().copied()).collect();
        addrs.sort_unstable();
        addrs.dedup();
        self.shared.lock().shown = shown;
        if addrs != self.told {
            self.told.clone_from(&addrs);
            (self.feed)(Feed::Peers(addrs));
        }
    }

    /// Tells the end of the first look-up, unless there are new names already.
    fn tell_end(&mut self) {
        let mut wanted = self.shared.lock();
        let ends = !wanted.changed && !wanted.looked_up;
        wanted.looked_up |= ends;
        drop(wanted);
        if ends {
            (self.feed)(Feed::LookedUp);
        }
    }

    fn current(&self) -> Vec<Source> {
        let listed = self.file.iter().flat_map(|file| &file.peers).filter_map(|seed| match seed {
            Seed::Addr(addr) => Some(Source { text: addr.to_string(), addrs: vec![*addr] }),
            Seed::Name(_) => None,
        });
        let named =
            self.names.iter().map(|(name, addrs)| Source { text: name.to_owned(), addrs: addrs.to_vec() });
        listed.chain(named).collect()
    }

    fn sleep(&self) {
        let until = self.names.next_due().map_or(SLEEP_MAX, |due: Time| due.since(self.clock.now()));
        let file = if self.file.is_some() { FILE_INTERVAL } else { SLEEP_MAX };
        let idle = |wanted: &mut Wanted| !wanted.changed && !wanted.stop;
        drop(self.shared.changed.wait_timeout_while(
            self.shared.lock(),
            until.min(file).min(SLEEP_MAX),
            idle,
        ));
    }
}

/// Looks up a name on a thread of its own, which sends the answer.
fn look_up(name: String, answers: Sender<(String, Answer)>) {
    let (asked, sender) = (name.clone(), answers.clone());
    let ask = move || {
        let answer = asked.to_socket_addrs().map(Iterator::collect);
        drop(sender.send((asked, answer)));
    };
    if let Err(error) = thread::Builder::new().name("bruit-name".to_owned()).spawn(ask) {
        drop(answers.send((name, Err(error))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_a_file_feed_one_set() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("peers");
        std::fs::write(&path, "127.0.0.9:7000\n").expect("written");
        let (sender, fed) = channel();
        let sources =
            Sources::start(Some(path.clone()), move |feed| drop(sender.send(feed))).expect("a thread");
        let within = Duration::from_secs(10);
        assert!(matches!(fed.recv_timeout(within), Ok(Feed::Peers(peers)) if peers.len() == 1));
        assert!(matches!(fed.recv_timeout(within), Ok(Feed::LookedUp)) && sources.are_looked_up());
        sources.add_names(["127.0.0.8:7000".to_owned()]);
        assert!(matches!(fed.recv_timeout(within), Ok(Feed::Peers(peers)) if peers.len() == 2));
        assert!(matches!(fed.recv_timeout(within), Ok(Feed::LookedUp)));
        std::fs::write(&path, "127.0.0.9:7000\n127.0.0.7:7000\nnonsense\n").expect("written");
        assert!(matches!(fed.recv_timeout(within), Ok(Feed::Trouble(Trouble::PeersLine(_)))));
        assert!(matches!(fed.recv_timeout(within), Ok(Feed::Peers(peers)) if peers.len() == 3));
        assert_eq!(sources.shown().len(), 3);
        drop(sources);
        assert!(fed.recv_timeout(within).is_err(), "the thread ends");
    }
}
