//! The methods that the handle of every UDP driver has: all that need not wait for other members.

use std::time::Duration;

/// A leave waits for the node's own end of it for this time beyond its `within`.
pub const LEAVE_SLACK: Duration = Duration::from_secs(1);
/// A handle waits this long for the end of a ping. A ping makes three tries 100 ms apart, so it ends long before.
pub const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Defines the methods of a driver's handle that need not wait for other members. The handle's type has a field
/// `shared: Arc<Shared<_>>`, a type `Views` in scope is made of it, and its crate re-exports
/// [`exports`](crate::udp::exports) at its root.
///
/// A macro defines them because they then stand in the documentation of each handle itself.
#[macro_export]
macro_rules! handle_methods {
    () => {
        /// The address that the socket is bound to; unspecified if it was bound to every address. The address that
        /// the member announces is [`Node::addr`](crate::Node::addr).
        #[must_use]
        pub fn local_addr(&self) -> std::net::SocketAddr {
            self.shared.local_addr()
        }

        /// The member's id.
        #[must_use]
        pub fn id(&self) -> $crate::core::NodeId {
            self.read($crate::core::Node::id)
        }

        /// The clock that the node is driven by. Times of [`read`](Self::read) and of traces are on this clock.
        #[must_use]
        pub fn clock(&self) -> $crate::Clock {
            self.shared.clock()
        }

        /// Starts the node and joins the cluster through these members, given as addresses or `host:port`.
        ///
        /// It returns at once; [`joined`](Self::joined) waits. You can join through any member. Seeds are retried
        /// forever, names are looked up again while the node runs, and listing yourself is harmless, so every node
        /// can have the same list. The first node of a cluster may give no seed.
        ///
        /// The node starts once every name is looked up and the peers file is read, after `membership.join_wait` at
        /// the latest, so that it can ask whether its name is in use. Until then it takes other seeds, addresses and
        /// metadata, refuses all else with [`Rejected::NotJoined`](crate::Rejected::NotJoined), and may leave.
        ///
        /// # Errors
        /// A seed is not `host:port`, there are too many, or the node is leaving or has stopped.
        pub fn join(&self, seeds: impl IntoIterator<Item = impl ToString>) -> Result<(), $crate::JoinError> {
            self.shared.join(seeds)
        }

        /// Sends a broadcast to every member, this one included, in the way that `broadcast.first` says.
        ///
        /// # Errors
        /// The node refuses: it has not been in contact with a member yet, too much waits to be sent, the payload or
        /// the topic is too long, or the topic is reserved.
        pub fn broadcast(
            &self,
            topic: impl Into<String>,
            payload: impl Into<Vec<u8>>,
        ) -> Result<$crate::core::MessageId, $crate::core::Rejected> {
            self.submit($crate::core::Broadcast::new(topic, payload))
        }

        /// Sends a broadcast with options: delivery reports, or a first phase of its own.
        ///
        /// # Errors
        /// The node refuses as for [`broadcast`](Self::broadcast), or because too many reports are open.
        pub fn submit(
            &self,
            broadcast: $crate::core::Broadcast,
        ) -> Result<$crate::core::MessageId, $crate::core::Rejected> {
            match self.command($crate::core::Command::Broadcast(broadcast))? {
                $crate::core::Answer::Sent(id) => Ok(id),
                other => unreachable!("a broadcast is answered with its id, not with {other:?}"),
            }
        }

        /// The broadcasts of a topic that this node still keeps, the newest first. It is for a reader that has missed
        /// notices, or that comes late.
        #[must_use]
        pub fn recent(&self, topic: &str) -> Vec<($crate::core::MessageId, Vec<u8>)> {
            self.read(|node| node.recent(topic).map(|(id, payload)| (id, payload.to_vec())).collect())
        }

        /// The members of the local view, ordered by id: also those that are Down or Left, until they are forgotten. See
        /// [`live_members`](Self::live_members).
        #[must_use]
        pub fn members(&self) -> Vec<$crate::core::Member<'static>> {
            self.read(|node| node.members().map($crate::core::Member::into_owned).collect())
        }

        /// The members that can be used, this one included, ordered by id: those that are Alive or Suspect.
        #[must_use]
        pub fn live_members(&self) -> Vec<$crate::core::Member<'static>> {
            self.read(|node| node.live_members().map($crate::core::Member::into_owned).collect())
        }

        /// This member as the others see it, once it has its name; `None` before.
        #[must_use]
        pub fn me(&self) -> Option<$crate::core::Member<'static>> {
            self.read(|node| node.me().map($crate::core::Member::into_owned))
        }

        /// The member of the local view with this id, in whatever state.
        #[must_use]
        pub fn member(&self, id: $crate::core::NodeId) -> Option<$crate::core::Member<'static>> {
            self.read(|node| node.member(id).map($crate::core::Member::into_owned))
        }

        /// The member of the local view with this name, in whatever state; a live one is preferred.
        #[must_use]
        pub fn member_by_name(&self, name: &str) -> Option<$crate::core::Member<'static>> {
            self.read(|node| node.member_by_name(name).map($crate::core::Member::into_owned))
        }

        /// The whole local view at this moment, as an immutable value that is shared by all who ask for it.
        #[must_use]
        pub fn view(&self) -> std::sync::Arc<$crate::View> {
            self.shared.lock().view()
        }

        /// The local views, one after the other: the present one, and a new one after each change of a member.
        #[must_use]
        pub fn views(&self) -> Views {
            Views::new(std::sync::Arc::clone(&self.shared))
        }

        /// Replaces the own metadata, which every member sees; at most 512 bytes.
        ///
        /// # Errors
        /// The metadata is too long, or the node has not started or has stopped.
        pub fn set_meta(&self, meta: impl Into<Vec<u8>>) -> Result<(), $crate::core::Rejected> {
            self.command($crate::core::Command::SetMeta(meta.into())).map(drop)
        }

        /// Replaces all own tags, such as `[("role", "db")]`, which every member sees; see [`Tags`](crate::Tags) for the
        /// limits.
        ///
        /// # Errors
        /// A tag cannot be written, the tags are too long, or the node has not started or has stopped.
        pub fn set_tags(
            &self,
            tags: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
        ) -> Result<(), $crate::core::Rejected> {
            let tags = tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
            self.command($crate::core::Command::SetTags(tags)).map(drop)
        }

        /// Gives the node a command, and returns its answer. Whatever follows later is told by a notice.
        ///
        /// # Errors
        /// The node refuses the command, or has stopped.
        pub fn command(
            &self,
            command: $crate::core::Command,
        ) -> Result<$crate::core::Answer, $crate::core::Rejected> {
            self.shared.command(command)
        }

        /// Calls `read` with the node, for everything that the handle has no method for. The node waits meanwhile, so
        /// `read` must be short.
        ///
        /// # Panics
        /// `read` calls a method of the handle: it would wait for itself.
        pub fn read<R>(&self, read: impl FnOnce(&$crate::core::Node) -> R) -> R {
            self.shared.read(read)
        }

        /// The node's counters.
        #[must_use]
        pub fn stats(&self) -> $crate::core::Stats {
            self.read(|node| *node.stats())
        }

        /// The driver's counters: errors of the operating system, and notices that were not read in time.
        #[must_use]
        pub fn driver_stats(&self) -> $crate::udp::DriverStats {
            self.shared.stats()
        }

        /// The node's phase, its address and a few numbers, all from one moment.
        #[must_use]
        pub fn status(&self) -> $crate::udp::Status {
            $crate::udp::Status::of(&self.shared.lock())
        }

        /// The phase of the node's life cycle: idle, running, leaving, left or ended.
        #[must_use]
        pub fn phase(&self) -> $crate::core::Phase {
            self.read($crate::core::Node::phase)
        }

        /// True if the node takes no more commands: it was stopped, or a bug ended it.
        #[must_use]
        pub fn is_stopped(&self) -> bool {
            self.shared.lock().is_stopped()
        }

        /// The host names in use and the entries of the peers file, with the addresses found for each.
        #[must_use]
        pub fn sources(&self) -> Vec<$crate::Source> {
            self.shared.sources()
        }

        /// Calls `show` with every datagram, sent or received, that carries a message of one of these kinds.
        ///
        /// It replaces the function of an earlier call; a call without kinds ends the tracing. `show` runs on the thread
        /// that sends or receives, so it must be quick.
        pub fn trace(
            &self,
            kinds: impl IntoIterator<Item = $crate::core::wire::Kind>,
            show: impl Fn(&$crate::udp::Traced<'_>) + Send + Sync + 'static,
        ) {
            self.shared.set_trace(kinds, show);
        }
    };
}
