//! Exits while the venue restricts what it takes: the stop stays where it is until its place can be taken.

use penstock_sim::exchange::{PairStatus, SymbolNo, SystemStatus};
use penstock_trading::mode::CauseCode;

use super::external::quick;
use super::place::{Session, until};
use super::{PLAN, POSITION, World};
use crate::account::EntryOutcome;

const REASON: &str = "select exit_reason from realized_pnl order by id desc limit 1";
/// Ticks of the supervisor in which a refused request would have been repeated many times.
const TICKS: u32 = 16;

impl World {
    fn venue_is(&self, status: SystemStatus) {
        self.venue.venue.with(|e, now| e.set_status(status, now));
    }

    fn pair_is(&self, status: PairStatus) {
        self.venue.venue.with(|e, now| e.set_pair_status(SymbolNo(0), status, now));
    }

    /// Requests of a method that the venue has answered.
    fn requests(&self, method: &str) -> usize {
        self.venue.venue.requests.all().0.iter().filter(|r| r.method == method).count()
    }

    /// So many ticks pass. That nothing is sent can be seen only over time.
    async fn ticks(&self) {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(250));
        for _ in 0..=TICKS {
            ticks.tick().await;
        }
    }

    async fn armed(&mut self) -> Session {
        let session = self.session().await;
        assert!(matches!(self.enter(&session, true).await, EntryOutcome::Sent { .. }));
        self.until_word("plan", PLAN, "armed").await;
        session
    }

    async fn restricted(&self, session: &Session, status: SystemStatus) {
        self.venue_is(status);
        let mode = session.mode.clone();
        until("the mode", || mode.view().reasons.contains(&CauseCode::ExchangeUnavailable)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_the_market_cannot_take_leaves_the_stop_until_it_can() {
    for status in [SystemStatus::CancelOnly, SystemStatus::PostOnly, SystemStatus::Maintenance] {
        let mut world = World::new().await;
        world.tune = quick;
        let session = world.armed().await;
        let sent = (world.requests("add_order"), world.requests("cancel_order"));
        // when the operator closes while the venue takes no market order
        world.restricted(&session, status).await;
        assert_eq!(session.desk.flatten(None).await, 1);
        world.ticks().await;
        // then the stop rests and not one order or cancel was sent
        let rests = world.venue.venue.with(|e, _| e.account().open_orders().count());
        assert_eq!(rests, 1, "{status:?}: the stop rests");
        let now = (world.requests("add_order"), world.requests("cancel_order"));
        assert_eq!(now, sent, "{status:?}: nothing was sent");
        // and the wish is carried out when the market is back
        world.venue_is(SystemStatus::Online);
        world.until_word("position", POSITION, "closed").await;
        world.until_word("reason", REASON, "operator").await;
        world.agrees().await;
        session.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_amend_is_paced_and_its_stop_stays() {
    let mut world = World::new().await;
    world.tune = quick;
    let session = world.armed().await;
    world.fault(
        r#"{"kind":"error","method":"amend_order","text":"EService:Market in cancel_only mode","count":500}"#,
    );
    // when breakeven raises the stop and the venue refuses every change
    world.rise(4_000);
    world.until_word("plan", PLAN, "trailing").await;
    world.ticks().await;
    // then it was not asked at the speed of its answers, and the stop rests
    let asked = world.requests("amend_order");
    assert!((1..=8).contains(&asked), "{asked} amends");
    assert_eq!(world.venue.venue.with(|e, _| e.account().open_orders().count()), 1);
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_takes_nothing_is_not_hammered_with_closes_and_the_base_is_sold_when_it_does() {
    let mut world = World::new().await;
    world.tune = quick;
    let session = world.armed().await;
    let before = world.requests("add_order");
    // when the pair alone is restricted, which no row says yet, and the operator closes
    world.pair_is(PairStatus::CancelOnly);
    assert_eq!(session.desk.flatten(None).await, 1);
    let refused = "select (count(*) > 0)::text from execution_orders
        where role = 'exit' and state = 'rejected'";
    world.until_word("a refused close", refused, "true").await;
    world.ticks().await;
    // then few requests were made of it
    let asked = world.requests("add_order") - before;
    println!("requests to a restricted pair within {TICKS} ticks: {asked}");
    assert!(asked <= 4, "{asked} closes and stops to a pair that takes none");
    // and it is closed by the operator's wish once the pair trades again
    world.pair_is(PairStatus::Online);
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "operator").await;
    world.agrees().await;
    session.kill().await;
}
