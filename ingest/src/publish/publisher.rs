//! Generations to both clusters: the I-transaction, then the D-transaction, the newest cut wins.
//!
//! Input: cuts from the slot. Output: the published cut for the epochs, marks on the generation row. A
//! generation that the ingest cluster did not take goes to the spool, so that every cut time is recorded.
//! Publication never waits for the ingest cluster: exits need fresh state also when that is down. A cut
//! whose inputs are not yet durable waits for the spool, at most 250 ms.

use super::cuts::{CutJob, CutSlot};
use crate::core::run::CoreCommand;
use crate::cut_rows::{row_count, watermarks};
use crate::exit::Exit;
use crate::lifecycle::alerts::{Alerts, Reason};
use crate::lifecycle::clusters::Clusters;
use crate::lifecycle::startup::fence_exit;
use crate::tasks::Hub;
use penstock_store::RightOfWay;
use penstock_store::spool::SpoolMonitor;
use penstock_store::state_copy::encode_state;
use penstock_store::twins::{LineageRow, RunRow, RunSymbolRow};
use penstock_store_decision::publication::{
    GenerationInput, GenerationPublisher, PublishError, Published,
};
use penstock_store_ingest::generations::{
    AfterFailure, GenerationRecorder, SyncStatus, Watermark, mark_generation,
};
use penstock_telemetry::marker;
use penstock_types::raw::CandleRow;
use penstock_types::{FencingToken, GenerationId, LineageId, RunId, Symbol, UtcMicros};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Longest wait of a publication for the sync of its inputs, counted from the cut.
const SYNC_WAIT: Duration = Duration::from_millis(250);
/// Time for the last generation of a run on the ingest cluster.
const LAST_RECORD_WAIT: Duration = Duration::from_secs(3);
/// Condition of the alert about the decision cluster.
const DECISION: &str = "decision";
/// Marks that may be on their way; more are left out, they only repeat the pointer.
const MARKS_MAX: usize = 16;
/// Runs of this process that are kept: a cut or an epoch on its way belongs to one of the last two.
const RUNS_KEPT: usize = 64;
/// Candles kept until a commit confirms them: 120 minutes of 1,000 symbols.
const CANDLES_MAX: usize = 120_000;

/// Run, lineage and symbol numbers, as every publication needs them.
#[derive(Debug, Clone)]
pub(crate) struct RunContext {
    pub domain: String,
    /// Fence of this process.
    pub token: FencingToken,
    /// Newest runs of this process, the newest last.
    runs: Arc<Mutex<VecDeque<Arc<RunRow>>>>,
    /// Lineages of this process, the newest last.
    pub lineages: watch::Receiver<Vec<Arc<LineageRow>>>,
    run_symbols: Arc<Mutex<Vec<RunSymbolRow>>>,
    /// Bytes of the spool's memory, for its fill in percent.
    pub ring_bytes: u64,
    /// Bulk writing of the ingest cluster gives way to publications.
    pub way: RightOfWay,
    /// Symbols whose candles the decision cluster gets: execution and pinned.
    pub candle_symbols: Arc<Mutex<BTreeSet<Symbol>>>,
    /// Every tracked symbol.
    pub tracked_symbols: Arc<Mutex<BTreeSet<Symbol>>>,
}

impl RunContext {
    pub(crate) fn new(
        run: RunRow,
        lineages: watch::Receiver<Vec<Arc<LineageRow>>>,
        ring_bytes: u64,
        tracked: &BTreeSet<Symbol>,
    ) -> Self {
        Self {
            domain: run.domain.clone(),
            token: run.fencing_token,
            runs: Arc::new(Mutex::new(VecDeque::from([Arc::new(run)]))),
            lineages,
            run_symbols: Arc::default(),
            ring_bytes,
            way: RightOfWay::default(),
            // Until the first epoch names the execution set, every tracked pair counts.
            candle_symbols: Arc::new(Mutex::new(tracked.clone())),
            tracked_symbols: Arc::new(Mutex::new(tracked.clone())),
        }
    }

    /// The newest run.
    pub(crate) fn run(&self) -> Arc<RunRow> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(runs.back().expect("a process starts with a run"))
    }

    /// A run of this process.
    pub(crate) fn run_of(&self, run_id: RunId) -> Arc<RunRow> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let found = runs.iter().find(|run| run.run_id == run_id);
        Arc::clone(found.expect("a run is listed before the core records under it"))
    }

    /// The core goes over to another run.
    pub(crate) fn begin_run(&self, run: RunRow) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.push_back(Arc::new(run));
        while runs.len() > RUNS_KEPT {
            runs.pop_front();
        }
    }

    /// A symbol has a number.
    pub(crate) fn add_symbol(&self, row: RunSymbolRow) {
        self.run_symbols.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    /// The lineage of a cut.
    pub(crate) fn lineage_of(&self, lineage_id: LineageId) -> Arc<LineageRow> {
        let lineages = self.lineages.borrow();
        let found = lineages.iter().find(|l| l.lineage_id == lineage_id);
        Arc::clone(found.expect("a lineage is listed before the core records under it"))
    }

    /// The newest lineage.
    pub(crate) fn lineage(&self) -> Arc<LineageRow> {
        let lineages = self.lineages.borrow();
        Arc::clone(lineages.last().expect("a process starts with a lineage"))
    }

    /// Numbers of a run; those of older ones are let go.
    pub(crate) fn symbols_of(&self, run_id: RunId) -> Vec<RunSymbolRow> {
        let mut symbols = self.run_symbols.lock().unwrap_or_else(PoisonError::into_inner);
        symbols.retain(|row| row.run_id >= run_id);
        symbols.iter().filter(|row| row.run_id == run_id).cloned().collect()
    }
}

/// A cut that is visible on the decision cluster.
#[derive(Debug, Clone)]
pub(crate) struct PublishedCut {
    pub job: CutJob,
}

/// The publishing task.
pub(crate) struct Publisher {
    context: RunContext,
    cuts: Arc<CutSlot>,
    core: mpsc::Sender<CoreCommand>,
    spool: SpoolMonitor,
    alerts: Alerts,
    published: watch::Sender<Option<PublishedCut>>,
    refresh_max: Duration,
    is_slow: watch::Sender<bool>,
    /// Counts the ends of the ingest cluster's outages.
    recoveries: watch::Sender<u64>,
    recorder: Option<GenerationRecorder>,
    publisher: GenerationPublisher,
    clusters: Clusters,
    ingest_down: Option<Instant>,
    decision_down: Option<Instant>,
    candles: VecDeque<CandleRow>,
    trimmed_hour: i64,
    last: Option<GenerationId>,
    /// Marks on the ingest cluster that are on their way.
    marks: JoinSet<()>,
}

impl Publisher {
    pub(crate) fn new(
        hub: &Hub,
        cuts: Arc<CutSlot>,
        published: watch::Sender<Option<PublishedCut>>,
        is_slow: watch::Sender<bool>,
        recoveries: watch::Sender<u64>,
    ) -> Self {
        Self {
            context: hub.context.clone(),
            cuts,
            core: hub.core.clone(),
            spool: hub.monitor.clone(),
            alerts: hub.alerts.clone(),
            published,
            refresh_max: hub.settings.refresh_max,
            is_slow,
            recoveries,
            recorder: None,
            publisher: GenerationPublisher::new(hub.clusters.decision.clone()),
            clusters: hub.clusters.clone(),
            ingest_down: None,
            decision_down: None,
            candles: VecDeque::new(),
            trimmed_hour: i64::MIN,
            last: None,
            marks: JoinSet::new(),
        }
    }

    /// Publishes until the slot is closed.
    ///
    /// # Errors
    /// [`Exit`] when the fence is lost, the run was closed by another host, or rows disagree.
    pub(crate) async fn run(mut self) -> Result<(), Exit> {
        while let Some(job) = self.cuts.take().await {
            assert!(
                self.last.is_none_or(|last| last < job.cut.generation_id),
                "generations ascend"
            );
            self.last = Some(job.cut.generation_id);
            self.keep_candles(&job);
            let encoded = encode_state(&job.cut.rows);
            self.record(&job, &encoded).await?;
            let left = SYNC_WAIT.saturating_sub(job.cut_at.elapsed());
            self.spool.wait_synced(job.cut.run_id, job.cut.wm_seq, left).await;
            self.publish(&job, &encoded).await?;
            let slow = job.cut_at.elapsed() > self.refresh_max;
            if slow {
                let duration_ms = job.cut_at.elapsed().as_millis();
                marker!(
                    STATE_REFRESH_SLOW,
                    duration_ms = duration_ms,
                    limit_secs = self.refresh_max.as_secs(),
                );
            }
            self.is_slow.send_replace(slow);
        }
        while self.marks.join_next().await.is_some() {}
        Ok(())
    }

    fn keep_candles(&mut self, job: &CutJob) {
        let symbols =
            self.context.candle_symbols.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.candles
            .extend(job.cut.candles.iter().filter(|c| symbols.contains(&c.symbol)).cloned());
        let limit = job.cut.as_of.plus_millis(-120 * 60_000);
        while self.candles.len() > CANDLES_MAX
            || self.candles.front().is_some_and(|c| c.minute < limit)
        {
            self.candles.pop_front();
        }
    }

    async fn record(&mut self, job: &CutJob, encoded: &[u8]) -> Result<(), Exit> {
        let cut = &job.cut;
        marker!(
            REFRESH_INCREMENTAL,
            generation_id = cut.generation_id,
            delta_ticker_rows = cut.deltas.ticker,
            delta_trade_rows = cut.deltas.trade,
            delta_l2_rows = cut.deltas.l2,
            delta_l3_rows = cut.deltas.l3,
            wm_seq = cut.wm_seq,
        );
        let watermarks = watermarks(cut);
        if self.recorder.is_none() {
            self.recorder = self.clusters.ingest().map(GenerationRecorder::new);
        }
        let Some(recorder) = &mut self.recorder else {
            self.not_recorded(job, "it has not answered since the start".to_owned()).await;
            return Ok(());
        };
        let passing = self.context.way.take();
        let recorded = recorder.record(&job.generation_row(), &watermarks, encoded).await;
        drop(passing);
        match recorded {
            Ok(duration) => {
                if let Some(since) = self.ingest_down.take() {
                    marker!(INGEST_DB_RECOVERED, down_ms = since.elapsed().as_millis());
                    self.recoveries.send_modify(|n| *n += 1);
                }
                marker!(
                    RUN_SYMBOL_STATE_REFRESH,
                    run_id = cut.run_id,
                    generation_id = cut.generation_id,
                    run_symbol_state_refresh_duration_ms = duration.as_millis(),
                    row_count = row_count(cut),
                    changed_rows = cut.changed,
                );
                Ok(())
            }
            Err(error) => match error.follow_up() {
                AfterFailure::Stop => Err(Exit::Fenced(error.to_string())),
                AfterFailure::SpoolAndPublish => {
                    if !self.not_recorded(job, error.to_string()).await {
                        self.record_last(job, &watermarks, encoded).await;
                    }
                    Ok(())
                }
            },
        }
    }

    /// The core and its spool are gone: this is the last generation, which has more time.
    async fn record_last(&self, job: &CutJob, watermarks: &[Watermark], encoded: &[u8]) {
        let Some(pool) = self.clusters.ingest() else { return };
        let mut last = GenerationRecorder::new(pool).with_deadline(LAST_RECORD_WAIT);
        if let Err(error) = last.record(&job.generation_row(), watermarks, encoded).await {
            tracing::warn!("record the last generation: {error}");
        }
    }

    /// The ingest cluster did not take a generation: its row goes to the spool. False when that is gone.
    async fn not_recorded(&mut self, job: &CutJob, error: String) -> bool {
        if self.ingest_down.is_none() {
            self.ingest_down = Some(Instant::now());
            marker!(INGEST_DB_UNAVAILABLE, down_ms = 0, error = error);
        }
        let row = Box::new(job.generation_row());
        self.core.send(CoreCommand::SpoolGeneration(row)).await.is_ok()
    }

    async fn publish(&mut self, job: &CutJob, encoded: &[u8]) -> Result<(), Exit> {
        let cut = &job.cut;
        let lineage = self.context.lineage_of(cut.lineage_id);
        let run = self.context.run_of(cut.run_id);
        let run_symbols = self.context.symbols_of(cut.run_id);
        let candles: Vec<CandleRow> = self.candles.iter().cloned().collect();
        let hour = cut.as_of.secs().div_euclid(3_600);
        let input = GenerationInput {
            run: &run,
            lineage: &lineage,
            run_symbols: &run_symbols,
            token: self.context.token,
            generation_id: cut.generation_id,
            as_of: cut.as_of,
            cut_at: job.cut_at,
            last_msg_age_ms: i32::try_from(cut.last_msg_age_ms).unwrap_or(i32::MAX),
            encoded,
            row_count: row_count(cut),
            content_hash: cut.content_hash,
            refresh_duration_ms: job.refresh_duration_ms,
            gap_open: cut.gap_open,
            candles: &candles,
            trim_candles: hour != self.trimmed_hour,
        };
        let refreshed = Instant::now();
        let passing = self.context.way.take();
        let published = self.publisher.publish(&input).await;
        drop(passing);
        match published {
            Ok(published) => {
                self.trimmed_hour = hour;
                self.candles.clear();
                self.published_ok(job, published, refreshed.elapsed());
                Ok(())
            }
            Err(error) => self.publish_failed(job, error).await,
        }
    }

    fn published_ok(&mut self, job: &CutJob, published: Published, since_refresh: Duration) {
        if let Some(since) = self.decision_down.take() {
            marker!(DECISION_DB_RECOVERED, down_ms = since.elapsed().as_millis());
            self.alerts.ends(Reason::DbUnavailable, DECISION);
        }
        let cut = &job.cut;
        let sync_duration_ms = i32::try_from(published.duration.as_millis()).unwrap_or(i32::MAX);
        marker!(
            RUN_SYMBOL_STATE_SYNC,
            run_id = cut.run_id,
            generation_id = cut.generation_id,
            synced_rows = row_count(cut),
            sync_duration_ms = sync_duration_ms,
            result = "ok",
        );
        marker!(
            SYNC_LAG_MS,
            sync_duration_ms = sync_duration_ms,
            time_since_refresh_end_ms = since_refresh.as_millis(),
            as_of_lag_ms = published.as_of_lag_ms,
        );
        let at = published.published_at;
        self.published.send_replace(Some(PublishedCut { job: job.clone() }));
        self.mark(cut.generation_id, SyncStatus::Published, Some(at), Some(sync_duration_ms), None);
    }

    async fn publish_failed(&mut self, job: &CutJob, error: PublishError) -> Result<(), Exit> {
        let cut = &job.cut;
        let text = error.to_string();
        marker!(
            at penstock_telemetry::Level::Warn, RUN_SYMBOL_STATE_SYNC,
            run_id = cut.run_id,
            generation_id = cut.generation_id,
            synced_rows = 0,
            sync_duration_ms = 0,
            result = "failed",
            error = text,
        );
        match error {
            PublishError::Fence(error @ penstock_store::fence::FenceError::Lost { .. }) => {
                marker!(INGEST_FENCED_OUT, mine = self.context.token, current = "newer",);
                self.mark(cut.generation_id, SyncStatus::Fenced, None, None, Some(text));
                Err(fence_exit(error))
            }
            PublishError::StaleGeneration { .. } => {
                marker!(
                    STATE_PUBLISH_REJECTED,
                    generation_id = cut.generation_id,
                    current = "newer",
                    reason = "stale_generation",
                );
                self.mark(cut.generation_id, SyncStatus::Superseded, None, None, Some(text));
                Ok(())
            }
            PublishError::Twin(penstock_store_decision::TwinError::Mismatch(_)) => {
                Err(Exit::Invariant(text))
            }
            PublishError::Fence(_)
            | PublishError::RowCount { .. }
            | PublishError::Twin(_)
            | PublishError::Store(_) => {
                if self.decision_down.is_none() {
                    self.decision_down = Some(Instant::now());
                    marker!(DECISION_DB_UNAVAILABLE, down_ms = 0, error = text);
                    self.alerts.begins(Reason::DbUnavailable, DECISION, &text);
                }
                self.mark(cut.generation_id, SyncStatus::Failed, None, None, Some(text));
                Ok(())
            }
        }
    }

    /// Writes the fate of a generation on the ingest cluster, best effort and beside the publication.
    fn mark(
        &mut self,
        generation_id: GenerationId,
        status: SyncStatus,
        published_at: Option<UtcMicros>,
        duration_ms: Option<i32>,
        error: Option<String>,
    ) {
        while self.marks.try_join_next().is_some() {}
        if self.ingest_down.is_some() || self.marks.len() >= MARKS_MAX {
            return;
        }
        let Some(pool) = self.clusters.ingest() else { return };
        self.marks.spawn(async move {
            let marked = mark_generation(
                &pool,
                generation_id,
                status,
                published_at,
                duration_ms,
                error.as_deref(),
            );
            // The pointer on the decision cluster is the truth; the mark only repeats it.
            if let Err(error) = marked.await {
                tracing::debug!("mark generation {generation_id}: {error}");
            }
        });
    }
}
