//! The events that go into a node. Plain data.

use core::net::SocketAddr;

use crate::command::Command;
use crate::id::Slot;

/// An event outside the node, given to [`Node::handle_into`](crate::Node::handle_into).
///
/// The enum is exhaustive on purpose: a driver produces every kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A datagram arrived. Any bytes from any source are fine: the node checks and counts them
    /// ([`Stats`](crate::Stats)), and never panics.
    Datagram {
        /// The source address that the socket reported.
        from: SocketAddr,
        /// The whole payload of the datagram.
        bytes: &'a [u8],
    },
    /// Time has passed. Only a tick fires deadlines, all that are due. Late and needless ticks are normal.
    Tick,
    /// The application requests something. The same call answers it with exactly one
    /// [`Action::Answer`](crate::Action::Answer).
    Command(Command),
    /// The write that an [`Action::Store`](crate::Action::Store) asked for is durable now. A driver without a disk
    /// never sends it.
    ///
    /// ```
    /// use bruit_core::broadcast::PersistSeen;
    /// use bruit_core::{Action, Boot, Broadcast, Command, Config, Event, Node, NodeId, Notice, Time};
    ///
    /// let mut config = Config::lan("docs");
    /// config.broadcast.persist_seen = PersistSeen::BeforeDelivery;
    /// let boot = Boot::new(NodeId::from_name("web-1"), "web-1", "127.0.0.1:7000".parse()?, 1, [7; 32]);
    /// let mut node = Node::new(boot, config, Time::ZERO)?;
    /// node.handle(Event::Command(Command::Join { seeds: vec![] }), Time::ZERO);
    ///
    /// // The message is not delivered here before the set that contains it is on the disk.
    /// let message = Broadcast::new("news", "hello");
    /// let actions = node.handle(Event::Command(Command::Broadcast(message)), Time::ZERO);
    /// let stored = actions.into_iter().find_map(|action| match action {
    ///     Action::Store { slot, serial, bytes } => {
    ///         assert!(!bytes.is_empty()); // write and sync them here
    ///         Some(Event::Stored { slot, serial })
    ///     }
    ///     _ => None,
    /// });
    /// let actions = node.handle(stored.expect("the set is to be written"), Time::from_millis(5));
    /// let is_delivery = |action: &Action<'_>| matches!(action, Action::Notify(Notice::Delivered { .. }));
    /// assert!(actions.iter().any(is_delivery));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Stored {
        /// The slot that was written.
        slot: Slot,
        /// The serial that the action carried.
        serial: u64,
    },
    /// New randomness from the operating system. It answers [`Action::Reseed`](crate::Action::Reseed), and a driver that
    /// resumes a serialised node **always** gives it before any other event: the bytes may have been resumed elsewhere,
    /// too. The node draws a new boot number from it and moves to a new epoch (rule A2c).
    Seed([u8; 32]),
}
