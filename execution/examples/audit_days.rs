//! A trail that goes on over days which have not come: the service's own writer under a moved clock, with its rows.
//!
//! Input: `--config FILE --dir DIR [--sessions N]`, the configuration as the tool reads it (PENSTOCK_DATA), its decision
//! cluster running, nobody else writing the trail. Output: N further sessions, each over one midnight, from tomorrow on;
//! a line for each. Invariants: lines, seals and rows are made by the writer of the service and by nothing here.
//! For `scripts/audit-trail`: a trail of one day has no seal, and no file to take away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use penstock_audit::Draft;
use penstock_clusters::ClusterKind;
use penstock_config::table::execution::ConsoleStage;
use penstock_config::{Config, Process};
use penstock_execution::audit::{
    AuditHandle, AuditWriter, Console, PressureLimits, WriterParts, redactor,
};
use penstock_execution::mode::ModeHandle;
use penstock_ops::stack::StackOptions;
use penstock_store::ClusterRole;
use penstock_store::pools::{PoolSettings, open_lazy};
use penstock_trading::mode::{ModeTiming, Thresholds};
use penstock_types::vocab::{AuditEventType, StageName};
use penstock_types::{OrderId, SessionId, Symbol, Uuid};

/// Events on each side of a midnight.
const EVENTS: i64 = 40;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Time before midnight at which a session begins, milliseconds.
const BEFORE_MS: i64 = 60_000;
/// Longest wait for the rows.
const ROWS_WAIT: Duration = Duration::from_secs(30);

struct Asked {
    config: PathBuf,
    dir: PathBuf,
    sessions: i64,
}

impl Asked {
    fn of(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let (mut config, mut dir, mut sessions) = (None, None, 2);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--config" => config = Some(PathBuf::from(words.next()?)),
                "--dir" => dir = Some(PathBuf::from(words.next()?)),
                "--sessions" => sessions = words.next()?.parse().ok()?,
                _ => return None,
            }
        }
        Some(Self { config: config?, dir: dir?, sessions })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let asked = Asked::of(std::env::args().skip(1))
        .context("usage: audit_days --config FILE --dir DIR [--sessions N]")?;
    let config = penstock_config::load(Process::Tool, Some(&asked.config))?;
    let options = StackOptions::from_config(&config, Some(&asked.config))?;
    let url = options.url(ClusterKind::Decision, "exec_rw")?;
    let today = chrono::Utc::now().timestamp_millis().div_euclid(DAY_MS) * DAY_MS;
    for session in 1..=asked.sessions {
        let midnight = today + (session + 1) * DAY_MS;
        go_on(&config, &asked.dir, &url, midnight).await?;
        println!("session {session}: {EVENTS} events before and after a midnight to come");
    }
    Ok(())
}

/// One session over one midnight.
async fn go_on(config: &Config, dir: &Path, url: &str, midnight: i64) -> anyhow::Result<()> {
    let time = Arc::new(AtomicI64::new(midnight - BEFORE_MS));
    let timing = ModeTiming { stable_window_ms: 600_000, pause_auto_recover_feed: true };
    let (mode, _changes) = ModeHandle::new(timing, Thresholds::default());
    let now = Arc::clone(&time);
    let writer = AuditWriter::start(WriterParts {
        dir: dir.to_owned(),
        session_id: SessionId(Uuid::now_v7()),
        pool: open_lazy(url, ClusterRole::Decision, &PoolSettings::service("audit-days", 2))?,
        mode,
        redactor: Arc::new(redactor(config)),
        limits: PressureLimits::of(config),
        drop_samples: false,
        sync_every: Duration::from_millis(config.areas.audit.jsonl_fsync_ms),
        console: Console::start(ConsoleStage::Off, false, Box::new(std::io::sink())),
        clock: Arc::new(move || now.load(Ordering::Relaxed)),
        run_started: Draft::new(StageName::Boot, AuditEventType::RunStarted, midnight - BEFORE_MS),
    });
    let audit = writer.handle();
    say(&audit, midnight - BEFORE_MS).await?;
    time.store(midnight + 1, Ordering::Relaxed);
    say(&audit, midnight + 1).await?;
    let rows = async {
        while audit.figures().lag_ms > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(ROWS_WAIT, rows).await.context("the rows did not follow the lines")?;
    let ended = Draft::new(StageName::Shutdown, AuditEventType::RunEnded, midnight + EVENTS + 2);
    writer.finish(Some(ended)).await;
    Ok(())
}

async fn say(audit: &AuditHandle, from_ms: i64) -> anyhow::Result<()> {
    for number in 1..=EVENTS {
        let draft =
            Draft::new(StageName::PositionManage, AuditEventType::OrderFill, from_ms + number);
        let symbol = Symbol::new("BTC/USD").ok();
        let draft = Draft { order_id: Some(OrderId(number)), symbol, ..draft };
        audit.critical(draft.with("filled_qty", "0.001")).await?;
    }
    Ok(())
}
