//! What stands in the table of gates, and what of it a cycle changes.
//!
//! Purpose: a row for every pool symbol, written when something of it changed. Inputs: the gates of a
//! decision, the sets of its universe, what the last look before a submit said. Outputs: rows. Invariants: a
//! symbol outside the universe has the reason that ingest gave; a row that a start finds is not overwritten
//! by the mode that every start begins in, so that its time outlasts a restart; a start that stays in that
//! mode is a block of its own and is written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use penstock_store::StoreError;
use penstock_store_decision::symbol_gates::{self, GateRow, UniverseSets};
use penstock_trading::decide::outcome::{Outcome, SymbolGate};
use penstock_trading::decide::unit::GateUnit;
use penstock_trading::gates::Choke;
use penstock_types::SnapshotId;
use penstock_types::vocab::{Blocker, ReasonCode, StageName, SysMode};
use sqlx::PgPool;

use super::stored::SecondRead;

/// Stable windows within which a start has to reach NORMAL for its mode not to count as a closed gate: a
/// recovery with many orders takes several of them.
const START_WINDOWS_MAX: u32 = 10;
/// A start has this long whatever the window: reading back and catching up do not depend on it.
const START_AT_LEAST: Duration = Duration::from_secs(120);

/// Rows as they stand, and the universe of the last binding.
#[derive(Debug)]
pub(super) struct GateBook {
    standing: Option<BTreeMap<String, GateRow>>,
    universe: Option<(SnapshotId, UniverseSets)>,
    was_normal: bool,
    started: Instant,
    start_within: Duration,
}

impl GateBook {
    /// Nothing read yet; the mode improves after this window.
    pub(super) fn new(stable_window: Duration) -> Self {
        Self {
            standing: None,
            universe: None,
            was_normal: false,
            started: Instant::now(),
            start_within: stable_window.saturating_mul(START_WINDOWS_MAX).max(START_AT_LEAST),
        }
    }

    /// Reads what this session has not seen yet: the rows once, the universe at each new binding.
    pub(super) async fn look(
        &mut self,
        pool: &PgPool,
        domain: &str,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        if self.standing.is_none() {
            let rows = symbol_gates::stored(pool, domain).await?;
            let by_symbol = rows.into_iter().map(|row| (row.symbol.clone(), row)).collect();
            self.standing = Some(by_symbol);
        }
        let Some(binding) = &outcome.assessment.binding else { return Ok(()) };
        if self.universe.as_ref().is_none_or(|(id, _)| *id != binding.snapshot_id) {
            let sets = symbol_gates::universe(pool, binding.snapshot_id).await?;
            self.universe = sets.map(|sets| (binding.snapshot_id, sets));
        }
        Ok(())
    }

    /// Rows that the cycle changes.
    pub(super) fn changed(&mut self, outcome: &Outcome, reads: &[SecondRead]) -> Vec<GateRow> {
        self.was_normal |= outcome.sys_mode == SysMode::Normal;
        let mut rows: BTreeMap<String, GateRow> =
            outcome.gates.iter().map(gate_row).map(|row| (row.symbol.clone(), row)).collect();
        for read in reads {
            if let Choke::Skip(reason) | Choke::Halt(reason) = read.choke {
                let row = coded(read.symbol.as_str(), reason, StageName::ExecuteIntent);
                rows.insert(row.symbol.clone(), row);
            }
        }
        if let Some((_, sets)) = &self.universe {
            // Without a binding every published symbol has a gate; those outside the last universe keep theirs.
            rows.extend(self.outside(sets).into_iter().map(|row| (row.symbol.clone(), row)));
        }
        let is_start = !self.was_normal && self.started.elapsed() < self.start_within;
        rows.retain(|symbol, row| match self.standing.as_ref().and_then(|s| s.get(symbol)) {
            None => true,
            Some(before) => {
                let hides = is_start && is_of_the_mode(row) && !is_of_the_mode(before);
                before != row && !hides
            }
        });
        rows.into_values().collect()
    }

    /// Rows of symbols that are known and not in the universe: of the pool, and of those with a row.
    fn outside(&self, sets: &UniverseSets) -> Vec<GateRow> {
        let inside: BTreeSet<&str> = sets.execution.iter().map(String::as_str).collect();
        let known = self.standing.iter().flat_map(BTreeMap::keys);
        let symbols: BTreeSet<&str> =
            sets.tracked.iter().chain(known).map(String::as_str).collect();
        let codes = left_out(sets);
        let tracked: BTreeSet<&str> = sets.tracked.iter().map(String::as_str).collect();
        let row = |symbol: &&str| {
            // A pool symbol without a reason has no book; one that the universe does not know is not listed.
            let has_no_book = tracked.contains(symbol);
            let otherwise =
                if has_no_book { ReasonCode::UniverseWsDown } else { ReasonCode::UniverseStatus };
            let code = codes.get(symbol).copied().unwrap_or(otherwise);
            coded(symbol, code, StageName::UniverseScan)
        };
        symbols.iter().filter(|symbol| !inside.contains(*symbol)).map(row).collect()
    }

    /// The rows stand now.
    pub(super) fn written(&mut self, rows: &[GateRow]) {
        let standing = self.standing.get_or_insert_default();
        standing.extend(rows.iter().map(|row| (row.symbol.clone(), row.clone())));
    }
}

/// Symbols with the reason that ingest left them out for: of several the first by its name, as `penstock why` takes it. A
/// word that is none of the catalog is dropped.
fn left_out(sets: &UniverseSets) -> BTreeMap<&str, ReasonCode> {
    let mut codes = BTreeMap::new();
    for (code, symbols) in sets.excluded.as_object().into_iter().flatten() {
        let Ok(code) = ReasonCode::parse(code) else { continue };
        for symbol in symbols.as_array().into_iter().flatten().filter_map(|s| s.as_str()) {
            codes.entry(symbol).or_insert(code);
        }
    }
    codes
}

fn is_of_the_mode(row: &GateRow) -> bool {
    row.gate.as_deref() == Some(Blocker::ModeBlocked.as_str())
}

/// A row whose gate is a reason of the catalog; a hard block has the blocker's name.
fn coded(symbol: &str, code: ReasonCode, stage: StageName) -> GateRow {
    let gate = match code {
        ReasonCode::SymbolHardBlocked => Blocker::HardBlocked.as_str().to_owned(),
        other => other.to_string(),
    };
    let is_outside = stage == StageName::UniverseScan;
    let number = |n: i64| is_outside.then(|| penstock_types::Decimal::from(n));
    GateRow {
        symbol: symbol.to_owned(),
        reason: Some(code.to_string()),
        stage: Some(stage.to_string()),
        // It has to be in the universe and is not.
        value: number(0),
        limit: number(1),
        unit: is_outside.then(|| GateUnit::Flag.as_str().to_owned()),
        closed: vec![gate.clone()],
        gate: Some(gate),
    }
}

/// A symbol that only its rank closed has the rank's code as its gate.
fn gate_row(g: &SymbolGate) -> GateRow {
    let gate = g
        .blocker
        .map(|b| b.as_str().to_owned())
        .or_else(|| g.reason.map(|reason| reason.to_string()));
    let mut closed: Vec<String> = g.closed.iter().map(|b| b.as_str().to_owned()).collect();
    if let Some(gate) = gate.as_ref().filter(|gate| !closed.contains(gate)) {
        closed.insert(0, gate.clone());
    }
    GateRow {
        symbol: g.symbol.as_str().to_owned(),
        reason: gate.as_ref().and(g.reason).map(|reason| reason.to_string()),
        stage: Some(g.stage.to_string()),
        value: g.value,
        limit: g.limit,
        unit: g.unit.clone(),
        closed,
        gate,
    }
}
