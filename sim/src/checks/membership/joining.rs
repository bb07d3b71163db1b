//! CM10: within the bound every member knows a joiner and the joiner knows every member, provided that one of its seeds is
//! a member; and clusters of different names never merge. (That the sides of a healed cut merge is part of CM7.) A node
//! reports an address as silent, or as one of another cluster, only if that is so.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use bruit_core::{Command, MemberChange, MemberState, Node, NodeId, Notice, Time};

use crate::base::Index;
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Violation};

/// CM10: judges each join once the bound has passed without a new disturbance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joining {
    /// The joins that are not judged yet, with their times and seeds.
    waiting: BTreeMap<Index, (Time, Vec<SocketAddr>)>,
    /// The time at which the check looks at the waiting joins again.
    next: Option<Time>,
}

impl Joining {
    fn judge(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        let again = scene.at + scene.bounds.period;
        let quiet =
            scene.world.calm().filter(|_| scene.world.indices().all(|node| self.is_reachable(node, scene)));
        let Some(calm) = quiet else {
            self.next = Some(again);
            return Ok(());
        };
        let due = |since: Time| since.max(calm) + scene.bounds.join;
        let is_due = |(_, (since, _)): &(&Index, &(Time, Vec<SocketAddr>))| due(*since) <= scene.at;
        let joiners: Vec<Index> = self.waiting.iter().filter(is_due).map(|(node, _)| *node).collect();
        for node in joiners {
            let Some((_, seeds)) = self.waiting.remove(&node) else { continue };
            let is_seed = |other: &Index| {
                let addr = scene.node(*other).map(Node::addr);
                *other != node
                    && scene.nodes.is_member(*other)
                    && addr.is_some_and(|addr| seeds.contains(&addr))
            };
            if scene.world.indices().any(|other| is_seed(&other)) {
                Self::judge_one(node, scene)?;
            }
        }
        self.next = self.waiting.values().map(|(since, _)| due(*since).max(again)).min();
        Ok(())
    }

    /// Judges what a node reports of an address through which it cannot join.
    fn judge_failure(node: Index, notice: &Notice<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        let (addr, silent) = match notice {
            Notice::SeedSilent { addr, .. } => (*addr, true),
            Notice::SeedOfOtherCluster { addr } => (*addr, false),
            _ => return Ok(()),
        };
        let Some(owner) = scene.nodes.owner(addr) else { return Ok(()) };
        let cluster = |index: Index| scene.node(index).map(|node| &node.config().cluster);
        let (Some(ours), Some(theirs)) = (cluster(node), cluster(owner)) else { return Ok(()) };
        scene.judges();
        if !silent && ours == theirs {
            let text = format!("it reports {addr} as one of another cluster, and {owner} is of its own");
            return Err(scene.violation(node, text));
        }
        let both = [node, owner].map(|index| scene.world.joined(index));
        let (Some(calm), [Some(since), Some(theirs)]) = (scene.world.calm(), both) else { return Ok(()) };
        let due = calm.max(since).max(theirs) + scene.bounds.join;
        let reachable = scene.world.is_connected(node, owner) && scene.nodes.loss_ppm() == 0;
        if silent && reachable && scene.nodes.is_member(owner) && due <= scene.at {
            let text = format!("it reports {addr} as silent, where {owner} was in reach since {since}");
            return Err(scene.violation(node, text));
        }
        Ok(())
    }

    fn is_reachable(&self, node: Index, scene: &Scene<'_>) -> bool {
        self.waiting.keys().all(|joiner| scene.world.is_connected(*joiner, node))
    }

    fn judge_one(joiner: Index, scene: &Scene<'_>) -> Result<(), Violation> {
        let (Some(_), Some(node)) = (scene.world.joined(joiner), scene.node(joiner)) else { return Ok(()) };
        let id = node.id();
        if scene.world.only(id).is_none() || !scene.nodes.is_member(joiner) {
            return Ok(());
        }
        for other in
            scene.world.indices().filter(|other| *other != joiner && scene.world.joined(*other).is_some())
        {
            let Some(theirs) = scene.node(other) else { continue };
            if scene.world.only(theirs.id()).is_none() || theirs.config().cluster != node.config().cluster {
                continue;
            }
            // A process that was started alone is a cluster of one; that it merges with the others is judged by CM7.
            if scene.nodes.live(other).len() < 2 {
                continue;
            }
            let lives = |observer: Index, id: NodeId| {
                matches!(scene.nodes.view(observer, id), Some(MemberState::Alive | MemberState::Suspect))
            };
            let bound = scene.bounds.join;
            scene.judges();
            if !lives(other, id) && !scene.world.has_vetoed(other, id) {
                let text = format!("{bound:.1?} after {id} joined it does not know {id}");
                return Err(scene.violation(other, text));
            }
            if !lives(joiner, theirs.id()) && !scene.world.has_vetoed(joiner, theirs.id()) {
                let text = format!("{bound:.1?} after its join it does not know {}", theirs.id());
                return Err(scene.violation(joiner, text));
            }
        }
        Ok(())
    }
}

impl Check<Scene<'_>> for Joining {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Command { node, command: Command::Join { seeds } } = *happening {
            self.waiting.insert(node, (scene.at, seeds.clone()));
            self.next.get_or_insert(scene.at + scene.bounds.join);
        }
        if let Happening::Crashed { node } = *happening {
            self.waiting.remove(&node);
        }
        if let Happening::Notice { node, notice } = *happening {
            Self::judge_failure(node, notice, scene)?;
        }
        if let Some((observer, MemberChange::Up, member)) = change(happening) {
            let cluster = |index: Index| scene.node(index).map(|node| &node.config().cluster);
            let theirs = scene.world.only(member.id).and_then(cluster);
            if let (Some(ours), Some(theirs)) = (cluster(observer), theirs)
                && ours != theirs
            {
                let text = format!("{} of cluster {theirs} is a member of its cluster {ours}", member.id);
                return Err(scene.violation(observer, text));
            }
        }
        if self.next.is_some_and(|next| next <= scene.at) { self.judge(scene) } else { Ok(()) }
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        self.judge(scene)
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{Fixture, config, node};
    use bruit_core::{Config, MemberChange, Notice, virtual_addr};

    #[test]
    fn a_joiner_that_one_member_does_not_know_is_found() {
        let mut history = Fixture::new(3, "CM10");
        history.acquainted();
        let bound = history.bounds().join;
        history.after(bound).ends().is_silent();
        history.starts(node(4, 1, config())).acquainted().tells(1, MemberChange::Forgotten, 4, 0);
        let bound = history.bounds().join;
        history.after(bound).ends().fires("does not know n4");
    }

    #[test]
    fn a_joiner_that_does_not_know_all_members_is_found() {
        let mut history = Fixture::new(3, "CM10");
        history.acquainted().tells(2, MemberChange::Forgotten, 1, 0);
        let bound = history.bounds().join;
        history.after(bound).ends().fires("does not know n1");
    }

    #[test]
    fn clusters_of_different_names_that_merge_are_found() {
        let mut history = Fixture::new(2, "CM10");
        history.starts(node(3, 1, Config::lan("another"))).tells(0, MemberChange::Up, 2, 0).is_silent();
        history.tells(0, MemberChange::Up, 3, 0).fires("n3 of cluster another");
    }

    /// Two processes of one cluster, and a third of another one.
    fn two_clusters() -> Fixture {
        let mut history = Fixture::new(2, "CM10");
        history.starts(node(3, 1, Config::lan("another")));
        history
    }

    #[test]
    fn an_address_of_the_own_cluster_that_is_reported_as_one_of_another_is_found() {
        let of = |id| Notice::SeedOfOtherCluster { addr: virtual_addr(id) };
        two_clusters().notices(0, &of(3)).is_silent();
        two_clusters().notices(0, &of(2)).fires("as one of another cluster");
    }

    #[test]
    fn an_address_in_reach_that_is_reported_as_silent_is_found() {
        let notice = Notice::SeedSilent { addr: virtual_addr(2), tries: 3 };
        let mut history = two_clusters();
        history.notices(0, &notice).is_silent();
        let bound = history.bounds().join;
        history.after(bound).notices(0, &notice).fires("as silent, where");
    }

    #[test]
    fn a_join_is_not_judged_before_the_bound_nor_across_a_cut() {
        let mut history = Fixture::new(3, "CM10");
        history.ends().cut(0, 1);
        let bound = history.bounds().join;
        history.after(bound).ends().is_silent();
    }
}
