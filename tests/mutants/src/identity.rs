//! Bugs in the rules of the own id (A1 to A3).

use super::{By, HEAL, IDENTITY, JOIN, Mutant, OWN, TABLE};

const BOOT: &str = "core/src/boot.rs";
const MACHINES: &str = "core/src/machines.rs";
const MEMBERSHIP: &str = "core/src/membership.rs";
const NAME: &str = "core/src/membership/name.rs";
const WAITING: &str = "core/src/membership/waiting.rs";

const MODEL: By = By::Unit("membership::identity::model::one_process_of_an_id_goes_on_and_none_stops_alone");
const ONLY_A_CLAIM: By = By::Unit(
    "membership::identity::tests::only_a_claim_of_a_smaller_rank_to_an_open_question_stops_a_process",
);
const QUIET: By =
    By::Unit("membership::identity::tests::a_copy_draws_anew_and_asks_for_the_other_after_a_quiet_second");
const WAITED_FOR: By =
    By::Unit("membership::waiting::tests::an_id_in_use_is_waited_for_and_the_end_of_the_wait_is_told");

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "the-record-of-a-smaller-rank-stops",
        checks: &["A2b"],
        patches: &[(
            IDENTITY,
            "        self.suspect(boot, incarnation, route, now);\n",
            "        if rank.is_some_and(|rank| rank < self.rank) {\n            return Reaction::Stop { rival: boot };\n        }\n        self.suspect(boot, incarnation, route, now);\n",
        )],
        by: ONLY_A_CLAIM,
    },
    Mutant {
        name: "a-void-question-is-still-open",
        checks: &["A2b"],
        patches: &[(IDENTITY, "(doubt.nonce, doubt.sent) = (0, 0);", "doubt.sent = 0;")],
        by: ONLY_A_CLAIM,
    },
    Mutant {
        name: "a-leaver-claims-its-id",
        checks: &["A2b"],
        patches: &[(
            NAME,
            "        if self.phase != Phase::Running {\n            return;\n        }\n        if id != self.own.id {",
            "        if !matches!(self.phase, Phase::Running | Phase::Leaving) {\n            return;\n        }\n        if id != self.own.id {",
        )],
        by: By::Unit("membership::name_tests::a_leaver_answers_no_question_for_its_id"),
    },
    Mutant {
        name: "the-higher-incarnation-stays",
        checks: &["A2b"],
        patches: &[(
            IDENTITY,
            "if rank.boot != self.rank.boot && rank < self.rank {",
            "if rank.boot != self.rank.boot && asked.is_some_and(|doubt| doubt.heard >= self.incarnation) {",
        )],
        by: ONLY_A_CLAIM,
    },
    Mutant {
        name: "seniority-is-the-clock-at-taking",
        checks: &["A2a"],
        patches: &[(
            IDENTITY,
            "least.map_or(self.incarnation.epoch, |least| least.saturating_sub(1));",
            "least.map_or(self.incarnation.epoch, |_| self.incarnation.epoch);",
        )],
        by: By::Scenario("identity::halves_that_each_gave_out_one_id_keep_one_process"),
    },
    Mutant {
        name: "seniority-moves-with-jumps",
        checks: &["A2b"],
        patches: &[(
            IDENTITY,
            "            self.incarnation = next;\n",
            "            self.incarnation = next;\n            self.rank.seniority = next.epoch;\n",
        )],
        by: By::Unit(
            "membership::identity::tests::a_process_of_a_greater_rank_is_gone_above_at_once_and_once",
        ),
    },
    Mutant {
        name: "the-own-boot-above-stops",
        checks: &["A2c"],
        patches: &[(
            IDENTITY,
            "                Reaction::Redraw { heard: incarnation, below: None, route }",
            "                Reaction::Stop { rival: boot }",
        )],
        by: MODEL,
    },
    Mutant {
        name: "the-own-boot-above-is-ignored",
        checks: &["A2c"],
        patches: &[(
            IDENTITY,
            "                Reaction::Redraw { heard: incarnation, below: None, route }",
            "                Reaction::Nothing",
        )],
        by: QUIET,
    },
    Mutant {
        name: "a-second-record-at-the-own-incarnation-is-ignored",
        checks: &["A2c"],
        patches: &[(IDENTITY, " || is_other", "")],
        by: By::Unit(
            "membership::name_tests::a_snapshot_that_publishes_another_record_at_one_incarnation_is_noticed",
        ),
    },
    Mutant {
        name: "the-source-of-a-header-is-asked-as-an-address",
        checks: &["F6"],
        patches: &[
            (
                NAME,
                "let route = Route::default();\n                let news",
                "let route = Route { addr: Some(datagram_from), via: None };\n                let news",
            ),
            (
                NAME,
                "fn on_own_id(&mut self, header: &Header, cx: &mut Ctx<'_>) -> bool {",
                "fn on_own_id(&mut self, header: &Header, datagram_from: SocketAddr, cx: &mut Ctx<'_>) -> bool {",
            ),
            (NAME, "self.on_own_id(header, cx)", "self.on_own_id(header, from, cx)"),
        ],
        by: By::Unit(
            "membership::hostile_tests::a_forged_header_under_the_own_id_is_answered_by_no_more_bytes",
        ),
    },
    Mutant {
        name: "a-join-of-a-twin-is-not-answered",
        checks: &["A2b"],
        patches: &[(
            NAME,
            "Ok(Message::Swim(Swim::Join(_))) if runs => self.answer_own_id(header, from, len, cx),",
            "Ok(Message::Swim(Swim::Join(_))) if runs => {}",
        )],
        by: By::Unit(
            "membership::hostile_tests::two_processes_of_one_id_that_know_only_each_other_end_as_one",
        ),
    },
    Mutant {
        name: "an-accusation-names-the-process-of-an-older-record",
        checks: &["A1"],
        patches: &[(
            "core/src/membership/table.rs",
            "let record = self.record().filter(|record| record.incarnation() >= self.incarnation().published());",
            "let record = self.record();",
        )],
        by: By::Unit(
            "membership::name_tests::an_accusation_names_the_process_that_has_shown_its_incarnation_and_no_other",
        ),
    },
    Mutant {
        name: "nobody-asks-itself",
        checks: &["A2c"],
        patches: &[(
            IDENTITY,
            "        if self.doubt.is_some() {\n            return None;\n        }\n        let nonce",
            "        if self.doubt.is_some() || now >= Time::ZERO {\n            return None;\n        }\n        let nonce",
        )],
        by: MODEL,
    },
    Mutant {
        name: "nobody-asks-itself-while-all-is-well",
        checks: &["A2c"],
        patches: &[(HEAL, "            self.ask_self(cx);\n", "")],
        by: By::Unit("membership::name_tests::a_settled_member_asks_itself_at_each_healing"),
    },
    Mutant {
        name: "no-quiet-second",
        checks: &["A2c"],
        patches: &[(
            IDENTITY,
            "let (heard, due) = (Incarnation::default(), now + NAME_ASK);",
            "let (heard, due) = (Incarnation::default(), now);",
        )],
        by: QUIET,
    },
    Mutant {
        name: "a-newcomer-publishes-its-incarnation-while-it-waits",
        checks: &["A2a"],
        patches: &[(
            NAME,
            "cx.link.set_incarnation(NO_INCARNATION);",
            "cx.link.set_incarnation(self.own.incarnation());",
        )],
        by: By::Scenario("identity::an_id_in_use_stays_with_its_process"),
    },
    Mutant {
        name: "the-id-of-a-suspect-is-free",
        checks: &["A2a"],
        patches: &[(
            WAITING,
            "            MemberState::Left => true,\n            MemberState::Alive | MemberState::Suspect => false,",
            "            MemberState::Left | MemberState::Suspect => true,\n            MemberState::Alive => false,",
        )],
        by: WAITED_FOR,
    },
    Mutant {
        name: "a-holder-that-is-down-is-not-asked",
        checks: &["A2a"],
        patches: &[(WAITING, "holder.addr.port() == 0 ||", "holder.addr.port() > 0 ||")],
        by: By::Unit(
            "membership::waiting::tests::a_holder_that_is_down_is_asked_twice_before_its_id_is_taken",
        ),
    },
    Mutant {
        name: "who-is-at-the-own-address-is-believed-alive",
        checks: &["A2a"],
        patches: &[(
            WAITING,
            "if place.own.contains(&holder.addr) || holder.boot == place.boot {",
            "if place.own.contains(&holder.addr) && holder.state != MemberState::Alive {",
        )],
        by: By::Unit(
            "membership::waiting::tests::an_id_that_has_left_or_was_here_is_taken_at_the_first_answer",
        ),
    },
    Mutant {
        name: "the-wait-ends-while-the-holder-is-suspect",
        checks: &["A2a"],
        patches: &[(
            WAITING,
            "            MemberState::Suspect | MemberState::Left => false,\n        };",
            "            MemberState::Suspect => true,\n            MemberState::Left => false,\n        };",
        )],
        by: WAITED_FOR,
    },
    Mutant {
        name: "the-greater-rank-moves-before-it-asks",
        checks: &["A2b"],
        patches: &[(IDENTITY, "rank.is_some_and(|rank| self.rank < rank)", "rank.is_some()")],
        by: ONLY_A_CLAIM,
    },
    Mutant {
        name: "no-question-goes-through-a-member",
        checks: &["A2b"],
        patches: &[(NAME, "if let Some(via) = via {", "if let Some(via) = via.filter(|_| false) {")],
        by: By::Unit("membership::name_tests::a_twin_is_asked_through_the_member_that_has_told_of_it"),
    },
    Mutant {
        name: "no-member-passes-a-question-on",
        checks: &["A2b"],
        patches: &[(
            NAME,
            "if !self.name_relays.open(relay, cx.now) {",
            "if !self.name_relays.open(relay, cx.now) || relay.nonce > 0 {",
        )],
        by: By::Unit("membership::name_tests::a_twin_is_asked_through_the_member_that_has_told_of_it"),
    },
    Mutant {
        name: "each-move-above-a-silent-twin-waits-as-long",
        checks: &["A2b"],
        patches: &[(IDENTITY, "1_u16.checked_shl(jumps.into())", "1_u16.checked_shl(u32::from(jumps) * 0)")],
        by: By::Unit(
            "membership::identity::tests::each_move_above_a_process_that_never_answers_waits_twice_as_long",
        ),
    },
    Mutant {
        name: "jumps-move-the-bound-of-what-is-credible",
        checks: &["A3"],
        patches: &[(
            IDENTITY,
            "            self.incarnation = next;\n",
            "            self.incarnation = next;\n            self.first_epoch = next.epoch;\n",
        )],
        by: By::Unit(
            "membership::identity::tests::epochs_that_no_clock_can_show_are_not_credible_and_jumps_do_not_move_the_bound",
        ),
    },
    Mutant {
        name: "a-process-that-waits-admits-others",
        checks: &["A2a"],
        patches: &[(
            JOIN,
            "let admits = self.phase == Phase::Running && source.sender",
            "let admits = self.phase != Phase::Left && source.sender",
        )],
        by: By::Unit("membership::name_tests::a_process_that_waits_for_its_id_admits_nobody"),
    },
    Mutant {
        name: "random-bits-go-below-the-stored-epoch",
        checks: &["A1"],
        patches: &[(
            BOOT,
            "Ok(self.epoch.max(stored + 1) + random)",
            "Ok(self.epoch.max(stored) >> EPOCH_BITS << EPOCH_BITS | random)",
        )],
        by: By::Unit("boot::tests::an_epoch_begins_above_the_stored_one_whatever_the_random_bits"),
    },
    Mutant {
        name: "the-clock-alone-is-the-epoch-of-a-boot-without-memory",
        checks: &["A1"],
        patches: &[(BOOT, "return Ok(self.epoch.max(1) + random)", "return Ok(self.epoch.max(1))")],
        by: By::Unit("boot::tests::two_boots_whose_clock_shows_one_time_begin_with_two_epochs"),
    },
    Mutant {
        name: "a-late-member-passes-on-old-questions",
        checks: &["A2b"],
        patches: &[(MEMBERSHIP, "        self.name_relays.void(cx.now);\n", "")],
        by: By::Unit(
            "membership::name_tests::a_question_that_may_have_waited_with_a_late_member_is_not_passed_on",
        ),
    },
    Mutant {
        name: "a-copy-keeps-its-random-numbers",
        checks: &["A2c"],
        patches: &[(NAME, "        self.rng = Rng::new(seed, Stream::Membership);\n", "")],
        by: By::Unit("membership::name_tests::a_new_seed_gives_other_random_numbers"),
    },
    Mutant {
        name: "a-stop-without-a-word",
        checks: &["A2b"],
        patches: &[(
            OWN,
            "                cx.out.notify(Notice::IdentityConflict { other: rival, stopped: true });\n",
            "",
        )],
        by: By::Scenario("identity::of_two_copies_exactly_one_goes_on"),
    },
    Mutant {
        name: "a-claim-with-any-number-stops",
        checks: &["A2b"],
        patches: &[(
            IDENTITY,
            "let asked = self.doubt.filter(|doubt| doubt.nonce != 0 && doubt.nonce == nonce);",
            "let asked = self.doubt.filter(|doubt| doubt.nonce != 0);",
        )],
        by: ONLY_A_CLAIM,
    },
    Mutant {
        name: "the-seniority-is-not-compared",
        checks: &["A2b"],
        patches: &[(
            IDENTITY,
            "if rank.boot != self.rank.boot && rank < self.rank {",
            "if rank.boot != self.rank.boot && (rank.draws, rank.boot) < (self.rank.draws, self.rank.boot) {",
        )],
        by: ONLY_A_CLAIM,
    },
    Mutant {
        name: "the-wait-for-a-seed-is-not-given-back",
        checks: &["A2c", "B7"],
        patches: &[(NAME, "            self.postpone_verdicts(late, cx);\n", "            let _ = late;\n")],
        by: By::Unit("membership::adversity::processes::a_pause_while_a_seed_is_awaited_is_given_back"),
    },
    Mutant {
        name: "a-leave-does-not-wait-for-a-seed",
        checks: &["A2c", "B12"],
        patches: &[(
            MACHINES,
            "if self.membership.awaits_seed() {\n            return self.membership.leave_later(within);",
            "if self.membership.awaits_seed() && within == Duration::MAX {\n            return self.membership.leave_later(within);",
        )],
        by: By::Unit("membership::adversity::processes::a_leave_while_a_seed_is_awaited_is_heard"),
    },
    Mutant {
        name: "a-leave-that-waits-for-a-seed-is-lost",
        checks: &["A2c", "B12"],
        patches: &[(NAME, "        redraw.leave = Some(within);\n", "        let _ = within;\n")],
        by: By::Unit("membership::adversity::processes::a_leave_while_a_seed_is_awaited_is_heard"),
    },
    Mutant {
        name: "the-process-whose-record-was-replaced-is-forgotten",
        checks: &["A1"],
        patches: &[(TABLE, "entry.other_boot = boot;", "entry.other_boot = 0;")],
        by: By::Unit("membership::table::tests::of_two_processes_with_one_number_each_is_told_of_the_other"),
    },
    Mutant {
        name: "a-process-that-is-gone-is-asked-first",
        checks: &["A1"],
        patches: &[(IDENTITY, "        if !state.is_live() {", "        if !state.is_live() && boot == 0 {")],
        by: By::Unit(
            "membership::adversity::processes::a_process_in_a_used_epoch_that_a_member_contacts_moves_above_it_at_once",
        ),
    },
    Mutant {
        name: "rivals-without-limit",
        checks: &["A2c"],
        patches: &[(
            NAME,
            "if self.known.len() == RIVALS_TOLD_MAX {",
            "if self.known.len() == 100 * RIVALS_TOLD_MAX {",
        )],
        by: By::Unit(
            "membership::name_tests::of_invented_processes_of_the_own_id_a_few_are_told_in_a_minute",
        ),
    },
    Mutant {
        name: "the-rivals-that-were-told-make-room-at-once",
        checks: &["A2c"],
        patches: &[(NAME, "now.since(*at) < RIVAL_PAUSE", "now.since(*at) < Duration::ZERO")],
        by: By::Unit(
            "membership::name_tests::of_invented_processes_of_the_own_id_a_few_are_told_in_a_minute",
        ),
    },
    Mutant {
        name: "a-rival-is-told-again-and-again",
        checks: &["A2c"],
        patches: &[(
            NAME,
            "if self.known.iter().any(|(known, _)| *known == boot) {",
            "if self.known.iter().any(|(known, _)| *known == boot) && boot == 0 {",
        )],
        by: By::Unit("membership::adversity::forged::forged_questions_are_told_once_for_each_boot"),
    },
    Mutant {
        name: "a-question-comes-back-as-a-claim",
        checks: &["A2b"],
        patches: &[(
            IDENTITY,
            "            Some(doubt) if doubt.nonce != 0 && doubt.nonce == nonce => {",
            "            Some(doubt) if doubt.nonce == 0 && doubt.nonce == nonce => {",
        )],
        by: MODEL,
    },
    Mutant {
        name: "a-change-of-address-asks-nobody",
        checks: &["A2c"],
        patches: &[(
            JOIN,
            "        if seen != self.own.addr {\n            self.ask_self(cx);\n        }\n",
            "",
        )],
        by: By::Unit("membership::name_tests::who_is_seen_at_another_address_asks_for_itself"),
    },
    Mutant {
        name: "every-header-under-the-own-id-is-answered",
        checks: &["A2b", "B12"],
        patches: &[(
            NAME,
            "if self.phase != Phase::Running || boot == boot_here {",
            "if self.phase != Phase::Running && boot == boot_here {",
        )],
        by: By::Unit(
            "membership::hostile_tests::a_header_under_the_own_id_is_answered_only_to_another_process_and_while_it_runs",
        ),
    },
];
