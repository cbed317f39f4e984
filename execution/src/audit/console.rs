//! Stages on stderr, from the same events that go into the trail.
//!
//! Input: redacted events, the configured form. Output: `ts stage symbol cycle decision summary`, one blank
//! between the fields, `-` for what is absent; one line per change, or one line that is written anew, or
//! nothing. Lines of alerts take the same way, so that they end a line in work before they stand. Invariants: never more than 80 characters of summary, never a payload, never what redaction
//! took out; a terminal that does not read costs lines and no time.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use penstock_audit::Event;
use penstock_config::table::execution::ConsoleStage;
use penstock_types::Symbol;
use penstock_types::vocab::AuditEventType;

/// Lines that may wait for a terminal.
const LINES_MAX: usize = 256;
/// Longest summary in characters.
pub const SUMMARY_CHARS_MAX: usize = 80;
/// Width of the stage's field: the longest stage has 20 letters.
const STAGE_WIDTH: usize = 20;
/// Longest wait for lines that were handed over.
const FLUSH_WAIT: Duration = Duration::from_millis(500);
/// Back to the start of the line, and erase to its end.
const REWRITE: &str = "\r\u{1b}[K";

/// Where stages are shown. Clones write to the same place.
#[derive(Debug, Clone)]
pub struct Console {
    lines: Option<SyncSender<Shown>>,
}

#[derive(Debug)]
enum Shown {
    Stage(String),
    Other(String),
    /// Answered when everything before it was written.
    Flush(SyncSender<()>),
}

impl Console {
    /// Stderr, as configured.
    #[must_use]
    pub fn stderr(form: ConsoleStage) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self::start(form, is_terminal, Box::new(std::io::stderr()))
    }

    /// Any place; `is_terminal` says that a line can be written anew there.
    #[must_use]
    pub fn start(form: ConsoleStage, is_terminal: bool, out: Box<dyn Write + Send>) -> Self {
        let (lines, receiver) = sync_channel(LINES_MAX);
        let writer = Writer {
            form,
            rewrites: form == ConsoleStage::Update && is_terminal,
            is_open: false,
            out,
        };
        let started = std::thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || writer.run(&receiver));
        // Without a thread the stages are in the trail all the same.
        Self { lines: started.is_ok().then_some(lines) }
    }

    /// Shows an event, if it is the change of a stage.
    pub(crate) fn stage(&self, event: &Event) {
        if event.event_type() == AuditEventType::StageChanged {
            self.send(Shown::Stage(line(event)));
        }
    }

    /// Where lines of another kind are written: alerts, redacted by whoever writes. Each write is one line, and ends a
    /// line in work first. Whoever writes here waits for the terminal and has a thread for it.
    #[must_use]
    pub fn lines(&self) -> Box<dyn Write + Send> {
        match &self.lines {
            Some(lines) => Box::new(OtherLines(lines.clone())),
            None => Box::new(std::io::stderr()),
        }
    }

    fn send(&self, shown: Shown) {
        if let Some(lines) = &self.lines {
            // A terminal that stands still loses lines; nothing waits for it.
            let _ = lines.try_send(shown);
        }
    }
}

/// Lines that are not stages.
struct OtherLines(SyncSender<Shown>);

impl Write for OtherLines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
        let closed = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.0.send(Shown::Other(text)).map_err(closed)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let (done, wait) = sync_channel(1);
        if self.0.send(Shown::Flush(done)).is_ok() {
            // A terminal that takes nothing must not keep alerts from their other ways.
            let _ = wait.recv_timeout(FLUSH_WAIT);
        }
        Ok(())
    }
}

struct Writer {
    form: ConsoleStage,
    rewrites: bool,
    is_open: bool,
    out: Box<dyn Write + Send>,
}

impl Writer {
    fn run(mut self, lines: &Receiver<Shown>) {
        while let Ok(shown) = lines.recv() {
            if let Shown::Flush(done) = &shown {
                // Who asked may have stopped waiting.
                let _ = done.send(());
                continue;
            }
            let text = self.text(&shown);
            // A closed stderr has nowhere to complain to.
            let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        }
        if self.is_open {
            let _ = self.out.write_all(b"\n").and_then(|()| self.out.flush());
        }
    }

    fn text(&mut self, shown: &Shown) -> String {
        match shown {
            Shown::Stage(_) if self.form == ConsoleStage::Off => String::new(),
            Shown::Stage(line) if self.rewrites => {
                self.is_open = true;
                format!("{REWRITE}{line}")
            }
            Shown::Stage(line) => format!("{line}\n"),
            Shown::Other(line) => {
                let ends = std::mem::take(&mut self.is_open);
                format!("{}{line}\n", if ends { "\n" } else { "" })
            }
            Shown::Flush(_) => String::new(),
        }
    }
}

/// The line of an event.
pub(super) fn line(event: &Event) -> String {
    let fields = event.fields();
    let ts = chrono::DateTime::from_timestamp_millis(fields.ts_ms).unwrap_or_default();
    let ts = ts.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let symbol = fields.symbol.as_ref().map_or("-", Symbol::as_str);
    let cycle = match fields.cycle_id.get() {
        0 => "-".to_owned(),
        id => id.to_string(),
    };
    let decision = fields.decision_id.strip_prefix("dec_").and_then(|hex| hex.get(..12));
    let summary = fields.data.get("summary").and_then(|v| v.as_str()).unwrap_or_default();
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{ts} {:<STAGE_WIDTH$} {symbol} {cycle} {} {}",
        fields.stage.as_str(),
        decision.unwrap_or("-"),
        one_line(summary),
    );
    out
}

/// A summary as it is shown: one line, without control characters, cut.
fn one_line(summary: &str) -> String {
    let clean = summary.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = clean.take(SUMMARY_CHARS_MAX).collect();
    if text.trim().is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests;
