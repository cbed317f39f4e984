//! Purpose: ingest from the venue's socket to durable rows. Inputs: numbers of symbols and seconds.
//! Outputs: a report: rows and frames per second, memory per symbol, the spool and the copy alone.
//! Invariants: the service is a process of its own that runs its own code, publications included, against
//! a pair of its own; what is counted is what stands in its tables when its load cursor has caught up;
//! what it lost is counted too. Only the venue is the bench's, and it only sends what was prepared.

mod floor;
mod frames;
mod link;
mod pair;
mod report;
mod requests;
pub(super) mod service;
mod venue;

use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use penstock_store::ClusterRole;
use penstock_types::{RunId, Symbol};
use sqlx::PgPool;

use super::figures::Report;
use super::raw;
use super::rig::{Databases, Rig};
use crate::progress::Progress;
use frames::Mix;
use pair::Pair;
use service::{Service, Usage};
use venue::{Sent, Venue};

/// Longest wait for the first sample of every book.
const LIVE_LIMIT: Duration = Duration::from_secs(120);
/// Longest wait until what was sent stands in the tables, beyond ten times the time of sending.
const LOAD_LIMIT: Duration = Duration::from_secs(120);
/// How often the tables are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Rows in which the last trade of every symbol is looked for: 500 per symbol of the largest universe, in
/// an order that takes the symbols in turn.
const NEWEST_ROWS: i64 = 500_000;
/// One in so many symbols is in the smaller of the two universes whose memory is compared.
const FEW: usize = 10;

/// Options of `bench ingest`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// Symbols of the venue, each with ticker, trades and a book
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub symbols: u32,
    /// Seconds of each of the two floods: one of mostly trades, one of mostly book changes
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Seconds of calm market before memory is read
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub memory_seconds: u64,
    /// Rows of the copy and of the spool that are measured alone
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub floor_rows: u64,
}

/// What a flood gave.
#[derive(Debug, Clone, Copy)]
struct Flood {
    sent: Sent,
    /// Rows of all tables.
    rows: u64,
    /// Until the last frame was taken.
    sending: Duration,
    /// Until the last trade stood in its table.
    took: Duration,
    /// Processor time of the service.
    cpu: Duration,
}

/// Everything that is measured.
#[derive(Debug)]
struct Measured {
    /// Symbols and memory of the smaller and of the larger universe.
    memory: [(usize, Usage); 2],
    rows: Flood,
    books: Flood,
    after: Usage,
    /// Trades that were sent and are in no table.
    lost_trades: u64,
    /// Rows that tell of something that went wrong.
    faults: u64,
    copy: (u64, Duration),
    /// Rows, bytes, time.
    spool: (u64, u64, Duration),
}

/// Runs the bench on a pair of clusters.
///
/// # Errors
/// What a cluster or the service said.
pub(super) async fn run(rig: Rig, args: Args) -> anyhow::Result<Report> {
    let symbols = usize::try_from(args.symbols)?;
    let calm = Duration::from_secs(args.memory_seconds);
    let few = (symbols / FEW).max(1);
    let small = Setting::start(&rig, "few", few).await?;
    let few_usage = small.memory(calm).await?;
    small.service.stop().await?;
    let mut large = Setting::start(&rig, "many", symbols).await?;
    let many_usage = large.memory(calm).await?;
    let seconds = Duration::from_secs(args.seconds);
    let rows = large.flood(Mix::ROWS, seconds, "a flood of trades").await?;
    let books = large.flood(Mix::BOOKS, seconds, "a flood of book changes").await?;
    let after = large.service.usage()?;
    let lost_sockets = large.venue.lost_sockets();
    anyhow::ensure!(lost_sockets == 0, "{lost_sockets} sockets were closed during the bench");
    let lost_trades = large.lost().await?;
    let faults = faults(&large.pool, large.run_id).await?;
    let Setting { databases, venue, service, pool: _, run_id } = large;
    service.stop().await?;
    drop(venue);
    let progress = Progress::start("the copy and the spool alone");
    let mut conn = databases.superuser(ClusterRole::Ingest).await?;
    let copy = floor::copy(&mut conn, run_id, args.floor_rows).await?;
    let directory = databases.state().join("spool-alone");
    let names: Result<Vec<Symbol>, _> =
        (0..symbols).map(|n| Symbol::new(&Pair::of(n).symbol)).collect();
    let (names, floor_rows) = (names?, args.floor_rows);
    let alone = move || raw::write_alone(&directory, names, floor_rows);
    let spool = tokio::task::spawn_blocking(alone).await??;
    drop(progress);
    let memory = [(few, few_usage), (symbols, many_usage)];
    let measured = Measured { memory, rows, books, after, lost_trades, faults, copy, spool };
    Ok(report::of(&args, &measured))
}

/// A service with its venue and its databases.
struct Setting {
    databases: Databases,
    venue: Venue,
    service: Service,
    /// Ingest cluster as `ops_rw`.
    pool: PgPool,
    run_id: RunId,
}

impl Setting {
    /// Starts a service and waits until every book has been sampled.
    async fn start(rig: &Rig, name: &str, symbols: usize) -> anyhow::Result<Self> {
        let _progress = Progress::start("starting ingest on a pair of databases");
        let databases = rig.databases(name).await?;
        let venue = Venue::start(symbols)?;
        let mut service = Service::start(&databases, &venue)?;
        let pool = databases.patient_pool(ClusterRole::Ingest, "ops_rw", 2).await?;
        let deadline = Instant::now() + LIVE_LIMIT;
        let run_id = loop {
            service.check()?;
            let (run_id, live): (Option<i64>, i64) =
                sqlx::query_as("select max(run_id), count(distinct symbol) from l2_snap_metrics")
                    .fetch_one(&pool)
                    .await?;
            match run_id {
                Some(run_id) if usize::try_from(live)? == symbols => break RunId(run_id),
                _ => {}
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "{live} of {symbols} books were sampled within {LIVE_LIMIT:?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        };
        Ok(Self { databases, venue, service, pool, run_id })
    }

    /// Memory after some calm.
    async fn memory(&self, calm: Duration) -> anyhow::Result<Usage> {
        let _progress = Progress::start("a calm market, for the memory");
        tokio::time::sleep(calm).await;
        self.service.usage()
    }

    /// Sends as much as is taken, and waits until all of it stands in the tables.
    async fn flood(&mut self, mix: Mix, seconds: Duration, text: &str) -> anyhow::Result<Flood> {
        let _progress = Progress::start(text);
        let (before, rows_before) = (self.venue.sent(), self.rows_loaded().await?);
        let cpu_before = self.service.usage()?.cpu;
        let started = Instant::now();
        self.venue.flood(mix);
        tokio::time::sleep(seconds).await;
        self.venue.calm().await?;
        let sending = started.elapsed();
        let (sent, last) = (self.venue.sent(), self.venue.last_trades());
        let deadline = started + seconds * 10 + LOAD_LIMIT;
        while !self.are_loaded(&last).await? {
            self.service.check()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "the last trades are in no table after {:?}: they were shed, or loading hangs",
                started.elapsed()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let took = started.elapsed();
        let rows = self.rows_loaded().await?.saturating_sub(rows_before);
        let cpu = self.service.usage()?.cpu.saturating_sub(cpu_before);
        Ok(Flood { sent: sent.since(before), rows, sending, took, cpu })
    }

    async fn rows_loaded(&self) -> anyhow::Result<u64> {
        let cursor = penstock_store_ingest::runs::load_cursor(&self.pool, self.run_id).await?;
        Ok(u64::try_from(cursor.map_or(0, |cursor| cursor.rows_loaded))?)
    }

    /// Trades that were sent and are in no table, now that later ones are.
    async fn lost(&self) -> anyhow::Result<u64> {
        let last = self.venue.last_trades();
        let deadline = Instant::now() + LOAD_LIMIT;
        while !self.are_loaded(&last).await? && Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let sent: i64 = last.iter().map(|(_, id)| id + 1 - first_trade_id()).sum();
        let (symbols, ids) = columns(&last);
        let found: i64 = sqlx::query_scalar(
            "select count(*) from unnest($2::text[], $3::bigint[]) as l (symbol, trade_id)
             join trade_samples t on t.run_id = $1 and t.venue = 0 and t.symbol = l.symbol
                 and t.trade_id <= l.trade_id",
        )
        .bind(self.run_id.0)
        .bind(symbols)
        .bind(ids)
        .fetch_one(&self.pool)
        .await?;
        Ok(u64::try_from(sent - found)?)
    }

    /// The last trade of every symbol stands in its table, and with it everything before it. It looks at
    /// the newest rows only: a look at all of them would cost the cluster what is being measured.
    async fn are_loaded(&self, last: &[(String, i64)]) -> anyhow::Result<bool> {
        let (symbols, ids) = columns(last);
        let cursor = penstock_store_ingest::runs::load_cursor(&self.pool, self.run_id).await?;
        let newest = cursor.map_or(0, |cursor| cursor.last_seq.0) - NEWEST_ROWS;
        let found: i64 = sqlx::query_scalar(
            "select count(*) from unnest($2::text[], $3::bigint[]) as l (symbol, trade_id)
             join trade_samples t on t.run_id = $1 and t.venue = 0 and t.symbol = l.symbol
                 and t.trade_id = l.trade_id
             where t.seq > $4",
        )
        .bind(self.run_id.0)
        .bind(symbols)
        .bind(ids)
        .bind(newest)
        .fetch_one(&self.pool)
        .await?;
        Ok(usize::try_from(found)? == last.len())
    }
}

/// First number of a trade of every symbol.
fn first_trade_id() -> i64 {
    i64::try_from(frames::FIRST_TRADE_ID).unwrap_or(i64::MAX)
}

/// Symbols and numbers as two columns.
fn columns(last: &[(String, i64)]) -> (Vec<&str>, Vec<i64>) {
    last.iter().map(|(symbol, id)| (symbol.as_str(), *id)).unzip()
}

/// Rows about gaps, drops and books that did not fit their checksum.
async fn faults(pool: &PgPool, run_id: RunId) -> anyhow::Result<u64> {
    let rows: i64 = sqlx::query_scalar(
        "select count(*) from ingest_stream_events where run_id = $1
             and kind in ('gap', 'raw_drop', 'checksum_fail', 'resync', 'disconnect')
             and detail::text not like '%Stopped%'",
    )
    .bind(run_id.0)
    .fetch_one(pool)
    .await?;
    Ok(u64::try_from(rows)?)
}
