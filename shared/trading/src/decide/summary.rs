//! The end of a decision: gates of every symbol, the distribution of blockers, the verdict.
//!
//! Purpose: say for each symbol of the universe which gate closed first, and for the cycle why nothing
//! was (or would be) sent. Inputs: what the steps found. Outputs: the [`Outcome`]. Invariants: pure;
//! data faults are never reported as an empty market.

use std::collections::{BTreeMap, BTreeSet};

use penstock_types::decimal::round_to;
use penstock_types::vocab::{Blocker, BlockerClass, ReasonCode, StageName, SysMode, Verdict};
use penstock_types::{Decimal, Symbol};

use super::assess::Filtered;
use super::config::DecideConfig;
use super::guarantees::count;
use super::outcome::{Assessment, Candidate, Finalist, Outcome, SymbolGate};
use super::scan::Scan;
use crate::cycle::CycleInput;
use crate::engine_gate::EngineCode;
use crate::routes;
use crate::select::Selection;
use crate::size::CapitalState;

pub(super) fn summarise(
    input: &CycleInput,
    config: &DecideConfig,
    assessment: Assessment,
    filtered: &Filtered,
    capital: CapitalState,
    scan: Scan,
    (selection, mut finalists): (Selection, Vec<Finalist>),
) -> Outcome {
    let (verdict, block_type) = blocked(input, config, &assessment, &scan);
    if verdict.is_some() {
        for finalist in &mut finalists {
            finalist.plan = None;
        }
    }
    let gates = gates(config, filtered, &scan, &selection, &finalists);
    let mut blocker_counts = BTreeMap::new();
    let mut order: BTreeMap<Blocker, i64> = BTreeMap::new();
    for blocker in gates.iter().filter_map(|g| g.blocker) {
        *blocker_counts.entry(blocker.as_str().to_owned()).or_insert(0) += 1;
        *order.entry(blocker).or_insert(0) += 1;
    }
    let dominant_blocker = order
        .iter()
        .max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)))
        .map(|(blocker, _)| *blocker);
    let verdict_without_submit = verdict.unwrap_or_else(|| open_verdict(&scan, &gates));
    Outcome {
        sys_mode: input.sys_mode,
        execution_enable: config.execution_enable,
        exec_allowed: filtered.allowed.clone(),
        coverage_pct: scan.coverage_pct,
        routes_evaluated: count(scan.candidates.len()),
        routes_stale: scan.routes_stale,
        topn: scan.topn,
        selection,
        gates,
        pairs: scan.pairs,
        engine_blocks: scan.engine_blocks,
        candidates: scan.candidates,
        finalists,
        capital,
        blocker_counts,
        dominant_blocker,
        verdict_without_submit,
        block_type: block_type.to_owned(),
        assessment,
    }
}

/// The first thing that blocks the cycle as a whole: attach, data, mode.
fn blocked(
    input: &CycleInput,
    config: &DecideConfig,
    assessment: &Assessment,
    scan: &Scan,
) -> (Option<Verdict>, &'static str) {
    if assessment.binding.is_none() || assessment.lineage_break.is_some() {
        return (Some(Verdict::AttachBlocked), "attach");
    }
    if assessment.sync.is_some() {
        return (Some(Verdict::DataBlocked), "generation");
    }
    if assessment.data_stale {
        return (Some(Verdict::DataBlocked), "freshness");
    }
    if !assessment.matrix.system_live_ready() {
        return (Some(Verdict::DataBlocked), "integrity");
    }
    if !scan.coverage_ok() {
        return (Some(Verdict::DataBlocked), "integrity");
    }
    if input.sys_mode != SysMode::Normal || !config.execution_enable {
        return (Some(Verdict::ModeBlocked), "mode");
    }
    (None, "none")
}

/// Verdict of a cycle that nothing blocked as a whole: data, when no symbol failed for another reason.
fn open_verdict(scan: &Scan, gates: &[SymbolGate]) -> Verdict {
    let failed = gates.iter().filter(|g| g.blocker.is_some());
    let only_data = !gates.is_empty()
        && scan.order.is_empty()
        && failed.clone().all(is_data)
        && failed.count() > 0;
    if only_data { Verdict::DataBlocked } else { Verdict::EconomicallyEmpty }
}

/// A gate that closed for want of knowledge: of the engine's, those that say so.
fn is_data(gate: &SymbolGate) -> bool {
    let of_engine = || gate.reason.and_then(EngineCode::of_reason);
    match gate.blocker {
        Some(Blocker::EngineBlocked) => of_engine().is_some_and(EngineCode::is_data),
        Some(blocker) => blocker.class() == BlockerClass::Data,
        None => false,
    }
}

fn gates(
    config: &DecideConfig,
    filtered: &Filtered,
    scan: &Scan,
    selection: &Selection,
    finalists: &[Finalist],
) -> Vec<SymbolGate> {
    let mut gates: Vec<SymbolGate> = filtered
        .closed
        .iter()
        .map(|(symbol, blocker, reason)| {
            let mut gate = gate(symbol, Some(*blocker), StageName::UniverseScan);
            gate.reason = Some(*reason);
            gate.closed = vec![*blocker];
            gate
        })
        .collect();
    for symbol in &filtered.allowed {
        gates.push(allowed_gate(config, scan, selection, finalists, symbol));
    }
    gates.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    gates
}

fn gate(symbol: &Symbol, blocker: Option<Blocker>, stage: StageName) -> SymbolGate {
    SymbolGate {
        symbol: symbol.clone(),
        blocker,
        reason: blocker.and_then(code),
        stage,
        value: None,
        limit: None,
        unit: None,
        closed: Vec::new(),
    }
}

fn allowed_gate(
    config: &DecideConfig,
    scan: &Scan,
    selection: &Selection,
    finalists: &[Finalist],
    symbol: &Symbol,
) -> SymbolGate {
    if let Some(finalist) = finalists.iter().find(|f| &f.symbol == symbol) {
        let mut gate = gate(symbol, finalist.blocker, finalist.stage());
        gate.closed = finalist.blocker.into_iter().collect();
        if let Some(dropped) = &finalist.dropped {
            gate.reason = Some(dropped.reason);
        }
        if finalist.blocker == Some(Blocker::AiGateBlocked) {
            gate.reason = Some(gate_code(finalist));
        }
        if let Some(hit) = finalist.risk_hits.first() {
            gate.reason = Some(hit.code);
            gate.value = hit.value.map(|v| round_to(v, 10).normalize());
            gate.limit = hit.limit.map(|v| round_to(v, 10).normalize());
        }
        return gate;
    }
    if scan.topn.is_empty() {
        let mut gate = gate(symbol, Some(Blocker::FeatureIncomplete), StageName::UniverseScan);
        gate.closed = vec![Blocker::FeatureIncomplete];
        return gate;
    }
    if !scan.topn.iter().any(|(ranked, _)| ranked == symbol) {
        // Not among the best by liquidity, momentum and spread: a rank closed it, no blocker.
        let mut gate = gate(symbol, None, StageName::RankTopn);
        gate.reason = Some(ReasonCode::TopnCut);
        return gate;
    }
    let mut closed: BTreeSet<Blocker> = BTreeSet::new();
    let mut tradable = false;
    for pair in scan.pairs.iter().filter(|p| &p.symbol == symbol) {
        closed.extend(pair.blockers.iter().copied());
        tradable |= pair.tradable;
    }
    if tradable {
        // Its candidate lost against better symbols: a rank closed it, no blocker.
        let mut gate = gate(symbol, None, StageName::WatchlistAttach);
        gate.reason = selection.cut(symbol).or(Some(ReasonCode::TopkCut));
        return gate;
    }
    let mut gate = gate(symbol, closed.first().copied(), StageName::DeepScan);
    if gate.blocker == Some(Blocker::EngineBlocked) {
        let own = scan.engine_blocks.iter().find(|block| &block.symbol == symbol);
        gate.reason = own.map(|block| block.code.reason()).or(gate.reason);
    }
    measure(config, scan, symbol, &mut gate);
    gate.closed = closed.into_iter().collect();
    gate
}

/// Why the AI gate closed it: what failed, else its first objection. A change that is not carried out counts as one that
/// is not valid; without an answer there was no request that came to an end.
fn gate_code(finalist: &Finalist) -> ReasonCode {
    match &finalist.gate {
        None => ReasonCode::AigateHttpError,
        Some(gate) if gate.modified_decision.is_some() => ReasonCode::AigateModifyInvalid,
        Some(gate) => gate
            .error_code
            .or_else(|| gate.reasons.first().copied())
            .unwrap_or(ReasonCode::AigateSchemaInvalid),
    }
}

/// Value and limit of the gates that compare numbers, from the best candidate of the symbol.
fn measure(config: &DecideConfig, scan: &Scan, symbol: &Symbol, gate: &mut SymbolGate) {
    let best =
        scan.candidates.iter().filter(|c| &c.symbol == symbol).max_by(|a, b| {
            a.edge_adj_bps.cmp(&b.edge_adj_bps).then_with(|| b.ordinal.cmp(&a.ordinal))
        });
    let (Some(c), Some(blocker)) = (best, gate.blocker) else { return };
    if let Some((value, limit, unit)) = compared(config, c, blocker) {
        gate.value = Some(value.normalize());
        gate.limit = Some(limit.normalize());
        gate.unit = Some(unit.to_owned());
    }
}

fn compared(
    config: &DecideConfig,
    c: &Candidate,
    blocker: Blocker,
) -> Option<(Decimal, Decimal, &'static str)> {
    let terms = routes::terms(c.strategy);
    match blocker {
        Blocker::ConfidenceLow => Some((c.confidence?, config.min_confidence, "ratio")),
        Blocker::EdgeNegative => Some((c.terms?.edge_bps, Decimal::ZERO, "bps")),
        Blocker::SurplusBelowFloor => Some((c.surplus_bps?, Decimal::ZERO, "bps")),
        Blocker::MoveBelowFees => {
            Some((c.move_bps?, Decimal::new(85, 2) * c.terms?.fees_bps(), "bps"))
        }
        Blocker::FillProbabilityLow => Some((c.terms?.p_fill, Decimal::new(15, 2), "ratio")),
        Blocker::FillTimeTooLong => {
            Some((Decimal::ZERO, Decimal::from(terms.est_fill_ms_max), "ms"))
        }
        _ => None,
    }
}

/// The one reason of a blocker; a rule of risk and the AI gate give their own.
#[must_use]
pub const fn code(blocker: Blocker) -> Option<ReasonCode> {
    Some(match blocker {
        Blocker::ModeBlocked => ReasonCode::RiskModeBlock,
        Blocker::HardBlocked => ReasonCode::SymbolHardBlocked,
        Blocker::ExitOnly => ReasonCode::SymbolExitOnly,
        Blocker::QuietMode => ReasonCode::SymbolQuiet,
        Blocker::InstrumentNotOnline => ReasonCode::ExchangePairRestricted,
        Blocker::DataStale => ReasonCode::DataStale,
        Blocker::RouteStale => ReasonCode::RouteStaleData,
        Blocker::BookUnreliable => ReasonCode::BookChecksumMismatch,
        Blocker::FeatureIncomplete => ReasonCode::StratMissingField,
        Blocker::RegimeChaos => ReasonCode::RegimeNoTrade,
        Blocker::StrategyMismatch => ReasonCode::RegimeMismatch,
        Blocker::LowLiquidity => ReasonCode::StratLiquidityLow,
        Blocker::SpreadTooWide => ReasonCode::StratSpreadTooWide,
        Blocker::SpreadTooNarrow => ReasonCode::StratSpreadTooNarrow,
        Blocker::NoDirection => ReasonCode::StratNoDirection,
        Blocker::ConfidenceLow => ReasonCode::StratRegimeWeak,
        Blocker::FillTimeTooLong => ReasonCode::StratFillTimeLong,
        Blocker::FillProbabilityLow => ReasonCode::StratFillProbabilityLow,
        Blocker::PositionOpen => ReasonCode::RiskPositionAlreadyOpen,
        Blocker::SymbolLocked => ReasonCode::RiskEntryAlreadyPending,
        Blocker::MoveBelowFees => ReasonCode::StratMoveBelowFees,
        Blocker::EdgeNegative => ReasonCode::StratEdgeNegative,
        Blocker::SurplusBelowFloor => ReasonCode::StratEdgeBelowMin,
        Blocker::ExitInfeasible => ReasonCode::StratExitInvalid,
        Blocker::EngineBlocked => ReasonCode::EngineFailed,
        Blocker::SizeBelowMinimum => ReasonCode::RiskSizeInvalid,
        Blocker::CapitalExhausted => ReasonCode::RiskCapitalExhausted,
        Blocker::SlotLimit => ReasonCode::RiskStrategySlots,
        Blocker::ExposureLimit => ReasonCode::RiskExposureLimit,
        Blocker::RateLimited => ReasonCode::RiskOrderRate,
        Blocker::AiGateBlocked | Blocker::RiskBlocked => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of missing knowledge count as data, those of a danger do not; every other blocker by its class.
    #[test]
    fn a_gate_of_the_engine_is_of_the_class_of_its_code() {
        let symbol = crate::fixtures::symbol(0);
        let gate = |blocker, reason: Option<ReasonCode>| SymbolGate {
            reason,
            ..gate(&symbol, blocker, StageName::DeepScan)
        };
        for code in EngineCode::ALL {
            let is_knowledge =
                ["ENGINE_STALE", "ENGINE_FAILED", "ENGINE_WARMUP", "ENGINE_DEGRADED"]
                    .contains(&code.as_str());
            let found = is_data(&gate(Some(Blocker::EngineBlocked), Some(code.reason())));
            assert_eq!(found, is_knowledge, "{code}");
        }
        assert!(!is_data(&gate(Some(Blocker::EngineBlocked), None)));
        assert!(!is_data(&gate(None, Some(ReasonCode::TopnCut))));
        for blocker in Blocker::ALL.iter().filter(|b| **b != Blocker::EngineBlocked) {
            let wanted = blocker.class() == BlockerClass::Data;
            assert_eq!(is_data(&gate(Some(*blocker), None)), wanted, "{blocker}");
        }
    }
}
