//! The command: collects logs and facts, judges, prints, writes the report file.

use super::{PROOFS, Settings, Sources, check_all, conclude, json, load, text};
use crate::stack::{EXECUTION, INGEST, StackOptions};
use crate::validate::Lines;
use crate::{databases, exit};
use penstock_clusters::ClusterKind;
use penstock_config::{Config, Endpoint, Process};
use penstock_types::UtcMicros;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Options of `penstock validate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Proofs, separated by commas: bootstrap, ingest, attach, evaluation, lifecycle
    #[arg(long, value_delimiter = ',', required = true, value_parser = clap::builder::PossibleValuesParser::new(PROOFS))]
    pub proof: Vec<String>,
    /// Minutes of logs to look at
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_080))]
    pub window_minutes: u32,
    /// A log to read instead of those of the data root; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub log_file: Vec<PathBuf>,
    /// Judge the logs alone; what SQL would show counts as not available
    #[arg(long)]
    pub markers_only: bool,
    /// Accept a dirty working tree and binaries of another commit
    #[arg(long)]
    pub allow_dirty: bool,
    /// `N/A` does not count as failure
    #[arg(long)]
    pub allow_single: bool,
    /// Directory for validation_<time>.json
    #[arg(long, default_value = ".")]
    pub report_dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When a log cannot be read or the report cannot be written.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let config = match penstock_config::load(Process::Tool, config_file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::USAGE);
        }
    };
    let options = StackOptions::from_config(&config, config_file.as_deref())?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let now = UtcMicros(i64::try_from(since.as_micros())?);
    let from = now.plus_millis(-i64::from(args.window_minutes) * 60_000);
    let logs = if args.log_file.is_empty() {
        [INGEST, EXECUTION].map(|name| options.root.log().join(format!("{name}.jsonl"))).to_vec()
    } else {
        args.log_file.clone()
    };
    // A recorded log is judged as a whole: its time is not now.
    let from = if args.log_file.is_empty() { from } else { UtcMicros(i64::MIN) };
    let lines = match Lines::read(&logs, from) {
        Ok(lines) => lines,
        Err(error) => {
            eprintln!("logs {logs:?}: {error}; next: `penstock up`, or --log-file FILE");
            return Ok(exit::USAGE);
        }
    };
    if !args.allow_dirty
        && let Some(reason) = foreign_commit(&lines)
    {
        eprintln!("{reason}; next: commit and rebuild, or --allow-dirty");
        return Ok(exit::USAGE);
    }
    let sources = sources(&args, &config, &options).await?;
    let (facts, trouble) = load(&sources, &lines, from).await;
    for line in trouble {
        eprintln!("{line}");
    }
    let settings = Settings {
        proofs: args.proof.clone(),
        min_evaluations: usize::try_from(config.areas.evaluation.min_evaluations)?,
        state_refresh_interval_ms: i64::try_from(config.areas.state.state_refresh_interval_ms)?,
        allow_single: args.allow_single,
    };
    let checks = check_all(&lines, &facts, &settings);
    let conclusion = conclude(&checks, &lines, &settings);
    print!("{}", text(&checks, conclusion, &args.proof));
    let report = args.report_dir.join(format!("validation_{}.json", now.secs()));
    std::fs::write(&report, json(&checks, conclusion, &args.proof).to_string())?;
    Ok(i32::from(conclusion.code))
}

async fn sources(args: &Args, config: &Config, options: &StackOptions) -> anyhow::Result<Sources> {
    let mut sources = Sources {
        ingest: None,
        decision: None,
        market_endpoints: market_endpoints(config),
        host: host(),
    };
    if args.markers_only {
        return Ok(sources);
    }
    for kind in ClusterKind::ALL {
        let url = options.url(kind, "observer_ro")?;
        match databases::pool(&url, kind).await {
            Ok(pool) => match kind {
                ClusterKind::Ingest => sources.ingest = Some(pool),
                ClusterKind::Decision => sources.decision = Some(pool),
            },
            Err(error) => eprintln!("{kind} cluster: {error}"),
        }
    }
    Ok(sources)
}

/// Public sockets that ingest uses and execution must not. REST is exempt: both need it.
fn market_endpoints(config: &Config) -> Vec<String> {
    let venues = &config.areas.venues;
    let mut all = vec![venues.kraken_ws_public_url.to_string()];
    for endpoint in [
        &venues.kraken_futures_ws_url,
        &venues.binance_um_ws_public_url,
        &venues.binance_um_ws_market_url,
    ] {
        if let Endpoint::At(url) = endpoint {
            all.push(url.to_string());
        }
    }
    all
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Why the running binaries are not the checked out commit; `None` when they are, or without git.
fn foreign_commit(lines: &Lines) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "HEAD"])?;
    if !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
        return Some("the working tree has uncommitted changes".to_owned());
    }
    let running = lines.0.iter().rev().map(|line| line.text("git_commit"));
    let foreign = running
        .filter(|commit| !commit.is_empty())
        .find(|commit| !head.starts_with(commit.as_str()) && !commit.starts_with(head.as_str()))?;
    Some(format!("a running binary was built from {foreign}, the checkout is at {head}"))
}
