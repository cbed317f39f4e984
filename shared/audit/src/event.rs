//! An event: what a producer says, judged and redacted, before it has a place in the trail.
//!
//! Input: a draft with its times and ids, and a redactor. Output: an event, or an error that names the field.
//! Invariants: a stage, an event's type and a reason are three types and cannot be taken for each other; every number
//! is exact in JSON; no key of the data repeats one of the envelope; what became an event went through redaction. It
//! gives no sequence number and no hash: the trail does.
//!
//! ```
//! use penstock_audit::Draft;
//! use penstock_types::vocab::{AuditEventType, StageName};
//! let draft = Draft::new(StageName::RankTopn, AuditEventType::RankTopn, 1);
//! ```
//!
//! ```compile_fail
//! use penstock_audit::Draft;
//! use penstock_types::vocab::{AuditEventType, StageName};
//! // An event's type is no stage, even where both have the same text.
//! let draft = Draft::new(AuditEventType::RankTopn, AuditEventType::RankTopn, 1);
//! ```

use crate::day::Day;
use crate::redact::Redactor;
use penstock_types::canonical::{self, CanonicalError, INTEGER_MAX};
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};
use penstock_types::{EpochId, EvaluationId, GenerationId, OrderId, RunId, SnapshotId, Symbol};
use penstock_types::{TickId, vocab::UnknownWord};
use serde_json::{Map, Value};

/// Version of the envelope.
pub const VERSION: i64 = 1;

/// The only mode whose events are written.
pub const MODE: &str = "LIVE";

/// Most reasons of one event: more than any rule gives, and little enough that a line without its data is short.
pub const REASONS_MAX: usize = 256;

/// Deepest nesting of an event's data; a reader of JSON must be able to follow.
pub const DEPTH_MAX: usize = 32;

/// Keys of a line beside its data. No key of the data may be one of them.
pub const ENVELOPE: [&str; 21] = [
    "v",
    "seq",
    "ts_ms",
    "local_received_ms",
    "exchange_time_ms",
    "session_id",
    "run_id",
    "cycle_id",
    "mode",
    "stage",
    "event_type",
    "reasons",
    "snapshot_id",
    "generation_id",
    "epoch_id",
    "tick_id",
    "decision_id",
    "order_intent_id",
    "symbol",
    "prev_hash",
    "hash",
];

/// Why a draft is no event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// A time that must be there is not after 1970, or is beyond the year 9999.
    #[error("{field} is {value} ms, not a time after 1970; next: hand in the time of the event")]
    Time {
        /// Its field.
        field: &'static str,
        /// The refused value in milliseconds.
        value: i64,
    },
    /// A number is negative or beyond 2^53 − 1.
    #[error("{field} is {value}, outside 0..=9007199254740991; next: hand in 0 when there is none")]
    Number {
        /// Its field.
        field: &'static str,
        /// The refused value.
        value: i64,
    },
    /// A text has another form.
    #[error("{field} is {value:?}, not {form}")]
    Text {
        /// Its field.
        field: &'static str,
        /// The refused value, cut to 64 characters.
        value: String,
        /// The form it must have.
        form: &'static str,
    },
    /// More reasons than [`REASONS_MAX`].
    #[error("{count} reasons, at most 256")]
    Reasons {
        /// How many.
        count: usize,
    },
    /// A key of the data is one of the envelope's.
    #[error("the data of {event} has the key {key:?} of the envelope; next: hand it in as a field")]
    RepeatedKey {
        /// The event.
        event: AuditEventType,
        /// The key.
        key: String,
    },
    /// Data that is nested too deeply.
    #[error("the data of {0} is nested deeper than 32 levels")]
    Depth(AuditEventType),
    /// Data without a canonical form.
    #[error("the data of {event} cannot be written: {source}")]
    Data {
        /// The event.
        event: AuditEventType,
        /// What has no canonical form.
        source: CanonicalError,
    },
    /// A word that is in no vocabulary.
    #[error(transparent)]
    Word(#[from] UnknownWord),
}

/// What a producer says: the fields of the envelope that it knows. Ids are 0 and texts empty when there are none.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// When it happened, in milliseconds since the epoch.
    pub ts_ms: i64,
    /// When this process learned of it, in milliseconds since the epoch.
    pub local_received_ms: i64,
    /// The venue's own time of it in milliseconds, 0 when there is none.
    pub exchange_time_ms: i64,
    /// The run of the bound data.
    pub run_id: RunId,
    /// The evaluation in which it happened.
    pub cycle_id: EvaluationId,
    /// Where in the loop.
    pub stage: StageName,
    /// What happened.
    pub event_type: AuditEventType,
    /// Why; may be empty.
    pub reasons: Vec<ReasonCode>,
    /// The universe snapshot of the bound epoch.
    pub snapshot_id: SnapshotId,
    /// The bound generation.
    pub generation_id: GenerationId,
    /// The bound epoch.
    pub epoch_id: EpochId,
    /// The tick.
    pub tick_id: TickId,
    /// `dec_` and 64 hex digits, or empty.
    pub decision_id: String,
    /// The order row of the intent.
    pub order_id: Option<OrderId>,
    /// The pair.
    pub symbol: Option<Symbol>,
    /// The payload of the event.
    pub data: Map<String, Value>,
}

impl Draft {
    /// A draft that happened and was learned of at `ts_ms`, without ids, reasons and data.
    #[must_use]
    pub fn new(stage: StageName, event_type: AuditEventType, ts_ms: i64) -> Self {
        Self {
            ts_ms,
            local_received_ms: ts_ms,
            exchange_time_ms: 0,
            run_id: RunId(0),
            cycle_id: EvaluationId(0),
            stage,
            event_type,
            reasons: Vec::new(),
            snapshot_id: SnapshotId(0),
            generation_id: GenerationId(0),
            epoch_id: EpochId(0),
            tick_id: TickId(0),
            decision_id: String::new(),
            order_id: None,
            symbol: None,
            data: Map::new(),
        }
    }

    /// With one more entry of the data.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }
}

/// A judged event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    draft: Draft,
    day: Day,
}

impl Event {
    /// Judges and redacts a draft. Data that redaction refuses is replaced by its hashes, verdict, reasons and error
    /// code, so that the event itself is never lost.
    ///
    /// # Errors
    /// [`EventError`] when a field breaks its rule.
    pub fn new(mut draft: Draft, redactor: &Redactor) -> Result<Self, EventError> {
        // The depth is judged first: everything after it follows the nesting.
        check_depth(&draft)?;
        draft.data = redactor.data(&draft.data);
        draft.symbol = draft.symbol.filter(|symbol| !redactor.is_tainted(symbol.as_str()));
        Self::stored(draft)
    }

    /// An event as it was written before, from a line or a row: judged, and already redacted.
    ///
    /// # Errors
    /// [`EventError`] when a field breaks its rule.
    pub fn stored(draft: Draft) -> Result<Self, EventError> {
        check_depth(&draft)?;
        let time = |field, value| EventError::Time { field, value };
        let day = Day::of_millis(draft.ts_ms).filter(|_| draft.ts_ms > 0);
        let day = day.ok_or(time("ts_ms", draft.ts_ms))?;
        let received = draft.local_received_ms;
        if received <= 0 || Day::of_millis(received).is_none() {
            return Err(time("local_received_ms", received));
        }
        for (field, value) in numbers(&draft) {
            if !(0..=INTEGER_MAX).contains(&value) {
                return Err(EventError::Number { field, value });
            }
        }
        if !is_decision_id(&draft.decision_id) {
            let value = draft.decision_id.chars().take(64).collect();
            let form = "empty or dec_ and 64 lower-case hex digits";
            return Err(EventError::Text { field: "decision_id", value, form });
        }
        if draft.reasons.len() > REASONS_MAX {
            return Err(EventError::Reasons { count: draft.reasons.len() });
        }
        let event = draft.event_type;
        if let Some(key) = draft.data.keys().find(|key| ENVELOPE.contains(&key.as_str())) {
            return Err(EventError::RepeatedKey { event, key: key.clone() });
        }
        canonical::to_bytes(&draft.data).map_err(|source| EventError::Data { event, source })?;
        Ok(Self { draft, day })
    }

    /// Its fields.
    #[must_use]
    pub const fn fields(&self) -> &Draft {
        &self.draft
    }

    /// What happened.
    #[must_use]
    pub const fn event_type(&self) -> AuditEventType {
        self.draft.event_type
    }

    /// The UTC day of its time.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.day
    }

    /// The same event with other data that has a canonical form.
    pub(crate) fn with_data(mut self, data: Map<String, Value>) -> Self {
        self.draft.data = data;
        self
    }

    /// The envelope's part that an event has by itself, as an object.
    pub(crate) fn object(&self) -> Map<String, Value> {
        let draft = &self.draft;
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| {
            object.insert(key.to_owned(), value);
        };
        put("v", VERSION.into());
        put("mode", MODE.into());
        put("ts_ms", draft.ts_ms.into());
        put("local_received_ms", draft.local_received_ms.into());
        for (field, value) in numbers(draft) {
            if field != "order_id" {
                put(field, value.into());
            }
        }
        put("stage", draft.stage.as_str().into());
        put("event_type", draft.event_type.as_str().into());
        put("reasons", draft.reasons.iter().map(|reason| reason.as_str()).collect());
        put("decision_id", draft.decision_id.as_str().into());
        put(
            "order_intent_id",
            draft.order_id.map_or(String::new(), |id| format!("oi_{id}")).into(),
        );
        put("symbol", draft.symbol.as_ref().map_or("", Symbol::as_str).into());
        put("data", Value::Object(draft.data.clone()));
        object
    }
}

/// The numbers of a draft beside its two times, with their fields.
fn numbers(draft: &Draft) -> [(&'static str, i64); 8] {
    [
        ("exchange_time_ms", draft.exchange_time_ms),
        ("run_id", draft.run_id.get()),
        ("cycle_id", draft.cycle_id.get()),
        ("snapshot_id", draft.snapshot_id.get()),
        ("generation_id", draft.generation_id.get()),
        ("epoch_id", draft.epoch_id.get()),
        ("tick_id", draft.tick_id.0),
        ("order_id", draft.order_id.map_or(0, OrderId::get)),
    ]
}

fn is_decision_id(text: &str) -> bool {
    text.is_empty() || text.strip_prefix("dec_").is_some_and(is_hex64)
}

/// 64 lower-case hex digits.
pub(crate) fn is_hex64(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn check_depth(draft: &Draft) -> Result<(), EventError> {
    // A worklist and no recursion: the depth is what is in doubt.
    let mut open: Vec<(&Value, usize)> = draft.data.values().map(|value| (value, 1)).collect();
    while let Some((value, depth)) = open.pop() {
        if depth > DEPTH_MAX {
            return Err(EventError::Depth(draft.event_type));
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => open.extend(map.values().map(|item| (item, depth + 1))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn draft() -> Draft {
        Draft::new(StageName::RankTopn, AuditEventType::RankTopn, 1_771_243_200_251)
    }

    fn refused(draft: Draft) -> String {
        Event::new(draft, &Redactor::default()).unwrap_err().to_string()
    }

    #[test]
    fn fields_that_break_their_rule_are_named() {
        assert!(refused(Draft { ts_ms: 0, ..draft() }).starts_with("ts_ms is 0"));
        assert!(refused(Draft { local_received_ms: -5, ..draft() }).contains("local_received_ms"));
        assert!(refused(Draft { run_id: RunId(-1), ..draft() }).starts_with("run_id is -1"));
        let far = EpochId(INTEGER_MAX + 1);
        assert!(refused(Draft { epoch_id: far, ..draft() }).starts_with("epoch_id"));
        let other = "dec_ABC".to_owned();
        assert!(refused(Draft { decision_id: other, ..draft() }).starts_with("decision_id"));
        for key in ENVELOPE {
            assert!(refused(draft().with(key, 1)).contains(key), "{key}");
        }
        assert!(refused(draft().with("edge", 1.5)).contains("1.5"));
        let many = vec![ReasonCode::AlertRaised; REASONS_MAX + 1];
        assert!(refused(Draft { reasons: many, ..draft() }).contains("257 reasons"));
    }

    #[test]
    fn data_is_nested_only_as_deep_as_it_can_be_read() {
        let nested = |levels: usize| (1..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(Event::new(draft().with("x", nested(DEPTH_MAX)), &Redactor::default()).is_ok());
        assert!(refused(draft().with("x", nested(DEPTH_MAX + 1))).contains("32 levels"));
    }

    #[test]
    fn nested_keys_may_bear_the_envelopes_names() {
        let items = json!([{"symbol": "BTC/USD", "rank_index": 0}]);
        let event = Event::new(draft().with("items", items.clone()), &Redactor::default()).unwrap();
        assert_eq!(event.fields().data["items"], items);
        assert_eq!(event.day().to_string(), "2026-02-16");
    }
}
