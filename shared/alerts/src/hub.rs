//! The handle of those that raise.
//!
//! Input: occurrences and conditions of any thread. Output: the board, the queue, rows that wait, the marker, the
//! listener of raised alerts. Invariants: one lock, held for microseconds and never across an await; the marker and the
//! listener come after it; texts pass the redaction before they are kept; rows that wait are at most [`ROWS_MAX`], of
//! which the oldest that is not critical gives way.

mod state;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use metrics::counter;
use penstock_contracts::alert::{Alert, AlertSource, HeartbeatAlert};
use penstock_telemetry::marker;
use penstock_types::vocab::{ReasonCode, StageName, SysMode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::board::{Board, Identity, Key, Now, Occurrence, Open, Place, Raised};
use crate::queue::Queue;
use crate::rows::{AlertRow, StoredAlert};
use crate::settings::Settings;
use crate::sink::SinkName;
pub use state::ROWS_MAX;
use state::State;

/// Most alerts of a heartbeat.
const HEARTBEAT_MAX: usize = penstock_contracts::alert::HEARTBEAT_ALERTS_MAX;

/// Two parts that tell of the same thing do so within this time: the mode's causes are looked at every 250 ms.
const TOLD_MS: i64 = 2_000;

type Where = Box<dyn Fn() -> Place + Send + Sync>;
type Listener = Box<dyn Fn(&Alert) + Send + Sync>;

struct Shared {
    sender: AlertSource,
    settings: Settings,
    started: Instant,
    place: OnceLock<Where>,
    listener: OnceLock<Listener>,
    run_id: AtomicI64,
    state: Mutex<State>,
    work: Notify,
    changed: Notify,
    is_changed: AtomicBool,
}

/// The alerts of a service; cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alerts").field("sender", &self.shared.sender).finish_non_exhaustive()
    }
}

impl Alerts {
    /// Of a service; nothing is delivered before [`crate::run::start`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let state = State::new(Board::new(settings.times), Queue::new(settings.capacity));
        let shared = Shared {
            sender: settings.sender,
            settings,
            started: Instant::now(),
            place: OnceLock::new(),
            listener: OnceLock::new(),
            run_id: AtomicI64::new(0),
            state: Mutex::new(state),
            work: Notify::new(),
            changed: Notify::new(),
            is_changed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Who says where the service is; set once, it must not wait.
    pub fn set_place(&self, place: impl Fn() -> Place + Send + Sync + 'static) {
        // A second one is of a second start within one process; the first stands.
        let _ = self.shared.place.set(Box::new(place));
    }

    /// Who is told of every alert that is told, on the thread that raised it; set once, it must not wait.
    pub fn set_listener(&self, listener: impl Fn(&Alert) + Send + Sync + 'static) {
        let _ = self.shared.listener.set(Box::new(listener));
    }

    /// The run that own alerts without one speak of.
    pub fn set_run(&self, run_id: i64) {
        self.shared.run_id.store(run_id, Ordering::Relaxed);
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Now, by both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let mono_ms = i64::try_from(self.shared.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        Now { wall_ms: chrono::Utc::now().timestamp_millis(), mono_ms }
    }

    fn place(&self) -> Place {
        let usual = Place { stage: StageName::PositionManage, sys_mode: SysMode::Normal };
        self.shared.place.get().map_or(usual, |place| place())
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        // Every change is one insertion or removal after another; none can be left half made.
        f(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An occurrence of this service.
    #[must_use]
    pub fn occurrence(&self, reason: ReasonCode, summary: &str) -> Occurrence {
        Occurrence::new(self.shared.sender, reason, summary)
    }

    /// Something happened.
    pub fn raise(&self, occurrence: Occurrence) {
        self.occur(occurrence, None);
    }

    /// A condition holds from now on; told again it raises the count.
    pub fn begins(&self, occurrence: Occurrence, condition: &'static str) {
        self.occur(occurrence, Some(condition));
    }

    fn occur(&self, occurrence: Occurrence, condition: Option<&'static str>) {
        let mut occurrence = occurrence.redacted(&self.shared.settings.redactor);
        if occurrence.ids.run_id == 0 {
            occurrence.ids.run_id = self.shared.run_id.load(Ordering::Relaxed);
        }
        let (now, place, key) = (self.now(), self.place(), occurrence.key.clone());
        let sender = self.shared.sender;
        let raised = self.with(|state| {
            let (raised, gave_way) = state.board.occur(occurrence, place, now);
            if let Some(condition) = condition {
                state.board.hold(&key, condition);
            }
            if let Some(alert) = gave_way {
                state.drop_open(alert, sender, now);
            }
            if let Some(raised) = &raised {
                state.rose(raised, sender);
            }
            raised
        });
        match raised {
            Some(raised) => self.tell(&raised),
            None => counter!("alerts_dropped_total", "severity" => "INFO").increment(1),
        }
    }

    /// A condition holds from now on that another part may have told of a moment ago: then it only holds.
    pub fn begins_unless_told(&self, occurrence: Occurrence, condition: &'static str) {
        let now = self.now();
        let is_told = self.with(|state| {
            let open = state.board.get(&occurrence.key);
            let is_told = open.is_some_and(|alert| alert.is_younger_than(TOLD_MS, now));
            if is_told {
                state.board.hold(&occurrence.key, condition);
            }
            is_told
        });
        if !is_told {
            self.begins(occurrence, condition);
        }
    }

    /// A condition holds no longer.
    pub fn ends(&self, reason: ReasonCode, symbol: &str, condition: &'static str) {
        let occurrence = self.occurrence(reason, "").of_symbol(symbol);
        let now = self.now();
        self.with(|state| state.board.release(&occurrence.key, condition, now));
    }

    /// Whether a condition of an own alert holds.
    #[must_use]
    pub fn holds(&self, reason: ReasonCode, condition: &'static str) -> bool {
        let key = Key::of(self.shared.sender, reason);
        self.with(|state| state.board.is_held(&key, condition))
    }

    /// Takes over the alerts of the other service, all of them.
    pub fn mirror(&self, source: AlertSource, entries: Vec<HeartbeatAlert>) {
        let (now, place, sender) = (self.now(), self.place(), self.shared.sender);
        let raised = self.with(|state| {
            let (raised, ended) = state.board.mirror(source, entries, place, now);
            for alert in ended {
                state.end(alert, sender, now);
            }
            for raised in &raised {
                state.rose(raised, sender);
            }
            raised
        });
        self.shared.work.notify_one();
        for raised in &raised {
            self.tell(raised);
        }
    }

    /// Ends what is over; the tasks behind call it every second.
    pub fn expire(&self) {
        let (now, sender) = (self.now(), self.shared.sender);
        let has_ended = self.with(|state| {
            let ended = state.board.expire(now);
            let has_ended = !ended.is_empty();
            for alert in ended {
                state.end(alert, sender, now);
            }
            has_ended
        });
        if has_ended {
            self.shared.work.notify_one();
            self.change();
        }
    }

    /// Takes over the alerts of an earlier life of the process that are still open.
    pub fn restore(&self, stored: &[StoredAlert]) {
        let now = self.now();
        self.with(|state| {
            for row in stored.iter().filter(|row| !row.is_cleared) {
                state.board.restore(Open::stored(row.alert.clone(), now));
            }
        });
    }

    /// The own active alerts as the array of the heartbeat.
    #[must_use]
    pub fn heartbeat(&self) -> Value {
        let sender = self.shared.sender;
        self.with(|state| {
            let own = state.board.active().into_iter().filter(|a| a.id.key.source == sender);
            own.take(HEARTBEAT_MAX).map(|alert| json!(alert.entry())).collect()
        })
    }

    /// Every active alert, the highest severity first, then the newest.
    #[must_use]
    pub fn active(&self) -> Vec<Alert> {
        let sender = self.shared.sender;
        self.with(|state| {
            state.board.active().into_iter().map(|a| a.document(sender, true)).collect()
        })
    }

    /// Waits until an alert opens, escalates or ends: the next heartbeat is due at once then.
    pub async fn changed(&self) {
        while !self.take_changed() {
            self.shared.changed.notified().await;
        }
    }

    /// An alert has opened, escalated or ended since the last call.
    #[must_use]
    fn take_changed(&self) -> bool {
        self.shared.is_changed.swap(false, Ordering::AcqRel)
    }

    fn change(&self) {
        self.shared.is_changed.store(true, Ordering::Release);
        self.shared.changed.notify_one();
    }

    /// What follows from an alert that rose, outside the lock.
    fn tell(&self, raised: &Raised) {
        if !raised.told {
            return;
        }
        self.shared.work.notify_one();
        if raised.rise != crate::board::Rise::Repeated {
            self.change();
        }
        let alert = &raised.alert;
        marker!(
            ALERT_RAISED,
            severity = alert.severity,
            reason_code = alert.id.key.reason,
            reasons = alert.reasons,
            source = alert.id.key.source,
            symbol = alert.id.key.symbol,
            sys_mode = alert.place.sys_mode,
            summary = alert.summary,
            count = alert.count,
            first_ts_ms = alert.id.first_ms,
            metrics = alert.metrics
        );
        if let Some(listener) = self.shared.listener.get() {
            listener(&alert.document(self.shared.sender, true));
        }
    }

    // For the tasks behind.

    pub(crate) async fn worked(&self) {
        self.shared.work.notified().await;
    }

    pub(crate) fn take_queue(&self) -> Vec<Open> {
        self.with(|state| std::iter::from_fn(|| state.queue.pop()).collect())
    }

    pub(crate) fn take_ended(&self) -> Vec<Identity> {
        self.with(|state| std::mem::take(&mut state.ended))
    }

    pub(crate) fn open(&self) -> Vec<Open> {
        self.with(|state| state.board.active().into_iter().cloned().collect())
    }

    pub(crate) fn is_open(&self, key: &Key) -> bool {
        self.with(|state| state.board.get(key).is_some())
    }

    pub(crate) fn take_rows(&self) -> Vec<AlertRow> {
        self.with(|state| std::mem::take(&mut state.rows).into_values().collect())
    }

    /// Puts back what was not written, unless there is a newer state.
    pub(crate) fn keep_rows(&self, rows: Vec<AlertRow>) {
        self.with(|state| {
            for row in rows {
                state.keep_row(row);
            }
        });
    }

    pub(crate) fn took(&self, id: &Identity, sink: SinkName) {
        self.with(|state| state.took(id.clone(), sink));
    }

    pub(crate) fn take_taken(&self) -> Vec<(Identity, SinkName)> {
        self.with(|state| std::mem::take(&mut state.taken))
    }

    pub(crate) fn keep_taken(&self, taken: Vec<(Identity, SinkName)>) {
        self.with(|state| taken.into_iter().for_each(|(id, sink)| state.took(id, sink)));
    }
}
