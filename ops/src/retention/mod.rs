//! `penstock retention`: raw partitions and days that have had their time are closed, detached, dropped.
//!
//! Inputs: both clusters, the limits of the configuration, the free space. Outputs: fewer partitions, a
//! line for each that went or is held, figures. Invariants: never in PAUSE and never below the mark of
//! low disk space; a run that is open, not loaded, or that a live order or position refers to stays; rows
//! are never deleted from raw tables. A partition is detached without blocking its writers, then dropped,
//! and a command that was cut off in between goes on there.

pub(crate) mod audit;
mod days;
mod engine;
pub mod plan;

use crate::arguments::Output;
use crate::engine_files::{Places, failed};
use crate::stack::StackOptions;
use crate::{databases, exit};
use anyhow::{Context, bail};
use nix::sys::statvfs::statvfs;
use penstock_clusters::ClusterKind;
use penstock_config::{Config, Process};
use penstock_engine_io::{Day, EngineDirs};
use penstock_store::ClusterRole;
use penstock_store::partitions::{RAW_TABLES, close_run_partition, drop_partition};
use penstock_store::pools::{PoolSettings, connect_single};
use penstock_store_decision::control;
use penstock_store_decision::retention::{order_runs, sent_days, today_and_mode};
use penstock_store_ingest::retention::{
    Partition, forget_runs, mark_closed, mark_dropped, partitions,
};
use penstock_types::Decimal;
use plan::{Action, Limits, plan};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Days for which the description of a run's loading outlives its partitions.
const DESCRIPTION_DAYS: i32 = 14;

/// Options of `penstock retention`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Say what would go, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Also drop days of decisions and private messages, of which this version makes no backup
    #[arg(long)]
    pub without_backup: bool,
}

/// What went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Partitions of both clusters.
    pub dropped: u64,
    /// Days of the trail and of the engine.
    pub days: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Done {
    /// What is told of it; nothing when nothing went.
    #[must_use]
    pub fn note(self, took: Duration, is_whole: bool) -> Option<serde_json::Value> {
        let Self { dropped, days, bytes } = self;
        let end = if is_whole { "" } else { ", then it failed" };
        (dropped + days > 0).then(|| {
            serde_json::json!({
                "note": "RETENTION_APPLIED",
                "target": TARGET,
                "bytes": bytes,
                "duration_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "outcome": format!("{dropped} partitions dropped, {days} days removed{end}"),
            })
        })
    }
}

/// What the bytes of a note are counted of.
const TARGET: &str = "clusters, trail and engine";

/// Runs the command.
///
/// # Errors
/// When a cluster does not answer, in PAUSE, and below the mark of low disk space.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let config = penstock_config::load(Process::Tool, config_file.as_deref())?;
    let options = StackOptions::from_config(&config, config_file.as_deref())?;
    let urls = Urls {
        ingest: options.url(ClusterKind::Ingest, "ops_rw")?,
        decision: options.url(ClusterKind::Decision, "ops_rw")?,
    };
    let trail = audit::dir_of(&config, options.root.path());
    let low = refuse_low_disk(options.root.path(), config.areas.disk.disk_free_degrade_bytes);
    let places = Places::of(&config, options.root.path());
    let (started, mut done) = (Instant::now(), Done::default());
    let ended = match low {
        Ok(()) => pass(&urls, &config, &args, (&trail, &places.dirs), &mut done).await,
        // With little space old files of the trail go and nothing else does.
        Err(low) => audit::expire(&trail, &config, args.dry_run, true, &mut done).and(Err(low)),
    };
    if !args.dry_run {
        let is_whole = matches!(ended, Ok(exit::CLEAN));
        tell(&urls.decision, done.note(started.elapsed(), is_whole)).await;
    }
    ended
}

/// Everything that goes when there is space; what went before a failure stands in `done`.
async fn pass(
    urls: &Urls,
    config: &Config,
    args: &Args,
    (trail, engine): (&Path, &EngineDirs),
    done: &mut Done,
) -> anyhow::Result<i32> {
    clean(urls, config, args, done).await?;
    audit::clean(trail, config, args, done)?;
    let Done { dropped, bytes, .. } = *done;
    let verb = if args.dry_run { "would be dropped" } else { "dropped" };
    println!("RETENTION_DONE: {dropped} partitions {verb}, {bytes} bytes");
    clean_engine(urls, config, engine, args, done).await
}

/// Tells execution, which alone writes the trail, what was done: while it is down the note waits for it. What was done
/// stands without the note: its failure is a warning.
pub async fn tell(decision: &str, note: Option<serde_json::Value>) {
    let Some(note) = note else { return };
    let asked = async {
        let pool = databases::pool(decision, ClusterKind::Decision).await?;
        control::ask(&pool, "probe", &note, &penstock_clusters::caller_name()).await?;
        anyhow::Ok(())
    };
    if let Err(error) = asked.await {
        eprintln!("warning: what went is not in the audit trail: {error:#}");
    }
}

/// Days of the engine's files; the status of what is wrong with one of them.
async fn clean_engine(
    urls: &Urls,
    config: &Config,
    dirs: &EngineDirs,
    args: &Args,
    done: &mut Done,
) -> anyhow::Result<i32> {
    let decision = databases::pool(&urls.decision, ClusterKind::Decision).await?;
    let (today, _) = today_and_mode(&decision).await?;
    let traded = sent_days(&decision).await?.into_iter().filter_map(Day::of_date).collect();
    let today = Day::of_date(today).context("the clock of the decision cluster is before 1970")?;
    let local = &config.engine.local;
    engine::forget_rows(&decision, today, args).await?;
    let cleaned =
        tokio::task::block_in_place(|| engine::clean(dirs, local, today, traded, args, done));
    match cleaned {
        Ok(()) => Ok(exit::CLEAN),
        Err(fault) => failed(&fault, Output::Human),
    }
}

/// Where both clusters are.
#[derive(Debug, Clone)]
pub struct Urls {
    /// As `ops_rw`.
    pub ingest: String,
    /// As `ops_rw`.
    pub decision: String,
}

/// With little space left nothing is dropped: a checkpoint and the log of a drop need space of their own,
/// and the operator must look first.
fn refuse_low_disk(path: &Path, limit_bytes: u64) -> anyhow::Result<()> {
    let existing = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let free = statvfs(existing)
        .map(|s| s.blocks_available().saturating_mul(s.fragment_size()))
        .with_context(|| format!("free space of {}", existing.display()))?;
    if free < limit_bytes {
        bail!(
            "DISK_LOW_DEGRADE: {free} bytes are free at {}, the limit is {limit_bytes}; next: make space by hand, then run it again",
            existing.display()
        );
    }
    Ok(())
}

/// Closes and drops what is due on both clusters; adds to `done` what went, also when it fails later.
///
/// # Errors
/// When a cluster does not answer, and in PAUSE.
pub async fn clean(
    urls: &Urls,
    config: &Config,
    args: &Args,
    done: &mut Done,
) -> anyhow::Result<()> {
    let next = "next: `penstock up`";
    let decision = databases::pool(&urls.decision, ClusterKind::Decision)
        .await
        .with_context(|| format!("the decision cluster does not answer; {next}"))?;
    let (today, mode) = today_and_mode(&decision).await?;
    if mode.as_deref() == Some("PAUSE") {
        bail!(
            "the mode is PAUSE: nothing is dropped; next: `penstock status`, end the pause first"
        );
    }
    let settings = settings();
    let mut ingest = connect_single(&urls.ingest, ClusterRole::Ingest, &settings)
        .await
        .with_context(|| format!("the ingest cluster does not answer; {next}"))?;
    let found = partitions(&mut ingest).await?;
    let actions = plan(&found, &order_runs(&decision).await?, limits(config));
    for (partition, action) in found.iter().zip(actions) {
        match action {
            Action::Keep("young") => {}
            Action::Keep(why) => println!("{}: kept, {why}", partition.name),
            Action::Close if args.dry_run => println!("{}: would be closed", partition.name),
            Action::Close => close(&urls.ingest, &settings, partition).await?,
            Action::Drop => {
                if !args.dry_run {
                    drop_raw(&urls.ingest, &settings, partition).await?;
                }
                let verb = if args.dry_run { "would be dropped" } else { "dropped" };
                println!("{}: {verb}, {} bytes", partition.name, partition.bytes);
                done.dropped += 1;
                done.bytes += u64::try_from(partition.bytes).unwrap_or(0);
            }
        }
    }
    if !args.dry_run {
        let rows = forget_runs(&mut ingest, DESCRIPTION_DAYS).await?;
        println!("{rows} rows about runs without partitions forgotten");
    }
    days::clean(&urls.decision, &decision, today, config, args, done).await
}

/// Long statements and locks: an index over a run of hours, a detach that waits for readers.
pub(crate) const fn settings() -> PoolSettings {
    PoolSettings {
        lock_timeout_ms: 60_000,
        statement_timeout_ms: 1_800_000,
        ..PoolSettings::service("penstock-retention", 1)
    }
}

fn limits(config: &Config) -> Limits {
    let retention = &config.areas.retention;
    let secs = |hours: Decimal| {
        let secs = (hours * Decimal::from(3_600)).trunc();
        i64::try_from(secs).unwrap_or(i64::MAX)
    };
    Limits {
        raw_secs: secs(retention.raw_retention_hours),
        l3_secs: secs(retention.l3_retention_hours),
        traded_secs: secs(retention.raw_retention_traded_hours),
    }
}

/// Parent of a partition, from the closed list of raw tables.
fn parent(partition: &Partition) -> anyhow::Result<&'static str> {
    let found = RAW_TABLES.into_iter().find(|table| *table == partition.table);
    found.with_context(|| format!("{}: {} is no raw table", partition.name, partition.table))
}

async fn close(url: &str, settings: &PoolSettings, partition: &Partition) -> anyhow::Result<()> {
    // The connection acts as the owner from here on, so it is one of its own.
    let mut conn = connect_single(url, ClusterRole::Ingest, settings).await?;
    let (bytes, rows) =
        close_run_partition(&mut conn, parent(partition)?, partition.run_id).await?;
    mark_closed(&mut conn, &partition.name, bytes, rows).await?;
    println!("{}: closed, {rows} rows, {bytes} bytes", partition.name);
    Ok(())
}

/// Detaches and drops a raw partition and marks it in the registry.
///
/// # Errors
/// What the cluster said.
pub(crate) async fn drop_raw(
    url: &str,
    settings: &PoolSettings,
    partition: &Partition,
) -> anyhow::Result<()> {
    // As above; and a detach without blocking needs a statement outside of any transaction.
    let mut conn = connect_single(url, ClusterRole::Ingest, settings).await?;
    drop_partition(&mut conn, ClusterRole::Ingest, parent(partition)?, &partition.name).await?;
    mark_dropped(&mut conn, &partition.name).await?;
    Ok(())
}
