//! A desk whose steps a test takes one by one: what may come in either order comes in the one that matters.

use penstock_store_orders::orders::OrderRecord;
use penstock_types::OrderId;
use penstock_types::vocab::OrderState;
use penstock_venues::kraken::rates::RestUse;

use super::super::Message;
use super::place::{Place, Still};
use super::{ENTRY, World};
use crate::account::EntryOutcome;
use crate::reconcile::{LookKind, LookResult};

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

impl Still {
    /// The one order that reduces and that nobody has seen at the venue.
    fn unseen_stop(&self) -> OrderRecord {
        let unseen = |row: &&OrderRecord| row.reduces() && row.exchange_order_id.is_none();
        let mut rows = self.desk.tracker.live().map(|tracked| &tracked.record);
        rows.find(unseen).expect("a stop that nobody has seen").clone()
    }

    fn state(&self, id: OrderId) -> OrderState {
        self.desk.tracker.get(id).expect("the order is known").record.state
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_comes_back_after_a_snapshot_has_settled_its_order_proves_nothing_more() {
    // given: a stop whose send nobody answered and that did not reach the venue
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, false).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "acked_open").await;
    world.fault(r#"{"kind":"error","method":"add_order","text":"EOrder:Odd weather","count":1}"#);
    world.fill_entry();
    world.until_word("a stop in doubt", STOP_UNKNOWN, "true").await;
    session.kill().await;
    let mut still = world.still_place().await.still().await;
    let row = still.unseen_stop();
    let (id, deadline) = (row.order_id, row.deadline_at.expect("a stop has a deadline"));
    assert_eq!(row.state, OrderState::ReconcileRequired);
    // and: a whole look at it is under way that lacks it
    let look = LookResult {
        kind: LookKind::Order {
            id,
            cl_ord_id: row.cl_ord_id,
            venue_id: None,
            booked: row.cum_qty,
            proves: true,
        },
        started_at: deadline.plus_millis(60_000),
        started_mono_ms: still.desk.mono_ms(),
        whole: true,
        orders: Vec::new(),
        trades: Vec::new(),
        balances: Vec::new(),
        calls: 3,
    };
    // when: a snapshot that lacks it as well is quicker
    still.desk.reconcile.snapshot_at = Some(deadline.plus_millis(60_000));
    still.desk.absent_from_snapshot().await.unwrap();
    assert_eq!(still.state(id), OrderState::LostOrRejected);
    still.desk.on_look(look).await.unwrap();
    // then: it is lost once, and no event was refused for its state
    assert_eq!(still.state(id), OrderState::LostOrRejected);
    let proofs = "select count(*)::text from execution_order_events
        where event_type = 'proven_absent'";
    assert_eq!(world.word(proofs).await, "1");
    let illegal = "select string_agg(primary_reason, ' ') from symbol_safety_state";
    assert_eq!(world.word(illegal).await, "");
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
