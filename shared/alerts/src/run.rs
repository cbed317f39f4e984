//! The tasks behind the handle: the dispatcher, one task for each way out, the keeper of rows.
//!
//! Input: the queue, ends, rows that wait. Output: console lines, messages, rows. Invariants: the dispatcher never
//! waits for a way out; a way out never waits for another; rows are written at most once a second; at the end each way
//! out tries what it has not tried yet, and the whole end has a time limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use penstock_types::vocab::{ReasonCode, Severity};
use penstock_venue_net::{NetError, http_client};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::board::{Identity, Open};
use crate::console::Console;
use crate::hub::Alerts;
use crate::message::Message;
use crate::outbox::{FAILURES_TOLD, Item, Next, Outbox};
use crate::rows::{AlertRow, Rows, StoredAlert};
use crate::sink::{SendError, Sink};

/// How often rows are written and ends are looked for.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// Longest end: the alert of a process that ends is out by then.
pub const END_LIMIT: Duration = Duration::from_secs(5);

/// When the ways out of the machine are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum External {
    /// Always.
    Always,
    /// Only for this reason, and for every alert while it is active: another process delivers them otherwise.
    While(ReasonCode),
}

/// What the tasks need.
#[derive(Debug)]
pub struct Parts<R> {
    /// Where rows are kept.
    pub rows: R,
    /// Where lines go.
    pub console: Console,
    /// Alerts of an earlier life of the process.
    pub stored: Vec<StoredAlert>,
    /// When the ways out of the machine are used.
    pub external: External,
}

/// One way out with its messages.
#[derive(Debug)]
struct Way {
    sink: Sink,
    outbox: Mutex<Outbox>,
    fresh: Notify,
}

impl Way {
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // A holder that panicked has left whole entries.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, alert: Open, now_ms: i64) {
        if alert.not_through == Some(self.sink.name()) {
            return;
        }
        for gone in self.outbox().offer(alert, now_ms) {
            counter!("alerts_dropped_total", "severity" => gone.severity.as_str()).increment(1);
        }
        self.fresh.notify_one();
    }

    fn ended(&self, id: &Identity, now_ms: i64) {
        self.outbox().ended(id, now_ms);
    }
}

/// The running tasks.
#[derive(Debug)]
#[must_use = "the tasks are ended by `finish`"]
pub struct Running {
    alerts: Alerts,
    console: Console,
    stop_dispatch: CancellationToken,
    stop_ways: CancellationToken,
    stop_rows: CancellationToken,
    dispatcher: JoinHandle<()>,
    ways: Vec<JoinHandle<()>>,
    keeper: JoinHandle<()>,
}

/// Starts the tasks. What was raised before is delivered now.
///
/// # Errors
/// [`NetError`] when the HTTP client cannot be built.
pub fn start<R: Rows>(alerts: &Alerts, parts: Parts<R>) -> Result<Running, NetError> {
    let settings = alerts.settings();
    let client = http_client(settings.timeout)?;
    let way = |sink: &Sink| {
        let outbox = Mutex::new(Outbox::new(settings.rules(sink.least)));
        Arc::new(Way { sink: sink.clone(), outbox, fresh: Notify::new() })
    };
    let ways: Vec<Arc<Way>> = settings.sinks.iter().map(way).collect();
    alerts.restore(&parts.stored);
    resume(alerts, &parts.stored, &ways);
    let (stop_dispatch, stop_ways, stop_rows) = Default::default();
    let dispatch = Dispatch {
        alerts: alerts.clone(),
        ways: ways.clone(),
        console: parts.console.clone(),
        external: parts.external,
    };
    let dispatcher = tokio::spawn(dispatch.run(CancellationToken::clone(&stop_dispatch)));
    let tasks = ways.into_iter().map(|way| {
        tokio::spawn(run_way(
            way,
            client.clone(),
            alerts.clone(),
            CancellationToken::clone(&stop_ways),
        ))
    });
    let ways = tasks.collect();
    let keeper =
        tokio::spawn(run_keeper(alerts.clone(), parts.rows, CancellationToken::clone(&stop_rows)));
    Ok(Running {
        alerts: alerts.clone(),
        console: parts.console,
        stop_dispatch,
        stop_ways,
        stop_rows,
        dispatcher,
        ways,
        keeper,
    })
}

/// Critical alerts that a way out has not taken yet are tried again.
fn resume(alerts: &Alerts, stored: &[StoredAlert], ways: &[Arc<Way>]) {
    let now = alerts.now();
    for row in stored.iter().filter(|row| row.alert.severity == Severity::Crit) {
        for way in ways.iter().filter(|way| !row.delivered.contains(&way.sink.name())) {
            let alert = Open::stored(row.alert.clone(), now);
            let id = alert.id.clone();
            way.offer(alert, now.mono_ms);
            if row.is_cleared {
                way.ended(&id, now.mono_ms);
            }
        }
    }
}

impl Running {
    /// Ends: what was raised goes out once more, within [`END_LIMIT`]; `keeps_rows` is false for a process that may no
    /// longer write.
    pub async fn finish(self, keeps_rows: bool) {
        if !keeps_rows {
            self.keeper.abort();
        }
        let end = async {
            self.stop_dispatch.cancel();
            // A task that panicked is reported by the hook of the process.
            let _ = self.dispatcher.await;
            self.stop_ways.cancel();
            self.stop_rows.cancel();
            for way in self.ways {
                let _ = way.await;
            }
            let _ = self.keeper.await;
        };
        if tokio::time::timeout(END_LIMIT, end).await.is_err() {
            tracing::warn!("alerts were not all delivered within {END_LIMIT:?}");
        }
        self.console.flush();
        drop(self.alerts);
    }
}

struct Dispatch {
    alerts: Alerts,
    ways: Vec<Arc<Way>>,
    console: Console,
    external: External,
}

impl Dispatch {
    async fn run(self, stop: CancellationToken) {
        loop {
            self.once();
            // The end first: what is in the queue then is taken below.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.alerts.worked() => {}
            }
        }
        self.once();
    }

    fn once(&self) {
        let now_ms = self.alerts.now().mono_ms;
        for alert in self.alerts.take_queue() {
            self.console.show(&alert);
            match self.external {
                External::Always => self.offer(&alert, now_ms),
                External::While(reason) if alert.id.key.reason == reason => {
                    for alert in self.alerts.open() {
                        self.offer(&alert, now_ms);
                    }
                }
                External::While(reason) => {
                    let gate = crate::board::Key::of(self.alerts.settings().sender, reason);
                    if self.alerts.is_open(&gate) {
                        self.offer(&alert, now_ms);
                    }
                }
            }
        }
        for id in self.alerts.take_ended() {
            self.ways.iter().for_each(|way| way.ended(&id, now_ms));
        }
    }

    fn offer(&self, alert: &Open, now_ms: i64) {
        self.ways.iter().for_each(|way| way.offer(alert.clone(), now_ms));
    }
}

async fn run_way(way: Arc<Way>, client: reqwest::Client, alerts: Alerts, stop: CancellationToken) {
    loop {
        let next = way.outbox().next(alerts.now().mono_ms);
        match next {
            Next::Send(item) => {
                let message = Message::of(&item, alerts.settings().sender);
                let answer = way.sink.send(&client, &message).await;
                went(&way, &alerts, &item, answer);
            }
            // Nothing untried is due: what failed is tried again by the next life of the process.
            Next::Wait(_) if stop.is_cancelled() => return,
            Next::Wait(until) => {
                let pause = until.map(|at| at - alerts.now().mono_ms).unwrap_or(i64::MAX);
                let pause =
                    Duration::from_millis(u64::try_from(pause.clamp(1, DAY_MS)).unwrap_or(1));
                // The end first; then what is new; the pause for what failed.
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = way.fresh.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
}

/// Longest pause of a way out without news.
const DAY_MS: i64 = 86_400_000;

fn went(way: &Way, alerts: &Alerts, item: &Item, answer: Result<(), SendError>) {
    let name = way.sink.name();
    let went = way.outbox().went(item, answer.is_ok(), alerts.now().mono_ms);
    match &answer {
        Ok(()) => counter!("alerts_sent_total", "sink" => name.as_str()).increment(1),
        Err(error) => {
            counter!("alert_send_failures_total", "sink" => name.as_str()).increment(1);
            tracing::debug!("alert sink {name}: {error}");
        }
    }
    if let Some(id) = went.arrived {
        alerts.took(&id, name);
    }
    if let Some(severity) = went.given_up {
        counter!("alerts_given_up_total", "severity" => severity.as_str()).increment(1);
    }
    if went.is_back {
        alerts.ends(ReasonCode::AlertSinkFailed, "", name.as_str());
    }
    if let (true, Err(error)) = (went.is_failing, answer) {
        let summary =
            format!("{name} failed {FAILURES_TOLD} times in a row: {error}; next: penstock doctor");
        let mut occurrence = alerts.occurrence(ReasonCode::AlertSinkFailed, &summary);
        occurrence.not_through = Some(name);
        alerts.begins(occurrence, name.as_str());
    }
}

async fn run_keeper<R: Rows>(alerts: Alerts, rows: R, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(KEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        // The end first: rows are written once more below.
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = ticks.tick() => alerts.expire(),
        }
        keep(&alerts, &rows, &mut is_failing).await;
    }
    keep(&alerts, &rows, &mut is_failing).await;
}

/// Writes what waits; what cannot be written waits on.
async fn keep<R: Rows>(alerts: &Alerts, rows: &R, is_failing: &mut bool) {
    // Deliveries before rows: the row of each is among these rows or written already. The other way round an alert that
    // opens and is delivered while rows are written would be noted before its row is there, and never again.
    let mut taken = alerts.take_taken().into_iter();
    let mut waiting: Vec<AlertRow> = alerts.take_rows();
    // An ended alert before the one that has opened after it.
    waiting.sort_by_key(|row| row.alert.first_ts_ms);
    let mut waiting = waiting.into_iter();
    while let Some(row) = waiting.next() {
        if let Err(error) = rows.save(&row).await {
            if !*is_failing {
                tracing::warn!("alert rows wait for the database: {error}");
            }
            *is_failing = true;
            alerts.keep_rows(std::iter::once(row).chain(waiting).collect());
            alerts.keep_taken(taken.collect());
            return;
        }
    }
    while let Some((id, sink)) = taken.next() {
        if rows.delivered(&id, sink).await.is_err() {
            *is_failing = true;
            alerts.keep_taken(std::iter::once((id, sink)).chain(taken).collect());
            return;
        }
    }
    *is_failing = false;
}

#[cfg(test)]
mod tests;
