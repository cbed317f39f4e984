//! Tests of what is recorded of a call.

use super::*;
use crate::fixtures::decision;
use penstock_types::vocab::ReasonCode::{StratInputInvalid, StratMissingField};
use rstest::rstest;

fn call() -> Call {
    Call {
        model: "m".to_owned(),
        latency_ms: 800,
        raw_hash: Hex64::of_bytes(b""),
        input_hash: Hex64::of_bytes(b"input"),
        snapshot_hash: decision().snapshot_hash,
        attempts: 1,
    }
}

fn short(result: &AiGateResult) -> Vec<(&'static str, ReasonCode)> {
    result.breaches().iter().map(|b| (b.field, b.reason)).collect()
}

#[test]
fn every_way_of_ending_is_a_valid_record() {
    let concern = vec![ReasonCode::AigateConcernCost];
    for result in [
        AiGateResult::disabled(),
        call().allowed(vec![ReasonCode::AigateOk]),
        call().blocked(concern.clone()),
        call().modified(concern.clone(), decision()),
        call().modify_refused(concern),
        call().failed(ReasonCode::AigateTimeout),
    ] {
        assert_eq!(short(&result), [], "{result:?}");
        let text = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<AiGateResult>(&text).unwrap(), result);
        let mut gated = decision();
        gated.ai_gate = Some(result);
        assert_eq!(gated.breaches(), []);
    }
}

#[rstest]
#[case(|r: &mut AiGateResult| r.reasons.clear(), "ai_gate.reasons", StratMissingField)]
#[case(|r: &mut AiGateResult| r.raw_hash = HashOrEmpty(None), "ai_gate.raw_hash", StratMissingField)]
#[case(
    |r: &mut AiGateResult| r.input_hash = HashOrEmpty(None),
    "ai_gate.input_hash",
    StratMissingField
)]
#[case(
    |r: &mut AiGateResult| r.snapshot_hash = HashOrEmpty(None),
    "ai_gate.snapshot_hash",
    StratMissingField
)]
#[case(|r: &mut AiGateResult| r.latency_ms = -1, "ai_gate.latency_ms", StratInputInvalid)]
#[case(|r: &mut AiGateResult| r.attempts = 3, "ai_gate.attempts", StratInputInvalid)]
#[case(
    |r: &mut AiGateResult| r.verdict = AiVerdict::Modify,
    "ai_gate.modified_decision",
    StratInputInvalid
)]
#[case(
    |r: &mut AiGateResult| r.verdict = AiVerdict::Error,
    "ai_gate.error_code",
    StratInputInvalid
)]
#[case(
    |r: &mut AiGateResult| r.modified_decision = Some(Box::new(decision())),
    "ai_gate.modified_decision",
    StratInputInvalid
)]
fn a_record_of_a_gate_that_is_on_is_whole(
    #[case] change: fn(&mut AiGateResult),
    #[case] field: &'static str,
    #[case] reason: ReasonCode,
) {
    let mut result = call().allowed(vec![ReasonCode::AigateOk]);
    change(&mut result);
    assert_eq!(short(&result), [(field, reason)]);
}

#[test]
fn a_record_of_a_gate_that_is_off_says_nothing_else() {
    let found = |change: fn(&mut AiGateResult)| {
        let mut result = AiGateResult::disabled();
        change(&mut result);
        result.breaches().iter().map(|b| b.field).collect::<Vec<_>>()
    };
    assert_eq!(found(|r| r.verdict = AiVerdict::Block), ["ai_gate.verdict"]);
    assert_eq!(found(|r| r.reasons.push(ReasonCode::AigateOk)), ["ai_gate.reasons"]);
    assert_eq!(
        found(|r| r.raw_hash = HashOrEmpty(Some(Hex64::of_bytes(b"")))),
        ["ai_gate.raw_hash"]
    );
}

#[test]
fn a_modified_decision_carries_no_verdict_of_its_own() {
    let mut inner = decision();
    inner.ai_gate = Some(AiGateResult::disabled());
    let result = call().modified(vec![ReasonCode::AigateConcernCost], inner);
    assert_eq!(short(&result), [("ai_gate.modified_decision", StratInputInvalid)]);
    let mut spoiled = decision();
    spoiled.exit_plan = None;
    let spoiled = spoiled.with_id().unwrap();
    let result = call().modified(vec![ReasonCode::AigateConcernCost], spoiled);
    assert_eq!(short(&result), [("exit_plan", StratMissingField)]);
}

#[test]
fn a_gate_that_was_asked_about_other_inputs_spoils_the_decision() {
    let mut other = call();
    other.snapshot_hash = Hex64::of_bytes(b"other");
    let mut gated = decision();
    gated.ai_gate = Some(other.allowed(vec![ReasonCode::AigateOk]));
    assert_eq!(gated.validate().unwrap_err().field, "ai_gate.snapshot_hash");
}
