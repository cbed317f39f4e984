//! What a generation guarantees: the licence of its epoch, its lineage, its age, its wholeness.
//!
//! Purpose: the half of the assessment that needs no figure of any symbol, so that every generation, and the
//! lack of one, can be judged when it shows and not only when an evaluation is due. Inputs: pointer, fence,
//! epochs, universes, the generation of each row. Outputs: [`Guarantees`] and the causes of the mode that
//! follow from them. Invariants: pure; an evaluation judges these fields by the same functions. It does not
//! know safety, positions or the private stream.

use std::collections::BTreeMap;

use penstock_types::rows::{EpochRow, FenceRow, PublicationRow, SnapshotRow};
use penstock_types::vocab::EpochStatus;
use penstock_types::{GenerationId, Symbol, UtcMicros, ids};

use super::config::DecideConfig;
use super::outcome::{Assessment, Binding, LineageBreak, SyncProblem};
use crate::cycle::{CycleInput, LineageMemory};
use crate::mode::CauseCode;

/// Share of the universe that must have a state row, in percent.
const COHERENCE_PCT_MIN: usize = 98;

/// A generation as far as its guarantees go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Decision clock of the read.
    pub now: UtcMicros,
    /// Pointer to the newest generation.
    pub publication: Option<PublicationRow>,
    /// Fence of ingest.
    pub ingest_fence: Option<FenceRow>,
    /// Newest valid and newest degraded epoch of its lineage.
    pub epochs: Vec<EpochRow>,
    /// Universes of those epochs.
    pub snapshots: Vec<SnapshotRow>,
    /// Generation of each symbol's row.
    pub rows: BTreeMap<Symbol, GenerationId>,
}

impl Glance {
    /// Judges it so many milliseconds after it was read. `lineage` is what evaluations of the session have
    /// bound to.
    #[must_use]
    pub fn guarantees(
        &self,
        waited_ms: i64,
        lineage: LineageMemory,
        config: &DecideConfig,
    ) -> Guarantees {
        let ground = Ground {
            now: self.now.plus_millis(waited_ms),
            publication: self.publication.as_ref(),
            ingest_fence: self.ingest_fence.as_ref(),
            epochs: &self.epochs,
            snapshots: &self.snapshots,
            lineage,
            rows: self.rows.iter().map(|(symbol, generation)| (symbol, *generation)).collect(),
        };
        let bound = ground.bind(config);
        let binding = bound.and_then(|(epoch, snapshot)| ground.describe(epoch, snapshot));
        Guarantees {
            epoch: binding.as_ref().map(|b| (b.status, b.epoch_age_ms)),
            has_lineage_break: ground.lineage_break(config, binding.as_ref()).is_some(),
            is_live: binding.is_some() && ground.is_alive(config),
            is_fresh: ground.is_fresh(config),
            is_coherent: bound.is_some_and(|(epoch, universe)| ground.coheres(epoch, universe)),
            sync: ground.sync_problem(),
            state_age_ms: ground.state_age_ms(),
        }
    }
}

/// What holds of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarantees {
    /// Judgement and age of the bound epoch, milliseconds.
    pub epoch: Option<(EpochStatus, i64)>,
    /// Another lineage than the one bound before, or its grace.
    pub has_lineage_break: bool,
    /// Epoch bound, lease of ingest alive, state young enough.
    pub is_live: bool,
    /// Newest message young enough, no gap open.
    pub is_fresh: bool,
    /// Universe, epoch and publication share the lineage; enough of the universe has a row.
    pub is_coherent: bool,
    /// Why the generation may not be used.
    pub sync: Option<SyncProblem>,
    /// Age of the state, milliseconds.
    pub state_age_ms: Option<i64>,
}

impl From<&Assessment> for Guarantees {
    fn from(a: &Assessment) -> Self {
        Self {
            epoch: a.binding.as_ref().map(|b| (b.status, b.epoch_age_ms)),
            has_lineage_break: a.lineage_break.is_some(),
            is_live: a.matrix.global_liveness,
            is_fresh: a.matrix.market_freshness,
            is_coherent: a.matrix.snapshot_coherence,
            sync: a.sync,
            state_age_ms: a.state_age_ms,
        }
    }
}

/// A cause of the mode, there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub code: CauseCode,
    /// It is there.
    pub is_active: bool,
    /// Measured value as text, where there is one.
    pub value: Option<String>,
}

impl Guarantees {
    /// Each cause that a lost guarantee is, with whether it is lost.
    #[must_use]
    pub fn findings(&self) -> [Finding; 4] {
        let finding = |code, is_active, value| Finding { code, is_active, value };
        let is_valid = self.epoch.is_some_and(|(status, _)| status == EpochStatus::Valid);
        let epoch_age = self.epoch.map(|(_, age)| format!("epoch age {age} ms"));
        let state_age = self.state_age_ms.map(|age| format!("state age {age} ms"));
        let sync = self.sync.map(|problem| problem.as_str().to_owned());
        let is_whole = self.is_coherent && self.sync.is_none();
        [
            finding(CauseCode::EpochNotValid, !is_valid, epoch_age),
            finding(CauseCode::LineageBreak, self.has_lineage_break, None),
            finding(CauseCode::DataStale, !(self.is_live && self.is_fresh), state_age),
            finding(CauseCode::StateGenerationMismatch, !is_whole, sync),
        ]
    }
}

/// What the guarantees are read from, borrowed.
pub(super) struct Ground<'a> {
    now: UtcMicros,
    publication: Option<&'a PublicationRow>,
    ingest_fence: Option<&'a FenceRow>,
    epochs: &'a [EpochRow],
    snapshots: &'a [SnapshotRow],
    lineage: LineageMemory,
    rows: BTreeMap<&'a Symbol, GenerationId>,
}

impl<'a> Ground<'a> {
    pub(super) fn of(input: &'a CycleInput) -> Self {
        Self {
            now: input.now,
            publication: input.publication.as_ref(),
            ingest_fence: input.ingest_fence.as_ref(),
            epochs: &input.epochs,
            snapshots: &input.snapshots,
            lineage: input.lineage,
            rows: input.states.iter().map(|row| (&row.symbol, row.generation_id)).collect(),
        }
    }

    /// Newest valid epoch of the publication's lineage that is young enough, else the newest degraded one.
    pub(super) fn bind(&self, config: &DecideConfig) -> Option<(&'a EpochRow, &'a SnapshotRow)> {
        let publication = self.publication?;
        let usable = |status: EpochStatus| {
            self.epochs
                .iter()
                .filter(|e| e.status == status && e.lineage_id == publication.lineage_id)
                .filter(|e| e.run_id <= publication.run_id)
                .filter(|e| {
                    self.epoch_age_ms(e).is_some_and(|age| age <= config.epoch_max_age_secs * 1_000)
                })
                .max_by_key(|e| (e.completed_at, e.epoch_id))
        };
        let epoch = usable(EpochStatus::Valid).or_else(|| usable(EpochStatus::Degraded))?;
        let snapshot_id = epoch.snapshot_id?;
        let snapshot = self.snapshots.iter().find(|s| s.snapshot_id == snapshot_id)?;
        Some((epoch, snapshot))
    }

    fn epoch_age_ms(&self, epoch: &EpochRow) -> Option<i64> {
        epoch.completed_at.map(|at| self.now.millis_since(at))
    }

    pub(super) fn describe(&self, epoch: &EpochRow, snapshot: &SnapshotRow) -> Option<Binding> {
        Some(Binding {
            epoch_id: epoch.epoch_id,
            status: epoch.status,
            epoch_age_ms: self.epoch_age_ms(epoch)?,
            run_id: epoch.run_id,
            lineage_id: epoch.lineage_id,
            snapshot_id: snapshot.snapshot_id,
            execution_count: count(snapshot.execution_symbols.len()),
            pinned_count: count(snapshot.pinned_symbols.len()),
        })
    }

    /// Another lineage than the one bound before, or the grace that follows it. The first binding of a
    /// session is no break. The grace also lasts until the new lineage has a valid epoch.
    pub(super) fn lineage_break(
        &self,
        config: &DecideConfig,
        binding: Option<&Binding>,
    ) -> Option<LineageBreak> {
        let to = self.publication?.lineage_id;
        let memory = self.lineage;
        let from = memory.previous.filter(|previous| *previous != to);
        let grace =
            if from.is_some() { config.lineage_grace_cycles.max(1) } else { memory.grace_left };
        if grace <= 0 {
            return None;
        }
        let has_valid = binding.is_some_and(|b| b.status == EpochStatus::Valid);
        let cycles_left = if has_valid { grace - 1 } else { grace };
        Some(LineageBreak { from, to, cycles_left })
    }

    /// Whole, of one generation, and under the fence that ingest holds now.
    pub(super) fn sync_problem(&self) -> Option<SyncProblem> {
        let (Some(publication), Some(fence)) = (self.publication, self.ingest_fence) else {
            return Some(SyncProblem::NoPublication);
        };
        if self.rows.values().any(|generation| *generation != publication.generation_id) {
            return Some(SyncProblem::TornRead);
        }
        if count(self.rows.len()) != i64::from(publication.row_count) {
            return Some(SyncProblem::RowCount);
        }
        let token_of = |g: GenerationId| ids::token_of(g.get());
        let same = publication.fencing_token == fence.fencing_token
            && token_of(publication.generation_id) == fence.fencing_token;
        (!same).then_some(SyncProblem::FenceChanged)
    }

    pub(super) fn state_age_ms(&self) -> Option<i64> {
        self.publication.map(|p| p.state_age_ms(self.now))
    }

    pub(super) fn data_age_ms(&self) -> Option<i64> {
        self.publication.map(|p| p.data_age_ms(self.now))
    }

    /// The state is young enough.
    pub(super) fn is_state_young(&self, config: &DecideConfig) -> bool {
        self.state_age_ms().is_some_and(|age| age <= config.state_max_age_secs * 1_000)
    }

    /// The newest message is young enough.
    pub(super) fn is_data_young(&self, config: &DecideConfig) -> bool {
        self.data_age_ms().is_some_and(|age| age <= config.live_data_max_age_secs * 1_000)
    }

    /// Ingest holds its lease, and the state is young enough.
    pub(super) fn is_alive(&self, config: &DecideConfig) -> bool {
        let is_held = self.ingest_fence.is_some_and(|f| f.lease_expires_at > self.now);
        is_held && self.is_state_young(config)
    }

    /// The newest message is young enough, and no gap is open.
    pub(super) fn is_fresh(&self, config: &DecideConfig) -> bool {
        self.is_data_young(config) && self.publication.is_some_and(|p| !p.gap_open)
    }

    /// Epoch, universe and publication share the lineage, and enough of the universe has a row.
    pub(super) fn coheres(&self, epoch: &EpochRow, universe: &SnapshotRow) -> bool {
        let Some(publication) = self.publication else { return false };
        let symbols = &universe.execution_symbols;
        let with_row = symbols.iter().filter(|s| self.rows.contains_key(s)).count();
        let one_lineage = epoch.lineage_id == publication.lineage_id
            && universe.lineage_id == publication.lineage_id;
        one_lineage && with_row * 100 >= symbols.len() * COHERENCE_PCT_MIN
    }
}

/// A length as it stands in contracts.
pub(super) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::assess;
    use crate::fixtures::{NOW, config, input, lineage};
    use penstock_types::FencingToken;

    const N: usize = 8;

    fn glance() -> Glance {
        let input = input(N);
        Glance {
            now: input.now,
            publication: input.publication,
            ingest_fence: input.ingest_fence,
            epochs: input.epochs,
            snapshots: input.snapshots,
            rows: input.states.iter().map(|s| (s.symbol.clone(), s.generation_id)).collect(),
        }
    }

    fn bound() -> LineageMemory {
        LineageMemory { previous: Some(lineage(1)), grace_left: 0 }
    }

    fn lost(glance: &Glance, waited_ms: i64, memory: LineageMemory) -> Vec<CauseCode> {
        let findings = glance.guarantees(waited_ms, memory, &config()).findings();
        findings.into_iter().filter(|f| f.is_active).map(|f| f.code).collect()
    }

    #[test]
    fn each_lost_guarantee_of_a_generation_is_its_cause_of_the_mode() {
        use CauseCode as C;
        type Spoil = fn(&mut Glance);
        let cases: &[(&str, Spoil, &[C])] = &[
            ("whole", |_| {}, &[]),
            ("gap", |g| g.publication.as_mut().unwrap().gap_open = true, &[C::DataStale]),
            (
                "message too old",
                |g| g.publication.as_mut().unwrap().last_msg_age_ms = 60_001,
                &[C::DataStale],
            ),
            ("lease", |g| g.ingest_fence.as_mut().unwrap().lease_expires_at = NOW, &[C::DataStale]),
            (
                "taken over",
                |g| g.ingest_fence.as_mut().unwrap().fencing_token = FencingToken(8),
                &[C::StateGenerationMismatch],
            ),
            (
                "row of another generation",
                |g| *g.rows.first_entry().unwrap().get_mut() = GenerationId(1),
                &[C::StateGenerationMismatch],
            ),
            ("row missing", |g| drop(g.rows.pop_last()), &[C::StateGenerationMismatch]),
            ("degraded", |g| g.epochs[0].status = EpochStatus::Degraded, &[C::EpochNotValid]),
            (
                "no epoch",
                |g| g.epochs.clear(),
                &[C::EpochNotValid, C::DataStale, C::StateGenerationMismatch],
            ),
            (
                "nothing published",
                |g| g.publication = None,
                &[C::EpochNotValid, C::DataStale, C::StateGenerationMismatch],
            ),
        ];
        for (name, spoil, want) in cases {
            let mut glance = glance();
            spoil(&mut glance);
            assert_eq!(lost(&glance, 0, bound()), *want, "{name}");
        }
    }

    #[test]
    fn a_generation_that_nothing_follows_is_lost_at_its_age_limit_without_another_read() {
        let mut glance = glance();
        let limit_ms = config().state_max_age_secs * 1_000;
        let age_ms = glance.publication.as_ref().unwrap().state_age_ms(glance.now);
        // Nothing else may run out before: neither lease nor epoch.
        glance.ingest_fence.as_mut().unwrap().lease_expires_at = NOW.plus_millis(600_000);
        glance.epochs[0].completed_at = Some(NOW);
        assert_eq!(lost(&glance, limit_ms - age_ms, bound()), []);
        assert_eq!(lost(&glance, limit_ms - age_ms + 1, bound()), [CauseCode::DataStale]);
    }

    #[test]
    fn another_lineage_shows_before_an_evaluation_and_stays_through_its_grace() {
        let glance = glance();
        let other = LineageMemory { previous: Some(lineage(9)), grace_left: 0 };
        assert_eq!(lost(&glance, 0, other), [CauseCode::LineageBreak]);
        let grace = LineageMemory { previous: Some(lineage(1)), grace_left: 1 };
        assert_eq!(lost(&glance, 0, grace), [CauseCode::LineageBreak]);
        assert_eq!(lost(&glance, 0, bound()), []);
        assert_eq!(lost(&glance, 0, LineageMemory::default()), [], "the first binding is no break");
    }

    #[test]
    fn an_evaluation_of_the_same_generation_finds_the_same() {
        let spoils: [fn(&mut CycleInput); 4] = [
            |_| {},
            |i| i.publication.as_mut().unwrap().gap_open = true,
            |i| i.epochs[0].status = EpochStatus::Degraded,
            |i| i.lineage.previous = Some(lineage(9)),
        ];
        for spoil in spoils {
            let mut input = input(N);
            spoil(&mut input);
            let of_cycle = Guarantees::from(&assess(&input, &config()));
            let glance = Glance {
                publication: input.publication.clone(),
                epochs: input.epochs.clone(),
                ..glance()
            };
            assert_eq!(glance.guarantees(0, input.lineage, &config()), of_cycle);
        }
    }
}
