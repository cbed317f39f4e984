//! What a model is shown: one object, the same for the same decision.
//!
//! Input: a decision, the snapshot behind it, three limits. Output: the object, its hash, its text. Invariants: no time
//! of day, balance, key, address or account is in it; the hash is that of the object without the hash.

use crate::decision::Decision;
use crate::plans::{DecisionConstraints, EntryPlan, ExitPlan};
use crate::risk::{CostsSnapshot, RiskLimitsSnapshot};
use crate::shape::contract;
use crate::snapshot::{
    DepthGroup, FlowGroup, MicrostructureGroup, PricesGroup, RegimeGroup, Snapshot, VolatilityGroup,
};
use crate::units::{Bps, DecisionId, Hex64, X10000};
use crate::vocab::{Intent, Mode, RegimeLabel, Route, Side};
use crate::{DecStr, Invalid};
use penstock_types::Symbol;
use penstock_types::canonical::{self, CanonicalError};
use penstock_types::vocab::{Horizon, ReasonCode, ReasonFamily, Regime, RegimeSub, Strategy};

/// Version of the object.
pub const PAYLOAD_SCHEMA_VERSION: &str = "1";

contract! {
    /// The regime without the time since when.
    pub ShownRegime {
        /// Regime.
        market_regime: Regime,
        /// Refinement of CHAOS.
        regime_sub: Option<RegimeSub>,
        /// The regime in one of two words.
        label: RegimeLabel,
        /// Strength of the trend times 10,000.
        trend_score_x10000: X10000,
        /// What is missing to a full trend.
        range_score_x10000: X10000,
        /// Confidence times 10,000.
        confidence_x10000: X10000,
    }
}

contract! {
    /// The limits that bear on one trade, in quote.
    pub ShownLimits {
        /// Loss at the stop.
        risk_per_trade_quote: DecStr,
        /// Cap of the symbol.
        max_exposure_symbol_quote: DecStr,
        /// Cap of all symbols.
        max_exposure_total_quote: DecStr,
    }
}

contract! {
    /// What a model is shown.
    pub AiPayload {
        /// Version of this object.
        schema_version: String,
        /// Decision.
        decision_id: DecisionId,
        /// Hash of its inputs.
        snapshot_hash: Hex64,
        /// Mode.
        mode: Mode,
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
        /// Confidence times 10,000.
        edge_score_x10000: X10000,
        /// Calibrated edge.
        edge_bps_expected: Bps,
        /// Why.
        reasons: Vec<ReasonCode>,
        /// Regime.
        regime: ShownRegime,
        /// Windows over quotes.
        microstructure_60s: MicrostructureGroup,
        /// Volatility.
        volatility: VolatilityGroup,
        /// Trade and drift.
        flow: FlowGroup,
        /// Depth.
        depth: DepthGroup,
        /// Prices.
        prices: PricesGroup,
        /// Costs.
        costs: CostsSnapshot,
        /// The entry.
        entry_plan: Option<EntryPlan>,
        /// The exit.
        exit_plan: Option<ExitPlan>,
        /// Rules of the pair.
        constraints: DecisionConstraints,
        /// Limits.
        limits: ShownLimits,
        /// Reasons that an answer may give.
        allowed_reasons: Vec<ReasonCode>,
    }
}

/// The object as a model gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Canonical text of the object with its hash in it.
    pub text: String,
    /// Hash of the object without the hash.
    pub input_hash: Hex64,
}

/// Reasons that an answer may give: the catalog without those of operation.
#[must_use]
pub fn allowed_reasons() -> Vec<ReasonCode> {
    let allowed = |reason: &&ReasonCode| reason.family() != ReasonFamily::Ops;
    ReasonCode::ALL.iter().filter(allowed).copied().collect()
}

fn shown_regime(regime: &RegimeGroup) -> ShownRegime {
    ShownRegime {
        market_regime: regime.market_regime,
        regime_sub: regime.regime_sub,
        label: regime.label,
        trend_score_x10000: regime.trend_score_x10000,
        range_score_x10000: regime.range_score_x10000,
        confidence_x10000: regime.confidence_x10000,
    }
}

impl AiPayload {
    /// The object of a decision.
    ///
    /// # Errors
    /// [`Invalid`] when the decision was not made from this snapshot, or is not valid.
    pub fn of(
        decision: &Decision,
        snapshot: &Snapshot,
        limits: &RiskLimitsSnapshot,
    ) -> Result<Self, Invalid> {
        decision.validate()?;
        let same = decision.snapshot_hash == snapshot.metadata.snapshot_hash
            && decision.symbol == snapshot.symbol;
        if !same {
            return Err(Invalid {
                field: "snapshot_hash",
                problem: format!("{} was decided from another snapshot", decision.decision_id),
                reason: ReasonCode::StratInputInvalid,
            });
        }
        Ok(Self {
            schema_version: PAYLOAD_SCHEMA_VERSION.to_owned(),
            decision_id: decision.decision_id.clone(),
            snapshot_hash: decision.snapshot_hash.clone(),
            mode: decision.mode,
            symbol: decision.symbol.clone(),
            side: decision.side,
            intent: decision.intent,
            strategy: decision.strategy,
            route: decision.route,
            horizon: decision.horizon,
            edge_score_x10000: decision.edge_score_x10000,
            edge_bps_expected: decision.edge_bps_expected,
            reasons: decision.reasons.clone(),
            regime: shown_regime(&snapshot.regime),
            microstructure_60s: snapshot.microstructure_60s.clone(),
            volatility: snapshot.volatility.clone(),
            flow: snapshot.flow.clone(),
            depth: snapshot.depth.clone(),
            prices: snapshot.prices.clone(),
            costs: snapshot.costs.clone(),
            entry_plan: decision.entry_plan.clone(),
            exit_plan: decision.exit_plan.clone(),
            constraints: decision.constraints.clone(),
            limits: ShownLimits {
                risk_per_trade_quote: limits.risk_per_trade_quote,
                max_exposure_symbol_quote: limits.max_exposure_symbol_quote,
                max_exposure_total_quote: limits.max_exposure_total_quote,
            },
            allowed_reasons: allowed_reasons(),
        })
    }

    /// The object as text, with its hash.
    ///
    /// # Errors
    /// [`CanonicalError`] when a number is beyond what every reader keeps.
    pub fn question(&self) -> Result<Question, CanonicalError> {
        let input_hash = Hex64::of_bytes(&canonical::to_bytes(self)?);
        let mut tree = serde_json::to_value(self)?;
        if let Some(fields) = tree.as_object_mut() {
            fields.insert("input_hash".to_owned(), input_hash.as_str().into());
        }
        let text = String::from_utf8_lossy(&canonical::to_bytes(&tree)?).into_owned();
        Ok(Question { text, input_hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{decision, risk_limits, snapshot};
    use crate::units::TsMs;
    use penstock_types::EvaluationId;
    use serde_json::Value;

    fn payload() -> AiPayload {
        AiPayload::of(&decision(), &snapshot(), &risk_limits()).unwrap()
    }

    fn keys(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, field) in fields {
                    found.push(key.clone());
                    keys(field, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn nothing_volatile_and_nothing_of_the_account_is_shown() {
        let tree = serde_json::to_value(payload()).unwrap();
        assert_eq!(tree.as_object().unwrap().len(), 25);
        let mut found = Vec::new();
        keys(&tree, &mut found);
        // Durations of the plan, not times.
        let durations = ["ttl_ms"];
        for key in found.iter().filter(|key| !durations.contains(&key.as_str())) {
            for word in
                ["_ms", "ts_", "equity", "_balance", "pnl", "key", "url", "account", "cycle"]
            {
                assert!(!key.contains(word), "{key}");
            }
        }
        let clock = crate::fixtures::NOW_MS.to_string();
        assert!(!tree.to_string().contains(&clock[..7]), "a time of day is in it");
    }

    #[test]
    fn the_hash_stays_when_only_health_time_and_counters_change() {
        let base = payload().question().unwrap();
        let mut later = snapshot();
        later.metadata.created_ts_ms = TsMs(5);
        later.health_flags.book_ok = false;
        let mut cycle = decision();
        cycle.cycle_id = EvaluationId(77);
        let mut limits = risk_limits();
        limits.equity_quote = limits.daily_pnl_quote;
        limits.trades_today = 9;
        let again = AiPayload::of(&cycle, &later, &limits).unwrap().question().unwrap();
        assert_eq!(again, base);
        limits.risk_per_trade_quote = limits.equity_quote;
        let other = AiPayload::of(&cycle, &later, &limits).unwrap().question().unwrap();
        assert_ne!(other.input_hash, base.input_hash);
    }

    #[test]
    fn the_text_carries_the_hash_of_the_rest() {
        let question = payload().question().unwrap();
        let mut tree: Value = serde_json::from_str(&question.text).unwrap();
        let told = tree.as_object_mut().unwrap().remove("input_hash").unwrap();
        assert_eq!(told, question.input_hash.as_str());
        assert_eq!(canonical::hash(&tree).unwrap(), question.input_hash.as_str());
    }

    #[test]
    fn a_decision_from_another_snapshot_is_not_shown() {
        let mut other = snapshot();
        other.prices.last_price = crate::fixtures::amount("1");
        let other = other.with_hash().unwrap();
        let refused = AiPayload::of(&decision(), &other, &risk_limits()).unwrap_err();
        assert_eq!(refused.field, "snapshot_hash");
        let mut invalid = decision();
        invalid.exit_plan = None;
        assert!(AiPayload::of(&invalid, &snapshot(), &risk_limits()).is_err());
    }

    #[test]
    fn reasons_of_operation_may_not_be_given() {
        let allowed = allowed_reasons();
        assert!(allowed.contains(&ReasonCode::AigateConcernCost));
        assert!(!allowed.contains(&ReasonCode::EnterPause));
        let of_operation = |reason: &&ReasonCode| reason.family() == ReasonFamily::Ops;
        let left_out = ReasonCode::ALL.iter().filter(of_operation).count();
        assert_eq!(allowed.len() + left_out, ReasonCode::ALL.len());
    }
}
