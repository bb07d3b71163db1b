//! Pings that this node relays for other members (SWIM §3.1), and the nacks that show that this node is reachable
//! (Lifeguard §IV-A).

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::table::Entry;
use super::{Membership, Source, Timer, send};
use crate::context::Ctx;
use crate::id::NodeId;
use crate::limits::RELAYS_MAX;
use crate::reconcile::Partner;
use crate::time::Time;
use crate::wire::{Nack, PingReq, RelayedAck};

/// The relayed pings that are not forgotten yet; the oldest is the first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Relays {
    open: VecDeque<Relay>,
}

/// A ping that another member has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Relay {
    /// The sequence number of the ping to the target.
    seq: u32,
    target: NodeId,
    asker: Partner,
    /// The sequence number of the asker's ping-req.
    asker_seq: u32,
    /// The time of the nack; after the nack the time at which the relay is forgotten.
    due: Time,
    nacked: bool,
}

impl Relays {
    /// The time at which the next relay is due.
    fn next_due(&self) -> Option<Time> {
        self.open.iter().map(|relay| relay.due).min()
    }

    /// Removes and returns the relay that the target's ack with this number answers.
    fn take_answered(&mut self, seq: u32, target: NodeId) -> Option<Relay> {
        let place = self.open.iter().position(|relay| (relay.seq, relay.target) == (seq, target))?;
        self.open.remove(place)
    }

    /// Calls `nack` with the asker and its number for each relay whose target has not answered in time, and keeps the relay
    /// until `forget_at` for a late ack. Forgets the relays whose time for that is over.
    fn on_due(&mut self, now: Time, forget_at: Time, mut nack: impl FnMut(Partner, u32)) {
        self.open.retain(|relay| !relay.nacked || relay.due > now);
        for relay in self.open.iter_mut().filter(|relay| relay.due <= now) {
            relay.nacked = true;
            relay.due = forget_at;
            nack(relay.asker, relay.asker_seq);
        }
    }
}

impl Membership {
    /// Pings the target of a ping-req in the asker's place, at the address that this node holds for it.
    pub(super) fn on_ping_req(&mut self, source: &Source, asked: PingReq, cx: &mut Ctx<'_>) {
        let PingReq { seq: asker_seq, target } = asked;
        if self.prober.relays.open.len() >= RELAYS_MAX {
            cx.stats.ignored_relays_full += 1;
            return;
        }
        let seq = self.prober.next_seq();
        let due = cx.now + cx.config.membership.probe_timeout * 4 / 5;
        let relay = Relay { seq, target, asker: source.partner(), asker_seq, due, nacked: false };
        self.prober.relays.open.push_back(relay);
        self.arm_relays(cx);
        self.ping_member(target, seq, cx);
    }

    fn arm_relays(&mut self, cx: &Ctx<'_>) {
        match self.prober.relays.next_due() {
            Some(due) => self.deadlines.arm(Timer::Relay, due, cx.now),
            None => self.deadlines.cancel(Timer::Relay),
        }
    }

    /// Sends a nack for each relayed ping whose target has not answered in time, and forgets those that were nacked a probe
    /// interval ago.
    pub(super) fn on_relay_due(&mut self, cx: &mut Ctx<'_>) {
        let (now, forget_at) = (cx.now, cx.now + cx.config.membership.probe_interval);
        self.prober.relays.on_due(now, forget_at, |asker, seq| {
            send(asker.addr, asker.id, &[Nack { seq }.into()], cx);
        });
        self.arm_relays(cx);
    }

    /// Relays the target's ack to the member that has asked for the ping.
    pub(super) fn answer_relay(&mut self, source: &Source, seq: u32, cx: &mut Ctx<'_>) {
        let Some(relay) = self.prober.relays.take_answered(seq, source.sender) else { return };
        self.arm_relays(cx);
        // The ack of an unknown target proves no more than its id; the incarnation of a known target is in the table.
        let Some(incarnation) = self.table.get(source.sender).map(Entry::incarnation) else { return };
        let ack = RelayedAck { seq: relay.asker_seq, author: source.sender, incarnation };
        send(relay.asker.addr, relay.asker.id, &[ack.into()], cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_relay_is_nacked_once_and_kept_for_a_late_ack() {
        let asker = Partner { id: NodeId(1), addr: "10.0.0.1:7".parse().expect("an address") };
        let at = Time::from_millis;
        let relay = Relay { seq: 5, target: NodeId(2), asker, asker_seq: 9, due: at(80), nacked: false };
        let mut relays = Relays { open: [relay, Relay { seq: 6, ..relay }].into() };
        let mut nacks = |now, forget_at| {
            let mut nacks = Vec::new();
            relays.on_due(at(now), at(forget_at), |asker, seq| nacks.push((asker.id, seq)));
            nacks
        };
        assert_eq!(nacks(79, 1_079), []);
        assert_eq!(nacks(80, 1_080), [(NodeId(1), 9), (NodeId(1), 9)]);
        assert_eq!(nacks(500, 1_500), []);
        assert_eq!(relays.take_answered(5, NodeId(3)), None, "another member has acked");
        assert!(relays.take_answered(5, NodeId(2)).is_some(), "late, but in time for the asker");
        relays.on_due(at(1_080), at(2_080), |_, seq| panic!("{seq} was nacked before"));
        assert_eq!(relays.next_due(), None);
    }
}
