//! The runs whose frames are delivered: their rows stand before the first frame that refers to them.
//!
//! Inputs: the own runs of this process, one after the other, and those that earlier processes left.
//! Output: what has to be written with the next frames of a run. After a commit of unknown outcome
//! everything is written again; rows that stand are found equal.

use penstock_store::spool::frame_records::RunRecord;
use penstock_store::twins::RunSymbolRow;
use penstock_store_decision::frames::FramePrerequisites;
use penstock_types::RunId;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
struct Known {
    of: RunRecord,
    symbols: Vec<RunSymbolRow>,
    /// Symbols that are known to stand.
    sent: usize,
    /// Run and lineage are not known to stand.
    is_due: bool,
}

impl Known {
    fn new(of: RunRecord, symbols: Vec<RunSymbolRow>) -> Self {
        Self { of, symbols, sent: 0, is_due: true }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct FrameRuns {
    known: BTreeMap<RunId, Known>,
    newest: RunId,
}

impl FrameRuns {
    /// The first own run.
    pub(super) fn new(own: RunRecord) -> Self {
        let newest = own.run.run_id;
        Self { known: BTreeMap::from([(newest, Known::new(own, Vec::new()))]), newest }
    }

    /// A run that an earlier process left.
    pub(super) fn inherit(&mut self, of: RunRecord, symbols: Vec<RunSymbolRow>) {
        self.known.insert(of.run.run_id, Known::new(of, symbols));
    }

    /// The next own run begins.
    pub(super) fn begin(&mut self, own: RunRecord) {
        self.newest = own.run.run_id;
        self.known.insert(self.newest, Known::new(own, Vec::new()));
    }

    /// A number of an own run.
    pub(super) fn symbol(&mut self, row: RunSymbolRow) {
        if let Some(known) = self.known.get_mut(&row.run_id) {
            known.symbols.push(row);
        }
    }

    /// What the next frames of a run need.
    pub(super) fn prerequisites(&self, run_id: RunId) -> FramePrerequisites<'_> {
        let known = self.known.get(&run_id).expect("a run is known before its first frame");
        FramePrerequisites {
            run: known.is_due.then_some((&known.of.run, &known.of.lineage)),
            run_symbols: &known.symbols[known.sent..],
        }
    }

    /// Frames of a run stand, with everything that they needed.
    pub(super) fn delivered(&mut self, run_id: RunId) {
        if let Some(known) = self.known.get_mut(&run_id) {
            (known.is_due, known.sent) = (false, known.symbols.len());
        }
    }

    /// Nothing is known to stand any more.
    pub(super) fn doubt(&mut self) {
        for known in self.known.values_mut() {
            (known.is_due, known.sent) = (true, 0);
        }
    }

    /// Forgets the runs that no waiting frame belongs to, but for the newest own one.
    pub(super) fn forget_but(&mut self, waiting: &BTreeSet<RunId>) -> Vec<RunId> {
        let newest = self.newest;
        let is_over = |run_id: &RunId| *run_id != newest && !waiting.contains(run_id);
        let gone: Vec<RunId> = self.known.keys().copied().filter(is_over).collect();
        for run_id in &gone {
            self.known.remove(run_id);
        }
        gone
    }

    /// Only the newest own run is known.
    pub(super) fn is_single(&self) -> bool {
        self.known.len() == 1
    }
}
