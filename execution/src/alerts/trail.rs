//! An alert as an event of the audit trail.
//!
//! Purpose: every alert that is told stands in the trail. Inputs: the alert. Outputs: a draft. Invariants: it is posted
//! on the raising thread and never waited for.

use penstock_audit::Draft;
use penstock_contracts::alert::Alert;
use penstock_types::Symbol;
use penstock_types::vocab::AuditEventType;
use serde_json::{Value, json};

/// The event of an alert.
pub(crate) fn event(alert: &Alert) -> Draft {
    let symbol = serde_json::to_value(&alert.symbol).unwrap_or(Value::Null);
    let draft = Draft::new(alert.stage, AuditEventType::AlertRaised, alert.last_ts_ms.0)
        .with("source", json!(alert.source))
        .with("severity", json!(alert.severity))
        .with("primary_reason", alert.reason_code.as_str())
        .with("summary", json!(alert.summary))
        .with("metrics", json!(alert.metrics));
    Draft {
        reasons: alert.reasons.clone(),
        symbol: symbol.as_str().and_then(|text| Symbol::new(text).ok()),
        run_id: alert.run_id,
        cycle_id: alert.cycle_id,
        decision_id: alert.decision_id.clone(),
        ..draft
    }
}
