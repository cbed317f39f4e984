//! The task that turns the writer's state into causes of the mode and into DB_WRITER_BACKPRESSURE.
//!
//! Input: figures, every tenth of a second. Output: causes, an event at each change of the pressure and, with
//! drops, once a minute. Invariants: a disk that refuses, or that has not acknowledged for two seconds, is a
//! PAUSE; no space is said as what it is; a cause ends when what caused it has, the pause ends by the
//! operator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_audit::Draft;
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};
use tokio_util::sync::CancellationToken;

use super::handle::{AuditFigures, AuditHandle, Shared};
use super::pressure::Pressure;
use crate::mode::{ModeHandle, Source};
use crate::progress::TrailFigures;

/// How often the figures are judged.
const EVERY: Duration = Duration::from_millis(100);
/// Longest wait for an acknowledgement before nothing is taken for written any more.
const ACK_MAX: Duration = Duration::from_secs(2);
/// Least time between two events about drops.
const DROPS_EVERY: Duration = Duration::from_secs(60);

/// Judges until the end.
pub(crate) async fn run(shared: Arc<Shared>, mode: ModeHandle, end: CancellationToken) {
    let mut monitor = Monitor {
        handle: AuditHandle { shared },
        mode,
        pressure: Pressure::Ok,
        is_faulty: false,
        is_full: false,
        drops: 0,
        drops_said: Instant::now(),
    };
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // The end first: a stopping process changes no mode any more.
        tokio::select! {
            biased;
            () = end.cancelled() => return,
            _ = every.tick() => monitor.look(),
        }
    }
}

/// The same figures for the samples of health.
fn trail(figures: &AuditFigures, capacity: usize) -> TrailFigures {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let total = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    TrailFigures {
        queue_len: count(figures.queue_len),
        queue_capacity: count(capacity),
        lag_ms: figures.lag_ms,
        events_total: total(figures.events),
        drops_total: total(figures.lost.total()),
    }
}

struct Monitor {
    handle: AuditHandle,
    mode: ModeHandle,
    pressure: Pressure,
    is_faulty: bool,
    is_full: bool,
    drops: u64,
    drops_said: Instant,
}

impl Monitor {
    fn look(&mut self) {
        self.judge_files();
        self.judge_pressure();
    }

    fn judge_files(&mut self) {
        let fault = self.handle.shared.fault();
        let waited = self.handle.shared.waited();
        let value = match &fault {
            Some(fault) => Some(fault.message.clone()),
            None if waited > ACK_MAX => {
                Some(format!("no acknowledgement for {} ms", waited.as_millis()))
            }
            None => None,
        };
        let is_no_space = fault.is_some_and(|fault| fault.is_no_space);
        let is_faulty = value.is_some();
        let set = |code, is_active, value| {
            self.mode.set_from(Source::Audit, code, Level::Pause, is_active, value);
        };
        // Raised again for as long as it lasts: the operator's word does not make a disk write.
        if is_no_space || self.is_full {
            set(CauseCode::DiskLowPause, is_no_space, value.clone());
        }
        if is_faulty || self.is_faulty {
            set(CauseCode::AuditChainBroken, is_faulty, value);
        }
        (self.is_faulty, self.is_full) = (is_faulty, is_no_space);
    }

    fn judge_pressure(&mut self) {
        let figures = self.handle.figures();
        self.mode.progress().found_trail(trail(&figures, self.handle.shared.limits.capacity));
        let value = Some(format!("{} waiting, lag {} ms", figures.queue_len, figures.lag_ms));
        let changed = figures.pressure != self.pressure;
        if changed || figures.pressure != Pressure::Ok {
            let set = |code, level, is_active| {
                self.mode.set_from(Source::Audit, code, level, is_active, value.clone());
            };
            let (high, full) = (CauseCode::DbWriterQueueHigh, CauseCode::DbWriterQueueFull);
            set(full, Level::Pause, figures.pressure == Pressure::Full);
            set(high, Level::Degrade, figures.pressure == Pressure::High);
        }
        let drops = figures.lost.total();
        let drops_due = drops > self.drops && self.drops_said.elapsed() >= DROPS_EVERY;
        if !changed && !drops_due {
            return;
        }
        self.pressure = figures.pressure;
        let reasons = match figures.pressure {
            Pressure::Ok => vec![ReasonCode::DbWriterBackpressure],
            Pressure::High => vec![ReasonCode::DbWriterQueueHigh],
            Pressure::Full => vec![ReasonCode::DbWriterQueueFull],
        };
        let now = chrono::Utc::now().timestamp_millis();
        let draft =
            Draft::new(StageName::PositionManage, AuditEventType::DbWriterBackpressure, now)
                .with("queue_pct_x10000", figures.queue_pct_x10000)
                .with("queue_len", figures.queue_len)
                .with("lag_ms", figures.lag_ms)
                .with("action", figures.pressure.action())
                .with("drops_total", drops)
                .with("drops_delta", drops - self.drops);
        (self.drops, self.drops_said) = (drops, Instant::now());
        self.handle.post(Draft { reasons, ..draft });
    }
}
