//! Board of causes, the machine behind a lock, the view for readers, the watchdog.
//!
//! Purpose: judge the causes every 250 ms and at once when one is raised. Inputs: `raise`, `clear`,
//! `request`. Outputs: [`ModeView`] over a watch channel, change rows for the log. Invariants: the lock
//! is held for microseconds and never across an await; changes reach the database in their order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use penstock_store_decision::modes::{self, ModeRow};
use penstock_telemetry::{Level as LogLevel, marker};
use penstock_trading::decide::Finding;
use penstock_trading::mode::{
    Cause, CauseCode, Level, ModeChange, ModeEvent, ModeMachine, ModeTiming,
};
use penstock_types::vocab::SysMode;
use penstock_types::{SessionId, UtcMicros};
use sqlx::PgPool;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::audit::{AuditHandle, mode_changed};

/// How often the causes are judged: a quarter of a second is the resolution of every limit.
const WATCHDOG_EVERY: Duration = Duration::from_millis(250);
/// Changes that wait for the database: far more than a session sees in an hour; when it is full the
/// oldest rows are already older than what an operator would still act on, and the newest is dropped
/// with its marker on record.
const CHANGES_QUEUE_LEN_MAX: usize = 1_024;

/// The mode as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeView {
    /// Mode.
    pub mode: SysMode,
    /// Active causes, highest first.
    pub reasons: Vec<CauseCode>,
    /// Since when, wall clock.
    pub since: UtcMicros,
}

/// Who sees a cause. Two parts may see the same one; each clears only its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The part that owns the thing: stream, frames, orders, fence.
    Part,
    /// The evaluation.
    Cycle,
    /// Each generation, and the lack of one, between evaluations.
    Generation,
    /// The writer of the audit trail.
    Audit,
    /// The operator.
    Operator,
}

#[derive(Debug)]
struct Inner {
    machine: ModeMachine,
    causes: BTreeMap<(CauseCode, Source), (Level, Option<String>, Instant)>,
}

impl Inner {
    fn set(
        &mut self,
        key: (CauseCode, Source),
        level: Level,
        is_active: bool,
        value: Option<String>,
    ) {
        if is_active {
            let since = self.causes.get(&key).map_or_else(Instant::now, |c| c.2);
            self.causes.insert(key, (level, value, since));
        } else {
            self.causes.remove(&key);
        }
    }
}

/// Handle to the owner; cheap to clone.
#[derive(Debug, Clone)]
pub struct ModeHandle {
    inner: Arc<Mutex<Inner>>,
    started: Instant,
    view: watch::Sender<ModeView>,
    changes: mpsc::Sender<(ModeChange, UtcMicros)>,
    db_pause_after: Duration,
    audit: Arc<OnceLock<AuditHandle>>,
}

/// Receiver of changes, to be given to [`run_watchdog`].
pub type Changes = mpsc::Receiver<(ModeChange, UtcMicros)>;

impl ModeHandle {
    /// Starts in DEGRADE. `db_pause_after` is how long the decision cluster may refuse writes before
    /// that becomes a PAUSE.
    #[must_use]
    pub fn new(timing: ModeTiming, db_pause_after: Duration) -> (Self, Changes) {
        let (machine, first) = ModeMachine::boot(timing, 0);
        let since = UtcMicros::from(chrono::Utc::now());
        let view = ModeView { mode: first.to, reasons: first.reasons.clone(), since };
        let (changes, receiver) = mpsc::channel(CHANGES_QUEUE_LEN_MAX);
        let handle = Self {
            inner: Arc::new(Mutex::new(Inner { machine, causes: BTreeMap::new() })),
            started: Instant::now(),
            view: watch::Sender::new(view),
            changes,
            db_pause_after,
            audit: Arc::default(),
        };
        handle.publish(first);
        (handle, receiver)
    }

    /// Each change from now on is said in the audit trail, the present mode at once.
    pub fn say_to(&self, audit: &AuditHandle) {
        let ModeView { mode, reasons, .. } = self.view();
        let primary = reasons.first().copied();
        let values = BTreeMap::new();
        let now = ModeChange { from: None, to: mode, primary, reasons, values, lasted_ms: 0 };
        audit.post(mode_changed(&now, chrono::Utc::now().timestamp_millis()));
        // Set once: a second trail of one session does not exist.
        let _ = self.audit.set(audit.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A holder that panicked has only read and written plain values: they are whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// The mode now.
    #[must_use]
    pub fn current(&self) -> SysMode {
        self.view.borrow().mode
    }

    /// The mode with its reasons.
    #[must_use]
    pub fn view(&self) -> ModeView {
        self.view.borrow().clone()
    }

    /// Wakes at each change; whoever owns resting entries cancels them outside NORMAL.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<ModeView> {
        self.view.subscribe()
    }

    /// Whether a cause is active, be it the one that the mode was entered for or a later one.
    #[must_use]
    pub fn is_active(&self, code: CauseCode) -> bool {
        self.lock().causes.keys().any(|(active, _)| *active == code)
    }

    /// A cause is active from now on; raising it again replaces level and value. The mode is judged
    /// before this returns.
    pub fn raise(&self, code: CauseCode, level: Level, value: Option<String>) {
        self.set_from(Source::Part, code, level, true, value);
    }

    /// A cause is over; the mode improves only after its window.
    pub fn clear(&self, code: CauseCode) {
        self.set_from(Source::Part, code, Level::Degrade, false, None);
    }

    /// Raises or clears by a condition.
    pub fn set(&self, code: CauseCode, level: Level, active: bool, value: Option<String>) {
        self.set_from(Source::Part, code, level, active, value);
    }

    /// Raises or clears what one source sees.
    pub fn set_from(
        &self,
        source: Source,
        code: CauseCode,
        level: Level,
        active: bool,
        value: Option<String>,
    ) {
        {
            let mut inner = self.lock();
            inner.set((code, source), level, active, value);
        }
        if active {
            self.judge();
        }
    }

    /// Raises and clears all that a source has looked for, judged as one: a change names every cause of it.
    pub fn set_all(&self, source: Source, findings: impl IntoIterator<Item = Finding>) {
        {
            let mut inner = self.lock();
            for Finding { code, is_active, value } in findings {
                inner.set((code, source), Level::Degrade, is_active, value);
            }
        }
        self.judge();
    }

    /// The operator's wish, or the end of the process.
    pub fn request(&self, event: ModeEvent) {
        let change = {
            let mut inner = self.lock();
            match event {
                ModeEvent::OperatorNormal => {
                    // The operator's word ends what only the operator may end.
                    inner.causes.retain(|(code, _), _| {
                        !matches!(
                            code,
                            CauseCode::OperatorRequest
                                | CauseCode::LedgerMismatch
                                | CauseCode::RiskDrawdownLimit
                                | CauseCode::AuditChainBroken
                        )
                    });
                }
                ModeEvent::OperatorDegrade | ModeEvent::OperatorPause => {
                    let pause = event == ModeEvent::OperatorPause;
                    let level = if pause { Level::Pause } else { Level::Degrade };
                    let key = (CauseCode::OperatorRequest, Source::Operator);
                    inner.causes.insert(key, (level, None, Instant::now()));
                }
                ModeEvent::DegradeCause
                | ModeEvent::PauseCause
                | ModeEvent::StableWindow
                | ModeEvent::FeedsBack
                | ModeEvent::Stop => {}
            }
            let causes = self.active(&inner);
            let now = self.now_ms();
            inner.machine.request(now, event, &causes)
        };
        if let Some(change) = change {
            self.publish(change);
        }
    }

    /// Judges the causes now.
    pub fn judge(&self) {
        let change = {
            let mut inner = self.lock();
            let causes = self.active(&inner);
            let now = self.now_ms();
            inner.machine.observe(now, &causes)
        };
        if let Some(change) = change {
            self.publish(change);
        }
    }

    /// Active causes, each code once with its strictest level; a database that refuses writes for long
    /// demands a PAUSE.
    fn active(&self, inner: &Inner) -> Vec<Cause> {
        let mut merged: BTreeMap<CauseCode, (Level, Option<String>)> = BTreeMap::new();
        for ((code, _), (level, value, since)) in &inner.causes {
            let long = *code == CauseCode::DbUnavailable && since.elapsed() >= self.db_pause_after;
            let level = if long { Level::Pause } else { *level };
            let entry = merged.entry(*code).or_insert((level, value.clone()));
            if level > entry.0 {
                *entry = (level, value.clone());
            }
        }
        merged.into_iter().map(|(code, (level, value))| Cause { code, level, value }).collect()
    }

    fn publish(&self, change: ModeChange) {
        let now = UtcMicros::from(chrono::Utc::now());
        self.view.send_replace(ModeView {
            mode: change.to,
            reasons: change.reasons.clone(),
            since: now,
        });
        let level = if change.to == SysMode::Normal { LogLevel::Info } else { LogLevel::Warn };
        let reasons: Vec<&str> = change.reasons.iter().map(|r| r.as_str()).collect();
        if let Some(from) = change.from {
            let secs = change.lasted_ms.max(0) / 1_000;
            marker!(at level, SYS_MODE_EXIT, mode = from, reasons = reasons, lasted_secs = secs);
        }
        let primary = change.primary.map_or("ENTER_NORMAL", CauseCode::as_str);
        marker!(
            at level, SYS_MODE_ENTER,
            mode = change.to,
            mode_from = change.from,
            primary_reason = primary,
            reasons = reasons,
            trigger_values = change.values,
            since = now.rfc3339()
        );
        if let Some(audit) = self.audit.get() {
            audit.post(mode_changed(&change, now.millis()));
        }
        if self.changes.try_send((change, now)).is_err() {
            tracing::error!("a mode change found the queue of {CHANGES_QUEUE_LEN_MAX} rows full");
        }
    }
}

/// Judges every 250 ms and writes the rows of changes, in order; a row that the database refuses is
/// tried again until it is there or the process ends.
pub async fn run_watchdog(
    handle: ModeHandle,
    mut changes: Changes,
    pool: PgPool,
    session_id: SessionId,
    stop: CancellationToken,
) {
    let mut every = tokio::time::interval(WATCHDOG_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut waiting: Option<(ModeChange, UtcMicros)> = None;
    loop {
        if let Some((change, ts)) = &waiting {
            match modes::insert(&pool, &row(session_id, change, *ts)).await {
                Ok(()) => {
                    waiting = None;
                    handle.clear(CauseCode::DbUnavailable);
                }
                Err(error) => {
                    tracing::warn!("mode row not written, trying again: {error}");
                    handle.raise(CauseCode::DbUnavailable, Level::Degrade, None);
                }
            }
        }
        // The end first: nothing may keep a stopping process. Then rows, so that they stay in order.
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = changes.recv(), if waiting.is_none() => match next {
                Some(change) => waiting = Some(change),
                None => break,
            },
            _ = every.tick() => handle.judge(),
        }
    }
    // What is still waiting belongs to the record of the session; one try each.
    let mut last = waiting.into_iter().collect::<Vec<_>>();
    while let Ok(change) = changes.try_recv() {
        last.push(change);
    }
    for (change, ts) in &last {
        if let Err(error) = modes::insert(&pool, &row(session_id, change, *ts)).await {
            tracing::warn!("last mode row not written: {error}");
        }
    }
}

fn row(session_id: SessionId, change: &ModeChange, ts: UtcMicros) -> ModeRow {
    ModeRow {
        session_id,
        ts,
        evaluation_index: None,
        from: change.from,
        to: change.to,
        reasons: change.reasons.iter().map(|r| r.as_str().to_owned()).collect(),
        values: serde_json::json!(change.values),
    }
}
