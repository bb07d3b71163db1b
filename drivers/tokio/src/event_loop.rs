//! The loop: sleep until a datagram, a deadline or a wake-up; read a bounded batch; then tick if it is time.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bruit_driver::udp::{Sockets, Turn};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::hooks::Hooks;

/// The longest sleep. Waking for nothing costs nothing, and a timer has an end to its range.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
pub(crate) struct EventLoop {
    turn: Turn,
    sockets: Vec<UdpSocket>,
    hooks: Arc<Hooks>,
    /// Closed when the loop has ended, in whichever way: fields are dropped in order, so the node has stopped then.
    _ended: watch::Sender<()>,
}

impl EventLoop {
    /// With what is closed once it has ended.
    pub(crate) fn new(turn: Turn, sockets: Vec<UdpSocket>, hooks: Arc<Hooks>) -> (Self, watch::Receiver<()>) {
        let (sender, ended) = watch::channel(());
        (Self { turn, sockets, hooks, _ended: sender }, ended)
    }

    /// Runs until it is asked to stop, and until what the node stored is durable.
    pub(crate) async fn run(mut self) {
        let mut sleep = pin!(tokio::time::sleep(SLEEP_MAX));
        let mut sockets = Sockets::Drained;
        while !self.turn.shared().is_asked_to_stop() {
            match sockets {
                // Whatever else runs on this thread has its turn too.
                Sockets::HaveMore => tokio::task::yield_now().await,
                Sockets::Drained => {
                    let timeout = self.turn.sleep().unwrap_or(SLEEP_MAX).min(SLEEP_MAX);
                    sleep.as_mut().reset(Instant::now() + timeout);
                    if self.wait(sleep.as_mut()).await.is_err() {
                        self.turn.shared().count_receive_error();
                        break; // The runtime is shutting down.
                    }
                }
            }
            sockets = self.turn.read(&self.sockets, UdpSocket::try_recv_from);
            self.turn.tick_if_due();
        }
        let stopped = self.turn.shared().stop_node();
        // It fails when the runtime ends, and has been dropped then as well.
        let _ = tokio::task::spawn_blocking(move || drop(stopped)).await;
    }

    /// Until a socket can be read, the time is over, or the loop is woken.
    async fn wait(&self, mut sleep: Pin<&mut Sleep>) -> io::Result<()> {
        let mut woken = pin!(self.hooks.woken());
        poll_fn(|cx| {
            let mut awake = woken.as_mut().poll(cx).is_ready() || sleep.as_mut().poll(cx).is_ready();
            for socket in &self.sockets {
                match socket.poll_recv_ready(cx) {
                    Poll::Ready(Ok(())) => awake = true,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
            }
            if awake { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }
}
