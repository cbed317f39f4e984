//! Raw rows as copy tuples, and the closed list of tables and columns that they go into.
//!
//! Input: a row of the market core with its run. Output: the bytes that the spool keeps and the
//! loader concatenates. The list of columns belongs to the row version in the spool's header: a new
//! column is a new row version. A test compares every list with the catalogue.

mod encode;
mod targets;

use penstock_types::vocab::RawStream;
use penstock_types::{GenerationId, LineageId, RunId, Seq, UtcMicros};

use crate::spool::StreamCode;

pub use encode::{encode_candle, encode_generation, encode_raw};
pub use targets::{COPY_TARGETS, CopyTarget, copy_statement, copy_target};

/// Version of every row layout in this file; written into each record.
pub const ROW_VERSION: u16 = 1;

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
