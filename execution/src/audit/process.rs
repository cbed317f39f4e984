//! Events of the process: modes, stages, requests of the operator, and what only a marker says.
//!
//! Input: values of the parts that own them. Output: drafts. Invariants: a stage is said when it differs
//! from the one before it in the same loop; a marker that has an event of its own is not said twice; a
//! word that is no reason of the catalog is left out, never invented.

use std::sync::{Mutex, PoisonError};

use penstock_audit::Draft;
use penstock_store_decision::control::ControlRequest;
use penstock_telemetry::{Level, Marker, Observer, Seen, observe};
use penstock_trading::mode::ModeChange;
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName, SysMode};
use penstock_types::{EpochId, EvaluationId, GenerationId, OrderId, RunId, Symbol};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::handle::AuditHandle;

/// Greatest number of a note: what JSON keeps exactly.
const COUNT_MAX: u64 = penstock_types::canonical::INTEGER_MAX.unsigned_abs();
/// Markers that may wait: as many as a burst of a whole universe gives.
const MARKERS_MAX: usize = 1_024;

/// A loop of the process; each has a stage of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    /// Start, reconcile, days, end.
    Service,
    /// Evaluations.
    Evaluation,
    /// The exit supervisor.
    Exits,
}

/// The newest change of the stage of any loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageNow {
    /// Stage.
    pub stage: StageName,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// Decision in work, or empty.
    pub decision_id: String,
}

#[derive(Debug, Default)]
struct Entered {
    loops: [Option<StageName>; 3],
    newest: Option<StageNow>,
}

/// The stage of each loop.
#[derive(Debug, Default)]
pub(crate) struct Stages(Mutex<Entered>);

impl Stages {
    /// Enters a stage: the one before it, when it is another.
    fn enter(&self, of: Loop, now: StageNow) -> Option<Option<StageName>> {
        let mut entered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match of {
            Loop::Service => &mut entered.loops[0],
            Loop::Evaluation => &mut entered.loops[1],
            Loop::Exits => &mut entered.loops[2],
        };
        if *place == Some(now.stage) {
            return None;
        }
        let before = place.replace(now.stage);
        entered.newest = Some(now);
        Some(before)
    }

    fn newest(&self) -> Option<StageNow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).newest.clone()
    }
}

/// What a change of the stage says beside the stage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageNote {
    /// A few words, at most eighty characters are shown.
    pub summary: String,
    /// The pair, if it is about one.
    pub symbol: Option<Symbol>,
    /// The evaluation, 0 outside.
    pub cycle_id: EvaluationId,
    /// The decision, or empty.
    pub decision_id: String,
}

impl AuditHandle {
    /// A loop enters a stage. Said in the trail and on the console when it is another one than before. It never waits.
    pub fn enter(&self, of: Loop, stage: StageName, note: StageNote) {
        if let Some(draft) = self.entered(of, stage, note) {
            self.post(draft);
        }
    }

    /// The same for a loop that may be slowed.
    pub async fn enter_paced(&self, of: Loop, stage: StageName, note: StageNote) {
        if let Some(draft) = self.entered(of, stage, note) {
            self.paced(draft).await;
        }
    }

    /// The newest change of the stage; none before the first.
    #[must_use]
    pub fn stage_now(&self) -> Option<StageNow> {
        self.shared.stages.newest()
    }

    fn entered(&self, of: Loop, stage: StageName, note: StageNote) -> Option<Draft> {
        let since_ms = now_ms();
        let now = StageNow { stage, since_ms, decision_id: note.decision_id.clone() };
        let from = self.shared.stages.enter(of, now)?;
        let draft = Draft::new(stage, AuditEventType::StageChanged, since_ms)
            .with("stage_from", from.map_or("", StageName::as_str))
            .with("summary", note.summary);
        let StageNote { symbol, cycle_id, decision_id, .. } = note;
        Some(Draft { symbol, cycle_id, decision_id, ..draft })
    }
}

/// A change of the mode.
#[must_use]
pub fn mode_changed(change: &ModeChange, ts_ms: i64) -> Draft {
    let stage = match change.to {
        SysMode::Pause => StageName::Pause,
        SysMode::Exit => StageName::Shutdown,
        SysMode::Normal | SysMode::Degrade => StageName::Degrade,
    };
    let reasons = change.reasons.iter().filter_map(|code| ReasonCode::parse(code.as_str()).ok());
    let values: Map<String, Value> =
        change.values.iter().map(|(code, value)| (code.clone(), value.as_str().into())).collect();
    let draft = Draft::new(stage, AuditEventType::SysModeChanged, ts_ms);
    Draft { reasons: reasons.collect(), ..draft }
        .with("mode_from", change.from.map_or("", SysMode::as_str))
        .with("mode_to", change.to.as_str())
        .with("trigger_values", values)
}

/// A request of the operator and its answer, once that stands.
#[must_use]
pub fn operator_command(request: &ControlRequest, outcome: &str) -> Draft {
    let ControlRequest { kind, args, requested_by, .. } = request;
    let text = |key: &str| args.get(key).and_then(Value::as_str).unwrap_or_default();
    let target = [text("mode"), text("symbol")].into_iter().find(|t| !t.is_empty());
    let draft = Draft::new(StageName::PositionManage, AuditEventType::OperatorCommand, now_ms());
    Draft { reasons: vec![ReasonCode::OperatorRequest], ..draft }
        .with("command", kind.as_str())
        .with("target", target.unwrap_or_default())
        .with("operator", requested_by.as_str())
        .with("reason", text("reason"))
        .with("outcome", outcome)
}

/// What a command of the tool did that has an event of its own: only the service writes the trail, so the tool tells it.
/// None when the request is no such note.
#[must_use]
pub fn tool_note(args: &Value) -> Option<Draft> {
    let event_type = match args.get("note")?.as_str()? {
        "RETENTION_APPLIED" => AuditEventType::RetentionApplied,
        "BACKUP_DONE" => AuditEventType::BackupDone,
        _ => return None,
    };
    let text = |key: &str| args.get(key).and_then(Value::as_str);
    let count = |key: &str| args.get(key).and_then(Value::as_u64).filter(|n| *n <= COUNT_MAX);
    let draft = Draft::new(StageName::PositionManage, event_type, now_ms())
        .with("target", text("target")?)
        .with("bytes", count("bytes")?)
        .with("duration_ms", count("duration_ms")?)
        .with("outcome", text("outcome")?);
    Some(draft)
}

/// Says every warning and error that has no event of its own, until the end.
pub(crate) async fn say_markers(audit: AuditHandle, end: CancellationToken) {
    match observe(Level::Warn, MARKERS_MAX) {
        Ok(observer) => Listener { audit, observer, missed: 0 }.run(end).await,
        Err(error) => tracing::error!("markers are not in the audit trail: {error}"),
    }
}

/// Who listens to the markers.
struct Listener {
    audit: AuditHandle,
    observer: Observer,
    missed: u64,
}

impl Listener {
    async fn run(&mut self, end: CancellationToken) {
        loop {
            // The end first, then what is still there.
            let seen = tokio::select! {
                biased;
                () = end.cancelled() => break,
                seen = self.observer.markers.recv() => seen,
            };
            let Some(seen) = seen else { return };
            self.count();
            say(&self.audit, &seen);
        }
        while let Ok(seen) = self.observer.markers.try_recv() {
            say(&self.audit, &seen);
        }
        self.count();
    }

    /// Counts what found no room: a marker that does has others before it, so that each is counted with the next of them.
    fn count(&mut self) {
        let missed = self.observer.dropped();
        let more = missed.saturating_sub(self.missed);
        if more > 0 {
            self.missed = missed;
            self.audit.shared.queue.miss(more);
            tracing::warn!("{more} markers are in the log and not in the trail");
        }
    }
}

fn say(audit: &AuditHandle, seen: &Seen) {
    if !has_event(seen.marker) {
        audit.post(of_marker(seen));
    }
}

/// A marker as an event: what it names by the envelope's words stands there.
fn of_marker(seen: &Seen) -> Draft {
    let fields: Map<String, Value> = serde_json::from_str(&seen.fields).unwrap_or_default();
    let number = |key: &str| {
        let value = fields.get(key).and_then(Value::as_i64).unwrap_or_default();
        if (0..=penstock_types::canonical::INTEGER_MAX).contains(&value) { value } else { 0 }
    };
    let symbol = fields.get("symbol").and_then(Value::as_str);
    let mut draft =
        Draft::new(StageName::PositionManage, AuditEventType::Marker, seen.ts_ms.max(1));
    draft.symbol = symbol.and_then(|text| Symbol::new(text).ok());
    draft.run_id = RunId(number("run_id"));
    draft.epoch_id = EpochId(number("epoch_id"));
    draft.generation_id = GenerationId(number("generation_id"));
    draft.cycle_id = EvaluationId(number("evaluation_id"));
    draft.order_id = Some(OrderId(number("order_id"))).filter(|id| id.0 > 0);
    let fields = Value::Object(exact(fields));
    draft.with("marker", seen.marker.as_str()).with("fields", fields)
}

/// Numbers that are not exact in JSON become texts: an event holds no binary fraction.
fn exact(fields: Map<String, Value>) -> Map<String, Value> {
    fn one(value: Value) -> Value {
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(n)
                    if n.unsigned_abs()
                        <= penstock_types::canonical::INTEGER_MAX.unsigned_abs() =>
                {
                    Value::Number(number)
                }
                Some(_) | None => Value::from(number.to_string()),
            },
            Value::Array(items) => items.into_iter().map(one).collect(),
            Value::Object(map) => Value::Object(exact(map)),
            Value::Null | Value::Bool(_) | Value::String(_) => value,
        }
    }
    fields.into_iter().map(|(key, value)| (key, one(value))).collect()
}

/// Markers beside an event of their own.
const fn has_event(marker: Marker) -> bool {
    matches!(
        marker,
        Marker::EXECUTION_ENGINE_START
            | Marker::SHUTDOWN_COMPLETE
            | Marker::LIVE_EVALUATION_STARTED
            | Marker::LIVE_EVALUATION_COMPLETED
            | Marker::SYS_MODE_EXIT
            | Marker::SYS_MODE_ENTER
            | Marker::EXECUTION_BLOCKED_GENERATION_MISMATCH
            | Marker::ROUTE_FRESHNESS_OK
            | Marker::ROUTE_FRESHNESS_STALE
            | Marker::ROUTE_EXECUTION_BLOCKED_STALE_DATA
            | Marker::ROUTE_SELECTED
            | Marker::STRATEGY_REJECTED
            | Marker::DB_FIRST_ORDER_PERSISTED
            | Marker::ORDER_SUBMIT_UNKNOWN
            | Marker::ORDER_SUSPECT
            | Marker::ORDER_RECONCILE_REQUIRED
            | Marker::ORDER_LIVE_SUBMIT
            | Marker::ORDER_ACK
            | Marker::ORDER_FILL
            | Marker::ORDER_REJECT
            | Marker::ORDER_CANCEL
            | Marker::ORDER_EXPIRED
            | Marker::ORDER_LOST_OR_REJECTED
            | Marker::ORDER_ERROR
            | Marker::EXIT_PLAN_CREATED
            | Marker::EXIT_RUNTIME_PLAN_ARMED
            | Marker::EXPOSURE_PROTECTION_CONFIRMED
            | Marker::POSITION_MONITOR_SL_TRAILED
            | Marker::POSITION_MONITOR_TP_RAISED
            | Marker::EXPOSURE_UNPROTECTED
            | Marker::EXIT_REASON_TRIGGERED
            | Marker::EXIT_ORDER_SUBMITTED
            | Marker::EXIT_COMPLETED
            | Marker::RECONCILE_COMPLETE
            | Marker::RECONCILE_POSITION_STATE
            | Marker::QUIET_MODE_ENTER
            | Marker::SYMBOL_EXIT_ONLY
            | Marker::SYMBOL_HARD_BLOCKED
            | Marker::SYMBOL_SAFETY_CLEARED
            | Marker::CONTROL_REQUEST_APPLIED
    )
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;
    use penstock_audit::{Event, Redactor};

    #[test]
    fn a_stage_is_news_when_it_differs_from_the_one_before_it_in_its_loop() {
        let stages = Stages::default();
        let at = |stage| StageNow { stage, since_ms: 0, decision_id: String::new() };
        assert_eq!(stages.enter(Loop::Evaluation, at(StageName::RankTopn)), Some(None));
        assert_eq!(stages.enter(Loop::Evaluation, at(StageName::RankTopn)), None);
        assert_eq!(stages.enter(Loop::Exits, at(StageName::RankTopn)), Some(None));
        let next = stages.enter(Loop::Evaluation, at(StageName::DeepScan));
        assert_eq!(next, Some(Some(StageName::RankTopn)));
    }

    #[test]
    fn a_command_names_who_gave_it_whatever_its_arguments_say() {
        let request = ControlRequest {
            id: 1,
            kind: "mode".to_owned(),
            args: serde_json::json!({ "mode": "PAUSE", "reason": "lunch", "operator": "mallory" }),
            requested_by: "alice".to_owned(),
            requested_at: penstock_types::UtcMicros(1),
        };
        let draft = operator_command(&request, "mode PAUSE");
        assert_eq!(penstock_audit::payload::missing(draft.event_type, &draft.data), [""; 0]);
        let said = ["command", "target", "operator", "reason", "outcome"];
        let said = said.map(|key| draft.data[key].as_str().unwrap());
        assert_eq!(said, ["mode", "PAUSE", "alice", "lunch", "mode PAUSE"]);
    }

    #[test]
    fn a_note_of_the_tool_is_an_event_and_anything_else_is_none() {
        let note = serde_json::json!({
            "note": "RETENTION_APPLIED", "target": "clusters", "bytes": 7, "duration_ms": 12,
            "outcome": "done"
        });
        let draft = tool_note(&note).unwrap();
        assert_eq!(penstock_audit::payload::missing(draft.event_type, &draft.data), [""; 0]);
        for (key, value) in [
            ("note", serde_json::json!("ORDER_FILL")),
            ("bytes", serde_json::json!(-1)),
            ("bytes", serde_json::json!(9_007_199_254_740_992_u64)),
            ("target", serde_json::json!(null)),
        ] {
            let mut other = note.clone();
            other[key] = value;
            assert_eq!(tool_note(&other), None, "{key}");
        }
    }

    #[tokio::test]
    async fn markers_that_found_no_room_are_counted_while_the_process_runs() {
        use crate::audit::{Console, PressureLimits, handle::Shared};
        // given a listener that was slow: one marker waits, two found no room
        let form = penstock_config::table::execution::ConsoleStage::Off;
        let console = Console::start(form, false, Box::new(std::io::sink()));
        let limits = PressureLimits { capacity: 8, high_pct: 80, full_pct: 95, lag_ms_max: 60_000 };
        let shared = std::sync::Arc::new(Shared::new(limits, false, console));
        let audit = AuditHandle { shared };
        let observer = observe(Level::Error, 1).unwrap();
        for _ in 0..3 {
            penstock_telemetry::marker!(EXECUTION_FENCED_OUT);
        }
        let mut listener = Listener { audit: audit.clone(), observer, missed: 0 };

        // when it goes on, and no end has come
        let end = CancellationToken::new();
        let mut run = std::pin::pin!(listener.run(end.clone()));
        let waker = std::task::Waker::noop();
        let looked = run.as_mut().poll(&mut std::task::Context::from_waker(waker));

        // then they are counted, once
        assert!(looked.is_pending());
        assert_eq!(audit.figures().lost.missed, 2);
        end.cancel();
        run.await;
        assert_eq!(audit.figures().lost.missed, 2);
    }

    #[test]
    fn any_marker_becomes_an_event_whatever_its_fields_are() {
        for fields in [
            r#"{"symbol":"BTC/USD","order_id":7,"run_id":3,"share":0.25,"big":9007199254740993}"#,
            r#"{"symbol":"not a symbol","order_id":-1,"run_id":"x","nested":{"a":[1.5]}}"#,
            "not json",
            "{}",
        ] {
            let seen = Seen {
                marker: Marker::FENCE_BUSY,
                level: Level::Warn,
                fields: fields.to_owned(),
                ts_ms: 1_771_243_200_251,
            };
            let event = Event::new(of_marker(&seen), &Redactor::default()).unwrap();
            assert_eq!(event.fields().data["marker"], "FENCE_BUSY", "{fields}");
        }
    }
}
