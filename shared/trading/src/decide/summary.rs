//! The end of a decision: gates of every symbol, the distribution of blockers, the verdict.
//!
//! Purpose: say for each symbol of the universe which gate closed first, and for the cycle why nothing
//! was (or would be) sent. Inputs: what the steps found. Outputs: the [`Outcome`]. Invariants: pure;
//! data faults are never reported as an empty market.

use std::collections::BTreeMap;

use penstock_types::vocab::{Blocker, BlockerClass, SysMode, Verdict};

use super::assess::Filtered;
use super::case::Cycle;
use super::config::DecideConfig;
use super::gates::{self, Found};
use super::guarantees::count;
use super::outcome::{Assessment, Finalist, Outcome, SymbolGate};
use super::scan::Scan;
use crate::cycle::CycleInput;
use crate::engine_gate::EngineCode;
use crate::select::Selection;

pub(super) fn summarise(
    cycle: Cycle<'_>,
    filtered: &Filtered,
    scan: Scan,
    (selection, mut finalists): (Selection, Vec<Finalist>),
) -> Outcome {
    let (input, config, assessment) = (cycle.input, cycle.config, cycle.assessment);
    let (verdict, block_type) = blocked(input, config, assessment, &scan);
    if verdict.is_some() {
        for finalist in &mut finalists {
            finalist.plan = None;
        }
    }
    let found =
        Found { cycle, filtered, scan: &scan, selection: &selection, finalists: &finalists };
    let gates = gates::gates(found);
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
        capital: cycle.capital.clone(),
        blocker_counts,
        dominant_blocker,
        verdict_without_submit,
        block_type: block_type.to_owned(),
        assessment: assessment.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::vocab::{ReasonCode, StageName};

    /// Codes of missing knowledge count as data, those of a danger do not; every other blocker by its class.
    #[test]
    fn a_gate_of_the_engine_is_of_the_class_of_its_code() {
        let symbol = crate::fixtures::symbol(0);
        let gate = |blocker, reason: Option<ReasonCode>| SymbolGate {
            symbol: symbol.clone(),
            blocker,
            reason,
            stage: StageName::DeepScan,
            value: None,
            limit: None,
            unit: None,
            closed: Vec::new(),
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
