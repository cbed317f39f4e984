//! The course of a demo: start, watch, end flat, judge, say so.

use super::Args;
use super::ai::AiEndpoint;
use super::gather::{VenueAccount, gather};
use super::setup::{environment, folder, venue_arguments, without_derivatives, write_profile};
use super::summary::{Summary, checksums};
use super::venue::{Addresses, Venue};
use super::watch::{Watch, sentence};
use crate::arguments::Output;
use crate::engine_files::{Places, key};
use crate::invariants::judge;
use crate::stack::{EXECUTION, INGEST, Notice, Stack, StackOptions};
use crate::validate::Lines;
use anyhow::Context;
use penstock_clusters::{ClusterKind, DataRoot};
use penstock_config::Process;
use penstock_types::UtcMicros;
use serde_json::json;
use sqlx::PgPool;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// Entries stop this long before the end.
const ENTRIES_STOP_BEFORE: Duration = Duration::from_secs(20);
/// Longest wait for the last positions to close.
const FLATTEN_LIMIT: Duration = Duration::from_secs(15);
/// A recording's demo goes on this long after its last frame.
const AFTER_RECORDING: Duration = Duration::from_secs(5);
/// Length of the staged feed loss: longer than the silence after which the mode is PAUSE.
const FEED_LOSS: Duration = Duration::from_secs(12);
/// Least length of a demo with an outage.
const OUTAGE_MINUTES_MIN: f64 = 3.0;
/// How often logs and clocks are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

fn now() -> UtcMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Everything that runs.
struct Demo {
    args: Args,
    started: Instant,
    started_at: UtcMicros,
    options: StackOptions,
    stack: Stack,
    venue: Venue,
    ai: Option<AiEndpoint>,
    watch: Watch,
    staged: usize,
}

/// Runs the command.
///
/// # Errors
/// When something of the demo could not be started or read.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    anyhow::ensure!(
        !args.exit || args.minutes.is_some() || args.recording.is_some(),
        "--exit needs --minutes N or --recording FILE"
    );
    anyhow::ensure!(
        !args.outage || args.minutes.is_none_or(|minutes| minutes >= OUTAGE_MINUTES_MIN),
        "--outage needs --minutes {OUTAGE_MINUTES_MIN} or more: its last recovery ends after that"
    );
    anyhow::ensure!(
        args.ai_script.is_none() || args.ai_dec > 0,
        "--ai-script needs --ai-dec 1 or 2: without it nothing is asked"
    );
    let started = Instant::now();
    let started_at = now();
    let say = |line: &str| {
        if args.output == Output::Human {
            println!("{line}");
        }
    };
    let (options, root) = prepare(&args, config_file.as_deref(), &say)?;
    let keep = args.keep;
    let programs = options.programs.clone();
    let venue = Venue::start(
        &programs.join("venue-sim"),
        &venue_arguments(&args),
        &options.root.log().join("venue-sim.log"),
    )
    .await?;
    keep_addresses(&venue.addresses, &options.root.log().join("venue.json"))?;
    let ai = start_ai(&args, &options, &say).await?;
    let mut options = options;
    options.environment = environment(&venue.addresses);
    options.environment.extend(match &ai {
        Some(ai) => ai.environment(args.ai_dec),
        // Whatever stands in this shell's environment: a demo asks nobody outside.
        None => vec![("AI_DEC".to_owned(), "0".to_owned())],
    });
    if args.recording.is_some() {
        options.environment = without_derivatives(options.environment);
    }
    let Addresses { data_key, data_secret, .. } = &venue.addresses;
    options.ingest_key = Some((data_key.as_str().into(), data_secret.as_str().into()));
    say(&format!(
        "venue        {} (fees by {} USD in 30 days, {} USD cash)",
        venue.addresses.rest, args.volume_30d, args.cash
    ));
    let quiet: Notice = Arc::new(|_line| {});
    let stack = Stack::start(&options, &quiet).await?;
    say("both clusters serve, both services are started; Ctrl-C stops everything");
    let log = |name: &str| options.root.log().join(format!("{name}.jsonl"));
    let watch = Watch::new(vec![log(INGEST), log(EXECUTION)]);
    let mut demo = Demo { args, started, started_at, options, stack, venue, ai, watch, staged: 0 };
    let interrupted = demo.course().await?;
    let code = demo.end(interrupted).await?;
    if code == 0 && !keep {
        std::fs::remove_dir_all(&root)
            .with_context(|| format!("remove the demo's data root {}", root.display()))?;
    }
    Ok(code)
}

/// The simulated AI endpoint, when it is asked for.
async fn start_ai(
    args: &Args,
    options: &StackOptions,
    say: &dyn Fn(&str),
) -> anyhow::Result<Option<AiEndpoint>> {
    if args.ai_dec == 0 {
        return Ok(None);
    }
    let program = options.programs.join("ai-sim");
    let log = options.root.log().join("ai-sim.log");
    let ai = AiEndpoint::start(&program, args.seed, args.ai_script.as_deref(), &log).await?;
    say(&format!("AI endpoint  {} (AI_DEC {})", ai.url(), args.ai_dec));
    Ok(Some(ai))
}

/// Where the venue's interfaces are, for whoever moves its market during the run; no key stands in it.
fn keep_addresses(at: &Addresses, file: &Path) -> anyhow::Result<()> {
    std::fs::write(file, json!({ "admin": at.admin, "rest": at.rest }).to_string())
        .with_context(|| format!("write {}", file.display()))
}

/// Data root, profile and options; nothing is started yet.
fn prepare(
    args: &Args,
    config_file: Option<&Path>,
    say: &dyn Fn(&str),
) -> anyhow::Result<(StackOptions, PathBuf)> {
    let tool = penstock_config::load(Process::Tool, config_file)?;
    let mut options = StackOptions::from_config(&tool, config_file)?;
    let root = options.root.path().join(folder(now(), std::process::id()));
    options.root = DataRoot::at(&root);
    for directory in [options.root.log(), options.root.state()] {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("make {}", directory.display()))?;
    }
    let (file, depth) = write_profile(&root, args.recording.as_deref())?;
    if let Some(depth) = depth {
        say(&format!("L2_DEPTH     {depth}, the depth of the recording"));
    }
    let profile = penstock_config::load(Process::Tool, Some(&file))?;
    for one in penstock_config::show::differences(&profile) {
        say(&format!("profile      {} = {} (default {})", one.key, one.value, one.default));
    }
    key::ensure(&Places::of(&profile, &root))?;
    options.config_file = Some(file);
    options.ingest_url = None;
    options.decision_url = None;
    say(&format!("data root    {}", root.display()));
    say(&format!("panel        {}", crate::up::panel_address(&profile)));
    Ok((options, root))
}

impl Demo {
    fn say(&self, text: &str) {
        if self.args.output == Output::Human {
            let at = self.started.elapsed().as_secs_f64();
            println!("{at:7.1}s {text}");
        }
    }

    fn tell(&mut self) {
        for line in self.watch.look() {
            if let Some(text) = sentence(&line) {
                self.say(&text);
            }
        }
    }

    /// Until the end is due: `true` when the operator ended it.
    async fn course(&mut self) -> anyhow::Result<bool> {
        let mut interrupt =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut replayed: Option<Instant> = None;
        let mut warned = false;
        loop {
            tokio::select! {
                biased;
                _ = interrupt.recv() => return Ok(true),
                _ = terminate.recv() => return Ok(true),
                () = sleep(LOOK_INTERVAL) => {}
            }
            self.tell();
            self.stage().await?;
            if self.args.recording.is_some() && self.args.exit {
                let done = self.venue.get("/stats").await?["replay"]["ended_us"].is_i64();
                let at = *replayed.get_or_insert_with(Instant::now);
                if !done {
                    replayed = None;
                } else if at.elapsed() >= AFTER_RECORDING {
                    return Ok(false);
                }
            }
            if let Some(length) = self.length() {
                let left = length.saturating_sub(self.started.elapsed());
                if left.is_zero() {
                    return Ok(false);
                }
                if self.args.exit && !warned && left <= ENTRIES_STOP_BEFORE {
                    warned = true;
                    self.flatten().await?;
                }
            }
        }
    }

    fn length(&self) -> Option<Duration> {
        self.args.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0))
    }

    /// The faults that were asked for, each with its second.
    fn plan(&self) -> Vec<(u64, &'static str)> {
        let mut plan = Vec::new();
        if self.args.bad_checksum {
            plan.push((60, "checksum"));
        }
        if self.args.outage {
            plan.extend([(70, "silence"), (110, "execution"), (135, "ingest")]);
        }
        plan
    }

    /// Stages each fault once, at its time.
    async fn stage(&mut self) -> anyhow::Result<()> {
        let Some((at, what)) = self.plan().get(self.staged).copied() else { return Ok(()) };
        if self.started.elapsed() < Duration::from_secs(at) {
            return Ok(());
        }
        self.staged += 1;
        match what {
            "checksum" => {
                self.say("fault: the next book message of BTC/USD carries a wrong checksum");
                let fault = json!({"kind": "bad_checksum", "symbol": "BTC/USD"});
                self.venue.post("/faults", &fault).await?;
            }
            "silence" => {
                self.say(&format!(
                    "fault: every public connection of the venue falls silent for {} s",
                    FEED_LOSS.as_secs()
                ));
                let for_ms = FEED_LOSS.as_millis();
                let fault = json!({"kind": "stall", "endpoint": "public", "for_ms": for_ms});
                self.venue.post("/faults", &fault).await?;
            }
            name => {
                let service =
                    if name == "ingest" { self.stack.ingest() } else { self.stack.execution() };
                let pid = service.status().borrow().pid;
                if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
                    self.say(&format!("fault: kill -9 of {name} ({pid})"));
                    let pid = nix::unistd::Pid::from_raw(pid);
                    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
                }
            }
        }
        Ok(())
    }

    async fn pool(&self, kind: ClusterKind, role: &str) -> anyhow::Result<PgPool> {
        let url = self.options.url(kind, role)?;
        Ok(crate::databases::pool(&url, kind).await?)
    }

    /// Stops entries and asks for every position to be closed.
    async fn flatten(&self) -> anyhow::Result<()> {
        self.say("the end is near: no more entries, positions are closed");
        let pool = self.pool(ClusterKind::Decision, "ops_rw").await?;
        let by = "penstock demo";
        let pause = json!({"mode": "PAUSE", "reason": "end of the demo"});
        penstock_store_decision::control::ask(&pool, "mode", &pause, by).await?;
        penstock_store_decision::control::ask(&pool, "flatten", &json!({}), by).await?;
        pool.close().await;
        Ok(())
    }

    /// Waits for the last positions, stops the services, judges, stops the clusters.
    async fn end(mut self, interrupted: bool) -> anyhow::Result<i32> {
        if !interrupted && self.args.exit && self.args.recording.is_none() {
            self.wait_flat().await?;
        }
        self.say("stopping the services");
        let quiet: Notice = Arc::new(|_line| {});
        let missed = self.plan().split_off(self.staged);
        let kept = self.keep_fault_log().await;
        let stopped = self.stack.stop_services(&quiet).await;
        let mut code = 0;
        if let Err(error) = kept {
            eprintln!("the venue's list of faults was not kept: {error:#}");
            code = 1;
        }
        if self.args.exit && !interrupted {
            let run = Finished {
                started_at: self.started_at,
                options: &self.options,
                venue: &self.venue,
            };
            match run.judge().await {
                Ok(summary) => code = code.max(print(&self.args, &summary)),
                Err(error) => {
                    eprintln!("the run could not be judged: {error:#}");
                    code = 1;
                }
            }
            if let Some(program) = &self.args.afterwards {
                let at = &self.venue.addresses;
                code = code.max(afterwards(program, self.options.root.path(), at).await?);
            }
            if !missed.is_empty() {
                eprintln!("the demo ended before its faults were staged: {missed:?}");
                code = 1;
            }
        }
        if let Some(ai) = self.ai.take() {
            match ai.counts().await {
                Ok(counts) => eprintln!("ai-sim: {counts}"),
                Err(error) => {
                    eprintln!("ai-sim: its counters could not be read: {error}");
                    code = 1;
                }
            }
            ai.stop().await;
        }
        self.venue.stop().await;
        stopped.stop().await?;
        Ok(code)
    }

    /// The venue's own list of what was done to it, beside the logs: who judges the run later needs its times.
    async fn keep_fault_log(&self) -> anyhow::Result<()> {
        let file = self.options.root.log().join("faults.json");
        let faults = self.venue.get("/faults").await?;
        std::fs::write(&file, faults.to_string())
            .with_context(|| format!("write {}", file.display()))
    }

    async fn wait_flat(&mut self) -> anyhow::Result<()> {
        let pool = self.pool(ClusterKind::Decision, "observer_ro").await?;
        let until = Instant::now() + FLATTEN_LIMIT;
        while Instant::now() < until {
            self.tell();
            let positions = penstock_store_decision::evidence::positions(&pool).await?;
            if !positions.iter().any(|p| p.status == "open" || p.status == "closing") {
                break;
            }
            sleep(LOOK_INTERVAL).await;
        }
        pool.close().await;
        Ok(())
    }
}

/// Runs the program that judges as well, with a key that lets it ask the venue; 1 when it was not content.
async fn afterwards(program: &Path, root: &Path, at: &Addresses) -> anyhow::Result<i32> {
    let mut command = tokio::process::Command::new(program);
    command.env("PENSTOCK_DATA", root).kill_on_drop(true);
    command.env("KRAKEN_REST_URL", &at.rest);
    command.env("KRAKEN_VERIFY_API_KEY", &at.api_key);
    command.env("KRAKEN_VERIFY_API_SECRET", &at.api_secret);
    let status = command
        .status()
        .await
        .with_context(|| format!("start {}; next: name a program", program.display()))?;
    Ok(i32::from(!status.success()))
}

fn print(args: &Args, summary: &Summary) -> i32 {
    let passes = summary.passes(args.recording.is_none());
    if args.output == Output::Human {
        for (invariant, finding) in summary.report.findings() {
            println!("{invariant} is false: {finding}");
        }
    } else {
        for (invariant, finding) in summary.report.findings() {
            eprintln!("{invariant} is false: {finding}");
        }
    }
    // The venue's own count stands beside ours, on the side channel: the closing line is a contract.
    eprintln!(
        "book messages: the venue sent {:?}, checksums that matched {}, that did not {}",
        summary.book_messages_sent.unwrap_or_default(),
        summary.checksums.ok,
        summary.checksums.bad
    );
    println!("{}", summary.json());
    i32::from(!passes)
}

/// A demo whose services have stopped and whose clusters and venue still answer.
struct Finished<'a> {
    started_at: UtcMicros,
    options: &'a StackOptions,
    venue: &'a Venue,
}

impl Finished<'_> {
    async fn judge(&self) -> anyhow::Result<Summary> {
        let pool = |kind| async move {
            let url = self.options.url(kind, "observer_ro")?;
            anyhow::Ok(crate::databases::pool(&url, kind).await?)
        };
        let decision = pool(ClusterKind::Decision).await?;
        let ingest = pool(ClusterKind::Ingest).await?;
        let account = VenueAccount::of(&self.venue.addresses.admin, &decision).await?;
        let (facts, first_trade) = gather(account, &decision, &ingest).await?;
        let logs =
            [INGEST, EXECUTION].map(|name| self.options.root.log().join(format!("{name}.jsonl")));
        let lines = Lines::read(&logs, UtcMicros(0))?;
        let generations = facts.generations.iter().filter(|g| g.published).count() as u64;
        Ok(Summary {
            first_fill_s: first_trade.map(|at| (at.0 - self.started_at.0) as f64 / 1e6),
            generations,
            counts: penstock_store_decision::evidence::counts(&decision).await?,
            positions: penstock_store_decision::evidence::positions(&decision).await?,
            raw_rows: penstock_store_ingest::evidence::raw_rows(&ingest).await?,
            checksums: checksums(&lines),
            book_messages_sent: book_messages(&self.venue.get("/stats").await?),
            unprotected_ms_max: (facts.unprotected_open_ms_max, facts.unprotected_close_ms_max),
            report: judge(&facts),
        })
    }
}

/// Messages with a checksum that the venue sent to live subscriptions, aggregated and order by order: ours are
/// counted over both.
fn book_messages(stats: &serde_json::Value) -> Option<u64> {
    let count = |name: &str| stats[name].as_u64();
    Some(count("book_messages_sent")? + count("level3_messages_sent")?)
}
