//! Tests of the reading of answers: every kind of fault, every field, any bytes.

use super::*;
use proptest::prelude::*;
use rstest::rstest;

const ENTRY: &str = r#"{"kind":null,"limit_price":"64250.0","qty":"0.00100000","ttl_ms":5000,"max_repegs":null,"fallback":{"enabled":false,"kind":null,"max_slippage_bps":null}}"#;
const EXIT: &str = r#"{"sl_price":null,"tp_price":null,"trail_bps":"40","time_stop_secs":600}"#;

fn modify() -> String {
    format!(
        r#"{{"verdict":"MODIFY","reasons":["AIGATE_CONCERN_COST"],"modified_decision":{{"entry_plan":{ENTRY},"exit_plan":{EXIT}}}}}"#
    )
}

fn plain(verdict: &str, reasons: &str) -> String {
    format!(r#"{{"verdict":"{verdict}","reasons":{reasons},"modified_decision":null}}"#)
}

fn fault(text: &str) -> ReasonCode {
    read_answer(text.as_bytes()).unwrap_err().reason()
}

#[test]
fn answers_of_the_schema_are_read() {
    let allow = read_answer(plain("ALLOW", r#"["AIGATE_OK"]"#).as_bytes()).unwrap();
    assert_eq!((allow.verdict, allow.patch), (AnswerVerdict::Allow, None));
    let block =
        read_answer(plain("BLOCK", r#"["AIGATE_CONCERN_COST","AIGATE_CONCERN_COST"]"#).as_bytes());
    assert_eq!(block.unwrap().reasons, [ReasonCode::AigateConcernCost]);
    let modified = read_answer(modify().as_bytes()).unwrap();
    let patch = modified.patch.unwrap();
    assert!(!patch.is_empty());
    assert_eq!(patch.exit_plan.unwrap().time_stop_secs, Some(600));
    let nulls = r#"{"verdict":"MODIFY","reasons":["AIGATE_OK"],"modified_decision":{"entry_plan":null,"exit_plan":{"sl_price":null,"tp_price":null,"trail_bps":null,"time_stop_secs":null}}}"#;
    assert!(read_answer(nulls.as_bytes()).unwrap().patch.unwrap().is_empty());
}

#[rstest]
#[case("ALLOW")]
#[case("{")]
#[case("{} {}")]
#[case("```json\n{}\n```")]
#[case(r#"{"verdict":"ALLOW",}"#)]
#[case(r#"{"verdict":"ALLOW","reasons":["AIGATE_OK"],"modified_decision":null} and so on"#)]
#[case("\u{feff}{}")]
#[case("{\"a\":NaN}")]
fn what_is_no_json_is_a_fault_of_parsing(#[case] text: &str) {
    assert_eq!(fault(text), ReasonCode::AigateParseFail);
}

#[rstest]
#[case("null")]
#[case("[]")]
#[case("\"ALLOW\"")]
#[case("{}")]
#[case(r#"{"verdict":"ALLOW","reasons":["AIGATE_OK"]}"#)]
#[case(r#"{"verdict":"ALLOW","modified_decision":null}"#)]
#[case(r#"{"reasons":["AIGATE_OK"],"modified_decision":null}"#)]
#[case(r#"{"verdict":"ERROR","reasons":["AIGATE_OK"],"modified_decision":null}"#)]
#[case(r#"{"verdict":"allow","reasons":["AIGATE_OK"],"modified_decision":null}"#)]
#[case(r#"{"verdict":"ALLOW","reasons":[],"modified_decision":null}"#)]
#[case(r#"{"verdict":"ALLOW","reasons":null,"modified_decision":null}"#)]
#[case(r#"{"verdict":"ALLOW","reasons":"AIGATE_OK","modified_decision":null}"#)]
#[case(r#"{"verdict":"ALLOW","reasons":[1],"modified_decision":null}"#)]
#[case(r#"{"verdict":"ALLOW","reasons":["AIGATE_OK"],"modified_decision":null,"note":"x"}"#)]
#[case(r#"{"verdict":"ALLOW","verdict":"ALLOW","reasons":["AIGATE_OK"],"modified_decision":null}"#)]
#[case(r#"{"verdict":"ALLOW","reasons":["AIGATE_OK"],"modified_decision":{"entry_plan":null,"exit_plan":null}}"#)]
#[case(r#"{"verdict":"BLOCK","reasons":["AIGATE_OK"],"modified_decision":{"entry_plan":null,"exit_plan":null}}"#)]
#[case(r#"{"verdict":"MODIFY","reasons":["AIGATE_OK"],"modified_decision":{"entry_plan":null}}"#)]
#[case(r#"{"verdict":"MODIFY","reasons":["AIGATE_OK"],"modified_decision":{"entry_plan":null,"exit_plan":null,"symbol":"ETH/USD"}}"#)]
fn json_of_another_shape_is_a_fault_of_the_schema(#[case] text: &str) {
    assert_eq!(fault(text), ReasonCode::AigateSchemaInvalid);
}

#[rstest]
#[case(r#""ttl_ms":5000"#, r#""ttl_ms":5000.0"#)]
#[case(r#""ttl_ms":5000"#, r#""ttl_ms":"5000""#)]
#[case(r#""ttl_ms":5000"#, r#""ttl_ms":99999999999"#)]
#[case(r#""qty":"0.00100000""#, r#""qty":0.001"#)]
#[case(r#""qty":"0.00100000""#, r#""qty":"1e-3""#)]
#[case(r#""qty":"0.00100000""#, r#""qty":"""#)]
#[case(r#""kind":null,"limit"#, r#""kind":"maker","limit"#)]
#[case(r#""sl_price":null,"#, "")]
#[case(r#""max_repegs":null,"#, "")]
#[case(r#""enabled":false,"#, "")]
#[case(r#""trail_bps":"40""#, r#""trail_bps":"40","sl_bps":"1""#)]
#[case(r#""qty""#, r#""time_in_force":"GTC","qty""#)]
fn a_change_that_the_schema_does_not_know_is_a_fault_of_it(#[case] from: &str, #[case] to: &str) {
    let text = modify();
    assert!(text.contains(from), "{from}");
    assert_eq!(fault(&text.replacen(from, to, 1)), ReasonCode::AigateSchemaInvalid);
}

#[test]
fn one_to_eight_reasons_are_taken() {
    let with =
        |count: usize| plain("BLOCK", &format!("[{}]", vec!["\"AIGATE_OK\""; count].join(",")));
    assert!(read_answer(with(1).as_bytes()).is_ok());
    assert!(read_answer(with(8).as_bytes()).is_ok());
    assert_eq!(fault(&with(9)), ReasonCode::AigateSchemaInvalid);
}

#[rstest]
#[case("LOOKS_BAD")]
#[case("aigate_ok")]
#[case("")]
#[case("ENTER_PAUSE")]
#[case("DB_UNAVAILABLE")]
fn a_reason_that_may_not_be_given_is_a_fault_of_its_own(#[case] word: &str) {
    let text = plain("BLOCK", &format!("[\"AIGATE_OK\",\"{word}\"]"));
    assert_eq!(fault(&text), ReasonCode::AigateReasonUnknown);
    // The shape is judged before the reasons.
    let both = text.replace("\"modified_decision\":null", "\"modified_decision\":1");
    assert_eq!(fault(&both), ReasonCode::AigateSchemaInvalid);
}

#[test]
fn length_is_judged_before_contents() {
    let mut text = plain("ALLOW", r#"["AIGATE_OK"]"#);
    text.push_str(&" ".repeat(BODY_BYTES_MAX - text.len()));
    assert!(read_answer(text.as_bytes()).is_ok());
    text.push(' ');
    let fault = read_answer(text.as_bytes()).unwrap_err();
    assert_eq!(fault, AnswerFault::TooLong { bytes: BODY_BYTES_MAX + 1 });
    assert_eq!(fault.reason(), ReasonCode::AigateParseFail);
    assert!(matches!(content_of(text.as_bytes()), Err(AnswerFault::TooLong { .. })));
}

#[test]
fn nothing_to_read_is_a_fault_of_its_own() {
    for nothing in ["", " \n"] {
        assert_eq!(fault(nothing), ReasonCode::AigateEmptyResponse);
        assert_eq!(content_of(nothing.as_bytes()), Err(AnswerFault::Empty));
    }
    for body in [
        "{}",
        "[]",
        r#"{"choices":[]}"#,
        r#"{"choices":[{"message":{"content":null}}]}"#,
        r#"{"choices":[{"message":{"content":"  "}}]}"#,
        r#"{"choices":[{"message":{"refusal":"no"}}]}"#,
    ] {
        assert_eq!(content_of(body.as_bytes()), Err(AnswerFault::Empty), "{body}");
    }
    let parse = content_of(b"<html>").unwrap_err();
    assert_eq!(parse.reason(), ReasonCode::AigateParseFail);
    let body =
        r#"{"id":"x","choices":[{"message":{"content":" {} "}},{"message":{"content":"b"}}]}"#;
    assert_eq!(content_of(body.as_bytes()).unwrap(), "{}");
}

#[test]
fn deep_nesting_is_a_fault_and_not_a_crash() {
    let deep = "[".repeat(60_000);
    assert_eq!(fault(&deep), ReasonCode::AigateParseFail);
    let closed = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(fault(&closed), ReasonCode::AigateSchemaInvalid);
    assert!(content_of(closed.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let read = read_answer(&bytes);
        prop_assert!(read.is_err(), "200 arbitrary bytes are no answer: {:?}", read);
    }

    #[test]
    fn an_answer_with_one_byte_changed_is_an_answer_or_a_fault(at in 0_usize..400, byte in any::<u8>()) {
        let mut bytes = modify().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        match read_answer(&bytes) {
            Ok(answer) => {
                prop_assert!((1..=REASONS_MAX).contains(&answer.reasons.len()));
                prop_assert_eq!(answer.verdict, AnswerVerdict::Modify);
            }
            Err(fault) => prop_assert!(fault.to_string().len() < 400),
        }
    }

    #[test]
    fn an_answer_that_is_cut_is_a_fault(cut in 0_usize..400) {
        let text = modify();
        prop_assert!(read_answer(&text.as_bytes()[..cut % text.len()]).is_err());
    }
}
