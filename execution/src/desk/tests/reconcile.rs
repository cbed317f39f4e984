//! Passes and looks: what the venue lists against our rows, written with its true outcome.

use penstock_sim::account::AddOrder;
use penstock_trading::mode::CauseCode;

use super::place::until;
use super::{PLAN, World};
use crate::account::EntryOutcome;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_are_written_as_they_came_out_and_each_change_has_its_second_witness() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    let placed = "select outcome from reconcile_runs where kind = 'CONFIRM' and cause = 'PLACE'
        order by reconcile_id desc limit 1";
    world.until_word("second witness", placed, "confirmed").await;
    let full = "select outcome || ' ' || (calls >= 3) || ' ' || drift_score_x10000
        from reconcile_runs where kind = 'FULL' order by reconcile_id limit 1";
    world.until_word("full pass", full, "ok true 0").await;
    let light = "select outcome from reconcile_runs where kind = 'LIGHT'
        order by reconcile_id desc limit 1";
    world.until_word("light pass", light, "ok").await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_order_that_only_rest_shows_is_a_difference_until_it_is_cancelled() {
    // given a stream that says nothing for a while
    let mut world = World::new().await;
    world.open_session().await;
    let session = world.session().await;
    world.fault(r#"{"kind":"silence","channel":"executions","symbol":null,"for_ms":60000}"#);
    // when an order of a predecessor without a row comes alive
    let order = AddOrder { cl_ord_id: Some(world.id_of_a_predecessor()), ..world.bid() };
    world.place_order(order);
    // then the first pass sees it, the second counts it, and the mode falls
    let diff = "select diff_kind || ' ' || settled from reconcile_diffs
        order by diff_id desc limit 1";
    world.until_word("seen once", diff, "ORDER_EXTRA false").await;
    world.until_word("seen twice", diff, "ORDER_EXTRA true").await;
    let mode = session.mode.clone();
    until("the mode", || mode.view().reasons.contains(&CauseCode::DriftLimitExceeded)).await;
    let row = "select outcome || ' ' || drift_score_x10000 from reconcile_runs
        where drift_score_x10000 > 0 order by reconcile_id desc limit 1";
    assert_eq!(world.word(row).await, "diff 40000");
    // and it is cancelled although the stream never named it, and the score clears
    until("its cancel", || world.venue.venue.with(|e, _| e.account().open_orders().count()) == 0)
        .await;
    until("the end of the cause", || {
        mode.judge();
        !mode.view().reasons.contains(&CauseCode::DriftLimitExceeded)
    })
    .await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_lags_behind_the_stream_is_stale_and_repeated_until_it_confirms() {
    let mut world = World::new().await;
    let session = world.session().await;
    world.fault(r#"{"kind":"rest_lag","ms":3000}"#);
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    let outcomes = "select string_agg(distinct outcome, ' ' order by outcome)
        from reconcile_runs where kind = 'CONFIRM'";
    world.until_word("looks", outcomes, "confirmed stale").await;
    let diffs = "select count(*)::text from reconcile_diffs";
    assert_eq!(world.word(diffs).await, "0", "lag is no difference");
    session.kill().await;
}
