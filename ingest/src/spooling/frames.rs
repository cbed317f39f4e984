//! The frame spool: sealed frames that the decision cluster does not have yet survive this process.
//!
//! Each sealed frame is appended before it is delivered; segments go when everything in them stands on
//! the decision cluster. What an earlier process left is read once, at the start: run and lineage
//! (stream 33), symbol numbers (34) and frames with their quote blocks (32), in order. Which of them are
//! still delivered is decided by whoever delivers.

use crate::exit::Exit;
use crate::lifecycle::startup::Started;
use crate::settings::Settings;
use penstock_market::SealedTick;
use penstock_store::spool::frame_records::{
    FrameRecordError, RunRecord, decode_symbol, encode_frame_record, encode_symbol,
    split_frame_record,
};
use penstock_store::spool::{
    RecoveredDir, Segments, SpoolEvent, SpoolMonitor, SpoolPosition, SpoolSettings, SpoolWriter,
    StreamCode, open_spool, start_writer,
};
use penstock_store::twins::RunSymbolRow;
use penstock_store_decision::frames::newest_tick_of;
use penstock_telemetry::marker;
use penstock_types::frame::{decode_frame, decode_quotes};
use penstock_types::{RunId, Seq, TickId, UtcMicros};
use sqlx::PgPool;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Version of the records.
const ROW_VERSION: u16 = 1;
/// A minute of ticks.
const TICKS_PER_PLACE: i64 = 240;
/// Records read at a time.
const BATCH_ROWS: usize = 1_024;

/// Frames that an earlier process sealed, with the rows that they refer to.
#[derive(Debug)]
pub(crate) struct InheritedRun {
    pub of: RunRecord,
    pub symbols: Vec<RunSymbolRow>,
    pub frames: Vec<SealedTick>,
    /// Newest tick of the run, among these, that stands on the decision cluster.
    pub stands: Option<TickId>,
}

/// Reads which of the frames that were left stand already.
///
/// # Errors
/// [`Exit::Unavailable`] when the decision cluster does not answer.
pub(crate) async fn compare(left: &mut [InheritedRun], decision: &PgPool) -> Result<(), Exit> {
    for run in left {
        let ticks = || run.frames.iter().map(|sealed| sealed.tick_id);
        let (Some(first), Some(last)) = (ticks().min(), ticks().max()) else { continue };
        let found = newest_tick_of(decision, run.of.run.run_id, (first, last)).await;
        run.stands = found.map_err(|e| Exit::Unavailable {
            what: "the decision cluster",
            error: e.to_string(),
        })?;
    }
    Ok(())
}

/// The spool of this process.
pub(crate) struct FrameSpool {
    writer: SpoolWriter,
    monitor: SpoolMonitor,
    segments: Arc<Segments>,
    /// Number of the newest record: within a segment numbers never go back.
    last: TickId,
    /// Places in the spool, each with the newest tick before it, about one per minute.
    places: VecDeque<(TickId, SpoolPosition)>,
    /// Runs whose frames are delivered or given up, and whose segments still stand.
    over: BTreeSet<RunId>,
    /// Locks of the directories; they end with the process.
    dirs: Vec<RecoveredDir>,
}

/// Opens the spool and reads what was left.
///
/// # Errors
/// [`Exit::Refused`] when a directory cannot be used.
pub(crate) fn open(
    settings: &Settings,
    started: &Started,
) -> Result<(FrameSpool, Vec<InheritedRun>), Exit> {
    let refused = |e: &dyn std::fmt::Display| Exit::Refused(format!("frame spool: {e}"));
    let dir = settings.spool_dir.join("frames");
    std::fs::create_dir_all(&dir).map_err(|e| refused(&e))?;
    let token = started.fence.token();
    let opened = open_spool(&dir, token).map_err(|e| refused(&e))?;
    let mut left = Vec::new();
    for found in std::iter::once(&opened.own).chain(&opened.inherited) {
        marker!(
            SPOOL_OPENED,
            spool = "frames",
            dir = found.dir.path().display().to_string(),
            bytes = found.segments.bytes(),
            runs = found.runs.iter().map(|r| r.run_id).collect::<Vec<_>>(),
        );
        for run in &found.runs {
            left.extend(read_run(&found.segments, run.run_id));
        }
    }
    let limits = &settings.spool;
    let spool_settings = SpoolSettings {
        bytes_max: limits.frame_bytes_max,
        free_bytes_min: limits.free_bytes_min,
        fsync_every: limits.fsync,
        ..SpoolSettings::frames(token, u32::try_from(started.run.schema_version).unwrap_or(0))
    };
    let run_id = started.run.run_id;
    let segments = Arc::clone(&opened.own.segments);
    // The thread ends, everything synced, when the writer goes with the frames task.
    let (mut writer, _) = start_writer(Arc::clone(&segments), spool_settings, run_id, tell_event)
        .map_err(|e| refused(&e))?;
    let record = RunRecord { run: started.run.clone(), lineage: started.lineage.clone() };
    append(&mut writer, StreamCode::FrameRun, TickId(0), record.encode());
    let monitor = writer.monitor();
    let dirs = std::iter::once(opened.own).chain(opened.inherited).collect();
    Ok((
        FrameSpool {
            writer,
            monitor,
            segments,
            last: TickId(0),
            places: VecDeque::new(),
            over: BTreeSet::new(),
            dirs,
        },
        left,
    ))
}

impl FrameSpool {
    /// Keeps a symbol number, before the first frame that uses it.
    pub(crate) fn symbol(&mut self, row: &RunSymbolRow) {
        append(&mut self.writer, StreamCode::FrameSymbol, self.last, encode_symbol(row));
    }

    /// Keeps a sealed frame.
    pub(crate) fn frame(&mut self, sealed: &SealedTick) {
        self.last = self.last.max(sealed.tick_id);
        let payload = encode_frame_record(&sealed.frame, &sealed.quotes);
        let (tick, at) = (Seq(sealed.tick_id.0), sealed.tick_id.end());
        // A full spool lets its oldest segments go; the frame stays in memory all the same.
        let _ = self.writer.append(StreamCode::Frame, tick, ROW_VERSION, at, &payload);
        let newest = self.places.back().map_or(i64::MIN, |(tick, _)| tick.0);
        if sealed.tick_id.0 >= newest.saturating_add(TICKS_PER_PLACE) {
            // What is synced now was appended before this tick.
            self.places.push_back((sealed.tick_id, self.monitor.synced().position));
        }
    }

    /// Frames up to a tick are given up: closed segments that hold nothing younger go.
    pub(crate) fn given_up_until(&mut self, tick: TickId) {
        let mut before = None;
        while let Some((_, position)) = self.places.pop_front_if(|(newest, _)| *newest <= tick) {
            before = Some(position);
        }
        if let Some(before) = before
            && let Err(error) = self.segments.trim(before)
        {
            tracing::warn!("trim the frame spool: {error}");
        }
    }

    /// Everything appended so far stands on the decision cluster: closed segments may go.
    pub(crate) fn all_delivered(&mut self) {
        self.places.clear();
        self.sweep();
        if let Err(error) = self.segments.trim(self.monitor.synced().position) {
            tracing::warn!("trim the frame spool: {error}");
        }
    }

    /// Another run begins; its records follow.
    pub(crate) fn begin_run(&mut self, of: &RunRecord) {
        self.writer.begin_run(of.run.run_id);
        append(&mut self.writer, StreamCode::FrameRun, self.last, of.encode());
    }

    /// Frames of a run are delivered or given up: its segments go, once the spool writes none of them.
    pub(crate) fn forget(&mut self, run_id: RunId) {
        self.over.insert(run_id);
        self.sweep();
    }

    fn sweep(&mut self) {
        let writing = self.monitor.synced().position.run_id;
        let (ready, later) = self.over.iter().partition(|run_id| **run_id < writing);
        self.over = later;
        let ready: BTreeSet<RunId> = ready;
        for run_id in ready {
            for segments in self.dirs.iter().map(|dir| &dir.segments) {
                if let Err(error) = segments.remove_run(run_id) {
                    tracing::warn!("remove frames of run {run_id}: {error}");
                }
            }
        }
    }
}

fn append(
    writer: &mut SpoolWriter,
    stream: StreamCode,
    tick: TickId,
    payload: Result<Vec<u8>, FrameRecordError>,
) {
    match payload {
        Ok(payload) => {
            // As for frames: memory holds it as long as this process lives.
            let _ = writer.append(stream, Seq(tick.0), ROW_VERSION, UtcMicros(0), &payload);
        }
        Err(error) => tracing::error!("frame spool record: {error}"),
    }
}

fn tell_event(event: SpoolEvent) {
    match event {
        SpoolEvent::Level { .. } | SpoolEvent::DeviceRecovered => {}
        SpoolEvent::DeviceError { path, error, failed } => {
            let segment = path.display().to_string();
            if failed {
                marker!(SPOOL_FAILED, spool = "frames", segment = segment, error = error);
            } else {
                tracing::error!(segment, "frame spool device: {error}");
            }
        }
        SpoolEvent::OldestDropped { run_id, bytes } => {
            tracing::error!(%run_id, bytes, "the oldest frames were dropped for space");
        }
    }
}

/// Reads one run; a record that cannot be read ends it, what came before counts.
fn read_run(segments: &Segments, run_id: RunId) -> Option<InheritedRun> {
    let mut found: Option<InheritedRun> = None;
    let mut at = SpoolPosition::start_of(run_id);
    loop {
        let batch = match segments.read_batch(at, BATCH_ROWS) {
            Ok(Some(batch)) => batch,
            Ok(None) => return found,
            Err(error) => {
                tracing::error!("frames of run {run_id}: {error}");
                return found;
            }
        };
        at = batch.end;
        for record in &batch.records {
            let payload = batch.payload(record);
            if !take_record(&mut found, record.stream, payload) {
                tracing::error!(
                    "frames of run {run_id}: a record of stream {:?} is foreign",
                    record.stream
                );
                return found;
            }
        }
    }
}

fn take_record(found: &mut Option<InheritedRun>, stream: StreamCode, payload: &[u8]) -> bool {
    match (stream, found) {
        (StreamCode::FrameRun, found @ None) => {
            let Ok(of) = RunRecord::decode(payload) else { return false };
            let (symbols, frames) = (Vec::new(), Vec::new());
            *found = Some(InheritedRun { of, symbols, frames, stands: None });
            true
        }
        (StreamCode::FrameSymbol, Some(found)) => {
            let row = decode_symbol(payload);
            row.map(|row| found.symbols.push(row)).is_ok()
        }
        (StreamCode::Frame, Some(found)) => {
            let tick = sealed(payload);
            tick.map(|tick| found.frames.push(tick)).is_some()
        }
        (_, _) => false,
    }
}

/// Splits a record into frame and quote block, both checked.
fn sealed(payload: &[u8]) -> Option<SealedTick> {
    let (frame, quotes) = split_frame_record(payload).ok()?;
    let (header, _) = decode_frame(frame).ok()?;
    let block = decode_quotes(quotes).ok()?;
    Some(SealedTick {
        tick_id: header.tick_id,
        run_id: header.run_id,
        fencing_token: header.fencing_token,
        epoch_id: None,
        n_quotes: block.entries.len(),
        frame: frame.to_vec(),
        quotes: quotes.to_vec(),
    })
}
