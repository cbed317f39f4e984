//! The course of a soak: start, stage faults, look at the processes, stop, judge, say so.

use super::judge::{self, Happened, Run};
use super::plan::{Action, Names, Staged, plan};
use super::processes::{Usage, servers};
use super::report::Rates;
use super::{Args, profile, report};
use crate::arguments::Output;
use crate::demo::setup::environment;
use crate::demo::venue::{Addresses, Venue};
use crate::stack::{Notice, Quiet, Service, Stack, StackOptions};
use anyhow::{Context, bail, ensure};
use penstock_clusters::{ClusterKind, DataRoot};
use penstock_config::Process;
use penstock_sim::derivatives;
use penstock_sim::instruments::Catalog;
use penstock_types::UtcMicros;
use penstock_types::vocab::Venue as VenueName;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// How often clocks are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How often processes are looked at.
const PROCESSES_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for the first NORMAL mode.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// Memory is compared from here on, or from a third of the run when that is sooner.
const GROWTH_FROM: Duration = Duration::from_secs(600);

fn now() -> UtcMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Memory and processor time by kind of process.
#[derive(Debug, Default)]
pub(super) struct Processes {
    pub ingest: Usage,
    pub execution: Usage,
    pub venue: Usage,
    pub ingest_cluster: Usage,
    pub decision_cluster: Usage,
}

/// Everything that runs.
struct Soak {
    args: Args,
    options: StackOptions,
    stack: Stack,
    venue: Venue,
    send_log: PathBuf,
    began: Instant,
    began_at: UtcMicros,
    looked: Duration,
    processes: Processes,
    waiting: VecDeque<Staged>,
    happened: Vec<Happened>,
}

/// Runs the command.
///
/// # Errors
/// When something could not be started or read.
pub(super) async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let (mut options, root) = prepare(&args, config_file.as_deref())?;
    let missing = options.missing_programs();
    ensure!(missing.is_empty(), "{missing:?} are missing; next: `cargo build --release`");
    let send_log = root.join("sends");
    let venue = Venue::start(
        &options.programs.join("venue-sim"),
        &profile::venue_arguments(&args, &send_log),
        &options.root.log().join("venue-sim.log"),
    )
    .await?;
    options.environment = environment(&venue.addresses);
    let Addresses { data_key, data_secret, .. } = &venue.addresses;
    options.ingest_key = Some((data_key.as_str().into(), data_secret.as_str().into()));
    options.environment.extend(profile::environment(&args));
    let quiet: Notice = Arc::new(|_line| {});
    let (began, began_at) = (Instant::now(), now());
    let stack = Stack::start(&options, &quiet).await?;
    let keep = args.keep;
    let soak = Soak {
        args,
        options,
        stack,
        venue,
        send_log,
        began,
        began_at,
        looked: Duration::ZERO,
        processes: Processes::default(),
        waiting: VecDeque::new(),
        happened: Vec::new(),
    };
    soak.say(&format!("data root {}; Ctrl-C ends the run early and judges it", root.display()));
    let code = soak.all().await?;
    if code == 0 && !keep {
        std::fs::remove_dir_all(&root)
            .with_context(|| format!("remove the data root {}", root.display()))?;
    }
    Ok(code)
}

/// Data root, profile and options; nothing is started yet.
fn prepare(args: &Args, config_file: Option<&Path>) -> anyhow::Result<(StackOptions, PathBuf)> {
    let tool = penstock_config::load(Process::Tool, config_file)?;
    let mut options = StackOptions::from_config(&tool, config_file)?;
    let folder = format!("soak-{}-{}", now().secs(), std::process::id());
    let root = options.root.path().join(folder);
    options.root = DataRoot::at(&root);
    for directory in [options.root.log(), options.root.state()] {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("make {}", directory.display()))?;
    }
    let file = root.join("penstock.toml");
    std::fs::write(&file, profile::text(args)?)
        .with_context(|| format!("write {}", file.display()))?;
    penstock_config::load(Process::Tool, Some(&file))?;
    options.config_file = Some(file);
    options.ingest_url = None;
    options.decision_url = None;
    Ok((options, root))
}

/// Names of all symbols on the three venues.
fn names(args: &Args) -> anyhow::Result<Vec<Names>> {
    let catalog = Catalog::generated(usize::try_from(args.symbols)?)?;
    let (futures, binance) = (derivatives::futures(&catalog), derivatives::binance(&catalog));
    let listed = catalog.listings().iter().enumerate();
    let named = listed.filter_map(|(index, listing)| {
        let flexible = futures.iter().find(|spec| spec.spot.0 == index)?;
        let perpetual = binance.iter().find(|spec| spec.spot.0 == index)?;
        Some(Names {
            spot: listing.instrument.symbol.clone(),
            futures: flexible.symbol.clone(),
            binance: perpetual.symbol.clone(),
        })
    });
    Ok(named.collect())
}

impl Soak {
    fn say(&self, text: &str) {
        let at = self.began.elapsed().as_secs_f64();
        match self.args.output {
            Output::Human => println!("{at:7.1}s {text}"),
            Output::Json => eprintln!("{at:7.1}s {text}"),
        }
    }

    async fn pool(&self, kind: ClusterKind) -> anyhow::Result<PgPool> {
        let url = self.options.url(kind, "observer_ro")?;
        Ok(crate::databases::pool(&url, kind).await?)
    }

    async fn all(mut self) -> anyhow::Result<i32> {
        match self.lead().await {
            Ok((rates, ready_after)) => self.end(rates, ready_after).await,
            Err(error) => {
                let quiet: Notice = Arc::new(|_line| {});
                self.venue.stop().await;
                self.stack.stop(&quiet).await?;
                Err(error)
            }
        }
    }

    /// Until the services are to be stopped: what was sent, and when it was NORMAL.
    async fn lead(&mut self) -> anyhow::Result<(Rates, Duration)> {
        let ready_after = self.ready().await?;
        self.say(&format!("NORMAL after {:.1} s", ready_after.as_secs_f64()));
        self.waiting = plan(&self.args, &names(&self.args)?, ready_after).into();
        let before = self.counted().await?;
        let measured = Instant::now();
        self.course(ready_after).await?;
        let after = self.counted().await?;
        let seconds = measured.elapsed().as_secs_f64();
        let rate = |n: usize| (after[n] - before[n]) / seconds;
        let rates = Rates { frames: rate(0), events: rate(1), order_events: rate(2) };
        self.say(&format!("the venue sent {:.0} frames/s; stopping the services", rates.frames));
        Ok((rates, ready_after))
    }

    /// Frames, events, and events of order-by-order books that the venue has sent.
    async fn counted(&self) -> anyhow::Result<[f64; 3]> {
        let stats = self.venue.get("/stats").await?;
        let count = |name: &str| stats[name].as_f64().unwrap_or(0.0);
        Ok(["frames_sent", "events_sent", "order_events_sent"].map(count))
    }

    /// Waits until execution is NORMAL.
    async fn ready(&mut self) -> anyhow::Result<Duration> {
        let pool = loop {
            self.look()?;
            // The database is there some time after its cluster serves.
            match self.pool(ClusterKind::Decision).await {
                Ok(pool) => break pool,
                Err(error) if self.began.elapsed() > READY_LIMIT => return Err(error),
                Err(_) => sleep(LOOK_INTERVAL).await,
            }
        };
        loop {
            self.look()?;
            // The tables are there after the first service has migrated.
            let modes = penstock_store_decision::evidence::modes(&pool).await.unwrap_or_default();
            if modes.last().is_some_and(|mode| mode.mode_to == "NORMAL") {
                pool.close().await;
                return Ok(self.began.elapsed());
            }
            if self.began.elapsed() > READY_LIMIT {
                let last = modes.last().map(|mode| (&mode.mode_to, &mode.reasons));
                bail!(
                    "not NORMAL within {READY_LIMIT:?}: {last:?}; next: the logs in {}",
                    self.options.root.log().display()
                );
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Until the length is over or the operator ends it.
    async fn course(&mut self, ready_after: Duration) -> anyhow::Result<()> {
        let length = Duration::from_secs_f64(self.args.minutes * 60.0);
        let mut interrupt =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        while self.began.elapsed() < length {
            tokio::select! {
                // An end that was asked for comes first.
                biased;
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                () = sleep(LOOK_INTERVAL) => {}
            }
            self.look()?;
            let since = self.began.elapsed().saturating_sub(ready_after);
            while let Some(staged) = self.waiting.pop_front_if(|staged| staged.at <= since) {
                self.stage(staged).await?;
            }
        }
        Ok(())
    }

    /// Looks at the processes when it is time; fails when a service is down for good.
    fn look(&mut self) -> anyhow::Result<()> {
        let at = self.began.elapsed();
        if at.saturating_sub(self.looked) < PROCESSES_EVERY {
            return Ok(());
        }
        self.looked = at;
        for service in [self.stack.ingest(), self.stack.execution()] {
            let status = service.status().borrow().clone();
            if status.down {
                let (name, exit) = (service.spec().name, status.last_exit);
                let errors = service.spec().error_file();
                bail!("{name} is down: {exit:?}; next: {}", errors.display());
            }
        }
        let pid = |service: &Service| service.status().borrow().pid;
        self.processes.ingest.look(at, pid(self.stack.ingest()));
        self.processes.execution.look(at, pid(self.stack.execution()));
        self.processes.venue.look(at, self.venue.pid());
        let data = |kind| servers(&self.options.root.cluster(kind));
        self.processes.ingest_cluster.look(at, data(ClusterKind::Ingest));
        self.processes.decision_cluster.look(at, data(ClusterKind::Decision));
        Ok(())
    }

    async fn stage(&mut self, staged: Staged) -> anyhow::Result<()> {
        self.say(&format!("fault: {}", staged.what));
        let from = now();
        match &staged.action {
            Action::Venue(faults) => {
                for fault in faults {
                    self.venue.post("/faults", fault).await?;
                }
            }
            Action::KillIngest => kill(self.stack.ingest())?,
            Action::KillExecution => kill(self.stack.execution())?,
        }
        let until = now();
        self.happened.push(Happened { staged, from, until });
        Ok(())
    }

    /// Stops the services, judges, stops the rest; the exit status.
    async fn end(self, rates: Rates, ready_after: Duration) -> anyhow::Result<i32> {
        self.venue.post("/faults", &json!({"kind": "clear"})).await?;
        let stopping_at = now();
        let quiet: Notice = Arc::new(|_line| {});
        let Soak { args, options, stack, venue, send_log, processes, happened, .. } = self;
        let length = self.began.elapsed();
        let stopped = stack.stop_services(&quiet).await;
        let judged = async {
            let flushed = venue.get("/sends/flush").await?;
            let stats = venue.get("/stats").await?;
            let markets = venue.get("/markets").await?;
            let run = Run {
                args: &args,
                options: &options,
                send_log: &send_log,
                lines: flushed["lines"].as_u64().context("the send log says no number")?,
                stats: &stats,
                markets: &markets,
                happened,
                length,
                growth_from: growth_from(length),
                began_at: self.began_at,
                ready_at: self.began_at.plus_millis(i64::try_from(ready_after.as_millis())?),
                stopping_at,
                ended_at: now(),
            };
            venue.stop().await;
            let verdicts = judge::judge(&run, &processes).await?;
            anyhow::Ok(report::Report {
                args: &args,
                rates,
                length,
                processes: &processes,
                growth_from: growth_from(length),
                verdicts,
            })
        }
        .await;
        let code = match judged {
            Ok(report) => {
                report.print(args.output);
                i32::from(!report.passes())
            }
            Err(error) => {
                eprintln!("the run could not be judged: {error:#}");
                1
            }
        };
        stop_clusters(stopped).await?;
        Ok(code)
    }
}

async fn stop_clusters(stopped: Quiet) -> anyhow::Result<()> {
    Ok(stopped.stop().await?)
}

fn growth_from(length: Duration) -> Duration {
    GROWTH_FROM.min(length / 3)
}

fn kill(service: &Service) -> anyhow::Result<()> {
    let pid = service.status().borrow().pid;
    let pid = pid.and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.with_context(|| format!("{} does not run", service.spec().name))?;
    let pid = nix::unistd::Pid::from_raw(pid);
    Ok(nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?)
}

/// Digits of every spot symbol, as the venue says them.
pub(super) fn digits(markets: &Value) -> Vec<(String, u32, u32)> {
    let rows = markets["markets"].as_array().map_or(&[][..], Vec::as_slice);
    let digits = |value: &Value| value.as_u64().and_then(|digits| u32::try_from(digits).ok());
    let row = |row: &Value| {
        let symbol = row["symbol"].as_str()?.to_owned();
        Some((symbol, digits(&row["price_decimals"])?, digits(&row["qty_decimals"])?))
    };
    rows.iter().filter_map(row).collect()
}

/// The venue that a channel of the send log belongs to.
pub(super) fn venue_of(channel: &str) -> VenueName {
    match channel.split_once('/') {
        Some(("futures", _)) => VenueName::KrakenFutures,
        Some(("binance", _)) => VenueName::BinanceUm,
        Some(_) | None => VenueName::KrakenSpot,
    }
}
