//! The AI gate without its network: what a model is shown, how its answer is read, how far it may go, what follows.
//!
//! Input: a decision with its inputs, and the bytes of an answer. Output: the question, a verdict, a more cautious
//! decision, what to do. Invariants: what a model is shown has no time, balance, key or account in it; an answer is
//! taken whole or not at all; a change can only lower risk; a failure blocks. It sends nothing and stores nothing.

pub mod answer;
pub mod budget;
pub mod enforce;
pub mod payload;
pub mod policy;
pub mod prompt;
pub mod record;
pub mod recorded;

use crate::decision::Decision;
use crate::invalid::{Checks, Invalid};
use crate::shape::{Shape, contract};
use crate::units::{HashOrEmpty, Hex64};
use crate::vocab::AiVerdict;
use penstock_types::vocab::ReasonCode;
use serde_json::{Value, json};

contract! {
    /// What the gate said of a decision.
    pub AiGateResult {
        /// The gate is on.
        enabled: bool,
        /// Verdict.
        verdict: AiVerdict,
        /// Why.
        reasons: Vec<ReasonCode>,
        /// Model that was asked; empty when none was.
        model: String,
        /// Time until the answer.
        latency_ms: i32,
        /// Hash of the answer's bytes.
        raw_hash: HashOrEmpty,
        /// Hash of what was shown.
        input_hash: HashOrEmpty,
        /// Hash of the decision's inputs.
        snapshot_hash: HashOrEmpty,
        /// The more cautious decision, when one was made.
        modified_decision: Option<Box<Decision>>,
        /// Attempts.
        attempts: i32,
        /// What failed.
        error_code: Option<ReasonCode>,
    }
}

/// The root of the document: a modified decision is a decision again.
impl Shape for Box<Decision> {
    fn shape() -> Value {
        json!({"$ref": "#"})
    }
}

/// What is known of a call whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Model that was asked.
    pub model: String,
    /// Time until the answer or the failure.
    pub latency_ms: i32,
    /// Hash of the answer's bytes; of no bytes when nothing came back.
    pub raw_hash: Hex64,
    /// Hash of what was shown.
    pub input_hash: Hex64,
    /// Hash of the decision's inputs.
    pub snapshot_hash: Hex64,
    /// Attempts.
    pub attempts: i32,
}

impl Call {
    fn result(self, verdict: AiVerdict, reasons: Vec<ReasonCode>) -> AiGateResult {
        AiGateResult {
            enabled: true,
            verdict,
            reasons,
            model: self.model,
            latency_ms: self.latency_ms,
            raw_hash: HashOrEmpty(Some(self.raw_hash)),
            input_hash: HashOrEmpty(Some(self.input_hash)),
            snapshot_hash: HashOrEmpty(Some(self.snapshot_hash)),
            modified_decision: None,
            attempts: self.attempts,
            error_code: None,
        }
    }

    /// No objection.
    #[must_use]
    pub fn allowed(self, reasons: Vec<ReasonCode>) -> AiGateResult {
        self.result(AiVerdict::Allow, reasons)
    }

    /// An objection.
    #[must_use]
    pub fn blocked(self, reasons: Vec<ReasonCode>) -> AiGateResult {
        self.result(AiVerdict::Block, reasons)
    }

    /// A change that was made.
    #[must_use]
    pub fn modified(self, reasons: Vec<ReasonCode>, modified: Decision) -> AiGateResult {
        let modified_decision = Some(Box::new(modified));
        AiGateResult { modified_decision, ..self.result(AiVerdict::Modify, reasons) }
    }

    /// A change that was refused: its reasons are kept, and why it was refused.
    #[must_use]
    pub fn modify_refused(self, reasons: Vec<ReasonCode>) -> AiGateResult {
        let error_code = Some(ReasonCode::AigateModifyInvalid);
        AiGateResult { error_code, ..self.result(AiVerdict::Modify, reasons) }
    }

    /// Nothing that can be used.
    #[must_use]
    pub fn failed(self, code: ReasonCode) -> AiGateResult {
        AiGateResult { error_code: Some(code), ..self.result(AiVerdict::Error, vec![code]) }
    }
}

impl AiGateResult {
    /// What is recorded of a gate that is off.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            enabled: false,
            verdict: AiVerdict::Allow,
            reasons: vec![ReasonCode::AigateDisabled],
            model: String::new(),
            latency_ms: 0,
            raw_hash: HashOrEmpty(None),
            input_hash: HashOrEmpty(None),
            snapshot_hash: HashOrEmpty(None),
            modified_decision: None,
            attempts: 0,
            error_code: None,
        }
    }

    /// Every breach.
    #[must_use]
    pub fn breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        let most = i64::from(i32::MAX);
        checks.range("ai_gate.latency_ms", i64::from(self.latency_ms), 0, most);
        checks.range("ai_gate.attempts", i64::from(self.attempts), 0, 2);
        let hashes = [
            ("ai_gate.raw_hash", &self.raw_hash),
            ("ai_gate.input_hash", &self.input_hash),
            ("ai_gate.snapshot_hash", &self.snapshot_hash),
        ];
        checks.present("ai_gate.reasons", !self.reasons.is_empty());
        if self.enabled {
            for (field, hash) in hashes {
                checks.present(field, !hash.is_empty());
            }
        } else {
            let off = self.verdict == AiVerdict::Allow;
            checks.value("ai_gate.verdict", off, || format!("off and {}", self.verdict));
            let reasons = self.reasons == [ReasonCode::AigateDisabled];
            checks.value("ai_gate.reasons", reasons, || format!("off and {:?}", self.reasons));
            for (field, hash) in hashes {
                checks.value(field, hash.is_empty(), || "off and has a hash".to_owned());
            }
        }
        self.check_modified(&mut checks);
        checks.finish()
    }

    fn check_modified(&self, checks: &mut Checks) {
        let field = "ai_gate.modified_decision";
        // A change that was refused is a verdict MODIFY with an error and without a decision.
        let applied = self.verdict == AiVerdict::Modify && self.error_code.is_none();
        checks.value(field, applied == self.modified_decision.is_some(), || {
            format!("{} and a modified decision: {}", self.verdict, !applied)
        });
        let failed = self.verdict == AiVerdict::Error;
        checks.value("ai_gate.error_code", !failed || self.error_code.is_some(), || {
            "ERROR has no code".to_owned()
        });
        if let Some(modified) = &self.modified_decision {
            let nested = modified.ai_gate.is_none() && modified.risk_verdict.is_none();
            checks.value(field, nested, || "a modified decision has verdicts already".to_owned());
            if nested {
                checks.also(modified.breaches());
            }
        }
    }
}

#[cfg(test)]
mod tests;
