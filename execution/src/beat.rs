//! Figures of the evaluations, and the heartbeat: the row that says to the other service that this one lives, and what is wrong with it.
//!
//! Inputs: figures of the evaluations, the mode, the engine, the active alerts. Output: one row of `service_heartbeats`,
//! written every interval and at once when an alert opens, escalates or ends, from the moment at which the fence is held:
//! a start that waits for its first reconcile is alive. Invariant: no evaluation is needed for a beat; a beat that cannot
//! be written is a cause of the mode.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use penstock_store::fence::FencedService;
use penstock_store_decision::heartbeat::{self, Heartbeat};
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::{EvaluationId, RunId};

use crate::boot::checklist::Findings;
use crate::context::Context;

/// The last evaluation that has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluated {
    /// Its row.
    pub evaluation_id: EvaluationId,
    /// Run that it was bound to; none while there was none.
    pub run_id: Option<RunId>,
    /// Its end, milliseconds since 1970.
    pub ended_ms: i64,
}

/// What the evaluations and the start tell heartbeat and panel.
#[derive(Debug, Default)]
pub struct Figures {
    evaluation_index: AtomicI64,
    open_positions: AtomicUsize,
    unresolved_orders: AtomicUsize,
    evaluated: Mutex<Option<Evaluated>>,
    findings: Mutex<Findings>,
}

impl Figures {
    /// An evaluation has begun.
    pub fn began(&self, index: i64) {
        self.evaluation_index.store(index, Ordering::Relaxed);
    }

    /// It has read its input.
    pub fn read(&self, open_positions: usize, unresolved_orders: usize) {
        self.open_positions.store(open_positions, Ordering::Relaxed);
        self.unresolved_orders.store(unresolved_orders, Ordering::Relaxed);
    }

    /// It has ended, with a row.
    pub fn ended(&self, evaluation_id: EvaluationId, run_id: Option<RunId>) {
        let ended_ms = chrono::Utc::now().timestamp_millis();
        // A holder that panicked has written a plain value: it is whole.
        let mut evaluated = self.evaluated.lock().unwrap_or_else(PoisonError::into_inner);
        *evaluated = Some(Evaluated { evaluation_id, run_id, ended_ms });
    }

    /// The last evaluation that has a row; none before the first.
    #[must_use]
    pub fn evaluated(&self) -> Option<Evaluated> {
        *self.evaluated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the start's checklist has found.
    pub fn found(&self, findings: Findings) {
        *self.findings.lock().unwrap_or_else(PoisonError::into_inner) = findings;
    }

    /// What the start's checklist found when it was looked at last; empty before.
    #[must_use]
    pub fn findings(&self) -> Findings {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn status(context: &Context) -> serde_json::Value {
    let figures = &context.figures;
    serde_json::json!({
        "session_id": context.session_id,
        "sys_mode": context.mode.current(),
        "evaluation_index": figures.evaluation_index.load(Ordering::Relaxed),
        "open_positions": figures.open_positions.load(Ordering::Relaxed),
        "unresolved_orders": figures.unresolved_orders.load(Ordering::Relaxed),
        "engine": context.engine.status(),
    })
}

/// Beats until the session's last tasks end.
pub async fn run_beats(context: Context) {
    let every = context.settings.config.areas.telemetry.heartbeat_interval_ms;
    let every = Duration::from_millis(every);
    loop {
        beat(&context).await;
        // The end first; an alert's change before the time of the next beat.
        tokio::select! {
            biased;
            () = context.end.cancelled() => return,
            () = context.alerts.changed() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}

async fn beat(context: &Context) {
    let (status, alerts) = (status(context), context.alerts.heartbeat());
    let row = Heartbeat {
        service: FencedService::Execution,
        instance_id: context.holder_id,
        domain: context.domain(),
        host: &context.host,
        pid: context.pid,
        started_at: context.started_at,
        status: &status,
        alerts: &alerts,
    };
    let written = heartbeat::beat(&context.pool, &row).await;
    let failing = written.is_err();
    context.mode.set(CauseCode::DbUnavailable, Level::Degrade, failing, None);
    match written {
        Ok(()) => beat_seen(),
        Err(error) => tracing::warn!("heartbeat not written: {error}"),
    }
}

/// When the heartbeat was last written, for who watches this machine from outside.
fn beat_seen() {
    let at = chrono::Utc::now().timestamp_millis();
    metrics::gauge!("service_heartbeat_timestamp_seconds").set(at as f64 / 1_000.0);
}
