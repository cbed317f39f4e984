//! Purpose: the long form of `bench publish`: whether what is recorded makes recording and publishing
//! slower. Inputs: rows of the larger partition, rounds. Outputs: a report: rows per second of the loader
//! into a small and a large partition; publication with few and with many partitions, and beside that
//! loader. Invariants: loader, spool, record and publication are the service's own code; everything that
//! is compared takes turns in blocks, so that what the machine does besides hits all.

use std::time::{Duration, Instant};

use penstock_types::RunId;

use super::figures::{Figure, Report, Samples};
use super::fill;
use super::loading::{Loading, LoadingTask};
use super::market::Market;
use super::publish::{Args, WARM_UP_ROUNDS};
use super::rig::Rig;
use super::side::{Side, Times, make_cut, market, market_start};
use crate::progress::{Bar, Progress};

/// Measured publications of each kind when none are named.
const ROUNDS: u32 = 600;
/// Rows of the small partition; fewer when the large one has not ten times as many.
const ROWS_FEW: u64 = 1_000_000;
/// Runs whose partitions stand in the smaller database.
const RUNS_FEW: u32 = 4;
/// Publications of one kind until it is the next one's turn.
pub(super) const BLOCK: u32 = 20;
/// Blocks in which the loader is timed into each partition.
const LOAD_BLOCKS: u32 = 5;
/// Rows of such a block.
const LOAD_ROWS: u64 = 200_000;
/// Rows that wait when a block of publications beside the loader begins: what it loads in that time.
const ROWS_BESIDE: u64 = 400_000;
/// Pause between two publications in milliseconds: five times the service's pace. Without any, a loader that
/// gives way to publications would only wait.
pub(super) const PACE_MS: u64 = 200;

/// What is published to, and beside what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// The smaller or the larger database.
    side: usize,
    is_beside_loader: bool,
}

const KINDS: [Kind; 3] = [
    Kind { side: 0, is_beside_loader: false },
    Kind { side: 1, is_beside_loader: false },
    Kind { side: 1, is_beside_loader: true },
];

/// A database with what is loaded into it.
struct Held {
    side: Side,
    loading: Option<Loading>,
    rows: u64,
    /// Rows and time of the timed blocks.
    loaded: (u64, Duration),
}

/// Runs it on a pair of clusters.
///
/// # Errors
/// What a cluster said; a disk without room.
pub(super) async fn run(rig: &Rig, args: &Args) -> anyhow::Result<Report> {
    fill::require_room(rig.directory(), args.raw_rows_max)?;
    let start = market_start();
    let few = ROWS_FEW.min(args.raw_rows_max / 10).max(1);
    let mut held = Vec::with_capacity(2);
    for (at, rows) in [few, args.raw_rows_max].into_iter().enumerate() {
        let runs = [RUNS_FEW, args.runs_max][at];
        held.push(open(rig, args, (at, runs), rows).await?);
    }
    for block in 0..LOAD_BLOCKS {
        for at in if block % 2 == 0 { [0, 1] } else { [1, 0] } {
            let _progress = Progress::start("loading");
            held[at].load(LOAD_ROWS.min(args.raw_rows_max)).await?;
        }
    }
    let progress = Progress::start("half an hour of market for the first cut");
    let mut market = market(&held[0].side, start, args.symbols)?;
    drop(progress);
    let (times, beside) = publish(args, &mut held, &mut market).await?;
    for one in &mut held {
        if let Some(loading) = one.loading.take() {
            loading.close()?;
        }
    }
    Ok(report(args, &held, &times, beside))
}

async fn open(rig: &Rig, args: &Args, (at, runs): (usize, u32), rows: u64) -> anyhow::Result<Held> {
    let name = ["few", "many"][at];
    let databases = rig.databases(name).await?;
    let side = Side::open(&databases, market_start()).await?;
    let run_id = side.run.run.run_id;
    let further: Vec<RunId> = (1..i64::from(runs)).map(|n| RunId(run_id.0 + n)).collect();
    fill::partitions(&databases, further.into_iter()).await?;
    fill::trades(&databases, run_id, (rows, args.symbols)).await?;
    let loading = Loading::open(&databases, &side, args.symbols, rows + 1).await?;
    Ok(Held { side, loading: Some(loading), rows, loaded: (0, Duration::ZERO) })
}

impl Held {
    /// Loads a block of rows, timed from the first batch to the last commit.
    async fn load(&mut self, rows: u64) -> anyhow::Result<()> {
        let Some(loading) = self.loading.take() else { return Ok(()) };
        let mut loading = loading.written(rows).await?;
        let started = Instant::now();
        let loaded = loading.load().await?;
        self.loaded.1 += started.elapsed();
        self.loaded.0 += loaded;
        self.loading = Some(loading);
        Ok(())
    }
}

/// Publishes in blocks of each kind; the times, and what the loader did beside.
async fn publish(
    args: &Args,
    held: &mut [Held],
    market: &mut Market,
) -> anyhow::Result<([Times; 3], (u64, Duration))> {
    let rounds = args.rounds.unwrap_or(ROUNDS);
    let mut times: [Times; 3] = Default::default();
    let mut beside = (0, Duration::ZERO);
    let mut bar = Bar::new("publishing");
    let (mut round, mut done) = (0, 0);
    while done < rounds {
        // A first block whose times do not count prepares the statements of every connection.
        let is_warm = round > 0;
        let block = if is_warm { BLOCK.min(rounds - done) } else { WARM_UP_ROUNDS };
        for turn in 0..KINDS.len() {
            // Who comes first changes with each block.
            let at = (turn + usize::try_from(done / BLOCK)?) % KINDS.len();
            let kind = KINDS[at];
            let one = &mut held[kind.side];
            let loading = one.loading.take_if(|_| kind.is_beside_loader);
            let busy = match loading {
                Some(loading) => Some(LoadingTask::start(loading.filled(ROWS_BESIDE).await?)),
                None => None,
            };
            for _ in 0..block {
                market.second();
                let cut = make_cut(market, round, None);
                round += 1;
                one.side.publish(&cut, is_warm.then_some(&mut times[at])).await?;
                if !args.pace().is_zero() {
                    tokio::time::sleep(args.pace()).await;
                }
            }
            if let Some(busy) = busy {
                let (loading, rows, took) = busy.end().await?;
                one.loading = Some(loading);
                beside = (beside.0 + rows, beside.1 + took);
            }
        }
        done += if is_warm { block } else { 0 };
        bar.at(i64::from(done), i64::from(rounds));
    }
    Ok((times, beside))
}

fn report(args: &Args, held: &[Held], times: &[Times; 3], beside: (u64, Duration)) -> Report {
    let mut figures = Vec::new();
    for one in held {
        let name = format!("loader into a partition of {} rows", one.rows);
        figures.push(Figure::per_second(name, one.loaded, "rows/s", None));
    }
    figures.push(Figure::per_second("loader beside publication", beside, "rows/s", None));
    let [few, many, loaded] = [&times[0].both, &times[1].both, &times[2].both];
    let names = [
        format!("publication, {RUNS_FEW} runs of partitions"),
        format!("publication, {} runs of partitions", args.runs_max),
        "the latter beside the loader".to_owned(),
    ];
    for (name, samples) in names.iter().zip([few, many, loaded]) {
        figures.extend(samples.figures(name, Some(10.0), Some(30.0)));
    }
    figures.push(few.change(many, 50, "change of p50, few to many partitions", Some(5.0)));
    figures.push(many.change(loaded, 50, "change of p50, beside the loader", Some(5.0)));
    Report {
        bench: "publish",
        setting: vec![
            ("symbols", args.symbols.to_string()),
            ("rounds", args.rounds.unwrap_or(ROUNDS).to_string()),
            ("raw rows max", args.raw_rows_max.to_string()),
            ("runs max", args.runs_max.to_string()),
            ("pace_ms", args.pace().as_millis().to_string()),
        ],
        figures,
        notes: vec![format!(
            "{} publications of each kind in blocks of {BLOCK} that take turns; the {} runs of partitions are those of the partition with {} rows.",
            args.rounds.unwrap_or(ROUNDS),
            args.runs_max,
            held.last().map_or(0, |one| one.rows),
        )],
    }
}

/// Quantiles of publications beside something and without it.
pub(super) fn compared(
    names: [&str; 2],
    [without, with]: [&Samples; 2],
    figures: &mut Vec<Figure>,
) {
    for (name, samples) in names.into_iter().zip([without, with]) {
        figures.extend(samples.figures(name, Some(10.0), Some(30.0)));
    }
    for percent in [50, 99] {
        let name = format!("change of p{percent}, {}", names[1]);
        figures.push(without.change(with, percent, name, None));
    }
}
