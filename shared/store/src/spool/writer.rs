//! The spool thread: writes what waits, syncs, closes and opens segments, watches the limits.
//!
//! One thread per spool. It writes when 64 KiB or 20 ms are waiting and syncs every 100 ms and on
//! request; only then do the records leave memory. After an error of `write` or `fdatasync` a segment
//! is never synced again, because the kernel may have dropped its pages; everything unsynced is
//! written to a new one. A device that fails twice within a minute is passed by: its records wait in
//! memory for the loader, and a new segment is tried every ten seconds.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use penstock_types::RunId;

use super::format::{Record, SEGMENT_HEADER_LEN, SegmentHeader, StreamCode};
use super::queue::{ENTRY_RECORD, Entry, Shared, SpoolWriter, Synced, pop_entry};
use super::segments::{Segments, SpoolPosition};
use super::settings::{Overflow, SpoolEvent, SpoolSettings};
use super::shed::FillLevel;

/// A write is made when this much waits.
pub(super) const WRITE_BYTES: usize = 64 * 1024;
/// Or when something has waited for this long.
const WRITE_AFTER: Duration = Duration::from_millis(20);
/// Memory of an inbox, of which there are two.
const SPARE_BYTES: usize = 2 * WRITE_BYTES;
/// A second error of the device within this time is a failure.
const DEVICE_ERROR_WINDOW: Duration = Duration::from_secs(60);

/// Starts the spool thread on an opened directory. The first record of `run_id` begins a new
/// segment. The thread ends, everything synced, when the writer is dropped; join it through the
/// returned handle.
///
/// # Errors
/// The system's error when the thread cannot be started.
pub fn start_writer(
    segments: Arc<Segments>,
    settings: SpoolSettings,
    run_id: RunId,
    on_event: impl Fn(SpoolEvent) + Send + 'static,
) -> std::io::Result<(SpoolWriter, std::thread::JoinHandle<()>)> {
    let shared = Shared::new(settings.ring_bytes, SpoolPosition::start_of(run_id));
    let thread_shared = Arc::clone(&shared);
    let handle = std::thread::Builder::new().name("spool".to_owned()).spawn(move || {
        SpoolThread {
            shared: thread_shared,
            segments,
            settings,
            on_event: Box::new(on_event),
            taking: run_id,
            run_id,
            segment_numbers: BTreeMap::new(),
            open: None,
            out: Vec::new(),
            unsynced_since: None,
            last_seq: 0,
            last_sync: Instant::now(),
            last_error: None,
            retry_at: None,
        }
        .run();
    })?;
    Ok((SpoolWriter::new(shared, run_id), handle))
}

struct OpenSegment {
    file: File,
    path: PathBuf,
    segment_no: u32,
    offset: u64,
    synced: u64,
    record_no: u32,
}

/// Entries of one run as they came.
struct Taken<'b> {
    run_id: RunId,
    bytes: &'b [u8],
}

type DeviceResult = Result<(), (PathBuf, std::io::Error)>;

struct SpoolThread {
    /// Run of the entries that are taken next.
    taking: RunId,
    shared: Arc<Shared>,
    segments: Arc<Segments>,
    settings: SpoolSettings,
    on_event: Box<dyn Fn(SpoolEvent) + Send>,
    run_id: RunId,
    /// Highest segment of each run that was written.
    segment_numbers: BTreeMap<RunId, u32>,
    open: Option<OpenSegment>,
    /// Memory of the records that are written next.
    out: Vec<u8>,
    unsynced_since: Option<Instant>,
    last_seq: u64,
    last_sync: Instant,
    last_error: Option<Instant>,
    retry_at: Option<Instant>,
}

impl SpoolThread {
    fn run(mut self) {
        let mut spare = Vec::with_capacity(SPARE_BYTES);
        loop {
            let inbox = self.shared.take(WRITE_BYTES, WRITE_AFTER, spare);
            if !inbox.bytes.is_empty() {
                self.unsynced_since.get_or_insert_with(Instant::now);
                self.accept(&inbox.bytes);
            }
            spare = inbox.bytes;
            spare.clear();
            // What a stall has made large goes again.
            spare.shrink_to(SPARE_BYTES);
            let due = self.last_sync.elapsed() >= self.settings.fsync_every;
            self.count_committed();
            if inbox.sync_requested || inbox.closing || due {
                self.sync();
                self.watch_limits();
            }
            if inbox.closing {
                self.close_segment();
                return;
            }
        }
    }

    /// Takes entries over; while the device is down they wait in memory. What waits there takes its own length
    /// and not that of an inbox, of which dozens wait while a sync takes long.
    fn accept(&mut self, bytes: &[u8]) {
        for Taken { run_id, bytes } in self.split_at_runs(bytes) {
            if self.device_is_down() {
                self.segments.ring().push(run_id, bytes.to_vec());
                continue;
            }
            let written = self.write_chunk(run_id, bytes);
            self.segments.ring().push(run_id, bytes.to_vec());
            if let Err((path, error)) = written {
                self.device_error(path, &error);
            }
        }
    }

    /// Cuts the inbox where the run changes.
    fn split_at_runs<'b>(&mut self, bytes: &'b [u8]) -> Vec<Taken<'b>> {
        let mut chunks = Vec::with_capacity(1);
        let mut rest = bytes;
        let mut from = 0;
        loop {
            let at = bytes.len() - rest.len();
            match pop_entry(&mut rest) {
                Some(entry) if entry.kind == ENTRY_RECORD => {}
                Some(entry) => {
                    if at > from {
                        chunks.push(Taken { run_id: self.taking, bytes: &bytes[from..at] });
                    }
                    self.taking = RunId(entry.seq);
                    from = bytes.len() - rest.len();
                    // The entry itself is done; only records stay in memory.
                    let done = (from - at) as u64;
                    self.shared.held_bytes.fetch_sub(done, Ordering::Relaxed);
                }
                None => break,
            }
        }
        if from < bytes.len() {
            chunks.push(Taken { run_id: self.taking, bytes: &bytes[from..] });
        }
        chunks
    }

    fn device_is_down(&mut self) -> bool {
        match self.retry_at {
            None => false,
            Some(at) if Instant::now() < at => true,
            Some(_) => {
                self.retry_at = None;
                self.rewrite_unsynced();
                self.retry_at.is_some()
            }
        }
    }

    fn write_chunk(&mut self, run_id: RunId, bytes: &[u8]) -> DeviceResult {
        if run_id != self.run_id {
            self.sync_open()?;
            self.close_segment();
            self.run_id = run_id;
            self.last_seq = 0;
        }
        let mut rest = bytes;
        let mut out = core::mem::take(&mut self.out);
        out.clear();
        while let Some(entry) = pop_entry(&mut rest) {
            self.write_record(&entry, &mut out)?;
        }
        self.flush(&mut out)?;
        out.shrink_to(SPARE_BYTES);
        self.out = out;
        Ok(())
    }

    fn write_record(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) -> DeviceResult {
        let seq = entry.seq.unsigned_abs();
        let len = (super::format::RECORD_HEADER_LEN + entry.payload.len()) as u64;
        let used = self.open.as_ref().map_or(0, |open| open.offset + out.len() as u64);
        if self.open.is_some() && used + len > self.settings.segment_bytes {
            self.flush(out)?;
            self.sync_open()?;
            self.close_segment();
        }
        if self.open.is_none() {
            self.open_segment(seq)?;
        }
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        let Some(stream) = StreamCode::from_code(entry.stream) else { return Ok(()) };
        let record = Record {
            stream,
            flags: entry.flags,
            row_version: entry.row_version,
            record_no: open.record_no,
            seq,
            payload: entry.payload,
        };
        record.encode(out);
        open.record_no += 1;
        self.last_seq = self.last_seq.max(seq);
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> DeviceResult {
        if let Some(open) = self.open.as_mut()
            && !out.is_empty()
        {
            open.file.write_all_at(out, open.offset).map_err(|e| (open.path.clone(), e))?;
            open.offset += out.len() as u64;
            out.clear();
        }
        Ok(())
    }

    fn open_segment(&mut self, first_seq: u64) -> DeviceResult {
        let segment_no = self.segment_numbers.get(&self.run_id).map_or(1, |no| no + 1);
        let path = self.segments.path(self.run_id, segment_no);
        let fail = |e| (path.clone(), e);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        preallocate(&file, self.settings.segment_bytes).map_err(fail)?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let created = now.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
        let header = SegmentHeader {
            run_id: self.run_id,
            fencing_token: self.settings.token,
            segment_no,
            schema_version: self.settings.schema_version,
            first_seq,
            created_at_us: created,
        };
        file.write_all_at(&header.encode(), 0).map_err(fail)?;
        // The directory entry must be as durable as the records.
        File::open(self.segments.dir()).and_then(|dir| dir.sync_all()).map_err(fail)?;
        let offset = SEGMENT_HEADER_LEN as u64;
        self.segments.set(self.run_id, segment_no, offset, false);
        self.segment_numbers.insert(self.run_id, segment_no);
        // Only the run before can still come back, after a device error.
        while self.segment_numbers.len() > 2 {
            self.segment_numbers.pop_first();
        }
        self.open =
            Some(OpenSegment { file, path, segment_no, offset, synced: offset, record_no: 0 });
        Ok(())
    }

    /// Syncs and lets the records go from memory.
    fn sync(&mut self) {
        self.last_sync = Instant::now();
        if !self.device_is_down() {
            match self.sync_open() {
                Ok(()) => self.let_go(),
                Err((path, error)) => self.device_error(path, &error),
            }
        }
        let lag = self.unsynced_since.map_or(0, |since| since.elapsed().as_millis());
        self.shared.sync_lag_ms.store(u64::try_from(lag).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn sync_open(&mut self) -> DeviceResult {
        if let Some(open) = self.open.as_mut()
            && open.synced < open.offset
        {
            open.file.sync_data().map_err(|e| (open.path.clone(), e))?;
            open.synced = open.offset;
            self.segments.set(self.run_id, open.segment_no, open.synced, false);
        }
        Ok(())
    }

    fn let_go(&mut self) {
        let bytes = self.segments.ring().clear();
        self.unsynced_since = None;
        self.shared.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.status_waiting.store(0, Ordering::Relaxed);
        let position = match &self.open {
            Some(open) => SpoolPosition {
                run_id: self.run_id,
                segment_no: open.segment_no,
                offset: open.synced,
            },
            None => SpoolPosition {
                run_id: self.run_id,
                segment_no: self.segment_numbers.get(&self.run_id).map_or(1, |no| no + 1),
                offset: SEGMENT_HEADER_LEN as u64,
            },
        };
        self.shared.synced.send_replace(Synced { seq: self.last_seq, position });
    }

    /// What the loader has committed past a failed device is free.
    fn count_committed(&mut self) {
        let (freed, is_empty) = {
            let mut ring = self.segments.ring();
            (ring.take_freed(), ring.is_empty())
        };
        if freed > 0 {
            self.shared.held_bytes.fetch_sub(freed, Ordering::Relaxed);
            self.shared.status_waiting.store(0, Ordering::Relaxed);
            // Else the age of what is left counts from the first refusal on: never too young.
            if is_empty {
                self.unsynced_since = None;
            }
        }
    }

    /// Closes the open segment at what is synced; the rest of its space is given back.
    fn close_segment(&mut self) {
        if let Some(open) = self.open.take() {
            // A failure leaves zeros behind the records, which readers take as the clean end.
            if let Err(error) = open.file.set_len(open.synced) {
                tracing::debug!("cut the closed segment {}: {error}", open.path.display());
            }
            self.segments.set(self.run_id, open.segment_no, open.synced, true);
        }
    }

    fn device_error(&mut self, path: PathBuf, error: &std::io::Error) {
        let again = self.last_error.is_some_and(|at| at.elapsed() < DEVICE_ERROR_WINDOW);
        self.close_segment();
        if again {
            self.device_failed(path, error);
        } else {
            self.last_error = Some(Instant::now());
            let error = error.to_string();
            (self.on_event)(SpoolEvent::DeviceError { path, error, failed: false });
            self.rewrite_unsynced();
        }
    }

    /// The second error: records pass the device until a new segment can be opened.
    fn device_failed(&mut self, path: PathBuf, error: &std::io::Error) {
        self.last_error = Some(Instant::now());
        self.retry_at = Some(Instant::now() + self.settings.device_retry);
        self.segments.ring().set_bypass(true);
        if self.shared.failed.swap(true, Ordering::Relaxed) {
            tracing::debug!("spool {} still refuses: {error}", path.display());
        } else {
            let error = error.to_string();
            (self.on_event)(SpoolEvent::DeviceError { path, error, failed: true });
        }
    }

    /// Writes everything that is not synced to a new segment.
    fn rewrite_unsynced(&mut self) {
        let chunks = self.segments.ring().take();
        let mut outcome = Ok(());
        for chunk in &chunks {
            if outcome.is_ok() {
                outcome = self.write_chunk(chunk.run_id, &chunk.bytes);
            }
        }
        self.segments.ring().put_back(chunks);
        match outcome {
            Ok(()) => {
                self.segments.ring().set_bypass(false);
                if self.shared.failed.swap(false, Ordering::Relaxed) {
                    (self.on_event)(SpoolEvent::DeviceRecovered);
                }
            }
            Err((path, error)) => {
                self.close_segment();
                self.device_failed(path, &error);
            }
        }
    }

    fn watch_limits(&mut self) {
        let mut fill_pct = self.fill_pct();
        if self.settings.overflow == Overflow::DropOldest {
            while fill_pct >= 100 && self.drop_oldest() {
                fill_pct = self.fill_pct();
            }
        }
        self.shared.fill_pct.store(fill_pct, Ordering::Relaxed);
        if self.settings.overflow == Overflow::ShedByClass {
            self.set_level(fill_pct);
        }
    }

    fn fill_pct(&self) -> u64 {
        let used = self.segments.bytes();
        let free = statvfs(self.segments.dir())
            .map_or(u64::MAX, |s| s.blocks_available().saturating_mul(s.fragment_size()));
        let room = used.saturating_add(free.saturating_sub(self.settings.free_bytes_min));
        let limit = self.settings.bytes_max.min(room).max(1);
        used.saturating_mul(100) / limit
    }

    fn set_level(&mut self, fill_pct: u64) {
        let from = FillLevel::from_u8(self.shared.level.load(Ordering::Relaxed));
        let to = from.next(fill_pct, self.settings.high_pct);
        if from != to {
            self.shared.level.store(to.as_u8(), Ordering::Relaxed);
            (self.on_event)(SpoolEvent::Level { from, to, fill_pct });
        }
    }

    /// False when there is nothing to drop.
    fn drop_oldest(&self) -> bool {
        match self.segments.drop_oldest() {
            Ok(Some((run_id, bytes))) => {
                (self.on_event)(SpoolEvent::OldestDropped { run_id, bytes });
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!("drop the oldest spool segment: {error}");
                false
            }
        }
    }
}

/// Reserves the segment's blocks, so that a full disk shows at the opening and not in the middle.
fn preallocate(file: &File, bytes: u64) -> std::io::Result<()> {
    use nix::fcntl::{FallocateFlags, fallocate};
    let len = i64::try_from(bytes).unwrap_or(i64::MAX);
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(()),
        // Some filesystems cannot; the file then grows with its writes.
        Err(nix::errno::Errno::EOPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
