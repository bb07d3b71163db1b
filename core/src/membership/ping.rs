//! Pings that the application asks for.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::join::must_be_reachable;
use super::{Membership, Timer, send};
use crate::action::Notice;
use crate::command::Answer;
use crate::context::Ctx;
use crate::error::{Field, Rejected};
use crate::id::{NodeId, PingId};
use crate::limits::PINGS_MAX;
use crate::time::Time;
use crate::wire;

/// The number of tries of one ping.
const TRIES: u8 = 3;
/// The time between the tries.
const PAUSE: Duration = Duration::from_millis(100);

/// The pings of the application that have not ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pings {
    open: Vec<Ping>,
    serial: u64,
}

/// A ping that the application has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ping {
    ping: PingId,
    id: NodeId,
    addr: SocketAddr,
    tries: u8,
    /// The sequence number of the first try; later tries use the numbers after it.
    seq: u32,
    /// The time of each try.
    sent: [Time; TRIES as usize],
}

/// The next step of a ping that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The ping is tried again.
    Send { id: NodeId, addr: SocketAddr, seq: u32, last: bool },
    /// The ping has failed.
    Fail { ping: PingId, id: NodeId },
}

impl Pings {
    /// The next step of the ping with this serial number; `None` if the ping has ended.
    fn step(&mut self, serial: u64, now: Time) -> Option<Step> {
        let place = self.open.iter().position(|ping| ping.ping.0 == serial)?;
        let ping = &mut self.open[place];
        if ping.tries == TRIES {
            let Ping { ping, id, .. } = self.open.swap_remove(place);
            return Some(Step::Fail { ping, id });
        }
        let seq = ping.seq.wrapping_add(ping.tries.into());
        ping.sent[usize::from(ping.tries)] = now;
        ping.tries += 1;
        Some(Step::Send { id: ping.id, addr: ping.addr, seq, last: ping.tries == TRIES })
    }

    /// Removes the ping that this ack answers, and returns it with the time since the try with this number.
    fn take_answered(&mut self, author: NodeId, seq: u32, now: Time) -> Option<(PingId, Duration)> {
        let matches = |ping: &Ping| ping.id == author && seq.wrapping_sub(ping.seq) < ping.tries.into();
        let place = self.open.iter().position(matches)?;
        let Ping { ping, seq: first, sent, .. } = self.open.swap_remove(place);
        Some((ping, now.since(sent[seq.wrapping_sub(first) as usize])))
    }
}

impl Membership {
    /// Starts a ping of the application. It ends with a notice: `Pong` or `PingFailed`.
    pub(crate) fn ping(
        &mut self,
        id: NodeId,
        addr: SocketAddr,
        cx: &mut Ctx<'_>,
    ) -> Result<Answer, Rejected> {
        self.must_run()?;
        if id == self.own.id {
            return Err(Rejected::Oneself);
        }
        must_be_reachable(addr)?;
        let len = self.prober.pings.open.len() + 1;
        if len > PINGS_MAX {
            return Err(Rejected::TooMany { what: Field::Pings, len, max: PINGS_MAX });
        }
        let seq = self.prober.next_seqs(TRIES);
        let pings = &mut self.prober.pings;
        pings.serial += 1;
        let ping = PingId(pings.serial);
        pings.open.push(Ping { ping, id, addr, tries: 0, seq, sent: [cx.now; TRIES as usize] });
        self.on_ping_due(ping.0, cx);
        Ok(Answer::Pinging(ping))
    }

    /// Sends the next try of an application's ping, or reports that the ping has failed.
    pub(super) fn on_ping_due(&mut self, serial: u64, cx: &mut Ctx<'_>) {
        match self.prober.pings.step(serial, cx.now) {
            None => {}
            Some(Step::Fail { ping, id }) => cx.out.notify(Notice::PingFailed { ping, id }),
            Some(Step::Send { id, addr, seq, last }) => {
                let pause = if last { PAUSE.max(cx.config.membership.probe_timeout) } else { PAUSE };
                self.deadlines.arm(Timer::Ping(serial), cx.now + pause, cx.now);
                let ping = wire::Ping { seq, roots: self.roots(cx) };
                send(addr, id, &[ping.into()], cx);
            }
        }
    }

    /// Reports to the application that its pings have failed, because the node stops.
    pub(super) fn fail_pings(&mut self, cx: &mut Ctx<'_>) {
        for Ping { ping, id, .. } in core::mem::take(&mut self.prober.pings.open) {
            cx.out.notify(Notice::PingFailed { ping, id });
        }
    }

    /// Reports to the application that its ping was answered, if this ack answers one.
    pub(super) fn answer_ping(&mut self, id: NodeId, seq: u32, cx: &mut Ctx<'_>) {
        if let Some((ping, round_trip)) = self.prober.pings.take_answered(id, seq, cx.now) {
            self.deadlines.cancel(Timer::Ping(ping.0));
            cx.out.notify(Notice::Pong { ping, id, round_trip });
        }
    }
}
