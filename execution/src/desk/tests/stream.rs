//! The private stream out of order: what came late is dropped and counted, and a trade never is.

use std::time::Instant;

use penstock_venue_orders::PrivateEvent;
use penstock_venues::kraken::ChannelKind;

use super::place::{Session, until};
use super::{ENTRY, LIMIT, LOOK, PLAN, World};
use crate::account::EntryOutcome;

/// Ids and times of an order at the venue.
pub(super) struct AtVenue {
    pub(super) txid: String,
    own: String,
}

impl World {
    /// The newest order of a role.
    pub(super) async fn at_venue(&self, role: &str) -> AtVenue {
        let (txid, own): (String, String) = sqlx::query_as(
            "select exchange_order_id, cl_ord_id::text from execution_orders
             where role = $1 and exchange_order_id is not null order by order_id desc limit 1",
        )
        .bind(role)
        .fetch_one(&self.pool)
        .await
        .unwrap();
        AtVenue { txid, own }
    }

    /// The stream spoke of the order, and that was taken: a message goes to its table only afterwards.
    async fn until_heard(&self, order: &AtVenue) {
        let end = Instant::now() + LIMIT;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            let heard: bool = sqlx::query_scalar(
                "select exists (select from raw_private_executions
                 where channel = 'executions' and position($1 in payload::text) > 0)",
            )
            .bind(&order.txid)
            .fetch_one(&self.pool)
            .await
            .unwrap();
            if heard {
                return;
            }
            assert!(Instant::now() < end, "nothing of {} was heard", order.txid);
            looks.tick().await;
        }
    }
}

impl Session {
    /// The socket hears this report of an order.
    pub(super) async fn hear(&self, order: &AtVenue, at: &str, what: &str) {
        let (txid, own) = (&order.txid, &order.own);
        let text = format!(
            r#"{{"channel":"executions","type":"update","data":[{{"order_id":"{txid}","cl_ord_id":"{own}","timestamp":"{at}",{what}}}],"sequence":9}}"#
        );
        let frame = PrivateEvent::Frame {
            epoch: 1,
            at: self.clock.now(),
            channel: ChannelKind::Executions,
            sequence: None,
            is_snapshot: false,
            asked: None,
            text,
        };
        self.hears.send(frame).await.unwrap();
    }
}

const BEFORE: &str = "2001-01-01T00:00:00.000001Z";
const CANCELED: &str = r#""exec_type":"canceled","order_status":"canceled","cum_qty":0"#;
const EXPIRED: &str = r#""exec_type":"expired","order_status":"expired","cum_qty":0"#;
const LIVE: &str = r#""exec_type":"new","order_status":"new","cum_qty":0"#;

/// Reports that the venue made before one that was taken change nothing, are counted one by one, and are checked by a
/// look; a trade is booked once by its id whenever it comes; and every event and fill keeps the venue's time beside
/// ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ooo_window() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("entry", ENTRY, "filled").await;
    world.until_word("plan", PLAN, "armed").await;
    let (entry, stop) = (world.at_venue("entry").await, world.at_venue("protection").await);
    world.until_heard(&entry).await;
    world.until_heard(&stop).await;
    let events = "select string_agg(order_id || ':' || to_state, ' ' order by event_id)
        from execution_order_events where source = 'ws_executions'";
    let before = world.word(events).await;

    // when ends and a beginning come that are older than what is known
    assert_eq!(session.desk.status().late_reports, 0);
    session.hear(&stop, BEFORE, CANCELED).await;
    session.hear(&stop, BEFORE, EXPIRED).await;
    session.hear(&entry, BEFORE, LIVE).await;
    let desk = session.desk.clone();
    until("three are counted", || desk.status().late_reports == 3).await;
    // then nothing has changed
    let state = "select state from execution_orders where role = 'protection'
        and exchange_order_id is not null";
    assert_eq!(world.word(state).await, "acked_open");
    assert_eq!(world.word(ENTRY).await, "filled");
    assert_eq!(world.word(PLAN).await, "armed");
    assert_eq!(world.word(events).await, before);

    // when an old trade is told again it is known by its id, and is not late
    let (exec_id, qty, price): (String, String, String) =
        sqlx::query_as("select exec_id, qty::text, price::text from fills")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    let again = format!(
        r#""exec_type":"trade","order_status":"filled","exec_id":"{exec_id}","last_qty":{qty},"last_price":{price},"cum_qty":{qty}"#
    );
    session.hear(&entry, BEFORE, &again).await;
    // What follows it is heard after it.
    session.hear(&stop, BEFORE, CANCELED).await;
    until("the fourth is counted", || desk.status().late_reports == 4).await;
    world.agrees().await;

    // and both clocks are on every row
    let clocks =
        "select (count(*) > 3 and bool_and(ts_exchange is not null and ts_local is not null))::text
        from execution_order_events where source = 'ws_executions'";
    assert_eq!(world.word(clocks).await, "true");
    // and the stop, which was said to have ended, still rests by a newer word too: an end that is not late counts
    let now = session.clock.now().wall.rfc3339();
    world.cancel_by_hand(&stop.txid);
    session.hear(&stop, &now, CANCELED).await;
    world
        .until_word(
            "the end",
            "select state from execution_orders where role = 'protection'
        and exchange_order_id is not null order by order_id limit 1",
            "canceled",
        )
        .await;
    session.kill().await;
}
