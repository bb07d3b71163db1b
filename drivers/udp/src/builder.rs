//! The start of a node, with its builder for more settings than a name and an address.

use std::sync::Arc;
use std::thread;

use bruit_core::Config;
use bruit_driver::udp::{Opened, Setup, Turn};
use bruit_driver::{Notices, StartError};
use mio::net::UdpSocket;
use mio::{Interest, Poll, Token, Waker};

use crate::event_loop::EventLoop;
use crate::handle::Bruit;
use crate::wake::ThreadWakeUp;

/// The token of the waker. The token of a socket is its index.
const WAKER: Token = Token(usize::MAX);

/// The settings of one node, which [`start`](Self::start) creates.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is started"]
pub struct Builder {
    setup: Setup,
}

impl Bruit {
    /// Starts a node on this address (`host:port`; port 0 for any). It is silent until it [joins](Self::join).
    ///
    /// # Errors
    /// The address cannot be bound, or a setting is out of its range.
    pub fn bind(
        addr: impl ToString,
        name: impl Into<String>,
        config: Config,
    ) -> Result<(Self, Notices), StartError> {
        Builder::new(name, config).start(addr)
    }

    /// Returns a builder, which takes more settings than a name and an address.
    pub fn builder(name: impl Into<String>, config: Config) -> Builder {
        Builder::new(name, config)
    }
}

impl Builder {
    bruit_driver::builder_methods!();

    /// Binds `addr` (`host:port`; port 0 for any) and starts the thread. The node is silent until it
    /// [joins](Bruit::join).
    ///
    /// # Errors
    /// The address cannot be bound, a setting is out of its range, or a directory cannot be used. No thread runs
    /// then.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers pass an address or a text, without a reference"
    )]
    pub fn start(self, addr: impl ToString) -> Result<(Bruit, Notices), StartError> {
        run(self.setup.open(&addr.to_string())?)
    }

    /// Binds any free port on every address of this machine, and starts the thread.
    ///
    /// # Errors
    /// See [`start`](Self::start).
    pub fn start_anywhere(self) -> Result<(Bruit, Notices), StartError> {
        run(self.setup.open_anywhere()?)
    }
}

fn run(mut opened: Opened) -> Result<(Bruit, Notices), StartError> {
    let poll = Poll::new().map_err(|source| StartError::system("create a poller", source))?;
    let waker =
        Waker::new(poll.registry(), WAKER).map_err(|source| StartError::system("create a waker", source))?;
    let mut sockets: Vec<_> = opened.take_receivers().into_iter().map(UdpSocket::from_std).collect();
    for (i, socket) in sockets.iter_mut().enumerate() {
        poll.registry()
            .register(socket, Token(i), Interest::READABLE)
            .map_err(|source| StartError::system("watch the socket", source))?;
    }
    let (shared, notices) = opened.run(ThreadWakeUp::new(waker))?;
    let event_loop = EventLoop::new(Turn::new(Arc::clone(&shared)), sockets, poll);
    let thread = thread::Builder::new()
        .name("bruit-udp".to_owned())
        .spawn(move || event_loop.run())
        .map_err(|source| StartError::system("start a thread", source))?;
    Ok((Bruit::new(shared, thread), notices))
}
