//! One case for each gate but the engine's.

use std::collections::BTreeMap;

use penstock_ops::why::Standing;
use penstock_sim::ai::{Options, Script, start};
use penstock_trading::fixtures::{dec, symbol};
use penstock_trading::mode::ModeEvent;
use penstock_types::Symbol;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{Regime, SysMode};

use super::Want;
use super::desk::Desk;
use super::rig::N;

/// The symbol that breaks out: nothing of its own closes it.
fn hot() -> Symbol {
    symbol(N - 1)
}

async fn ready(more: &str) -> Desk {
    let mut desk = Desk::new(more, BTreeMap::new()).await;
    desk.until_normal().await;
    let answer = desk.why(&hot()).await;
    assert_eq!(answer.standing, Standing::Open, "{}", answer.text());
    desk
}

/// Closes by what generations say of the symbol, and opens by what they said before.
async fn by_state(spoil: fn(&mut StateRow), want: Want) {
    let mut desk = ready("").await;
    desk.market.spoiled = Some((hot(), spoil));
    desk.is_closed(&hot(), &want).await;
    desk.market.spoiled = None;
    let answer = desk.is_open(&hot(), &want).await;
    assert_eq!(answer.standing, Standing::Open, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_universe_leaves_it_out() {
    let want = Want {
        gate: "UNIVERSE_TRADES_LOW",
        reason: "UNIVERSE_TRADES_LOW",
        value: Some("0"),
        limit: Some("1"),
        unit: "flag",
        next: "min_ticker_per_symbol",
    };
    let mut desk = ready("").await;
    desk.market.left_out = vec![(hot(), "UNIVERSE_TRADES_LOW")];
    desk.market.epoch(2).await.unwrap();
    desk.is_closed(&hot(), &want).await;
    desk.market.left_out.clear();
    desk.market.epoch(3).await.unwrap();
    let answer = desk.is_open(&hot(), &want).await;
    assert_eq!(answer.standing, Standing::Open, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_safety_is_a_hard_block() {
    let want = Want {
        gate: "HardBlocked",
        reason: "SYMBOL_HARD_BLOCKED",
        value: Some("3"),
        limit: Some("0"),
        unit: "safety_mode",
        next: "symbol_safety_state",
    };
    let mut desk = ready("").await;
    sqlx::query(
        "insert into symbol_safety_state (symbol, cause, mode, primary_reason, since, updated_at,
             updated_by) values ($1, 'operator', 'hard_blocked', 'OPERATOR_REQUEST',
             clock_timestamp(), clock_timestamp(), 'operator')",
    )
    .bind(hot().as_str())
    .execute(&desk.owner)
    .await
    .unwrap();
    let answer = desk.is_closed(&hot(), &want).await;
    assert!(answer.text().contains("Measured hard_blocked, limit normal."), "{}", answer.text());
    sqlx::query("update symbol_safety_state set expires_at = clock_timestamp() where symbol = $1")
        .bind(hot().as_str())
        .execute(&desk.owner)
        .await
        .unwrap();
    desk.is_open(&hot(), &want).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feature_is_missing() {
    let spoil = |row: &mut StateRow| {
        row.feature_complete = false;
        row.missing_features = vec!["rv_5m_bps".to_owned(), "vwap_5m".to_owned()];
    };
    let want = Want {
        gate: "FeatureIncomplete",
        reason: "STRAT_MISSING_FIELD",
        value: Some("2"),
        limit: Some("0"),
        unit: "features",
        next: "wait",
    };
    by_state(spoil, want).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pre_selection_cuts_it() {
    // Of the calm symbols, all alike, the ranking takes the first by name.
    let cut = symbol(N - 2);
    let deeper: fn(&mut StateRow) = |row| {
        row.depth_bid_10bps_quote = Some(dec("70000"));
        row.depth_ask_10bps_quote = Some(dec("70000"));
    };
    let want = Want {
        gate: "TOPN_CUT",
        reason: "TOPN_CUT",
        value: Some("8"),
        limit: Some("5"),
        unit: "rank",
        next: "topn_size",
    };
    let mut desk = Desk::new("topn_size = 5\n", BTreeMap::new()).await;
    desk.market.spoiled = Some((cut.clone(), deeper));
    desk.until_normal().await;
    let before = desk.why(&cut).await;
    assert_ne!(before.gate.as_deref(), Some("TOPN_CUT"), "{}", before.text());
    desk.market.spoiled = None;
    desk.is_closed(&cut, &want).await;
    desk.market.spoiled = Some((cut.clone(), deeper));
    let after = desk.is_open(&cut, &want).await;
    assert_eq!(after.gate, before.gate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_regime_is_chaos() {
    let spoil = |row: &mut StateRow| {
        row.regime = Regime::Chaos;
        row.rv_5m_bps = Some(dec("45"));
    };
    let want = Want {
        gate: "RegimeChaos",
        reason: "REGIME_NO_TRADE",
        value: Some("45"),
        limit: Some("40"),
        unit: "bps",
        next: "calmer",
    };
    by_state(spoil, want).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_edge_is_negative() {
    // Most of the move has happened.
    let spoil = |row: &mut StateRow| row.drift_1m_bps = Some(dec("800"));
    let want = Want {
        gate: "EdgeNegative",
        reason: "STRAT_EDGE_NEGATIVE",
        value: None,
        limit: Some("0"),
        unit: "bps",
        next: "negative edge",
    };
    let mut desk = ready("").await;
    desk.market.spoiled = Some((hot(), spoil));
    let answer = desk.is_closed(&hot(), &want).await;
    let value = answer.value.unwrap();
    let best: Option<penstock_types::Decimal> = sqlx::query_scalar(
        "select max(edge_bps) from evaluation_candidates where symbol = $1 and evaluation_id = (
             select evaluation_id from symbol_gates where symbol = $1)",
    )
    .bind(hot().as_str())
    .fetch_one(&desk.observer)
    .await
    .unwrap();
    assert!(value < dec("0"), "{value}");
    assert!(best.is_none_or(|best| best.normalize() == value), "{best:?} {value}");
    desk.market.spoiled = None;
    desk.is_open(&hot(), &want).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ai_gate_objects() {
    let script = |word| Script::parse(word).unwrap();
    let model = start(Options { seed: 1, script: script("allow") }).await.unwrap();
    let address = model.address.clone();
    let environment: BTreeMap<String, String> = [
        ("AI_DEC", "1".to_owned()),
        ("AI_GATE_BASE_URL", address.url),
        ("AI_GATE_MODEL", address.model),
        ("AI_GATE_API_KEY", address.api_key),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let want = Want {
        gate: "AiGateBlocked",
        reason: "AIGATE_CONCERN_COST",
        value: Some("1"),
        limit: Some("0"),
        unit: "ai_verdict",
        next: "v_ai_gate_events",
    };
    let mut desk = Desk::new("", environment).await;
    desk.until_normal().await;
    assert_eq!(desk.why(&hot()).await.standing, Standing::Open);
    model.follow(script("block"));
    let answer = desk.is_closed(&hot(), &want).await;
    assert!(answer.text().contains("Measured BLOCK, limit ALLOW."), "{}", answer.text());
    model.follow(script("allow"));
    desk.is_open(&hot(), &want).await;
    model.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_size_is_below_the_least_order() {
    // A tenth of the depth is less than the least order with its margin.
    let spoil = |row: &mut StateRow| {
        row.depth_bid_10bps_quote = Some(dec("120"));
        row.depth_ask_10bps_quote = Some(dec("120"));
    };
    let want = Want {
        gate: "SizeBelowMinimum",
        reason: "RISK_SIZE_INVALID",
        value: Some("12"),
        limit: None,
        unit: "quote",
        next: "min_order_notional_quote",
    };
    by_state(spoil, want).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_of_risk_refuses_it() {
    // The quote's spread of two is more than one and a half times the average.
    let spoil = |row: &mut StateRow| row.spread_avg_bps = Some(dec("1"));
    let want = Want {
        gate: "RiskBlocked",
        reason: "RISK_SPREAD_JUMP",
        value: Some("2"),
        limit: Some("1.5"),
        unit: "bps",
        next: "RISK_SPREAD_JUMP",
    };
    by_state(spoil, want).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mode_is_pause() {
    let want = Want {
        gate: "ModeBlocked",
        reason: "RISK_MODE_BLOCK",
        value: Some("2"),
        limit: Some("0"),
        unit: "sys_mode",
        next: "penstock mode NORMAL",
    };
    let mut desk = ready("").await;
    desk.context.mode.request(ModeEvent::OperatorPause);
    let before = desk.now().await;
    desk.evaluate().await;
    let after = desk.now().await;
    desk.until_logged(SysMode::Pause).await;
    let first = desk.why(&hot()).await;
    want.compare(&first);
    assert!(first.text().contains("Measured PAUSE, limit NORMAL."), "{}", first.text());
    assert!(first.text().contains("OPERATOR_REQUEST"), "{}", first.text());
    let since = first.since.unwrap();
    assert!(before <= since && since <= after, "{before} {since} {after}");
    // A start begins in DEGRADE: the same gate, the same reason, since then.
    desk.restart().await;
    desk.evaluate().await;
    let again = desk.why(&hot()).await;
    assert_eq!((again.gate.as_deref(), again.since), (Some("ModeBlocked"), Some(since)));
    assert!(again.text().contains("Measured DEGRADE, limit NORMAL."), "{}", again.text());
    desk.until_normal().await;
    assert_eq!(desk.why(&hot()).await.standing, Standing::Open);
}
