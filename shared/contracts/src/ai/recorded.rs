//! What came of asking the gate about one decision, kept so that the verdict derives again without the provider.
//!
//! Input: what was recorded, the decision, the least order. Output: the verdict, the more cautious decision, the
//! situation. Invariants: live and replayed verdicts come from the same function; nothing of a record but its text is
//! believed beyond what it says about itself; no number has a fraction. It sends nothing and stores nothing.

use crate::ai::answer::{Answer, AnswerFault, AnswerVerdict, read_answer};
use crate::ai::enforce::apply;
use crate::ai::policy::{GateFailure, Situation};
use crate::ai::{AiGateResult, Call};
use crate::decision::Decision;
use crate::units::{DecisionId, Hex64};
use penstock_types::Decimal;
use penstock_types::vocab::ReasonCode;
use serde::{Deserialize, Serialize};

/// What came of asking about one decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedAnswer {
    /// The decision.
    pub decision_id: DecisionId,
    /// The call; none of a gate that is off.
    pub call: Option<RecordedCall>,
}

/// A call, or why there was none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedCall {
    /// Model that was asked.
    pub model: String,
    /// Time from the question to the answer or the last failure, all attempts together.
    pub latency_ms: i32,
    /// Requests that were sent.
    pub attempts: i32,
    /// Hash of what was read of the last body; of no bytes when nothing came back.
    pub raw_hash: Hex64,
    /// Hash of what was shown; of no bytes when it could not be built.
    pub input_hash: Hex64,
    /// Hash of the decision's inputs.
    pub snapshot_hash: Hex64,
    /// What came.
    pub came: Came,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Came {
    /// The text of an answer, as it was given.
    Answered {
        /// The text.
        text: String,
    },
    /// Nothing that could be read as a text.
    Failed {
        /// Way of failing.
        failure: GateFailure,
        /// For people, redacted.
        detail: String,
    },
    /// The question was not sent.
    Withheld {
        /// Why.
        reason: ReasonCode,
        /// For people, redacted.
        detail: String,
    },
}

/// A record of another decision, or of other inputs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "recorded answer is of {recorded} and the decision is {decision}, or their inputs differ; next: compare the stored cycle with its configuration"
)]
pub struct ForeignAnswer {
    /// What the record is of.
    pub recorded: DecisionId,
    /// What it was held against.
    pub decision: DecisionId,
}

/// A verdict with what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What is recorded, the modified decision included.
    pub result: AiGateResult,
    /// Row of the table of consequences.
    pub situation: Situation,
    /// What failed or was refused, for people; empty when nothing did. Not redacted.
    pub detail: String,
}

impl AnswerFault {
    /// Way of failing.
    #[must_use]
    pub const fn failure(&self) -> GateFailure {
        match self {
            Self::TooLong { .. } | Self::NotJson { .. } => GateFailure::Parse,
            Self::Empty => GateFailure::Empty,
            Self::Schema { .. } => GateFailure::Schema,
            Self::UnknownReason { .. } => GateFailure::UnknownReason,
        }
    }
}

impl RecordedAnswer {
    /// What is recorded of a gate that is off.
    #[must_use]
    pub const fn off(decision_id: DecisionId) -> Self {
        Self { decision_id, call: None }
    }
}

/// The verdict that a record makes of its decision.
///
/// # Errors
/// [`ForeignAnswer`] when the record is of another decision or of other inputs.
pub fn outcome_of(
    recorded: &RecordedAnswer,
    decision: &Decision,
    min_order_notional_quote: Decimal,
) -> Result<Outcome, ForeignAnswer> {
    let inputs = recorded.call.as_ref().map(|call| &call.snapshot_hash);
    let same = recorded.decision_id == decision.decision_id
        && inputs.is_none_or(|hash| *hash == decision.snapshot_hash);
    if !same {
        return Err(ForeignAnswer {
            recorded: recorded.decision_id.clone(),
            decision: decision.decision_id.clone(),
        });
    }
    let Some(kept) = &recorded.call else {
        let result = AiGateResult::disabled();
        return Ok(Outcome { result, situation: Situation::NotAsked, detail: String::new() });
    };
    let call = Call {
        model: kept.model.clone(),
        latency_ms: kept.latency_ms,
        raw_hash: kept.raw_hash.clone(),
        input_hash: kept.input_hash.clone(),
        snapshot_hash: kept.snapshot_hash.clone(),
        attempts: kept.attempts,
    };
    Ok(match &kept.came {
        Came::Answered { text } => match read_answer(text.as_bytes()) {
            Ok(answer) => judge(call, answer, decision, min_order_notional_quote),
            Err(fault) => failed(call, fault.failure(), &fault.to_string()),
        },
        Came::Failed { failure, detail } => failed(call, *failure, detail),
        Came::Withheld { reason, detail } => Outcome {
            result: call.failed(*reason),
            situation: Situation::Withheld,
            detail: detail.clone(),
        },
    })
}

fn failed(call: Call, failure: GateFailure, detail: &str) -> Outcome {
    Outcome {
        result: call.failed(failure.reason()),
        situation: Situation::Failed,
        detail: detail.to_owned(),
    }
}

fn judge(call: Call, answer: Answer, decision: &Decision, min_order: Decimal) -> Outcome {
    let reasons = answer.reasons;
    let said = |result, situation| Outcome { result, situation, detail: String::new() };
    match answer.verdict {
        AnswerVerdict::Allow => said(call.allowed(reasons), Situation::Allow),
        AnswerVerdict::Block => said(call.blocked(reasons), Situation::Block),
        AnswerVerdict::Modify => {
            // A change that is not there changes as little as one without a field.
            let patch = answer.patch.unwrap_or_default();
            match apply(decision, &patch, &reasons, min_order) {
                Ok(changed) => said(call.modified(reasons, changed), Situation::ModifyValid),
                Err(refusal) => Outcome {
                    result: call.modify_refused(reasons),
                    situation: Situation::ModifyInvalid,
                    detail: format!("{}: {}", refusal.first.field, refusal.first.problem),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
