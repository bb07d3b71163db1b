//! What the handles and the loop share: the node under its mutex, the socket, and a way to wake the loop.
//!
//! Whoever has an event steps the node with the mutex held, and sends with the mutex free, so that a slow kernel
//! never keeps another caller from the node.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bruit_core::{Action, Answer, Command, Event, NodeId, Outbox, Phase, PingId, Rejected, Slot, Time};

use crate::clock::Clock;
use crate::driven::{Driven, Stopped};
use crate::error::Trouble;
use crate::sources::{Feed, Sources};
use crate::state::StateError;
use crate::udp::socket::NodeSocket;
use crate::udp::stats::DriverStats;
use crate::udp::trace::{Direction, Tracer};

/// What a driver brings beside its loop. Neither method may wait.
pub trait Hooks: fmt::Debug + Send + Sync + 'static {
    /// Ends the loop's present or next sleep.
    fn wake(&self);

    /// Something that a caller may wait for has happened. The mutex is held.
    fn changed(&self, driven: &Driven);
}

/// The node, and what else the mutex guards.
#[derive(Debug)]
pub struct State {
    /// The node, and what happens around its events.
    pub driven: Driven,
    /// Until when the loop sleeps, unless it is woken.
    asleep_until: Time,
    /// What the peers file and the names stand for; told again at each join.
    peers: Vec<SocketAddr>,
}

/// What the handles and the loop share.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    pub(crate) socket: NodeSocket,
    hooks: Arc<dyn Hooks>,
    sources: Mutex<Option<Sources>>,
    pub(crate) clock: Clock,
    stop: AtomicBool,
    send_errors: AtomicU64,
    receive_errors: AtomicU64,
    tracer: RwLock<Option<Arc<Tracer>>>,
    tracing: AtomicBool,
}

impl Shared {
    pub(crate) fn new(driven: Driven, socket: NodeSocket, hooks: Arc<dyn Hooks>) -> Self {
        let clock = driven.clock();
        Self {
            state: Mutex::new(State { driven, asleep_until: Time::MAX, peers: Vec::new() }),
            socket,
            hooks,
            sources: Mutex::new(None),
            clock,
            stop: AtomicBool::new(false),
            send_errors: AtomicU64::new(0),
            receive_errors: AtomicU64::new(0),
            tracer: RwLock::new(None),
            tracing: AtomicBool::new(false),
        }
    }

    /// The state. A reader's closure that panicked has changed nothing, so a poisoned mutex is as good.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the node one event and sends what comes out. For the loop, which looks at its deadline itself.
    pub(crate) fn step(&self, event: Event<'_>, out: &mut Outbox) {
        self.step_locked(&mut self.lock(), event, out);
        self.send_all(out);
    }

    fn step_locked(
        &self,
        state: &mut State,
        event: Event<'_>,
        out: &mut Outbox,
    ) -> Option<Result<Answer, Rejected>> {
        let told = state.driven.told();
        let answer = state.driven.step(event, out);
        if answer.is_some() || state.driven.told() != told {
            self.hooks.changed(&state.driven);
        }
        answer
    }

    /// When the loop, which calls this before it sleeps, must be awake again at the latest.
    pub(crate) fn fall_asleep(&self) -> Option<Duration> {
        let mut state = self.lock();
        let wake = state.driven.next_wake();
        state.asleep_until = wake.unwrap_or(Time::MAX);
        wake.map(|wake| wake.since(self.clock.now()))
    }

    /// The same for everybody else: the loop is woken if it would now sleep too long. `then` runs on the
    /// answer before anybody else can step the node.
    pub(crate) fn command_then(
        &self,
        command: Command,
        then: impl FnOnce(&mut Driven, &Answer),
    ) -> Result<Answer, Rejected> {
        let mut out = Outbox::new();
        let answer = self.step_and_wake(Event::Command(command), &mut out, |driven, answer| {
            if let Some(Ok(answer)) = answer {
                then(driven, answer);
            }
        });
        answer.expect("the core answers a command in its call, and a stopped driver does so for it")
    }

    /// Starts a ping, whose end the driver waits for and then takes.
    ///
    /// # Errors
    /// The node refuses, or has stopped.
    pub fn start_ping(&self, id: NodeId, addr: SocketAddr) -> Result<PingId, Rejected> {
        let answer = self.command_then(Command::Ping { id, addr }, |driven, answer| {
            if let Answer::Pinging(ping) = answer {
                driven.await_ping(*ping);
            }
        })?;
        let Answer::Pinging(ping) = answer else { unreachable!("a ping is answered with its id") };
        Ok(ping)
    }

    fn step_and_wake(
        &self,
        event: Event<'_>,
        out: &mut Outbox,
        then: impl FnOnce(&mut Driven, &Option<Result<Answer, Rejected>>),
    ) -> Option<Result<Answer, Rejected>> {
        let mut state = self.lock();
        let answer = self.step_locked(&mut state, event, out);
        then(&mut state.driven, &answer);
        let sooner = state.driven.next_wake().is_some_and(|wake| wake < state.asleep_until);
        drop(state);
        self.send_all(out);
        if sooner {
            self.hooks.wake();
        }
        answer
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

    /// Counts an error on receiving, or on waiting to.
    pub fn count_receive_error(&self) {
        self.receive_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> DriverStats {
        DriverStats {
            send_errors: self.send_errors.load(Ordering::Relaxed),
            receive_errors: self.receive_errors.load(Ordering::Relaxed),
            notices_missed: self.lock().driven.notices_missed(),
        }
    }

    /// A slot is durable, or could not be made so.
    pub(crate) fn stored(&self, slot: Slot, serial: u64, written: Result<(), StateError>) {
        match written {
            Ok(()) => {
                self.step_and_wake(Event::Stored { slot, serial }, &mut Outbox::new(), |_, _| {});
            }
            Err(error) => self.trouble(Trouble::Store { error: error.to_string() }),
        }
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        let mut state = self.lock();
        state.driven.trouble(trouble);
        self.hooks.changed(&state.driven);
    }

    /// The look-up of names and files, once it runs.
    pub(crate) fn sources(&self) -> MutexGuard<'_, Option<Sources>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names or the peers file have something new.
    pub(crate) fn feed(&self, feed: Feed) {
        match feed {
            Feed::Trouble(trouble) => self.trouble(trouble),
            Feed::Peers(mut peers) => {
                peers.retain(|peer| self.socket.reaches(*peer));
                self.lock().peers = peers;
                self.tell_peers();
            }
        }
    }

    /// After a join: the peers that were found before it.
    pub(crate) fn tell_peers_if_any(&self) {
        if !self.lock().peers.is_empty() {
            self.tell_peers();
        }
    }

    /// Gives the node the peers found so far. Before its first join it would refuse them; the join tells them.
    fn tell_peers(&self) {
        let state = self.lock();
        let mut peers = state.peers.clone();
        let running = state.driven.node().phase() == Phase::Running;
        drop(state);
        if !running {
            return;
        }
        let found = peers.len();
        let mut answer = self.set_peers(&peers);
        if let Err(Rejected::TooMany { len, max, .. }) = answer {
            peers.truncate(found.saturating_sub(len.saturating_sub(max)));
            answer = self.set_peers(&peers);
            self.trouble(Trouble::PeersLeftOut { found, kept: peers.len() });
        }
        if let Err(rejected) = answer {
            self.trouble(Trouble::PeersRefused(rejected));
        }
    }

    fn set_peers(&self, peers: &[SocketAddr]) -> Result<Answer, Rejected> {
        self.command_then(Command::SetPeers(peers.to_vec()), |_, _| {})
    }

    pub(crate) fn trace(&self, direction: Direction, peer: SocketAddr, bytes: &[u8]) {
        if !self.tracing.load(Ordering::Relaxed) {
            return;
        }
        let tracer = self.tracer.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(tracer) = tracer {
            tracer.see(self.clock.now(), direction, peer, bytes);
        }
    }

    pub(crate) fn set_tracer(&self, tracer: Option<Tracer>) {
        self.tracing.store(tracer.is_some(), Ordering::Relaxed);
        *self.tracer.write().unwrap_or_else(PoisonError::into_inner) = tracer.map(Arc::new);
    }

    /// Makes the loop end.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.hooks.wake();
    }

    /// Whether the loop shall end.
    #[must_use]
    pub fn is_asked_to_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The node takes no more events, names are looked up no more, and whoever waits is let go. Dropping what comes back waits for the disk, so that
    /// is done without the mutex held.
    pub fn stop_node(&self) -> Stopped {
        drop(self.sources().take());
        let mut state = self.lock();
        let stopped = state.driven.stop();
        self.hooks.changed(&state.driven);
        stopped
    }
}
