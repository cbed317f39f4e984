//! Tests of the decision: its rules, its id, its verdicts.

use super::*;
use crate::fixtures::{amount, decision, risk_verdict};
use crate::vocab::RiskVerdictType;
use penstock_types::vocab::ReasonCode::{StratInputInvalid, StratMissingField};
use rstest::rstest;
use serde_json::Value;

type Change = fn(&mut Decision);

fn changed(change: Change) -> Decision {
    let mut other = decision();
    change(&mut other);
    other
}

fn breaches(change: Change) -> Vec<(&'static str, ReasonCode)> {
    let spoiled = changed(change).with_id().unwrap();
    spoiled.breaches().iter().map(|b| (b.field, b.reason)).collect()
}

#[test]
fn the_fixture_is_valid() {
    assert_eq!(decision().breaches(), []);
    assert_eq!(decision().validate(), Ok(()));
}

#[rstest]
#[case(|d: &mut Decision| d.ts_ms = TsMs(1))]
#[case(|d: &mut Decision| d.cycle_id = EvaluationId(0))]
#[case(|d: &mut Decision| d.edge_score_x10000 = X10000(0))]
#[case(|d: &mut Decision| d.edge_score_x10000 = X10000(10_000))]
#[case(|d: &mut Decision| d.edge_bps_expected = Bps(-3))]
#[case(|d: &mut Decision| { d.stage = StageName::ExecuteIntent; d.risk_verdict = Some(risk_verdict()); })]
#[case(|d: &mut Decision| { d.intent = Intent::Manage; d.entry_plan = None; d.exit_plan = None; d.reasons.clear(); })]
#[case(|d: &mut Decision| {
    d.intent = Intent::Exit;
    d.side = Side::Sell;
    d.entry_plan = None;
    d.exit_plan = None;
    d.route = Route::NoTrade;
})]
fn a_decision_at_its_limit_is_valid(#[case] change: Change) {
    assert_eq!(breaches(change), []);
}

#[rstest]
#[case(|d: &mut Decision| d.ts_ms = TsMs(0), "ts_ms", StratInputInvalid)]
#[case(|d: &mut Decision| d.cycle_id = EvaluationId(-1), "cycle_id", StratInputInvalid)]
#[case(|d: &mut Decision| d.edge_score_x10000 = X10000(-1), "edge_score_x10000", StratInputInvalid)]
#[case(|d: &mut Decision| d.edge_score_x10000 = X10000(10_001), "edge_score_x10000", StratInputInvalid)]
#[case(|d: &mut Decision| d.symbol = Symbol::new("BTC").unwrap(), "symbol", StratInputInvalid)]
#[case(|d: &mut Decision| d.side = Side::Sell, "side", StratInputInvalid)]
#[case(|d: &mut Decision| d.intent = Intent::Exit, "side", StratInputInvalid)]
#[case(|d: &mut Decision| d.reasons.clear(), "reasons", StratMissingField)]
#[case(|d: &mut Decision| d.reasons.push(ReasonCode::StratOk), "reasons", StratInputInvalid)]
#[case(|d: &mut Decision| d.entry_plan = None, "entry_plan", StratMissingField)]
#[case(|d: &mut Decision| d.exit_plan = None, "exit_plan", StratMissingField)]
#[case(|d: &mut Decision| d.route = Route::NoTrade, "route", StratInputInvalid)]
#[case(|d: &mut Decision| d.stage = StageName::ExecuteIntent, "risk_verdict", StratMissingField)]
fn a_decision_one_step_beyond_is_refused_by_name(
    #[case] change: Change,
    #[case] field: &'static str,
    #[case] reason: ReasonCode,
) {
    assert_eq!(breaches(change), [(field, reason)]);
}

#[test]
fn plans_and_rules_are_judged_with_the_decision() {
    let fields = |change| breaches(change).into_iter().map(|(f, _)| f).collect::<Vec<_>>();
    let stop = fields(|d| d.exit_plan.as_mut().unwrap().time_stop_secs = 59);
    assert_eq!(stop, ["exit_plan.time_stop_secs"]);
    let repegs = fields(|d| d.entry_plan.as_mut().unwrap().max_repegs = 6);
    assert_eq!(repegs, ["entry_plan.max_repegs"]);
    let orders = fields(|d| d.constraints.max_num_orders = 0);
    assert_eq!(orders, ["constraints.max_num_orders"]);
}

#[test]
fn the_id_is_that_of_the_contents_and_leaves_out_what_is_not_decided() {
    let id = decision().computed_id().unwrap();
    let aside: [Change; 4] = [
        |d| d.cycle_id = EvaluationId(43),
        |d| d.ai_gate = Some(crate::ai::AiGateResult::disabled()),
        |d| d.risk_verdict = Some(risk_verdict()),
        |d| d.decision_id = DecisionId::of(&Hex64::of_bytes(b"other")),
    ];
    for change in aside {
        assert_eq!(changed(change).computed_id().unwrap(), id);
    }
    let deciding: [Change; 15] = [
        |d| d.stage = StageName::AigateCall,
        |d| d.ts_ms = TsMs(1),
        |d| d.symbol = Symbol::new("ETH/USD").unwrap(),
        |d| d.side = Side::Sell,
        |d| d.intent = Intent::Manage,
        |d| d.strategy = Strategy::Volume,
        |d| d.route = Route::DumpReversal,
        |d| d.horizon = Horizon::Long,
        |d| d.edge_score_x10000 = X10000(1),
        |d| d.edge_bps_expected = Bps(1),
        |d| d.reasons.reverse(),
        |d| d.snapshot_hash = Hex64::of_bytes(b"other"),
        |d| d.constraints.max_num_orders = 225,
        |d| d.entry_plan = None,
        |d| d.exit_plan.as_mut().unwrap().trail_bps = Some(amount("1")),
    ];
    for change in deciding {
        assert_ne!(changed(change).computed_id().unwrap(), id);
    }
    assert_eq!(id.as_str(), KNOWN);
    let breach = changed(|d| d.ts_ms = TsMs(1)).validate().unwrap_err();
    assert_eq!(breach.field, "decision_id");
}

/// Id of the fixture; a change of it is a change of the shape and raises the version of the contracts.
const KNOWN: &str = "dec_532188ba2373f6fd7a98eddd646118fe75e66a7031575f4ec10151a63261bb02";

#[test]
fn the_hashed_shape_is_fixed() {
    let bare = changed(|d| {
        d.entry_plan = None;
        d.exit_plan = None;
    });
    let payload = serde_json::to_value(bare.hash_payload()).unwrap();
    let fields = payload.as_object().unwrap();
    assert_eq!(fields.len(), 15);
    assert!(fields["entry_plan"].is_null() && fields["exit_plan"].is_null());
}

#[test]
fn documents_are_read_strictly() {
    let text = serde_json::to_string(&changed(|d| d.risk_verdict = Some(risk_verdict()))).unwrap();
    let read: Decision = serde_json::from_str(&text).unwrap();
    assert_eq!(read.risk_verdict, Some(risk_verdict()));
    assert_eq!(read.validate(), Ok(()));
    let tree: Value = serde_json::from_str(&text).unwrap();
    for field in tree.as_object().unwrap().keys() {
        let mut without = tree.clone();
        without.as_object_mut().unwrap().remove(field);
        assert!(serde_json::from_value::<Decision>(without).is_err(), "{field}");
    }
    let refused = |change: fn(&mut Value)| {
        let mut other = tree.clone();
        change(&mut other);
        serde_json::from_value::<Decision>(other).is_err()
    };
    assert!(refused(|v| v["cl_ord_id"] = Value::from("x")), "a venue id is no part");
    assert!(refused(|v| v["mode"] = Value::from("PAPER")));
    assert!(refused(|v| v["reasons"][0] = Value::from("STRAT_FINE")));
    assert!(refused(|v| v["entry_plan"]["qty"] = Value::from(1)));
}

#[test]
fn a_verdict_of_risk_has_reasons_exactly_when_it_blocks() {
    let found = |change: fn(&mut RiskVerdict)| {
        let mut verdict = risk_verdict();
        change(&mut verdict);
        verdict.breaches().iter().map(|b| (b.field, b.reason)).collect::<Vec<_>>()
    };
    assert_eq!(found(|_| ()), []);
    let block: fn(&mut RiskVerdict) = |v| {
        v.verdict = RiskVerdictType::Block;
        v.reasons = vec![ReasonCode::RiskOrderRate];
        v.sized_qty = amount("0");
    };
    assert_eq!(found(block), []);
    let field = "risk_verdict.reasons";
    assert_eq!(found(|v| v.verdict = RiskVerdictType::Block), [(field, StratMissingField)]);
    assert_eq!(
        found(|v| v.reasons = vec![ReasonCode::RiskOrderRate]),
        [(field, StratInputInvalid)]
    );
    let twice: fn(&mut RiskVerdict) = |v| {
        v.verdict = RiskVerdictType::Block;
        v.reasons = vec![ReasonCode::RiskOrderRate, ReasonCode::RiskOrderRate];
    };
    assert_eq!(found(twice), [(field, StratInputInvalid)]);
    let one = |field| [(field, StratInputInvalid)];
    assert_eq!(found(|v| v.multiplier_x10000 = X10000(10_000_000)), []);
    assert_eq!(
        found(|v| v.multiplier_x10000 = X10000(10_000_001)),
        one("risk_verdict.multiplier_x10000")
    );
    assert_eq!(
        found(|v| v.multiplier_x10000 = X10000(9_999)),
        one("risk_verdict.multiplier_x10000")
    );
    assert_eq!(found(|v| v.sized_qty = amount("0")), one("risk_verdict.sized_qty"));
    assert_eq!(found(|v| v.sized_quote = amount("0")), one("risk_verdict.sized_quote"));
    assert_eq!(
        found(|v| v.adjusted_min_edge_bps = amount("-1")),
        one("risk_verdict.adjusted_min_edge_bps")
    );
    assert_eq!(found(|v| v.costs.fee_exit = amount("-1"))[0].0, "costs.fee_exit");
}
