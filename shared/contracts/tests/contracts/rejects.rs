//! Readers of contracts against everything that is nearly one: a field less, a field more, a field twice, a value of
//! another kind, and any value anywhere.

use crate::judge::keeps_to;
use penstock_contracts::ai::answer::{answer_schema, read_answer};
use penstock_contracts::ai::{AiGateResult, Call};
use penstock_contracts::alert::{Alert, HeartbeatAlert};
use penstock_contracts::shape::Shape;
use penstock_contracts::units::Hex64;
use penstock_contracts::{Decision, OrderIntentHashPayload, RiskVerdict, Snapshot, fixtures};
use penstock_types::canonical::INTEGER_MAX;
use penstock_types::vocab::ReasonCode;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A contract: a valid document, its schema, its reader with all its rules.
struct Contract {
    name: &'static str,
    document: Value,
    schema: Value,
    reads: fn(&[u8]) -> bool,
    /// Where any other value breaks the hash that the document carries.
    hashed: fn(&str) -> bool,
    /// Where names are free.
    free: &'static str,
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

fn alert(more: &Value) -> Value {
    let mut alert = json!({"v": 1, "reason_code": "SPOOL_BACKLOG", "reasons": ["SPOOL_BACKLOG"],
        "severity": "WARN", "symbol": "", "summary": "raw spool 81 %, 7 h left", "count": 3,
        "first_ts_ms": 1_771_243_200_012_i64, "last_ts_ms": 1_771_243_205_012_i64, "run_id": 17,
        "metrics": {"pct": 81}});
    for (name, value) in more.as_object().unwrap() {
        alert[name] = value.clone();
    }
    alert
}

fn answered() -> AiGateResult {
    let hash = |text: &[u8]| Hex64::of_bytes(text);
    let call = Call {
        model: "m".to_owned(),
        latency_ms: 812,
        raw_hash: hash(b"raw"),
        input_hash: hash(b"input"),
        snapshot_hash: fixtures::snapshot().metadata.snapshot_hash,
        attempts: 1,
    };
    call.allowed(vec![ReasonCode::AigateOk])
}

fn judged_decision() -> Value {
    let mut decision = fixtures::decision();
    decision.risk_verdict = Some(fixtures::risk_verdict());
    decision.ai_gate = Some(answered());
    serde_json::to_value(decision).unwrap()
}

fn of(
    name: &'static str,
    document: Value,
    schema: Value,
    reads: fn(&[u8]) -> bool,
    hashed: fn(&str) -> bool,
    free: &'static str,
) -> Contract {
    Contract { name, document, schema, reads, hashed, free }
}

fn contracts() -> Vec<Contract> {
    let never: fn(&str) -> bool = |_| false;
    let execution = json!({"source": "ingest", "sender": "execution", "stage": "POSITION_MANAGE",
        "sys_mode": "NORMAL", "cycle_id": 0, "decision_id": "", "order_intent_id": "",
        "active": true});
    let answer = json!({"verdict": "ALLOW", "reasons": ["AIGATE_OK"], "modified_decision": null});
    vec![
        of(
            "snapshot",
            serde_json::to_value(fixtures::snapshot()).unwrap(),
            Snapshot::shape(),
            |b| Snapshot::read(b).is_ok_and(|s| s.validate(&fixtures::context()).is_ok()),
            |at| !at.starts_with("/health_flags") && !at.starts_with("/metadata"),
            "-",
        ),
        of(
            "decision",
            judged_decision(),
            Decision::shape(),
            |b| read::<Decision>(b).is_some_and(|d| d.validate().is_ok()),
            |at| !["/cycle_id", "/ai_gate", "/risk_verdict"].iter().any(|p| at.starts_with(p)),
            "-",
        ),
        of(
            "verdict of the gate",
            serde_json::to_value(answered()).unwrap(),
            AiGateResult::shape(),
            |b| read::<AiGateResult>(b).is_some_and(|r| r.breaches().is_empty()),
            never,
            "-",
        ),
        of(
            "verdict of risk",
            serde_json::to_value(fixtures::risk_verdict()).unwrap(),
            RiskVerdict::shape(),
            |b| read::<RiskVerdict>(b).is_some_and(|r| r.breaches().is_empty()),
            never,
            "-",
        ),
        of(
            "intent",
            serde_json::to_value(fixtures::entry_intent()).unwrap(),
            OrderIntentHashPayload::shape(),
            |b| read::<OrderIntentHashPayload>(b).is_some_and(|i| i.breaches().is_empty()),
            never,
            "-",
        ),
        of("answer", answer, answer_schema(), |b| read_answer(b).is_ok(), never, "-"),
        of(
            "alert",
            alert(&execution),
            Alert::shape(),
            |b| Alert::read(b).is_ok(),
            never,
            "/metrics",
        ),
        of(
            "alert of a heartbeat",
            alert(&json!({})),
            HeartbeatAlert::shape(),
            |b| read::<Value>(b).is_some_and(|v| HeartbeatAlert::read(&v).is_ok()),
            never,
            "/metrics",
        ),
    ]
}

impl Contract {
    fn takes(&self, document: &Value) -> bool {
        (self.reads)(document.to_string().as_bytes())
    }

    fn keeps(&self, document: &Value) -> bool {
        // The gate's verdict refers to the decision as the root; a lone one has none in it.
        keeps_to(&self.schema, &self.schema, document, self.name).is_ok()
    }
}

/// Every place of a document as a pointer, the root left out.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| (format!("{at}/{k}"), v)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(i, v)| (format!("{at}/{i}"), v)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (place, value) in inner {
        places(value, &place, found);
        found.push(place);
    }
}

/// The document with the object at a place changed.
fn at_object(
    document: &Value,
    at: &str,
    change: impl FnOnce(&mut serde_json::Map<String, Value>),
) -> Value {
    let mut spoiled = document.clone();
    let object = spoiled.pointer_mut(at).and_then(Value::as_object_mut).expect("an object");
    change(object);
    spoiled
}

/// Values of every kind.
fn foreign() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no infinity", |n| n.is_finite()).prop_map(Value::from),
        "[A-Z_]{0,24}".prop_map(Value::from),
        "-?[0-9]{1,24}(\\.[0-9]{1,12})?".prop_map(Value::from),
        "[0-9a-f]{64}".prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!(["STRAT_OK", "STRAT_OK"])),
    ]
}

/// Each contract refuses a document with a field less, a field more, a field twice or a value of another kind, at any
/// depth; and for any value anywhere: what its schema refuses it refuses, and what is under its hash cannot change.
pub(crate) fn check() {
    for contract in contracts() {
        assert!(contract.takes(&contract.document), "{} is valid", contract.name);
        assert!(contract.keeps(&contract.document), "{} keeps to its schema", contract.name);
        let mut all = Vec::new();
        places(&contract.document, "", &mut all);
        let bound = all.iter().filter(|at| !at.starts_with(contract.free));
        let mut refused = 0;
        for at in bound {
            refused += fields_are_all_and_only_those(&contract, at);
        }
        println!("{}: {} places, {refused} spoiled documents refused", contract.name, all.len());
        twice(&contract);
        proptest!(ProptestConfig::with_cases(512), |(which in any::<prop::sample::Index>(), value in foreign())| {
            let at = &all[which.index(all.len())];
            let mut spoiled = contract.document.clone();
            let place = spoiled.pointer_mut(at).expect("a place");
            prop_assume!(*place != value);
            *place = value.clone();
            let takes = contract.takes(&spoiled);
            prop_assert!(contract.keeps(&spoiled) || !takes, "{} {at} = {value}", contract.name);
            prop_assert!(!(contract.hashed)(at) || !takes, "{} {at} = {value}", contract.name);
        });
    }
}

/// A place that is a field cannot be absent; an object has no other fields; a value is of its kind.
fn fields_are_all_and_only_those(contract: &Contract, at: &str) -> usize {
    let (parent, name) = at.rsplit_once('/').expect("a place has a parent");
    let mut refused = 0;
    let mut refuses = |spoiled: &Value, how: &str| {
        assert!(!contract.takes(spoiled), "{} {at} {how}", contract.name);
        refused += 1;
    };
    if contract.document.pointer(parent).is_some_and(Value::is_object) {
        let without = at_object(&contract.document, parent, |object| {
            object.remove(name);
        });
        refuses(&without, "is absent");
    }
    if contract.document.pointer(at).is_some_and(Value::is_object) {
        let more = at_object(&contract.document, at, |object| {
            object.insert("more".to_owned(), 1.into());
        });
        refuses(&more, "has a field more");
    }
    let beyond = json!(INTEGER_MAX + 1);
    for value in
        [json!(null), json!(true), json!(1.5), beyond, json!("\u{1}"), json!([]), json!({})]
    {
        let mut spoiled = contract.document.clone();
        *spoiled.pointer_mut(at).expect("a place") = value.clone();
        if !contract.keeps(&spoiled) {
            refuses(&spoiled, &format!("is {value}"));
        }
    }
    refused
}

/// A field that stands twice in the text is refused even when both say the same.
fn twice(contract: &Contract) {
    if contract.name == "alert of a heartbeat" {
        // It is handed over as a value, in which nothing stands twice.
        return;
    }
    let text = contract.document.to_string();
    for (name, value) in contract.document.as_object().expect("an object") {
        let doubled = format!("{{\"{name}\":{value},{}", &text[1..]);
        assert!(!(contract.reads)(doubled.as_bytes()), "{}: {name} twice", contract.name);
    }
}
