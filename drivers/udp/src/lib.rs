//! [bruit](core) over UDP, for programs without an async runtime: one socket, one thread, one handle.
//!
//! ```no_run
//! use bruit_udp::{Bruit, Config};
//!
//! let (bruit, notices) = Bruit::bind("0.0.0.0:7000", "web-1", Config::lan("shop"))?;
//! bruit.join(["web-2.internal:7000", "web-3.internal:7000"])?;
//! for notice in notices {
//!     println!("{notice:?}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Bruit::broadcast`] sends a message to all members, each of which receives it as a [`Notice::Delivered`].
//!
//! A command is answered in the call that gives it: the calling thread steps the node under a mutex and sends the
//! datagrams that come out. [`Bruit::read`] gives access to everything else that the node knows. [`Bruit::leave`]
//! leaves the cluster in good order; dropping the last handle is like a crash to the others.
//!
//! The driver decides nothing about the protocol. It adds host names and a peers file, both read again while the node
//! runs; a state directory; a journal; and counters of what the operating system refused.
#![forbid(unsafe_code)]
#![expect(clippy::std_instead_of_core, reason = "drivers are built on std, and one spelling reads better")]

mod builder;
mod event_loop;
mod handle;
mod views;
mod wake;

pub use bruit_driver::Notices;
pub use bruit_driver::udp::exports::*;
pub use builder::Builder;
pub use handle::Bruit;
pub use views::Views;
