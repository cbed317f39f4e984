//! Hits of rules, collected with what was measured and what the limit was.
//!
//! Input: comparisons. Output: [`RiskHit`]s in the order in which they were found. Invariants: a hit
//! carries a reason of its rule; one rule may be hit more than once.

use penstock_types::Decimal;
use penstock_types::vocab::{Blocker, ReasonCode};
use serde::{Deserialize, Serialize};

use super::rule::Rule;

/// A rule that was hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskHit {
    /// Number of the rule.
    pub rule: i64,
    /// Reason code.
    pub code: ReasonCode,
    /// Measured value, where there is one.
    pub value: Option<Decimal>,
    /// Its limit.
    pub limit: Option<Decimal>,
}

/// Hits of one rule.
#[derive(Debug)]
pub(super) struct Hits {
    rule: Rule,
    found: Vec<RiskHit>,
}

impl Hits {
    /// None yet.
    pub(super) const fn of(rule: Rule) -> Self {
        Self { rule, found: Vec::new() }
    }

    /// What was found.
    pub(super) fn finish(self) -> Vec<RiskHit> {
        self.found
    }

    /// A hit without a measured value.
    pub(super) fn plain(&mut self, code: ReasonCode) {
        self.add(code, None, None);
    }

    /// A hit.
    pub(super) fn add(&mut self, code: ReasonCode, value: Option<Decimal>, limit: Option<Decimal>) {
        let short = |d: Option<Decimal>| d.map(|d| d.normalize());
        let (value, limit) = (short(value), short(limit));
        self.found.push(RiskHit { rule: self.rule.number(), code, value, limit });
    }

    /// A hit when the value reaches the limit.
    pub(super) fn at_least(&mut self, code: ReasonCode, value: i64, limit: i64) {
        if value >= limit {
            self.add(code, Some(value.into()), Some(limit.into()));
        }
    }

    /// A hit when the value passes the limit.
    pub(super) fn above(&mut self, code: ReasonCode, value: Decimal, limit: Decimal) {
        if value > limit {
            self.add(code, Some(value), Some(limit));
        }
    }

    /// A hit when the age passes the limit, or when there is none.
    pub(super) fn older(&mut self, code: ReasonCode, age_ms: Option<i64>, limit_ms: i64) {
        if age_ms.is_none_or(|age| age > limit_ms) {
            self.add(code, age_ms.map(Decimal::from), Some(limit_ms.into()));
        }
    }
}

/// Blocker that the hits show as: the strongest of theirs.
#[must_use]
pub fn blocker_of(hits: &[RiskHit]) -> Option<Blocker> {
    hits.iter()
        .map(|hit| {
            Rule::of_number(hit.rule).map_or(Blocker::RiskBlocked, |rule| rule.blocker(hit.code))
        })
        .min_by_key(|b| (b.rank(), *b))
}
