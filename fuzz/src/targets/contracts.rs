//! The contracts: amounts as text, answers of a model, and how far one may go.

use penstock_contracts::ai::answer::{BODY_BYTES_MAX, REASONS_MAX, content_of, read_answer};
use penstock_contracts::ai::enforce::apply;
use penstock_contracts::ai::record::kept_detail;
use penstock_contracts::ai::recorded::{Came, RecordedAnswer, RecordedCall, outcome_of};
use penstock_contracts::alert::{Alert, HEARTBEAT_ALERTS_MAX, HeartbeatAlert, read_heartbeat};
use penstock_contracts::units::Hex64;
use penstock_contracts::{DecStr, Snapshot, fixtures};
use penstock_types::vocab::ReasonCode;
use rust_decimal::Decimal;

/// An amount: read and written with the same digits, a minus before zero excepted; as JSON it is the same.
pub(super) fn dec_str(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(amount) = DecStr::parse(text) else { return };
    let written = amount.to_string();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    assert!(written == text || (amount.value().is_zero() && written == unsigned));
    assert_eq!(DecStr::parse(&written), Ok(amount));
    let json = serde_json::to_string(&amount).expect("an amount is JSON");
    assert_eq!(serde_json::from_str::<DecStr>(&json).expect("it is read again"), amount);
}

/// An answer of a model, as a body or as its text: an answer within its bounds or a fault with a reason, and a change
/// that is made never raises what is bought, paid or lost.
pub(super) fn ai_result(bytes: &[u8]) {
    let came = match content_of(bytes) {
        Ok(text) => {
            assert!(!text.is_empty() && text.len() <= BODY_BYTES_MAX);
            Came::Answered { text }
        }
        Err(fault) => Came::Failed { failure: fault.failure(), detail: fault.to_string() },
    };
    derived(came);
    if let Ok(text) = std::str::from_utf8(bytes) {
        derived(Came::Answered { text: text.to_owned() });
    }
    let answer = match read_answer(bytes) {
        Ok(answer) => answer,
        Err(fault) => {
            assert!(fault.to_string().chars().count() < 400);
            assert_ne!(fault.reason(), ReasonCode::Ok);
            return;
        }
    };
    assert!((1..=REASONS_MAX).contains(&answer.reasons.len()));
    let Some(patch) = answer.patch else { return };
    let before = fixtures::decision();
    let Ok(after) = apply(&before, &patch, &answer.reasons, Decimal::from(10)) else { return };
    assert_eq!(after.breaches(), []);
    let (was, is) = (before.entry_plan.expect("a plan"), after.entry_plan.expect("a plan"));
    assert!(is.qty.value() <= was.qty.value());
    assert!(is.limit_price.value() <= was.limit_price.value());
    let (was, is) = (before.exit_plan.expect("a plan"), after.exit_plan.expect("a plan"));
    assert!(is.sl_price.value() >= was.sl_price.value());
    assert!(is.time_stop_secs <= was.time_stop_secs);
}

/// What is derived of a record is valid, and the same of the record read again.
fn derived(came: Came) {
    let decision = fixtures::decision();
    let recorded = RecordedAnswer {
        decision_id: decision.decision_id.clone(),
        call: Some(RecordedCall {
            model: "m".to_owned(),
            latency_ms: 1,
            attempts: 1,
            raw_hash: Hex64::of_bytes(b"raw"),
            input_hash: Hex64::of_bytes(b"input"),
            snapshot_hash: decision.snapshot_hash.clone(),
            came,
        }),
    };
    let outcome =
        outcome_of(&recorded, &decision, Decimal::from(10)).expect("it is of this decision");
    assert_eq!(outcome.result.breaches(), []);
    assert!(kept_detail(&outcome.detail).chars().all(|c| !c.is_control()));
    let stored = serde_json::to_vec(&recorded).expect("a record is JSON");
    let again: RecordedAnswer = serde_json::from_slice(&stored).expect("it is read again");
    assert_eq!(outcome_of(&again, &decision, Decimal::from(10)), Ok(outcome));
}

/// A stored snapshot: a snapshot that is written as it was read, or a breach.
pub(super) fn decision_snapshot(bytes: &[u8]) {
    let Ok(read) = Snapshot::read(bytes) else { return };
    let again = serde_json::to_vec(&read).expect("a snapshot is JSON");
    if let Ok(second) = Snapshot::read(&again) {
        assert_eq!(second, read);
    }
    // Judged without a panic, whatever its numbers are.
    let breaches = read.breaches(&fixtures::context());
    assert_eq!(breaches.is_empty(), read.validate(&fixtures::context()).is_ok());
}

/// Alerts of the other service's heartbeat, or one alert: each is written as it was read and fits on a line, or it is
/// dropped; what is dropped is counted and drops no other.
pub(super) fn alert_heartbeat(bytes: &[u8]) {
    if let Ok(alert) = Alert::read(bytes) {
        let again = serde_json::to_vec(&alert).expect("an alert is JSON");
        assert_eq!(Alert::read(&again), Ok(alert));
    }
    let Ok(column) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let (read, dropped) = read_heartbeat(&column);
    assert!(read.len() <= HEARTBEAT_ALERTS_MAX);
    if let Some(entries) = column.as_array() {
        assert!(read.len() + dropped.len() >= entries.len().min(HEARTBEAT_ALERTS_MAX));
    }
    for alert in &read {
        assert!(!alert.summary.as_str().chars().any(char::is_control));
        let again = serde_json::to_value(alert).expect("an alert is JSON");
        assert_eq!(HeartbeatAlert::read(&again).as_ref(), Ok(alert));
    }
}
