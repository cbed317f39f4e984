//! `penstock verify run --run R`: every number has a row, or a gap row that says why not.
//!
//! Input: the ingest cluster and a run. Output: the first unexplained hole. A run whose partitions are
//! dropped, or that is not loaded to its end, is `Incomplete` beyond what was looked at.

use std::ops::ControlFlow;

use penstock_store_ingest::verify_read::first_unexplained_hole;
use penstock_types::RunId;
use serde_json::{Value, json};

use super::report::{Report, Verdict};
use super::{Clusters, Of};
use crate::progress::Progress;

pub(super) async fn run(of: Of, clusters: &Clusters) -> anyhow::Result<i32> {
    let run_id = RunId(of.run);
    let (pool, cursor) = match of.opened(clusters).await? {
        ControlFlow::Continue(opened) => opened,
        ControlFlow::Break(status) => return Ok(status),
    };
    let hole = {
        let _progress = Progress::start("reading the numbers of the run");
        first_unexplained_hole(&pool, run_id).await?
    };
    let holes = hole.map_or(0, |h| h.holes);
    let is_open = u64::from(!cursor.complete);
    let first = hole.map_or(
        Value::Null,
        |h| json!({ "first_missing": h.first_missing.0, "last_missing": h.last_missing.0 }),
    );
    let report = Report::new(Verdict::of(is_open, u64::try_from(holes).unwrap_or(0)))
        .line("run_id", run_id.0)
        .line("loaded_to_seq", cursor.last_seq.0)
        .line("loaded_to_its_end", cursor.complete)
        .line("rows_loaded", cursor.rows_loaded)
        .line("rows_quarantined", cursor.rows_quarantined)
        .line("unexplained_holes", holes)
        .line("first_hole", first);
    Ok(report.print(of.output))
}
