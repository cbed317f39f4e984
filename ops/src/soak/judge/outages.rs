//! The faults of a run with their ends, the modes beside them, figures beside their limits.
//!
//! Inputs: what was staged, both clusters, the services' logs. Outputs: facts for the invariant checker. The end
//! of a kill is the first sign of the successor: its first frame, or the end of its first reconciliation.

use super::{Happened, Run};
use crate::invariants::{FaultFact, LimitFact, ModeFact, OutageFacts, OutageLimits};
use crate::soak::course::Processes;
use crate::soak::plan::Action;
use crate::stack::{EXECUTION, INGEST};
use crate::validate::Lines;
use penstock_config::Process;
use penstock_store_decision::evidence;
use penstock_store_decision::frames_read::frames_after;
use penstock_types::UtcMicros;
use penstock_types::vocab::{SysMode, Venue};
use sqlx::PgPool;

/// Silence after which the socket of the traded venue is dead, ms.
const SOCKET_DEAD_MS: i64 = 10_000;
/// What may pass beyond that until the mode says so, ms.
const NOTICED_MS: i64 = 2_000;
/// What the way back may take beyond its windows, ms.
const BACK_MS: i64 = 10_000;
/// Memory of both services at 200 symbols, MiB.
const RSS_MIB_MAX: f64 = 1_024.0;

/// A fault with the venues that it concerns.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    pub fact: FaultFact,
    pub venues: Vec<Venue>,
    /// Nobody sealed ticks while it lasted.
    pub costs_frames: bool,
}

/// Every fault with its end.
///
/// # Errors
/// When the decision cluster or a log cannot be read.
pub(super) async fn faults(run: &Run<'_>, decision: &PgPool) -> anyhow::Result<Vec<Timed>> {
    let mut faults = Vec::new();
    for happened in &run.happened {
        let Happened { staged, from, until } = happened;
        let to = match staged.action {
            Action::Venue(_) => until.plus_millis(staged.length_ms),
            Action::KillIngest => first_frame_after(decision, *until).await?,
            Action::KillExecution => reconciled_after(run, *until)?,
        };
        let fact = FaultFact { what: staged.what.clone(), from: *from, to, lost: staged.lost };
        let costs_frames = matches!(staged.action, Action::KillIngest);
        faults.push(Timed { fact, venues: staged.venues.clone(), costs_frames });
    }
    Ok(faults)
}

/// The first frame of the run that follows the one at a time.
async fn first_frame_after(decision: &PgPool, at: UtcMicros) -> anyhow::Result<UtcMicros> {
    let mut after = penstock_types::TickId(at.tick().0 - 4);
    let mut killed = None;
    loop {
        let page = frames_after(decision, after, 40).await?;
        let Some(last) = page.last() else { return Ok(UtcMicros(i64::MAX)) };
        after = last.tick_id;
        for frame in page {
            let of = *killed.get_or_insert(frame.run_id);
            if frame.run_id > of || frame.tick_id.0 > at.tick().0 + 40 {
                return Ok(frame.published_at);
            }
        }
    }
}

/// The end of the next life's first reconciliation.
fn reconciled_after(run: &Run<'_>, at: UtcMicros) -> anyhow::Result<UtcMicros> {
    let lines = lines(run, EXECUTION)?;
    let done = lines.of("RECONCILE_COMPLETE").find(|line| line.ts > at);
    Ok(done.map_or(UtcMicros(i64::MAX), |line| line.ts))
}

fn lines(run: &Run<'_>, name: &str) -> anyhow::Result<Lines> {
    let path = run.options.root.log().join(format!("{name}.jsonl"));
    Ok(Lines::read(&[path], UtcMicros(0))?)
}

/// Faults, modes, entries and figures.
///
/// # Errors
/// When the decision cluster, a log or the configuration cannot be read.
pub(super) async fn facts(
    run: &Run<'_>,
    faults: Vec<Timed>,
    decision: &PgPool,
    processes: &Processes,
) -> anyhow::Result<OutageFacts> {
    let file = run.options.config_file.as_deref();
    let config = penstock_config::load(Process::Tool, file)?;
    let ms = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let areas = &config.areas;
    let private_ms = ms(areas.orders.private_stream_silent_secs * 1_000);
    let stable_ms = ms(areas.liveness.degrade_exit_stable_window_ms);
    let epoch_ms = ms(areas.epochs.epoch_interval_secs * 1_000);
    let warmup_ms = ms(areas.state.ingest_warmup_secs * 1_000);
    let mut modes = Vec::new();
    for mode in evidence::modes(decision).await? {
        modes.push(ModeFact { at: mode.ts.into(), to: SysMode::parse(&mode.mode_to)? });
    }
    let entries = evidence::entry_times(decision).await?;
    Ok(OutageFacts {
        faults: faults.into_iter().map(|fault| fault.fact).collect(),
        modes,
        entries: entries.into_iter().map(UtcMicros::from).collect(),
        limits: limits(run, processes)?,
        ended: run.stopping_at,
        times: OutageLimits {
            noticed_ms: SOCKET_DEAD_MS + NOTICED_MS,
            private_noticed_ms: private_ms + NOTICED_MS,
            live_ms: stable_ms + epoch_ms + BACK_MS,
            restarted_ms: warmup_ms + epoch_ms + 2 * stable_ms + BACK_MS,
        },
    })
}

/// Queues, memory, disk and connections beside their declared limits.
fn limits(run: &Run<'_>, processes: &Processes) -> anyhow::Result<Vec<LimitFact>> {
    let limit =
        |what: &str, value: f64, limit: f64| LimitFact { what: what.to_owned(), value, limit };
    let both = processes.ingest.rss_mib_max() + processes.execution.rss_mib_max();
    let lines = lines(run, INGEST)?;
    let greatest = |key: &str| {
        let values = lines.of("WRITER_METRICS").filter_map(|line| line.number(key));
        values.max().unwrap_or(0) as f64
    };
    let lost = ["INGEST_RAW_DROPPED", "SPOOL_FULL", "FRAMES_DISCARDED"];
    let lost = lost.iter().map(|marker| lines.count(marker)).sum::<usize>();
    let connects = |endpoint: &str| run.stats["connects"][endpoint].as_f64().unwrap_or(0.0);
    let minutes = (run.stopping_at.millis_since(run.began_at) as f64 / 60_000.0).max(1.0);
    let windows = |length: f64| (minutes / length).ceil();
    let kraken = connects("public") + connects("private") + connects("l3");
    let binance = connects("binance_public") + connects("binance_market");
    Ok(vec![
        limit("memory of both services, MiB", both, RSS_MIB_MAX),
        limit("ring before the spool, %", greatest("ring_pct"), 100.0),
        limit("spool, %", greatest("spool_pct"), 100.0),
        limit("rows or frames given up", lost as f64, 0.0),
        limit("connects to Kraken", kraken, 100.0 * windows(10.0)),
        limit("connects to Binance", binance, 200.0 * windows(5.0)),
    ])
}
