//! The application's end of the notices, for tasks.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bruit_driver::DriverNotice;
use futures_core::Stream;

/// The application's end of the notices. They are awaited one by one, or read as a [`Stream`].
///
/// A reader that is slow, or reads nothing, costs the node a bounded queue and never a wait: the oldest notices are
/// dropped first, and [`DriverNotice::Lagged`] says how many. It ends when the node has stopped. Keeping it does not
/// keep the node running.
#[derive(Debug)]
pub struct Notices {
    inner: bruit_driver::Notices,
}

impl Notices {
    pub(crate) const fn new(inner: bruit_driver::Notices) -> Self {
        Self { inner }
    }

    /// Waits for the next notice; `None` once the node has stopped and every notice was read. A cancelled wait has
    /// taken no notice.
    pub async fn recv(&mut self) -> Option<DriverNotice> {
        poll_fn(|cx| self.inner.poll_recv(cx)).await
    }

    /// Returns the next notice if one waits already.
    pub fn try_recv(&mut self) -> Option<DriverNotice> {
        self.inner.try_recv()
    }
}

impl Stream for Notices {
    type Item = DriverNotice;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<DriverNotice>> {
        self.inner.poll_recv(cx)
    }
}
