//! Answers that are nearly right: whatever is changed in one, it is an answer of the schema or a failure.

use crate::rig::min_order;
use penstock_ai_gate::received;
use penstock_contracts::ai::answer::{AnswerVerdict, REASONS_MAX, answer_schema, read_answer};
use penstock_contracts::ai::policy::Situation;
use penstock_contracts::ai::recorded::{Came, RecordedAnswer, RecordedCall, outcome_of};
use penstock_contracts::fixtures;
use penstock_contracts::units::Hex64;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Values that stand where another belongs.
fn foreign() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no infinity", |n| n.is_finite()).prop_map(Value::from),
        "[A-Z_]{0,24}".prop_map(Value::from),
        "-?[0-9]{1,30}(\\.[0-9]{1,30})?".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!(["AIGATE_OK"])),
    ]
}

fn right() -> impl Strategy<Value = Value> {
    let number = || prop_oneof![Just(Value::Null), (0_i32..20_000).prop_map(Value::from)];
    let amount = || {
        prop_oneof![
            Just(Value::Null),
            "0\\.00[0-2][0-9]{5}".prop_map(Value::from),
            "6[34][0-9]{3}\\.[0-9]".prop_map(Value::from),
        ]
    };
    let verdict = prop_oneof![Just("ALLOW"), Just("BLOCK"), Just("MODIFY"), Just("MODIFY")];
    (verdict, amount(), amount(), amount(), number(), number(), number()).prop_map(
        |(verdict, qty, price, stop, ttl, repegs, time)| {
            let change = json!({
                "entry_plan": {
                    "kind": null, "limit_price": price, "qty": qty, "ttl_ms": ttl,
                    "max_repegs": repegs, "fallback": null,
                },
                "exit_plan": {
                    "sl_price": stop, "tp_price": null, "trail_bps": null, "time_stop_secs": time,
                },
            });
            let modified = if verdict == "MODIFY" { change } else { Value::Null };
            json!({"verdict": verdict, "reasons": ["AIGATE_OK"], "modified_decision": modified})
        },
    )
}

/// Puts `value` at the `at`-th place of the tree, counted in depth, or removes what is there.
fn spoil(tree: &mut Value, at: &mut usize, value: &Option<Value>) {
    let Value::Object(fields) = tree else { return };
    let keys: Vec<String> = fields.keys().cloned().collect();
    for key in keys {
        if *at == 0 {
            match value {
                Some(value) => fields.insert(key, value.clone()),
                None => fields.remove(&key),
            };
            *at = usize::MAX;
            return;
        }
        *at -= 1;
        if let Some(field) = fields.get_mut(&key) {
            spoil(field, at, value);
        }
        if *at == usize::MAX {
            return;
        }
    }
}

/// The schema by hand, for the shapes that are made here: what it refuses must not be read.
fn has_shape(tree: &Value, schema: &Value) -> bool {
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().any(|one| has_shape(tree, one));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(tree)
    {
        return false;
    }
    match schema["type"].as_str() {
        Some("null") => tree.is_null(),
        Some("boolean") => tree.is_boolean(),
        Some("string") => tree.is_string(),
        Some("integer") => tree.as_i64().is_some_and(|number| {
            number >= schema["minimum"].as_i64().unwrap()
                && number <= schema["maximum"].as_i64().unwrap()
        }),
        Some("array") => tree.as_array().is_some_and(|items| {
            let within = (1..=REASONS_MAX).contains(&items.len());
            within && items.iter().all(|item| has_shape(item, &schema["items"]))
        }),
        Some("object") => tree.as_object().is_some_and(|fields| {
            let properties = schema["properties"].as_object().unwrap();
            fields.len() == properties.len()
                && properties.iter().all(|(key, schema)| {
                    fields.get(key).is_some_and(|field| has_shape(field, schema))
                })
        }),
        other => panic!("{other:?} is no type of the schema"),
    }
}

fn body(content: &str) -> Vec<u8> {
    json!({"choices": [{"message": {"content": content}}]}).to_string().into_bytes()
}

/// What the gate makes of a body.
fn outcome(bytes: &[u8]) -> (Situation, Option<penstock_contracts::Decision>) {
    let decision = fixtures::decision();
    let came = match received(bytes) {
        Ok(text) => Came::Answered { text },
        Err((failure, detail)) => Came::Failed { failure, detail },
    };
    let recorded = RecordedAnswer {
        decision_id: decision.decision_id.clone(),
        call: Some(RecordedCall {
            model: "m".to_owned(),
            latency_ms: 1,
            attempts: 1,
            raw_hash: Hex64::of_bytes(bytes),
            input_hash: Hex64::of_bytes(b"i"),
            snapshot_hash: decision.snapshot_hash.clone(),
            came,
        }),
    };
    let outcome = outcome_of(&recorded, &decision, min_order()).unwrap();
    (outcome.situation, outcome.result.modified_decision.map(|changed| *changed))
}

fn judge(text: &str, tree: Option<&Value>) -> Result<(), TestCaseError> {
    let (situation, changed) = outcome(&body(text));
    if let Ok(answer) = read_answer(text.as_bytes()) {
        if let Some(tree) = tree {
            prop_assert!(has_shape(tree, &answer_schema()), "{text}");
        }
        let expected = match (answer.verdict, &changed) {
            (AnswerVerdict::Allow, None) => Situation::Allow,
            (AnswerVerdict::Block, None) => Situation::Block,
            (AnswerVerdict::Modify, Some(_)) => Situation::ModifyValid,
            (AnswerVerdict::Modify, None) => Situation::ModifyInvalid,
            (verdict, Some(_)) => panic!("{verdict} with a change"),
        };
        prop_assert_eq!(situation, expected, "{}", text);
    } else {
        prop_assert_eq!(situation, Situation::Failed, "{}", text);
    }
    if let Some(after) = changed {
        let before = fixtures::decision();
        let (was, is) = (before.entry_plan.unwrap(), after.entry_plan.unwrap());
        prop_assert!(is.qty.value() <= was.qty.value());
        prop_assert!(is.limit_price.value() <= was.limit_price.value());
        let (was, is) = (before.exit_plan.unwrap(), after.exit_plan.unwrap());
        prop_assert!(is.sl_price.value() >= was.sl_price.value());
    }
    Ok(())
}

/// Six texts a case: bytes of any kind, a right answer, one with a place spoiled, one cut at any byte, one and a half.
pub(crate) fn whole_or_not_at_all(cases: u32) {
    let config = ProptestConfig { cases, ..ProptestConfig::default() };
    let inputs = (
        right(),
        0_usize..20,
        proptest::option::of(foreign()),
        "\\PC{0,80}",
        proptest::collection::vec(any::<u8>(), 0..200),
        any::<prop::sample::Index>(),
    );
    proptest!(config, |((right, at, value, text, bytes, cut) in inputs)| {
        judge(&right.to_string(), Some(&right))?;
        let mut spoiled = right.clone();
        spoil(&mut spoiled, &mut at.clone(), &value);
        judge(&spoiled.to_string(), Some(&spoiled))?;
        judge(&text, None)?;
        let whole = right.to_string();
        let cut = cut.index(whole.len());
        prop_assert_eq!(outcome(&body(&whole[..cut])).0, Situation::Failed);
        prop_assert_eq!(outcome(&body(&format!("{whole}{}", &whole[..cut.max(1)]))).0, Situation::Failed);
        prop_assert_eq!(outcome(&bytes).0, Situation::Failed);
    });
}
