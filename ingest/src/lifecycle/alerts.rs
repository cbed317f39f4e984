//! The alerts of this service: what is wrong now, or was a short while ago, for its heartbeat row and its console.
//!
//! Inputs: conditions that begin and end, and things that happened; markers of a start that is refused. Output: the
//! active alerts as the array of the heartbeat, lines on the console; messages only while execution, which delivers
//! them otherwise, is missing. One alert per reason: a repetition raises its count. An alert ends when none of its
//! conditions holds and its last occurrence is older than the window.

use penstock_alerts::board::{Occurrence, Place};
use penstock_alerts::console::Console;
use penstock_alerts::reasons::reason_of;
use penstock_alerts::run::{self, External, Parts};
use penstock_alerts::{AlertSource, Metrics, NoRows, Running, Settings};
use penstock_telemetry::{Marker, MarkerWatch, watch_markers};
use penstock_types::vocab::{ReasonCode, StageName, SysMode};

use crate::exit::Exit;

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
    const fn code(self) -> ReasonCode {
        match self {
            Self::DbUnavailable => ReasonCode::DbUnavailable,
            Self::RawDataLoss => ReasonCode::RawDataLoss,
            Self::PublishFailed => ReasonCode::IngestPublishFailed,
            Self::SpoolBacklog => ReasonCode::SpoolBacklog,
            Self::FeedGap => ReasonCode::IngestFeedGap,
            Self::EpochNotValid => ReasonCode::EpochNotValid,
            Self::ExecutionHeartbeatMissing => ReasonCode::ExecutionHeartbeatMissing,
            Self::ClockDrift => ReasonCode::ClockDriftWarn,
        }
    }
}

/// Markers that nothing else here raises an alert for: the process ends after them.
const fn ends_the_process(marker: Marker) -> bool {
    matches!(
        marker,
        Marker::INGEST_FENCED_OUT
            | Marker::TICK_CLOCK_BEHIND
            | Marker::DB_ROLE_URL_MISMATCH
            | Marker::DB_DUAL_ROLE_AMBIGUOUS_IDENTICAL_LIVE_IDENTITY
            | Marker::DB_MIGRATIONS_FAILED
    )
}

/// A handle for every part that notices something.
#[derive(Debug, Clone)]
pub(crate) struct Alerts {
    hub: penstock_alerts::Alerts,
}

/// The tasks behind, and the listener of markers.
#[derive(Debug)]
pub(crate) struct Alerting {
    running: Running,
    _watch: MarkerWatch,
}

impl Alerts {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { hub: penstock_alerts::Alerts::new(settings) }
    }

    /// Starts console and messages.
    ///
    /// # Errors
    /// [`Exit::Invariant`] when a thread or the HTTP client cannot be had.
    pub(crate) fn start(&self) -> Result<Alerting, Exit> {
        let failed = |e: &dyn std::fmt::Display| Exit::Invariant(format!("start the alerts: {e}"));
        let console = Console::start(self.hub.settings().bell).map_err(|e| failed(&e))?;
        let parts = Parts {
            rows: NoRows,
            console,
            stored: Vec::new(),
            external: External::While(ReasonCode::ExecutionHeartbeatMissing),
        };
        let running = run::start(&self.hub, parts).map_err(|e| failed(&e))?;
        let hub = self.hub.clone();
        let watch = watch_markers(
            |marker, _| ends_the_process(marker),
            move |marker, _, _| {
                if let Some(reason) = reason_of(AlertSource::Ingest, marker) {
                    hub.raise(hub.occurrence(reason, marker.as_str()));
                }
            },
        )
        .map_err(|e| failed(&e))?;
        Ok(Alerting { running, _watch: watch })
    }

    /// Something happened that is over already.
    pub(crate) fn occurred(&self, reason: Reason, summary: &str, metrics: serde_json::Value) {
        let occurrence = self.hub.occurrence(reason.code(), summary);
        self.hub.raise(occurrence.with_metrics(Metrics::of(&metrics)));
    }

    /// A condition holds from now on; told again it changes nothing but the count.
    pub(crate) fn begins(&self, reason: Reason, condition: &'static str, summary: &str) {
        self.hub.begins(self.hub.occurrence(reason.code(), summary), condition);
    }

    /// A condition holds no longer.
    pub(crate) fn ends(&self, reason: Reason, condition: &'static str) {
        self.hub.ends(reason.code(), "", condition);
    }

    /// The active alerts, for the heartbeat.
    pub(crate) fn rows(&self, run_id: i64) -> serde_json::Value {
        self.hub.set_run(run_id);
        self.hub.expire();
        self.hub.heartbeat()
    }

    /// Waits until an alert opens, escalates or ends: the next heartbeat is due at once then.
    pub(crate) async fn changed(&self) {
        self.hub.changed().await;
    }

    /// The alert of an end that was not asked for goes out by this process itself.
    async fn last_words(&self, exit: &Exit) {
        let active = self.hub.active();
        let is_open = |reason| active.iter().any(|alert| alert.reason_code == reason);
        let reason = match exit {
            Exit::Invariant(_) => ReasonCode::InvariantViolation,
            // A start beside a living holder ends with the same status and is no alert.
            Exit::Fenced(_) if is_open(ReasonCode::SingleWriterLost) => {
                ReasonCode::SingleWriterLost
            }
            Exit::Fenced(_) if is_open(ReasonCode::IngestPublishFailed) => {
                ReasonCode::IngestPublishFailed
            }
            Exit::Fenced(_)
            | Exit::RunDuration { .. }
            | Exit::Unavailable { .. }
            | Exit::RestartLoop
            | Exit::Refused(_) => return,
        };
        let (settings, code) = (self.hub.settings().clone(), exit.code());
        let say = move || say_last(&settings, reason, &format!("ingest ends, exit {code}"));
        // It has a time limit of its own.
        let _ = tokio::task::spawn_blocking(say).await;
    }
}

impl Alerting {
    /// Ends with the service; `outcome` is how it ended.
    pub(crate) async fn finish(self, alerts: &Alerts, outcome: &Result<(), Exit>) {
        if let Err(exit) = outcome {
            alerts.last_words(exit).await;
        }
        self.running.finish(false).await;
    }
}

/// The alert of a process that ends without its tasks.
pub(crate) fn say_last(settings: &Settings, reason: ReasonCode, summary: &str) {
    let occurrence = Occurrence::new(AlertSource::Ingest, reason, summary);
    let place = Place { stage: StageName::Shutdown, sys_mode: SysMode::Exit };
    penstock_alerts::last_words::say(settings, occurrence, place);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::time::Duration;

    /// Alerts with a window, that reach nobody.
    pub(crate) fn with_window(window: Duration) -> Alerts {
        Alerts::new(Settings {
            sender: AlertSource::Ingest,
            times: penstock_alerts::board::Times {
                repeat_ms: 60_000,
                window_ms: i64::try_from(window.as_millis()).unwrap(),
            },
            capacity: 16,
            cooldown_ms: 0,
            timeout: Duration::from_secs(1),
            bell: None,
            sinks: Vec::new(),
            redactor: Default::default(),
        })
    }

    fn codes(rows: &serde_json::Value) -> Vec<String> {
        let rows = rows.as_array().unwrap();
        rows.iter().map(|r| r["reason_code"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_repetition_counts_and_the_highest_severity_comes_first() {
        let alerts = with_window(Duration::from_secs(900));
        alerts.occurred(Reason::FeedGap, "130 s", serde_json::json!({"gap_secs": 130}));
        alerts.occurred(Reason::FeedGap, "140 s", serde_json::json!({"gap_secs": 140}));
        alerts.occurred(Reason::DbUnavailable, "gone", serde_json::json!({}));
        let rows = alerts.rows(17);
        assert_eq!(codes(&rows), ["DB_UNAVAILABLE", "INGEST_FEED_GAP"]);
        assert_eq!((&rows[1]["count"], &rows[1]["severity"]), (&2.into(), &"WARN".into()));
        assert_eq!(rows[1]["metrics"]["gap_secs"], 140);
    }

    #[test]
    fn a_handle_ends_one_of_two_conditions_and_the_other_still_holds() {
        let alerts = with_window(Duration::ZERO);
        alerts.begins(Reason::SpoolBacklog, "fill", "82 %");
        alerts.begins(Reason::SpoolBacklog, "load", "20 s behind");
        alerts.ends(Reason::SpoolBacklog, "fill");
        assert_eq!(codes(&alerts.rows(1)), ["SPOOL_BACKLOG"]);
        alerts.ends(Reason::SpoolBacklog, "load");
        assert_eq!(codes(&alerts.rows(1)).len(), 0);
    }
}
