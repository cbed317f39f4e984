//! Faults by the clock: a file with one JSON object a line, and the task that commits them.
//!
//! Input: `{"at_ms":20000,"fault":{"kind":"cut","endpoint":"public"}}`, times since the start of the
//! venue; with `every_ms` and `times` it is committed again. Output: the faults, in order of time,
//! by the same way as those of the admin interface. Invariant: a file with one wrong line is refused
//! as a whole, naming the line. Empty lines are skipped.

use super::FaultRequest;
use super::commit::commit;
use crate::server::Venue;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Committed faults of one file, repetitions included.
pub const FAULTS_LIMIT: usize = 100_000;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be read.
    #[error("cannot read the faults {path}: {source}; name a readable file")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not a timed fault.
    #[error("faults {path}, line {line}: {source}; write {{\"at_ms\":N,\"fault\":{{…}}}}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A repetition without a distance, or too many faults.
    #[error("faults {path}, line {line}: {what}")]
    Times {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong, and what is possible.
        what: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    at_ms: u64,
    fault: FaultRequest,
    every_ms: Option<u64>,
    times: Option<u64>,
}

/// Faults with their times since the start, earliest first.
#[derive(Clone, Debug, Default)]
pub struct Script {
    faults: Vec<(Duration, FaultRequest)>,
}

impl Script {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or one of its lines is not a timed fault.
    pub fn read(path: &Path) -> Result<Script, ScriptError> {
        let failed = |source| ScriptError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        Script::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Script, ScriptError> {
        let mut faults = Vec::new();
        for (index, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let line = index + 1;
            let wrong = |source| ScriptError::Line { path: path.to_owned(), line, source };
            let row: Row = serde_json::from_str(text).map_err(wrong)?;
            let refuse = |what: String| ScriptError::Times { path: path.to_owned(), line, what };
            let times = row.times.unwrap_or(1);
            let every_ms = match (row.every_ms, times) {
                (Some(every_ms), _) => every_ms,
                (None, 1) => 0,
                (None, _) => return Err(refuse("times needs every_ms".to_owned())),
            };
            if faults.len() as u64 + times > FAULTS_LIMIT as u64 {
                let what = format!("more than {FAULTS_LIMIT} faults; lower times");
                return Err(refuse(what));
            }
            for number in 0..times {
                let at_ms = row.at_ms.saturating_add(every_ms.saturating_mul(number));
                faults.push((Duration::from_millis(at_ms), row.fault.clone()));
            }
        }
        // Stable: faults of one moment keep the order of their lines.
        faults.sort_by_key(|(at, _)| *at);
        Ok(Script { faults })
    }

    /// Commits the faults when their time comes, until `stop`.
    pub(crate) async fn run(self, venue: Arc<Venue>, stop: CancellationToken) {
        let start = Instant::now();
        for (at, fault) in self.faults {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(start + at) => {}
            }
            match commit(&venue, &fault) {
                Ok(()) => tracing::info!(at_ms = at.as_millis(), ?fault, "fault committed"),
                Err(error) => {
                    tracing::error!(at_ms = at.as_millis(), ?fault, %error, "fault refused")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Script, ScriptError> {
        Script::parse(Path::new("faults.jsonl"), text)
    }

    #[test]
    fn repetitions_are_written_out_and_sorted() {
        let text = concat!(
            r#"{"at_ms":50,"fault":{"kind":"cut","endpoint":"public"},"every_ms":100,"times":3}"#,
            "\n\n",
            r#"{"at_ms":120,"fault":{"kind":"clear"}}"#,
        );
        let script = parse(text).expect("a script");
        let times: Vec<u128> = script.faults.iter().map(|(at, _)| at.as_millis()).collect();
        assert_eq!(times, [50, 120, 150, 250]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let good = r#"{"at_ms":1,"fault":{"kind":"clear"}}"#;
        for (bad, says) in [
            (r#"{"at_ms":1}"#, "line 2"),
            (r#"{"at_ms":1,"fault":{"kind":"flood"}}"#, "flood"),
            (r#"{"at_ms":1,"fault":{"kind":"clear"},"times":2}"#, "every_ms"),
            (r#"{"at_ms":1,"fault":{"kind":"clear"},"every_ms":1,"times":100001}"#, "100000"),
        ] {
            let error = parse(&format!("{good}\n{bad}")).expect_err(bad).to_string();
            assert!(error.contains(says) && error.contains("line 2"), "{error}");
        }
    }
}
