//! One more of everything than the document takes.

use penstock_contracts::dashboard::{Check, DashboardSnapshot, ORDERS_MAX};
use penstock_panel::rows;
use penstock_panel::settings::Lengths;
use penstock_types::vocab::ReasonCode;

use crate::small;
use crate::world::{World, document};

const ROWS: &str = include_str!("bounds.sql");

#[tokio::test]
async fn each_list_ends_at_its_bound() {
    let mut world = World::new(small::ROWS).await;
    world.change(ROWS).await;
    let codes: Vec<&str> = ReasonCode::ALL.iter().take(65).map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), 65);
    world.change(&format!("update ai_gate_events set reasons = '{{{}}}'", codes.join(","))).await;
    world.live.cluster_fsm = vec!["CALM".to_owned(); 17];
    world.live.checklist = vec![Check { name: "c".to_owned(), ok: true }; 33];
    world.lengths = Lengths { intents: 200, diffs: 200, symbols: 200 };
    let read = rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await.unwrap();
    let text = serde_json::to_string(&document(&world, &read)).unwrap();
    // Reading it refuses a list that is too long.
    serde_json::from_str::<DashboardSnapshot>(&text).unwrap();
    let ext = &read.ext;
    let chart = &ext.candles.items()[0];
    let lengths = [
        ("stage_history", read.stage_history.items().len(), 20),
        ("intents", read.intents.recent.items().len(), 200),
        ("diffs", read.reconcile.recent_diffs.items().len(), 200),
        ("symbols", read.market.symbols.items().len(), 200),
        ("exposure", read.risk.exposure_by_symbol_quote.items().len(), 200),
        ("cooldowns", read.risk.cooldowns.items().len(), 200),
        ("reason_codes", read.aigate.reason_codes.items().len(), 64),
        ("topk", read.topk.items.items().len(), 20),
        ("pairs", read.topk.pairs_over_limit.items().len(), 200),
        ("ext.symbols", ext.symbols.items().len(), 200),
        ("gates", ext.gates.items().len(), 200),
        ("closed", ext.gates.items()[0].closed.items().len(), 16),
        ("stream_ages", ext.stream_ages.items().len(), 64),
        ("cluster_fsm", ext.cluster_fsm.items().len(), 16),
        ("engine_alerts", ext.engine_alerts.items().len(), 20),
        ("positions", ext.positions.items().len(), 200),
        ("candles", ext.candles.items().len(), 8),
        ("ohlc", chart.ohlc.items().len(), 120),
        ("fills", chart.fills.items().len(), 200),
        ("stops", chart.stops.items().len(), 200),
        ("blocks", ext.blocks_by_code.items().len(), 20),
        ("checklist", ext.checklist.items().len(), 32),
        ("series", ext.series.items().len(), 11),
    ];
    for (name, found, bound) in lengths {
        assert_eq!(found, bound, "{name}");
    }
    for series in ext.series.items() {
        assert_eq!(series.points.items().len(), 240, "{}", series.name);
        assert!(series.points.items().is_sorted_by_key(|point| point.ts_ms), "{}", series.name);
    }
    let orders = rows::orders(&world.pool).await.unwrap();
    assert_eq!(orders.items().len(), ORDERS_MAX);
    assert!(orders.items().is_sorted_by(|a, b| a.ts_ms >= b.ts_ms));
    assert!(read.intents.recent.items().is_sorted_by(|a, b| a.last_ts_ms >= b.last_ts_ms));
    assert!(ext.blocks_by_code.items().is_sorted_by(|a, b| a.n >= b.n));
    // The configured length counts where it is shorter.
    world.lengths = Lengths { intents: 10, diffs: 11, symbols: 12 };
    let read = rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await.unwrap();
    let short = (
        read.intents.recent.items().len(),
        read.reconcile.recent_diffs.items().len(),
        read.market.symbols.items().len(),
    );
    assert_eq!(short, (10, 11, 12));
}
