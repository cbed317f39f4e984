//! Which candidates of a finished decision open a shadow trade.
//!
//! Purpose: keep measuring what was refused. Inputs: the cycle's input, its settings, its outcome, the ways that have a
//! shadow trade pending. Outputs: openings, best first, at most so many. Invariants: pure; nothing here changes a
//! decision, and the outcome's hash does not cover it; the order is total, so equal promises never depend on rows.
//!
//! A refusal counts from the readiness gate on and by an economic or a control blocker: whatever was refused for the
//! mode, for data or for safety was not looked at closely enough to be missed. Its way must promise more than its fees.
//! A short that is active opens one whatever it promises, for no one can trade it; so does each way of a symbol in
//! chaos that promises enough, where every route is a shadow.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use penstock_types::state_row::StateRow;
use penstock_types::vocab::{
    Blocker, BlockerClass, Horizon, Regime, RouteType, StageName, Strategy,
};
use penstock_types::{Decimal, Symbol};

use super::assess::Index;
use super::config::{DecideConfig, Participation};
use super::outcome::{Candidate, Outcome};
use super::scan::{Ground, Way, economic_blockers, symbol_blockers, unjudged};
use crate::cycle::CycleInput;
use crate::engine_gate::EngineCode;
use crate::exit::policy::PolicyInput;
use crate::routes::{self, Features};
use crate::shadow::{Direction, ShadowTrade, WayKey};

/// A shadow trade to be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// What was refused. A short and a way of chaos are no candidates of the outcome: their numbers follow its own.
    pub candidate: Candidate,
    /// The way, of which no other shadow trade is pending.
    pub way: WayKey,
    /// Stage of the refusal.
    pub stage: StageName,
    /// What refused it.
    pub blocker: Blocker,
    /// Terms of the shadow trade.
    pub trade: ShadowTrade,
    /// Probability of a fill times what the policy captures, less both fees, bps.
    pub promise_bps: Decimal,
}

/// The openings of a decision: best promise first, then by way; at most `max`.
#[must_use]
pub fn openings(
    input: &CycleInput,
    config: &DecideConfig,
    outcome: &Outcome,
    pending: &BTreeSet<WayKey>,
    max: usize,
) -> Vec<Opening> {
    let index = Index::of(input);
    let rows: Vec<&StateRow> =
        outcome.exec_allowed.iter().filter_map(|s| index.states.get(s).copied()).collect();
    let ground = Ground::of(input, config, &outcome.assessment, &outcome.capital, &rows);
    let mut found: Vec<Opening> = refused(&ground, &index, outcome);
    let mut next: BTreeMap<&Symbol, i64> = BTreeMap::new();
    for candidate in &outcome.candidates {
        let ordinal = next.entry(&candidate.symbol).or_default();
        *ordinal = (*ordinal).max(candidate.ordinal + 1);
    }
    for (symbol, _) in &outcome.topn {
        let Some(row) = index.states.get(symbol) else { continue };
        let mut ordinal = next.get(symbol).copied().unwrap_or_default();
        found.extend(beside(&ground, row, &mut ordinal));
    }
    found.retain(|opening| !pending.contains(&opening.way));
    found.sort_by(|a, b| (Reverse(a.promise_bps), &a.way).cmp(&(Reverse(b.promise_bps), &b.way)));
    found.truncate(max);
    found
}

/// Candidates of the outcome that an economic or a control blocker refused and that promise more than their fees.
fn refused(ground: &Ground<'_>, index: &Index<'_>, outcome: &Outcome) -> Vec<Opening> {
    let mut found = Vec::new();
    for candidate in &outcome.candidates {
        let finalist = (outcome.finalists.iter())
            .find(|f| f.symbol == candidate.symbol && f.ordinal == candidate.ordinal);
        if finalist.is_some_and(|f| f.plan.is_some()) {
            continue;
        }
        let own = candidate.dominant();
        // The strongest of both: a mode that blocks stands before what a finalist met later.
        let blockers = own.into_iter().chain(finalist.and_then(|f| f.blocker));
        let Some(blocker) = blockers.min().filter(|b| is_missed(*b, candidate)) else { continue };
        let stage = finalist.map_or(StageName::DeepScan, super::outcome::Finalist::stage);
        let Some(row) = index.states.get(&candidate.symbol) else { continue };
        let opening = opened(ground, row, Direction::Long, candidate.clone(), (stage, blocker));
        found.extend(opening.filter(|o| o.promise_bps > Decimal::ZERO));
    }
    found
}

/// The refusal was about what the candidate would bring or about what there was room for. A code of the engine that
/// says that it does not know is about data.
fn is_missed(blocker: Blocker, candidate: &Candidate) -> bool {
    match blocker.class() {
        BlockerClass::Data => false,
        BlockerClass::Economic => true,
        BlockerClass::Control => {
            let codes = candidate.reasons.iter().filter_map(|r| EngineCode::of_reason(*r));
            blocker != Blocker::EngineBlocked || !codes.into_iter().any(EngineCode::is_data)
        }
    }
}

/// Ways of a symbol that are no candidates: shorts, and in chaos every way that the product knows.
fn beside(ground: &Ground<'_>, row: &StateRow, ordinal: &mut i64) -> Vec<Opening> {
    let blind = |b: &Blocker| b.class() == BlockerClass::Data;
    if symbol_blockers(ground, row).iter().any(blind) {
        return Vec::new();
    }
    let is_chaos = row.regime == Regime::Chaos;
    let strategies = if is_chaos { Strategy::ALL } else { routes::strategies(row.regime) };
    let horizons = routes::horizons(row.regime);
    let mirror = mirrored(row);
    let mut found = Vec::new();
    for way in ways(ground.config, (strategies, routes::short_routes(row.regime)), horizons) {
        let blocker = Blocker::StrategyMismatch;
        found.extend(judged(ground, &mirror, way, Direction::Short, &[blocker], ordinal));
    }
    let long = if is_chaos { routes::LONG_ROUTES } else { &[] };
    for way in ways(ground.config, (strategies, long), horizons) {
        let blockers = [Blocker::RegimeChaos, Blocker::StrategyMismatch];
        let opening = judged(ground, row, way, Direction::Long, &blockers, ordinal);
        found.extend(opening.filter(|o| o.promise_bps > Decimal::ZERO));
    }
    found
}

/// Every way that some regime offers and that is not switched off.
fn ways<'a>(
    config: &'a DecideConfig,
    (strategies, offered): (&'a [Strategy], &'a [RouteType]),
    horizons: &'a [Horizon],
) -> impl Iterator<Item = Way> + 'a {
    let is_on = |strategy: Strategy, route: RouteType| {
        config.route.get(route) != Participation::Off
            && config.strategy.get(strategy) != Participation::Off
            && Regime::ALL.iter().any(|regime| {
                let (long, short) = (routes::routes(*regime), routes::short_routes(*regime));
                routes::strategies(*regime).contains(&strategy)
                    && (long.contains(&route) || short.contains(&route))
            })
    };
    strategies
        .iter()
        .flat_map(move |s| offered.iter().map(move |r| (*s, *r)))
        .filter(move |(s, r)| is_on(*s, *r))
        .flat_map(move |(strategy, route)| {
            horizons.iter().map(move |h| Way { strategy, route, horizon: *h })
        })
}

/// A way that is no candidate, judged like one; none when its route is not active.
fn judged(
    ground: &Ground<'_>,
    row: &StateRow,
    way: Way,
    direction: Direction,
    blockers: &[Blocker],
    ordinal: &mut i64,
) -> Option<Opening> {
    let features = Features::of(row)?;
    let mut candidate = unjudged(row, way, *ordinal);
    economic_blockers(ground, row, &features, way, &mut BTreeSet::new(), &mut candidate);
    // It competes with nothing, so it has no place in an order by score.
    candidate.score = None;
    candidate.blockers = blockers.to_vec();
    let blocker = *blockers.first()?;
    let stage = (StageName::DeepScan, blocker);
    let opening = opened(ground, row, direction, candidate, stage)?;
    *ordinal = ordinal.saturating_add(1);
    Some(opening)
}

/// The shadow trade of a candidate; none without costs, a mid or the venue's rules.
fn opened(
    ground: &Ground<'_>,
    row: &StateRow,
    direction: Direction,
    candidate: Candidate,
    (stage, blocker): (StageName, Blocker),
) -> Option<Opening> {
    let (terms, instrument) = (candidate.terms?, ground.instruments.get(&row.symbol)?);
    let mid = row.mid.filter(|mid| *mid > Decimal::ZERO)?;
    let policy = PolicyInput {
        policy: candidate.exit_policy,
        entry_price: mid,
        mid: Some(mid),
        expected_move_bps: candidate.move_bps?,
        atr_bps: row.atr_15m_bps,
        spread_avg_bps: row.spread_avg_bps?,
        round_trip_fees_bps: terms.fees_bps(),
        horizon: candidate.horizon,
        tick: instrument.price_increment,
        opened_at: ground.input.now,
    };
    let captured = terms.p_fill.checked_mul(terms.capturable_bps)?;
    Some(Opening {
        way: WayKey {
            symbol: candidate.symbol.clone(),
            direction,
            strategy: candidate.strategy,
            route_type: candidate.route_type,
            horizon: candidate.horizon,
        },
        stage,
        blocker,
        trade: ShadowTrade::new(direction, &policy, terms.total_bps()),
        promise_bps: captured - terms.fees_bps(),
        candidate,
    })
}

/// The symbol seen from the other side: what rose has fallen, asks are bids.
fn mirrored(row: &StateRow) -> StateRow {
    let turned = |value: Option<Decimal>| value.map(|v| -v);
    StateRow {
        microprice_dev_bps: turned(row.microprice_dev_bps),
        drift_1m_bps: turned(row.drift_1m_bps),
        drift_5m_bps: turned(row.drift_5m_bps),
        drift_15m_bps: turned(row.drift_15m_bps),
        ofi_1m: turned(row.ofi_1m),
        vwap_dev_bps: turned(row.vwap_dev_bps),
        depth_bid_10bps_quote: row.depth_ask_10bps_quote,
        depth_ask_10bps_quote: row.depth_bid_10bps_quote,
        l3_est_fill_bid_ms: row.l3_est_fill_ask_ms,
        l3_est_fill_ask_ms: row.l3_est_fill_bid_ms,
        ..row.clone()
    }
}
