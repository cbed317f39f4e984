//! What the desk says beside its orders: positions, the closing sequence, reconcile, symbols that are closed.
//!
//! Input: the desk's memory. Output: events, posted. Invariant: nothing here waits or fails, and nothing
//! that the desk does depends on it.

use penstock_audit::Draft;
use penstock_store_orders::reconcile::{ReconcileDiff, ReconcileRun};
use penstock_trading::exit::closing::ClosingAction;
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};
use penstock_types::{PositionId, Symbol, UtcMicros};

use super::orders::close_step;
use crate::desk::Desk;

impl Desk {
    /// Says what changed of a position.
    pub(crate) fn say_position(&mut self, id: PositionId) {
        let stop = self.stop_of(id).and_then(|t| t.record.exchange_order_id.clone());
        let Some(held) = self.tracker.positions.get(&id) else { return };
        let (plan, took) = (held.plan.as_ref(), held.to_protection_ms);
        self.tracker.said.position(&held.position, plan, stop.as_deref(), took);
    }

    /// Says a step of the closing sequence, once for each attempt.
    pub(crate) fn say_close(&mut self, id: PositionId, action: &ClosingAction) {
        let Some((step, outcome)) = step_of(action) else { return };
        let Some(held) = self.tracker.positions.get(&id) else { return };
        let plan = held.plan.as_ref();
        let attempt = plan.map_or(0, |plan| plan.attempts);
        if self.tracker.said.step(id, (step, attempt)) {
            let position = &held.position;
            self.tracker.said.post(|ms| close_step(position, plan, step, outcome, ms));
        }
    }

    /// Says a pass or a look, and what differed.
    pub(crate) fn say_reconcile(&self, run: &ReconcileRun) {
        let said = &self.tracker.said;
        said.post(|ms| of_run(run, ms));
        for diff in &run.diffs {
            said.post(|ms| of_diff(diff, ms));
        }
    }

    /// Says that a symbol takes no entries.
    pub(crate) fn say_quarantine(&self, symbol: &Symbol, cause: &str, until: Option<UtcMicros>) {
        self.tracker.said.post(|ms| {
            let draft =
                Draft::new(StageName::PositionManage, AuditEventType::QuarantineChanged, ms);
            let reasons = vec![ReasonCode::SymbolExitOnly];
            Draft { symbol: Some(symbol.clone()), reasons, ..draft }
                .with("cause", cause)
                .with("symbol_mode", "exit_only")
                .with("until_ts_ms", until.map_or(0, UtcMicros::millis))
                .with("counters", serde_json::Map::new())
        });
    }
}

/// The name of a step and what it is for now; none while it waits.
const fn step_of(action: &ClosingAction) -> Option<(&'static str, &'static str)> {
    match action {
        ClosingAction::Wait => None,
        ClosingAction::CancelEntry => Some(("CANCEL_ENTRY", "ATTEMPTED")),
        ClosingAction::CancelStop => Some(("CANCEL_STOP", "ATTEMPTED")),
        ClosingAction::LookUpStop => Some(("LOOK_UP_STOP", "UNKNOWN")),
        ClosingAction::StopUnknown => Some(("STOP_UNKNOWN", "UNKNOWN")),
        ClosingAction::LookUpClose => Some(("LOOK_UP_CLOSE", "UNKNOWN")),
        ClosingAction::ReadBalance => Some(("READ_BALANCE", "ATTEMPTED")),
        ClosingAction::RearmStop => Some(("REARM_STOP", "REJECTED")),
        ClosingAction::Submit { .. } => Some(("SUBMIT", "ATTEMPTED")),
        ClosingAction::CancelClose => Some(("CANCEL_CLOSE", "ATTEMPTED")),
        ClosingAction::GiveUp => Some(("GIVE_UP", "REJECTED")),
        ClosingAction::Done => Some(("DONE", "DONE")),
        ClosingAction::Dust => Some(("DUST", "DONE")),
    }
}

fn of_run(run: &ReconcileRun, ms: i64) -> Draft {
    let positions: Vec<i64> = run.positions.iter().map(|id| id.0).collect();
    Draft::new(StageName::ReconcileRest, AuditEventType::ReconcileRest, ms)
        .with("kind", run.kind)
        .with("cause", run.cause)
        .with("outcome", run.outcome)
        .with("position_ids", positions)
        .with("dur_ms", run.dur_ms)
        .with("drift_score_x10000", run.drift_score_x10000.unwrap_or_default())
        .with("calls", run.calls)
}

fn of_diff(diff: &ReconcileDiff, ms: i64) -> Draft {
    let draft = Draft::new(StageName::ReconcileRest, AuditEventType::ReconcileDiff, ms);
    let (symbol, order_id) = (Symbol::new(&diff.symbol).ok(), diff.order_id);
    let reasons = vec![ReasonCode::ReconcileDiffDetected];
    Draft { symbol, order_id, reasons, ..draft }
        .with("diff_kind", diff.kind)
        .with("local", diff.local.as_str())
        .with("remote", diff.remote.as_str())
        .with("weight_points", diff.points)
        .with("settled", diff.settled)
}
