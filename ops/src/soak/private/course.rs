//! The course of a soak of the private side: start, stage one fault after the other, end flat, stop, judge, say so.

use super::deeds::{Hands, ask};
use super::judge::{self, Run};
use super::plan::{LEFT, Over, Staged, plan};
use crate::arguments::Output;
use crate::demo::setup::{environment, write_profile};
use crate::demo::venue::{Addresses, Venue};
use crate::engine_files::{Places, key};
use crate::soak::Args;
use crate::stack::{Notice, Stack, StackOptions};
use anyhow::{Context, bail, ensure};
use penstock_clusters::{ClusterKind, DataRoot};
use penstock_config::Process;
use penstock_types::UtcMicros;
use serde_json::json;
use sqlx::PgPool;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// How often clocks and services are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Longest wait for the first NORMAL mode.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// How long a deed waits beyond the time of its fault for what it needs, ms.
const PATIENCE_MS: i64 = 45_000;
/// Longest wait for the last positions to close.
const FLATTEN_LIMIT: Duration = Duration::from_secs(40);
/// Between the last fill and the end, so that the last balances are told.
const SETTLE: Duration = Duration::from_secs(3);
/// Share of the takers that leave an order of the account half filled.
const SPLIT_SHARE: &str = "0.5";

fn now() -> UtcMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A fault that was staged.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    /// What it was.
    pub(super) staged: Staged,
    /// Before its first deed.
    pub(super) from: UtcMicros,
    /// When everything of it was taken back.
    pub(super) to: UtcMicros,
    /// Deeds that were not possible while it lasted.
    pub(super) missed: usize,
}

/// The fault that is on.
struct Active {
    staged: Staged,
    from: UtcMicros,
    began: Instant,
    deeds: VecDeque<(i64, super::plan::Deed)>,
}

/// Everything that runs.
struct Course {
    args: Args,
    options: StackOptions,
    stack: Stack,
    venue: Venue,
    hands: Hands,
    began: Instant,
    waiting: VecDeque<Staged>,
    active: Option<Active>,
    happened: Vec<Happened>,
}

/// Runs the command.
///
/// # Errors
/// When something could not be started or read.
pub(in crate::soak) async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let (mut options, root, host) = prepare(config_file.as_deref())?;
    let missing = options.missing_programs();
    ensure!(missing.is_empty(), "{missing:?} are missing; next: `cargo build --release`");
    let venue = start_venue(&args, &options).await?;
    options.environment = environment(&venue.addresses);
    options.environment.push(("AI_DEC".to_owned(), "0".to_owned()));
    let Addresses { data_key, data_secret, api_secret, .. } = &venue.addresses;
    options.ingest_key = Some((data_key.as_str().into(), data_secret.as_str().into()));
    let secrets = vec![api_secret.clone(), data_secret.clone()];
    let quiet: Notice = Arc::new(|_line| {});
    let began = Instant::now();
    let stack = Stack::start(&options, &quiet).await?;
    let keep = args.keep;
    let course = Course {
        args,
        options,
        stack,
        venue,
        hands: Hands::new(host, secrets),
        began,
        waiting: VecDeque::new(),
        active: None,
        happened: Vec::new(),
    };
    course.say(&format!("data root {}; Ctrl-C ends the run early and judges it", root.display()));
    let code = course.all().await?;
    if code == 0 && !keep {
        std::fs::remove_dir_all(&root)
            .with_context(|| format!("remove the data root {}", root.display()))?;
    }
    Ok(code)
}

async fn start_venue(args: &Args, options: &StackOptions) -> anyhow::Result<Venue> {
    let seed = args.seed.to_string();
    let arguments = ["--seed", seed.as_str(), "--scenario", "pulses", "--split-share", SPLIT_SHARE];
    let arguments = arguments.map(str::to_owned);
    let log = options.root.log().join("venue-sim.log");
    Ok(Venue::start(&options.programs.join("venue-sim"), &arguments, &log).await?)
}

/// Data root, profile, options and the panel's address; nothing is started yet.
fn prepare(config_file: Option<&Path>) -> anyhow::Result<(StackOptions, PathBuf, String)> {
    let tool = penstock_config::load(Process::Tool, config_file)?;
    let mut options = StackOptions::from_config(&tool, config_file)?;
    let folder = format!("soak-{}-{}", now().secs(), std::process::id());
    let root = options.root.path().join(folder);
    options.root = DataRoot::at(&root);
    for directory in [options.root.log(), options.root.state()] {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("make {}", directory.display()))?;
    }
    let (file, _) = write_profile(&root, None)?;
    let profile = penstock_config::load(Process::Tool, Some(&file))?;
    key::ensure(&Places::of(&profile, &root))?;
    options.config_file = Some(file);
    options.ingest_url = None;
    options.decision_url = None;
    let panel = crate::up::panel_address(&profile);
    let host = panel.trim_start_matches("http://").split('/').next().unwrap_or_default();
    Ok((options, root, host.to_owned()))
}

impl Course {
    fn say(&self, text: &str) {
        let at = self.began.elapsed().as_secs_f64();
        match self.args.output {
            Output::Human => println!("{at:7.1}s {text}"),
            Output::Json => eprintln!("{at:7.1}s {text}"),
        }
    }

    async fn pool(&self) -> anyhow::Result<PgPool> {
        let url = self.options.url(ClusterKind::Decision, "observer_ro")?;
        Ok(crate::databases::pool(&url, ClusterKind::Decision).await?)
    }

    async fn all(mut self) -> anyhow::Result<i32> {
        match self.lead().await {
            Ok(length) => self.end(length).await,
            Err(error) => {
                let quiet: Notice = Arc::new(|_line| {});
                if let Some(second) = self.hands.second.take() {
                    second.stop().await;
                }
                self.venue.stop().await;
                self.stack.stop(&quiet).await?;
                Err(error)
            }
        }
    }

    /// Until the services are to be stopped; the time of trading.
    async fn lead(&mut self) -> anyhow::Result<Duration> {
        self.ready().await?;
        let ready_after = self.began.elapsed();
        self.say(&format!("NORMAL after {:.1} s", ready_after.as_secs_f64()));
        let length = Duration::from_secs_f64(self.args.minutes * 60.0);
        let every = Duration::from_secs(self.args.every);
        let left = length.saturating_sub(ready_after);
        self.waiting = plan(&self.args.faults, every, left).into();
        ensure!(
            !self.waiting.is_empty(),
            "no fault fits into {} minutes; next: --minutes {:.0}",
            self.args.minutes,
            (ready_after + LEFT).as_secs_f64() / 60.0 + 2.0
        );
        self.course(ready_after, length.saturating_sub(FLATTEN_LIMIT + SETTLE)).await?;
        self.finish_active().await?;
        self.flatten().await?;
        Ok(self.began.elapsed())
    }

    /// Waits until execution is NORMAL.
    async fn ready(&self) -> anyhow::Result<()> {
        loop {
            self.look()?;
            // The database and its tables are there some time after their cluster serves.
            let modes = match self.pool().await {
                Ok(pool) => {
                    penstock_store_decision::evidence::modes(&pool).await.unwrap_or_default()
                }
                Err(_) => Vec::new(),
            };
            if modes.last().is_some_and(|mode| mode.mode_to == "NORMAL") {
                return Ok(());
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

    /// Fails when a service is down for good.
    fn look(&self) -> anyhow::Result<()> {
        for service in [self.stack.ingest(), self.stack.execution()] {
            let status = service.status().borrow().clone();
            if status.down {
                let (name, exit) = (service.spec().name, status.last_exit);
                let errors = service.spec().error_file();
                bail!("{name} is down: {exit:?}; next: {}", errors.display());
            }
        }
        Ok(())
    }

    /// Until the time of trading is over or the operator ends it.
    async fn course(&mut self, ready_after: Duration, until: Duration) -> anyhow::Result<()> {
        let mut interrupt =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        while self.began.elapsed() < until {
            tokio::select! {
                // An end that was asked for comes first.
                biased;
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                () = sleep(LOOK_INTERVAL) => {}
            }
            self.look()?;
            self.step().await?;
            let since = self.began.elapsed().saturating_sub(ready_after);
            if self.active.is_none()
                && let Some(staged) = self.waiting.pop_front_if(|staged| staged.at <= since)
            {
                self.say(&format!("fault: {}", staged.what));
                let deeds = staged.deeds.clone().into();
                self.active = Some(Active { staged, from: now(), began: Instant::now(), deeds });
                self.step().await?;
            }
        }
        Ok(())
    }

    /// Does what is due of the fault that is on, and takes it back when it is over.
    async fn step(&mut self) -> anyhow::Result<()> {
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        let on_ms = i64::try_from(active.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        while let Some((_, deed)) = active.deeds.front().filter(|(at_ms, _)| *at_ms <= on_ms) {
            let world = (&self.venue, &self.stack, &self.options);
            if !self.hands.act(deed, world).await? {
                break;
            }
            active.deeds.pop_front();
        }
        // What waits for a stop, a trade or a process may do so for a while beyond the time of its fault.
        let patience_ms = if active.deeds.is_empty() { 0 } else { PATIENCE_MS };
        if on_ms >= active.staged.over.least_ms() + patience_ms {
            self.finish_active().await?;
        }
        Ok(())
    }

    /// Takes back what the fault that is on has left at the venue.
    async fn finish_active(&mut self) -> anyhow::Result<()> {
        let Some(Active { staged, from, deeds, .. }) = self.active.take() else { return Ok(()) };
        self.venue.post("/faults", &json!({"kind": "clear"})).await?;
        let online = json!({"kind": "system_status", "status": "online"});
        self.venue.post("/faults", &online).await?;
        for (_, deed) in deeds.iter().filter(|(_, deed)| deed.takes_back()) {
            let world = (&self.venue, &self.stack, &self.options);
            self.hands.act(deed, world).await?;
        }
        if let Some(second) = self.hands.second.take() {
            second.stop().await;
        }
        let missed = deeds.len();
        if missed > 0 {
            self.say(&format!("{}: {missed} deeds were not possible", staged.what));
        }
        let over = if matches!(staged.over, Over::After(_)) { "over" } else { "done" };
        self.say(&format!("{over}: {}", staged.what));
        self.happened.push(Happened { staged, from, to: now(), missed });
        Ok(())
    }

    /// No more entries, every position is closed.
    async fn flatten(&self) -> anyhow::Result<()> {
        self.say("the end is near: no more entries, positions are closed");
        let pause = json!({"mode": "PAUSE", "reason": "end of the soak"});
        ask(&self.options, "mode", &pause).await?;
        ask(&self.options, "flatten", &json!({})).await?;
        let pool = self.pool().await?;
        let until = Instant::now() + FLATTEN_LIMIT;
        while Instant::now() < until {
            let positions = penstock_store_decision::evidence::positions(&pool).await?;
            if !positions.iter().any(|p| p.status == "open" || p.status == "closing") {
                break;
            }
            sleep(LOOK_INTERVAL).await;
        }
        pool.close().await;
        sleep(SETTLE).await;
        Ok(())
    }

    /// Stops the services, judges, stops the rest; the exit status.
    async fn end(self, length: Duration) -> anyhow::Result<i32> {
        let Course { args, options, stack, venue, hands, happened, waiting, .. } = self;
        let quiet: Notice = Arc::new(|_line| {});
        let ended_at = now();
        let stopped = stack.stop_services(&quiet).await;
        let run = Run {
            args: &args,
            options: &options,
            venue: &venue,
            hands: &hands,
            happened,
            unstaged: waiting.into_iter().map(|staged| staged.what).collect(),
            length,
            ended_at,
        };
        let code = match judge::judge(&run).await {
            Ok(report) => {
                report.print(args.output);
                i32::from(!report.passes())
            }
            Err(error) => {
                eprintln!("the run could not be judged: {error:#}");
                1
            }
        };
        venue.stop().await;
        stopped.stop().await?;
        Ok(code)
    }
}
