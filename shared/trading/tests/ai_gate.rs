//! The AI gate's place in a decision: what waits, what goes on, what ends, by the recorded answer alone.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_contracts::Decision;
use penstock_contracts::ai::policy::GateFailure;
use penstock_contracts::ai::recorded::{Came, RecordedAnswer, RecordedCall};
use penstock_contracts::units::Hex64;
use penstock_trading::CycleInput;
use penstock_trading::decide;
use penstock_trading::decide::{DecideConfig, Finalist, Outcome};
use penstock_trading::fixtures::{config, hot, input, symbol};
use penstock_types::vocab::{Blocker, ReasonCode, StageName, SysMode};

const N: usize = 6;
/// With two that break out the quartile of volatility is still a calm symbol's.
const MANY: usize = 12;

fn strict(ai_dec: i64) -> DecideConfig {
    let mut config = config();
    config.contract.ai_dec = ai_dec;
    config
}

/// A cycle with what came of asking about its first finalist.
fn answered(config: &DecideConfig, came: impl FnOnce(&Decision) -> Came) -> Outcome {
    let mut cycle = input(N);
    let first = decide(&cycle, config);
    let decision = first.awaits_gate().unwrap().decision.as_ref().unwrap();
    cycle.ai_answers.push(record(decision, came(decision)));
    decide(&cycle, config)
}

fn record(decision: &Decision, came: Came) -> RecordedAnswer {
    RecordedAnswer {
        decision_id: decision.decision_id.clone(),
        call: Some(RecordedCall {
            model: "model".to_owned(),
            latency_ms: 40,
            attempts: 1,
            raw_hash: Hex64::of_bytes(b"raw"),
            input_hash: Hex64::of_bytes(b"input"),
            snapshot_hash: decision.snapshot_hash.clone(),
            came,
        }),
    }
}

fn says(text: &str) -> Came {
    Came::Answered { text: text.to_owned() }
}

/// A change: quantity and stop as JSON, everything else as it was.
fn modify(qty: &str, sl_price: &str) -> Came {
    let fallback = r#"{"enabled":null,"kind":null,"max_slippage_bps":null}"#;
    let entry = format!(
        r#"{{"kind":null,"limit_price":null,"qty":{qty},"ttl_ms":null,"max_repegs":null,"fallback":{fallback}}}"#
    );
    let exit = format!(
        r#"{{"sl_price":{sl_price},"tp_price":null,"trail_bps":null,"time_stop_secs":null}}"#
    );
    says(&format!(
        r#"{{"verdict":"MODIFY","reasons":["AIGATE_OK"],"modified_decision":{{"entry_plan":{entry},"exit_plan":{exit}}}}}"#
    ))
}

/// The first finalist; every gate that closed has its reason, as the table of gates demands.
fn first(outcome: &Outcome) -> &Finalist {
    for gate in &outcome.gates {
        assert!(gate.blocker.is_none() || gate.reason.is_some(), "{gate:?}");
    }
    outcome.finalists.first().unwrap()
}

#[test]
fn a_gate_that_is_off_is_recorded_as_off_and_stops_nothing() {
    let outcome = decide(&input(N), &strict(0));
    let finalist = first(&outcome);
    assert!(finalist.plan.is_some());
    assert!(!finalist.gate.as_ref().unwrap().enabled);
    assert!(outcome.awaits_gate().is_none());
}

#[test]
fn without_an_answer_nothing_goes_on_and_with_a_permission_it_does() {
    let config = strict(1);
    let waiting = decide(&input(N), &config);
    first(&waiting);
    let finalist = waiting.awaits_gate().unwrap();
    assert_eq!(finalist.blocker, Some(Blocker::AiGateBlocked));
    assert_eq!(finalist.stage(), StageName::AigateCall);
    assert_eq!(waiting.plans().count(), 0);
    let outcome = answered(&config, |_| {
        says(r#"{"verdict":"ALLOW","reasons":["STRAT_OK"],"modified_decision":null}"#)
    });
    let plan = first(&outcome).plan.as_ref().unwrap();
    assert_eq!(Some(&plan.decision_id), first(&outcome).decision.as_ref().map(|d| &d.decision_id));
    assert!(outcome.awaits_gate().is_none(), "whoever comes behind it is not asked about");
}

/// Two symbols break out: the last look refuses the first, so the second is asked about, sized and judged; its plan is
/// the one that is left.
#[test]
fn behind_a_plan_that_the_last_look_refused_the_next_is_asked_about() {
    let config = strict(1);
    let allow = || says(r#"{"verdict":"ALLOW","reasons":["STRAT_OK"],"modified_decision":null}"#);
    let mut cycle = input(MANY);
    hot(&mut cycle.states[MANY - 2]);
    let settle = |cycle: &mut CycleInput| {
        let waiting = decide(cycle, &config);
        let asked = waiting.awaits_gate().unwrap().decision.as_ref().unwrap();
        cycle.ai_answers.push(record(asked, allow()));
        decide(cycle, &config)
    };
    // given: the first may go, and nobody else is looked at
    let first = settle(&mut cycle);
    let plan = first.plans().next().unwrap().clone();
    assert_eq!((first.finalists.len(), &plan.symbol), (1, &symbol(MANY - 2)));
    // when: its last look refuses it
    cycle.refused.push(plan.decision_id.clone());
    // then: the next waits for an answer of its own, and behind its permission nobody is asked about
    let waiting = decide(&cycle, &config);
    assert_eq!(waiting.finalists[0], first.finalists[0], "what was decided stays");
    assert_eq!(waiting.awaits_gate().map(|f| &f.symbol), Some(&symbol(MANY - 1)));
    let second = settle(&mut cycle);
    let plans: Vec<_> = second.plans().map(|plan| (&plan.symbol, &plan.decision_id)).collect();
    assert_eq!(plans[0], (&symbol(MANY - 2), &plan.decision_id));
    assert_eq!((plans.len(), plans[1].0), (2, &symbol(MANY - 1)));
    assert!(second.finalists[1].verdict.is_some());
    assert!(second.awaits_gate().is_none());
    // and: what is stored repeats it, and without the refusal it is another decision
    let text = serde_json::to_string(&cycle).unwrap();
    let stored: CycleInput = serde_json::from_str(&text).unwrap();
    assert_eq!(decide(&stored, &config), second);
    let unrefused = CycleInput { refused: Vec::new(), ..cycle };
    assert_eq!(decide(&unrefused, &config), first);
    assert!(!serde_json::to_string(&unrefused).unwrap().contains("refused"), "older inputs stay");
}

/// Without returns there is one finalist at a time, whether a gate is asked or not.
#[test]
fn a_finalist_that_waits_for_returns_takes_the_place_of_a_refused_plan() {
    let config = strict(0);
    let mut cycle = input(MANY);
    hot(&mut cycle.states[MANY - 2]);
    cycle.returns.clear();
    let first = decide(&cycle, &config);
    let plans: Vec<_> = first.plans().cloned().collect();
    assert_eq!((first.finalists.len(), plans.len()), (1, 1));
    cycle.refused.push(plans[0].decision_id.clone());
    let second = decide(&cycle, &config);
    assert_eq!(second.finalists[0], first.finalists[0]);
    let symbols: Vec<_> = second.plans().map(|plan| plan.symbol.clone()).collect();
    assert_eq!(symbols, [symbol(MANY - 2), symbol(MANY - 1)]);
}

#[test]
fn an_objection_and_a_failure_end_at_risk_with_the_gates_reasons_and_only_a_mandatory_one_pauses() {
    let block =
        || says(r#"{"verdict":"BLOCK","reasons":["STRAT_REGIME_WEAK"],"modified_decision":null}"#);
    let late = || Came::Failed { failure: GateFailure::Timeout, detail: "late".to_owned() };
    for (ai_dec, pauses) in [(1, None), (2, Some(ReasonCode::AigateTimeout))] {
        let config = strict(ai_dec);
        let blocked = answered(&config, |_| block());
        let verdict = first(&blocked).verdict.as_ref().unwrap();
        assert_eq!(verdict.reasons, [ReasonCode::StratRegimeWeak]);
        assert_eq!((first(&blocked).plan.is_some(), first(&blocked).gate_pause), (false, None));
        let failed = answered(&config, |_| late());
        let verdict = first(&failed).verdict.as_ref().unwrap();
        assert_eq!(verdict.reasons, [ReasonCode::AigateTimeout]);
        assert_eq!((first(&failed).plan.is_some(), first(&failed).gate_pause), (false, pauses));
    }
}

#[test]
fn a_smaller_quantity_is_what_is_sent_and_a_larger_one_is_nothing() {
    let config = strict(1);
    let qty = |decision: &Decision, share: i64| {
        let qty = decision.entry_plan.as_ref().unwrap().qty.value();
        let step = decision.constraints.step_size.value();
        let changed = qty * penstock_types::Decimal::new(share, 2);
        format!("\"{}\"", penstock_types::decimal::floor_to_step(changed, step))
    };
    let smaller = answered(&config, |decision| modify(&qty(decision, 70), "null"));
    let finalist = first(&smaller);
    let proposed = finalist.decision.as_ref().unwrap();
    let plan = finalist
        .plan
        .as_ref()
        .unwrap_or_else(|| panic!("{:?} {:?}", finalist.gate, finalist.risk_hits));
    assert!(plan.qty < proposed.entry_plan.as_ref().unwrap().qty.value());
    assert_ne!(plan.decision_id, proposed.decision_id);
    let larger = answered(&config, |decision| modify(&qty(decision, 130), "null"));
    assert!(first(&larger).plan.is_none());
    let codes = &first(&larger).verdict.as_ref().unwrap().reasons;
    assert!(codes.contains(&ReasonCode::AigateModifyInvalid), "{codes:?}");
}

#[test]
fn an_exit_that_is_made_nearer_goes_with_the_entry_as_limits() {
    let outcome = answered(&strict(1), |decision| {
        let exit = decision.exit_plan.as_ref().unwrap();
        let tick = decision.constraints.tick_size.value();
        modify("null", &format!("\"{}\"", exit.sl_price.value() + tick))
    });
    let finalist = first(&outcome);
    let changed = finalist.gate.as_ref().unwrap().modified_decision.as_ref().unwrap();
    let exit = changed.exit_plan.as_ref().unwrap();
    let plan = finalist.plan.as_ref().unwrap();
    assert_eq!(finalist.blocker, None);
    assert_eq!(plan.exit_limits.sl_bps, Some(exit.sl_bps.value()));
    assert_eq!((plan.exit_limits.tp_bps, plan.exit_limits.time_stop_secs), (None, None));
    // the stop that stands by for the first fill is as near as the gate wants it
    assert!(plan.exit_limits.stop_bps(plan.stop.sl_bps) < plan.stop.sl_bps);
    // an answer without a change limits nothing
    let allow = r#"{"verdict":"ALLOW","reasons":["AIGATE_OK"],"modified_decision":null}"#;
    let plain = answered(&strict(1), |_| says(allow));
    assert!(first(&plain).plan.as_ref().unwrap().exit_limits.is_empty());
}

#[test]
fn outside_normal_nobody_is_asked_and_the_verdict_stands_for_the_record() {
    let cycle = CycleInput { sys_mode: SysMode::Degrade, ..input(N) };
    let outcome = decide(&cycle, &strict(2));
    assert!(outcome.awaits_gate().is_none());
    let finalist = first(&outcome);
    assert!(finalist.gate.is_none());
    assert_eq!(finalist.verdict.as_ref().unwrap().reasons, [ReasonCode::RiskModeBlock]);
}

#[test]
fn an_answer_to_another_decision_is_no_answer() {
    let config = strict(1);
    let mut cycle = input(N);
    let mut other = decide(&cycle, &config).awaits_gate().unwrap().decision.clone().unwrap();
    other.snapshot_hash = Hex64::of_bytes(b"others");
    let text = r#"{"verdict":"ALLOW","reasons":["STRAT_OK"],"modified_decision":null}"#;
    cycle.ai_answers.push(record(&other, says(text)));
    assert!(decide(&cycle, &config).awaits_gate().is_some());
}

/// The table of instruments gives steps with twelve digits; a contract has the digits of the pair.
#[test]
fn a_contract_has_the_digits_of_the_pair_whatever_the_column_holds() {
    let mut cycle = input(N);
    for rules in &mut cycle.instruments {
        rules.qty_increment.rescale(12);
        rules.price_increment.rescale(12);
    }
    let outcome = decide(&cycle, &strict(0));
    let decision = first(&outcome).decision.as_ref().unwrap();
    let plain = decide(&input(N), &strict(0));
    assert_eq!(
        Some(&decision.decision_id),
        first(&plain).decision.as_ref().map(|d| &d.decision_id)
    );
}
