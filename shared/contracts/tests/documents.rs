//! The committed schemas are those of the types, and documents keep to them.

use penstock_contracts::{fixtures, schema};
use serde_json::Value;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/contracts")
}

/// Update with `PENSTOCK_UPDATE_DOCS=1 cargo test -p penstock-contracts --test documents`.
#[test]
fn the_committed_schemas_are_those_of_the_types() {
    for (name, document) in schema::documents() {
        let path = folder().join(format!("{name}.schema.json"));
        let text = schema::text(&document);
        if std::env::var_os("PENSTOCK_UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(folder()).expect("the folder can be made");
            std::fs::write(&path, &text).expect("the schema can be written");
        }
        let committed = std::fs::read_to_string(&path).expect("the schema is committed");
        assert_eq!(committed, text, "{} is stale", path.display());
    }
}

/// What of the dialect these schemas use, judged by hand: a second reading of the same words.
fn keeps_to(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let off = |what: &str| Err(format!("{at}: {what}: {value}"));
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = choices.iter().any(|choice| keeps_to(root, choice, value, at).is_ok());
        return if fits { Ok(()) } else { off("none of the choices") };
    }
    if schema["$ref"] == "#" {
        return keeps_to(root, root, value, at);
    }
    match (schema["type"].as_str(), value) {
        (Some("null"), Value::Null) | (Some("boolean"), Value::Bool(_)) => Ok(()),
        (Some("integer"), Value::Number(number)) => {
            let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
            let fits = number.as_i64().is_some_and(|number| {
                least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
            });
            if fits { Ok(()) } else { off("outside its range") }
        }
        (Some("string"), Value::String(text)) => match schema["enum"].as_array() {
            Some(words) if !words.contains(value) => off("not a word"),
            Some(_) => Ok(()),
            None if text.len() > 16_384 => off("too long"),
            None => Ok(()),
        },
        (Some("array"), Value::Array(items)) => items
            .iter()
            .try_for_each(|item| keeps_to(root, &schema["items"], item, &format!("{at}[]"))),
        (Some("object"), Value::Object(fields)) => {
            for name in schema["required"].as_array().expect("required names") {
                let name = name.as_str().expect("a name");
                let Some(field) = fields.get(name) else { return off("a field too few") };
                keeps_to(root, &schema["properties"][name], field, &format!("{at}.{name}"))?;
            }
            let known = schema["properties"].as_object().expect("properties");
            if schema["additionalProperties"] == false && fields.len() == known.len() {
                Ok(())
            } else {
                off("a field too many")
            }
        }
        _ => off("another type"),
    }
}

#[test]
fn valid_contracts_keep_to_their_schemas_and_spoiled_ones_do_not() {
    let schemas: std::collections::BTreeMap<_, _> = schema::documents().into_iter().collect();
    let mut decision = fixtures::decision();
    decision.risk_verdict = Some(fixtures::risk_verdict());
    decision.ai_gate = Some(penstock_contracts::ai::AiGateResult::disabled());
    let nothing = r#"{"verdict":"ALLOW","reasons":["AIGATE_OK"],"modified_decision":null}"#;
    let documents = [
        ("snapshot", serde_json::to_value(fixtures::snapshot()).unwrap()),
        ("decision", serde_json::to_value(&decision).unwrap()),
        ("ai-result", serde_json::from_str(nothing).unwrap()),
    ];
    for (name, document) in documents {
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
