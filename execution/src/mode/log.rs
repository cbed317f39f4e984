//! The mode's log: a row for each change and for the recovery of the start, in order.
//!
//! Purpose: `sys_mode_log`, `startup_recoveries`. Inputs: the owner's queue. Outputs: rows. Invariants: a row that the
//! database refuses is tried again until it is there or the process ends; later ones wait behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use penstock_audit::Redactor;
use penstock_store::StoreError;
use penstock_store_decision::health::{self, StartupRecovery};
use penstock_store_decision::modes::{self, ModeRow};
use penstock_trading::mode::{CauseCode, Level, ModeChange};
use penstock_types::{SessionId, UtcMicros};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Changes, ModeHandle, RecoveryReport, Told};

/// Pause before a row is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// Writes the rows until the session ends.
pub async fn run_log(
    handle: ModeHandle,
    mut changes: Changes,
    pool: PgPool,
    session_id: SessionId,
    redactor: Arc<Redactor>,
    stop: CancellationToken,
) {
    let mut waiting: Option<Told> = None;
    loop {
        if let Some(told) = &waiting {
            match write(&pool, session_id, told, &redactor).await {
                Ok(()) => {
                    waiting = None;
                    handle.clear(CauseCode::DbUnavailable);
                }
                Err(error) => {
                    tracing::warn!("row of the mode's log not written, trying again: {error}");
                    handle.raise(CauseCode::DbUnavailable, Level::Degrade, None);
                }
            }
        }
        // The end first: nothing may keep a stopping process. A row that waits is tried again before the next.
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = changes.recv(), if waiting.is_none() => match next {
                Some(told) => waiting = Some(told),
                None => break,
            },
            () = tokio::time::sleep(RETRY), if waiting.is_some() => {}
        }
    }
    // What is still waiting belongs to the record of the session; one try each.
    let mut last = waiting.into_iter().collect::<Vec<_>>();
    while let Ok(told) = changes.try_recv() {
        last.push(told);
    }
    for told in &last {
        if let Err(error) = write(&pool, session_id, told, &redactor).await {
            tracing::warn!("last row of the mode's log not written: {error}");
        }
    }
}

async fn write(
    pool: &PgPool,
    session_id: SessionId,
    told: &Told,
    redactor: &Redactor,
) -> Result<(), StoreError> {
    match told {
        Told::Mode { change, at } => {
            modes::insert(pool, &row(session_id, change, *at, redactor)).await
        }
        // A session has one recovery; the way out of a PAUSE is in the trail.
        Told::Recovery(report) if report.at_start => {
            health::insert_recovery(pool, &recovery(session_id, report)).await
        }
        Told::Recovery(_) | Told::Health(_) | Told::Daily(_) => Ok(()),
    }
}

/// The row of a change; what a cause says of itself may be the text of an error, and goes through redaction.
pub(crate) fn row(
    session_id: SessionId,
    change: &ModeChange,
    ts: UtcMicros,
    redactor: &Redactor,
) -> ModeRow {
    let values: BTreeMap<&str, String> =
        change.values.iter().map(|(code, text)| (code.as_str(), redactor.text(text))).collect();
    ModeRow {
        session_id,
        ts,
        evaluation_index: None,
        from: change.from,
        to: change.to,
        reasons: change.reasons.iter().map(|r| r.as_str().to_owned()).collect(),
        values: serde_json::json!(values),
    }
}

fn recovery(session_id: SessionId, report: &RecoveryReport) -> StartupRecovery {
    let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    StartupRecovery {
        session_id,
        ts: report.at,
        class: report.class.as_str(),
        orders_found: int(report.orders_found),
        positions_found: int(report.positions_found),
        orders_resolved: int(report.orders_resolved),
        report: serde_json::json!(report.facts),
    }
}
