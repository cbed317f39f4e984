//! `penstock mode NORMAL|DEGRADE|PAUSE|EXIT --reason TEXT [--ack CODE]`: asks execution for a mode.
//!
//! Inputs: the mode, why, a cause to acknowledge. Outputs: the service's answer. It writes one request row; the mode
//! has one owner, and NORMAL is reached through a recovery and the stable window, never at once.

use crate::request::answered;
use crate::stack::StackOptions;
use crate::{databases, exit};
use anyhow::Context;
use penstock_clusters::ClusterKind;
use penstock_config::Process;
use penstock_store_decision::control;
use std::path::PathBuf;

/// Options of `penstock mode`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The mode that is asked for
    #[arg(value_enum)]
    pub mode: Asked,
    /// Why; it stands in the record of the request
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// A cause that only its name ends, for example RISK_DRAWDOWN_LIMIT
    #[arg(long, value_name = "CODE")]
    pub ack: Option<String>,
}

/// A mode on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Asked {
    /// Entries again, after a recovery and the stable window
    Normal,
    /// No entries
    Degrade,
    /// No entries until NORMAL is asked for
    Pause,
    /// Stop the service; resting stops stay
    Exit,
}

impl Asked {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Degrade => "DEGRADE",
            Self::Pause => "PAUSE",
            Self::Exit => "EXIT",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the decision cluster does not answer.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let config = penstock_config::load(Process::Tool, config_file.as_deref())?;
    let options = StackOptions::from_config(&config, config_file.as_deref())?;
    let url = options.url(ClusterKind::Decision, "ops_rw")?;
    let pool = databases::pool(&url, ClusterKind::Decision)
        .await
        .context("the decision cluster does not answer; next: `penstock up`")?;
    let request = request(&args);
    let id = control::ask(&pool, "mode", &request, &penstock_clusters::caller_name()).await?;
    println!("request {id}: mode {}", args.mode.as_str());
    let Some(answer) = answered(&pool, id).await? else { return Ok(exit::UNAVAILABLE) };
    println!("execution: {answer}");
    Ok(if answer.starts_with("refused") { exit::USAGE } else { exit::CLEAN })
}

fn request(args: &Args) -> serde_json::Value {
    let mut request = serde_json::json!({ "mode": args.mode.as_str(), "reason": args.reason });
    if let Some(code) = &args.ack {
        request["ack"] = serde_json::json!(code);
    }
    request
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(line: &[&str]) -> Option<serde_json::Value> {
        match Cli::try_parse_from(line).ok()?.command {
            Command::Mode(args) => Some(request(&args)),
            _ => None,
        }
    }

    #[test]
    fn a_request_names_mode_reason_and_what_is_acknowledged() {
        let asked = parsed(&["penstock", "mode", "NORMAL", "--reason", "looked", "--ack", "X"]);
        let expected = serde_json::json!({ "mode": "NORMAL", "reason": "looked", "ack": "X" });
        assert_eq!(asked, Some(expected));
        let asked = parsed(&["penstock", "mode", "PAUSE", "--reason", "r"]).unwrap();
        assert_eq!(asked, serde_json::json!({ "mode": "PAUSE", "reason": "r" }));
        assert_eq!(parsed(&["penstock", "mode", "PAUSE"]), None, "no change without a reason");
        assert_eq!(parsed(&["penstock", "mode", "FAST", "--reason", "r"]), None);
    }
}
