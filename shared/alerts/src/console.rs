//! Alerts on standard error, and the bell.
//!
//! Input: alerts. Output: one line each, `ts stage sys_mode severity reason symbol summary` with one blank between the
//! fields, an absent one being `-`; inverse video on a terminal, WARN yellow and CRIT red; a bell when it is asked for
//! and there is a terminal. Invariants: one thread writes; whoever hands a line over never waits, a line that finds the
//! queue full is dropped and counted.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use metrics::counter;
use penstock_types::UtcMicros;
use penstock_types::vocab::Severity;

use crate::board::Open;

/// Lines that may wait: a screen and its history; who reads them reads no more.
const QUEUE_LINES_LIMIT: usize = 1_024;
/// Width of a stage, the longest word of its vocabulary.
const STAGE_WIDTH: usize = 20;
/// Longest summary of a line, in characters.
const SUMMARY_CHARS_MAX: usize = 80;
/// Longest wait for the last lines.
const LAST_LINES_WAIT: Duration = Duration::from_millis(500);

enum Message {
    Line(String),
    Flush(SyncSender<()>),
}

/// The console of a process.
#[derive(Debug, Clone)]
pub struct Console {
    lines: SyncSender<Message>,
    is_terminal: bool,
    bell: Option<Severity>,
}

impl Console {
    /// On standard error; `bell` is the least severity that rings.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(bell: Option<Severity>) -> std::io::Result<Self> {
        let is_terminal = std::io::stderr().is_terminal();
        Self::over(Box::new(std::io::stderr()), is_terminal, bell)
    }

    /// On anything that can be written to.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn over(
        out: Box<dyn Write + Send>,
        is_terminal: bool,
        bell: Option<Severity>,
    ) -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(QUEUE_LINES_LIMIT);
        let name = "alert-console".to_owned();
        std::thread::Builder::new().name(name).spawn(move || write(out, &waiting))?;
        Ok(Self { lines, is_terminal, bell })
    }

    /// Shows an alert.
    pub fn show(&self, alert: &Open) {
        let bell = self.is_terminal && self.bell.is_some_and(|least| alert.severity >= least);
        let line = shown(&line_of(alert), alert.severity, self.is_terminal, bell);
        if self.lines.try_send(Message::Line(line)).is_err() {
            counter!("alert_console_lines_dropped_total").increment(1);
        }
    }

    /// Waits a moment for what was handed over to be written.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.lines.try_send(Message::Flush(done)).is_ok() {
            // A terminal that takes nothing must not keep the process from ending.
            let _ = wait.recv_timeout(LAST_LINES_WAIT);
        }
    }
}

fn write(mut out: Box<dyn Write + Send>, lines: &Receiver<Message>) {
    while let Ok(message) = lines.recv() {
        match message {
            // A console that cannot be written to has nowhere to complain; the other ways out go on.
            Message::Line(line) => drop(out.write_all(line.as_bytes()).and_then(|()| out.flush())),
            // Who asked may have stopped waiting.
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

/// The line of an alert without colour and line end.
#[must_use]
pub fn line_of(alert: &Open) -> String {
    let at = UtcMicros::from_millis(alert.last_ms).to_chrono().unwrap_or_default();
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let summary: String = alert.summary.as_str().chars().take(SUMMARY_CHARS_MAX).collect();
    format!(
        "{at} {:<STAGE_WIDTH$} {} {} {} {} {}",
        alert.place.stage.as_str(),
        alert.place.sys_mode,
        alert.severity,
        alert.id.key.reason,
        or_dash(alert.id.key.symbol.as_str()),
        or_dash(&summary),
    )
}

fn shown(line: &str, severity: Severity, is_terminal: bool, bell: bool) -> String {
    let bell = if bell { "\u{7}" } else { "" };
    match severity {
        Severity::Warn if is_terminal => format!("\u{1b}[7;33m{line}\u{1b}[0m{bell}\n"),
        Severity::Crit if is_terminal => format!("\u{1b}[7;31m{line}\u{1b}[0m{bell}\n"),
        Severity::Info | Severity::Warn | Severity::Crit => format!("{line}{bell}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::tests::open;
    use penstock_types::vocab::ReasonCode;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(is_terminal: bool, bell: Option<Severity>, reason: ReasonCode) -> String {
        let memory = Memory::default();
        let console = Console::over(Box::new(memory.clone()), is_terminal, bell).unwrap();
        console.show(&open(reason, "", 1));
        console.flush();
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_its_fields_in_order_and_a_dash_for_what_is_absent() {
        let line = written(false, Some(Severity::Info), ReasonCode::SpoolBacklog);
        assert_eq!(
            line,
            "2023-11-14T22:13:20.000Z POSITION_MANAGE      NORMAL WARN SPOOL_BACKLOG - something\n"
        );
    }

    #[test]
    fn a_terminal_shows_colour_and_rings_from_the_least_severity_on() {
        let crit = written(true, Some(Severity::Crit), ReasonCode::LedgerMismatch);
        assert!(crit.starts_with("\u{1b}[7;31m") && crit.ends_with("\u{1b}[0m\u{7}\n"), "{crit:?}");
        let warn = written(true, Some(Severity::Crit), ReasonCode::SpoolBacklog);
        assert!(warn.starts_with("\u{1b}[7;33m") && warn.ends_with("\u{1b}[0m\n"), "{warn:?}");
        let info = written(true, None, ReasonCode::EnterNormal);
        assert!(!info.contains('\u{1b}') && !info.contains('\u{7}'), "{info:?}");
    }
}
