//! `penstock status`: is it healthy, what is it doing, since when and why.
//!
//! Input: the decision cluster, read-only. Output: a table or JSON. With `--service NAME --quiet` it is
//! the health check: exit 0 iff that heartbeat is younger than three intervals and the mode is not PAUSE.

use crate::arguments::Output;
use crate::{databases, exit};
use comfy_table::Table;
use penstock_store_decision::overview::{self, Heartbeat, NoTrade, Now, OpenPosition};
use serde_json::json;
use std::path::PathBuf;

/// Heartbeats that may be missed before a service counts as not healthy.
const HEARTBEATS_MISSED_MAX: i64 = 3;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ServiceName {
    /// `run-ingest`.
    Ingest,
    /// `run-execution-live`.
    Execution,
}

impl ServiceName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Execution => "execution",
        }
    }
}

/// Options of `penstock status`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only this service; decides the exit status
    #[arg(long, value_enum)]
    pub service: Option<ServiceName>,
    /// Print nothing
    #[arg(long)]
    pub quiet: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

struct Overview {
    now: Vec<Now>,
    heartbeats: Vec<Heartbeat>,
    positions: Vec<OpenPosition>,
    no_trade: Vec<NoTrade>,
}

/// Runs the command.
///
/// # Errors
/// When the decision cluster does not answer.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let (config, pool) = databases::observe_decisions(config_file.as_deref()).await?;
    let overview = Overview {
        now: overview::now(&pool).await?,
        heartbeats: overview::heartbeats(&pool).await?,
        positions: overview::open_positions(&pool).await?,
        no_trade: overview::no_trade(&pool).await?,
    };
    if !args.quiet {
        match args.output {
            Output::Human => print!("{}", human(&overview)),
            Output::Json => println!("{}", machine(&overview)),
        }
    }
    let interval = i64::try_from(config.areas.telemetry.heartbeat_interval_ms).unwrap_or(i64::MAX);
    let healthy = args.service.is_none_or(|service| {
        is_healthy(&overview, service, interval.saturating_mul(HEARTBEATS_MISSED_MAX))
    });
    Ok(if healthy { exit::CLEAN } else { exit::UNAVAILABLE })
}

fn is_healthy(overview: &Overview, service: ServiceName, age_ms_max: i64) -> bool {
    let beat = overview.heartbeats.iter().find(|beat| beat.service == service.as_str());
    let alive = beat.is_some_and(|beat| beat.age_ms < age_ms_max);
    let paused = service == ServiceName::Execution
        && overview.now.iter().any(|now| now.sys_mode.as_deref() == Some("PAUSE"));
    alive && !paused
}

fn machine(overview: &Overview) -> serde_json::Value {
    json!({
        "now": overview.now,
        "services": overview.heartbeats,
        "positions": overview.positions,
        "no_trade_24h": overview.no_trade,
    })
}

fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    format!("{table}\n")
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn human(overview: &Overview) -> String {
    let mut out = String::new();
    for now in &overview.now {
        let reasons = now.sys_mode_reasons.clone().unwrap_or_default().join(", ");
        let since = now.sys_mode_since.map(|at| at.format("%H:%M:%S UTC").to_string());
        out.push_str(&format!(
            "{}: mode {} since {}{}\n",
            shown(now.domain.as_ref()),
            shown(now.sys_mode.as_ref()),
            shown(since),
            if reasons.is_empty() { String::new() } else { format!(" ({reasons})") },
        ));
        out.push_str(&format!(
            "  generation {} of run {}: {} symbols, {} ms old · frame {} ms old · epoch {} {} ({} s)\n",
            shown(now.generation_id),
            shown(now.run_id),
            shown(now.row_count),
            shown(now.state_age_ms),
            shown(now.frame_age_ms),
            shown(now.epoch_id),
            shown(now.epoch_status.as_ref()),
            shown(now.epoch_age_secs),
        ));
    }
    let beats = overview.heartbeats.iter().map(|beat| {
        let alerts = beat.alerts.as_array().map_or(0, Vec::len);
        vec![
            beat.service.clone(),
            format!("{}:{}", beat.host, beat.pid),
            format!("{} ms", beat.age_ms),
            alerts.to_string(),
        ]
    });
    out.push_str(&table(&["service", "process", "heartbeat", "alerts"], beats.collect()));
    let positions = overview.positions.iter().map(|p| {
        vec![
            shown(p.symbol.as_ref()),
            shown(p.base_qty.map(|d| d.normalize())),
            shown(p.avg_entry_price.map(|d| d.normalize())),
            shown(p.g_bps.map(|d| d.normalize())),
            shown(p.stop_price_on_exchange.map(|d| d.normalize())),
            shown(p.plan_state.as_ref()),
        ]
    });
    let header = ["position", "base", "entry", "g bps", "stop", "plan"];
    out.push_str(&table(&header, positions.collect()));
    let reasons = overview.no_trade.iter().map(|row| {
        vec![shown(row.cycles), shown(row.verdict.as_ref()), shown(row.dominant_blocker.as_ref())]
    });
    out.push_str(&table(
        &["cycles in 24 h without an order", "verdict", "first blocker"],
        reasons.collect(),
    ));
    if overview.now.is_empty() {
        out.push_str("nothing has been published on this decision cluster yet\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(age_ms: i64, mode: &str) -> Overview {
        let beat = |service: &str| Heartbeat {
            service: service.to_owned(),
            host: "h".to_owned(),
            pid: 1,
            age_ms,
            status: json!({}),
            alerts: json!([]),
        };
        let now = Now {
            domain: Some("kraken_spot".to_owned()),
            run_id: Some(1),
            generation_id: Some(1_000_000_001),
            row_count: Some(32),
            state_age_ms: Some(900),
            frame_age_ms: Some(120),
            epoch_id: None,
            epoch_status: None,
            epoch_age_secs: None,
            ingest_lease_alive: Some(true),
            execution_lease_alive: Some(true),
            sys_mode: Some(mode.to_owned()),
            sys_mode_since: None,
            sys_mode_reasons: Some(vec!["EPOCH_NOT_VALID".to_owned()]),
        };
        Overview {
            now: vec![now],
            heartbeats: vec![beat("execution"), beat("ingest")],
            positions: Vec::new(),
            no_trade: Vec::new(),
        }
    }

    #[test]
    fn health_is_a_young_heartbeat_and_no_pause() {
        let execution = ServiceName::Execution;
        assert!(is_healthy(&overview(14_999, "DEGRADE"), execution, 15_000));
        assert!(!is_healthy(&overview(15_000, "NORMAL"), execution, 15_000));
        assert!(!is_healthy(&overview(10, "PAUSE"), execution, 15_000));
        assert!(is_healthy(&overview(10, "PAUSE"), ServiceName::Ingest, 15_000));
    }

    #[test]
    fn the_first_line_says_mode_and_reason() {
        let text = human(&overview(10, "DEGRADE"));
        assert!(
            text.starts_with("kraken_spot: mode DEGRADE since - (EPOCH_NOT_VALID)\n"),
            "{text}"
        );
        assert_eq!(machine(&overview(10, "DEGRADE"))["now"][0]["row_count"], 32);
    }
}
