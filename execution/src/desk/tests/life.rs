//! An order's whole life without faults: fills, stop, raises, closes.

use penstock_sim::exchange::{Qty, Side as SimSide, SymbolNo};

use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_lives_from_submit_to_a_closed_position() {
    let mut world = World::new().await;
    let session = world.session().await;
    // when an entry takes, it is filled, its stop stands over the base
    let sent = world.enter(&session, true).await;
    assert!(matches!(sent, EntryOutcome::Sent { .. }), "{sent:?}");
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("entry", ENTRY, "filled").await;
    world.venue.venue.with(|e, _| {
        let stops: Vec<_> = e.account().open_orders().collect();
        assert_eq!(stops.len(), 1, "one reduce order at the venue");
        assert_eq!(stops[0].qty, Qty(100_000));
    });
    // when the operator closes, the stop goes first and the base is sold
    assert_eq!(session.desk.flatten(None).await, 1);
    world.until_word("position", POSITION, "closed").await;
    world.until_word("plan", PLAN, "closed").await;
    // then the venue and we agree to the last digit, and nothing is left
    world.agrees().await;
    let left = "select count(*)::text from execution_orders where not terminal";
    world.until_word("orders", left, "0").await;
    let cash = "select count(*)::text from positions p where p.realized_quote <>
        (select sum(case f.side when 'sell' then f.cost_quote else -f.cost_quote end - f.fee_quote)
         from fills f)";
    world.until_word("results", cash, "0").await;
    let looked = "select (count(*) > 0)::text from reconcile_runs where kind = 'CONFIRM'";
    world.until_word("looks", looked, "true").await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stop_follows_partial_fills_and_sells_the_base_when_it_triggers() {
    let mut world = World::new().await;
    let session = world.session().await;
    // given a resting entry
    let sent = world.enter(&session, false).await;
    assert!(matches!(sent, EntryOutcome::Sent { .. }), "{sent:?}");
    world.until_word("entry", ENTRY, "acked_open").await;
    // when it is filled in two parts
    let no = SymbolNo(0);
    let ahead = 500_000_000;
    world.venue.venue.with(|e, now| e.flow_market(no, SimSide::Sell, Qty(ahead + 40_000), now));
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("first part", PROTECTED, "0.0004").await;
    world.venue.venue.with(|e, now| e.flow_market(no, SimSide::Sell, Qty(60_000), now));
    world.until_word("entry", ENTRY, "filled").await;
    world.until_word("whole", PROTECTED, "0.001").await;
    world.until_word("plan", PLAN, "armed").await;
    let stops =
        world.venue.venue.with(|e, _| e.account().open_orders().map(|o| o.qty).collect::<Vec<_>>());
    assert_eq!(stops, [Qty(100_000)], "one stop over the whole base");
    // when the price falls through the stop
    world.fall_through_stop();
    // then it is the exit
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "SL_hit").await;
    world.agrees().await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profit_raises_the_stop_at_the_venue() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    let before = world.word(TRIGGER).await;
    // when the price rises by 40 basis points, breakeven raises the stop at the venue
    world.rise(4_000);
    world.until_word("plan", PLAN, "trailing").await;
    let raised = super::until_changed(&world, TRIGGER, &before).await;
    assert!(raised.parse::<f64>().unwrap() > before.parse::<f64>().unwrap());
    let at_venue = world
        .venue
        .venue
        .with(|e, _| e.account().open_orders().filter_map(|o| o.trigger).collect::<Vec<_>>());
    assert_eq!(at_venue.len(), 1);
    session.kill().await;
}

const PROTECTED: &str = "select trim_scale(protected_qty)::text from positions
    order by position_id desc limit 1";
const REASON: &str = "select exit_reason from realized_pnl order by id desc limit 1";
const TRIGGER: &str = "select trim_scale(stop_price_on_exchange)::text from exit_plans";
