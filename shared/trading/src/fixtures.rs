//! A whole, healthy input of a cycle, to be spoiled in one place: for tests and benches only.
//!
//! Purpose: one input that passes every gate. Inputs: a number of symbols. Outputs: values. Invariants: the
//! last symbol breaks out, all others are calm; nothing here is used by a service.

use crate::CycleInput;
use crate::cycle::{CYCLE_INPUT_VERSION, FrameStatus, LineageMemory, Quote, StreamStatus};
use crate::decide::DecideConfig;
use crate::decide::config::ContractConfig;
use crate::select::{ReturnSeries, SelectionMemory};
use crate::windows::QuoteWindow;
use penstock_types::rows::{
    BalanceRow, EpochRow, EquityRow, ExternalMoney, FeeTierRow, FenceRow, InstrumentRow,
    PublicationRow, RiskCounters, SnapshotRow,
};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{EpochStatus, Regime, SysMode, Trigger};
use penstock_types::{
    Decimal, EpochId, FencingToken, GenerationId, LineageId, RunId, SessionId, SnapshotId, Symbol,
    TickId, UtcMicros, Uuid,
};

/// Decision clock of the input.
pub const NOW: UtcMicros = UtcMicros(1_771_243_200_000_000);
/// Its generation.
pub const GENERATION: GenerationId = GenerationId(7_000_000_100);

/// A decimal from its text.
///
/// # Panics
/// When the text is no decimal.
#[must_use]
pub fn dec(text: &str) -> Decimal {
    text.parse().expect("a literal decimal")
}

/// Symbol number `i`.
///
/// # Panics
/// Never: the text is a symbol.
#[must_use]
pub fn symbol(i: usize) -> Symbol {
    Symbol::new(&format!("S{i:03}/USD")).expect("a literal symbol")
}

/// Lineage number `n`.
#[must_use]
pub fn lineage(n: u128) -> LineageId {
    LineageId(Uuid::from_u128(n))
}

/// A calm symbol around a price of 100.
#[must_use]
pub fn calm(i: usize) -> StateRow {
    StateRow {
        run_id: RunId(3),
        generation_id: GENERATION,
        updated_at: NOW,
        msg_age_ms: 200,
        last_ticker_at: Some(NOW),
        last_trade_at: Some(NOW),
        last_l2_at: Some(NOW),
        ticker_count: 900,
        trade_count: 300,
        l2_count: 900,
        ticker_count_w: 300,
        trade_count_w: 300,
        l2_count_w: 900,
        bid: Some(dec("99.99")),
        ask: Some(dec("100.01")),
        mid: Some(dec("100")),
        last: Some(dec("100")),
        bid_qty: Some(dec("50")),
        ask_qty: Some(dec("50")),
        spread_bps: Some(dec("2")),
        spread_avg_bps: Some(dec("1.5")),
        spread_std_bps: Some(dec("0.3")),
        spread_p90_bps: Some(dec("2")),
        microprice_dev_bps: Some(dec("0.1")),
        depth_bid_10bps_quote: Some(dec("60000")),
        depth_ask_10bps_quote: Some(dec("60000")),
        trades_1m: 60,
        trades_5m: 300,
        buy_quote_1m: Some(dec("1000")),
        sell_quote_1m: Some(dec("1000")),
        ofi_1m: Some(dec("0")),
        vwap_5m: Some(dec("100")),
        vwap_dev_bps: Some(dec("0")),
        rv_1m_bps: Some(dec("4")),
        rv_5m_bps: Some(dec("4")),
        rv_15m_bps: Some(dec("4")),
        rv_30m_bps: Some(dec("4")),
        drift_1m_bps: Some(dec("1")),
        drift_5m_bps: Some(dec("1")),
        drift_15m_bps: Some(dec("2")),
        trend_strength: Some(dec("0.2")),
        vol_expansion: Some(dec("1")),
        book_ok: true,
        regime: Regime::Range,
        regime_since: NOW,
        regime_confidence: dec("0.75"),
        feature_complete: true,
        ..StateRow::absent(&symbol(i))
    }
}

/// A symbol that breaks out: high volatility with confidence, rising, bought.
pub fn hot(row: &mut StateRow) {
    row.regime = Regime::HighVolatility;
    row.rv_5m_bps = Some(dec("32"));
    row.rv_30m_bps = Some(dec("32"));
    row.regime_confidence = dec("0.6");
    row.drift_1m_bps = Some(dec("85"));
    row.drift_15m_bps = Some(dec("90"));
    row.trend_strength = Some(dec("1.2"));
    row.vol_expansion = Some(dec("1"));
    row.ofi_1m = Some(dec("0.9"));
}

/// Quote of symbol number `i`.
#[must_use]
pub fn quote(i: usize) -> Quote {
    Quote {
        symbol: symbol(i),
        bid: dec("99.99"),
        ask: dec("100.01"),
        bid_qty: dec("50"),
        ask_qty: dec("50"),
        tick_id: TickId(7_084_972_800),
        seq: 4_711,
    }
}

/// Rules of symbol number `i`.
#[must_use]
pub fn instrument(i: usize) -> InstrumentRow {
    InstrumentRow {
        symbol: symbol(i),
        base: format!("S{i:03}"),
        quote: "USD".to_owned(),
        status: "online".to_owned(),
        price_increment: dec("0.01"),
        qty_increment: dec("0.0001"),
        qty_min: dec("0.001"),
        cost_min: dec("0.5"),
        price_precision: 2,
        qty_precision: 4,
        content_hash: "5c".repeat(32),
    }
}

/// A whole window of symbol number `i`: 2 bps of spread, as much on the bid as on the ask.
#[must_use]
pub fn window(i: usize) -> QuoteWindow {
    QuoteWindow {
        symbol: symbol(i),
        samples: 120,
        spread_p50_bps: 2,
        spread_p90_bps: 2,
        spread_now_bps: 2,
        spread_p90_delta_bps: 0,
        imbalance_p50_x10000: 5_600,
        microvol_bps: 3,
        microvol_normal_bps: Some(3),
    }
}

/// Returns of symbol number `i`, like those of no other.
#[must_use]
pub fn returns(i: usize) -> ReturnSeries {
    let point = |at: usize| i32::try_from((at * (i * 7 + 3) + i * i) % 31).ok().map(|p| p - 15);
    ReturnSeries { symbol: symbol(i), points: (0..72).map(point).collect() }
}

fn publication(n: usize) -> PublicationRow {
    PublicationRow {
        domain: "kraken_spot".to_owned(),
        run_id: RunId(3),
        lineage_id: lineage(1),
        generation_id: GENERATION,
        fencing_token: FencingToken(7),
        as_of: NOW,
        as_of_lag_ms: 4,
        last_msg_age_ms: 50,
        published_at: UtcMicros(NOW.0 - 20_000),
        row_count: i32::try_from(n).unwrap_or(i32::MAX),
        content_hash: String::new(),
        gap_open: false,
    }
}

fn equity() -> EquityRow {
    EquityRow {
        hwm_quote: Some(dec("10000")),
        day_open_quote: Some(dec("10000")),
        realized_cum_quote: dec("0"),
        realized_day_quote: dec("0"),
        external: ExternalMoney::default(),
        drawdown_day: None,
    }
}

fn fees() -> FeeTierRow {
    FeeTierRow { maker_bps: dec("10"), taker_bps: dec("20"), source: "live".to_owned() }
}

/// `n` symbols, the last one hot.
#[must_use]
pub fn input(n: usize) -> CycleInput {
    let mut states: Vec<StateRow> = (0..n).map(calm).collect();
    hot(&mut states[n - 1]);
    CycleInput {
        version: CYCLE_INPUT_VERSION,
        domain: "kraken_spot".to_owned(),
        session_id: SessionId(Uuid::from_u128(5)),
        evaluation_index: 12,
        trigger: Trigger::Generation,
        now: NOW,
        t0: NOW,
        sys_mode: SysMode::Normal,
        publication: Some(publication(n)),
        ingest_fence: Some(FenceRow {
            fencing_token: FencingToken(7),
            lease_expires_at: NOW.plus_millis(10_000),
        }),
        content_hash_ok: None,
        epochs: vec![EpochRow {
            epoch_id: EpochId(7_000_000_001),
            lineage_id: lineage(1),
            run_id: RunId(3),
            snapshot_id: Some(SnapshotId(7_000_000_001)),
            status: EpochStatus::Valid,
            completed_at: Some(NOW.plus_millis(-5_000)),
            l3_mode: None,
        }],
        snapshots: vec![SnapshotRow {
            snapshot_id: SnapshotId(7_000_000_001),
            run_id: RunId(3),
            lineage_id: lineage(1),
            execution_symbols: (0..n).map(symbol).collect(),
            pinned_symbols: Vec::new(),
            l3_symbols: Vec::new(),
        }],
        lineage: LineageMemory { previous: Some(lineage(1)), grace_left: 0 },
        safety: Vec::new(),
        instruments: (0..n).map(instrument).collect(),
        positions: Vec::new(),
        live_orders: Vec::new(),
        reservations: Vec::new(),
        balances: vec![BalanceRow { asset: "USD".to_owned(), balance: dec("10000"), as_of: NOW }],
        fees: Some(fees()),
        scores: Vec::new(),
        locks: Vec::new(),
        equity: equity(),
        counters: RiskCounters::default(),
        venue_counters: Vec::new(),
        stream: StreamStatus { connected: true, snapshots_ok: true, silent_ms: 300 },
        latency_us: 250_000,
        foreign_holds_quote: dec("0"),
        frame: Some(FrameStatus {
            tick_id: TickId(7_084_972_800),
            run_id: RunId(3),
            age_ms: 120,
            latency_p90_ms: 150,
        }),
        quotes: (0..n).map(quote).collect(),
        states,
        engine: None,
        windows: (0..n).map(window).collect(),
        returns: (0..n).map(returns).collect(),
        selection: SelectionMemory::default(),
        ai_answers: Vec::new(),
        refused: Vec::new(),
    }
}

/// Settings that allow everything which the defaults allow, with orders switched on.
#[must_use]
pub fn config() -> DecideConfig {
    DecideConfig {
        execution_enable: true,
        risk_max_exposure_symbol_quote: dec("100"),
        risk_max_trades_per_day: 500,
        epoch_max_age_secs: 140,
        contract: ContractConfig {
            config_hash: "ab".repeat(32),
            thresholds_hash: "cd".repeat(32),
            ..ContractConfig::default()
        },
        ..DecideConfig::default()
    }
}
