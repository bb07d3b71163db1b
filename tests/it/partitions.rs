//! Cuts and pauses, and the recovery from them.

use bruit_core::{Config, MemberState, NodeId};
use bruit_sim::{Cut, CutId, Flap, Gray, InFlight, Index, Release, Violation};

use crate::support::{Checked, Lan, all_hold, indices, is_gone, lan, millis, secs, state};

/// Cuts a group of `members` into its first `left` and the rest.
fn halves(lan: &mut Lan, left: u32) -> Result<CutId, Violation> {
    lan.sim.cut(&Cut::Split { groups: vec![indices(0..left)] })
}

#[test]
fn a_cut_of_25_hours_heals_through_a_seed() -> Checked {
    // Rule B8: after 24 hours the two sides have forgotten each other, and only the seed is still contacted.
    let mut lan = Lan::of(100, 4)?;
    halves(&mut lan, 2)?;
    lan.sim.run_for(secs(25 * 3_600))?;
    assert_eq!(lan.state(0, 2), None, "forgotten");
    assert_eq!(lan.state(3, 0), None, "forgotten");
    lan.sim.heal_all()?;
    let within = lan.bounds().merge;
    lan.until_all_know_all(within)?;
    lan.rest()
}

#[test]
fn after_a_cut_of_10_minutes_no_down_about_ones_own_side() -> Checked {
    // Rule B1.
    for seed in 101..105 {
        let mut lan = Lan::of(seed, 20)?;
        halves(&mut lan, 10)?;
        lan.sim.run_for(secs(600))?;
        let side = |index: u64| index <= 10;
        assert!(
            lan.notices.downs().iter().all(|change| side(change.of.0) != side(u64::from(change.by.0) + 1))
        );
        lan.notices.clear();
        lan.sim.heal_all()?;
        lan.until_all_know_all(secs(30))?;
        lan.sim.run_for(secs(60))?;
        assert_eq!(lan.notices.downs(), [], "seed {seed}: no member is called Down while healing");
        lan.rest()?;
    }
    Ok(())
}

#[test]
fn a_cut_of_10_minutes_in_halves_merges_within_30_s() -> Checked {
    // 100 | 100 here; `bruit-sim bench` measures 500 | 500.
    let mut lan = Lan::of(105, 200)?;
    halves(&mut lan, 100)?;
    lan.sim.run_for(secs(600))?;
    lan.notices.clear();
    lan.sim.heal_all()?;
    lan.until_all_know_all(secs(30))?;
    assert_eq!(lan.notices.downs(), []);
    Ok(())
}

#[test]
fn a_cut_of_5_s_leaves_no_trace() -> Checked {
    let mut lan = Lan::of(106, 10)?;
    halves(&mut lan, 5)?;
    lan.sim.run_for(secs(2))?;
    lan.sim.heal_all()?;
    lan.sim.run_for(secs(30))?;
    assert_eq!(lan.notices.downs(), []);
    lan.rest()
}

#[test]
fn one_of_three_is_isolated_and_returns() -> Checked {
    let mut lan = Lan::of(107, 3)?;
    lan.sim.cut(&Cut::Isolate { nodes: vec![Index(2)] })?;
    let within = lan.bounds().completeness;
    lan.until(within, |cluster| {
        all_hold(cluster, 2, is_gone) && (0..2).all(|other| is_gone(state(cluster, 2, other)))
    })?;
    lan.sim.heal_all()?;
    let within = lan.bounds().merge;
    lan.until_all_know_all(within)?;
    lan.rest()
}

#[test]
fn a_pause_of_60_s_with_a_full_inbox_blames_nobody() -> Checked {
    // Rule B7, also with the worst driver, which ticks before it reads.
    for (seed, release) in [(108, Release::TimersFirst), (109, Release::InboxFirst), (110, Release::Random)] {
        let mut lan = Lan::of(seed, 20)?;
        lan.sim.set_inbox(Index(7), 212_992);
        lan.sim.pause(Index(7))?;
        lan.sim.run_for(secs(60))?;
        lan.notices.clear();
        lan.sim.resume(Index(7), release)?;
        lan.sim.run_for(secs(30))?;
        let wrong: Vec<_> = lan.notices.downs().into_iter().filter(|change| change.of != NodeId(8)).collect();
        assert_eq!(wrong, [], "{release:?}: a member that was paused calls no other Down");
        assert!(
            all_hold(lan.sim.cluster(), 7, |state| state == Some(MemberState::Alive)),
            "it is a member again"
        );
        lan.rest()?;
    }
    Ok(())
}

#[test]
fn short_pauses_are_forgiven() -> Checked {
    let mut lan = Lan::of(111, 20)?;
    for round in 0..20 {
        let index = Index(round % 20);
        lan.sim.pause(index)?;
        lan.sim.run_for(millis(700))?;
        lan.sim.resume(index, Release::TimersFirst)?;
        lan.sim.run_for(secs(3))?;
    }
    assert_eq!(lan.notices.downs(), []);
    lan.rest()
}

#[test]
fn forgetting_at_different_times_keeps_roots_equal() -> Checked {
    // Rule B3: members learn of a crash at different times, a late joiner among them, and all forget the tombstone.
    let mut config = lan();
    config.membership.forget_after = secs(120);
    let mut lan = Lan::configured(112, 6, &config)?;
    lan.sim.crash(Index(5))?;
    let within = lan.bounds().completeness;
    lan.until(within, |cluster| all_hold(cluster, 5, is_gone))?;
    lan.sim.run_for(secs(20))?;
    lan.sim.spawn_many(2)?;
    let mut unequal = 0;
    for _ in 0..150 {
        lan.sim.run_for(secs(1))?;
        let mut roots = lan
            .sim
            .cluster()
            .running()
            .filter_map(|index| lan.sim.cluster().node(index))
            .map(bruit_core::Node::roots);
        let first = roots.next();
        unequal = if roots.all(|root| Some(root) == first) { 0 } else { unequal + 1 };
        assert!(unequal <= 4, "roots differ for {unequal} s at {}", lan.sim.now());
    }
    assert!(
        lan.sim.cluster().nodes().all(|(_, node)| node.member(NodeId(6)).is_none()),
        "forgotten everywhere"
    );
    lan.rest()
}

#[test]
fn a_flapping_link_costs_nobody_its_membership() -> Checked {
    let mut lan = Lan::of(113, 10)?;
    let flap = Flap { down: secs(3), up: secs(3) };
    lan.sim.cut_with(&Cut::Pair { a: Index(2), b: Index(3) }, InFlight::Drop, Some(flap), None)?;
    lan.sim.run_for(secs(300))?;
    assert_eq!(lan.notices.downs(), []);
    lan.sim.heal_all()?;
    lan.rest()
}

#[test]
fn a_member_that_receives_nothing_harms_no_other_member() -> Checked {
    // Everything sent to n10 is lost for ten minutes. Only n10 may be called Down.
    let mut lan = Lan::of(114, 10)?;
    lan.sim.cut(&Cut::Ingress { nodes: vec![Index(9)] })?;
    lan.sim.run_for(secs(600))?;
    let wrong: Vec<_> = lan
        .notices
        .downs()
        .into_iter()
        .filter(|change| change.of != NodeId(10) && change.by != Index(9))
        .collect();
    assert_eq!(wrong, []);
    lan.sim.heal_all()?;
    lan.rest()
}

#[test]
fn a_member_with_a_bad_link_harms_no_other_member() -> Checked {
    let mut lan = Lan::of(115, 10)?;
    let gray = Gray { loss_ppm: 500_000, delay: millis(200) };
    lan.sim.cut_with(&Cut::Isolate { nodes: vec![Index(9)] }, InFlight::Drop, None, Some(gray))?;
    lan.sim.run_for(secs(600))?;
    let wrong: Vec<_> = lan
        .notices
        .downs()
        .into_iter()
        .filter(|change| change.of != NodeId(10) && change.by != Index(9))
        .collect();
    assert_eq!(wrong, []);
    lan.sim.heal_all()?;
    lan.rest()
}

#[test]
fn memberlists_settings_heal_as_well() -> Checked {
    let config = Config::memberlist_lan("test");
    let mut lan = Lan::configured(116, 10, &config)?;
    halves(&mut lan, 5)?;
    lan.sim.run_for(secs(120))?;
    lan.sim.heal_all()?;
    let within = lan.bounds().merge;
    lan.until_all_know_all(within)?;
    lan.rest()
}
