//! Purpose: a loader at work beside something that is measured. Inputs: an open run with its pair of
//! databases. Outputs: rows and time. Invariants: spool and loader are the service's own; the spool is
//! filled again whenever the loader has emptied it, so that it never waits; it ends between two batches.

use std::time::{Duration, Instant};

use penstock_store::ClusterRole;
use penstock_store::spool::loader::{LoadStep, Loader};
use penstock_types::Symbol;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::raw::{Numbers, RawSpool, load_all};
use super::rig::Databases;
use super::side::Side;

/// Rows that are written when nothing is left to load.
const REFILL_ROWS: u64 = 100_000;

/// A spool and its loader.
pub(super) struct Loading {
    spool: RawSpool,
    loader: Loader,
    next: u64,
    /// Rows that are written and not loaded.
    waiting: u64,
}

impl Loading {
    /// Opens the spool of a side's run; its first trade has the number `next`.
    ///
    /// # Errors
    /// A directory or a cluster that does not take it.
    pub(super) async fn open(
        databases: &Databases,
        side: &Side,
        symbols: u32,
        next: u64,
    ) -> anyhow::Result<Self> {
        let names: Result<Vec<Symbol>, _> =
            (0..symbols).map(|n| Symbol::new(&format!("S{n:05}/USD"))).collect();
        let of = (side.run.run.run_id, side.run.fence.token());
        let spool = RawSpool::open(&databases.state().join("spool"), of, names?)?;
        let pool = databases.pool(ClusterRole::Ingest, "ingest_rw", 1).await?;
        let loader = spool.loader(pool).giving_way(&side.way);
        Ok(Self { spool, loader, next, waiting: 0 })
    }

    /// The same with so many more rows on its disk.
    ///
    /// # Errors
    /// A spool that cannot be written.
    pub(super) async fn written(mut self, rows: u64) -> anyhow::Result<Self> {
        let numbers = Numbers { first: self.next, count: rows };
        tokio::task::spawn_blocking(move || {
            self.spool.append(numbers)?;
            self.spool.synced();
            self.next += rows;
            self.waiting += rows;
            Ok(self)
        })
        .await?
    }

    /// The same with at least so many rows on its disk.
    ///
    /// # Errors
    /// A spool that cannot be written.
    pub(super) async fn filled(self, rows: u64) -> anyhow::Result<Self> {
        let missing = rows.saturating_sub(self.waiting);
        self.written(missing).await
    }

    /// Loads everything that is there.
    ///
    /// # Errors
    /// What the cluster said.
    pub(super) async fn load(&mut self) -> anyhow::Result<u64> {
        let rows = load_all(&mut self.loader).await?;
        self.waiting = 0;
        Ok(rows)
    }

    /// Ends the spool.
    ///
    /// # Errors
    /// A thread that panicked.
    pub(super) fn close(self) -> anyhow::Result<()> {
        self.spool.close()
    }
}

/// A loader that works until it is ended.
pub(super) struct LoadingTask {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<(Loading, u64, Duration)>>,
}

impl LoadingTask {
    /// Lets it work.
    pub(super) fn start(loading: Loading) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(work(loading, stop.clone()));
        Self { stop, task }
    }

    /// Ends it; what it loaded, and the time in which it did.
    ///
    /// # Errors
    /// What the cluster or the spool said.
    pub(super) async fn end(self) -> anyhow::Result<(Loading, u64, Duration)> {
        self.stop.cancel();
        self.task.await?
    }
}

async fn work(
    mut loading: Loading,
    stop: CancellationToken,
) -> anyhow::Result<(Loading, u64, Duration)> {
    let (started, mut rows) = (Instant::now(), 0);
    while !stop.is_cancelled() {
        match loading.loader.step().await? {
            LoadStep::Loaded(batch) => {
                rows += batch.rows;
                loading.waiting = loading.waiting.saturating_sub(batch.rows);
            }
            LoadStep::Idle => loading = loading.written(REFILL_ROWS).await?,
            step @ (LoadStep::Closed(_) | LoadStep::SetAside { .. }) => {
                anyhow::bail!("somebody else closed the bench's run: {step:?}")
            }
        }
    }
    Ok((loading, rows, started.elapsed()))
}
