//! Opening the raw spool: what an earlier process left, the thread that writes, the loaders.
//!
//! Output: the sink's writer, a monitor, one loading task per directory, and the newest time that was
//! recovered, from which the restart's gap runs.

use crate::exit::Exit;
use crate::lifecycle::alerts::{Alerts, Reason};
use crate::lifecycle::startup::Started;
use crate::settings::Settings;
use crate::spooling::load::Sources;
use penstock_store::spool::loader::LoaderSettings;
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
    /// What is loaded from it.
    pub sources: Sources,
    /// Newest receipt time of Kraken spot that was recovered.
    pub recovered_until: Option<UtcMicros>,
    /// Locks of every directory; they end with the process.
    pub dirs: Vec<RecoveredDir>,
}

/// Opens the spool before the first socket.
///
/// # Errors
/// [`Exit::Refused`] when a directory cannot be used.
pub(crate) fn open(
    settings: &Settings,
    started: &Started,
    alerts: &Alerts,
) -> Result<RawSpool, Exit> {
    let refused = |e: &dyn std::fmt::Display| Exit::Refused(format!("raw spool: {e}"));
    let dir = settings.spool_dir.join("raw");
    std::fs::create_dir_all(&dir).map_err(|e| refused(&e))?;
    let token = started.fence.token();
    let OpenedSpool { own, inherited, busy } = open_spool(&dir, token).map_err(|e| refused(&e))?;
    for held in &busy {
        let (dir, runs) = (held.path().display(), held.runs.len());
        tracing::warn!(
            "raw spool {dir} is held by a process that has not ended: {runs} runs in it follow"
        );
    }
    let mut recovered_until = None;
    for found in std::iter::once(&own).chain(&inherited) {
        tell_opened(found, alerts);
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
        start_writer(Arc::clone(&own.segments), spool_settings, run_id, event_teller(alerts))
            .map_err(|e| refused(&e))?;
    let load = LoaderSettings { rows_max: limits.copy_rows_max, interval: limits.copy_interval };
    Ok(RawSpool {
        writer,
        thread,
        sources: Sources {
            own: Arc::clone(&own.segments),
            inherited: inherited.iter().map(|dir| Arc::clone(&dir.segments)).collect(),
            busy,
            settings: load,
            published: started.published,
        },
        recovered_until,
        dirs: std::iter::once(own).chain(inherited).collect(),
    })
}

pub(super) fn tell_opened(found: &RecoveredDir, alerts: &Alerts) {
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
        let summary = format!("corrupt spool segment {}", damage.path.display());
        alerts.occurred(Reason::RawDataLoss, &summary, serde_json::json!({}));
    }
}

/// Conditions of the spool's alerts.
const FILL: &str = "fill";
const FULL: &str = "full";
const DEVICE: &str = "device";

fn event_teller(alerts: &Alerts) -> impl Fn(SpoolEvent) + Send + 'static {
    let alerts = alerts.clone();
    move |event| tell_event(event, &alerts)
}

fn tell_event(event: SpoolEvent, alerts: &Alerts) {
    match event {
        SpoolEvent::Level { from, to, fill_pct } => tell_level(from, to, fill_pct, alerts),
        SpoolEvent::DeviceError { path, error, failed } => {
            let segment = path.display().to_string();
            if failed {
                marker!(SPOOL_FAILED, spool = "raw", segment = segment, error = error);
                let summary = format!("the raw spool's disk refuses writes: {error}");
                alerts.begins(Reason::RawDataLoss, DEVICE, &summary);
            } else {
                tracing::error!(segment, "spool device: {error}");
            }
        }
        SpoolEvent::DeviceRecovered => {
            tracing::info!("the spool's device takes writes again");
            alerts.ends(Reason::RawDataLoss, DEVICE);
        }
        SpoolEvent::OldestDropped { run_id, bytes } => {
            tracing::error!(%run_id, bytes, "the oldest spool segment was dropped for space");
        }
    }
}

fn tell_level(from: FillLevel, to: FillLevel, fill_pct: u64, alerts: &Alerts) {
    let summary = format!("raw spool {fill_pct} %");
    match to {
        FillLevel::Normal => {
            marker!(SPOOL_CLEAR, spool = "raw", pct = fill_pct);
            alerts.ends(Reason::SpoolBacklog, FILL);
            alerts.ends(Reason::RawDataLoss, FULL);
        }
        FillLevel::High | FillLevel::ShedL3 => {
            if from == FillLevel::Normal {
                marker!(SPOOL_HIGH, spool = "raw", pct = fill_pct);
            }
            alerts.begins(Reason::SpoolBacklog, FILL, &summary);
        }
        FillLevel::ShedBulk | FillLevel::Full => {
            if from < FillLevel::ShedBulk {
                marker!(SPOOL_FULL, spool = "raw", pct = fill_pct);
            }
            alerts.begins(Reason::RawDataLoss, FULL, &summary);
        }
    }
}
