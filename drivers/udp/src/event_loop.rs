//! The loop: sleep until a datagram, a deadline or a wake-up; read a bounded batch; give the node its tick if due.

use std::io;
use std::time::Duration;

use bruit_driver::udp::{Sockets, Turn};
use mio::net::UdpSocket;
use mio::{Events, Poll};

use crate::wake::ThreadWakeUp;

#[derive(Debug)]
pub(crate) struct EventLoop {
    turn: Turn<ThreadWakeUp>,
    sockets: Vec<UdpSocket>,
    poll: Poll,
}

impl EventLoop {
    pub(crate) const fn new(turn: Turn<ThreadWakeUp>, sockets: Vec<UdpSocket>, poll: Poll) -> Self {
        Self { turn, sockets, poll }
    }

    /// Runs until it is asked to stop.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(8);
        let mut sockets = Sockets::Drained;
        while !self.turn.shared().is_asked_to_stop() {
            let timeout = match sockets {
                Sockets::HaveMore => Some(Duration::ZERO),
                Sockets::Drained => self.turn.sleep(),
            };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.turn.shared().count_receive_error(),
            }
            sockets = self.turn.read(&self.sockets, UdpSocket::recv_from);
            self.turn.tick_if_due();
        }
    }
}
