//! Bugs that a unit test of the core, or a test of `tests/it`, notices and the sweep need not.

use super::{By, JOIN, LEAVE, Mutant, SUSPICION, TABLE, VERDICT};

const SENDER: &str = "core/src/membership/sender.rs";

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "a-restart-is-told-as-an-update",
        checks: &["CM11"],
        patches: &[(
            "core/src/membership/rules.rs",
            "        Some(MemberChange::Restarted)",
            "        Some(MemberChange::Updated)",
        )],
        by: By::Unit(
            "membership::tests::a_restart_that_nobody_has_missed_is_told_and_one_after_a_down_comes_with_its_return",
        ),
    },
    Mutant {
        name: "a-return-is-told-with-the-former-record",
        checks: &["CM11"],
        patches: &[(VERDICT, "if before.is_live() || !newer {", "if true {")],
        by: By::Unit("membership::rule_tests::a_return_is_told_with_its_new_record"),
    },
    Mutant {
        name: "own-changes-are-not-told",
        checks: &["CM11"],
        patches: &[(
            "core/src/membership/own.rs",
            "        change.into_iter().for_each(|change| self.notify(id, change, cx));\n",
            "        let _ = change;\n",
        )],
        by: By::Unit("membership::tests::a_node_is_told_of_itself_what_the_others_are_told_of_it"),
    },
    Mutant {
        name: "a-silent-seed-is-not-told",
        checks: &["CM10"],
        patches: &[(
            JOIN,
            "if now < self.tell_at {",
            "if now < self.tell_at || self.tell_again > Duration::ZERO {",
        )],
        by: By::Unit(
            "membership::tests::an_address_that_does_not_answer_is_reported_ever_more_rarely_until_the_first_contact",
        ),
    },
    Mutant {
        name: "a-join-of-another-cluster-is-not-answered",
        checks: &["CM10"],
        patches: &[(
            JOIN,
            "            answer.send_alone();\n        } else if",
            "            drop(answer);\n        } else if",
        )],
        by: By::Unit(
            "membership::tests::a_seed_of_another_cluster_is_reported_at_once_and_an_answer_is_never_answered",
        ),
    },
    Mutant {
        name: "an-unasked-answer-of-another-cluster-is-told",
        checks: &["CM10"],
        patches: &[(
            JOIN,
            "!self.contacts.joined && self.contacts.take_asked(from)",
            "!self.contacts.joined",
        )],
        by: By::Unit(
            "membership::tests::an_answer_of_another_cluster_that_was_not_asked_for_is_not_reported",
        ),
    },
    Mutant {
        name: "tags-in-any-order-are-taken",
        checks: &["G5"],
        patches: &[(
            "core/src/tags.rs",
            "let rises = key > last && !key.contains('=');",
            "let rises = !key.contains('=');",
        )],
        by: By::Unit("tags::tests::bytes_that_no_member_encodes_are_no_tags"),
    },
    Mutant {
        name: "who-is-admitted-while-gone-is-shown",
        checks: &["B5"],
        patches: &[(TABLE, "self.is_live() || self.flags.visibility != Visibility::Admitted;", "true;")],
        by: By::Unit(
            "membership::adversity::views::a_member_that_is_admitted_while_it_is_down_is_shown_when_it_returns",
        ),
    },
    Mutant {
        name: "a-long-part-is-handed-over-unasked",
        checks: &["B9"],
        patches: &[(
            "core/src/reconcile/tree.rs",
            "steps.push(if *theirs == 0 {",
            "steps.push(if *theirs == 0 || count > LIST_MAX {",
        )],
        by: By::Unit("reconcile::tests::any_two_tables_end_equal_after_one_exchange_whichever_node_starts"),
    },
    Mutant {
        name: "fingerprints-use-up-the-credit",
        checks: &["B9"],
        patches: &[(
            "core/src/reconcile/exchange.rs",
            "used + bytes <= FINGERPRINT_BYTES * usize::from(depth) && self.spend(bytes)",
            "used + bytes <= CREDIT_MAX && depth > 0 && self.spend(bytes)",
        )],
        by: By::Unit("reconcile::tests::tables_end_equal_however_much_of_them_differs"),
    },
    Mutant {
        name: "an-equal-root-ends-the-differences-of-others",
        checks: &["B9"],
        patches: &[(
            "core/src/reconcile/sync.rs",
            "            self.differing.remove(&sender);\n",
            "            self.differing.clear();\n            let _ = sender;\n",
        )],
        by: By::Unit("reconcile::tests::one_that_differs_is_noticed_among_many_that_agree"),
    },
    Mutant {
        name: "guards-without-limit",
        checks: &["B11"],
        patches: &[(
            VERDICT,
            "if self.table.guards() >= cx.config",
            "if self.table.guards() >= 100 + cx.config",
        )],
        by: By::Unit("membership::rule_tests::a_full_table_of_guards_refuses_further_ones_and_keeps_members"),
    },
    Mutant {
        name: "a-young-verdict-gives-way",
        checks: &["B11"],
        patches: &[(
            TABLE,
            "let is_spare = entry.flags.held_back && entry.flags.known;",
            "let is_spare = entry.flags.known;",
        )],
        by: By::Unit("membership::rule_tests::a_full_table_forgets_only_members_that_are_held_back"),
    },
    Mutant {
        name: "former-expiries-stay",
        checks: &["B11"],
        patches: &[(
            TABLE,
            "        self.clear_expiry(id);\n        let expiry = self.edit(id",
            "        let expiry = self.edit(id",
        )],
        by: By::Unit("membership::table::tests::an_entry_has_one_expiry_and_down_members_take_turns"),
    },
    Mutant {
        name: "confirmations-undo-the-extension",
        checks: &["B6"],
        patches: &[(SUSPICION, "self.timeout_ends().max(self.not_before)", "self.timeout_ends()")],
        by: By::Unit(
            "membership::suspicion_tests::confirmations_do_not_take_away_what_the_end_of_a_silence_has_given",
        ),
    },
    Mutant {
        name: "confirmations-undo-the-delay",
        checks: &["B7"],
        patches: &[(SUSPICION, "        self.started = self.started + late;\n", "")],
        by: By::Unit(
            "membership::suspicion_tests::confirmations_do_not_take_away_what_a_late_call_has_given_back",
        ),
    },
    Mutant {
        name: "ones-own-absence-is-silence",
        checks: &["B6", "B7"],
        patches: &[("core/src/membership/health.rs", "        self.heard = self.heard + late;\n", "")],
        by: By::Unit("membership::suspicion_tests::a_suspend_does_not_end_the_freeze_of_an_isolated_node"),
    },
    Mutant {
        name: "a-removal-stays",
        checks: &["A7"],
        patches: &[(TABLE, "                entry.flags.removed = false;\n", "")],
        by: By::Unit("membership::table::tests::a_removal_ends_with_the_next_verdict_so_that_tables_agree"),
    },
    Mutant {
        name: "a-leave-forgets-the-pings",
        checks: &["B12"],
        patches: &[(LEAVE, "        self.fail_pings(cx);\n", "")],
        by: By::Unit("membership::rule_tests::a_leave_ends_the_pings_of_the_application"),
    },
    Mutant {
        name: "a-leave-keeps-the-probe",
        checks: &["B12"],
        patches: &[(LEAVE, "        self.prober.stop();\n", "")],
        by: By::Unit("membership::rule_tests::a_probe_from_before_a_leave_is_not_judged_after_it"),
    },
    Mutant {
        name: "a-leave-forgets-the-questions",
        checks: &["B5", "B12"],
        patches: &[(LEAVE, "        self.withdraw_questions();\n", "")],
        by: By::Unit("membership::rule_tests::a_question_of_admission_is_asked_again_after_a_rejoin"),
    },
    Mutant {
        name: "nobody-asks-a-member-that-has-moved",
        checks: &["B2"],
        patches: &[(
            SENDER,
            "let wants_record = (wants_record || ack.is_some() && known)",
            "let wants_record = validated && (wants_record || ack.is_some() && known)",
        )],
        by: By::Unit(
            "membership::rule_tests::a_member_that_has_moved_is_asked_for_its_record_where_it_is_heard",
        ),
    },
    Mutant {
        name: "only-a-record-says-that-a-member-lives",
        checks: &["B2"],
        patches: &[(
            "core/src/membership/updates.rs",
            "MemberState::Alive if update == Update::Verdict || entry.lacks_content() => (0, NodeId::NOBODY),",
            "MemberState::Alive if update == Update::Verdict || entry.lacks_content() => return None,",
        )],
        by: By::Unit("membership::rule_tests::that_a_member_lives_is_passed_on_without_its_record"),
    },
    Mutant {
        name: "the-last-word-is-asked-for-once",
        checks: &["CM6"],
        patches: &[(
            "core/src/membership/suspicion.rs",
            "if settings.last_word && asked < LAST_WORD_PINGS {",
            "if settings.last_word && asked < 1 {",
        )],
        by: By::Unit("membership::suspicion_tests::a_suspect_is_asked_again_and_again_before_its_verdict"),
    },
    Mutant {
        name: "a-hearer-that-gets-no-answer-says-nothing",
        checks: &["LHA-Suspicion"],
        patches: &[(
            "core/src/membership/suspicion.rs",
            "entry.last_heard() <= began)",
            "entry.last_heard() < Time::ZERO && entry.last_heard() <= began)",
        )],
        by: By::Unit("membership::suspicion_tests::who_hears_of_a_suspicion_and_gets_no_answer_confirms_it"),
    },
    Mutant {
        name: "nobody-watches-the-next-on-the-ring",
        checks: &["SWIM"],
        patches: &[(
            "core/src/membership/probe.rs",
            "if self.prober.on_ring < ring_probes {",
            "if self.prober.on_ring < ring_probes.min(0) {",
        )],
        by: By::Unit("membership::rule_tests::three_of_four_probes_go_to_the_next_on_the_ring"),
    },
    Mutant {
        name: "a-refutation-publishes-the-record-anew",
        checks: &["B2"],
        patches: &[(
            "core/src/membership/identity.rs",
            "self.incarnation = self.incarnation.refuted();",
            "self.incarnation = self.incarnation.next();",
        )],
        by: By::Unit("membership::suspicion_tests::a_refutation_is_a_verdict_and_changes_no_root"),
    },
    Mutant {
        name: "every-echo-is-answered",
        checks: &["B10"],
        patches: &[(
            JOIN,
            "let is_news = waits || runs && !self.contacts.has_cookie(from, cookie);",
            "let is_news = waits || runs;",
        )],
        by: By::Unit("membership::rule_tests::an_echo_is_answered_once"),
    },
    Mutant {
        name: "returns-are-not-counted",
        checks: &["B14"],
        patches: &[(
            VERDICT,
            "if before == MemberState::Down {\n                self.returns.note",
            "if before == MemberState::Down && id == NodeId::NOBODY {\n                self.returns.note",
        )],
        by: By::Unit(
            "membership::suspicion_tests::a_link_that_flaps_costs_its_member_fewer_changes_each_minute",
        ),
    },
    Mutant {
        name: "no-buddy",
        checks: &["CM6"],
        patches: &[(
            "core/src/membership/probe.rs",
            "filter(|_| cx.config.membership.buddy)?;",
            "filter(|_| cx.config.membership.buddy && false)?;",
        )],
        by: By::Unit("membership::suspicion_tests::a_ping_to_a_suspect_carries_the_suspicion"),
    },
    Mutant {
        name: "no-freeze",
        checks: &["B6"],
        patches: &[(
            "core/src/membership/health.rs",
            "(now.since(self.heard) > isolation(config) && now < until)",
            "(now.since(self.heard) > isolation(config) && now < until && false)",
        )],
        by: By::Unit(
            "membership::suspicion_tests::an_isolated_node_passes_no_verdict_while_it_may_be_at_fault_itself",
        ),
    },
    Mutant {
        name: "the-health-never-worsens",
        checks: &["CM6"],
        patches: &[(
            "core/src/membership/probe.rs",
            "        self.health.worsen(blame, cx.config);\n",
            "        let _ = blame;\n",
        )],
        by: By::Unit("membership::rule_tests::a_node_whose_probes_fail_probes_more_slowly_until_it_is_well"),
    },
    Mutant {
        name: "tombstones-stay",
        checks: &["B3"],
        patches: &[(
            "core/src/membership/tombstone.rs",
            "Stage::Forgotten => self.forget(id, cx),",
            "Stage::Forgotten => self.table.expire_at(id, cx.now + cx.config.membership.forget_after),",
        )],
        by: By::Unit("membership::rule_tests::tombstones_are_forgotten_in_the_end"),
    },
    Mutant {
        name: "joiners-without-limit",
        checks: &["B9"],
        patches: &[(
            JOIN,
            "if self.joiners.len() == RECENT_JOINERS_MAX {",
            "if self.joiners.len() == 4 * RECENT_JOINERS_MAX {",
        )],
        by: By::Unit("membership::join::tests::only_the_latest_joiners_are_kept"),
    },
    Mutant {
        name: "a-leave-is-said-once",
        checks: &["CM8"],
        patches: &[(LEAVE, "        self.deadlines.arm(Timer::Leave,", "        let _ = (Timer::Leave,")],
        by: By::Unit("membership::rule_tests::a_leave_is_repeated_until_it_is_acknowledged"),
    },
    Mutant {
        name: "an-old-record-spreads-the-verdict-again",
        checks: &["CM9"],
        patches: &[(VERDICT, "(revives || !entry.lacks_content())", "(revives || newer)")],
        by: By::Unit(
            "membership::rule_tests::an_old_record_of_a_member_that_lives_does_not_spread_its_verdict_again",
        ),
    },
    Mutant {
        name: "the-record-of-a-stranger-is-taken-without-an-echo",
        checks: &["B10"],
        patches: &[(
            VERDICT,
            "source.standing < Standing::Validated\n",
            "source.standing < Standing::Validated && record.id() == NodeId::NOBODY\n",
        )],
        by: By::Unit("membership::adversity::forged::a_strangers_record_validates_no_address"),
    },
    Mutant {
        name: "a-member-at-another-address-makes-others-known",
        checks: &["B10"],
        patches: &[(
            VERDICT,
            "source.standing < Standing::Validated\n",
            "source.standing < Standing::Member\n",
        )],
        by: By::Unit("membership::hostile_tests::a_member_at_another_address_makes_no_further_address_known"),
    },
    Mutant {
        name: "a-stranger-passes-verdicts",
        checks: &["B10"],
        patches: &[(
            VERDICT,
            "        if source.standing == Standing::Unknown {\n",
            "        if source.standing == Standing::Stale {\n",
        )],
        by: By::Unit("membership::hostile_tests::what_a_stranger_says_of_others_is_not_used"),
    },
    Mutant {
        name: "an-exchange-begins-where-a-header-came-from",
        checks: &["F6"],
        patches: &[(
            SENDER,
            "            if at_its_address {\n",
            "            if at_its_address || true {\n",
        )],
        by: By::Unit("membership::adversity::forged::a_forged_header_starts_no_exchange_with_a_victim"),
    },
    Mutant {
        name: "a-running-member-answers-no-echo",
        checks: &["B10"],
        patches: &[(JOIN, "        held == Some(source.from)\n", "        held.is_none()\n")],
        by: By::Unit(
            "membership::hostile_tests::a_member_introduces_itself_to_another_one_once_in_an_interval",
        ),
    },
    Mutant {
        name: "each-echo-of-a-member-is-answered",
        checks: &["B10"],
        patches: &[(
            JOIN,
            "            && self.introductions.take(source.sender, cx.config.membership.probe_interval, cx.now)",
            "            && (self.introductions.take(source.sender, cx.config.membership.probe_interval, cx.now) || true)",
        )],
        by: By::Unit(
            "membership::hostile_tests::a_member_introduces_itself_to_another_one_once_in_an_interval",
        ),
    },
    Mutant {
        name: "an-echo-is-answered-wherever-it-comes-from",
        checks: &["F6"],
        patches: &[(JOIN, "        held == Some(source.from)\n", "        held.is_some()\n")],
        by: By::Unit(
            "membership::hostile_tests::a_member_introduces_itself_to_another_one_once_in_an_interval",
        ),
    },
    Mutant {
        name: "nobody-notes-who-was-heard",
        checks: &["B1"],
        patches: &[(TABLE, "        entry.stamp = now.as_nanos();\n", "        let _ = now;\n")],
        by: By::Unit(
            "membership::suspicion_tests::a_suspect_that_is_heard_gets_more_time_than_one_that_is_silent",
        ),
    },
];
