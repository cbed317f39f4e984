//! One decision before the gate: what is judged, and the verdict as a contract.
//!
//! Purpose: the last word on an entry. Inputs: a [`RiskCase`]. Outputs: the verdict with limits, counters
//! and costs, and every hit with its value. Invariants: pure; a verdict may refuse what the AI gate
//! allowed and never allows what it refused; only entries are judged, a risk-reducing order never is.

use penstock_contracts::ai::AiGateResult;
use penstock_contracts::edge::{EdgeConditions, adjusted_min_edge_bps};
use penstock_contracts::vocab::AiVerdict;
use penstock_contracts::{Decision, RiskVerdict, Snapshot};
use penstock_types::Decimal;
use penstock_types::vocab::ReasonCode;

use super::hits::RiskHit;
use super::inputs::RiskInputs;
use super::rule::Rule;
use super::rules::{self, Order, View};
use super::verdict;
use crate::decide::config::DecideConfig;
use crate::size::{self, SizeInput};

/// Edge of the entry, unrounded, bps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Calibrated edge of the candidate.
    pub adjusted_bps: Decimal,
    /// Edge of the plan as it is to be sent.
    pub plan_bps: Decimal,
    /// Edge of the plan before the AI gate changed it; none when it did not.
    pub before_gate_bps: Option<Decimal>,
}

impl Edge {
    /// The one that counts: the smaller.
    #[must_use]
    pub fn now_bps(&self) -> Decimal {
        self.adjusted_bps.min(self.plan_bps)
    }
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct RiskCase<'a> {
    /// Settings.
    pub config: &'a DecideConfig,
    /// Counters, ages, amounts.
    pub inputs: &'a RiskInputs,
    /// Inputs of the decision.
    pub snapshot: &'a Snapshot,
    /// The decision in force: the changed one after a change of the AI gate.
    pub decision: &'a Decision,
    /// What the AI gate said; none when it was not asked.
    pub gate: Option<&'a AiGateResult>,
    /// Edge.
    pub edge: Edge,
    /// What sizing looks at now: the size is computed again.
    pub sizing: SizeInput<'a>,
}

/// The reasons that the gate refuses with; empty when it does not. A change that was not made refuses too.
pub(super) fn refusal_of(gate: &AiGateResult) -> Vec<ReasonCode> {
    let refuses = match gate.verdict {
        AiVerdict::Allow => false,
        AiVerdict::Block | AiVerdict::Error => true,
        AiVerdict::Modify => gate.modified_decision.is_none(),
    };
    if !refuses {
        return Vec::new();
    }
    let mut codes = gate.reasons.clone();
    if let Some(code) = gate.error_code.filter(|code| !codes.contains(code)) {
        codes.push(code);
    }
    if codes.is_empty() {
        // A refusal without a reason is not whole; it refuses all the same.
        codes.push(ReasonCode::AigateSchemaInvalid);
    }
    codes
}

impl RiskCase<'_> {
    /// The decision is valid, and decision and snapshot are those that were hashed.
    pub(super) fn is_whole(&self) -> bool {
        let hash = &self.snapshot.metadata.snapshot_hash;
        self.decision.breaches().is_empty()
            && self.decision.symbol == self.snapshot.symbol
            && self.decision.snapshot_hash == *hash
            && self.snapshot.computed_hash().is_ok_and(|computed| computed == *hash)
    }

    /// Multiplier of the least edge, and the least edge; none when it does not fit.
    pub(super) fn least_edge(&self) -> (penstock_contracts::units::X10000, Option<Decimal>) {
        let conditions = EdgeConditions::of(self.snapshot);
        let multiplier = conditions.multiplier(&self.config.risk.adaptive);
        let floor = self.config.surplus_floor_bps.get(self.decision.strategy);
        (multiplier, adjusted_min_edge_bps(floor, multiplier))
    }

    /// The edge that is demanded; none in a proof run that may lose. A proof run otherwise demands no
    /// more than that nothing is lost.
    pub(super) fn edge_limit_bps(&self) -> Option<Decimal> {
        let limit = self.least_edge().1.unwrap_or(Decimal::MAX);
        match self.config.proof {
            None => Some(limit),
            Some(proof) => (!proof.allow_negative_edge).then(|| limit.min(Decimal::ZERO)),
        }
    }

    /// Reason of an edge below the limit: the gate's change, when it had been enough before.
    pub(super) fn edge_code(&self, limit: Decimal) -> ReasonCode {
        let before = self.edge.before_gate_bps.map(|plan| plan.min(self.edge.adjusted_bps));
        if before.is_some_and(|before| before >= limit) {
            ReasonCode::RiskEdgeAfterModify
        } else {
            ReasonCode::StratEdgeBelowMin
        }
    }

    /// The stop of the whole entry could be placed: on the pair's steps and not below its least quantity.
    pub(super) fn is_stop_placeable(&self) -> bool {
        let (Some(entry), Some(exit)) = (&self.decision.entry_plan, &self.decision.exit_plan)
        else {
            return false;
        };
        let rules = self.sizing.instrument;
        let on_step = |value: Decimal, step: Decimal| {
            step > Decimal::ZERO && value.checked_rem(step).is_some_and(|rest| rest.is_zero())
        };
        let (qty, stop) = (entry.qty.value(), exit.sl_price.value());
        qty >= rules.qty_min
            && on_step(qty, rules.qty_increment)
            && stop > Decimal::ZERO
            && on_step(stop, rules.price_increment)
    }

    fn order(&self) -> Order {
        let (qty, limit_price) = self
            .decision
            .entry_plan
            .as_ref()
            .map_or((Decimal::ZERO, Decimal::ZERO), |e| (e.qty.value(), e.limit_price.value()));
        let sizing = &self.sizing;
        let floor_quote = size::floor_quote(sizing.instrument, sizing.price, self.config);
        Order { qty, limit_price, floor_quote }
    }

    fn view(&self) -> View<'_> {
        let (config, inputs) = (self.config, self.inputs);
        View { config, inputs, order: self.order(), case: self }
    }
}

/// All rules in their order, but for one where a test leaves it out.
pub(super) fn run(view: &View<'_>, left_out: Option<Rule>) -> Vec<RiskHit> {
    let mut hits = Vec::new();
    for rule in Rule::ALL.iter().filter(|rule| Some(**rule) != left_out) {
        let found = rules::apply(*rule, view);
        let ends = rule.is_final() && !found.is_empty();
        hits.extend(found);
        if ends {
            break;
        }
    }
    hits
}

/// The verdict on one decision, and every hit in the order of the rules.
#[must_use]
pub fn judge(case: &RiskCase<'_>) -> (RiskVerdict, Vec<RiskHit>) {
    let hits = run(&case.view(), None);
    (verdict::of(case, &hits), hits)
}

/// The same as if one rule did not exist: shows that each case of the tests is that rule's.
#[cfg(test)]
pub(super) fn judge_without(case: &RiskCase<'_>, rule: Rule) -> (RiskVerdict, Vec<RiskHit>) {
    let hits = run(&case.view(), Some(rule));
    (verdict::of(case, &hits), hits)
}
