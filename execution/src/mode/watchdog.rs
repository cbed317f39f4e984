//! The watchdog: a thread of its own that judges silences every 250 ms.
//!
//! Purpose: see a stuck runtime from outside it. Inputs: progress of the loops, the board of quotes, free
//! bytes, the trail's figures.
//! Outputs: causes on the board, the mode's windows. Invariants: it waits for nothing but its own beat: no task, no
//! lock that is held across an await, no file; it ends when its handle is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use penstock_trading::mode::Signal;

use super::ModeHandle;
use crate::progress::LoopName;
use crate::quotes::QuoteBoard;

/// How often the signals are judged: a quarter of a second is the resolution of every limit.
pub const WATCHDOG_EVERY: Duration = Duration::from_millis(250);

/// The running thread.
#[derive(Debug)]
pub struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no further thread.
    pub fn start(mode: ModeHandle, quotes: QuoteBoard) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("mode-watchdog".to_owned()).spawn(move || {
                let started = Instant::now();
                while !ends.load(Ordering::Acquire) {
                    look(&mode, &quotes, started);
                    std::thread::park_timeout(WATCHDOG_EVERY);
                }
            })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to give back; its end is at most one look away.
            let _ = thread.join();
        }
    }
}

/// One look at everything that is judged by time alone. The frames' silence counts from the start until the first.
pub(crate) fn look(mode: &ModeHandle, quotes: &QuoteBoard, started: Instant) {
    let progress = mode.progress();
    let since_start = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    let frames_ms = quotes.table().data_age_ms().unwrap_or(since_start);
    let trail = progress.trail();
    let has_trail = trail.queue_capacity > 0;
    let fill_pct = trail.queue_pct_x10000() / 10_000;
    mode.watch([
        (Signal::ExitLoopSilence, progress.silent_ms(LoopName::ExitSupervisor)),
        (Signal::EvaluationLoopSilence, progress.silent_ms(LoopName::Evaluation)),
        (Signal::MarketDataAge, Some(frames_ms)),
        (Signal::RestAge, progress.truth_age_ms()),
        (Signal::DiskFree, progress.disk_free_bytes()),
        (Signal::AuditQueue, has_trail.then_some(fill_pct)),
        (Signal::AuditLag, has_trail.then_some(trail.lag_ms)),
    ]);
}
