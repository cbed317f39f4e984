//! Tests of the row table and its hash.

use super::*;
use alloc::string::ToString;
use alloc::vec;

fn row(symbol: &str) -> StateRow {
    let zero = Decimal::ZERO;
    StateRow {
        run_id: RunId(7),
        symbol: Symbol::new(symbol).unwrap(),
        generation_id: GenerationId(1_000_000_001),
        updated_at: UtcMicros(1_000_000),
        msg_age_ms: 12,
        last_ticker_at: None,
        last_trade_at: None,
        last_l2_at: None,
        last_l3_at: None,
        ticker_count: 1,
        trade_count: 2,
        l2_count: 3,
        l3_count: 0,
        ticker_count_w: 1,
        trade_count_w: 2,
        l2_count_w: 3,
        l3_count_w: 0,
        bid: Some(Decimal::new(15, 1)),
        ask: None,
        mid: None,
        last: None,
        bid_qty: None,
        ask_qty: None,
        spread_bps: None,
        spread_avg_bps: None,
        spread_std_bps: None,
        spread_p90_bps: None,
        microprice_dev_bps: None,
        imbalance_l1: None,
        imbalance_10: None,
        depth_bid_10bps_quote: None,
        depth_ask_10bps_quote: None,
        trades_1m: 0,
        trades_5m: 0,
        buy_quote_1m: None,
        sell_quote_1m: None,
        ofi_1m: None,
        vwap_5m: None,
        vwap_dev_bps: None,
        rv_1m_bps: None,
        rv_5m_bps: None,
        rv_15m_bps: None,
        rv_30m_bps: None,
        atr_15m_bps: None,
        drift_1m_bps: None,
        drift_5m_bps: None,
        drift_15m_bps: None,
        trend_strength: None,
        vol_expansion: None,
        l3_queue_ahead_bid_quote: None,
        l3_queue_ahead_ask_quote: None,
        l3_orders_at_bid: None,
        l3_orders_at_ask: None,
        l3_est_fill_bid_ms: None,
        l3_est_fill_ask_ms: None,
        l3_refill_ratio: None,
        l3_cancel_ratio: None,
        l3_avg_age_ms: None,
        l3_quality: zero,
        l3_n_efit: 0,
        l3_n_refill: 0,
        l3_n_cancel: 0,
        l3_n_qt: 0,
        book_ok: true,
        checksum_fail_w: 0,
        l3_resync_w: 0,
        regime: Regime::Range,
        regime_sub: None,
        regime_since: UtcMicros(0),
        regime_prev: None,
        regime_confidence: Decimal::new(3, 1),
        feature_complete: false,
        missing_features: vec!["rv_5m_bps".to_string(), "book_ok".to_string()],
    }
}

#[test]
fn the_table_has_the_73_columns_in_order() {
    assert_eq!(COLUMNS.len(), 73);
    assert_eq!(COLUMNS[0].name, "run_id");
    assert_eq!(COLUMNS[72].name, "missing_features");
    let mut names = Vec::new();
    row("A/B").for_each_value(|column, _| names.push(column.name));
    assert_eq!(names, COLUMNS.iter().map(|c| c.name).collect::<Vec<_>>());
}

#[test]
fn the_canonical_text_leaves_the_generation_out_and_shows_all_digits() {
    let mut text = String::new();
    canonical_text(&row("A/B"), &mut text);
    assert!(text.starts_with("7\u{1f}A/B\u{1f}1970-01-01T00:00:01.000000Z\u{1f}12\u{1f}\\N\u{1f}"));
    assert!(text.contains("\u{1f}1.500000000000\u{1f}"));
    assert!(text.ends_with("\u{1f}f\u{1f}rv_5m_bps\u{1d}book_ok\u{1e}"));
    assert_eq!(text.matches('\u{1f}').count(), 71);
}

#[test]
fn the_hash_disregards_the_generation_and_trailing_zeros_but_no_digit() {
    let a = row("A/B");
    let mut b = a.clone();
    b.generation_id = GenerationId(9);
    b.bid = Some(Decimal::new(1500, 3));
    assert_eq!(content_hash(core::slice::from_ref(&a)), content_hash(core::slice::from_ref(&b)));
    assert_eq!(first_difference(&a, &b), None);
    b.bid = Some(Decimal::new(1501, 3));
    assert_ne!(content_hash(core::slice::from_ref(&a)), content_hash(core::slice::from_ref(&b)));
    assert_eq!(first_difference(&a, &b), Some("bid"));
}
