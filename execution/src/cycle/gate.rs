//! The AI gate in a cycle: asks what the decision waits for, one question after another.
//!
//! Purpose: turn a decision that waits for an answer into one that has it. Inputs: the outcome, the cycle's input, the
//! provider. Outputs: the outcome, the answers recorded in the input, one record per attempt. Invariants: the
//! verdict comes from the recorded answer through `decide` and nowhere else; all questions of an evaluation share one
//! budget, however often it comes back; a finalist is asked about or noted once; without a gate nothing that waits for
//! one goes on.

use std::time::Instant;

use penstock_ai_gate::{Asking, Evaluation, Gate, GateError, Settings as GateSettings};
use penstock_config::Endpoint;
use penstock_contracts::Decision;
use penstock_contracts::ai::budget::Budget;
use penstock_contracts::ai::policy::AiDec;
use penstock_contracts::ai::record::GateEvent;
use penstock_trading::cycle::CycleInput;
use penstock_trading::decide::{Finalist, Outcome, decide};
use penstock_trading::mode::CauseCode;
use penstock_types::EvaluationId;
use penstock_types::vocab::{ReasonCode, StageName, SysMode};
use penstock_venue_net::SystemClock;

use super::stages;
use crate::audit::redactor;
use crate::context::Context;
use crate::settings::Settings;

/// The gate of a session.
#[derive(Debug)]
pub struct AiGate {
    gate: Gate<SystemClock>,
}

/// What an evaluation has asked so far.
#[derive(Debug)]
pub(super) struct Questions {
    used: Evaluation,
    began: Instant,
}

impl Questions {
    /// Nothing yet; the age of the state counts on from here.
    pub(super) fn none() -> Self {
        Self { used: Evaluation::default(), began: Instant::now() }
    }
}

impl AiGate {
    /// The gate of a configuration.
    ///
    /// # Errors
    /// [`GateError`] when it is on and cannot be reached as it is set.
    pub fn of(settings: &Settings) -> Result<Self, GateError> {
        let a = &settings.config.areas.ai_gate;
        let gate = GateSettings {
            ai_dec: match a.ai_dec {
                0 => AiDec::Off,
                1 => AiDec::Conservative,
                2.. => AiDec::Mandatory,
            },
            base_url: match &a.ai_gate_base_url {
                Endpoint::Off => String::new(),
                Endpoint::At(url) => url.to_string(),
            },
            model: a.ai_gate_model.clone(),
            key: a.ai_gate_api_key.clone(),
            budget: Budget { total_ms: a.ai_gate_timeout_ms, retries_max: a.ai_gate_max_retries },
            tokens_max: a.ai_gate_max_tokens,
            min_order_notional_quote: settings.decide.min_order_notional_quote,
        };
        let redactor = redactor(&settings.config);
        Ok(Self { gate: Gate::new(gate, redactor, SystemClock::default())? })
    }

    /// Asks until nothing waits any more; gives the outcome and a record of every attempt. The first `standing`
    /// finalists have theirs.
    pub(super) async fn settle(
        &mut self,
        context: &Context,
        input: &mut CycleInput,
        mut outcome: Outcome,
        id: EvaluationId,
        (questions, standing): (&mut Questions, usize),
    ) -> (Outcome, Vec<GateEvent>) {
        let mut events = Vec::new();
        if input.sys_mode != SysMode::Normal {
            return (outcome, events);
        }
        if self.gate.ai_dec() == AiDec::Off {
            for finalist in outcome.finalists.iter().skip(standing) {
                events.extend(self.note_off(finalist, id).await);
            }
            return (outcome, events);
        }
        let began = questions.began;
        // Each answer settles one finalist, and there are no more of them than pre-selected symbols.
        for _ in 0..=outcome.topn.len() {
            let Some(finalist) = outcome.awaits_gate() else { break };
            let (Some(snapshot), Some(decision), Some(limits)) =
                (&finalist.snapshot, &finalist.decision, &finalist.question)
            else {
                break;
            };
            stages::enter(context, StageName::AigateCall, stages::of(finalist, id)).await;
            let decision = Decision { cycle_id: id, ..decision.clone() };
            let age_ms_max = context.settings.decide.state_max_age_secs * 1_000;
            let age_ms = outcome.assessment.state_age_ms.unwrap_or(i64::MAX);
            let allowed = || still_allowed(context, age_ms, age_ms_max, began);
            let asking = Asking { decision: &decision, snapshot, limits };
            let asked = self.gate.ask(&asking, &mut questions.used, allowed).await;
            if let Some(reason) = asked.pause_reason()
                && let Ok(code) = CauseCode::parse(reason.as_str())
            {
                context.mode.ai_failure(code, context.settings.decide.contract.ai_dec);
            }
            events.extend(asked.events);
            input.ai_answers.push(asked.recorded);
            outcome = decide(input, &context.settings.decide);
        }
        (outcome, events)
    }

    /// A gate that is off leaves one record for each proposal.
    async fn note_off(&mut self, finalist: &Finalist, id: EvaluationId) -> Vec<GateEvent> {
        let (Some(snapshot), Some(decision), Some(verdict)) =
            (&finalist.snapshot, &finalist.decision, &finalist.verdict)
        else {
            return Vec::new();
        };
        let decision = Decision { cycle_id: id, ..decision.clone() };
        let asking = Asking { decision: &decision, snapshot, limits: &verdict.risk_limits };
        self.gate.ask(&asking, &mut Evaluation::default(), || Ok(())).await.events
    }
}

/// The mode and the age of the state still let an entry be looked at.
fn still_allowed(
    context: &Context,
    age_ms: i64,
    age_ms_max: i64,
    began: Instant,
) -> Result<(), ReasonCode> {
    if context.stop.is_cancelled() || context.mode.current() != SysMode::Normal {
        return Err(ReasonCode::RiskModeBlock);
    }
    let waited_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    if age_ms.saturating_add(waited_ms) > age_ms_max {
        return Err(ReasonCode::DataStale);
    }
    Ok(())
}
