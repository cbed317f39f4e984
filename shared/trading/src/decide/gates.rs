//! The first closed gate of every symbol, with what was compared, and all the others.
//!
//! Purpose: one answer per symbol to the question why it is not traded. Inputs: what the steps found.
//! Outputs: a [`SymbolGate`] for each symbol of the universe, ascending. Invariants: pure; the mode of the
//! process closes every symbol before anything of its own does; of several ways of entering a symbol the one
//! that came furthest speaks for it, because opening its gate is what would change something; a rank is a
//! gate without a blocker. Without a bound universe every published symbol waits for one.

use std::collections::BTreeSet;

use penstock_contracts::vocab::AiVerdict;
use penstock_types::decimal::round_to;
use penstock_types::vocab::{Blocker, ReasonCode, StageName, SysMode};
use penstock_types::{Decimal, Symbol};

use super::assess::Filtered;
use super::case::Cycle;
use super::measure::{self, Look};
use super::outcome::{Candidate, Finalist, SymbolGate};
use super::plan::TAKER_DEPTH_FACTOR;
use super::scan::Scan;
use super::unit::{GateUnit, Measured};
use crate::engine_gate::EngineCode;
use crate::risk::{RiskHit, Rule};
use crate::select::Selection;

/// Digits of a value and a limit in their column.
const GATE_SCALE: u32 = 10;

/// What the steps found, for one look at each symbol.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) cycle: Cycle<'a>,
    pub(super) filtered: &'a Filtered,
    pub(super) scan: &'a Scan,
    pub(super) selection: &'a Selection,
    pub(super) finalists: &'a [Finalist],
}

/// The gates of every symbol, ascending.
pub(super) fn gates(found: Found<'_>) -> Vec<SymbolGate> {
    let assessment = found.cycle.assessment;
    let mut gates: Vec<SymbolGate> = if assessment.binding.is_none() {
        let published = found.cycle.input.states.iter();
        published.map(|row| found.unusable(&row.symbol, ReasonCode::EpochNotValid)).collect()
    } else {
        let closed = found.filtered.closed.iter();
        let closed = closed
            .map(|(symbol, blocker, reason)| found.of_universe(symbol, *blocker, Some(*reason)));
        closed.chain(found.filtered.allowed.iter().map(|symbol| found.allowed(symbol))).collect()
    };
    if found.is_mode_blocked() {
        let mode = measure::mode(found.cycle);
        gates.iter_mut().for_each(|gate| behind_the_mode(gate, mode));
    }
    gates.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    gates
}

/// The mode is the first closed gate; what else is closed stays behind it.
fn behind_the_mode(gate: &mut SymbolGate, mode: Measured) {
    let mut closed: BTreeSet<Blocker> = gate.closed.iter().copied().collect();
    closed.insert(Blocker::ModeBlocked);
    let symbol = gate.symbol.clone();
    *gate = closed_by(&symbol, Some(Blocker::ModeBlocked), None, StageName::UniverseScan);
    put(gate, Some(mode));
    gate.closed = closed.into_iter().collect();
}

impl<'a> Found<'a> {
    fn is_mode_blocked(&self) -> bool {
        self.cycle.input.sys_mode != SysMode::Normal || !self.cycle.config.execution_enable
    }

    fn look(self, symbol: &'a Symbol, candidate: Option<&'a Candidate>) -> Look<'a> {
        Look { cycle: self.cycle, scan: self.scan, symbol, candidate }
    }

    /// A gate that closes before anything of the symbol is looked at in depth.
    fn of_universe(
        self,
        symbol: &'a Symbol,
        blocker: Blocker,
        reason: Option<ReasonCode>,
    ) -> SymbolGate {
        let mut gate = closed_by(symbol, Some(blocker), reason, StageName::UniverseScan);
        put(&mut gate, self.look(symbol, None).measured(blocker, None));
        gate
    }

    /// Nothing may be decided from the data of the cycle.
    fn unusable(self, symbol: &'a Symbol, reason: ReasonCode) -> SymbolGate {
        self.of_universe(symbol, Blocker::DataStale, Some(reason))
    }

    /// A symbol that passed the safety filter.
    fn allowed(self, symbol: &'a Symbol) -> SymbolGate {
        if self.cycle.assessment.sync.is_some() {
            return self.unusable(symbol, ReasonCode::StateGenerationMismatch);
        }
        if let Some(finalist) = self.finalists.iter().find(|f| &f.symbol == symbol) {
            return self.finalist(symbol, finalist);
        }
        let has_row = self.cycle.index.states.contains_key(symbol);
        if !has_row || !self.scan.coverage_ok() {
            return self.of_universe(symbol, Blocker::FeatureIncomplete, None);
        }
        if let Some(place) = self.scan.cut.get(symbol) {
            let mut gate = closed_by(symbol, None, Some(ReasonCode::TopnCut), StageName::RankTopn);
            let limit = self.cycle.config.topn_size;
            put(&mut gate, Some(Measured::of(*place, limit, GateUnit::Rank)));
            return gate;
        }
        let pairs = self.scan.pairs.iter().filter(|pair| &pair.symbol == symbol);
        if pairs.clone().any(|pair| pair.tradable) {
            return self.lost(symbol);
        }
        let closed: BTreeSet<Blocker> =
            pairs.flat_map(|pair| pair.blockers.iter().copied()).collect();
        self.scanned(symbol, closed)
    }

    /// Its candidate lost against better symbols: a rank closed it, no blocker.
    fn lost(self, symbol: &Symbol) -> SymbolGate {
        let reason = self.selection.cut(symbol).unwrap_or(ReasonCode::TopkCut);
        let mut gate = closed_by(symbol, None, Some(reason), StageName::WatchlistAttach);
        let config = self.cycle.config;
        let alike = self.selection.pairs.iter().find(|pair| &pair.b == symbol);
        let place =
            self.scan.order.iter().position(|at| &self.scan.candidates[*at].symbol == symbol);
        let place = place.map(|at| super::guarantees::count(at) + 1);
        put(
            &mut gate,
            match (alike, place) {
                (Some(pair), _) => {
                    let limit = config.selection.corr_max_x10000;
                    Some(Measured::of(pair.corr_x10000, limit, GateUnit::X10000))
                }
                (None, Some(place)) => Some(Measured::of(place, config.topk_size, GateUnit::Rank)),
                (None, None) => None,
            },
        );
        gate
    }

    /// None of its ways is open: the one that came furthest says what closed it.
    fn scanned(self, symbol: &'a Symbol, closed: BTreeSet<Blocker>) -> SymbolGate {
        let own = |blockers: &[Blocker]| {
            blockers.iter().copied().find(|blocker| *blocker != Blocker::ModeBlocked)
        };
        let mine = self.scan.candidates.iter().filter(|c| &c.symbol == symbol);
        // A way without a blocker that is not open had no costs: it came furthest of all.
        let first = |c: &Candidate| own(&c.blockers).map_or(u8::MAX, Blocker::rank);
        let furthest = mine.max_by(|a, b| {
            (first(a).cmp(&first(b)))
                .then_with(|| a.edge_adj_bps.cmp(&b.edge_adj_bps))
                .then_with(|| b.ordinal.cmp(&a.ordinal))
        });
        let all: Vec<Blocker> = closed.into_iter().collect();
        let blocker = furthest.map_or(own(&all), |c| own(&c.blockers));
        let blocker = blocker.unwrap_or(Blocker::FeatureIncomplete);
        let engine = self.scan.engine_blocks.iter().find(|block| {
            &block.symbol == symbol && furthest.is_none_or(|c| c.strategy == block.strategy)
        });
        let code = engine.map(|block| block.code);
        let narrower = match blocker {
            Blocker::EngineBlocked => code.map(EngineCode::reason),
            Blocker::StrategyMismatch => furthest.and_then(|c| c.reasons.first().copied()),
            _ => None,
        };
        let mut gate = closed_by(symbol, Some(blocker), narrower, StageName::DeepScan);
        put(&mut gate, self.look(symbol, furthest).measured(blocker, code));
        gate.closed = all;
        if !gate.closed.contains(&blocker) {
            gate.closed.push(blocker);
        }
        gate
    }

    /// A finalist: nothing closes it, or the step that refused it does.
    fn finalist(self, symbol: &'a Symbol, finalist: &'a Finalist) -> SymbolGate {
        let Some(blocker) = finalist.blocker else {
            return closed_by(symbol, None, None, finalist.stage());
        };
        let mut gate = closed_by(symbol, Some(blocker), None, finalist.stage());
        if let Some(dropped) = &finalist.dropped {
            gate.reason = Some(dropped.reason);
        }
        let hit = finalist.risk_hits.iter().find(|hit| shows_as(hit) == blocker);
        let candidate = (self.scan.candidates.iter())
            .find(|c| c.symbol == finalist.symbol && c.ordinal == finalist.ordinal);
        let look = self.look(symbol, candidate);
        let measured = match (blocker, hit, finalist.too_small) {
            (Blocker::AiGateBlocked, _, _) => {
                gate.reason = Some(ai_code(finalist));
                ai_verdict(finalist)
            }
            (_, Some(hit), _) => {
                gate.reason = Some(hit.code);
                of_hit(hit, self.cycle.config.risk_max_drawdown_quote)
                    .or_else(|| look.measured(blocker, EngineCode::of_reason(hit.code)))
            }
            (_, None, Some((left, least))) => Some(Measured::of(left, least, GateUnit::Quote)),
            (Blocker::LowLiquidity, None, None) => {
                let needed = Decimal::from(TAKER_DEPTH_FACTOR) * finalist.size_quote_approved;
                look.measured(blocker, None).map(|m| Measured { limit: needed, ..m })
            }
            (_, None, None) => look.measured(blocker, None),
        };
        let reason = gate.reason.or(Some(ReasonCode::StratInputInvalid));
        gate.reason = reason;
        put(&mut gate, measured);
        gate
    }
}

/// The blocker that a hit shows as.
fn shows_as(hit: &RiskHit) -> Blocker {
    Rule::of_number(hit.rule).map_or(Blocker::RiskBlocked, |rule| rule.blocker(hit.code))
}

/// What a rule compared; none when it compared nothing. A drawdown is a share, unless its limit is the one in
/// quote.
fn of_hit(hit: &RiskHit, drawdown_quote: Decimal) -> Option<Measured> {
    let (value, limit) = (hit.value?, hit.limit?);
    let unit = match Rule::of_number(hit.rule)?.unit(hit.code) {
        GateUnit::Bps if hit.code == ReasonCode::RiskDrawdownLimit && limit == drawdown_quote => {
            GateUnit::Quote
        }
        unit => unit,
    };
    Some(Measured { value, limit, unit })
}

/// What the AI gate said against what it would have had to say.
fn ai_verdict(finalist: &Finalist) -> Option<Measured> {
    // Without an answer there is nothing that can be used.
    let is = finalist.gate.as_ref().map_or(AiVerdict::Error, |gate| gate.verdict);
    Some(Measured::graded(AiVerdict::ALL, &is, &AiVerdict::Allow, GateUnit::AiVerdict))
}

/// Why the AI gate closed it: what failed, else its first objection. A change that is not carried out counts
/// as one that is not valid; without an answer there was no request that came to an end.
fn ai_code(finalist: &Finalist) -> ReasonCode {
    match &finalist.gate {
        None => ReasonCode::AigateHttpError,
        Some(gate) if gate.modified_decision.is_some() => ReasonCode::AigateModifyInvalid,
        Some(gate) => gate
            .error_code
            .or_else(|| gate.reasons.first().copied())
            .unwrap_or(ReasonCode::AigateSchemaInvalid),
    }
}

fn closed_by(
    symbol: &Symbol,
    blocker: Option<Blocker>,
    reason: Option<ReasonCode>,
    stage: StageName,
) -> SymbolGate {
    SymbolGate {
        symbol: symbol.clone(),
        blocker,
        reason: reason.or_else(|| blocker.and_then(code)),
        stage,
        value: None,
        limit: None,
        unit: None,
        closed: blocker.into_iter().collect(),
    }
}

/// Puts the numbers into a gate, at the scale of their column.
fn put(gate: &mut SymbolGate, measured: Option<Measured>) {
    let at_scale = |value: Decimal| round_to(value, GATE_SCALE).normalize();
    gate.value = measured.map(|m| at_scale(m.value));
    gate.limit = measured.map(|m| at_scale(m.limit));
    gate.unit = measured.map(|m| m.unit.as_str().to_owned());
}

/// The one reason of a blocker; a rule of risk and the AI gate give their own.
#[must_use]
pub const fn code(blocker: Blocker) -> Option<ReasonCode> {
    Some(match blocker {
        Blocker::ModeBlocked => ReasonCode::RiskModeBlock,
        Blocker::HardBlocked => ReasonCode::SymbolHardBlocked,
        Blocker::ExitOnly => ReasonCode::SymbolExitOnly,
        Blocker::QuietMode => ReasonCode::SymbolQuiet,
        Blocker::InstrumentNotOnline => ReasonCode::ExchangePairRestricted,
        Blocker::DataStale => ReasonCode::DataStale,
        Blocker::RouteStale => ReasonCode::RouteStaleData,
        Blocker::BookUnreliable => ReasonCode::BookChecksumMismatch,
        Blocker::FeatureIncomplete => ReasonCode::StratMissingField,
        Blocker::RegimeChaos => ReasonCode::RegimeNoTrade,
        Blocker::StrategyMismatch => ReasonCode::RegimeMismatch,
        Blocker::LowLiquidity => ReasonCode::StratLiquidityLow,
        Blocker::SpreadTooWide => ReasonCode::StratSpreadTooWide,
        Blocker::SpreadTooNarrow => ReasonCode::StratSpreadTooNarrow,
        Blocker::NoDirection => ReasonCode::StratNoDirection,
        Blocker::ConfidenceLow => ReasonCode::StratRegimeWeak,
        Blocker::FillTimeTooLong => ReasonCode::StratFillTimeLong,
        Blocker::FillProbabilityLow => ReasonCode::StratFillProbabilityLow,
        Blocker::PositionOpen => ReasonCode::RiskPositionAlreadyOpen,
        Blocker::SymbolLocked => ReasonCode::RiskEntryAlreadyPending,
        Blocker::MoveBelowFees => ReasonCode::StratMoveBelowFees,
        Blocker::EdgeNegative => ReasonCode::StratEdgeNegative,
        Blocker::SurplusBelowFloor => ReasonCode::StratEdgeBelowMin,
        Blocker::ExitInfeasible => ReasonCode::StratExitInvalid,
        Blocker::EngineBlocked => ReasonCode::EngineFailed,
        Blocker::SizeBelowMinimum => ReasonCode::RiskSizeInvalid,
        Blocker::CapitalExhausted => ReasonCode::RiskCapitalExhausted,
        Blocker::SlotLimit => ReasonCode::RiskStrategySlots,
        Blocker::ExposureLimit => ReasonCode::RiskExposureLimit,
        Blocker::RateLimited => ReasonCode::RiskOrderRate,
        Blocker::AiGateBlocked | Blocker::RiskBlocked => return None,
    })
}
