//! Raw rows: what the market core numbers, the spool keeps and the raw tables hold.
//!
//! Values are already rounded half-even to their column's scale, so that a row in memory, in the spool,
//! in PostgreSQL and in a replay is the same. Column order is that of the tables.

use crate::{LineageId, Seq, Symbol, UtcMicros, vocab};
use alloc::string::String;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use vocab::{RawStream, Side, StatusKind, Venue};

/// Connection number of rows that were fetched by REST after a gap.
pub const CONN_BACKFILL: i16 = 0;

/// Stream of the status rows of order-by-order books; those of a socket have its number behind it, as in
/// `level3-0`.
pub const STREAM_LEVEL3: &str = "level3";

/// One numbered row of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RawRow {
    /// Number within the run, from 1.
    pub seq: Seq,
    /// When the process received the message behind it (of a conflated row: the last one).
    pub ts_local: UtcMicros,
    /// The stream's own columns.
    pub body: RawBody,
}

impl RawRow {
    /// Stream of the row.
    #[must_use]
    pub const fn stream(&self) -> RawStream {
        match &self.body {
            RawBody::Ticker(_) => RawStream::Ticker,
            RawBody::Trade(_) => RawStream::Trade,
            RawBody::L2(_) => RawStream::L2,
            RawBody::L3(_) => RawStream::L3,
            RawBody::DerivTicker(_) => RawStream::DerivTicker,
            RawBody::Liquidation(_) => RawStream::Liquidation,
            RawBody::Status(_) => RawStream::Status,
        }
    }
}

/// The columns that belong to one stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RawBody {
    /// `ticker_samples`.
    Ticker(TickerRow),
    /// `trade_samples`.
    Trade(TradeRow),
    /// `l2_snap_metrics`.
    L2(L2Row),
    /// `l3_queue_metrics`.
    L3(L3Row),
    /// `deriv_ticker_samples`.
    DerivTicker(DerivTickerRow),
    /// `liquidation_samples`.
    Liquidation(LiquidationRow),
    /// `ingest_stream_events`.
    Status(StatusRow),
}

/// `ticker_samples`: the last ticker message of a symbol in a 250 ms window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TickerRow {
    /// Venue.
    pub venue: Venue,
    /// Symbol.
    pub symbol: Symbol,
    /// Venue time, when sent.
    pub ts_exchange: Option<UtcMicros>,
    /// The message was a snapshot (`kind` 1), else an update (0).
    pub snapshot: bool,
    /// Connection number, from 1.
    pub conn_id: i16,
    /// Best bid price.
    pub bid: Option<Decimal>,
    /// Best ask price.
    pub ask: Option<Decimal>,
    /// Last trade price.
    pub last: Option<Decimal>,
    /// Quantity at the best bid.
    pub bid_qty: Option<Decimal>,
    /// Quantity at the best ask.
    pub ask_qty: Option<Decimal>,
    /// Base volume of 24 h.
    pub volume_24h: Option<Decimal>,
    /// Volume-weighted price of 24 h.
    pub vwap_24h: Option<Decimal>,
    /// Change of 24 h in percentage points, scale 4.
    pub change_pct_24h: Option<Decimal>,
}

/// `trade_samples`: one public trade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TradeRow {
    /// Venue.
    pub venue: Venue,
    /// Symbol.
    pub symbol: Symbol,
    /// Venue's number, contiguous per symbol.
    pub trade_id: i64,
    /// Taker's side.
    pub side: Side,
    /// `f` fill, `l` liquidation, `o` other.
    pub kind: char,
    /// `m` market, `l` limit; known on Kraken spot only.
    pub ord_type: Option<char>,
    /// Price.
    pub price: Decimal,
    /// Base quantity.
    pub qty: Decimal,
    /// Venue time.
    pub ts_exchange: UtcMicros,
    /// Connection number; 0 = fetched by REST after a gap.
    pub conn_id: i16,
}

/// `l2_snap_metrics`: a sample of a maintained book.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct L2Row {
    /// Symbol.
    pub symbol: Symbol,
    /// Venue time of the last update.
    pub ts_exchange: Option<UtcMicros>,
    /// Best bid price.
    pub bid: Decimal,
    /// Best ask price.
    pub ask: Decimal,
    /// Quantity at the best bid.
    pub bid_qty: Decimal,
    /// Quantity at the best ask.
    pub ask_qty: Decimal,
    /// Spread in bps of mid.
    pub spread_bps: Option<Decimal>,
    /// Size-weighted mid.
    pub microprice: Option<Decimal>,
    /// Microprice against mid in bps.
    pub microprice_dev_bps: Option<Decimal>,
    /// (bid − ask)/(bid + ask) of the best quantities.
    pub imbalance_l1: Option<Decimal>,
    /// The same over ten levels.
    pub imbalance_10: Option<Decimal>,
    /// Quote value of the bids within 10 bps of mid.
    pub depth_bid_10bps_quote: Option<Decimal>,
    /// Quote value of the asks within 10 bps of mid.
    pub depth_ask_10bps_quote: Option<Decimal>,
    /// Book messages since the sample before.
    pub updates_since_prev: i32,
    /// The last checksum matched.
    pub checksum_ok: bool,
    /// Subscribed depth.
    pub book_depth: i16,
    /// Connection number.
    pub conn_id: i16,
}

/// `l3_queue_metrics`: a sample of a maintained order-by-order book of Kraken spot.
///
/// Counts are of events since the sample before; ratios and estimates cover the last 60 s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct L3Row {
    /// Symbol.
    pub symbol: Symbol,
    /// Venue time of the last update.
    pub ts_exchange: Option<UtcMicros>,
    /// Best bid price.
    pub bid: Decimal,
    /// Best ask price.
    pub ask: Decimal,
    /// Orders at the best bid.
    pub orders_at_bid: i32,
    /// Orders at the best ask.
    pub orders_at_ask: i32,
    /// Quote value of the orders at the best bid.
    pub queue_bid_quote: Decimal,
    /// Quote value of the orders at the best ask.
    pub queue_ask_quote: Decimal,
    /// Mean age of the orders at the best bid, milliseconds.
    pub avg_age_bid_ms: Option<i32>,
    /// Mean age of the orders at the best ask, milliseconds.
    pub avg_age_ask_ms: Option<i32>,
    /// Orders that came.
    pub adds: i32,
    /// Orders that were taken back.
    pub cancels: i32,
    /// Orders that traded.
    pub fills: i32,
    /// Orders that changed.
    pub modifies: i32,
    /// Quantity added to quantity filled or cancelled, at the best prices, 0 to 10.
    pub refill_ratio: Option<Decimal>,
    /// Quantity cancelled to quantity cancelled or filled, at the best prices.
    pub cancel_ratio: Option<Decimal>,
    /// Estimated time to fill of an order that joins the best bid, milliseconds.
    pub est_fill_bid_ms: Option<i32>,
    /// Estimated time to fill of an order that joins the best ask, milliseconds.
    pub est_fill_ask_ms: Option<i32>,
    /// The last checksum matched.
    pub checksum_ok: bool,
    /// Connection number.
    pub conn_id: i16,
}

/// `deriv_ticker_samples`: mark, index, funding and open interest of a derivative; at least one of mark,
/// funding and open interest is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DerivTickerRow {
    /// Kraken Futures or Binance USD-M.
    pub venue: Venue,
    /// Symbol.
    pub symbol: Symbol,
    /// Venue time, when sent.
    pub ts_exchange: Option<UtcMicros>,
    /// Connection number; 0 = polled by REST.
    pub conn_id: i16,
    /// Mark price.
    pub mark_price: Option<Decimal>,
    /// Index price.
    pub index_price: Option<Decimal>,
    /// Fraction of the notional per `funding_interval_secs`, scale 18.
    pub funding_rate: Option<Decimal>,
    /// Seconds that the rate is for; there exactly when the rate is.
    pub funding_interval_secs: Option<i32>,
    /// When funding is paid next.
    pub next_funding_at: Option<UtcMicros>,
    /// Open interest in units of the base asset.
    pub open_interest: Option<Decimal>,
}

/// `liquidation_samples`: one forced order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiquidationRow {
    /// Kraken Futures or Binance USD-M.
    pub venue: Venue,
    /// Symbol.
    pub symbol: Symbol,
    /// Side of the forced order: a sale ended a long position.
    pub side: Side,
    /// Price.
    pub price: Decimal,
    /// Base quantity.
    pub qty: Decimal,
    /// Number of the trade row of the same message; there exactly on Kraken Futures.
    pub trade_id: Option<i64>,
    /// Venue time.
    pub ts_exchange: UtcMicros,
    /// Connection number.
    pub conn_id: i16,
}

/// `ingest_stream_events`: connects, gaps, resyncs, drops, silences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusRow {
    /// Lineage of the run at that moment.
    pub lineage_id: LineageId,
    /// Venue; `None` is the process itself (−1).
    pub venue: Option<Venue>,
    /// Channel or stream that it is about, for example `book`.
    pub stream: String,
    /// Connection number, when one is meant.
    pub conn_id: Option<i16>,
    /// Kind.
    pub kind: StatusKind,
    /// Symbol, when one is meant.
    pub symbol: Option<Symbol>,
    /// Start of the blind time.
    pub gap_from: Option<UtcMicros>,
    /// End of the blind time.
    pub gap_to: Option<UtcMicros>,
    /// First number of a shed range.
    pub first_seq: Option<Seq>,
    /// Last number of a shed range.
    pub last_seq: Option<Seq>,
    /// Canonical JSON object with what else is known.
    pub detail: String,
}

impl StatusRow {
    /// The row is about order-by-order books only: it says nothing about quotes, L2 books and trades.
    #[must_use]
    pub fn is_level3(&self) -> bool {
        is_level3_stream(&self.stream)
    }
}

/// Whether a stream carries order-by-order books.
#[must_use]
pub fn is_level3_stream(stream: &str) -> bool {
    let rest = stream.strip_prefix(STREAM_LEVEL3);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// `candles_1m`: a closed minute of trades; an output without a number of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandleRow {
    /// Symbol.
    pub symbol: Symbol,
    /// Start of the minute.
    pub minute: UtcMicros,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Base volume.
    pub base_vol: Decimal,
    /// Quote volume.
    pub quote_vol: Decimal,
    /// Base volume of buying takers.
    pub buy_base_vol: Decimal,
    /// Trades.
    pub trades: i32,
    /// The whole minute was seen without an open gap.
    pub complete: bool,
}
