//! Sample rows for tests and benches: a run, its lineage, a whole state with every kind of column
//! filled. Built only with the feature `samples`.

use penstock_types::raw::{L2Row, RawBody, RawRow, StatusRow, TickerRow, TradeRow};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{Regime, Side, StatusKind, Venue};
use penstock_types::{
    Decimal, FencingToken, GenerationId, LineageId, RunId, Seq, Symbol, UtcMicros, Uuid,
};

use crate::twins::{LineageRow, RunRow};

/// 2026-01-01T00:00:00Z.
pub const SAMPLE_TIME: UtcMicros = UtcMicros(1_767_225_600_000_000);

/// A lineage id that depends on the run alone.
#[must_use]
pub fn sample_lineage_id(run_id: RunId) -> LineageId {
    LineageId(Uuid::from_u128(
        0x0199_0000_0000_7000_8000_0000_0000_0000 + u128::from(run_id.0.unsigned_abs()),
    ))
}

/// A run of domain `test`.
#[must_use]
pub fn sample_run(run_id: RunId, token: FencingToken) -> RunRow {
    RunRow {
        run_id,
        domain: "test".to_owned(),
        mode: "ingest".to_owned(),
        lineage_id: sample_lineage_id(run_id),
        predecessor_run_id: None,
        fencing_token: token,
        host: "host".to_owned(),
        pid: 1,
        git_commit: "0000000".to_owned(),
        git_dirty: false,
        build_profile: "dev".to_owned(),
        config_hash: "0".repeat(64),
        // SHA-256 of `[]`.
        bindings_hash: "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
            .to_owned(),
        bindings: serde_json::Value::Array(Vec::new()),
        schema_version: 1,
        started_at: SAMPLE_TIME,
    }
}

/// The lineage of [`sample_run`].
#[must_use]
pub fn sample_lineage(run: &RunRow) -> LineageRow {
    LineageRow {
        lineage_id: run.lineage_id,
        domain: run.domain.clone(),
        first_run_id: run.run_id,
        parent_lineage_id: None,
        reason: "process_start".to_owned(),
        fencing_token: run.fencing_token,
        config_hash: run.config_hash.clone(),
        started_at: run.started_at,
    }
}

/// Symbol number `i`: `S000/USD`, ascending.
///
/// # Panics
/// Never: the text is a symbol.
#[must_use]
pub fn sample_symbol(i: usize) -> Symbol {
    Symbol::new(&format!("S{i:03}/USD")).expect("three digits make a symbol")
}

/// `n` state rows of a generation, ascending by symbol, all nullable columns filled.
#[must_use]
pub fn sample_state(run_id: RunId, generation_id: GenerationId, n: usize) -> Vec<StateRow> {
    (0..n).map(|i| sample_state_row(run_id, generation_id, i)).collect()
}

fn sample_state_row(run_id: RunId, generation_id: GenerationId, i: usize) -> StateRow {
    let salt = generation_id.0.rem_euclid(1_000_000) + i64::try_from(i).unwrap_or(0);
    let px = |d: i64| Some(Decimal::new(64_123_000_000 + salt * 7 + d, 6));
    let bps = |d: i64| Some(Decimal::new(12_345 + salt + d, 4));
    let ratio = |d: i64| Some(Decimal::new((salt + d) % 1_000_000, 6));
    let amount = |d: i64| Some(Decimal::new(98_765_432_100 + salt + d, 5));
    let at = Some(SAMPLE_TIME.plus_millis(salt));
    StateRow {
        run_id,
        symbol: sample_symbol(i),
        generation_id,
        updated_at: SAMPLE_TIME.plus_millis(salt),
        msg_age_ms: 12,
        last_ticker_at: at,
        last_trade_at: at,
        last_l2_at: at,
        last_l3_at: None,
        ticker_count: salt,
        trade_count: salt,
        l2_count: salt,
        l3_count: 0,
        ticker_count_w: 300,
        trade_count_w: 30,
        l2_count_w: 300,
        l3_count_w: 0,
        bid: px(0),
        ask: px(10),
        mid: px(5),
        last: px(2),
        bid_qty: amount(1),
        ask_qty: amount(2),
        spread_bps: bps(0),
        spread_avg_bps: bps(1),
        spread_std_bps: bps(2),
        spread_p90_bps: bps(3),
        microprice_dev_bps: bps(-20_000),
        imbalance_l1: ratio(1),
        imbalance_10: ratio(2),
        depth_bid_10bps_quote: amount(3),
        depth_ask_10bps_quote: amount(4),
        trades_1m: 60,
        trades_5m: 300,
        buy_quote_1m: amount(5),
        sell_quote_1m: amount(6),
        ofi_1m: ratio(3),
        vwap_5m: px(3),
        vwap_dev_bps: bps(4),
        rv_1m_bps: bps(5),
        rv_5m_bps: bps(6),
        rv_15m_bps: bps(7),
        rv_30m_bps: bps(8),
        atr_15m_bps: bps(9),
        drift_1m_bps: bps(-30_000),
        drift_5m_bps: bps(10),
        drift_15m_bps: bps(11),
        trend_strength: ratio(4),
        vol_expansion: ratio(5),
        l3_queue_ahead_bid_quote: None,
        l3_queue_ahead_ask_quote: None,
        l3_orders_at_bid: None,
        l3_orders_at_ask: None,
        l3_est_fill_bid_ms: None,
        l3_est_fill_ask_ms: None,
        l3_refill_ratio: None,
        l3_cancel_ratio: None,
        l3_avg_age_ms: None,
        l3_quality: Decimal::ZERO,
        l3_n_efit: 0,
        l3_n_refill: 0,
        l3_n_cancel: 0,
        l3_n_qt: 0,
        book_ok: true,
        checksum_fail_w: 0,
        l3_resync_w: 0,
        regime: Regime::Range,
        regime_sub: None,
        regime_since: SAMPLE_TIME,
        regime_prev: Some(Regime::Trend),
        regime_confidence: Decimal::new(7, 1),
        feature_complete: true,
        missing_features: vec!["l3_quality".to_owned(), "rv_30m_bps".to_owned()],
    }
}

/// Raw row number `seq` of a run: trades, ticker rows, L2 samples and status rows in turn.
#[must_use]
pub fn sample_raw(run_id: RunId, seq: i64) -> RawRow {
    let ts_local = SAMPLE_TIME.plus_millis(seq);
    let price = Decimal::new(64_123_000 + seq, 3);
    let qty = Decimal::new(1_000 + seq, 8);
    let symbol = sample_symbol(usize::try_from(seq % 7).unwrap_or(0));
    let body = match seq % 4 {
        0 => RawBody::Ticker(TickerRow {
            venue: Venue::KrakenSpot,
            symbol,
            ts_exchange: (seq % 8 == 0).then_some(ts_local),
            snapshot: false,
            conn_id: 1,
            bid: Some(price),
            ask: Some(price + Decimal::ONE),
            last: None,
            bid_qty: Some(qty),
            ask_qty: Some(qty),
            volume_24h: None,
            vwap_24h: None,
            change_pct_24h: Some(Decimal::new(-123, 4)),
        }),
        1 => RawBody::Trade(TradeRow {
            venue: Venue::KrakenSpot,
            symbol,
            trade_id: seq,
            side: if seq % 8 == 1 { Side::Buy } else { Side::Sell },
            kind: 'f',
            ord_type: Some('l'),
            price,
            qty,
            ts_exchange: ts_local,
            conn_id: 2,
        }),
        2 => RawBody::L2(L2Row {
            symbol,
            ts_exchange: Some(ts_local),
            bid: price,
            ask: price + Decimal::ONE,
            bid_qty: qty,
            ask_qty: qty,
            spread_bps: Some(Decimal::new(15_000, 4)),
            microprice: Some(price),
            microprice_dev_bps: Some(Decimal::new(-5, 4)),
            imbalance_l1: Some(Decimal::ZERO),
            imbalance_10: None,
            depth_bid_10bps_quote: Some(Decimal::new(5_000_001, 2)),
            depth_ask_10bps_quote: None,
            updates_since_prev: 4,
            checksum_ok: true,
            book_depth: 10,
            conn_id: 2,
        }),
        _ => RawBody::Status(StatusRow {
            lineage_id: sample_lineage_id(run_id),
            venue: Some(Venue::KrakenSpot),
            stream: "book".to_owned(),
            conn_id: Some(2),
            kind: StatusKind::Connect,
            symbol: None,
            gap_from: None,
            gap_to: None,
            first_seq: None,
            last_seq: None,
            detail: "{\"n\":1}".to_owned(),
        }),
    };
    RawRow { seq: Seq(seq), ts_local, body }
}
