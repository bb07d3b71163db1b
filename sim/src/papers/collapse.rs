//! Many members crash at once in the middle of a stream of broadcasts: what the survivors still owe each other, and
//! how soon they have it.

use core::time::Duration;

use bruit_core::{MessageId, Time};
use std::collections::BTreeMap;

use super::listener::{self, Listener, UNCHECKED};
use crate::cluster::Index;
use crate::kernel::Sim;
use crate::random::Random;

/// From one message to the next.
const EVERY: Duration = Duration::from_millis(100);
/// Messages before the crash, the last one at that moment; as many follow it.
const MESSAGES: u32 = 20;
/// How long stragglers are waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the survivors made of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aftermath {
    pub(super) survivors: usize,
    pub(super) messages: usize,
    /// (message, survivor) pairs without a delivery, of messages that any survivor has.
    pub(super) missing: usize,
    /// The longest time from the first survivor that had a message, or from the crash if that is later, to the last
    /// one: over the messages said before the crash, and over those said after it.
    pub(super) slowest: [Duration; 2],
    /// Deliveries that took longer than what was promised, in the same sense.
    pub(super) late: usize,
}

/// Crashes `percent` of the members.
pub(super) fn collapse(sim: &mut Sim<Listener>, percent: usize, seed: u64, promised: Duration) -> Aftermath {
    let mut random = Random::new(seed, 0x434f, 0);
    let mut members: Vec<Index> = sim.cluster().running().collect();
    random.shuffle(&mut members);
    let survivors = members.split_off(members.len() * percent / 100);
    listener::forget(sim);
    let mut said: Vec<(Time, MessageId)> = Vec::new();
    for number in 1..=MESSAGES {
        // Those who are about to crash speak as well.
        let speaker = if number % 3 == 0 { &members } else { &survivors };
        let speaker = speaker[random.position(speaker.len())];
        said.push((sim.now(), listener::say(sim, speaker, vec![b'x'; 64], None)));
        if number < MESSAGES {
            sim.run_for(EVERY).expect(UNCHECKED);
        }
    }
    sim.run_for(EVERY / 10).expect(UNCHECKED);
    members.iter().for_each(|index| sim.crash(*index).expect(UNCHECKED));
    let crashed = sim.now();
    for _ in 0..MESSAGES {
        let speaker = survivors[random.position(survivors.len())];
        said.push((sim.now(), listener::say(sim, speaker, vec![b'y'; 64], None)));
        sim.run_for(EVERY).expect(UNCHECKED);
    }
    sim.run_for(PATIENCE).expect(UNCHECKED);
    aftermath(sim, &survivors, &said, crashed, promised)
}

fn aftermath(
    sim: &Sim<Listener>,
    survivors: &[Index],
    said: &[(Time, MessageId)],
    crashed: Time,
    promised: Duration,
) -> Aftermath {
    let mut courses: BTreeMap<MessageId, Vec<Time>> = BTreeMap::new();
    for listener in survivors.iter().filter_map(|index| sim.cluster().process(*index)) {
        for heard in &listener.heard {
            courses.entry(heard.id).or_default().push(heard.at);
        }
    }
    let (mut missing, mut late, mut slowest) = (0, 0, [Duration::ZERO; 2]);
    for (at, id) in said {
        let Some(times) = courses.get(id) else { continue };
        missing += survivors.len() - times.len();
        let first = times.iter().copied().fold(Time::MAX, Time::min).max(crashed);
        let slowest = &mut slowest[usize::from(*at >= crashed)];
        for time in times {
            *slowest = (*slowest).max(time.since(first));
            late += usize::from(time.since(first) > promised);
        }
    }
    Aftermath { survivors: survivors.len(), messages: courses.len(), missing, slowest, late }
}
