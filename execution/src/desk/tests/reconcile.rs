//! Passes and looks: what the venue lists against our rows, written with its true outcome.

use penstock_sim::account::AddOrder;
use penstock_trading::mode::CauseCode;

use super::super::DeskConfig;
use super::place::until;
use super::{ENTRY, PLAN, POSITION, World};
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

/// Passes four times a second.
fn quick(config: &mut DeskConfig) {
    config.light_interval_ms = 250;
    config.settle_ms = 500;
}

/// The same, and the stream's word outranks a look for a second and a half.
fn quick_and_soon_final(config: &mut DeskConfig) {
    quick(config);
    config.stream_wins_ms = 1_500;
}

const LIGHT_PASSES: &str = "select least(count(*), 6)::text from reconcile_runs
    where kind = 'LIGHT' and outcome <> 'failed' and started_at >
        (select max(ts_local) from execution_order_events)";
const DIFFS: &str = "select count(*)::text from reconcile_diffs";
const ADJUSTED: &str = "select count(*)::text from fills_ledger where kind = 'adjust'";
const FIRST_STOP: &str = "select state from execution_orders where role = 'protection'
    and exchange_order_id is not null order by order_id limit 1";

/// What is believed when two sources differ: trades before the status of their order, a word of the stream that is
/// young before a look that lacks it, the look when that word has grown old, and trades before balances.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truth_order() {
    trades_outrank_the_status_of_their_order().await;
    a_young_word_of_the_stream_outranks_a_look_that_lacks_it().await;
    a_look_outranks_a_word_that_has_grown_old().await;
    trades_outrank_balances().await;
}

async fn trades_outrank_the_status_of_their_order() {
    // given a resting entry whose trade the stream loses, but not that it is filled
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    world.fault(r#"{"kind":"executions","action":"drop","count":1}"#);
    world.fill_entry();
    // then it is filled by its trade, fetched, and by nothing else
    world.until_word("entry", ENTRY, "filled").await;
    world.until_word("plan", PLAN, "armed").await;
    world.agrees().await;
    let by_status =
        "select count(*)::text from execution_orders o where state = 'filled' and qty <>
        (select coalesce(sum(f.qty), 0) from fills f where f.order_id = o.order_id)";
    assert_eq!(world.word(by_status).await, "0");
    session.kill().await;
}

async fn a_young_word_of_the_stream_outranks_a_look_that_lacks_it() {
    // given REST that shows the account as it was before anything happened
    let mut world = World::new().await;
    world.tune = quick;
    let session = world.session().await;
    world.fault(r#"{"kind":"rest_lag","ms":3600000}"#);
    // when the stream says that the entry is filled and its stop rests
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    // then pass after pass finds neither, and nothing is made of it
    world.until_word("passes", LIGHT_PASSES, "6").await;
    assert_eq!(world.word(DIFFS).await, "0");
    assert_eq!(world.word(PLAN).await, "armed");
    assert_eq!(world.word(FIRST_STOP).await, "acked_open");
    assert_eq!(world.venue.venue.with(|e, _| e.account().open_orders().count()), 1);
    world.agrees().await;
    session.kill().await;
}

async fn a_look_outranks_a_word_that_has_grown_old() {
    // given a stop that the stream showed live, and a stream that says nothing more
    let mut world = World::new().await;
    world.tune = quick_and_soon_final;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    world.fault(r#"{"kind":"silence","channel":"executions","symbol":null,"for_ms":3600000}"#);
    // when it is cancelled behind our back
    let stop = world.venue.venue.with(|e, _| {
        e.account().open_orders().map(|order| order.txid.clone()).next().expect("the stop rests")
    });
    world.cancel_by_hand(&stop);
    // then the looks are believed, the difference is on record, and another stop stands over the base
    world.until_word("first stop", FIRST_STOP, "canceled").await;
    let diff = "select (count(*) > 0)::text from reconcile_diffs
        where settled and diff_kind in ('PROTECTION', 'ORDER_MISSING')";
    world.until_word("difference", diff, "true").await;
    let rests =
        || world.venue.venue.with(|e, _| e.account().open_orders().any(|order| order.txid != stop));
    until("another stop", rests).await;
    world.until_word("plan", PLAN, "armed").await;
    assert_eq!(world.word(POSITION).await, "open");
    session.kill().await;
}

async fn trades_outrank_balances() {
    // given balances that lack what is bought, on the stream and by REST
    let mut world = World::new().await;
    world.tune = quick;
    let session = world.session().await;
    world.fault(r#"{"kind":"rest_lag","ms":3600000}"#);
    world.fault(r#"{"kind":"silence","channel":"balances","symbol":null,"for_ms":3600000}"#);
    // when the entry's trade is told
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    // then the position is what its trades make it, pass after pass
    world.until_word("passes", LIGHT_PASSES, "6").await;
    let held = "select (p.status = 'open' and p.base_qty = (select sum(f.qty) from fills f))::text
        from positions p";
    assert_eq!(world.word(held).await, "true");
    assert_eq!(world.word(ADJUSTED).await, "0");
    assert_eq!(world.word(DIFFS).await, "0");
    session.kill().await;
}
