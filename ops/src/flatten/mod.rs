//! `penstock flatten [SYMBOL] [--dry-run]`: asks execution to close positions.
//!
//! Inputs: a symbol, or none for all. Outputs: what would be done, or the service's answer. It writes one
//! request row and never talks to the venue: one process per key.

use crate::stack::StackOptions;
use crate::{databases, exit};
use anyhow::Context;
use comfy_table::Table;
use penstock_clusters::ClusterKind;
use penstock_config::Process;
use penstock_store_decision::{control, evidence};
use penstock_types::Symbol;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest wait for the service's answer; it looks once a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How often the answer is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Options of `penstock flatten`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only this symbol, for example BTC/USD
    pub symbol: Option<String>,
    /// Print positions, orders and steps; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// When the decision cluster does not answer.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let symbol = match args.symbol.as_deref().map(Symbol::new).transpose() {
        Ok(symbol) => symbol,
        Err(error) => {
            eprintln!("{error}; next: penstock flatten BTC/USD");
            return Ok(exit::USAGE);
        }
    };
    let config = penstock_config::load(Process::Tool, config_file.as_deref())?;
    let options = StackOptions::from_config(&config, config_file.as_deref())?;
    let role = if args.dry_run { "observer_ro" } else { "ops_rw" };
    let url = options.url(ClusterKind::Decision, role)?;
    let pool = databases::pool(&url, ClusterKind::Decision)
        .await
        .context("the decision cluster does not answer; next: `penstock up`")?;
    let wanted = |name: &str| symbol.as_ref().is_none_or(|s| s.as_str() == name);
    let open: Vec<_> = evidence::positions(&pool)
        .await?
        .into_iter()
        .filter(|p| p.status != "closed" && wanted(&p.symbol))
        .collect();
    if args.dry_run {
        let mut table = Table::new();
        table.set_header(["position", "symbol", "status", "base", "steps"]);
        for p in &open {
            let steps = match p.status.as_str() {
                "dust" => "below the venue's minimum: stays",
                _other => "cancel entry, cancel stop, sell at market",
            };
            let row = [
                p.position_id.to_string(),
                p.symbol.clone(),
                p.status.clone(),
                p.base_qty.normalize().to_string(),
                steps.to_owned(),
            ];
            table.add_row(row);
        }
        println!("{table}\nnothing was changed");
        return Ok(exit::CLEAN);
    }
    let arguments = match &symbol {
        Some(symbol) => serde_json::json!({ "symbol": symbol }),
        None => serde_json::json!({}),
    };
    let id = control::ask(&pool, "flatten", &arguments, &penstock_clusters::caller_name()).await?;
    println!("request {id}: {} position(s) to close", open.len());
    let until = Instant::now() + ANSWER_LIMIT;
    while Instant::now() < until {
        if let Some(answer) = control::answer_of(&pool, id).await? {
            println!("execution: {answer}");
            return Ok(exit::CLEAN);
        }
        sleep(LOOK_INTERVAL).await;
    }
    eprintln!(
        "execution has not taken request {id} within {ANSWER_LIMIT:?}; next: `penstock status`"
    );
    Ok(exit::UNAVAILABLE)
}
