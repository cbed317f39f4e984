//! `run_symbol_state`: one row per tracked symbol, the sole market input of decisions.
//!
//! The struct, the list of columns, the values in column order and the canonical text behind
//! `content_hash` come from one table, so that writer, reader and hash cannot disagree.

use crate::{Decimal, GenerationId, RunId, Symbol, UtcMicros, decimal::scale, vocab};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use vocab::{Regime, RegimeSub};

pub use hash::{ContentHasher, canonical_text, content_hash};
pub use read::{ColumnError, ColumnReader, FromColumn};

/// Type of a column, as PostgreSQL names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `bigint`.
    Bigint,
    /// `integer`.
    Integer,
    /// `text`.
    Text,
    /// `timestamptz`.
    Timestamp,
    /// `numeric` of this scale.
    Numeric(u32),
    /// `boolean`.
    Boolean,
    /// `text[]`.
    TextArray,
}

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: ColumnType,
}

/// A value in column order, borrowed from the row.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValue<'a> {
    /// `bigint`.
    Bigint(i64),
    /// `integer`.
    Integer(Option<i32>),
    /// `text`.
    Text(Option<&'a str>),
    /// `timestamptz`.
    Timestamp(Option<UtcMicros>),
    /// `numeric`, already at the scale of its column.
    Numeric(Option<Decimal>),
    /// `boolean`.
    Boolean(bool),
    /// `text[]`.
    TextArray(&'a [String]),
}

macro_rules! kind {
    (Bigint) => {
        ColumnType::Bigint
    };
    (Integer) => {
        ColumnType::Integer
    };
    (Text) => {
        ColumnType::Text
    };
    (Timestamp) => {
        ColumnType::Timestamp
    };
    (PX) => {
        ColumnType::Numeric(scale::PX)
    };
    (QTY) => {
        ColumnType::Numeric(scale::QTY)
    };
    (AMT) => {
        ColumnType::Numeric(scale::AMT)
    };
    (BPS) => {
        ColumnType::Numeric(scale::BPS)
    };
    (RATIO) => {
        ColumnType::Numeric(scale::RATIO)
    };
    (Boolean) => {
        ColumnType::Boolean
    };
    (TextArray) => {
        ColumnType::TextArray
    };
}

macro_rules! state_columns {
    ($($(#[$doc:meta])* $field:ident: $type:ty => $kind:ident, |$v:ident| $value:expr;)+) => {
        /// One row of `run_symbol_state`, fields in column order.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct StateRow { $($(#[$doc])* pub $field: $type,)+ }

        /// The columns, in order.
        pub const COLUMNS: &[Column] = &[$(Column { name: stringify!($field), kind: kind!($kind) }),+];

        impl StateRow {
            /// A row of which only the symbol is known: no time, no figure, `LOW_LIQUIDITY`.
            #[must_use]
            pub fn absent(symbol: &Symbol) -> Self {
                Self { $($field: <$type as Absent>::absent(symbol),)+ }
            }

            /// Calls `f` with each value in column order.
            pub fn for_each_value<'a>(&'a self, mut f: impl FnMut(&'static Column, ColumnValue<'a>)) {
                let mut columns = COLUMNS.iter();
                $(
                    let $v = &self.$field;
                    if let Some(column) = columns.next() {
                        f(column, $value);
                    }
                )+
            }

            /// Appends every field but the generation, each with its end.
            fn push_fields(&self, out: &mut Vec<u8>) {
                $(
                    let $v = &self.$field;
                    hash::push_field(out, stringify!($field), kind!($kind), &$value);
                )+
            }

            fn first_difference(&self, other: &Self) -> Option<&'static str> {
                $(
                    if stringify!($field) != "generation_id" && self.$field != other.$field {
                        return Some(stringify!($field));
                    }
                )+
                None
            }

            /// Reads a row whose columns stand in the order of [`COLUMNS`].
            ///
            /// # Errors
            /// The source's, or a [`ColumnError`] for a column that does not hold what it must.
            pub fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error> {
                Ok(Self { $($field: FromColumn::read(reader)?,)+ })
            }
        }
    };
}

/// The value of a column of which nothing is known.
trait Absent {
    fn absent(symbol: &Symbol) -> Self;
}

macro_rules! absent_by_default {
    ($($type:ty),+ $(,)?) => {
        $(impl Absent for $type {
            fn absent(_: &Symbol) -> Self {
                Self::default()
            }
        })+
    };
}

absent_by_default!(RunId, GenerationId, UtcMicros, i32, i64, bool, Decimal, Vec<String>);

impl<T> Absent for Option<T> {
    fn absent(_: &Symbol) -> Self {
        None
    }
}

impl Absent for Symbol {
    fn absent(symbol: &Symbol) -> Self {
        symbol.clone()
    }
}

impl Absent for Regime {
    fn absent(_: &Symbol) -> Self {
        Self::LowLiquidity
    }
}

state_columns! {
    /// Run.
    run_id: RunId => Bigint, |v| ColumnValue::Bigint(v.0);
    /// Symbol.
    symbol: Symbol => Text, |v| ColumnValue::Text(Some(v.as_str()));
    /// Generation.
    generation_id: GenerationId => Bigint, |v| ColumnValue::Bigint(v.0);
    /// `as_of` of the last change of any other column but `generation_id` and `msg_age_ms`.
    updated_at: UtcMicros => Timestamp, |v| ColumnValue::Timestamp(Some(*v));
    /// Age of the newest ticker, trade or L2 message at the cut.
    msg_age_ms: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// Newest ticker row.
    last_ticker_at: Option<UtcMicros> => Timestamp, |v| ColumnValue::Timestamp(*v);
    /// Newest trade row.
    last_trade_at: Option<UtcMicros> => Timestamp, |v| ColumnValue::Timestamp(*v);
    /// Newest L2 sample.
    last_l2_at: Option<UtcMicros> => Timestamp, |v| ColumnValue::Timestamp(*v);
    /// Newest L3 sample.
    last_l3_at: Option<UtcMicros> => Timestamp, |v| ColumnValue::Timestamp(*v);
    /// Ticker rows of the run.
    ticker_count: i64 => Bigint, |v| ColumnValue::Bigint(*v);
    /// Trade rows of the run.
    trade_count: i64 => Bigint, |v| ColumnValue::Bigint(*v);
    /// L2 samples of the run.
    l2_count: i64 => Bigint, |v| ColumnValue::Bigint(*v);
    /// L3 samples of the run.
    l3_count: i64 => Bigint, |v| ColumnValue::Bigint(*v);
    /// Ticker rows of the epoch window.
    ticker_count_w: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// Trade rows of the epoch window.
    trade_count_w: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// L2 samples of the epoch window.
    l2_count_w: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// L3 samples of the epoch window.
    l3_count_w: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// Best bid.
    bid: Option<Decimal> => PX, |v| ColumnValue::Numeric(*v);
    /// Best ask.
    ask: Option<Decimal> => PX, |v| ColumnValue::Numeric(*v);
    /// Mid.
    mid: Option<Decimal> => PX, |v| ColumnValue::Numeric(*v);
    /// Last trade.
    last: Option<Decimal> => PX, |v| ColumnValue::Numeric(*v);
    /// Quantity at the best bid.
    bid_qty: Option<Decimal> => QTY, |v| ColumnValue::Numeric(*v);
    /// Quantity at the best ask.
    ask_qty: Option<Decimal> => QTY, |v| ColumnValue::Numeric(*v);
    /// Spread now.
    spread_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Time-weighted spread over 300 s.
    spread_avg_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Its standard deviation.
    spread_std_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Its 90th percentile.
    spread_p90_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Microprice against mid.
    microprice_dev_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Imbalance of the best quantities.
    imbalance_l1: Option<Decimal> => RATIO, |v| ColumnValue::Numeric(*v);
    /// Imbalance of ten levels.
    imbalance_10: Option<Decimal> => RATIO, |v| ColumnValue::Numeric(*v);
    /// Bids within 10 bps.
    depth_bid_10bps_quote: Option<Decimal> => AMT, |v| ColumnValue::Numeric(*v);
    /// Asks within 10 bps.
    depth_ask_10bps_quote: Option<Decimal> => AMT, |v| ColumnValue::Numeric(*v);
    /// Trades of 60 s.
    trades_1m: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// Trades of 300 s.
    trades_5m: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// Quote bought by takers in 60 s.
    buy_quote_1m: Option<Decimal> => AMT, |v| ColumnValue::Numeric(*v);
    /// Quote sold by takers in 60 s.
    sell_quote_1m: Option<Decimal> => AMT, |v| ColumnValue::Numeric(*v);
    /// (buy − sell)/(buy + sell) of 60 s.
    ofi_1m: Option<Decimal> => RATIO, |v| ColumnValue::Numeric(*v);
    /// Volume-weighted price of 300 s.
    vwap_5m: Option<Decimal> => PX, |v| ColumnValue::Numeric(*v);
    /// Mid against it.
    vwap_dev_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Realised volatility of 1 minute, bps per √minute.
    rv_1m_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Of 5 minutes.
    rv_5m_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Of 15 minutes.
    rv_15m_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Of 30 minutes.
    rv_30m_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Mean true range of 15-minute bars.
    atr_15m_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Signed log return of 1 minute.
    drift_1m_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Of 5 minutes.
    drift_5m_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// Of 15 minutes.
    drift_15m_bps: Option<Decimal> => BPS, |v| ColumnValue::Numeric(*v);
    /// |drift_15m| / max(rv_15m·√minutes, 1), 0 to 3.
    trend_strength: Option<Decimal> => RATIO, |v| ColumnValue::Numeric(*v);
    /// rv_5m / max(rv_30m, 1).
    vol_expansion: Option<Decimal> => RATIO, |v| ColumnValue::Numeric(*v);
    /// Queue at the best bid.
    l3_queue_ahead_bid_quote: Option<Decimal> => AMT, |v| ColumnValue::Numeric(*v);
    /// Queue at the best ask.
    l3_queue_ahead_ask_quote: Option<Decimal> => AMT, |v| ColumnValue::Numeric(*v);
    /// Orders at the best bid.
    l3_orders_at_bid: Option<i32> => Integer, |v| ColumnValue::Integer(*v);
    /// Orders at the best ask.
    l3_orders_at_ask: Option<i32> => Integer, |v| ColumnValue::Integer(*v);
    /// Estimated time to a fill at the bid.
    l3_est_fill_bid_ms: Option<i32> => Integer, |v| ColumnValue::Integer(*v);
    /// At the ask.
    l3_est_fill_ask_ms: Option<i32> => Integer, |v| ColumnValue::Integer(*v);
    /// Refill ratio.
    l3_refill_ratio: Option<Decimal> => RATIO, |v| ColumnValue::Numeric(*v);
    /// Cancel ratio.
    l3_cancel_ratio: Option<Decimal> => RATIO, |v| ColumnValue::Numeric(*v);
    /// Mean age of resting orders.
    l3_avg_age_ms: Option<i32> => Integer, |v| ColumnValue::Integer(*v);
    /// 0 without L3.
    l3_quality: Decimal => RATIO, |v| ColumnValue::Numeric(Some(*v));
    /// Samples behind the estimated fill.
    l3_n_efit: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// Samples behind the refill ratio.
    l3_n_refill: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// Samples behind the cancel ratio.
    l3_n_cancel: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// Samples behind the queue time.
    l3_n_qt: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// The book is live and its last checksum matched.
    book_ok: bool => Boolean, |v| ColumnValue::Boolean(*v);
    /// Checksum failures of the epoch window.
    checksum_fail_w: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// L3 resyncs of the epoch window.
    l3_resync_w: i32 => Integer, |v| ColumnValue::Integer(Some(*v));
    /// Regime.
    regime: Regime => Text, |v| ColumnValue::Text(Some(v.as_str()));
    /// Refinement of CHAOS.
    regime_sub: Option<RegimeSub> => Text, |v| ColumnValue::Text(v.map(RegimeSub::as_str));
    /// When the regime was adopted.
    regime_since: UtcMicros => Timestamp, |v| ColumnValue::Timestamp(Some(*v));
    /// The regime before.
    regime_prev: Option<Regime> => Text, |v| ColumnValue::Text(v.map(Regime::as_str));
    /// 0.3 to 1.
    regime_confidence: Decimal => RATIO, |v| ColumnValue::Numeric(Some(*v));
    /// What decisions need is there.
    feature_complete: bool => Boolean, |v| ColumnValue::Boolean(*v);
    /// What is not.
    missing_features: Vec<String> => TextArray, |v| ColumnValue::TextArray(v);
}

/// Name of the first column in which two rows differ, `generation_id` left out.
#[must_use]
pub fn first_difference(a: &StateRow, b: &StateRow) -> Option<&'static str> {
    a.first_difference(b)
}

mod hash;
mod read;
#[cfg(test)]
mod tests;
