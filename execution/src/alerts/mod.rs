//! Alerts of execution: what raises them here, and the tasks that deliver them.
//!
//! Purpose: every part raises through [`Context::alerts`](crate::context::Context) and waits for nothing. Inputs:
//! markers as they are emitted, the active causes of the mode, ingest's heartbeat, figures of the database. Outputs:
//! rows of `alerts`, console lines, messages. Invariants: nothing here changes the mode, sends an order or is waited for
//! by what does; what ingest says is checked before it is repeated.

mod figures;
mod ingest;
mod markers;
mod store;
pub(crate) mod trail;

use std::io::IsTerminal as _;
use std::time::Duration;

use penstock_alerts::board::Place;
use penstock_alerts::console::Console;
use penstock_alerts::run::{self, External, Parts};
use penstock_alerts::{AlertSource, Alerts, Running, Settings};
use penstock_config::Config;
use penstock_telemetry::MarkerWatch;
use penstock_trading::mode::CauseCode;
use penstock_types::vocab::{ReasonCode, ReasonFamily, Severity, StageName};
use tokio::task::JoinHandle;

use crate::context::Context;
use crate::exit::{self, StartError};
use crate::mode::ModeHandle;

use store::DecisionRows;

/// How often the causes of the mode are looked at; they are judged as often.
const CAUSES_EVERY: Duration = Duration::from_millis(250);
/// Condition of an alert whose cause is active.
const CAUSE: &str = "cause of the mode";

/// The alerts of a session; delivered from [`start`] on.
#[must_use]
pub fn alerts_of(config: &Config, mode: &ModeHandle) -> Alerts {
    let alerts = Alerts::new(Settings::of(config, AlertSource::Execution));
    let mode = mode.clone();
    // The supervisor of exits is where the process is when nothing else says where.
    alerts.set_place(move || Place { stage: StageName::PositionManage, sys_mode: mode.current() });
    alerts
}

/// The running tasks of a session.
#[derive(Debug)]
pub struct Alerting {
    running: Running,
    watch: MarkerWatch,
    tasks: Vec<JoinHandle<()>>,
}

/// Takes over what the last session left and starts the tasks.
///
/// # Errors
/// [`StartError`] when the database or the HTTP client refuses.
pub async fn start(context: &Context) -> Result<Alerting, StartError> {
    let refused = |e: &dyn std::fmt::Display| StartError::Refused(format!("alerts: {e}"));
    let audit = context.audit.clone();
    // Whoever raises waits for nothing: an event that finds no room is counted by the trail.
    context.alerts.set_listener(move |alert| {
        audit.post(trail::event(alert));
    });
    let stored = store::stored(&context.pool).await?;
    let (lines, bell) = (context.audit.console_lines(), context.alerts.settings().bell);
    let console = Console::over(lines, std::io::stderr().is_terminal(), bell);
    let console = console.map_err(|e| refused(&e))?;
    let parts = Parts {
        rows: DecisionRows { pool: context.pool.clone() },
        console,
        stored,
        external: External::Always,
    };
    let running = run::start(&context.alerts, parts).map_err(|e| refused(&e))?;
    let watch = markers::watch(&context.alerts).map_err(|e| refused(&e))?;
    let tasks = vec![
        tokio::spawn(run_causes(context.clone())),
        tokio::spawn(ingest::run_looks(context.clone())),
        tokio::spawn(figures::run_figures(context.clone())),
    ];
    Ok(Alerting { running, watch, tasks })
}

impl Alerting {
    /// Ends with the session: what was raised goes out once more, the alert of this end among it. A process that has
    /// lost its fence writes no row any more.
    pub async fn finish(self, alerts: &Alerts, code: u8, keeps_rows: bool) {
        for task in self.tasks {
            task.abort();
        }
        drop(self.watch);
        let reason = match code {
            exit::INVARIANT => Some((ReasonCode::InvariantViolation, "broken invariant, exit 70")),
            exit::FENCED => Some((ReasonCode::SingleWriterLost, "the fence is lost, exit 75")),
            _ => None,
        };
        if let Some((reason, summary)) = reason {
            alerts.begins_unless_told(alerts.occurrence(reason, summary), "end of the process");
        }
        self.running.finish(keeps_rows).await;
    }
}

/// Causes that are alerts of their own when they become active without a change of the mode.
fn alerts_by_itself(reason: ReasonCode) -> bool {
    reason.severity() == Severity::Crit
        || reason.family() == ReasonFamily::AiGate
        || matches!(
            reason,
            ReasonCode::RateLimit429 | ReasonCode::DiskLowDegrade | ReasonCode::DbWriterQueueHigh
        )
}

/// Raises each such cause once when it becomes active, and keeps its alert active for as long as it is.
async fn run_causes(context: Context) {
    let mut ticks = tokio::time::interval(CAUSES_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while context.end.run_until_cancelled(ticks.tick()).await.is_some() {
        look_at_causes(&context.mode, &context.alerts);
    }
}

/// One look at the causes.
pub fn look_at_causes(mode: &ModeHandle, alerts: &Alerts) {
    for code in CauseCode::ALL {
        let Ok(reason) = ReasonCode::parse(code.as_str()) else { continue };
        if !alerts_by_itself(reason) {
            continue;
        }
        match (mode.is_active(*code), alerts.holds(reason, CAUSE)) {
            (true, false) => {
                let occurrence = alerts.occurrence(reason, reason.meaning());
                alerts.begins_unless_told(occurrence, CAUSE);
            }
            (false, true) => alerts.ends(reason, "", CAUSE),
            (true, true) | (false, false) => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::mode::ModeHandle;
    use penstock_alerts::board::Times;
    use penstock_trading::mode::{Level, ModeTiming, Thresholds};

    /// Alerts that reach nobody and end with their conditions.
    pub(crate) fn quiet() -> Alerts {
        Alerts::new(Settings {
            sender: AlertSource::Execution,
            times: Times { repeat_ms: 60_000, window_ms: 0 },
            capacity: 16,
            cooldown_ms: 0,
            timeout: Duration::from_secs(1),
            bell: None,
            sinks: Vec::new(),
            redactor: Default::default(),
        })
    }

    /// Reason, count and severity of what is active.
    pub(crate) fn active(alerts: &Alerts) -> Vec<(ReasonCode, i64)> {
        alerts.expire();
        alerts.active().iter().map(|a| (a.reason_code, a.count)).collect()
    }

    fn mode() -> (ModeHandle, crate::mode::Changes) {
        let timing = ModeTiming { stable_window_ms: 60_000, pause_auto_recover_feed: true };
        ModeHandle::new(timing, Thresholds::default())
    }

    #[test]
    fn a_cause_that_changes_no_mode_is_an_alert_once_and_for_as_long_as_it_is_active() {
        let (alerts, (mode, _changes)) = (quiet(), mode());
        mode.raise(CauseCode::ProtectionMissing, Level::Degrade, None);
        mode.raise(CauseCode::EpochNotValid, Level::Degrade, None);
        for _ in 0..3 {
            look_at_causes(&mode, &alerts);
        }
        assert_eq!(active(&alerts), [(ReasonCode::ProtectionMissing, 1)], "a missing epoch is not");
        mode.clear(CauseCode::ProtectionMissing);
        look_at_causes(&mode, &alerts);
        assert_eq!(active(&alerts), []);
    }

    /// One test of the listener: it belongs to the process.
    #[test]
    fn a_change_of_the_mode_and_a_critical_marker_are_one_alert_each() {
        let (alerts, (mode, _changes)) = (quiet(), mode());
        let watch = markers::watch(&alerts).unwrap();
        mode.raise(CauseCode::WsStalePause, Level::Pause, Some("frames 10001 ms".to_owned()));
        look_at_causes(&mode, &alerts);
        penstock_telemetry::marker!(
            ORDER_OVERFILL,
            order_id = 12,
            symbol = "BTC/USD",
            error = "text of a venue"
        );
        penstock_telemetry::marker!(EXPOSURE_DETECTED, reason = "other", positions = 1);
        drop(watch);
        let seen = alerts.active();
        let changed = seen.iter().find(|a| a.reason_code == ReasonCode::WsStalePause).unwrap();
        assert_eq!((changed.count, changed.severity), (1, Severity::Crit), "not twice");
        assert_eq!(changed.reasons[1], ReasonCode::EnterPause);
        assert_eq!(changed.summary.as_str(), "mode DEGRADE to PAUSE");
        let marked = seen.iter().find(|a| a.reason_code == ReasonCode::LedgerMismatch).unwrap();
        assert_eq!(marked.symbol.as_str(), "BTC/USD");
        assert_eq!(marked.summary.as_str(), "ORDER_OVERFILL order_id 12");
        assert_eq!(seen.len(), 2, "{seen:?}");
    }
}
