//! Take-profit in both of its ways: it raises the stop, or it closes.

use penstock_sim::exchange::{Price, Qty, Side as SimSide, SymbolNo};
use penstock_types::vocab::ExitPolicy;

use super::super::DeskConfig;
use super::place::{Session, until};
use super::{PLAN, POSITION, World};
use crate::account::EntryOutcome;

const REASON: &str = "select exit_reason from realized_pnl order by id desc limit 1";
const SOLD_BY: &str = "select o.role || ' ' || f.liquidity::text from fills f
    join execution_orders o using (order_id) where f.side = 'sell' order by f.fill_id desc limit 1";
/// What rests before our close at the ask.
const AHEAD: i64 = 500_000_000;

/// The market of these tests stands still, and its quote may grow old.
fn patient(config: &mut DeskConfig) {
    (config.quote_age_ms_max, config.exit_quote_age_ms_max) = (60_000, 60_000);
}

fn closing(config: &mut DeskConfig) {
    patient(config);
    config.tp_closes = true;
}

impl World {
    async fn holding(&mut self, policy: ExitPolicy) -> Session {
        let session = self.session().await;
        let plan = penstock_trading::decide::PlannedEntry {
            exit_policy: policy,
            ..self.plan(&session, true)
        };
        let sent = self.enter_with(&session, plan).await;
        assert!(matches!(sent, EntryOutcome::Sent { .. }), "{sent:?}");
        self.until_word("plan", PLAN, "armed").await;
        session
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn take_profit_raises_the_stop_close_to_the_bid_and_its_sale_is_named_after_it() {
    let mut world = World::new().await;
    world.tune = patient;
    let session = world.holding(ExitPolicy::MakerLadder).await;
    // when the price rises by 150, beyond the target of 136
    world.rise(15_000);
    let reason = "select trigger_reason from exit_plans";
    world.until_word("raised", reason, "TP_hit").await;
    // then the stop follows to five below the bid, and nothing was sold
    let bid = Price(world.mid_ticks - 10);
    let close = |trigger: Price| (bid.0 - trigger.0) * 10_000 / bid.0 == 5;
    let venue = &world.venue.venue;
    until("the raised stop", || {
        venue.with(|e, _| {
            let mut stops = e.account().open_orders().filter_map(|o| o.trigger);
            stops.next().is_some_and(close) && stops.next().is_none()
        })
    })
    .await;
    assert_eq!(world.word(POSITION).await, "open");
    // and when the price comes back it sells, as a take-profit
    world.fall_through_stop();
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "TP_hit").await;
    world.agrees().await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ladder_that_closes_at_its_target_rests_at_the_ask() {
    let mut world = World::new().await;
    world.tune = closing;
    let session = world.holding(ExitPolicy::MakerLadder).await;
    world.rise(15_000);
    let rests = "select (post_only and state = 'acked_open')::text from execution_orders
        where role = 'exit' and state <> 'created' order by order_id desc limit 1";
    world.until_word("a resting close", rests, "true").await;
    let no = SymbolNo(0);
    world.venue.venue.with(|e, now| e.flow_market(no, SimSide::Buy, Qty(AHEAD + 200_000), now));
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "TP_hit").await;
    assert_eq!(world.word(SOLD_BY).await, "exit m");
    world.agrees().await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ladder_that_nobody_takes_at_the_ask_is_sold_at_market() {
    let mut world = World::new().await;
    world.tune = |config| {
        closing(config);
        config.maker_close_ms = 1_000;
    };
    let session = world.holding(ExitPolicy::MakerLadder).await;
    world.rise(15_000);
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "TP_hit").await;
    assert_eq!(world.word(SOLD_BY).await, "exit t");
    let closes = "select string_agg(order_type || ' ' || state, ', ' order by order_id)
        from execution_orders where role = 'exit' and state not in ('created', 'error')";
    assert_eq!(world.word(closes).await, "limit canceled, market filled");
    world.agrees().await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trailing_position_that_closes_at_its_guard_takes() {
    let mut world = World::new().await;
    world.tune = closing;
    let session = world.holding(ExitPolicy::TrailingStop).await;
    world.rise(110_000);
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "TP_hit").await;
    assert_eq!(world.word(SOLD_BY).await, "exit t");
    world.agrees().await;
    session.kill().await;
}
