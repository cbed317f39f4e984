//! What is read as an alert, and what is dropped.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn entry() -> Value {
    json!({"v": 1, "reason_code": "SPOOL_BACKLOG", "reasons": ["SPOOL_BACKLOG"], "severity": "WARN",
        "symbol": "", "summary": "raw spool 81 %, 7 h left", "count": 3,
        "first_ts_ms": 1_771_243_200_012_i64, "last_ts_ms": 1_771_243_205_012_i64, "run_id": 17,
        "metrics": {"pct": 81}})
}

fn document() -> Value {
    json!({"v": 1, "source": "ingest", "sender": "execution", "severity": "WARN",
        "reason_code": "SPOOL_BACKLOG", "reasons": ["SPOOL_BACKLOG"], "symbol": "",
        "stage": "POSITION_MANAGE", "sys_mode": "NORMAL", "summary": "raw spool 81 %, 7 h left",
        "count": 3, "first_ts_ms": 1_771_243_200_012_i64, "last_ts_ms": 1_771_243_205_012_i64,
        "run_id": 17, "cycle_id": 0, "decision_id": "", "order_intent_id": "", "active": true,
        "metrics": {"pct": 81}})
}

#[test]
fn both_documents_are_written_as_they_were_read() {
    let alert = Alert::read(document().to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(&alert).unwrap(), document());
    let (read, dropped) = read_heartbeat(&json!([entry()]));
    assert_eq!(dropped, []);
    assert_eq!(serde_json::to_value(&read).unwrap(), json!([entry()]));
}

#[test]
fn an_entry_without_a_field_or_with_one_too_many_is_dropped_and_the_others_stay() {
    for field in entry().as_object().unwrap().keys() {
        let mut without = entry();
        without.as_object_mut().unwrap().remove(field);
        let mut other = entry();
        other["symbol"] = "BTC/USD".into();
        let (read, dropped) = read_heartbeat(&json!([without, other]));
        assert_eq!((read.len(), dropped.len()), (1, 1), "{field}");
    }
    let mut more = entry();
    more["more"] = 1.into();
    assert_eq!(read_heartbeat(&json!([more])).1.len(), 1);
}

#[test]
fn what_an_entry_says_is_judged() {
    for (field, value) in [
        ("v", json!(2)),
        ("reason_code", json!("SPOOL_BACKLOGS")),
        ("reason_code", json!("RAW_DATA_LOSS")),
        ("reasons", json!([])),
        ("reasons", json!(["SPOOL_BACKLOG", "SPOOL_BACKLOG"])),
        ("reasons", json!(["SPOOL_BACKLOG", "RAW_DATA_LOSS"])),
        ("severity", json!("INFO")),
        ("severity", json!("LOUD")),
        ("symbol", json!("BTC USD")),
        ("symbol", json!("B".repeat(33))),
        ("summary", json!("a\nb")),
        ("summary", json!("\u{1b}[31mred")),
        ("summary", json!("a\u{202e}b")),
        ("summary", json!("s".repeat(201))),
        ("count", json!(0)),
        ("count", json!(1.5)),
        ("first_ts_ms", json!(-1)),
        ("first_ts_ms", json!(1_771_243_205_013_i64)),
        ("run_id", json!(-1)),
        ("metrics", json!([])),
        ("metrics", json!({"pct": 1.5})),
        ("metrics", json!({"Pct": 1})),
        ("metrics", json!({"pct": "\u{7}"})),
    ] {
        let mut bad = entry();
        bad[field] = value.clone();
        let (read, dropped) = read_heartbeat(&json!([bad]));
        assert_eq!((read.len(), dropped.len()), (0, 1), "{field} = {value}");
    }
}

#[test]
fn a_list_that_is_none_or_too_long_is_said() {
    assert_eq!(read_heartbeat(&json!({})).1.len(), 1);
    let many: Vec<Value> = (0..70)
        .map(|n| {
            let mut one = entry();
            one["symbol"] = format!("S{n}/USD").into();
            one
        })
        .collect();
    let (read, dropped) = read_heartbeat(&Value::Array(many));
    assert_eq!((read.len(), dropped.len()), (HEARTBEAT_ALERTS_MAX, 1));
    assert_eq!(read_heartbeat(&json!([entry(), entry()])).1.len(), 1, "a second of one key");
}

proptest! {
    #[test]
    fn any_text_becomes_a_summary_that_is_read_again(text in ".{0,400}") {
        let summary = Summary::of(&text);
        prop_assert_eq!(Summary::parse(summary.as_str()), Some(summary));
    }

    #[test]
    fn any_object_becomes_metrics_that_are_read_again(
        map in proptest::collection::btree_map("[a-zA-Z_]{0,40}", ".{0,120}", 0..30),
        number in any::<i64>(),
    ) {
        let mut object = json!(map);
        object["number"] = number.into();
        let metrics = Metrics::of(&object);
        let text = serde_json::to_string(&metrics).unwrap();
        prop_assert_eq!(serde_json::from_str::<Metrics>(&text).unwrap(), metrics);
    }

    #[test]
    fn a_count_and_two_times_are_read_or_refused_by_their_rule(
        count in -3_i64..5, first in -3_i64..5, last in -3_i64..5,
    ) {
        let mut one = entry();
        one["count"] = count.into();
        one["first_ts_ms"] = first.into();
        one["last_ts_ms"] = last.into();
        let (read, _) = read_heartbeat(&json!([one]));
        prop_assert_eq!(read.len() == 1, count >= 1 && first >= 0 && first <= last);
    }
}
