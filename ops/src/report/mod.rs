//! `penstock report daily [--day DAY]`: a day's summary as its row says it.
//!
//! Input: the decision cluster, read-only. Output: a table or JSON. It derives nothing: the row was written once,
//! when the day had ended.

use crate::arguments::Output;
use crate::{databases, exit};
use chrono::NaiveDate;
use comfy_table::Table;
use penstock_store_decision::daily::{self, DailySummary};
use std::path::PathBuf;

/// Options of `penstock report`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which report
    #[command(subcommand)]
    pub which: Which,
}

/// The reports.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Which {
    /// The summary of a UTC day
    Daily {
        /// The day, for example 2026-02-16 (default: the newest that is written)
        #[arg(long)]
        day: Option<NaiveDate>,
        /// Form of the output
        #[arg(long, value_enum, default_value = "human")]
        output: Output,
    },
}

/// Runs the command.
///
/// # Errors
/// When the decision cluster does not answer.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let Which::Daily { day, output } = args.which;
    let (_config, pool) = databases::observe_decisions(config_file.as_deref()).await?;
    let Some(row) = daily::read(&pool, day).await? else {
        let what = day.map_or_else(|| "any day".to_owned(), |day| day.to_string());
        eprintln!(
            "no summary of {what}; next: execution writes a day five seconds after its end, or at its next start"
        );
        return Ok(exit::USAGE);
    };
    match output {
        Output::Human => println!("{}", human(&row)),
        Output::Json => println!("{}", serde_json::to_string(&row)?),
    }
    Ok(exit::CLEAN)
}

/// One line per figure; what was not measured says so.
fn human(row: &DailySummary) -> Table {
    let known = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let ms = |value: Option<i32>| known(value.map(|ms| format!("{ms} ms")));
    let money = |value: penstock_types::Decimal| value.normalize().to_string();
    let maker = row.maker_ratio_x10000.map(|share| format!("{}.{:02} %", share / 100, share % 100));
    let late = if row.late { "late" } else { "on time" };
    let mut table = Table::new();
    table.set_header(["day", &row.day.to_string()]);
    for (name, value) in [
        ("written", format!("{} ({late})", row.created_at.rfc3339())),
        ("trades", format!("{} ({} won, {} lost)", row.trades, row.wins, row.losses)),
        ("gross", money(row.gross_pnl_quote)),
        ("fees", money(row.fees_quote)),
        ("net", money(row.net_pnl_quote)),
        ("slippage", known(row.slippage_bps_avg.map(|bps| format!("{} bps", bps.normalize())))),
        ("greatest drawdown", money(row.max_drawdown_quote)),
        ("maker", known(maker)),
        ("refusals", row.blocks_by_code.to_string()),
        ("dust", money(row.dust_value_quote)),
        ("seconds by mode", row.uptime_s_by_mode.to_string()),
        ("fill to stop, median", ms(row.fill_to_protection_ms_p50)),
        ("fill to stop, p99", ms(row.fill_to_protection_ms_p99)),
        ("fill to stop, greatest", ms(row.fill_to_protection_ms_max)),
        ("without a stop", format!("{} s", row.uncovered_seconds.normalize())),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    table
}

#[cfg(test)]
mod tests {
    use penstock_types::{Decimal, UtcMicros};

    use super::*;

    #[test]
    fn a_report_says_each_figure_and_what_was_not_measured() {
        let row = DailySummary {
            day: "2026-02-16".parse().unwrap(),
            created_at: UtcMicros(0),
            late: true,
            trades: 3,
            wins: 2,
            losses: 1,
            gross_pnl_quote: Decimal::new(12_500, 3),
            fees_quote: Decimal::new(2_500, 3),
            net_pnl_quote: Decimal::from(10),
            slippage_bps_avg: None,
            max_drawdown_quote: Decimal::ONE,
            maker_ratio_x10000: Some(6_605),
            blocks_by_code: serde_json::json!({ "RISK_COOLDOWN_ACTIVE": 4 }),
            dust_value_quote: Decimal::ZERO,
            uptime_s_by_mode: serde_json::json!({ "NORMAL": 86_000 }),
            fill_to_protection_ms_p50: Some(120),
            fill_to_protection_ms_p99: None,
            fill_to_protection_ms_max: Some(900),
            uncovered_seconds: Decimal::new(1_250, 3),
        };
        let text = human(&row).to_string();
        for said in [
            "2026-02-16",
            "(late)",
            "3 (2 won, 1 lost)",
            "12.5",
            "66.05 %",
            "RISK_COOLDOWN_ACTIVE",
            "NORMAL",
            "120 ms",
            "900 ms",
            "1.25 s",
            "none",
        ] {
            assert!(text.contains(said), "{said} in\n{text}");
        }
    }
}
