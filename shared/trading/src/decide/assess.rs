//! Steps before the selection: bind an epoch, check the lineage, the generation, the ages, and fill the
//! integrity matrix.
//!
//! Purpose: what the data allow, before any candidate is looked at; the owner of the mode reads it too.
//! Inputs: the cycle's input. Outputs: an [`Assessment`] and the filtered universe. Invariants: pure; an
//! integrity fault never becomes a default.

use std::collections::{BTreeMap, BTreeSet};

use penstock_types::Symbol;
use penstock_types::rows::{EpochRow, SafetyRow, SnapshotRow};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{Blocker, PlanState, ReasonCode, SafetyMode};

use super::config::DecideConfig;
use super::guarantees::{Ground, count};
use super::outcome::{Assessment, Matrix, SyncProblem};
use crate::cycle::CycleInput;

/// Share of the universe that may be hard-blocked before the informative field turns false.
const HARD_BLOCKED_PCT_MAX: usize = 50;

/// The universe of a cycle after the safety filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filtered {
    /// Symbols that may be traded, ascending.
    pub allowed: Vec<Symbol>,
    /// Symbols that may not, with the reason, ascending.
    pub closed: Vec<(Symbol, Blocker, ReasonCode)>,
}

/// Rows of an input by symbol.
pub(super) struct Index<'a> {
    pub(super) states: BTreeMap<&'a Symbol, &'a StateRow>,
    pub(super) safety: BTreeMap<&'a Symbol, &'a SafetyRow>,
}

impl<'a> Index<'a> {
    pub(super) fn of(input: &'a CycleInput) -> Self {
        Self {
            states: input.states.iter().map(|row| (&row.symbol, row)).collect(),
            safety: input.safety.iter().map(|row| (&row.symbol, row)).collect(),
        }
    }
}

/// Binds, checks, judges. The shell hands the outcome to the owner of the mode before it decides.
#[must_use]
pub fn assess(input: &CycleInput, config: &DecideConfig) -> Assessment {
    let index = Index::of(input);
    let ground = Ground::of(input);
    let bound = ground.bind(config);
    let filtered = filter(input, bound.map(|(_, s)| s), &index);
    judge(input, config, &ground, bound, &filtered)
}

pub(super) fn judge(
    input: &CycleInput,
    config: &DecideConfig,
    ground: &Ground<'_>,
    bound: Option<(&EpochRow, &SnapshotRow)>,
    filtered: &Filtered,
) -> Assessment {
    let (state_ok, data_ok) = (ground.is_state_young(config), ground.is_data_young(config));
    let binding = bound.and_then(|(epoch, snapshot)| ground.describe(epoch, snapshot));
    let mut matrix = matrix(input, config, ground, bound, filtered);
    matrix.global_liveness = binding.is_some() && ground.is_alive(config);
    matrix.market_freshness = ground.is_fresh(config);
    let sync = ground.sync_problem();
    // The hash is looked at last but for the fence: it is of rows that are whole.
    let is_hash_wrong = input.content_hash_ok == Some(false);
    let sync = match sync {
        None | Some(SyncProblem::FenceChanged) if is_hash_wrong => Some(SyncProblem::ContentHash),
        other => other,
    };
    Assessment {
        lineage_break: ground.lineage_break(config, binding.as_ref()),
        binding,
        sync,
        state_age_ms: ground.state_age_ms(),
        data_age_ms: ground.data_age_ms(),
        data_stale: !(state_ok && data_ok),
        matrix,
    }
}

/// The fields that need neither ages nor lease.
fn matrix(
    input: &CycleInput,
    config: &DecideConfig,
    ground: &Ground<'_>,
    bound: Option<(&EpochRow, &SnapshotRow)>,
    filtered: &Filtered,
) -> Matrix {
    let silent_limit_ms = config.private_stream_silent_secs * 1_000;
    let private_stream_ok = input.stream.connected
        && input.stream.snapshots_ok
        && input.stream.silent_ms < silent_limit_ms;
    let exposure_protected = input
        .positions
        .iter()
        .all(|p| p.plan.as_ref().is_none_or(|plan| plan.state != PlanState::Unprotected));
    let mut matrix = Matrix { private_stream_ok, exposure_protected, ..Matrix::default() };
    let Some((epoch, snapshot)) = bound else { return matrix };
    let symbols = &snapshot.execution_symbols;
    let hard = filtered.closed.iter().filter(|c| c.1 == Blocker::HardBlocked).count();
    matrix.snapshot_coherence = ground.coheres(epoch, snapshot);
    matrix.universe_viability = count(filtered.allowed.len()) >= config.execution_min_universe_size;
    matrix.l3_integrity = hard * 100 <= symbols.len() * HARD_BLOCKED_PCT_MAX;
    matrix.hard_blocked_exec_count = count(hard);
    matrix.total_exec_before_filter = count(symbols.len());
    matrix
}

/// Safety filter: symbols of the universe that may be traded, the others with their reason.
pub(super) fn filter(
    input: &CycleInput,
    snapshot: Option<&SnapshotRow>,
    index: &Index<'_>,
) -> Filtered {
    let online: BTreeMap<&Symbol, bool> =
        input.instruments.iter().map(|i| (&i.symbol, i.is_online())).collect();
    let mut filtered = Filtered::default();
    let universe: BTreeSet<&Symbol> = snapshot.iter().flat_map(|s| &s.execution_symbols).collect();
    for symbol in universe {
        let row = index.safety.get(symbol);
        let mode = row.map_or(SafetyMode::Normal, |row| row.mode);
        let is_quarantine = row.is_some_and(|row| row.is_quarantine);
        let closed = match mode {
            SafetyMode::HardBlocked => Some((Blocker::HardBlocked, ReasonCode::SymbolHardBlocked)),
            SafetyMode::ExitOnly | SafetyMode::Quiet if is_quarantine => {
                Some((Blocker::QuietMode, ReasonCode::SymbolQuarantined))
            }
            SafetyMode::ExitOnly => Some((Blocker::ExitOnly, ReasonCode::SymbolExitOnly)),
            SafetyMode::Quiet => Some((Blocker::QuietMode, ReasonCode::SymbolQuiet)),
            SafetyMode::Normal if online.get(symbol) == Some(&true) => None,
            SafetyMode::Normal => {
                Some((Blocker::InstrumentNotOnline, ReasonCode::ExchangePairRestricted))
            }
        };
        match closed {
            Some((blocker, reason)) => {
                filtered.closed.push((symbol.clone(), blocker, reason));
            }
            None => filtered.allowed.push(symbol.clone()),
        }
    }
    filtered
}
