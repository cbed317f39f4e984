//! Epochs: the universe built anew, a window judged, both clusters told.
//!
//! Input: published cuts, the venue's pairs and volumes, pinned and blocked symbols. Output: one judged
//! epoch with its snapshot per interval. The first is judged at the end of the warm-up over the time
//! since the start; a new lineage begins again in that way. A judgement is written once; what fails is
//! the writing, and that is repeated each second while the epoch is young enough to be bound.

use super::epoch_markers::{tell_judgement, tell_warm_up};
use super::publisher::PublishedCut;
use crate::core::run::CoreCommand;
use crate::exit::Exit;
use crate::lifecycle::alerts::Reason;
use crate::lifecycle::durability::Durability;
use crate::lifecycle::startup::fence_exit;
use crate::tasks::Hub;
use crate::universe::feeds::{Reference, SocketOpener};
use crate::universe::layers::{BuildInput, Layers};
use crate::universe::reference::Pairs;
use penstock_market::epoch::{self, EpochInput as Judged, Level3Input};
use penstock_market::universe::HARD_BLOCKED;
use penstock_store::fence::FenceError;
use penstock_store::twins::{JudgedEpochRow, UniverseSnapshotRow};
use penstock_store_decision::epochs::{EpochInput, publish_epoch};
use penstock_store_decision::instruments::{hard_blocked_symbols, pinned_symbols};
use penstock_store_decision::publication::PublishError;
use penstock_telemetry::marker;
use penstock_types::ids::fenced_number;
use penstock_types::vocab::EpochStatus;
use penstock_types::{EpochId, LineageId, Symbol, UtcMicros};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Longest wait for a published cut at the end of a window.
const CUT_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for the venue's volumes; the ones before are used then.
const VOLUMES_WAIT: Duration = Duration::from_secs(4);
const RETRY: Duration = Duration::from_secs(1);

/// Ends and knowledge of the epochs task.
pub(crate) struct Epochs {
    pub hub: Hub,
    pub published: watch::Receiver<Option<PublishedCut>>,
    pub reference: Reference,
    pub sockets: SocketOpener,
    /// Told of epochs that the ingest cluster did not take.
    pub missed: Arc<Notify>,
    pub layers: Layers,
    pub durability: Durability,
    pub status: watch::Sender<EpochsStatus>,
}

/// What heartbeats tell about epochs.
#[derive(Debug, Clone, Default)]
pub(crate) struct EpochsStatus {
    pub newest: Option<EpochId>,
    pub valid: u64,
    pub is_warm: bool,
    pub is_degraded_warmup: bool,
}

/// Counters of the task.
#[derive(Debug)]
pub(super) struct Progress {
    pub n: i64,
    pub lineage: LineageId,
    pub lineage_since: UtcMicros,
    pub seq: i32,
    pub pinned: BTreeSet<Symbol>,
    pub hard_blocked: BTreeSet<Symbol>,
    /// Epochs since the last valid one.
    pub not_valid: u32,
}

impl Epochs {
    /// Judges until it is cancelled.
    ///
    /// # Errors
    /// [`Exit`] when the fence is lost or rows disagree.
    pub(crate) async fn run(mut self) -> Result<(), Exit> {
        let lineage = self.hub.context.lineage();
        let mut progress = Progress {
            n: 0,
            lineage: lineage.lineage_id,
            lineage_since: lineage.started_at,
            seq: 0,
            pinned: BTreeSet::new(),
            hard_blocked: BTreeSet::new(),
            not_valid: 0,
        };
        let symbol_count = self.layers.universe.tracked.len();
        marker!(
            DATA_WARMUP_START,
            run_id = self.hub.context.run().run_id,
            symbol_count = symbol_count
        );
        marker!(INGEST_WARMUP_STATE, state = "warming_up");
        let mut due = Instant::now() + self.hub.settings.warmup;
        loop {
            let epoch_id = self.open(&mut progress).await?;
            let lineages = &mut self.hub.context.lineages;
            lineages.mark_unchanged();
            tokio::select! {
                // Biased: a stop first; a new lineage starts the window over.
                biased;
                () = self.hub.cancel.cancelled() => return Ok(()),
                changed = lineages.changed() => {
                    if changed.is_ok() {
                        let lineage = self.hub.context.lineage();
                        (progress.lineage, progress.seq) = (lineage.lineage_id, 0);
                        progress.lineage_since = lineage.started_at;
                        due = Instant::now() + self.hub.settings.warmup;
                    }
                    continue;
                }
                () = tokio::time::sleep_until(due) => {}
            }
            due += self.hub.settings.epoch_interval;
            let cancel = self.hub.cancel.clone();
            match cancel.run_until_cancelled(self.judge(epoch_id, &mut progress)).await {
                Some(outcome) => outcome?,
                None => return Ok(()),
            }
        }
    }

    async fn open(&self, progress: &mut Progress) -> Result<EpochId, Exit> {
        progress.n += 1;
        progress.seq += 1;
        let token = self.hub.context.token;
        let number =
            fenced_number(token, progress.n).map_err(|e| Exit::Invariant(e.to_string()))?;
        let epoch_id = EpochId(number);
        marker!(
            INGEST_EPOCH_STARTED,
            epoch_id = epoch_id,
            epoch_seq = progress.seq,
            lineage_id = progress.lineage.to_string(),
            run_id = self.hub.context.run().run_id,
        );
        // The core is gone only at the end of the process, when no epoch follows.
        let _ = self.hub.core.send(CoreCommand::OpenEpoch(Some(epoch_id))).await;
        Ok(epoch_id)
    }

    async fn judge(&mut self, epoch_id: EpochId, progress: &mut Progress) -> Result<(), Exit> {
        let began = self.hub.clock.now();
        let Some(cut) = self.cut_at(began).await else {
            tracing::warn!("no generation was published in time: epoch {epoch_id} is not judged");
            return Ok(());
        };
        let as_of = cut.job.cut.as_of;
        let window_ms =
            i64::try_from(self.hub.settings.epoch_window.as_millis()).unwrap_or(300_000);
        let window_start = as_of.plus_millis(-window_ms).max(progress.lineage_since);
        self.rebuild(&cut, window_start, progress).await;
        let universe = &self.layers.universe;
        let judgement = epoch::judge(&Judged {
            cut: &cut.job.cut,
            execution: &universe.execution,
            pinned: &progress.pinned,
            hard_blocked: &progress.hard_blocked,
            hard_blocked_left_out: universe.left_out(HARD_BLOCKED),
            window_start,
            gaps: &cut.job.gaps,
            gap_secs: self.hub.settings.core.gap_secs,
            min_ticker_per_symbol: self.hub.settings.min_ticker_per_symbol,
            min_universe: self.hub.settings.min_universe,
            is_durable: self.durability.held_since(window_start),
            level3: self.level3(window_start),
        });
        tell_judgement(epoch_id, &judgement);
        if !self.status.borrow().is_warm {
            tell_warm_up(self.hub.context.run().run_id, &judgement);
        }
        let completed_at = self.hub.clock.now();
        let snapshot = judgement
            .has_snapshot
            .then(|| self.snapshot(epoch_id, cut.job.cut.run_id, progress, completed_at));
        let row =
            self.row(epoch_id, progress, &judgement, &cut, (window_start, began, completed_at));
        self.watch_validity(progress, &row);
        self.write(&row, snapshot.as_ref()).await?;
        if self.finished(epoch_id, &row, &cut) {
            self.write_warm().await;
        }
        Ok(())
    }

    /// What is judged of order-by-order books; nothing while they are off.
    fn level3(&self, window_start: UtcMicros) -> Option<Level3Input<'_>> {
        self.hub.settings.universe.l3_limit?;
        let health = self.hub.health.borrow();
        let newest_loss = health.level3.systemic_at.max(health.l3_shed_at);
        Some(Level3Input {
            symbols: &self.layers.universe.l3,
            is_first: self.status.borrow().newest.is_none(),
            is_lost: newest_loss >= Some(window_start)
                || !self.durability.kept_level3_since(window_start),
        })
    }

    /// The first published cut at or after a time.
    async fn cut_at(&mut self, at: UtcMicros) -> Option<PublishedCut> {
        let is_due =
            |cut: &Option<PublishedCut>| cut.as_ref().is_some_and(|c| c.job.cut.as_of >= at);
        let found = tokio::time::timeout(CUT_WAIT, self.published.wait_for(is_due)).await;
        found.ok()?.ok()?.clone()
    }

    async fn rebuild(
        &mut self,
        cut: &PublishedCut,
        window_start: UtcMicros,
        progress: &mut Progress,
    ) {
        let began = Instant::now();
        match tokio::time::timeout(VOLUMES_WAIT, self.reference.volumes.fetch()).await {
            Ok(Ok(volumes)) => self.reference.known_volumes = volumes,
            Ok(Err(error)) => tracing::warn!("volumes: {error}"),
            Err(_) => tracing::warn!("volumes: no answer within {VOLUMES_WAIT:?}"),
        }
        let symbols =
            |texts: Vec<String>| texts.iter().filter_map(|t| Symbol::new(t).ok()).collect();
        match pinned_symbols(&self.hub.clusters.decision).await {
            Ok(found) => progress.pinned = symbols(found),
            Err(error) => tracing::warn!("pinned symbols: {error}"),
        }
        match hard_blocked_symbols(&self.hub.clusters.decision).await {
            Ok(found) => progress.hard_blocked = symbols(found),
            Err(error) => tracing::warn!("blocked symbols: {error}"),
        }
        let window_secs = cut.job.cut.as_of.millis_since(window_start) / 1_000;
        let pairs = self.reference.pairs.borrow().clone();
        let commands = self.layers.rebuild(&BuildInput {
            pairs: &pairs,
            volumes: &self.reference.known_volumes,
            state: Some((&cut.job.cut, &cut.job.gaps)),
            pinned: progress.pinned.clone(),
            hard_blocked: progress.hard_blocked.clone(),
            tickers_min: epoch::scaled_threshold(
                self.hub.settings.min_ticker_per_symbol,
                window_secs,
            ),
            window_start,
        });
        self.open_sockets().await;
        for command in commands {
            // The core is gone only at the end of the process.
            let _ = self.hub.core.send(command).await;
        }
        let universe = &self.layers.universe;
        let candles = universe.execution.iter().chain(&universe.pinned).cloned().collect();
        let context = &self.hub.context;
        *context.candle_symbols.lock().unwrap_or_else(PoisonError::into_inner) = candles;
        let tracked = universe.tracked.iter().cloned().collect();
        *context.tracked_symbols.lock().unwrap_or_else(PoisonError::into_inner) = tracked;
        self.write_instruments(&pairs).await;
        let refresh_ms = began.elapsed().as_millis();
        let symbol_count = universe.tracked.len();
        marker!(
            UNIVERSE_REFRESH_STATE_TIMING,
            refresh_ms = refresh_ms,
            total_ms = refresh_ms,
            symbol_count = symbol_count,
        );
    }

    /// Opens the sockets that the universe has outgrown; the core knows each before its first pair.
    async fn open_sockets(&mut self) {
        let opened = match self.sockets.open_missing(&self.layers) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!("another socket: {error}");
                return;
            }
        };
        for socket in opened {
            // The core is gone only at the end of the process.
            let Ok(place) = self.hub.core.reserve().await else { return };
            self.sockets.connect(socket, |group| {
                place.send(CoreCommand::AddGroup(Box::new(group)));
            });
        }
    }

    async fn write_instruments(&self, pairs: &Pairs) {
        let tracked = self.layers.tracked().filter_map(|t| pairs.get(&t.symbol));
        let rows: Vec<_> = tracked.map(|p| p.twin.clone()).collect();
        crate::lifecycle::startup::write_instruments(
            &self.hub.clusters,
            self.hub.context.token,
            &rows,
        )
        .await;
    }

    /// Writes the epoch on both clusters; the decision cluster is repeated each second.
    async fn write(
        &self,
        row: &JudgedEpochRow,
        snapshot: Option<&UniverseSnapshotRow>,
    ) -> Result<(), Exit> {
        let is_recorded = self.record(row, snapshot).await;
        let began = Instant::now();
        let context = &self.hub.context;
        let (run, lineage) = (context.run_of(row.run_id), context.lineage_of(row.lineage_id));
        let token = row.fencing_token;
        let mut attempt = 0_u32;
        loop {
            attempt += 1;
            let input = EpochInput { token, run: &run, lineage: &lineage, snapshot, epoch: row };
            match publish_epoch(&self.hub.clusters.decision, input).await {
                Ok(()) => break,
                Err(PublishError::Fence(error @ FenceError::Lost { .. })) => {
                    marker!(INGEST_FENCED_OUT, mine = token, current = "newer");
                    return Err(fence_exit(error));
                }
                Err(error) => {
                    marker!(
                        INGEST_DUAL_WRITE_EPOCH_FAILED,
                        error = error.to_string(),
                        attempt = attempt
                    );
                    self.publish_failed(&error.to_string());
                    if matches!(
                        error,
                        PublishError::Twin(penstock_store_decision::TwinError::Mismatch(_))
                    ) {
                        return Err(Exit::Invariant(error.to_string()));
                    }
                }
            }
            if began.elapsed() >= self.hub.settings.epoch_max_age {
                return Ok(());
            }
            tokio::time::sleep(RETRY).await;
        }
        if is_recorded {
            self.mark_synced(row.epoch_id).await;
        } else {
            self.missed.notify_one();
        }
        let duration_ms = began.elapsed().as_millis();
        marker!(INGEST_DUAL_WRITE_EPOCH_OK, epoch_id = row.epoch_id, duration_ms = duration_ms);
        if let Some(snapshot) = snapshot {
            marker!(
                UNIVERSE_SNAPSHOT_PUBLISHED,
                snapshot_id = snapshot.snapshot_id,
                epoch_id = row.epoch_id,
                execution_count = snapshot.execution_symbols.len(),
                pinned_count = snapshot.pinned_symbols.len(),
                l3_count = snapshot.l3_symbols.len(),
                universe_hash = snapshot.universe_hash,
            );
        }
        Ok(())
    }

    fn publish_failed(&self, error: &str) {
        let summary = format!("an epoch could not be written: {error}");
        self.hub.alerts.occurred(Reason::PublishFailed, &summary, serde_json::json!({}));
    }

    /// Two epochs in a row that are not valid are an alert, until one is.
    fn watch_validity(&self, progress: &mut Progress, row: &JudgedEpochRow) {
        const CONDITION: &str = "epochs";
        if row.status == EpochStatus::Valid {
            progress.not_valid = 0;
            self.hub.alerts.ends(Reason::EpochNotValid, CONDITION);
            return;
        }
        progress.not_valid += 1;
        if progress.not_valid >= 2 {
            let (count, why) = (progress.not_valid, row.reasons.join(", "));
            let summary = format!("{count} epochs in a row are not valid: {why}");
            self.hub.alerts.begins(Reason::EpochNotValid, CONDITION, &summary);
        }
    }

    /// Writes the twin on the ingest cluster. Without it, it is copied from the decision cluster later.
    async fn record(&self, row: &JudgedEpochRow, snapshot: Option<&UniverseSnapshotRow>) -> bool {
        let Some(ingest) = self.hub.clusters.ingest() else { return false };
        let context = &self.hub.context;
        let (run, lineage) = (context.run_of(row.run_id), context.lineage_of(row.lineage_id));
        let recorded =
            penstock_store_ingest::epochs::record_epoch(&ingest, (&run, &lineage), snapshot, row);
        match recorded.await {
            Ok(()) => true,
            Err(error) => {
                marker!(INGEST_EPOCH_CREATE_FAILED, error = error.to_string());
                self.publish_failed(&error.to_string());
                false
            }
        }
    }

    /// Tells the twin on the ingest cluster, best effort: the decision cluster is the authority.
    async fn mark_synced(&self, epoch_id: EpochId) {
        use penstock_store_ingest::epochs::{mark_epoch_synced, skip_stale_epochs};
        let Some(ingest) = self.hub.clusters.ingest() else { return };
        if let Err(error) = mark_epoch_synced(&ingest, epoch_id).await {
            tracing::debug!("mark epoch {epoch_id}: {error}");
        }
        if let Err(error) = skip_stale_epochs(&ingest, epoch_id).await {
            tracing::debug!("skip stale epochs: {error}");
        }
    }

    /// Tells the outcome; true when it is the first valid epoch of the process.
    fn finished(&self, epoch_id: EpochId, row: &JudgedEpochRow, cut: &PublishedCut) -> bool {
        let (snapshot_id, run_id, reasons) = (row.snapshot_id, row.run_id, &row.reasons);
        match row.status {
            EpochStatus::Valid => marker!(
                INGEST_EPOCH_COMPLETED,
                epoch_id = epoch_id,
                snapshot_id = snapshot_id,
                run_id = run_id,
                reasons = reasons,
            ),
            EpochStatus::Degraded => marker!(
                INGEST_EPOCH_DEGRADED,
                epoch_id = epoch_id,
                snapshot_id = snapshot_id,
                run_id = run_id,
                reasons = reasons,
            ),
            EpochStatus::Invalid | EpochStatus::Pending => marker!(
                INGEST_EPOCH_INVALID,
                epoch_id = epoch_id,
                snapshot_id = snapshot_id,
                run_id = run_id,
                reasons = reasons,
            ),
        }
        let is_valid = row.status == EpochStatus::Valid;
        let is_first_valid = is_valid && self.status.borrow().valid == 0;
        self.status.send_modify(|status| {
            status.newest = Some(epoch_id);
            status.is_degraded_warmup = !status.is_warm && !is_valid;
            status.is_warm |= is_valid;
            status.valid += u64::from(is_valid);
        });
        if is_first_valid {
            marker!(
                INGEST_READY_FOR_EXECUTION_ATTACH,
                epoch_id = epoch_id,
                generation_id = cut.job.cut.generation_id,
            );
        }
        is_first_valid
    }

    /// Writes the end of the warm-up onto the run row of both clusters, best effort.
    async fn write_warm(&self) {
        let (clusters, run_id) = (&self.hub.clusters, self.hub.context.run().run_id);
        let at = self.hub.clock.now();
        if let Ok(mut conn) = clusters.decision.acquire().await
            && let Err(error) = penstock_store_decision::set_run_warm(&mut conn, run_id, at).await
        {
            tracing::debug!("warm run {run_id} on the decision cluster: {error}");
        }
        if let Some(ingest) = clusters.ingest()
            && let Ok(mut conn) = ingest.acquire().await
            && let Err(error) = penstock_store_ingest::set_run_warm(&mut conn, run_id, at).await
        {
            tracing::debug!("warm run {run_id} on the ingest cluster: {error}");
        }
    }
}
