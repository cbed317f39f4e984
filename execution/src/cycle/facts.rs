//! Facts that a cycle finds beside its decision: who is eligible, which rules are in force, whose safety changed, whose
//! state is too old, and what the gates before a submit said.
//!
//! Input: the cycle's input and outcome; what was said before. Output: events. Invariants: eligibility and rules are said
//! when they changed since the last cycle, the first cycle of a session says all of them; a cause of a symbol's safety
//! that nobody else says begins here, and each ends here unless its owner says the end; a gate is said at each submit, a
//! stale state whenever one closes a route.

use std::collections::{BTreeMap, BTreeSet};

use penstock_audit::Draft;
use penstock_telemetry::marker;
use penstock_trading::cycle::{CycleInput, ReRead};
use penstock_trading::decide::{DecideConfig, Outcome, PlannedEntry};
use penstock_trading::gates::GenerationBlock;
use penstock_trading::routes;
use penstock_types::rows::SafetyRow;
use penstock_types::vocab::{AuditEventType, Blocker, ReasonCode, SafetyMode, StageName};
use penstock_types::{EvaluationId, Symbol, UtcMicros};
use serde_json::json;

use super::decided::bound;

/// Causes that ingest sets: it writes no trail.
const OF_INGEST: [&str; 5] =
    ["l2_checksum", "book_stale", "instrument_not_online", "pinned_invalid_l3", "l3_resync_limit"];
/// Causes whose end the desk says, which knows what it means.
const ENDED_BY_DESK: [&str; 2] = ["phantom_position", "foreign_order"];

/// What was said of the market.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Hash of the rules and status of each pair.
    rules: BTreeMap<Symbol, (String, String)>,
    eligible: BTreeSet<Symbol>,
    /// Causes that stood at the last cycle.
    causes: BTreeSet<(Symbol, String)>,
}

impl Facts {
    /// What is new.
    pub(super) fn found(
        &mut self,
        input: &CycleInput,
        outcome: &Outcome,
        id: EvaluationId,
        config: &DecideConfig,
    ) -> Vec<Draft> {
        let mut events = self.rules(input, outcome, id);
        events.extend(self.eligibility(input, outcome, id));
        events.extend(self.safety(input, outcome, id));
        events.extend(stale(input, outcome, id, config));
        events
    }

    fn rules(&mut self, input: &CycleInput, outcome: &Outcome, id: EvaluationId) -> Vec<Draft> {
        let is_first = self.rules.is_empty();
        let mut events = Vec::new();
        for row in &input.instruments {
            let now = (row.content_hash.clone(), row.status.clone());
            let before = self.rules.insert(row.symbol.clone(), now.clone());
            if before.as_ref() == Some(&now) {
                continue;
            }
            let (old_hash, old_status) = before.unwrap_or_default();
            let cause = match (is_first, old_hash.is_empty() || old_status == now.1) {
                (true, _) => "BOOT",
                (false, true) => "PUBLISHED",
                (false, false) => "STATUS",
            };
            let (stage, event) = (StageName::UniverseScan, AuditEventType::FiltersRefreshed);
            let event = bound(input, outcome, id, stage, event)
                .with("old_hash", old_hash)
                .with("new_hash", now.0)
                .with("cause", cause);
            events.push(Draft { symbol: Some(row.symbol.clone()), ..event });
        }
        events
    }

    /// Causes that began or ended, an end by its time too.
    fn safety(&mut self, input: &CycleInput, outcome: &Outcome, id: EvaluationId) -> Vec<Draft> {
        let of = |row: &SafetyRow| -> Vec<(Symbol, String)> {
            row.causes.iter().map(|cause| (row.symbol.clone(), cause.clone())).collect()
        };
        let now: BTreeSet<(Symbol, String)> = input.safety.iter().flat_map(of).collect();
        let draft = |symbol: &Symbol, cause: &str, row: Option<&SafetyRow>| {
            let (stage, event) = (StageName::UniverseScan, AuditEventType::QuarantineChanged);
            let until = row.and_then(|row| row.hard_block_until.or(row.quiet_until));
            let mode = row.map_or(SafetyMode::Normal, |row| row.mode);
            let event = bound(input, outcome, id, stage, event)
                .with("cause", cause)
                .with("symbol_mode", mode.as_str())
                .with("until_ts_ms", until.map_or(0, UtcMicros::millis))
                .with("counters", json!({}));
            let reasons = row.and_then(safety_reason).into_iter().collect();
            Draft { symbol: Some(symbol.clone()), reasons, ..event }
        };
        let is_of_ingest = |cause: &str| OF_INGEST.contains(&cause);
        let begun = now.difference(&self.causes).filter(|(_, cause)| is_of_ingest(cause));
        let begun = begun.map(|(symbol, cause)| {
            let row = input.safety.iter().find(|row| &row.symbol == symbol);
            draft(symbol, cause, row)
        });
        let is_desks = |cause: &str| ENDED_BY_DESK.contains(&cause);
        let ended = self.causes.difference(&now).filter(|(_, cause)| !is_desks(cause));
        let ended = ended.map(|(symbol, cause)| {
            marker!(SYMBOL_SAFETY_CLEARED, symbol = symbol.as_str(), cause = cause.as_str());
            draft(symbol, cause, None)
        });
        let events = begun.chain(ended).collect();
        self.causes = now;
        events
    }

    fn eligibility(
        &mut self,
        input: &CycleInput,
        outcome: &Outcome,
        id: EvaluationId,
    ) -> Vec<Draft> {
        let now: BTreeSet<Symbol> = outcome.exec_allowed.iter().cloned().collect();
        let changed: Vec<Symbol> = now.symmetric_difference(&self.eligible).cloned().collect();
        let event = |symbol: Symbol| {
            let eligible = now.contains(&symbol);
            let why = outcome.gates.iter().find(|gate| gate.symbol == symbol && !eligible);
            let reasons = why.and_then(|gate| gate.reason).into_iter().collect();
            let (stage, event) = (StageName::UniverseScan, AuditEventType::UniverseEligibility);
            let event = bound(input, outcome, id, stage, event).with("eligible", eligible);
            Draft { symbol: Some(symbol), reasons, ..event }
        };
        let events = changed.into_iter().map(event).collect();
        self.eligible = now;
        events
    }
}

/// The reason of a symbol's mode.
const fn safety_reason(row: &SafetyRow) -> Option<ReasonCode> {
    match (row.mode, row.is_quarantine) {
        (SafetyMode::Normal, _) => None,
        (_, true) => Some(ReasonCode::SymbolQuarantined),
        (SafetyMode::Quiet, false) => Some(ReasonCode::SymbolQuiet),
        (SafetyMode::ExitOnly, false) => Some(ReasonCode::SymbolExitOnly),
        (SafetyMode::HardBlocked, false) => Some(ReasonCode::SymbolHardBlocked),
    }
}

/// Routes that the age of the state closes, each once a cycle.
fn stale(
    input: &CycleInput,
    outcome: &Outcome,
    id: EvaluationId,
    config: &DecideConfig,
) -> Vec<Draft> {
    let (fast, slow) = (config.route_freshness_fast_secs, config.route_freshness_slow_secs);
    let mut said = BTreeSet::new();
    let closed = outcome.candidates.iter().filter(|c| c.blockers.contains(&Blocker::RouteStale));
    let first = closed.filter(|c| said.insert((c.symbol.clone(), c.route_type)));
    let event = |c: &penstock_trading::decide::outcome::Candidate| {
        let max_ms = routes::freshness_limit_secs(c.route_type, fast, slow) * 1_000;
        let (stage, event) = (StageName::DeepScan, AuditEventType::RouteFreshness);
        let event = bound(input, outcome, id, stage, event)
            .with("route", json!(c.route_type))
            .with("state_age_ms", json!(outcome.assessment.state_age_ms))
            .with("max_state_age_ms", max_ms)
            .with("passed", false);
        let reasons = vec![ReasonCode::RouteStaleData];
        Draft { symbol: Some(c.symbol.clone()), reasons, ..event }
    };
    first.map(event).collect()
}

/// What the gates said of a plan right before its submit.
pub(super) fn gates(
    input: &CycleInput,
    outcome: &Outcome,
    id: EvaluationId,
    plan: &PlannedEntry,
    read: &ReRead,
    verdict: Result<(), GenerationBlock>,
) -> [Draft; 2] {
    let about = |event| {
        let draft = bound(input, outcome, id, StageName::ExecuteIntent, event);
        let decision_id = plan.decision_id.as_str().to_owned();
        Draft { symbol: Some(plan.symbol.clone()), decision_id, ..draft }
    };
    let age_ms = input.publication.as_ref().map(|cycle| cycle.state_age_ms(read.now));
    let is_young = age_ms.is_some_and(|age| age <= plan.state_age_limit_ms);
    let mut freshness = about(AuditEventType::RouteFreshness)
        .with("route", json!(plan.route_type))
        .with("state_age_ms", json!(age_ms))
        .with("max_state_age_ms", plan.state_age_limit_ms)
        .with("passed", is_young);
    if !is_young {
        freshness.reasons.push(ReasonCode::RouteStaleData);
    }
    let cycle = input.publication.as_ref().map(|cycle| cycle.generation_id);
    let visible = read.publication.as_ref().map(|now| now.generation_id);
    let refused = match verdict {
        // Its age, which is judged last, is the other gate's.
        Ok(()) | Err(GenerationBlock::StaleData) => None,
        Err(GenerationBlock::Lineage) => Some(ReasonCode::LineageBreak),
        Err(
            GenerationBlock::Regressed
            | GenerationBlock::FenceChanged
            | GenerationBlock::Lag
            | GenerationBlock::IngestLeaseExpired,
        ) => Some(ReasonCode::StateGenerationMismatch),
    };
    let mut generation = about(AuditEventType::GenerationGate)
        .with("cycle_generation_id", cycle.map_or(0, |id| id.get()))
        .with("visible_generation_id", visible.map_or(0, |id| id.get()))
        .with("passed", refused.is_none());
    generation.reasons.extend(refused);
    [generation, freshness]
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_trading::decide::decide;
    use penstock_trading::fixtures::{config, input, symbol};

    fn row(mode: SafetyMode, causes: &[&str]) -> SafetyRow {
        SafetyRow {
            symbol: symbol(1),
            mode,
            quiet_until: Some(UtcMicros(1_771_246_800_000_000)),
            hard_block_until: None,
            causes: causes.iter().map(|cause| (*cause).to_owned()).collect(),
            is_quarantine: mode == SafetyMode::Quiet,
        }
    }

    /// What a cycle with these rows says of safety: cause, mode, end, reasons.
    fn said(
        facts: &mut Facts,
        rows: Vec<SafetyRow>,
    ) -> Vec<(String, String, i64, Vec<ReasonCode>)> {
        let cycle = CycleInput { safety: rows, ..input(6) };
        let config = config();
        let events = facts.found(&cycle, &decide(&cycle, &config), EvaluationId(1), &config);
        let of = |draft: &Draft| {
            assert_eq!(draft.symbol.as_ref(), Some(&symbol(1)));
            let text = |key: &str| draft.data[key].as_str().unwrap_or_default().to_owned();
            let until = draft.data["until_ts_ms"].as_i64().unwrap_or_default();
            (text("cause"), text("symbol_mode"), until, draft.reasons.clone())
        };
        let is_safety = |draft: &&Draft| draft.event_type == AuditEventType::QuarantineChanged;
        events.iter().filter(is_safety).map(of).collect()
    }

    #[test]
    fn the_end_of_a_cause_is_said_once_and_what_ingest_sets_is_said_here_from_its_beginning() {
        let mut facts = Facts::default();
        // The desk has said that its own cause began; what ingest sets nobody has.
        let both = row(SafetyMode::Quiet, &["l2_checksum", "order_reject"]);
        let begun = said(&mut facts, vec![both.clone()]);
        let (until, quarantine) = (1_771_246_800_000, vec![ReasonCode::SymbolQuarantined]);
        assert_eq!(begun, [("l2_checksum".to_owned(), "quiet".to_owned(), until, quarantine)]);
        assert_eq!(said(&mut facts, vec![both]), [], "nothing changed");
        // A quarantine is over by its time: its row is no live cause any more.
        let over = |cause: &str| (cause.to_owned(), "normal".to_owned(), 0, Vec::new());
        let rest = row(SafetyMode::Quiet, &["l2_checksum"]);
        assert_eq!(said(&mut facts, vec![rest]), [over("order_reject")]);
        assert_eq!(said(&mut facts, Vec::new()), [over("l2_checksum")]);
        assert_eq!(said(&mut facts, Vec::new()), []);
        // The desk says the end of a foreign order itself.
        assert_eq!(said(&mut facts, vec![row(SafetyMode::ExitOnly, &["foreign_order"])]), []);
        assert_eq!(said(&mut facts, Vec::new()), []);
    }
}
