//! Clusters of a hundred and of a thousand members. The numbers are the goals of the design.

use core::time::Duration;

use bruit_core::MemberState;
use bruit_sim::{Index, NetworkConfig};

use crate::support::{Checked, Lan, all_hold, lan, link, millis, secs};

#[test]
fn one_crash_among_128_is_known_within_8_s() -> Checked {
    let mut took = Vec::new();
    for seed in 200..205 {
        let mut lan = Lan::of(seed, 128)?;
        lan.sim.run_for(secs(10))?;
        lan.sim.crash(Index(77))?;
        took.push(
            lan.until(secs(20), |cluster| all_hold(cluster, 77, |state| state == Some(MemberState::Down)))?,
        );
        assert!(lan.notices.downs().iter().all(|change| change.of.0 == 78), "no other member is called Down");
    }
    took.sort_unstable();
    assert!(took[2] <= secs(8), "median of {took:?}");
    Ok(())
}

#[test]
fn one_crash_among_128_at_25_percent_loss_has_no_straggler_after_20_s() -> Checked {
    for seed in 205..208 {
        let mut lan = Lan::of(seed, 128)?;
        lan.sim.set_network(NetworkConfig::uniform(link().with_loss(250_000)))?;
        lan.sim.run_for(secs(30))?;
        lan.sim.crash(Index(77))?;
        lan.until(secs(20), |cluster| all_hold(cluster, 77, |state| state == Some(MemberState::Down)))?;
    }
    Ok(())
}

#[test]
fn an_hour_of_128_nodes_at_5_percent_loss_has_no_false_down() -> Checked {
    let mut lan = Lan::of(208, 128)?;
    lan.sim.set_network(NetworkConfig::uniform(link().with_loss(50_000)))?;
    lan.sim.run_for(secs(3_600))?;
    assert_eq!(lan.notices.downs(), []);
    Ok(())
}

#[test]
fn one_thousand_nodes_join_through_one_seed_within_10_s() -> Checked {
    let checks = bruit_sim::checks::Checks::new(&lan(), millis(20), 0).only(&["CM2", "CM9", "CM11"]);
    let config = lan();
    let mut lan = Lan::judged(209, &config.clone(), move |_| config.clone(), checks)?;
    lan.sim.spawn_many(1_000)?;
    lan.until_all_know_all(secs(10))?;
    assert_eq!(lan.notices.downs(), []);
    Ok(())
}

#[test]
fn a_thousand_settled_nodes_send_what_the_estimate_says() -> Checked {
    let mut lan = Lan::of(210, 64)?;
    lan.sim.run_for(secs(60))?;
    let bytes = |lan: &Lan| lan.sim.cluster().nodes().map(|(_, node)| node.stats().bytes_sent).sum::<u64>();
    let before = bytes(&lan);
    lan.sim.run_for(secs(60))?;
    let per_node = (bytes(&lan) - before) / 64 / 60;
    let estimate = bruit_core::Estimate::new(&lan.config, 64).settled_bytes_per_second;
    assert!(per_node <= estimate + estimate / 10, "{per_node} bytes a second, {estimate} estimated");
    Ok(())
}

#[test]
fn ten_of_a_hundred_crash_at_once() -> Checked {
    let mut lan = Lan::of(211, 100)?;
    for index in 40..50 {
        lan.sim.crash(Index(index))?;
    }
    let known = |cluster: &bruit_sim::Cluster<bruit_core::Node>| {
        (40..50).all(|index| all_hold(cluster, index, |state| state == Some(MemberState::Down)))
    };
    let took = lan.until(secs(60), known)?;
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(lan.notices.downs().iter().all(|change| (41..=50).contains(&change.of.0)));
    lan.rest()
}

#[test]
fn churn_of_one_a_second() -> Checked {
    // Rule B11 in small: for three minutes members with new ids join and crash.
    let mut lan = Lan::of(212, 16)?;
    for round in 0..180_u32 {
        lan.sim.spawn_many(1)?;
        if round > 10 {
            lan.sim.crash(Index(16 + round - 10))?;
        }
        lan.sim.run_for(secs(1))?;
    }
    lan.rest()
}
