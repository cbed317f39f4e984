//! Where the core's rows go: a queue that never blocks it.

use penstock_store::raw_rows::GenerationRow;
use penstock_store::spool::DropRange;
use penstock_types::raw::{CandleRow, RawRow};
use penstock_types::{RunId, Seq, UtcMicros};

/// Takes what the core numbered. Implementations copy and return; waiting is somebody else's.
pub(crate) trait RawSink: Send {
    /// A numbered row.
    fn row(&mut self, run_id: RunId, row: &RawRow);
    /// A closed candle, an output behind `seq`.
    fn candle(&mut self, run_id: RunId, seq: Seq, row: &CandleRow);
    /// A generation that the ingest cluster did not take itself, an output behind `seq`.
    fn generation(&mut self, seq: Seq, row: &GenerationRow);
    /// Everything from here on belongs to another run; drops were taken before.
    fn begin_run(&mut self, run_id: RunId);
    /// Asks for a sync, at every cut.
    fn sync(&mut self);
    /// Ranges of shed rows that are due as gap rows.
    fn drops(&mut self, now: UtcMicros) -> Vec<DropRange>;
    /// All of them, at the end of a run.
    fn last_drops(&mut self) -> Vec<DropRange>;
    /// Nothing of the run was shed.
    fn is_complete(&self) -> bool;
}
