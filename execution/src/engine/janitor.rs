//! The janitor's thread: manifests of closed days, as files and as rows; then what `closed` does to their files.
//!
//! Purpose: what is done to files that nothing writes any more. Inputs: directories, the signing key, the last
//! tick. Outputs: manifests, markers. Invariants: it touches closed days only, in the order of their dates;
//! a failure is said as critical and tried again after an hour, and is never a fault of the core; whatever else
//! the machine has to do goes before it.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use metrics::gauge;
use penstock_engine_io::keys::Signer;
use penstock_engine_io::manifest::{Facts, Manifest, close_day, missing_days, read_manifest};
use penstock_engine_io::{Code, Day, Fault, files, log};
use penstock_store_decision::engine_rows::{ManifestRow, put_manifest};
use penstock_telemetry::{Level, marker};
use sqlx::PgPool;
use tokio::runtime::Handle;

use super::EngineRun;
use super::board::EngineBoard;
use super::{closed, sizes};

/// Distance of looks: well within the minute that a manifest has after midnight.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Pause after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Priority of the thread: everything else goes first.
const NICE: i32 = 19;

/// Looks at a day that is not closed yet before that is a failure: a minute of them.
const UNCLOSED_MAX: u32 = 6;

/// What the thread is given.
pub(super) struct JanitorParts {
    pub(super) run: EngineRun,
    pub(super) board: EngineBoard,
    pub(super) pool: PgPool,
    pub(super) runtime: Handle,
    pub(super) program_sha256: String,
    /// Its end is the thread's.
    pub(super) stop: Receiver<()>,
}

/// The whole life of the thread.
pub(super) fn run_janitor(parts: JanitorParts) {
    // On Linux this is the thread's own. Refused, it works at the ordinary priority.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!("the janitor keeps the ordinary priority: {error}");
    }
    let mut janitor = Janitor {
        parts,
        failed_at: None,
        unsigned_said: None,
        rowed: None,
        unclosed: 0,
        tidied: None,
    };
    loop {
        janitor.round();
        match janitor.parts.stop.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

struct Janitor {
    parts: JanitorParts,
    failed_at: Option<Instant>,
    unsigned_said: Option<Day>,
    /// Newest day whose row stands.
    rowed: Option<Day>,
    /// Looks at a day that was not closed.
    unclosed: u32,
    /// Day on which closed files were compressed and old days removed.
    tidied: Option<Day>,
}

impl Janitor {
    fn round(&mut self) {
        sizes::say(&self.parts.run.options.dirs);
        if self.failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return;
        }
        self.failed_at = None;
        if let Err(fault) = self.days() {
            self.failed_at = Some(Instant::now());
            marker!(
                at Level::Error,
                ENGINE_DAY_MANIFEST,
                outcome = fault.code.name(),
                reason = fault.to_string()
            );
        }
    }

    /// Closed days without a manifest get it, and manifests without a row theirs.
    fn days(&mut self) -> Result<(), Fault> {
        let Some(last) = self.parts.board.last_tick() else { return Ok(()) };
        let today = Day::of(last.0.unsigned_abs());
        let dirs = self.parts.run.options.dirs.clone();
        let Some(token) = self.parts.run.options.config.tokens.first() else { return Ok(()) };
        let logged = log::segments(&dirs, token.id)?;
        // A day of which only the snapshot before its first tick exists has no log.
        let is_due = |day: &Day| *day < today && logged.iter().any(|(of, _)| of == day);
        for day in missing_days(&dirs)?.into_iter().filter(is_due) {
            match self.close(day) {
                // The writer's thread may not have closed its files yet.
                Err(fault) if fault.code == Code::ManMissing && self.unclosed < UNCLOSED_MAX => {
                    self.unclosed += 1;
                    return Ok(());
                }
                closed => closed?,
            }
            self.unclosed = 0;
        }
        self.rows(today)?;
        self.tidy(today)
    }

    /// Once a day: every closed day has its manifest by now.
    fn tidy(&mut self, today: Day) -> Result<(), Fault> {
        if self.tidied == Some(today) {
            return Ok(());
        }
        let JanitorParts { run, pool, runtime, .. } = &self.parts;
        match closed::tidy(run, today, pool, runtime) {
            Ok(true) => self.tidied = Some(today),
            // A reader holds a day, or the database does not say on which days there were orders.
            Ok(false) => {}
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    fn close(&mut self, day: Day) -> Result<(), Fault> {
        let run = &self.parts.run;
        let dirs = &run.options.dirs;
        let signer = self.signer()?;
        let now = chrono::Utc::now().timestamp_millis();
        let facts = Facts {
            engine_sha256: self.parts.program_sha256.clone(),
            bindings_hash: Some(run.bindings_hash.clone()),
            max_tick_us: self.parts.board.max_tick_us(day.0),
            written_at_ms: now.unsigned_abs(),
        };
        let written = close_day(dirs, &run.options.config, day, &facts, signer.as_ref())?;
        let is_signed = written.signature.is_some();
        if !is_signed && self.unsigned_said != Some(day) {
            tracing::warn!("the manifest of {day} is not signed; next: penstock keys init");
            self.unsigned_said = Some(day);
        }
        marker!(
            ENGINE_DAY_MANIFEST,
            day = day.to_string(),
            day_root = written.day_root,
            signed = is_signed,
            late = written.late,
            outcome = "written"
        );
        Ok(())
    }

    /// The private key, when there is one.
    fn signer(&self) -> Result<Option<Signer>, Fault> {
        let options = &self.parts.run.options;
        match &options.signing_key {
            Some(path) if std::fs::exists(path).unwrap_or(false) => {
                Signer::load(path, &options.dirs).map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }

    fn rows(&mut self, today: Day) -> Result<(), Fault> {
        let dirs = self.parts.run.options.dirs.clone();
        let names = files::names(&dirs.manifests)?;
        let day = |name: &String| Day::parse(name.strip_suffix(".json")?);
        let mut days: Vec<Day> = names.iter().filter_map(day).filter(|day| *day < today).collect();
        days.sort_unstable();
        if let Some(newest) = days.last() {
            let seconds = (today.0 - newest.0).saturating_mul(86_400);
            gauge!("engine_manifest_age_seconds").set(seconds as f64);
        }
        days.retain(|day| self.rowed.is_none_or(|rowed| *day > rowed));
        for day in days {
            let manifest = read_manifest(&dirs, day)?;
            let row = row_of(day, &manifest)?;
            let put = self.parts.runtime.block_on(put_manifest(&self.parts.pool, &row));
            match put {
                Ok(true) => self.rowed = Some(day),
                Ok(false) => {
                    let what = format!("another manifest stands as the row of {day}");
                    return Err(Fault::new(Code::ManHash, what).of(&dirs.manifest(day)));
                }
                Err(error) => {
                    tracing::warn!("manifest of {day} has no row yet: {error}");
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn row_of(day: Day, manifest: &Manifest) -> Result<ManifestRow, Fault> {
    let bytes = manifest.bytes()?;
    let wrong = |what: &str| Fault::new(Code::ManRoot, what.to_owned());
    let root = hex::decode(&manifest.day_root).ok().and_then(|root| root.try_into().ok());
    let date = chrono::NaiveDate::default()
        .checked_add_days(chrono::Days::new(day.0))
        .ok_or_else(|| wrong("the day has no date"))?;
    Ok(ManifestRow {
        day: date,
        sha256: penstock_types::frame::sha256(&bytes),
        manifest: String::from_utf8(bytes).map_err(|_| wrong("the manifest is not text"))?,
        day_root: root.ok_or_else(|| wrong("the root of the day is not 32 bytes"))?,
        key_id: manifest.key_id.clone(),
        late: manifest.late,
    })
}
