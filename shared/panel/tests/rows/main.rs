//! What the panel reads, against a real cluster: nothing, one of each, more than the document takes.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod bounds;
mod small;
mod world;

use penstock_contracts::dashboard::{AuditPressure, DashboardSnapshot, DriftLabel, NoOrderClass};
use penstock_contracts::units::TsMs;
use penstock_contracts::vocab::AiVerdict;
use penstock_panel::rows;
use penstock_types::vocab::OrderState;
use world::{World, document};

#[tokio::test]
async fn an_empty_database_gives_a_whole_document_of_empty_lists() {
    let world = World::new("").await;
    let read = rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await.unwrap();
    let text = serde_json::to_string(&document(&world, &read)).unwrap();
    serde_json::from_str::<DashboardSnapshot>(&text).unwrap();
    let value = serde_json::from_str(&text).unwrap();
    let mut series = 0;
    world::walk(&value, &mut |name, value| {
        assert!(!value.is_null(), "{name} is null");
        if let Some(list) = value.as_array() {
            if name == "series" {
                series = list.len();
            } else {
                assert!(list.is_empty(), "{name} is not empty: {list:?}");
            }
        }
    });
    assert_eq!(series, 11, "series have names before they have points");
    assert!(read.db_bytes > 0 && read.wal_bytes > 0);
    assert_eq!(read.reconcile.drift_label, DriftLabel::Ok);
    assert_eq!(read.aigate.verdict, AiVerdict::Block, "never asked, and it must be");
    assert_eq!(read.aigate.last_call_ts_ms, TsMs(0));
    assert_eq!(read.ext.no_order_class, NoOrderClass::None);
    assert_eq!(read.risk.free_quote.to_string(), "0", "of an unknown balance nothing is free");
    assert!(rows::orders(&world.pool).await.unwrap().items().is_empty());
    let off = penstock_panel::settings::Identity { ai_dec: 0, ..world.identity.clone() };
    let read = rows::read(&world.pool, &off, &world.lengths, &world.live).await.unwrap();
    assert_eq!(read.aigate.verdict, AiVerdict::Allow, "it is off");
    assert_eq!(world.live.writer.pressure, AuditPressure::Ok);
}

#[tokio::test]
async fn reading_changes_no_row_and_needs_no_more_than_the_observer_may() {
    let world = World::new(small::ROWS).await;
    let role: (String, String) = sqlx::query_as(
        "select current_user::text, current_setting('default_transaction_read_only')",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(role, ("observer_ro".to_owned(), "on".to_owned()));
    let before = world.digests().await;
    assert!(before.len() > 50, "tables of the decision cluster: {}", before.len());
    rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await.unwrap();
    rows::orders(&world.pool).await.unwrap();
    assert_eq!(world.digests().await, before);
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_nothing_is_left_out() {
    let world = World::new(small::ROWS).await;
    world.change("update cycle_selections set topn = '[{\"symbol\": \"no symbol\"}]'").await;
    let error = rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await;
    assert!(error.unwrap_err().to_string().contains("the last selection"));
    world.change("drop table engine_alerts").await;
    world.change("update cycle_selections set topn = '[]'").await;
    let error = rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await;
    assert!(error.unwrap_err().to_string().contains("lines of the engine"));
}

#[tokio::test]
async fn an_intent_is_as_far_as_the_view_says_in_every_state() {
    let world = World::new(small::ROWS).await;
    let seen: Vec<(String, String)> =
        sqlx::query_as("select distinct order_state, state from order_intents order by 1")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(seen.len(), OrderState::ALL.len());
    for (order, intent) in seen {
        let state = rows::state_of(OrderState::parse(&order).unwrap());
        assert_eq!(state.as_str(), intent, "{order}");
    }
}

#[tokio::test]
async fn what_is_counted_over_a_day_is_read_anew_after_ten_seconds() {
    let mut world = World::new(small::ROWS).await;
    let first =
        rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await.unwrap();
    assert_eq!(first.day_ms, world::NOW_MS);
    world.change("update execution_orders set cum_qty = 1 where order_id = 2").await;
    world.change("update engine_alerts set payload = 'new'").await;
    world.live.now_ms += rows::DAY_EVERY_MS - 1;
    let lengths = world.lengths;
    let soon = rows::read_after(&world.pool, &world.identity, &lengths, &world.live, &first)
        .await
        .unwrap();
    assert_eq!((soon.ext.funnel.filled, soon.day_ms), (1, first.day_ms), "as before");
    assert_eq!(soon.ext.engine_alerts.items()[0], "new", "everything else is of now");
    world.live.now_ms += 1;
    let late =
        rows::read_after(&world.pool, &world.identity, &lengths, &world.live, &soon).await.unwrap();
    assert_eq!((late.ext.funnel.filled, late.day_ms), (2, world.live.now_ms));
    world.live.now_ms -= 1;
    let back =
        rows::read_after(&world.pool, &world.identity, &lengths, &world.live, &late).await.unwrap();
    assert_eq!(back.day_ms, world.live.now_ms, "a clock that was set back keeps nothing");
}
