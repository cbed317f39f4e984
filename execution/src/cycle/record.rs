//! From a decision to the rows that keep it.
//!
//! Purpose: the evidence of a cycle. Inputs: input, decision, what was submitted, times. Outputs: a
//! `CycleRecord`. Invariants: pure but for compression; everything that was executed is kept, besides the
//! best by score, every candidate near profit and every one that opens a shadow trade.

use std::collections::{BTreeMap, BTreeSet};

use penstock_store_decision::evaluations::{
    CandidateRow, CycleEnd, CycleRecord, EngineRef, InputRow,
};
use penstock_store_decision::symbol_gates::GateRow;
use penstock_trading::cycle::CycleInput;
use penstock_trading::decide::outcome::{Candidate, Finalist, Outcome};
use penstock_trading::decide::shadow::Opening;
use penstock_trading::shadow::Direction;
use penstock_types::vocab::Blocker;
use penstock_types::{Decimal, EvaluationId, GenerationId, Symbol};
use serde_json::json;

use super::shadow;
use super::stored::{self, SecondRead, StoredError};

/// Edge from which on a candidate is always kept, bps.
const KEPT_EDGE_BPS: i64 = -10;

/// What the shell adds to a decision.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) evaluation_id: EvaluationId,
    pub(super) config_hash: String,
    pub(super) visible: Option<GenerationId>,
    pub(super) submitted: Vec<Symbol>,
    pub(super) second_reads: Vec<SecondRead>,
    pub(super) duration_ms: i64,
    pub(super) decide_ms: i64,
    pub(super) pipeline_ms: i64,
    pub(super) keep_top: usize,
}

/// Builds the record.
pub(super) fn build(
    input: &CycleInput,
    decision: &Outcome,
    ending: &Ending,
    gates: Vec<GateRow>,
    openings: &[Opening],
) -> Result<CycleRecord, StoredError> {
    let stored_input = stored::store(input)?;
    let second = if ending.second_reads.is_empty() {
        None
    } else {
        Some(stored::store(&json!({ "second_reads": ending.second_reads }))?.bytes)
    };
    let submits = u32::try_from(ending.submitted.len()).unwrap_or(u32::MAX);
    let skipped = decision.gates.len().saturating_sub(ending.submitted.len());
    Ok(CycleRecord {
        domain: input.domain.clone(),
        day: input.now.to_chrono().unwrap_or_default().date_naive(),
        engine: engine_ref(input),
        end: CycleEnd {
            evaluation_id: ending.evaluation_id,
            evaluation_index: input.evaluation_index,
            session_id: input.session_id,
            visible_generation_id: ending.visible,
            system_live_ready: decision.assessment.matrix.system_live_ready(),
            block_type: decision.block_type.clone(),
            matrix: json!(decision.assessment.matrix),
            symbols_total: len(decision.gates.len()),
            exec_allowed_count: len(decision.exec_allowed.len()),
            routes_evaluated: decision.routes_evaluated,
            routes_stale: decision.routes_stale,
            execute_count: submits.into(),
            skip_count: len(skipped),
            dominant_blocker: decision.dominant_blocker.map(|b| b.as_str().to_owned()),
            blocker_counts: json!(decision.blocker_counts),
            verdict: decision.verdict(submits),
            duration_ms: ending.duration_ms,
            route_build_ms: ending.decide_ms,
            pipeline_ms: ending.pipeline_ms,
        },
        candidates: candidates(decision, ending, openings),
        shadows: openings.iter().map(shadow::row).collect(),
        input: InputRow {
            config_hash: ending.config_hash.clone(),
            input_hash: stored_input.hash,
            outcome_hash: decision.outcome_hash()?,
            input: stored_input.bytes,
            input2: second,
        },
        gates,
    })
}

/// The view of the engine that the cycle was decided with.
pub(super) fn engine_ref(input: &CycleInput) -> EngineRef {
    let engine = input.engine.as_ref();
    EngineRef {
        tick_id: engine.and_then(|e| e.tick_id),
        chain: engine.and_then(|e| hex::decode(e.chain.as_deref()?).ok()),
    }
}

fn len(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Everything executed, the best by score, all near profit, and whatever opens a shadow trade.
fn candidates(decision: &Outcome, ending: &Ending, openings: &[Opening]) -> Vec<CandidateRow> {
    let mut by_score: Vec<&Candidate> =
        decision.candidates.iter().filter(|c| c.score.is_some()).collect();
    by_score.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| a.symbol.cmp(&b.symbol)));
    let floor = Decimal::from(KEPT_EDGE_BPS);
    let best = by_score.get(ending.keep_top.wrapping_sub(1)).and_then(|c| c.score);
    let shadowed: BTreeMap<(&Symbol, i64), &Opening> =
        openings.iter().map(|o| ((&o.candidate.symbol, o.candidate.ordinal), o)).collect();
    let own: BTreeSet<(&Symbol, i64)> =
        decision.candidates.iter().map(|c| (&c.symbol, c.ordinal)).collect();
    let beside = shadowed.iter().filter(|(key, _)| !own.contains(*key)).map(|(_, opening)| opening);
    decision
        .candidates
        .iter()
        .filter(|c| {
            let among_best = ending.keep_top > 0
                && c.score.is_some()
                && best.is_none_or(|limit| c.score >= Some(limit));
            c.rank.is_some()
                || among_best
                || c.terms.is_some_and(|t| t.edge_bps >= floor)
                || shadowed.contains_key(&(&c.symbol, c.ordinal))
        })
        .map(|c| candidate_row(decision, ending, c, Direction::Long))
        .chain(beside.map(|o| candidate_row(decision, ending, &o.candidate, o.way.direction)))
        .collect()
}

fn candidate_row(
    decision: &Outcome,
    ending: &Ending,
    c: &Candidate,
    direction: Direction,
) -> CandidateRow {
    let finalist =
        decision.finalists.iter().find(|f| f.symbol == c.symbol && f.ordinal == c.ordinal);
    let executed = c.rank.is_some() && ending.submitted.contains(&c.symbol);
    let blocker = finalist.and_then(|f| f.blocker).or_else(|| c.dominant());
    let mut reasons: Vec<String> = c.blockers.iter().map(|b| b.as_str().to_owned()).collect();
    reasons.extend(c.reasons.iter().map(ToString::to_string));
    reasons.extend(c.flags.iter().map(ToString::to_string));
    reasons.extend(finalist.iter().flat_map(|f| f.risk_hits.iter().map(|h| h.code.to_string())));
    CandidateRow {
        symbol: c.symbol.as_str().to_owned(),
        ordinal: i16::try_from(c.ordinal).unwrap_or(i16::MAX),
        strategy: c.strategy.as_str().to_owned(),
        route_type: c.route_type.as_str().to_owned(),
        horizon: c.horizon.as_str().to_owned(),
        entry_mode: c.entry_mode.map(|m| m.as_str().to_owned()),
        exit_policy: c.exit_policy.as_str().to_owned(),
        rank: c.rank.and_then(|r| i16::try_from(r).ok()),
        decision: if executed {
            "execute"
        } else if c.blockers.contains(&Blocker::StrategyMismatch) {
            "shadow"
        } else {
            "skip"
        },
        stage: stage(executed, finalist, c),
        blocker: blocker.map(|b| b.as_str().to_owned()),
        reasons,
        why_lost: c.why_lost.map(|lost| json!(lost)),
        regime: c.regime.as_str().to_owned(),
        numbers: numbers(c, finalist),
        inputs: json!({
            "direction": direction,
            "fill_model": c.terms.map(|t| t.fill_model),
            "size_quote_assumed": c.size_quote_assumed,
            "stop": c.stop,
            "edge_adj_bps": c.edge_adj_bps,
            "limiter": finalist.map(|f| f.limiter),
        }),
    }
}

const fn stage(executed: bool, finalist: Option<&Finalist>, c: &Candidate) -> &'static str {
    match (executed, finalist) {
        (true, _) => "EXECUTE_INTENT",
        (false, Some(f)) if f.plan.is_some() => "EXECUTE_INTENT",
        (false, Some(_)) => "RISK_VERDICT",
        (false, None) if c.blockers.is_empty() => "WATCHLIST_ATTACH",
        (false, None) => "DEEP_SCAN",
    }
}

/// In the order of the columns that the store names.
fn numbers(c: &Candidate, finalist: Option<&Finalist>) -> [Option<Decimal>; 17] {
    let t = c.terms;
    [
        c.move_bps,
        t.map(|t| t.capturable_bps),
        t.map(|t| t.fee_entry_bps),
        t.map(|t| t.fee_exit_bps),
        t.map(|t| t.slip_entry_bps),
        t.map(|t| t.slip_exit_bps),
        t.map(|t| t.spread_net_bps),
        t.map(|t| t.tsl_drag_bps),
        t.map(|t| t.exit_drag_bps),
        t.map(|t| t.wait_risk_bps),
        t.map(|t| t.edge_bps),
        c.surplus_bps,
        t.map(|t| t.p_fill),
        c.confidence,
        c.score,
        finalist.map(|f| f.size_quote_requested),
        finalist.map(|f| f.size_quote_approved),
    ]
}
