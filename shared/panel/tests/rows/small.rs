//! One row of every kind: each field against a value that was computed by hand.

use penstock_contracts::dashboard::{DriftLabel, NoOrderClass, PairAction};
use penstock_contracts::units::{Bps, TsMs};
use penstock_contracts::vocab::{AiVerdict, RegimeLabel, Side};
use penstock_panel::rows::{self, Stored};
use penstock_types::vocab::{OrderRole, OrderState, OrderType, StageName, Verdict};
use serde_json::{Value, json};

use crate::world::{NOW_MS, World, knowing};

pub(crate) const ROWS: &str = include_str!("small.sql");

async fn read() -> (World, Stored) {
    let mut world = World::new(ROWS).await;
    knowing(&mut world.live);
    let read = rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await.unwrap();
    (world, read)
}

fn value(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

/// The texts of a field of each item.
fn texts(list: &impl serde::Serialize, field: &str) -> Vec<String> {
    let list = value(list);
    list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

fn decision(digit: &str) -> String {
    format!("dec_{}", digit.repeat(64))
}

#[tokio::test]
async fn intents_are_counted_by_state_and_listed_by_their_last_change() {
    let (_world, read) = read().await;
    let counts = json!({"CREATED": 1, "SENT_UNKNOWN": 4, "CONFIRMED": 9, "NOT_FOUND": 1, "FAILED_TERMINAL": 3});
    assert_eq!(value(&read.intents.pending_by_state), counts);
    let ids = texts(&read.intents.recent, "order_intent_id");
    assert_eq!(ids[..8], ["oi_2", "oi_4", "oi_5", "oi_3", "oi_1", "oi_6", "oi_33", "oi_32"]);
    assert_eq!((ids.len(), ids[19].as_str()), (20, "oi_7"), "no standby row");
    let expected = json!({
        "order_intent_id": "oi_2", "symbol": "F/USD", "intent_kind": "entry", "state": "CONFIRMED",
        "last_ts_ms": NOW_MS - 19_000, "cycle_id": "103", "decision_id": decision("2"),
        "summary": "buy 1 limit at 25: acked_open",
    });
    assert_eq!(value(&read.intents.recent.items()[0]), expected);
    let words = texts(&read.intents.recent, "summary");
    assert_eq!(words[1], "sell 1.5 stop-loss from 98.5: acked_open");
    assert_eq!(words[4], "buy 2.5 limit at 100.1: filled, 2.5 filled");
    assert_eq!(read.intents.recent.items()[4].decision_id, decision("1"), "its newest version");
    assert_eq!(read.ext.standby_orders, 2);
}

#[tokio::test]
async fn orders_come_newest_first_without_standby_rows() {
    let (world, _) = read().await;
    let orders = rows::orders(&world.pool).await.unwrap();
    let ids = texts(&orders, "order_intent_id");
    assert_eq!(ids[..5], ["oi_2", "oi_3", "oi_1", "oi_6", "oi_33"]);
    assert_eq!((ids.len(), &ids[17..]), (20, &["oi_7", "oi_4", "oi_5"].map(String::from)[..]));
    let expected = json!({
        "ts_ms": NOW_MS - 1_800_000, "symbol": "A/USD", "side": "BUY", "qty": "2.5", "price": "100.1",
        "status": "filled", "order_intent_id": "oi_1",
        "cl_ord_id": "00000001-5e0c-8005-8000-0000002a944f", "exchange_order_id": "X1",
        "order_type": "limit", "role": "entry", "trigger_price": "0", "filled_qty": "2.5",
        "avg_price": "100.05", "fee_quote": "0.5", "cycle_id": "107", "decision_id": decision("1"),
    });
    assert_eq!(value(&orders.items()[2]), expected);
    let roles: Vec<OrderRole> = orders.items().iter().map(|o| o.role).collect();
    assert!(OrderRole::ALL.iter().all(|role| roles.contains(role)), "{roles:?}");
    let types: Vec<OrderType> = orders.items().iter().map(|o| o.order_type).collect();
    let standby = OrderType::TrailingStop;
    assert!(OrderType::ALL.iter().all(|kind| types.contains(kind) != (*kind == standby)));
    let states: Vec<OrderState> = orders.items().iter().map(|o| o.status).collect();
    let created = OrderState::Created;
    assert!(OrderState::ALL.iter().all(|state| states.contains(state) != (*state == created)));
}

#[tokio::test]
async fn the_comparison_with_the_venue_is_that_of_the_last_pass() {
    let (world, read) = read().await;
    let section = &read.reconcile;
    assert_eq!(section.last_reconcile_rest_ts_ms, TsMs(NOW_MS - 4_000));
    assert_eq!((section.last_reconcile_rest_dur_ms, section.drift_score_x10000.0), (120, 40_000));
    assert_eq!(section.drift_label, DriftLabel::Bad);
    let words = texts(&section.recent_diffs, "summary");
    assert_eq!(words[0], "ORDER_MISSING: ours open, the venue's none; 4 points, not settled");
    assert_eq!(words[1], "ORDER_EXTRA: ours open, the venue's none; 4 points, settled, resolved");
    assert_eq!(words.len(), 7);
    let first = &section.recent_diffs.items()[0];
    assert_eq!((first.cycle_id.as_str(), first.decision_id.clone()), ("107", decision("1")));
    assert_eq!(section.recent_diffs.items()[6].symbol, "");
    world.change("update reconcile_runs set drift_score_x10000 = 0 where reconcile_id = 2").await;
    let again =
        rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await.unwrap();
    assert_eq!(again.reconcile.drift_label, DriftLabel::Warn, "differences, none of which counts");
}

#[tokio::test]
async fn symbols_are_the_watched_ones_then_finalists_then_the_preselection() {
    let (_world, read) = read().await;
    let rows = read.market.symbols.items();
    let names = texts(&read.market.symbols, "symbol");
    let held = ["A/USD", "B/USD", "C/USD", "F/USD", "G/USD"];
    assert_eq!(names[..5], held);
    assert_eq!(names[12..], ["L/USD", "K/USD", "M/USD"]);
    let expected = json!({
        "symbol": "L/USD", "regime": "RANGE", "trend_score_x10000": 1_234,
        "range_score_x10000": 8_766, "spread_current_bps": 4, "spread_p50_bps": 5,
        "spread_p90_bps": 6, "delta_spread_bps_p90_10s": -7, "imbalance_x10000": 4_800,
        "edge_bps_expected": 18, "costs_bps": {"fees_bps": 42, "slippage_bps": 2, "spread_bps": 6},
        "blocked_reason_code": "", "signal_flags": vec!["IMBALANCE_AGAINST"; 8],
    });
    assert_eq!(value(&rows[12]), expected);
    let label =
        |at: usize| (rows[at].regime, rows[at].trend_score_x10000.0, rows[at].range_score_x10000.0);
    assert_eq!(label(0), (RegimeLabel::Trend, 6_000, 4_000));
    assert_eq!(label(1), (RegimeLabel::Range, 0, 0), "no strength is known");
    assert_eq!(label(2), (RegimeLabel::Range, 0, 0), "no state is published");
    assert_eq!(label(13), (RegimeLabel::Trend, 10_000, 0));
    assert_eq!(label(14), (RegimeLabel::Range, 0, 10_000));
    assert_eq!((rows[13].edge_bps_expected, rows[14].edge_bps_expected), (Bps(12), Bps(0)));
    assert_eq!(rows[13].blocked_reason_code, "", "the gate of another domain");
    assert_eq!(rows[14].blocked_reason_code, "STRAT_LIQUIDITY_LOW");
}

#[tokio::test]
async fn money_follows_the_rules_that_entries_are_sized_by() {
    let (world, read) = read().await;
    let expected = json!({
        "exposure_total_quote": "251",
        "exposure_by_symbol_quote": [{"symbol": "A/USD", "quote": "202"}, {"symbol": "B/USD", "quote": "49"}],
        // 25.25 reserved, 2 · (3 − 1) of a live buy without a reservation.
        "locked_quote": "29.25",
        // 0.3 · 0.95 · (1000 + 201 + 49.5) − 250.5 − 25.25: the half that is dust is worth nothing.
        "free_quote": "80.6425",
        "daily_pnl_realized_quote": "-8", "daily_pnl_unrealized_quote": "1",
        // 2 % of 990, less 8, and 1 that is not realised.
        "daily_loss_limit_remaining_quote": "12.8",
        "drawdown_quote": "5", "trades_today": 3,
        "cooldowns": [
            {"symbol": "A/USD", "cooldown_until_ts_ms": 0, "trades_per_hour": 1, "loss_streak": 0},
            {"symbol": "D/USD", "cooldown_until_ts_ms": NOW_MS + 180_000, "trades_per_hour": 1, "loss_streak": 2},
        ],
    });
    assert_eq!(value(&read.risk), expected);
    let free = async |change: &str| {
        world.change(change).await;
        let read = rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await;
        read.unwrap().risk.free_quote.to_string()
    };
    // Drawdown 1250.5 of 1300 is 380.77 bps: half. 0.3 · 593.9875 − 275.75 is below 0.
    assert_eq!(free("update equity_snapshots set hwm_quote = 1300").await, "0");
    let more = "update exchange_balances set balance = 10000; update equity_snapshots set hwm_quote = 10600;";
    // 10250.5 of 10600 is 329.72 bps. 0.3 · 4868.9875 − 275.75
    assert_eq!(free(more).await, "1184.94625");
    assert_eq!(free("update equity_snapshots set hwm_quote = 20000").await, "0", "exits only");
    // Cash is less: 300 − 25.25 − 10 is 264.75; fixed equity 5000: 0.3 · 4750 − 275.75.
    let fixed = "update exchange_balances set balance = 300; update equity_snapshots set hwm_quote = 1;
        update exec_configs set config = jsonb_set(config, '{decide,fixed_equity_quote}', '\"5000\"');";
    assert_eq!(free(fixed).await, "264.75");
    assert_eq!(free("delete from exec_configs").await, "0", "no settings, nothing is free");
}

#[tokio::test]
async fn the_gate_says_its_last_answer_and_an_unusable_one_is_a_block() {
    let (world, read) = read().await;
    let hash = |digit: &str| digit.repeat(64);
    let expected = json!({
        "last_call_ts_ms": NOW_MS - 9_000, "latency_ms": 31, "model": "m", "verdict": "MODIFY",
        "reason_codes": ["AIGATE_OK"], "input_hash": hash("b"), "snapshot_hash": hash("a"),
        "raw_hash": hash("d"), "modify_applied": true, "error_kind": "",
    });
    assert_eq!(value(&read.aigate), expected);
    for verdict in AiVerdict::ALL {
        let (shown, kind) = match verdict {
            AiVerdict::Error => (AiVerdict::Block, "AIGATE_TIMEOUT"),
            AiVerdict::Allow | AiVerdict::Block | AiVerdict::Modify => (*verdict, ""),
        };
        let code = if kind.is_empty() { "null".to_owned() } else { format!("'{kind}'") };
        let change = format!(
            "update ai_gate_events set verdict = '{verdict}', modify_applied = false, error_code = {code}"
        );
        world.change(&change).await;
        let read =
            rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await.unwrap();
        assert_eq!((read.aigate.verdict, read.aigate.error_kind.as_str()), (shown, kind));
    }
}

#[tokio::test]
async fn finalists_come_with_what_they_were_chosen_by() {
    let (_world, read) = read().await;
    let topk = &read.topk;
    assert_eq!((topk.cycle_id.as_str(), topk.max_pairwise_corr_x10000.0), ("107", 8_123));
    let features = |figures: [i32; 5]| {
        let names = ["edge", "surplus", "confidence", "p_fill", "l3_quality"];
        let one = |(name, value)| json!({"name": name, "value_x10000": value});
        names.iter().zip(figures).map(one).collect::<Vec<_>>()
    };
    let expected = json!([
        {"symbol": "L/USD", "score_x10000": 7_500, "churn_guard_applied": true,
         "features_top": features([185_000, 72_500, 8_123, 5_000, 7_500])},
        {"symbol": "K/USD", "score_x10000": 0, "churn_guard_applied": true,
         "features_top": features([125_000, 0, 0, 0, 7_500])},
    ]);
    assert_eq!(value(&topk.items), expected);
    let pair = &topk.pairs_over_limit.items()[0];
    assert_eq!(
        (pair.a.as_str(), pair.b.as_str(), pair.action),
        ("L/USD", "M/USD", PairAction::Reject)
    );
    let stages = read.stage_history.items();
    assert_eq!(stages.len(), 2, "other events change no stage");
    assert_eq!((stages[0].stage, stages[0].summary.as_str()), (StageName::DeepScan, "4 looked at"));
    assert_eq!((stages[0].cycle_id.as_str(), stages[1].cycle_id.as_str()), ("107", ""));
}

#[tokio::test]
async fn what_is_bound_of_ingest_and_what_engine_and_modes_say() {
    let (_world, read) = read().await;
    let ext = &read.ext;
    let bound = json!({
        "run_id": 7, "epoch_id": 33, "epoch_status": "degraded", "epoch_age_ms": 30_000,
        "snapshot_id": 6, "generation_id": 899, "visible_generation_id": 900,
        "generation_age_ms": 1_000, "lineage_id": "019c6652-5e0c-7005-8000-000000000001",
    });
    assert_eq!(value(&ext.ingest), bound);
    let beats =
        json!([{"service": "execution", "age_ms": 0}, {"service": "ingest", "age_ms": 1_500}]);
    assert_eq!(value(&ext.heartbeats), beats);
    assert_eq!(value(&ext.stream_ages), json!([{"venue": "sim", "stream": "book", "age_ms": 40}]));
    let of =
        |name: &str| ext.symbols.items().iter().find(|info| info.symbol.as_str() == name).unwrap();
    let seen = |name: &str| {
        [&of(name).market_regime, &of(name).regime_sub, &of(name).token_fsm, &of(name).symbol_mode]
            .map(String::as_str)
    };
    assert_eq!(seen("A/USD"), ["TREND", "", "", "exit_only"]);
    assert_eq!(seen("B/USD"), ["CHAOS", "chaos_noise", "", "hard_blocked"]);
    assert_eq!(seen("K/USD"), ["HIGH_VOLATILITY", "", "", "normal"]);
    assert_eq!(seen("L/USD"), ["LOW_LIQUIDITY", "", "ARMED", "quiet"]);
    assert_eq!(seen("T/USD"), ["", "", "ARMED", "normal"], "a token that is not in the selection");
    let gates = json!([
        {"symbol": "L/USD", "first": "", "reason": "", "value": "", "limit": "", "unit": "",
         "since_ms": NOW_MS, "closed": []},
        {"symbol": "M/USD", "first": "LowLiquidity", "reason": "STRAT_LIQUIDITY_LOW", "value": "12.5",
         "limit": "100", "unit": "quote", "since_ms": NOW_MS - 9_000, "closed": ["LowLiquidity", "EdgeNegative"]},
    ]);
    assert_eq!(value(&ext.gates), gates);
    assert_eq!(
        (ext.engine_alerts.items().len(), ext.engine_alerts.items()[0].as_str()),
        (6, "line 6")
    );
    assert_eq!((ext.event_phase.as_str(), ext.ai_dec), ("PRE", 2));
    assert!(ext.routes.items().is_empty());
}

#[tokio::test]
async fn positions_say_what_covers_them_and_since_when_nothing_does() {
    let (_world, read) = read().await;
    let cards = read.ext.positions.items();
    assert_eq!(
        texts(&read.ext.positions, "symbol"),
        ["C/USD", "B/USD", "A/USD"],
        "by their opening"
    );
    let expected = json!({
        "position_id": 1, "symbol": "A/USD", "qty": "2", "avg_entry": "100", "last": "101",
        "upnl_quote": "2", "sl": "98.5", "tp": "110", "protection_state": "unprotected",
        "covered_qty": "1.5", "uncovered_qty": "0.5", "uncovered_ms": 300_000,
        "confirm_pending": true, "age_ms": 1_800_000,
    });
    assert_eq!(value(&cards[2]), expected);
    assert_eq!((cards[1].uncovered_qty.to_string(), cards[1].uncovered_ms), ("0".to_owned(), 0));
    assert_eq!(
        (cards[1].last.to_string(), cards[1].upnl_quote.to_string()),
        ("4.9".to_owned(), "-1".to_owned())
    );
    assert_eq!((cards[0].protection_state.as_str(), cards[0].uncovered_ms), ("", 10_800_000));
}

#[tokio::test]
async fn charts_have_two_hours_of_closed_minutes() {
    let (_world, read) = read().await;
    let charts = read.ext.candles.items();
    assert_eq!(
        texts(&read.ext.candles, "symbol"),
        ["C/USD", "B/USD", "A/USD", "L/USD", "K/USD", "M/USD"]
    );
    let minutes: Vec<Value> = charts[2].ohlc.items().iter().map(value).collect();
    assert_eq!(charts[2].t0_ms, TsMs(NOW_MS - 56_000 - 7_200_000));
    assert_eq!(minutes.len(), 120);
    assert_eq!(minutes[0], json!(["1", "2", "0.5", "1.5"]));
    assert_eq!(minutes[119], json!(["3", "4", "3", "3.25"]));
    assert!(minutes[1..119].iter().all(|minute| *minute == json!([])));
    let fills = charts[2].fills.items();
    assert_eq!(fills.len(), 1, "the other is older");
    assert_eq!((fills[0].ts_ms.0, fills[0].side), (NOW_MS - 1_740_000, Side::Buy));
    let stops = |at: usize| value(&charts[at].stops);
    let raised = json!([{"ts_ms": NOW_MS - 1_800_000, "price": "98"}, {"ts_ms": NOW_MS - 1_200_000, "price": "98.5"}]);
    assert_eq!(stops(2), raised);
    assert_eq!(stops(1), json!([{"ts_ms": charts[1].t0_ms.0, "price": "4.5"}]), "it stood before");
}

#[tokio::test]
async fn the_day_is_counted_from_24_hours_ago() {
    let (world, read) = read().await;
    let ext = &read.ext;
    let funnel = json!({"eligible": 22, "topn": 5, "deep": 4, "topk": 3, "proposed": 2,
        "ai_allow": 2, "risk_allow": 1, "sent": 2, "filled": 1});
    assert_eq!(value(&ext.funnel), funnel);
    let blocks =
        json!([{"code": "RISK_COOLDOWN_ACTIVE", "n": 1}, {"code": "RISK_ORDER_RATE", "n": 1}]);
    assert_eq!(value(&ext.blocks_by_code), blocks);
    let of = |n: i64, p50: i64, p95: i64, p99: i64| json!({"n": n, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99});
    let latency = json!({"decision_submit": of(3, 14, 100, 100), "submit_ack": of(2, 80, 90, 90),
        "ack_fill": of(1, 40, 40, 40), "fill_stop": of(1, 150, 150, 150)});
    assert_eq!(value(&ext.latency), latency);
    assert_eq!(value(&ext.churn), json!({"count_10s": 2, "count_60s": 3}));
    for verdict in Verdict::ALL {
        world
            .change(&format!(
                "update evaluation_cycles set verdict = '{verdict}' where evaluation_id = 107"
            ))
            .await;
        let read =
            rows::read(&world.pool, &world.identity, &world.lengths, &world.live).await.unwrap();
        assert_eq!(read.ext.no_order_class, NoOrderClass::from(*verdict));
    }
}

#[tokio::test]
async fn series_have_the_last_figure_of_each_span() {
    let (_world, read) = read().await;
    let points = |name: &str| -> Vec<String> {
        let series = read.ext.series.items().iter().find(|s| s.name == name).unwrap();
        series.points.items().iter().map(|point| point.value.to_string()).collect()
    };
    assert_eq!(points("equity"), ["990", "1005"]);
    assert_eq!(points("drawdown"), ["10", "5"]);
    assert_eq!(points("queue_pct"), ["1.5", "2.5"]);
    assert_eq!(points("lag_ms"), ["6", "60"]);
    assert_eq!(points("wal_bytes"), ["3", "30"]);
    assert_eq!(points("db_bytes"), ["2", "20"]);
    assert_eq!(points("disk_free"), ["1", "10"]);
    assert_eq!(points("events_per_min"), ["9", "90"]);
    assert_eq!(points("drift"), ["0", "4"]);
    assert_eq!(points("rest_dur_ms"), ["900", "120"]);
    assert_eq!(points("generation_age_ms"), ["400", "500"]);
}
