//! Machines and networks: disks, inboxes, late ticks, narrow links, small faults and early ones.

use core::time::Duration;

use bruit_core::broadcast::PersistSeen;

use super::Wide;
use crate::base::Index;
use crate::kernel::{Memory, Op, Release};
use crate::network::{Cut, InFlight, Link, PairLink};

impl Wide {
    /// Disks refuse all writes for a while. The members persist what they have delivered, so that there are writes.
    pub(super) fn disk_failures(&mut self) {
        if self.plan.broadcast.persist_seen == PersistSeen::Never {
            let interval = self.millis(100, 2_000);
            let settings = [PersistSeen::BeforeDelivery, PersistSeen::Every(interval)];
            self.plan.broadcast.persist_seen = settings[self.random().position(2)];
        }
        for _ in 0..self.number(1, 3) {
            let lasts = self.millis(1_000, 15_000);
            let Some((node, at)) = self.drawing.idle(lasts) else { continue };
            self.act(at, Op::Disk { node, fails: true });
            self.act(at + lasts, Op::Disk { node, fails: false });
            let said = at + lasts / 3;
            self.broadcast(said, node, 100);
            if self.random().chance(300_000) {
                let (crash, back) = (at + lasts / 2, self.millis(1, 400));
                self.act(crash, Op::Crash { node });
                self.act(crash + back, Op::Restart { node, memory: Memory::Disk });
            }
        }
    }

    fn broadcast(&mut self, at: Duration, node: Index, bytes: u32) {
        let (topic, text, report) = (String::new(), None, None);
        self.act(at, Op::Broadcast { node, topic, text, bytes, count: 1, report });
    }

    pub(super) fn short_pause(&mut self) {
        let lasts = Duration::from_millis(200);
        let Some((node, at)) = self.drawing.idle(lasts) else { return };
        self.act(at, Op::Pause { node });
        self.act(at + lasts, Op::Resume { node, release: Release::InboxFirst });
    }

    /// A crash, a pause and a cut in the first seconds.
    pub(super) fn early_faults(&mut self) {
        let mut nodes: Vec<Index> = (0..self.plan.nodes).map(Index).collect();
        self.random().shuffle(&mut nodes);
        let times = [0, 1, 2].map(|_| (self.millis(10, 1_500), self.millis(100, 1_500)));
        let [(crash, down), (pause, paused), (cut, cut_off)] = times;
        if self.drawing.reserve(nodes[0], crash, crash + down) {
            self.act(crash, Op::Crash { node: nodes[0] });
            self.act(crash + down, Op::Restart { node: nodes[0], memory: Memory::Disk });
        }
        if self.drawing.reserve(nodes[1], pause, pause + paused) {
            self.act(pause, Op::Pause { node: nodes[1] });
            self.act(pause + paused, Op::Resume { node: nodes[1], release: Release::Random });
        }
        let shape = Cut::Isolate { nodes: vec![nodes[2 % nodes.len()]] };
        self.cut(cut, shape, cut_off);
    }

    fn cut(&mut self, at: Duration, cut: Cut, lasts: Duration) {
        let (in_flight, lasts) = (InFlight::Drop, Some(lasts));
        self.act(at, Op::Cut { cut, in_flight, flap: None, lasts, gray: None });
    }

    pub(super) fn many_splits(&mut self) {
        for _ in 0..self.number(1, 3) {
            let mut nodes: Vec<Index> = (0..self.plan.nodes).map(Index).collect();
            self.random().shuffle(&mut nodes);
            let groups = self.number(2, 3).min(self.plan.nodes - 1);
            let size = nodes.len() / (groups as usize + 1);
            let groups = nodes.chunks(size.max(1)).take(groups as usize).map(<[Index]>::to_vec);
            let (groups, lasts) = (groups.collect(), self.millis(3_000, 15_000));
            let at = self.drawing.moment(lasts);
            self.cut(at, Cut::Split { groups }, lasts);
        }
    }

    pub(super) fn long_late_ticks(&mut self) {
        for _ in 0..self.number(1, 2) {
            // Early in the run, so that it has time to have an effect.
            let (node, at) = (self.drawing.node(), self.millis(1_500, 4_000));
            let by = self.millis(500, 3_000);
            self.act(at, Op::LateTicks { node, by });
        }
    }

    /// All links, or some of them, do not carry the pieces of long payloads.
    pub(super) fn narrow_links(&mut self) {
        let mtu = self.number(500, 1_000);
        let all = self.random().chance(500_000);
        if all {
            self.plan.network.link.mtu = mtu;
        } else {
            let link = Link { mtu, ..self.plan.network.link.clone() };
            let narrow = self.drawing.node();
            for other in (0..self.plan.nodes).map(Index).filter(|other| *other != narrow) {
                for (from, to) in [(narrow, other), (other, narrow)] {
                    self.plan.network.links.push(PairLink { from, to, link: link.clone() });
                }
            }
        }
        for _ in 0..3 {
            let (node, at) = (self.drawing.node(), self.drawing.moment(Duration::from_secs(2)));
            let bytes = self.number(2_000, 6_000);
            self.broadcast(at, node, bytes);
        }
    }

    /// A member with a small inbox is paused while others broadcast.
    pub(super) fn full_inboxes(&mut self) {
        let lasts = self.millis(4_000, 9_000);
        let Some((node, at)) = self.drawing.idle(lasts) else { return };
        let bytes = self.number(150, 1_000);
        let others = self.plan.nodes - 1;
        self.act(at, Op::Inbox { node, bytes });
        self.act(at + Duration::from_millis(1), Op::Pause { node });
        for turn in 1..4 {
            let other = Index((node.0 + self.number(1, others)) % self.plan.nodes);
            self.broadcast(at + lasts * turn / 4, other, 1_500);
        }
        self.act(at + lasts, Op::Resume { node, release: Release::Random });
    }
}
