//! What is kept of a call: only what changed, and no body that is long.
//!
//! Input: two decisions, or the text of a body. Output: what a row may hold. Invariants: a leaf that did not change is
//! not kept; a long text is replaced by its length, never cut in the middle. It takes out no secrets: that is done
//! before, by who knows them.

use crate::decision::Decision;
use serde_json::{Map, Value};

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

/// The detail of an error as it is kept.
#[must_use]
pub fn kept_detail(redacted: &str) -> String {
    redacted.chars().take(ERROR_DETAIL_CHARS_MAX).collect()
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
    }
}
