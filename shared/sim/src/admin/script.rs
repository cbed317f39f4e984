//! Faults by the clock: a file with one JSON object a line, and the task that commits them.
//!
//! Input: `{"at_ms":20000,"fault":{"kind":"cut","endpoint":"public"}}`, times since the start of the
//! venue; with `every_ms` and `times` it is committed again, with `"when":"no_buy_rests"` it waits until no
//! buy order has been open for two seconds. Output: the faults, in order of time, by the same way as those of the admin interface. Invariants:
//! a file with one wrong line is refused as a whole, naming the line; a fault that waits holds those behind it back, and
//! waits no longer than [`WAIT_LIMIT`]. Empty lines are skipped.

use super::FaultRequest;
use super::commit::commit;
use crate::exchange::Side;
use crate::server::Venue;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Committed faults of one file, repetitions included.
pub const FAULTS_LIMIT: usize = 100_000;

/// How long a fault waits for its moment; then it is committed all the same.
const WAIT_LIMIT: Duration = Duration::from_secs(90);

/// How long what a fault waits for has to hold: an entry that was filled has its stop by then, and one that was filled
/// in the very moment of the fault has not.
const SETTLED: Duration = Duration::from_secs(2);

/// How often a fault that waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
    when: Option<When>,
}

/// What a fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    /// No buy order of the account is open, and none was a short while ago: what is about to happen can meet neither an
    /// entry on its way nor one that has just been filled.
    NoBuyRests,
}

impl When {
    fn holds(self, venue: &Venue) -> bool {
        match self {
            Self::NoBuyRests => venue.with(|exchange, _| {
                !exchange.account().open_orders().any(|order| order.side == Side::Buy)
            }),
        }
    }
}

/// A fault and its time since the start.
#[derive(Clone, Debug)]
struct Timed {
    at: Duration,
    when: Option<When>,
    fault: FaultRequest,
}

/// Faults with their times since the start, earliest first.
#[derive(Clone, Debug, Default)]
pub struct Script {
    faults: Vec<Timed>,
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
                let at = Duration::from_millis(at_ms);
                faults.push(Timed { at, when: row.when, fault: row.fault.clone() });
            }
        }
        // Stable: faults of one moment keep the order of their lines.
        faults.sort_by_key(|timed| timed.at);
        Ok(Script { faults })
    }

    /// Commits the faults when their time comes, until `stop`.
    pub(crate) async fn run(self, venue: Arc<Venue>, stop: CancellationToken) {
        let start = Instant::now();
        for Timed { at, when, fault } in self.faults {
            let moment = async {
                tokio::time::sleep_until(start + at).await;
                if let Some(when) = when
                    && !wait_for(when, &venue, SETTLED, WAIT_LIMIT).await
                {
                    tracing::warn!(?when, "the moment did not come within {WAIT_LIMIT:?}");
                }
            };
            tokio::select! {
                // A stop goes before a fault that is due.
                biased;
                () = stop.cancelled() => return,
                () = moment => {}
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

/// Waits until the moment has lasted for so long; false when it did not come in time.
async fn wait_for(when: When, venue: &Venue, lasts: Duration, limit: Duration) -> bool {
    let looks = async {
        let mut every = tokio::time::interval(LOOK_EVERY);
        let mut since = None;
        loop {
            since = when.holds(venue).then(|| since.unwrap_or_else(Instant::now));
            if since.is_some_and(|since| since.elapsed() >= lasts) {
                return;
            }
            every.tick().await;
        }
    };
    tokio::time::timeout(limit, looks).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AddOrder, OrderKind};
    use crate::exchange::instrument::tests::btc_usd;
    use crate::exchange::{Exchange, ExchangeConfig, SymbolNo};
    use crate::rest_private::Credentials;
    use rust_decimal::Decimal;

    /// A venue on whose account a buy order rests.
    fn with_a_buy_order() -> Arc<Venue> {
        let config = ExchangeConfig {
            instruments: vec![btc_usd()],
            seed: 7,
            cash_usd: Decimal::from(10_000),
            volume_30d_usd: Decimal::ZERO,
            recorded: false,
            start_us: 0,
        };
        let exchange = Exchange::new(config).expect("BTC/USD is there");
        let venue = Venue::new(exchange, Credentials::random());
        let mut order = AddOrder::new(SymbolNo(0), Side::Buy, OrderKind::Limit);
        (order.qty, order.limit) = (Some(Decimal::new(1, 3)), Some(Decimal::from(50_000)));
        venue.with(|exchange, now_us| exchange.add_order(&order, now_us)).expect("it rests");
        venue
    }

    #[tokio::test]
    async fn a_fault_that_waits_comes_with_the_end_of_the_last_buy_order_or_with_the_limit() {
        let venue = with_a_buy_order();
        let short = Duration::from_millis(50);
        assert!(!wait_for(When::NoBuyRests, &venue, Duration::ZERO, short).await);
        venue.with(|exchange, now_us| exchange.cancel_all(now_us)).expect("all are cancelled");
        // Not at once: what was filled a moment ago has no stop yet.
        assert!(!wait_for(When::NoBuyRests, &venue, SETTLED, short).await);
        assert!(wait_for(When::NoBuyRests, &venue, short, WAIT_LIMIT).await);
    }

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
        let times: Vec<u128> = script.faults.iter().map(|timed| timed.at.as_millis()).collect();
        assert_eq!(times, [50, 120, 150, 250]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let good = r#"{"at_ms":1,"fault":{"kind":"clear"}}"#;
        for (bad, says) in [
            (r#"{"at_ms":1}"#, "line 2"),
            (r#"{"at_ms":1,"fault":{"kind":"flood"}}"#, "flood"),
            (r#"{"at_ms":1,"fault":{"kind":"clear"},"when":"never"}"#, "no_buy_rests"),
            (r#"{"at_ms":1,"fault":{"kind":"clear"},"times":2}"#, "every_ms"),
            (r#"{"at_ms":1,"fault":{"kind":"clear"},"every_ms":1,"times":100001}"#, "100000"),
        ] {
            let error = parse(&format!("{good}\n{bad}")).expect_err(bad).to_string();
            assert!(error.contains(says) && error.contains("line 2"), "{error}");
        }
    }
}
