//! From ranking to plans: finalists, size, risk, execution plan, and the forced entry of a proof run.
//!
//! Purpose: what each of the best candidates would send. Inputs: the scan, capital, quotes. Outputs:
//! finalists in ranking order, each with a plan or the blocker that refused it. Invariants: pure; a
//! maker price is never at or beyond the best ask; a plan carries the ids of the data behind it.

use penstock_types::decimal::floor_to_step;
use penstock_types::rows::InstrumentRow;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{
    Blocker, BlockerClass, EntryMode, ExitPolicy, Horizon, OrderType, QueueDecision, SafetyMode,
    TimeInForce,
};
use penstock_types::{Decimal, Symbol, UtcMicros};

use super::assess::Index;
use super::config::DecideConfig;
use super::outcome::{Assessment, Candidate, Finalist, PlannedEntry};
use super::scan::Scan;
use crate::costs::{CostTerms, StopTerms};
use crate::cycle::{CycleInput, Quote};
use crate::engine_gate::{self, EngineGates, Verdict};
use crate::rank::{RankKey, SCORE_SCALE};
use crate::risk::{self, RiskInput};
use crate::routes;
use crate::size::{self, CapitalState, Limiter, SizeInput, Sized};

/// The venue refuses an entry request after this time.
const ENTRY_DEADLINE_MS: i64 = 2_000;
/// A resting entry outlives our own cancel by this, so that it ends even if we do not.
const EXPIRE_AFTER_TTL_MS: i64 = 5_000;
/// How far above the best ask a taking limit stands, in ten-thousandths.
const TAKER_LIMIT_BPS: i64 = 5;
/// Depth within 10 bps that a taking entry needs when the best ask alone does not fill it.
const TAKER_DEPTH_FACTOR: i64 = 10;

/// Everything that one finalist is judged with.
struct Case<'a> {
    input: &'a CycleInput,
    config: &'a DecideConfig,
    assessment: &'a Assessment,
    capital: &'a CapitalState,
    state: &'a StateRow,
    instrument: &'a InstrumentRow,
    safety: SafetyMode,
    quote: Option<&'a Quote>,
    terms: CostTerms,
    stop: StopTerms,
    mode: EntryMode,
    engine: Verdict,
}

pub(super) fn finalists(
    input: &CycleInput,
    config: &DecideConfig,
    index: &Index<'_>,
    assessment: &Assessment,
    capital: &CapitalState,
    scan: &mut Scan,
) -> Vec<Finalist> {
    let topk = usize::try_from(config.topk_size).unwrap_or(0);
    let chosen: Vec<(usize, Vec<Blocker>)> = if config.proof.is_some() {
        forced(config, index, scan).into_iter().collect()
    } else {
        scan.order.iter().take(topk).map(|at| (*at, Vec::new())).collect()
    };
    let mut finalists = Vec::with_capacity(chosen.len());
    for (rank, (at, waived)) in (1_i64..).zip(chosen) {
        let Some(candidate) = scan.candidates.get_mut(at) else { continue };
        candidate.rank = Some(rank);
        let mut finalist = judge(input, config, index, assessment, capital, candidate, rank);
        finalist.waived = waived;
        finalists.push(finalist);
    }
    finalists
}

/// Longest life of a position of a candidate, seconds: a proof run ends sooner with a shorter one.
const fn time_stop_secs(policy: ExitPolicy, horizon: Horizon) -> i64 {
    match (policy, horizon) {
        (ExitPolicy::MakerLadder, Horizon::Short) => 120,
        (ExitPolicy::MakerLadder | ExitPolicy::TimeDecay, Horizon::Medium) => 300,
        (ExitPolicy::MakerLadder, Horizon::Long) => 600,
        (ExitPolicy::TimeDecay, Horizon::Short) => 60,
        (ExitPolicy::TimeDecay, Horizon::Long)
        | (ExitPolicy::TrailingStop | ExitPolicy::Recovered, _) => 900,
    }
}

/// The priced candidate with the shortest life, the best of equals, all of whose failures are economic;
/// a negative edge only where allowed.
fn forced(config: &DecideConfig, index: &Index<'_>, scan: &Scan) -> Option<(usize, Vec<Blocker>)> {
    let proof = config.proof?;
    let waivable = |b: Blocker| {
        b.class() == BlockerClass::Economic
            && (b != Blocker::EdgeNegative || proof.allow_negative_edge)
    };
    let mut best: Option<(i64, RankKey, usize)> = None;
    for (at, c) in scan.candidates.iter().enumerate() {
        let (Some(score), Some(edge_adj_bps), true) =
            (c.score, c.edge_adj_bps, c.blockers.iter().all(|b| waivable(*b)))
        else {
            continue;
        };
        let spread_bps =
            index.states.get(&c.symbol).and_then(|r| r.spread_avg_bps).unwrap_or(Decimal::MAX);
        let (symbol, ordinal) = (c.symbol.clone(), c.ordinal);
        let key = RankKey { score, edge_adj_bps, spread_bps, symbol, ordinal };
        let life = time_stop_secs(c.exit_policy, c.horizon);
        let better = best
            .as_ref()
            .is_none_or(|(least, b, _)| life.cmp(least).then_with(|| key.compare(b)).is_lt());
        if better {
            best = Some((life, key, at));
        }
    }
    best.map(|(_, _, at)| (at, scan.candidates[at].blockers.clone()))
}

fn judge(
    input: &CycleInput,
    config: &DecideConfig,
    index: &Index<'_>,
    assessment: &Assessment,
    capital: &CapitalState,
    candidate: &Candidate,
    rank: i64,
) -> Finalist {
    let symbol = &candidate.symbol;
    let mut finalist = Finalist {
        rank,
        symbol: symbol.clone(),
        ordinal: candidate.ordinal,
        size_quote_requested: Decimal::ZERO,
        size_quote_approved: Decimal::ZERO,
        limiter: Limiter::Request,
        risk_hits: Vec::new(),
        blocker: None,
        plan: None,
        waived: Vec::new(),
    };
    let instrument = input.instruments.iter().find(|i| &i.symbol == symbol);
    let (Some(state), Some(instrument), Some(terms), Some(stop), Some(mode)) = (
        index.states.get(symbol).copied(),
        instrument,
        candidate.terms,
        candidate.stop,
        candidate.entry_mode,
    ) else {
        finalist.blocker = Some(Blocker::FeatureIncomplete);
        return finalist;
    };
    let case = Case {
        input,
        config,
        assessment,
        capital,
        state,
        instrument,
        safety: index.safety.get(symbol).map_or(SafetyMode::Normal, |row| row.mode),
        quote: quote_of(input, symbol),
        terms,
        stop,
        mode,
        engine: match config.engine_gates {
            EngineGates::Enforce => {
                engine_gate::verdict(input.engine.as_ref(), symbol, candidate.strategy)
            }
            EngineGates::Shadow | EngineGates::Off => Verdict::NEUTRAL,
        },
    };
    fill(&case, candidate, &mut finalist);
    finalist
}

fn quote_of<'a>(input: &'a CycleInput, symbol: &Symbol) -> Option<&'a Quote> {
    input.quotes.iter().find(|q| &q.symbol == symbol).filter(|q| q.is_sound())
}

/// Size, risk, plan.
fn fill(case: &Case<'_>, candidate: &Candidate, finalist: &mut Finalist) {
    // Without a quote nothing can be priced; the state's prices size it for the record only.
    let (price, limit) = match prices(case) {
        Some(prices) => prices,
        None => match (case.state.ask, case.state.bid) {
            (Some(ask), Some(bid)) => match case.mode {
                EntryMode::Taker => (ask, ask),
                EntryMode::Maker => (bid, bid),
            },
            (None, _) | (_, None) => {
                finalist.blocker = Some(Blocker::DataStale);
                return;
            }
        },
    };
    let sized = size::size(&SizeInput {
        capital: case.capital,
        config: case.config,
        state: case.state,
        instrument: case.instrument,
        strategy: candidate.strategy,
        edge_adj_bps: candidate.edge_adj_bps.unwrap_or(Decimal::ZERO),
        confidence: candidate.confidence.unwrap_or(Decimal::ZERO),
        terms: &case.terms,
        stop: &case.stop,
        price,
        limit_price: limit,
        proof_max_quote: case.config.proof.map(|p| p.max_order_quote),
        engine: case.engine,
    });
    let sized = match sized {
        Ok(sized) => sized,
        Err(limiter) => {
            finalist.limiter = limiter;
            finalist.blocker = Some(size_blocker(limiter));
            return;
        }
    };
    finalist.size_quote_requested = sized.requested;
    finalist.size_quote_approved = sized.approved;
    finalist.limiter = sized.limiter;
    finalist.risk_hits = risk::evaluate(&RiskInput {
        cycle: case.input,
        config: case.config,
        assessment: case.assessment,
        capital: case.capital,
        state: case.state,
        safety: case.safety,
        strategy: candidate.strategy,
        route: candidate.route_type,
        mode: case.mode,
        quote: case.quote,
        engine: case.engine,
        sized,
        limit_price: limit,
        floor_quote: size::floor_quote(case.instrument, price, case.config),
        taker_bps: case.input.fees.as_ref().map_or(Decimal::ZERO, |f| f.taker_bps),
    });
    finalist.blocker = risk::blocker_of(&finalist.risk_hits);
    if finalist.blocker.is_some() {
        return;
    }
    match plan(case, candidate, sized, limit) {
        Ok(plan) => finalist.plan = Some(plan),
        Err(blocker) => finalist.blocker = Some(blocker),
    }
}

const fn size_blocker(limiter: Limiter) -> Blocker {
    match limiter {
        Limiter::SymbolExposure | Limiter::TotalExposure => Blocker::ExposureLimit,
        Limiter::Budget | Limiter::FreeQuote => Blocker::CapitalExhausted,
        Limiter::Request
        | Limiter::EquityRatioMax
        | Limiter::RiskPerTrade
        | Limiter::Depth
        | Limiter::Engine
        | Limiter::Gate
        | Limiter::Floor
        | Limiter::Proof => Blocker::SizeBelowMinimum,
    }
}

/// Price that divides the size into a quantity, and the limit price of the order.
fn prices(case: &Case<'_>) -> Option<(Decimal, Decimal)> {
    let quote = case.quote?;
    let step = case.instrument.price_increment;
    match case.mode {
        EntryMode::Maker => {
            let price = floor_to_step(quote.bid, step);
            (price > Decimal::ZERO && price < quote.ask).then_some((price, price))
        }
        EntryMode::Taker => {
            let factor = Decimal::ONE + Decimal::new(TAKER_LIMIT_BPS, 4);
            let limit = floor_to_step(quote.ask * factor, step).max(quote.ask);
            Some((quote.ask, limit))
        }
    }
}

fn plan(
    case: &Case<'_>,
    candidate: &Candidate,
    sized: Sized,
    limit: Decimal,
) -> Result<PlannedEntry, Blocker> {
    let quote = case.quote.ok_or(Blocker::DataStale)?;
    let frame = case.input.frame.ok_or(Blocker::DataStale)?;
    let publication = case.input.publication.as_ref().ok_or(Blocker::DataStale)?;
    let binding = case.assessment.binding.as_ref().ok_or(Blocker::DataStale)?;
    if case.mode == EntryMode::Taker && !takes_enough(case, quote, sized) {
        return Err(Blocker::LowLiquidity);
    }
    let config = case.config;
    let t0 = case.input.t0;
    let ttl_ms = config.entry_ttl_secs.get(candidate.strategy) * 1_000;
    let resting = case.mode == EntryMode::Maker;
    let as_limit = resting || config.taker_as_ioc;
    let taker_bps = case.input.fees.as_ref().map_or(Decimal::ZERO, |f| f.taker_bps);
    let engine = case.input.engine.as_ref().filter(|_| config.engine_gates != EngineGates::Off);
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
        entry_mode: case.mode,
        exit_policy: candidate.exit_policy,
        stop: case.stop,
        spread_avg_bps: case.state.spread_avg_bps.unwrap_or(Decimal::ZERO),
        atr_bps: case.state.atr_15m_bps,
        queue_decision: resting.then_some(QueueDecision::Join),
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
        state_age_limit_ms: state_age_limit_ms(config, candidate),
        score: candidate.score.unwrap_or(Decimal::ZERO).round_dp(SCORE_SCALE),
    })
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
