//! The loop of evaluations: looks for generations, runs what is due, keeps partitions.
//!
//! Purpose: one evaluation at a time for the life of the session. Inputs: generations as they are seen, a
//! beat of 100 ms. Outputs: evaluations. Invariants: a trigger during an evaluation is
//! coalesced; after the stop nothing starts any more; a lost fence ends the loop at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_telemetry::marker;
use penstock_types::vocab::{StageName, SysMode, Verdict};
use tokio::sync::watch;

use super::evaluate::{Evaluated, Evaluator};
use super::shadow::run_shadows;
use super::stages;
use super::trigger::Scheduler;
use super::watch::{POLL_EVERY, Seen, run_watch};
use crate::account::Account;
use crate::attach::ensure_partitions;
use crate::audit::StageNote;
use crate::context::Context;
use crate::progress::LoopName;
use crate::settings::RunMode;
use crate::wake::Wakes;

/// How often partitions of today and tomorrow are looked after.
const PARTITIONS_EVERY: Duration = Duration::from_secs(3_600);

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopEnd {
    /// Stopped from outside.
    Stopped,
    /// The configured running time is over.
    Deadline,
    /// Another instance holds the fence.
    FencedOut,
    /// The one evaluation of `--once` is done, with this verdict.
    Once(Verdict),
}

/// Runs until stopped.
pub async fn run_loop<A: Account>(context: Context, account: Arc<A>, wakes: Arc<Wakes>) -> LoopEnd {
    let evaluation = &context.settings.config.areas.evaluation;
    marker!(
        EXECUTION_LIVE_RUNNER_START,
        session_id = context.session_id,
        execution_only = evaluation.execution_only,
        execution_enable = evaluation.execution_enable,
        evaluation_interval_secs = evaluation.live_evaluation_interval_secs,
        runtime_minutes = evaluation.live_validation_runtime_minutes
    );
    let started = Instant::now();
    let mut evaluator = Evaluator::new(context.clone(), account);
    let (sender, seen) = watch::channel(None);
    let shadows = tokio::spawn(run_shadows(context.clone(), seen.clone(), evaluator.opened()));
    let watcher = tokio::spawn(run_watch(context.clone(), wakes, evaluator.lineage(), sender));
    let end = turns(&context, &mut evaluator, seen, started).await;
    watcher.abort();
    shadows.abort();
    context.mode.progress().ended(LoopName::Evaluation);
    end
}

async fn turns<A: Account>(
    context: &Context,
    evaluator: &mut Evaluator<A>,
    mut seen: watch::Receiver<Option<Seen>>,
    started: Instant,
) -> LoopEnd {
    let (settings, progress) = (&context.settings, context.mode.progress());
    let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    let stale_ms = settings.decide.state_max_age_secs * 1_000;
    let mut scheduler = Scheduler::new(ms(settings.evaluation_interval), stale_ms, 0);
    let minutes = settings.config.areas.evaluation.live_validation_runtime_minutes;
    let deadline = (minutes > 0).then(|| Duration::from_secs(minutes * 60));
    let mut partitions_at = Instant::now();
    loop {
        // The end first; then a generation; the time for what is due without one.
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return LoopEnd::Stopped,
            Ok(()) = seen.changed() => {}
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
        progress.idle(LoopName::Evaluation);
        if deadline.is_some_and(|limit| started.elapsed() >= limit) {
            marker!(LIVE_EVALUATION_SKIPPED, reason = "runtime_deadline");
            return LoopEnd::Deadline;
        }
        if partitions_at.elapsed() >= PARTITIONS_EVERY {
            partitions_at = Instant::now();
            if let Err(error) = ensure_partitions(&context.pool).await {
                tracing::warn!("partitions not looked after, trying again in an hour: {error}");
            }
        }
        let now_ms = ms(started.elapsed());
        if let Some(Seen { generation, rows, .. }) = &*seen.borrow_and_update() {
            scheduler.see(now_ms, *generation, rows);
        }
        let Some(trigger) = scheduler.due(now_ms) else { continue };
        scheduler.started(now_ms, trigger);
        let mode_before = context.mode.current();
        let note = StageNote { summary: trigger.as_str().to_owned(), ..StageNote::default() };
        stages::enter(context, StageName::UniverseScan, note).await;
        match evaluator.evaluate(trigger).await {
            Evaluated::FencedOut => return LoopEnd::FencedOut,
            Evaluated::Done { verdict, attached, .. } => {
                let once = settings.run_mode != RunMode::Attach;
                if once && attached && mode_before == SysMode::Normal {
                    return LoopEnd::Once(verdict);
                }
            }
            Evaluated::Skipped => {}
        }
        progress.idle(LoopName::Evaluation);
    }
}
