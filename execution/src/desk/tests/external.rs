//! Base that no order of ours explains: what was there before us, what was moved, what somebody bought.

use std::time::Instant;

use penstock_sim::account::{AddOrder, OrderKind};
use penstock_sim::exchange::{Qty, Side as SimSide, SymbolNo};
use penstock_types::Decimal;

use super::super::DeskConfig;
use super::place::Session;
use super::{LIMIT, LOOK, PLAN, World};

impl World {
    /// Moves base into the account, or out of it.
    pub(super) fn transfer(&self, amount: Decimal) {
        self.venue.venue.with(|e, now| e.transfer("BTC", amount, now)).unwrap();
    }

    /// Somebody buys with the account, at once.
    pub(super) fn buy_by_hand(&self, qty: Decimal) {
        self.place_order(AddOrder {
            qty: Some(qty),
            ..AddOrder::new(SymbolNo(0), SimSide::Buy, OrderKind::Market)
        });
    }

    pub(super) fn orders_at_venue(&self) -> usize {
        self.venue.venue.with(|e, _| e.account().orders().count())
    }
}

/// Passes four times a second: what would be done after two equal looks is done within the test.
pub(super) fn quick(config: &mut DeskConfig) {
    config.light_interval_ms = 250;
    config.settle_ms = 500;
}

const POSITIONS: &str = "select count(*)::text from positions";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_account_held_at_the_first_attach_is_no_position_and_is_never_sold() {
    // given an account that holds two coins before the installation exists
    let mut world = World::new().await;
    world.tune = quick;
    world.transfer(Decimal::TWO);
    let session = world.session().await;
    // when they have been looked at for longer than a difference lasts, also by a second session
    world.settled().await;
    session.kill().await;
    let next = world.session().await;
    // and more coins come
    world.transfer(Decimal::ONE);
    let deposit = "select trim_scale(amount)::text from balance_changes where cause = 'deposit'";
    world.until_word("deposit", deposit, "1").await;
    world.settled().await;
    // then nothing was booked and nothing was sent
    assert_eq!(world.word(POSITIONS).await, "0");
    assert_eq!(world.orders_at_venue(), 0);
    next.kill().await;
}

/// The same passes, and nothing may be sent.
fn watching(config: &mut DeskConfig) {
    quick(config);
    config.execution_enable = false;
}

const ORDER_METHODS: [&str; 4] = ["add_order", "amend_order", "cancel_order", "cancel_all"];

impl World {
    /// Requests of the private socket that change an order.
    fn order_requests(&self) -> usize {
        let all = self.venue.venue.requests.all().0;
        all.iter().filter(|r| ORDER_METHODS.contains(&r.method.as_str())).count()
    }

    async fn watcher(&mut self) -> Session {
        self.tune = watching;
        let (token, session_id) = self.open_session().await;
        self.place(token, session_id).reconciled().await
    }

    /// Waits for a whole pass that began twelve seconds from now: twice the time after which a difference is corrected.
    pub(super) async fn settled(&self) {
        let now: chrono::DateTime<chrono::Utc> =
            sqlx::query_scalar("select clock_timestamp()").fetch_one(&self.pool).await.unwrap();
        let later = "select count(*) from reconcile_runs where kind = 'LIGHT'
            and outcome <> 'failed' and started_at > $1 + interval '12 seconds'";
        let end = Instant::now() + LIMIT;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            let found: i64 =
                sqlx::query_scalar(later).bind(now).fetch_one(&self.pool).await.unwrap();
            if found > 0 {
                return;
            }
            assert!(Instant::now() < end, "no pass 12 s after {now}");
            looks.tick().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_bought_while_nothing_may_be_sent_is_not_sold_later() {
    let mut world = World::new().await;
    let watcher = world.watcher().await;
    world.buy_by_hand(Decimal::new(2, 3));
    let kept = "select trim_scale(amount)::text from balance_changes where cause = 'other'";
    world.until_word("outside", kept, "0.002").await;
    watcher.kill().await;
    world.tune = quick;
    let session = world.session().await;
    world.settled().await;
    assert_eq!(world.word(POSITIONS).await, "0");
    assert_eq!(world.order_requests(), 0);
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_buys_beside_us_is_a_position_with_a_stop() {
    let mut world = World::new().await;
    world.tune = quick;
    world.transfer(Decimal::ONE);
    let session = world.session().await;
    // when somebody buys 0.002 by hand
    let start = Instant::now();
    world.buy_by_hand(Decimal::new(2, 3));
    // then that much and no more has a stop at the venue
    world.until_word("plan", PLAN, "armed").await;
    println!("external position: bought to armed {} ms", start.elapsed().as_millis());
    let took = "select round(extract(epoch from e.state_since - p.opened_at) * 1000)::text
        from positions p join exit_plans e using (position_id)";
    println!("external position: booked to armed {} ms", world.word(took).await);
    let origin = "select origin || ' ' || trim_scale(base_qty) from positions";
    assert_eq!(world.word(origin).await, "external 0.002");
    let stops =
        world.venue.venue.with(|e, _| e.account().open_orders().map(|o| o.qty).collect::<Vec<_>>());
    assert_eq!(stops, [Qty(200_000)]);
    // and what REST said of both assets stands under their plain names
    let others = "select count(*)::text from exchange_balances where asset not in ('USD', 'BTC')";
    assert_eq!(world.word(others).await, "0");
    session.kill().await;
}
