//! Facts that a cycle finds beside its decision: who is eligible, which rules are in force, whose state is too old, and
//! what the gates before a submit said.
//!
//! Input: the cycle's input and outcome; what was said before. Output: events. Invariants: eligibility and rules are said
//! when they changed since the last cycle, the first cycle of a session says all of them; a gate is said at each submit,
//! a stale state whenever one closes a route.

use std::collections::{BTreeMap, BTreeSet};

use penstock_audit::Draft;
use penstock_trading::cycle::{CycleInput, ReRead};
use penstock_trading::decide::{DecideConfig, Outcome, PlannedEntry};
use penstock_trading::gates::GenerationBlock;
use penstock_trading::routes;
use penstock_types::vocab::{AuditEventType, Blocker, ReasonCode, StageName};
use penstock_types::{EvaluationId, Symbol};
use serde_json::json;

use super::decided::bound;

/// What was said of the market.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Hash of the rules and status of each pair.
    rules: BTreeMap<Symbol, (String, String)>,
    eligible: BTreeSet<Symbol>,
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
