//! How a node is started with more than a name and an address.

use std::sync::Arc;
use std::thread;

use bruit_driver::udp::{Opened, Setup, Turn};
use bruit_driver::{Notices, StartError};
use mio::net::UdpSocket;
use mio::{Interest, Poll, Token, Waker};

use crate::event_loop::EventLoop;
use crate::handle::Bruit;
use crate::hooks::Hooks;

/// The token of the waker; sockets have their index.
const WAKER: Token = Token(usize::MAX);

/// The settings of one node. [`start`](Self::start) makes it.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is started"]
pub struct Builder {
    setup: Setup,
}

impl Builder {
    bruit_driver::builder_methods!();

    /// Binds `addr` (`host:port`; port 0 for any) and starts the thread. The node is silent until it joins.
    ///
    /// # Errors
    /// The address cannot be bound, a setting is out of its range, or a directory cannot be used. Nothing runs
    /// then.
    #[expect(clippy::needless_pass_by_value, reason = "addresses and texts are passed as they are at hand")]
    pub fn start(self, addr: impl ToString) -> Result<(Bruit, Notices), StartError> {
        run(self.setup.open(&addr.to_string())?)
    }

    /// The same on any port of every address of this machine.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_anywhere(self) -> Result<(Bruit, Notices), StartError> {
        run(self.setup.open_anywhere()?)
    }
}

fn run(mut opened: Opened) -> Result<(Bruit, Notices), StartError> {
    let poll = Poll::new().map_err(|source| StartError::system("make a poller", source))?;
    let waker =
        Waker::new(poll.registry(), WAKER).map_err(|source| StartError::system("make a waker", source))?;
    let mut sockets: Vec<_> = opened.take_receivers().into_iter().map(UdpSocket::from_std).collect();
    for (i, socket) in sockets.iter_mut().enumerate() {
        poll.registry()
            .register(socket, Token(i), Interest::READABLE)
            .map_err(|source| StartError::system("watch the socket", source))?;
    }
    let hooks = Arc::new(Hooks::new(waker));
    let (running, shared, notices) = opened.run(Arc::clone(&hooks) as _)?;
    let event_loop = EventLoop::new(Turn::new(Arc::clone(&shared)), sockets, poll);
    let thread = thread::Builder::new()
        .name("bruit-udp".to_owned())
        .spawn(move || event_loop.run())
        .map_err(|source| StartError::system("start a thread", source))?;
    Ok((Bruit::new(running, shared, hooks, thread), notices))
}
