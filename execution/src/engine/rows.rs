//! The rows of the engine: its streams followed from the files, checkpoints as they come.
//!
//! Purpose: what the files say, on the decision cluster. Inputs: the streams of alerts and transitions,
//! checkpoints. Outputs: rows, markers. Invariants: the files are the record: a failing insert is tried again
//! from the same place, so nothing queues up and the core never waits; after a start the newest day is
//! compared once more, and checkpoints without a row are added up from the files; a row that stands with other
//! content is a breach of determinism.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use penstock_engine_io::{Checkpoint, Code, Fault, snapshots};
use penstock_store::StoreError;
use penstock_store_decision::engine_rows::{self, AlertRow, CheckpointRow, TransitionRow};
use penstock_telemetry::marker;
use penstock_types::SessionId;
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::board::EngineBoard;
use super::checkpoints::{self, Known};
use super::lines::{self, LineError};
use super::tail::{At, Tail};
use super::{EngineRun, place};

/// Distance of looks at the streams: a tick.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Distance of looks at the snapshots.
const SNAPSHOTS_EVERY: Duration = Duration::from_secs(5);
/// Checkpoints that wait for the database: a day of them.
pub(super) const CHECKPOINTS_LEN_MAX: usize = 1_440;
/// Cycles that are remembered per token and transition: far more than a day has.
const CYCLES_LEN_MAX: usize = 100_000;

/// What the task is given.
pub(super) struct RowsParts {
    pub(super) pool: PgPool,
    pub(super) session_id: SessionId,
    pub(super) run: EngineRun,
    pub(super) board: EngineBoard,
    pub(super) checkpoints: mpsc::Receiver<Checkpoint>,
    /// Where the engine stood when this life began.
    pub(super) began: Option<Known>,
}

/// Why a round ended early.
enum Stop {
    /// The database; tried again.
    Database(StoreError),
    /// Final.
    Fault(Box<Fault>),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Database(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<LineError> for Stop {
    fn from(error: LineError) -> Self {
        Fault::new(Code::Invariant, error.to_string()).into()
    }
}

struct Rows {
    pool: PgPool,
    session_id: SessionId,
    run: EngineRun,
    board: EngineBoard,
    began: Option<Known>,
    streams: Option<Streams>,
    waiting: VecDeque<Checkpoint>,
    /// Cycle of a token from a tick on.
    cycles: BTreeMap<(i32, i64), i64>,
    program_sha256: String,
    snapshot: (Instant, Option<u64>),
    failing: bool,
}

struct Streams {
    transitions: Tail,
    alerts: Tail,
    /// Ticks up to which rows stood at the start: what is read up to there is only compared.
    known: (i64, i64),
}

/// Follows the files until the core has ended and everything is written.
pub(super) async fn run_rows(parts: RowsParts) {
    let RowsParts { pool, session_id, run, board, mut checkpoints, began } = parts;
    let program_sha256 = program_sha256().await;
    let mut rows = Rows {
        pool,
        session_id,
        run,
        board,
        began,
        streams: None,
        waiting: VecDeque::new(),
        cycles: BTreeMap::new(),
        program_sha256,
        snapshot: (Instant::now(), None),
        failing: false,
    };
    loop {
        // Checkpoints first, so that the core finds a place; their end is the core's.
        let is_last = tokio::select! {
            biased;
            checkpoint = checkpoints.recv() => match checkpoint {
                Some(checkpoint) => {
                    rows.keep(checkpoint);
                    continue;
                }
                None => true,
            },
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        match rows.round().await {
            Ok(()) => rows.failing = false,
            Err(Stop::Database(error)) => {
                if !rows.failing {
                    tracing::warn!("rows of the engine wait for the database: {error}");
                }
                rows.failing = true;
            }
            Err(Stop::Fault(fault)) => {
                rows.board.breach(*fault);
                return;
            }
        }
        if is_last {
            return;
        }
    }
}

impl Rows {
    fn keep(&mut self, checkpoint: Checkpoint) {
        if self.waiting.len() == CHECKPOINTS_LEN_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(checkpoint);
    }

    async fn round(&mut self) -> Result<(), Stop> {
        if self.streams.is_none() {
            self.catch_up().await?;
            self.streams = Some(self.open().await?);
        }
        // A transition is written before its alert: behind an alert that was read, its transition is there.
        loop {
            let alerts = self.read_alerts()?;
            while self.transitions().await? {}
            if !self.alerts(alerts).await? {
                break;
            }
        }
        while let Some(checkpoint) = self.waiting.front() {
            self.checkpoint(checkpoint).await?;
            self.waiting.pop_front();
        }
        self.say_snapshot();
        Ok(())
    }

    async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), Stop> {
        let row = CheckpointRow {
            tick_id: i64::try_from(checkpoint.tick).unwrap_or(i64::MAX),
            state_chain: checkpoint.state_chain,
            frame_chain: checkpoint.frame_chain,
        };
        if engine_rows::put_checkpoint(&self.pool, &row).await? {
            return Ok(());
        }
        let what = "another checkpoint stands for this tick";
        Err(breach(what.to_owned()).in_tick(checkpoint.tick).into())
    }

    /// Rows of checkpoints that earlier lives passed and took with them.
    async fn catch_up(&self) -> Result<(), Stop> {
        let Some(began) = self.began else { return Ok(()) };
        let newest = engine_rows::newest_checkpoint(&self.pool).await?;
        let newest = newest
            .map(|row| Known { tick: row.tick_id.unsigned_abs(), state_chain: row.state_chain });
        let (dirs, config) = (self.run.options.dirs.clone(), self.run.options.config.clone());
        let work = move || checkpoints::missing(&dirs, &config, newest, began);
        let added_up = tokio::task::spawn_blocking(work).await;
        // It does not panic; a runtime that ends takes the rows with it.
        let Ok(added_up) = added_up else { return Ok(()) };
        match added_up {
            Ok(missing) => {
                for checkpoint in &missing {
                    self.checkpoint(checkpoint).await?;
                }
            }
            Err(fault) => {
                // Logs and snapshots carry the same chains.
                tracing::warn!("checkpoints of earlier lives stay without a row: {fault}");
            }
        }
        Ok(())
    }

    /// Where the rows end: their newest day is read again from its beginning.
    async fn open(&self) -> Result<Streams, Stop> {
        let (transition, alert) = engine_rows::newest_ticks(&self.pool).await?;
        let dirs = &self.run.options.dirs;
        let tick = |newest: Option<i64>| newest.map(i64::unsigned_abs);
        Ok(Streams {
            transitions: Tail::new(dirs.transitions(), tick(transition)),
            alerts: Tail::new(dirs.alerts.clone(), tick(alert)),
            known: (transition.unwrap_or(0), alert.unwrap_or(0)),
        })
    }

    /// Takes the next transitions; false when there are none.
    async fn transitions(&mut self) -> Result<bool, Stop> {
        let Some(streams) = &mut self.streams else { return Ok(false) };
        let (found, at) = streams.transitions.read()?;
        let parsed = found.iter().map(|line| lines::transition(line));
        let rows = parsed.collect::<Result<Vec<_>, LineError>>()?;
        let other = engine_rows::put_transitions(&self.pool, self.session_id, &rows).await?;
        if let Some(other) = other {
            let what = format!("another transition stands for {other}");
            return Err(breach(what).into());
        }
        streams.transitions.taken(at);
        let known = streams.known.0;
        for row in &rows {
            self.remember(row);
            if row.tick_id > known {
                say_transition(row);
            }
        }
        Ok(!rows.is_empty())
    }

    fn read_alerts(&self) -> Result<(Vec<String>, Option<At>), Fault> {
        self.streams.as_ref().map_or(Ok((Vec::new(), None)), |streams| streams.alerts.read())
    }

    /// Takes these alerts; false when there are none.
    async fn alerts(&mut self, (found, at): (Vec<String>, Option<At>)) -> Result<bool, Stop> {
        let Some(streams) = &self.streams else { return Ok(false) };
        let known = streams.known.1;
        let parsed = found.iter().map(|line| lines::alert(line));
        let mut rows = parsed.collect::<Result<Vec<_>, LineError>>()?;
        let is_empty = rows.is_empty();
        rows.retain(|row| row.kind != 1 || self.run.publish_build);
        for row in &mut rows {
            row.integrity = self.integrity(row);
        }
        let other = engine_rows::put_alerts(&self.pool, self.session_id, &rows).await?;
        if let Some(other) = other {
            return Err(breach(format!("another alert {other} stands")).into());
        }
        if let Some(streams) = &mut self.streams {
            streams.alerts.taken(at);
        }
        for row in rows.iter().filter(|row| row.tick_id > known) {
            counter!("engine_alerts_total", "kind" => row.kind.to_string()).increment(1);
            marker!(
                ENGINE_ALERT,
                alert_id = row.alert_id,
                kind = row.kind,
                scope = row.scope,
                symbol = row.symbol,
                cluster_id = row.cluster_id,
                confidence = row.confidence,
                tick = row.tick_id
            );
        }
        Ok(!is_empty)
    }

    fn remember(&mut self, row: &TransitionRow) {
        let Some(cycle) = row.cycle_id else { return };
        // The transition to BUILD closes its cycle: from there on the next one counts.
        let after = if row.to_code == 0 { cycle + 1 } else { cycle };
        if self.cycles.len() == CYCLES_LEN_MAX {
            self.cycles.clear();
        }
        self.cycles.insert((row.subject_id, row.tick_id), after);
    }

    /// Who wrote the alert and where its record stands; what is not known is absent.
    fn integrity(&self, row: &AlertRow) -> serde_json::Value {
        let config = &self.run.options.config;
        let mut object = serde_json::json!({
            "engine_version": env!("CARGO_PKG_VERSION"),
            "engine_sha256": self.program_sha256,
            "mode": self.run.options.mode.name(),
            "config_sha256": hex::encode(config.sha256()),
        });
        let Some(fields) = object.as_object_mut() else { return object };
        let tick = row.tick_id.unsigned_abs();
        if let Some(chain) = self.board.chain_of(tick) {
            fields.insert("state_chain".to_owned(), hex::encode(chain).into());
        }
        let Some(token) = row.token_id else { return object };
        let range = (token, i64::MIN)..=(token, row.tick_id);
        if let Some((_, cycle)) = self.cycles.range(range).next_back() {
            fields.insert("cycle_id".to_owned(), (*cycle).into());
        }
        let stands = u16::try_from(token)
            .ok()
            .and_then(|token| place::record_place(&self.run.options.dirs, token, tick));
        if let Some((file, offset)) = stands {
            fields.insert("log_file".to_owned(), file.into());
            fields.insert("record_offset".to_owned(), offset.into());
        }
        object
    }

    fn say_snapshot(&mut self) {
        let (looked, said) = self.snapshot;
        if said.is_some() && looked.elapsed() < SNAPSHOTS_EVERY {
            return;
        }
        let newest = snapshots::ticks(&self.run.options.dirs).ok().and_then(|mut all| all.pop());
        if let Some(tick) = newest.filter(|tick| Some(*tick) != said) {
            marker!(ENGINE_SNAPSHOT_WRITTEN, tick = tick);
            gauge!("engine_last_snapshot_tick").set(tick as f64);
        }
        self.snapshot = (Instant::now(), newest);
    }
}

fn breach(what: String) -> Fault {
    let next = "next: compare the files with the rows by penstock verify log";
    Fault::new(Code::Determinism, format!("{what}; {next}"))
}

fn say_transition(row: &TransitionRow) {
    macro_rules! say {
        ($name:ident, $subject:ident) => {
            marker!(
                $name,
                $subject = row.subject_id,
                from = row.from_code,
                to = row.to_code,
                edge = row.edge,
                cycle_id = row.cycle_id,
                event_id = row.event_id,
                cost = row.cost,
                tick = row.tick_id
            )
        };
    }
    match row.kind.as_str() {
        "token" => say!(ENGINE_TRANSITION, token_id),
        "cluster" => say!(ENGINE_CLUSTER_TRANSITION, cluster_id),
        _ => say!(ENGINE_PHASE_TRANSITION, cluster_id),
    }
}

/// SHA-256 of the running program, hex; empty when it cannot be read.
pub(super) async fn program_sha256() -> String {
    let hash = || {
        static HASH: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
        Arc::clone(HASH.get_or_init(|| {
            let bytes = std::fs::read("/proc/self/exe").unwrap_or_default();
            if bytes.is_empty() {
                return Arc::from("");
            }
            Arc::from(hex::encode(penstock_types::frame::sha256(&bytes)))
        }))
    };
    tokio::task::spawn_blocking(hash).await.map(|hash| hash.to_string()).unwrap_or_default()
}
