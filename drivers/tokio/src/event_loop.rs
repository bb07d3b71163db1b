//! The loop: sleep until a datagram, a deadline or a wake-up; read a bounded batch; give the node its tick if due.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bruit_driver::udp::{Sockets, Turn};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::wake::TaskWakeUp;

/// The longest sleep. It keeps the timer within its range; waking once an hour for nothing costs nothing.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
pub(crate) struct EventLoop {
    turn: Turn<TaskWakeUp>,
    sockets: Vec<UdpSocket>,
    /// Closes the channel when the loop has ended, in whichever way. Fields are dropped in order, so `turn` has stopped
    /// the node by then.
    _ended: watch::Sender<()>,
}

impl EventLoop {
    /// Creates the loop, and a channel that is closed once the loop has ended.
    pub(crate) fn new(turn: Turn<TaskWakeUp>, sockets: Vec<UdpSocket>) -> (Self, watch::Receiver<()>) {
        let (sender, ended) = watch::channel(());
        (Self { turn, sockets, _ended: sender }, ended)
    }

    /// Runs until it is asked to stop and the durable slots are written.
    pub(crate) async fn run(mut self) {
        let mut sleep = pin!(tokio::time::sleep(SLEEP_MAX));
        let mut sockets = Sockets::Drained;
        while !self.turn.shared().is_asked_to_stop() {
            match sockets {
                // Other tasks of this thread have their turn too.
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
        let writes = self.turn.shared().stop_node();
        // It fails when the runtime shuts down; the closure, and `writes` with it, is dropped in that case too.
        let _ = tokio::task::spawn_blocking(move || drop(writes)).await;
    }

    /// Waits until a socket can be read, the time is over, or the loop is woken.
    async fn wait(&self, mut sleep: Pin<&mut Sleep>) -> io::Result<()> {
        let mut woken = pin!(self.turn.shared().wake_up().woken());
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
