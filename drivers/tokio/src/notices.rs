//! What the application is told, for tasks.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bruit_driver::News;
use futures_core::Stream;

/// The application's end of the news: awaited one by one, or a [`Stream`].
///
/// A reader that is slow, or reads nothing, costs the node a bounded queue and never a wait: the oldest news go
/// first, and [`News::Lagged`] says how many. It ends when the node has stopped. Keeping it does not keep the node
/// running.
#[derive(Debug)]
pub struct Notices {
    inner: bruit_driver::Notices,
}

impl Notices {
    pub(crate) const fn new(inner: bruit_driver::Notices) -> Self {
        Self { inner }
    }

    /// Waits for the next news; `None` once the node has stopped and all is read. A wait that is cancelled has taken
    /// nothing.
    pub async fn recv(&mut self) -> Option<News> {
        poll_fn(|cx| self.inner.poll_recv(cx)).await
    }

    /// The next news if there is one now.
    pub fn try_recv(&mut self) -> Option<News> {
        self.inner.try_recv()
    }
}

impl Stream for Notices {
    type Item = News;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<News>> {
        self.inner.poll_recv(cx)
    }
}
