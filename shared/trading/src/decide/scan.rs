//! The deep scan: pre-selection, strategies, routes, costs, freshness, readiness, competition.
//!
//! Purpose: every candidate of the pre-selected symbols with its terms and blockers, and the winner of
//! each symbol in ranking order. Inputs: the cycle's input after the safety filter. Outputs: a
//! [`Scan`]. Invariants: pure; all failures of a candidate are kept, the strongest dominates.

use std::collections::{BTreeMap, BTreeSet};

use penstock_types::rows::InstrumentRow;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{
    Blocker, EntryMode, Horizon, OrderRole, ReasonCode, RouteType, Strategy, SysMode,
};
use penstock_types::{Decimal, Symbol};

use super::assess::{Filtered, Index};
use super::compete;
use super::config::{DecideConfig, Participation};
use super::guarantees::count;
use super::outcome::{Assessment, Candidate, CandidateFlag, EngineBlock, PairOutcome};
use super::propose::is_pullback_maker;
use crate::capital::CapitalState;
use crate::costs::{self, CostInput, CostTerms, StopTerms};
use crate::cycle::CycleInput;
use crate::engine_gate::{self, EngineCode, EngineGates};
use crate::pullback;
use crate::rank;
use crate::risk;
use crate::routes::{self, Features, Path};
use crate::windows::QuoteWindow;

/// Coverage of complete features below which the whole cycle is blocked, in percent.
pub(super) const COVERAGE_PCT_MIN: i64 = 60;
/// Least probability of a fill.
pub(super) const P_FILL_MIN: (i64, u32) = (15, 2);
/// Move over fees below which a candidate is refused.
pub(super) const MOVE_OVER_FEES_MIN: (i64, u32) = (85, 2);
/// Loss at the stop over what the move leaves, at most.
pub(super) const LOSS_OVER_CAPTURABLE_MAX: i64 = 3;

/// What the scan found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) coverage_pct: Option<i64>,
    pub(super) topn: Vec<(Symbol, i64)>,
    /// Symbols that the pre-selection left out, with their place in its ranking, from 1.
    pub(super) cut: BTreeMap<Symbol, i64>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) pairs: Vec<PairOutcome>,
    pub(super) engine_blocks: Vec<EngineBlock>,
    /// Indexes into `candidates`: the winner of each symbol, best first.
    pub(super) order: Vec<usize>,
    pub(super) routes_stale: i64,
}

impl Scan {
    /// Enough symbols have complete features.
    pub(super) fn coverage_ok(&self) -> bool {
        self.coverage_pct.is_none_or(|pct| pct >= COVERAGE_PCT_MIN)
    }
}

/// What holds for the whole cycle.
pub(super) struct Ground<'a> {
    pub(super) input: &'a CycleInput,
    pub(super) config: &'a DecideConfig,
    assessment: &'a Assessment,
    capital: &'a CapitalState,
    pub(super) instruments: BTreeMap<&'a Symbol, &'a InstrumentRow>,
    held: BTreeSet<&'a Symbol>,
    locked: BTreeSet<&'a Symbol>,
    windows: BTreeMap<&'a Symbol, &'a QuoteWindow>,
    v_p75: f64,
    mode_blocked: bool,
}

impl<'a> Ground<'a> {
    /// Over the rows of all symbols that may be traded.
    pub(super) fn of(
        input: &'a CycleInput,
        config: &'a DecideConfig,
        assessment: &'a Assessment,
        capital: &'a CapitalState,
        rows: &[&StateRow],
    ) -> Self {
        let mut vols: Vec<Decimal> = rows.iter().filter_map(|r| r.rv_5m_bps).collect();
        let locked_order = |role: OrderRole| matches!(role, OrderRole::Entry | OrderRole::Proof);
        Self {
            input,
            config,
            assessment,
            capital,
            instruments: input.instruments.iter().map(|i| (&i.symbol, i)).collect(),
            held: input.positions.iter().filter(|p| risk::holds(p)).map(|p| &p.symbol).collect(),
            locked: (input.locks.iter().filter(|l| l.expires_at > input.now).map(|l| &l.symbol))
                .chain(input.live_orders.iter().filter(|o| locked_order(o.role)).map(|o| &o.symbol))
                .collect(),
            windows: input.windows.iter().map(|w| (&w.symbol, w)).collect(),
            v_p75: penstock_types::decimal::to_feature(routes::percentile_75(&mut vols)),
            mode_blocked: input.sys_mode != SysMode::Normal || !config.execution_enable,
        }
    }
}

pub(super) fn scan(
    input: &CycleInput,
    config: &DecideConfig,
    index: &Index<'_>,
    filtered: &Filtered,
    assessment: &Assessment,
    capital: &CapitalState,
) -> Scan {
    let rows: Vec<&StateRow> =
        filtered.allowed.iter().filter_map(|s| index.states.get(s).copied()).collect();
    let complete = rows.iter().filter(|r| r.feature_complete && r.book_ok).count();
    let mut scan = Scan {
        coverage_pct: Some(count(complete * 100 / filtered.allowed.len().max(1))),
        ..Scan::default()
    };
    if !scan.coverage_ok() {
        return scan;
    }
    scan.topn = rank::ranking(&rows, config);
    let kept = usize::try_from(config.topn_size).unwrap_or(0).min(scan.topn.len());
    let cut = scan.topn.split_off(kept);
    scan.cut = cut.into_iter().zip(count(kept) + 1..).map(|((s, _), place)| (s, place)).collect();
    let ground = Ground::of(input, config, assessment, capital, &rows);
    let mut symbols: Vec<&Symbol> = scan.topn.iter().map(|(symbol, _)| symbol).collect();
    symbols.sort_unstable();
    let mut candidates = Vec::new();
    let mut pairs = Vec::new();
    for symbol in symbols {
        if let Some(row) = index.states.get(symbol) {
            scan_symbol(&ground, row, &mut candidates, &mut pairs, &mut scan.engine_blocks);
        }
    }
    scan.routes_stale =
        count(candidates.iter().filter(|c| c.blockers.contains(&Blocker::RouteStale)).count());
    scan.order = compete::compete(&mut candidates, index);
    scan.candidates = candidates;
    scan.pairs = pairs;
    scan
}

fn scan_symbol(
    ground: &Ground<'_>,
    row: &StateRow,
    candidates: &mut Vec<Candidate>,
    pairs: &mut Vec<PairOutcome>,
    engine_blocks: &mut Vec<EngineBlock>,
) {
    let common = symbol_blockers(ground, row);
    let features = Features::of(row);
    // Without a strategy there is still one pair to explain: the one that the regime closes.
    let offered = routes::strategies(row.regime);
    if offered.is_empty() {
        for strategy in Strategy::ALL {
            pairs.push(pair(row, *strategy, common.clone(), false));
        }
        return;
    }
    let first = candidates.len();
    for strategy in offered {
        let from = candidates.len();
        let engine = engine_block(ground, row, *strategy, engine_blocks);
        let mut common = common.clone();
        common.extend(engine.map(|_| Blocker::EngineBlocked));
        for route in routes::routes(row.regime) {
            if ground.config.route.get(*route) == Participation::Off
                || ground.config.strategy.get(*strategy) == Participation::Off
            {
                continue;
            }
            for horizon in routes::horizons(row.regime) {
                let ordinal = count(candidates.len() - first);
                let way = Way { strategy: *strategy, route: *route, horizon: *horizon };
                let mut found = candidate(ground, row, features.as_ref(), &common, way, ordinal);
                found.reasons.extend(engine.map(EngineCode::reason));
                candidates.push(found);
            }
        }
        let mine = &candidates[from..];
        let tradable = mine.iter().any(Candidate::is_open);
        let mut all: BTreeSet<Blocker> = common.clone();
        if tradable {
            all.retain(|b| *b == Blocker::ModeBlocked);
        } else {
            all.extend(mine.iter().flat_map(|c| c.blockers.iter().copied()));
        }
        if mine.is_empty() {
            all.insert(Blocker::StrategyMismatch);
        }
        pairs.push(pair(row, *strategy, all, tradable));
    }
}

/// What the engine's gates say of a pair: the code when they close it, and a note of it in shadow too.
fn engine_block(
    ground: &Ground<'_>,
    row: &StateRow,
    strategy: Strategy,
    blocks: &mut Vec<EngineBlock>,
) -> Option<EngineCode> {
    let engine = ground.input.engine.as_ref();
    let enforced = match ground.config.engine_gates {
        EngineGates::Off => return None,
        EngineGates::Shadow => false,
        EngineGates::Enforce => true,
    };
    let code = engine_gate::verdict(engine, &row.symbol, strategy).code?;
    let tokens = engine.into_iter().flat_map(|e| &e.tokens);
    let seen = tokens.filter(|token| token.symbol == row.symbol).find_map(|token| token.seen);
    blocks.push(EngineBlock { symbol: row.symbol.clone(), strategy, code, seen });
    enforced.then_some(code)
}

fn pair(row: &StateRow, strategy: Strategy, all: BTreeSet<Blocker>, tradable: bool) -> PairOutcome {
    let blockers: Vec<Blocker> = all.into_iter().collect();
    PairOutcome {
        symbol: row.symbol.clone(),
        strategy,
        tradable,
        blocker: blockers.first().copied(),
        blockers,
    }
}

/// Blockers that hold for every candidate of a symbol. The order of the vocabulary is the precedence.
pub(super) fn symbol_blockers(ground: &Ground<'_>, row: &StateRow) -> BTreeSet<Blocker> {
    let mut blockers = BTreeSet::new();
    let mut add = |hit: bool, blocker: Blocker| {
        if hit {
            blockers.insert(blocker);
        }
    };
    let limit_ms = ground.config.live_data_max_age_secs * 1_000;
    let state_age = ground.assessment.state_age_ms.unwrap_or(i64::MAX);
    let message_age = state_age.saturating_add(i64::from(row.msg_age_ms));
    let features = Features::of(row);
    add(ground.mode_blocked, Blocker::ModeBlocked);
    add(ground.assessment.data_stale || message_age > limit_ms, Blocker::DataStale);
    add(!row.book_ok, Blocker::BookUnreliable);
    // Without a whole window over its quotes nothing of the symbol can be proposed.
    let windowed = ground.windows.get(&row.symbol).is_some_and(|window| window.is_whole());
    add(!row.feature_complete || !windowed, Blocker::FeatureIncomplete);
    add(routes::strategies(row.regime).is_empty(), Blocker::RegimeChaos);
    add(row.feature_complete && features.is_none(), Blocker::LowLiquidity);
    add(ground.held.contains(&row.symbol), Blocker::PositionOpen);
    add(ground.locked.contains(&row.symbol), Blocker::SymbolLocked);
    blockers
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) strategy: Strategy,
    pub(super) route: RouteType,
    pub(super) horizon: Horizon,
}

fn candidate(
    ground: &Ground<'_>,
    row: &StateRow,
    features: Option<&Features>,
    common: &BTreeSet<Blocker>,
    way: Way,
    ordinal: i64,
) -> Candidate {
    let mut c = unjudged(row, way, ordinal);
    let mut blockers = common.clone();
    participation_blockers(ground, row, way, &mut blockers, &mut c);
    freshness_blocker(ground, row, way.route, &mut blockers, &mut c.flags);
    if let Some(features) = features {
        economic_blockers(ground, row, features, way, &mut blockers, &mut c);
    }
    c.blockers = blockers.into_iter().collect();
    c
}

/// A candidate of which nothing is known yet.
pub(super) fn unjudged(row: &StateRow, way: Way, ordinal: i64) -> Candidate {
    Candidate {
        symbol: row.symbol.clone(),
        ordinal,
        strategy: way.strategy,
        route_type: way.route,
        horizon: way.horizon,
        entry_mode: None,
        exit_policy: routes::terms(way.strategy).exit_policy,
        regime: row.regime,
        blockers: Vec::new(),
        reasons: Vec::new(),
        flags: Vec::new(),
        move_bps: None,
        spent_bps: None,
        confidence: None,
        terms: None,
        stop: None,
        edge_adj_bps: None,
        surplus_bps: None,
        score: None,
        size_quote_assumed: None,
        why_lost: None,
        rank: None,
    }
}

fn participation_blockers(
    ground: &Ground<'_>,
    row: &StateRow,
    way: Way,
    blockers: &mut BTreeSet<Blocker>,
    c: &mut Candidate,
) {
    let config = ground.config;
    let cell = rank::cell(&ground.input.scores, way.strategy, row.regime, way.route);
    if rank::is_suspended(cell, ground.input.now) {
        blockers.insert(Blocker::StrategyMismatch);
        c.flags.push(CandidateFlag::CellSuspended);
    }
    let live = config.strategy.get(way.strategy) == Participation::Live
        && config.route.get(way.route) == Participation::Live;
    if !live {
        blockers.insert(Blocker::StrategyMismatch);
        c.reasons.push(ReasonCode::RegimeMismatch);
    }
    let (Some(spread), terms) = (row.spread_avg_bps, routes::terms(way.strategy)) else { return };
    if spread > terms.spread_bps_max {
        blockers.insert(Blocker::SpreadTooWide);
    }
    if spread < terms.spread_bps_min {
        blockers.insert(Blocker::SpreadTooNarrow);
    }
}

fn freshness_blocker(
    ground: &Ground<'_>,
    row: &StateRow,
    route: RouteType,
    blockers: &mut BTreeSet<Blocker>,
    flags: &mut Vec<CandidateFlag>,
) {
    let config = ground.config;
    let (fast, slow) = (config.route_freshness_fast_secs, config.route_freshness_slow_secs);
    let limit_ms = routes::freshness_limit_secs(route, fast, slow) * 1_000;
    if ground.assessment.state_age_ms.unwrap_or(i64::MAX) > limit_ms {
        blockers.insert(Blocker::RouteStale);
        if ground.held.contains(&row.symbol) {
            flags.push(CandidateFlag::FreshnessContext);
        }
    }
}

/// Path, costs of the allowed entry modes, the better of them, and what speaks against it.
pub(super) fn economic_blockers(
    ground: &Ground<'_>,
    row: &StateRow,
    features: &Features,
    way: Way,
    blockers: &mut BTreeSet<Blocker>,
    c: &mut Candidate,
) {
    let Some(path) = routes::path(features, way.route, way.horizon, ground.v_p75) else {
        blockers.insert(Blocker::NoDirection);
        return;
    };
    c.move_bps = Some(path.move_bps);
    c.spent_bps = Some(path.spent_bps);
    c.confidence = Some(path.confidence);
    if path.fallback {
        c.flags.push(CandidateFlag::FeatureFallback);
    }
    if path.confidence < ground.config.min_confidence {
        blockers.insert(Blocker::ConfidenceLow);
    }
    let stop = costs::stop_terms(c.exit_policy, path.move_bps, features.s, features.atr);
    c.stop = Some(stop);
    let Some((mode, terms)) = better_mode(ground, row, features, way, &path, stop, c.exit_policy)
    else {
        return;
    };
    let cell = rank::cell(&ground.input.scores, way.strategy, row.regime, way.route);
    let edge_adj = terms.edge_bps + rank::bias_bps(cell, ground.input.now);
    let surplus = (edge_adj - ground.config.surplus_floor_bps.get(way.strategy)).normalize();
    c.entry_mode = Some(mode);
    c.edge_adj_bps = Some(edge_adj.normalize());
    c.surplus_bps = Some(surplus);
    c.size_quote_assumed = Some(assumed_size(ground, way.strategy));
    c.score = rank::score(surplus, path.confidence, mode, features.l3_quality, way.horizon);
    c.terms = Some(terms);
    blockers.extend(fill_blockers(features, way.strategy, mode, &terms));
    let mut add = |hit: bool, blocker: Blocker| {
        if hit {
            blockers.insert(blocker);
        }
    };
    let dec = |(n, s): (i64, u32)| Decimal::new(n, s);
    add(path.move_bps <= dec(MOVE_OVER_FEES_MIN) * terms.fees_bps(), Blocker::MoveBelowFees);
    add(terms.edge_bps < Decimal::ZERO, Blocker::EdgeNegative);
    add(surplus < Decimal::ZERO, Blocker::SurplusBelowFloor);
    let bearable = Decimal::from(LOSS_OVER_CAPTURABLE_MAX) * terms.capturable_bps;
    add(terms.loss_at_stop_bps(&stop) > bearable, Blocker::ExitInfeasible);
    let failing = entry_filter(ground, row, way, mode);
    add(!failing.is_empty(), Blocker::StrategyMismatch);
    c.reasons.extend(failing);
}

/// Filters of the one form that has some: all that do not pass.
fn entry_filter(ground: &Ground<'_>, row: &StateRow, way: Way, mode: EntryMode) -> Vec<ReasonCode> {
    if !is_pullback_maker(way.strategy, way.route, Some(mode)) {
        return Vec::new();
    }
    let window = ground.windows.get(&row.symbol).copied();
    pullback::failing(window, row, &ground.config.pullback)
}

/// Size that costs are computed with before sizing: the strategy's share of the sizing equity.
fn assumed_size(ground: &Ground<'_>, strategy: Strategy) -> Decimal {
    let share = routes::terms(strategy).equity_ratio * ground.capital.sizing_equity_quote;
    penstock_types::decimal::round_to(share, 10).normalize()
}

fn better_mode(
    ground: &Ground<'_>,
    row: &StateRow,
    features: &Features,
    way: Way,
    path: &Path,
    stop: StopTerms,
    policy: penstock_types::vocab::ExitPolicy,
) -> Option<(EntryMode, CostTerms)> {
    let fees = ground.input.fees.as_ref()?;
    let to_f = penstock_types::decimal::to_feature;
    let tick = ground.instruments.get(&row.symbol).map(|i| i.price_increment)?;
    let tick_bps = row.mid.filter(|m| *m > Decimal::ZERO).map_or(0.0, |mid| to_f(tick / mid) * 1e4);
    let mut modes: Vec<(bool, EntryMode, CostTerms)> = Vec::new();
    for mode in routes::terms(way.strategy).entry_modes {
        let terms = costs::costs(&CostInput {
            features,
            path,
            mode: *mode,
            policy,
            fees,
            stop,
            size_quote: to_f(assumed_size(ground, way.strategy)),
            latency_s: to_f(Decimal::new(ground.input.latency_us, 6)),
            ttl_s: to_f(Decimal::from(ground.config.entry_ttl_secs.get(way.strategy))),
            tick_bps,
            tp_action: ground.config.tp_action,
            maker_close: ground.config.maker_close_enable,
        })?;
        modes.push((fill_blockers(features, way.strategy, *mode, &terms).is_empty(), *mode, terms));
    }
    // Both modes share bias and floor, so the better edge is the better surplus. A mode that would not be filled in time
    // does not stand in the way of one that would; the earlier one wins a tie.
    let better = |a: &(bool, EntryMode, CostTerms), b: &(bool, EntryMode, CostTerms)| {
        (a.0, a.2.edge_bps) > (b.0, b.2.edge_bps)
    };
    let mut chosen = modes.first()?;
    for mode in modes.iter().skip(1) {
        if better(mode, chosen) {
            chosen = mode;
        }
    }
    // Nor does a form that its filters refuse stand in the way of one that pays.
    let passes = |mode: EntryMode| entry_filter(ground, row, way, mode).is_empty();
    if !passes(chosen.1) {
        let pays = |m: &&(bool, EntryMode, CostTerms)| m.0 && m.2.edge_bps >= Decimal::ZERO;
        chosen = modes.iter().find(|m| pays(m) && passes(m.1)).unwrap_or(chosen);
    }
    Some((chosen.1, chosen.2))
}

/// What speaks against an entry mode because of its fill alone.
fn fill_blockers(
    features: &Features,
    strategy: Strategy,
    mode: EntryMode,
    terms: &CostTerms,
) -> Vec<Blocker> {
    let est_fill_ms = features.est_fill_bid_ms.filter(|_| mode == EntryMode::Maker);
    let late = est_fill_ms.is_some_and(|ms| ms > routes::terms(strategy).est_fill_ms_max);
    let (n, s) = P_FILL_MIN;
    let unlikely = terms.p_fill < Decimal::new(n, s);
    let both = [(late, Blocker::FillTimeTooLong), (unlikely, Blocker::FillProbabilityLow)];
    both.into_iter().filter_map(|(hit, blocker)| hit.then_some(blocker)).collect()
}
