//! The contracts of a finalist: what was seen, fixed and hashed, and what is proposed.
//!
//! Purpose: one snapshot and one decision per finalist. Inputs: its case, its size and its prices. Outputs: both, or
//! the first field that does not hold. Invariants: pure; nothing absent is replaced by a default; the cycle's number is
//! left out, because the same inputs have to give the same id.

mod entry;
mod snapshot;

use penstock_contracts::amount::AmountKind;
use penstock_contracts::units::{Bps, DecisionId, Hex64, TsMs, X10000};
use penstock_contracts::vocab::{Intent, Mode, RegimeLabel, Side};
use penstock_contracts::{DecStr, Decision, Invalid, Snapshot};
use penstock_types::vocab::{EntryMode, ReasonCode, RouteType, StageName, Strategy};
use penstock_types::{Decimal, EvaluationId, UtcMicros};
use serde::{Deserialize, Serialize};

use super::case::{Case, Prices};
use crate::size::Sized;

/// A finalist whose contracts could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Why, as a code.
    pub reason: ReasonCode,
    /// Field that does not hold.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl From<Invalid> for Dropped {
    fn from(invalid: Invalid) -> Self {
        Self { reason: invalid.reason, field: invalid.field.to_owned(), problem: invalid.problem }
    }
}

/// Snapshot and decision of a finalist.
pub(super) fn propose(
    case: &Case<'_>,
    sized: Sized,
    prices: Prices,
) -> Result<(Snapshot, Decision), Invalid> {
    let snapshot = snapshot::build(case)?;
    let constraints = entry::constraints(case)?;
    let entry_plan = entry::plan(case, sized, prices)?;
    let exit_plan = entry::exit(case, entry_plan.limit_price.value())?;
    let candidate = case.candidate;
    let confidence = present("edge_score_x10000", candidate.confidence)?;
    let edge = present("edge_bps_expected", candidate.edge_adj_bps)?;
    let none = Hex64::of_bytes(&[]);
    let decision = Decision {
        mode: Mode::Live,
        ts_ms: ts(case.cycle.input.t0),
        symbol: candidate.symbol.clone(),
        side: Side::Buy,
        intent: Intent::Entry,
        strategy: candidate.strategy,
        route: candidate.route_type.into(),
        horizon: candidate.horizon,
        entry_plan: Some(entry_plan),
        exit_plan: Some(exit_plan),
        edge_score_x10000: fits("edge_score_x10000", X10000::of(confidence))?,
        edge_bps_expected: fits("edge_bps_expected", Bps::of(edge))?,
        reasons: reasons(case, snapshot.regime.label),
        snapshot_hash: snapshot.metadata.snapshot_hash.clone(),
        decision_id: DecisionId::of(&none),
        cycle_id: EvaluationId(0),
        stage: StageName::StrategyPropose,
        constraints,
        ai_gate: None,
        risk_verdict: None,
    };
    let decision = decision.with_id().map_err(|e| unusable("decision_id", &e.to_string()))?;
    decision.validate()?;
    Ok((snapshot, decision))
}

/// The maker form of Momentum's pullback, which has entry filters of its own.
pub(super) fn is_pullback_maker(
    strategy: Strategy,
    route: RouteType,
    mode: Option<EntryMode>,
) -> bool {
    strategy == Strategy::Momentum
        && route == RouteType::PullbackContinuation
        && mode == Some(EntryMode::Maker)
}

/// Why it is proposed, in the order in which it was found.
fn reasons(case: &Case<'_>, label: RegimeLabel) -> Vec<ReasonCode> {
    let candidate = case.candidate;
    let mut reasons = vec![
        ReasonCode::StratOk,
        match label {
            RegimeLabel::Trend => ReasonCode::StratRegimeTrendOk,
            RegimeLabel::Range => ReasonCode::StratRegimeRangeOk,
        },
    ];
    if is_pullback_maker(candidate.strategy, candidate.route_type, candidate.entry_mode) {
        reasons.extend([ReasonCode::StratMicrostructOk, ReasonCode::StratPullbackOk]);
    }
    reasons.extend([ReasonCode::StratEdgeOk, ReasonCode::StratExitAtrTpSl]);
    // A maker that is not filled in its time ends: this version has no taking fallback.
    reasons.push(ReasonCode::StratFallbackBlocked);
    reasons.push(if penstock_contracts::plans::trails(candidate.exit_policy) {
        ReasonCode::StratTrailingArmAllowed
    } else {
        ReasonCode::StratTrailingArmBlocked
    });
    reasons
}

/// A value that has to be there.
fn present<T>(field: &'static str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid {
        field,
        problem: "required and absent; next: wait until it is published".to_owned(),
        reason: ReasonCode::StratMissingField,
    })
}

/// A number that has to fit its field.
fn fits<T>(field: &'static str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| unusable(field, "it does not fit its field"))
}

fn unusable(field: &'static str, problem: &str) -> Invalid {
    Invalid { field, problem: problem.to_owned(), reason: ReasonCode::StratInputInvalid }
}

/// A decimal as the text of its kind.
fn amount(field: &'static str, value: Decimal, kind: AmountKind) -> Result<DecStr, Invalid> {
    DecStr::of_kind(value, kind).map_err(|e| unusable(field, &e.to_string()))
}

/// A whole number as the 32 bits of its field.
fn int(field: &'static str, value: i64) -> Result<i32, Invalid> {
    fits(field, i32::try_from(value).ok())
}

fn ts(at: UtcMicros) -> TsMs {
    TsMs(at.0.div_euclid(1_000))
}
