//! From ranking to plans: who becomes a finalist, and what each of them would send.
//!
//! Purpose: selection, proposal, size, risk and plan of the best candidates. Inputs: the scan and the cycle. Outputs:
//! finalists in ranking order, each with a plan or the blocker that refused it. Invariants: pure; a finalist that fails
//! while only the lack of returns keeps others out gives its place to the next of them.

use penstock_types::Decimal;
use penstock_types::vocab::{Blocker, BlockerClass, ExitPolicy, Horizon, ReasonCode, SysMode};

use super::assess::Index;
use super::case::{Case, Cycle};
use super::config::DecideConfig;
use super::outcome::{Candidate, Finalist};
use super::plan::plan;
use super::propose::{Dropped, propose};
use super::scan::Scan;
use crate::rank::RankKey;
use crate::risk::{self, RiskInput};
use crate::select::{self, Contender, Returns, Selection};
use crate::size::{self, Limiter, SizeInput, Sized};

/// Finalists and how they were chosen.
pub(super) fn finalists(cycle: Cycle<'_>, scan: &mut Scan) -> (Selection, Vec<Finalist>) {
    let config = cycle.config;
    let selection = choose(cycle, scan);
    let chosen: Vec<(usize, Vec<Blocker>)> = if config.proof.is_some() {
        forced(config, cycle.index, scan).into_iter().collect()
    } else {
        let is_final = |at: &&usize| selection.topk_final.contains(&scan.candidates[**at].symbol);
        scan.order.iter().filter(is_final).map(|at| (*at, Vec::new())).collect()
    };
    let mut finalists = Vec::with_capacity(chosen.len());
    for (at, waived) in chosen {
        let mut finalist = next(cycle, scan, at, finalists.len());
        finalist.waived = waived;
        finalists.push(finalist);
    }
    let trades = cycle.input.sys_mode == SysMode::Normal && config.execution_enable;
    if trades && config.proof.is_none() {
        let waiting: Vec<usize> = (scan.order.iter())
            .filter(|at| selection.waits_for_returns(&scan.candidates[**at].symbol))
            .copied()
            .collect();
        for at in waiting {
            if finalists.iter().any(|finalist| finalist.plan.is_some()) {
                break;
            }
            let finalist = next(cycle, scan, at, finalists.len());
            finalists.push(finalist);
        }
    }
    (selection, finalists)
}

fn choose(cycle: Cycle<'_>, scan: &Scan) -> Selection {
    let contenders: Vec<Contender<'_>> = (scan.order.iter())
        .map(|at| {
            let candidate = &scan.candidates[*at];
            let score = candidate.score.unwrap_or(Decimal::ZERO);
            Contender { symbol: &candidate.symbol, score }
        })
        .collect();
    let config = &cycle.config.selection;
    let returns = Returns::new(&cycle.input.returns, config);
    let places = usize::try_from(cycle.config.topk_size).unwrap_or(0);
    select::select(&contenders, &cycle.input.selection, &returns, places, config)
}

/// Judges the next finalist; its rank counts from 1.
fn next(cycle: Cycle<'_>, scan: &mut Scan, at: usize, before: usize) -> Finalist {
    let rank = super::guarantees::count(before).saturating_add(1);
    scan.candidates[at].rank = Some(rank);
    judge(cycle, &scan.candidates[at], rank)
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

fn judge(cycle: Cycle<'_>, candidate: &Candidate, rank: i64) -> Finalist {
    let mut finalist = Finalist {
        rank,
        symbol: candidate.symbol.clone(),
        ordinal: candidate.ordinal,
        size_quote_requested: Decimal::ZERO,
        size_quote_approved: Decimal::ZERO,
        limiter: Limiter::Request,
        risk_hits: Vec::new(),
        blocker: None,
        plan: None,
        waived: Vec::new(),
        snapshot: None,
        decision: None,
        dropped: None,
    };
    match Case::of(cycle, candidate) {
        Some(case) => fill(&case, &mut finalist),
        None => finalist.blocker = Some(Blocker::FeatureIncomplete),
    }
    finalist
}

/// Proposal, risk, plan.
fn fill(case: &Case<'_>, finalist: &mut Finalist) {
    let Some(prices) = case.prices() else {
        finalist.blocker = Some(Blocker::DataStale);
        return;
    };
    let sized = match sized(case, prices.divides, prices.limit) {
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
    match propose(case, sized, prices) {
        Ok((snapshot, decision)) => {
            finalist.snapshot = Some(snapshot);
            finalist.decision = Some(decision);
        }
        Err(invalid) => {
            let dropped = Dropped::from(invalid);
            finalist.blocker = Some(drop_blocker(&dropped));
            finalist.dropped = Some(dropped);
            return;
        }
    }
    finalist.risk_hits = hits(case, sized, prices.divides, prices.limit);
    finalist.blocker = risk::blocker_of(&finalist.risk_hits);
    if finalist.blocker.is_some() {
        return;
    }
    match plan(case, sized, prices.limit) {
        Ok(plan) => finalist.plan = Some(plan),
        Err(blocker) => finalist.blocker = Some(blocker),
    }
}

fn sized(case: &Case<'_>, price: Decimal, limit_price: Decimal) -> Result<Sized, Limiter> {
    let (cycle, candidate) = (case.cycle, case.candidate);
    size::size(&SizeInput {
        capital: cycle.capital,
        config: cycle.config,
        state: case.state,
        instrument: case.instrument,
        strategy: candidate.strategy,
        edge_adj_bps: candidate.edge_adj_bps.unwrap_or(Decimal::ZERO),
        confidence: candidate.confidence.unwrap_or(Decimal::ZERO),
        terms: &case.terms,
        stop: &case.stop,
        price,
        limit_price,
        proof_max_quote: cycle.config.proof.map(|p| p.max_order_quote),
        engine: case.engine,
    })
}

fn hits(case: &Case<'_>, sized: Sized, price: Decimal, limit_price: Decimal) -> Vec<risk::RiskHit> {
    let (cycle, candidate) = (case.cycle, case.candidate);
    risk::evaluate(&RiskInput {
        cycle: cycle.input,
        config: cycle.config,
        assessment: cycle.assessment,
        capital: cycle.capital,
        state: case.state,
        safety: case.safety,
        strategy: candidate.strategy,
        route: candidate.route_type,
        mode: case.mode,
        quote: case.quote,
        engine: case.engine,
        sized,
        limit_price,
        floor_quote: size::floor_quote(case.instrument, price, cycle.config),
        taker_bps: cycle.input.fees.as_ref().map_or(Decimal::ZERO, |f| f.taker_bps),
    })
}

/// The blocker that stands for a contract which could not be made.
fn drop_blocker(dropped: &Dropped) -> Blocker {
    if dropped.field == "prices.quote" {
        return Blocker::DataStale;
    }
    match dropped.reason {
        ReasonCode::StratMissingField => Blocker::FeatureIncomplete,
        ReasonCode::StratExitInvalid => Blocker::ExitInfeasible,
        ReasonCode::RiskSizeInvalid => Blocker::SizeBelowMinimum,
        _ => Blocker::RiskBlocked,
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
        | Limiter::Floor
        | Limiter::Proof => Blocker::SizeBelowMinimum,
    }
}
