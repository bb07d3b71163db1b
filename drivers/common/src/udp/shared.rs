//! The state that all handles of a node and the driver's loop share: the [`Driver`] under its mutex, the sending
//! socket, and the means to wake the loop and the callers that wait.
//!
//! Each thread that has an event steps the node with the mutex held, and sends with the mutex free, so that a slow
//! kernel never keeps another thread from the node.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use bruit_core::wire::Kind;
use bruit_core::{Action, Answer, Command, Event, Node, NodeId, Outbox, PingId, Rejected, Slot};

use crate::clock::Clock;
use crate::driver::{Driver, LastWrites};
use crate::error::{JoinError, Trouble};
use crate::names::Seed;
use crate::sources::{Feed, Source, Sources};
use crate::state::StateError;
use crate::udp::socket::NodeSocket;
use crate::udp::stats::DriverStats;
use crate::udp::trace::{Direction, Traced, Tracer};

/// The way in which a driver wakes its loop, and callers that wait for the node. Neither method may block.
pub trait WakeUp: fmt::Debug + Send + Sync + 'static {
    /// Ends the present sleep of the driver's loop, or the next one if it is awake.
    fn wake_loop(&self);

    /// Called with the mutex held after anything happened that a caller may wait for.
    fn wake_callers(&self, driver: &Driver);
}

/// The state that the handles and the loop share.
#[derive(Debug)]
pub struct Shared<W> {
    driver: Mutex<Driver>,
    /// The thread in a call of [`read`](Self::read).
    reader: Mutex<Option<ThreadId>>,
    socket: NodeSocket,
    wake_up: W,
    clock: Clock,
    /// The thread that looks up names and reads the peers file, once there is something to look up.
    sources: Mutex<Option<Sources>>,
    stop: AtomicBool,
    send_errors: AtomicU64,
    receive_errors: AtomicU64,
    tracer: RwLock<Option<Arc<Tracer>>>,
    /// True while there is a tracer, so that sending without one takes no lock.
    tracing: AtomicBool,
}

/// Locks a mutex. No holder leaves the value half-changed when it panics, so a poisoned mutex is as good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: WakeUp> Shared<W> {
    pub(crate) fn new(driver: Driver, socket: NodeSocket, wake_up: W) -> Self {
        let clock = driver.clock();
        Self {
            driver: Mutex::new(driver),
            reader: Mutex::new(None),
            socket,
            wake_up,
            clock,
            sources: Mutex::new(None),
            stop: AtomicBool::new(false),
            send_errors: AtomicU64::new(0),
            receive_errors: AtomicU64::new(0),
            tracer: RwLock::new(None),
            tracing: AtomicBool::new(false),
        }
    }

    /// Locks the driver. The node waits as long as the guard lives.
    ///
    /// # Panics
    /// This thread is in a call of [`read`](Self::read), and would wait for itself.
    pub fn lock(&self) -> MutexGuard<'_, Driver> {
        match self.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let is_reader = *lock(&self.reader) == Some(thread::current().id());
                assert!(
                    !is_reader,
                    "a function that is given to `read` calls a method of the same handle, which would wait for ever; use \
                     the node that it is given"
                );
                lock(&self.driver)
            }
        }
    }

    /// The driver's own means to wake its loop and its callers.
    pub const fn wake_up(&self) -> &W {
        &self.wake_up
    }

    /// The address that the socket is bound to.
    pub const fn local_addr(&self) -> SocketAddr {
        self.socket.local()
    }

    /// The clock that the node is driven by.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Calls `read` with the node. The node waits meanwhile.
    ///
    /// # Panics
    /// `read` locks the driver, or panics itself.
    pub fn read<R>(&self, read: impl FnOnce(&Node) -> R) -> R {
        /// Ends the call of a reader, also if it panics. It is dropped before the driver is free for the next one.
        struct Reader<'a>(&'a Mutex<Option<ThreadId>>);
        impl Drop for Reader<'_> {
            fn drop(&mut self) {
                *lock(self.0) = None;
            }
        }
        let driver = self.lock();
        *lock(&self.reader) = Some(thread::current().id());
        let _reader = Reader(&self.reader);
        read(driver.node())
    }

    /// Gives the node a command and sends the datagrams that come out.
    ///
    /// # Errors
    /// The node refuses the command, or has stopped.
    pub fn command(&self, command: Command) -> Result<Answer, Rejected> {
        self.command_then(command, |_, _| {})
    }

    /// Gives the node a command. `then` runs on the answer before another thread can step the node.
    fn command_then(
        &self,
        command: Command,
        then: impl FnOnce(&mut Driver, &Answer),
    ) -> Result<Answer, Rejected> {
        self.change(|driver, out| {
            let answer = self.command_locked(driver, command, out)?;
            then(driver, &answer);
            Ok(answer)
        })
    }

    /// Starts a ping. The caller waits for [`Driver::ping_end`] and then forgets it by [`Driver::take_ping`].
    ///
    /// # Errors
    /// The node refuses the ping, or has stopped.
    pub fn start_ping(&self, id: NodeId, addr: SocketAddr) -> Result<PingId, Rejected> {
        let answer = self.command_then(Command::Ping { id, addr }, |driver, answer| {
            if let Answer::Pinging(ping) = answer {
                driver.await_ping(*ping);
            }
        })?;
        let Answer::Pinging(ping) = answer else { unreachable!("a ping is answered with its id") };
        Ok(ping)
    }

    /// Gives the node one event and sends what comes out. Only the loop may call it: the loop looks at its next
    /// deadline itself, and so is not woken.
    pub(crate) fn step(&self, event: Event<'_>, out: &mut Outbox) {
        self.step_locked(&mut self.lock(), event, out);
        self.send_all(out);
    }

    /// Changes the driver and sends what comes out. It is for every other thread than the loop's, so it wakes the loop
    /// if that would now sleep too long.
    fn change<R>(&self, change: impl FnOnce(&mut Driver, &mut Outbox) -> R) -> R {
        let mut out = Outbox::new();
        let mut driver = self.lock();
        let result = change(&mut driver, &mut out);
        let must_wake = driver.must_wake_loop();
        drop(driver);
        self.send_all(&mut out);
        if must_wake {
            self.wake_up.wake_loop();
        }
        result
    }

    fn step_locked(
        &self,
        driver: &mut Driver,
        event: Event<'_>,
        out: &mut Outbox,
    ) -> Option<Result<Answer, Rejected>> {
        let before = (driver.notices_sent(), driver.node().phase());
        let answer = driver.step(event, out);
        if answer.is_some() || (driver.notices_sent(), driver.node().phase()) != before {
            self.wake_up.wake_callers(driver);
        }
        answer
    }

    fn command_locked(
        &self,
        driver: &mut Driver,
        command: Command,
        out: &mut Outbox,
    ) -> Result<Answer, Rejected> {
        let answer = self.step_locked(driver, Event::Command(command), out);
        answer.expect("the core answers a command in its call, and a stopped driver does so for it")
    }

    fn send_all(&self, out: &mut Outbox) {
        for action in out.iter() {
            if let Action::Send { to, bytes } = action {
                if self.socket.send(to, &bytes).is_err() {
                    self.send_errors.fetch_add(1, Ordering::Relaxed);
                }
                self.trace(Direction::Out, to, &bytes);
            }
        }
        out.clear();
    }

    /// Called by the loop before it sleeps. Returns how long it may sleep; `None` for as long as it likes.
    pub(crate) fn fall_asleep(&self) -> Option<Duration> {
        self.lock().fall_asleep().map(|wake| wake.since(self.clock.now()))
    }

    /// Counts an error of the operating system on receiving, or on waiting for a datagram.
    pub fn count_receive_error(&self) {
        self.receive_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// The driver's counters.
    pub fn stats(&self) -> DriverStats {
        DriverStats {
            send_errors: self.send_errors.load(Ordering::Relaxed),
            receive_errors: self.receive_errors.load(Ordering::Relaxed),
            notices_missed: self.lock().notices_missed(),
        }
    }

    /// Called after each attempt to write a durable slot.
    pub(crate) fn on_stored(&self, slot: Slot, serial: u64, written: Result<(), StateError>) {
        match written {
            Ok(()) => {
                self.change(|driver, out| self.step_locked(driver, Event::Stored { slot, serial }, out));
            }
            Err(error) => self.report_trouble(Trouble::Store { error: error.to_string() }),
        }
    }

    fn report_trouble(&self, trouble: Trouble) {
        let mut driver = self.lock();
        driver.report_trouble(trouble);
        self.wake_up.wake_callers(&driver);
    }

    /// Joins through these seeds, once the names among them and the peers file are looked up.
    ///
    /// # Errors
    /// A seed is not `host:port`, there are too many, or the node is leaving or has stopped.
    pub fn join(self: &Arc<Self>, seeds: impl IntoIterator<Item = impl ToString>) -> Result<(), JoinError> {
        let parsed: Result<Vec<Seed>, _> = seeds.into_iter().map(|seed| seed.to_string().parse()).collect();
        let (mut addrs, mut names) = (Vec::new(), Vec::new());
        for seed in parsed? {
            match seed {
                Seed::Addr(addr) => addrs.push(addr),
                Seed::Name(name) => names.push(name),
            }
        }
        if !names.is_empty() {
            self.start_sources(None).map_err(JoinError::Names)?;
        }
        let joined = self.change(|driver, out| {
            if !names.is_empty() {
                driver.look_for_peers();
            }
            let joined = self.command_locked(driver, Command::Join { seeds: addrs }, out);
            if joined.is_ok() {
                self.with_sources(|sources| sources.add_names(names));
            }
            self.end_look_up(driver, out);
            joined
        });
        Ok(joined.map(drop)?)
    }

    /// Reads this file again and again.
    pub(crate) fn read_peers_file(self: &Arc<Self>, path: PathBuf) -> io::Result<()> {
        self.lock().look_for_peers();
        self.start_sources(Some(path))
    }

    /// Starts the thread that looks up names and reads the peers file, unless it runs already.
    fn start_sources(self: &Arc<Self>, peers_file: Option<PathBuf>) -> io::Result<()> {
        let mut sources = lock(&self.sources);
        if sources.is_none() {
            let weak = Arc::downgrade(self);
            let started = Sources::start(peers_file, move |feed| {
                if let Some(shared) = weak.upgrade() {
                    shared.on_feed(feed);
                }
            })?;
            *sources = Some(started);
        }
        Ok(())
    }

    fn with_sources<R>(&self, with: impl FnOnce(&Sources) -> R) -> Option<R> {
        lock(&self.sources).as_ref().map(with)
    }

    /// The names and the entries of the peers file, with the addresses found for them.
    pub fn sources(&self) -> Vec<Source> {
        self.with_sources(Sources::shown).unwrap_or_default()
    }

    fn on_feed(&self, feed: Feed) {
        match feed {
            Feed::Trouble(trouble) => self.report_trouble(trouble),
            Feed::Peers(mut peers) => {
                peers.retain(|peer| self.socket.reaches(*peer));
                self.change(|driver, out| {
                    driver.set_peers(peers, out);
                    self.wake_up.wake_callers(driver);
                });
            }
            Feed::LookedUp => self.change(|driver, out| self.end_look_up(driver, out)),
        }
    }

    /// Lets the node join, unless names were added that are not looked up yet.
    fn end_look_up(&self, driver: &mut Driver, out: &mut Outbox) {
        if self.with_sources(Sources::are_looked_up) == Some(true) {
            driver.peers_are_found(out);
            self.wake_up.wake_callers(driver);
        }
    }

    /// Shows a datagram to the tracer, if there is one.
    pub(crate) fn trace(&self, direction: Direction, peer: SocketAddr, bytes: &[u8]) {
        if !self.tracing.load(Ordering::Relaxed) {
            return;
        }
        let tracer = self.tracer.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(tracer) = tracer {
            tracer.see(self.clock.now(), direction, peer, bytes);
        }
    }

    /// Sets the function that is shown every datagram with a message of one of these kinds. Without kinds, tracing ends.
    pub fn set_trace(
        &self,
        kinds: impl IntoIterator<Item = Kind>,
        show: impl Fn(&Traced<'_>) + Send + Sync + 'static,
    ) {
        let kinds: Vec<_> = kinds.into_iter().collect();
        let tracer = (!kinds.is_empty()).then(|| Arc::new(Tracer::new(kinds, Box::new(show))));
        self.tracing.store(tracer.is_some(), Ordering::Relaxed);
        *self.tracer.write().unwrap_or_else(PoisonError::into_inner) = tracer;
    }

    /// Asks the loop to end, and wakes it.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake_up.wake_loop();
    }

    /// True once the loop was asked to end.
    pub fn is_asked_to_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Stops the node and the look-up of names, and wakes every caller that waits. Dropping the returned value waits
    /// for the disk; the mutex is free by then.
    pub fn stop_node(&self) -> LastWrites {
        drop(lock(&self.sources).take());
        let mut driver = self.lock();
        let writes = driver.stop();
        self.wake_up.wake_callers(&driver);
        writes
    }
}
