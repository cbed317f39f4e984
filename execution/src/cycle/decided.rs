//! What a cycle decided, as rows and as events of the trail.
//!
//! Purpose: selection, snapshots, decisions, answers and verdicts stand before an order names them. Inputs: the
//! outcome and the gate's records. Outputs: rows of one transaction, events. Invariants: row and event say the same; the
//! number of the evaluation is put in here, because no hash covers it.

use penstock_audit::Draft;
use penstock_contracts::Decision;
use penstock_contracts::ai::record::GateEvent;
use penstock_store_decision::ai_gate::{
    DecisionRecords, DecisionRow, DecisionSnapshotRow, RiskVerdictRow, SelectionRow,
};
use penstock_trading::cycle::CycleInput;
use penstock_trading::decide::{Finalist, Outcome};
use penstock_trading::select::score_x10000;
use penstock_types::vocab::{AuditEventType, StageName};
use penstock_types::{Decimal, EvaluationId, Symbol};
use serde_json::{Value, json};

/// The rows of an evaluation.
#[must_use]
pub fn rows(
    input: &CycleInput,
    outcome: &Outcome,
    gate: Vec<GateEvent>,
    id: EvaluationId,
    config_hash: &str,
) -> DecisionRecords {
    let mut records = rows_behind(input, outcome, gate, id, 0);
    if !outcome.topn.is_empty() {
        records.selection = Some(selection(input, outcome, id, config_hash));
    }
    records
}

/// The rows of the finalists behind the first `standing`, whose rows stand; the selection stands with those.
pub(super) fn rows_behind(
    input: &CycleInput,
    outcome: &Outcome,
    gate: Vec<GateEvent>,
    id: EvaluationId,
    standing: usize,
) -> DecisionRecords {
    let at = input.t0;
    let numbered = |decision: &Decision| Decision { cycle_id: id, ..decision.clone() };
    let mut records = DecisionRecords { gate, ..DecisionRecords::default() };
    for finalist in outcome.finalists.iter().skip(standing) {
        let Some(decision) = &finalist.decision else { continue };
        if let Some(snapshot) = &finalist.snapshot {
            records.snapshots.push(DecisionSnapshotRow {
                evaluation_id: id,
                created_at: at,
                snapshot: snapshot.clone(),
            });
        }
        records.decisions.push(DecisionRow::proposed(numbered(decision), at));
        if let Some(changed) = changed(finalist) {
            let parent = decision.decision_id.clone();
            records.decisions.push(DecisionRow::modified(numbered(changed), parent, at));
        }
        if let (Some(verdict), Some(in_force)) = (&finalist.verdict, finalist.in_force()) {
            let decision_id = in_force.decision_id.clone();
            records.verdicts.push(RiskVerdictRow::of(decision_id, id, at, verdict));
        }
    }
    records
}

fn changed(finalist: &Finalist) -> Option<&Decision> {
    finalist.gate.as_ref().and_then(|gate| gate.modified_decision.as_deref())
}

fn selection(
    input: &CycleInput,
    outcome: &Outcome,
    id: EvaluationId,
    config_hash: &str,
) -> SelectionRow {
    let chosen = &outcome.selection;
    SelectionRow {
        evaluation_id: id,
        ts: input.t0,
        topn: ranked(input, outcome),
        topk_pre: chosen.topk_pre.clone(),
        topk_final: chosen.topk_final.clone(),
        churn_guard_applied: chosen.churn_guard_applied,
        correlation_applied: chosen.correlation_applied,
        max_pairwise_corr_x10000: i32::try_from(chosen.max_pairwise_corr_x10000).unwrap_or(0),
        corr_pairs: pairs(outcome),
        config_hash: config_hash.to_owned(),
    }
}

/// The pre-selection, best first, with the figures that it was ranked by.
fn ranked(input: &CycleInput, outcome: &Outcome) -> Value {
    let text = |value: Option<Decimal>| value.map(|value| value.normalize().to_string());
    let one = |(at, (symbol, score)): (usize, &(Symbol, i64))| {
        let state = input.states.iter().find(|row| &row.symbol == symbol);
        let depth =
            state.and_then(|row| Some(row.depth_bid_10bps_quote?.min(row.depth_ask_10bps_quote?)));
        json!({
            "symbol": symbol, "rank_index": at + 1, "score_x10000": score,
            "features": {
                "depth_10bps_quote": text(depth),
                "drift_15m_bps": text(state.and_then(|row| row.drift_15m_bps)),
                "spread_avg_bps": text(state.and_then(|row| row.spread_avg_bps)),
            },
        })
    };
    outcome.topn.iter().enumerate().map(one).collect()
}

fn pairs(outcome: &Outcome) -> Value {
    let pair = |p: &penstock_trading::select::AlikePair| json!({ "a": p.a, "b": p.b, "corr_x10000": p.corr_x10000, "action": "REJECT" });
    outcome.selection.pairs.iter().map(pair).collect()
}

/// An event of an evaluation, with the ids of the data that it is bound to.
pub(super) fn bound(
    input: &CycleInput,
    outcome: &Outcome,
    id: EvaluationId,
    stage: StageName,
    event_type: AuditEventType,
) -> Draft {
    let bound = outcome.assessment.binding.as_ref();
    Draft {
        run_id: bound.map_or(penstock_types::RunId(0), |b| b.run_id),
        snapshot_id: bound.map_or(penstock_types::SnapshotId(0), |b| b.snapshot_id),
        epoch_id: bound.map_or(penstock_types::EpochId(0), |b| b.epoch_id),
        generation_id: input
            .publication
            .as_ref()
            .map_or(penstock_types::GenerationId(0), |p| p.generation_id),
        tick_id: input.frame.map_or(penstock_types::TickId(0), |f| f.tick_id),
        cycle_id: id,
        ..Draft::new(stage, event_type, input.t0.millis())
    }
}

/// The events of an evaluation in the order of its stages; `before` are the finalists of the last one, and the first
/// `standing` of this one have been said.
pub(super) fn events(
    input: &CycleInput,
    outcome: &Outcome,
    records: &DecisionRecords,
    id: EvaluationId,
    (before, standing): (&[Symbol], usize),
) -> Vec<Draft> {
    let draft = |stage, event_type| bound(input, outcome, id, stage, event_type);
    let mut events = Vec::new();
    if let Some(row) = &records.selection {
        events.push(
            draft(StageName::RankTopn, AuditEventType::RankTopn)
                .with("items", items(&row.topn))
                .with("config_hash", row.config_hash.as_str()),
        );
        events.push(
            draft(StageName::DeepScan, AuditEventType::DeepScan).with("items", looked_at(outcome)),
        );
        if row.topk_final != before {
            events.push(
                draft(StageName::WatchlistAttach, AuditEventType::TopkSelection)
                    .with("topk_pre", json!(row.topk_pre))
                    .with("topk_final", json!(row.topk_final))
                    .with("churn_guard_applied", row.churn_guard_applied)
                    .with("correlation_applied", row.correlation_applied)
                    .with("max_pairwise_corr_x10000", row.max_pairwise_corr_x10000)
                    .with("pairs_over_limit", row.corr_pairs.clone()),
            );
        }
    }
    for finalist in outcome.finalists.iter().skip(standing) {
        events.extend(of_finalist(outcome, records, finalist, &draft));
    }
    events
}

/// The ranking without its figures, which stand in the row.
fn items(topn: &Value) -> Value {
    let short = |one: &Value| {
        json!({ "symbol": one["symbol"], "score_x10000": one["score_x10000"],
            "rank_index": one["rank_index"] })
    };
    topn.as_array().into_iter().flatten().map(short).collect()
}

/// The best candidate of each symbol that was looked at closely.
fn looked_at(outcome: &Outcome) -> Value {
    let best = |symbol: &Symbol| {
        let mine = outcome.candidates.iter().filter(|c| &c.symbol == symbol);
        let c = mine.max_by(|a, b| a.score.cmp(&b.score).then(b.ordinal.cmp(&a.ordinal)))?;
        let gate = outcome.gates.iter().find(|g| &g.symbol == symbol);
        Some(json!({
            "symbol": symbol, "strategy": c.strategy, "route": c.route_type,
            "score_x10000": score_x10000(c.score.unwrap_or(Decimal::ZERO)),
            "edge_bps_expected": c.edge_adj_bps.map(|edge| edge.round_dp(0).normalize().to_string()),
            "dominant_reason": gate.and_then(|g| g.reason),
        }))
    };
    outcome.topn.iter().filter_map(|(symbol, _)| best(symbol)).collect()
}

fn of_finalist(
    outcome: &Outcome,
    records: &DecisionRecords,
    finalist: &Finalist,
    draft: &dyn Fn(StageName, AuditEventType) -> Draft,
) -> Vec<Draft> {
    let about = |stage, event_type, decision_id: &str| Draft {
        symbol: Some(finalist.symbol.clone()),
        decision_id: decision_id.to_owned(),
        ..draft(stage, event_type)
    };
    let mut events = Vec::new();
    if let Some(dropped) = &finalist.dropped {
        let candidate = outcome
            .candidates
            .iter()
            .find(|c| c.symbol == finalist.symbol && c.ordinal == finalist.ordinal);
        let mut event = about(StageName::StateUpdate, AuditEventType::StrategyBlocked, "")
            .with("route", json!(candidate.map(|c| c.route_type)))
            .with("first_reason", dropped.reason.as_str());
        event.reasons = vec![dropped.reason];
        events.push(event);
    }
    let (Some(decision), Some(snapshot)) = (&finalist.decision, &finalist.snapshot) else {
        return events;
    };
    let id = decision.decision_id.as_str();
    events.push(
        about(StageName::StateUpdate, AuditEventType::SnapshotBuilt, id)
            .with("snapshot_hash", snapshot.metadata.snapshot_hash.as_str()),
    );
    let mut proposed = about(StageName::StrategyPropose, AuditEventType::DecisionProposed, id)
        .with("intent", json!(decision.intent))
        .with("strategy", json!(decision.strategy))
        .with("route", json!(decision.route))
        .with("edge_score_x10000", decision.edge_score_x10000.0)
        .with("edge_bps_expected", decision.edge_bps_expected.0);
    proposed.reasons.clone_from(&decision.reasons);
    events.push(proposed);
    for asked in records.gate.iter().filter(|asked| asked.decision_id == decision.decision_id) {
        let mut event = about(StageName::AigateCall, AuditEventType::AigateCall, id);
        event.data = asked.event_data();
        event.reasons.clone_from(&asked.reasons);
        events.push(event);
    }
    if let (Some(verdict), Some(in_force)) = (&finalist.verdict, finalist.in_force()) {
        let in_force = in_force.decision_id.as_str();
        let limits = serde_json::to_value(&verdict.risk_limits).unwrap_or_default();
        let mut event = about(StageName::RiskVerdict, AuditEventType::RiskVerdict, in_force)
            .with("verdict", json!(verdict.verdict))
            .with("adjusted_min_edge_bps", json!(verdict.adjusted_min_edge_bps))
            .with("multiplier_x10000", verdict.multiplier_x10000.0)
            .with("limits", limits)
            .with("counters", counters(finalist));
        event.reasons.clone_from(&verdict.reasons);
        events.push(event);
    }
    events
}

/// Measured value and limit of every rule that was hit.
fn counters(finalist: &Finalist) -> Value {
    let hit = |hit: &penstock_trading::risk::RiskHit| {
        json!({
            "rule": hit.rule, "code": hit.code,
            "value": hit.value.map(|v| v.normalize().to_string()),
            "limit": hit.limit.map(|v| v.normalize().to_string()),
        })
    };
    json!({ "hits": finalist.risk_hits.iter().map(hit).collect::<Vec<_>>() })
}
