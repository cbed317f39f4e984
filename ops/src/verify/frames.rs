//! `penstock verify frames --run R`: the recorded rows through the same sealer.
//!
//! Inputs: raw rows, drop rows and the first checkpoint from the ingest cluster; bindings, symbol numbers
//! and frames from the decision cluster. Output: counts and the first difference: tick, part, published
//! value, derived value. Rows are read window by window and frames page by page, side by side, so memory
//! does not grow with the run. A frame that was never delivered is no difference.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use anyhow::Context;
use penstock_clusters::ClusterKind;
use penstock_config::bindings::Bindings;
use penstock_ingest::bindings::instruments;
use penstock_market::checkpoint;
use penstock_market::frame_replay::{DerivedTick, FrameReplay, FrameReplayError};
use penstock_store_decision::frames_read::{ReadFrame, frames_after, run_symbols};
use penstock_store_decision::twins_read::run_twin;
use penstock_store_ingest::checkpoints::checkpoint_at;
use penstock_store_ingest::raw_read::RawReader;
use penstock_store_ingest::runs::LoadCursor;
use penstock_store_ingest::verify_read::{dropped_ranges, quarantined};
use penstock_types::time::TICKS_PER_DAY;
use penstock_types::{RunId, Seq, TickId};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::compare::Comparer;
use super::report::{Report, Verdict};
use super::{Clusters, Of};
use crate::progress::Bar;

/// Frames per page: a minute of them.
const FRAMES_PER_PAGE: i64 = 240;

pub(super) async fn run(of: Of, clusters: &Clusters) -> anyhow::Result<i32> {
    let run_id = RunId(of.run);
    let (ingest, cursor) = match of.opened(clusters).await? {
        ControlFlow::Continue(opened) => opened,
        ControlFlow::Break(status) => return Ok(status),
    };
    let decision = clusters.reader(ClusterKind::Decision).await?;
    let found = checked(&ingest, &decision, &cursor).await?;
    let first = found.first.as_ref().map_or(Value::Null, |first| {
        json!({
            "tick": first.tick_id.0, "what": first.what,
            "expected": first.expected, "got": first.got,
        })
    });
    let compared = found.equal + found.incomplete + found.different;
    let unproven = found.incomplete + u64::from(compared == 0);
    let report = Report::new(Verdict::of(unproven, found.different))
        .line("run_id", run_id.0)
        .line("equal", found.equal)
        .line("incomplete", found.incomplete)
        .line("different", found.different)
        .line("ticks_without_frame", found.without_frame)
        .line("first_difference", first);
    Ok(report.print(of.output))
}

/// Compares every frame of a run as far as it is loaded.
///
/// # Errors
/// When a cluster cannot be read, or the run has no first checkpoint.
pub(crate) async fn checked(
    ingest: &PgPool,
    decision: &PgPool,
    cursor: &LoadCursor,
) -> anyhow::Result<Comparer> {
    let run_id = cursor.run_id;
    let twin = run_twin(decision, run_id).await?.with_context(|| {
        format!("the decision cluster has no run {run_id}: nothing was published")
    })?;
    // The first tick of a run contains its start, or lies behind it.
    let before = TickId(twin.row.started_at.tick().0 - 1);
    let sealed_before = sealed_before(decision, run_id, before).await?;
    let replay =
        first_replay(ingest, run_id, Value::clone(&twin.row.bindings), sealed_before).await?;
    let frames = Frames { pool: decision.clone(), run_id, after: before, page: VecDeque::new() };
    let missing = Missing::of(ingest, run_id).await?;
    let mut check = Check { frames, replay, missing, comparer: Comparer::default(), at: Seq(0) };
    check.rows(ingest, cursor).await?;
    check.rest(cursor).await?;
    check.numbers(decision).await?;
    Ok(check.comparer)
}

/// The newest tick behind the start of the run that processes before it had sealed: their clock was ahead.
async fn sealed_before(
    decision: &PgPool,
    run_id: RunId,
    start: TickId,
) -> anyhow::Result<Option<TickId>> {
    // A process whose clock is further behind does not start, and then seals one tick after the other.
    let page = frames_after(decision, start, 2 * FRAMES_PER_PAGE).await?;
    let earlier = page.iter().filter(|frame| frame.run_id < run_id);
    Ok(earlier.map(|frame| frame.tick_id).max())
}

/// The sealer with which the run began.
async fn first_replay(
    ingest: &PgPool,
    run_id: RunId,
    bindings: Value,
    sealed_before: Option<TickId>,
) -> anyhow::Result<FrameReplay> {
    let bindings = instruments(&Bindings::of_run(bindings).context("bindings of the run")?)
        .map_err(|error| anyhow::anyhow!("bindings of run {run_id}: {error}"))?;
    let found = checkpoint_at(ingest, run_id, Seq(0)).await?.with_context(|| {
        format!("run {run_id} has no first checkpoint: its frames cannot be derived")
    })?;
    let payload = zstd::decode_all(found.payload_zstd.as_slice())?;
    let read = checkpoint::decode(found.format_version, &payload, &found.payload_hash)
        .with_context(|| format!("first checkpoint of run {run_id}"))?;
    let sample_ms = read.l2_sample_interval_ms;
    Ok(match read.sealer {
        // Taken between two ticks, behind the cut at which the run began.
        Some(state) => FrameReplay::resume(run_id, bindings, sample_ms, state, found.as_of.tick()),
        None => FrameReplay::new(run_id, bindings, sample_ms, sealed_before),
    })
}

/// Numbers that have no row for a known reason, ascending.
struct Missing {
    ranges: Vec<(Seq, Seq)>,
}

impl Missing {
    async fn of(ingest: &PgPool, run_id: RunId) -> anyhow::Result<Self> {
        let mut ranges = dropped_ranges(ingest, run_id).await?;
        ranges.extend(quarantined(ingest, run_id).await?.into_iter().map(|seq| (seq, seq)));
        Ok(Self { ranges })
    }

    /// One of the numbers between two rows is among them.
    fn between(&self, before: Seq, row: Seq) -> bool {
        before.0 + 1 < row.0 && self.ranges.iter().any(|(from, to)| *from < row && *to > before)
    }
}

/// Frames of the run in the order of their ticks.
struct Frames {
    pool: PgPool,
    run_id: RunId,
    after: TickId,
    page: VecDeque<ReadFrame>,
}

impl Frames {
    async fn peek(&mut self) -> anyhow::Result<Option<&ReadFrame>> {
        while self.page.is_empty() {
            let page = frames_after(&self.pool, self.after, FRAMES_PER_PAGE).await?;
            let Some(last) = page.last() else { return Ok(None) };
            let is_over = last.run_id > self.run_id;
            self.after = last.tick_id;
            self.page.extend(page.into_iter().filter(|frame| frame.run_id == self.run_id));
            if is_over && self.page.is_empty() {
                return Ok(None);
            }
        }
        Ok(self.page.front())
    }

    fn take(&mut self) -> Option<ReadFrame> {
        self.page.pop_front()
    }
}

struct Check {
    frames: Frames,
    replay: FrameReplay,
    missing: Missing,
    comparer: Comparer,
    at: Seq,
}

impl Check {
    /// Every row that is loaded.
    async fn rows(&mut self, ingest: &PgPool, cursor: &LoadCursor) -> anyhow::Result<()> {
        let mut reader =
            RawReader::new(ingest.clone(), self.frames.run_id, Seq(0), cursor.last_seq);
        let mut bar = Bar::new("deriving frames");
        while let Some(window) = reader.next_window().await? {
            for row in &window {
                if self.missing.between(self.at, row.seq) {
                    // What stands is compared before the doubt begins.
                    self.comparer.doubt();
                }
                let mut ticks = Vec::new();
                match self.replay.apply(row, |tick| ticks.push(tick)) {
                    Ok(()) => {}
                    Err(FrameReplayError::Jump { seq, ticks }) => {
                        let what = format!("receive time of row {seq}");
                        let found =
                            (what, "near its neighbours'".to_owned(), format!("{ticks} ticks"));
                        self.comparer.differs(self.replay.next_tick().unwrap_or(TickId(0)), found);
                        return Ok(());
                    }
                    Err(error) => return Err(error.into()),
                }
                self.at = row.seq;
                for tick in &ticks {
                    self.tick(tick).await?;
                }
            }
            bar.at(self.at.0, cursor.last_seq.0);
        }
        Ok(())
    }

    /// Compares a derived tick with its frame.
    async fn tick(&mut self, derived: &DerivedTick) -> anyhow::Result<()> {
        loop {
            let next = self.frames.peek().await?.map(|frame| frame.tick_id);
            match next {
                Some(tick) if tick < derived.tick_id => {
                    if let Some(frame) = self.frames.take() {
                        self.comparer.not_derived(&frame);
                    }
                }
                Some(tick) if tick == derived.tick_id => {
                    if let Some(frame) = self.frames.take() {
                        self.comparer.compare(derived, &frame);
                    }
                    return Ok(());
                }
                Some(_) | None => {
                    self.comparer.without_frame += 1;
                    return Ok(());
                }
            }
        }
    }

    /// Frames behind the last row: of a run that is loaded to its end they follow from what was before.
    async fn rest(&mut self, cursor: &LoadCursor) -> anyhow::Result<()> {
        if self.missing.between(self.at, Seq(cursor.last_seq.0 + 1)) {
            self.comparer.doubt();
        }
        while let Some(frame) = self.frames.peek().await? {
            let tick_id = frame.tick_id;
            // More than a day behind the last row there is nothing that could have been recorded.
            let is_near =
                |next: TickId| (0..=TICKS_PER_DAY).contains(&tick_id.0.saturating_sub(next.0));
            if cursor.complete && self.replay.next_tick().is_some_and(is_near) {
                let mut ticks = Vec::new();
                self.replay.seal_until(tick_id, |tick| ticks.push(tick));
                for tick in &ticks {
                    self.tick(tick).await?;
                }
            } else {
                self.frames.take();
                self.comparer.incomplete += 1;
            }
        }
        Ok(())
    }

    /// The numbers under which quotes stand in the frames.
    async fn numbers(&mut self, decision: &PgPool) -> anyhow::Result<()> {
        let derived = self.replay.run_symbols();
        let tick_id = self.replay.next_tick().unwrap_or(TickId(0));
        for told in run_symbols(decision, self.frames.run_id).await? {
            let found = derived.iter().find(|made| made.symbol_no == told.symbol_no);
            let digits = |d: i16| u32::try_from(d).unwrap_or(0);
            let got = found.map_or_else(
                || "none".to_owned(),
                |made| {
                    let (price, qty) = (digits(made.price_decimals), digits(made.qty_decimals));
                    format!("{} {price} {qty}", made.symbol)
                },
            );
            let expected = format!("{} {} {}", told.symbol, told.price_decimals, told.qty_decimals);
            if got != expected {
                let what = format!("symbol number {}", told.symbol_no);
                self.comparer.differs(tick_id, (what, expected, got));
                return Ok(());
            }
        }
        Ok(())
    }
}
