//! CB9: members that are paused, lose nearly everything, or are slow cost the others at most a tenth of their timely deliveries
//! (the main claim of pbcast).

use core::time::Duration;

use bruit_core::{BroadcastConfig, MessageId, Time};
use bruit_sim::checks::Checks;
use bruit_sim::{Index, Link, Loss, NetworkConfig, PairLink, Violation};

use super::group::{Group, presets, with};
use crate::support::{Checked, ROUND_TRIP, link, millis, secs};

const MEMBERS: u32 = 20;
const HEALTHY: u32 = 15;

/// The fault of the last quarter of the members.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    None,
    Paused,
    Lossy,
    Slow,
}

/// A delivery is timely if it takes at most this long.
const IN_TIME: Duration = secs(1);

/// The number of timely deliveries at the healthy members.
fn deliveries(broadcast: BroadcastConfig, trouble: Trouble) -> Result<usize, Violation> {
    // Members that are so slow are rightly called Down, so only checks of the broadcast apply.
    let config = with(broadcast);
    let checks = Checks::new(&config, ROUND_TRIP, 0).only(&["CB1", "CB2", "CB3", "CB7"]);
    let mut group = Group::judged(370, MEMBERS, &config, checks)?;
    // The members learn the tree.
    for index in 0..HEALTHY {
        group.broadcasts(index, "warm")?;
        group.lan.sim.run_for(millis(200))?;
    }
    for index in HEALTHY..MEMBERS {
        if trouble == Trouble::Paused {
            group.lan.sim.pause(Index(index))?;
        }
    }
    if matches!(trouble, Trouble::Lossy | Trouble::Slow) {
        group.lan.sim.set_network(troubled(trouble))?;
    }
    let mut sent: Vec<(Time, MessageId)> = Vec::new();
    for number in 0..250 {
        let id = group.broadcasts(number % HEALTHY, "a word")?;
        sent.push((group.lan.sim.now(), id));
        group.lan.sim.run_for(millis(20))?;
    }
    group.lan.sim.run_for(secs(5))?;
    let in_time = |index: u32, at: Time, id: MessageId| {
        group.deliveries.times(index, id).first().is_some_and(|given| given.since(at) <= IN_TIME)
    };
    Ok(sent.iter().map(|(at, id)| (0..HEALTHY).filter(|index| in_time(*index, *at, *id)).count()).sum())
}

fn troubled(trouble: Trouble) -> NetworkConfig {
    let bad = match trouble {
        Trouble::Slow => Link { pair_offset: secs(2), ..link() },
        _ => Link { loss: Loss::Independent { ppm: 800_000 }, ..link() },
    };
    let pairs = (0..MEMBERS).flat_map(|a| (HEALTHY..MEMBERS).map(move |b| (a, b))).filter(|(a, b)| a != b);
    let both = pairs.flat_map(|(a, b)| [(a, b), (b, a)]);
    let links = both.map(|(a, b)| PairLink { from: Index(a), to: Index(b), link: bad.clone() }).collect();
    NetworkConfig { links, ..NetworkConfig::uniform(link()) }
}

#[test]
fn troubled_members_do_not_slow_the_others() -> Checked {
    for (name, broadcast) in presets() {
        let baseline = deliveries(broadcast.clone(), Trouble::None)?;
        assert!(baseline >= 250 * HEALTHY as usize * 9 / 10, "{name}: {baseline} without trouble");
        for trouble in [Trouble::Paused, Trouble::Lossy, Trouble::Slow] {
            let with = deliveries(broadcast.clone(), trouble)?;
            assert!(with * 10 >= baseline * 9, "{name}: {with} of {baseline} with a quarter {trouble:?}");
        }
    }
    Ok(())
}
