//! Purpose: what dropping partitions does to publication. Inputs: rounds, rows of an old run. Outputs: a
//! report: quantiles of publication while partitions are detached and dropped, and while none is.
//! Invariants: a loader writes and readers read the same tables all the time; partitions are dropped as
//! `penstock retention` drops them; blocks with and without a drop take turns; a drop that does not end
//! within its block is waited for before the next one begins.

use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use penstock_store::ClusterRole;
use penstock_store::pools::connect_single;
use penstock_store_ingest::raw_read::RawReader;
use penstock_store_ingest::retention::partitions;
use penstock_types::{RunId, Seq};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::figures::{Figure, Report, Samples};
use super::full::{BLOCK, PACE_MS, compared};
use super::loading::{Loading, LoadingTask};
use super::publish::WARM_UP_ROUNDS;
use super::rig::{Databases, Rig};
use super::side::{Side, Times, make_cut, market, market_start};
use super::{fill, side};
use crate::progress::{Bar, Progress};
use crate::retention::{drop_raw, settings};

/// Readers of raw rows: a verification and an export, say.
const READERS: usize = 2;

/// Options of `bench retention`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// Symbols of the state
    #[arg(long, default_value_t = 640, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub symbols: u32,
    /// Measured publications with and as many without a drop
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
    /// Trades of each run whose partitions are dropped
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub run_rows: u64,
}

/// What happened in the tables meanwhile.
#[derive(Debug, Default)]
struct Beside {
    drops: Samples,
    partitions: u64,
    loaded: (u64, Duration),
    read: u64,
}

/// Runs the bench on a pair of clusters.
///
/// # Errors
/// What a cluster said; a disk without room.
pub(super) async fn run(rig: Rig, args: Args) -> anyhow::Result<Report> {
    let old_runs = i64::from(args.rounds.div_ceil(BLOCK)) + 1;
    fill::require_room(rig.directory(), args.run_rows * u64::try_from(old_runs)?)?;
    let start = market_start();
    let databases = rig.databases("retention").await?;
    let side = Side::open(&databases, start).await?;
    let own = side.run.run.run_id;
    let old: Vec<RunId> = (1..=old_runs).map(|n| RunId(own.0 + n)).collect();
    fill::partitions(&databases, old.iter().copied()).await?;
    for run_id in &old {
        fill::trades(&databases, *run_id, (args.run_rows, args.symbols)).await?;
    }
    let progress = Progress::start("half an hour of market for the first cut");
    let mut market = market(&side, start, args.symbols)?;
    drop(progress);
    let loading = Loading::open(&databases, &side, args.symbols, 1).await?.written(1_000).await?;
    let writer = LoadingTask::start(loading);
    let stop = CancellationToken::new();
    let readers = readers(&databases, own, &stop).await?;
    let measured = publish(&args, side, &mut market, &databases, &old).await;
    stop.cancel();
    let (loading, rows, took) = writer.end().await?;
    loading.close()?;
    let (without, with, mut beside) = measured?;
    beside.loaded = (rows, took);
    for read in readers.join_all().await {
        beside.read += read?;
    }
    Ok(report(&args, [&without.both, &with.both], &beside))
}

/// Publishes in blocks without and with a drop.
async fn publish(
    args: &Args,
    mut side: Side,
    market: &mut super::market::Market,
    databases: &Databases,
    old: &[RunId],
) -> anyhow::Result<(Times, Times, Beside)> {
    let (mut without, mut with) = (Times::default(), Times::default());
    let mut beside = Beside::default();
    let mut bar = Bar::new("publishing");
    let (mut round, mut done) = (0, 0);
    let mut old = old.iter();
    while done < args.rounds {
        // A first pair of blocks prepares the statements of every connection and does not count.
        let is_warm = round > 0;
        let block = if is_warm { BLOCK.min(args.rounds - done) } else { WARM_UP_ROUNDS };
        // Who comes first changes with each pair.
        for is_drop in if (done / BLOCK).is_multiple_of(2) { [false, true] } else { [true, false] }
        {
            let due = if is_drop { old.next() } else { None };
            let dropping = match due {
                Some(run_id) => {
                    let url = databases.url(ClusterRole::Ingest, "ops_rw")?;
                    Some(tokio::spawn(drop_run(url, *run_id)))
                }
                None => None,
            };
            let times = if is_drop { &mut with } else { &mut without };
            for _ in 0..block {
                market.second();
                let cut: side::Cut = make_cut(market, round, None);
                round += 1;
                side.publish(&cut, is_warm.then_some(&mut *times)).await?;
                // Between two of them the loader works, which gives way to each.
                tokio::time::sleep(Duration::from_millis(PACE_MS)).await;
            }
            if let Some(dropping) = dropping {
                let (dropped, took) = dropping.await??;
                beside.partitions += dropped;
                if is_warm {
                    beside.drops.push(took);
                }
            }
        }
        done += if is_warm { block } else { 0 };
        bar.at(i64::from(done), i64::from(args.rounds));
    }
    Ok((without, with, beside))
}

/// Drops every partition of a run as the command does.
async fn drop_run(url: String, run_id: RunId) -> anyhow::Result<(u64, Duration)> {
    let settings = settings();
    let mut conn = connect_single(&url, ClusterRole::Ingest, &settings).await?;
    let found = partitions(&mut conn).await?;
    let started = Instant::now();
    let mut dropped = 0;
    for partition in found.iter().filter(|one| one.run_id == run_id) {
        drop_raw(&url, &settings, partition).await?;
        dropped += 1;
    }
    anyhow::ensure!(dropped > 0, "run {run_id} has no partition that could be dropped");
    Ok((dropped, started.elapsed()))
}

/// Readers of the run that is being written, from its beginning again and again.
async fn readers(
    databases: &Databases,
    run_id: RunId,
    stop: &CancellationToken,
) -> anyhow::Result<JoinSet<anyhow::Result<u64>>> {
    let mut tasks = JoinSet::new();
    for _ in 0..READERS {
        let pool = databases.pool(ClusterRole::Ingest, "ops_rw", 1).await?;
        tasks.spawn(read(pool, run_id, stop.clone()));
    }
    Ok(tasks)
}

async fn read(pool: PgPool, run_id: RunId, stop: CancellationToken) -> anyhow::Result<u64> {
    let mut rows = 0;
    while !stop.is_cancelled() {
        let cursor = penstock_store_ingest::runs::load_cursor(&pool, run_id).await?;
        let last = cursor.map_or(Seq(0), |cursor| cursor.last_seq);
        let mut reader = RawReader::new(pool.clone(), run_id, Seq(0), last);
        while !stop.is_cancelled()
            && let Some(window) = reader.next_window().await?
        {
            rows += window.len() as u64;
        }
        // Nothing is there before the first batch is loaded.
        tokio::task::yield_now().await;
    }
    Ok(rows)
}

fn report(args: &Args, publications: [&Samples; 2], beside: &Beside) -> Report {
    let mut figures = Vec::new();
    let names = ["publication without a drop", "publication beside a drop"];
    compared(names, publications, &mut figures);
    figures.extend(beside.drops.figures("detach and drop of a run's partitions", None, None));
    figures.push(Figure::per_second("loader meanwhile", beside.loaded, "rows/s", None));
    let read = (beside.read, beside.loaded.1);
    figures.push(Figure::per_second("readers meanwhile", read, "rows/s", None));
    Report {
        bench: "retention",
        setting: vec![
            ("symbols", args.symbols.to_string()),
            ("rounds", args.rounds.to_string()),
            ("run rows", args.run_rows.to_string()),
        ],
        figures,
        notes: vec![format!(
            "{} publications of each kind in blocks of {BLOCK} that take turns; {} partitions were dropped beside a loader and {READERS} readers.",
            args.rounds, beside.partitions,
        )],
    }
}
