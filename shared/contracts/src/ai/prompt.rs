//! What a model is told before it is shown a decision, and the request around both.
//!
//! Input: a question. Output: the fixed text and the body of a request. Invariants: the text is the same for every
//! decision and known by its hash, which a test keeps; nothing here knows an address or a key.

use crate::ai::answer::answer_schema;
use crate::ai::payload::{Question, allowed_reasons};
use penstock_types::vocab::ReasonCode;
use serde_json::{Value, json};

/// Version of the text.
pub const PROMPT_VERSION: &str = "1";

/// SHA-256 of [`system_text`]; changed with every change of the text or of the reasons that may be given.
pub const PROMPT_HASH: &str = "5ce15b9a18dbfda23a4080f6634c8eb05cbb88574328a682776b5d157473c00a";

const HEAD: &str = "You are the last reviewer of a proposed entry on a spot market, long only, with a cash account. \
You are given one JSON object: the proposal, the market state behind it, its costs, its plans and the limits. \
Answer with one JSON object and nothing else: {\"verdict\", \"reasons\", \"modified_decision\"}. \
Verdict ALLOW: you have no objection. Verdict BLOCK: the entry must not be made. Verdict MODIFY: it may be made only \
in a more cautious form. \
You can only make it more cautious: a smaller quantity, a lower or equal limit price on the tick, a less urgent kind \
(MARKET, then TAKER, then MAKER_FIRST), a shorter or equal time to live above zero, fewer or equal re-pegs, a fallback \
switched off or less urgent (MARKET, then IOC_LIMIT) or with less or equal slippage, a higher or equal stop below the \
entry, a lower or equal target above the entry, a smaller or equal trail above zero, a shorter or equal time stop of \
at least 60 seconds. Anything else is refused and the entry is not made. \
With MODIFY, modified_decision has every field of its schema, null for each that stays as it is; otherwise \
modified_decision is null. Prices, quantities and distances of the exit are decimal strings without exponent. \
Give 1 to 8 reasons, only from this list: ";

/// The fixed text.
#[must_use]
pub fn system_text() -> String {
    let words: Vec<&str> = allowed_reasons().into_iter().map(ReasonCode::as_str).collect();
    format!("{HEAD}{}.", words.join(", "))
}

/// Body of a request to a chat endpoint.
#[must_use]
pub fn request_body(model: &str, question: &Question, tokens_max: u32) -> Value {
    json!({
        "model": model,
        "messages": [
            {"role": "system", "content": system_text()},
            {"role": "user", "content": question.text},
        ],
        "temperature": 0,
        "max_tokens": tokens_max,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "ai_result", "strict": true, "schema": answer_schema()},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Hex64;

    #[test]
    fn the_text_is_the_one_that_its_hash_names() {
        assert_eq!(Hex64::of_bytes(system_text().as_bytes()).as_str(), PROMPT_HASH);
        assert!(system_text().contains("AIGATE_CONCERN_COST"));
        assert!(!system_text().contains("ENTER_PAUSE"));
    }

    #[test]
    fn a_request_is_fixed_but_for_model_question_and_length() {
        let text = "{\"a\":1}".to_owned();
        let question = Question { text: text.clone(), input_hash: Hex64::of_bytes(b"") };
        let body = request_body("m", &question, 600);
        assert_eq!(body["temperature"], 0);
        assert_eq!(body["max_tokens"], 600);
        assert_eq!(body["messages"][1]["content"], text.as_str());
        assert_eq!(body["messages"].as_array().unwrap().len(), 2);
        assert_eq!(body["response_format"]["json_schema"]["strict"], true);
        let schema = &body["response_format"]["json_schema"]["schema"];
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"].as_array().unwrap().len(), 3);
    }
}
