//! One turn of a driver's loop: read a bounded batch of datagrams, then give the node its tick if one is due.
//!
//! The bound keeps a flood of datagrams from stopping the timers. Reading comes before the tick so that a late loop
//! does not suspect a member whose answer waits in the socket (rule B7).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bruit_core::{Event, Outbox};

use crate::udp::shared::{Shared, WakeUp};
use crate::udp::socket::plain;
use crate::udp::trace::Direction;

/// The most datagrams read from one socket before the timers have their turn.
const BATCH_MAX: usize = 256;
/// The longest time spent reading from one socket before the timers have their turn.
const BATCH_TIME: Duration = Duration::from_millis(10);
/// The longest datagram that UDP can carry, rounded up.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

/// Says whether all sockets were read until they were empty. It matters because the operating system reports that a
/// socket is readable only once for each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// All sockets are empty: the next datagram will be reported.
    Drained,
    /// A socket may have more datagrams: read again without waiting.
    HaveMore,
}

/// The state that a driver's loop keeps between its turns. Dropping it stops the node, so that no caller waits forever
/// for a loop that has ended, be it by a panic.
#[derive(Debug)]
pub struct Turn<W: WakeUp> {
    shared: Arc<Shared<W>>,
    out: Outbox,
    buffer: Vec<u8>,
}

impl<W: WakeUp> Turn<W> {
    /// Creates the state of the one loop of this node.
    #[must_use]
    pub fn new(shared: Arc<Shared<W>>) -> Self {
        Self { shared, out: Outbox::new(), buffer: vec![0; DATAGRAM_BYTES_MAX] }
    }

    /// The state that the loop shares with the handles.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared<W>> {
        &self.shared
    }

    /// The longest time that the loop may sleep unless a datagram arrives or it is woken; `None` for no limit.
    #[must_use]
    pub fn sleep(&self) -> Option<Duration> {
        self.shared.fall_asleep()
    }

    /// Reads a bounded batch from each socket, so that no socket starves another. `receive` fills the buffer and must
    /// not block: it returns [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket is empty.
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
        let started = self.shared.clock().now();
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
            if self.shared.clock().now().since(started) > BATCH_TIME {
                break;
            }
        }
        Sockets::HaveMore
    }

    /// Gives the node its tick if one is due.
    pub fn tick_if_due(&mut self) {
        let due = self.shared.lock().next_wake().is_some_and(|wake| wake <= self.shared.clock().now());
        if due {
            self.shared.step(Event::Tick, &mut self.out);
        }
    }
}

impl<W: WakeUp> Drop for Turn<W> {
    fn drop(&mut self) {
        drop(self.shared.stop_node());
    }
}
