//! `penstock flatten [SYMBOL] [--dry-run|--offline]`: asks execution to close positions.
//!
//! Inputs: a symbol, or none for all. Outputs: what would be done, or the service's answer. It writes one
//! request, a row or with `--offline` a file, and never talks to the venue: one process per key.

mod offline;

use crate::request::answered;
use crate::stack::StackOptions;
use crate::{databases, exit};
use anyhow::Context;
use comfy_table::Table;
use penstock_clusters::ClusterKind;
use penstock_config::Process;
use penstock_store_decision::control;
use penstock_store_decision::evidence::{self, PositionEvidence};
use penstock_store_decision::overview::{self, LiveOrder};
use penstock_types::Symbol;
use std::path::PathBuf;

/// Options of `penstock flatten`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only this symbol, for example BTC/USD
    pub symbol: Option<String>,
    /// Print positions, orders and steps; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Ask by a file in the state directory, for a decision cluster that is down
    #[arg(long, conflicts_with = "dry_run")]
    pub offline: bool,
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
    if args.offline {
        return offline::run(&config.areas.clusters.state_directory, symbol.as_ref()).await;
    }
    let options = StackOptions::from_config(&config, config_file.as_deref())?;
    let role = if args.dry_run { "observer_ro" } else { "ops_rw" };
    let url = options.url(ClusterKind::Decision, role)?;
    let pool = databases::pool(&url, ClusterKind::Decision)
        .await
        .context("the decision cluster does not answer; next: `penstock up`")?;
    let wanted = |name: &str| symbol.as_ref().is_none_or(|s| s.as_str() == name);
    let mut open = evidence::positions(&pool).await?;
    open.retain(|p| p.status != "closed" && wanted(&p.symbol));
    let mut orders = overview::live_orders(&pool).await?;
    orders.retain(|o| wanted(&o.symbol));
    if let Some(symbol) = &symbol
        && open.is_empty()
        && orders.is_empty()
        && !evidence::symbols(&pool).await?.iter().any(|row| row.symbol == symbol.as_str())
    {
        eprintln!("no run has a symbol {symbol}; next: `penstock status` names what is open");
        return Ok(exit::USAGE);
    }
    if args.dry_run {
        println!("{}nothing was changed", plan(&open, &orders));
        return Ok(exit::CLEAN);
    }
    let arguments = match &symbol {
        Some(symbol) => serde_json::json!({ "symbol": symbol }),
        None => serde_json::json!({}),
    };
    let id = control::ask(&pool, "flatten", &arguments, &penstock_clusters::caller_name()).await?;
    println!("request {id}: {} to close, {} in flight", open.len(), orders.len());
    let Some(answer) = answered(&pool, id).await? else { return Ok(exit::UNAVAILABLE) };
    println!("execution: {answer}; entries go on as the mode allows");
    Ok(if answer.starts_with("refused") { exit::USAGE } else { exit::CLEAN })
}

/// Positions with the steps that close them, and the orders that go with them.
fn plan(open: &[PositionEvidence], orders: &[LiveOrder]) -> String {
    let mut out = String::new();
    if open.is_empty() {
        out.push_str("no open position\n");
    } else {
        let mut table = Table::new();
        table.set_header(["position", "symbol", "status", "base", "steps"]);
        for p in open {
            let row = [
                p.position_id.to_string(),
                p.symbol.clone(),
                p.status.clone(),
                p.base_qty.normalize().to_string(),
                position_steps(&p.status).to_owned(),
            ];
            table.add_row(row);
        }
        out.push_str(&format!("{table}\n"));
    }
    if orders.is_empty() {
        out.push_str("no order in flight\n");
    } else {
        let mut table = Table::new();
        table.set_header(["order", "symbol", "role", "state", "qty", "filled", "price", "step"]);
        for o in orders {
            let price = o.price.map_or_else(|| "market".to_owned(), |p| p.normalize().to_string());
            let row = [
                o.order_id.to_string(),
                o.symbol.clone(),
                o.role.clone(),
                o.state.clone(),
                o.qty.normalize().to_string(),
                o.cum_qty.normalize().to_string(),
                price,
                order_step(&o.role).to_owned(),
            ];
            table.add_row(row);
        }
        out.push_str(&format!("{table}\n"));
    }
    out
}

fn position_steps(status: &str) -> &'static str {
    match status {
        "dust" => "below the venue's minimum: stays",
        "closing" => "is being closed",
        _other => "cancel stop, sell at market",
    }
}

fn order_step(role: &str) -> &'static str {
    match role {
        "entry" | "proof" => "cancel",
        "protection" => "cancel before the sale",
        _other => "goes on: it closes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::Decimal;

    #[test]
    fn a_plan_names_every_position_and_order_with_its_step() {
        let position = |status: &str| PositionEvidence {
            position_id: 7,
            symbol: "BTC/USD".to_owned(),
            status: status.to_owned(),
            base_qty: Decimal::new(15000, 5),
            realized_quote: Decimal::ZERO,
            exit_reason: None,
        };
        let order = |role: &str, price| LiveOrder {
            order_id: 9,
            symbol: "BTC/USD".to_owned(),
            role: role.to_owned(),
            state: "acked_open".to_owned(),
            qty: Decimal::new(15, 2),
            cum_qty: Decimal::ZERO,
            price,
        };
        let open = [position("open"), position("dust"), position("closing")];
        let orders = [
            order("entry", Some(Decimal::new(100, 0))),
            order("protection", Some(Decimal::new(98, 0))),
            order("exit", None),
        ];
        let text = plan(&open, &orders);
        for said in [
            "cancel stop, sell at market",
            "below the venue's minimum: stays",
            "is being closed",
            "cancel",
            "cancel before the sale",
            "goes on: it closes",
            "market",
            " 0.15 ",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert_eq!(plan(&[], &[]), "no open position\nno order in flight\n");
    }
}
