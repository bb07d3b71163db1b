//! Many members crash at once during a stream of broadcasts. The experiment measures which messages the surviving members
//! miss, and how soon they get the others.

use core::time::Duration;

use bruit_core::{MessageId, Time};
use std::collections::BTreeMap;

use super::recorder::{self, Recorder, UNCHECKED};
use bruit_sim::{Index, Random, Sim};

/// The time from one message to the next.
const EVERY: Duration = Duration::from_millis(100);
/// The number of messages before the crash, the last of which is sent shortly before it; as many follow.
const MESSAGES: u32 = 20;
/// The time to wait for late deliveries.
const PATIENCE: Duration = Duration::from_secs(20);

/// The result for the surviving members.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aftermath {
    pub(super) survivors: usize,
    pub(super) messages: usize,
    /// The deliveries that are missing, of messages that any surviving member has.
    pub(super) missing: usize,
    /// The greatest time from the first delivery of a message at a surviving member, or from the crash if that is later,
    /// to the last one: of the messages sent before the crash, and of those sent after it.
    pub(super) slowest: [Duration; 2],
    /// The deliveries that took longer than promised, measured likewise.
    pub(super) late: usize,
}

/// Crashes `percent` of the members during a stream of broadcasts.
pub(super) fn collapse(sim: &mut Sim<Recorder>, percent: usize, seed: u64, promised: Duration) -> Aftermath {
    let mut random = Random::new(seed, 0x434f, 0);
    let mut members: Vec<Index> = sim.cluster().running().collect();
    random.shuffle(&mut members);
    let survivors = members.split_off(members.len() * percent / 100);
    recorder::clear(sim);
    let mut sent_messages: Vec<(Time, MessageId)> = Vec::new();
    for number in 1..=MESSAGES {
        // Members that are about to crash send messages as well.
        let sender = if number % 3 == 0 { &members } else { &survivors };
        let sender = sender[random.position(sender.len())];
        sent_messages.push((sim.now(), recorder::broadcast(sim, sender, vec![b'x'; 64], None)));
        if number < MESSAGES {
            sim.run_for(EVERY).expect(UNCHECKED);
        }
    }
    sim.run_for(EVERY / 10).expect(UNCHECKED);
    members.iter().for_each(|index| sim.crash(*index).expect(UNCHECKED));
    let crashed = sim.now();
    for _ in 0..MESSAGES {
        let sender = survivors[random.position(survivors.len())];
        sent_messages.push((sim.now(), recorder::broadcast(sim, sender, vec![b'y'; 64], None)));
        sim.run_for(EVERY).expect(UNCHECKED);
    }
    sim.run_for(PATIENCE).expect(UNCHECKED);
    aftermath(sim, &survivors, &sent_messages, crashed, promised)
}

fn aftermath(
    sim: &Sim<Recorder>,
    survivors: &[Index],
    sent_messages: &[(Time, MessageId)],
    crashed: Time,
    promised: Duration,
) -> Aftermath {
    let mut courses: BTreeMap<MessageId, Vec<Time>> = BTreeMap::new();
    for recorder in survivors.iter().filter_map(|index| sim.cluster().process(*index)) {
        for delivery in &recorder.deliveries {
            courses.entry(delivery.id).or_default().push(delivery.at);
        }
    }
    let (mut missing, mut late, mut slowest) = (0, 0, [Duration::ZERO; 2]);
    for (at, id) in sent_messages {
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
