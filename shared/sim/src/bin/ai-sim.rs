//! `ai-sim`: the stand-in for an AI endpoint as a process.
//!
//! Inputs: options. Outputs: one JSON line with address, key and model, then service until SIGINT or SIGTERM; the log
//! goes to standard error. Exit codes: 0 ended by a signal, 2 wrong options, 1 anything else.

use anyhow::Context;
use clap::Parser;
use penstock_sim::ai::{Options, Script, start};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Longest script in bytes.
const SCRIPT_BYTES_MAX: u64 = 1 << 20;

/// An AI endpoint on loopback that answers by a script.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Seed of what the script leaves open.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Script of the answers; without it every answer is right.
    #[arg(long)]
    script: Option<PathBuf>,
}

fn read(path: &PathBuf) -> anyhow::Result<Script> {
    let length = std::fs::metadata(path)
        .with_context(|| format!("failed to read the script {}", path.display()))?
        .len();
    anyhow::ensure!(
        length <= SCRIPT_BYTES_MAX,
        "script {} has {length} bytes, at most {SCRIPT_BYTES_MAX}; next: shorten it",
        path.display()
    );
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read the script {}", path.display()))?;
    Script::parse(&text).with_context(|| path.display().to_string())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let script = arguments.script.as_ref().map(read).transpose()?.unwrap_or_default();
    let mut terminate = signal(SignalKind::terminate()).context("failed to watch SIGTERM")?;
    let handle = start(Options { seed: arguments.seed, script }).await?;
    println!("{}", serde_json::to_string(&handle.address)?);
    tokio::select! {
        // Either ends it; the order does not matter, and a fixed one needs no random number.
        biased;
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("failed to watch SIGINT")?,
    }
    let counts = handle.stop().await;
    eprintln!("{}", serde_json::to_string(&counts)?);
    Ok(())
}
