//! From ranking to plans: who becomes a finalist, and what each of them would send.
//!
//! Purpose: selection, proposal, size, risk and plan of the best candidates. Inputs: the scan and the cycle. Outputs:
//! finalists in ranking order, each with a plan or the blocker that refused it. Invariants: pure; a finalist that fails
//! while only the lack of returns keeps others out gives its place to the next of them; a plan that the last look before
//! its submit refused counts as one that failed.

use penstock_contracts::ai::AiGateResult;
use penstock_contracts::{Decision, RiskVerdict, Snapshot};
use penstock_types::vocab::{Blocker, BlockerClass, ExitPolicy, Horizon, ReasonCode, SysMode};
use penstock_types::{Decimal, Symbol};

use super::assess::Index;
use super::case::{Case, Cycle, Prices};
use super::config::DecideConfig;
use super::edge::plan_edge_bps;
use super::gate::{self, Said};
use super::outcome::{Candidate, Finalist};
use super::plan::plan;
use super::propose::{Dropped, propose};
use super::scan::Scan;
use crate::rank::RankKey;
use crate::risk::{self, Correlations, Edge, RiskCase, RiskInputs, RiskSource};
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
        let ends = gate::is_on(cycle) && (passes(cycle, &finalist) || finalist.question.is_some());
        finalists.push(finalist);
        if ends {
            // One after another: whoever comes after one that passes, or waits for its answer, is not asked about.
            return (selection, finalists);
        }
    }
    let trades = cycle.input.sys_mode == SysMode::Normal && config.execution_enable;
    if trades && config.proof.is_none() {
        let waiting: Vec<usize> = (scan.order.iter())
            .filter(|at| selection.waits_for_returns(&scan.candidates[**at].symbol))
            .copied()
            .collect();
        for at in waiting {
            if finalists.iter().any(|finalist| passes(cycle, finalist)) {
                break;
            }
            let finalist = next(cycle, scan, at, finalists.len());
            let asks = finalist.question.is_some();
            finalists.push(finalist);
            if asks {
                break;
            }
        }
    }
    (selection, finalists)
}

/// It has a plan, and no last look has refused it.
fn passes(cycle: Cycle<'_>, finalist: &Finalist) -> bool {
    let is_refused = |id| cycle.input.refused.contains(id);
    finalist.plan.as_ref().is_some_and(|plan| !is_refused(&plan.decision_id))
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
        too_small: None,
        risk_hits: Vec::new(),
        blocker: None,
        plan: None,
        waived: Vec::new(),
        snapshot: None,
        decision: None,
        dropped: None,
        gate: None,
        gate_pause: None,
        question: None,
        verdict: None,
    };
    match Case::of(cycle, candidate) {
        Some(case) => fill(&case, &mut finalist),
        None => finalist.blocker = Some(Blocker::FeatureIncomplete),
    }
    finalist
}

/// Proposal, AI gate, size, risk, plan.
fn fill(case: &Case<'_>, finalist: &mut Finalist) {
    let Some(prices) = case.prices() else {
        finalist.blocker = Some(Blocker::DataStale);
        return;
    };
    let joined = sizing(case, prices);
    let sized = match size::size(&joined) {
        Ok(sized) => sized,
        Err(limiter) => return too_small(finalist, limiter, size::room_quote(&joined)),
    };
    // The queue is long or short for the size that it is joined with; a tick more may grant another one.
    let (prices, sizing, sized) = match case.improved(prices, sized.approved) {
        None => (prices, joined, sized),
        Some(better) => {
            let before = sizing(case, better);
            match size::size(&before) {
                Ok(sized) => (better, before, sized),
                Err(_) => (prices, joined, sized),
            }
        }
    };
    keep_size(finalist, sized);
    let (snapshot, decision) = match propose(case, sized, prices) {
        Ok(both) => both,
        Err(invalid) => {
            let dropped = Dropped::from(invalid);
            finalist.blocker = Some(drop_blocker(&dropped));
            finalist.dropped = Some(dropped);
            return;
        }
    };
    let judged = Judged { case, sizing, snapshot: &snapshot, proposed: &decision };
    match gate::ask(case.cycle, &decision) {
        Said::Nothing => judged.end(finalist, None, sized),
        Said::Result { result, pause } => {
            finalist.gate_pause = pause;
            judged.end(finalist, Some(result), sized);
        }
        Said::Asks => {
            finalist.blocker = Some(Blocker::AiGateBlocked);
            finalist.question = Some(judged.verdict(&decision, None).0.risk_limits);
        }
    }
    finalist.snapshot = Some(snapshot);
    finalist.decision = Some(decision);
}

fn too_small(finalist: &mut Finalist, limiter: Limiter, room: (Decimal, Decimal)) {
    finalist.limiter = limiter;
    finalist.too_small = Some(room);
    finalist.blocker = Some(size_blocker(limiter));
}

fn keep_size(finalist: &mut Finalist, sized: Sized) {
    finalist.size_quote_requested = sized.requested;
    finalist.size_quote_approved = sized.approved;
    finalist.limiter = sized.limiter;
}

/// A proposal on its way through size and risk.
struct Judged<'a> {
    case: &'a Case<'a>,
    sizing: SizeInput<'a>,
    snapshot: &'a Snapshot,
    proposed: &'a Decision,
}

impl Judged<'_> {
    /// Size once more, the verdict, the plan.
    fn end(&self, finalist: &mut Finalist, gate: Option<AiGateResult>, sized: Sized) {
        let changed = gate.as_ref().and_then(|gate| gate.modified_decision.as_deref()).cloned();
        let decision = changed.as_ref().unwrap_or(self.proposed);
        let wanted = decision.entry_plan.as_ref().map_or(sized.qty, |entry| entry.qty.value());
        let sized = match size::reduced(sized, wanted, &self.sizing) {
            Ok(sized) => sized,
            Err(limiter) => {
                finalist.gate = gate;
                let (_, least) = size::room_quote(&self.sizing);
                let left = (wanted.max(Decimal::ZERO) * self.sizing.price).normalize();
                return too_small(finalist, limiter, (left, least));
            }
        };
        keep_size(finalist, sized);
        let (verdict, hits) = self.verdict(decision, gate.as_ref());
        finalist.blocker = risk::blocker_of(&hits);
        if finalist.blocker.is_none() {
            match plan(self.case, self.proposed, decision, sized) {
                Ok(plan) => finalist.plan = Some(plan),
                Err(blocker) => finalist.blocker = Some(blocker),
            }
        }
        finalist.risk_hits = hits;
        finalist.verdict = Some(verdict);
        finalist.gate = gate;
    }

    fn verdict(
        &self,
        decision: &Decision,
        gate: Option<&AiGateResult>,
    ) -> (RiskVerdict, Vec<risk::RiskHit>) {
        let (case, cycle) = (self.case, self.case.cycle);
        let correlations = correlations(cycle, &case.candidate.symbol);
        let inputs = RiskInputs::of(&RiskSource {
            cycle: cycle.input,
            config: cycle.config,
            assessment: cycle.assessment,
            capital: cycle.capital,
            state: case.state,
            strategy: case.candidate.strategy,
            route: case.candidate.route_type,
            quote: case.quote,
            engine: case.engine,
            correlations: Some(&correlations),
        });
        let edge = |decision| plan_edge_bps(case, decision).unwrap_or(Decimal::MIN);
        let is_changed = decision.decision_id != self.proposed.decision_id;
        risk::judge(&RiskCase {
            config: cycle.config,
            inputs: &inputs,
            snapshot: self.snapshot,
            decision,
            gate,
            edge: Edge {
                adjusted_bps: case.candidate.edge_adj_bps.unwrap_or(Decimal::MIN),
                plan_bps: edge(decision),
                before_gate_bps: is_changed.then(|| edge(self.proposed)),
            },
            sizing: self.sizing,
        })
    }
}

/// How a symbol moves with what is held or about to be.
fn correlations(cycle: Cycle<'_>, symbol: &Symbol) -> Correlations {
    let config = &cycle.config.selection;
    let returns = Returns::new(&cycle.input.returns, config);
    let held = risk::held_symbols(cycle.input, symbol);
    let with = held
        .into_iter()
        .filter_map(|held| Some((held.clone(), returns.between(held, symbol).value(config)?)))
        .collect();
    Correlations { with, limit_x10000: config.corr_max_x10000 }
}

fn sizing<'a>(case: &'a Case<'a>, prices: Prices) -> SizeInput<'a> {
    let (cycle, candidate) = (case.cycle, case.candidate);
    SizeInput {
        capital: cycle.capital,
        config: cycle.config,
        state: case.state,
        instrument: case.instrument,
        strategy: candidate.strategy,
        edge_adj_bps: candidate.edge_adj_bps.unwrap_or(Decimal::ZERO),
        confidence: candidate.confidence.unwrap_or(Decimal::ZERO),
        terms: &case.terms,
        stop: &case.stop,
        price: prices.divides,
        limit_price: prices.limit,
        proof_max_quote: cycle.config.proof.map(|p| p.max_order_quote),
        engine: case.engine,
    }
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
        | Limiter::Gate
        | Limiter::Floor
        | Limiter::Proof => Blocker::SizeBelowMinimum,
    }
}
