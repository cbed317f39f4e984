//! Purpose: what alerts cost those that raise them while their receivers are down, slow or flooded. Inputs: how long,
//! how many alerts a second. Outputs: a report with the tick's time with and without. Invariants: the tick is the
//! watchdog's work (the mode's causes are set and judged) and the raising itself, on the runtime that also runs the
//! dispatcher and the ways out; its time counts from when it was due, so that a runtime that is held up shows; the tick
//! without alerts is measured before and after, within the same run; every tick is a sample; the receivers are real
//! sockets on loopback in a thread of their own.

mod receiver;

use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use penstock_alerts::board::Times;
use penstock_alerts::console::Console;
use penstock_alerts::run::{self, External, Parts};
use penstock_alerts::sink::{Sink, Target};
use penstock_alerts::{AlertSource, Alerts, NoRows, Settings};
use penstock_execution::mode::ModeHandle;
use penstock_trading::mode::{CauseCode, Level, ModeTiming, Thresholds};
use penstock_types::vocab::{ReasonCode, Severity};
use secrecy::SecretString;
use tokio::time::MissedTickBehavior;
use url::Url;

use super::figures::{Figure, Report, Samples};
use crate::progress::Progress;
use receiver::{Behaviour, Receiver};

/// A tick: short, so that a minute has samples enough for a p99.
const TICK: Duration = Duration::from_millis(5);
/// Different keys of a flood: more than a queue holds.
const KEYS: u32 = 400;
/// Time limit of a message, the default of ALERT_SEND_TIMEOUT_MS.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Options of `bench alerts`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// Seconds of each part
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Alerts a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(200..=20_000))]
    pub rate: u32,
}

/// What one part measured.
#[derive(Debug, Default)]
struct Part {
    tick: Samples,
    raise: Samples,
    raised: u64,
    taken: u64,
}

/// Runs the bench; it needs no cluster.
///
/// # Errors
/// A socket that cannot be opened, a thread that cannot be started.
pub(super) async fn run(args: Args) -> anyhow::Result<Report> {
    let parts = [
        ("without alerts, before", None),
        ("receivers well", Some(Behaviour::Well)),
        ("receivers down", Some(Behaviour::Down)),
        ("receivers slow, 30 s", Some(Behaviour::Slow)),
        ("without alerts, after", None),
    ];
    let mut measured = Vec::new();
    for (name, behaviour) in parts {
        let progress = Progress::start(name);
        measured.push((name, part(&args, behaviour).await?));
        drop(progress);
    }
    Ok(report(&args, &measured))
}

/// Three ways out that lead to one receiver.
fn settings(port: u16) -> anyhow::Result<Settings> {
    let url = |path: &str| Url::parse(&format!("http://127.0.0.1:{port}{path}"));
    let word = || SecretString::from("bench-bench-bench".to_owned());
    let target = [
        Target::Webhook { url: url("/hook")?, bearer: None },
        Target::Telegram { api: url("/")?, token: word(), chat_id: "1".to_owned() },
        Target::Pushover { api: url("/")?, token: word(), user: word() },
    ];
    Ok(Settings {
        sender: AlertSource::Execution,
        times: Times { repeat_ms: 60_000, window_ms: 900_000 },
        capacity: 256,
        cooldown_ms: 900_000,
        timeout: TIMEOUT,
        bell: None,
        sinks: target.map(|target| Sink { target, least: Severity::Info }).into(),
        redactor: Default::default(),
    })
}

async fn part(args: &Args, behaviour: Option<Behaviour>) -> anyhow::Result<Part> {
    let receiver = Receiver::start(behaviour.unwrap_or(Behaviour::Well))?;
    let alerts = Alerts::new(settings(receiver.port())?);
    let console = Console::over(Box::new(std::io::sink()), true, None)?;
    let parts = Parts { rows: NoRows, console, stored: Vec::new(), external: External::Always };
    let running = run::start(&alerts, parts)?;
    let timing = ModeTiming { stable_window_ms: 60_000, pause_auto_recover_feed: true };
    let (mode, _changes) = ModeHandle::new(timing, Thresholds::default());
    // A task of its own, as the watchdog is one.
    let (seconds, rate) = (args.seconds, behaviour.map(|_| args.rate));
    let ticks = tokio::spawn({
        let alerts = alerts.clone();
        async move { ticks(seconds, rate, &alerts, &mode).await }
    });
    let mut part = ticks.await?;
    part.taken = receiver.taken();
    // The next part has the runtime for itself.
    running.finish(false).await;
    Ok(part)
}

async fn ticks(seconds: u32, rate: Option<u32>, alerts: &Alerts, mode: &ModeHandle) -> Part {
    let mut part = Part::default();
    let mut every = tokio::time::interval(TICK);
    // A tick that is late is late once; the next ones are not pressed together behind it.
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let per_tick = rate.map_or(0, |rate| u128::from(rate) * TICK.as_millis() / 1_000);
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let mut n = 0_u32;
    while Instant::now() < end {
        let due = every.tick().await;
        mode.set(CauseCode::DataStale, Level::Degrade, n.is_multiple_of(2), None);
        mode.judge();
        for _ in 0..per_tick {
            n = n.wrapping_add(1);
            let started = Instant::now();
            raise(alerts, n);
            part.raise.push(started.elapsed());
            part.raised += 1;
        }
        part.tick.push(due.elapsed());
    }
    part
}

fn raise(alerts: &Alerts, n: u32) {
    let reason = match n % 100 {
        0 => ReasonCode::LedgerMismatch,
        1..50 => ReasonCode::QuoteStale,
        _ => ReasonCode::SpreadOpening,
    };
    let symbol = format!("S{}/USD", n % KEYS);
    alerts.raise(alerts.occurrence(reason, "bench").of_symbol(&symbol));
}

fn report(args: &Args, parts: &[(&'static str, Part)]) -> Report {
    let mut figures = Vec::new();
    for (name, part) in parts {
        figures.extend(part.tick.figures(&format!("tick, {name}"), None, None));
        if part.raised > 0 {
            let name = format!("raising one, {name}, p99");
            figures.push(Figure::ms(name, part.raise.quantile(99), None));
        }
    }
    let alone = parts.iter().filter(|(_, part)| part.raised == 0);
    let alone = alone.map(|(_, part)| part.tick.quantile(99)).max().unwrap_or_default();
    for (name, part) in parts.iter().filter(|(_, part)| part.raised > 0) {
        let ratio = part.tick.quantile(99).as_secs_f64() / alone.as_secs_f64().max(f64::EPSILON);
        figures.push(Figure::of(format!("tick p99, {name} / without"), ratio, "×", None));
    }
    let said = |(name, part): &(&str, Part)| {
        (part.raised > 0).then(|| format!("{name}: {} raised, {} taken", part.raised, part.taken))
    };
    Report {
        bench: "alerts",
        setting: vec![
            ("seconds", args.seconds.to_string()),
            ("alerts a second", args.rate.to_string()),
            ("tick_ms", TICK.as_millis().to_string()),
            ("keys", KEYS.to_string()),
        ],
        figures,
        notes: parts.iter().filter_map(said).collect(),
    }
}
