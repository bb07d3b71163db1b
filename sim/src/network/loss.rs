//! Random loss of datagrams: each by itself, or in bursts. The state of a burst belongs to a link.

use super::link::Profile;
use crate::base::{Index, Lookup, Random};

/// Whether each link with bursts is in a burst now.
#[derive(Clone, Debug, Default)]
pub(super) struct Bursts {
    bad: Lookup<(u32, u32), bool>,
}

impl Bursts {
    pub(super) fn loses(&mut self, profile: &Profile, from: Index, to: Index, random: &mut Random) -> bool {
        let Some(burst) = profile.burst else { return profile.loss.hits(random.next_u64()) };
        let first = match self.bad.get(&(from.0, to.0)) {
            Some(_) => false,
            None => profile.loss.hits(random.next_u64()),
        };
        let bad = self.bad.entry((from.0, to.0), first);
        let draw = random.next_u64();
        *bad = if *bad { !burst.end.hits(draw) } else { burst.begin.hits(draw) };
        *bad
    }
}
