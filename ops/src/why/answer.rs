//! From the stored rows of a symbol to an answer in sentences.
//!
//! Input: [`Facts`]. Output: an [`Answer`]. Invariants: the gate, its numbers and its time are those of the
//! row; a mode that is not NORMAL stands before the symbol's own gate, but not before the lack of a place in
//! the universe; the sentences say nothing that the fields do not.

use chrono::{DateTime, Utc};
use penstock_store_decision::why::{Facts, Gate, Mode};
use penstock_trading::decide::unit::GateUnit;
use penstock_types::Decimal;
use penstock_types::vocab::{Blocker, ReasonCode, StageName, SysMode};
use serde::Serialize;

use super::next;

/// Age from which on an evaluation is said to be an old one, ms: a dozen of the usual intervals.
const OLD_MS: i64 = 60_000;

/// How a symbol stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A gate is closed.
    Closed,
    /// No gate is closed.
    Open,
    /// No evaluation has judged it yet.
    NotJudged,
    /// Neither the venue nor a universe names it.
    Unknown,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Symbol.
    pub symbol: String,
    /// How it stands.
    pub standing: Standing,
    /// First closed gate.
    pub gate: Option<String>,
    /// Stage in which it closed.
    pub stage: Option<String>,
    /// Reason code.
    pub reason: Option<String>,
    /// Measured value; a graded one is the place of its word.
    pub value: Option<Decimal>,
    /// Limit.
    pub limit: Option<Decimal>,
    /// Unit of both.
    pub unit: Option<String>,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// All closed gates.
    pub closed: Vec<String>,
    /// Newest evaluation.
    pub evaluation_id: Option<i64>,
    /// How long ago it ended, ms.
    pub evaluation_age_ms: Option<i64>,
    /// The same in sentences.
    pub sentences: Vec<String>,
    /// What to do next.
    pub next: String,
}

impl Answer {
    /// For eyes: one sentence a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.sentences.join("\n");
        text.push_str(&format!("\nnext: {}\n", self.next));
        text
    }
}

/// A gate with its time, wherever it comes from.
struct First {
    gate: String,
    stage: Option<String>,
    reason: Option<String>,
    value: Option<Decimal>,
    limit: Option<Decimal>,
    unit: Option<GateUnit>,
    since: Option<DateTime<Utc>>,
    closed: Vec<String>,
}

/// Answers from the facts; `now` is for ages in sentences only.
pub(super) fn of(symbol: &str, facts: &Facts, now: DateTime<Utc>) -> Answer {
    let mut answer = Answer {
        symbol: symbol.to_owned(),
        standing: Standing::Open,
        gate: None,
        stage: None,
        reason: None,
        value: None,
        limit: None,
        unit: None,
        since: None,
        closed: Vec::new(),
        evaluation_id: facts.evaluation.as_ref().map(|e| e.evaluation_id),
        evaluation_age_ms: facts.evaluation.as_ref().map(|e| e.age_ms),
        sentences: Vec::new(),
        next: String::new(),
    };
    match first(facts) {
        Some(first) => closed(&mut answer, facts, first, now),
        None => without_a_gate(&mut answer, facts, now),
    }
    if let Some(age_ms) = answer.evaluation_age_ms.filter(|age| *age >= OLD_MS) {
        answer.sentences.push(format!(
            "The newest evaluation ended {} ago: this is what it found then, not what holds now.",
            span(age_ms / 1_000)
        ));
        answer.next = format!("`penstock status`: does execution run? Then: {}", answer.next);
    }
    answer
}

/// The first closed gate: the universe, the mode, the symbol's own.
fn first(facts: &Facts) -> Option<First> {
    let outside = facts.membership.as_ref().filter(|m| !m.in_execution);
    if let Some(universe) = outside
        && let Some(code) = &universe.excluded_for
    {
        let own = facts.gate.as_ref().filter(|row| row.reason.as_ref() == Some(code));
        let gate = match ReasonCode::parse(code) {
            Ok(ReasonCode::SymbolHardBlocked) => Blocker::HardBlocked.as_str().to_owned(),
            Ok(_) | Err(_) => code.clone(),
        };
        return Some(First {
            closed: vec![gate.clone()],
            gate,
            stage: Some(StageName::UniverseScan.as_str().to_owned()),
            reason: Some(code.clone()),
            value: Some(Decimal::ZERO),
            limit: Some(Decimal::ONE),
            unit: Some(GateUnit::Flag),
            since: own.map(|row| row.since).or(universe.since),
        });
    }
    let row = facts.gate.as_ref();
    let is_said = row.is_some_and(|row| row.gate.as_deref() == Some(Blocker::ModeBlocked.as_str()));
    let blocking = facts.mode.as_ref().filter(|m| m.mode != SysMode::Normal.as_str() && !is_said);
    match (row, blocking) {
        (Some(row), Some(mode)) => Some(of_mode(mode, row)),
        (Some(row), None) => of_row(row),
        (None, _) => None,
    }
}

fn of_row(row: &Gate) -> Option<First> {
    Some(First {
        gate: row.gate.clone()?,
        stage: row.stage.clone(),
        reason: row.reason.clone(),
        value: row.value.map(|v| v.normalize()),
        limit: row.limit.map(|v| v.normalize()),
        unit: row.unit.as_deref().and_then(|unit| GateUnit::parse(unit).ok()),
        since: Some(row.since),
        closed: row.closed.clone(),
    })
}

/// The mode, in front of what the last evaluation found.
fn of_mode(mode: &Mode, row: &Gate) -> First {
    let place = SysMode::ALL.iter().position(|one| one.as_str() == mode.mode);
    let gate = Blocker::ModeBlocked.as_str().to_owned();
    let behind = row.closed.iter().filter(|one| **one != gate).cloned();
    First {
        closed: std::iter::once(gate.clone()).chain(behind).collect(),
        gate,
        stage: Some(StageName::UniverseScan.as_str().to_owned()),
        reason: Some(ReasonCode::RiskModeBlock.as_str().to_owned()),
        value: place.and_then(|at| i64::try_from(at).ok()).map(Decimal::from),
        limit: Some(Decimal::ZERO),
        unit: Some(GateUnit::SysMode),
        since: Some(mode.since),
    }
}

fn closed(answer: &mut Answer, facts: &Facts, first: First, now: DateTime<Utc>) {
    let meaning = first.reason.as_deref().and_then(|code| ReasonCode::parse(code).ok());
    let meaning = meaning.map_or_else(String::new, |code| format!(": {}", code.meaning()));
    answer.sentences.push(format!(
        "{} is not traded. {} closes it in {} ({}{meaning}).",
        answer.symbol,
        first.gate,
        first.stage.as_deref().unwrap_or("no stage"),
        first.reason.as_deref().unwrap_or("no reason"),
    ));
    if let (Some(value), Some(limit), Some(unit)) = (first.value, first.limit, first.unit) {
        answer.sentences.push(format!(
            "Measured {}, limit {}.",
            with_unit(value, unit),
            with_unit(limit, unit)
        ));
    } else {
        answer.sentences.push("It compares no numbers.".to_owned());
    }
    if let Some(since) = first.since {
        let secs = now.signed_duration_since(since).num_seconds();
        answer.sentences.push(format!("Since {} ({}).", at(since), span(secs)));
    }
    let others: Vec<&str> =
        first.closed.iter().filter(|one| **one != first.gate).map(String::as_str).collect();
    if !others.is_empty() {
        answer.sentences.push(format!("Behind it are closed: {}.", others.join(", ")));
    }
    answer.sentences.extend(around(facts, &first));
    answer.next = next::step(&answer.symbol, &first.gate, first.reason.as_deref(), facts);
    answer.standing = Standing::Closed;
    answer.stage = first.stage;
    answer.reason = first.reason;
    answer.value = first.value;
    answer.limit = first.limit;
    answer.unit = first.unit.map(|unit| unit.as_str().to_owned());
    answer.since = first.since;
    answer.closed = first.closed;
    answer.gate = Some(first.gate);
}

/// What else is known that bears on the gate: causes of the mode, of the safety, the best way in.
fn around(facts: &Facts, first: &First) -> Vec<String> {
    let mut said = Vec::new();
    if first.gate == Blocker::ModeBlocked.as_str()
        && let Some(mode) = &facts.mode
    {
        let reasons = if mode.reasons.is_empty() {
            "no active cause".to_owned()
        } else {
            mode.reasons.join(", ")
        };
        said.push(format!("The mode is {} since {} ({reasons}).", mode.mode, at(mode.since)));
    }
    for cause in &facts.causes {
        let until = cause.expires_at.map_or_else(
            || "until it is cleared".to_owned(),
            |until| format!("until {}", at(until)),
        );
        said.push(format!("Safety: {} demands {} {until}.", cause.cause, cause.mode));
    }
    if let Some(best) = &facts.best {
        let number = |value: Option<Decimal>| {
            value.map_or_else(|| "unknown".to_owned(), |value| value.normalize().to_string())
        };
        said.push(format!(
            "Its best way in the newest evaluation: {} by {} ({}), edge {} bps, surplus {} bps, confidence {}.",
            best.strategy,
            best.route_type.as_deref().unwrap_or("no route"),
            best.horizon.as_deref().unwrap_or("no horizon"),
            number(best.edge_bps),
            number(best.surplus_bps),
            number(best.confidence),
        ));
    }
    said
}

fn without_a_gate(answer: &mut Answer, facts: &Facts, now: DateTime<Utc>) {
    let is_named = facts.membership.as_ref().is_some_and(|m| m.in_pool || m.in_execution);
    if let Some(row) = &facts.gate {
        answer.standing = Standing::Open;
        answer.since = Some(row.since);
        answer.stage.clone_from(&row.stage);
        let secs = now.signed_duration_since(row.since).num_seconds();
        answer.sentences.push(format!(
            "No gate closes {}: since {} ({}) it has passed every step to {}.",
            answer.symbol,
            at(row.since),
            span(secs),
            row.stage.as_deref().unwrap_or("the end"),
        ));
        answer.sentences.push(match &facts.order {
            Some(order) => format!(
                "Its newest order is number {} ({}), {}, created {}.",
                order.order_id,
                order.role,
                order.state,
                at(order.created_at)
            ),
            None => "No order has been made on it: better finalists were sent first.".to_owned(),
        });
        answer.next = match &facts.order {
            Some(order) => format!("`penstock explain {}`", order.order_id),
            None => "nothing; an entry goes out when it leads the ranking".to_owned(),
        };
    } else if is_named || facts.is_listed {
        answer.standing = Standing::NotJudged;
        answer
            .sentences
            .push(format!("{} is known, and no evaluation has judged it yet.", answer.symbol));
        answer.next = "`penstock status`: does execution run, is there a valid epoch?".to_owned();
    } else {
        answer.standing = Standing::Unknown;
        answer.sentences.push(format!(
            "{} is unknown: the venue does not list it, and no universe has ever named it.",
            answer.symbol
        ));
        answer.next = "check the spelling, base and quote as in BTC/USD; `penstock psql decision -- -c 'select symbol from instruments order by 1'` lists what there is".to_owned();
    }
}

/// A number with its unit; a graded one as its word.
fn with_unit(number: Decimal, unit: GateUnit) -> String {
    match unit.word(number) {
        Some(word) => word.to_owned(),
        None => format!("{} {unit}", number.normalize()),
    }
}

fn at(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Seconds as a person says them.
fn span(secs: i64) -> String {
    match secs.max(0) {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests;
