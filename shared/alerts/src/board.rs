//! The active alerts: one for each source, reason and symbol.
//!
//! Input: occurrences and conditions with their times, the other service's alerts. Output: what rose and whether it is
//! told, what ended. Invariants: the severity of an alert never falls while it is open; a repetition raises its count
//! and is told again only after the repeat time; an alert ends when none of its conditions holds and its window after
//! the last occurrence is over; at most [`ACTIVE_MAX`] are open, and a critical one never gives way. It reads no clock.

mod occurrence;

use penstock_contracts::alert::{
    Alert, AlertSource, HeartbeatAlert, Metrics, REASONS_MAX, Summary, SymbolText, V1, severity_of,
};
use penstock_contracts::units::TsMs;
use penstock_types::vocab::{ReasonCode, Severity, StageName, SysMode};
use penstock_types::{EvaluationId, RunId};
use std::collections::{BTreeMap, BTreeSet};

use crate::sink::SinkName;
pub use occurrence::{Ids, Occurrence};

/// Most open alerts. A service has some forty reasons and at most a few hundred symbols of which one at a time is in
/// trouble; beyond this a single cause has taken many symbols with it and says so in its own name.
pub const ACTIVE_MAX: usize = 512;

/// What makes two occurrences one alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose alert it is.
    pub source: AlertSource,
    /// Its own reason.
    pub reason: ReasonCode,
    /// Pair, or empty.
    pub symbol: SymbolText,
}

impl Key {
    /// Of a reason that belongs to no symbol.
    #[must_use]
    pub fn of(source: AlertSource, reason: ReasonCode) -> Self {
        Self { source, reason, symbol: SymbolText::default() }
    }
}

/// An alert from its opening to its end: a later one of the same key is another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Source, reason, symbol.
    pub key: Key,
    /// First time, milliseconds since 1970.
    pub first_ms: i64,
}

/// A time by both clocks: labels by the wall clock, ages by the one that never steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970.
    pub wall_ms: i64,
    /// Milliseconds since the start of the process; negative before it.
    pub mono_ms: i64,
}

/// Where a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Stage.
    pub stage: StageName,
    /// Mode.
    pub sys_mode: SysMode,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Which.
    pub id: Identity,
    /// Reasons, its own first.
    pub reasons: Vec<ReasonCode>,
    /// Severity.
    pub severity: Severity,
    /// In words and numbers.
    pub summary: Summary,
    /// Numbers and ids.
    pub metrics: Metrics,
    /// What it speaks of.
    pub ids: Ids,
    /// Where the service was.
    pub place: Place,
    /// How often.
    pub count: i64,
    /// Newest time, milliseconds since 1970.
    pub last_ms: i64,
    /// Ways out that are not told.
    pub not_through: Option<SinkName>,
    last_mono: i64,
    told_mono: i64,
    held_by: BTreeSet<&'static str>,
}

impl Open {
    /// The document that receivers get.
    #[must_use]
    pub fn document(&self, sender: AlertSource, active: bool) -> Alert {
        Alert {
            v: V1,
            source: self.id.key.source,
            sender,
            severity: self.severity,
            reason_code: self.id.key.reason,
            reasons: self.reasons.clone(),
            symbol: self.id.key.symbol.clone(),
            stage: self.place.stage,
            sys_mode: self.place.sys_mode,
            summary: self.summary.clone(),
            count: self.count,
            first_ts_ms: TsMs(self.id.first_ms),
            last_ts_ms: TsMs(self.last_ms),
            run_id: RunId(self.ids.run_id),
            cycle_id: EvaluationId(self.ids.cycle_id),
            decision_id: self.ids.decision_id.clone(),
            order_intent_id: self.ids.order_intent_id.clone(),
            active,
            metrics: self.metrics.clone(),
        }
    }

    /// Its last occurrence was less than so many milliseconds ago.
    #[must_use]
    pub const fn is_younger_than(&self, ms: i64, now: Now) -> bool {
        now.mono_ms - self.last_mono < ms
    }

    /// The entry of a heartbeat.
    #[must_use]
    pub fn entry(&self) -> HeartbeatAlert {
        HeartbeatAlert {
            v: V1,
            reason_code: self.id.key.reason,
            reasons: self.reasons.clone(),
            severity: self.severity,
            symbol: self.id.key.symbol.clone(),
            summary: self.summary.clone(),
            count: self.count,
            first_ts_ms: TsMs(self.id.first_ms),
            last_ts_ms: TsMs(self.last_ms),
            run_id: RunId(self.ids.run_id),
            metrics: self.metrics.clone(),
        }
    }

    /// An alert as a row says it: its window goes on from its last occurrence, no condition of it is known.
    #[must_use]
    pub fn stored(document: Alert, now: Now) -> Self {
        let last_mono =
            now.mono_ms - now.wall_ms.saturating_sub(document.last_ts_ms.0).clamp(0, 1 << 50);
        let key =
            Key { source: document.source, reason: document.reason_code, symbol: document.symbol };
        Self {
            id: Identity { key, first_ms: document.first_ts_ms.0 },
            reasons: document.reasons,
            severity: document.severity,
            summary: document.summary,
            metrics: document.metrics,
            ids: Ids {
                run_id: document.run_id.0,
                cycle_id: document.cycle_id.0,
                decision_id: document.decision_id,
                order_intent_id: document.order_intent_id,
            },
            place: Place { stage: document.stage, sys_mode: document.sys_mode },
            count: document.count,
            last_ms: document.last_ts_ms.0,
            not_through: None,
            last_mono,
            told_mono: last_mono,
            held_by: BTreeSet::new(),
        }
    }
}

/// What an occurrence did to its alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rise {
    /// It opened.
    Opened,
    /// Its severity rose.
    Escalated,
    /// Its count rose.
    Repeated,
}

/// An alert that rose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// As it is now.
    pub alert: Open,
    /// How.
    pub rise: Rise,
    /// It is told: event, message.
    pub told: bool,
}

/// Times of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Least milliseconds between two tellings of one alert.
    pub repeat_ms: i64,
    /// Milliseconds for which an alert is active after its last occurrence.
    pub window_ms: i64,
}

/// The active alerts.
#[derive(Debug)]
pub struct Board {
    times: Times,
    open: BTreeMap<Key, Open>,
}

impl Board {
    /// Nothing is wrong yet.
    #[must_use]
    pub const fn new(times: Times) -> Self {
        Self { times, open: BTreeMap::new() }
    }

    /// Notes an occurrence. Gives back what rose, and the alert that gave way to it, if one had to; none rises when the
    /// board is full of worse ones.
    pub fn occur(
        &mut self,
        occurrence: Occurrence,
        place: Place,
        now: Now,
    ) -> (Option<Raised>, Option<Open>) {
        let reasons = occurrence.reasons();
        let severity = severity_of(&reasons).max(occurrence.at_least);
        let place = Place { stage: occurrence.stage.unwrap_or(place.stage), ..place };
        let Some(alert) = self.open.get_mut(&occurrence.key) else {
            let id = Identity { key: occurrence.key, first_ms: now.wall_ms };
            return self.insert(Open {
                id,
                reasons,
                severity,
                summary: occurrence.summary,
                metrics: occurrence.metrics,
                ids: occurrence.ids,
                place,
                count: 1,
                last_ms: now.wall_ms,
                not_through: occurrence.not_through,
                last_mono: now.mono_ms,
                told_mono: now.mono_ms,
                held_by: BTreeSet::new(),
            });
        };
        let rise = if severity > alert.severity { Rise::Escalated } else { Rise::Repeated };
        alert.severity = alert.severity.max(severity);
        for reason in reasons {
            if !alert.reasons.contains(&reason) && alert.reasons.len() < REASONS_MAX {
                alert.reasons.push(reason);
            }
        }
        alert.summary = occurrence.summary;
        alert.metrics = occurrence.metrics;
        alert.ids = occurrence.ids;
        alert.place = place;
        alert.not_through = occurrence.not_through;
        alert.count = alert.count.saturating_add(1);
        (Some(repeated(alert, rise, now, self.times.repeat_ms)), None)
    }

    /// An alert of an earlier life of the process, unless one of its key is open.
    pub fn restore(&mut self, alert: Open) {
        if self.open.len() < ACTIVE_MAX {
            self.open.entry(alert.id.key.clone()).or_insert(alert);
        }
    }

    /// A condition of an open alert holds.
    pub fn hold(&mut self, key: &Key, condition: &'static str) {
        if let Some(alert) = self.open.get_mut(key) {
            alert.held_by.insert(condition);
        }
    }

    /// A condition holds no longer: the window begins when it was the last one.
    pub fn release(&mut self, key: &Key, condition: &'static str, now: Now) {
        if let Some(alert) = self.open.get_mut(key)
            && alert.held_by.remove(condition)
        {
            alert.last_mono = alert.last_mono.max(now.mono_ms);
        }
    }

    /// Whether a condition of an alert holds.
    #[must_use]
    pub fn is_held(&self, key: &Key, condition: &'static str) -> bool {
        self.open.get(key).is_some_and(|alert| alert.held_by.contains(condition))
    }

    /// Ends an alert at once.
    pub fn clear(&mut self, key: &Key) -> Option<Open> {
        self.open.remove(key)
    }

    /// Ends what is over.
    pub fn expire(&mut self, now: Now) -> Vec<Open> {
        let over = |alert: &Open| {
            alert.held_by.is_empty() && now.mono_ms - alert.last_mono >= self.times.window_ms
        };
        let keys: Vec<Key> =
            self.open.values().filter(|a| over(a)).map(|a| a.id.key.clone()).collect();
        keys.iter().filter_map(|key| self.open.remove(key)).collect()
    }

    /// Takes over the alerts of the other service, all of them: what it no longer names has ended.
    pub fn mirror(
        &mut self,
        source: AlertSource,
        entries: Vec<HeartbeatAlert>,
        place: Place,
        now: Now,
    ) -> (Vec<Raised>, Vec<Open>) {
        let named: BTreeSet<Identity> = entries.iter().map(|e| identity(source, e)).collect();
        let gone = |alert: &Open| alert.id.key.source == source && !named.contains(&alert.id);
        let keys: Vec<Key> =
            self.open.values().filter(|a| gone(a)).map(|a| a.id.key.clone()).collect();
        let mut ended: Vec<Open> = keys.iter().filter_map(|key| self.open.remove(key)).collect();
        let mut raised = Vec::new();
        for entry in entries {
            let (rose, gave_way) = self.take(source, entry, place, now);
            raised.extend(rose);
            ended.extend(gave_way);
        }
        (raised, ended)
    }

    fn take(
        &mut self,
        source: AlertSource,
        entry: HeartbeatAlert,
        place: Place,
        now: Now,
    ) -> (Option<Raised>, Option<Open>) {
        let id = identity(source, &entry);
        let Some(alert) = self.open.get_mut(&id.key) else {
            return self.insert(Open {
                id,
                reasons: entry.reasons,
                severity: entry.severity,
                summary: entry.summary,
                metrics: entry.metrics,
                ids: Ids { run_id: entry.run_id.0, ..Ids::default() },
                place,
                count: entry.count,
                last_ms: entry.last_ts_ms.0,
                not_through: None,
                last_mono: now.mono_ms,
                told_mono: now.mono_ms,
                held_by: BTreeSet::from([NAMED]),
            });
        };
        alert.held_by.insert(NAMED);
        if entry.count <= alert.count && entry.severity <= alert.severity {
            return (None, None);
        }
        let rise = if entry.severity > alert.severity { Rise::Escalated } else { Rise::Repeated };
        alert.severity = alert.severity.max(entry.severity);
        alert.reasons = entry.reasons;
        alert.summary = entry.summary;
        alert.metrics = entry.metrics;
        alert.place = place;
        alert.count = alert.count.max(entry.count);
        let raised = repeated(alert, rise, now, self.times.repeat_ms);
        // Its own clock says when.
        alert.last_ms = entry.last_ts_ms.0.max(alert.id.first_ms);
        (Some(Raised { alert: alert.clone(), ..raised }), None)
    }

    /// Opens an alert; when the board is full the oldest of the least severity below it gives way.
    fn insert(&mut self, alert: Open) -> (Option<Raised>, Option<Open>) {
        let mut gave_way = None;
        if self.open.len() >= ACTIVE_MAX && alert.severity < Severity::Crit {
            let weakest = self.open.values().filter(|a| a.severity <= alert.severity);
            let Some(key) = weakest.min_by_key(|a| (a.severity, a.last_mono)).map(|a| &a.id.key)
            else {
                return (None, None);
            };
            let key = key.clone();
            gave_way = self.open.remove(&key);
        } else if self.open.len() >= ACTIVE_MAX {
            let weaker = self.open.values().filter(|a| a.severity < Severity::Crit);
            let key = weaker.min_by_key(|a| (a.severity, a.last_mono)).map(|a| a.id.key.clone());
            gave_way = key.and_then(|key| self.open.remove(&key));
        }
        self.open.insert(alert.id.key.clone(), alert.clone());
        (Some(Raised { alert, rise: Rise::Opened, told: true }), gave_way)
    }

    /// An open alert.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Open> {
        self.open.get(key)
    }

    /// The active alerts, the highest severity first, then the newest.
    #[must_use]
    pub fn active(&self) -> Vec<&Open> {
        let mut active: Vec<&Open> = self.open.values().collect();
        active.sort_by_key(|a| (std::cmp::Reverse((a.severity, a.last_ms)), &a.id.key));
        active
    }
}

/// Condition of an alert of the other service: its heartbeat names it.
const NAMED: &str = "named by its heartbeat";

fn identity(source: AlertSource, entry: &HeartbeatAlert) -> Identity {
    let key = Key { source, reason: entry.reason_code, symbol: entry.symbol.clone() };
    Identity { key, first_ms: entry.first_ts_ms.0 }
}

fn repeated(alert: &mut Open, rise: Rise, now: Now, repeat_ms: i64) -> Raised {
    alert.last_ms = alert.last_ms.max(now.wall_ms);
    alert.last_mono = alert.last_mono.max(now.mono_ms);
    let told = rise != Rise::Repeated || now.mono_ms - alert.told_mono >= repeat_ms;
    if told {
        alert.told_mono = now.mono_ms;
    }
    Raised { alert: alert.clone(), rise, told }
}

#[cfg(test)]
pub(crate) mod tests;
