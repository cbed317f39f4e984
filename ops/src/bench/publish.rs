//! Purpose: the time of a publication: cut, record on the ingest cluster, publication on the decision
//! cluster. Inputs: numbers of symbols, rounds and raw rows. Outputs: a report. Invariants: cut,
//! encoding and both transactions are the service's own code; two databases that differ only in their
//! number of raw rows are measured alternately, so that what the machine does besides hits both; the
//! commit of one row in the same rounds is the floor. It loads no raw rows while it measures.

use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use penstock_store::ClusterRole;
use penstock_store::raw_rows::GenerationRow;
use penstock_store::state_copy::encode_state;
use penstock_store_decision::publication::{GenerationInput, GenerationPublisher};
use penstock_store_ingest::generations::{GenerationRecorder, Watermark};
use penstock_types::{GenerationId, UtcMicros};
use sqlx::PgConnection;

use super::figures::{Figure, Report, Samples};
use super::floor::Floor;
use super::market::Market;
use super::rig::{Databases, Rig, Run};
use crate::progress::Progress;

/// Domain of the bench.
const DOMAIN: &str = "bench";
/// Seconds of market that stand behind the first cut: the longest window of the state.
const HISTORY_SECONDS: i64 = 1_800;
/// Rounds whose times do not count: the first of a connection prepare its statements.
const WARM_UP_ROUNDS: u32 = 10;
/// The service gives up after a quarter of a second; here the whole time is wanted.
const RECORD_DEADLINE: Duration = Duration::from_secs(10);
/// Generations of a fencing token begin at its number times this.
const GENERATIONS_PER_TOKEN: i64 = 1_000_000_000;
/// The larger of the two tables has this many times the rows of the smaller one.
const GROWTH: u64 = 10;

/// Options of `bench publish`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// Symbols of the state
    #[arg(long, default_value_t = 640, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub symbols: u32,
    /// Measured publications of each database
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
    /// Raw rows of the larger of the two databases that are compared; the other has a tenth
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10..=1_000_000_000))]
    pub raw_rows: u64,
    /// Pause between two rounds in milliseconds: 0 measures back to back, 1000 is the service's pace
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub pace_ms: u64,
}

/// A database with its publisher and its times.
struct Side {
    run: Run,
    recorder: GenerationRecorder,
    publisher: GenerationPublisher,
    floor: Floor,
    times: Times,
}

#[derive(Default)]
struct Times {
    record: Samples,
    publish: Samples,
    both: Samples,
}

/// What a round publishes.
struct Cut {
    row: GenerationRow,
    watermarks: Vec<Watermark>,
    encoded: Vec<u8>,
    last_msg_age_ms: i32,
    gap_open: bool,
    cut_at: Instant,
}

/// Runs the bench on a pair of clusters.
///
/// # Errors
/// What a cluster said.
pub(super) async fn run(rig: Rig, args: Args) -> anyhow::Result<Report> {
    let progress = Progress::start("making two databases and their raw rows");
    // Candles older than two days would be removed at a full hour; a label is all that the time is.
    let start = UtcMicros::from(chrono::Utc::now()).plus_millis(-HISTORY_SECONDS * 1_000);
    let mut sides = Vec::with_capacity(2);
    for (name, rows) in [("small", args.raw_rows / GROWTH), ("large", args.raw_rows)] {
        let databases = rig.databases(name).await?;
        sides.push(side(&databases, start, rows, args.symbols).await?);
    }
    drop(progress);
    let first = &sides[0].run;
    let symbols = usize::try_from(args.symbols)?;
    let mut market = Market::new(first.run.run_id, first.lineage.lineage_id, start, symbols)?;
    let progress = Progress::start("half an hour of market for the first cut");
    for _ in 0..HISTORY_SECONDS {
        market.second();
    }
    drop(progress);
    let progress = Progress::start("publishing");
    let (mut cuts, mut encodings) = (Samples::default(), Samples::default());
    let mut floor = Samples::default();
    for round in 0..WARM_UP_ROUNDS + args.rounds {
        market.second();
        let mut unused = Samples::default();
        let counts = round >= WARM_UP_ROUNDS;
        let cut = if counts {
            make_cut(&mut market, round, &mut cuts, &mut encodings)
        } else {
            make_cut(&mut market, round, &mut unused, &mut Samples::default())
        };
        // Who comes first changes, so that neither always finds the caches of the other.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for at in order {
            let took = sides[at].floor.commit().await?;
            sides[at].publish(&cut, counts).await?;
            if counts {
                floor.push(took);
            }
        }
        if args.pace_ms > 0 {
            tokio::time::sleep(Duration::from_millis(args.pace_ms)).await;
        }
    }
    drop(progress);
    Ok(report(&args, &sides, &cuts, &encodings, &floor))
}

async fn side(
    databases: &Databases,
    start: UtcMicros,
    raw_rows: u64,
    symbols: u32,
) -> anyhow::Result<Side> {
    let run = databases.open_run(DOMAIN, start).await?;
    load_raw(&mut databases.superuser(ClusterRole::Ingest).await?, raw_rows, symbols).await?;
    Ok(Side {
        recorder: GenerationRecorder::new(run.ingest.clone()).with_deadline(RECORD_DEADLINE),
        publisher: GenerationPublisher::new(run.publisher.clone()),
        floor: Floor::new(databases.superuser(ClusterRole::Decision).await?).await?,
        run,
        times: Times::default(),
    })
}

/// Fills the run's trades and lets the cluster settle.
async fn load_raw(conn: &mut PgConnection, rows: u64, symbols: u32) -> anyhow::Result<()> {
    sqlx::query(
        "insert into trade_samples (run_id, seq, venue, symbol, trade_id, side, kind, ord_type,
             price, qty, ts_exchange, ts_local, conn_id)
         select 1, n, 0, 'S' || lpad((n % $2)::text, 5, '0') || '/USD', n, 'b', 'f', 'm',
             64123.1 + n % 97, 0.12345678, clock_timestamp(), clock_timestamp(), 1
         from generate_series(1, $1) as n",
    )
    .bind(i64::try_from(rows)?)
    .bind(i64::from(symbols))
    .execute(&mut *conn)
    .await?;
    sqlx::raw_sql("vacuum analyze trade_samples").execute(&mut *conn).await?;
    sqlx::raw_sql("checkpoint").execute(conn).await?;
    Ok(())
}

fn make_cut(market: &mut Market, round: u32, cuts: &mut Samples, encodings: &mut Samples) -> Cut {
    let cut_at = Instant::now();
    let cut = market.cut(GenerationId(GENERATIONS_PER_TOKEN + i64::from(round) + 1));
    let took = cut_at.elapsed();
    cuts.push(took);
    let encoding = Instant::now();
    let encoded = encode_state(&cut.rows);
    encodings.push(encoding.elapsed());
    Cut {
        row: GenerationRow {
            generation_id: cut.generation_id,
            run_id: cut.run_id,
            lineage_id: cut.lineage_id,
            as_of: cut.as_of,
            row_count: i32::try_from(cut.rows.len()).unwrap_or(i32::MAX),
            changed_rows: cut.changed,
            delta_ticker_rows: cut.deltas.ticker,
            delta_trade_rows: cut.deltas.trade,
            delta_l2_rows: cut.deltas.l2,
            delta_l3_rows: cut.deltas.l3,
            wm_seq: cut.wm_seq,
            raw_complete: true,
            content_hash: cut.content_hash,
            refresh_duration_ms: i32::try_from(took.as_millis()).unwrap_or(i32::MAX),
        },
        watermarks: cut
            .watermarks
            .iter()
            .map(|(stream, mark)| Watermark {
                stream: *stream,
                last_seq: mark.last_seq,
                last_ts_local: Some(mark.last_ts_local),
            })
            .collect(),
        encoded,
        last_msg_age_ms: i32::try_from(cut.last_msg_age_ms).unwrap_or(i32::MAX),
        gap_open: cut.gap_open,
        cut_at,
    }
}

impl Side {
    async fn publish(&mut self, cut: &Cut, counts: bool) -> anyhow::Result<()> {
        // Both databases have the same run, but each its own lineage.
        let lineage_id = self.run.lineage.lineage_id;
        let row = GenerationRow { lineage_id, ..cut.row.clone() };
        let started = Instant::now();
        let record = self.recorder.record(&row, &cut.watermarks, &cut.encoded).await?;
        let published = self
            .publisher
            .publish(&GenerationInput {
                run: &self.run.run,
                lineage: &self.run.lineage,
                run_symbols: &[],
                token: self.run.fence.token(),
                generation_id: row.generation_id,
                as_of: row.as_of,
                cut_at: cut.cut_at,
                last_msg_age_ms: cut.last_msg_age_ms,
                encoded: &cut.encoded,
                row_count: row.row_count,
                content_hash: row.content_hash,
                refresh_duration_ms: row.refresh_duration_ms,
                gap_open: cut.gap_open,
                candles: &[],
                trim_candles: false,
            })
            .await?;
        if counts {
            self.times.record.push(record);
            self.times.publish.push(published.duration);
            self.times.both.push(started.elapsed());
        }
        Ok(())
    }
}

fn report(
    args: &Args,
    sides: &[Side],
    cuts: &Samples,
    encodings: &Samples,
    floor: &Samples,
) -> Report {
    let [small, large] = [&sides[0].times, &sides[1].times];
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
    let (before, after) = (small.both.quantile(50), large.both.quantile(50));
    let change = (after.as_secs_f64() / before.as_secs_f64().max(f64::EPSILON) - 1.0) * 100.0;
    let name = format!("change of p50, {few} to {} raw rows", args.raw_rows);
    figures.push(Figure::percent(name, change, Some(5.0)));
    let per_commit = after.as_secs_f64() / floor.quantile(50).as_secs_f64().max(f64::EPSILON);
    Report {
        bench: "publish",
        setting: vec![
            ("symbols", count.to_string()),
            ("rounds", args.rounds.to_string()),
            ("raw rows", args.raw_rows.to_string()),
            ("pace_ms", args.pace_ms.to_string()),
        ],
        figures,
        notes: vec![
            format!("record + publish is {per_commit:.0} commits of one row."),
            "The target for the change is meant from 10^6 to 10^8 raw rows; what was compared here stands in the row's name.".to_owned(),
        ],
    }
}
