//! `penstock verify audit`: the trail's chain, seals and links, and each line against its row.
//!
//! Inputs: the directory, read-only; rows of the decision cluster, unless left out. Outputs: each finding with file
//! and line or session and number; what could not be seen. Status 0 when nothing was found, 15 otherwise. Invariants:
//! nothing is written; beside a running writer everything up to a fixed line is judged and nothing behind it; without
//! the database the report says which changes it cannot see.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use penstock_audit::database::{Database, DatabaseError, Row};
use penstock_audit::{Beside, Day, LiveEnd, Report, verify};
use penstock_clusters::ClusterKind;
use penstock_config::Process;
use penstock_store_decision::audit::{SessionRows, last_row, session_days};
use penstock_types::SessionId;
use serde_json::json;
use sqlx::PgPool;
use tokio::runtime::Handle;

use crate::arguments::Output;
use crate::retention::audit::dir_of;
use crate::stack::StackOptions;
use crate::{databases, exit};

/// How long rows of a running writer are waited for: its own longest insert, and the pause after it.
const ROWS_WAIT: Duration = Duration::from_secs(5);
/// Pause between two looks at them.
const ROWS_EVERY: Duration = Duration::from_millis(100);

/// Options of `penstock verify audit`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Directory of the trail; that of the configuration when none is named
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Judge the files alone; the report says what that cannot see
    #[arg(long)]
    pub without_database: bool,
    /// First day that must be there, as 2026-02-16; today less the days that files are kept when none is named
    #[arg(long, value_parser = day)]
    pub from: Option<Day>,
    /// Form of the report
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "a day is written as 2026-02-16".to_owned())
}

/// Runs the command.
///
/// # Errors
/// When the directory or the cluster cannot be read.
pub(super) async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let config = match penstock_config::load(Process::Tool, config_file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::CONFIG);
        }
    };
    let options = StackOptions::from_config(&config, config_file.as_deref())?;
    let dir = args.dir.clone().unwrap_or_else(|| dir_of(&config, options.root.path()));
    let keep = i64::from(config.areas.retention.retention_jsonl_days);
    let today = chrono::Utc::now().date_naive();
    let oldest = today.checked_sub_signed(chrono::TimeDelta::days(keep));
    let from = args.from.or_else(|| Day::of_date(oldest?));
    let pool = if args.without_database {
        None
    } else {
        let url = options.url(ClusterKind::Decision, "observer_ro")?;
        let opened = databases::pool(&url, ClusterKind::Decision).await;
        Some(opened.context(
            "the decision cluster does not answer; next: `penstock up`, or --without-database",
        )?)
    };
    let until =
        LiveEnd::of(&dir).with_context(|| format!("the audit trail in {}", dir.display()))?;
    if let (Some(pool), Some(until)) = (&pool, until) {
        wait_for_rows(pool, until).await?;
    }
    let report = judge(dir, pool, from, until).await?;
    Ok(print(&report, args.output))
}

/// Waits until the rows of a running writer have come as far as the lines that are judged.
async fn wait_for_rows(pool: &PgPool, until: LiveEnd) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    while started.elapsed() < ROWS_WAIT {
        let last = last_row(pool).await?.map(|(session, seq, _)| (session, seq));
        if last >= Some((until.session_id, until.seq)) {
            return Ok(());
        }
        tokio::time::sleep(ROWS_EVERY).await;
    }
    // What is missing now is a finding.
    Ok(())
}

/// Judges a directory, with the rows where there is a pool.
///
/// # Errors
/// When the directory or the cluster cannot be read.
pub async fn judge(
    dir: PathBuf,
    pool: Option<PgPool>,
    from: Option<Day>,
    until: Option<LiveEnd>,
) -> anyhow::Result<Report> {
    let handle = Handle::current();
    let judged = tokio::task::spawn_blocking(move || {
        let mut rows = pool.map(|pool| Rows { handle, pool, sessions: Vec::new(), open: None });
        let database = rows.as_mut().map(|rows| rows as &mut dyn Database);
        verify(&dir, Beside { database, from, until })
    });
    Ok(judged.await??)
}

/// The rows, asked from a thread that may wait.
struct Rows {
    handle: Handle,
    pool: PgPool,
    sessions: Vec<(SessionId, chrono::NaiveDate)>,
    open: Option<SessionRows>,
}

impl Rows {
    fn days(&mut self) -> Result<&[(SessionId, chrono::NaiveDate)], DatabaseError> {
        if self.sessions.is_empty() {
            let read = self.handle.block_on(session_days(&self.pool));
            self.sessions = read.map_err(|error| DatabaseError(error.to_string()))?;
        }
        Ok(&self.sessions)
    }
}

impl Database for Rows {
    fn sessions(&mut self) -> Result<Vec<(SessionId, Day)>, DatabaseError> {
        let mut last: Vec<(SessionId, Day)> = Vec::new();
        for (session, date) in self.days()? {
            let Some(day) = Day::of_date(*date) else { continue };
            match last.last_mut() {
                Some((known, newest)) if known == session => *newest = day.max(*newest),
                Some(_) | None => last.push((*session, day)),
            }
        }
        Ok(last)
    }

    fn seek(&mut self, session_id: SessionId) -> Result<(), DatabaseError> {
        let days = self.days()?.iter().filter(|(session, _)| *session == session_id);
        let days: Vec<chrono::NaiveDate> = days.map(|(_, day)| *day).collect();
        self.open = Some(SessionRows::new(session_id, &days));
        Ok(())
    }

    fn next_row(&mut self) -> Result<Option<Row>, DatabaseError> {
        let Some(rows) = self.open.as_mut() else { return Ok(None) };
        let read = self.handle.block_on(rows.next(&self.pool));
        read.map_err(|error| DatabaseError(error.to_string()))
    }
}

/// Prints the report; the status.
fn print(report: &Report, output: Output) -> i32 {
    let verdict = if report.is_sound() { "Equal" } else { "Different" };
    match output {
        Output::Human => {
            println!(
                "{verdict}: {} files, {} lines, {} sessions, {} rows compared",
                report.files, report.lines, report.sessions, report.rows
            );
            for finding in &report.findings {
                println!("finding: {finding}");
            }
            for unseen in &report.unseen {
                println!("not seen: {unseen}");
            }
        }
        Output::Json => println!("{}", as_json(report, verdict)),
    }
    if report.is_sound() { exit::CLEAN } else { exit::DIFFERENT }
}

fn as_json(report: &Report, verdict: &str) -> serde_json::Value {
    let findings: Vec<serde_json::Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "file": finding.file,
                "line": finding.line,
                "session_id": finding.place.map(|(session, _)| session.to_string()),
                "seq": finding.place.map(|(_, seq)| seq),
                "what": finding.what.to_string(),
            })
        })
        .collect();
    let unseen: Vec<String> = report.unseen.iter().map(ToString::to_string).collect();
    json!({
        "verdict": verdict,
        "files": report.files,
        "lines": report.lines,
        "sessions": report.sessions,
        "rows": report.rows,
        "findings": findings,
        "unseen": unseen,
    })
}
