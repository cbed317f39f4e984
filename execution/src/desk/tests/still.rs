//! A desk whose steps a test takes one by one: what may come in either order comes in the one that matters.

use penstock_store_orders::orders::OrderRecord;
use penstock_types::vocab::OrderState;
use penstock_types::{Decimal, OrderId, UtcMicros};
use penstock_venue_orders::Stamp;
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::vocabulary::RestOrderStatus;

use super::super::Message;
use super::place::{Place, Still};
use super::{ENTRY, POSITION, World};
use crate::account::EntryOutcome;
use crate::reconcile::{FoundOrder, FoundTrade, LookKind, LookResult};

/// Room that a FULL pass asks for, in points of the REST counter.
const FULL_COST: u32 = 6;

impl World {
    async fn still_place(&mut self) -> Place {
        let (token, session_id) = self.open_session().await;
        self.place(token, session_id)
    }
}

const STOP_UNKNOWN: &str = "select (state in ('submit_unknown', 'reconcile_required'))::text
    from execution_orders where role = 'protection' and position_id is not null
    order by order_id limit 1";

/// A look that found nothing.
const NOTHING: (Vec<FoundOrder>, Vec<FoundTrade>) = (Vec::new(), Vec::new());

/// A desk that has read a position whose stop was sent, not answered, and is not at the venue.
async fn a_stop_in_doubt(world: &mut World) -> (Still, OrderRecord) {
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    world.fault(r#"{"kind":"error","method":"add_order","text":"EOrder:Odd weather","count":1}"#);
    world.fill_entry();
    world.until_word("a stop in doubt", STOP_UNKNOWN, "true").await;
    session.kill().await;
    let still = world.still_place().await.still().await;
    let row = still.unseen(OrderRecord::reduces);
    assert_eq!(row.state, OrderState::ReconcileRequired);
    (still, row)
}

impl Still {
    /// The one order of a kind that nobody has seen at the venue.
    fn unseen(&self, kind: fn(&OrderRecord) -> bool) -> OrderRecord {
        let unseen = |row: &&OrderRecord| kind(row) && row.exchange_order_id.is_none();
        let mut rows = self.desk.tracker.live().map(|tracked| &tracked.record);
        rows.find(unseen).expect("an order that nobody has seen").clone()
    }

    fn state(&self, id: OrderId) -> OrderState {
        self.desk.tracker.get(id).expect("the order is known").record.state
    }

    /// An image of executions that was asked for at this time and shows these reports.
    async fn image_of(&mut self, asked: UtcMicros, reports: &str) {
        let at = self.desk.clock.now();
        let asked = Some(Stamp { wall: asked, mono_ns: at.mono_ns });
        let text = format!(
            r#"{{"channel":"executions","type":"snapshot","data":[{reports}],"sequence":1}}"#
        );
        self.desk.on_frame(true, asked, at, &text).await.unwrap();
    }

    async fn image(&mut self, asked: UtcMicros) {
        self.image_of(asked, "").await;
    }

    /// A whole look at an order that started at this time.
    async fn look_at(
        &mut self,
        row: &OrderRecord,
        started_at: UtcMicros,
        found: (Vec<FoundOrder>, Vec<FoundTrade>),
    ) {
        let look = LookResult {
            kind: LookKind::Order {
                id: row.order_id,
                cl_ord_id: row.cl_ord_id,
                venue_id: None,
                booked: row.cum_qty,
                proves: Some(row.created_at),
            },
            started_at,
            started_mono_ms: self.desk.mono_ms(),
            whole: true,
            orders: found.0,
            trades: found.1,
            balances: Vec::new(),
            calls: 3,
        };
        self.desk.on_look(look).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_comes_back_after_a_snapshot_has_settled_its_order_proves_nothing_more() {
    // given: a stop whose send nobody answered and that did not reach the venue
    let mut world = World::new().await;
    let (mut still, row) = a_stop_in_doubt(&mut world).await;
    let (id, deadline) = (row.order_id, row.deadline_at.expect("a stop has a deadline"));
    // and: a whole look at it is under way that lacks it
    // when: a snapshot that lacks it as well is quicker
    still.image(deadline.plus_millis(60_000)).await;
    assert_eq!(still.state(id), OrderState::LostOrRejected);
    still.look_at(&row, deadline.plus_millis(60_000), NOTHING).await;
    // then: it is lost once, and no event was refused for its state
    assert_eq!(still.state(id), OrderState::LostOrRejected);
    let proofs = "select count(*)::text from execution_order_events
        where event_type = 'proven_absent'";
    assert_eq!(world.word(proofs).await, "1");
    let illegal = "select string_agg(primary_reason, ' ') from symbol_safety_state";
    assert_eq!(world.word(illegal).await, "");
}

/// Looks by REST, however late, end no order that reduces: only an image that was asked for when the order could no
/// longer arrive, and that would show its trades. The look after the grace follows all the same, and corrects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reduce_order_is_absent_by_an_image_and_never_by_a_look_alone() {
    let mut world = World::new().await;
    let (mut still, row) = a_stop_in_doubt(&mut world).await;
    let (id, deadline) = (row.order_id, row.deadline_at.expect("a stop has a deadline"));
    still.look_at(&row, deadline.plus_millis(60_000), NOTHING).await;
    assert_eq!(still.state(id), OrderState::ReconcileRequired, "a look alone");
    still.image(deadline.plus_millis(1_999)).await;
    still.look_at(&row, deadline.plus_millis(60_000), NOTHING).await;
    assert_eq!(
        still.state(id),
        OrderState::ReconcileRequired,
        "an image that was asked for too early"
    );
    let trade = |n: u32| {
        format!(
            r#"{{"order_id":"OTHER","exec_id":"T{n}","exec_type":"trade","trade_id":{n},"symbol":"BTC/USD","side":"buy","last_qty":0.1,"last_price":1.0,"liquidity_ind":"t","cost":0.1,"order_status":"filled","order_type":"limit","timestamp":"2099-01-01T00:00:00.000001Z","fees":[]}}"#
        )
    };
    let fifty = (0..50).map(trade).collect::<Vec<_>>().join(",");
    still.image_of(deadline.plus_millis(2_000), &fifty).await;
    assert_eq!(
        still.state(id),
        OrderState::ReconcileRequired,
        "its trades would not be shown any more"
    );
    // when: an image proves it
    still.image(deadline.plus_millis(2_000)).await;
    assert_eq!(still.state(id), OrderState::LostOrRejected);
    // then: a look after the grace is wanted
    let tracked = still.desk.tracker.get(id).expect("it is kept");
    assert!(tracked.look_wanted);
    // and what it finds corrects: the stop was there and has sold
    let venue = "OLATE-AAAAA-AAAAAA".to_owned();
    let order = FoundOrder {
        venue_id: venue.clone(),
        cl_ord_id: Some(row.cl_ord_id.as_hyphenated().to_string()),
        pair: "XBTUSD".to_owned(),
        sells: true,
        is_stop: true,
        status: Some(RestOrderStatus::Closed),
        qty: row.qty,
        executed: row.qty,
        price: row.trigger_price,
        reason: None,
        trades: vec!["TLATE".to_owned()],
    };
    let sold = FoundTrade {
        exec_id: "TLATE".to_owned(),
        order_id: venue,
        cl_ord_id: None,
        price: Decimal::from(99_000),
        qty: row.qty,
        fee: Decimal::new(26, 2),
        maker: Some(false),
        trade_id: Some(1),
        at: deadline,
    };
    still.look_at(&row, deadline.plus_millis(92_000), (vec![order], vec![sold])).await;
    assert_eq!(still.state(id), OrderState::Filled);
    assert_eq!(world.word(POSITION).await, "closed");
}

/// An entry is absent when both proofs lack it, in whichever order they come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_absent_by_both_proofs_and_by_no_one_of_them() {
    for image_first in [true, false] {
        let mut world = World::new().await;
        let session = world.session().await;
        world.fault(
            r#"{"kind":"error","method":"add_order","text":"EOrder:Odd weather","count":1}"#,
        );
        assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
        world.until_word("entry", ENTRY, "submit_unknown").await;
        session.kill().await;
        let mut still = world.still_place().await.still().await;
        let row = still.unseen(OrderRecord::enters);
        let (id, deadline) = (row.order_id, row.deadline_at.expect("an entry has a deadline"));
        let grace_ms = still.desk.config.unknown_grace_ms;
        let (soon, late) = (deadline.plus_millis(grace_ms - 1), deadline.plus_millis(grace_ms));
        if image_first {
            still.image(deadline.plus_millis(2_000)).await;
            still.look_at(&row, soon, NOTHING).await;
            assert_eq!(still.state(id), OrderState::ReconcileRequired, "the look is too early");
        } else {
            still.look_at(&row, late, NOTHING).await;
            still.look_at(&row, late.plus_millis(3_600_000), NOTHING).await;
            assert_eq!(still.state(id), OrderState::ReconcileRequired, "looks alone");
            still.image(deadline.plus_millis(1_999)).await;
            still.look_at(&row, late, NOTHING).await;
            assert_eq!(still.state(id), OrderState::ReconcileRequired, "the image is too early");
            still.image(deadline.plus_millis(2_000)).await;
        }
        assert_eq!(still.state(id), OrderState::ReconcileRequired, "one proof");
        still.look_at(&row, late, NOTHING).await;
        assert_eq!(still.state(id), OrderState::LostOrRejected, "image first: {image_first}");
    }
}

/// The history is read from where the last whole round ended, however young the newest fill is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_is_read_from_the_cursor_and_not_from_the_newest_fill() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "filled").await;
    session.kill().await;
    let mut still = world.still_place().await.still().await;
    let now = still.desk.now();
    let hour_ago = now.plus_millis(-3_600_000);
    // The session before may have ended a whole round already: a cursor never goes back.
    let before = still.desk.store.trade_cursor().await.unwrap();
    still.desk.store.advance_trade_cursor(hour_ago, now).await.unwrap();
    let cursor = still.desk.store.trade_cursor().await.unwrap().expect("a round has ended");
    assert_eq!(cursor, before.unwrap_or(hour_ago));
    let newest = still.desk.store.newest_fill_at().await.unwrap().expect("the entry's");
    assert!(cursor < newest);
    still.desk.start_history(RestUse::Reserved).await.unwrap();
    let since = loop {
        match still.inputs.results.recv().await.expect("the desk holds a sender") {
            Message::Look(look) => match look.kind {
                LookKind::History { since, .. } => break since,
                _ => continue,
            },
            Message::Answer { .. } | Message::Probe(_) | Message::Switch { .. } => {}
        }
    };
    assert_eq!(since, Some(cursor.plus_millis(-300_000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_full_pass_runs_from_the_share_of_the_counters_in_which_it_found_room() {
    let mut world = World::new().await;
    let mut still = world.still_place().await.still().await;
    let desk = &mut still.desk;
    desk.reconcile.complete = true;
    desk.reconcile.snapshot_seen = true;
    // given: periodic reads have no room for a pass, the reserve has
    let (now, state) = (desk.clock.now(), desk.rest.state().clone());
    let room_in_ms = |cost, usage| state.lock().rest_room_in_ms(cost, usage, now.mono_ms());
    while room_in_ms(FULL_COST + 1, RestUse::Reserved) == 0 {
        state.lock().admit_rest(1, RestUse::Reserved, now).unwrap();
    }
    assert_eq!(room_in_ms(FULL_COST, RestUse::Reserved), 0);
    assert!(room_in_ms(1, RestUse::Steady) > 1_000, "not even one call of a periodic read");
    // when: a pass is late by a whole interval
    desk.reconcile.recovery = None;
    desk.reconcile.next_full_mono_ms = now.mono_ms() - desk.config.full_interval_ms;
    desk.housekeeping().await.unwrap();
    // then: all its calls find room
    let result = loop {
        match still.inputs.results.recv().await {
            Some(Message::Look(look))
                if matches!(look.kind, LookKind::History { full: true, .. }) =>
            {
                break look;
            }
            other => assert!(other.is_some(), "the desk holds a sender"),
        }
    };
    assert_eq!((result.whole, result.calls), (true, 3), "{result:?}");
}
