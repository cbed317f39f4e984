//! The contracts as JSON schemas, written from the types.
//!
//! Input: nothing. Output: one document per contract, the same bytes every time. Invariants: a schema says what the
//! reader accepts; rules that reach over several fields are not in it.

use crate::ai::answer::answer_schema;
use crate::alert::{Alert, HEARTBEAT_ALERTS_MAX, HeartbeatAlert};
use crate::dashboard::{DashboardSnapshot, List, ORDERS_MAX, OrderRow};
use crate::decision::{CONTRACTS_VERSION, Decision};
use crate::shape::Shape;
use crate::snapshot::Snapshot;
use serde_json::{Value, json};

/// A document: its file name and its schema.
#[must_use]
pub fn documents() -> Vec<(&'static str, Value)> {
    [
        ("snapshot", "Inputs of one finalist's decision", Snapshot::shape()),
        ("decision", "Decision", Decision::shape()),
        ("ai-result", "Answer of a model to the AI gate", answer_schema()),
        ("alert", "Alert as a webhook gets it", Alert::shape()),
        ("heartbeat", "Alerts of a service in its heartbeat", heartbeat()),
        ("dashboard", "State of the system, as the panel gets it", DashboardSnapshot::shape()),
        ("orders", "Newest orders, as the panel gets them", List::<OrderRow, ORDERS_MAX>::shape()),
    ]
    .into_iter()
    .map(|(name, title, shape)| (name, document(name, title, shape)))
    .collect()
}

fn heartbeat() -> Value {
    json!({"type": "array", "maxItems": HEARTBEAT_ALERTS_MAX, "items": HeartbeatAlert::shape()})
}

fn document(name: &str, title: &str, mut shape: Value) -> Value {
    if let Some(fields) = shape.as_object_mut() {
        let dialect = json!("https://json-schema.org/draft/2020-12/schema");
        fields.insert("$schema".to_owned(), dialect);
        fields.insert("$id".to_owned(), format!("{name}.schema.json").into());
        fields.insert("title".to_owned(), title.into());
        fields.insert("$comment".to_owned(), format!("contracts {CONTRACTS_VERSION}").into());
    }
    shape
}

/// A document as text, with a line end at its end.
#[must_use]
pub fn text(document: &Value) -> String {
    format!("{document:#}\n")
}
