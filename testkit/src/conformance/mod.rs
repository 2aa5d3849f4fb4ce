//! The conformance suite: every **must** of the contract as one case.
//!
//! A case is an async function that takes a [`Factory`](crate::Factory), makes
//! an empty backend and states one fact. It panics if the fact does not hold,
//! and ends within a minute in any case. [`conformance!`](crate::conformance!)
//! makes a test of each; a case is added in its list, for all backends at once.
//!
//! Cases wait for events under a deadline and let the backend's own time pass;
//! on a backend in real time the suite takes about a minute.
//!
//! # Cancel safety
//!
//! A case that is dropped leaves its backend to its `Drop`.

use std::time::Duration;

pub mod at_most_once;
pub mod cancel_safety;
pub mod capacity;
pub mod close;
pub mod delay;
pub mod errors;
pub mod expiry;
pub mod fairness;
pub mod faults;
pub mod fifo;
pub mod flush;
pub mod groups;
pub mod history;
pub mod inbox;
pub mod late_replies;
pub mod lease;
pub mod mailbox;
pub mod members;
pub mod names;
pub mod order;
pub mod room;
pub mod statistics;
mod support;

/// How long one case may take.
const CASE_MAX: Duration = Duration::from_mins(1);

/// Runs one case to its end, on two threads.
///
/// # Panics
///
/// If the case does, or if it takes longer than a minute.
pub fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the case");
    let ended = runtime.block_on(async { tokio::time::timeout(CASE_MAX, case).await });
    assert!(ended.is_ok(), "the case did not end within {CASE_MAX:?}");
}

/// Makes a test of every case of the suite, for the backends that a
/// [`Factory`](crate::Factory) makes: `conformance!(MyFactory);` at the root of
/// an integration test.
#[macro_export]
macro_rules! conformance {
    ($factory:expr) => {
        $crate::__conformance_tests! { $factory;
            names {
                a_new_channel_has_one_reader_and_a_name_of_its_own
                a_prefix_that_is_no_name_is_refused
                a_reply_channel_has_no_receiver
                only_reply_channels_are_members
                every_node_has_an_identity_of_its_own
            }
            fifo {
                messages_come_in_the_order_of_sending
                a_batch_is_in_order
                the_order_holds_between_nodes
                a_single_reader_channel_keeps_the_order
                every_message_arrives_as_it_was_sent
            }
            at_most_once {
                receivers_in_two_nodes_share_without_doubles
                every_message_has_an_id_of_its_own
                a_receiver_that_dies_doubles_nothing
            }
            capacity {
                the_send_over_capacity_is_refused_and_enqueues_nothing
                capacity_is_chosen_by_glob
                one_full_channel_does_not_fill_another
                capacity_is_exact_under_concurrency
                a_receive_makes_room_for_as_many
                a_batch_is_refused_from_the_first_over_capacity
            }
            expiry {
                what_is_older_is_never_delivered
                a_message_lives_until_its_expiry
                expiry_is_chosen_by_glob
                what_has_expired_does_not_count_against_capacity
                what_expires_behind_the_head_is_not_delivered_either
            }
            cancel_safety {
                a_cancelled_receive_loses_nothing
                cancelled_receives_lose_and_double_nothing
                what_a_cancelled_receive_was_woken_for_goes_to_another
                a_receiver_gives_back_what_it_holds_in_the_old_order
                what_is_given_back_keeps_its_deadline
                a_closed_receiver_takes_nothing
            }
            fairness {
                a_quiet_channel_is_not_starved_by_a_busy_one
                a_waiting_receiver_is_woken_from_another_node
                every_message_finds_a_waiting_receiver
            }
            room {
                there_is_room_at_once_where_there_is_room
                the_receive_that_makes_room_wakes_a_sender
                a_wait_for_room_ends_by_itself
                senders_that_wait_for_room_all_get_through
            }
            inbox {
                a_reply_reaches_its_connection_from_any_node
                replies_keep_their_order
                a_node_gets_only_what_is_for_it
                a_reply_for_a_closed_connection_is_dropped_and_counted
                a_reply_for_a_node_that_never_was_is_dropped_and_counted
                a_full_inbox_refuses_and_what_it_accepted_arrives
                a_full_inbox_takes_completions
                a_full_inbox_does_not_concern_another_node
            }
            mailbox {
                a_mailbox_brings_replies_and_group_messages_in_order
                a_mailbox_stands_beside_a_sink
                a_full_mailbox_loses_its_own_and_says_so
                a_dropped_mailbox_leaves_no_ghost
                a_mailbox_ends_with_its_node
            }
            groups {
                a_send_after_an_add_reaches_the_member
                a_send_after_a_discard_does_not
                adding_and_discarding_twice_is_once
                a_second_add_replaces_the_metadata
                metadata_over_its_limit_is_refused
                a_send_costs_one_message_a_node
                a_group_without_members_takes_messages
                a_refused_group_message_is_counted_and_leaves_a_gap
                discard_all_ends_every_membership
                members_that_come_and_go_beside_lose_nothing
            }
            history {
                a_published_message_reaches_members_with_its_position
                a_group_without_members_keeps_messages
                concurrent_publishers_get_dense_offsets
                a_recall_begins_behind_the_position_given
                a_gap_larger_than_what_is_kept_is_told
                what_is_older_than_its_time_is_not_recalled
                bytes_bound_what_is_kept
                a_position_of_another_epoch_is_told
                an_empty_group_has_a_position_to_go_on_from
                offsets_outlive_messages_while_they_are_used
                nothing_falls_between_a_join_and_a_recall
                a_flush_begins_another_epoch
                a_message_that_is_refused_takes_no_offset
                what_a_full_inbox_refuses_is_recalled
                a_local_send_stays_on_its_node
                a_closed_node_keeps_nothing
            }
            members {
                members_are_listed_with_their_metadata_from_any_node
                counts_and_questions_agree_with_the_list
                a_large_group_is_listed_whole
            }
            order {
                group_sends_reach_each_member_in_order
                a_direct_reply_does_not_overtake_a_group_send
                a_member_gets_what_is_sent_between_its_add_and_its_discard
            }
            lease {
                a_node_that_died_is_absent_and_its_memberships_go
                a_node_that_lives_keeps_its_memberships
                a_connection_that_is_gone_leaves_no_ghost
                an_add_for_a_closed_connection_is_undone
                an_add_for_a_node_that_died_leaves_nothing
            }
            statistics {
                a_channel_counts_what_happened_on_it
                the_total_is_the_sum_of_the_channels
                what_a_node_counts_shows_everywhere
                living_nodes_are_counted
            }
            flush {
                a_flush_empties_for_every_observer
                after_a_flush_all_goes_on
            }
            delay {
                a_delayed_message_comes_when_it_is_due
                a_waiting_receiver_is_woken_at_the_due_time
                without_a_delay_it_is_due_at_once
                what_is_due_first_comes_first
                a_cancelled_message_never_comes
                a_key_of_nothing_cancels_nothing
                a_cancel_tells_the_truth_whenever_it_comes
                bytes_can_be_delayed
                a_full_channel_keeps_it_waiting
                capacity_holds_for_what_becomes_due
                expiry_counts_from_the_due_time
                what_waits_for_room_expires_too
                no_more_wait_than_may
                an_invalid_request_harms_nobody
                it_survives_the_death_of_who_asked
                a_flush_takes_along_what_waits
                what_waits_is_counted
                many_delays_lose_and_double_nothing
                a_closed_node_delays_nothing
            }
            late_replies {
                a_delayed_reply_reaches_its_connection
                a_delayed_reply_for_nobody_is_dropped_and_counted
                what_is_no_reply_is_dropped
                a_full_inbox_keeps_a_delayed_reply_waiting
                a_flush_takes_along_delayed_replies
                no_more_replies_wait_than_may
            }
            errors {
                the_largest_message_passes_and_one_byte_more_does_not
                the_envelope_has_a_limit_of_its_own
                errors_say_whether_to_try_again
                a_backend_that_is_there_answers
            }
            close {
                a_close_wakes_who_waits
                calls_after_a_close_fail_with_closed
                a_node_that_closes_leaves_at_once
            }
            faults {
                after_an_empty_restart_another_epoch_begins
                after_an_empty_restart_all_goes_on
                after_an_empty_restart_groups_heal
                after_an_empty_restart_mailboxes_know_of_the_gap
                a_pause_loses_and_doubles_nothing
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($factory:expr; $($theme:ident { $($case:ident)* })*) => {
        $(
            mod $theme {
                use super::*;

                $(
                    #[test]
                    fn $case() {
                        $crate::conformance::run($crate::conformance::$theme::$case(&$factory));
                    }
                )*
            }
        )*
    };
}
