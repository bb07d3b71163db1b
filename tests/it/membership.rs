//! Membership in small clusters: joins, failures, leaves, restarts and identities.

use bruit_core::wire::{Kind, describe};
use bruit_core::{
    Action, Command, Config, Event, MemberChange, MemberState, NodeId, Notice, Phase, Rejected, Time,
};
use bruit_sim::{Cut, Index, Memory, Spawn};

use crate::support::{
    Bench, Capture, Checked, DECLARED_LOSS_PPM, Lan, ROUND_TRIP, all_hold, is_gone, lan, millis, secs, state,
};

#[test]
fn three_joiners_and_a_bootstrap() -> Checked {
    let mut lan = Lan::new(1, &lan())?;
    lan.sim.spawn_many(4)?;
    lan.until_all_know_all(millis(1_500))?;
    for observer in 0..4 {
        let ids: Vec<u64> = lan.node(observer).members().map(|member| member.id.0).collect();
        assert_eq!(ids, [1, 2, 3, 4], "all members have the same list");
    }
    lan.rest()
}

#[test]
fn a_crash_is_noticed_by_both_others() -> Checked {
    let mut lan = Lan::of(2, 3)?;
    lan.sim.crash(Index(0))?;
    // One period to probe it, one to give up, two for the suspicion of three, and the last word.
    let took =
        lan.until(secs(8), |cluster| all_hold(cluster, 0, |state| state == Some(MemberState::Down)))?;
    assert!(took > millis(1_900), "{took:?} is less than the suspicion lasts");
    let why = lan.node(1).why_down(NodeId(1)).expect("an obituary is kept");
    assert!(why.suspected.is_some() && why.last_heard.is_some() && !why.suspected_by.is_empty());
    lan.rest()
}

#[test]
fn destroy_is_seen_at_once() -> Checked {
    let mut lan = Lan::of(3, 3)?;
    lan.command(0, Command::Leave { within: secs(0) })?.expect("it may leave");
    lan.until(millis(500), |cluster| all_hold(cluster, 0, |state| state == Some(MemberState::Left)))?;
    assert_eq!(lan.notices.downs(), []);
    lan.rest()
}

#[test]
fn direct_path_cut_but_indirect_works() -> Checked {
    let mut lan = Lan::of(4, 3)?;
    lan.sim.cut(&Cut::Pair { a: Index(0), b: Index(1) })?;
    lan.sim.run_for(secs(600))?;
    assert_eq!(lan.notices.downs(), [], "n3 reaches both, so no member has failed");
    lan.sim.heal_all()?;
    lan.rest()
}

#[test]
fn message_hooks_see_ping_and_ack() -> Checked {
    let mut lan = Lan::of(5, 3)?;
    let capture = Capture::default();
    lan.sim.check(capture.clone());
    lan.sim.run_for(secs(5))?;
    let kinds = |datagram: &crate::support::Captured| {
        describe(&datagram.bytes).expect("the datagrams of a node can be decoded").kinds().collect::<Vec<_>>()
    };
    let kinds: Vec<Kind> = capture.datagrams().iter().flat_map(kinds).collect();
    assert!(kinds.contains(&Kind::Ping) && kinds.contains(&Kind::Ack), "{kinds:?}");
    let first =
        capture.datagrams().first().map(|datagram| describe(&datagram.bytes).expect("readable").to_string());
    assert!(first.is_some_and(|text| text.starts_with('n') && text.contains("->")));
    Ok(())
}

#[test]
fn two_nodes_one_crashes() -> Checked {
    let mut lan = Lan::of(6, 2)?;
    lan.sim.crash(Index(1))?;
    let bound = lan.bounds().completeness;
    lan.until(bound, |cluster| state(cluster, 0, 1) == Some(MemberState::Down))?;
    lan.rest()
}

#[test]
fn five_nodes_start_and_stop() -> Checked {
    let mut lan = Lan::of(7, 5)?;
    for index in 0..5 {
        lan.command(index, Command::Leave { within: secs(5) })?.expect("it may leave");
        lan.sim.run_for(secs(1))?;
        assert_eq!(lan.node(index).phase(), Phase::Left);
        let last = index == 4;
        let acknowledged = |notice: &Notice<'_>| matches!(notice, Notice::Departed { acknowledged: true, alone } if *alone == last);
        assert!(lan.notices.has(index, acknowledged), "n{} leaves with an acknowledgement", index + 1);
    }
    assert_eq!(lan.notices.downs(), []);
    lan.rest()
}

#[test]
fn one_leaves_and_the_others_stay() -> Checked {
    let mut lan = Lan::of(8, 3)?;
    lan.command(0, Command::Leave { within: secs(5) })?.expect("it may leave");
    lan.until(secs(1), |cluster| all_hold(cluster, 0, |state| state == Some(MemberState::Left)))?;
    lan.sim.run_for(secs(60))?;
    assert_eq!(lan.state(1, 2), Some(MemberState::Alive));
    assert_eq!(lan.state(2, 1), Some(MemberState::Alive));
    assert_eq!(lan.notices.downs(), []);
    lan.rest()
}

#[test]
fn only_one_is_left() -> Checked {
    let mut lan = Lan::of(9, 3)?;
    lan.command(1, Command::Leave { within: secs(5) })?.expect("it may leave");
    lan.sim.run_for(secs(1))?;
    lan.sim.crash(Index(2))?;
    lan.until(secs(20), |cluster| is_gone(state(cluster, 0, 1)) && is_gone(state(cluster, 0, 2)))?;
    let node = lan.node(0);
    assert_eq!(node.member_count(), 1, "itself");
    assert_eq!(node.members().count(), 3, "the gone are still readable");
    lan.rest()
}

#[test]
fn an_accused_leaver_does_not_refute() -> Checked {
    // Rule B12: an Alive one higher would undo the Left.
    let mut lan = Lan::of(10, 5)?;
    lan.sim.cut(&Cut::Isolate { nodes: vec![Index(4)] })?;
    lan.until(secs(10), |cluster| {
        (0..4).any(|index| state(cluster, index, 4) == Some(MemberState::Suspect))
    })?;
    lan.sim.heal_all()?;
    lan.command(4, Command::Leave { within: secs(5) })?.expect("it may leave");
    let before = lan.node(4).incarnation();
    lan.sim.run_for(secs(30))?;
    assert_eq!(lan.node(4).incarnation(), before);
    assert!((0..4).all(|index| is_gone(lan.state(index, 4))), "{}", lan.views());
    Ok(())
}

#[test]
fn a_leaver_may_come_back() -> Checked {
    let mut lan = Lan::of(11, 4)?;
    let before = lan.node(2).incarnation();
    lan.command(2, Command::Leave { within: secs(5) })?.expect("it may leave");
    lan.sim.run_for(secs(1))?;
    assert!(all_hold(lan.sim.cluster(), 2, |state| state == Some(MemberState::Left)));
    let seeds = vec![lan.sim.cluster().addr(Index(0))];
    lan.command(2, Command::Join { seeds })?.expect("it may come back");
    let within = lan.bounds().join;
    lan.until_all_know_all(within)?;
    assert!(lan.node(2).incarnation() > before);
    lan.rest()
}

#[test]
fn a_removed_peer_stops_and_returns_only_above() -> Checked {
    let mut lan = Lan::of(12, 4)?;
    lan.command(0, Command::RemovePeer(NodeId(4)))?.expect("it is known");
    lan.until(secs(2), |cluster| cluster.node(Index(3)).is_some_and(|node| node.phase() == Phase::Ended))?;
    assert!(lan.notices.has(3, |notice| matches!(notice, Notice::Removed)));
    lan.until(secs(2), |cluster| all_hold(cluster, 3, |state| state == Some(MemberState::Left)))?;
    let before = lan.node(3).incarnation();
    lan.sim.crash(Index(3))?;
    lan.sim.restart(Index(3), Memory::Disk)?;
    let within = lan.bounds().join;
    lan.until_all_know_all(within)?;
    assert!(lan.node(3).incarnation() > before);
    lan.rest()
}

#[test]
fn restart_with_an_equal_epoch() -> Checked {
    // Rules A1 and A4: the member has no memory and its clock was set back, so it uses its first epoch again.
    let mut lan = Lan::of(13, 4)?;
    let before = lan.node(3).incarnation();
    lan.sim.crash(Index(3))?;
    lan.sim.run_for(secs(2))?;
    lan.sim.restart(Index(3), Memory::AmnesiaClockBack)?;
    lan.until(secs(10), |cluster| {
        let node = cluster.node(Index(3)).expect("it runs");
        let same = |index: Index| {
            let member = cluster.node(index).and_then(|other| other.member(NodeId(4)).map(|m| m.incarnation));
            member == Some(node.incarnation())
        };
        node.incarnation() > before && (0..3).all(|index| same(Index(index))) && cluster.all_know_all()
    })?;
    lan.rest()
}

#[test]
fn restart_with_a_stale_disk() -> Checked {
    let mut lan = Lan::of(14, 4)?;
    for _ in 0..3 {
        lan.sim.crash(Index(3))?;
        lan.sim.run_for(secs(12))?;
        lan.sim.restart(Index(3), Memory::StaleDisk)?;
        let within = lan.bounds().join;
        lan.until_all_know_all(within)?;
    }
    lan.rest()
}

#[test]
fn a_mass_restart_comes_back() -> Checked {
    // Rule A4: all tables have the former boots of all members, and gossip about these has long ended.
    let mut lan = Lan::of(15, 20)?;
    lan.sim.run_for(secs(60))?;
    for index in 1..20 {
        lan.sim.crash(Index(index))?;
    }
    for index in 1..20 {
        lan.sim.restart(Index(index), Memory::AmnesiaClockBack)?;
    }
    lan.until_all_know_all(secs(30))?;
    lan.rest()
}

#[test]
fn changed_address_on_return() -> Checked {
    let mut lan = Lan::of(16, 5)?;
    lan.command(0, Command::Leave { within: secs(5) })?.expect("it may leave");
    lan.sim.run_for(secs(2))?;
    let old = lan.node(0).addr();
    lan.sim.crash(Index(0))?;
    lan.sim.move_to_new_address(Index(0))?;
    lan.sim.restart(Index(0), Memory::Disk)?;
    // The seed of n1 is its own old address, which no process has now, so it returns through n3.
    let seeds = vec![lan.sim.cluster().addr(Index(2))];
    lan.command(0, Command::Join { seeds })?.expect("it may join");
    let new = lan.sim.cluster().addr(Index(0));
    assert_ne!(new, old);
    lan.until(secs(20), |cluster| {
        cluster.all_know_all()
            && cluster
                .nodes()
                .all(|(_, node)| node.member(NodeId(1)).is_some_and(|member| member.addr == new))
    })?;
    lan.rest()
}

#[test]
fn a_node_that_moves_stays_a_member() -> Checked {
    let mut lan = Lan::of(17, 5)?;
    lan.sim.move_to_new_address(Index(2))?;
    let new = lan.sim.cluster().addr(Index(2));
    lan.until(secs(5), |cluster| {
        cluster.nodes().all(|(_, node)| node.member(NodeId(3)).is_some_and(|member| member.addr == new))
    })?;
    lan.sim.run_for(secs(60))?;
    assert_eq!(lan.notices.downs(), []);
    lan.rest()
}

#[test]
fn an_address_taken_over_by_another_id() -> Checked {
    // Rule A5: n4 crashes and n5 answers at its address. The crash must still be noticed.
    let mut lan = Lan::of(18, 5)?;
    lan.sim.crash(Index(3))?;
    lan.sim.take_over_address(Index(4), Index(3))?;
    lan.until(secs(15), |cluster| {
        let down = all_hold(cluster, 3, |state| state == Some(MemberState::Down));
        down && (0..3).all(|index| state(cluster, index, 4) == Some(MemberState::Alive))
    })?;
    assert!(lan.node(4).stats().dropped_wrong_receiver > 0, "it got pings for n4");
    lan.rest()
}

#[test]
fn two_clusters_with_each_others_addresses_stay_two() -> Checked {
    let name = |id: NodeId| if [3, 5].contains(&id.0) { "blue" } else { "red" };
    let red = Config::lan("red");
    let mut lan = Lan::mixed(30, &red, move |boot| Config::lan(name(boot.id)))?;
    lan.sim.spawn_many(5)?;
    let addrs: Vec<_> = (0..5).map(|index| lan.sim.cluster().addr(Index(index))).collect();
    for index in 0..5 {
        lan.command(index, Command::Join { seeds: addrs.clone() })?.expect("five seeds are fine");
    }
    lan.sim.run_for(secs(30))?;
    for index in 0..5 {
        let ids: Vec<u64> = lan.node(index).members().map(|member| member.id.0).collect();
        let expected: &[u64] = if [2, 4].contains(&index) { &[3, 5] } else { &[1, 2, 4] };
        assert_eq!(ids, expected);
    }
    assert!(lan.node(0).stats().dropped_other_cluster > 0);
    lan.rest()
}

#[test]
fn protocol_versions_that_differ_do_not_show_each_other() -> Checked {
    // Rule B5: tables hold and relay all members; only the view is filtered, and members of other versions are not judged.
    let new = |id: NodeId| [3, 5].contains(&id.0);
    let config = move |id| {
        let mut config = lan();
        config.membership.protocol = if new(id) { (2, 2) } else { (1, 1) };
        config
    };
    let checks = bruit_sim::checks::Checks::new(&lan(), ROUND_TRIP, DECLARED_LOSS_PPM)
        .only(&["CM2", "CM3", "CM9", "CM11"]);
    let mut lan = Lan::judged(31, &lan(), move |boot| config(boot.id), checks)?;
    lan.sim.spawn_many(5)?;
    lan.sim.run_for(secs(120))?;
    for index in 0..5 {
        let ids: Vec<u64> = lan.node(index).members().map(|member| member.id.0).collect();
        let expected: &[u64] = if new(NodeId(u64::from(index) + 1)) { &[3, 5] } else { &[1, 2, 4] };
        assert_eq!(ids, expected, "n{}", index + 1);
    }
    let roots: Vec<_> = (0..5).map(|index| lan.node(index).roots()).collect();
    assert!(roots.iter().all(|root| *root == roots[0]), "the tables are equal: {roots:?}");
    assert_eq!(lan.notices.downs(), []);
    Ok(())
}

#[test]
fn a_vetoed_member_is_hidden_and_the_roots_stay_equal() -> Checked {
    let asks = |id: NodeId| id == NodeId(1);
    let checks = bruit_sim::checks::Checks::new(&lan(), ROUND_TRIP, DECLARED_LOSS_PPM).only(&["CM2", "CM9"]);
    let config_of = move |boot: &bruit_core::Boot| {
        let mut config = lan();
        if asks(boot.id) {
            config.membership.admission = bruit_core::AdmissionPolicy::Ask(secs(30));
        }
        config
    };
    let mut lan = Lan::judged(32, &lan(), config_of, checks)?;
    lan.sim.spawn_many(3)?;
    lan.until(secs(5), |cluster| cluster.node(Index(1)).is_some_and(|node| node.member_count() == 3))?;
    lan.until(secs(5), |cluster| cluster.node(Index(2)).is_some_and(|node| node.member_count() == 3))?;
    assert_eq!(lan.node(0).member_count(), 1, "no member is shown before an answer");
    let asked = |id| lan.notices.has(0, |notice| *notice == Notice::AdmissionAsked { id });
    assert!(asked(NodeId(2)) && asked(NodeId(3)));
    let (accept, veto) = (bruit_core::Admission::Accept, bruit_core::Admission::Veto);
    lan.command(0, Command::Admit { id: NodeId(2), admission: accept })?.expect("it is known");
    lan.command(0, Command::Admit { id: NodeId(3), admission: veto })?.expect("it is known");
    lan.sim.run_for(secs(60))?;
    let shown: Vec<u64> = lan.node(0).members().map(|member| member.id.0).collect();
    assert_eq!(shown, [1, 2]);
    assert_eq!(lan.node(0).roots(), lan.node(1).roots());
    assert_eq!(lan.node(0).roots(), lan.node(2).roots());
    Ok(())
}

#[test]
fn an_unanswered_question_of_admission_counts_as_yes() -> Checked {
    let mut config = lan();
    config.membership.admission = bruit_core::AdmissionPolicy::Ask(secs(3));
    let mut lan = Lan::new(33, &config)?;
    lan.sim.spawn_many(3)?;
    lan.sim.run_for(millis(2_500))?;
    assert_eq!(lan.node(0).member_count(), 1);
    lan.until_all_know_all(secs(5))?;
    Ok(())
}

#[test]
fn metadata_reaches_everybody() -> Checked {
    let mut lan = Lan::of(34, 16)?;
    let meta = vec![7; 512];
    lan.command(5, Command::SetMeta(meta.clone()))?.expect("512 bytes fit");
    lan.until(secs(2), |cluster| {
        cluster.nodes().all(|(_, node)| node.member(NodeId(6)).is_some_and(|member| *member.meta == *meta))
    })?;
    let updated =
        lan.notices.changes().iter().filter(|change| change.change == MemberChange::Updated).count();
    assert_eq!(updated, 16, "all members report it once");
    let refused = lan.command(5, Command::SetMeta(vec![0; 513]))?;
    assert_eq!(refused, Err(Rejected::Oversized { what: bruit_core::Field::Meta, len: 513, max: 512 }));
    lan.rest()
}

#[test]
fn the_longest_record_joins_and_reaches_everybody_at_the_least_mtu() -> Checked {
    let mut config = Config::lan("c".repeat(bruit_core::limits::CLUSTER_BYTES_MAX));
    config.mtu = bruit_core::limits::MTU_MIN;
    let mut lan = Lan::new(37, &config)?;
    let long = "v".repeat(bruit_core::limits::TAGS_BYTES_MAX - 6);
    for place in 0..4 {
        let name = format!("{place}{}", "n".repeat(63));
        lan.sim.spawn(
            Spawn::new().name(name).zone("z".repeat(32)).meta(vec![7; 512]).tag("k", &long).tag("l", ""),
        )?;
    }
    lan.until_all_know_all(secs(5))?;
    let tags = [("k".to_owned(), "new".to_owned())].into_iter().collect();
    lan.command(2, Command::SetTags(tags))?.expect("a short tag fits");
    lan.until(secs(2), |cluster| {
        cluster.nodes().all(|(_, node)| {
            node.member(NodeId(3))
                .is_some_and(|member| member.tags.get("k") == Some("new") && member.meta.len() == 512)
                && node.member(NodeId(4)).is_some_and(|member| member.tags.get("k") == Some(&long))
        })
    })?;
    let tags =
        |key: &str, value: &str| Command::SetTags([(key.to_owned(), value.to_owned())].into_iter().collect());
    let refused = lan.command(2, tags("key", &long.repeat(2)))?;
    assert_eq!(refused, Err(Rejected::InvalidTag { key: "key".into() }));
    let refused = lan.command(2, tags("key", &format!("{long}1234")))?;
    assert_eq!(refused, Err(Rejected::Oversized { what: bruit_core::Field::Tags, len: 195, max: 192 }));
    lan.rest()
}

#[test]
fn a_ping_measures_the_round_trip_and_a_ping_to_nobody_fails() -> Checked {
    let mut lan = Lan::of(35, 2)?;
    let addr = lan.sim.cluster().addr(Index(1));
    lan.command(0, Command::Ping { id: NodeId(2), addr })?.expect("it is well");
    lan.sim.run_for(secs(1))?;
    let in_bounds = |notice: &Notice<'_>| matches!(notice, Notice::Pong { id: NodeId(2), round_trip, .. } if *round_trip >= millis(1) && *round_trip <= millis(20));
    assert!(lan.notices.has(0, in_bounds), "{:?}", lan.notices.all());
    // Another id at that address does not answer (rule A5).
    lan.command(0, Command::Ping { id: NodeId(77), addr })?.expect("it is well formed");
    lan.sim.run_for(secs(2))?;
    assert!(lan.notices.has(0, |notice| matches!(notice, Notice::PingFailed { id: NodeId(77), .. })));
    assert_eq!(lan.command(0, Command::Ping { id: NodeId(1), addr })?, Err(Rejected::Oneself));
    lan.rest()
}

#[test]
fn commands_before_the_start_and_after_the_end_are_refused() -> Checked {
    let mut lan = Lan::new(36, &lan())?;
    lan.sim.spawn(Spawn::new().join(bruit_sim::Join::Never))?;
    let addr = "10.0.0.9:7569".parse().expect("an address");
    for (command, expected) in [
        (Command::Leave { within: secs(1) }, Rejected::NotStarted),
        (Command::Ping { id: NodeId(9), addr }, Rejected::NotStarted),
        (Command::RemovePeer(NodeId(9)), Rejected::NotStarted),
    ] {
        assert_eq!(lan.command(0, command)?, Err(expected));
    }
    lan.command(0, Command::Join { seeds: Vec::new() })?.expect("alone is fine");
    lan.command(0, Command::Leave { within: secs(1) })?.expect("alone one leaves at once");
    assert_eq!(lan.node(0).phase(), Phase::Left);
    assert_eq!(lan.command(0, Command::Ping { id: NodeId(9), addr })?, Err(Rejected::Stopped));
    Ok(())
}

#[test]
fn a_setting_that_all_must_share_is_named_where_it_differs() -> Checked {
    // Rule G4.
    let checks = bruit_sim::checks::Checks::new(&lan(), ROUND_TRIP, DECLARED_LOSS_PPM).without(&["CM4"]);
    let config_of = |boot: &bruit_core::Boot| {
        let mut config = lan();
        if boot.id == NodeId(2) {
            config.membership.forget_after = secs(3_600);
        }
        config
    };
    let mut lan = Lan::judged(37, &lan(), config_of, checks)?;
    lan.sim.spawn_many(3)?;
    lan.until_all_know_all(secs(5))?;
    let reported = |by, about| {
        lan.notices
            .has(by, |notice| *notice == Notice::ConfigMismatch { id: NodeId(about), field: "forget_after" })
    };
    assert!(reported(0, 2) && reported(2, 2), "the others name n2");
    assert!(reported(1, 1) && reported(1, 3), "n2 names the others");
    assert!(!reported(0, 3) && !reported(2, 1));
    Ok(())
}

#[test]
fn one_learns_ones_address_from_the_join() {
    // Rule A6, on a bench, because the simulator always gives addresses. The network shows n2 at `seen`.
    let config = lan();
    let (seen, seed) = ("10.1.2.3:7000".parse().expect("an address"), bruit_core::virtual_addr(1));
    let mut bench = Bench::of(1, &config);
    bench.join(1, 1);
    let unspecified = "0.0.0.0:7000".parse().expect("an address");
    let boot = bruit_core::Boot::new(NodeId(2), "n2", unspecified, 1, [2; 32]);
    let mut node = bruit_core::Node::new(boot, config, Time::ZERO).expect("valid");
    let before = node.incarnation();
    let mut learnt = None;
    let mut actions = node.handle(Event::Command(Command::Join { seeds: vec![seed] }), Time::ZERO);
    for second in 1..6 {
        while !actions.is_empty() {
            let mut answers = Vec::new();
            for action in core::mem::take(&mut actions) {
                if let Action::Send { bytes, .. } = action {
                    let (_, back) = bench.handle(1, Event::Datagram { from: seen, bytes: &bytes });
                    answers
                        .extend(back.into_iter().filter(|(_, to, _)| *to == seen).map(|(_, _, bytes)| bytes));
                } else if let Action::Notify(Notice::AddressLearnt { addr }) = action {
                    learnt = Some(addr);
                }
            }
            for bytes in answers {
                actions.extend(node.handle(Event::Datagram { from: seed, bytes: &bytes }, node.now()));
            }
        }
        actions = node.handle(Event::Tick, Time::from_secs(second));
    }
    assert_eq!(learnt, Some(seen));
    assert_eq!(node.addr(), seen);
    assert_eq!(node.incarnation(), before, "nothing was published before");
    assert_eq!(bench.node(1).member(NodeId(2)).map(|member| member.addr), Some(seen));
}
