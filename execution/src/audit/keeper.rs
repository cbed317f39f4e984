//! The task that gives lines their rows: in order, in batches, and from the files after an outage.
//!
//! Input: lines that are on disk. Output: rows of `audit_events`; the cause DB_UNAVAILABLE while the cluster
//! refuses. Invariants: no row without a synced line; rows come in the order of the lines, so that the last
//! one says what is missing; after an outage the files are read from that row on, and a row that is there
//! already is met again without harm; the partitions of a day are there before its first row. It never
//! holds up the files: a cluster that is away costs rows their timeliness and nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDate, Timelike, Utc};
use penstock_audit::backlog::Backlog;
use penstock_audit::{Day, Line};
use penstock_store::partitions::{DailyTable, create_daily_partition};
use penstock_store::{ClusterRole, StoreError};
use penstock_store_decision::audit;
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::SessionId;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::handle::Shared;
use super::retell::Retelling;
use crate::mode::{ModeHandle, Source};

/// Rows of one insert.
const BATCH_MAX: usize = 256;
/// Longest wait of a line for company.
const BATCH_WAIT: Duration = Duration::from_millis(50);
/// Longest wait for an insert: a cluster that does not answer in this time is away.
const INSERT_WAIT: Duration = Duration::from_secs(3);
/// Pause before a cluster that refused is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// How long the end waits for the last rows.
const END_WAIT: Duration = Duration::from_secs(3);
/// Minute after midnight from which on tomorrow's partition is made.
const TOMORROW_AFTER_MINUTE: u32 = 5;

/// Why rows are not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no answer within {INSERT_WAIT:?}")]
    Late,
    #[error(transparent)]
    Files(#[from] penstock_audit::trail::StorageError),
    #[error("the reader of the files ended: {0}")]
    Reader(String),
}

/// Gives lines their rows.
pub(crate) struct Keeper {
    pub(crate) pool: PgPool,
    pub(crate) shared: Arc<Shared>,
    pub(crate) dir: PathBuf,
    pub(crate) session_id: SessionId,
    pub(crate) mode: ModeHandle,
    partitions: BTreeSet<NaiveDate>,
    retelling: Retelling,
    is_refused: bool,
}

impl Keeper {
    pub(crate) fn new(
        pool: PgPool,
        shared: Arc<Shared>,
        dir: PathBuf,
        session_id: SessionId,
        mode: ModeHandle,
    ) -> Self {
        // What the session before left without a row comes first.
        shared.rows.fall_behind();
        let (partitions, retelling) = (BTreeSet::new(), Retelling::default());
        Self { pool, shared, dir, session_id, mode, partitions, retelling, is_refused: false }
    }

    /// Runs until `end`, then as long as rows are missing and three seconds have not passed. `end` comes
    /// after the files are closed.
    pub(crate) async fn run(mut self, end: CancellationToken) {
        while !end.is_cancelled() {
            let done = self.step().await;
            self.judge(&done);
            let wait = if done.is_err() { RETRY } else { BATCH_WAIT };
            let more = self.shared.rows.is_behind();
            if matches!(done, Ok(count) if count >= BATCH_MAX || more) {
                continue;
            }
            // The end first: its rows have a time of their own. Then lines, at most a batch's wait apart.
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        let last = async {
            while self.shared.rows.is_behind() || !self.shared.rows.front(1).is_empty() {
                if self.step().await.is_err() {
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        if tokio::time::timeout(END_WAIT, last).await.is_err() {
            tracing::warn!("audit rows are missing at the end; the next session reads them back");
        }
        self.retelling.end(&self.shared);
    }

    /// One batch, or one reading back of the files.
    async fn step(&mut self) -> Result<usize, RowError> {
        self.make_tomorrow().await?;
        if self.shared.rows.is_behind() {
            self.shared.rows.begin_backfill();
            let read = self.backfill().await;
            match &read {
                Ok(_) => self.shared.rows.end_backfill(),
                Err(_) => self.shared.rows.fall_behind(),
            }
            return read;
        }
        let lines = self.shared.rows.front(BATCH_MAX);
        if lines.is_empty() {
            // What it finds wrong is its own: rows are written all the same.
            self.retelling.step(&self.pool, self.session_id, &self.shared).await;
            return Ok(0);
        }
        self.insert(&lines).await?;
        self.shared.rows.done(lines.len());
        Ok(lines.len())
    }

    /// Reads the files back from the last row on.
    async fn backfill(&mut self) -> Result<usize, RowError> {
        let last = late(audit::last_row(&self.pool)).await?;
        let dir = self.dir.clone();
        let open = move || {
            // A day earlier: an event may be a day older than its neighbours.
            let from = last.and_then(|(_, _, day)| Day::of_date(day.date().pred_opt()?));
            Backlog::open(&dir, from, last.map(|(session, seq, _)| (session, seq)))
        };
        let mut backlog = blocking(open).await??;
        let mut count = 0;
        loop {
            let (back, lines) = blocking(move || {
                let mut lines = Vec::new();
                while lines.len() < BATCH_MAX {
                    match backlog.next_line()? {
                        Some(line) => lines.push(line),
                        None => break,
                    }
                }
                Ok::<_, RowError>((backlog, lines))
            })
            .await??;
            backlog = back;
            let synced = self.shared.rows.last_seq();
            let is_on_disk = |line: &Line| line.session_id != self.session_id || line.seq <= synced;
            let lines: Vec<Line> = lines.into_iter().take_while(|line| is_on_disk(line)).collect();
            if lines.is_empty() {
                if count > 0 {
                    tracing::info!("{count} audit events were read back from the files");
                }
                return Ok(count);
            }
            self.insert(&lines).await?;
            count += lines.len();
        }
    }

    async fn insert(&mut self, lines: &[Line]) -> Result<(), RowError> {
        let days: BTreeSet<NaiveDate> = lines.iter().map(|line| line.event.day().date()).collect();
        for day in days {
            self.make(day).await?;
        }
        late(audit::insert(&self.pool, lines)).await?;
        Ok(())
    }

    /// Today's partition at the start, tomorrow's from five minutes after midnight on.
    async fn make_tomorrow(&mut self) -> Result<(), RowError> {
        let now = Utc::now();
        let today = now.date_naive();
        self.make(today).await?;
        if now.hour() > 0 || now.minute() >= TOMORROW_AFTER_MINUTE {
            self.make(today.succ_opt().unwrap_or(today)).await?;
        }
        Ok(())
    }

    async fn make(&mut self, day: NaiveDate) -> Result<(), RowError> {
        if self.partitions.contains(&day) {
            return Ok(());
        }
        let made = async {
            let reached = self.pool.acquire().await;
            let mut conn = reached
                .map_err(|e| StoreError::sql("reach the cluster", ClusterRole::Decision, e))?;
            create_daily_partition(&mut conn, DailyTable::AuditEvents, day).await
        };
        late(made).await?;
        self.partitions.insert(day);
        Ok(())
    }

    /// The mode knows of the first refusal, and of the first success after it.
    fn judge(&mut self, done: &Result<usize, RowError>) {
        let (code, level) = (CauseCode::DbUnavailable, Level::Degrade);
        match done {
            Ok(_) if self.is_refused => {
                self.is_refused = false;
                tracing::info!("audit rows are written again");
                self.mode.set_from(Source::Audit, code, level, false, None);
            }
            Ok(_) => {}
            Err(error) => {
                if !self.is_refused {
                    tracing::warn!("audit rows are not written, the files go on: {error}");
                }
                self.is_refused = true;
                self.mode.set_from(Source::Audit, code, level, true, Some(error.to_string()));
            }
        }
    }
}

pub(super) async fn late<T>(
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, RowError> {
    match tokio::time::timeout(INSERT_WAIT, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(RowError::Late),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RowError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| RowError::Reader(error.to_string()))
}
