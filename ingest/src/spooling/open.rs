//! Opening the raw spool: what an earlier process left, the thread that writes, the loaders.
//!
//! Output: the sink's writer, a monitor, one loading task per directory, and the newest time that was
//! recovered, from which the restart's gap runs.

use crate::exit::Exit;
use crate::lifecycle::startup::Started;
use crate::settings::Settings;
use penstock_store::spool::loader::{Loader, LoaderSettings};
use penstock_store::spool::{
    FillLevel, OpenedSpool, RecoveredDir, SpoolEvent, SpoolSettings, SpoolWriter, open_spool,
    start_writer,
};
use penstock_telemetry::marker;
use penstock_types::UtcMicros;
use std::sync::Arc;

/// Venue number of Kraken spot in the raw tables.
const KRAKEN_SPOT: i16 = 0;

/// An opened spool.
pub(crate) struct RawSpool {
    pub writer: SpoolWriter,
    pub thread: std::thread::JoinHandle<()>,
    pub own: Loader,
    pub inherited: Vec<Loader>,
    /// Newest receipt time of Kraken spot that was recovered.
    pub recovered_until: Option<UtcMicros>,
    /// Locks of every directory; they end with the process.
    pub dirs: Vec<RecoveredDir>,
}

/// Opens the spool before the first socket.
///
/// # Errors
/// [`Exit::Refused`] when a directory cannot be used.
pub(crate) fn open(settings: &Settings, started: &Started) -> Result<RawSpool, Exit> {
    let refused = |e: &dyn std::fmt::Display| Exit::Refused(format!("raw spool: {e}"));
    let dir = settings.spool_dir.join("raw");
    std::fs::create_dir_all(&dir).map_err(|e| refused(&e))?;
    let token = started.fence.token();
    let OpenedSpool { own, inherited, .. } = open_spool(&dir, token).map_err(|e| refused(&e))?;
    let mut recovered_until = None;
    for found in std::iter::once(&own).chain(&inherited) {
        tell_opened(found);
        let times = found.runs.iter().filter_map(|r| r.last_times.get(&KRAKEN_SPOT).copied());
        recovered_until = times.max().max(recovered_until);
    }
    let limits = &settings.spool;
    let spool_settings = SpoolSettings {
        bytes_max: limits.bytes_max,
        free_bytes_min: limits.free_bytes_min,
        segment_bytes: limits.segment_bytes,
        ring_bytes: limits.ring_bytes,
        fsync_every: limits.fsync,
        high_pct: limits.high_pct,
        ..SpoolSettings::raw(token, u32::try_from(started.run.schema_version).unwrap_or(0))
    };
    let run_id = started.run.run_id;
    let (writer, thread) =
        start_writer(Arc::clone(&own.segments), spool_settings, run_id, tell_event)
            .map_err(|e| refused(&e))?;
    let load = LoaderSettings { rows_max: limits.copy_rows_max, interval: limits.copy_interval };
    let pool = &started.clusters.ingest;
    let loader = |dir: &RecoveredDir, own_run| {
        Loader::new(pool.clone(), Arc::clone(&dir.segments), own_run, load)
    };
    Ok(RawSpool {
        writer,
        thread,
        own: loader(&own, Some(run_id)),
        inherited: inherited.iter().map(|dir| loader(dir, None)).collect(),
        recovered_until,
        dirs: std::iter::once(own).chain(inherited).collect(),
    })
}

fn tell_opened(found: &RecoveredDir) {
    let oldest_seq = found.runs.first().and_then(|r| r.last_seq);
    marker!(
        SPOOL_OPENED,
        spool = "raw",
        dir = found.dir.path().display().to_string(),
        bytes = found.segments.bytes(),
        runs = found.runs.iter().map(|r| r.run_id).collect::<Vec<_>>(),
        cut = found.damage.iter().filter(|d| d.torn_tail).count(),
        oldest_seq = oldest_seq,
    );
    for damage in found.damage.iter().filter(|d| !d.torn_tail) {
        marker!(
            SPOOL_CORRUPT,
            spool = "raw",
            segment = damage.path.display().to_string(),
            offset = damage.offset,
            error = damage.error.to_string(),
        );
    }
}

fn tell_event(event: SpoolEvent) {
    match event {
        SpoolEvent::Level { from, to, fill_pct } => match (from, to) {
            (_, FillLevel::Normal) => marker!(SPOOL_CLEAR, spool = "raw", pct = fill_pct),
            (_, FillLevel::High) => marker!(SPOOL_HIGH, spool = "raw", pct = fill_pct),
            _ => marker!(SPOOL_FULL, spool = "raw", pct = fill_pct),
        },
        SpoolEvent::DeviceError { path, error, failed } => {
            let segment = path.display().to_string();
            if failed {
                marker!(SPOOL_FAILED, spool = "raw", segment = segment, error = error);
            } else {
                tracing::error!(segment, "spool device: {error}");
            }
        }
        SpoolEvent::DeviceRecovered => tracing::info!("the spool's device takes writes again"),
        SpoolEvent::OldestDropped { run_id, bytes } => {
            tracing::error!(%run_id, bytes, "the oldest spool segment was dropped for space");
        }
    }
}
