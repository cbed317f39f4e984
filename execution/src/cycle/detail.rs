//! The markers of single symbols, pairs and candidates: why each one is or is not an entry.
//!
//! Purpose: explain a cycle to whoever looks closer. Inputs: input and decision. Outputs: lines, most of
//! them for debugging. Invariants: what the decision has judged is said, nothing is judged again.

use std::collections::BTreeSet;

use penstock_telemetry::{Level, marker};
use penstock_trading::cycle::CycleInput;
use penstock_trading::decide::DecideConfig;
use penstock_trading::decide::outcome::{Candidate, CandidateFlag, Outcome, PairOutcome};
use penstock_trading::routes;
use penstock_types::Symbol;
use penstock_types::vocab::Blocker;

/// Steps 7 to 12 of the cycle.
pub(super) fn detail(input: &CycleInput, decision: &Outcome, config: &DecideConfig) {
    if decision.coverage_pct.is_some() {
        features(input, decision);
    }
    freshness(input, decision, config);
    gates(decision);
    engine(input, decision, config);
    if !penstock_telemetry::enabled(Level::Debug) {
        return;
    }
    quiet(input);
    fanout(input, decision);
    for c in &decision.candidates {
        route(c);
    }
}

/// Step 7: symbols that are left alone for a while.
fn quiet(input: &CycleInput) {
    let run_id = input.publication.as_ref().map(|p| p.run_id);
    for row in input.safety.iter().filter(|s| s.quiet_until.is_some_and(|at| at > input.now)) {
        marker!(
            QUIET_MODE_ACTIVE,
            run_id = run_id,
            symbol = row.symbol,
            quiet_until = row.quiet_until.map(|at| at.rfc3339()),
            reason = row.causes.first()
        );
    }
}

/// Step 8: whose features are complete.
fn features(input: &CycleInput, decision: &Outcome) {
    let allowed: BTreeSet<&Symbol> = decision.exec_allowed.iter().collect();
    let incomplete: Vec<&Symbol> = input
        .states
        .iter()
        .filter(|s| allowed.contains(&s.symbol) && !(s.feature_complete && s.book_ok))
        .map(|s| &s.symbol)
        .collect();
    let complete = allowed.len().saturating_sub(incomplete.len());
    let ready = decision.coverage_pct.is_some_and(|pct| pct >= 60);
    marker!(FEATURE_READY_SIGNAL, ready = ready);
    marker!(FEATURE_FILTER_APPLIED, total = allowed.len(), complete = complete);
    if !incomplete.is_empty() {
        marker!(FEATURE_INCOMPLETE_SYMBOLS, count = incomplete.len(), symbols = incomplete);
    }
}

/// Step 9: how many ways each symbol has.
fn fanout(input: &CycleInput, decision: &Outcome) {
    for (symbol, _) in &decision.topn {
        let Some(state) = input.states.iter().find(|s| s.symbol == *symbol) else { continue };
        let ways = decision.candidates.iter().filter(|c| c.symbol == *symbol).count();
        marker!(
            STRATEGY_FANOUT,
            symbol = symbol,
            regime = state.regime,
            regime_sub = state.regime_sub,
            candidate_count = ways
        );
    }
}

/// Step 10: one candidate.
fn route(c: &Candidate) {
    marker!(
        ROUTE_EVALUATED,
        symbol = c.symbol,
        strategy = c.strategy,
        route_type = c.route_type,
        horizon = c.horizon,
        edge_bps = c.terms.map(|t| t.edge_bps),
        surplus_bps = c.surplus_bps,
        p_fill = c.terms.map(|t| t.p_fill),
        confidence = c.confidence
    );
    if let Some(mode) = c.entry_mode {
        marker!(
            ROUTE_EXECUTION_MODE_CHOSEN,
            symbol = c.symbol,
            strategy = c.strategy,
            route_type = c.route_type,
            horizon = c.horizon,
            entry_mode = mode,
            edge_bps = c.terms.map(|t| t.edge_bps),
            surplus_bps = c.surplus_bps,
            p_fill = c.terms.map(|t| t.p_fill),
            confidence = c.confidence
        );
    }
}

/// Step 11: whether the state is young enough for each route of each symbol.
fn freshness(input: &CycleInput, decision: &Outcome, config: &DecideConfig) {
    let run_id = input.publication.as_ref().map(|p| p.run_id);
    let state_age_ms = decision.assessment.state_age_ms;
    let debug = penstock_telemetry::enabled(Level::Debug);
    let (mut said, mut blocked) = (BTreeSet::new(), BTreeSet::new());
    for c in &decision.candidates {
        let stale = c.blockers.contains(&Blocker::RouteStale);
        if !(stale || debug) || !said.insert((&c.symbol, c.route_type, c.horizon)) {
            continue;
        }
        let (fast, slow) = (config.route_freshness_fast_secs, config.route_freshness_slow_secs);
        let max_secs = routes::freshness_limit_secs(c.route_type, fast, slow);
        let context = c.flags.contains(&CandidateFlag::FreshnessContext);
        macro_rules! say {
            ($name:ident) => {
                marker!(
                    $name,
                    run_id = run_id,
                    symbol = c.symbol,
                    route_type = c.route_type,
                    horizon = c.horizon,
                    state_age_secs = state_age_ms.map(|ms| ms / 1_000),
                    max_state_age_secs = max_secs,
                    execution_eligible = !stale
                )
            };
        }
        match (stale, context) {
            (false, _) => say!(ROUTE_FRESHNESS_OK),
            (true, true) => say!(ROUTE_FRESHNESS_CONTEXT),
            (true, false) => {
                say!(ROUTE_FRESHNESS_STALE);
                if blocked.insert((&c.symbol, c.route_type)) {
                    marker!(
                        ROUTE_EXECUTION_BLOCKED_STALE_DATA,
                        run_id = run_id,
                        symbol = c.symbol,
                        route_type = c.route_type,
                        data_stale = decision.assessment.data_stale
                    );
                }
            }
        }
    }
}

/// Step 12: what the engine closes, or would close in shadow.
fn engine(input: &CycleInput, decision: &Outcome, config: &DecideConfig) {
    let tick = input.engine.as_ref().and_then(|engine| engine.tick_id);
    for block in &decision.engine_blocks {
        marker!(
            ENGINE_GATE_BLOCK,
            symbol = block.symbol,
            strategy = block.strategy,
            code = block.code,
            token_state = block.seen.map(|seen| seen.fsm_state),
            cluster_state = block.seen.map(|seen| seen.cluster_state),
            engine_tick_id = tick,
            mode = config.engine_gates
        );
    }
}

/// Step 12: the judgement of each pair; that of the pair which is sent stands out.
fn gates(decision: &Outcome) {
    let debug = penstock_telemetry::enabled(Level::Debug);
    let chosen = decision.plans().next().map(|p| (&p.symbol, p.strategy));
    for pair in &decision.pairs {
        let is_chosen = chosen == Some((&pair.symbol, pair.strategy));
        if is_chosen || debug {
            gate(decision, pair, if is_chosen { Level::Info } else { Level::Debug });
        }
    }
}

fn gate(decision: &Outcome, pair: &PairOutcome, level: Level) {
    let best = decision
        .candidates
        .iter()
        .filter(|c| c.symbol == pair.symbol && c.strategy == pair.strategy)
        .max_by_key(|c| c.edge_adj_bps);
    let terms = best.and_then(|c| c.terms);
    marker!(
        at level, READINESS_GATE_DECISION,
        pair = pair.symbol,
        tradable = pair.tradable,
        blocker = pair.blocker,
        strategy = pair.strategy,
        expected_edge_bps = terms.map(|t| t.edge_bps),
        fill_probability = terms.map(|t| t.p_fill),
        slippage_bps = terms.map(|t| t.slip_entry_bps),
        confidence = best.and_then(|c| c.confidence)
    );
}
