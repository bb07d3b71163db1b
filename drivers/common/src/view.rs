//! The local view as a value: all members at one moment, shared by everybody who looks at them.

use bruit_core::{Member, Node, NodeId};

/// The members of the local view at one moment. It never changes; a later view is another value.
///
/// It holds what [`Notice::Member`](bruit_core::Notice::Member) has reported: the members with their states, addresses, names,
/// zones, metadata, tags and boots. The incarnation of a member is that of its last reported change.
#[derive(Debug)]
pub struct View {
    version: u64,
    me: NodeId,
    members: Vec<Member<'static>>,
}

impl View {
    pub(crate) fn of(node: &Node, version: u64) -> Self {
        Self { version, me: node.id(), members: node.members().map(Member::into_owned).collect() }
    }

    /// The number of changes of members, of any kind, that came before this view.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// All members, ordered by id: also those that are Down or Left, until they are forgotten.
    #[must_use]
    pub fn members(&self) -> &[Member<'static>] {
        &self.members
    }

    /// The members that can be used, this one included, ordered by id: those that are Alive or Suspect.
    pub fn live_members(&self) -> impl Iterator<Item = &Member<'static>> {
        self.members.iter().filter(|member| member.state.is_live())
    }

    /// This member as the others see it, once it has its name; `None` before.
    #[must_use]
    pub fn me(&self) -> Option<&Member<'static>> {
        self.member(self.me)
    }

    /// The member with this id, in whatever state.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<&Member<'static>> {
        let place = self.members.binary_search_by_key(&id, |member| member.id);
        place.ok().map(|place| &self.members[place])
    }

    /// The member with this name, in whatever state; a live one is preferred.
    #[must_use]
    pub fn member_by_name(&self, name: &str) -> Option<&Member<'static>> {
        let of_name = self.members.iter().filter(|member| member.name == name);
        of_name.min_by_key(|member| !member.state.is_live())
    }
}
