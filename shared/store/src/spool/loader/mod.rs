//! The loader: from the segments of a raw spool into the partitions of its runs.
//!
//! Input: synced records in the order of run, segment, offset. Output: rows and cursor in one commit
//! per batch, so that each record is loaded exactly once whatever happens in between; trimmed
//! segments. Old runs come first, and each is closed when all of it is loaded. It waits for nothing
//! but the cluster and, for a moment, publications; nothing waits for it.

mod batch;
mod close;
mod quarantine;

use std::sync::Arc;
use std::time::Duration;

use penstock_types::{RunId, Seq};
use sqlx::PgPool;

use self::batch::{BatchError, load_batch};
pub use self::close::ClosedRun;
use super::cursor::{ClosedRunAction, on_closed};
use super::segments::{Batch, Segments, SpoolPosition, SpoolReadError};
use crate::error::StoreError;
use crate::right_of_way::RightOfWay;
use crate::role::ClusterRole;

const CLUSTER: ClusterRole = ClusterRole::Ingest;

/// Pause after a failure that can pass.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How long a batch waits for publications in all: as long as a publication waits for the ingest cluster. A
/// publication takes a tenth of that; one that hangs must not stop the loading.
const PATIENCE: Duration = Duration::from_millis(250);

/// Limits of a batch.
#[derive(Debug, Clone, Copy)]
pub struct LoaderSettings {
    /// `RAW_COPY_MAX_ROWS`.
    pub rows_max: usize,
    /// `RAW_COPY_INTERVAL_MS`: an incomplete batch waits this long for more.
    pub interval: Duration,
}

impl Default for LoaderSettings {
    fn default() -> Self {
        Self { rows_max: 20_000, interval: Duration::from_millis(250) }
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Our own run has been closed by another host (exit 75).
    #[error("run {run_id} is closed on the ingest cluster; next: nothing, a newer instance works")]
    OwnRunClosed {
        /// The run.
        run_id: RunId,
    },
    /// The segments cannot be read.
    #[error(transparent)]
    Read(#[from] SpoolReadError),
    /// The directory cannot be changed.
    #[error("spool directory: {0}")]
    Io(#[from] std::io::Error),
    /// The cluster did not take the batch; the same step can be repeated.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LoadError {
    /// Whether the same step can succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::OwnRunClosed { .. } | Self::Read(_) | Self::Io(_) => false,
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadStep {
    /// Nothing to load at the moment.
    Idle,
    /// A batch was committed.
    Loaded(LoadedBatch),
    /// An old run was closed and its segments are gone.
    Closed(ClosedRun),
    /// Another host has closed an old run before us: its segments were renamed to `.late` for the
    /// operator.
    SetAside {
        /// The run.
        run_id: RunId,
        /// Its segments.
        segments: u32,
    },
}

/// A committed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedBatch {
    /// Run.
    pub run_id: RunId,
    /// Rows that are new.
    pub rows: u64,
    /// Rows that stood already (`RAW_DUPLICATE`).
    pub duplicates: u64,
    /// Rows that the cluster refused (`RAW_ROW_QUARANTINED`).
    pub quarantined: u64,
    /// Highest numbered record loaded.
    pub last_seq: Seq,
    /// Segments unlinked (`SPOOL_TRIMMED`).
    pub trimmed_segments: u32,
    /// Their bytes.
    pub trimmed_bytes: u64,
}

/// Largest memory of a batch that stays for the next one; that of an ordinary one is far below.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// Loads one spool directory.
#[derive(Debug)]
pub struct Loader {
    pool: PgPool,
    segments: Arc<Segments>,
    settings: LoaderSettings,
    /// Publications of this process go first.
    way: RightOfWay,
    /// The run that is being written; never closed from here.
    own_run: Option<RunId>,
    /// Where the next batch of the current run begins; `None` before its cursor was read.
    at: Option<SpoolPosition>,
    /// Memory of the batch before: megabytes that would come and go several times per second.
    spare: Vec<u8>,
}

impl Loader {
    /// A loader on a pool of `ingest_rw`. `own_run` is the run that this process writes, `None` for a
    /// directory that it only inherited.
    #[must_use]
    pub fn new(
        pool: PgPool,
        segments: Arc<Segments>,
        own_run: Option<RunId>,
        settings: LoaderSettings,
    ) -> Self {
        let way = RightOfWay::default();
        Self { pool, segments, settings, way, own_run, at: None, spare: Vec::new() }
    }

    /// The same beside publications that go first.
    #[must_use]
    pub fn giving_way(mut self, way: &RightOfWay) -> Self {
        self.way = way.clone();
        self
    }

    /// Follows a rollover: the run before becomes an old one and is closed when it is loaded. Call it
    /// only when the spool has synced a record of the new run, else records of the old one may still
    /// be on their way.
    pub fn set_own_run(&mut self, run_id: Option<RunId>) {
        self.own_run = run_id;
    }

    /// Limits of this loader.
    #[must_use]
    pub const fn settings(&self) -> LoaderSettings {
        self.settings
    }

    /// Loads one batch of the oldest run, or closes that run, or finds nothing to do.
    ///
    /// Old runs of this directory that left no segment are not its business: the service closes them
    /// through [`Self::close_run`].
    ///
    /// # Errors
    /// [`LoadError`]; after a transient one the step is repeated.
    pub async fn step(&mut self) -> Result<LoadStep, LoadError> {
        // The run that is being loaded comes before every later one until it is closed, also when its
        // segments are gone: an own run that has rolled over waits here for `set_own_run`.
        let current = self.at.map(|at| at.run_id);
        let Some(run_id) = current.into_iter().chain(self.segments.oldest_run()).min() else {
            return Ok(LoadStep::Idle);
        };
        let at = match self.at {
            Some(at) if at.run_id == run_id => at,
            _ => match batch::read_cursor(&self.pool, run_id).await? {
                Some(at) => at,
                None => return self.run_is_closed(run_id),
            },
        };
        self.at = Some(at);
        let segments = Arc::clone(&self.segments);
        let rows_max = self.settings.rows_max;
        // A batch is at most a few MB of page cache, but a cold disk may take long.
        let mut spare = core::mem::take(&mut self.spare);
        let (read, spare) = tokio::task::spawn_blocking(move || {
            let read = segments.read_batch_into(at, rows_max, &mut spare);
            (read, spare)
        })
        .await
        .map_err(std::io::Error::other)?;
        self.spare = spare;
        let Some(batch) = read? else {
            if let Some((batch, mark)) = self.segments.bypass_batch(at, self.settings.rows_max) {
                return self.load(at, &batch, Some(mark)).await;
            }
            let is_old = self.own_run != Some(run_id);
            if is_old && self.segments.all_closed(run_id) {
                let closed = self.close_run(run_id).await?;
                return Ok(LoadStep::Closed(closed));
            }
            return Ok(LoadStep::Idle);
        };
        let step = self.load(at, &batch, None).await;
        let bytes = batch.into_bytes();
        // What a backlog has made large goes again.
        if bytes.capacity() <= SPARE_BYTES_MAX {
            self.spare = bytes;
        }
        step
    }

    /// Loads a batch that was read from a position on; `mark` is that of records that passed the device.
    async fn load(
        &mut self,
        from: SpoolPosition,
        batch: &Batch,
        mark: Option<u64>,
    ) -> Result<LoadStep, LoadError> {
        let run_id = batch.start.run_id;
        let mut patience = self.way.patience(PATIENCE);
        patience.give_way().await;
        match load_batch(&self.pool, from, batch, &mut patience).await {
            Ok(mut loaded) => {
                self.at = Some(batch.end);
                if let Some(mark) = mark {
                    self.segments.passed(mark);
                }
                let (segments, bytes) = self.segments.trim(batch.end)?;
                loaded.trimmed_segments = segments;
                loaded.trimmed_bytes = bytes;
                Ok(LoadStep::Loaded(loaded))
            }
            Err(BatchError::Reposition(at)) => {
                self.at = Some(at);
                Ok(LoadStep::Idle)
            }
            Err(BatchError::Closed) => self.run_is_closed(run_id),
            Err(BatchError::Store(error)) => {
                // The commit may stand: the cursor decides where to go on.
                self.at = None;
                Err(error.into())
            }
        }
    }

    /// Steps until `stop` turns true or its sender is gone: waits the interval when there is little to
    /// do, half a second after a failure that can pass. Each step and each failure goes to `on_step`.
    ///
    /// # Errors
    /// [`LoadError`] that waiting cannot change.
    pub async fn run(
        &mut self,
        mut stop: tokio::sync::watch::Receiver<bool>,
        mut on_step: impl FnMut(Result<&LoadStep, &LoadError>),
    ) -> Result<(), LoadError> {
        while !*stop.borrow() {
            let pause = match self.step().await {
                Ok(LoadStep::Idle) => self.settings.interval,
                Ok(step) => {
                    on_step(Ok(&step));
                    // A small batch waits for company, a full one goes on at once.
                    let half = self.settings.rows_max as u64 / 2;
                    match &step {
                        LoadStep::Loaded(batch) if batch.rows < half => self.settings.interval,
                        _ => Duration::ZERO,
                    }
                }
                Err(error) if error.is_transient() => {
                    on_step(Err(&error));
                    RETRY_AFTER
                }
                Err(error) => return Err(error),
            };
            if pause.is_zero() {
                continue;
            }
            // The stop comes first, so that a shutdown never waits for a busy spool.
            tokio::select! {
                biased;
                changed = stop.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    fn run_is_closed(&mut self, run_id: RunId) -> Result<LoadStep, LoadError> {
        self.at = None;
        match on_closed(self.own_run == Some(run_id)) {
            ClosedRunAction::Stop => Err(LoadError::OwnRunClosed { run_id }),
            ClosedRunAction::SetAside => {
                let segments = self.segments.set_aside(run_id)?;
                Ok(LoadStep::SetAside { run_id, segments })
            }
        }
    }

    /// Closes a run whose records are all loaded: gap rows for numbers without a row, `raw_complete`
    /// of generations above them, `complete`; afterwards its segments are unlinked. Closing a closed
    /// run changes nothing.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn close_run(&mut self, run_id: RunId) -> Result<ClosedRun, LoadError> {
        let closed = close::close_run(&self.pool, run_id).await?;
        self.segments.remove_run(run_id)?;
        if self.at.is_some_and(|at| at.run_id == run_id) {
            self.at = None;
        }
        Ok(closed)
    }
}
