//! What one way out still has to send, and when.
//!
//! Input: alerts, the end of alerts, how an attempt went, the time. Output: the next message, or until when there is
//! none. Invariants: at most one message per key within the cooldown unless the severity rose; at most
//! [`MESSAGES_A_MINUTE`] attempts within any 60 s, what exceeds them being one digest, critical alerts excepted, which
//! wait for their turn; a failed message is repeated after 1 s, doubling to 5 min, three times, a critical one until it
//! is delivered or ended 24 h ago; what does not fit lets the oldest INFO go, then the oldest WARN, never a CRIT. It
//! sends nothing itself.

use std::collections::{BTreeMap, VecDeque};

use penstock_types::vocab::Severity;

use crate::board::{Identity, Key, Open};

/// Most attempts of one way out within a minute.
pub const MESSAGES_A_MINUTE: usize = 20;
/// Repeats of a message that is not critical.
pub const REPEATS_MAX: u32 = 3;
/// A critical alert that ended this long ago is no longer sent.
pub const ENDED_MS_MAX: i64 = 86_400_000;
/// Failures in a row after which the other ways out are told.
pub const FAILURES_TOLD: u32 = 3;
const MINUTE_MS: i64 = 60_000;
const REPEAT_FIRST_MS: i64 = 1_000;
const REPEAT_LAST_MS: i64 = 300_000;
/// Keys whose last message is remembered; an older one is as if never sent.
const SENT_MAX: usize = 2_048;

/// What a way out takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Least severity.
    pub least: Severity,
    /// Milliseconds between two messages of one key.
    pub cooldown_ms: i64,
    /// Alerts that may wait.
    pub capacity: usize,
}

#[derive(Debug)]
struct Pending {
    alert: Open,
    ended_ms: Option<i64>,
    attempts: u32,
    due_ms: i64,
    place: u64,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    first_ms: i64,
    severity: Severity,
    at_ms: i64,
}

/// What was too much for a minute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Digest {
    /// Alerts of severity WARN.
    pub warn: u64,
    /// Alerts of severity INFO.
    pub info: u64,
    /// The first of them, by name.
    pub names: Vec<String>,
}

/// Names of a digest.
const NAMES_MAX: usize = 8;

impl Digest {
    fn add(&mut self, alert: &Open) {
        match alert.severity {
            Severity::Info => self.info += 1,
            Severity::Warn | Severity::Crit => self.warn += 1,
        }
        let symbol = alert.id.key.symbol.as_str();
        let name = format!("{} {symbol}", alert.id.key.reason).trim_end().to_owned();
        if self.names.len() < NAMES_MAX && !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// Alerts in it.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.warn.saturating_add(self.info)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An alert, and whether it is still active.
    Alert(Box<Open>, bool),
    /// Many in one line.
    Digest(Digest),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send this and tell how it went.
    Send(Item),
    /// Nothing before this time; never without a new alert when there is none.
    Wait(Option<i64>),
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Went {
    /// It arrived, and how many failures in a row that ended.
    pub arrived: Option<Identity>,
    /// The way out works again.
    pub is_back: bool,
    /// It has failed three times in a row just now.
    pub is_failing: bool,
    /// The message is given up.
    pub given_up: Option<Severity>,
}

/// The messages of one way out.
#[derive(Debug)]
pub struct Outbox {
    rules: Rules,
    pending: BTreeMap<Key, Pending>,
    sent: BTreeMap<Key, Sent>,
    recent: VecDeque<i64>,
    digest: Digest,
    digest_attempts: u32,
    digest_due_ms: i64,
    failures: u32,
    place: u64,
}

impl Outbox {
    /// Nothing to send.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            pending: BTreeMap::new(),
            sent: BTreeMap::new(),
            recent: VecDeque::new(),
            digest: Digest { warn: 0, info: 0, names: Vec::new() },
            digest_attempts: 0,
            digest_due_ms: 0,
            failures: 0,
            place: 0,
        }
    }

    /// Takes an alert; gives back what was let go for it.
    pub fn offer(&mut self, alert: Open, now_ms: i64) -> Vec<Open> {
        if alert.severity < self.rules.least {
            return Vec::new();
        }
        let key = alert.id.key.clone();
        if let Some(waiting) = self.pending.get_mut(&key) {
            if alert.severity > waiting.alert.severity || alert.id != waiting.alert.id {
                waiting.attempts = 0;
                waiting.ended_ms = None;
                if alert.severity > waiting.alert.severity {
                    waiting.due_ms = now_ms;
                }
            }
            waiting.alert = alert;
            return Vec::new();
        }
        let mut due_ms = now_ms;
        if let Some(sent) = self.sent.get(&key)
            && alert.severity <= sent.severity
        {
            let quiet_until = sent.at_ms.saturating_add(self.rules.cooldown_ms);
            if now_ms < quiet_until && sent.first_ms == alert.id.first_ms {
                return Vec::new();
            }
            due_ms = due_ms.max(quiet_until);
        }
        self.place += 1;
        let place = self.place;
        self.pending.insert(key, Pending { alert, ended_ms: None, attempts: 0, due_ms, place });
        let mut gone = Vec::new();
        while self.pending.len() > self.rules.capacity {
            let weak = self.pending.values().filter(|p| p.alert.severity < Severity::Crit);
            let Some(weakest) = weak.min_by_key(|p| (p.alert.severity, p.place)) else { break };
            let key = weakest.alert.id.key.clone();
            gone.extend(self.pending.remove(&key).map(|p| p.alert));
        }
        gone
    }

    /// An alert has ended: a critical one is still sent, another only when it was due already.
    pub fn ended(&mut self, id: &Identity, now_ms: i64) {
        if let Some(waiting) = self.pending.get_mut(&id.key)
            && waiting.alert.id == *id
        {
            let quiet = waiting.due_ms > now_ms && waiting.attempts == 0;
            if waiting.alert.severity < Severity::Crit && quiet {
                self.pending.remove(&id.key);
            } else {
                waiting.ended_ms.get_or_insert(now_ms);
            }
        }
    }

    /// What to do now.
    pub fn next(&mut self, now_ms: i64) -> Next {
        self.forget(now_ms);
        let is_full = self.recent.len() >= MESSAGES_A_MINUTE;
        if is_full {
            self.fold(now_ms);
            let room = self.recent.front().map(|first| first + MINUTE_MS);
            let waits = !self.pending.is_empty() || self.digest.count() > 0;
            return Next::Wait(room.filter(|_| waits));
        }
        let due = self.pending.values().filter(|p| p.due_ms <= now_ms);
        let best = due.min_by_key(|p| (std::cmp::Reverse(p.alert.severity), p.place));
        let is_digest_due = self.digest.count() > 0 && self.digest_due_ms <= now_ms;
        match best {
            Some(p) if p.alert.severity == Severity::Crit || !is_digest_due => {
                Next::Send(Item::Alert(Box::new(p.alert.clone()), p.ended_ms.is_none()))
            }
            Some(_) | None if is_digest_due => Next::Send(Item::Digest(self.digest.clone())),
            Some(_) | None => {
                let digest = (self.digest.count() > 0).then_some(self.digest_due_ms);
                let dues = self.pending.values().map(|p| p.due_ms).chain(digest);
                Next::Wait(dues.min())
            }
        }
    }

    /// What is due and not critical becomes part of the digest.
    fn fold(&mut self, now_ms: i64) {
        let due = |p: &Pending| {
            p.alert.severity < Severity::Crit && p.due_ms <= now_ms && p.attempts == 0
        };
        let keys: Vec<Key> =
            self.pending.values().filter(|p| due(p)).map(|p| p.alert.id.key.clone()).collect();
        for key in keys {
            if let Some(waiting) = self.pending.remove(&key) {
                self.digest.add(&waiting.alert);
                self.remember(&waiting.alert, now_ms);
            }
        }
    }

    fn remember(&mut self, alert: &Open, now_ms: i64) {
        let sent = Sent { first_ms: alert.id.first_ms, severity: alert.severity, at_ms: now_ms };
        self.sent.insert(alert.id.key.clone(), sent);
        if self.sent.len() > SENT_MAX {
            let oldest = self.sent.iter().min_by_key(|(_, sent)| sent.at_ms);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.sent.remove(&key);
            }
        }
    }

    /// Attempts of more than a minute ago, and critical alerts that ended a day ago.
    fn forget(&mut self, now_ms: i64) {
        while self.recent.front().is_some_and(|first| now_ms - first >= MINUTE_MS) {
            self.recent.pop_front();
        }
        self.pending.retain(|_, p| p.ended_ms.is_none_or(|at| now_ms - at < ENDED_MS_MAX));
    }

    /// How the attempt of an item went.
    pub fn went(&mut self, item: &Item, is_ok: bool, now_ms: i64) -> Went {
        self.recent.push_back(now_ms);
        let mut went = Went::default();
        if is_ok {
            went.is_back = self.failures >= FAILURES_TOLD;
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            went.is_failing = self.failures == FAILURES_TOLD;
        }
        match item {
            Item::Alert(alert, _) if is_ok => {
                self.remember(alert, now_ms);
                went.arrived = Some(alert.id.clone());
                let is_same =
                    |p: &Pending| p.alert.id == alert.id && p.alert.severity == alert.severity;
                if self.pending.get(&alert.id.key).is_some_and(is_same) {
                    self.pending.remove(&alert.id.key);
                }
            }
            Item::Alert(alert, _) => {
                if let Some(waiting) = self.pending.get_mut(&alert.id.key) {
                    waiting.attempts = waiting.attempts.saturating_add(1);
                    waiting.due_ms = now_ms + pause_ms(waiting.attempts);
                    let severity = waiting.alert.severity;
                    if severity < Severity::Crit && waiting.attempts > REPEATS_MAX {
                        self.pending.remove(&alert.id.key);
                        went.given_up = Some(severity);
                    }
                }
            }
            Item::Digest(digest) => {
                self.digest_attempts = if is_ok { 0 } else { self.digest_attempts + 1 };
                self.digest_due_ms = now_ms + pause_ms(self.digest_attempts.max(1));
                if is_ok || self.digest_attempts > REPEATS_MAX {
                    went.given_up = (!is_ok).then_some(Severity::Warn);
                    self.digest_attempts = 0;
                    // Nothing is added while one is on its way but by the same task, which is here.
                    debug_assert_eq!(digest.count(), self.digest.count());
                    self.digest = Digest::default();
                }
            }
        }
        went
    }

    /// Something that has not been tried yet is due.
    #[must_use]
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        self.recent.len() < MESSAGES_A_MINUTE
            && self.pending.values().any(|p| p.attempts == 0 && p.due_ms <= now_ms)
    }

    /// Alerts that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

/// Pause before the next attempt after so many failed ones: 1 s, doubling, 5 min at most.
fn pause_ms(attempts: u32) -> i64 {
    let doublings = attempts.saturating_sub(1).min(20);
    (REPEAT_FIRST_MS << doublings).min(REPEAT_LAST_MS)
}

#[cfg(test)]
mod tests;
