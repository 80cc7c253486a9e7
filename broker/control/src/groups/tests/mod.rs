//! Each test is a transcript beside this file: commands with `>`, and below each what the coordinator did.
//! `UPDATE_TRANSCRIPTS=1 cargo test -p weir-control` writes what it does now into the files, for a person to judge.

mod transcript;

use transcript::check;

macro_rules! transcripts {
    ($($name:ident,)*) => {
        $(#[test] fn $name() { check(concat!(stringify!($name), ".txt")); })*
    };
}

transcripts! {
    a_client_gets_its_member_id_in_two_steps,
    two_members_share_and_one_leaves,
    the_first_rebalance_waits_for_more_members,
    a_silent_member_loses_its_session,
    a_member_that_does_not_rejoin_is_left_behind,
    a_member_joins_while_the_leader_assigns,
    a_member_that_never_syncs_is_removed,
    a_repeated_join_answers_the_current_generation,
    the_protocol_that_most_members_prefer_wins,
    a_static_member_comes_back_without_a_rebalance,
    a_static_member_comes_back_while_the_group_rebalances,
    an_old_client_with_an_instance_id_does_not_think_it_leads,
    members_leave_together,
    a_group_has_no_room_for_more,
    an_assignment_that_is_not_stored_is_not_handed_out,
    commits_are_answered_when_they_are_durable,
    commits_that_go_forward_are_counted,
    commits_of_strangers_are_refused,
    a_group_survives_a_restart,
    offsets_expire_when_the_group_is_empty_for_long,
    offsets_of_topics_nobody_reads_expire_in_a_stable_group,
    a_deleted_group_leaves_nothing_behind,
    offsets_are_deleted_only_where_nobody_reads,
    a_group_of_connect_workers_is_opaque,
    requests_out_of_bounds_are_refused,
}

mod many;
