//! The sequence of a call: question, hashes, a last look, the requests, the verdict, the records.
//!
//! Input: a decision with its inputs; the time that its evaluation has used; a look at mode and state age. Output:
//! [`Asked`], always. Invariants: hashes are made before anything is sent; all attempts of an evaluation share one
//! budget; the verdict is derived from what is recorded, by the function that replays use; the exclusive borrow of the
//! gate is what keeps one call in flight.

use crate::provider::{Attempt, Broken, Provider};
use crate::records::{Trace, of_attempt, of_off};
use penstock_audit::Redactor;
use penstock_contracts::ai::AiGateResult;
use penstock_contracts::ai::answer::read_answer;
use penstock_contracts::ai::budget::Budget;
use penstock_contracts::ai::payload::{AiPayload, Question};
use penstock_contracts::ai::policy::{AiDec, Consequence, GateFailure, Situation, consequence};
use penstock_contracts::ai::prompt::request_body;
use penstock_contracts::ai::record::{GateEvent, kept_detail};
use penstock_contracts::ai::recorded::{Came, Outcome, RecordedAnswer, RecordedCall, outcome_of};
use penstock_contracts::risk::RiskLimitsSnapshot;
use penstock_contracts::units::Hex64;
use penstock_contracts::{Decision, Snapshot};
use penstock_types::vocab::ReasonCode;
use penstock_types::{Decimal, UtcMicros};
use penstock_venue_net::{Clock, NetError};
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

/// Most second attempts, whatever the settings say: a row has no number above two.
const RETRIES_MAX: u32 = 1;

/// How the gate is set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How strict.
    pub ai_dec: AiDec,
    /// Address below which `/chat/completions` lies.
    pub base_url: String,
    /// Name of the model.
    pub model: String,
    /// Key of the endpoint.
    pub key: Option<SecretString>,
    /// All attempts of an evaluation together.
    pub budget: Budget,
    /// Most tokens of an answer.
    pub tokens_max: u32,
    /// Least order in quote; a change must not go below one and a half of it.
    pub min_order_notional_quote: Decimal,
}

/// A gate that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// It is on and something is missing.
    #[error("AI gate with AI_DEC {ai_dec} has no {key}; next: set {key}, or AI_DEC=0")]
    Missing {
        /// Setting.
        ai_dec: AiDec,
        /// Configuration key.
        key: &'static str,
    },
    /// The address or the client is refused.
    #[error("AI gate: {0}; next: look at AI_GATE_BASE_URL")]
    Net(#[from] NetError),
}

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The proposed entry.
    pub decision: &'a Decision,
    /// What it was decided from.
    pub snapshot: &'a Snapshot,
    /// Limits that bear on it.
    pub limits: &'a RiskLimitsSnapshot,
}

/// The time that an evaluation has used of its budget; one value for all its questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evaluation {
    used_ms: u64,
}

impl Evaluation {
    /// Milliseconds that its questions have used.
    #[must_use]
    pub const fn used_ms(&self) -> u64 {
        self.used_ms
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The verdict, with the more cautious decision when one was made.
    pub result: AiGateResult,
    /// Row of the table of consequences.
    pub situation: Situation,
    /// What follows: the decision's fate, whether the mode becomes PAUSE, whether an alert is raised.
    pub consequence: Consequence,
    /// One record for each attempt, the last with the verdict; each is a row and an event.
    pub events: Vec<GateEvent>,
    /// What a replay derives the verdict from.
    pub recorded: RecordedAnswer,
}

impl Asked {
    /// Reason with which the mode becomes PAUSE, if it does.
    #[must_use]
    pub fn pause_reason(&self) -> Option<ReasonCode> {
        self.result.error_code.filter(|_| self.consequence.pause)
    }
}

#[derive(Debug)]
struct On {
    provider: Provider,
    model: String,
    budget: Budget,
    tokens_max: u32,
    redactor: Redactor,
}

/// The gate.
#[derive(Debug)]
pub struct Gate<C> {
    ai_dec: AiDec,
    on: Option<On>,
    min_order_notional_quote: Decimal,
    clock: C,
}

/// A request that was made, or the reason why none was.
struct Try {
    /// Number of the request from 1; 0 when none was sent.
    number: i16,
    at: UtcMicros,
    latency_ms: u64,
    body: Vec<u8>,
    came: Came,
}

/// All of a question; the last one is what the verdict comes from.
struct Tries {
    failed: Vec<Try>,
    last: Try,
}

/// Milliseconds as a record holds them.
fn millis(ms: u64) -> i32 {
    i32::try_from(ms).unwrap_or(i32::MAX)
}

impl<C: Clock> Gate<C> {
    /// A gate. What it must not keep is the redactor's, to which it adds its own key.
    ///
    /// # Errors
    /// [`GateError`] when it is on and has no address, model or key, or the address is refused.
    pub fn new(settings: Settings, redactor: Redactor, clock: C) -> Result<Self, GateError> {
        let Settings { ai_dec, base_url, model, key, budget, tokens_max, .. } = settings;
        let missing = |key| GateError::Missing { ai_dec, key };
        let on = match ai_dec {
            AiDec::Off => None,
            AiDec::Conservative | AiDec::Mandatory => {
                if base_url.is_empty() {
                    return Err(missing("AI_GATE_BASE_URL"));
                }
                if model.is_empty() {
                    return Err(missing("AI_GATE_MODEL"));
                }
                let key = key.ok_or_else(|| missing("AI_GATE_API_KEY"))?;
                let redactor = redactor.with_secrets([&key]);
                let timeout = Duration::from_millis(budget.total_ms);
                let provider = Provider::new(&base_url, key, timeout)?;
                let budget = Budget { retries_max: budget.retries_max.min(RETRIES_MAX), ..budget };
                Some(On { provider, model, budget, tokens_max, redactor })
            }
        };
        let min_order_notional_quote = settings.min_order_notional_quote;
        Ok(Self { ai_dec, on, min_order_notional_quote, clock })
    }

    /// How strict it is.
    #[must_use]
    pub const fn ai_dec(&self) -> AiDec {
        self.ai_dec
    }

    /// Asks about one decision. `allowed` is asked right before each request whether mode and state age still let an
    /// entry be looked at, and says why not.
    pub async fn ask(
        &mut self,
        asking: &Asking<'_>,
        evaluation: &mut Evaluation,
        mut allowed: impl FnMut() -> Result<(), ReasonCode> + Send,
    ) -> Asked {
        let Some(on) = &self.on else {
            let recorded = RecordedAnswer::off(asking.decision.decision_id.clone());
            let outcome = self.derive(&recorded, asking);
            let event = of_off(asking, &outcome.result, self.clock.now().wall);
            return self.asked(outcome, recorded, vec![event]);
        };
        let (tries, request, input_hash) = match question(asking) {
            Ok(question) => {
                let request = request_body(&on.model, &question, on.tokens_max);
                let tries = match allowed() {
                    Ok(()) => self.exchange(on, &request, evaluation, allowed).await,
                    Err(reason) => {
                        let detail = format!("not sent: {reason}");
                        self.unsent(Came::Withheld { reason, detail })
                    }
                };
                (tries, Some(request), question.input_hash)
            }
            Err(came) => (self.unsent(came), None, Hex64::of_bytes(b"")),
        };
        let mut total_ms = 0_u64;
        let mut told = |one: &Try| {
            total_ms = total_ms.saturating_add(one.latency_ms);
            let recorded = record(on, asking, one, &input_hash, total_ms);
            let outcome = self.derive(&recorded, asking);
            let trace = Trace {
                attempt: one.number.max(1),
                ts: one.at,
                latency_ms: millis(one.latency_ms),
                request: request.as_ref().filter(|_| one.number > 0),
                body: &one.body,
            };
            let event = of_attempt(asking, &outcome, &trace, &on.redactor);
            (outcome, recorded, event)
        };
        let mut events: Vec<GateEvent> = tries.failed.iter().map(|one| told(one).2).collect();
        let (outcome, recorded, event) = told(&tries.last);
        events.push(event);
        self.asked(outcome, recorded, events)
    }

    /// The requests, one or two, within what is left of the evaluation's budget.
    async fn exchange(
        &self,
        on: &On,
        request: &Value,
        evaluation: &mut Evaluation,
        mut allowed: impl FnMut() -> Result<(), ReasonCode> + Send,
    ) -> Tries {
        let text = request.to_string();
        let mut failed: Vec<Try> = Vec::new();
        let Some(mut left_ms) = on.budget.left_ms(evaluation.used_ms) else {
            let detail = "earlier questions of the evaluation used its whole budget".to_owned();
            return self.unsent(Came::Failed { failure: GateFailure::Timeout, detail });
        };
        loop {
            let number = u8::try_from(failed.len() + 1).unwrap_or(u8::MAX);
            let began = self.clock.now();
            let Attempt { body, came } =
                on.provider.attempt(&text, Duration::from_millis(left_ms)).await;
            let ended = self.clock.now();
            let latency_ms = u64::try_from(ended.mono_ms() - began.mono_ms()).unwrap_or(0);
            evaluation.used_ms = evaluation.used_ms.saturating_add(latency_ms);
            let again_ms = came.as_ref().err().and_then(|broken| {
                on.budget.again_ms(number.into(), broken.attempt, evaluation.used_ms)
            });
            let last = Try {
                number: number.into(),
                at: ended.wall,
                latency_ms,
                body,
                came: kept(came, &on.redactor),
            };
            match again_ms.filter(|_| allowed().is_ok()) {
                Some(next_ms) => {
                    failed.push(last);
                    left_ms = next_ms;
                }
                None => return Tries { failed, last },
            }
        }
    }

    fn unsent(&self, came: Came) -> Tries {
        let at = self.clock.now().wall;
        let last = Try { number: 0, at, latency_ms: 0, body: Vec::new(), came };
        Tries { failed: Vec::new(), last }
    }

    fn derive(&self, recorded: &RecordedAnswer, asking: &Asking<'_>) -> Outcome {
        outcome_of(recorded, asking.decision, self.min_order_notional_quote)
            .expect("the record was made of this decision and its inputs a moment ago")
    }

    fn asked(&self, outcome: Outcome, recorded: RecordedAnswer, events: Vec<GateEvent>) -> Asked {
        let consequence = consequence(self.ai_dec, outcome.situation)
            .expect("a gate that is off was not asked, and one that is on was");
        Asked {
            result: outcome.result,
            situation: outcome.situation,
            consequence,
            events,
            recorded,
        }
    }
}

/// What the model is shown, or why it cannot be.
fn question(asking: &Asking<'_>) -> Result<Question, Came> {
    let withheld = |reason, detail: String| Came::Withheld { reason, detail };
    let payload = AiPayload::of(asking.decision, asking.snapshot, asking.limits)
        .map_err(|invalid| withheld(invalid.reason, format!("not shown: {invalid}")))?;
    payload
        .question()
        .map_err(|error| withheld(ReasonCode::InvariantViolation, format!("not shown: {error}")))
}

/// What is recorded of an attempt: no text with a secret in it. An answer has no room for one, so nothing is lost.
fn kept(came: Result<String, Broken>, redactor: &Redactor) -> Came {
    match came {
        Ok(text) if redactor.is_tainted(&text) => {
            let failure = read_answer(text.as_bytes())
                .map_or_else(|fault| fault.failure(), |_| GateFailure::Schema);
            Came::Failed { failure, detail: "answer repeats a secret; next: change it".to_owned() }
        }
        Ok(text) => Came::Answered { text },
        Err(Broken { failure, detail, .. }) => {
            Came::Failed { failure, detail: kept_detail(&redactor.text(&detail)) }
        }
    }
}

fn record(
    on: &On,
    asking: &Asking<'_>,
    one: &Try,
    input_hash: &Hex64,
    total_ms: u64,
) -> RecordedAnswer {
    RecordedAnswer {
        decision_id: asking.decision.decision_id.clone(),
        call: Some(RecordedCall {
            model: on.model.clone(),
            latency_ms: millis(total_ms),
            attempts: one.number.into(),
            raw_hash: Hex64::of_bytes(&one.body),
            input_hash: input_hash.clone(),
            snapshot_hash: asking.decision.snapshot_hash.clone(),
            came: one.came.clone(),
        }),
    }
}
