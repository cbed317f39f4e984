//! The writer's life: start, and an end at which nothing is left behind that can be written.
//!
//! Input: where, how, and for which session. Output: a handle. Order of the end: the queue is closed, the
//! thread writes what is in it and RUN_ENDED, rows follow for three seconds; what is missing then is read
//! back from the files by the next session.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use penstock_audit::{Draft, Redactor};
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::SessionId;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::console::Console;
use super::files::{self, FilesParts};
use super::handle::{AuditHandle, Clock, Shared};
use super::keeper::Keeper;
use super::monitor;
use super::pressure::PressureLimits;
use super::process::say_markers;
use super::told::say_told;
use crate::mode::{ModeHandle, Source};

/// How long the end waits for the files: longer than a disk is tried.
const FILES_WAIT: Duration = Duration::from_secs(4);
/// How long the end waits for the rows: longer than they are tried.
const ROWS_WAIT: Duration = Duration::from_secs(4);

/// What the writer needs.
pub struct WriterParts {
    /// Directory of the trail.
    pub dir: PathBuf,
    /// The session: a UUID of version 7.
    pub session_id: SessionId,
    /// The decision cluster: connections of its own, so that rows take none of the desk's.
    pub pool: PgPool,
    /// Told of pressure and faults.
    pub mode: ModeHandle,
    /// What must not be kept.
    pub redactor: Arc<Redactor>,
    /// Limits of the queue.
    pub limits: PressureLimits,
    /// Samples may be dropped under pressure.
    pub drop_samples: bool,
    /// Longest time between two syncs.
    pub sync_every: Duration,
    /// Where stages are shown.
    pub console: Console,
    /// Time of what the writer says of itself: sealed days, findings.
    pub clock: Clock,
    /// RUN_STARTED, without the hash of the session before.
    pub run_started: Draft,
}

/// The running writer.
#[derive(Debug)]
pub struct AuditWriter {
    handle: AuditHandle,
    run_ended: Arc<Mutex<Option<Draft>>>,
    files: JoinHandle<()>,
    rows: JoinHandle<()>,
    monitor: JoinHandle<()>,
    markers: JoinHandle<()>,
    told: JoinHandle<()>,
    markers_end: CancellationToken,
    files_end: CancellationToken,
    rows_end: CancellationToken,
}

impl AuditWriter {
    /// Starts thread and tasks. A directory that cannot be opened is a fault that the mode knows of, and no
    /// error: what is open at the venue must be kept all the same.
    #[must_use]
    pub fn start(parts: WriterParts) -> Self {
        let shared = Arc::new(Shared::new(parts.limits, parts.drop_samples, parts.console));
        let run_ended: Arc<Mutex<Option<Draft>>> = Arc::default();
        let mode = parts.mode.clone();
        let broken = move |what: &str| {
            let value = Some(what.to_owned());
            let code = CauseCode::AuditChainBroken;
            mode.set_from(Source::Part, code, Level::Pause, true, value);
        };
        let files = FilesParts {
            dir: parts.dir.clone(),
            session_id: parts.session_id,
            shared: Arc::clone(&shared),
            redactor: parts.redactor,
            sync_every: parts.sync_every,
            clock: parts.clock,
            run_started: parts.run_started,
            run_ended: Arc::clone(&run_ended),
            broken: Box::new(broken),
        };
        let (files_end, rows_end) = (CancellationToken::new(), CancellationToken::new());
        let markers_end = CancellationToken::new();
        let (rows_pool, mode) = (parts.pool, parts.mode);
        let handle = AuditHandle { shared: Arc::clone(&shared) };
        let keeper =
            Keeper::new(rows_pool, Arc::clone(&shared), parts.dir, parts.session_id, mode.clone());
        Self {
            files: spawn_thread(files),
            rows: tokio::spawn(keeper.run(rows_end.clone())),
            markers: tokio::spawn(say_markers(handle.clone(), markers_end.clone())),
            told: tokio::spawn(say_told(handle.clone(), mode.told(), markers_end.clone())),
            markers_end,
            monitor: tokio::spawn(monitor::run(Arc::clone(&shared), mode, files_end.clone())),
            handle,
            run_ended,
            files_end,
            rows_end,
        }
    }

    /// The way to it.
    #[must_use]
    pub fn handle(&self) -> AuditHandle {
        self.handle.clone()
    }

    /// Ends the trail with RUN_ENDED, or without one when nothing may be written any more.
    pub async fn finish(self, run_ended: Option<Draft>) {
        *self.run_ended.lock().unwrap_or_else(PoisonError::into_inner) = run_ended;
        self.markers_end.cancel();
        // They only post what is there.
        let _ = (self.markers.await, self.told.await);
        self.files_end.cancel();
        self.handle.shared.queue.close();
        if tokio::time::timeout(FILES_WAIT, self.files).await.is_err() {
            tracing::error!("the audit files did not close within {FILES_WAIT:?}");
        }
        self.rows_end.cancel();
        if tokio::time::timeout(ROWS_WAIT, self.rows).await.is_err() {
            tracing::warn!("the audit rows did not end within {ROWS_WAIT:?}");
        }
        self.monitor.abort();
    }
}

/// A thread of its own, whose end a task waits for: a disk that hangs holds up no other blocking work.
fn spawn_thread(parts: FilesParts) -> JoinHandle<()> {
    let shared = Arc::clone(&parts.shared);
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let started = std::thread::Builder::new().name("audit-files".to_owned()).spawn(move || {
        files::run(parts);
        drop(ended);
    });
    if let Err(error) = started {
        shared.set_fault(Some((format!("no thread for the audit files: {error}"), false)));
    }
    // The sender is dropped at the end of the thread, however it ends.
    tokio::spawn(async move {
        let _ = end.await;
    })
}
