//! Something that happened, as it is raised.
//!
//! Input: what the part that raises knows. Output: an occurrence for the board. Invariants: every reason stands once,
//! its own first; a symbol that is none is left out.

use penstock_audit::redact::{REDACTED, Redactor};
use penstock_contracts::alert::{AlertSource, Metric, Metrics, REASONS_MAX, Summary, SymbolText};
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

    /// Without what must not be kept: a summary is cut, figures go as a whole, a symbol that is a secret is none.
    pub(crate) fn redacted(mut self, redactor: &Redactor) -> Self {
        self.summary = Summary::of(&redactor.text(self.summary.as_str()));
        let symbol = self.key.symbol.as_str();
        if redactor.text(symbol) != symbol {
            self.key.symbol = SymbolText::default();
        }
        let is_tainted = |metric: &Metric| match metric {
            Metric::Text(text) => redactor.text(text) != *text,
            Metric::Flag(_) | Metric::Number(_) => false,
        };
        if self.metrics.map().values().any(is_tainted) {
            self.metrics = Metrics::default().with("metrics", REDACTED);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    #[test]
    fn a_secret_is_told_in_none_of_its_texts_even_when_it_looks_like_a_symbol() {
        let secret = SecretString::from("kSx9+pQ/averylongkey00");
        let redactor = Redactor::default().with_secrets([&secret]);
        let raised = |text: &str| {
            Occurrence::new(AlertSource::Execution, ReasonCode::DbUnavailable, text)
                .of_symbol(text)
                .with_metrics(Metrics::default().with("value", text))
                .redacted(&redactor)
        };
        let told = format!("{:?}", raised("kSx9+pQ/averylongkey00"));
        assert!(!told.contains("averylongkey"), "{told}");
        assert_eq!(raised("BTC/USD").key.symbol.as_str(), "BTC/USD");
    }
}
