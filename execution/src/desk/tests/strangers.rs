//! Orders at the venue that are not in our rows: a predecessor's without a row, and other people's.

use penstock_sim::account::{AddOrder, OrderKind, OrderRef, TimeInForce};
use penstock_sim::exchange::{Side as SimSide, SymbolNo};
use penstock_types::cl_ord_id::{ClOrdIdGenerator, OrderIdSalt};
use penstock_types::{Decimal, FencingToken};

use super::place::until;
use super::{ENTRY, PLAN, World};
use crate::account::EntryOutcome;

impl World {
    /// Somebody places an order with the account, under this id.
    pub(super) fn place_order(&self, order: AddOrder) -> String {
        self.venue.venue.with(|e, now| e.add_order(&order, now)).unwrap().txid
    }

    pub(super) fn cancel_by_hand(&self, txid: &str) {
        let order = OrderRef::Txid(txid.to_owned());
        let found = self.venue.venue.with(|e, now| e.cancel_order(&order, now).is_ok());
        assert!(found, "{txid} rests");
    }

    /// An id of an earlier session of this installation.
    pub(super) fn id_of_a_predecessor(&self) -> String {
        assert!(self.token > 1, "this session has a predecessor");
        let salt = OrderIdSalt([7; 32]);
        let mut ids = ClOrdIdGenerator::new(&salt, FencingToken(self.token - 1)).unwrap();
        ids.next(chrono::Utc::now().timestamp_millis()).unwrap().text()
    }

    pub(super) fn bid(&self) -> AddOrder {
        let price = Decimal::new(self.mid_ticks - 10_000, 1);
        AddOrder {
            qty: Some(Decimal::new(2, 3)),
            limit: Some(price),
            ..AddOrder::new(SymbolNo(0), SimSide::Buy, OrderKind::Limit)
        }
    }
}

const CAUSE: &str = "select cause || ' ' || mode from symbol_safety_state";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_ours_without_a_row_is_cancelled_and_its_symbol_takes_no_entries_until_then() {
    let mut world = World::new().await;
    world.open_session().await;
    let session = world.session().await;
    // when an entry of a predecessor comes alive whose row is lost, and its cancel is refused once
    world.fault(r#"{"kind":"error","method":"cancel_order","text":"EService:Busy","count":1}"#);
    let order = AddOrder { cl_ord_id: Some(world.id_of_a_predecessor()), ..world.bid() };
    world.place_order(order);
    world.until_word("cause", CAUSE, "phantom_position exit_only").await;
    // then it is cancelled all the same, and the symbol is free again
    until("its cancel", || world.venue.venue.with(|e, _| e.account().open_orders().count()) == 0)
        .await;
    world.until_word("cause", CAUSE, "").await;
    let rows = "select count(*)::text from execution_orders";
    assert_eq!(world.word(rows).await, "0", "nothing was invented");
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_of_ours_without_a_row_becomes_the_protection_of_bare_base() {
    // given a position whose own stops are all refused
    let mut world = World::new().await;
    world.open_session().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    world.fault(
        r#"{"kind":"error","method":"add_order","text":"EOrder:Invalid price","count":500}"#,
    );
    world.fill_entry();
    // After the fourth refusal the next try is two seconds away.
    let refused = "select count(*)::text from execution_orders where state = 'rejected'";
    world.until_word("refused stops", refused, "4").await;
    // when a stop of a predecessor over that base comes alive
    let id = world.id_of_a_predecessor();
    world.place_order(AddOrder {
        qty: Some(Decimal::new(1, 3)),
        trigger: Some(Decimal::new(world.mid_ticks - 9_000, 1)),
        tif: TimeInForce::Gtc,
        cl_ord_id: Some(id.clone()),
        ..AddOrder::new(SymbolNo(0), SimSide::Sell, OrderKind::StopLoss)
    });
    // then it has a row and is the plan's
    world.until_word("plan", PLAN, "armed").await;
    let adopted = "select cl_ord_id::text from execution_orders o join exit_plans p
        on p.protection_order_id = o.order_id where o.state = 'acked_open'";
    world.until_word("protection", adopted, &id).await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_order_is_left_alone_counted_and_keeps_its_symbol_without_entries() {
    let mut world = World::new().await;
    let session = world.session().await;
    // when somebody places a bid of 0.002 by hand
    let txid = world.place_order(world.bid());
    world.until_word("cause", CAUSE, "foreign_order exit_only").await;
    // then what it holds is not free, and it rests
    let held = Decimal::new(2, 3) * Decimal::new(world.mid_ticks - 10_000, 1);
    let desk = session.desk.clone();
    until("its hold", || desk.status().foreign_holds_quote == held).await;
    assert_eq!(world.venue.venue.with(|e, _| e.account().open_orders().count()), 1);
    // and all of it ends with the order
    world.cancel_by_hand(&txid);
    world.until_word("cause", CAUSE, "").await;
    until("nothing held", || desk.status().foreign_holds_quote.is_zero()).await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_order_that_ended_while_nobody_ran_frees_its_symbol_at_the_next_start() {
    let mut world = World::new().await;
    let session = world.session().await;
    let txid = world.place_order(world.bid());
    world.until_word("cause", CAUSE, "foreign_order exit_only").await;
    session.kill().await;
    world.cancel_by_hand(&txid);
    let next = world.session().await;
    world.until_word("cause", CAUSE, "").await;
    next.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_refusal_within_half_an_hour_makes_the_symbol_exit_only() {
    let mut world = World::new().await;
    let session = world.session().await;
    let mode = "select mode from symbol_safety_state where cause = 'order_reject'";
    for (n, wanted) in [(1, "quiet"), (2, "quiet"), (3, "exit_only")] {
        world.fault(
            r#"{"kind":"error","method":"add_order","text":"EOrder:Insufficient funds","count":1}"#,
        );
        let desk = session.desk.clone();
        until("the symbol is free", || desk.status().busy.is_empty()).await;
        assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
        let refused = "select count(*)::text from execution_orders where state = 'rejected'";
        world.until_word("refusals", refused, &n.to_string()).await;
        world.until_word("safety", mode, wanted).await;
    }
    let lasts = "select (expires_at - clock_timestamp() > interval '25 minutes')::text
        from symbol_safety_state where cause = 'order_reject'";
    assert_eq!(world.word(lasts).await, "true");
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_order_keeps_its_symbol_exit_only_until_a_person_looks() {
    let mut world = World::new().await;
    let session = world.session().await;
    world.fault(r#"{"kind":"error","method":"add_order","text":"EOrder:Invalid price","count":1}"#);
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "rejected").await;
    world.until_word("cause", CAUSE, "submit_error exit_only").await;
    let ends = "select (expires_at is null)::text from symbol_safety_state";
    assert_eq!(world.word(ends).await, "true");
    session.kill().await;
}
