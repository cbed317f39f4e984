//! Steps before the selection: bind an epoch, check the lineage, the generation, the ages, and fill the
//! integrity matrix.
//!
//! Purpose: what the data allow, before any candidate is looked at; the owner of the mode reads it too.
//! Inputs: the cycle's input. Outputs: an [`Assessment`] and the filtered universe. Invariants: pure; an
//! integrity fault never becomes a default.

use std::collections::{BTreeMap, BTreeSet};

use penstock_types::rows::{EpochRow, SafetyRow, SnapshotRow};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{Blocker, EpochStatus, PlanState, SafetyMode};
use penstock_types::{GenerationId, Symbol, ids};

use super::config::DecideConfig;
use super::outcome::{Assessment, Binding, LineageBreak, Matrix, SyncProblem};
use crate::cycle::CycleInput;

/// Share of the universe that must have a state row, in percent.
const COHERENCE_PCT_MIN: usize = 98;
/// Share of the universe that may be hard-blocked before the informative field turns false.
const HARD_BLOCKED_PCT_MAX: usize = 50;

/// The universe of a cycle after the safety filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filtered {
    /// Symbols that may be traded, ascending.
    pub allowed: Vec<Symbol>,
    /// Symbols that may not, with the reason, ascending.
    pub closed: Vec<(Symbol, Blocker, String)>,
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
    let binding = bind(input, config);
    let filtered = filter(input, binding.as_ref().map(|(_, s)| *s), &index);
    judge(input, config, &index, binding, &filtered)
}

pub(super) fn judge(
    input: &CycleInput,
    config: &DecideConfig,
    index: &Index<'_>,
    bound: Option<(&EpochRow, &SnapshotRow)>,
    filtered: &Filtered,
) -> Assessment {
    let state_age_ms = input.publication.as_ref().map(|p| p.state_age_ms(input.now));
    let data_age_ms = input.publication.as_ref().map(|p| p.data_age_ms(input.now));
    let state_ok = state_age_ms.is_some_and(|age| age <= config.state_max_age_secs * 1_000);
    let data_ok = data_age_ms.is_some_and(|age| age <= config.live_data_max_age_secs * 1_000);
    let binding = bound.and_then(|(epoch, snapshot)| describe(input, epoch, snapshot));
    let mut matrix = matrix(input, config, index, bound, filtered);
    matrix.global_liveness = binding.is_some() && lease_alive(input) && state_ok;
    matrix.market_freshness = data_ok && input.publication.as_ref().is_some_and(|p| !p.gap_open);
    Assessment {
        lineage_break: lineage_break(input, config, binding.as_ref()),
        binding,
        sync: sync_problem(input),
        state_age_ms,
        data_age_ms,
        data_stale: !(state_ok && data_ok),
        matrix,
    }
}

/// Newest valid epoch of the publication's lineage that is young enough, else the newest degraded one.
pub(super) fn bind<'a>(
    input: &'a CycleInput,
    config: &DecideConfig,
) -> Option<(&'a EpochRow, &'a SnapshotRow)> {
    let publication = input.publication.as_ref()?;
    let usable = |status: EpochStatus| {
        input
            .epochs
            .iter()
            .filter(|e| e.status == status && e.lineage_id == publication.lineage_id)
            .filter(|e| e.run_id <= publication.run_id)
            .filter(|e| {
                epoch_age_ms(input, e).is_some_and(|age| age <= config.epoch_max_age_secs * 1_000)
            })
            .max_by_key(|e| (e.completed_at, e.epoch_id))
    };
    let epoch = usable(EpochStatus::Valid).or_else(|| usable(EpochStatus::Degraded))?;
    let snapshot_id = epoch.snapshot_id?;
    let snapshot = input.snapshots.iter().find(|s| s.snapshot_id == snapshot_id)?;
    Some((epoch, snapshot))
}

fn epoch_age_ms(input: &CycleInput, epoch: &EpochRow) -> Option<i64> {
    epoch.completed_at.map(|at| input.now.millis_since(at))
}

fn describe(input: &CycleInput, epoch: &EpochRow, snapshot: &SnapshotRow) -> Option<Binding> {
    Some(Binding {
        epoch_id: epoch.epoch_id,
        status: epoch.status,
        epoch_age_ms: epoch_age_ms(input, epoch)?,
        run_id: epoch.run_id,
        lineage_id: epoch.lineage_id,
        snapshot_id: snapshot.snapshot_id,
        execution_count: count(snapshot.execution_symbols.len()),
        pinned_count: count(snapshot.pinned_symbols.len()),
    })
}

/// A length as it stands in contracts.
pub(super) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Another lineage than the one bound before, or the grace that follows it. The first binding of a
/// session is no break. The grace also lasts until the new lineage has a valid epoch.
fn lineage_break(
    input: &CycleInput,
    config: &DecideConfig,
    binding: Option<&Binding>,
) -> Option<LineageBreak> {
    let to = input.publication.as_ref()?.lineage_id;
    let memory = input.lineage;
    let from = memory.previous.filter(|previous| *previous != to);
    let grace = if from.is_some() { config.lineage_grace_cycles.max(1) } else { memory.grace_left };
    if grace <= 0 {
        return None;
    }
    let has_valid = binding.is_some_and(|b| b.status == EpochStatus::Valid);
    let cycles_left = if has_valid { grace - 1 } else { grace };
    Some(LineageBreak { from, to, cycles_left })
}

/// Whole, of one generation, and under the fence that ingest holds now.
fn sync_problem(input: &CycleInput) -> Option<SyncProblem> {
    let (Some(publication), Some(fence)) = (&input.publication, &input.ingest_fence) else {
        return Some(SyncProblem::NoPublication);
    };
    if input.states.iter().any(|r| r.generation_id != publication.generation_id) {
        return Some(SyncProblem::TornRead);
    }
    if count(input.states.len()) != i64::from(publication.row_count) {
        return Some(SyncProblem::RowCount);
    }
    if input.content_hash_ok == Some(false) {
        return Some(SyncProblem::ContentHash);
    }
    let token_of = |g: GenerationId| ids::token_of(g.get());
    let same = publication.fencing_token == fence.fencing_token
        && token_of(publication.generation_id) == fence.fencing_token;
    (!same).then_some(SyncProblem::FenceChanged)
}

fn lease_alive(input: &CycleInput) -> bool {
    input.ingest_fence.as_ref().is_some_and(|f| f.lease_expires_at > input.now)
}

/// The fields that need neither ages nor lease.
fn matrix(
    input: &CycleInput,
    config: &DecideConfig,
    index: &Index<'_>,
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
    let (Some((epoch, snapshot)), Some(publication)) = (bound, &input.publication) else {
        return matrix;
    };
    let symbols = &snapshot.execution_symbols;
    let with_row = symbols.iter().filter(|s| index.states.contains_key(s)).count();
    let hard = filtered.closed.iter().filter(|c| c.1 == Blocker::HardBlocked).count();
    let one_lineage =
        epoch.lineage_id == publication.lineage_id && snapshot.lineage_id == publication.lineage_id;
    matrix.snapshot_coherence = one_lineage && with_row * 100 >= symbols.len() * COHERENCE_PCT_MIN;
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
        let mode = index.safety.get(symbol).map_or(SafetyMode::Normal, |row| row.mode);
        let closed = match mode {
            SafetyMode::HardBlocked => Some((Blocker::HardBlocked, "SYMBOL_HARD_BLOCKED")),
            SafetyMode::ExitOnly => Some((Blocker::ExitOnly, "SYMBOL_EXIT_ONLY")),
            SafetyMode::Quiet => Some((Blocker::QuietMode, "SYMBOL_QUIET")),
            SafetyMode::Normal if online.get(symbol) == Some(&true) => None,
            SafetyMode::Normal => Some((Blocker::InstrumentNotOnline, "EXCHANGE_PAIR_RESTRICTED")),
        };
        match closed {
            Some((blocker, reason)) => {
                filtered.closed.push((symbol.clone(), blocker, reason.to_owned()));
            }
            None => filtered.allowed.push(symbol.clone()),
        }
    }
    filtered
}
