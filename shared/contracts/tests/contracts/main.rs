//! Contracts as documents: one mode, committed schemas that are those of the types, and readers that take nothing else.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod judge;
mod rejects;

use judge::keeps_to;
use penstock_audit::{Draft, Event, Hash, Line, Redactor};
use penstock_contracts::vocab::Mode;
use penstock_contracts::{Decision, OrderIntentHashPayload, fixtures, schema};
use penstock_types::vocab::{AuditEventType, StageName};
use penstock_types::{SessionId, Uuid};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/contracts")
}

/// Every document: its name and its schema.
fn documents() -> Vec<(&'static str, Value)> {
    let mut all = schema::documents();
    all.push(("audit-event", penstock_audit::schema::document()));
    all
}

/// Update with `PENSTOCK_UPDATE_DOCS=1 cargo test -p penstock-contracts --test contracts`.
#[test]
fn schema_files_current() {
    let mut expected = vec!["README.md".to_owned()];
    for (name, document) in documents() {
        let path = folder().join(format!("{name}.schema.json"));
        let text = schema::text(&document);
        if std::env::var_os("PENSTOCK_UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(folder()).expect("the folder can be made");
            std::fs::write(&path, &text).expect("the schema can be written");
        }
        let committed = std::fs::read_to_string(&path).expect("the schema is committed");
        assert!(committed == text, "{} is stale", path.display());
        expected.push(format!("{name}.schema.json"));
    }
    let files = std::fs::read_dir(folder()).unwrap();
    let mut found: Vec<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "a schema that no type writes");
}

/// Every value that a schema allows for a field of this name, wherever it stands.
fn words_of(schema: &Value, field: &str, found: &mut Vec<Value>) {
    match schema {
        Value::Object(fields) => {
            if let Some(shape) = fields.get("properties").and_then(|p| p.get(field)) {
                found.push(shape["enum"].clone());
            }
            fields.values().for_each(|value| words_of(value, field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| words_of(item, field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// There is one mode, LIVE: no contract has a word for another, none has a switch for one, and none is read with one.
#[test]
fn mode_closed() {
    assert_eq!(Mode::ALL.iter().map(|mode| mode.as_str()).collect::<Vec<_>>(), ["LIVE"]);
    let mut modes = Vec::new();
    for (_, document) in documents() {
        words_of(&document, "mode", &mut modes);
        for word in ["PAPER", "SIMULATED", "TESTNET", "BACKTEST", "dry_run", "is_paper"] {
            let text = document.to_string();
            assert!(!text.contains(&format!("\"{word}\"")), "{word} is a word of a contract");
        }
    }
    assert!(modes.len() >= 2, "decision and audit event have it: {modes:?}");
    assert!(modes.iter().all(|words| *words == json!(["LIVE"])), "{modes:?}");
    let decision = serde_json::to_value(fixtures::decision()).unwrap();
    let intent = serde_json::to_value(fixtures::entry_intent()).unwrap();
    assert!(serde_json::from_value::<Decision>(decision.clone()).is_ok());
    assert!(serde_json::from_value::<OrderIntentHashPayload>(intent.clone()).is_ok());
    let line = audit_line(AuditEventType::Marker);
    proptest!(|(other in "[A-Za-z_ ]{0,12}")| {
        prop_assume!(other != "LIVE");
        for word in [other.as_str(), "live", "PAPER", "SIMULATED", "TESTNET", "LIVE "] {
            let with = |document: &Value| {
                let mut spoiled = document.clone();
                spoiled["mode"] = word.into();
                spoiled
            };
            prop_assert!(serde_json::from_value::<Decision>(with(&decision)).is_err());
            prop_assert!(serde_json::from_value::<OrderIntentHashPayload>(with(&intent)).is_err());
            prop_assert!(Line::parse(with(&line).to_string().as_bytes()).is_err());
        }
    });
}

/// Each contract refuses a document with a field less, a field more, a field twice or a value of another kind, at any
/// depth; and for any value anywhere: what its schema refuses it refuses, and what is under its hash cannot change.
#[test]
fn reject_matrix() {
    rejects::check();
}

/// A line of the trail as it is written, with every key of its event.
fn audit_line(event: AuditEventType) -> Value {
    let mut draft = Draft::new(StageName::Boot, event, 1);
    for key in penstock_audit::payload::keys(event) {
        draft.data.insert((*key).to_owned(), 1.into());
    }
    let event = Event::new(draft, &Redactor::default()).unwrap();
    let (_, bytes) = Line::write(event, SessionId(Uuid::from_u128(7)), 1, Hash::ZERO);
    serde_json::from_slice(&bytes).unwrap()
}

/// A contract that is written keeps to its schema, and a field more or fewer breaks it.
#[test]
fn valid_contracts_keep_to_their_schemas_and_spoiled_ones_do_not() {
    let schemas: std::collections::BTreeMap<_, _> = documents().into_iter().collect();
    let mut decision = fixtures::decision();
    decision.risk_verdict = Some(fixtures::risk_verdict());
    decision.ai_gate = Some(penstock_contracts::ai::AiGateResult::disabled());
    let nothing = r#"{"verdict":"ALLOW","reasons":["AIGATE_OK"],"modified_decision":null}"#;
    let mut examples = vec![
        ("snapshot", serde_json::to_value(fixtures::snapshot()).unwrap()),
        ("decision", serde_json::to_value(&decision).unwrap()),
        ("ai-result", serde_json::from_str(nothing).unwrap()),
    ];
    examples.extend(AuditEventType::ALL.iter().map(|event| ("audit-event", audit_line(*event))));
    for (name, document) in examples {
        let schema = &schemas[name];
        assert_eq!(keeps_to(schema, schema, &document, name), Ok(()));
        for field in document.as_object().unwrap().keys() {
            let mut without = document.clone();
            without.as_object_mut().unwrap().remove(field);
            assert!(keeps_to(schema, schema, &without, name).is_err(), "{name} without {field}");
        }
        let mut more = document.clone();
        more["more"] = Value::from(1);
        assert!(keeps_to(schema, schema, &more, name).is_err(), "{name}");
    }
}

/// The keys of an event's data are part of the schema, and so are the two forms of data that lacks them by right.
#[test]
fn the_schema_of_a_line_knows_the_data_of_each_event() {
    let schema = penstock_audit::schema::document();
    let judged = |line: &Value| keeps_to(&schema, &schema, line, "line");
    for event in AuditEventType::ALL {
        let line = audit_line(*event);
        for key in penstock_audit::payload::keys(*event) {
            let mut without = line.clone();
            without["data"].as_object_mut().unwrap().remove(*key);
            let alone = without["data"].as_object().unwrap().is_empty();
            // Nothing at all is what redaction may leave of data.
            assert_eq!(judged(&without).is_ok(), alone, "{event} without {key}");
        }
        let mut short = line.clone();
        short["data"] = json!({"sha256": "0".repeat(64), "truncated_bytes": 70_213});
        assert_eq!(judged(&short), Ok(()));
        short["data"] = json!({"snapshot_hash": "0".repeat(64), "ai_verdict": "BLOCK"});
        assert_eq!(judged(&short), Ok(()));
    }
}
