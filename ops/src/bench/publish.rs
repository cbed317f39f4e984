//! Purpose: the time of a publication: cut, record on the ingest cluster, publication on the decision
//! cluster. Inputs: numbers of symbols, rounds and raw rows. Outputs: a report. Invariants: cut,
//! encoding and both transactions are the service's own code; two databases that differ only in their
//! number of raw rows are measured alternately, so that what the machine does besides hits both; the
//! commit of one row in the same rounds is the floor. It loads no raw rows while it measures.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::figures::{Report, Samples};
use super::rig::Rig;
use super::side::{Side, Times, make_cut, market, market_start};
use super::{fill, full};
use crate::progress::Progress;

/// Rounds whose times do not count: the first of a connection prepare its statements.
pub(super) const WARM_UP_ROUNDS: u32 = 10;
/// Measured publications when none are named.
const ROUNDS: u32 = 300;
/// The larger of the two tables has this many times the rows of the smaller one.
const GROWTH: u64 = 10;

/// Options of `bench publish`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// Symbols of the state
    #[arg(long, default_value_t = 640, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub symbols: u32,
    /// Measured publications of each kind: 300, with --full 600
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: Option<u32>,
    /// Raw rows of the larger of the two databases that are compared; the other has a tenth
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10..=1_000_000_000))]
    pub raw_rows: u64,
    /// The long form: a loader into a small and a large partition, publication with 4 and with 400
    /// partitions of each raw table and beside that loader
    #[arg(long)]
    pub full: bool,
    /// With --full: rows of the large partition; 10^8 are 25 GB for the time of the bench
    #[arg(long, requires = "full", default_value_t = 100_000_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000_000))]
    pub raw_rows_max: u64,
    /// With --full: runs whose partitions stand beside the large one; each has seven
    #[arg(long, requires = "full", default_value_t = 400, value_parser = clap::value_parser!(u32).range(5..=10_000))]
    pub runs_max: u32,
    /// Pause between two rounds in milliseconds: 0 measures back to back, 1000 is the service's pace; with
    /// --full 200 unless said, because a loader gives way to publications
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub pace_ms: Option<u64>,
}

impl Args {
    /// The pause after a publication.
    pub(super) fn pace(&self) -> Duration {
        let default = if self.full { full::PACE_MS } else { 0 };
        Duration::from_millis(self.pace_ms.unwrap_or(default))
    }
}

/// Runs the bench on a pair of clusters.
///
/// # Errors
/// What a cluster said.
pub(super) async fn run(rig: Rig, args: Args) -> anyhow::Result<Report> {
    if args.full {
        return full::run(&rig, &args).await;
    }
    let progress = Progress::start("making two databases and their raw rows");
    let start = market_start();
    let mut sides = Vec::with_capacity(2);
    for (name, rows) in [("small", args.raw_rows / GROWTH), ("large", args.raw_rows)] {
        let databases = rig.databases(name).await?;
        let side = Side::open(&databases, start).await?;
        fill::trades(&databases, side.run.run.run_id, (rows, args.symbols)).await?;
        sides.push((side, Times::default()));
    }
    drop(progress);
    let progress = Progress::start("half an hour of market for the first cut");
    let mut market = market(&sides[0].0, start, args.symbols)?;
    drop(progress);
    let progress = Progress::start("publishing");
    let (mut cuts, mut encodings) = (Samples::default(), Samples::default());
    let mut floor = Samples::default();
    for round in 0..WARM_UP_ROUNDS + args.rounds.unwrap_or(ROUNDS) {
        market.second();
        let counts = round >= WARM_UP_ROUNDS;
        let cut = make_cut(&mut market, round, counts.then_some((&mut cuts, &mut encodings)));
        // Who comes first changes, so that neither always finds the caches of the other.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for at in order {
            let (side, times) = &mut sides[at];
            let took = side.floor.commit().await?;
            side.publish(&cut, counts.then_some(times)).await?;
            if counts {
                floor.push(took);
            }
        }
        if !args.pace().is_zero() {
            tokio::time::sleep(args.pace()).await;
        }
    }
    drop(progress);
    Ok(report(&args, [&sides[0].1, &sides[1].1], (&cuts, &encodings), &floor))
}

fn report(
    args: &Args,
    [small, large]: [&Times; 2],
    (cuts, encodings): (&Samples, &Samples),
    floor: &Samples,
) -> Report {
    let count = args.symbols;
    let mut figures = Vec::new();
    figures.extend(floor.figures("floor: commit of one row", None, None));
    figures.extend(cuts.figures(&format!("cut of {count} symbols"), Some(1.0), None));
    figures.extend(encodings.figures("encoding of its rows", None, None));
    figures.extend(large.record.figures("record (ingest cluster)", None, None));
    figures.extend(large.publish.figures("publish (decision cluster)", None, None));
    figures.extend(large.both.figures("record + publish", Some(10.0), Some(30.0)));
    let few = args.raw_rows / GROWTH;
    figures.extend(small.both.figures(&format!("the same, {few} raw rows"), None, None));
    let name = format!("change of p50, {few} to {} raw rows", args.raw_rows);
    figures.push(small.both.change(&large.both, 50, name, Some(5.0)));
    let per_commit =
        large.both.quantile(50).as_secs_f64() / floor.quantile(50).as_secs_f64().max(f64::EPSILON);
    Report {
        bench: "publish",
        setting: vec![
            ("symbols", count.to_string()),
            ("rounds", args.rounds.unwrap_or(ROUNDS).to_string()),
            ("raw rows", args.raw_rows.to_string()),
            ("pace_ms", args.pace().as_millis().to_string()),
        ],
        figures,
        notes: vec![
            format!("record + publish is {per_commit:.0} commits of one row."),
            "The target for the change is meant from 10^6 to 10^8 raw rows; what was compared here stands in the row's name. --full compares those.".to_owned(),
        ],
    }
}
