//! Sample rows for tests and benches: a run, its lineage, a whole state with every kind of column
//! filled. Built only with the feature `samples`.

use penstock_types::raw::{
    DerivTickerRow, L2Row, L3Row, LiquidationRow, RawBody, RawRow, StatusRow, TickerRow, TradeRow,
};
use penstock_types::state_row::{COLUMNS, ColumnError, ColumnReader, ColumnType, StateRow};
use penstock_types::vocab::{Side, StatusKind, Venue};
use penstock_types::{
    Decimal, FencingToken, GenerationId, LineageId, RunId, Seq, Symbol, UtcMicros, Uuid,
};

use crate::twins::{LineageRow, RunRow};
use std::sync::Arc;

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
        bindings: Arc::new(serde_json::Value::Array(Vec::new())),
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
    let symbol = sample_symbol(i);
    let mut filler =
        Filler { run_id, generation_id, symbol: symbol.as_str().to_owned(), salt, at: 0 };
    StateRow::read(&mut filler).expect("the filler has a value of each column's type")
}

/// Gives every column a value of its type; the L3 columns stay null, as without L3.
struct Filler {
    run_id: RunId,
    generation_id: GenerationId,
    symbol: String,
    salt: i64,
    at: usize,
}

impl Filler {
    /// Name of the column that is read now.
    fn next(&mut self) -> &'static str {
        let name = COLUMNS.get(self.at).map_or("", |column| column.name);
        self.at += 1;
        name
    }

    fn is_l3(name: &str) -> bool {
        matches!(name, "last_l3_at") || (name.starts_with("l3_") && name != "l3_quality")
    }
}

impl ColumnReader for Filler {
    type Error = ColumnError;

    fn bigint(&mut self) -> Result<Option<i64>, ColumnError> {
        Ok(Some(match self.next() {
            "run_id" => self.run_id.0,
            "generation_id" => self.generation_id.0,
            _ => self.salt,
        }))
    }

    fn integer(&mut self) -> Result<Option<i32>, ColumnError> {
        let name = self.next();
        let counts = matches!(name, "l3_count_w" | "l3_resync_w") || name.starts_with("l3_n_");
        if counts {
            return Ok(Some(0));
        }
        Ok((!Self::is_l3(name)).then_some(300))
    }

    fn text(&mut self) -> Result<Option<String>, ColumnError> {
        Ok(match self.next() {
            "symbol" => Some(self.symbol.clone()),
            "regime" => Some("RANGE".to_owned()),
            "regime_prev" => Some("TREND".to_owned()),
            _ => None,
        })
    }

    fn timestamp(&mut self) -> Result<Option<UtcMicros>, ColumnError> {
        let name = self.next();
        Ok((!Self::is_l3(name)).then(|| SAMPLE_TIME.plus_millis(self.salt)))
    }

    fn numeric(&mut self) -> Result<Option<Decimal>, ColumnError> {
        let kind = COLUMNS.get(self.at).map(|column| column.kind);
        let name = self.next();
        if Self::is_l3(name) {
            return Ok(None);
        }
        let n = self.salt + i64::try_from(self.at).unwrap_or(0);
        Ok(Some(match kind {
            Some(ColumnType::Numeric(12)) => Decimal::new(64_123_000_000 + n * 7, 6),
            Some(ColumnType::Numeric(10)) => Decimal::new(98_765_432_100 + n, 5),
            Some(ColumnType::Numeric(4)) => Decimal::new(n % 50_000 - 20_000, 4),
            _ => Decimal::new(n % 1_000_000, 6),
        }))
    }

    fn boolean(&mut self) -> Result<Option<bool>, ColumnError> {
        self.next();
        Ok(Some(true))
    }

    fn text_array(&mut self) -> Result<Option<Vec<String>>, ColumnError> {
        self.next();
        Ok(Some(vec!["l3_quality".to_owned(), "rv_30m_bps".to_owned()]))
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

/// Raw row number `seq` of the streams that [`sample_raw`] leaves out: L3 samples, derivative tickers,
/// polled open interest, liquidations in turn.
#[must_use]
pub fn sample_derivative(seq: i64) -> RawRow {
    let ts_local = SAMPLE_TIME.plus_millis(seq);
    let price = Decimal::new(64_123_000 + seq, 3);
    let qty = Decimal::new(1_000 + seq, 8);
    let symbol = sample_symbol(usize::try_from(seq % 7).unwrap_or(0));
    let count = i32::try_from(seq).unwrap_or(0);
    let deriv = |venue, conn_id| DerivTickerRow {
        venue,
        symbol: symbol.clone(),
        ts_exchange: Some(ts_local),
        conn_id,
        mark_price: None,
        index_price: None,
        funding_rate: None,
        funding_interval_secs: None,
        next_funding_at: None,
        open_interest: Some(qty),
    };
    let body = match seq % 4 {
        0 => RawBody::L3(L3Row {
            symbol,
            ts_exchange: Some(ts_local),
            bid: price,
            ask: price + Decimal::ONE,
            orders_at_bid: count,
            orders_at_ask: 2,
            queue_bid_quote: price,
            queue_ask_quote: qty,
            avg_age_bid_ms: Some(1_500),
            avg_age_ask_ms: None,
            adds: 3,
            cancels: 2,
            fills: 1,
            modifies: 4,
            refill_ratio: Some(Decimal::new(1_250_000, 6)),
            cancel_ratio: None,
            est_fill_bid_ms: Some(86_400_000),
            est_fill_ask_ms: None,
            checksum_ok: true,
            conn_id: 3,
        }),
        1 => RawBody::DerivTicker(DerivTickerRow {
            mark_price: Some(price),
            index_price: Some(price),
            funding_rate: Some(Decimal::new(-1_380_384_722_222, 18)),
            funding_interval_secs: Some(3_600),
            next_funding_at: Some(ts_local.plus_millis(1_000)),
            ..deriv(Venue::KrakenFutures, 4)
        }),
        2 => RawBody::DerivTicker(deriv(Venue::BinanceUm, 0)),
        _ => RawBody::Liquidation(LiquidationRow {
            venue: Venue::KrakenFutures,
            symbol,
            side: Side::Sell,
            price,
            qty,
            trade_id: Some(seq),
            ts_exchange: ts_local,
            conn_id: 4,
        }),
    };
    RawRow { seq: Seq(seq), ts_local, body }
}
