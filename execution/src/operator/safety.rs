//! A symbol's safety as the operator sets it.
//!
//! Input: `{"op": "set"|"clear", "symbol", "cause", "mode", "minutes", "reason"}`. Output: a row of the operator's own
//! cause, or the end of one of execution's causes. Invariants: set is only the cause `operator`, because every other
//! one has a rule that owns it; what ingest owns is not cleared here.

use penstock_types::Symbol;
use penstock_types::vocab::SafetyMode;
use serde_json::Value;

use crate::desk::{Desk, DeskError};

/// The operator's own cause.
const OWN: &str = "operator";
/// Causes that ingest writes and clears.
const OF_INGEST: [&str; 5] =
    ["pinned_invalid_l3", "l3_resync_limit", "l2_checksum", "book_stale", "instrument_not_online"];
/// Longest quiet time that may be set, minutes: a week.
const MINUTES_MAX: i64 = 7 * 24 * 60;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    Set { symbol: Symbol, mode: SafetyMode, minutes: Option<i64>, reason: String },
    Clear { symbol: Symbol, cause: String },
}

impl Desk {
    pub(super) async fn asked_for_safety(&mut self, args: &Value) -> Result<String, DeskError> {
        let wish = match read(args) {
            Ok(wish) => wish,
            Err(refusal) => return Ok(format!("refused: {refusal}")),
        };
        if let Wish::Set { symbol, .. } = &wish
            && self.instrument(symbol).is_none()
        {
            return Ok(format!("refused: the venue has no symbol {symbol}; next: penstock status"));
        }
        let done = match &wish {
            Wish::Set { symbol, mode, minutes, reason } => {
                let until = minutes.map(|m| self.now().plus_millis(m * 60_000));
                self.store.set_symbol_cause(symbol, OWN, *mode, reason, until).await
            }
            Wish::Clear { symbol, cause } => self.store.clear_symbol_cause(symbol, cause).await,
        };
        if self.written(done)?.is_none() {
            return Ok("failed: the decision cluster did not take it; next: again".to_owned());
        }
        Ok(match wish {
            Wish::Set { symbol, mode, .. } => format!("{symbol} is {mode} by {OWN}"),
            Wish::Clear { symbol, cause } => format!("{cause} of {symbol} is cleared"),
        })
    }
}

fn read(args: &Value) -> Result<Wish, String> {
    let text = |key: &str| args.get(key).and_then(Value::as_str);
    let symbol = text("symbol").ok_or("no symbol; next: penstock safety set BTC/USD operator")?;
    let symbol = Symbol::new(symbol).map_err(|e| e.to_string())?;
    let cause = text("cause").unwrap_or(OWN);
    match text("op") {
        Some("set") if cause != OWN => Err(format!(
            "{cause} has a rule that sets it, a person sets {OWN}; next: penstock safety set {symbol} {OWN}"
        )),
        Some("set") => {
            let mode = match text("mode").unwrap_or("exit_only") {
                "quiet" => SafetyMode::Quiet,
                "exit_only" => SafetyMode::ExitOnly,
                "hard_blocked" => SafetyMode::HardBlocked,
                other => return Err(format!("{other} is none of quiet, exit_only, hard_blocked")),
            };
            let minutes = args.get("minutes").and_then(Value::as_i64);
            if minutes.is_some_and(|m| !(1..=MINUTES_MAX).contains(&m)) {
                return Err(format!("minutes are 1 to {MINUTES_MAX}"));
            }
            if mode == SafetyMode::Quiet && minutes.is_none() {
                return Err("quiet needs an end; next: --minutes 30".to_owned());
            }
            let reason = text("reason").unwrap_or("OPERATOR_REQUEST").to_owned();
            Ok(Wish::Set { symbol, mode, minutes, reason })
        }
        Some("clear") if OF_INGEST.contains(&cause) => {
            Err(format!("{cause} belongs to run-ingest, which ends it when the data are whole"))
        }
        Some("clear") => Ok(Wish::Clear { symbol, cause: cause.to_owned() }),
        _ => Err("op is set or clear".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_sets_his_own_cause_and_clears_those_of_execution() {
        let symbol = Symbol::new("BTC/USD").unwrap();
        let set = json!({"op": "set", "symbol": "BTC/USD", "cause": "operator", "minutes": 5});
        let wish = Wish::Set {
            symbol: symbol.clone(),
            mode: SafetyMode::ExitOnly,
            minutes: Some(5),
            reason: "OPERATOR_REQUEST".to_owned(),
        };
        assert_eq!(read(&set), Ok(wish));
        let clear = json!({"op": "clear", "symbol": "BTC/USD", "cause": "submit_error"});
        assert_eq!(read(&clear), Ok(Wish::Clear { symbol, cause: "submit_error".to_owned() }));
    }

    #[test]
    fn what_is_not_his_is_refused_with_its_reason() {
        for (args, why) in [
            (json!({"op": "set", "symbol": "BTC/USD", "cause": "order_reject"}), "has a rule"),
            (json!({"op": "clear", "symbol": "BTC/USD", "cause": "book_stale"}), "run-ingest"),
            (json!({"op": "set", "symbol": "BTC/USD", "mode": "quiet"}), "needs an end"),
            (json!({"op": "set", "symbol": "BTC/USD", "mode": "off"}), "none of"),
            (json!({"op": "set", "symbol": "BTC/USD", "minutes": 0}), "minutes are"),
            (json!({"op": "set"}), "no symbol"),
            (json!({"symbol": "BTC/USD"}), "op is"),
        ] {
            let refused = read(&args).unwrap_err();
            assert!(refused.contains(why), "{args}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn any_words_are_a_wish_or_a_refusal(op in ".{0,9}", symbol in ".{0,9}", cause in ".{0,9}", n in any::<i64>()) {
            let _ = read(&json!({"op": op, "symbol": symbol, "cause": cause, "minutes": n}));
        }
    }
}
