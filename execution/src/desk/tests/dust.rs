//! Remainders below the venue's minimum: sold when they can be, joined to the next position, written off.

use penstock_sim::exchange::{Qty, Side as SimSide, SymbolNo};

use super::external::quick;
use super::place::{Session, until};
use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;

/// What rests before our entry at its price.
const AHEAD: i64 = 500_000_000;
const FIRST: &str = "select state from exit_plans order by plan_id limit 1";
const FIRST_STATUS: &str = "select status from positions order by position_id limit 1";
const REASONS: &str = "select coalesce(string_agg(reason, ' ' order by ledger_id), '')
    from fills_ledger where kind = 'adjust'";
const BROKEN: &str = "select count(*)::text from positions p where p.base_qty <>
    (select coalesce(sum(l.delta_base), 0) from fills_ledger l where l.position_id = p.position_id)";

impl World {
    /// An entry of which so many hundred-millionths fill before it is cancelled.
    async fn dusty(&mut self, units: i64) -> Session {
        self.tune = quick;
        let session = self.session().await;
        assert!(matches!(self.enter(&session, false).await, EntryOutcome::Sent { .. }));
        self.until_word("entry", ENTRY, "acked_open").await;
        self.venue
            .venue
            .with(|e, now| e.flow_market(SymbolNo(0), SimSide::Sell, Qty(AHEAD + units), now));
        self.until_word("entry", ENTRY, "partially_filled").await;
        session.desk.cancel_entries("test").await;
        self.until_word("entry", ENTRY, "canceled").await;
        self.until_word("plan", PLAN, "dust_hold").await;
        session
    }

    /// The book as it was before the flow sold into it.
    fn refill(&mut self) {
        let mid = self.mid_ticks;
        self.book(mid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dust_leaves_its_symbol_free_and_joins_the_next_position_before_that_is_sold() {
    let mut world = World::new().await;
    let session = world.dusty(3_000).await;
    // when the symbol is entered again
    let desk = session.desk.clone();
    until("the symbol is free", || desk.status().busy.is_empty()).await;
    world.refill();
    let sent = world.enter(&session, true).await;
    assert!(matches!(sent, EntryOutcome::Sent { .. }), "{sent:?}");
    // then the remainder joins what is bought, under one stop
    world.until_word("dust", FIRST_STATUS, "closed").await;
    world.until_word("merge", REASONS, "dust_merge dust_merge").await;
    world.until_word("plan", PLAN, "armed").await;
    let stops = || {
        world.venue.venue.with(|e, _| e.account().open_orders().map(|o| o.qty).collect::<Vec<_>>())
    };
    until("one stop over both", || stops() == [Qty(103_000)]).await;
    // and is sold with it
    assert_eq!(session.desk.flatten(None).await, 1);
    world.until_word("position", POSITION, "closed").await;
    world.agrees().await;
    let left = "select trim_scale(sum(f.qty * case f.side when 'buy' then 1 else -1 end))::text
        from fills f";
    assert_eq!(world.word(left).await, "0");
    // every cent of both entries is in the result
    let cash =
        "select (sum(p.realized_quote) = (select sum(case f.side when 'sell' then f.cost_quote
        else -f.cost_quote end - f.fee_quote) from fills f))::text from positions p";
    assert_eq!(world.word(cash).await, "true");
    assert_eq!(world.word(BROKEN).await, "0");
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dust_of_little_value_is_written_off_after_a_day_and_is_no_surplus_of_anybody() {
    let mut world = World::new().await;
    let session = world.dusty(3_000).await;
    session.kill().await;
    // when it has been there for a day
    let owner = world.home.pool(penstock_store::testing::SUPERUSER_LOGIN).await;
    sqlx::query("update exit_plans set state_since = state_since - interval '25 hours'")
        .execute(&owner)
        .await
        .unwrap();
    world.refill();
    let next = world.session().await;
    // then it is given up
    world.until_word("dust", FIRST_STATUS, "closed").await;
    assert_eq!(world.word(FIRST).await, "closed");
    assert_eq!(world.word(REASONS).await, "dust_writeoff");
    // and the coins that are still there become nobody's position
    world.settled().await;
    assert_eq!(world.word("select count(*)::text from positions").await, "1");
    assert_eq!(world.word(BROKEN).await, "0");
    world.agrees().await;
    next.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dust_is_sold_when_its_price_has_lifted_it_over_the_minimum() {
    let mut world = World::new().await;
    // given a minimum of eight, and a remainder worth six
    let owner = world.home.pool(penstock_store::testing::SUPERUSER_LOGIN).await;
    sqlx::query("update instruments set cost_min = 8").execute(&owner).await.unwrap();
    let session = world.dusty(6_000).await;
    // when its price rises by half
    world.rise(500_000);
    world.until_word("position", POSITION, "closed").await;
    world.until_word("plan", PLAN, "closed").await;
    world.agrees().await;
    assert_eq!(world.word(BROKEN).await, "0");
    session.kill().await;
}
