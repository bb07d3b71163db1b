//! [bruit](bruit_core) over UDP on a [tokio] runtime: one task, and the same handle as `bruit-udp`.
//!
//! ```no_run
//! use bruit_core::Config;
//! use bruit_tokio::Bruit;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (bruit, mut notices) = Bruit::bind("0.0.0.0:7000", "web-1", Config::lan("shop")).await?;
//! bruit.join(["web-2.internal:7000", "web-3.internal:7000"])?;
//! while let Some(news) = notices.recv().await {
//!     println!("{news:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Bruit::broadcast`](Running::broadcast) tells all members something, which they find in their news.
//!
//! A command is answered in the call that gives it: the caller steps the node under a mutex and sends what comes
//! out. [`Bruit::read`](Running::read) serves everything else, and [`Bruit::watch`] tells when to look again. Only
//! what waits for others is asynchronous. Dropping the last handle is the abrupt stop, after which others find out
//! by themselves; [`Bruit::leave`] says goodbye.
//!
//! It runs on either kind of runtime with I/O and time enabled. No worker of the runtime waits for a resolver or for
//! a disk to flush: names are looked up on a thread of their own, the state directory is written on another. Only a
//! journal, if there is one, is appended to in place, without a flush. A paused test clock does not reach the node,
//! whose clock is the operating system's.
//!
//! The driver decides nothing about the protocol. What it adds: host names and a peers file, read again while
//! the node runs; a state directory; a journal; and counts of what the network refused.
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "drivers are what stands on std; one spelling reads better")]

mod builder;
mod event_loop;
mod handle;
mod hooks;
mod notices;
mod watch;

pub use bruit_driver::udp::{Direction, DriverStats, Interface, Running, Status, Traced};
pub use bruit_driver::{JoinError, JournalSettings, News, Source, StartError, Trouble};
pub use builder::Builder;
pub use handle::Bruit;
pub use notices::Notices;
pub use watch::Watch;

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
