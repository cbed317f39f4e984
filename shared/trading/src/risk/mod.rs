//! The risk gate: numbered rules in their order, every hit recorded, the last word before the plan.
//!
//! Purpose: refuse an entry that a rule forbids. Inputs: settings, counters and ages of one symbol, the
//! decision with its inputs, what the AI gate said, costs and size. Outputs: a verdict and its hits.
//! Invariants: pure; end the list, all others are judged whatever the ones before found; it
//! may refuse after a permission and never permits after a refusal; absolute and relative caps are rules
//! of their own, so the smaller one acts; only entries are judged here, a risk-reducing order never is.

mod case;
pub mod counters;
mod hits;
mod inputs;
mod kill;
mod rule;
mod rules;
mod settings;
mod verdict;

pub use penstock_contracts::edge::AdaptiveEdge;

pub use case::{Edge, RiskCase, judge};
pub use hits::{RiskHit, blocker_of};
pub use inputs::{Correlations, RiskInputs, RiskSource, held_symbols, holds};
pub use kill::kill_switch;
pub use rule::Rule;
pub use rules::{BALANCE_AGE_MS_MAX, CORRELATED_MIN, safety_code};
pub use settings::RiskSettings;

#[cfg(test)]
mod tests;

#[cfg(test)]
#[test]
fn rule_matrix() {
    tests::rule_matrix();
}

#[cfg(test)]
#[test]
fn final_word() {
    tests::final_word();
}

#[cfg(test)]
#[test]
fn adaptive_vectors() {
    tests::adaptive_vectors();
}

#[cfg(test)]
#[test]
fn counters_over_time() {
    tests::counters_over_time();
}
