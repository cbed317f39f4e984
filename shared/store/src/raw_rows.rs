//! Raw rows as copy tuples, and the closed list of tables and columns that they go into.
//!
//! Input: a row of the market core with its run. Output: the bytes that the spool keeps and the
//! loader concatenates. The list of columns belongs to the row version in the spool's header: a new
//! column is a new row version. A test compares every list with the catalogue.

use penstock_types::raw::{CandleRow, L2Row, RawBody, RawRow, StatusRow, TickerRow, TradeRow};
use penstock_types::vocab::{RawStream, Side};
use penstock_types::{GenerationId, LineageId, RunId, Seq, UtcMicros};

use crate::spool::StreamCode;
use crate::tuple::TupleWriter;

/// Version of every row layout in this file; written into each record.
pub const ROW_VERSION: u16 = 1;

/// Where the tuples of a stream go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyTarget {
    /// Stream.
    pub stream: StreamCode,
    /// Table.
    pub table: &'static str,
    /// Columns in tuple order.
    pub columns: &'static [&'static str],
    /// Key of `on conflict` for outputs and for a batch that is loaded row by row.
    pub key: &'static str,
}

impl CopyTarget {
    /// The copy into the table itself.
    #[must_use]
    pub fn copy_statement(&self) -> String {
        copy_statement(self.table, self.columns)
    }
}

/// `copy table (columns) from stdin (format binary)`.
#[must_use]
pub fn copy_statement(table: &str, columns: &[&str]) -> String {
    format!("copy {table} ({}) from stdin (format binary)", columns.join(", "))
}

/// Every stream that this version can load, inputs first.
pub const COPY_TARGETS: &[CopyTarget] = &[
    CopyTarget {
        stream: StreamCode::Ticker,
        table: "ticker_samples",
        columns: &[
            "run_id",
            "seq",
            "venue",
            "symbol",
            "ts_exchange",
            "ts_local",
            "kind",
            "conn_id",
            "bid",
            "ask",
            "last",
            "bid_qty",
            "ask_qty",
            "volume_24h",
            "vwap_24h",
            "change_pct_24h",
        ],
        key: "(run_id, seq)",
    },
    CopyTarget {
        stream: StreamCode::Trade,
        table: "trade_samples",
        columns: &[
            "run_id",
            "seq",
            "venue",
            "symbol",
            "trade_id",
            "side",
            "kind",
            "ord_type",
            "price",
            "qty",
            "ts_exchange",
            "ts_local",
            "conn_id",
        ],
        key: "(run_id, seq)",
    },
    CopyTarget {
        stream: StreamCode::L2,
        table: "l2_snap_metrics",
        columns: &[
            "run_id",
            "seq",
            "symbol",
            "ts_exchange",
            "ts_local",
            "bid",
            "ask",
            "bid_qty",
            "ask_qty",
            "spread_bps",
            "microprice",
            "microprice_dev_bps",
            "imbalance_l1",
            "imbalance_10",
            "depth_bid_10bps_quote",
            "depth_ask_10bps_quote",
            "updates_since_prev",
            "checksum_ok",
            "book_depth",
            "conn_id",
        ],
        key: "(run_id, seq)",
    },
    CopyTarget {
        stream: StreamCode::Status,
        table: "ingest_stream_events",
        columns: &[
            "run_id",
            "seq",
            "lineage_id",
            "ts",
            "venue",
            "stream",
            "conn_id",
            "kind",
            "symbol",
            "gap_from",
            "gap_to",
            "first_seq",
            "last_seq",
            "detail",
        ],
        key: "(run_id, seq)",
    },
    CopyTarget {
        stream: StreamCode::Candle,
        table: "candles_1m",
        columns: &[
            "run_id",
            "symbol",
            "minute",
            "o",
            "h",
            "l",
            "c",
            "base_vol",
            "quote_vol",
            "buy_base_vol",
            "trades",
        ],
        key: "(run_id, symbol, minute)",
    },
    CopyTarget {
        stream: StreamCode::Generation,
        table: "state_generations",
        columns: &[
            "generation_id",
            "run_id",
            "lineage_id",
            "as_of",
            "row_count",
            "changed_rows",
            "delta_ticker_rows",
            "delta_trade_rows",
            "delta_l2_rows",
            "delta_l3_rows",
            "wm_seq",
            "raw_complete",
            "content_hash",
            "refresh_duration_ms",
        ],
        key: "(generation_id)",
    },
];

/// The target of a stream; `None` for streams that no table of this version takes.
#[must_use]
pub fn copy_target(stream: StreamCode) -> Option<&'static CopyTarget> {
    COPY_TARGETS.iter().find(|target| target.stream == stream)
}

/// Row of `state_generations`, written by the I-transaction or, when the ingest cluster does not
/// answer, sent through the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationRow {
    /// Generation.
    pub generation_id: GenerationId,
    /// Run.
    pub run_id: RunId,
    /// Lineage.
    pub lineage_id: LineageId,
    /// Time of the cut.
    pub as_of: UtcMicros,
    /// Rows of the state.
    pub row_count: i32,
    /// Rows that changed, generation, `updated_at` and message age disregarded.
    pub changed_rows: i32,
    /// Ticker rows since the cut before.
    pub delta_ticker_rows: i32,
    /// Trade rows since the cut before.
    pub delta_trade_rows: i32,
    /// L2 rows since the cut before.
    pub delta_l2_rows: i32,
    /// L3 rows since the cut before.
    pub delta_l3_rows: i32,
    /// Last number folded in.
    pub wm_seq: Seq,
    /// Nothing of the run up to `wm_seq` was shed or quarantined.
    pub raw_complete: bool,
    /// SHA-256 over the rows.
    pub content_hash: [u8; 32],
    /// Duration of the cut.
    pub refresh_duration_ms: i32,
}

/// Stream code of a row's stream.
#[must_use]
pub const fn stream_code(stream: RawStream) -> StreamCode {
    match stream {
        RawStream::Ticker => StreamCode::Ticker,
        RawStream::Trade => StreamCode::Trade,
        RawStream::L2 => StreamCode::L2,
        RawStream::L3 => StreamCode::L3,
        RawStream::Status => StreamCode::Status,
        RawStream::DerivTicker => StreamCode::DerivTicker,
        RawStream::Liquidation => StreamCode::Liquidation,
    }
}

/// Appends a row as one tuple.
pub fn encode_raw(out: &mut Vec<u8>, run_id: RunId, row: &RawRow) {
    match &row.body {
        RawBody::Ticker(body) => encode_ticker(out, run_id, row, body),
        RawBody::Trade(body) => encode_trade(out, run_id, row, body),
        RawBody::L2(body) => encode_l2(out, run_id, row, body),
        RawBody::Status(body) => encode_status(out, run_id, row.seq, row.ts_local, body),
    }
}

fn encode_ticker(out: &mut Vec<u8>, run_id: RunId, row: &RawRow, body: &TickerRow) {
    let mut t = TupleWriter::start(out, 16);
    t.int8(run_id.0);
    t.int8(row.seq.0);
    t.int2(body.venue.code());
    t.text(body.symbol.as_str());
    t.opt(body.ts_exchange, TupleWriter::timestamp);
    t.timestamp(row.ts_local);
    t.int2(i16::from(body.snapshot));
    t.int2(body.conn_id);
    for value in [
        body.bid,
        body.ask,
        body.last,
        body.bid_qty,
        body.ask_qty,
        body.volume_24h,
        body.vwap_24h,
        body.change_pct_24h,
    ] {
        t.opt(value, TupleWriter::numeric);
    }
    t.end();
}

fn encode_trade(out: &mut Vec<u8>, run_id: RunId, row: &RawRow, body: &TradeRow) {
    let mut t = TupleWriter::start(out, 13);
    t.int8(run_id.0);
    t.int8(row.seq.0);
    t.int2(body.venue.code());
    t.text(body.symbol.as_str());
    t.int8(body.trade_id);
    t.pg_char(match body.side {
        Side::Buy => 'b',
        Side::Sell => 's',
    });
    t.pg_char(body.kind);
    t.opt(body.ord_type, TupleWriter::pg_char);
    t.numeric(body.price);
    t.numeric(body.qty);
    t.timestamp(body.ts_exchange);
    t.timestamp(row.ts_local);
    t.int2(body.conn_id);
    t.end();
}

fn encode_l2(out: &mut Vec<u8>, run_id: RunId, row: &RawRow, body: &L2Row) {
    let mut t = TupleWriter::start(out, 20);
    t.int8(run_id.0);
    t.int8(row.seq.0);
    t.text(body.symbol.as_str());
    t.opt(body.ts_exchange, TupleWriter::timestamp);
    t.timestamp(row.ts_local);
    for value in [body.bid, body.ask, body.bid_qty, body.ask_qty] {
        t.numeric(value);
    }
    for value in [
        body.spread_bps,
        body.microprice,
        body.microprice_dev_bps,
        body.imbalance_l1,
        body.imbalance_10,
        body.depth_bid_10bps_quote,
        body.depth_ask_10bps_quote,
    ] {
        t.opt(value, TupleWriter::numeric);
    }
    t.int4(body.updates_since_prev);
    t.bool(body.checksum_ok);
    t.int2(body.book_depth);
    t.int2(body.conn_id);
    t.end();
}

fn encode_status(out: &mut Vec<u8>, run_id: RunId, seq: Seq, ts: UtcMicros, body: &StatusRow) {
    let mut t = TupleWriter::start(out, 14);
    t.int8(run_id.0);
    t.int8(seq.0);
    t.uuid(body.lineage_id.0);
    t.timestamp(ts);
    t.int2(body.venue.map_or(-1, |venue| venue.code()));
    t.text(&body.stream);
    t.opt(body.conn_id, TupleWriter::int2);
    t.text(body.kind.as_str());
    t.opt(body.symbol.as_ref(), |t, symbol| t.text(symbol.as_str()));
    t.opt(body.gap_from, TupleWriter::timestamp);
    t.opt(body.gap_to, TupleWriter::timestamp);
    t.opt(body.first_seq, |t, seq| t.int8(seq.0));
    t.opt(body.last_seq, |t, seq| t.int8(seq.0));
    t.jsonb(&body.detail);
    t.end();
}

/// Appends a closed candle as one tuple of the ingest cluster's table, which has no column for
/// completeness: the gaps of the run say the same.
pub fn encode_candle(out: &mut Vec<u8>, run_id: RunId, row: &CandleRow) {
    let mut t = TupleWriter::start(out, 11);
    t.int8(run_id.0);
    t.text(row.symbol.as_str());
    t.timestamp(row.minute);
    for value in
        [row.open, row.high, row.low, row.close, row.base_vol, row.quote_vol, row.buy_base_vol]
    {
        t.numeric(value);
    }
    t.int4(row.trades);
    t.end();
}

/// Appends a generation row as one tuple.
pub fn encode_generation(out: &mut Vec<u8>, row: &GenerationRow) {
    let mut t = TupleWriter::start(out, 14);
    t.int8(row.generation_id.0);
    t.int8(row.run_id.0);
    t.uuid(row.lineage_id.0);
    t.timestamp(row.as_of);
    for value in [
        row.row_count,
        row.changed_rows,
        row.delta_ticker_rows,
        row.delta_trade_rows,
        row.delta_l2_rows,
        row.delta_l3_rows,
    ] {
        t.int4(value);
    }
    t.int8(row.wm_seq.0);
    t.bool(row.raw_complete);
    t.bytea(&row.content_hash);
    t.int4(row.refresh_duration_ms);
    t.end();
}

/// Venue and receipt time of an input tuple, for the gap row of a restart; `None` when the tuple is
/// not of that stream's shape. The process itself is venue −1.
#[must_use]
pub fn venue_and_time(stream: StreamCode, tuple: &[u8]) -> Option<(i16, UtcMicros)> {
    let target = copy_target(stream)?;
    let fields = crate::tuple::split_tuple(tuple).ok()?;
    let column = |name: &str| {
        let index = target.columns.iter().position(|c| *c == name)?;
        fields.get(index).copied().flatten()
    };
    let time = column("ts_local").or_else(|| column("ts"))?;
    let venue = match column("venue") {
        Some(field) => crate::tuple::read_int2(field)?,
        None => 0,
    };
    Some((venue, crate::tuple::read_timestamp(time)?))
}
