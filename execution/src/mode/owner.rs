//! Board of causes, the machine behind a lock, the view for readers.
//!
//! Purpose: judge the causes at every beat of the watchdog and at once when one is raised. Inputs: values of
//! signals, `raise`, `clear`, `request`. Outputs: [`ModeView`] over a watch channel, change rows for the log, changes
//! for alerts and trail. Invariants: the lock is held for microseconds and never across an await; changes are told in
//! the order in which they happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use penstock_telemetry::{Level as LogLevel, marker};
use penstock_trading::decide::Finding;
use penstock_trading::mode::{
    Cause, CauseCode, Ending, Level, ModeChange, ModeEvent, ModeMachine, ModeTiming, Signal,
    Thresholds, Unit,
};
use penstock_trading::recover::ResumeClass;
use penstock_types::UtcMicros;
use penstock_types::vocab::SysMode;
use tokio::sync::{broadcast, mpsc, watch};

use crate::audit::{AuditHandle, mode_changed};

use super::told::{RecoveryReport, Told};
use crate::progress::Progress;

/// Changes that wait for the database: far more than a session sees in an hour; when it is full the
/// oldest rows are already older than what an operator would still act on, and the newest is dropped
/// with its marker on record.
const CHANGES_QUEUE_LEN_MAX: usize = 1_024;
/// Changes that a listener may lag behind before it is told that it missed some; a day of an unquiet session.
const TOLD_LEN_MAX: usize = 256;

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
    /// What a signal's row says of its value.
    Signal(Signal),
    /// A start or a return from PAUSE whose recovery is not judged.
    Recovery,
    /// A start whose checklist is not passed.
    Boot,
}

#[derive(Debug)]
struct Inner {
    machine: ModeMachine,
    causes: BTreeMap<(CauseCode, Source), (Level, Option<String>, Instant)>,
    /// The way out of a PAUSE leads through a recovery that nobody has taken up yet.
    recovery_due: bool,
    /// Causes that the operator has named: they are not raised again before their condition was once over.
    acknowledged: BTreeSet<CauseCode>,
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
    changes: mpsc::Sender<Told>,
    told: broadcast::Sender<Told>,
    thresholds: Thresholds,
    progress: Progress,
    audit: Arc<OnceLock<AuditHandle>>,
}

/// Receiver of what has a row, to be given to [`super::run_log`].
pub type Changes = mpsc::Receiver<Told>;

impl ModeHandle {
    /// Starts in DEGRADE, judging signals by these thresholds.
    #[must_use]
    pub fn new(timing: ModeTiming, thresholds: Thresholds) -> (Self, Changes) {
        let (machine, first) = ModeMachine::boot(timing, 0);
        let since = UtcMicros::from(chrono::Utc::now());
        let view = ModeView { mode: first.to, reasons: first.reasons.clone(), since };
        let (changes, receiver) = mpsc::channel(CHANGES_QUEUE_LEN_MAX);
        let handle = Self {
            inner: Arc::new(Mutex::new(Inner {
                machine,
                causes: BTreeMap::new(),
                recovery_due: false,
                acknowledged: BTreeSet::new(),
            })),
            started: Instant::now(),
            view: watch::Sender::new(view),
            changes,
            told: broadcast::Sender::new(TOLD_LEN_MAX),
            thresholds,
            progress: Progress::default(),
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

    /// Everything that is told from now on, in order, for alerts and the trail.
    #[must_use]
    pub fn told(&self) -> broadcast::Receiver<Told> {
        self.told.subscribe()
    }

    /// Tells what has no row here or has it already.
    pub fn tell(&self, told: Told) {
        // Nobody listening is no error: alerts and trail may be off.
        let _ = self.told.send(told);
    }

    /// Tells a recovery; that of the start gets its row, and the mode goes on from its class.
    pub fn judged(&self, report: RecoveryReport) {
        if report.class == ResumeClass::PauseNeedsManual {
            let value = Some(serde_json::json!(report.facts).to_string());
            self.raise(CauseCode::PauseNeedsManual, Level::Pause, value);
        }
        self.log(Told::Recovery(report));
    }

    /// Tells something and keeps it for its row.
    fn log(&self, told: Told) {
        self.tell(told.clone());
        if self.changes.try_send(told).is_err() {
            tracing::error!("the queue of {CHANGES_QUEUE_LEN_MAX} rows of the mode's log is full");
        }
    }

    /// Where each signal changes the mode.
    #[must_use]
    pub const fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// Progress of the session's loops.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
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

    /// Raises and clears what the row of one signal says of its value; none: it is not measured now.
    pub fn signal(&self, signal: Signal, value: Option<i64>) {
        self.watch([(signal, value)]);
    }

    /// The same for several, judged as one.
    pub fn watch(&self, values: impl IntoIterator<Item = (Signal, Option<i64>)>) {
        {
            let mut inner = self.lock();
            for (signal, value) in values {
                let row = signal.trigger(&self.thresholds);
                let found = value.and_then(|value| row.judge(value));
                for code in signal.codes(&self.thresholds) {
                    let level = found.filter(|(active, _)| *active == code).map(|(_, level)| level);
                    let text = level.and(value).map(|value| said(signal, value, row.unit));
                    let key = (code, Source::Signal(signal));
                    inner.set(key, level.unwrap_or(Level::Degrade), level.is_some(), text);
                }
            }
        }
        self.judge();
    }

    /// The AI gate failed with this code while `ai_dec` has this value.
    pub fn ai_failure(&self, code: CauseCode, ai_dec: i64) {
        if let Some((_, level)) = Signal::AiFailure.trigger(&self.thresholds).judge(ai_dec) {
            self.set_from(Source::Signal(Signal::AiFailure), code, level, true, None);
        }
    }

    /// A start begins: its recovery holds the mode in DEGRADE until [`Self::recovered`].
    pub fn recovering(&self) {
        self.set_from(Source::Recovery, CauseCode::EnterDegrade, Level::Degrade, true, None);
    }

    /// The recovery is judged.
    pub fn recovered(&self) {
        self.set_from(Source::Recovery, CauseCode::EnterDegrade, Level::Degrade, false, None);
    }

    /// Whether a PAUSE was left and its recovery waits to be taken up; asking takes it up.
    #[must_use]
    pub fn take_recovery(&self) -> bool {
        std::mem::take(&mut self.lock().recovery_due)
    }

    /// The operator names a cause that ends only so; false when it is none of these or not active.
    #[must_use]
    pub fn acknowledge(&self, code: CauseCode) -> bool {
        if code.ending() != Ending::Acknowledged {
            return false;
        }
        let mut inner = self.lock();
        let before = inner.causes.len();
        inner.causes.retain(|(active, _), _| *active != code);
        let was_active = inner.causes.len() != before;
        if was_active {
            inner.acknowledged.insert(code);
        }
        was_active
    }

    /// Whether the operator has named the cause; `holds` says whether its condition does, and its end ends that too.
    #[must_use]
    pub fn is_acknowledged(&self, code: CauseCode, holds: bool) -> bool {
        let mut inner = self.lock();
        if !holds {
            inner.acknowledged.remove(&code);
        }
        inner.acknowledged.contains(&code)
    }

    /// The operator's wish, or the end of the process.
    pub fn request(&self, event: ModeEvent) {
        let mut inner = self.lock();
        match event {
            ModeEvent::OperatorNormal => {
                inner.causes.retain(|(code, _), _| code.ending() != Ending::Word);
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
        if let Some(change) = inner.machine.request(now, event, &causes) {
            self.changed(&mut inner, change);
        }
    }

    /// Judges the causes now.
    pub fn judge(&self) {
        let mut inner = self.lock();
        let causes = self.active(&inner);
        let now = self.now_ms();
        if let Some(change) = inner.machine.observe(now, &causes) {
            self.changed(&mut inner, change);
        }
    }

    /// Tells a change while its lock is held, so that changes are told in their order. Whoever leaves a PAUSE goes
    /// through a recovery first.
    fn changed(&self, inner: &mut Inner, change: ModeChange) {
        if (change.from, change.to) == (Some(SysMode::Pause), SysMode::Degrade) {
            inner.recovery_due = true;
            let key = (CauseCode::EnterDegrade, Source::Recovery);
            inner.set(key, Level::Degrade, true, None);
        }
        self.publish(change);
    }

    /// Active causes, each code once with its strictest level; a database that refuses writes for long
    /// demands a PAUSE.
    fn active(&self, inner: &Inner) -> Vec<Cause> {
        let mut merged: BTreeMap<CauseCode, (Level, Option<String>)> = BTreeMap::new();
        for ((code, _), (level, value, since)) in &inner.causes {
            let level = if *code == CauseCode::DbUnavailable {
                let refused_ms = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
                let row = Signal::DbWriteFailure.trigger(&self.thresholds);
                row.judge(refused_ms).map_or(*level, |(_, judged)| judged.max(*level))
            } else {
                *level
            };
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
        self.log(Told::Mode { change, at: now });
    }
}

/// A value with its unit, for the row of the change.
fn said(signal: Signal, value: i64, unit: Unit) -> String {
    let unit = match unit {
        Unit::Ms => " ms",
        Unit::Bytes => " bytes",
        Unit::Pct => " %",
        Unit::ScoreX10000 | Unit::Count | Unit::Grade => "",
    };
    format!("{signal} {value}{unit}")
}
