//! Value and limit of a closed gate: what was compared, for each blocker.
//!
//! Purpose: whoever asks why a symbol is not traded gets the numbers that closed it. Inputs: the cycle, what
//! the scan found, the way of entering that came furthest. Outputs: a [`Measured`], none where nothing was
//! compared. Invariants: pure; nothing is judged again, the numbers are those that the judging step saw.

use penstock_types::state_row::StateRow;
use penstock_types::vocab::{Blocker, BlockerClass, Regime, SafetyMode, SysMode};
use penstock_types::{Decimal, Symbol};

use super::case::Cycle;
use super::outcome::{Candidate, CandidateFlag};
use super::scan::{
    COVERAGE_PCT_MIN, LOSS_OVER_CAPTURABLE_MAX, MOVE_OVER_FEES_MIN, P_FILL_MIN, Scan,
};
use super::unit::{GateUnit, Measured};
use crate::engine_gate::{COST_BLOCK, CoreState, EngineCode, LAG_TICKS_MAX};
use crate::windows::WINDOW_SAMPLES_MIN;
use crate::{cell, rank, routes, size};

/// Volatility from which on a market is called chaotic, bps per root minute; ingest's threshold.
const CHAOS_RV_BPS: i64 = 40;
/// Spread from which on a market is called chaotic, bps; ingest's threshold.
const CHAOS_SPREAD_BPS: i64 = 80;

/// What the numbers of a symbol are read from.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) cycle: Cycle<'a>,
    pub(super) scan: &'a Scan,
    pub(super) symbol: &'a Symbol,
    /// The way that came furthest; none when there is none.
    pub(super) candidate: Option<&'a Candidate>,
}

impl<'a> Look<'a> {
    fn state(self) -> Option<&'a StateRow> {
        self.cycle.index.states.get(self.symbol).copied()
    }

    /// The numbers of a blocker.
    pub(super) fn measured(self, blocker: Blocker, code: Option<EngineCode>) -> Option<Measured> {
        match blocker.class() {
            BlockerClass::Data => self.data(blocker),
            BlockerClass::Economic => match self.candidate {
                Some(candidate) => self.economic(blocker, candidate),
                None => self.without_a_way(blocker),
            },
            BlockerClass::Control => self.control(blocker, code),
        }
    }

    fn data(self, blocker: Blocker) -> Option<Measured> {
        match blocker {
            Blocker::ModeBlocked => Some(mode(self.cycle)),
            Blocker::HardBlocked | Blocker::ExitOnly | Blocker::QuietMode => {
                let safety = self.cycle.index.safety.get(self.symbol);
                let is = safety.map_or(SafetyMode::Normal, |row| row.mode);
                let (all, unit) = (SafetyMode::ALL, GateUnit::SafetyMode);
                Some(Measured::graded(all, &is, &SafetyMode::Normal, unit))
            }
            Blocker::DataStale => Some(self.stale()),
            Blocker::RouteStale => {
                let config = self.cycle.config;
                let (fast, slow) =
                    (config.route_freshness_fast_secs, config.route_freshness_slow_secs);
                let route = self.candidate?.route_type;
                let limit_ms = routes::freshness_limit_secs(route, fast, slow) * 1_000;
                Some(Measured::of(self.cycle.assessment.state_age_ms?, limit_ms, GateUnit::Ms))
            }
            Blocker::FeatureIncomplete => Some(self.incomplete()),
            _ => Some(Measured::absent()),
        }
    }

    /// The age that is over its limit; without one something else of the data is missing.
    fn stale(self) -> Measured {
        let (assessment, config) = (self.cycle.assessment, self.cycle.config);
        let data_limit_ms = config.live_data_max_age_secs * 1_000;
        let message = self.state().map(|row| i64::from(row.msg_age_ms));
        let message_age =
            message.zip(assessment.state_age_ms).map(|(own, state)| state.saturating_add(own));
        let ages = [
            (assessment.state_age_ms, config.state_max_age_secs * 1_000),
            (assessment.data_age_ms, data_limit_ms),
            (message_age, data_limit_ms),
        ];
        let over = |(age, limit): &(Option<i64>, i64)| age.filter(|age| age > limit);
        ages.iter()
            .find_map(|pair| over(pair).map(|age| Measured::of(age, pair.1, GateUnit::Ms)))
            .unwrap_or_else(Measured::absent)
    }

    /// Coverage of the cycle, else inputs of the state, else samples of the quote window.
    fn incomplete(self) -> Measured {
        if let Some(pct) = self.scan.coverage_pct.filter(|pct| *pct < COVERAGE_PCT_MIN) {
            return Measured::of(pct, COVERAGE_PCT_MIN, GateUnit::Percent);
        }
        let Some(row) = self.state() else { return Measured::absent() };
        if !row.feature_complete {
            let missing = super::guarantees::count(row.missing_features.len()).max(1);
            return Measured::of(missing, 0, GateUnit::Features);
        }
        let window = self.cycle.input.windows.iter().find(|w| &w.symbol == self.symbol);
        let samples = window.map_or(0, |window| window.samples);
        Measured::of(samples, WINDOW_SAMPLES_MIN, GateUnit::Samples)
    }

    /// What closes a symbol before any way of entering is looked at.
    fn without_a_way(self, blocker: Blocker) -> Option<Measured> {
        match blocker {
            Blocker::RegimeChaos => self.state().and_then(chaos),
            Blocker::PositionOpen | Blocker::SymbolLocked => self.busy(blocker),
            Blocker::LowLiquidity => Some(self.depth()),
            _ => None,
        }
    }

    /// Positions or entries of the symbol; there may be none.
    fn busy(self, blocker: Blocker) -> Option<Measured> {
        if blocker == Blocker::PositionOpen {
            return Some(Measured::of(1, 0, GateUnit::Positions));
        }
        let live = size::live_entries(self.cycle.input, None, Some(self.symbol)).max(1);
        Some(Measured::of(live, 0, GateUnit::Entries))
    }

    /// The thinner side of the book near the best price.
    fn depth(self) -> Measured {
        let of = |row: &StateRow| Some(row.depth_bid_10bps_quote?.min(row.depth_ask_10bps_quote?));
        let depth = self.state().and_then(of).unwrap_or(Decimal::ZERO);
        Measured::of(depth, 0, GateUnit::Quote)
    }

    fn economic(self, blocker: Blocker, c: &Candidate) -> Option<Measured> {
        let (config, terms) = (self.cycle.config, routes::terms(c.strategy));
        let bps = |value: Decimal, limit: Decimal| Some(Measured::of(value, limit, GateUnit::Bps));
        let spread = self.state().and_then(|row| row.spread_avg_bps);
        let (n, scale) = MOVE_OVER_FEES_MIN;
        match blocker {
            Blocker::StrategyMismatch => self.suspended(c),
            Blocker::SpreadTooWide => bps(spread?, terms.spread_bps_max),
            Blocker::SpreadTooNarrow => bps(spread?, terms.spread_bps_min),
            Blocker::NoDirection => Some(Measured::of(0, 1, GateUnit::Routes)),
            Blocker::ConfidenceLow => {
                Some(Measured::of(c.confidence?, config.min_confidence, GateUnit::Ratio))
            }
            Blocker::FillTimeTooLong => {
                let estimated = self.state()?.l3_est_fill_bid_ms?;
                let estimated = i64::from(estimated);
                Some(Measured::of(estimated, terms.est_fill_ms_max, GateUnit::Ms))
            }
            Blocker::FillProbabilityLow => {
                let least = Decimal::new(P_FILL_MIN.0, P_FILL_MIN.1);
                Some(Measured::of(c.terms?.p_fill, least, GateUnit::Ratio))
            }
            Blocker::MoveBelowFees => {
                bps(c.move_bps?, Decimal::new(n, scale) * c.terms?.fees_bps())
            }
            Blocker::EdgeNegative => bps(c.terms?.edge_bps, Decimal::ZERO),
            Blocker::SurplusBelowFloor => {
                bps(c.edge_adj_bps?, config.surplus_floor_bps.get(c.strategy))
            }
            Blocker::ExitInfeasible => {
                let (terms, stop) = (c.terms?, c.stop?);
                let bearable = Decimal::from(LOSS_OVER_CAPTURABLE_MAX) * terms.capturable_bps;
                bps(terms.loss_at_stop_bps(&stop), bearable)
            }
            _ => self.without_a_way(blocker),
        }
    }

    /// The results of a cell that is suspended; a filter or a switch has no one number.
    fn suspended(self, c: &Candidate) -> Option<Measured> {
        if !c.flags.contains(&CandidateFlag::CellSuspended) {
            return None;
        }
        let scores = &self.cycle.input.scores;
        let cell = rank::cell(scores, c.strategy, c.regime, c.route_type)?;
        Some(Measured::of(cell.ewma_net_bps, cell::SUSPEND_EWMA_BPS, GateUnit::Bps))
    }

    fn control(self, blocker: Blocker, code: Option<EngineCode>) -> Option<Measured> {
        if blocker != Blocker::EngineBlocked {
            return None;
        }
        let engine = self.cycle.input.engine.as_ref()?;
        let token = engine.tokens.iter().find(|token| &token.symbol == self.symbol);
        let seen = token.and_then(|token| token.seen);
        Some(match (code?, seen) {
            (EngineCode::Stale, Some(_)) if engine.core == CoreState::Running => {
                Measured::of(engine.lag_ticks, LAG_TICKS_MAX, GateUnit::Ticks)
            }
            (EngineCode::CostBlock, Some(seen)) => {
                Measured::of(seen.effective_cost, COST_BLOCK, GateUnit::Score)
            }
            (EngineCode::ClusterBlock, Some(seen)) => {
                Measured::of(seen.cluster_state.code(), 0, GateUnit::ClusterState)
            }
            (EngineCode::FsmBlock, Some(seen)) => {
                Measured::of(seen.fsm_state.code(), 0, GateUnit::TokenState)
            }
            (EngineCode::DirectionBlock, Some(seen)) => {
                Measured::of(seen.direction.code(), 0, GateUnit::Direction)
            }
            (
                EngineCode::Stale
                | EngineCode::Failed
                | EngineCode::Warmup
                | EngineCode::Degraded
                | EngineCode::ClusterBlock
                | EngineCode::FsmBlock
                | EngineCode::DirectionBlock
                | EngineCode::CostBlock,
                _,
            ) => Measured::absent(),
        })
    }
}

/// The mode of the process; in NORMAL it is the switch of execution that is off.
pub(super) fn mode(cycle: Cycle<'_>) -> Measured {
    match cycle.input.sys_mode {
        SysMode::Normal => Measured::absent(),
        is @ (SysMode::Degrade | SysMode::Pause | SysMode::Exit) => {
            Measured::graded(SysMode::ALL, &is, &SysMode::Normal, GateUnit::SysMode)
        }
    }
}

/// The figure that is nearest to its threshold of chaos, or furthest beyond it. A regime that is kept for a
/// while after its figures have fallen shows the figures as they are.
fn chaos(row: &StateRow) -> Option<Measured> {
    if row.regime != Regime::Chaos {
        return None;
    }
    let of = |value: Option<Decimal>, limit: i64| {
        let (value, limit) = (value?, Decimal::from(limit));
        Some((value.checked_div(limit)?, Measured::of(value, limit, GateUnit::Bps)))
    };
    let both = [of(row.rv_5m_bps, CHAOS_RV_BPS), of(row.spread_avg_bps, CHAOS_SPREAD_BPS)];
    both.into_iter().flatten().max_by(|a, b| a.0.cmp(&b.0)).map(|(_, measured)| measured)
}
