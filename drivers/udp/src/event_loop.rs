//! The loop: sleep until a datagram, a deadline or a wake-up; read a bounded batch; then tick if it is time.
//!
//! The bound is what keeps a flood from stopping the timers; reading first is what keeps a late loop from
//! suspecting a member whose answer is waiting (rule B7).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bruit_core::{Event, Outbox, Time};
use mio::{Events, Poll};

use crate::shared::Shared;
use crate::trace::Direction;

/// Datagrams read before the timers have their turn.
const BATCH_MAX: usize = 256;
/// Time spent reading before the timers have their turn.
const BATCH_TIME: Duration = Duration::from_millis(10);
/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

/// Whether the socket was read until it had nothing more. Readiness is told once for each change only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    Drained,
    HasMore,
}

#[derive(Debug)]
pub(crate) struct EventLoop {
    shared: Arc<Shared>,
    poll: Poll,
    out: Outbox,
    buffer: Vec<u8>,
}

impl EventLoop {
    pub(crate) fn new(shared: Arc<Shared>, poll: Poll) -> Self {
        Self { shared, poll, out: Outbox::new(), buffer: vec![0; DATAGRAM_BYTES_MAX] }
    }

    /// Runs until it is asked to stop. If it ends by a panic, the node counts as stopped too.
    pub(crate) fn run(mut self) {
        let _guard = StopsNode(Arc::clone(&self.shared));
        let mut events = Events::with_capacity(8);
        let mut socket = Socket::Drained;
        while !self.shared.is_asked_to_stop() {
            let timeout = self.timeout(socket);
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.shared.count_receive_error(),
            }
            socket = self.read_batch();
            self.tick_if_due();
        }
    }

    /// How long to sleep; `None` until woken.
    fn timeout(&self, socket: Socket) -> Option<Duration> {
        if socket == Socket::HasMore {
            return Some(Duration::ZERO);
        }
        let mut state = self.shared.lock();
        let wake = state.driven.next_wake();
        state.asleep_until = wake.unwrap_or(Time::MAX);
        wake.map(|wake| wake.since(self.shared.clock.now()))
    }

    fn read_batch(&mut self) -> Socket {
        let started = self.shared.clock.now();
        for _ in 0..BATCH_MAX {
            match self.shared.socket.receive(&mut self.buffer) {
                Ok((len, from)) => {
                    let bytes = &self.buffer[..len];
                    self.shared.trace(Direction::In, from, bytes);
                    self.shared.step(Event::Datagram { from, bytes }, &mut self.out);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Socket::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.shared.count_receive_error(),
            }
            if self.shared.clock.now().since(started) > BATCH_TIME {
                break;
            }
        }
        Socket::HasMore
    }

    fn tick_if_due(&mut self) {
        let due = self.shared.lock().driven.next_wake().is_some_and(|wake| wake <= self.shared.clock.now());
        if due {
            self.shared.step(Event::Tick, &mut self.out);
        }
    }
}

/// However the loop ends, nobody waits for it any longer.
#[derive(Debug)]
struct StopsNode(Arc<Shared>);

impl Drop for StopsNode {
    fn drop(&mut self) {
        self.0.stop_node();
    }
}
