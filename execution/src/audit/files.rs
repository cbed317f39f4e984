//! The thread that writes the files: line, sync, acknowledgement, in that order.
//!
//! Input: the queue. Output: lines that are on disk, handed to the rows; acknowledgements. Invariants: an
//! event is acknowledged after its line was synced; a batch with a critical event is synced at once, others
//! at the configured interval; what the disk refuses stays here and is tried again, in its order, and
//! nothing more is taken out of the queue than one batch; the first line is RUN_STARTED, the last
//! RUN_ENDED. It is a thread and no task, because a disk may hang and the runtime may be stuck.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_audit::trail::{Cause, OpenError, StorageError};
use penstock_audit::{Draft, Event, Line, Opened, PREV_SESSION, Redactor, Sealed, Trail};
use penstock_types::SessionId;
use penstock_types::vocab::{AuditEventType, Lane, ReasonCode, StageName};

use super::error::AuditError;
use super::handle::{Clock, Shared};
use super::queue::{Ack, Waiting};

/// Events of one batch: what one insert takes.
const BATCH_MAX: usize = 256;
/// Pause before a disk that refused is asked again.
const RETRY: Duration = Duration::from_millis(250);
/// How long the end waits for a disk that refuses.
const END_WAIT: Duration = Duration::from_secs(3);
/// Longest sleep of an idle thread; the queue wakes it.
const IDLE: Duration = Duration::from_secs(1);

/// What the thread needs.
pub(crate) struct FilesParts {
    pub(crate) dir: PathBuf,
    pub(crate) session_id: SessionId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) sync_every: Duration,
    pub(crate) clock: Clock,
    /// RUN_STARTED without the hash of the session before.
    pub(crate) run_started: Draft,
    /// RUN_ENDED, once it is known.
    pub(crate) run_ended: Arc<std::sync::Mutex<Option<Draft>>>,
    /// Told what the two newest files are found guilty of.
    pub(crate) broken: Box<dyn Fn(&str) + Send>,
}

/// An event that is not in a file yet.
struct Pending {
    event: Event,
    ack: Option<Ack>,
    since: Instant,
}

/// Runs until the queue is closed and empty, and everything is on disk or cannot be put there.
pub(crate) fn run(parts: FilesParts) {
    let Some(opened) = open(&parts) else { return };
    let mut files = Files {
        trail: opened.trail,
        pending: VecDeque::new(),
        unsynced: Vec::new(),
        synced_at: Instant::now(),
        parts,
    };
    files.begin(opened.cut.is_some(), &opened.findings, opened.sealed);
    files.work();
}

/// Opens the trail; a directory that cannot be opened is tried again until the process stops.
fn open(parts: &FilesParts) -> Option<Opened> {
    loop {
        match Trail::open(&parts.dir, parts.session_id) {
            Ok(opened) => {
                parts.shared.set_fault(None);
                return Some(opened);
            }
            Err(error) => {
                if parts.shared.fault().is_none() {
                    tracing::error!("the audit trail cannot be opened: {error}");
                }
                let is_no_space = matches!(&error, OpenError::Storage(e) if no_space(e));
                parts.shared.set_fault(Some((error.to_string(), is_no_space)));
            }
        }
        parts.shared.queue.rest(RETRY);
        if parts.shared.queue.is_closed() {
            return None;
        }
    }
}

fn no_space(error: &StorageError) -> bool {
    matches!(
        error.source.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}

struct Files {
    trail: Trail,
    pending: VecDeque<Pending>,
    unsynced: Vec<(Line, Option<Ack>, Instant)>,
    synced_at: Instant,
    parts: FilesParts,
}

impl Files {
    /// The first lines: what began, and what was found when the trail was opened.
    fn begin(
        &mut self,
        is_cut: bool,
        findings: &[penstock_audit::Finding],
        sealed: Option<Sealed>,
    ) {
        let mut started = self.parts.run_started.clone();
        let previous = self.trail.previous_hash().to_string();
        started.data.insert(PREV_SESSION.to_owned(), previous.into());
        self.admit(Waiting::new(started, None));
        if is_cut {
            tracing::warn!("the end of the newest audit file was torn; it is kept beside it");
        }
        if let Some(sealed) = sealed {
            self.say_sealed(&sealed);
        }
        if !findings.is_empty() {
            let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
            for text in &texts {
                tracing::error!("AUDIT_CHAIN_BROKEN: {text}; next: `penstock verify audit`");
            }
            let mut draft = Draft::new(StageName::Boot, AuditEventType::Marker, self.now_ms());
            draft.reasons = vec![ReasonCode::AuditChainBroken];
            let fields = serde_json::json!({ "findings": texts });
            let draft = draft.with("marker", "AUDIT_CHAIN_BROKEN").with("fields", fields);
            self.admit(Waiting::new(draft, None));
            (self.parts.broken)(&texts.join("; "));
        }
    }

    fn work(&mut self) {
        let mut closed_at = None;
        loop {
            let is_failing = self.parts.shared.fault().is_some();
            if is_failing {
                self.parts.shared.queue.rest(RETRY);
            }
            let room = BATCH_MAX.saturating_sub(self.pending.len());
            let wait = if is_failing { Duration::ZERO } else { self.patience() };
            let (taken, mut is_over) = self.parts.shared.queue.take(room, wait);
            for waiting in taken {
                self.admit(waiting);
            }
            is_over = is_over && self.pending.len() < BATCH_MAX;
            if is_over && closed_at.is_none() {
                closed_at = Some(Instant::now());
                let ended = self.parts.run_ended.lock().ok().and_then(|mut held| held.take());
                if let Some(draft) = ended {
                    self.admit(Waiting::new(draft, None));
                }
            }
            self.step(is_over);
            let is_done = self.pending.is_empty() && self.unsynced.is_empty();
            if closed_at.is_some_and(|at| is_done || at.elapsed() > END_WAIT) {
                return;
            }
            if is_over && !is_done {
                // The queue is closed and wakes nobody any more.
                std::thread::sleep(RETRY);
            }
        }
    }

    /// How long the thread may sleep.
    fn patience(&self) -> Duration {
        match (self.pending.is_empty(), self.unsynced.is_empty()) {
            (false, _) => Duration::ZERO,
            (true, false) => self.parts.sync_every.saturating_sub(self.synced_at.elapsed()),
            (true, true) => IDLE,
        }
    }

    /// Judges and redacts a draft.
    fn admit(&mut self, Waiting { mut draft, ack, since }: Waiting) {
        without_nul(&mut draft);
        match Event::new(draft, &self.parts.redactor) {
            Ok(event) => {
                self.parts.shared.console.stage(&event);
                self.pending.push_back(Pending { event, ack, since });
            }
            Err(error) => {
                tracing::error!("an audit event was refused: {error}");
                answer(ack, Err(AuditError::Refused(error.to_string())));
            }
        }
    }

    /// One batch: append, sync when due, acknowledge, hand over.
    fn step(&mut self, is_over: bool) {
        let oldest = self.pending.iter().filter(|p| p.ack.is_some()).map(|p| p.since);
        let unsynced = self.unsynced.iter().filter(|u| u.1.is_some()).map(|u| u.2);
        self.parts.shared.set_awaited(oldest.chain(unsynced).min());
        let is_critical = |event: &Event| event.event_type().lane() == Lane::Critical;
        let mut is_due = is_over || self.pending.iter().any(|p| is_critical(&p.event));
        let appended = self.append();
        is_due |= self.synced_at.elapsed() >= self.parts.sync_every;
        if appended && is_due {
            self.sync();
        }
        if self.unsynced.is_empty() && self.pending.is_empty() {
            self.parts.shared.set_awaited(None);
        }
    }

    /// Appends what waits; false when the disk refused.
    fn append(&mut self) -> bool {
        while !self.pending.is_empty() {
            let events: Vec<Event> = self.pending.iter().map(|p| p.event.clone()).collect();
            let (done, fault) = match self.trail.append(&events) {
                Ok(done) => (done, None),
                Err(error) => (error.done, Some(error.cause)),
            };
            for line in done.lines {
                let Some(Pending { ack, since, .. }) = self.pending.pop_front() else { break };
                self.unsynced.push((line, ack, since));
            }
            for sealed in &done.sealed {
                self.say_sealed(sealed);
            }
            match fault {
                None => {}
                Some(Cause::Storage(error)) => {
                    self.refused(&error);
                    return false;
                }
                Some(other) => self.drop_first(&other),
            }
        }
        true
    }

    /// The first waiting event can never be written at its place.
    fn drop_first(&mut self, cause: &Cause) {
        tracing::error!("an audit event has no place in the trail: {cause}");
        if let Some(pending) = self.pending.pop_front() {
            answer(pending.ack, Err(AuditError::Refused(cause.to_string())));
        }
    }

    fn sync(&mut self) {
        if let Err(error) = self.trail.sync() {
            self.refused(&error.storage);
            return;
        }
        self.synced_at = Instant::now();
        if self.parts.shared.fault().is_some() {
            tracing::warn!("the audit trail is written again");
        }
        self.parts.shared.set_fault(None);
        let mut lines = Vec::with_capacity(self.unsynced.len());
        let mut acks = Vec::new();
        for (line, ack, _) in self.unsynced.drain(..) {
            lines.push(line);
            acks.push(ack);
        }
        // Before the acknowledgement: whoever has one sees the line among those that want a row.
        if !lines.is_empty() {
            self.parts.shared.rows.push(lines);
        }
        for ack in acks {
            answer(ack, Ok(()));
        }
    }

    fn refused(&self, error: &StorageError) {
        if self.parts.shared.fault().is_none() {
            tracing::error!("the audit trail is not written: {error}");
        }
        self.parts.shared.set_fault(Some((error.to_string(), no_space(error))));
    }

    fn now_ms(&self) -> i64 {
        (self.parts.clock)()
    }

    fn say_sealed(&mut self, sealed: &Sealed) {
        let mut draft = Draft::new(
            StageName::ReportDailySummary,
            AuditEventType::AuditDaySealed,
            self.now_ms(),
        );
        draft.data = sealed.data();
        self.admit(Waiting::new(draft, None));
    }
}

fn answer(ack: Option<Ack>, result: Result<(), AuditError>) {
    if let Some(ack) = ack {
        // Whoever asked may have been cancelled; the line stands all the same.
        let _ = ack.send(result);
    }
}

/// A text with a NUL can stand in a file and not in a row: it is replaced in both, so that they stay equal.
fn without_nul(draft: &mut Draft) {
    use serde_json::Value;
    fn clean(value: &mut Value) {
        match value {
            Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
            Value::Array(items) => items.iter_mut().for_each(clean),
            Value::Object(map) => {
                if map.keys().any(|key| key.contains('\0')) {
                    let entries = std::mem::take(map).into_iter();
                    map.extend(entries.map(|(key, v)| (key.replace('\0', "\u{fffd}"), v)));
                }
                map.values_mut().for_each(clean);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    // Deeper than an event may be it is refused afterwards; the walk must end before that.
    if draft.data.values().all(|value| depth_of(value) <= penstock_audit::event::DEPTH_MAX) {
        let mut data = Value::Object(std::mem::take(&mut draft.data));
        clean(&mut data);
        if let Value::Object(map) = data {
            draft.data = map;
        }
    }
}

fn depth_of(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    let mut deepest = 1;
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        deepest = deepest.max(depth);
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => open.extend(map.values().map(|item| (item, depth + 1))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    deepest
}
