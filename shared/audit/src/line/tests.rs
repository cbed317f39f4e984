//! Lines against hashes that were computed elsewhere, and against every changed byte.

use super::*;
use crate::redact::Redactor;
use penstock_types::Uuid;
use proptest::prelude::*;

const SESSION: SessionId = SessionId(Uuid::from_u128(0x0197_a5c0_0000_7000_8000_0000_0000_0001));
const AT: i64 = 1_771_243_200_251;

fn first() -> (Line, Vec<u8>) {
    let draft = Draft::new(StageName::Boot, AuditEventType::RunStarted, AT)
        .with("prev_session_last_hash", Hash::ZERO.to_string());
    Line::write(Event::new(draft, &Redactor::default()).unwrap(), SESSION, 1, Hash::ZERO)
}

#[test]
fn lines_have_the_bytes_and_hashes_that_another_program_computed() {
    let (line, bytes) = first();
    let text = "c0e5181b36b8263e152ead7b143fca98da71273cbd2e0889a326139028a102cd";
    assert_eq!(line.hash.to_string(), text);
    let expected = concat!(
        r#"{"cycle_id":0,"data":{"prev_session_last_hash":"0000000000000000000000000000000000000000"#,
        r#"000000000000000000000000"},"decision_id":"","epoch_id":0,"event_type":"RUN_STARTED","exc"#,
        r#"hange_time_ms":0,"generation_id":0,"hash":"c0e5181b36b8263e152ead7b143fca98da71273cbd2e0"#,
        r#"889a326139028a102cd","local_received_ms":1771243200251,"mode":"LIVE","order_intent_id":""#,
        r#"","prev_hash":"0000000000000000000000000000000000000000000000000000000000000000","reason"#,
        r#"s":[],"run_id":0,"seq":1,"session_id":"0197a5c0-0000-7000-8000-000000000001","snapshot_i"#,
        r#"d":0,"stage":"BOOT","symbol":"","tick_id":0,"ts_ms":1771243200251,"v":1}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    let mut draft = Draft::new(StageName::RiskVerdict, AuditEventType::OrderSubmit, AT)
        .with("qty", "0.00093")
        .with("side", "buy");
    draft.symbol = Some(Symbol::new("BTC/USD").unwrap());
    draft.order_id = Some(OrderId(42));
    draft.reasons = vec![ReasonCode::Ok];
    (draft.run_id, draft.cycle_id) = (RunId(7), EvaluationId(4711));
    let event = Event::new(draft, &Redactor::default()).unwrap();
    let (second, _) = Line::write(event, SESSION, 2, line.hash);
    let text = "bbdd91f504b430e33a9debb16fecf0ec78886b6e77a98a0139442602158ca5cb";
    assert_eq!(second.hash.to_string(), text);
}

#[test]
fn every_changed_byte_of_a_line_is_an_error() {
    let (_, bytes) = first();
    let body = &bytes[..bytes.len() - 1];
    for at in 0..body.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut changed = body.to_vec();
            changed[at] ^= flip;
            assert!(Line::parse(&changed).is_err(), "byte {at} ^ {flip}");
        }
    }
}

#[test]
fn data_that_is_too_long_leaves_its_hash_and_length() {
    let sized = |len: usize| {
        let draft = Draft::new(StageName::DeepScan, AuditEventType::DeepScan, AT)
            .with("items", "x".repeat(len));
        Line::write(Event::new(draft, &Redactor::default()).unwrap(), SESSION, 9, Hash([7; 32]))
    };
    let (_, bytes) = sized(0);
    let room = LINE_BYTES_MAX - bytes.len();
    let (whole, bytes) = sized(room);
    assert_eq!((bytes.len(), whole.event.fields().data.len()), (LINE_BYTES_MAX, 1));
    assert_eq!(Line::parse(&bytes[..bytes.len() - 1]).unwrap(), whole);
    let (short, bytes) = sized(room + 1);
    let data = format!(r#"{{"items":"{}"}}"#, "x".repeat(room + 1));
    let expected = json!({
        "sha256": canonical::hash_bytes(data.as_bytes()), "truncated_bytes": data.len(),
    });
    assert_eq!(Value::Object(short.event.fields().data.clone()), expected);
    assert_eq!(Line::parse(&bytes[..bytes.len() - 1]).unwrap(), short);
}

#[test]
fn a_line_is_read_in_one_form_only() {
    let (line, bytes) = first();
    let text = String::from_utf8(bytes).unwrap();
    let text = text.trim_end();
    for other in [
        text.replacen("{\"cycle_id\":0,", "{ \"cycle_id\":0,", 1),
        text.replacen("\"cycle_id\":0,", "\"cycle_id\":0,\"cycle_id\":0,", 1),
        text.replacen("\"cycle_id\":0,", "", 1),
        text.replacen("\"cycle_id\":0,", "\"cycle_id\":0,\"extra\":0,", 1),
        text.replacen("\"v\":1", "\"v\":2", 1),
        text.replacen("\"LIVE\"", "\"PAPER\"", 1),
        text.replacen("\"seq\":1", "\"seq\":0", 1),
        text.replacen("0197a5c0-0000-7000", "0197A5C0-0000-7000", 1),
        text.replacen("0197a5c0-0000-7000", "0197a5c0-0000-4000", 1),
        text.replacen("RUN_STARTED", "RUN_STOPPED", 1),
        format!("{text}\r"),
    ] {
        assert_ne!(other, text, "it was changed");
        assert!(Line::parse(other.as_bytes()).is_err(), "{other}");
    }
    assert_eq!(Line::parse(text.as_bytes()).unwrap(), line);
}

/// Any draft whose fields keep their rules.
fn draft() -> impl Strategy<Value = Draft> {
    let number = 0..=canonical::INTEGER_MAX;
    let leaf = prop_oneof![any::<i32>().prop_map(Value::from), "\\PC{0,20}".prop_map(Value::from)];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::vec(("[a-z]{1,4}", inner), 0..3)
            .prop_map(|pairs| pairs.into_iter().collect::<Value>())
    });
    let words = (
        prop::sample::select(StageName::ALL),
        prop::sample::select(AuditEventType::ALL),
        prop::collection::vec(prop::sample::select(ReasonCode::ALL), 0..5),
        prop::option::of("[A-Z]{2,6}/[A-Z]{3}"),
        prop::option::of("dec_[0-9a-f]{64}"),
    );
    let data = prop::collection::btree_map("x_[a-z]{0,6}", value, 0..4);
    let numbers = (number.clone(), number.clone(), number.clone(), prop::option::of(number));
    (words, numbers, 1_i64..4_000_000_000_000, data).prop_map(
        |((stage, event_type, reasons, symbol, decision), (a, b, c, order), ts_ms, data)| Draft {
            exchange_time_ms: a,
            run_id: RunId(b),
            tick_id: TickId(c),
            reasons,
            symbol: symbol.map(|text| Symbol::new(&text).unwrap()),
            decision_id: decision.unwrap_or_default(),
            order_id: order.map(OrderId),
            data: data.into_iter().collect(),
            ..Draft::new(stage, event_type, ts_ms)
        },
    )
}

proptest! {
    #[test]
    fn any_sequence_of_events_goes_round(drafts in prop::collection::vec(draft(), 1..8)) {
        let mut prev = Hash::ZERO;
        for (seq, draft) in (1..).zip(drafts) {
            let event = Event::new(draft.clone(), &Redactor::default()).unwrap();
            let (line, bytes) = Line::write(event, SESSION, seq, prev);
            let read = Line::parse(bytes.strip_suffix(b"\n").unwrap()).unwrap();
            prop_assert_eq!(&read, &line);
            prop_assert_eq!(read.event.fields(), &Event::new(draft, &Redactor::default()).unwrap().fields().clone());
            prop_assert!(read.has_hash_of(&line.event));
            prev = line.hash;
        }
    }

    #[test]
    fn any_bytes_are_a_line_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Line::parse(&bytes).is_err());
    }
}
