//! [bruit](core) over UDP on a [tokio] runtime: one task, and a handle like that of `bruit-udp`.
//!
//! ```no_run
//! use bruit_tokio::{Bruit, Config};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (bruit, mut notices) = Bruit::bind("0.0.0.0:7000", "web-1", Config::lan("shop")).await?;
//! bruit.join(["web-2.internal:7000", "web-3.internal:7000"])?;
//! while let Some(notice) = notices.recv().await {
//!     println!("{notice:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Bruit::broadcast`] sends a message to all members, each of which receives it as a [`Notice::Delivered`].
//!
//! A command is answered in the call that gives it: the calling thread steps the node under a mutex and sends the
//! datagrams that come out. [`Bruit::read`] gives access to everything else that the node knows, and [`Bruit::watch`]
//! tells when to look again. Only methods that wait for other members are asynchronous. [`Bruit::leave`] leaves the
//! cluster in good order; dropping the last handle is like a crash to the others.
//!
//! It runs on either kind of runtime, with I/O and time enabled. No worker of the runtime waits for a resolver or for
//! a disk to flush: names are looked up on a thread of their own, and the state directory is written on another. Only
//! a journal, if there is one, is appended to in place, without a flush. A paused test clock does not affect the
//! node, whose clock is the operating system's.
//!
//! The driver decides nothing about the protocol. It adds host names and a peers file, both read again while the node
//! runs; a state directory; a journal; and counters of what the operating system refused.
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "drivers are built on std, and one spelling reads better")]

mod builder;
mod event_loop;
mod handle;
mod notices;
mod views;
mod wake;
mod watch;

pub use bruit_driver::udp::exports::*;
pub use builder::Builder;
pub use handle::Bruit;
pub use notices::Notices;
pub use views::Views;
pub use watch::Watch;

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
