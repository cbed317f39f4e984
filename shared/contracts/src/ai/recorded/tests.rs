//! Tests of what is derived from a record.

use super::*;
use crate::fixtures::{decision, snapshot};
use crate::vocab::AiVerdict;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

fn record(came: Came) -> RecordedAnswer {
    RecordedAnswer {
        decision_id: decision().decision_id,
        call: Some(RecordedCall {
            model: "m".to_owned(),
            latency_ms: 12,
            attempts: 1,
            raw_hash: Hex64::of_bytes(b"body"),
            input_hash: Hex64::of_bytes(b"input"),
            snapshot_hash: snapshot().metadata.snapshot_hash,
            came,
        }),
    }
}

fn answered(text: &str) -> RecordedAnswer {
    record(Came::Answered { text: text.to_owned() })
}

fn derived(recorded: &RecordedAnswer) -> Outcome {
    let outcome = outcome_of(recorded, &decision(), Decimal::from(10)).unwrap();
    let mut gated = decision();
    gated.ai_gate = Some(outcome.result.clone());
    assert_eq!(gated.breaches(), []);
    outcome
}

fn modify(exit: &serde_json::Value) -> String {
    let patch = json!({"entry_plan": null, "exit_plan": exit});
    json!({"verdict": "MODIFY", "reasons": ["AIGATE_CONCERN_PROTECTION"], "modified_decision": patch})
        .to_string()
}

fn exit_patch(sl_price: &str) -> serde_json::Value {
    json!({"sl_price": sl_price, "tp_price": null, "trail_bps": null, "time_stop_secs": null})
}

#[rstest]
#[case(
    r#"{"verdict":"ALLOW","reasons":["AIGATE_OK"],"modified_decision":null}"#,
    Situation::Allow,
    None
)]
#[case(
    r#"{"verdict":"BLOCK","reasons":["AIGATE_CONCERN_COST"],"modified_decision":null}"#,
    Situation::Block,
    None
)]
#[case("I allow it.", Situation::Failed, Some(ReasonCode::AigateParseFail))]
#[case("{}", Situation::Failed, Some(ReasonCode::AigateSchemaInvalid))]
#[case(" ", Situation::Failed, Some(ReasonCode::AigateEmptyResponse))]
#[case(
    r#"{"verdict":"ALLOW","reasons":["FINE"],"modified_decision":null}"#,
    Situation::Failed,
    Some(ReasonCode::AigateReasonUnknown)
)]
#[case(
    r#"{"verdict":"MODIFY","reasons":["AIGATE_OK"],"modified_decision":null}"#,
    Situation::ModifyInvalid,
    Some(ReasonCode::AigateModifyInvalid)
)]
fn a_text_is_judged_when_it_is_derived(
    #[case] text: &str,
    #[case] situation: Situation,
    #[case] error_code: Option<ReasonCode>,
) {
    let outcome = derived(&answered(text));
    assert_eq!(outcome.situation, situation);
    assert_eq!(outcome.result.error_code, error_code);
    assert_eq!(outcome.detail.is_empty(), error_code.is_none(), "{}", outcome.detail);
}

#[test]
fn a_change_is_made_again_or_refused_again() {
    let made = derived(&answered(&modify(&exit_patch("63900.0"))));
    assert_eq!(made.situation, Situation::ModifyValid);
    let changed = made.result.modified_decision.unwrap();
    assert_eq!(changed.exit_plan.as_ref().unwrap().sl_price.to_string(), "63900.0");
    assert_ne!(changed.decision_id, decision().decision_id);
    let refused = derived(&answered(&modify(&exit_patch("63000.0"))));
    assert_eq!(refused.situation, Situation::ModifyInvalid);
    assert_eq!(refused.result.modified_decision, None);
    assert!(refused.detail.starts_with("exit_plan.sl_price: 63000.0"), "{}", refused.detail);
}

#[test]
fn what_failed_and_what_was_not_sent_keep_their_words() {
    for failure in GateFailure::ALL {
        let detail = "connection reset".to_owned();
        let outcome = derived(&record(Came::Failed { failure: *failure, detail }));
        assert_eq!(outcome.situation, Situation::Failed);
        assert_eq!(outcome.result.error_code, Some(failure.reason()));
        assert_eq!(outcome.detail, "connection reset");
    }
    let withheld = Came::Withheld { reason: ReasonCode::DataStale, detail: String::new() };
    let outcome = derived(&record(withheld));
    assert_eq!(outcome.situation, Situation::Withheld);
    assert_eq!(outcome.result.verdict, AiVerdict::Error);
    assert_eq!(outcome.result.reasons, [ReasonCode::DataStale]);
    let off = derived(&RecordedAnswer::off(decision().decision_id));
    assert_eq!(off.situation, Situation::NotAsked);
    assert_eq!(off.result, AiGateResult::disabled());
}

#[test]
fn a_record_of_another_decision_or_of_other_inputs_is_refused() {
    let mut of_another = answered("{}");
    of_another.decision_id = DecisionId::of(&Hex64::of_bytes(b"another"));
    assert!(outcome_of(&of_another, &decision(), Decimal::from(10)).is_err());
    let mut other_inputs = answered("{}");
    other_inputs.call.as_mut().unwrap().snapshot_hash = Hex64::of_bytes(b"other");
    assert!(outcome_of(&other_inputs, &decision(), Decimal::from(10)).is_err());
}

#[test]
fn a_record_that_is_not_whole_is_not_read() {
    let text = serde_json::to_string(&answered("x")).unwrap();
    assert!(serde_json::from_str::<RecordedAnswer>(&text).is_ok());
    let spoiled = text.replace("\"kind\":\"answered\"", "\"kind\":\"guessed\"");
    assert!(serde_json::from_str::<RecordedAnswer>(&spoiled).is_err());
    let more = text.replacen('{', "{\"more\":1,", 1);
    assert!(serde_json::from_str::<RecordedAnswer>(&more).is_err());
}

proptest! {
    /// Written and read again, a record derives the same, whatever the text was.
    #[test]
    fn a_stored_record_derives_the_same(text in ".{0,200}", sl in 60_000_u32..70_000) {
        for text in [text, modify(&exit_patch(&format!("{sl}.1")))] {
            let recorded = answered(&text);
            let stored = serde_json::to_string(&recorded).unwrap();
            let again: RecordedAnswer = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(&again, &recorded);
            prop_assert_eq!(derived(&again), derived(&recorded));
        }
    }
}
