//! The alerts of this service: what is wrong now, or was a short while ago, for its heartbeat row.
//!
//! Inputs: conditions that begin and end, and things that happened, each with its time. Output: the
//! active alerts as the array of the heartbeat, highest severity first, then the newest. One alert per
//! reason: a repetition raises its count. An alert ends when none of its conditions holds and its last
//! occurrence is older than the window. It sends nothing: execution reads the row and delivers.

use penstock_types::UtcMicros;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Reasons that ingest raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    DbUnavailable,
    RawDataLoss,
    PublishFailed,
    SpoolBacklog,
    FeedGap,
    EpochNotValid,
    ExecutionHeartbeatMissing,
    ClockDrift,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::DbUnavailable => "DB_UNAVAILABLE",
            Self::RawDataLoss => "RAW_DATA_LOSS",
            Self::PublishFailed => "INGEST_PUBLISH_FAILED",
            Self::SpoolBacklog => "SPOOL_BACKLOG",
            Self::FeedGap => "INGEST_FEED_GAP",
            Self::EpochNotValid => "EPOCH_NOT_VALID",
            Self::ExecutionHeartbeatMissing => "EXECUTION_HEARTBEAT_MISSING",
            Self::ClockDrift => "CLOCK_DRIFT_WARN",
        }
    }

    const fn is_critical(self) -> bool {
        match self {
            Self::DbUnavailable
            | Self::RawDataLoss
            | Self::PublishFailed
            | Self::ExecutionHeartbeatMissing => true,
            Self::SpoolBacklog | Self::FeedGap | Self::EpochNotValid | Self::ClockDrift => false,
        }
    }

    const fn severity(self) -> &'static str {
        if self.is_critical() { "CRIT" } else { "WARN" }
    }
}

#[derive(Debug)]
struct Alert {
    summary: String,
    metrics: serde_json::Value,
    count: u64,
    first: UtcMicros,
    last: UtcMicros,
    /// Conditions that hold.
    held_by: BTreeSet<&'static str>,
}

/// Longest summary, in characters.
const SUMMARY_CHARS_MAX: usize = 200;

/// The active alerts.
#[derive(Debug, Default)]
struct Book {
    alerts: BTreeMap<Reason, Alert>,
}

impl Book {
    /// Notes an occurrence; true when an alert opened.
    fn occurred(
        &mut self,
        reason: Reason,
        summary: &str,
        metrics: serde_json::Value,
        at: UtcMicros,
    ) -> bool {
        let is_new = !self.alerts.contains_key(&reason);
        let alert = self.alerts.entry(reason).or_insert_with(|| Alert {
            summary: String::new(),
            metrics: json!({}),
            count: 0,
            first: at,
            last: at,
            held_by: BTreeSet::new(),
        });
        alert.summary = summary.chars().take(SUMMARY_CHARS_MAX).collect();
        alert.metrics = metrics;
        alert.count += 1;
        alert.last = alert.last.max(at);
        is_new
    }

    /// Lets go what has ended; true when something went.
    fn expire(&mut self, now: UtcMicros, window: Duration) -> bool {
        let before = self.alerts.len();
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        self.alerts.retain(|_, a| !a.held_by.is_empty() || now.millis_since(a.last) < window_ms);
        self.alerts.len() != before
    }

    fn rows(&self, run_id: i64) -> serde_json::Value {
        let mut active: Vec<(&Reason, &Alert)> = self.alerts.iter().collect();
        active.sort_by_key(|(reason, alert)| (!reason.is_critical(), -alert.last.0));
        let row = |(reason, alert): (&Reason, &Alert)| {
            json!({
                "v": 1,
                "reason_code": reason.as_str(),
                "reasons": [reason.as_str()],
                "severity": reason.severity(),
                "symbol": "",
                "summary": alert.summary,
                "count": alert.count,
                "first_ts_ms": alert.first.millis(),
                "last_ts_ms": alert.last.millis(),
                "run_id": run_id,
                "metrics": alert.metrics,
            })
        };
        active.into_iter().map(row).collect()
    }
}

/// A handle for every part that notices something.
#[derive(Debug, Clone)]
pub(crate) struct Alerts {
    book: Arc<Mutex<Book>>,
    changed: Arc<Notify>,
    window: Duration,
}

impl Alerts {
    pub(crate) fn new(window: Duration) -> Self {
        Self { book: Arc::default(), changed: Arc::default(), window }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Book) -> T) -> T {
        // Every change of the book is one assignment after another; none can be left half made.
        f(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something happened that is over already.
    pub(crate) fn occurred(&self, reason: Reason, summary: &str, metrics: serde_json::Value) {
        let at = UtcMicros::from(chrono::Utc::now());
        if self.with(|book| book.occurred(reason, summary, metrics, at)) {
            self.changed.notify_one();
        }
    }

    /// A condition holds from now on; told again it changes nothing but the count.
    pub(crate) fn begins(&self, reason: Reason, condition: &'static str, summary: &str) {
        let at = UtcMicros::from(chrono::Utc::now());
        let is_new = self.with(|book| {
            let is_new = book.occurred(reason, summary, json!({}), at);
            let held_by = book.alerts.get_mut(&reason).map(|a| &mut a.held_by);
            is_new | held_by.is_some_and(|held_by| held_by.insert(condition))
        });
        if is_new {
            self.changed.notify_one();
        }
    }

    /// A condition holds no longer.
    pub(crate) fn ends(&self, reason: Reason, condition: &'static str) {
        self.with(|book| {
            if let Some(alert) = book.alerts.get_mut(&reason)
                && alert.held_by.remove(condition)
            {
                alert.last = alert.last.max(UtcMicros::from(chrono::Utc::now()));
            }
        });
    }

    /// The active alerts, for the heartbeat.
    pub(crate) fn rows(&self, run_id: i64) -> serde_json::Value {
        let now = UtcMicros::from(chrono::Utc::now());
        self.with(|book| {
            book.expire(now, self.window);
            book.rows(run_id)
        })
    }

    /// Waits until an alert opens: the next heartbeat is due at once then.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn codes(rows: &serde_json::Value) -> Vec<String> {
        let rows = rows.as_array().unwrap();
        rows.iter().map(|r| r["reason_code"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_repetition_counts_and_the_highest_severity_comes_first() {
        let mut book = Book::default();
        book.occurred(Reason::DbUnavailable, "gone", json!({}), UtcMicros(SECOND));
        book.occurred(Reason::FeedGap, "130 s", json!({"gap_secs": 130}), UtcMicros(2 * SECOND));
        let is_new = book.occurred(
            Reason::FeedGap,
            "140 s",
            json!({"gap_secs": 140}),
            UtcMicros(3 * SECOND),
        );
        let rows = book.rows(17);
        assert!(!is_new);
        assert_eq!(codes(&rows), ["DB_UNAVAILABLE", "INGEST_FEED_GAP"]);
        assert_eq!(rows[1]["count"], 2);
        assert_eq!(rows[1]["first_ts_ms"], 2_000);
        assert_eq!(rows[1]["last_ts_ms"], 3_000);
        assert_eq!(rows[1]["metrics"]["gap_secs"], 140);
        assert_eq!((&rows[1]["run_id"], &rows[1]["severity"]), (&json!(17), &json!("WARN")));
    }

    #[test]
    fn an_alert_stays_while_a_condition_holds_and_for_the_window_after_it() {
        let window = Duration::from_secs(900);
        let mut book = Book::default();
        book.occurred(Reason::SpoolBacklog, "82 %", json!({}), UtcMicros(0));
        book.alerts.get_mut(&Reason::SpoolBacklog).unwrap().held_by.insert("fill");
        assert!(!book.expire(UtcMicros(5_000 * SECOND), window), "the condition holds");
        book.alerts.get_mut(&Reason::SpoolBacklog).unwrap().held_by.clear();
        book.alerts.get_mut(&Reason::SpoolBacklog).unwrap().last = UtcMicros(5_000 * SECOND);
        assert!(!book.expire(UtcMicros(5_899 * SECOND), window));
        assert!(book.expire(UtcMicros(5_900 * SECOND), window));
        assert_eq!(codes(&book.rows(1)).len(), 0);
    }

    #[test]
    fn a_handle_ends_one_of_two_conditions_and_the_other_still_holds() {
        let alerts = Alerts::new(Duration::ZERO);
        alerts.begins(Reason::SpoolBacklog, "fill", "82 %");
        alerts.begins(Reason::SpoolBacklog, "load", "20 s behind");
        alerts.ends(Reason::SpoolBacklog, "fill");
        assert_eq!(codes(&alerts.rows(1)), ["SPOOL_BACKLOG"]);
        alerts.ends(Reason::SpoolBacklog, "load");
        assert_eq!(codes(&alerts.rows(1)).len(), 0);
    }
}
