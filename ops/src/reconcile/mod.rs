//! `penstock reconcile [--dry-run]`: asks execution to compare its rows with the venue.
//!
//! Inputs: whether anything may follow. Outputs: the differences, or that a pass is due. It writes one request row:
//! while the service lives, nobody else uses its key.

use std::path::PathBuf;

use comfy_table::Table;
use serde_json::Value;

use crate::exit;
use crate::request::asked;

/// Options of `penstock reconcile`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Name what differs; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the command; 15 when a dry run found a difference.
///
/// # Errors
/// When the decision cluster does not answer.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let request = serde_json::json!({ "dry_run": args.dry_run });
    let Some(answer) = asked("reconcile", &request, config_file).await? else {
        return Ok(exit::UNAVAILABLE);
    };
    let Ok(value) = serde_json::from_str::<Value>(&answer) else {
        println!("execution: {answer}");
        return Ok(if answer.starts_with("failed") { exit::UNAVAILABLE } else { exit::CLEAN });
    };
    print!("{}", said(&value));
    let differs = value["differences"].as_u64() != Some(0);
    Ok(if differs { exit::DIFFERENT } else { exit::CLEAN })
}

fn said(answer: &Value) -> String {
    let count = |key: &str| answer[key].as_u64().unwrap_or_default();
    let mut out = format!(
        "{} orders and {} balances at the venue, {} differences; nothing was changed\n",
        count("orders_at_venue"),
        count("balances_at_venue"),
        count("differences")
    );
    let named = answer["named"].as_array().map(Vec::as_slice).unwrap_or_default();
    if named.is_empty() {
        return out;
    }
    let mut table = Table::new();
    table.set_header(["difference", "symbol", "order", "ours", "venue"]);
    for row in named {
        let text = |key: &str| match &row[key] {
            Value::String(text) => text.clone(),
            Value::Null => "–".to_owned(),
            other => other.to_string(),
        };
        table.add_row(["kind", "symbol", "order_id", "local", "venue"].map(text));
    }
    out.push_str(&format!("{table}\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_is_told_with_both_views() {
        let answer = serde_json::json!({
            "dry_run": true, "orders_at_venue": 3, "balances_at_venue": 2, "differences": 1,
            "named": [{"kind": "ORDER_MISSING", "symbol": "BTC/USD", "order_id": 7,
                       "local": "acked_open 0 of 1", "venue": "not open"}],
        });
        let text = said(&answer);
        for part in ["3 orders", "1 differences", "ORDER_MISSING", "not open", " 7 "] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let equal = serde_json::json!({ "differences": 0, "named": [] });
        assert!(said(&equal).contains("0 differences; nothing was changed"));
    }
}
