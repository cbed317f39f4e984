//! The looks behind the checklist and the locks.
//!
//! Purpose: find out. Inputs: the session, the desk, files. Outputs: findings. Invariants: nothing is left behind by a
//! probe; a look that cannot be made is a failure of its item and never a pass.

use std::io::Write;
use std::path::Path;

use penstock_panel::run::{Listening, Place};
use penstock_store_decision::health;
use penstock_trading::mode::{Signal, Thresholds};

use super::checklist::{Finding, Findings, Item};
use crate::account::Account;
use crate::context::Context;
use crate::desk::DeskHandle;
use crate::settings::Settings;

/// Looks at every item.
pub(super) async fn all(context: &Context, desk: &DeskHandle, panel: &Listening) -> Findings {
    let thresholds = *context.mode.thresholds();
    let (status, stream) = (desk.status(), desk.stream_status());
    let table = context.quotes.table();
    let is_fresh =
        table.data_age_ms().is_some_and(|age| is_good(Signal::MarketDataAge, &thresholds, age));
    let audit_dir = context.settings.config.areas.audit.audit_dir.clone();
    let probed = tokio::task::spawn_blocking(move || probe_directory(&audit_dir)).await;
    let db = health::write_probe(&context.pool, context.session_id).await;
    let later = |holds: bool| if holds { Finding::Holds } else { Finding::NotYet };
    let fails = |holds: bool| if holds { Finding::Holds } else { Finding::Fails };
    let measured = |signal: Signal, value: Option<i64>| {
        value.map_or(Finding::NotYet, |value| fails(is_good(signal, &thresholds, value)))
    };
    let offset_ms = desk.clock_offset_us().map(|us| us.saturating_abs() / 1_000);
    Findings::from([
        // A cluster that is away is a cause of its own, which ends by itself.
        (Item::DecisionDb, db.map_or(Finding::NotYet, fails)),
        (Item::Jsonl, fails(matches!(probed, Ok(Ok(()))))),
        (Item::Disk, measured(Signal::DiskFree, context.mode.progress().disk_free_bytes())),
        (Item::Rules, later(desk.has_rules())),
        (Item::Clock, measured(Signal::ClockOffset, offset_ms)),
        (Item::Frames, later(is_fresh)),
        (Item::PrivateStream, later(stream.connected && stream.snapshots_ok)),
        (Item::Reconcile, later(status.reconciled)),
        (Item::OrdersKnown, later(status.unresolved_orders == 0)),
        // An address that another process holds is a person's to free.
        (
            Item::Panel,
            match panel.place() {
                Place::Opening => Finding::NotYet,
                Place::Listens => Finding::Holds,
                Place::Taken => Finding::Fails,
            },
        ),
    ])
}

/// The value is on the good side of the signal's thresholds.
fn is_good(signal: Signal, thresholds: &Thresholds, value: i64) -> bool {
    signal.trigger(thresholds).judge(value).is_none()
}

/// Locks of live order placement that are missing; none are asked for while execution is off. The account's key is no
/// lock here: without it nothing could be watched, and the start is refused.
#[must_use]
pub fn missing_locks(settings: &Settings) -> Vec<&'static str> {
    let evaluation = &settings.config.areas.evaluation;
    let is_missing = evaluation.execution_enable
        && evaluation.live_require_ok_file
        && !evaluation.live_ok_file_path.is_file();
    is_missing.then_some("live_ok_file_path").into_iter().collect()
}

/// Writes a file into a directory, syncs it and takes it away again.
///
/// # Errors
/// The directory cannot be made, or the file not be written, synced or removed.
pub fn probe_directory(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(format!(".probe-{}", std::process::id()));
    let written = std::fs::File::create(&path).and_then(|mut file| {
        file.write_all(b"probe\n")?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}
