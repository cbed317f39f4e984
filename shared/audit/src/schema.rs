//! A line of the trail as a JSON schema, written from the types.
//!
//! Input: nothing. Output: one document, the same bytes every time. Invariants: it has the fields of the envelope, the
//! words of the vocabularies and the keys of each event's data, so that a reader in any language can judge a line; what
//! reaches over several lines, the chain, is not in it. Data that was refused by redaction or was too long lacks keys by
//! right, which is why the keys of an event stand beside the two other forms.

use crate::event::{MODE, REASONS_MAX, VERSION};
use crate::line::SEQ_MAX;
use crate::payload;
use penstock_types::canonical::INTEGER_MAX;
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};
use serde_json::{Map, Value, json};

/// Pattern of a hash.
const HEX64: &str = "^[0-9a-f]{64}$";

/// The document.
#[must_use]
pub fn document() -> Value {
    let fields = fields();
    let required: Vec<&str> = fields.iter().map(|(name, ..)| *name).collect();
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, meaning, shape)| {
            let mut shape = shape.clone();
            if let Some(shape) = shape.as_object_mut() {
                shape.insert("description".to_owned(), Value::from(*meaning));
            }
            ((*name).to_owned(), shape)
        })
        .collect();
    let events: Vec<Value> = AuditEventType::ALL.iter().map(|event| data_of(*event)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "audit-event.schema.json",
        "$comment": format!("audit envelope {VERSION}"),
        "title": "Line of the audit trail",
        "type": "object",
        "description": "One event with its place in the chain: canonical JSON on one line",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "allOf": events,
        "$defs": {"too_long": too_long(), "refused": refused()},
    })
}

/// What the data of an event holds: its keys, or what is left of data that was too long or was refused.
fn data_of(event: AuditEventType) -> Value {
    json!({
        "if": {"properties": {"event_type": {"const": event.as_str()}}},
        "then": {"properties": {"data": {"anyOf": [
            {"required": payload::keys(event)},
            {"$ref": "#/$defs/too_long"},
            {"$ref": "#/$defs/refused"},
        ]}}},
    })
}

/// What stands for data that would make a line too long.
fn too_long() -> Value {
    json!({
        "type": "object",
        "properties": {
            "sha256": {"type": "string", "pattern": HEX64},
            "truncated_bytes": number(1, INTEGER_MAX),
        },
        "required": ["sha256", "truncated_bytes"],
        "additionalProperties": false,
    })
}

/// What redaction keeps of data that it refuses: hashes, verdict, reasons, error code.
fn refused() -> Value {
    let reason = || words(ReasonCode::ALL.iter().map(|r| r.as_str()));
    json!({
        "type": "object",
        "patternProperties": {
            "^(ai_)?verdict$": {"type": "string", "enum": ["ALLOW", "BLOCK", "MODIFY", "ERROR"]},
            "^(ai_)?reasons$": {"type": "array", "items": reason()},
            "^(ai_)?(error_code|primary_reason|first_reason)$": reason(),
            "(^|_)hash$": {"type": "string", "pattern": HEX64},
        },
        "additionalProperties": false,
    })
}

fn number(least: i64, greatest: i64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": greatest})
}

fn words(all: impl Iterator<Item = &'static str>) -> Value {
    json!({"type": "string", "enum": all.collect::<Vec<_>>()})
}

/// The fields of a line: name, what it means, its values.
fn fields() -> Vec<(&'static str, &'static str, Value)> {
    let id = || number(0, INTEGER_MAX);
    let time = || number(1, INTEGER_MAX);
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let reason = words(ReasonCode::ALL.iter().map(|r| r.as_str()));
    let reasons = json!({"type": "array", "maxItems": REASONS_MAX, "items": reason});
    vec![
        ("v", "Version of the envelope", json!({"type": "integer", "const": VERSION})),
        ("seq", "Number in the session, from 1, without a gap", number(1, SEQ_MAX)),
        ("ts_ms", "When it happened", time()),
        ("local_received_ms", "When the process learned of it", time()),
        ("exchange_time_ms", "The venue's time of it, 0 when there is none", id()),
        ("session_id", "Life of the process", json!({"type": "string", "format": "uuid"})),
        ("run_id", "Run of the bound data, or 0", id()),
        ("cycle_id", "Evaluation, or 0", id()),
        ("mode", "Mode", json!({"type": "string", "enum": [MODE]})),
        ("stage", "Where in the loop", words(StageName::ALL.iter().map(|s| s.as_str()))),
        ("event_type", "What happened", words(AuditEventType::ALL.iter().map(|e| e.as_str()))),
        ("reasons", "Why; may be empty", reasons),
        ("snapshot_id", "Universe snapshot of the bound epoch, or 0", id()),
        ("generation_id", "Bound generation, or 0", id()),
        ("epoch_id", "Bound epoch, or 0", id()),
        ("tick_id", "Tick, or 0", id()),
        ("decision_id", "Decision, or empty", text("^(dec_[0-9a-f]{64})?$")),
        ("order_intent_id", "Order as an intent, or empty", text("^(oi_[0-9]+)?$")),
        ("symbol", "Pair, or empty", json!({"type": "string"})),
        ("data", "Payload of the event; repeats no key of this level", json!({"type": "object"})),
        ("prev_hash", "Hash of the line before; zeros for a session's first", text(HEX64)),
        ("hash", "Hash over the hash before and this line without its own", text(HEX64)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ENVELOPE;
    use std::collections::BTreeSet;

    #[test]
    fn it_has_the_fields_of_a_line_and_every_event() {
        let named: BTreeSet<&str> = fields().iter().map(|(name, ..)| *name).collect();
        let envelope: BTreeSet<&str> = ENVELOPE.iter().copied().chain(["data"]).collect();
        assert_eq!(named, envelope);
        let document = document();
        let events = document["allOf"].as_array().unwrap();
        assert_eq!(events.len(), AuditEventType::ALL.len());
    }
}
