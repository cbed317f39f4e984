//! What of the dialect the schemas use, judged by hand: a second reading of the same words. Patterns of texts are left
//! to the readers, but for the names of fields.

use serde_json::Value;

type Judged = Result<(), String>;

/// Whether a value keeps to a schema; `root` is the document that references point into.
pub(crate) fn keeps_to(root: &Value, schema: &Value, value: &Value, at: &str) -> Judged {
    let off = |what: &str| Err(format!("{at}: {what}: {value}"));
    if let Some(path) = schema["$ref"].as_str() {
        let target =
            root.pointer(path.trim_start_matches('#')).expect("a reference leads somewhere");
        return keeps_to(root, target, value, at);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = choices.iter().any(|choice| keeps_to(root, choice, value, at).is_ok());
        return if fits { Ok(()) } else { off("none of the choices") };
    }
    if let Some(only) = schema.get("const") {
        return if only == value { Ok(()) } else { off("not the one value") };
    }
    match (schema["type"].as_str(), value) {
        (Some("null"), Value::Null) | (Some("boolean"), Value::Bool(_)) => {}
        (Some("integer"), Value::Number(number)) => {
            let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
            let fits = number.as_i64().is_some_and(|number| {
                least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
            });
            if !fits {
                return off("outside its range");
            }
        }
        (Some("string"), Value::String(text)) => match schema["enum"].as_array() {
            Some(words) if !words.contains(value) => return off("not a word"),
            None if text.len() > 16_384 => return off("too long"),
            Some(_) | None => {}
        },
        (Some("array"), Value::Array(items)) => {
            let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
            let least = schema["minItems"].as_u64().unwrap_or(0);
            if !(least..=most).contains(&(items.len() as u64)) {
                return off("too many or too few");
            }
            for item in items {
                keeps_to(root, &schema["items"], item, &format!("{at}[]"))?;
            }
        }
        (Some("object") | None, Value::Object(_)) => object(root, schema, value, at)?,
        _ => return off("another type"),
    }
    for rule in schema["allOf"].as_array().into_iter().flatten() {
        if keeps_to(root, &rule["if"], value, at).is_ok() {
            keeps_to(root, &rule["then"], value, at)?;
        }
    }
    Ok(())
}

fn object(root: &Value, schema: &Value, value: &Value, at: &str) -> Judged {
    let fields = value.as_object().expect("an object");
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        if !fields.contains_key(name) {
            return Err(format!("{at}: {name} is not there"));
        }
    }
    for (name, field) in fields {
        let named = schema["properties"].get(name);
        let patterned = schema["patternProperties"].as_object().into_iter().flatten();
        let shape = named.or_else(|| {
            patterned
                .into_iter()
                .find(|(pattern, _)| is_named(name, pattern))
                .map(|(_, shape)| shape)
        });
        match shape {
            Some(shape) => keeps_to(root, shape, field, &format!("{at}.{name}"))?,
            None if schema["additionalProperties"] == false => {
                return Err(format!("{at}: {name} is a field too many"));
            }
            None => {}
        }
    }
    Ok(())
}

/// The patterns of names that the schemas use: `^(a|b)?c$`, `^(a|b)$`, `(^|_)c$`, without a library.
fn is_named(name: &str, pattern: &str) -> bool {
    if let Some(end) = pattern.strip_prefix("(^|_)").and_then(|rest| rest.strip_suffix('$')) {
        return name == end || name.ends_with(&format!("_{end}"));
    }
    let Some(rest) = pattern.strip_prefix("^(ai_)?").and_then(|rest| rest.strip_suffix('$')) else {
        panic!("a pattern that this reading does not know: {pattern}");
    };
    let words = rest.trim_start_matches('(').trim_end_matches(')');
    words.split('|').any(|word| name == word || name.strip_prefix("ai_") == Some(word))
}
