//! What every engine of the ledger must do, written against `dyn Ledger` alone.
//!
//! An engine joins by implementing [`Engine`] and naming itself in [`conformance!`]:
//!
//! - [`verdicts`]: what becomes of the items of a webhook.
//! - [`order`]: which row is next, and who is due.
//! - [`persons`]: one person under several ids.
//! - [`journal`]: intents, results, holds, endings.
//! - [`statuses`]: what WhatsApp tells later.
//! - [`channels`]: rows that wait for a channel, and parts that go once more for its sake.
//! - [`voice`]: what was heard and spoken, and the way back to text.
//! - [`recovery`]: what a new process finds.
//! - [`operator`]: trace, dead letters, replay.
//! - [`keeping`]: what is forgotten on request, and what when its time is over.
//! - [`reads`]: history, numbers, and the end of the engine.
//! - [`property`]: random commands, compared with the plain [`model`] after each.
//!
//! [`world`] has the verbs in which the cases are written, [`items`] the messages and statuses they send.

use std::sync::Arc;

use parlante_ledger::Ledger;

pub(crate) mod channels;
pub(crate) mod items;
pub(crate) mod journal;
pub(crate) mod keeping;
pub(crate) mod model;
pub(crate) mod operator;
pub(crate) mod order;
pub(crate) mod persons;
pub(crate) mod property;
pub(crate) mod reads;
pub(crate) mod recovery;
pub(crate) mod statuses;
pub(crate) mod verdicts;
pub(crate) mod voice;
pub(crate) mod world;

/// An engine with a store of its own, empty at first.
pub(crate) trait Engine {
    /// Opens the store; the same one each time.
    fn open(&self) -> Arc<dyn Ledger>;
    /// Leaves the store as a sudden death of the process would: what was answered is there, nothing was closed.
    fn crash(&mut self);
}

/// One test per case of the suite, each with a fresh engine.
macro_rules! conformance {
    ($engine:expr) => {
        crate::suite::conformance! { $engine;
            verdicts: a_new_message_is_accepted_and_wakes_its_person,
                a_known_id_is_a_duplicate,
                an_id_is_forgotten_after_its_time,
                a_stale_message_is_refused_and_remembered,
                the_eleventh_of_one_batch_overflows,
                a_refused_id_is_a_duplicate_later,
                the_backlog_counts_the_one_in_progress,
                the_backlog_counts_only_what_wants_an_answer,
                one_burst_is_told_once,
                a_burst_ends_when_the_backlog_reaches_zero,
                people_do_not_fill_each_others_backlog,
                noted_items_are_remembered_and_open_nothing,
                an_empty_webhook_changes_nothing;
            order: the_disclosure_goes_first_and_once,
                messages_keep_the_order_of_acceptance,
                a_notice_goes_between_two_turns,
                a_held_row_keeps_its_place_and_the_others_wait,
                a_row_held_before_it_was_begun_keeps_its_place,
                a_notice_goes_out_while_an_unbegun_row_is_held,
                due_lists_each_person_once_longest_waiting_first,
                due_finds_those_whose_wake_was_lost;
            persons: a_phone_alone_and_a_bsuid_alone_are_addresses,
                the_phone_is_the_address_once_it_is_known,
                every_order_of_joining_makes_one_person,
                a_joined_person_waits_for_the_row_in_progress,
                two_rows_in_progress_both_end_after_a_join,
                a_joined_person_may_be_joined_again,
                the_backlog_counts_all_that_a_person_is,
                a_joined_person_is_told_once,
                a_joined_person_is_one_queue,
                histories_are_joined_in_the_order_of_time,
                a_new_number_keeps_the_person,
                a_number_that_changes_hands_makes_a_new_person,
                a_number_may_go_to_someone_known,
                a_row_that_has_moved_is_not_begun_by_its_old_conversation,
                what_a_join_moves_is_woken_even_by_a_refused_message,
                the_window_counts_from_the_newest_message;
            journal: a_turn_is_begun_advanced_and_finished,
                parts_are_sent_one_after_the_other,
                a_postponed_part_is_fresh_again_later,
                only_whatsapp_counts_as_a_hold,
                an_unknown_part_waits_for_its_status,
                a_drained_row_is_given_back_as_it_is,
                a_settled_hold_does_not_wait,
                a_failed_part_makes_the_row_dead,
                a_dead_disclosure_is_made_again,
                panics_are_counted_per_row,
                a_row_that_has_ended_stays_as_it_is,
                a_dead_row_answers_why,
                a_command_for_no_row_changes_nothing;
            statuses: the_rank_only_rises,
                a_status_may_come_before_our_own_result,
                what_a_status_has_settled_is_not_begun_again,
                a_status_lets_an_unknown_part_go_on,
                a_status_lets_a_postponed_part_go_on,
                a_failed_status_lets_a_held_part_go_on,
                the_code_of_the_status_stays,
                a_failure_after_the_delivery_is_ignored,
                a_delivery_after_the_failure_saves_the_part,
                a_bare_sent_does_not_outlive_a_failure,
                an_answered_message_turns_dead_once,
                an_undelivered_disclosure_is_made_again,
                a_foreign_tag_changes_nothing,
                a_status_of_one_webhook_counts_once;
            channels: a_row_waits_until_its_channel_opens,
                a_wait_for_a_channel_has_an_end,
                the_oldest_are_released_first,
                a_hold_overwrites_what_was_waited_for,
                waiting_for_a_channel_is_no_hold,
                a_status_ends_the_wait_for_a_channel,
                what_has_ended_waits_for_no_channel,
                channels_are_open_in_a_new_process,
                nobody_is_woken_for_what_is_behind_another,
                neither_the_slow_nor_the_fresh_use_up_the_list,
                a_channel_fault_opens_what_was_done,
                a_message_that_dies_after_it_was_done_is_told,
                what_is_told_of_the_first_send_is_past,
                a_delivery_of_the_first_send_is_believed,
                only_the_part_that_failed_goes_once_more,
                a_part_that_failed_meanwhile_keeps_the_row_open,
                a_fault_may_come_before_our_own_result,
                the_second_send_may_fail_before_our_own_result,
                a_fault_of_an_earlier_attempt_does_not_undo_the_later,
                a_fault_lets_an_unknown_part_go_on,
                a_fault_after_the_delivery_is_ignored,
                a_fault_does_not_wake_the_dead,
                a_fault_of_an_apology_that_was_replayed_is_past,
                a_failure_beside_a_fault_is_the_end,
                an_unknown_part_is_decided_before_one_that_goes_once_more,
                a_disclosure_goes_once_more_like_an_answer,
                a_row_that_is_open_again_belongs_to_the_one_they_are;
            voice: a_note_is_heard_answered_spoken_and_sent,
                a_silent_note_is_heard_as_nothing,
                what_is_settled_is_never_paid_for_again,
                a_voice_that_is_closed_is_waited_for,
                an_upload_that_is_not_taken_counts_as_a_hold,
                an_answer_too_long_to_be_a_note_is_refused,
                a_reply_that_cannot_be_spoken_goes_as_text,
                a_note_that_was_refused_goes_as_text,
                a_note_that_cannot_be_delivered_goes_as_text_once,
                a_note_may_fail_before_our_own_result,
                a_note_that_is_held_goes_on_as_text,
                a_part_of_the_former_reply_is_not_sent_any_more,
                only_the_note_itself_falls_back,
                a_note_goes_once_more_when_its_channel_was_at_fault,
                a_replay_keeps_what_was_heard_and_spoken,
                a_replay_tries_again_what_could_not_be_spoken,
                a_replay_after_an_apology_speaks_anew,
                an_unknown_note_is_reconciled_like_any_send,
                a_wish_stays_until_the_next,
                the_newer_of_two_wishes_is_kept,
                a_forgotten_person_wishes_for_nothing;
            recovery: a_fresh_row_goes_on,
                the_model_is_asked_again,
                a_send_without_its_result_becomes_unknown,
                a_death_over_the_resend_of_an_unknown_send_is_the_last,
                the_wait_for_a_status_counts_from_ready,
                an_unknown_send_waits_anew,
                a_postponed_part_stays_postponed,
                sent_parts_stay_sent,
                a_graceful_stop_is_no_death,
                a_stop_in_the_middle_of_a_turn_is_no_death,
                from_its_second_death_on_a_row_is_suspected,
                twenty_deaths_end_a_row,
                a_row_given_up_ends_the_burst,
                what_was_answered_survives,
                recovering_twice_finds_nothing_more;
            operator: a_trace_tells_the_whole_way,
                a_trace_tells_what_an_open_row_waits_for,
                a_trace_of_a_refused_message,
                what_is_only_known_is_told_from_what_is_not,
                the_dead_are_listed_with_what_the_providers_said,
                the_refused_are_listed_apart,
                a_replay_sends_only_what_was_not_accepted,
                a_replay_sends_the_answer_after_an_apology,
                a_failed_apology_does_not_fail_the_answer,
                a_late_status_of_the_failed_send_changes_nothing,
                an_uncertain_send_may_be_settled_after_all,
                a_replayed_refusal_is_answered,
                a_stranger_is_told_first_when_a_refusal_is_replayed,
                a_replay_does_not_overtake_what_is_in_progress,
                all_the_dead_are_replayed_in_order,
                a_replay_after_a_join_belongs_to_the_one_they_are;
            keeping: a_forgotten_person_is_a_stranger,
                a_person_is_forgotten_under_either_id_and_with_all_they_are,
                a_turn_in_progress_ends_with_its_person,
                an_unknown_person_is_told_apart,
                the_former_holder_of_a_number_is_not_forgotten_with_it,
                messages_go_when_their_time_is_over,
                ids_are_remembered_for_their_time,
                a_person_is_told_once_for_as_long_as_anything_is_left,
                a_short_memory_does_not_tell_a_person_twice,
                joined_people_go_together,
                cleaning_is_done_in_small_batches;
            reads: the_history_is_cut_at_the_newest_lines,
                only_words_become_history,
                counts_are_what_is_there_now,
                queues_are_listed_longest_first,
                closing_writes_what_was_queued,
                a_closed_ledger_answers_closed;
        }
    };
    ($engine:expr; $($area:ident: $($case:ident),+;)+) => {
        $(mod $area {
            use super::*;

            $(#[test]
            fn $case() {
                crate::suite::$area::$case(&mut crate::suite::world::World::new(Box::new($engine)));
            })+
        })+

        #[test]
        fn random_commands_agree_with_the_model() {
            crate::suite::property::agrees_with_the_model(|| Box::new($engine));
        }
    };
}
pub(crate) use conformance;
