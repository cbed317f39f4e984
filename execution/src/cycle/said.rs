//! The markers of an evaluation, in the order of its steps.
//!
//! Purpose: prove from the log that decisions are made and why. Inputs: input, decision, outcome. Outputs:
//! lines. Invariants: each cycle that started also completes in the log; a cycle without an order carries
//! exactly one reason class. `session_id` and `evaluation` come from the surrounding span.

use penstock_telemetry::{Level, marker};
use penstock_trading::cycle::CycleInput;
use penstock_trading::decide::outcome::{Assessment, Finalist, Outcome};
use penstock_types::vocab::{Blocker, StageName, Verdict};

/// Steps 1 to 6: what the data are.
pub(super) fn data(input: &CycleInput, a: &Assessment) {
    let publication = input.publication.as_ref();
    let run_id = publication.map(|p| p.run_id);
    let generation_id = publication.map(|p| p.generation_id);
    marker!(
        LIVE_EVALUATION_STARTED,
        run_id = run_id,
        cycle_generation_id = generation_id,
        trigger = input.trigger
    );
    match &a.binding {
        Some(b) => {
            let degraded = b.status != penstock_types::vocab::EpochStatus::Valid;
            marker!(
                EXECUTION_EPOCH_BOUND,
                epoch_id = b.epoch_id,
                status = b.status,
                epoch_age_secs = b.epoch_age_ms / 1_000,
                binding_reason = if degraded { "degraded_exit_only" } else { "latest_valid" },
                lineage_id = b.lineage_id,
                run_id = b.run_id
            );
            marker!(
                EXECUTION_UNIVERSE_BOUND,
                bound_epoch_id = b.epoch_id,
                bound_run_id = b.run_id,
                snapshot_id = b.snapshot_id,
                execution_count = b.execution_count,
                pinned_count = b.pinned_count
            );
        }
        None => marker!(LIVE_EVALUATION_SKIPPED, reason = "no_valid_epoch"),
    }
    lineage(a);
    let row_count = publication.map(|p| p.row_count);
    match a.sync {
        None => marker!(STATE_SYNC_OK, generation_id = generation_id, row_count = row_count),
        Some(problem) => marker!(
            STATE_SYNC_REQUIRED,
            generation_id = generation_id,
            row_count = row_count,
            reason = problem.as_str()
        ),
    }
    visible(input, generation_id);
    marker!(
        DATA_FRESHNESS_EVALUATED,
        run_id = run_id,
        evaluation_index = input.evaluation_index,
        state_updated_at = publication.map(|p| p.as_of.rfc3339()),
        state_age_secs = a.state_age_ms.map(|ms| ms / 1_000),
        data_age_secs = a.data_age_ms.map(|ms| ms / 1_000),
        data_stale = a.data_stale,
        execution_eligible = !a.data_stale && a.binding.is_some()
    );
}

fn lineage(a: &Assessment) {
    let Some(b) = a.lineage_break else { return };
    match b.from {
        Some(from) => marker!(
            EXECUTION_INGEST_LINEAGE_BREAK,
            from_lineage_id = from,
            to_lineage_id = b.to,
            cycles_left = b.cycles_left
        ),
        None => marker!(LINEAGE_BREAK_GRACE, to_lineage_id = b.to, cycles_left = b.cycles_left),
    }
}

/// The pointer that was read against the cycle's generation.
pub(super) fn visible(
    input: &CycleInput,
    visible_generation_id: Option<penstock_types::GenerationId>,
) {
    let cycle = input.publication.as_ref().map(|p| p.generation_id);
    let lag = match (cycle, visible_generation_id) {
        (Some(c), Some(v)) => v.get() - c.get(),
        (None, _) | (_, None) => 0,
    };
    marker!(
        INGEST_DECISION_SYNC_VISIBLE,
        run_id = input.publication.as_ref().map(|p| p.run_id),
        cycle_generation_id = cycle,
        visible_generation_id = visible_generation_id,
        gen_lag = lag,
        gen_mismatch = i32::from(visible_generation_id.is_none() || lag < 0)
    );
}

/// Step 6: the matrix.
pub(super) fn matrix(input: &CycleInput, a: &Assessment) {
    let m = &a.matrix;
    let ready = m.system_live_ready();
    marker!(
        DATA_INTEGRITY_MATRIX,
        global_liveness = m.global_liveness,
        snapshot_coherence = m.snapshot_coherence,
        market_freshness = m.market_freshness,
        universe_viability = m.universe_viability,
        private_stream_ok = m.private_stream_ok,
        exposure_protected = m.exposure_protected,
        l3_integrity = m.l3_integrity,
        hard_blocked_exec_count = m.hard_blocked_exec_count,
        total_exec_before_filter = m.total_exec_before_filter,
        system_live_ready = ready
    );
    if ready && a.sync.is_none() {
        marker!(
            DATA_INTEGRITY_VERIFIED,
            bound_epoch_id = a.binding.as_ref().map(|b| b.epoch_id),
            bound_run_id = a.binding.as_ref().map(|b| b.run_id),
            cycle_generation_id = input.publication.as_ref().map(|p| p.generation_id)
        );
    } else {
        let primary: Vec<&str> = [
            ("global_liveness", m.global_liveness),
            ("snapshot_coherence", m.snapshot_coherence),
            ("market_freshness", m.market_freshness),
            ("universe_viability", m.universe_viability),
            ("private_stream_ok", m.private_stream_ok),
            ("exposure_protected", m.exposure_protected),
        ]
        .into_iter()
        .filter_map(|(name, holds)| (!holds).then_some(name))
        .collect();
        marker!(
            READINESS_SYSTEM_BLOCK,
            system_live_ready = ready,
            primary_blockers = primary,
            action = "no entries"
        );
    }
}

/// Steps 7 to 18: what was chosen and what was not.
pub(super) fn selection(decision: &Outcome) {
    if let Some(pct) = decision.coverage_pct {
        let total = decision.exec_allowed.len();
        let status = if pct >= 60 { "ok" } else { "low" };
        marker!(FEATURE_COVERAGE_L2, coverage_pct = pct, total = total, status = status);
        if pct < 60 {
            marker!(ROUTE_ENGINE_SKIP, reason = "feature_coverage");
        }
    }
    let valid = decision.candidates.iter().filter(|c| c.is_open()).count();
    let mut per_route = std::collections::BTreeMap::new();
    for c in decision.candidates.iter().filter(|c| c.is_open()) {
        *per_route.entry(c.route_type.as_str()).or_insert(0_u32) += 1;
    }
    marker!(
        ROUTE_V2_SUMMARY,
        routes_evaluated = decision.routes_evaluated,
        valid = valid,
        per_route_type = per_route
    );
    if valid == 0 {
        let highest = decision.candidates.iter().filter_map(|c| c.terms).map(|t| t.edge_bps).max();
        marker!(
            ROUTE_UNIVERSE_EMPTY,
            highest_edge_bps = highest,
            blocker_counts = decision.blocker_counts
        );
    }
    for finalist in &decision.finalists {
        one_finalist(decision, finalist);
    }
    let c = &decision.capital;
    marker!(
        CAPITAL_STATE,
        equity = c.equity_quote,
        allocated = c.allocated_quote(),
        reserved = c.reserved_quote,
        free = c.free_quote,
        budgets = c.budget
    );
}

fn one_finalist(decision: &Outcome, f: &Finalist) {
    let candidate =
        decision.candidates.iter().find(|c| c.symbol == f.symbol && c.ordinal == f.ordinal);
    let Some(c) = candidate else { return };
    marker!(
        ROUTE_SELECTED,
        symbol = f.symbol,
        strategy = c.strategy,
        route_type = c.route_type,
        horizon = c.horizon,
        entry_mode = c.entry_mode,
        exit_policy = c.exit_policy,
        score = c.score,
        edge_bps = c.terms.map(|t| t.edge_bps),
        surplus_bps = c.surplus_bps,
        rank = f.rank,
        corr_rejected = 0
    );
    marker!(
        SIZE_DECISION,
        symbol = f.symbol,
        requested = f.size_quote_requested,
        approved = f.size_quote_approved,
        limiter = f.limiter
    );
    if let Some(blocker) = f.blocker {
        let codes: Vec<&str> = f.risk_hits.iter().map(|h| h.code.as_str()).collect();
        marker!(
            STRATEGY_REJECTED,
            symbol = f.symbol,
            strategy = c.strategy,
            stage = "RISK_VERDICT",
            blocker = blocker,
            reasons = codes
        );
    }
    if let Some(p) = &f.plan {
        marker!(
            EXECUTION_PLAN,
            symbol = p.symbol,
            queue_decision = p.queue_decision,
            order_price = p.limit_price,
            order_qty = p.qty,
            estimated_fill_time_ms = p.est_fill_time_ms,
            quote_tick_id = p.quote_tick_id,
            quote_age_ms = p.quote_age_ms,
            spread_bps = p.spread_avg_bps,
            edge_score = p.score,
            size_quote = p.size_quote_approved
        );
    }
    if !f.waived.is_empty() {
        marker!(
            ROUTE_PROOF_ENTRY_FORCED,
            symbol = f.symbol,
            size_quote = f.size_quote_approved,
            waived_blockers = f.waived
        );
    }
}

/// Why each symbol got no order, and what the best candidates cost.
fn dropped(decision: &Outcome) {
    if !penstock_telemetry::enabled(Level::Debug) {
        return;
    }
    for g in decision.gates.iter().filter(|g| g.reason.is_some()) {
        if g.stage == StageName::UniverseScan && g.blocker != Some(Blocker::ModeBlocked) {
            marker!(EXECUTION_SYMBOL_FILTERED, symbol = g.symbol, reason = g.reason);
        }
        marker!(
            NO_ORDER_SYMBOL_DROP,
            symbol = g.symbol,
            stage = g.stage,
            blocker = g.blocker,
            reason = g.reason
        );
    }
    let mut priced: Vec<_> = decision.candidates.iter().filter(|c| c.terms.is_some()).collect();
    priced.sort_by_key(|c| std::cmp::Reverse(c.edge_adj_bps));
    for c in priced.into_iter().take(5) {
        let floor = c.surplus_bps.map(|s| (-s).max(penstock_types::Decimal::ZERO));
        marker!(
            ROUTE_EDGE_BREAKDOWN,
            symbol = c.symbol,
            strategy = c.strategy,
            route_type = c.route_type,
            horizon = c.horizon,
            terms = c.terms,
            break_even_shortfall_bps = floor
        );
    }
}

/// How long the parts of a cycle took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Durations {
    pub(super) whole_ms: i64,
    pub(super) decide_ms: i64,
    pub(super) pipeline_ms: i64,
    pub(super) budget_ms: i64,
}

/// Step 21: the end of a cycle.
pub(super) fn end(input: &CycleInput, decision: &Outcome, submits: u32, d: Durations) {
    let verdict = decision.verdict(submits);
    let dominant = decision.dominant_blocker;
    let block_type = match verdict {
        Verdict::Executed | Verdict::EconomicallyEmpty => "none",
        Verdict::DataBlocked if decision.block_type == "none" => "gating",
        Verdict::DataBlocked | Verdict::AttachBlocked | Verdict::ModeBlocked | Verdict::Error => {
            &decision.block_type
        }
    };
    marker!(
        LIVE_EVALUATION_AUDIT,
        system_live_ready = decision.assessment.matrix.system_live_ready(),
        block_type = block_type,
        dominant_blocker = dominant
    );
    let skipped = decision.gates.len();
    if submits == 0 {
        dropped(decision);
        marker!(BLOCKER_DISTRIBUTION, counts = decision.blocker_counts);
        let tradable = decision.pairs.iter().filter(|p| p.tradable).count();
        let allowed = decision.exec_allowed.len();
        match verdict {
            Verdict::AttachBlocked => marker!(
                NO_ORDER_ATTACH_BLOCKED,
                dominant_blocker = dominant,
                tradable = tradable,
                exec_allowed = allowed,
                skip_count = skipped
            ),
            Verdict::DataBlocked | Verdict::ModeBlocked | Verdict::Error => marker!(
                NO_ORDER_DATA_RUNTIME,
                dominant_blocker = dominant,
                tradable = tradable,
                exec_allowed = allowed,
                skip_count = skipped
            ),
            Verdict::EconomicallyEmpty | Verdict::Executed => marker!(
                NO_ORDER_ECONOMIC_GATING,
                dominant_blocker = dominant,
                tradable = tradable,
                exec_allowed = allowed,
                skip_count = skipped
            ),
        }
    }
    marker!(
        EVALUATION_SCALING,
        evaluation_symbol_count = decision.topn.len(),
        evaluation_duration_ms = d.whole_ms,
        route_build_duration_ms = d.decide_ms,
        pipeline_duration_ms = d.pipeline_ms
    );
    if d.whole_ms > d.budget_ms {
        marker!(LIVE_EVALUATION_SLOW, duration_ms = d.whole_ms, budget_ms = d.budget_ms);
    }
    marker!(
        LIVE_EVALUATION_COMPLETED,
        run_id = input.publication.as_ref().map(|p| p.run_id),
        execute_count = submits,
        skip_count = skipped,
        verdict = verdict,
        primary_blockers = dominant.into_iter().collect::<Vec<_>>()
    );
}

/// The end of a cycle that failed after its start.
pub(super) fn failed(error: &str) {
    marker!(
        LIVE_EVALUATION_AUDIT,
        system_live_ready = false,
        block_type = "gating",
        dominant_blocker = error
    );
    marker!(
        NO_ORDER_DATA_RUNTIME,
        dominant_blocker = error,
        tradable = 0,
        exec_allowed = 0,
        skip_count = 0
    );
    marker!(
        at Level::Warn, LIVE_EVALUATION_COMPLETED,
        execute_count = 0, skip_count = 0, verdict = Verdict::Error, primary_blockers = [error]
    );
}
