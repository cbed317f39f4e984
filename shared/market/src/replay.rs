//! Deriving generations again: recorded rows and recorded cut times through the same fold.
//!
//! Rows come in the order of their numbers; before a cut all rows up to its watermark are folded in.
//! Every cut of the run must be given, published or not: hysteresis and times of change step at cuts.

use crate::aggregator::{Aggregator, StateCut};
use penstock_types::raw::RawRow;
use penstock_types::{GenerationId, LineageId, Seq, UtcMicros};

/// A cut as the recording tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCut {
    /// Number.
    pub generation_id: GenerationId,
    /// Lineage at the cut.
    pub lineage_id: LineageId,
    /// Time of the cut.
    pub as_of: UtcMicros,
    /// Newest number folded in.
    pub wm_seq: Seq,
    /// Nothing up to the watermark was shed or refused.
    pub raw_complete: bool,
    /// SHA-256 that was published.
    pub content_hash: [u8; 32],
}

/// What a derived generation says about the recorded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The hashes match.
    Equal,
    /// Rows up to the watermark are missing, so nothing is proven.
    Incomplete,
    /// The hashes differ.
    Different,
}

/// Result of one cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// What was recorded.
    pub recorded: RecordedCut,
    /// What the rows give.
    pub cut: StateCut,
    /// Comparison.
    pub verdict: Verdict,
}

/// Folds `rows` into `aggregator` and makes each of `cuts`, ascending by watermark; `each` gets the
/// results in order and stops the replay by returning false.
///
/// # Errors
/// The first error of `rows`.
pub fn replay<E>(
    aggregator: &mut Aggregator,
    rows: impl IntoIterator<Item = Result<RawRow, E>>,
    cuts: impl IntoIterator<Item = RecordedCut>,
    mut each: impl FnMut(Derived) -> bool,
) -> Result<(), E> {
    let mut rows = rows.into_iter().peekable();
    for recorded in cuts {
        let is_due =
            |row: &Result<RawRow, E>| row.as_ref().map_or(true, |r| r.seq <= recorded.wm_seq);
        while let Some(row) = rows.next_if(is_due) {
            aggregator.apply(&row?);
        }
        let derived = derive(aggregator, &recorded);
        if !each(derived) {
            break;
        }
    }
    Ok(())
}

/// Makes one recorded cut on a fold that has taken the rows up to its watermark.
#[must_use]
pub fn derive(aggregator: &mut Aggregator, recorded: &RecordedCut) -> Derived {
    let cut = aggregator.cut(recorded.generation_id, recorded.as_of, recorded.lineage_id);
    let verdict = if !recorded.raw_complete || cut.wm_seq != recorded.wm_seq {
        Verdict::Incomplete
    } else if cut.content_hash == recorded.content_hash {
        Verdict::Equal
    } else {
        Verdict::Different
    };
    Derived { recorded: recorded.clone(), cut, verdict }
}
