//! One suite of consumer tests, run unchanged in one process on memory and
//! with an interface server and two workers on Redis.

mod cases;
mod site;

pub use site::worker;

/// Makes of each case a test for one process and one for several.
macro_rules! suite {
    ($($case:ident),+ $(,)?) => {
        mod one_process_on_memory {
            $(
                #[tokio::test]
                async fn $case() -> anyhow::Result<()> {
                    super::cases::$case(&super::site::Site::one_process().await?).await
                }
            )+
        }

        mod many_processes_on_redis {
            $(
                #[tokio::test]
                async fn $case() -> anyhow::Result<()> {
                    super::cases::$case(&super::site::Site::many_processes().await?).await
                }
            )+
        }
    };
}

suite!(
    a_function_keeps_a_session_and_its_room,
    a_broadcast_reaches_whoever_is_there,
    a_function_denies_a_handshake,
    an_outbox_goes_out_whole_or_not_at_all,
    a_type_joins_its_groups_before_it_accepts,
    a_type_chooses_a_subprotocol,
    a_type_refuses_a_handshake_with_a_status_or_a_code,
    the_fields_of_a_type_are_its_session,
    an_event_to_a_group_runs_in_each_member,
    a_membership_ends_when_it_is_left_and_with_the_connection,
    who_is_gone_is_in_no_group_when_its_disconnect_is_told,
    a_type_closes_with_its_own_code,
    typed_messages_come_and_go,
    streams_have_their_own_sessions,
    a_stream_fails_alone,
    a_group_send_reaches_the_stream,
    a_job_runs_elsewhere_now_and_later,
    an_event_comes_later_or_is_cancelled,
    ticks_come_until_they_are_stopped,
    frames_of_one_connection_are_handled_in_order,
);
