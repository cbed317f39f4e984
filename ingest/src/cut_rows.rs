//! A cut as the ingest cluster has it: the row of `state_generations` and its watermarks.
//!
//! Inputs: a cut, what the row says beside it. Outputs: rows. Shared with whoever measures the publication.

use penstock_market::StateCut;
use penstock_store::raw_rows::GenerationRow;
use penstock_store_ingest::generations::Watermark;

/// The row of `state_generations`.
#[must_use]
pub fn generation_row(
    cut: &StateCut,
    refresh_duration_ms: i32,
    raw_complete: bool,
) -> GenerationRow {
    GenerationRow {
        generation_id: cut.generation_id,
        run_id: cut.run_id,
        lineage_id: cut.lineage_id,
        as_of: cut.as_of,
        row_count: row_count(cut),
        changed_rows: cut.changed,
        delta_ticker_rows: cut.deltas.ticker,
        delta_trade_rows: cut.deltas.trade,
        delta_l2_rows: cut.deltas.l2,
        delta_l3_rows: cut.deltas.l3,
        wm_seq: cut.wm_seq,
        raw_complete,
        content_hash: cut.content_hash,
        refresh_duration_ms,
    }
}

/// Rows of a cut as the column has them.
#[must_use]
pub fn row_count(cut: &StateCut) -> i32 {
    i32::try_from(cut.rows.len()).unwrap_or(i32::MAX)
}

/// How far each stream had come at the cut.
#[must_use]
pub fn watermarks(cut: &StateCut) -> Vec<Watermark> {
    let of = cut.watermarks.iter();
    of.map(|(stream, mark)| Watermark {
        stream: *stream,
        last_seq: mark.last_seq,
        last_ts_local: Some(mark.last_ts_local),
    })
    .collect()
}
