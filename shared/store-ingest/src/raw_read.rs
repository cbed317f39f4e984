//! Raw rows read back in the order in which the market core processed them: all streams of a run,
//! merged by their number. For verification and replay, never for decisions.

use chrono::{DateTime, Utc};
use penstock_store::StoreError;
use penstock_types::raw::{
    DerivTickerRow, L2Row, L3Row, LiquidationRow, RawBody, RawRow, StatusRow, TickerRow, TradeRow,
};
use penstock_types::vocab::{Side, StatusKind, Venue};
use penstock_types::{LineageId, RunId, Seq, Symbol, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;

/// Numbers per window: about one second of a busy domain, and a few MB of rows.
pub const WINDOW_SEQS: i64 = 20_000;

/// Why rows cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A column holds a word that this version does not know.
    #[error(
        "run {run_id}, seq {seq}: column {column} holds {value:?}, which this version does not know; next: verify with the version that wrote the run"
    )]
    Unknown {
        /// Run.
        run_id: RunId,
        /// Number.
        seq: i64,
        /// Column.
        column: &'static str,
        /// Its text.
        value: String,
    },
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads a run window by window.
#[derive(Debug)]
pub struct RawReader {
    pool: PgPool,
    run_id: RunId,
    next: i64,
    last: i64,
}

impl RawReader {
    /// A reader of the numbers above `after` up to `last`.
    #[must_use]
    pub const fn new(pool: PgPool, run_id: RunId, after: Seq, last: Seq) -> Self {
        Self { pool, run_id, next: after.0, last: last.0 }
    }

    /// The rows of the next window, ascending; `None` at the end. A window may be empty when all of
    /// it was shed.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn next_window(&mut self) -> Result<Option<Vec<RawRow>>, ReadError> {
        if self.next >= self.last {
            return Ok(None);
        }
        let to = self.last.min(self.next + WINDOW_SEQS);
        let window = Window { pool: &self.pool, run_id: self.run_id, from: self.next, to };
        let mut rows = window.ticker().await?;
        rows.extend(window.trades().await?);
        rows.extend(window.l2().await?);
        rows.extend(window.l3().await?);
        rows.extend(window.deriv_ticker().await?);
        rows.extend(window.liquidations().await?);
        rows.extend(window.status().await?);
        rows.sort_by_key(|row| row.seq);
        self.next = to;
        Ok(Some(rows))
    }
}

/// Turns words back into types, naming the place when one is unknown.
struct Words {
    run_id: RunId,
    seq: i64,
}

impl Words {
    fn unknown(&self, column: &'static str, value: &str) -> ReadError {
        ReadError::Unknown { run_id: self.run_id, seq: self.seq, column, value: value.to_owned() }
    }

    /// The row of this number.
    fn row(&self, ts_local: DateTime<Utc>, body: RawBody) -> RawRow {
        RawRow { seq: Seq(self.seq), ts_local: ts_local.into(), body }
    }

    fn venue(&self, code: i16) -> Result<Venue, ReadError> {
        Venue::from_code(code).ok_or_else(|| self.unknown("venue", &code.to_string()))
    }

    fn symbol(&self, text: &str) -> Result<Symbol, ReadError> {
        Symbol::new(text).map_err(|_| self.unknown("symbol", text))
    }

    fn letter(&self, column: &'static str, text: &str) -> Result<char, ReadError> {
        text.chars().next().ok_or_else(|| self.unknown(column, text))
    }

    fn side(&self, text: &str) -> Result<Side, ReadError> {
        match text {
            "b" => Ok(Side::Buy),
            "s" => Ok(Side::Sell),
            other => Err(self.unknown("side", other)),
        }
    }
}

/// The numbers above `from` up to `to` of a run.
struct Window<'a> {
    pool: &'a PgPool,
    run_id: RunId,
    from: i64,
    to: i64,
}

impl Window<'_> {
    const fn words(&self, seq: i64) -> Words {
        Words { run_id: self.run_id, seq }
    }

    /// Turns what a query found into rows.
    async fn rows<R>(
        &self,
        action: &'static str,
        found: impl Future<Output = Result<Vec<R>, sqlx::Error>>,
        row: impl Fn(R) -> Result<RawRow, ReadError>,
    ) -> Result<Vec<RawRow>, ReadError> {
        let found = found.await.map_err(|e| StoreError::sql(action, CLUSTER, e))?;
        found.into_iter().map(row).collect()
    }

    async fn ticker(&self) -> Result<Vec<RawRow>, ReadError> {
        let rows = sqlx::query!(
        "select seq, venue, symbol, ts_exchange, ts_local, kind, conn_id, bid, ask, last, bid_qty,
             ask_qty, volume_24h, vwap_24h, change_pct_24h
         from ticker_samples where run_id = $1 and seq > $2 and seq <= $3",
            self.run_id.0,
            self.from,
            self.to,
        )
        .fetch_all(self.pool);
        self.rows("read ticker rows", rows, |r| {
            let words = self.words(r.seq);
            let body = TickerRow {
                venue: words.venue(r.venue)?,
                symbol: words.symbol(&r.symbol)?,
                ts_exchange: r.ts_exchange.map(Into::into),
                snapshot: r.kind == 1,
                conn_id: r.conn_id,
                bid: r.bid,
                ask: r.ask,
                last: r.last,
                bid_qty: r.bid_qty,
                ask_qty: r.ask_qty,
                volume_24h: r.volume_24h,
                vwap_24h: r.vwap_24h,
                change_pct_24h: r.change_pct_24h,
            };
            Ok(words.row(r.ts_local, RawBody::Ticker(body)))
        })
        .await
    }

    async fn trades(&self) -> Result<Vec<RawRow>, ReadError> {
        let rows = sqlx::query!(
            r#"select seq, venue, symbol, trade_id, side::text as "side!", kind::text as "kind!",
               ord_type::text as ord_type, price, qty, ts_exchange, ts_local, conn_id
           from trade_samples where run_id = $1 and seq > $2 and seq <= $3"#,
            self.run_id.0,
            self.from,
            self.to,
        )
        .fetch_all(self.pool);
        self.rows("read trade rows", rows, |r| {
            let words = self.words(r.seq);
            let ord_type = match &r.ord_type {
                Some(text) => Some(words.letter("ord_type", text)?),
                None => None,
            };
            let body = TradeRow {
                venue: words.venue(r.venue)?,
                symbol: words.symbol(&r.symbol)?,
                trade_id: r.trade_id,
                side: words.side(&r.side)?,
                kind: words.letter("kind", &r.kind)?,
                ord_type,
                price: r.price,
                qty: r.qty,
                ts_exchange: r.ts_exchange.into(),
                conn_id: r.conn_id,
            };
            Ok(words.row(r.ts_local, RawBody::Trade(body)))
        })
        .await
    }

    async fn l2(&self) -> Result<Vec<RawRow>, ReadError> {
        let rows = sqlx::query!(
            "select seq, symbol, ts_exchange, ts_local, bid, ask, bid_qty, ask_qty, spread_bps,
             microprice, microprice_dev_bps, imbalance_l1, imbalance_10, depth_bid_10bps_quote,
             depth_ask_10bps_quote, updates_since_prev, checksum_ok, book_depth, conn_id
         from l2_snap_metrics where run_id = $1 and seq > $2 and seq <= $3",
            self.run_id.0,
            self.from,
            self.to,
        )
        .fetch_all(self.pool);
        self.rows("read L2 rows", rows, |r| {
            let words = self.words(r.seq);
            let body = L2Row {
                symbol: words.symbol(&r.symbol)?,
                ts_exchange: r.ts_exchange.map(Into::into),
                bid: r.bid,
                ask: r.ask,
                bid_qty: r.bid_qty,
                ask_qty: r.ask_qty,
                spread_bps: r.spread_bps,
                microprice: r.microprice,
                microprice_dev_bps: r.microprice_dev_bps,
                imbalance_l1: r.imbalance_l1,
                imbalance_10: r.imbalance_10,
                depth_bid_10bps_quote: r.depth_bid_10bps_quote,
                depth_ask_10bps_quote: r.depth_ask_10bps_quote,
                updates_since_prev: r.updates_since_prev,
                checksum_ok: r.checksum_ok,
                book_depth: r.book_depth,
                conn_id: r.conn_id,
            };
            Ok(words.row(r.ts_local, RawBody::L2(body)))
        })
        .await
    }

    async fn l3(&self) -> Result<Vec<RawRow>, ReadError> {
        let rows = sqlx::query!(
            "select seq, symbol, ts_exchange, ts_local, bid, ask, orders_at_bid, orders_at_ask,
             queue_bid_quote, queue_ask_quote, avg_age_bid_ms, avg_age_ask_ms, adds, cancels, fills,
             modifies, refill_ratio, cancel_ratio, est_fill_bid_ms, est_fill_ask_ms, checksum_ok,
             conn_id
         from l3_queue_metrics where run_id = $1 and seq > $2 and seq <= $3",
            self.run_id.0,
            self.from,
            self.to,
        )
        .fetch_all(self.pool);
        self.rows("read L3 rows", rows, |r| {
            let words = self.words(r.seq);
            let body = L3Row {
                symbol: words.symbol(&r.symbol)?,
                ts_exchange: r.ts_exchange.map(Into::into),
                bid: r.bid,
                ask: r.ask,
                orders_at_bid: r.orders_at_bid,
                orders_at_ask: r.orders_at_ask,
                queue_bid_quote: r.queue_bid_quote,
                queue_ask_quote: r.queue_ask_quote,
                avg_age_bid_ms: r.avg_age_bid_ms,
                avg_age_ask_ms: r.avg_age_ask_ms,
                adds: r.adds,
                cancels: r.cancels,
                fills: r.fills,
                modifies: r.modifies,
                refill_ratio: r.refill_ratio,
                cancel_ratio: r.cancel_ratio,
                est_fill_bid_ms: r.est_fill_bid_ms,
                est_fill_ask_ms: r.est_fill_ask_ms,
                checksum_ok: r.checksum_ok,
                conn_id: r.conn_id,
            };
            Ok(words.row(r.ts_local, RawBody::L3(body)))
        })
        .await
    }

    async fn deriv_ticker(&self) -> Result<Vec<RawRow>, ReadError> {
        let rows = sqlx::query!(
            "select seq, venue, symbol, ts_exchange, ts_local, conn_id, mark_price, index_price,
             funding_rate, funding_interval_secs, next_funding_at, open_interest
         from deriv_ticker_samples where run_id = $1 and seq > $2 and seq <= $3",
            self.run_id.0,
            self.from,
            self.to,
        )
        .fetch_all(self.pool);
        self.rows("read derivative rows", rows, |r| {
            let words = self.words(r.seq);
            let body = DerivTickerRow {
                venue: words.venue(r.venue)?,
                symbol: words.symbol(&r.symbol)?,
                ts_exchange: r.ts_exchange.map(Into::into),
                conn_id: r.conn_id,
                mark_price: r.mark_price,
                index_price: r.index_price,
                funding_rate: r.funding_rate,
                funding_interval_secs: r.funding_interval_secs,
                next_funding_at: r.next_funding_at.map(Into::into),
                open_interest: r.open_interest,
            };
            Ok(words.row(r.ts_local, RawBody::DerivTicker(body)))
        })
        .await
    }

    async fn liquidations(&self) -> Result<Vec<RawRow>, ReadError> {
        let rows = sqlx::query!(
        r#"select seq, venue, symbol, side::text as "side!", price, qty, trade_id, ts_exchange, ts_local,
               conn_id
           from liquidation_samples where run_id = $1 and seq > $2 and seq <= $3"#,
            self.run_id.0,
            self.from,
            self.to,
        )
        .fetch_all(self.pool);
        self.rows("read liquidation rows", rows, |r| {
            let words = self.words(r.seq);
            let body = LiquidationRow {
                venue: words.venue(r.venue)?,
                symbol: words.symbol(&r.symbol)?,
                side: words.side(&r.side)?,
                price: r.price,
                qty: r.qty,
                trade_id: r.trade_id,
                ts_exchange: r.ts_exchange.into(),
                conn_id: r.conn_id,
            };
            Ok(words.row(r.ts_local, RawBody::Liquidation(body)))
        })
        .await
    }

    async fn status(&self) -> Result<Vec<RawRow>, ReadError> {
        // Rows that the closing of a run added explain losses; they were never an input.
        let rows = sqlx::query!(
            "select seq, lineage_id, ts, venue, stream, conn_id, kind, symbol, gap_from, gap_to,
             first_seq, last_seq, detail
         from ingest_stream_events
         where run_id = $1 and seq > $2 and seq <= $3 and stream <> 'unknown'",
            self.run_id.0,
            self.from,
            self.to,
        )
        .fetch_all(self.pool);
        self.rows("read status rows", rows, |r| {
            let words = self.words(r.seq);
            let venue = if r.venue < 0 { None } else { Some(words.venue(r.venue)?) };
            let symbol = match &r.symbol {
                Some(text) => Some(words.symbol(text)?),
                None => None,
            };
            let kind = StatusKind::parse(&r.kind).map_err(|_| words.unknown("kind", &r.kind))?;
            let body = StatusRow {
                lineage_id: LineageId(r.lineage_id),
                venue,
                stream: r.stream,
                conn_id: r.conn_id,
                kind,
                symbol,
                gap_from: r.gap_from.map(UtcMicros::from),
                gap_to: r.gap_to.map(UtcMicros::from),
                first_seq: r.first_seq.map(Seq),
                last_seq: r.last_seq.map(Seq),
                detail: r.detail.to_string(),
            };
            Ok(words.row(r.ts, RawBody::Status(body)))
        })
        .await
    }
}
