//! Going over to another run inside the core's thread, behind a cut that is also the end of a tick.
//!
//! Order: everything of the old run is handed out, the rows of what was shed included → the spool begins
//! a segment of the new run → the frames task learns of it → the core begins to number anew, windows and
//! quotes go on. Everything before is recorded under the old run, everything after it under the new one.

use super::feed_input::Market;
use super::run::{CoreThread, FrameItem, send_frame_item};
use super::sink::RawSink;
use crate::publish::publisher::RunContext;
use penstock_market::CoreError;
use penstock_market::checkpoint::Checkpoint;
use penstock_store::spool::frame_records::RunRecord;
use penstock_types::UtcMicros;
use tokio::sync::oneshot;

/// A run that waits for the next cut.
#[derive(Debug)]
pub(crate) struct Rollover {
    /// Run and lineage; their rows stand on the ingest cluster.
    pub of: RunRecord,
    /// Where publishers look a run up.
    pub context: RunContext,
    /// Memory for the state with which the run begins.
    pub spare: Option<Box<Checkpoint>>,
    /// Takes that state.
    pub begun: oneshot::Sender<(Box<Checkpoint>, UtcMicros)>,
}

impl<S: RawSink + 'static> CoreThread<S> {
    /// Goes on to the next cut that is due at `until`, and over to the run that waits for it.
    pub(super) fn roll_at_cut(&mut self, until: UtcMicros) -> Result<(), CoreError> {
        if self.rollover.is_none() {
            return Ok(());
        }
        let Market { core, books, out, .. } = &mut self.market;
        if !core.advance_to_cut(until, books, out)? {
            return Ok(());
        }
        self.deliver()?;
        let drops = self.ports.sink.last_drops();
        self.record_drops(&drops);
        self.deliver()?;
        let Some(Rollover { of, context, spare, begun }) = self.rollover.take() else {
            return Ok(());
        };
        let run_id = of.run.run_id;
        context.begin_run(of.run.clone());
        self.ports.sink.begin_run(run_id);
        send_frame_item(&self.ports.frames, FrameItem::Run(Box::new(of)));
        let Market { core, out, .. } = &mut self.market;
        let fold = core.begin_run(run_id, spare, out);
        let as_of = core.next_tick().start();
        // Who asked ends only with the process.
        let _ = begun.send((fold, as_of));
        self.deliver()
    }
}
