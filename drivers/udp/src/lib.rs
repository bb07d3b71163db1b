//! [bruit](bruit_core) over UDP, for programs without an async runtime: one socket, one thread, one handle.
//!
//! ```no_run
//! use bruit_core::Config;
//! use bruit_udp::Bruit;
//!
//! let (bruit, notices) = Bruit::bind("0.0.0.0:7000", "web-1", Config::lan("shop"))?;
//! bruit.join(["web-2.internal:7000", "web-3.internal:7000"])?;
//! for news in notices {
//!     println!("{news:?}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Bruit::broadcast`](Running::broadcast) tells all members something, which they find in their news.
//!
//! A command is answered in the call that gives it: the caller steps the node under a mutex and sends what comes
//! out. [`Bruit::read`](Running::read) serves everything else. Dropping the last handle is the abrupt stop, after which others
//! find out by themselves; [`Bruit::leave`] says goodbye.
//!
//! The driver decides nothing about the protocol. What it adds: host names and a peers file, read again while
//! the node runs; a state directory; a journal; and counts of what the network refused.
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "drivers are what stands on std; one spelling reads better")]

mod builder;
mod event_loop;
mod handle;
mod hooks;

pub use bruit_driver::udp::{Direction, DriverStats, Interface, Running, Status, Traced};
pub use bruit_driver::{JoinError, JournalSettings, News, Notices, RecvError, Source, StartError, Trouble};
pub use builder::Builder;
pub use handle::Bruit;
