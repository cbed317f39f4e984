//! The execution plan of a finalist that nothing blocked.
//!
//! Purpose: the entry as it is to be committed and sent. Inputs: the case, its size, its limit price. Outputs: a
//! [`PlannedEntry`]. Invariants: pure; a maker price is never at or beyond the best ask; a plan carries the ids of the
//! data behind it.

use penstock_contracts::Decision;
use penstock_contracts::vocab::EntryKind;
use penstock_types::vocab::{Blocker, EntryMode, OrderType, TimeInForce};
use penstock_types::{Decimal, UtcMicros};

use super::case::Case;
use super::config::DecideConfig;
use super::edge::mode_of;
use super::outcome::{Candidate, PlannedEntry};
use crate::cycle::Quote;
use crate::engine_gate::{EngineCycle, EngineGates};
use crate::exit::limits::ExitLimits;
use crate::rank::SCORE_SCALE;
use crate::routes;
use crate::size::{self, Sized};

/// The venue refuses an entry request after this time.
const ENTRY_DEADLINE_MS: i64 = 2_000;
/// A resting entry outlives our own cancel by this, so that it ends even if we do not.
const EXPIRE_AFTER_TTL_MS: i64 = 5_000;
/// Depth within 10 bps that a taking entry needs when the best ask alone does not fill it.
pub(super) const TAKER_DEPTH_FACTOR: i64 = 10;

pub(super) fn plan(
    case: &Case<'_>,
    proposed: &Decision,
    decision: &Decision,
    sized: Sized,
) -> Result<PlannedEntry, Blocker> {
    let candidate = case.candidate;
    let entry = decision.entry_plan.as_ref().ok_or(Blocker::RiskBlocked)?;
    let (mode, limit) = (mode_of(entry.kind), entry.limit_price.value());
    let quote = case.quote.ok_or(Blocker::DataStale)?;
    let frame = case.cycle.input.frame.ok_or(Blocker::DataStale)?;
    let publication = case.cycle.input.publication.as_ref().ok_or(Blocker::DataStale)?;
    let binding = case.cycle.assessment.binding.as_ref().ok_or(Blocker::DataStale)?;
    if mode == EntryMode::Taker && !takes_enough(case, quote, sized) {
        return Err(Blocker::LowLiquidity);
    }
    let (config, t0) = (case.cycle.config, case.cycle.input.t0);
    let (ttl_ms, resting) = (i64::from(entry.ttl_ms), mode == EntryMode::Maker);
    let (as_limit, taker_bps) = (entry.kind != EntryKind::Market, taker_bps(case));
    let engine = engine(case);
    let when = |ms: i64| -> Option<UtcMicros> { resting.then(|| t0.plus_millis(ms)) };
    Ok(PlannedEntry {
        is_proof: config.proof.is_some(),
        run_id: publication.run_id,
        lineage_id: publication.lineage_id,
        epoch_id: binding.epoch_id,
        snapshot_id: binding.snapshot_id,
        generation_id: publication.generation_id,
        engine_tick_id: engine.and_then(|e| e.tick_id),
        engine_chain: engine.and_then(|e| e.chain.clone()),
        symbol: candidate.symbol.clone(),
        strategy: candidate.strategy,
        route_type: candidate.route_type,
        horizon: candidate.horizon,
        regime: candidate.regime,
        regime_sub: case.state.regime_sub,
        entry_mode: mode,
        exit_policy: candidate.exit_policy,
        exit_limits: exit_limits(proposed, decision),
        stop: case.stop,
        spread_avg_bps: spread_avg_bps(case),
        atr_bps: case.state.atr_15m_bps,
        queue_decision: entry.queue_decision,
        order_type: if as_limit { OrderType::Limit } else { OrderType::Market },
        tif: if resting { TimeInForce::Gtd } else { TimeInForce::Ioc },
        post_only: resting,
        limit_price: as_limit.then_some(limit.normalize()),
        qty: sized.qty,
        deadline_at: t0.plus_millis(ENTRY_DEADLINE_MS),
        expire_at: when(ttl_ms + EXPIRE_AFTER_TTL_MS),
        ttl_at: when(ttl_ms),
        decision_mid: quote.mid().normalize(),
        quote_tick_id: quote.tick_id,
        quote_seq: quote.seq,
        quote_age_ms: frame.age_ms,
        expected_move_bps: candidate.move_bps.unwrap_or(Decimal::ZERO),
        expected_edge_bps: candidate.edge_adj_bps.unwrap_or(Decimal::ZERO),
        expected_surplus_bps: candidate.surplus_bps.unwrap_or(Decimal::ZERO),
        expected_slippage_bps: case.terms.slip_entry_bps,
        fees_bps: case.terms.fees_bps(),
        p_fill: case.terms.p_fill,
        est_fill_time_ms: case.state.l3_est_fill_bid_ms.filter(|_| resting).map(i64::from),
        size_quote_requested: sized.requested,
        size_quote_approved: sized.approved,
        reserve_quote: size::required_quote(sized.qty, limit, taker_bps).normalize(),
        decision_id: decision.decision_id.clone(),
        state_age_limit_ms: state_age_limit_ms(config, candidate),
        score: candidate.score.unwrap_or(Decimal::ZERO).round_dp(SCORE_SCALE),
    })
}

/// The engine's view, where its gates count.
fn engine<'a>(case: &Case<'a>) -> Option<&'a EngineCycle> {
    let is_on = case.cycle.config.engine_gates != EngineGates::Off;
    case.cycle.input.engine.as_ref().filter(|_| is_on)
}

fn taker_bps(case: &Case<'_>) -> Decimal {
    case.cycle.input.fees.as_ref().map_or(Decimal::ZERO, |fees| fees.taker_bps)
}

fn spread_avg_bps(case: &Case<'_>) -> Decimal {
    case.state.spread_avg_bps.unwrap_or(Decimal::ZERO)
}

/// What the gate changed in the exit.
fn exit_limits(proposed: &Decision, decision: &Decision) -> ExitLimits {
    match (&proposed.exit_plan, &decision.exit_plan) {
        (Some(proposed), Some(changed)) => ExitLimits::of(proposed, changed),
        // An entry without an exit is no valid decision.
        (None, _) | (_, None) => ExitLimits::default(),
    }
}

/// Oldest state that the route may be entered on.
fn state_age_limit_ms(config: &DecideConfig, candidate: &Candidate) -> i64 {
    let (fast, slow) = (config.route_freshness_fast_secs, config.route_freshness_slow_secs);
    routes::freshness_limit_secs(candidate.route_type, fast, slow) * 1_000
}

/// The best ask alone fills it, or the book within 10 bps holds ten times as much.
fn takes_enough(case: &Case<'_>, quote: &Quote, sized: Sized) -> bool {
    let at_best = quote.ask * quote.ask_qty;
    let depth = case.state.depth_ask_10bps_quote.unwrap_or(Decimal::ZERO);
    at_best >= sized.approved || depth >= Decimal::from(TAKER_DEPTH_FACTOR) * sized.approved
}
