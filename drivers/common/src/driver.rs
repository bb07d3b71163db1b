//! The driver's own half of a node: it steps the node and does everything that must follow an event except sending
//! (journal, notices, durable slots).
//!
//! An implementation keeps a [`Driver`] under a mutex. Each thread that has an event locks the mutex, steps the node,
//! unlocks, and then sends the datagrams that came out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
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
use crate::notices::{DriverNotice, NOTICES_MAX, NoticeSender, Notices, notices};
use crate::state::{StateDir, StateError, next_epoch};
use crate::store::Store;
use crate::view::View;

mod start;

use start::Start;

/// Everything that a driver needs to start a node, except a socket.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The member's id, unique in the cluster.
    pub id: NodeId,
    /// The member's name, shown to people.
    pub name: String,
    /// The address that the member announces. If it is unspecified, the member learns it from the others.
    pub addr: SocketAddr,
    /// The failure zone; empty for none.
    pub zone: String,
    /// Bytes for the application, which every member sees.
    pub meta: Vec<u8>,
    /// Tags such as `role=db`, which every member sees; see [`Tags`](bruit_core::Tags) for their limits.
    pub tags: BTreeMap<String, String>,
    /// The settings that all members share.
    pub config: Config,
    /// The directory that keeps the durable slots across restarts. Without one, nothing is kept.
    pub state_dir: Option<PathBuf>,
    /// The journal of every event. Without it, no event is recorded.
    pub journal: Option<JournalSettings>,
    /// The largest number of notices that wait for a slow reader.
    pub notices_max: usize,
}

impl Settings {
    /// Settings for a node of this name. The id is made from the name; every optional part is off.
    #[must_use]
    pub fn new(name: impl Into<String>, addr: SocketAddr, config: Config) -> Self {
        let name = name.into();
        Self {
            id: NodeId::from_name(&name),
            name,
            addr,
            zone: String::new(),
            meta: Vec::new(),
            tags: BTreeMap::new(),
            config,
            state_dir: None,
            journal: None,
            notices_max: NOTICES_MAX,
        }
    }

    /// Opens the state directory, picks the epoch of this boot, makes that epoch durable, and creates the node.
    ///
    /// # Errors
    /// A setting is out of its range, a directory cannot be used, or the operating system gave no randomness.
    pub fn start(self) -> Result<Started, StartError> {
        self.config.validate()?;
        // Without a directory no write would ever be confirmed, and deliveries that wait for one would never come.
        if self.state_dir.is_none() && self.config.broadcast.persist_seen != PersistSeen::Never {
            return Err(StartError::NoStateDir);
        }
        let state = self.state_dir.map(|path| StateDir::open(path, self.id)).transpose()?;
        let restored = state.as_ref().map(StateDir::restore).transpose()?.unwrap_or_default();
        let calendar = calendar_nanos();
        let epoch = next_epoch(&restored, calendar).ok_or(StartError::EpochEnd(calendar))?;
        let mut boot = Boot::new(self.id, self.name, self.addr, epoch, entropy::seed()?);
        (boot.zone, boot.meta, boot.tags, boot.restored) = (self.zone, self.meta, self.tags, restored);
        let clock = Clock::start();
        let now = clock.now();
        let node = Node::new(boot.clone(), self.config, now)?;
        // An epoch is used for one boot only, so it is durable before any other member hears of it (rule A1).
        if let Some(state) = &state {
            state.write(Slot::Epoch, &node.incarnation().epoch.to_le_bytes())?;
        }
        let journal = self.journal.map(|settings| Journal::create(settings, boot, &node, now)).transpose()?;
        let (sender, notices) = notices(self.notices_max);
        Ok(Started { driver: Driver::new(node, clock, journal, sender), notices, state })
    }
}

/// The parts of a node that is ready for its first event.
#[derive(Debug)]
pub struct Started {
    /// The node with its driver.
    pub driver: Driver,
    /// The application's end of the notices.
    pub notices: Notices,
    /// The open state directory, to be passed to [`Driver::keep_slots_in`].
    pub state: Option<StateDir>,
}

/// The end of a ping: its round trip, or `None` if no try was answered.
type PingEnd = Option<Duration>;

/// A node together with everything that surrounds its events, except sending.
#[derive(Debug)]
pub struct Driver {
    node: Node,
    clock: Clock,
    journal: Option<Journal>,
    sender: Option<NoticeSender>,
    store: Option<Store>,
    start: Start,
    departed: Option<bool>,
    pings: BTreeMap<PingId, Option<PingEnd>>,
    notices_sent: u64,
    notices_missed: u64,
    /// The number of changes of members so far.
    view_version: u64,
    /// The view that was asked for last.
    view: Option<Arc<View>>,
    /// The time until which the driver's loop sleeps, unless it is woken.
    asleep_until: Time,
    /// True while the node runs. A panic in there leaves it half-way, and it must not be stepped again.
    stepping: bool,
}

impl Driver {
    fn new(node: Node, clock: Clock, journal: Option<Journal>, sender: NoticeSender) -> Self {
        Self {
            node,
            clock,
            journal,
            sender: Some(sender),
            store: None,
            start: Start::default(),
            departed: None,
            pings: BTreeMap::new(),
            notices_sent: 0,
            notices_missed: 0,
            view_version: 0,
            view: None,
            asleep_until: Time::MAX,
            stepping: false,
        }
    }

    /// Starts the thread that writes durable slots to `state`. After each write it calls `done`, which must step the
    /// node with [`Event::Stored`], or report [`Trouble::Store`].
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn keep_slots_in(
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

    /// Gives the node one event, and does everything that follows except sending: the datagrams are appended to
    /// `out`. Returns the answer if the event was a command.
    ///
    /// While peers are [looked for](Self::look_for_peers), a join is held, with the commands that follow it.
    ///
    /// After [`stop`](Self::stop) nothing happens, and a command is refused.
    pub fn step(&mut self, event: Event<'_>, out: &mut Outbox) -> Option<Result<Answer, Rejected>> {
        if self.is_stopped() {
            return matches!(event, Event::Command(_)).then_some(Err(Rejected::Stopped));
        }
        match event {
            Event::Command(command) => return Some(self.command(command, out)),
            Event::Tick if self.start.due().is_some_and(|due| due <= self.clock.now()) => self.release(out),
            Event::Tick | Event::Datagram { .. } | Event::Stored { .. } | Event::Seed(_) => {}
        }
        self.give(event, out)
    }

    fn give_command(&mut self, command: Command, out: &mut Outbox) -> Result<Answer, Rejected> {
        self.give(Event::Command(command), out).expect("the node answers a command in its call")
    }

    /// Gives the node one event, as it is.
    fn give(&mut self, event: Event<'_>, out: &mut Outbox) -> Option<Result<Answer, Rejected>> {
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
            self.report_trouble(Trouble::Journal { error: error.to_string() });
        }
    }

    fn perform(&mut self, out: &mut Outbox, before: usize) -> Option<Result<Answer, Rejected>> {
        let (mut answered, mut reseed) = (None, false);
        for action in out.iter().skip(before) {
            match action {
                Action::Send { .. } | Action::WakeAt(_) => {}
                Action::Reseed => reseed = true,
                Action::Answer(answer) => answered = Some(answer),
                Action::Notify(notice) => self.notify(notice.into_owned()),
                Action::Store { slot, serial, bytes } => {
                    if let Some(store) = &self.store {
                        store.write(slot, serial, &bytes);
                    }
                }
            }
        }
        if reseed {
            self.reseed(out);
        }
        answered
    }

    /// Gives the node a new seed, which it has asked for because a copy of it runs.
    fn reseed(&mut self, out: &mut Outbox) {
        match entropy::seed() {
            Ok(seed) => drop(self.step(Event::Seed(seed), out)),
            Err(error) => self.report_trouble(Trouble::Seed { error: error.to_string() }),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only these end something that a caller waits for")]
    fn notify(&mut self, notice: Notice<'static>) {
        match &notice {
            Notice::Departed { acknowledged, .. } => self.departed = Some(*acknowledged),
            Notice::Member { .. } => self.view_version += 1,
            Notice::Pong { ping, round_trip, .. } => self.end_ping(*ping, Some(*round_trip)),
            Notice::PingFailed { ping, .. } => self.end_ping(*ping, None),
            _ => {}
        }
        self.push(DriverNotice::Node(notice));
    }

    fn end_ping(&mut self, ping: PingId, end: PingEnd) {
        if let Some(waiting) = self.pings.get_mut(&ping) {
            *waiting = Some(end);
        }
    }

    /// Tells the application that something around the node does not work.
    pub fn report_trouble(&mut self, trouble: Trouble) {
        self.push(DriverNotice::Trouble(trouble));
    }

    fn push(&mut self, notice: DriverNotice) {
        self.notices_sent += 1;
        self.notices_missed += self.sender.as_ref().map_or(0, |sender| sender.push(notice));
    }

    /// The version of the present view: the number of changes of members so far.
    #[must_use]
    pub const fn view_version(&self) -> u64 {
        self.view_version
    }

    /// The present view. It is built once for each version, when somebody asks for it.
    pub fn view(&mut self) -> Arc<View> {
        let present = self.view.as_ref().filter(|view| view.version() == self.view_version);
        let view = present.map_or_else(|| Arc::new(View::of(&self.node, self.view_version)), Arc::clone);
        self.view = Some(Arc::clone(&view));
        view
    }

    /// The present view, unless its version is the one that was `seen`.
    pub fn view_after(&mut self, seen: Option<u64>) -> Option<Arc<View>> {
        (seen != Some(self.view_version)).then(|| self.view())
    }

    /// The number of notices sent so far. It has risen whenever a caller has something new to wait for.
    #[must_use]
    pub const fn notices_sent(&self) -> u64 {
        self.notices_sent
    }

    /// The number of notices that were dropped because they were not read in time.
    #[must_use]
    pub const fn notices_missed(&self) -> u64 {
        self.notices_missed
    }

    /// The time of the next tick; `None` while nothing is due, and after the stop.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        let dues = [self.node.next_wake(), self.start.due()].into_iter().flatten();
        dues.min().filter(|_| !self.is_stopped())
    }

    /// Returns [`next_wake`](Self::next_wake) and remembers that the driver's loop sleeps until then.
    pub fn fall_asleep(&mut self) -> Option<Time> {
        let wake = self.next_wake();
        self.asleep_until = wake.unwrap_or(Time::MAX);
        wake
    }

    /// True if the loop sleeps beyond the node's next tick, so that it must be woken.
    #[must_use]
    pub fn must_wake_loop(&self) -> bool {
        self.next_wake().is_some_and(|wake| wake < self.asleep_until)
    }

    /// The result of the last leave once it has ended: true if enough members acknowledged it.
    #[must_use]
    pub const fn departed(&self) -> Option<bool> {
        self.departed
    }

    /// Remembers the end of this ping once it is known, until [`take_ping`](Self::take_ping) forgets it.
    pub fn await_ping(&mut self, ping: PingId) {
        self.pings.insert(ping, None);
    }

    /// The end of the ping: `None` while it runs, `Some(None)` if no try was answered, else the round trip.
    #[must_use]
    pub fn ping_end(&self, ping: PingId) -> Option<PingEnd> {
        self.pings.get(&ping).copied().flatten()
    }

    /// Forgets the ping, and returns its end as [`ping_end`](Self::ping_end) does.
    pub fn take_ping(&mut self, ping: PingId) -> Option<PingEnd> {
        self.pings.remove(&ping).flatten()
    }

    /// True if the node takes no more events: it was stopped, or a panic left it half-way.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.sender.is_none() || self.stepping
    }

    /// Makes the node take no more events; the reader of the notices sees their end. **Drop the returned value
    /// without the mutex held**: dropping it waits for the last writes to the disk, and their confirmation needs the
    /// mutex.
    pub fn stop(&mut self) -> LastWrites {
        self.sender = None;
        self.journal = None;
        LastWrites { _store: self.store.take() }
    }
}

/// The durable slots that a stopped node still has to write. Dropping it waits for the disk.
#[must_use = "drop it once the mutex is free"]
pub struct LastWrites {
    _store: Option<Store>,
}

impl fmt::Debug for LastWrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastWrites")
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
            epochs.push(started.driver.node().incarnation().epoch);
            let state = started.state.expect("open");
            let restored = state.restore().expect("readable");
            assert_eq!(next_epoch(&restored, 0), epochs.last().map(|epoch| epoch + 1));
        }
        assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
    }

    #[test]
    fn a_stopped_node_refuses_commands_and_its_reader_sees_the_end() {
        let Started { mut driver, mut notices, .. } = settings().start().expect("starts");
        let mut out = Outbox::new();
        drop(driver.stop());
        let answer = driver.step(Event::Command(Command::Join { seeds: vec![] }), &mut out);
        assert_eq!(answer, Some(Err(Rejected::Stopped)));
        assert_eq!(driver.step(Event::Tick, &mut out), None);
        assert!(out.is_empty());
        assert_eq!(notices.recv(), None);
    }

    #[test]
    fn keeping_the_seen_set_needs_a_state_directory() {
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
