//! Something that happened, as it is raised.
//!
//! Input: what the part that raises knows. Output: an occurrence for the board. Invariants: every reason stands once,
//! its own first; a symbol that is none is left out.

use penstock_contracts::alert::{AlertSource, Metrics, REASONS_MAX, Summary, SymbolText};
use penstock_types::vocab::{ReasonCode, Severity, StageName};

use super::Key;
use crate::sink::SinkName;

/// What an alert speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ids {
    /// Run, or 0.
    pub run_id: i64,
    /// Evaluation, or 0.
    pub cycle_id: i64,
    /// Decision, or empty.
    pub decision_id: String,
    /// Intent, or empty.
    pub order_intent_id: String,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// Source, own reason, symbol.
    pub key: Key,
    /// Further reasons.
    pub also: Vec<ReasonCode>,
    /// Severity is at least this.
    pub at_least: Severity,
    /// In words and numbers.
    pub summary: Summary,
    /// Numbers and ids.
    pub metrics: Metrics,
    /// What it speaks of.
    pub ids: Ids,
    /// Where the service was, when it is not where it usually is.
    pub stage: Option<StageName>,
    /// Ways out that are not told, because it speaks of them.
    pub not_through: Option<SinkName>,
}

impl Occurrence {
    /// Of a reason, with what happened.
    #[must_use]
    pub fn new(source: AlertSource, reason: ReasonCode, summary: &str) -> Self {
        Self {
            key: Key::of(source, reason),
            also: Vec::new(),
            at_least: Severity::Info,
            summary: Summary::of(summary),
            metrics: Metrics::default(),
            ids: Ids::default(),
            stage: None,
            not_through: None,
        }
    }

    /// Of a symbol; one that is none leaves it without.
    #[must_use]
    pub fn of_symbol(mut self, symbol: &str) -> Self {
        self.key.symbol = SymbolText::parse(symbol).unwrap_or_default();
        self
    }

    /// With numbers and ids.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// With further reasons.
    #[must_use]
    pub fn with_reasons(mut self, also: impl IntoIterator<Item = ReasonCode>) -> Self {
        self.also.extend(also);
        self
    }

    /// At least as bad as this.
    #[must_use]
    pub const fn at_least(mut self, severity: Severity) -> Self {
        self.at_least = severity;
        self
    }

    /// Every reason once, its own first.
    pub(super) fn reasons(&self) -> Vec<ReasonCode> {
        let mut reasons = vec![self.key.reason];
        for reason in &self.also {
            if !reasons.contains(reason) && reasons.len() < REASONS_MAX {
                reasons.push(*reason);
            }
        }
        reasons
    }
}
