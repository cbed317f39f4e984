//! Purpose: the time from a generation that becomes visible to the committed intent that it led to.
//! Inputs: numbers of symbols and rounds. Outputs: a report. Invariants: hint, look, read transaction,
//! `decide`, second read, choke and the entry's transaction are the service's own code, in its order; the
//! clock starts when the publisher's commit has returned and stops when the intent's has; a round without
//! an entry is no sample and is counted aloud. Nothing is sent and no venue is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use penstock_config::{Process, Sources, resolve};
use penstock_execution::context::Context;
use penstock_execution::cycle::Evaluator;
use penstock_execution::settings::{RunMode, Settings};
use penstock_execution::wake::Wakes;
use penstock_store::ClusterRole;
use penstock_store_decision::glance::glance;
use penstock_store_orders::ExecStore;
use penstock_types::TickId;
use penstock_types::vocab::Trigger;
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use super::attached::{Attached, attach};
use super::figures::{Report, Samples};
use super::floor::Floor;
use super::intent::Intents;
use super::published::Published;
use super::rig::{Databases, Rig};
use crate::progress::Progress;

/// Domain of the bench.
const DOMAIN: &str = "bench";
/// Longest wait for the first entry: the mode needs a stable second, nothing else needs time.
const FIRST_ENTRY_LIMIT: Duration = Duration::from_secs(60);
/// Rounds whose times do not count.
const WARM_UP_ROUNDS: u32 = 5;
/// Quotes may be two seconds old at a submit; frames of the service come four times a second.
const FRAME_EVERY: Duration = Duration::from_millis(500);
/// Leases are renewed well before they end after fifteen seconds.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// An epoch is good for minutes.
const EPOCH_EVERY: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Longest wait for a hint or a frame.
const HINT_LIMIT: Duration = Duration::from_secs(10);
/// Orders of the round before would close the symbol, and the limits of a day would close everything:
/// each round finds an account without orders.
const FORGET: &str = "set session_replication_role = replica; \
     delete from execution_order_latency; delete from capital_reservations; \
     delete from execution_order_events; delete from symbol_exec_locks; \
     delete from execution_orders";

/// Options of `bench decide-to-intent`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// Symbols of the generation
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(5..=900))]
    pub symbols: u32,
    /// Measured entries
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
}

#[derive(Default)]
struct Times {
    whole: Samples,
    hint: Samples,
    transaction: Samples,
    commit: Samples,
    floor: Samples,
}

/// One round's durations.
struct Round {
    whole: Duration,
    hint: Duration,
    transaction: Duration,
    commit: Duration,
    floor: Duration,
}

struct Bench {
    published: Published,
    context: Context,
    account: Arc<Intents>,
    evaluator: Evaluator<Intents>,
    wakes: Arc<Wakes>,
    admin: PgConnection,
    floor: Floor,
    frame_at: Instant,
    renewed_at: Instant,
    epoch_at: Instant,
}

/// Runs the bench on a pair of clusters.
///
/// # Errors
/// What a cluster said; a market that brings no entry.
pub(super) async fn run(rig: Rig, args: Args) -> anyhow::Result<Report> {
    let progress = Progress::start("a market with one entry in it");
    let databases = rig.databases("decide").await?;
    let (mut bench, tasks) = Bench::new(&databases, &args).await?;
    bench.first_entry().await?;
    drop(progress);
    let progress = Progress::start("deciding");
    let mut times = Times::default();
    let (mut done, mut without) = (0, 0);
    while done < WARM_UP_ROUNDS + args.rounds {
        let Some(round) = bench.round().await? else {
            // A machine that is starved for a while makes data old; the gates then do their work.
            without += 1;
            if without > args.rounds {
                let gates = bench.gates().await?;
                anyhow::bail!("{without} rounds brought no entry, the last one: {gates}");
            }
            bench.context.mode.judge();
            continue;
        };
        if done >= WARM_UP_ROUNDS {
            times.push(&round);
        }
        done += 1;
    }
    drop(progress);
    bench.context.end.cancel();
    for task in tasks {
        task.await?;
    }
    Ok(report(&args, &times, without))
}

impl Times {
    fn push(&mut self, round: &Round) {
        self.whole.push(round.whole);
        self.hint.push(round.hint);
        self.transaction.push(round.transaction);
        self.commit.push(round.commit);
        self.floor.push(round.floor);
    }
}

impl Bench {
    async fn new(
        databases: &Databases,
        args: &Args,
    ) -> anyhow::Result<(Self, Vec<JoinHandle<()>>)> {
        let now = chrono::Utc::now().into();
        let symbols = usize::try_from(args.symbols)?;
        let mut published = Published::new(databases.open_run(DOMAIN, now).await?, symbols).await?;
        published.epoch().await?;
        published.generation().await?;
        published.frame().await?;
        let mut admin = databases.superuser(ClusterRole::Decision).await?;
        fund(&mut admin).await?;
        let settings = settings(databases)?;
        let Attached { context, wakes, tasks } = attach(databases, settings).await?;
        let (pool, id) = (context.pool.clone(), context.session_id);
        let store = ExecStore::new(pool, context.domain(), context.token, id);
        let tick = penstock_trading::fixtures::instrument(0).price_increment;
        let account = Arc::new(Intents::new(store, tick)?);
        let bench = Self {
            evaluator: Evaluator::new(context.clone(), Arc::clone(&account)),
            floor: Floor::new(databases.superuser(ClusterRole::Decision).await?).await?,
            published,
            context,
            account,
            wakes,
            admin,
            frame_at: Instant::now(),
            renewed_at: Instant::now(),
            epoch_at: Instant::now(),
        };
        Ok((bench, tasks))
    }

    /// Goes round until the mode is NORMAL and an entry comes.
    async fn first_entry(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.round().await?.is_none() {
            self.context.mode.judge();
            if started.elapsed() > FIRST_ENTRY_LIMIT {
                let (mode, gates) = (self.context.mode.current(), self.gates().await?);
                anyhow::bail!("no entry within a minute, mode {mode}: {gates}");
            }
        }
        Ok(())
    }

    /// Keeps everything fresh that time makes stale, outside the measured part.
    async fn refresh(&mut self) -> anyhow::Result<()> {
        sqlx::raw_sql(FORGET).execute(&mut self.admin).await?;
        if self.renewed_at.elapsed() >= RENEW_EVERY {
            self.renewed_at = Instant::now();
            let run = &mut self.published.run;
            run.fence.renew(&run.publisher).await?;
        }
        if self.epoch_at.elapsed() >= EPOCH_EVERY {
            self.epoch_at = Instant::now();
            self.published.epoch().await?;
        }
        if self.frame_at.elapsed() >= FRAME_EVERY {
            self.frame_at = Instant::now();
            let tick = self.published.frame().await?;
            self.seen(tick).await?;
        }
        Ok(())
    }

    /// Waits until the reader of frames has applied a tick.
    async fn seen(&self, tick: TickId) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.context.quotes.table().tick_id < tick {
            anyhow::ensure!(started.elapsed() < HINT_LIMIT, "frame {tick} was not applied");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// What closed the symbol that should have had the entry.
    async fn gates(&mut self) -> anyhow::Result<String> {
        let symbol = self.published.hot();
        let text =
            "select gate || ' ' || reason || ': ' || coalesce(value::text, '-') || ', limit '
                 || coalesce(limit_value::text, '-')
             from symbol_gates where symbol = $1 and gate is not null";
        let closed: Option<String> =
            sqlx::query_scalar(text).bind(symbol.as_str()).fetch_optional(&mut self.admin).await?;
        Ok(format!("{symbol} {}", closed.unwrap_or_else(|| "has no closed gate".to_owned())))
    }

    /// One generation and what it led to; none when a gate or the mode let nothing through.
    async fn round(&mut self) -> anyhow::Result<Option<Round>> {
        self.refresh().await?;
        let floor = self.floor.commit().await?;
        let generation = self.published.generation().await?;
        let visible = Instant::now();
        tokio::time::timeout(HINT_LIMIT, self.wakes.state.notified()).await?;
        let hint = visible.elapsed();
        // The service looks which generation it is before it evaluates.
        let (pool, domain) = (&self.context.pool, self.context.domain());
        let seen = glance(pool, domain, None).await?.publication.map(|p| p.generation_id);
        anyhow::ensure!(seen == Some(generation), "hint of {seen:?} instead of {generation}");
        self.evaluator.evaluate(Trigger::Generation).await;
        let Some(committed) = self.account.take() else { return Ok(None) };
        let commit = self.account.commit_alone(committed.order_id).await?;
        Ok(Some(Round {
            whole: committed.at.saturating_duration_since(visible),
            hint,
            transaction: committed.took,
            commit,
            floor,
        }))
    }
}

/// Settings of the service on the bench's database: orders on, the shortest stable window, and no refusal
/// for a feed that a busy machine delivers late.
fn settings(databases: &Databases) -> anyhow::Result<Settings> {
    let url = databases.url(ClusterRole::Decision, "exec_rw")?;
    let file = format!(
        "domain = \"{DOMAIN}\"\nexecution_enable = true\nstate_directory = \"{state}\"\n\
         audit_dir = \"{state}/audit\"\n\
         degrade_exit_stable_window_ms = 1000\nrisk_max_exposure_symbol_quote = \"100\"\n\
         risk_feed_latency_threshold_ms = 60000\n",
        state = databases.state().display()
    );
    let sources = Sources {
        process: Process::Execution,
        file: Some(("the bench".to_owned(), file)),
        environment: BTreeMap::from([("DECISION_DATABASE_URL".to_owned(), url)]),
        secret_files: BTreeMap::new(),
    };
    let config = resolve(&sources).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(Settings::new(config, RunMode::Attach)?)
}

/// What the venue would have said about the account.
async fn fund(admin: &mut PgConnection) -> Result<(), sqlx::Error> {
    let text = "insert into exchange_balances (asset, balance, as_of, source, updated_at)
             values ('USD', 10000, clock_timestamp(), 'bench', clock_timestamp());
         insert into fee_tiers (as_of, maker_bps, taker_bps, source)
             values (clock_timestamp(), 10, 20, 'live')";
    sqlx::raw_sql(text).execute(admin).await.map(drop)
}

fn report(args: &Args, times: &Times, without: u32) -> Report {
    let mut figures = Vec::new();
    figures.extend(times.floor.figures("floor: commit of one row", None, None));
    figures.extend(times.hint.figures("generation visible → hint", None, None));
    figures.extend(times.transaction.figures("transaction of the entry", None, None));
    figures.extend(times.commit.figures("its commit alone", Some(0.3), None));
    let name = "generation visible → intent committed";
    figures.extend(times.whole.figures(name, Some(5.0), Some(20.0)));
    Report {
        bench: "decide-to-intent",
        setting: vec![
            ("symbols", args.symbols.to_string()),
            ("rounds", args.rounds.to_string()),
        ],
        figures,
        notes: vec![
            format!("Rounds without an entry, because a gate or the mode was closed: {without}."),
            "The commit alone is that of a transaction that holds the fence, has changed one order and has written one event of it.".to_owned(),
        ],
    }
}
