//! The core's sink into the raw spool: rows become tuples, tuples become records.

use crate::core::sink::RawSink;
use penstock_store::raw_rows::{
    GenerationRow, encode_candle, encode_generation, encode_raw, stream_code,
};
use penstock_store::spool::{DropRange, SpoolWriter, StreamCode};
use penstock_types::raw::{CandleRow, RawRow};
use penstock_types::{RunId, Seq, UtcMicros};

/// Version of the columns of every stream.
const ROW_VERSION: u16 = 1;

/// Encodes into the spool's buffer.
#[derive(Debug)]
pub(crate) struct SpoolSink {
    writer: SpoolWriter,
    tuple: Vec<u8>,
}

impl SpoolSink {
    pub(crate) const fn new(writer: SpoolWriter) -> Self {
        Self { writer, tuple: Vec::new() }
    }
}

impl RawSink for SpoolSink {
    fn row(&mut self, run_id: RunId, row: &RawRow) {
        self.tuple.clear();
        encode_raw(&mut self.tuple, run_id, row);
        // What is shed is told by `drops` and by `is_complete`.
        let _ = self.writer.append(
            stream_code(row.stream()),
            row.seq,
            ROW_VERSION,
            row.ts_local,
            &self.tuple,
        );
    }

    fn candle(&mut self, run_id: RunId, seq: Seq, row: &CandleRow) {
        self.tuple.clear();
        encode_candle(&mut self.tuple, run_id, row);
        let _ = self.writer.append(StreamCode::Candle, seq, ROW_VERSION, row.minute, &self.tuple);
    }

    fn generation(&mut self, seq: Seq, row: &GenerationRow) {
        self.tuple.clear();
        encode_generation(&mut self.tuple, row);
        let _ =
            self.writer.append(StreamCode::Generation, seq, ROW_VERSION, row.as_of, &self.tuple);
    }

    fn begin_run(&mut self, run_id: RunId) {
        self.writer.begin_run(run_id);
    }

    fn sync(&mut self) {
        self.writer.request_sync();
    }

    fn drops(&mut self, now: UtcMicros) -> Vec<DropRange> {
        self.writer.due_drops(now)
    }

    fn last_drops(&mut self) -> Vec<DropRange> {
        self.writer.drain_drops()
    }

    fn is_complete(&self) -> bool {
        !self.writer.shed_in_run()
    }
}
