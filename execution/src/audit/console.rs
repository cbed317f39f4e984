//! Stages on stderr, from the same events that go into the trail.
//!
//! Input: redacted events, the configured form. Output: `ts stage symbol cycle decision summary`, one blank
//! between the fields, `-` for what is absent; one line per change, or one line that is written anew, or
//! nothing. Invariants: never more than 80 characters of summary, never a payload, never what redaction
//! took out; a terminal that does not read costs lines and no time.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

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

    /// Shows a line of another kind, an alert; it ends a line in work first. Redacted by its caller.
    pub fn other(&self, line: String) {
        self.send(Shown::Other(line));
    }

    fn send(&self, shown: Shown) {
        if let Some(lines) = &self.lines {
            // A terminal that stands still loses lines; nothing waits for it.
            let _ = lines.try_send(shown);
        }
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
        }
    }
}

/// The line of an event.
fn line(event: &Event) -> String {
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
