//! Alerts as documents: what a receiver of alerts gets, and what a service says of its own alerts in its heartbeat.
//!
//! Input: JSON of the other service or of a database row. Output: values within their limits, or why an entry is
//! dropped. Invariants: a text has no control character and a length, because it is shown on a terminal; the first
//! reason is the alert's own; the severity is never below that of any reason; one bad entry of a heartbeat drops no
//! other. It raises nothing and delivers nothing.

mod parts;

pub use parts::{METRICS_MAX, Metric, Metrics, SUMMARY_CHARS_MAX, Summary, SymbolText, V1};

use crate::invalid::{Checks, Invalid, first, unreadable};
use crate::shape::contract;
use crate::units::TsMs;
use penstock_types::canonical::INTEGER_MAX;
use penstock_types::vocab::{ReasonCode, Severity, StageName, SysMode};
use penstock_types::{EvaluationId, RunId, closed_vocabulary};
use serde_json::Value;

/// Most reasons of an alert: every cause of a mode at once, and some.
pub const REASONS_MAX: usize = 64;

/// Most alerts of a heartbeat; its table refuses more.
pub const HEARTBEAT_ALERTS_MAX: usize = 64;

closed_vocabulary! {
    /// Whose alert it is.
    pub AlertSource {
        /// `run-execution-live`.
        Execution = "execution",
        /// `run-ingest`.
        Ingest = "ingest",
    }
}

contract! {
    /// An alert. It is identified by source, reason code, symbol and first time
    pub Alert {
        /// Version of this document
        v: V1,
        /// Whose alert it is
        source: AlertSource,
        /// Which service delivers it
        sender: AlertSource,
        /// How bad it is
        severity: Severity,
        /// Its own reason, the first of all
        reason_code: ReasonCode,
        /// Every reason, its own first
        reasons: Vec<ReasonCode>,
        /// Pair, or empty
        symbol: SymbolText,
        /// Where the service was
        stage: StageName,
        /// Mode of execution; of ingest's own messages NORMAL
        sys_mode: SysMode,
        /// What happened, in words and numbers
        summary: Summary,
        /// How often
        count: i64,
        /// First time
        first_ts_ms: TsMs,
        /// Newest time
        last_ts_ms: TsMs,
        /// Run, or 0
        run_id: RunId,
        /// Evaluation, or 0
        cycle_id: EvaluationId,
        /// Decision, or empty
        decision_id: String,
        /// Intent, or empty
        order_intent_id: String,
        /// Its condition holds, or its window is open
        active: bool,
        /// Numbers and ids
        metrics: Metrics,
    }
}

contract! {
    /// An alert of a service in its heartbeat
    pub HeartbeatAlert {
        /// Version of this document
        v: V1,
        /// Its own reason, the first of all
        reason_code: ReasonCode,
        /// Every reason, its own first
        reasons: Vec<ReasonCode>,
        /// How bad it is
        severity: Severity,
        /// Pair, or empty
        symbol: SymbolText,
        /// What happened, in words and numbers
        summary: Summary,
        /// How often
        count: i64,
        /// First time
        first_ts_ms: TsMs,
        /// Newest time
        last_ts_ms: TsMs,
        /// Run, or 0
        run_id: RunId,
        /// Numbers and ids
        metrics: Metrics,
    }
}

/// Severity of reasons by themselves: the highest of them.
#[must_use]
pub fn severity_of(reasons: &[ReasonCode]) -> Severity {
    reasons.iter().map(|reason| reason.severity()).max().unwrap_or(Severity::Info)
}

/// What both documents keep to.
struct Common<'a> {
    reason_code: ReasonCode,
    reasons: &'a [ReasonCode],
    severity: Severity,
    count: i64,
    first: TsMs,
    last: TsMs,
    run_id: RunId,
    cycle_id: EvaluationId,
}

impl Common<'_> {
    fn breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        let number = i64::try_from(self.reasons.len()).unwrap_or(i64::MAX);
        checks.range("reasons", number, 1, i64::try_from(REASONS_MAX).unwrap_or(i64::MAX));
        checks.value("reasons", self.reasons.first() == Some(&self.reason_code), || {
            format!("the first is not {}", self.reason_code)
        });
        let mut sorted = self.reasons.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        checks
            .value("reasons", sorted.len() == self.reasons.len(), || "one stands twice".to_owned());
        let own = !matches!(self.reason_code, ReasonCode::Ok | ReasonCode::AlertRaised);
        checks
            .value("reason_code", own, || format!("{} is never an alert's own", self.reason_code));
        let least = severity_of(self.reasons);
        checks.value("severity", self.severity >= least, || {
            format!("{} is below {least}, which its reasons have", self.severity)
        });
        checks.range("count", self.count, 1, INTEGER_MAX);
        checks.range("first_ts_ms", self.first.0, 0, self.last.0);
        checks.range("last_ts_ms", self.last.0, 0, INTEGER_MAX);
        checks.range("run_id", self.run_id.0, 0, INTEGER_MAX);
        checks.range("cycle_id", self.cycle_id.0, 0, INTEGER_MAX);
        checks.finish()
    }
}

impl Alert {
    /// Reads a document.
    ///
    /// # Errors
    /// [`Invalid`] naming the first breach.
    pub fn read(bytes: &[u8]) -> Result<Self, Invalid> {
        let read: Self = serde_json::from_slice(bytes).map_err(|e| unreadable("alert", &e))?;
        first(read.breaches())?;
        Ok(read)
    }

    /// Every rule that it breaks.
    #[must_use]
    pub fn breaches(&self) -> Vec<Invalid> {
        let common = Common {
            reason_code: self.reason_code,
            reasons: &self.reasons,
            severity: self.severity,
            count: self.count,
            first: self.first_ts_ms,
            last: self.last_ts_ms,
            run_id: self.run_id,
            cycle_id: self.cycle_id,
        };
        common.breaches()
    }
}

impl HeartbeatAlert {
    /// Reads one entry.
    ///
    /// # Errors
    /// [`Invalid`] naming the first breach.
    pub fn read(value: &Value) -> Result<Self, Invalid> {
        use serde::Deserialize;
        let read = Self::deserialize(value).map_err(|e| unreadable("alerts", &e))?;
        first(read.breaches())?;
        Ok(read)
    }

    /// Every rule that it breaks.
    #[must_use]
    pub fn breaches(&self) -> Vec<Invalid> {
        let common = Common {
            reason_code: self.reason_code,
            reasons: &self.reasons,
            severity: self.severity,
            count: self.count,
            first: self.first_ts_ms,
            last: self.last_ts_ms,
            run_id: self.run_id,
            cycle_id: EvaluationId(0),
        };
        common.breaches()
    }
}

/// Reads the alerts of a heartbeat: those that keep to their form, and why each other one is dropped. A second entry
/// of the same reason and symbol is dropped too.
#[must_use]
pub fn read_heartbeat(alerts: &Value) -> (Vec<HeartbeatAlert>, Vec<Invalid>) {
    let refused = |problem: &str| Invalid {
        field: "alerts",
        problem: problem.to_owned(),
        reason: ReasonCode::StratInputInvalid,
    };
    let Some(entries) = alerts.as_array() else {
        return (Vec::new(), vec![refused("is not a list")]);
    };
    let (mut read, mut dropped) = (Vec::<HeartbeatAlert>::new(), Vec::new());
    for entry in entries.iter().take(HEARTBEAT_ALERTS_MAX) {
        match HeartbeatAlert::read(entry) {
            Ok(alert) => {
                let known = |other: &HeartbeatAlert| {
                    other.reason_code == alert.reason_code && other.symbol == alert.symbol
                };
                if read.iter().any(known) {
                    dropped.push(refused("names a reason and a symbol for the second time"));
                } else {
                    read.push(alert);
                }
            }
            Err(invalid) => dropped.push(invalid),
        }
    }
    if entries.len() > HEARTBEAT_ALERTS_MAX {
        dropped.push(refused(&format!("has {} entries, at most 64", entries.len())));
    }
    (read, dropped)
}

#[cfg(test)]
mod tests;
