//! The records of a call: one for each attempt, without what must not be kept.
//!
//! Input: what was sent and read, and the verdict. Output: rows. Invariants: texts pass redaction before they are kept,
//! and JSON that stands as text inside JSON is opened first, so that its keys are judged too; a body that is no JSON is
//! known by its hash alone.

use crate::gate::Asking;
use penstock_audit::Redactor;
use penstock_audit::redact::Source;
use penstock_contracts::ai::prompt::PROMPT_HASH;
use penstock_contracts::ai::record::{GateEvent, changed_leaves, kept_body, kept_detail};
use penstock_contracts::ai::{AiGateResult, recorded::Outcome};
use penstock_contracts::units::{HashOrEmpty, Hex64};
use penstock_types::UtcMicros;
use serde_json::Value;

/// What an attempt left behind.
pub(crate) struct Trace<'a> {
    /// Number of the attempt; 1 when none was made.
    pub(crate) attempt: i16,
    /// Its end.
    pub(crate) ts: UtcMicros,
    /// Its milliseconds.
    pub(crate) latency_ms: i32,
    /// The request; none when nothing was sent.
    pub(crate) request: Option<&'a Value>,
    /// What was read of the body.
    pub(crate) body: &'a [u8],
}

/// The record of a gate that is off.
pub(crate) fn of_off(asking: &Asking<'_>, result: &AiGateResult, ts: UtcMicros) -> GateEvent {
    GateEvent {
        decision_id: asking.decision.decision_id.clone(),
        attempt: 0,
        evaluation_id: asking.decision.cycle_id,
        ts,
        enabled: false,
        verdict: result.verdict,
        reasons: result.reasons.clone(),
        model: String::new(),
        latency_ms: 0,
        snapshot_hash: HashOrEmpty(None),
        input_hash: HashOrEmpty(None),
        prompt_hash: HashOrEmpty(None),
        raw_hash: HashOrEmpty(None),
        request: None,
        response: None,
        modified: None,
        modify_applied: false,
        error_code: None,
        error_detail: String::new(),
    }
}

/// The record of one attempt.
pub(crate) fn of_attempt(
    asking: &Asking<'_>,
    outcome: &Outcome,
    trace: &Trace<'_>,
    redactor: &Redactor,
) -> GateEvent {
    let result = &outcome.result;
    let modified = result.modified_decision.as_ref().map(|after| {
        let leaves = changed_leaves(asking.decision, after);
        kept_body(&redactor.stored_json(&leaves, Source::Ai))
    });
    GateEvent {
        decision_id: asking.decision.decision_id.clone(),
        attempt: trace.attempt,
        evaluation_id: asking.decision.cycle_id,
        ts: trace.ts,
        enabled: true,
        verdict: result.verdict,
        reasons: result.reasons.clone(),
        model: result.model.clone(),
        latency_ms: trace.latency_ms,
        snapshot_hash: result.snapshot_hash.clone(),
        input_hash: result.input_hash.clone(),
        prompt_hash: HashOrEmpty(Hex64::parse(PROMPT_HASH).ok()),
        raw_hash: result.raw_hash.clone(),
        request: trace.request.map(|request| stored(request, redactor)),
        response: serde_json::from_slice(trace.body).ok().map(|body| stored(&body, redactor)),
        modify_applied: modified.is_some(),
        modified,
        error_code: result.error_code,
        error_detail: kept_detail(&redactor.text(&outcome.detail)),
    }
}

fn stored(value: &Value, redactor: &Redactor) -> String {
    kept_body(&redactor.stored_json(&opened(value), Source::Ai))
}

/// The same with every text that is a JSON object in place of that text; texts inside those stay as they are.
fn opened(value: &Value) -> Value {
    match value {
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).unwrap_or_else(|_| value.clone())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        Value::Array(items) => Value::Array(items.iter().map(opened).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, field)| (key.clone(), opened(field))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_inside_a_text_is_judged_by_its_keys() {
        let redactor = Redactor::default().with_secrets([&"a-key-of-mine".to_owned().into()]);
        let inner = json!({"verdict": "ALLOW", "ts": 5, "authorization": "Bearer x"}).to_string();
        let body = json!({"choices": [{"message": {"content": inner}}], "nonce": 3});
        let kept = stored(&body, &redactor);
        assert_eq!(kept, r#"{"choices":[{"message":{"content":{"verdict":"ALLOW"}}}]}"#);
        let told = json!({"choices": [], "echo": "your key is a-key-of-mine"});
        assert_eq!(stored(&told, &redactor), "{}");
        let suspect = json!({"content": json!({"api_key_of": "x"}).to_string()});
        assert_eq!(stored(&suspect, &redactor), "{}");
        let long = json!({"content": "x".repeat(5_000)});
        assert_eq!(stored(&long, &redactor), "<TRUNCATED len_bytes=5014>");
    }
}
