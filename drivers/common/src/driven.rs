//! A node and all that must happen around each of its events, except sending: journal, notices, durable slots.
//! A driver keeps it under a mutex; whoever holds the mutex steps the node and then sends what came out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use bruit_core::{
    Action, Answer, Boot, Command, Config, Event, Node, NodeId, Notice, Outbox, Phase, PingId, Rejected,
    Slot, Time, broadcast::PersistSeen,
};

use crate::clock::{Clock, calendar_nanos};
use crate::entropy;
use crate::error::{StartError, Trouble};
use crate::journal::{Journal, JournalSettings};
use crate::notices::{NOTICES_MAX, News, NoticeSender, Notices, notices};
use crate::state::{StateDir, StateError, next_epoch};
use crate::store::Store;

/// What a driver needs to start a node, beside a socket.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who.
    pub id: NodeId,
    /// A name for people.
    pub name: String,
    /// The address to announce; unspecified to learn it.
    pub addr: SocketAddr,
    /// The failure zone; empty for none.
    pub zone: String,
    /// Opaque bytes for the application.
    pub meta: Vec<u8>,
    /// What the cluster shares.
    pub config: Config,
    /// Where memory is kept across restarts, if it is.
    pub state_dir: Option<PathBuf>,
    /// Where every event is written, if it is.
    pub journal: Option<JournalSettings>,
    /// News that wait for a slow reader at most.
    pub notices_max: usize,
}

impl Settings {
    /// A node of this name, with the id made from it, and nothing else.
    #[must_use]
    pub fn new(name: impl Into<String>, addr: SocketAddr, config: Config) -> Self {
        let name = name.into();
        Self {
            id: NodeId::from_name(&name),
            name,
            addr,
            zone: String::new(),
            meta: Vec::new(),
            config,
            state_dir: None,
            journal: None,
            notices_max: NOTICES_MAX,
        }
    }

    /// Opens the state directory, picks the epoch, makes it durable, and makes the node.
    ///
    /// # Errors
    /// Settings out of range, a directory that cannot be used, or no randomness.
    pub fn start(self) -> Result<Started, StartError> {
        self.config.validate()?;
        // Without a directory nothing would ever be confirmed, and what waits for that never be delivered.
        if self.state_dir.is_none() && self.config.broadcast.persist_seen != PersistSeen::Never {
            return Err(StartError::NoStateDir);
        }
        let state = self.state_dir.map(|path| StateDir::open(path, self.id)).transpose()?;
        let restored = state.as_ref().map(StateDir::restore).transpose()?.unwrap_or_default();
        let calendar = calendar_nanos();
        let epoch = next_epoch(&restored, calendar).ok_or(StartError::EpochEnd(calendar))?;
        let (zone, meta, seed) = (self.zone, self.meta, entropy::seed()?);
        let boot = Boot { id: self.id, name: self.name, addr: self.addr, zone, meta, epoch, seed, restored };
        let clock = Clock::start();
        let now = clock.now();
        let node = Node::new(boot.clone(), self.config, now)?;
        // An epoch is used for one boot only, so it is durable before anybody hears of it (rule A1).
        if let Some(state) = &state {
            state.write(Slot::Epoch, &node.incarnation().epoch.to_le_bytes())?;
        }
        let journal = self.journal.map(|settings| Journal::create(settings, boot, &node, now)).transpose()?;
        let (sender, notices) = notices(self.notices_max);
        Ok(Started { driven: Driven::new(node, clock, journal, sender), notices, state })
    }
}

/// A node that is ready for its first event.
#[derive(Debug)]
pub struct Started {
    /// The node.
    pub driven: Driven,
    /// What it will tell.
    pub notices: Notices,
    /// The open state directory, for [`Driven::keep`].
    pub state: Option<StateDir>,
}

/// How a ping went, once it is known.
type PingEnd = Option<Duration>;

/// The node, and what happens around its events.
#[derive(Debug)]
pub struct Driven {
    node: Node,
    clock: Clock,
    journal: Option<Journal>,
    sender: Option<NoticeSender>,
    store: Option<Store>,
    departed: Option<bool>,
    pings: BTreeMap<PingId, Option<PingEnd>>,
    told: u64,
    notices_missed: u64,
    // Set while the node runs: a panic in there leaves it half-way, and it must not be stepped again.
    stepping: bool,
}

impl Driven {
    fn new(node: Node, clock: Clock, journal: Option<Journal>, sender: NoticeSender) -> Self {
        Self {
            node,
            clock,
            journal,
            sender: Some(sender),
            store: None,
            departed: None,
            pings: BTreeMap::new(),
            told: 0,
            notices_missed: 0,
            stepping: false,
        }
    }

    /// Keeps durable slots in `state` from now on. `done` is called on another thread after each write: it
    /// steps the node with [`Event::Stored`], or tells [`Trouble::Store`].
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn keep(
        &mut self,
        state: StateDir,
        done: impl FnMut(Slot, u64, Result<(), StateError>) + Send + 'static,
    ) -> io::Result<()> {
        self.store = Some(Store::start(state, done)?);
        Ok(())
    }

    /// The node, for reading.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The node's clock.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Gives the node one event, and does all that follows except sending: the datagrams are left in `out`,
    /// after whatever was there. The answer is there if the event was a command.
    ///
    /// After [`stop`](Self::stop) nothing happens, and a command is refused.
    pub fn step(&mut self, event: Event<'_>, out: &mut Outbox) -> Option<Result<Answer, Rejected>> {
        if self.is_stopped() {
            return matches!(event, Event::Command(_)).then_some(Err(Rejected::Stopped));
        }
        let now = self.clock.now();
        let before = out.len();
        if let Some(journal) = &mut self.journal {
            journal.begin(&event, now);
        }
        if matches!(event, Event::Command(Command::Leave { .. })) && self.node.phase() == Phase::Running {
            self.departed = None;
        }
        self.stepping = true;
        self.node.handle_into(event, now, out);
        self.stepping = false;
        self.write_journal(out, before);
        self.perform(out, before)
    }

    fn write_journal(&mut self, out: &Outbox, before: usize) {
        let Some(journal) = &mut self.journal else { return };
        if let Err(error) = journal.finish(out.iter().skip(before), &self.node) {
            self.journal = None;
            self.trouble(Trouble::Journal { error: error.to_string() });
        }
    }

    fn perform(&mut self, out: &Outbox, before: usize) -> Option<Result<Answer, Rejected>> {
        let mut answered = None;
        for action in out.iter().skip(before) {
            match action {
                Action::Send { .. } | Action::WakeAt(_) => {}
                Action::Answer(answer) => answered = Some(answer),
                Action::Notify(notice) => self.tell(notice.into_owned()),
                Action::Store { slot, serial, bytes } => {
                    if let Some(store) = &self.store {
                        store.write(slot, serial, &bytes);
                    }
                }
            }
        }
        answered
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only these end something that a caller waits for")]
    fn tell(&mut self, notice: Notice<'static>) {
        match &notice {
            Notice::Departed { acknowledged } => self.departed = Some(*acknowledged),
            Notice::Pong { ping, round_trip, .. } => self.end_ping(*ping, Some(*round_trip)),
            Notice::PingFailed { ping, .. } => self.end_ping(*ping, None),
            _ => {}
        }
        self.push(News::Notice(notice));
    }

    fn end_ping(&mut self, ping: PingId, end: PingEnd) {
        if let Some(waiting) = self.pings.get_mut(&ping) {
            *waiting = Some(end);
        }
    }

    /// Tells the application that something around the node does not work.
    pub fn trouble(&mut self, trouble: Trouble) {
        self.push(News::Trouble(trouble));
    }

    fn push(&mut self, news: News) {
        self.told += 1;
        self.notices_missed += self.sender.as_ref().map_or(0, |sender| sender.push(news));
    }

    /// News so far: it has risen when there is something new to wait for.
    #[must_use]
    pub const fn told(&self) -> u64 {
        self.told
    }

    /// News that no reader took in time.
    #[must_use]
    pub const fn notices_missed(&self) -> u64 {
        self.notices_missed
    }

    /// When the node wants its next tick; `None` while nothing is due, and after the stop.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        if self.is_stopped() { None } else { self.node.next_wake() }
    }

    /// How the last leave ended, once it has: whether enough members acknowledged it.
    #[must_use]
    pub const fn departed(&self) -> Option<bool> {
        self.departed
    }

    /// Remembers how this ping will end, for [`take_ping`](Self::take_ping).
    pub fn await_ping(&mut self, ping: PingId) {
        self.pings.insert(ping, None);
    }

    /// How the ping ended: not yet, unanswered (`Some(None)`), or after which time.
    #[must_use]
    pub fn ping_end(&self, ping: PingId) -> Option<PingEnd> {
        self.pings.get(&ping).copied().flatten()
    }

    /// Forgets the ping; what is known of its end comes back.
    pub fn take_ping(&mut self, ping: PingId) -> Option<PingEnd> {
        self.pings.remove(&ping).flatten()
    }

    /// Whether it takes no more events.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.sender.is_none() || self.stepping
    }

    /// Takes no more events; the reader of the notices sees their end. **Drop what comes back without the mutex
    /// held**: it waits until durable slots are written, and their confirmation wants the mutex.
    pub fn stop(&mut self) -> Stopped {
        self.sender = None;
        self.journal = None;
        Stopped { _store: self.store.take() }
    }
}

/// What is left of a stopped node. Dropping it waits for the disk.
#[must_use = "it is dropped once the mutex is free"]
pub struct Stopped {
    _store: Option<Store>,
}

impl fmt::Debug for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("one", "127.0.0.1:7000".parse().expect("an address"), Config::local("test"))
    }

    #[test]
    fn the_epoch_rises_with_each_start_and_is_durable_before_the_first_event() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut epochs = Vec::new();
        for _ in 0..3 {
            let started =
                Settings { state_dir: Some(dir.path().to_owned()), ..settings() }.start().expect("starts");
            epochs.push(started.driven.node().incarnation().epoch);
            let state = started.state.expect("open");
            let restored = state.restore().expect("readable");
            assert_eq!(next_epoch(&restored, 0), epochs.last().map(|epoch| epoch + 1));
        }
        assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
    }

    #[test]
    fn a_stopped_node_refuses_commands_and_its_reader_sees_the_end() {
        let Started { mut driven, mut notices, .. } = settings().start().expect("starts");
        let mut out = Outbox::new();
        drop(driven.stop());
        let answer = driven.step(Event::Command(Command::Join { seeds: vec![] }), &mut out);
        assert_eq!(answer, Some(Err(Rejected::Stopped)));
        assert_eq!(driven.step(Event::Tick, &mut out), None);
        assert!(out.is_empty());
        assert_eq!(notices.recv(), None);
    }

    #[test]
    fn what_shall_be_kept_needs_a_place() {
        let dir = tempfile::tempdir().expect("a directory");
        for persist in [PersistSeen::Every(Duration::from_secs(1)), PersistSeen::BeforeDelivery] {
            let mut keeping = settings();
            keeping.config.broadcast.persist_seen = persist;
            assert!(matches!(keeping.clone().start(), Err(StartError::NoStateDir)));
            keeping.state_dir = Some(dir.path().to_owned());
            keeping.start().expect("starts");
        }
    }

    #[test]
    fn a_setting_out_of_range_is_refused_before_anything_is_touched() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state");
        let mut wrong = Settings { state_dir: Some(path.clone()), ..settings() };
        wrong.config.mtu = 9;
        let error = wrong.start().expect_err("refused").to_string();
        assert!(error.contains("mtu is 9") && error.contains("1200"), "{error}");
        assert!(!path.exists());
    }
}
