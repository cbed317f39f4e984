//! An answer of a model, read strictly: whole and of its schema, or a fault that says which kind.
//!
//! Input: the body of a response, and the text in it. Output: a verdict with reasons and a change, or a fault with its
//! reason code. Invariants: every field is there, one that is not to be changed as `null`; no other field is accepted,
//! so what may not be changed cannot be said; a fault's text never repeats more than a word of the answer.

use crate::DecStr;
use crate::ai::payload::allowed_reasons;
use crate::shape::{Shape, contract};
use crate::units::Bps;
use crate::vocab::{EntryKind, FallbackKind};
use penstock_types::closed_vocabulary;
use penstock_types::vocab::ReasonCode;
use serde::de::IgnoredAny;
use serde_json::error::Category;
use serde_json::{Value, json};

/// Longest body and longest answer in bytes.
pub const BODY_BYTES_MAX: usize = 65_536;
/// Most reasons of an answer.
pub const REASONS_MAX: usize = 8;

closed_vocabulary! {
    /// Verdict of an answer.
    pub AnswerVerdict {
        /// No objection.
        Allow = "ALLOW",
        /// An objection.
        Block = "BLOCK",
        /// Only more cautiously.
        Modify = "MODIFY",
    }
}

impl Shape for AnswerVerdict {
    fn shape() -> Value {
        let words: Vec<&str> = Self::ALL.iter().map(|word| word.as_str()).collect();
        json!({"type": "string", "enum": words})
    }
}

contract! {
    /// Changes of the fallback; null is unchanged.
    pub FallbackPatch {
        /// It takes.
        enabled: Option<bool>,
        /// How it takes.
        kind: Option<FallbackKind>,
        /// How far above the ask.
        max_slippage_bps: Option<Bps>,
    }
}

contract! {
    /// Changes of the entry; null is unchanged.
    pub EntryPatch {
        /// How it goes to the venue.
        kind: Option<EntryKind>,
        /// Price.
        limit_price: Option<DecStr>,
        /// Quantity.
        qty: Option<DecStr>,
        /// Time after which it is cancelled or taken.
        ttl_ms: Option<i32>,
        /// How often its price may follow the market.
        max_repegs: Option<i32>,
        /// Fallback.
        fallback: Option<FallbackPatch>,
    }
}

contract! {
    /// Changes of the exit; null is unchanged.
    pub ExitPatch {
        /// Price of the stop.
        sl_price: Option<DecStr>,
        /// Price of the target.
        tp_price: Option<DecStr>,
        /// Distance of the trail.
        trail_bps: Option<DecStr>,
        /// Seconds after which the position is closed.
        time_stop_secs: Option<i32>,
    }
}

contract! {
    /// Changes of a decision; null is unchanged.
    pub DecisionPatch {
        /// Changes of the entry.
        entry_plan: Option<EntryPatch>,
        /// Changes of the exit.
        exit_plan: Option<ExitPatch>,
    }
}

contract! {
    /// An answer as it is written.
    pub RawAnswer {
        /// Verdict.
        verdict: AnswerVerdict,
        /// Why, 1 to 8 reasons of the catalog.
        reasons: Vec<String>,
        /// The change, null unless the verdict is MODIFY.
        modified_decision: Option<DecisionPatch>,
    }
}

/// An answer that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Verdict.
    pub verdict: AnswerVerdict,
    /// Why, without repetitions.
    pub reasons: Vec<ReasonCode>,
    /// The change, there only with MODIFY.
    pub patch: Option<DecisionPatch>,
}

/// An answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// Longer than is read.
    #[error("answer has {bytes} bytes, at most {BODY_BYTES_MAX}; next: look at the model")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// No JSON.
    #[error("answer is no JSON at line {line} column {column}; next: look at the model")]
    NotJson {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// JSON without a choice, or with one that is empty.
    #[error("answer has no choice with content; next: look at the model")]
    Empty,
    /// JSON of another shape.
    #[error("answer is not of its schema: {problem}; next: look at the model")]
    Schema {
        /// What is wrong, cut to 120 characters.
        problem: String,
    },
    /// A reason that may not be given.
    #[error(
        "answer gives the reason {word:?}, which is not among the allowed; next: look at the model"
    )]
    UnknownReason {
        /// The reason, cut to 40 characters.
        word: String,
    },
}

impl AnswerFault {
    /// Reason code that it is recorded with.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::TooLong { .. } | Self::NotJson { .. } => ReasonCode::AigateParseFail,
            Self::Empty => ReasonCode::AigateEmptyResponse,
            Self::Schema { .. } => ReasonCode::AigateSchemaInvalid,
            Self::UnknownReason { .. } => ReasonCode::AigateReasonUnknown,
        }
    }

    fn of(error: &serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::schema(&error.to_string()),
            Category::Io | Category::Syntax | Category::Eof => {
                Self::NotJson { line: error.line(), column: error.column() }
            }
        }
    }

    fn schema(problem: &str) -> Self {
        Self::Schema { problem: problem.chars().take(120).collect() }
    }
}

fn fits(bytes: &[u8]) -> Result<(), AnswerFault> {
    if bytes.len() > BODY_BYTES_MAX {
        return Err(AnswerFault::TooLong { bytes: bytes.len() });
    }
    Ok(())
}

/// The text of the first choice in the body of a response.
///
/// # Errors
/// [`AnswerFault`] when the body is too long, no JSON, or has no choice with content.
pub fn content_of(body: &[u8]) -> Result<String, AnswerFault> {
    fits(body)?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(AnswerFault::Empty);
    }
    let tree: Value = serde_json::from_slice(body).map_err(|error| AnswerFault::of(&error))?;
    let content = tree.pointer("/choices/0/message/content").and_then(Value::as_str);
    match content.map(str::trim) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        Some(_) | None => Err(AnswerFault::Empty),
    }
}

/// Reads the text of an answer. That it is JSON is judged first, then its schema, then its reasons.
///
/// # Errors
/// [`AnswerFault`] for anything that is not an answer from its first byte to its last.
pub fn read_answer(text: &[u8]) -> Result<Answer, AnswerFault> {
    fits(text)?;
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(AnswerFault::Empty);
    }
    if std::str::from_utf8(text).is_err() {
        return Err(AnswerFault::NotJson { line: 0, column: 0 });
    }
    serde_json::from_slice::<IgnoredAny>(text).map_err(|error| AnswerFault::of(&error))?;
    let raw: RawAnswer = serde_json::from_slice(text).map_err(|error| AnswerFault::of(&error))?;
    if !(1..=REASONS_MAX).contains(&raw.reasons.len()) {
        let problem = format!("{} reasons, 1 to {REASONS_MAX} are needed", raw.reasons.len());
        return Err(AnswerFault::schema(&problem));
    }
    if raw.verdict != AnswerVerdict::Modify && raw.modified_decision.is_some() {
        let problem = format!("{} with a modified decision", raw.verdict);
        return Err(AnswerFault::schema(&problem));
    }
    let reasons = known_reasons(&raw.reasons)?;
    Ok(Answer { verdict: raw.verdict, reasons, patch: raw.modified_decision })
}

fn known_reasons(words: &[String]) -> Result<Vec<ReasonCode>, AnswerFault> {
    let allowed = allowed_reasons();
    let mut reasons = Vec::new();
    for word in words {
        match ReasonCode::parse(word) {
            Ok(reason) if allowed.contains(&reason) => {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
            Ok(_) | Err(_) => {
                return Err(AnswerFault::UnknownReason { word: word.chars().take(40).collect() });
            }
        }
    }
    Ok(reasons)
}

impl Default for DecisionPatch {
    /// No change.
    fn default() -> Self {
        Self { entry_plan: None, exit_plan: None }
    }
}

impl DecisionPatch {
    /// Nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let entry = self.entry_plan.as_ref().is_none_or(|entry| {
            let fallback = entry.fallback.as_ref().is_none_or(|fallback| {
                fallback.enabled.is_none()
                    && fallback.kind.is_none()
                    && fallback.max_slippage_bps.is_none()
            });
            entry.kind.is_none()
                && entry.limit_price.is_none()
                && entry.qty.is_none()
                && entry.ttl_ms.is_none()
                && entry.max_repegs.is_none()
                && fallback
        });
        let exit = self.exit_plan.as_ref().is_none_or(|exit| {
            exit.sl_price.is_none()
                && exit.tp_price.is_none()
                && exit.trail_bps.is_none()
                && exit.time_stop_secs.is_none()
        });
        entry && exit
    }
}

/// JSON schema of an answer, as a provider is told it.
#[must_use]
pub fn answer_schema() -> Value {
    let mut schema = RawAnswer::shape();
    let words: Vec<&str> = allowed_reasons().iter().map(|reason| reason.as_str()).collect();
    schema["properties"]["reasons"] = json!({
        "type": "array",
        "description": "Why, 1 to 8 reasons of the catalog.",
        "items": {"type": "string", "enum": words},
        "minItems": 1,
        "maxItems": REASONS_MAX,
    });
    schema
}

#[cfg(test)]
mod tests;
