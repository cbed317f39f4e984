//! A question as this side reads it: judged by what the protocol and its sender promise.
//!
//! Inputs: the head and body of a request. Outputs: the object that was shown. Invariants: a request without the key, with
//! another shape, or whose object does not have the hash that it names, is refused with its reason. It reads nothing of
//! the answer.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// What was shown, without its hash.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) model: String,
    pub(super) shown: Map<String, Value>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Question {
    /// The question of a request.
    pub(super) fn read(authorization: &str, key: &str, body: &[u8]) -> Result<Self, String> {
        if authorization != format!("Bearer {key}") {
            return Err("the key is not ours".to_owned());
        }
        let tree: Value = serde_json::from_slice(body)
            .map_err(|error| format!("the body is no JSON: {error}"))?;
        let promised = [
            ("/temperature", Value::from(0)),
            ("/response_format/type", Value::from("json_schema")),
            ("/response_format/json_schema/strict", Value::from(true)),
            ("/response_format/json_schema/schema/additionalProperties", Value::from(false)),
            ("/messages/0/role", Value::from("system")),
            ("/messages/1/role", Value::from("user")),
        ];
        for (path, value) in promised {
            if tree.pointer(path) != Some(&value) {
                return Err(format!("{path} is not {value}"));
            }
        }
        if tree["messages"].as_array().map(Vec::len) != Some(2) {
            return Err("there are not two messages".to_owned());
        }
        if tree["max_tokens"].as_u64().unwrap_or_default() == 0 {
            return Err("max_tokens is not above 0".to_owned());
        }
        let model = tree["model"].as_str().unwrap_or_default().to_owned();
        let content = tree.pointer("/messages/1/content").and_then(Value::as_str);
        let shown = serde_json::from_str(content.unwrap_or_default())
            .map_err(|error| format!("the user's message is no object: {error}"))?;
        Self::hashed(model, shown)
    }

    /// Keys are sorted and texts are short here, so that compact JSON is the canonical form.
    fn hashed(model: String, mut shown: Map<String, Value>) -> Result<Self, String> {
        let Some(Value::String(named)) = shown.remove("input_hash") else {
            return Err("the object names no input_hash".to_owned());
        };
        let mut keys: Vec<(String, Value)> = shown.into_iter().collect();
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        let shown: Map<String, Value> = keys.into_iter().collect();
        let found = hex(&Sha256::digest(Value::Object(shown.clone()).to_string().as_bytes()));
        if found != named {
            return Err(format!("the object has the hash {found} and names {named}"));
        }
        Ok(Self { model, shown })
    }

    /// A text of the object.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.as_str()
    }

    /// A field of the object.
    pub(super) fn at(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        let mut value = self.shown.get(parts.next()?)?;
        for part in parts {
            value = value.get(part)?;
        }
        Some(value)
    }
}
