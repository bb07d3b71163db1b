//! One turn of a driver's loop: read a bounded batch, then tick if it is time.
//!
//! The bound is what keeps a flood from stopping the timers; reading first is what keeps a late loop from
//! suspecting a member whose answer is waiting (rule B7).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bruit_core::{Event, Outbox};

use crate::udp::shared::Shared;
use crate::udp::socket::plain;
use crate::udp::trace::Direction;

/// Datagrams read from one socket before the timers have their turn.
const BATCH_MAX: usize = 256;
/// Time spent reading from one socket before the timers have their turn.
const BATCH_TIME: Duration = Duration::from_millis(10);
/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

/// Whether all sockets were read until they had nothing more. Readiness is told once for each change only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// They were: readiness will be told.
    Drained,
    /// One was not: read again without waiting.
    HaveMore,
}

/// What a loop keeps between its turns. However the loop ends, by a panic too, dropping this stops the node, so
/// that nobody waits for it any longer.
#[derive(Debug)]
pub struct Turn {
    shared: Arc<Shared>,
    out: Outbox,
    buffer: Vec<u8>,
}

impl Turn {
    /// For the one loop of this node.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, out: Outbox::new(), buffer: vec![0; DATAGRAM_BYTES_MAX] }
    }

    /// What it shares with the handles.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How long the loop may sleep, unless a datagram comes or it is woken; `None` for as long as it likes.
    #[must_use]
    pub fn sleep(&self) -> Option<Duration> {
        self.shared.fall_asleep()
    }

    /// Reads a bounded batch from each socket, however much waits at another. `receive` fills the buffer and never
    /// waits: it says [`WouldBlock`](io::ErrorKind::WouldBlock) when there is nothing more.
    pub fn read<S>(
        &mut self,
        sockets: &[S],
        receive: impl Fn(&S, &mut [u8]) -> io::Result<(usize, SocketAddr)>,
    ) -> Sockets {
        let mut all = Sockets::Drained;
        for socket in sockets {
            if self.read_one(|buffer| receive(socket, buffer)) == Sockets::HaveMore {
                all = Sockets::HaveMore;
            }
        }
        all
    }

    fn read_one(&mut self, receive: impl Fn(&mut [u8]) -> io::Result<(usize, SocketAddr)>) -> Sockets {
        let started = self.shared.clock.now();
        for _ in 0..BATCH_MAX {
            match receive(&mut self.buffer) {
                Ok((len, from)) => {
                    let (bytes, from) = (&self.buffer[..len], plain(from));
                    self.shared.trace(Direction::In, from, bytes);
                    self.shared.step(Event::Datagram { from, bytes }, &mut self.out);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sockets::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.shared.count_receive_error(),
            }
            if self.shared.clock.now().since(started) > BATCH_TIME {
                break;
            }
        }
        Sockets::HaveMore
    }

    /// Gives the node its tick if one is due.
    pub fn tick_if_due(&mut self) {
        let due = self.shared.lock().driven.next_wake().is_some_and(|wake| wake <= self.shared.clock.now());
        if due {
            self.shared.step(Event::Tick, &mut self.out);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.shared.stop_node());
    }
}
