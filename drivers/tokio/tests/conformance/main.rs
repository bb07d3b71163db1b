//! One set of scenarios over real sockets on loopback, run on each driver and on a cluster of several drivers. The tests
//! use any free ports, and wait for conditions, never for a fixed time.
#![expect(clippy::std_instead_of_core, reason = "a test is built on std")]

mod broadcast;
mod lifecycle;
mod multicast;
mod network;
mod restart;
mod support;

/// Defines one test for each scenario and each cluster. A scenario takes the kinds of three nodes.
macro_rules! conformance {
    ($($part:ident::$scenario:ident,)*) => {
        conformance!(@cluster udp [Udp, Udp, Udp] $($part::$scenario,)*);
        conformance!(@cluster tokio_one_thread [TokioOne, TokioOne, TokioOne] $($part::$scenario,)*);
        conformance!(@cluster tokio_many_threads [TokioMany, TokioMany, TokioMany] $($part::$scenario,)*);
        conformance!(@cluster mixed [Udp, TokioMany, TokioOne] $($part::$scenario,)*);
        conformance!(@cluster mixed_otherwise [TokioOne, Udp, TokioMany] $($part::$scenario,)*);
    };
    (@cluster $name:ident [$a:ident, $b:ident, $c:ident] $($part:ident::$scenario:ident,)*) => {
        mod $name {
            use crate::support::Kind;
            $(#[test]
            fn $scenario() {
                crate::$part::$scenario([Kind::$a, Kind::$b, Kind::$c]);
            })*
        }
    };
}

conformance! {
    lifecycle::members_see_each_other_and_their_metadata,
    lifecycle::a_call_of_the_handle_within_a_read_panics_and_stops_nothing,
    lifecycle::views_show_the_present_then_each_change_and_then_the_end,
    lifecycle::a_leave_and_a_crash_are_told_apart,
    lifecycle::a_node_that_does_not_run_refuses_and_no_call_hangs,
    lifecycle::a_leave_does_not_wait_for_a_host_name,
    lifecycle::a_stopped_node_frees_its_address,
    lifecycle::a_failed_start_names_the_reason,
    lifecycle::a_restarted_member_is_back_under_a_higher_epoch,
    lifecycle::a_journal_of_a_real_run_replays,
    lifecycle::a_slow_reader_blocks_nobody_and_is_told_what_it_missed,
    lifecycle::a_reader_that_panics_does_not_stop_the_node,
    network::pings_and_traces,
    network::a_flood_stops_no_timer_and_no_command,
    network::members_find_each_other_by_name_and_through_a_peers_file,
    network::an_id_in_use_is_noticed_through_a_host_name,
    network::ipv6_sockets_that_take_ipv4_use_one_form_of_an_address,
    network::members_over_ipv6,
    multicast::a_group_is_received_and_the_answer_goes_to_the_senders_own_address,
    multicast::a_group_over_ipv6,
    multicast::a_group_on_the_nodes_own_port_needs_no_second_socket,
    multicast::a_group_that_cannot_be_used_fails_the_start,
    broadcast::every_member_delivers_once_including_the_origin,
    broadcast::a_long_payload_arrives_whole,
    broadcast::a_report_ends_with_all,
    broadcast::a_report_ends_in_time_and_names_who_is_missing,
    broadcast::a_broadcast_that_cannot_be_sent_is_refused,
    broadcast::a_flood_is_refused_as_busy_and_no_accepted_broadcast_is_missing,
    broadcast::a_slow_reader_of_broadcasts_catches_up,
    broadcast::every_preset_reaches_every_member,
    broadcast::one_datagram_to_a_group_reaches_every_member,
    restart::a_seen_set_kept_at_intervals_survives_a_crash,
    restart::a_seen_set_kept_at_intervals_is_complete_after_a_leave,
    restart::a_seen_set_kept_before_delivery_survives_a_crash,
    restart::without_a_seen_set_a_restart_delivers_again,
    restart::a_seen_set_without_a_state_directory_fails_the_start,
}
