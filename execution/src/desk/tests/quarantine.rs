//! Quarantine: a symbol whose own requests fail too often rests, and what it holds does not.

use super::place::{Session, until};
use super::{ENTRY, World};
use crate::account::EntryOutcome;

const REFUSALS: &str = "select mode || ' ' || coalesce(detail ->> 'quarantine', 'no') || ' ' ||
    (expires_at - clock_timestamp() between interval '59 minutes' and interval '60 minutes')
    from symbol_safety_state where cause = 'order_reject'";
const TIMEOUTS: &str = "select mode || ' ' || coalesce(detail ->> 'quarantine', 'no') || ' ' ||
    (expires_at - clock_timestamp() between interval '59 minutes' and interval '60 minutes')
    from symbol_safety_state where cause = 'submit_error'";

async fn free(session: &Session) {
    let desk = session.desk.clone();
    until("the symbol is free", || desk.status().busy.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_refusal_for_the_pairs_rules_within_the_hour_is_a_quarantine() {
    let mut world = World::new().await;
    let mut session = world.session().await;
    for (n, wanted) in [(1, ""), (2, ""), (3, "quiet true true")] {
        let fault =
            r#"{"kind":"error","method":"add_order","text":"EOrder:Invalid price","count":1}"#;
        world.fault(fault);
        free(&session).await;
        assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
        let refused = "select count(*)::text from execution_orders where state = 'rejected'";
        world.until_word("refusals", refused, &n.to_string()).await;
        let alone = "select mode || ' ' || (expires_at is null)::text from symbol_safety_state
            where cause = 'submit_error'";
        world.until_word("until a person looks", alone, "exit_only true").await;
        world.until_word("quarantine", REFUSALS, wanted).await;
        // A restart between two refusals forgets nothing: the count is that of the rows.
        if n == 2 {
            session.kill().await;
            session = world.session().await;
        }
    }
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_entries_in_a_row_without_an_answer_in_time_are_a_quarantine() {
    let mut world = World::new().await;
    let session = world.session().await;
    for (n, wanted) in [(1, ""), (2, ""), (3, "quiet true true")] {
        world.fault(r#"{"kind":"lost_ack","method":"add_order","count":1}"#);
        world.fault(r#"{"kind":"silence","channel":"executions","symbol":null,"for_ms":1500}"#);
        assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
        let late = "select count(*)::text from execution_order_events
            where event_type = 'outcome_unknown' and to_state = 'submit_unknown'";
        world.until_word("no answer in time", late, &n.to_string()).await;
        world.until_word("found by a look", ENTRY, "acked_open").await;
        session.desk.cancel_entries("test").await;
        free(&session).await;
        world.until_word("quarantine", TIMEOUTS, wanted).await;
    }
    session.kill().await;
}
