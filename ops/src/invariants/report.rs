//! Verdicts: true, false with the first findings, or none when nothing was looked at.

use serde::Serialize;
use std::collections::BTreeMap;

/// Findings kept per invariant; the count of all stands beside them.
const FINDINGS_KEPT_MAX: usize = 20;

penstock_types::closed_vocabulary! {
    /// An invariant by its name.
    pub Invariant {
        /// An order's row is committed before the first byte of its request.
        J1 = "J1",
        /// At most one accepted venue order per order row.
        J2 = "J2",
        /// The fills are exactly the venue's trades.
        J3 = "J3",
        /// Position = Σ fills = balances.
        J4 = "J4",
        /// The position is covered by a stop but for the grace.
        J5 = "J5",
        /// Entries rest on fresh data of one generation.
        J6 = "J6",
        /// Fencing tokens at the venue never go back.
        J7 = "J7",
        /// Generations of decisions are whole and never go back.
        J8 = "J8",
        /// Quotes are the venue's book of that moment.
        J9 = "J9",
        /// Time covered = data ∪ gap rows.
        J10 = "J10",
        /// What was recorded gives the same decisions and generations again.
        J11 = "J11",
        /// The frame chain is whole.
        J12 = "J12",
        /// A lost guarantee ends entries within its time.
        J13 = "J13",
        /// After a fault the mode is NORMAL again within its time, without a human.
        J14 = "J14",
        /// Nothing grows beyond its declared limit.
        J15 = "J15",
    }
}

/// The invariants of every run, with staged faults or without.
pub const OF_A_RUN: [Invariant; 12] = [
    Invariant::J1,
    Invariant::J2,
    Invariant::J3,
    Invariant::J4,
    Invariant::J5,
    Invariant::J6,
    Invariant::J7,
    Invariant::J8,
    Invariant::J9,
    Invariant::J10,
    Invariant::J11,
    Invariant::J12,
];

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding(pub String);

/// Result of one invariant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Items looked at.
    pub judged: u64,
    /// Items that broke it.
    pub broken: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Counts an item.
    pub fn saw(&mut self) {
        self.judged += 1;
    }

    /// Counts an item and, when `ok` is false, its finding.
    pub fn check(&mut self, ok: bool, finding: impl FnOnce() -> String) {
        self.judged += 1;
        if !ok {
            self.fail(finding());
        }
    }

    /// Adds a finding without counting an item.
    pub fn fail(&mut self, finding: String) {
        self.broken += 1;
        if self.findings.len() < FINDINGS_KEPT_MAX {
            self.findings.push(Finding(finding));
        }
    }

    /// True or false, `None` when nothing was looked at and nothing is wrong.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        match (self.broken, self.judged) {
            (0, 0) => None,
            (broken, _) => Some(broken == 0),
        }
    }
}

/// All verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    verdicts: BTreeMap<Invariant, Verdict>,
}

impl Report {
    /// Stores a verdict.
    pub(crate) fn put(&mut self, invariant: Invariant, verdict: Verdict) {
        self.verdicts.insert(invariant, verdict);
    }

    /// A verdict.
    #[must_use]
    pub fn verdict(&self, invariant: Invariant) -> Option<&Verdict> {
        self.verdicts.get(&invariant)
    }

    /// `{"J1":true,…}`; null for what saw nothing.
    #[must_use]
    pub fn invariants_json(&self) -> serde_json::Value {
        let pairs = self.verdicts.iter();
        pairs
            .map(|(name, v)| (name.as_str().to_owned(), serde_json::Value::from(v.holds())))
            .collect()
    }

    /// `{"J1":n,…}`.
    #[must_use]
    pub fn judged_json(&self) -> serde_json::Value {
        let pairs = self.verdicts.iter();
        pairs
            .map(|(name, v)| (name.as_str().to_owned(), serde_json::Value::from(v.judged)))
            .collect()
    }

    /// Every finding with its invariant.
    pub fn findings(&self) -> impl Iterator<Item = (Invariant, &str)> {
        self.verdicts
            .iter()
            .flat_map(|(name, v)| v.findings.iter().map(|finding| (*name, finding.0.as_str())))
    }

    /// No invariant is false, and each of `needed` looked at something.
    #[must_use]
    pub fn passes(&self, needed: &[Invariant]) -> bool {
        let none_false = self.verdicts.values().all(|v| v.holds() != Some(false));
        let all_judged = needed.iter().all(|name| {
            self.verdicts.get(name).is_some_and(|v| v.holds() == Some(true) && v.judged > 0)
        });
        none_false && all_judged
    }
}
