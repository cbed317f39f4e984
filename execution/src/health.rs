//! Samples of health: disk, database, trail, process and counters, every few seconds.
//!
//! Purpose: measure what the watchdog judges and what the record of a day needs. Inputs: paths, the server, the
//! process, the trail's figures, the account's counters. Outputs: rows of `health_samples`; free bytes for the
//! watchdog, twice a second. Invariants: a look at a file system waits in a thread of its own, never in the runtime; a figure that
//! was not measured is left out of the judgement; a row that cannot be written is a cause of the mode.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use penstock_store_decision::health::{self, HealthSample, ServerSize};
use penstock_telemetry::resources::Resources;
use penstock_trading::mode::{CauseCode, Level, Signal};
use penstock_types::{Decimal, UtcMicros};
use penstock_venue_orders::SharedVenueState;

use crate::context::Context;
use crate::mode::{Source, Told};
use crate::progress::TrailFigures;

/// Distance of two looks at what is free: a disk that is full is a PAUSE within two seconds, whether a line was refused
/// by then or not.
const FREE_EVERY: Duration = Duration::from_millis(500);
/// Time over which events are counted.
const RATE_OVER: Duration = Duration::from_secs(60);
/// Percent times 10 000 in a whole.
const PCT_X10000: i64 = 1_000_000;

/// What a look at the file system found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskLook {
    /// Free bytes for this user, the least of the watched paths; none when none could be asked.
    pub free_bytes: Option<i64>,
    /// Bytes of the files in the trail's directory.
    pub jsonl_bytes: i64,
}

/// The paths that are watched: those of the configuration, else the trail's directory.
#[must_use]
pub fn watched(configured: &[String], audit_dir: &Path) -> Vec<PathBuf> {
    if configured.is_empty() {
        return vec![audit_dir.to_owned()];
    }
    configured.iter().map(PathBuf::from).collect()
}

/// Free bytes for this user, the least of these paths; none when none could be asked. A path that is not there yet
/// stands for the directory that will hold it.
fn free_bytes(watched: &[PathBuf]) -> Option<i64> {
    let free = watched.iter().filter_map(|path| {
        let there = path.ancestors().find(|p| p.exists())?;
        let found = nix::sys::statvfs::statvfs(there).ok()?;
        let bytes = u128::from(found.blocks_available()) * u128::from(found.fragment_size());
        Some(i64::try_from(bytes).unwrap_or(i64::MAX))
    });
    free.min()
}

/// Looks at the file systems.
#[must_use]
pub fn look_at_disk(watched: &[PathBuf], audit_dir: &Path) -> DiskLook {
    let files = std::fs::read_dir(audit_dir).into_iter().flatten().filter_map(Result::ok);
    let sizes = files.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file);
    let jsonl_bytes = sizes.map(|meta| i64::try_from(meta.len()).unwrap_or(i64::MAX)).sum();
    DiskLook { free_bytes: free_bytes(watched), jsonl_bytes }
}

/// Totals of a minute, for rates.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    seen: VecDeque<(Instant, TrailFigures)>,
}

impl Totals {
    /// Events and drops of the last minute.
    pub(crate) fn per_minute(&mut self, now: Instant, figures: TrailFigures) -> (i64, i64) {
        while self.seen.len() > 1 && now.duration_since(self.seen[1].0) >= RATE_OVER {
            self.seen.pop_front();
        }
        self.seen.push_back((now, figures));
        let first = self.seen[0].1;
        (figures.events_total - first.events_total, figures.drops_total - first.drops_total)
    }
}

/// Tells the watchdog what is free until the session ends; one look at a time, so that a file system that hangs holds
/// one thread and no more.
pub async fn run_free(context: Context) {
    let areas = &context.settings.config.areas;
    let paths = watched(&areas.disk.disk_watch_paths, &areas.audit.audit_dir);
    let mut every = tokio::time::interval(FREE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while context.end.run_until_cancelled(every.tick()).await.is_some() {
        let paths = paths.clone();
        let looked = tokio::task::spawn_blocking(move || free_bytes(&paths)).await;
        if let Ok(Some(free)) = looked {
            context.mode.progress().found_disk(free);
        }
    }
}

/// Takes samples until the session ends.
pub async fn run_health(context: Context, state: SharedVenueState) {
    let areas = &context.settings.config.areas;
    let every = Duration::from_millis(areas.disk.disk_health_sample_interval_ms);
    let audit_dir = areas.audit.audit_dir.clone();
    let paths = watched(&areas.disk.disk_watch_paths, &audit_dir);
    let wal_warn = i64::try_from(areas.disk.wal_warn_bytes).unwrap_or(i64::MAX);
    let mut resources = Resources::new();
    let (mut totals, mut is_wal_long) = (Totals::default(), false);
    loop {
        let (watched, dir) = (paths.clone(), audit_dir.clone());
        let looked = tokio::task::spawn_blocking(move || look_at_disk(&watched, &dir)).await;
        let disk = looked.unwrap_or(DiskLook { free_bytes: None, jsonl_bytes: 0 });
        let size = sample(&context, &state, disk, &mut resources, &mut totals).await;
        if let Some(ServerSize { wal_bytes, .. }) = size {
            let is_long = wal_bytes >= wal_warn;
            if is_long && !is_wal_long {
                tracing::warn!(
                    "the decision cluster's log has {wal_bytes} bytes, limit wal_warn_bytes = {wal_warn}; \
                     next: look for a replication slot or an archiver that holds it"
                );
            }
            is_wal_long = is_long;
        }
        // The end first: a stopping process measures nothing.
        tokio::select! {
            biased;
            () = context.end.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// One row; what the server said of its size.
async fn sample(
    context: &Context,
    state: &SharedVenueState,
    disk: DiskLook,
    resources: &mut Resources,
    totals: &mut Totals,
) -> Option<ServerSize> {
    let usage = resources.look();
    let trail = context.mode.progress().trail();
    let (events_per_min, drops_per_min) = totals.per_minute(Instant::now(), trail);
    let (rest_counter, engine_counter_max) = counters(state);
    let size = health::server_size(&context.pool).await;
    let failed = match &size {
        Ok(size) => {
            let row = HealthSample {
                session_id: context.session_id,
                ts: UtcMicros::from(chrono::Utc::now()),
                disk_free_bytes: disk.free_bytes.unwrap_or_default(),
                db_bytes: size.db_bytes,
                wal_bytes: size.wal_bytes,
                jsonl_bytes: disk.jsonl_bytes,
                queue_len: i32::try_from(trail.queue_len).unwrap_or(i32::MAX),
                queue_pct_x10000: i32::try_from(trail.queue_pct_x10000()).unwrap_or(i32::MAX),
                lag_ms: trail.lag_ms,
                rss_bytes: i64::try_from(usage.rss_kb.saturating_mul(1_024)).unwrap_or(i64::MAX),
                cpu_pct_x10000: i32::try_from(usage.cpu_pct.saturating_mul(10_000))
                    .unwrap_or(i32::MAX),
                events_per_min,
                drops_per_min,
                rest_counter,
                engine_counter_max,
            };
            let written = health::insert_sample(&context.pool, &row).await;
            context.mode.tell(Told::Health(Box::new(row)));
            written.err()
        }
        Err(error) => {
            tracing::warn!("health not sampled: {error}");
            None
        }
    };
    if let Some(error) = &failed {
        tracing::warn!("health sample not written: {error}");
    }
    let source = Source::Signal(Signal::DbWriteFailure);
    let value = failed.as_ref().map(ToString::to_string);
    let code = CauseCode::DbUnavailable;
    context.mode.set_from(source, code, Level::Degrade, failed.is_some() || size.is_err(), value);
    size.ok()
}

/// The REST counter and the fullest pair's, as shares of their ceilings.
pub(crate) fn counters(state: &SharedVenueState) -> (Decimal, Decimal) {
    let now_ms = state.now().mono_ms();
    let state = state.lock();
    let pairs = state.engine().counters().map(|(_, counter)| counter.share(now_ms));
    let share = |value: f64| Decimal::from_f64_retain(value).unwrap_or_default().round_dp(6);
    (share(state.rest().counter().share(now_ms)), share(pairs.fold(0.0, f64::max)))
}

impl TrailFigures {
    /// Fill of the queue in percent, times 10 000; 0 while there is no queue.
    #[must_use]
    pub fn queue_pct_x10000(&self) -> i64 {
        if self.queue_capacity > 0 { self.queue_len * PCT_X10000 / self.queue_capacity } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_free_path_counts_and_a_path_to_come_stands_for_its_parent() {
        let directory = tempfile::tempdir().unwrap();
        let audit = directory.path().join("not/yet/there");
        let paths = watched(&[], &audit);
        assert_eq!(paths, std::slice::from_ref(&audit));
        let found = look_at_disk(&paths, &audit);
        assert!(found.free_bytes.unwrap() > 0);
        assert_eq!(found.jsonl_bytes, 0);
        std::fs::create_dir_all(&audit).unwrap();
        std::fs::write(audit.join("a.jsonl"), "12345").unwrap();
        // The kernel's own file system has nothing free at all.
        let both = watched(&[audit.display().to_string(), "/proc".to_owned()], &audit);
        let found = look_at_disk(&both, &audit);
        assert_eq!(found, DiskLook { free_bytes: Some(0), jsonl_bytes: 5 });
    }

    #[test]
    fn rates_are_those_of_the_last_minute() {
        let mut totals = Totals::default();
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let figures = |events_total| TrailFigures { events_total, ..TrailFigures::default() };
        assert_eq!(totals.per_minute(at(0), figures(10)), (0, 0));
        assert_eq!(totals.per_minute(at(30), figures(15)), (5, 0));
        assert_eq!(totals.per_minute(at(60), figures(20)), (10, 0));
        assert_eq!(totals.per_minute(at(90), figures(20)), (5, 0), "since 30 s");
    }

    #[test]
    fn the_fill_of_a_queue_is_a_share_of_its_places() {
        let figures =
            TrailFigures { queue_len: 512, queue_capacity: 1_024, ..TrailFigures::default() };
        assert_eq!(figures.queue_pct_x10000(), 500_000);
        assert_eq!(TrailFigures::default().queue_pct_x10000(), 0);
    }
}
