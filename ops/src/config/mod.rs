//! `penstock config check|show`.
//!
//! Inputs: the configuration of this machine, for one of the processes. Outputs: what is wrong, or
//! value, origin and range of every key. Invariants: secrets are never shown; nothing is connected to.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use penstock_config::{Config, Process, show};

use crate::arguments::Output;
use crate::exit;

/// Arguments of `penstock config`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
    /// For which process: each has rules of its own
    #[arg(long, value_enum, default_value = "tool", global = true)]
    pub process: ProcessName,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human", global = true)]
    pub output: Output,
}

/// What to do.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum Action {
    /// Say whether it is good
    Check,
    /// Show value, origin and range of every key
    Show {
        /// Only what differs from the compiled defaults
        #[arg(long)]
        changed: bool,
    },
}

/// A process on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum ProcessName {
    /// run-ingest.
    Ingest,
    /// run-execution-live.
    Execution,
    /// This tool.
    Tool,
}

/// Runs the command.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let process = match args.process {
        ProcessName::Ingest => Process::Ingest,
        ProcessName::Execution => Process::Execution,
        ProcessName::Tool => Process::Tool,
    };
    let mut out = std::io::stdout().lock();
    match (penstock_config::load(process, config_file.as_deref()), args.action, args.output) {
        (Err(error), _, Output::Json) => {
            let problems: Vec<_> = error.problems.iter().map(problem).collect();
            writeln!(out, "{}", serde_json::json!({"ok": false, "problems": problems}))?;
            Ok(exit::CONFIG)
        }
        (Err(error), _, Output::Human) => {
            eprintln!("{error}");
            Ok(exit::CONFIG)
        }
        (Ok(config), Action::Check, Output::Json) => {
            let line = serde_json::json!({"ok": true, "config_hash": config.hash(), "warnings": config.warnings});
            writeln!(out, "{line}")?;
            Ok(exit::CLEAN)
        }
        (Ok(config), Action::Check, Output::Human) => {
            for warning in &config.warnings {
                writeln!(out, "warning: {warning}")?;
            }
            writeln!(out, "ok, config_hash {}", config.hash())?;
            Ok(exit::CLEAN)
        }
        (Ok(config), Action::Show { changed }, output) => {
            show_rows(&mut out, &config, changed, output)?;
            Ok(exit::CLEAN)
        }
    }
}

fn problem(problem: &penstock_config::Problem) -> serde_json::Value {
    serde_json::json!({
        "key": problem.key,
        "value": problem.value,
        "origin": problem.origin,
        "reason": problem.reason,
        "allowed": problem.allowed,
        "next": problem.next,
    })
}

fn show_rows(
    out: &mut impl Write,
    config: &Config,
    changed: bool,
    output: Output,
) -> std::io::Result<()> {
    let differing: Vec<&str> = show::differences(config).iter().map(|one| one.key).collect();
    let rows: Vec<show::Row> = show::rows(config)
        .into_iter()
        .filter(|row| !changed || differing.contains(&row.key))
        .collect();
    if output == Output::Json {
        let keys: serde_json::Map<String, serde_json::Value> = rows
            .iter()
            .map(|row| {
                let value = serde_json::json!({"value": row.value, "origin": row.origin, "range": row.range, "env": row.variable});
                (row.key.to_owned(), value)
            })
            .collect();
        return writeln!(
            out,
            "{}",
            serde_json::json!({"config_hash": config.hash(), "keys": keys})
        );
    }
    if std::io::stdout().is_terminal() {
        let mut table = comfy_table::Table::new();
        table.set_header(["key", "value", "origin", "range"]);
        for row in rows {
            table.add_row([row.key.to_owned(), row.value, row.origin, row.range]);
        }
        writeln!(out, "{table}")?;
    } else {
        for row in rows {
            writeln!(out, "{}\t{}\t{}\t{}", row.key, row.value, row.origin, row.range)?;
        }
    }
    writeln!(out, "config_hash\t{}", config.hash())
}
