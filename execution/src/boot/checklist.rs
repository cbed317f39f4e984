//! The checklist: its items, and what findings about them mean together.
//!
//! Purpose: one verdict. Inputs: a finding for each item. Outputs: passed, waiting or failed, with the items.
//! Invariants: an item without a finding is waited for; one that failed outweighs all that wait. Pure.

use std::collections::BTreeMap;

use penstock_types::closed_vocabulary;

closed_vocabulary! {
    /// An item. Schema, identity of the clusters and limits are no items here: a start that fails them has ended.
    pub Item {
        /// The decision cluster takes writes.
        DecisionDb = "decision_db",
        /// The trail's directory takes lines and syncs them.
        Jsonl = "jsonl",
        /// More is free than the limit of DEGRADE.
        Disk = "disk",
        /// The venue's rules are loaded.
        Rules = "rules",
        /// Our clock is near the venue's.
        Clock = "clock",
        /// Frames come.
        Frames = "frames",
        /// The private stream is whole.
        PrivateStream = "private_stream",
        /// The start's reconcile is done.
        Reconcile = "reconcile",
        /// No order's outcome is open.
        OrdersKnown = "orders_known",
        /// The panel listens.
        Panel = "panel",
    }
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It holds.
    Holds,
    /// It does not hold yet, and will by itself.
    NotYet,
    /// It does not hold, and a person has to act.
    Fails,
}

/// All findings.
pub type Findings = BTreeMap<Item, Finding>;

/// What they mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything holds.
    Passed,
    /// These are waited for.
    Waiting(Vec<Item>),
    /// These failed.
    Failed(Vec<Item>),
}

/// Judges the findings.
#[must_use]
pub fn judge(findings: &Findings) -> Verdict {
    let of = |item: &Item| findings.get(item).copied().unwrap_or(Finding::NotYet);
    let with = |wanted: Finding| -> Vec<Item> {
        Item::ALL.iter().copied().filter(|item| of(item) == wanted).collect()
    };
    let failed = with(Finding::Fails);
    if !failed.is_empty() {
        return Verdict::Failed(failed);
    }
    let waiting = with(Finding::NotYet);
    if waiting.is_empty() { Verdict::Passed } else { Verdict::Waiting(waiting) }
}

/// Names of items, for people.
#[must_use]
pub fn names(items: &[Item]) -> String {
    items.iter().map(|item| item.as_str()).collect::<Vec<_>>().join(", ")
}
