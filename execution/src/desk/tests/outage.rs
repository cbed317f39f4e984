//! The decision cluster is killed under an open position and a resting entry. Each test has a cluster of
//! its own; the venue's own books say what was sent while it was away.

use penstock_sim::exchange::{Qty, Side as SimSide, SymbolNo};
use penstock_trading::mode::CauseCode;

use super::home::{Home, OwnCluster};
use super::place::{Session, until};
use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;

/// What rests before our bid, and the entry itself, in the venue's smallest unit.
pub(super) const AHEAD: i64 = 500_000_000;
pub(super) const ENTRY_UNITS: i64 = 100_000;

pub(super) async fn world() -> World {
    World::at(Home::Own(OwnCluster::new().await)).await
}

impl World {
    pub(super) fn own(&mut self) -> &mut OwnCluster {
        match &mut self.home {
            Home::Own(own) => own,
            Home::Shared(_) => panic!("the shared pair is nobody's to kill"),
        }
    }

    /// The cluster is there again. The test looks at it through connections of its own, because those of
    /// before are broken; the desk has to find that out by itself.
    pub(super) async fn revive(&mut self) {
        self.own().revive().await;
        self.pool = self.home.pool("exec_rw").await;
    }

    pub(super) async fn end_own(self) {
        self.pool.close().await;
        if let Home::Own(own) = self.home {
            own.end().await;
        }
    }

    /// The flow sells so much into our bid, beyond what rests before it.
    pub(super) fn sell_into_bid(&self, units: i64) {
        self.venue.venue.with(|e, now| e.flow_market(SymbolNo(0), SimSide::Sell, Qty(units), now));
    }

    /// Quantities of our open orders of a side, as the venue has them.
    pub(super) fn open_at_venue(&self, side: SimSide) -> Vec<Qty> {
        self.venue.venue.with(|e, _| {
            e.account().open_orders().filter(|o| o.side == side).map(|o| o.qty).collect()
        })
    }

    /// The venue loses the next cancels: what rests fills first, whenever the outage is noticed.
    pub(super) fn lose_cancels(&self) {
        self.fault(r#"{"kind":"error","method":"cancel_order","text":"EService:Busy","count":3}"#);
    }

    pub(super) async fn until_open(&self, what: &str, side: SimSide, wanted: &[Qty]) {
        until(what, || self.open_at_venue(side) == wanted).await;
    }

    pub(super) async fn resting_entry(&mut self) -> Session {
        let session = self.session().await;
        let sent = self.enter(&session, false).await;
        assert!(matches!(sent, EntryOutcome::Sent { .. }), "{sent:?}");
        self.until_word("entry", ENTRY, "acked_open").await;
        session
    }
}

pub(super) const PREAUTH: &str =
    "select count(*)::text from execution_order_events where event_type = 'preauth_sent'";
pub(super) const BASE: &str = "select trim_scale(base_qty)::text from positions";
pub(super) const STOP_QTY: &str = "select trim_scale(qty)::text from execution_orders
    where role = 'protection' and not terminal and state <> 'created'";
pub(super) const STOPS_SENT: &str = "select count(*)::text from execution_orders
    where role = 'protection' and exchange_order_id is not null";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resting_entries_are_cancelled_at_the_venue_although_their_rows_cannot_be_written() {
    // given a position under its stop whose entry still rests
    let mut world = world().await;
    let session = world.resting_entry().await;
    world.sell_into_bid(AHEAD + 40_000);
    world.until_word("plan", PLAN, "armed").await;
    world.until_open("entry", SimSide::Buy, &[Qty(ENTRY_UNITS)]).await;
    // when the decision cluster is killed
    world.own().kill().await;
    // then the entry goes, the stop stays, and the mode says why
    world.until_open("cancel", SimSide::Buy, &[]).await;
    assert_eq!(world.open_at_venue(SimSide::Sell), [Qty(40_000)]);
    assert!(session.mode.view().reasons.contains(&CauseCode::DbUnavailable));
    let refused = world.enter(&session, true).await;
    assert!(matches!(refused, EntryOutcome::Refused { .. }), "{refused:?}");
    // and when it is back the rows tell the same
    world.revive().await;
    world.until_word("entry", ENTRY, "canceled").await;
    world.until_word("plan", PLAN, "armed").await;
    assert_eq!(world.word(PREAUTH).await, "0", "nothing was sent without a write");
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_during_the_outage_gets_its_standby_stop_and_is_booked_after_it() {
    // given a resting entry
    let mut world = world().await;
    let session = world.resting_entry().await;
    // when the cluster is killed and the entry is filled in part, before its cancel gets through
    world.lose_cancels();
    world.own().kill().await;
    world.sell_into_bid(AHEAD + 40_000);
    // then its committed standby row protects it at once, and the rest of the entry goes
    world.until_open("stop", SimSide::Sell, &[Qty(40_000)]).await;
    world.until_open("cancel", SimSide::Buy, &[]).await;
    // and when the cluster is back the fill is booked once, the stop is the plan's
    world.revive().await;
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("entry", ENTRY, "canceled").await;
    assert_eq!(world.word(BASE).await, "0.0004");
    assert_eq!(world.word(STOP_QTY).await, "0.0004");
    assert_eq!(world.word(PREAUTH).await, "1");
    assert_eq!(world.word(STOPS_SENT).await, "1", "one stop, the committed one");
    world.agrees().await;
    // and the position closes as any other
    assert_eq!(session.desk.flatten(None).await, 1);
    world.until_word("position", POSITION, "closed").await;
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_fill_during_the_outage_makes_the_live_stop_larger() {
    // given a part filled and under its stop
    let mut world = world().await;
    let session = world.resting_entry().await;
    world.sell_into_bid(AHEAD + 40_000);
    world.until_word("plan", PLAN, "armed").await;
    // when the cluster is killed and more is filled
    world.lose_cancels();
    world.own().kill().await;
    world.sell_into_bid(30_000);
    // then the same stop covers it
    world.until_open("stop", SimSide::Sell, &[Qty(70_000)]).await;
    world.revive().await;
    world.until_word("base", BASE, "0.0007").await;
    world.until_word("stop", STOP_QTY, "0.0007").await;
    world.until_word("plan", PLAN, "armed").await;
    assert_eq!(world.word(STOPS_SENT).await, "1");
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_triggers_during_the_outage_closes_the_position_after_it() {
    let mut world = world().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    // when the cluster is killed and the price falls through the stop
    world.own().kill().await;
    world.fall_through_stop();
    world.until_open("stop", SimSide::Sell, &[]).await;
    world.revive().await;
    // then the sale is booked, and nothing was sold twice
    world.until_word("position", POSITION, "closed").await;
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_in_the_outage_is_followed_by_one_that_knows_the_stop() {
    // given a stop that went out without a write
    let mut world = world().await;
    let session = world.resting_entry().await;
    world.lose_cancels();
    world.own().kill().await;
    world.sell_into_bid(AHEAD + 40_000);
    world.until_open("stop", SimSide::Sell, &[Qty(40_000)]).await;
    // when the process dies before the cluster is back
    session.kill().await;
    world.revive().await;
    let next = world.session().await;
    // then its successor matches the stop with its standby row
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("base", BASE, "0.0004").await;
    world.until_word("stop", STOP_QTY, "0.0004").await;
    assert_eq!(world.open_at_venue(SimSide::Sell), [Qty(40_000)], "no second stop");
    assert_eq!(world.word(PREAUTH).await, "1");
    world.agrees().await;
    next.kill().await;
    world.end_own().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_limit_nothing_is_sent_until_the_cluster_is_back() {
    // given a session whose last renewal is already too old
    let mut world = world().await;
    world.preauth_ms_max = -1;
    let session = world.resting_entry().await;
    // when the entry is filled while the cluster is away
    world.lose_cancels();
    world.own().kill().await;
    world.sell_into_bid(AHEAD + ENTRY_UNITS);
    let mode = session.mode.clone();
    until("the alarm", || mode.view().reasons.contains(&CauseCode::ProtectionMissing)).await;
    // then nothing was sent, and the stop follows as soon as rows can be written
    assert_eq!(world.open_at_venue(SimSide::Sell), []);
    world.revive().await;
    world.until_word("plan", PLAN, "armed").await;
    assert_eq!(world.word(PREAUTH).await, "0");
    world.agrees().await;
    session.kill().await;
    world.end_own().await;
}
