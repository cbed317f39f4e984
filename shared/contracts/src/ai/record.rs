//! What is kept of a call: only what changed, no body that is long, one row and one event for each attempt.
//!
//! Input: two decisions, or the text of a body. Output: what a row may hold, and the event beside it. Invariants: a leaf
//! that did not change is not kept; a long text is replaced by its length, never cut in the middle; row and event say
//! the same. It takes out no secrets: that is done before, by who knows them.

use crate::decision::Decision;
use crate::units::{DecisionId, HashOrEmpty};
use crate::vocab::AiVerdict;
use penstock_types::vocab::ReasonCode;
use penstock_types::{EvaluationId, UtcMicros};
use serde_json::{Map, Value, json};

/// Longest body that is kept, in bytes.
pub const KEPT_BODY_BYTES_MAX: usize = 4_096;
/// Longest detail of an error that is kept, in characters.
pub const ERROR_DETAIL_CHARS_MAX: usize = 200;

/// The leaves of the second decision's plans that differ from the first's, in their groups.
#[must_use]
pub fn changed_leaves(before: &Decision, after: &Decision) -> Value {
    let tree = |decision: &Decision| {
        let mut plans = Map::new();
        for (name, plan) in [
            ("entry_plan", serde_json::to_value(&decision.entry_plan)),
            ("exit_plan", serde_json::to_value(&decision.exit_plan)),
        ] {
            plans.insert(name.to_owned(), plan.unwrap_or(Value::Null));
        }
        Value::Object(plans)
    };
    difference(&tree(before), &tree(after)).unwrap_or_else(|| Value::Object(Map::new()))
}

fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        return (before != after).then(|| after.clone());
    };
    let changed: Map<String, Value> = new
        .iter()
        .filter_map(|(key, value)| {
            let was = old.get(key).unwrap_or(&Value::Null);
            difference(was, value).map(|value| (key.clone(), value))
        })
        .collect();
    (!changed.is_empty()).then_some(Value::Object(changed))
}

/// A body as it is kept: whole, or its length.
#[must_use]
pub fn kept_body(redacted: &str) -> String {
    if redacted.len() <= KEPT_BODY_BYTES_MAX {
        return redacted.to_owned();
    }
    format!("<TRUNCATED len_bytes={}>", redacted.len())
}

/// The detail of an error as it is kept. Control characters are blanks: a row of text holds no zero character, and a
/// terminal that shows it obeys none.
#[must_use]
pub fn kept_detail(redacted: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    redacted.chars().map(plain).take(ERROR_DETAIL_CHARS_MAX).collect()
}

/// What is recorded of one attempt, or of a gate that is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateEvent {
    /// The decision that was asked about.
    pub decision_id: DecisionId,
    /// Number of the attempt from 1; 0 of a gate that is off.
    pub attempt: i16,
    /// Cycle.
    pub evaluation_id: EvaluationId,
    /// When it ended.
    pub ts: UtcMicros,
    /// The gate is on.
    pub enabled: bool,
    /// Verdict.
    pub verdict: AiVerdict,
    /// Why.
    pub reasons: Vec<ReasonCode>,
    /// Model.
    pub model: String,
    /// Milliseconds of this attempt.
    pub latency_ms: i32,
    /// Hash of the decision's inputs.
    pub snapshot_hash: HashOrEmpty,
    /// Hash of what was shown.
    pub input_hash: HashOrEmpty,
    /// Hash of the fixed text; empty of a gate that is off.
    pub prompt_hash: HashOrEmpty,
    /// Hash of what was read of the body.
    pub raw_hash: HashOrEmpty,
    /// The request, redacted.
    pub request: Option<String>,
    /// The response, redacted; none when it is no JSON.
    pub response: Option<String>,
    /// The leaves that a change made different, redacted.
    pub modified: Option<String>,
    /// A change was made.
    pub modify_applied: bool,
    /// What failed.
    pub error_code: Option<ReasonCode>,
    /// The same for people, redacted.
    pub error_detail: String,
}

impl GateEvent {
    /// Data of its audit event.
    #[must_use]
    pub fn event_data(&self) -> Map<String, Value> {
        let data = json!({
            "ai_enabled": self.enabled,
            "ai_verdict": self.verdict,
            "ai_reasons": self.reasons,
            "ai_model": self.model,
            "ai_latency_ms": self.latency_ms,
            "ai_raw_hash": self.raw_hash,
            "ai_input_hash": self.input_hash,
            "ai_snapshot_hash": self.snapshot_hash,
            "ai_prompt_hash": self.prompt_hash,
            "ai_modify_applied": self.modify_applied,
            "ai_attempt": self.attempt,
            "ai_error_code": self.error_code,
            "ai_error_detail_redacted": self.error_detail,
        });
        match data {
            Value::Object(fields) => fields,
            // The literal above is an object.
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{amount, decision, ladder_exit};
    use serde_json::json;

    #[test]
    fn only_what_changed_is_kept() {
        let before = decision();
        assert_eq!(changed_leaves(&before, &before), json!({}));
        let mut after = before.clone();
        after.entry_plan.as_mut().unwrap().qty = amount("0.00100000");
        after.entry_plan.as_mut().unwrap().fallback.enabled = false;
        after.exit_plan.as_mut().unwrap().time_stop_secs = 60;
        let kept = json!({
            "entry_plan": {"qty": "0.00100000", "fallback": {"enabled": false}},
            "exit_plan": {"time_stop_secs": 60},
        });
        assert_eq!(changed_leaves(&before, &after), kept);
        after.exit_plan = Some(ladder_exit());
        assert_eq!(changed_leaves(&before, &after)["exit_plan"]["trail_bps"], Value::Null);
    }

    #[test]
    fn long_texts_are_replaced_by_their_length() {
        let whole = "x".repeat(KEPT_BODY_BYTES_MAX);
        assert_eq!(kept_body(&whole), whole);
        assert_eq!(kept_body(&format!("{whole}x")), "<TRUNCATED len_bytes=4097>");
        assert_eq!(kept_detail(&"é".repeat(201)), "é".repeat(200));
        assert_eq!(kept_detail("a\0b\u{1b}[2Jc"), "a b [2Jc");
    }
}
