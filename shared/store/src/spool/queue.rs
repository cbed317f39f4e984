//! The producer's side of the spool: a bounded buffer between the market core and the spool thread.
//!
//! The caller is a synchronous thread that must never wait for a disk: appending copies bytes under a
//! lock that the spool thread holds only to exchange the buffer. What does not fit, or what the fill
//! level sheds, is refused after its numbering and noted for a gap row.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use penstock_types::{RunId, Seq, UtcMicros};
use tokio::sync::watch;

use super::format::{FLAG_OUTPUT, PAYLOAD_LEN_MAX, StreamCode};
use super::segments::SpoolPosition;
use super::shed::{DropRange, FillLevel, ShedTracker};

/// Status rows that may wait in memory while the spool takes nothing.
const STATUS_WAITING_MAX: u32 = 10_000;

/// Head of an entry in the buffer: length of the rest, kind, stream, flags, row version, number.
pub(super) const ENTRY_HEAD_LEN: usize = 20;
pub(super) const ENTRY_RECORD: u8 = 0;
pub(super) const ENTRY_RUN: u8 = 1;

/// What the spool thread has made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synced {
    /// Highest durable number of the current run; 0 before the first.
    pub seq: u64,
    /// Where the next record goes.
    pub position: SpoolPosition,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) bytes: Vec<u8>,
    pub(super) sync_requested: bool,
    pub(super) closing: bool,
}

/// What producer, spool thread and readers share.
#[derive(Debug)]
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    wake: Condvar,
    /// Bytes in the inbox and bytes written but not synced.
    pub(super) held_bytes: AtomicU64,
    pub(super) level: AtomicU8,
    pub(super) fill_pct: AtomicU64,
    pub(super) sync_lag_ms: AtomicU64,
    pub(super) failed: AtomicBool,
    /// Status rows since the last sync.
    pub(super) status_waiting: AtomicU32,
    pub(super) ring_bytes: u64,
    pub(super) synced: watch::Sender<Synced>,
}

impl Shared {
    pub(super) fn new(ring_bytes: u64, start: SpoolPosition) -> Arc<Self> {
        Arc::new(Self {
            inbox: Mutex::new(Inbox::default()),
            wake: Condvar::new(),
            held_bytes: AtomicU64::new(0),
            level: AtomicU8::new(FillLevel::Normal.as_u8()),
            fill_pct: AtomicU64::new(0),
            sync_lag_ms: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            status_waiting: AtomicU32::new(0),
            ring_bytes,
            synced: watch::Sender::new(Synced { seq: 0, position: start }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // Appending is a copy; a panic inside it leaves whole entries only.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges the inbox for an empty buffer, after waiting for `fill_bytes`, a request, or the
    /// time-out.
    pub(super) fn take(&self, fill_bytes: usize, wait: Duration, spare: Vec<u8>) -> Inbox {
        let inbox = self.lock();
        let (mut inbox, _) = self
            .wake
            .wait_timeout_while(inbox, wait, |i| {
                i.bytes.len() < fill_bytes && !i.sync_requested && !i.closing
            })
            .unwrap_or_else(PoisonError::into_inner);
        let closing = inbox.closing;
        let empty = Inbox { bytes: spare, closing, ..Inbox::default() };
        core::mem::replace(&mut *inbox, empty)
    }
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is on its way to the disk.
    Stored,
    /// It was shed; its gap row comes with [`SpoolWriter::due_drops`].
    Shed,
}

/// The writing end of a spool. One per spool, owned by the thread that numbers records.
#[derive(Debug)]
pub struct SpoolWriter {
    pub(super) shared: Arc<Shared>,
    run_id: RunId,
    shed: ShedTracker,
    shed_in_run: bool,
    last_seq: Seq,
    /// The ring ran over and has not fallen below three quarters since.
    ring_full: bool,
}

impl SpoolWriter {
    pub(super) fn new(shared: Arc<Shared>, run_id: RunId) -> Self {
        Self {
            shared,
            run_id,
            shed: ShedTracker::default(),
            shed_in_run: false,
            last_seq: Seq(0),
            ring_full: false,
        }
    }

    /// Appends one record. Never blocks on a disk.
    ///
    /// A late output (a generation row after its deadline) gets the newest number instead of its own,
    /// because numbers never decrease within a segment; its payload says what it is about.
    ///
    /// # Panics
    /// When the payload is empty or above 1 MiB, which no row of this product is, or when a numbered
    /// record goes back: no reader would accept the segment.
    pub fn append(
        &mut self,
        stream: StreamCode,
        seq: Seq,
        row_version: u16,
        at: UtcMicros,
        payload: &[u8],
    ) -> Appended {
        assert!(!payload.is_empty(), "a record has a payload");
        assert!(payload.len() <= PAYLOAD_LEN_MAX, "a payload is at most 1 MiB");
        let seq = if stream.is_output() { seq.max(self.last_seq) } else { seq };
        assert!(seq >= self.last_seq, "record {seq} is appended after {}", self.last_seq);
        self.last_seq = seq;
        let len = ENTRY_HEAD_LEN + payload.len();
        let is_status = stream == StreamCode::Status;
        let level = FillLevel::from_u8(self.shared.level.load(Ordering::Relaxed));
        let no_room = self.no_room(len as u64);
        if level.sheds(stream) || (no_room && !is_status) {
            return self.refuse(stream, seq, at);
        }
        if is_status {
            let waiting = self.shared.status_waiting.fetch_add(1, Ordering::Relaxed);
            if no_room && waiting >= STATUS_WAITING_MAX {
                return self.refuse(stream, seq, at);
            }
        }
        let flags = if stream.is_output() { FLAG_OUTPUT } else { 0 };
        let mut inbox = self.shared.lock();
        push_entry(
            &mut inbox.bytes,
            ENTRY_RECORD,
            stream.code(),
            flags,
            row_version,
            seq.0,
            payload,
        );
        let wake = inbox.bytes.len() >= super::writer::WRITE_BYTES;
        // Before the lock is given back: the spool thread subtracts what it has taken.
        self.shared.held_bytes.fetch_add(len as u64, Ordering::Relaxed);
        drop(inbox);
        if wake {
            self.shared.wake.notify_one();
        }
        Appended::Stored
    }

    /// A ring that ran over has the effect of a full spool, and clears like one.
    fn no_room(&mut self, len: u64) -> bool {
        let held = self.shared.held_bytes.load(Ordering::Relaxed);
        let limit = self.shared.ring_bytes;
        self.ring_full = held + len > limit || (self.ring_full && held * 4 >= limit * 3);
        self.ring_full
    }

    fn refuse(&mut self, stream: StreamCode, seq: Seq, at: UtcMicros) -> Appended {
        self.shed_in_run = true;
        if !stream.is_output() {
            self.shed.shed(stream, seq, at);
        }
        Appended::Shed
    }

    /// Gap rows that are due now; the caller numbers and appends them as status rows. Call it once
    /// per tick.
    pub fn due_drops(&mut self, now: UtcMicros) -> Vec<DropRange> {
        let mut level = FillLevel::from_u8(self.shared.level.load(Ordering::Relaxed));
        if self.no_room(0) {
            level = FillLevel::Full;
        }
        self.shed.due(level, now)
    }

    /// Whether anything of the current run was shed: then no later generation of it is complete.
    #[must_use]
    pub const fn shed_in_run(&self) -> bool {
        self.shed_in_run
    }

    /// Run of the records that are appended now.
    #[must_use]
    pub const fn run_id(&self) -> RunId {
        self.run_id
    }

    /// Goes over to another run: its records begin a new segment. Returns the ranges that were still
    /// open, whose rows belong to the old run and must have been appended before: call
    /// [`Self::drain_drops`] first.
    pub fn begin_run(&mut self, run_id: RunId) {
        let mut inbox = self.shared.lock();
        push_entry(&mut inbox.bytes, ENTRY_RUN, 0, 0, 0, run_id.0, &[]);
        self.shared.held_bytes.fetch_add(ENTRY_HEAD_LEN as u64, Ordering::Relaxed);
        drop(inbox);
        self.run_id = run_id;
        self.last_seq = Seq(0);
        self.shed_in_run = false;
    }

    /// All open shed ranges, before the end of a run.
    pub fn drain_drops(&mut self) -> Vec<DropRange> {
        self.shed.drain()
    }

    /// Asks for a sync now, as every cut does. Returns at once.
    pub fn request_sync(&self) {
        self.shared.lock().sync_requested = true;
        self.shared.wake.notify_one();
    }

    /// A view for other threads and tasks.
    #[must_use]
    pub fn monitor(&self) -> SpoolMonitor {
        SpoolMonitor { shared: Arc::clone(&self.shared), synced: self.shared.synced.subscribe() }
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_one();
    }
}

pub(super) fn push_entry(
    out: &mut Vec<u8>,
    kind: u8,
    stream: u8,
    flags: u8,
    row_version: u16,
    seq: i64,
    payload: &[u8],
) {
    let rest = u32::try_from(payload.len()).expect("a payload is at most 1 MiB");
    out.extend_from_slice(&rest.to_le_bytes());
    out.extend_from_slice(&[kind, stream, flags, 0]);
    out.extend_from_slice(&row_version.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(payload);
}

/// An entry of the buffer, as the spool thread reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) kind: u8,
    pub(super) stream: u8,
    pub(super) flags: u8,
    pub(super) row_version: u16,
    pub(super) seq: i64,
    pub(super) payload: &'a [u8],
}

/// Takes the first entry off; `None` at the end.
pub(super) fn pop_entry<'a>(bytes: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (head, rest) = bytes.split_first_chunk::<ENTRY_HEAD_LEN>()?;
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let (payload, rest) = rest.split_at(len);
    *bytes = rest;
    let mut seq = [0; 8];
    seq.copy_from_slice(&head[12..20]);
    Some(Entry {
        kind: head[4],
        stream: head[5],
        flags: head[6],
        row_version: u16::from_le_bytes([head[8], head[9]]),
        seq: i64::from_le_bytes(seq),
        payload,
    })
}

/// Watches a spool from other threads and tasks.
#[derive(Debug, Clone)]
pub struct SpoolMonitor {
    shared: Arc<Shared>,
    synced: watch::Receiver<Synced>,
}

impl SpoolMonitor {
    /// What is durable now.
    #[must_use]
    pub fn synced(&self) -> Synced {
        *self.synced.borrow()
    }

    /// Waits until a number of a run is durable, or the time-out; true when it is.
    pub async fn wait_synced(&mut self, run_id: RunId, seq: Seq, timeout: Duration) -> bool {
        let reached = |s: &Synced| {
            s.position.run_id > run_id
                || (s.position.run_id == run_id && s.seq >= seq.0.unsigned_abs())
        };
        tokio::time::timeout(timeout, self.synced.wait_for(reached)).await.is_ok_and(|r| r.is_ok())
    }

    /// Waits for the next sync; false when the spool thread has ended.
    pub async fn changed(&mut self) -> bool {
        self.synced.changed().await.is_ok()
    }

    /// Level of the fill.
    #[must_use]
    pub fn level(&self) -> FillLevel {
        FillLevel::from_u8(self.shared.level.load(Ordering::Relaxed))
    }

    /// Fill in percent of the limit.
    #[must_use]
    pub fn fill_pct(&self) -> u64 {
        self.shared.fill_pct.load(Ordering::Relaxed)
    }

    /// Age of the oldest record that is not synced.
    #[must_use]
    pub fn sync_lag_ms(&self) -> u64 {
        self.shared.sync_lag_ms.load(Ordering::Relaxed)
    }

    /// The device refuses writes (`SPOOL_FAILED`).
    #[must_use]
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Bytes in memory that are not synced.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.shared.held_bytes.load(Ordering::Relaxed)
    }
}
