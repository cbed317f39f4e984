//! What the desk says beside its orders: positions, the closing sequence, reconcile, symbols that are closed.
//!
//! Input: the desk's memory. Output: events, posted. Invariant: nothing here waits or fails, and nothing
//! that the desk does depends on it.

use penstock_audit::Draft;
use penstock_store_orders::reconcile::{ReconcileDiff, ReconcileRun};
use penstock_trading::exit::closing::ClosingAction;
use penstock_types::vocab::{AuditEventType, ReasonCode, SafetyMode, StageName};
use penstock_types::{OrderId, PositionId, Symbol, UtcMicros};

use super::orders::{close_step, replaced};
use crate::desk::Desk;

/// A cause of a symbol's mode.
pub(crate) struct Safety<'a> {
    /// Its name.
    pub(crate) cause: &'a str,
    /// What it demands; normal: it is over.
    pub(crate) mode: SafetyMode,
    /// Until when, if it ends by itself.
    pub(crate) until: Option<UtcMicros>,
    /// It is a quarantine, for so many of something.
    pub(crate) quarantine: Option<(&'static str, usize)>,
}

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

    /// Says that a stop is replaced by another one.
    pub(crate) fn say_swap(&self, stop: OrderId) {
        let Some(tracked) = self.tracker.get(stop) else { return };
        let said = &self.tracker.said;
        said.post(|ms| replaced(&tracked.record, said.intent_of(stop), ms));
    }

    /// Says which rules were in force when the venue refused an order for them, and which are now.
    pub(crate) fn say_rules_refused(&self, symbol: &Symbol, old: &str, new: &str) {
        self.tracker.said.post(|ms| of_rules(symbol, old, new, ms));
    }

    /// Says that a cause began or ended for a symbol.
    pub(crate) fn say_safety(&self, symbol: &Symbol, found: &Safety<'_>) {
        self.tracker.said.post(|ms| of_safety(symbol, found, ms));
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

fn of_safety(symbol: &Symbol, found: &Safety<'_>, ms: i64) -> Draft {
    let draft = Draft::new(StageName::PositionManage, AuditEventType::QuarantineChanged, ms);
    let reason = match (found.mode, found.quarantine) {
        (SafetyMode::Normal, _) => None,
        (_, Some(_)) => Some(ReasonCode::SymbolQuarantined),
        (SafetyMode::Quiet, None) => Some(ReasonCode::SymbolQuiet),
        (SafetyMode::ExitOnly, None) => Some(ReasonCode::SymbolExitOnly),
        (SafetyMode::HardBlocked, None) => Some(ReasonCode::SymbolHardBlocked),
    };
    let counters: serde_json::Map<String, serde_json::Value> =
        found.quarantine.into_iter().map(|(of, count)| (of.to_owned(), count.into())).collect();
    let reasons = reason.into_iter().collect();
    Draft { symbol: Some(symbol.clone()), reasons, ..draft }
        .with("cause", found.cause)
        .with("symbol_mode", found.mode.as_str())
        .with("until_ts_ms", found.until.map_or(0, UtcMicros::millis))
        .with("counters", counters)
}

fn of_rules(symbol: &Symbol, old: &str, new: &str, ms: i64) -> Draft {
    let draft = Draft::new(StageName::PositionManage, AuditEventType::FiltersRefreshed, ms);
    let reason =
        if old == new { ReasonCode::FiltersDriftDetected } else { ReasonCode::FiltersRefreshed };
    Draft { symbol: Some(symbol.clone()), reasons: vec![reason], ..draft }
        .with("old_hash", old)
        .with("new_hash", new)
        .with("cause", "REJECT")
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
