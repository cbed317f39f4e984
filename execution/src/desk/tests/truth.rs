//! What must not be concluded: nothing from a balance that nobody sent anew, nothing from one look, and an order that
//! lives at the venue is never left alone because its row has ended.

use std::time::Instant;

use penstock_sim::account::{AddOrder, OrderKind, OrderRef, OrderStatus};
use penstock_sim::exchange::{Qty, Side as SimSide, SymbolNo};
use penstock_trading::mode::CauseCode;
use penstock_types::Decimal;

use super::super::DeskConfig;
use super::place::until;
use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;

/// Passes four times a second; the stream's word outranks a look as long as ever.
fn quick(config: &mut DeskConfig) {
    config.light_interval_ms = 250;
    config.settle_ms = 500;
}

/// The same, and the stream's word outranks a look for a second and a half.
fn quick_and_soon_final(config: &mut DeskConfig) {
    quick(config);
    config.stream_wins_ms = 1_500;
}

const ADJUSTED: &str = "select count(*)::text from fills_ledger where kind = 'adjust'";
const HELD: &str = "select coalesce(sum(base_qty), 0)::float8::text from positions";
/// Passes for so long after the last booked trade that a balance seen at it would have been seen twice.
const SEVEN_SECONDS_OF_PASSES: &str = "select (count(*) > 0)::text from reconcile_runs
    where kind = 'LIGHT' and outcome <> 'failed'
    and started_at > (select max(ts_local) + interval '7 seconds' from fills)";

impl World {
    /// Orders of the account at the venue that sell at market.
    fn market_sells(&self) -> usize {
        self.venue.venue.with(|e, _| {
            let orders = e.account().orders();
            orders
                .filter(|o| o.side == SimSide::Sell && o.limit.is_none() && o.trigger.is_none())
                .count()
        })
    }
}

/// A balance that the venue does not repeat is one look, however often it is read from memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_balances_channel_corrects_no_position() {
    // given: balances that are silent while trades flow
    let mut world = World::new().await;
    world.tune = quick;
    // A lot that is there already, so that the image has a row of it: less is no difference.
    world.venue.venue.with(|e, now| e.transfer("BTC", Decimal::new(1, 8), now)).unwrap();
    let session = world.session().await;
    world.fault(r#"{"kind":"silence","channel":"balances","symbol":null,"for_ms":3600000}"#);
    // when: an entry is filled, and passes go on for seconds
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("passes", SEVEN_SECONDS_OF_PASSES, "true").await;
    // then: the position is what its trades make it
    assert_eq!(world.word(ADJUSTED).await, "0");
    assert_eq!(world.word(POSITION).await, "open");
    assert_eq!(world.word(HELD).await, "0.001");
    world.agrees().await;
    session.kill().await;
}

/// R1: the balance overtakes its trade, which the stream never reports.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_that_overtakes_its_trade_is_booked_once() {
    // given: a resting entry, and a stream that reports no trade
    let mut world = World::new().await;
    world.tune = quick;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    world.fault(r#"{"kind":"silence","channel":"executions","symbol":null,"for_ms":12000}"#);
    // when: it is filled, and only the balance says so
    world.fill_entry();
    // then: its trade is found, the base is there once, and nothing was made up
    world.until_word("entry", ENTRY, "filled").await;
    world.until_word("passes", SEVEN_SECONDS_OF_PASSES, "true").await;
    assert_eq!(world.word(ADJUSTED).await, "0");
    assert_eq!(world.word(HELD).await, "0.001");
    world.agrees().await;
    session.kill().await;
}

/// REST that lags beyond the proof shows neither the close nor its trade; the base is still there, because it never was all ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_rest_does_not_show_yet_is_not_sent_twice() {
    // given: a position, and REST that shows nothing of what happens from now on
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    world.fault(r#"{"kind":"rest_lag","ms":20000}"#);
    // and: base beside it that is not ours to sell
    world.venue.venue.with(|e, now| e.transfer("BTC", Decimal::new(1, 2), now)).unwrap();
    // when: its close is carried out, but neither answered nor reported
    world.fault(r#"{"kind":"executions","action":"delay","count":1,"delay_ms":0}"#);
    world.fault(r#"{"kind":"executions","action":"drop","count":4}"#);
    world.fault(r#"{"kind":"lost_ack","method":"add_order","count":1}"#);
    assert_eq!(session.desk.flatten(None).await, 1);
    // then: an image shows its trade, and it was the only one; REST says of its order how it ended when it can
    world.until_word("position", FIRST_POSITION, "closed").await;
    assert_eq!(world.market_sells(), 1);
    world.until_word("close", CLOSES, "filled").await;
    assert_eq!(world.market_sells(), 1);
    world.agrees().await;
    session.kill().await;
}

/// An order that ended by our rows with a fill, and lives at the venue, would go on buying.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_ended_with_fills_and_lives_at_the_venue_is_cancelled() {
    // given: a resting entry that is filled in part
    let mut world = World::new().await;
    world.tune = quick_and_soon_final;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    world
        .venue
        .venue
        .with(|e, now| e.flow_market(SymbolNo(0), SimSide::Sell, Qty(500_000_000 + 40_000), now));
    world.until_word("entry", ENTRY, "partially_filled").await;
    world.until_word("plan", PLAN, "armed").await;
    // when: the stream says that it was cancelled, which is not so
    let entry = world.at_venue("entry").await;
    session.hear(&entry, AFTER, CANCELED_IN_PART).await;
    world
        .until_word(
            "entry",
            "select string_agg(distinct to_state, ' ') from execution_order_events
        where to_state = 'canceled'",
            "canceled",
        )
        .await;
    // then: a pass sees it live, it is cancelled there, and what it bought is kept
    let ended = || {
        world.venue.venue.with(|e, _| {
            e.account()
                .orders()
                .all(|o| o.side == SimSide::Sell || o.status == OrderStatus::Canceled)
        })
    };
    until("its cancel", ended).await;
    let diff = "select (count(*) > 0)::text from reconcile_diffs where diff_kind = 'ORDER_STATUS'";
    world.until_word("difference", diff, "true").await;
    world.until_word("entry", ENTRY, "canceled").await;
    assert_eq!(world.word(HELD).await, "0.0004");
    world.agrees().await;
    session.kill().await;
}

/// Base that comes or goes without a trade: corrected when the venue has said it twice, five seconds apart, and has
/// shown its orders since; the ledger keeps both views with their times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_that_was_said_twice_corrects_the_position_and_is_kept_as_evidence() {
    let mut world = World::new().await;
    world.tune = quick;
    let session = world.session().await;
    // when: somebody buys with the account
    let began = Instant::now();
    world.buy_by_hand(Decimal::new(1, 2));
    // then: it is a position under a stop, after two views
    world.until_word("plan", PLAN, "armed").await;
    println!("purchase to stop: {} ms", began.elapsed().as_millis());
    assert_eq!(world.word(ADJUSTED).await, "1");
    assert_eq!(world.word(HELD).await, "0.01");
    assert_eq!(world.word(EVIDENCE).await, "0.01 true true");
    // when: its stop is cancelled by hand and the base is withdrawn
    let stop = world.at_venue("protection").await.txid;
    world.venue.venue.with(|e, now| {
        e.cancel_order(&OrderRef::Txid(stop), now).unwrap();
        e.transfer("BTC", Decimal::new(-1, 2), now).unwrap();
    });
    // then: the position is gone by the same rule, and nothing sells what is not there
    world.until_word("position", POSITION, "closed").await;
    assert_eq!(world.word(EVIDENCE).await, "0 true true");
    assert_eq!(world.word(HELD).await, "0");
    until("no order rests", || {
        world.venue.venue.with(|e, _| e.account().open_orders().count()) == 0
    })
    .await;
    session.kill().await;
}

/// A trade under an id of ours that no row explains is given to no order: it is put aside, and the mode says so. A trade
/// of somebody else's order is theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_of_ours_without_a_row_is_put_aside_and_one_of_others_is_theirs() {
    let mut world = World::new().await;
    world.open_session().await;
    world.tune = |config| {
        quick(config);
        config.full_interval_ms = 500;
        config.stream_wins_ms = 1_500;
    };
    let session = world.session().await;
    // when: two orders buy at once, one of a predecessor whose row is lost, one by hand
    let buy = AddOrder {
        qty: Some(Decimal::new(2, 3)),
        ..AddOrder::new(SymbolNo(0), SimSide::Buy, OrderKind::Market)
    };
    let lost = AddOrder { cl_ord_id: Some(world.id_of_a_predecessor()), ..buy.clone() };
    let txid = world.place_order(lost);
    world.place_order(buy);
    // then: a round through the venue's history finds the one that should have a row
    let aside = "select string_agg(venue_order_id, ' ') from quarantined_trades";
    world.until_word("quarantine", aside, &txid).await;
    let mode = session.mode.clone();
    until("the mode", || mode.view().reasons.contains(&CauseCode::LedgerMismatch)).await;
    // and: both are accounted for, so the cursor rises
    let cursor = "select (seen_until < now() - interval '1 second')::text from trade_cursor";
    world.until_word("cursor", cursor, "true").await;
    let fills = "select count(*)::text from fills";
    assert_eq!(world.word(fills).await, "0", "nothing was given to an order");
    session.kill().await;
}

const EVIDENCE: &str = "select (evidence->'last'->>'amount')::float8 || ' '
    || (evidence->'first'->>'amount' = evidence->'last'->>'amount') || ' '
    || ((evidence->'last'->>'at')::timestamptz - (evidence->'first'->>'at')::timestamptz
        >= interval '4.99 seconds')
    from fills_ledger where kind = 'adjust' order by ledger_id desc limit 1";
const CLOSES: &str = "select string_agg(state, ' ') from execution_orders
    where role = 'exit' and state not in ('created', 'error')";
const FIRST_POSITION: &str = "select status from positions order by position_id limit 1";
const AFTER: &str = "2099-01-01T00:00:00.000001Z";
const CANCELED_IN_PART: &str =
    r#""exec_type":"canceled","order_status":"canceled","cum_qty":0.0004"#;
