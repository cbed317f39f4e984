//! A decision: what is to be done with one symbol, why, and under which number.
//!
//! Input: the numbers of one candidate. Output: the contract, its id, its breaches. Invariants: the id is the hash of
//! what is decided, so the same inputs give the same id; cycle, verdicts and venue ids are no part of it; an entry buys,
//! has both plans and a reason. It decides nothing itself.

use crate::ai::AiGateResult;
use crate::invalid::{Checks, Invalid};
use crate::plans::{DecisionConstraints, EntryPlan, ExitPlan};
use crate::risk::RiskVerdict;
use crate::shape::contract;
use crate::units::{Bps, DecisionId, Hex64, TsMs, X10000};
use crate::vocab::{Intent, Mode, Route, Side};
use penstock_types::canonical::{self, CanonicalError, INTEGER_MAX};
use penstock_types::vocab::{Horizon, ReasonCode, StageName, Strategy};
use penstock_types::{EvaluationId, Symbol};
use serde::Serialize;

/// Version of the hashed shapes; stored with each decision.
pub const CONTRACTS_VERSION: &str = "1.0.0";

contract! {
    /// A decision.
    pub Decision {
        /// Mode.
        mode: Mode,
        /// Decision clock of the cycle.
        ts_ms: TsMs,
        /// Symbol.
        symbol: Symbol,
        /// Side.
        side: Side,
        /// What it wants.
        intent: Intent,
        /// Strategy.
        strategy: Strategy,
        /// Way of entering.
        route: Route,
        /// Planned holding time.
        horizon: Horizon,
        /// The entry.
        entry_plan: Option<EntryPlan>,
        /// The exit.
        exit_plan: Option<ExitPlan>,
        /// Confidence times 10,000.
        edge_score_x10000: X10000,
        /// Calibrated edge, rounded; rules compare the unrounded value.
        edge_bps_expected: Bps,
        /// Why, in the order in which it was found.
        reasons: Vec<ReasonCode>,
        /// Hash of the inputs.
        snapshot_hash: Hex64,
        /// Hash of what is decided.
        decision_id: DecisionId,
        /// Cycle.
        cycle_id: EvaluationId,
        /// Stage that made this version.
        stage: StageName,
        /// Rules of the pair.
        constraints: DecisionConstraints,
        /// What the AI gate said; none before it is asked.
        ai_gate: Option<AiGateResult>,
        /// What risk said; none before it is asked.
        risk_verdict: Option<RiskVerdict>,
    }
}

/// What the id of a decision is the hash of.
#[derive(Debug, Serialize)]
pub struct DecisionHashPayload<'a> {
    stage: StageName,
    ts_ms: TsMs,
    symbol: &'a Symbol,
    side: Side,
    intent: Intent,
    strategy: Strategy,
    route: Route,
    horizon: Horizon,
    edge_score_x10000: X10000,
    edge_bps_expected: Bps,
    reasons: &'a [ReasonCode],
    snapshot_hash: &'a Hex64,
    constraints: &'a DecisionConstraints,
    entry_plan: &'a Option<EntryPlan>,
    exit_plan: &'a Option<ExitPlan>,
}

/// No element stands twice.
pub(crate) fn are_distinct(reasons: &[ReasonCode]) -> bool {
    reasons.iter().enumerate().all(|(at, reason)| !reasons[..at].contains(reason))
}

impl Decision {
    /// What is hashed.
    #[must_use]
    pub fn hash_payload(&self) -> DecisionHashPayload<'_> {
        DecisionHashPayload {
            stage: self.stage,
            ts_ms: self.ts_ms,
            symbol: &self.symbol,
            side: self.side,
            intent: self.intent,
            strategy: self.strategy,
            route: self.route,
            horizon: self.horizon,
            edge_score_x10000: self.edge_score_x10000,
            edge_bps_expected: self.edge_bps_expected,
            reasons: &self.reasons,
            snapshot_hash: &self.snapshot_hash,
            constraints: &self.constraints,
            entry_plan: &self.entry_plan,
            exit_plan: &self.exit_plan,
        }
    }

    /// The id that belongs to its contents.
    ///
    /// # Errors
    /// [`CanonicalError`] when a number is beyond what every reader keeps.
    pub fn computed_id(&self) -> Result<DecisionId, CanonicalError> {
        let bytes = canonical::to_bytes(&self.hash_payload())?;
        Ok(DecisionId::of(&Hex64::of_bytes(&bytes)))
    }

    /// The same with the id of its contents.
    ///
    /// # Errors
    /// As [`Self::computed_id`].
    pub fn with_id(mut self) -> Result<Self, CanonicalError> {
        self.decision_id = self.computed_id()?;
        Ok(self)
    }

    /// Hash of the rules of the pair.
    ///
    /// # Errors
    /// As [`Self::computed_id`].
    pub fn constraints_hash(&self) -> Result<Hex64, CanonicalError> {
        Ok(Hex64::of_bytes(&canonical::to_bytes(&self.constraints)?))
    }

    /// Every breach.
    #[must_use]
    pub fn breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        checks.range("ts_ms", self.ts_ms.0, 1, INTEGER_MAX);
        checks.range("cycle_id", self.cycle_id.get(), 0, INTEGER_MAX);
        checks.range("edge_score_x10000", i64::from(self.edge_score_x10000.0), 0, 10_000);
        let legs = (self.symbol.base(), self.symbol.quote());
        let named = !legs.0.is_empty() && !legs.1.is_empty();
        checks.value("symbol", named, || format!("{} is not BASE/QUOTE", self.symbol));
        let sided = match (self.intent, self.side) {
            (Intent::Entry, Side::Buy)
            | (Intent::Exit, Side::Sell)
            | (Intent::Manage, Side::Buy | Side::Sell) => true,
            (Intent::Entry, Side::Sell) | (Intent::Exit, Side::Buy) => false,
        };
        checks.value("side", sided, || format!("{} does not {}", self.intent, self.side));
        checks.value("reasons", are_distinct(&self.reasons), || "a reason stands twice".to_owned());
        if self.intent == Intent::Entry {
            checks.present("reasons", !self.reasons.is_empty());
            checks.present("entry_plan", self.entry_plan.is_some());
            checks.present("exit_plan", self.exit_plan.is_some());
            let routed = self.route != Route::NoTrade;
            checks.value("route", routed, || "an entry has a route, not NoTrade".to_owned());
        }
        checks.also(self.constraints.breaches());
        checks.also(self.plan_breaches());
        checks.also(self.gate_breaches());
        let computed = self.computed_id();
        let same = computed.as_ref().is_ok_and(|id| *id == self.decision_id);
        checks.value("decision_id", same, || {
            format!("{} is not the id of the contents, {computed:?}", self.decision_id)
        });
        checks.finish()
    }

    fn plan_breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        if let Some(entry) = &self.entry_plan {
            checks.also(entry.breaches(&self.constraints));
            if let Some(exit) = &self.exit_plan {
                checks.also(exit.breaches(entry.limit_price.value(), &self.constraints));
            }
        }
        checks.finish()
    }

    fn gate_breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        if let Some(gate) = &self.ai_gate {
            checks.also(gate.breaches());
            let same = gate.snapshot_hash.0.as_ref().is_none_or(|hash| *hash == self.snapshot_hash);
            checks.value("ai_gate.snapshot_hash", same, || {
                "the gate was asked about other inputs".to_owned()
            });
        }
        let before = self.stage != StageName::ExecuteIntent;
        checks.present("risk_verdict", before || self.risk_verdict.is_some());
        if let Some(risk) = &self.risk_verdict {
            checks.also(risk.breaches());
        }
        checks.finish()
    }

    /// Judges it.
    ///
    /// # Errors
    /// The first of [`Self::breaches`].
    pub fn validate(&self) -> Result<(), Invalid> {
        crate::invalid::first(self.breaches())
    }
}

#[cfg(test)]
mod tests;
