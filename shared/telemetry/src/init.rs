//! Purpose: install the log of a process once. Inputs: who logs, which domain, the filter and where
//! to. Outputs: the global `tracing` subscriber and a guard that flushes. Invariants: exactly one log
//! per process, a second `init` is refused; a filter that does not parse is an error that names it.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::layer::{Format, LineLayer};
use crate::sink::Sink;

/// Longest wait for the log at the end of a process.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

static SINK: OnceLock<Arc<Sink>> = OnceLock::new();

/// Who writes the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `run-ingest`.
    Ingest,
    /// `run-execution-live`.
    Execution,
    /// The operator's tool.
    Ops,
}

impl Service {
    /// The value of the field `service`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Execution => "execution",
            Self::Ops => "ops",
        }
    }
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Stdout: human lines when it is a terminal, JSON lines otherwise.
    Stdout,
    /// Stdout, always JSON lines.
    StdoutJson,
    /// JSON lines appended to a file, whose directory is made when it is missing.
    File(PathBuf),
}

/// What [`init`] needs.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Who logs.
    pub service: Service,
    /// The field `domain` of every line.
    pub domain: String,
    /// A level (`info`) or a list (`info,penstock_venues=debug`).
    pub filter: String,
    /// Where to.
    pub target: LogTarget,
}

/// Why the log could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `LOG_LEVEL` does not parse.
    #[error(
        "read LOG_LEVEL \"{filter}\": {reason}; next: a level (error, warn, info, debug) or a list such as info,penstock_venues=debug"
    )]
    Filter {
        /// The text given.
        filter: String,
        /// What the parser says.
        reason: String,
    },
    /// The log file cannot be opened, or the writer thread not started.
    #[error("open the log {path}: {source}; next: check that the directory exists and is writable")]
    Open {
        /// The file, or `stdout`.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// There is already a log, or a metrics recorder, in this process.
    #[error("install the {what}: one is installed already in this process")]
    Twice {
        /// `log` or `metrics recorder`.
        what: &'static str,
    },
    /// The metrics listener cannot be opened.
    #[error(
        "listen for metrics on 127.0.0.1:{port}: {source}; next: choose a free port, or 0 to turn the listener off"
    )]
    Listen {
        /// The port asked for.
        port: u16,
        /// The cause.
        source: std::io::Error,
    },
}

/// Flushes the log when it goes. Keep it in `main`; call [`flush`] before `std::process::exit`, which
/// runs no destructors.
#[derive(Debug)]
#[must_use = "the log is flushed when this is dropped"]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        flush();
    }
}

/// Installs the log of this process.
///
/// # Errors
/// [`TelemetryError::Filter`] for a filter that does not parse, [`TelemetryError::Open`] when the
/// target cannot be opened, [`TelemetryError::Twice`] on the second call.
pub fn init(options: LogOptions) -> Result<Guard, TelemetryError> {
    let filter = parse_filter(&options.filter)?;
    let (out, format, path) = open(&options.target)?;
    let sink = Arc::new(Sink::start(out).map_err(|source| TelemetryError::Open { path, source })?);
    let layer = LineLayer {
        sink: Arc::clone(&sink),
        format,
        service: options.service.as_str(),
        domain: options.domain,
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(layer);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| TelemetryError::Twice { what: "log" })?;
    SINK.set(sink).map_err(|_| TelemetryError::Twice { what: "log" })?;
    Ok(Guard(()))
}

/// Waits (at most two seconds) until every line so far is written. Without a log it returns at once.
pub fn flush() {
    if let Some(sink) = SINK.get() {
        // A log that hangs must not keep the process from ending.
        let _written: bool = sink.flush(FLUSH_LIMIT);
    }
}

/// Log lines dropped since the start because the queue was full.
#[must_use]
pub fn lines_dropped() -> u64 {
    SINK.get().map_or(0, |sink| sink.dropped())
}

fn parse_filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().with_regex(false).parse(text).map_err(|error| TelemetryError::Filter {
        filter: text.to_owned(),
        reason: error.to_string(),
    })
}

type Opened = (Box<dyn Write + Send>, Format, String);

fn open(target: &LogTarget) -> Result<Opened, TelemetryError> {
    match target {
        LogTarget::Stdout if std::io::stdout().is_terminal() => {
            Ok((Box::new(std::io::stdout()), Format::Human, "stdout".to_owned()))
        }
        LogTarget::Stdout | LogTarget::StdoutJson => {
            Ok((Box::new(std::io::stdout()), Format::Json, "stdout".to_owned()))
        }
        LogTarget::File(path) => {
            let shown = path.display().to_string();
            let failed = |source| TelemetryError::Open { path: shown.clone(), source };
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory).map_err(failed)?;
            }
            let file =
                std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
            Ok((Box::new(file), Format::Json, shown))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::{FLUSH_LIMIT, Service, TelemetryError, parse_filter};
    use crate::layer::{Format, LineLayer};
    use crate::sink::Sink;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no poison").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: Format, act: impl FnOnce()) -> String {
        let memory = Memory::default();
        let sink = Arc::new(Sink::start(Box::new(memory.clone())).expect("thread starts"));
        let layer = LineLayer {
            sink: Arc::clone(&sink),
            format,
            service: Service::Ingest.as_str(),
            domain: "kraken_spot".to_owned(),
        };
        let subscriber = tracing_subscriber::registry()
            .with(parse_filter(filter).expect("filter parses"))
            .with(layer);
        tracing::subscriber::with_default(subscriber, act);
        assert!(sink.flush(FLUSH_LIMIT));
        let bytes = memory.0.lock().expect("no poison").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_marker_is_one_json_line_with_the_fixed_keys_first() {
        let text = logged("info", Format::Json, || {
            let nested = serde_json::json!({"ticker": 1.5, "trade": 2});
            crate::marker!(
                INGEST_HEARTBEAT,
                run_id = 7_i64,
                rows_per_s = nested,
                healthy = true,
                price = "1.50",
                text = "a\nb\"c"
            );
        });
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let order = [
            "\"ts\":",
            "\"level\":\"INFO\"",
            "\"service\":\"ingest\"",
            "\"marker\":\"INGEST_HEARTBEAT\"",
            "\"domain\":\"kraken_spot\"",
            "\"git_commit\":",
            "\"run_id\":7",
            "\"rows_per_s\":{",
            "\"healthy\":true",
            "\"price\":\"1.50\"",
        ];
        let places: Vec<usize> = order
            .iter()
            .map(|key| text.find(key).unwrap_or_else(|| panic!("{key} in {text}")))
            .collect();
        assert!(places.is_sorted(), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(read["text"], "a\nb\"c");
        let ts = read["ts"].as_str().expect("ts is text");
        assert_eq!(ts.len(), "2026-01-02T03:04:05.000006Z".len(), "{ts}");
        assert!(ts.ends_with('Z'));
    }

    #[test]
    fn the_filter_hides_debug_markers_and_the_level_can_be_raised() {
        let text = logged("info", Format::Json, || {
            crate::marker!(FRAME_PUBLISHED, tick_id = 1);
            crate::marker!(at crate::Level::Warn, TRADES_BACKFILLED, missing = 3);
        });
        assert!(!text.contains("FRAME_PUBLISHED"), "{text}");
        assert!(
            text.contains(
                "\"level\":\"WARN\",\"service\":\"ingest\",\"marker\":\"TRADES_BACKFILLED\""
            ),
            "{text}"
        );
    }

    #[test]
    fn lines_inside_a_cycle_carry_session_and_evaluation() {
        let text = logged("info", Format::Json, || {
            let span = crate::cycle_span("s-1", 12);
            let _inside = span.enter();
            crate::marker!(CHOKE_DECISION, symbol = "BTC/USD");
            crate::marker!(LIVE_EVALUATION_STARTED, evaluation = 99);
            tracing::info!(count = 3, "ordinary line");
        });
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect();
        assert_eq!(lines[0]["session_id"], "s-1");
        assert_eq!(lines[0]["evaluation"], 12);
        assert_eq!(lines[1]["evaluation"], 99, "the marker's own field wins");
        assert_eq!(lines[2]["message"], "ordinary line");
        assert_eq!(lines[2]["count"], 3);
        assert_eq!(lines[2]["session_id"], "s-1");
        assert!(lines[2].get("marker").is_none());
    }

    #[test]
    fn a_human_line_shows_name_and_fields_on_one_line() {
        let text = logged("info", Format::Human, || {
            crate::marker!(FENCE_ACQUIRED, via = "lock", fencing_token = 3);
        });
        assert!(text.contains("FENCE_ACQUIRED"), "{text}");
        assert!(text.contains("lock"), "{text}");
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn a_filter_that_does_not_parse_is_named() {
        let error = parse_filter("penstock=loud").expect_err("refused");
        assert!(matches!(error, TelemetryError::Filter { .. }));
        assert!(error.to_string().contains("penstock=loud"), "{error}");
    }
}
