//! Recorded ticks of three tokens as rows of the table of frames.
//!
//! Input: ticks, the fence of a published market. Output: delivered frames with their blocks, inserted by the
//! store's own publisher. Invariants: the frames are those of the tests of the engine's files.

use penstock_store::samples::sample_lineage;
use penstock_store::twins::{LineageRow, RunRow};
use penstock_store_decision::frames::{
    FRAMES_PER_TX_MAX, FramePrerequisites, FramePublisher, FrameRow,
};
use penstock_types::frame::{FrameEvent, decode_header};
use penstock_types::{FencingToken, RunId, TickId};

use super::market::Market;
use super::tape::Tape;

/// Delivers what a tape makes.
pub(crate) struct Recorded {
    tape: Tape,
    run: RunRow,
    token: FencingToken,
    publisher: FramePublisher,
    lineage: LineageRow,
}

impl Recorded {
    pub(crate) fn new(market: &Market, first: u64) -> Self {
        Self {
            tape: Tape::new(market.run.run_id, market.token, first),
            run: market.run.clone(),
            token: market.token,
            publisher: FramePublisher::new(market.pool.clone(), "test".to_owned()),
            lineage: sample_lineage(&market.run),
        }
    }

    /// Tick of the next frame.
    pub(crate) const fn next_tick(&self) -> u64 {
        self.tape.next_tick()
    }

    /// Seals and delivers so many ticks.
    pub(crate) async fn deliver(&mut self, ticks: u64) {
        let rows: Vec<FrameRow> = (0..ticks).map(|_| self.row(|_| ())).collect();
        self.publish(&rows).await;
    }

    /// Ticks that are sealed by nobody.
    pub(crate) fn lose(&mut self, ticks: u64) {
        self.tape.lose(ticks);
    }

    /// Seals and delivers one tick whose events were changed.
    pub(crate) async fn deliver_changed(&mut self, change: impl Fn(&mut Vec<FrameEvent>)) {
        let rows = vec![self.row(change)];
        self.publish(&rows).await;
    }

    /// The run goes on as another one.
    pub(crate) fn roll(&mut self, run_id: RunId) {
        (self.tape.run_id, self.run.run_id) = (run_id, run_id);
    }

    /// Tokens that the run's row names.
    pub(crate) fn rebind(&mut self, bindings: &penstock_config::bindings::Bindings) {
        self.run.bindings_hash = hex::encode(bindings.hash());
        self.run.bindings = std::sync::Arc::new(bindings.to_json());
    }

    /// The row of the next tick, whose events may be changed.
    fn row(&mut self, change: impl Fn(&mut Vec<FrameEvent>)) -> FrameRow {
        let ((tick, frame, quotes), link) = self.tape.frame(change);
        let header = decode_header(&frame).unwrap();
        FrameRow {
            tick_id: TickId::from_unsigned(tick),
            frame_seq: link.frame_seq,
            run_id: self.run.run_id,
            fencing_token: self.token,
            epoch_id: None,
            flags: i32::from(header.flags.0),
            n_events: i32::try_from(header.n_events).unwrap(),
            frame_sha256: link.sha256,
            frame,
            quotes,
            seal_lag_ms: 3,
        }
    }

    async fn publish(&mut self, rows: &[FrameRow]) {
        for rows in rows.chunks(FRAMES_PER_TX_MAX) {
            let run = Some((&self.run, &self.lineage));
            let before = FramePrerequisites { run, run_symbols: &[] };
            self.publisher.publish(self.token, before, rows).await.unwrap();
        }
    }
}
