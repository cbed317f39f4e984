//! A gate, a decision and the simulated endpoint.

use penstock_ai_gate::{Asked, Asking, Evaluation, Gate, Settings};
use penstock_audit::Redactor;
use penstock_contracts::ai::budget::Budget;
use penstock_contracts::ai::policy::{AiDec, Situation};
use penstock_contracts::ai::recorded::{RecordedAnswer, outcome_of};
use penstock_contracts::vocab::AiVerdict;
use penstock_contracts::{Decision, Snapshot, fixtures};
use penstock_sim::ai::{Behaviour, Handle, Options, Script, Step, start};
use penstock_types::{Decimal, Symbol};
use penstock_venue_net::SystemClock;

/// Milliseconds for what never answers.
const SHORT_MS: u64 = 300;
/// Milliseconds for everything else: more than a loaded host needs.
const LONG_MS: u64 = 60_000;

pub(crate) struct Rig {
    pub(crate) sim: Handle,
    pub(crate) decision: Decision,
    pub(crate) snapshot: Snapshot,
    ai_dec: AiDec,
    retries_max: u32,
}

pub(crate) fn min_order() -> Decimal {
    Decimal::from(10)
}

impl Rig {
    pub(crate) async fn new(ai_dec: AiDec, retries_max: u32) -> Self {
        let options = Options { seed: 7, script: Script::default() };
        let mut decision = fixtures::decision();
        // With a target, so that there is one to raise.
        decision.exit_plan = Some(fixtures::ladder_exit());
        let decision = decision.with_id().unwrap();
        let sim = start(options).await.unwrap();
        Self { sim, decision, snapshot: fixtures::snapshot(), ai_dec, retries_max }
    }

    /// The same decision for a symbol of this name.
    pub(crate) fn name_symbol(&mut self, name: &str) {
        let symbol = Symbol::new(name).unwrap();
        self.snapshot.symbol = symbol.clone();
        self.snapshot = self.snapshot.clone().with_hash().unwrap();
        self.decision.symbol = symbol;
        self.decision.snapshot_hash = self.snapshot.metadata.snapshot_hash.clone();
        self.decision = self.decision.clone().with_id().unwrap();
    }

    /// Nobody listens any more.
    pub(crate) async fn close(&mut self) {
        let options = Options { seed: 7, script: Script::default() };
        let address = self.sim.address.clone();
        let open = std::mem::replace(&mut self.sim, start(options).await.unwrap());
        open.stop().await;
        self.sim.address = address;
    }

    pub(crate) fn gate(&self, is_slow: bool) -> Gate<SystemClock> {
        let settings = Settings {
            ai_dec: self.ai_dec,
            base_url: self.sim.address.url.clone(),
            model: self.sim.address.model.clone(),
            key: Some(self.sim.address.api_key.clone().into()),
            budget: Budget {
                total_ms: if is_slow { SHORT_MS } else { LONG_MS },
                retries_max: self.retries_max,
            },
            tokens_max: 600,
            min_order_notional_quote: min_order(),
        };
        Gate::new(settings, Redactor::default(), SystemClock::new()).unwrap()
    }

    pub(crate) async fn ask(&self, is_slow: bool) -> Asked {
        let limits = fixtures::risk_limits();
        let asking = Asking { decision: &self.decision, snapshot: &self.snapshot, limits: &limits };
        self.gate(is_slow).ask(&asking, &mut Evaluation::default(), || Ok(())).await
    }

    pub(crate) async fn ask_once(&self, behaviour: Behaviour, is_slow: bool) -> Asked {
        self.sim.follow(Script::always(Step::Exactly(behaviour)));
        self.ask(is_slow).await
    }
}

/// What every answer keeps, whatever came: a valid result, records as the tables want them, a verdict that derives
/// again, and never more risk.
pub(crate) fn asked_is_whole(asked: &Asked, decision: &Decision) {
    assert_eq!(asked.result.breaches(), [], "{asked:?}");
    let last = asked.events.last().unwrap();
    assert_eq!(last.verdict, asked.result.verdict);
    assert_eq!(last.error_code, asked.result.error_code);
    for (at, event) in asked.events.iter().enumerate() {
        let number = if event.enabled { at + 1 } else { 0 };
        assert_eq!(usize::try_from(event.attempt).unwrap(), number);
        assert!(event.attempt <= 2);
        assert!(!event.reasons.is_empty());
        assert_eq!(event.enabled, !event.input_hash.is_empty());
        assert!(!event.modify_applied || event.verdict == AiVerdict::Modify);
        assert_eq!(event.modify_applied, event.modified.is_some());
        assert!(event.error_detail.chars().count() <= 200);
        for body in [&event.request, &event.response, &event.modified].into_iter().flatten() {
            assert!(body.len() <= 4_096);
        }
        let is_last = at + 1 == asked.events.len();
        assert!(is_last || event.verdict == AiVerdict::Error, "only the last one counts");
    }
    let stored = serde_json::to_string(&asked.recorded).unwrap();
    let read: RecordedAnswer = serde_json::from_str(&stored).unwrap();
    let derived = outcome_of(&read, decision, min_order()).unwrap();
    assert_eq!((&derived.result, derived.situation), (&asked.result, asked.situation));
    let mut gated = decision.clone();
    gated.ai_gate = Some(asked.result.clone());
    assert_eq!(gated.breaches(), []);
    match (&asked.result.modified_decision, asked.situation) {
        (Some(after), Situation::ModifyValid) => never_riskier(decision, after),
        (None, situation) => assert_ne!(situation, Situation::ModifyValid),
        (Some(_), situation) => panic!("{situation} has a modified decision"),
    }
}

fn never_riskier(before: &Decision, after: &Decision) {
    let (was, is) = (before.entry_plan.as_ref().unwrap(), after.entry_plan.as_ref().unwrap());
    assert!(is.qty.value() <= was.qty.value());
    assert!(is.limit_price.value() <= was.limit_price.value());
    assert!(is.ttl_ms <= was.ttl_ms && is.max_repegs <= was.max_repegs);
    let (was, is) = (before.exit_plan.as_ref().unwrap(), after.exit_plan.as_ref().unwrap());
    assert!(is.sl_price.value() >= was.sl_price.value());
    assert!(is.time_stop_secs <= was.time_stop_secs);
    assert_ne!(before.decision_id, after.decision_id);
}
