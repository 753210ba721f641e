//! What every store does, whatever it is made of: one suite, run for each backend.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "store_contract/applications.rs"]
mod applications;
#[path = "store_contract/codes.rs"]
mod codes;
#[path = "store_contract/lockout.rs"]
mod lockout;
#[path = "store_contract/log.rs"]
mod log;
#[path = "store_contract/nodes.rs"]
mod nodes;
#[path = "store_contract/refresh.rs"]
mod refresh;
#[path = "store_contract/remotes.rs"]
mod remotes;
#[path = "store_contract/sessions.rs"]
mod sessions;
#[path = "store_contract/sweep.rs"]
mod sweep;
#[path = "store_contract/tokens.rs"]
mod tokens;
#[path = "store_contract/users.rs"]
mod users;
#[allow(dead_code, reason = "other tests of stores use the rest of it")]
#[path = "store_contract/world.rs"]
mod world;

macro_rules! contract {
    ($($module:ident { $($sentence:ident,)+ })+) => {
        mod memory {
            $(mod $module {
                $(#[tokio::test]
                async fn $sentence() {
                    crate::$module::$sentence(crate::world::World::in_memory()).await;
                })+
            })+
        }

        mod sqlite {
            $(mod $module {
                $(#[tokio::test]
                async fn $sentence() {
                    crate::$module::$sentence(crate::world::World::in_file().await).await;
                })+
            })+
        }
    };
}

contract! {
    nodes {
        a_token_lets_one_node_in_once,
        of_many_nodes_at_once_one_joins,
        a_token_that_is_over_unknown_or_deleted_lets_nobody_in,
        a_token_is_kept_once_and_listed_for_its_tenant,
        a_node_that_joins_again_keeps_its_id_and_loses_its_old_secret,
        a_node_may_be_let_in_without_a_token_and_be_removed,
        an_ordinary_application_of_a_nodes_name_is_not_replaced,
        the_use_of_a_node_is_noted,
        tokens_that_are_over_are_swept_and_used_ones_a_month_later,
    }
    remotes {
        one_that_is_used_holds_until_its_end_and_one_that_is_not_ends_before,
        an_id_is_taken_once,
        other_tokens_take_the_place_of_the_old_and_whoever_remembers_it_is_told,
        it_is_ended_once_and_whoever_remembers_it_is_told,
        those_that_have_ended_are_swept,
    }
    users {
        a_name_is_taken_once_in_a_realm,
        a_user_is_found_by_id_and_by_name_and_in_no_other_realm,
        everything_of_a_user_is_kept,
        users_are_listed_by_name_in_parts,
        the_first_password_activates_and_does_not_approve,
        a_new_password_ends_sessions_and_tokens_if_it_is_asked_to,
        a_hash_is_renewed_only_while_it_is_the_same,
        a_state_is_reached_only_from_where_it_may_be,
        a_disabled_user_holds_nothing_any_more_and_gets_nothing_back,
        a_user_who_must_choose_a_password_anew_has_none,
        what_a_user_may_do_is_replaced_as_a_whole,
        a_deleted_user_leaves_nothing_that_works,
    }
    applications {
        a_client_id_is_taken_once_in_a_realm,
        everything_of_an_application_is_kept,
        applications_are_listed_by_client_id_and_owner,
        an_application_is_changed_and_gets_a_new_secret,
        a_disabled_application_is_suspended_and_loses_nothing,
        a_deleted_application_takes_its_tokens_and_codes_along,
        a_customer_is_written_replaced_listed_and_deleted,
    }
    lockout {
        the_last_attempt_that_fails_starts_the_lock,
        a_lock_ends_by_itself_and_counting_begins_anew,
        a_right_password_forgets_what_failed,
        attempts_are_forgotten_after_the_window,
        attempts_that_came_to_no_end_hold_the_account_for_one_duration,
        a_withdrawn_attempt_was_none,
        a_clock_that_is_set_back_makes_no_lock_longer,
        other_names_and_realms_are_not_locked,
        an_attempt_begun_before_the_lock_does_not_lengthen_it,
        of_a_hundred_attempts_at_once_so_many_are_allowed_as_the_policy_says,
    }
    sessions {
        a_session_holds_until_its_absolute_end,
        a_session_ends_when_it_is_not_used,
        a_session_belongs_to_its_realm,
        a_sign_in_from_within_a_session_ends_the_old_one,
        a_session_of_somebody_else_is_not_replaced,
        the_session_unused_for_longest_makes_room,
        an_ended_session_is_gone_for_good,
        the_csrf_value_can_be_changed_and_belongs_to_the_session,
    }
    codes {
        a_code_is_redeemed_once_and_gives_what_was_granted,
        a_second_use_revokes_what_the_first_gave,
        a_replay_after_its_time_revokes_too,
        a_code_expires,
        a_code_is_good_for_its_own_client_only_and_stays_so,
        the_redirect_uri_must_be_repeated_as_the_rule_says,
        verifier_and_challenge_come_together_or_not_at_all,
        a_code_means_nothing_in_another_realm,
        of_fifty_redemptions_at_once_one_gets_tokens_and_ends_without_them,
    }
    refresh {
        a_refresh_gives_the_next_tokens_and_keeps_the_family,
        a_family_grows_older_by_refreshing_and_never_older_than_its_end,
        a_used_token_revokes_the_family,
        a_lost_answer_can_be_had_again_within_the_grace_period,
        the_grace_period_counts_from_the_first_use,
        a_grace_period_is_never_longer_than_a_minute,
        there_is_no_grace_once_the_successor_was_used,
        a_replaced_token_revokes_the_family,
        a_token_expires,
        a_token_of_a_revoked_family_is_no_good,
        a_token_is_good_for_its_own_client_only,
        a_token_means_nothing_in_another_realm,
        of_twenty_refreshes_at_once_one_chain_is_left,
    }
    tokens {
        an_access_token_says_whom_it_was_given_to,
        an_access_token_may_have_fewer_scopes_than_its_family,
        an_access_token_expires,
        an_access_token_is_revoked_alone,
        a_foreign_token_is_remembered_as_revoked_until_its_end,
        a_family_is_revoked_once,
        a_refresh_token_is_revoked_by_its_own_client_with_the_family,
        tokens_of_a_user_at_one_application_are_revoked_and_no_others,
        tokens_of_a_user_or_an_application_are_revoked_together,
        the_token_list_is_newest_first_in_parts_and_filtered,
        the_standing_is_read_in_one_go,
        a_token_never_outlives_its_family,
    }
    log {
        what_is_done_has_an_entry_with_actor_and_time,
        entries_are_listed_newest_first_in_parts,
        changes_are_told_before_the_operation_is_answered,
        changes_are_read_from_a_cursor,
        a_cursor_that_is_unknown_means_read_everything_anew,
        an_operation_that_changes_nothing_tells_nothing,
        whoever_does_not_keep_up_is_told_to_read_everything_anew,
        a_closed_store_refuses,
    }
    sweep {
        what_has_ended_goes_after_a_while,
        used_codes_and_tokens_stay_as_long_as_their_family,
        a_session_that_was_just_used_is_not_swept,
        attempts_go_when_they_say_nothing_any_more,
        a_sweep_has_a_limit,
        the_audit_log_is_kept_for_as_long_as_it_says,
    }
}
