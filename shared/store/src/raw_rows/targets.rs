//! The closed list of tables and columns that the spool's tuples go into.
//!
//! The list of columns belongs to the row version in a record's header: a new column is a new row
//! version. A test compares every list with the catalogue.

use crate::spool::StreamCode;

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
        stream: StreamCode::L3,
        table: "l3_queue_metrics",
        columns: &[
            "run_id",
            "seq",
            "symbol",
            "ts_exchange",
            "ts_local",
            "bid",
            "ask",
            "orders_at_bid",
            "orders_at_ask",
            "queue_bid_quote",
            "queue_ask_quote",
            "avg_age_bid_ms",
            "avg_age_ask_ms",
            "adds",
            "cancels",
            "fills",
            "modifies",
            "refill_ratio",
            "cancel_ratio",
            "est_fill_bid_ms",
            "est_fill_ask_ms",
            "checksum_ok",
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
        stream: StreamCode::DerivTicker,
        table: "deriv_ticker_samples",
        columns: &[
            "run_id",
            "seq",
            "venue",
            "symbol",
            "ts_exchange",
            "ts_local",
            "conn_id",
            "mark_price",
            "index_price",
            "funding_rate",
            "funding_interval_secs",
            "next_funding_at",
            "open_interest",
        ],
        key: "(run_id, seq)",
    },
    CopyTarget {
        stream: StreamCode::Liquidation,
        table: "liquidation_samples",
        columns: &[
            "run_id",
            "seq",
            "venue",
            "symbol",
            "side",
            "price",
            "qty",
            "trade_id",
            "ts_exchange",
            "ts_local",
            "conn_id",
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
