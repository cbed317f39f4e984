//! What the operator asks of the desk besides closing.

use super::super::DeskConfig;
use super::{ENTRY, World};
use crate::account::EntryOutcome;

const ANSWERS: &str =
    "select string_agg(coalesce(result, '-'), '|' order by id) from control_requests";
const SAFETY: &str = "select string_agg(cause || ' ' || mode, ', ' order by cause)
    from symbol_safety_state where coalesce(expires_at, 'infinity') > clock_timestamp()";

impl World {
    async fn ask(&self, kind: &str, args: &str) {
        sqlx::query(
            "insert into control_requests (kind, args, requested_by) values ($1, $2::text::jsonb, 'test')",
        )
        .bind(kind)
        .bind(args)
        .execute(&self.home.pool("ops_rw").await)
        .await
        .unwrap();
    }

    async fn until_answer(&self, what: &str) -> String {
        let before = self.word(ANSWERS).await;
        let mut answer = before;
        while answer.ends_with('-') {
            answer = super::until_changed(self, ANSWERS, &answer).await;
        }
        println!("{what}: {answer}");
        answer.rsplit('|').next().unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symbol_is_marked_and_freed_by_a_person() {
    let mut world = World::new().await;
    let session = world.session().await;
    world.ask("safety", r#"{"op":"set","symbol":"BTC/USD","cause":"operator"}"#).await;
    assert_eq!(world.until_answer("set").await, "BTC/USD is exit_only by operator");
    assert_eq!(world.word(SAFETY).await, "operator exit_only");
    world.ask("safety", r#"{"op":"clear","symbol":"BTC/USD","cause":"operator"}"#).await;
    assert_eq!(world.until_answer("clear").await, "operator of BTC/USD is cleared");
    assert_eq!(world.word(SAFETY).await, "");
    world.ask("safety", r#"{"op":"set","symbol":"BTC/USD","cause":"order_reject"}"#).await;
    assert!(world.until_answer("refused").await.starts_with("refused: order_reject"));
    session.kill().await;
}

/// Nothing but the operator asks REST, and what the stream said is soon old.
fn quiet_passes(config: &mut DeskConfig) {
    config.light_interval_ms = 3_600_000;
    config.stream_wins_ms = 500;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_names_what_differs_and_changes_nothing() {
    let mut world = World::new().await;
    world.tune = quiet_passes;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    world.ask("reconcile", r#"{"dry_run":true}"#).await;
    let clean: serde_json::Value =
        serde_json::from_str(&world.until_answer("clean").await).unwrap();
    assert_eq!((&clean["differences"], &clean["orders_at_venue"]), (&0.into(), &1.into()));
    // when somebody cancels the entry by hand, and the stream does not say so
    world.fault(r#"{"kind":"executions","action":"drop","count":9}"#);
    world.cancel_by_hand(&world.at_venue("entry").await.txid);
    let mut found = serde_json::Value::Null;
    while found["differences"] != 1 {
        world.ask("reconcile", r#"{"dry_run":true}"#).await;
        found = serde_json::from_str(&world.until_answer("found").await).unwrap();
    }
    assert_eq!(found["named"][0]["kind"], "ORDER_MISSING", "{found}");
    assert_eq!(world.word(ENTRY).await, "acked_open", "nothing followed");
    // and a probe says how it stands without asking the venue
    world.ask("probe", "{}").await;
    let probe: serde_json::Value =
        serde_json::from_str(&world.until_answer("probe").await).unwrap();
    assert_eq!(probe["desk"]["live_orders"], 1, "{probe}");
    assert_eq!(probe["venue"]["private_stream"]["connected"], true, "{probe}");
    session.kill().await;
}
