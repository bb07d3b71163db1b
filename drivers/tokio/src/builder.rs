//! The start of a node, with its builder for more settings than a name and an address.

use std::io;
use std::sync::Arc;

use bruit_core::Config;
use bruit_driver::StartError;
use bruit_driver::udp::{Opened, Setup, Turn};
use tokio::net::UdpSocket;

use crate::event_loop::EventLoop;
use crate::handle::Bruit;
use crate::notices::Notices;
use crate::wake::TaskWakeUp;

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
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without I/O or time.
    pub async fn bind(
        addr: impl ToString,
        name: impl Into<String>,
        config: Config,
    ) -> Result<(Self, Notices), StartError> {
        Builder::new(name, config).start(addr).await
    }

    /// Returns a builder, which takes more settings than a name and an address.
    pub fn builder(name: impl Into<String>, config: Config) -> Builder {
        Builder::new(name, config)
    }
}

impl Builder {
    bruit_driver::builder_methods!();

    /// Binds `addr` (`host:port`; port 0 for any) and starts the task. The node is silent until it
    /// [joins](Bruit::join).
    ///
    /// # Errors
    /// The address cannot be bound, a setting is out of its range, or a directory cannot be used. No task runs then.
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without I/O or time.
    pub async fn start(self, addr: impl ToString) -> Result<(Bruit, Notices), StartError> {
        let addr = addr.to_string();
        run(open(move || self.setup.open(&addr)).await?)
    }

    /// Binds any free port on every address of this machine, and starts the task.
    ///
    /// # Errors
    /// See [`start`](Self::start).
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without I/O or time.
    pub async fn start_anywhere(self) -> Result<(Bruit, Notices), StartError> {
        run(open(move || self.setup.open_anywhere()).await?)
    }
}

/// Opens the node on a thread for blocking calls: it looks names up and waits for the disk.
async fn open(
    open: impl FnOnce() -> Result<Opened, StartError> + Send + 'static,
) -> Result<Opened, StartError> {
    match tokio::task::spawn_blocking(open).await {
        Ok(opened) => opened,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => {
                Err(StartError::system("start on a runtime that is shutting down", io::Error::other(error)))
            }
        },
    }
}

fn run(mut opened: Opened) -> Result<(Bruit, Notices), StartError> {
    let sockets: io::Result<Vec<_>> = opened.take_receivers().into_iter().map(UdpSocket::from_std).collect();
    let sockets = sockets.map_err(|source| StartError::system("watch the socket", source))?;
    let wake_up = TaskWakeUp::new(opened.status());
    let (shared, notices) = opened.run(wake_up)?;
    let (event_loop, ended) = EventLoop::new(Turn::new(Arc::clone(&shared)), sockets);
    tokio::spawn(event_loop.run());
    Ok((Bruit::new(shared, ended), Notices::new(notices)))
}
