//! `penstock safety set|clear SYMBOL CAUSE`: asks execution to mark a symbol, or to end one of its marks.
//!
//! Inputs: the symbol, the cause, how strict and how long. Outputs: the service's answer. It writes one request row;
//! who may set and clear which cause, the service decides.

use std::path::PathBuf;

use crate::exit;
use crate::request::asked;

/// Options of `penstock safety`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What is done with a cause.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Action {
    /// Set the operator's cause on a symbol
    Set {
        /// The symbol, for example BTC/USD
        symbol: String,
        /// The cause; a person sets `operator`
        #[arg(default_value = "operator")]
        cause: String,
        /// quiet and exit_only refuse entries, hard_blocked also re-pegs
        #[arg(long, value_parser = ["quiet", "exit_only", "hard_blocked"], default_value = "exit_only")]
        mode: String,
        /// End of the cause in minutes, 1 to 10080; without it until it is cleared
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=10_080))]
        minutes: Option<i64>,
        /// Why; it stands in the row
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// End a cause of a symbol, for example submit_error
    Clear {
        /// The symbol, for example BTC/USD
        symbol: String,
        /// The cause, as `penstock why` names it
        cause: String,
        /// Why; it stands in the record of the request
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Runs the command.
///
/// # Errors
/// When the decision cluster does not answer.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let Some(answer) = asked("safety", &request(&args), config_file).await? else {
        return Ok(exit::UNAVAILABLE);
    };
    println!("execution: {answer}");
    let well = !answer.starts_with("refused") && !answer.starts_with("failed");
    Ok(if well { exit::CLEAN } else { exit::USAGE })
}

fn request(args: &Args) -> serde_json::Value {
    match &args.action {
        Action::Set { symbol, cause, mode, minutes, reason } => serde_json::json!({
            "op": "set", "symbol": symbol, "cause": cause, "mode": mode, "minutes": minutes,
            "reason": reason,
        }),
        Action::Clear { symbol, cause, reason } => serde_json::json!({
            "op": "clear", "symbol": symbol, "cause": cause, "reason": reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(line: &str) -> Option<serde_json::Value> {
        match Cli::try_parse_from(line.split(' ')).ok()?.command {
            Command::Safety(args) => Some(request(&args)),
            _ => None,
        }
    }

    #[test]
    fn a_request_names_what_is_set_or_cleared() {
        let set = parsed("penstock safety set BTC/USD --reason news").unwrap();
        assert_eq!((&set["cause"], &set["mode"]), (&"operator".into(), &"exit_only".into()));
        assert_eq!(set["minutes"], serde_json::Value::Null);
        let clear = parsed("penstock safety clear BTC/USD submit_error --reason seen").unwrap();
        assert_eq!((&clear["op"], &clear["cause"]), (&"clear".into(), &"submit_error".into()));
        assert_eq!(parsed("penstock safety set BTC/USD"), None, "no change without a reason");
        assert_eq!(parsed("penstock safety set BTC/USD --reason r --minutes 0"), None);
        assert_eq!(parsed("penstock safety set BTC/USD --reason r --mode off"), None);
    }
}
