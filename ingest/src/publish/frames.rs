//! Frames to the decision cluster, in tick order, each exactly once, the chain filled in at delivery.
//!
//! Input: sealed ticks and symbol numbers from the core, and what earlier processes left in the frame
//! spool. Output: rows of `engine_tick_frames`. While the cluster is away the ticks wait here and in the
//! spool, up to a limit; beyond it the oldest go, and the next frame says so with its gap. What follows,
//! what is given up and what may not be dropped is the queue's decision; after a commit of unknown outcome
//! nothing is delivered before the newest row was read behind every unfinished transaction.

use super::batch::BatchSize;
use super::frame_runs::FrameRuns;
use super::publisher::RunContext;
use crate::core::clock::RecordingClock;
use crate::core::run::FrameItem;
use crate::exit::Exit;
use crate::lifecycle::alerts::{Alerts, Reason};
use crate::lifecycle::clusters::Clusters;
use crate::lifecycle::startup::fence_exit;
use crate::spooling::frames::{FrameSpool, InheritedRun};
use crate::tasks::Hub;
use penstock_market::delivery::{FrameQueue, Linked, Waiting};
use penstock_store::fence::FenceError;
use penstock_store::spool::frame_records::RunRecord;
use penstock_store::twins::RunSymbolRow;
use penstock_store_decision::frames::{
    FRAMES_PER_TX_MAX, FramePublisher, FrameRow, NewestFrame, newest_frame_settled,
};
use penstock_store_decision::publication::PublishError;
use penstock_telemetry::marker;
use penstock_types::TickId;
use penstock_types::frame::Link;
use penstock_types::time::TICKS_PER_DAY;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Frames that wait in memory: a day of them.
const WAITING_MAX: usize = 345_600;
/// A backlog older than this is told.
const BACKLOG_TOLD: Duration = Duration::from_secs(1);
/// A backlog older than this is an alert.
const BACKLOG_ALERTED: Duration = Duration::from_secs(10);
/// Condition of that alert.
const BACKLOG: &str = "frames";
/// Frames that found no place and are told with one line: a minute of ticks.
const OVERFLOWED_TOLD: usize = 240;
/// First and longest pause after a failed delivery.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// The delivering task.
pub(crate) struct Frames {
    context: RunContext,
    clusters: Clusters,
    items: mpsc::Receiver<FrameItem>,
    publisher: FramePublisher,
    clock: RecordingClock,
    spool: FrameSpool,
    /// Each with the end of its tick when this process sealed it.
    queue: FrameQueue<Option<Instant>>,
    /// Frames that found no place any more, not yet told.
    overflowed: Vec<TickId>,
    runs: FrameRuns,
    alerts: Alerts,
    age_max: Duration,
    is_backlog_told: bool,
    retry: Duration,
    batch: BatchSize,
}

impl Frames {
    pub(crate) fn new(
        hub: &Hub,
        items: mpsc::Receiver<FrameItem>,
        newest: Option<&NewestFrame>,
        spool: FrameSpool,
        left: Vec<InheritedRun>,
    ) -> Self {
        let (context, clusters) = (hub.context.clone(), hub.clusters.clone());
        let run = context.run();
        let publisher = FramePublisher::new(clusters.decision.clone(), run.domain.clone());
        let of = RunRecord { run: (*run).clone(), lineage: (*context.lineage()).clone() };
        let mut frames = Self {
            context,
            clusters,
            items,
            publisher,
            clock: hub.clock.clone(),
            spool,
            queue: FrameQueue::new(newest.map(link_of)),
            overflowed: Vec::new(),
            runs: FrameRuns::new(of),
            alerts: hub.alerts.clone(),
            age_max: hub.settings.spool.frame_age_max,
            is_backlog_told: false,
            retry: RETRY.0,
            batch: BatchSize::new(),
        };
        frames.inherit(left);
        frames
    }

    /// Takes over what earlier processes left, as far as it is above the newest frame and not under an
    /// older fence; the rest stands already or is given up.
    fn inherit(&mut self, left: Vec<InheritedRun>) {
        let (mut frames, mut stands) = (Vec::new(), BTreeMap::new());
        for run in left {
            stands.extend(run.stands.map(|newest| (run.of.run.run_id, newest)));
            frames.extend(run.frames.into_iter().map(|sealed| Waiting { sealed, note: None }));
            self.runs.inherit(run.of, run.symbols);
        }
        let given_up = self.queue.inherit(frames, &stands);
        self.tell_given_up(&given_up);
        self.forget_delivered_runs();
    }

    fn tell_given_up(&self, ticks: &[TickId]) {
        let (Some(first), Some(last)) = (ticks.iter().min(), ticks.iter().max()) else { return };
        marker!(
            FRAMES_DISCARDED,
            first_tick_id = first,
            last_tick_id = last,
            frames = ticks.len(),
            fencing_token = self.context.token,
            newest_tick_id = self.queue.newest().map(|link| link.tick_id),
        );
    }

    fn tell_overflowed(&mut self) {
        let overflowed = core::mem::take(&mut self.overflowed);
        self.tell_given_up(&overflowed);
    }

    /// Runs that no waiting frame belongs to are over: what they were read from may go.
    fn forget_delivered_runs(&mut self) {
        if self.runs.is_single() {
            return;
        }
        let waiting = self.queue.iter().map(|w| w.sealed.run_id).collect();
        for run_id in self.runs.forget_but(&waiting) {
            self.spool.forget(run_id);
        }
    }

    /// Delivers until the core has ended and nothing waits, or `patience` is over after its end.
    ///
    /// # Errors
    /// [`Exit`] when the fence is lost or rows disagree.
    pub(crate) async fn run(mut self, patience: Duration) -> Result<(), Exit> {
        let mut items = Vec::new();
        let mut ended: Option<Instant> = None;
        loop {
            if self.queue.is_empty() && ended.is_none() {
                if self.items.recv_many(&mut items, FRAMES_PER_TX_MAX).await == 0 {
                    ended = Some(Instant::now());
                }
            } else {
                while let Ok(item) = self.items.try_recv() {
                    items.push(item);
                }
                if self.items.is_closed() && self.items.is_empty() {
                    ended.get_or_insert_with(Instant::now);
                }
            }
            items.drain(..).for_each(|item| self.take(item));
            if let Some(since) = ended
                && (self.queue.is_empty() || since.elapsed() > patience)
            {
                self.tell_overflowed();
                return Ok(());
            }
            self.give_up_old();
            if !self.queue.is_empty() {
                self.tell_backlog();
                self.deliver_batch().await?;
            }
        }
    }

    /// A pause in which what the core seals is taken all the same: it must be in the spool before this
    /// process can be killed.
    async fn take_for(&mut self, pause: Duration) {
        let until = tokio::time::Instant::now() + pause;
        let mut items = Vec::new();
        loop {
            // The end first: a cluster that is back is not kept waiting by frames.
            let n = tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return,
                n = self.items.recv_many(&mut items, FRAMES_PER_TX_MAX) => n,
            };
            if n == 0 {
                return tokio::time::sleep_until(until).await;
            }
            items.drain(..).for_each(|item| self.take(item));
        }
    }

    fn take(&mut self, item: FrameItem) {
        match item {
            FrameItem::Run(of) => {
                self.spool.begin_run(&of);
                self.runs.begin(*of);
            }
            FrameItem::Symbol(symbol) => {
                let row = RunSymbolRow {
                    run_id: symbol.run_id,
                    symbol_no: symbol.symbol_no,
                    symbol: symbol.symbol,
                    price_decimals: symbol.price_decimals,
                    qty_decimals: symbol.qty_decimals,
                };
                self.context.add_symbol(row.clone());
                self.spool.symbol(&row);
                self.runs.symbol(row);
            }
            FrameItem::Sealed(sealed, end) => {
                self.spool.frame(&sealed);
                self.overflowed.extend(self.queue.push(*sealed, Some(end), WAITING_MAX));
                if self.overflowed.len() >= OVERFLOWED_TOLD {
                    self.tell_overflowed();
                }
            }
        }
    }

    /// Frames beyond the age limit go, the oldest first; the next delivered one declares the gap.
    fn give_up_old(&mut self) {
        let age_max_ms = i64::try_from(self.age_max.as_millis()).unwrap_or(i64::MAX);
        let limit = self.clock.now().plus_millis(-age_max_ms);
        let given_up = self.queue.give_up(|tick_id| tick_id.end() < limit);
        let Some(last) = given_up.last() else { return };
        self.tell_given_up(&given_up);
        if !self.queue.is_in_doubt() {
            self.spool.given_up_until(*last);
        }
        self.forget_delivered_runs();
    }

    async fn deliver_batch(&mut self) -> Result<(), Exit> {
        let token = self.context.token;
        if self.queue.is_in_doubt() {
            return self.settle(token).await;
        }
        let rows = self.rows()?;
        let Some(run_id) = rows.first().map(|row| row.run_id) else { return Ok(()) };
        let before = self.runs.prerequisites(run_id);
        match self.publisher.publish(token, before, &rows).await {
            Ok(()) => {
                self.delivered(&rows);
                self.next_day(&rows).await;
                Ok(())
            }
            Err(PublishError::Fence(error @ FenceError::Lost { .. })) => {
                marker!(INGEST_FENCED_OUT, mine = token, current = "newer");
                Err(fence_exit(error))
            }
            Err(PublishError::Twin(penstock_store_decision::TwinError::Mismatch(error))) => {
                Err(Exit::Invariant(error.to_string()))
            }
            Err(error) => {
                tracing::debug!("frames: {error}");
                self.batch.failed(rows.len());
                self.tell_backlog();
                self.pause().await;
                self.settle(token).await
            }
        }
    }

    async fn pause(&mut self) {
        self.take_for(self.retry).await;
        self.retry = (self.retry * 2).min(RETRY.1);
    }

    /// The rows of the next batch.
    fn rows(&mut self) -> Result<Vec<FrameRow>, Exit> {
        let batch = self
            .queue
            .send(self.batch.frames_max())
            .map_err(|e| Exit::Invariant(format!("frame chain: {e}")))?;
        Ok(batch
            .into_iter()
            .zip(self.queue.iter())
            .map(|(linked, waiting)| self.row(linked, waiting))
            .collect())
    }

    fn row(&self, linked: Linked, waiting: &Waiting<Option<Instant>>) -> FrameRow {
        let sealed = &waiting.sealed;
        FrameRow {
            tick_id: sealed.tick_id,
            frame_seq: linked.link.frame_seq,
            run_id: sealed.run_id,
            fencing_token: sealed.fencing_token,
            epoch_id: sealed.epoch_id,
            flags: i32::from(linked.flags.0),
            n_events: i32::try_from(linked.n_events).unwrap_or(i32::MAX),
            frame: linked.frame,
            frame_sha256: linked.link.sha256,
            quotes: sealed.quotes.clone(),
            seal_lag_ms: self.lag_ms(sealed.tick_id, waiting.note),
        }
    }

    /// From the end of the tick until now: monotonic for own ticks, by this host's wall clock and at
    /// least 0 for those of an earlier process.
    fn lag_ms(&self, tick: TickId, end: Option<Instant>) -> i32 {
        let lag_ms = end.map_or_else(
            || u128::try_from(self.clock.now().millis_since(tick.end())).unwrap_or(0),
            |end| end.elapsed().as_millis(),
        );
        i32::try_from(lag_ms).unwrap_or(i32::MAX)
    }

    fn delivered(&mut self, rows: &[FrameRow]) {
        for (row, waiting) in rows.iter().zip(self.queue.committed()) {
            marker!(
                FRAME_PUBLISHED,
                tick_id = row.tick_id,
                n_events = row.n_events,
                n_quotes = waiting.sealed.n_quotes,
                seal_lag_ms = row.seal_lag_ms,
            );
        }
        if let Some(row) = rows.first() {
            self.runs.delivered(row.run_id);
        }
        self.forget_delivered_runs();
        self.tell_overflowed();
        if self.queue.is_empty() {
            self.spool.all_delivered();
        }
        self.is_backlog_told = false;
        self.alerts.ends(Reason::PublishFailed, BACKLOG);
        self.retry = RETRY.0;
        self.batch.passed();
    }

    /// Makes tomorrow's partition ahead of midnight, once a day is nearly over.
    async fn next_day(&mut self, rows: &[FrameRow]) {
        let Some(last) = rows.last() else { return };
        let ahead = TickId(last.tick_id.0 + TICKS_PER_DAY);
        if let Err(error) = self.publisher.ensure_day(ahead).await {
            tracing::warn!("make the next day's frame partition: {error}");
        }
    }

    fn tell_backlog(&mut self) {
        let Some(oldest) = self.queue.iter().next() else { return };
        let (oldest_tick_id, end) = (oldest.sealed.tick_id, oldest.note);
        let is_young = end.is_some_and(|end| end.elapsed() < BACKLOG_TOLD);
        let is_long = end.is_none_or(|end| end.elapsed() >= BACKLOG_ALERTED);
        if is_long && self.retry > RETRY.0 {
            let summary = format!("{} frames wait for the decision cluster", self.queue.len());
            self.alerts.begins(Reason::PublishFailed, BACKLOG, &summary);
        }
        if self.is_backlog_told || is_young {
            return;
        }
        self.is_backlog_told = true;
        let size = |w: &Waiting<_>| w.sealed.frame.len() + w.sealed.quotes.len();
        let bytes: usize = self.queue.iter().map(size).sum();
        let frames = self.queue.len();
        marker!(FRAME_BACKLOG, oldest_tick_id = oldest_tick_id, frames = frames, bytes = bytes,);
    }

    /// After any failure: what stands is read behind every unfinished transaction; frames at or below it
    /// are delivered already. When the look fails too, the batch stays in doubt until the next one.
    async fn settle(&mut self, token: penstock_types::FencingToken) -> Result<(), Exit> {
        let newest = match newest_frame_settled(
            &self.clusters.decision,
            &self.context.domain,
            token,
        )
        .await
        {
            Ok(newest) => newest,
            Err(error @ FenceError::Lost { .. }) => {
                marker!(INGEST_FENCED_OUT, mine = token, current = "newer");
                return Err(fence_exit(error));
            }
            Err(error) => {
                tracing::debug!("settle frames: {error}");
                self.pause().await;
                return Ok(());
            }
        };
        let given_up = self.queue.settled(newest.as_ref().map(link_of));
        self.tell_given_up(&given_up);
        self.runs.doubt();
        Ok(())
    }
}

const fn link_of(newest: &NewestFrame) -> Link {
    Link {
        tick_id: newest.tick_id,
        frame_seq: newest.frame_seq,
        fencing_token: newest.fencing_token,
        sha256: newest.frame_sha256,
    }
}
