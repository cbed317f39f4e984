//! Deriving a run's generations again from its raw rows and comparing them with what was recorded.
//!
//! Input: the ingest cluster, a run, and the published rows where they are at hand. Output: one verdict
//! per generation and the first that differs. The fold starts with the run's first checkpoint, which also
//! holds the numbers that shaped the state; for a single generation with the newest kept one before it.
//! Rows and cut times come from the tables, window by window, so nothing of the process that recorded
//! them is trusted and memory does not grow with the run. A generation whose rows are not whole gives
//! `Incomplete`, never `Equal`.

use penstock_market::replay::{Derived, RecordedCut, Verdict, derive};
use penstock_market::{Aggregator, FoldConfig, StateCut, checkpoint};
use penstock_store::StoreError;
use penstock_store_ingest::checkpoints::{Checkpoint, checkpoint_at};
use penstock_store_ingest::generations::{RecordedGeneration, generations_of_run};
use penstock_store_ingest::raw_read::{RawReader, ReadError};
use penstock_types::state_row::{COLUMNS, StateRow, canonical_text};
use penstock_types::{GenerationId, RunId, Seq, UtcMicros};
use sqlx::PgPool;
use std::collections::VecDeque;

/// Why a run could not be derived.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The cluster did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rows cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A checkpoint of the run cannot be read.
    #[error("checkpoint of run {run_id}: {reason}")]
    Checkpoint {
        /// Run.
        run_id: RunId,
        /// Why.
        reason: String,
    },
    /// A hash of a generation has not 32 bytes.
    #[error("generation {generation_id} carries a hash that is none")]
    Hash {
        /// Generation.
        generation_id: GenerationId,
    },
    /// The run has no such generation.
    #[error(
        "run {run_id} has no generation {generation_id}; next: --all, or one of its own numbers ({first} to {last})"
    )]
    NoSuchGeneration {
        /// Run.
        run_id: RunId,
        /// Asked for.
        generation_id: GenerationId,
        /// First of the run.
        first: GenerationId,
        /// Last of the run.
        last: GenerationId,
    },
}

/// Which generations are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every one of the run.
    All,
    /// One of them.
    One(GenerationId),
}

/// The first column in which a derived row is not the published one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Symbol.
    pub symbol: String,
    /// Column; `row` when only one side has the symbol.
    pub column: &'static str,
    /// Published text.
    pub expected: String,
    /// Derived text.
    pub got: String,
}

/// A generation whose derived hash is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Generation.
    pub generation_id: GenerationId,
    /// Recorded hash.
    pub expected: [u8; 32],
    /// Derived hash.
    pub got: [u8; 32],
    /// Where, when its published rows are at hand.
    pub place: Option<Place>,
}

/// Result over a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Generations whose derived hash equals the recorded one.
    pub equal: u64,
    /// Generations about whose rows nothing can be proven.
    pub incomplete: u64,
    /// Generations whose derived hash is another.
    pub different: Vec<GenerationId>,
    /// The first of them.
    pub first: Option<Difference>,
    /// That of the published generation, the only one whose rows are still at hand.
    pub published: Option<Difference>,
}

impl VerifyReport {
    /// Every generation with complete rows is equal.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.different.is_empty()
    }

    fn add(&mut self, derived: &Derived, published: &[StateRow]) {
        let generation_id = derived.recorded.generation_id;
        match derived.verdict {
            Verdict::Equal => self.equal += 1,
            Verdict::Incomplete => self.incomplete += 1,
            Verdict::Different => {
                self.different.push(generation_id);
                let difference = Difference {
                    generation_id,
                    expected: derived.recorded.content_hash,
                    got: derived.cut.content_hash,
                    place: first_place(published, &derived.cut),
                };
                if difference.place.is_some() {
                    self.published = Some(difference.clone());
                }
                self.first.get_or_insert(difference);
            }
        }
    }
}

/// Derives every generation of a run.
///
/// # Errors
/// [`VerifyError`].
pub async fn verify_generations(pool: &PgPool, run_id: RunId) -> Result<VerifyReport, VerifyError> {
    verify(pool, run_id, Scope::All, &[], |_, _| {}).await
}

/// Derives the generations of a run that `scope` names. `published` are rows of one published
/// generation, or none; `progress` is told the number reached and the last one.
///
/// # Errors
/// [`VerifyError`].
pub async fn verify(
    pool: &PgPool,
    run_id: RunId,
    scope: Scope,
    published: &[StateRow],
    progress: impl FnMut(Seq, Seq),
) -> Result<VerifyReport, VerifyError> {
    let mut cuts = recorded_cuts(pool, run_id).await?;
    let start = match scope {
        Scope::All => first_fold(pool, run_id).await?,
        Scope::One(generation_id) => {
            until(&mut cuts, run_id, generation_id)?;
            newest_fold(pool, run_id, &mut cuts).await?
        }
    };
    let mut report = VerifyReport::default();
    let is_asked = |id: GenerationId| scope == Scope::All || scope == Scope::One(id);
    let each = |derived: &Derived| {
        if is_asked(derived.recorded.generation_id) {
            report.add(derived, published);
        }
    };
    fold(pool, run_id, start, cuts, each, progress).await?;
    Ok(report)
}

/// Derives the last generation of a run; none when the run has no generation.
///
/// # Errors
/// [`VerifyError`].
pub async fn last_generation(
    pool: &PgPool,
    run_id: RunId,
    progress: impl FnMut(Seq, Seq),
) -> Result<Option<Derived>, VerifyError> {
    let mut cuts = recorded_cuts(pool, run_id).await?;
    let start = newest_fold(pool, run_id, &mut cuts).await?;
    let mut last = None;
    fold(pool, run_id, start, cuts, |derived| last = Some(derived.clone()), progress).await?;
    Ok(last)
}

async fn recorded_cuts(pool: &PgPool, run_id: RunId) -> Result<VecDeque<RecordedCut>, VerifyError> {
    generations_of_run(pool, run_id).await?.into_iter().map(recorded_cut).collect()
}

/// Drops the cuts behind the one that is asked for.
fn until(
    cuts: &mut VecDeque<RecordedCut>,
    run_id: RunId,
    generation_id: GenerationId,
) -> Result<(), VerifyError> {
    let of = |cut: Option<&RecordedCut>| cut.map_or(GenerationId(0), |c| c.generation_id);
    let (first, last) = (of(cuts.front()), of(cuts.back()));
    let at = cuts
        .iter()
        .position(|cut| cut.generation_id == generation_id)
        .ok_or(VerifyError::NoSuchGeneration { run_id, generation_id, first, last })?;
    cuts.truncate(at + 1);
    Ok(())
}

/// Rows window by window into the fold; a cut is made when all rows up to its watermark are in.
async fn fold(
    pool: &PgPool,
    run_id: RunId,
    mut fold: Aggregator,
    mut cuts: VecDeque<RecordedCut>,
    mut each: impl FnMut(&Derived),
    mut progress: impl FnMut(Seq, Seq),
) -> Result<(), VerifyError> {
    let last = cuts.back().map_or(Seq(0), |cut| cut.wm_seq);
    let mut reader = RawReader::new(pool.clone(), run_id, fold.last_seq(), last);
    while let Some(window) = reader.next_window().await? {
        for row in window {
            while let Some(cut) = cuts.pop_front_if(|cut| cut.wm_seq < row.seq) {
                each(&derive(&mut fold, &cut));
            }
            fold.apply(&row);
        }
        progress(fold.last_seq(), last);
    }
    while let Some(cut) = cuts.pop_front() {
        each(&derive(&mut fold, &cut));
    }
    Ok(())
}

fn recorded_cut(generation: RecordedGeneration) -> Result<RecordedCut, VerifyError> {
    let generation_id = generation.generation_id;
    let content_hash =
        generation.content_hash.try_into().map_err(|_| VerifyError::Hash { generation_id })?;
    Ok(RecordedCut {
        generation_id,
        lineage_id: generation.lineage_id,
        as_of: generation.as_of,
        wm_seq: generation.wm_seq,
        raw_complete: generation.raw_complete,
        content_hash,
    })
}

/// The fold with which the run began; without a first checkpoint an empty one with the default numbers.
async fn first_fold(pool: &PgPool, run_id: RunId) -> Result<Aggregator, VerifyError> {
    match checkpoint_at(pool, run_id, Seq(0)).await? {
        Some(found) => decoded(run_id, &found),
        None => Ok(Aggregator::new(run_id, FoldConfig::default())),
    }
}

/// The fold of the newest checkpoint that was taken before the last of the cuts; the cuts that it has
/// behind it are dropped, because its hysteresis has seen them.
async fn newest_fold(
    pool: &PgPool,
    run_id: RunId,
    cuts: &mut VecDeque<RecordedCut>,
) -> Result<Aggregator, VerifyError> {
    let (mut below, as_of) = cuts.back().map_or((Seq(0), UtcMicros(0)), |c| (c.wm_seq, c.as_of));
    while below > Seq(0) {
        let Some(found) = checkpoint_at(pool, run_id, below).await? else { break };
        if found.wm_seq > Seq(0) && found.as_of < as_of {
            while cuts.pop_front_if(|cut| cut.as_of <= found.as_of).is_some() {}
            return decoded(run_id, &found);
        }
        // Taken behind the last cut with nothing in between: the one before it may serve.
        below = Seq(found.wm_seq.0 - 1);
    }
    first_fold(pool, run_id).await
}

fn decoded(run_id: RunId, found: &Checkpoint) -> Result<Aggregator, VerifyError> {
    let failed = |reason: String| VerifyError::Checkpoint { run_id, reason };
    let payload =
        zstd::decode_all(found.payload_zstd.as_slice()).map_err(|e| failed(e.to_string()))?;
    checkpoint::decode(found.format_version, &payload, &found.payload_hash)
        .map(|read| read.fold)
        .map_err(|e| failed(e.to_string()))
}

/// The first symbol and column in which published rows are not those of a cut; none when they belong to
/// another generation, or are the same.
fn first_place(published: &[StateRow], cut: &StateCut) -> Option<Place> {
    if published.first()?.generation_id != cut.generation_id {
        return None;
    }
    let mut symbols: Vec<&str> =
        published.iter().chain(&cut.rows).map(|row| row.symbol.as_str()).collect();
    symbols.sort_unstable();
    symbols.dedup();
    let of = |rows: &'_ [StateRow], symbol: &str| {
        let row = rows.iter().find(|row| row.symbol.as_str() == symbol)?;
        let mut text = String::new();
        canonical_text(row, &mut text);
        Some(text)
    };
    symbols.into_iter().find_map(|symbol| {
        let names = || COLUMNS.iter().map(|c| c.name).filter(|name| *name != "generation_id");
        match (of(published, symbol), of(&cut.rows, symbol)) {
            (Some(stored), Some(made)) => {
                let pairs = stored.split(FIELD_ENDS).zip(made.split(FIELD_ENDS));
                let (column, (expected, got)) =
                    names().zip(pairs).find(|(_, (expected, got))| expected != got)?;
                Some(Place {
                    symbol: symbol.to_owned(),
                    column,
                    expected: expected.to_owned(),
                    got: got.to_owned(),
                })
            }
            (stored, made) => {
                let word = |side: &Option<String>| {
                    if side.is_some() { "present" } else { "absent" }.to_owned()
                };
                let (expected, got) = (word(&stored), word(&made));
                Some(Place { symbol: symbol.to_owned(), column: "row", expected, got })
            }
        }
    })
}

/// Ends of fields and of rows in the canonical text.
const FIELD_ENDS: [char; 2] = ['\u{1f}', '\u{1e}'];
