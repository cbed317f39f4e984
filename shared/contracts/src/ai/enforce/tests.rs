//! Tests of the limits of a change: each rule at its limit and one step beyond, and that no change raises risk.

use super::*;
use crate::fixtures::{amount, decision, ladder_exit};
use crate::units::Bps;
use crate::vocab::FallbackKind;
use rstest::rstest;

fn unchanged() -> DecisionPatch {
    DecisionPatch {
        entry_plan: Some(EntryPatch {
            kind: None,
            limit_price: None,
            qty: None,
            ttl_ms: None,
            max_repegs: None,
            fallback: Some(FallbackPatch { enabled: None, kind: None, max_slippage_bps: None }),
        }),
        exit_plan: Some(ExitPatch {
            sl_price: None,
            tp_price: None,
            trail_bps: None,
            time_stop_secs: None,
        }),
    }
}

/// A decision with a target, which takes at any price.
fn urgent() -> Decision {
    let mut urgent = decision();
    urgent.exit_plan = Some(ladder_exit());
    let entry = urgent.entry_plan.as_mut().unwrap();
    entry.kind = EntryKind::Market;
    entry.time_in_force = TimeInForce::Ioc;
    entry.queue_decision = None;
    entry.fallback.kind = FallbackKind::Market;
    urgent.with_id().unwrap()
}

fn least() -> Decimal {
    Decimal::from(10)
}

fn try_on(of: &Decision, change: fn(&mut EntryPatch, &mut ExitPatch)) -> Result<Decision, Refusal> {
    let mut patch = unchanged();
    let (entry, exit) = (patch.entry_plan.as_mut().unwrap(), patch.exit_plan.as_mut().unwrap());
    change(entry, exit);
    apply(of, &patch, &[ReasonCode::AigateConcernCost], least())
}

type Change = fn(&mut EntryPatch, &mut ExitPatch);

#[rstest]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.qty = Some(amount("0.00199999")))]
// 0.00023347 · 64250.1 is the first step above 15 quote, half as much again as the least order.
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.qty = Some(amount("0.00023347")))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.qty = Some(amount("0.001999999999")))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.limit_price = Some(amount("64250.1")))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.limit_price = Some(amount("63840.7")))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.kind = Some(EntryKind::MakerFirst))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.max_repegs = Some(0))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.max_repegs = Some(5))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.ttl_ms = Some(1))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.ttl_ms = Some(10_000))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.fallback.as_mut().unwrap().enabled = Some(false))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.fallback.as_mut().unwrap().enabled = Some(true))]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| {
    e.fallback.as_mut().unwrap().max_slippage_bps = Some(Bps(1));
})]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.sl_price = Some(amount("63840.6")))]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.sl_price = Some(amount("64250.0")))]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.trail_bps = Some(amount("0.0001")))]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.trail_bps = Some(amount("63.75")))]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.time_stop_secs = Some(60))]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.time_stop_secs = Some(900))]
fn a_change_at_its_limit_is_made(#[case] change: Change) {
    let changed = try_on(&decision(), change).unwrap();
    assert_eq!(changed.breaches(), []);
    assert_ne!(changed.decision_id, decision().decision_id);
    assert_eq!(changed.stage, StageName::AigateCall);
    let reasons = [decision().reasons, vec![ReasonCode::AigateConcernCost]].concat();
    assert_eq!(changed.reasons, reasons);
}

#[rstest]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.qty = Some(amount("0.00200000")), "entry_plan.qty")]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.qty = Some(amount("0.00200001")), "entry_plan.qty")]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.qty = Some(amount("0.00023346")), "entry_plan.qty")]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.qty = Some(amount("0")), "entry_plan.qty")]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.qty = Some(amount("-0.001")), "entry_plan.qty")]
#[case(
    |e: &mut EntryPatch, _: &mut ExitPatch| e.limit_price = Some(amount("64250.2")),
    "entry_plan.limit_price"
)]
#[case(
    |e: &mut EntryPatch, _: &mut ExitPatch| e.limit_price = Some(amount("64250.05")),
    "entry_plan.limit_price"
)]
#[case(
    |e: &mut EntryPatch, _: &mut ExitPatch| e.limit_price = Some(amount("0")),
    "entry_plan.limit_price"
)]
#[case(
    |e: &mut EntryPatch, _: &mut ExitPatch| e.limit_price = Some(amount("63840.6")),
    "exit_plan.sl_price"
)]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.kind = Some(EntryKind::Taker), "entry_plan.kind")]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.kind = Some(EntryKind::Market), "entry_plan.kind")]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.max_repegs = Some(6), "entry_plan.max_repegs")]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.max_repegs = Some(-1), "entry_plan.max_repegs")]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.ttl_ms = Some(0), "entry_plan.ttl_ms")]
#[case(|e: &mut EntryPatch, _: &mut ExitPatch| e.ttl_ms = Some(10_001), "entry_plan.ttl_ms")]
#[case(
    |e: &mut EntryPatch, _: &mut ExitPatch| {
        e.fallback.as_mut().unwrap().kind = Some(FallbackKind::Market);
    },
    "entry_plan.fallback.kind"
)]
#[case(
    |e: &mut EntryPatch, _: &mut ExitPatch| {
        e.fallback.as_mut().unwrap().max_slippage_bps = Some(Bps(6));
    },
    "entry_plan.fallback.max_slippage_bps"
)]
#[case(
    |e: &mut EntryPatch, _: &mut ExitPatch| {
        e.fallback.as_mut().unwrap().max_slippage_bps = Some(Bps(0));
    },
    "entry_plan.fallback.max_slippage_bps"
)]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.sl_price = Some(amount("63840.5")), "exit_plan.sl_price")]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.sl_price = Some(amount("64250.1")), "exit_plan.sl_price")]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.sl_price = Some(amount("64250.05")), "exit_plan.sl_price")]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.tp_price = Some(amount("64300.0")), "exit_plan.tp_price")]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.trail_bps = Some(amount("63.7501")), "exit_plan.trail_bps")]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.trail_bps = Some(amount("0")), "exit_plan.trail_bps")]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.trail_bps = Some(amount("0.00001")), "exit_plan.trail_bps")]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.time_stop_secs = Some(59), "exit_plan.time_stop_secs")]
#[case(|_: &mut EntryPatch, x: &mut ExitPatch| x.time_stop_secs = Some(901), "exit_plan.time_stop_secs")]
fn a_change_one_step_beyond_is_refused_by_name(
    #[case] change: Change,
    #[case] field: &'static str,
) {
    let refusal = try_on(&decision(), change).unwrap_err();
    assert_eq!(refusal.first.field, field, "{refusal:?}");
    assert_eq!(refusal.reason(), ReasonCode::AigateModifyInvalid);
}

#[test]
fn a_target_may_come_nearer_and_stays_above_the_entry() {
    let of = |price: &str| {
        let mut patch = unchanged();
        patch.exit_plan.as_mut().unwrap().tp_price = Some(amount(price));
        apply(&urgent(), &patch, &[], least())
    };
    let changed = of("64307.1").unwrap().exit_plan.unwrap();
    assert_eq!(changed.tp_bps.unwrap().to_string(), "8.8716");
    assert_eq!(of("64507.1").unwrap().exit_plan.unwrap().tp_price, Some(amount("64507.1")));
    assert_eq!(of("64250.2").unwrap().exit_plan.unwrap().tp_price, Some(amount("64250.2")));
    for beyond in ["64507.2", "64250.1", "64250.15"] {
        assert_eq!(of(beyond).unwrap_err().first.field, "exit_plan.tp_price", "{beyond}");
    }
    let trail = try_on(&urgent(), |_, x| x.trail_bps = Some(amount("1"))).unwrap_err();
    assert_eq!(trail.first.field, "exit_plan.trail_bps", "the policy has none");
}

#[test]
fn a_kind_and_a_fallback_become_less_urgent_only() {
    let taker = try_on(&urgent(), |e, _| e.kind = Some(EntryKind::Taker)).unwrap();
    assert_eq!(taker.entry_plan.unwrap().time_in_force, TimeInForce::Ioc);
    let maker = try_on(&urgent(), |e, _| e.kind = Some(EntryKind::MakerFirst)).unwrap();
    let maker = maker.entry_plan.unwrap();
    assert_eq!(maker.time_in_force, TimeInForce::Gtd);
    assert_eq!(maker.queue_decision, Some(QueueDecision::Join));
    let fallback: Change = |e, _| e.fallback.as_mut().unwrap().kind = Some(FallbackKind::IocLimit);
    assert!(try_on(&urgent(), fallback).is_ok());
    let mut off = decision();
    off.entry_plan.as_mut().unwrap().fallback.enabled = false;
    let off = off.with_id().unwrap();
    let on: Change = |e, _| e.fallback.as_mut().unwrap().enabled = Some(true);
    assert_eq!(try_on(&off, on).unwrap_err().first.field, "entry_plan.fallback.enabled");
}

#[test]
fn values_are_rounded_towards_less_risk_and_distances_follow() {
    let changed = try_on(&decision(), |e, x| {
        e.qty = Some(amount("0.0010000099"));
        e.limit_price = Some(amount("64200"));
        x.sl_price = Some(amount("63900.01"));
        x.trail_bps = Some(amount("40.12349"));
    });
    let changed = changed.unwrap();
    let (entry, exit) = (changed.entry_plan.unwrap(), changed.exit_plan.unwrap());
    assert_eq!(entry.qty.to_string(), "0.00100000");
    assert_eq!(entry.limit_price.to_string(), "64200.0");
    assert_eq!(entry.desired_price, entry.limit_price);
    assert_eq!(exit.sl_price.to_string(), "63900.1");
    assert_eq!(exit.sl_bps.to_string(), "46.7134");
    assert_eq!(exit.trail_bps.unwrap().to_string(), "40.1234");
    assert_eq!(exit.panic_bps, decision().exit_plan.unwrap().panic_bps);
}

#[test]
fn a_distance_is_never_made_longer() {
    let mut short = decision();
    short.exit_plan.as_mut().unwrap().sl_bps = amount("10.0000");
    let short = short.with_id().unwrap();
    let lower = try_on(&short, |e, _| e.limit_price = Some(amount("64250.0"))).unwrap();
    assert_eq!(lower.exit_plan.unwrap().sl_bps, amount("10.0000"));
}

#[test]
fn a_reason_that_both_give_is_kept_once() {
    let mut patch = unchanged();
    patch.exit_plan.as_mut().unwrap().time_stop_secs = Some(600);
    let given = [ReasonCode::StratOk, ReasonCode::AigateConcernRegime];
    let changed = apply(&decision(), &patch, &given, least()).unwrap();
    let reasons = [decision().reasons, vec![ReasonCode::AigateConcernRegime]].concat();
    assert_eq!(changed.reasons, reasons);
}

#[test]
fn every_breach_is_told_and_the_first_is_recorded() {
    let refusal = try_on(&decision(), |e, x| {
        e.qty = Some(amount("1"));
        e.ttl_ms = Some(0);
        x.time_stop_secs = Some(1);
    });
    let refusal = refusal.unwrap_err();
    let fields: Vec<_> = refusal.breaches.iter().map(|breach| breach.field).collect();
    assert_eq!(fields, ["entry_plan.qty", "entry_plan.ttl_ms", "exit_plan.time_stop_secs"]);
    assert_eq!(refusal.first, refusal.breaches[0]);
}

#[test]
fn an_empty_change_and_a_change_of_no_entry_are_refused() {
    let nothing = DecisionPatch { entry_plan: None, exit_plan: None };
    for patch in [nothing, unchanged()] {
        let refusal = apply(&decision(), &patch, &[], least()).unwrap_err();
        assert_eq!(refusal.first.problem, "MODIFY changes nothing");
    }
    let mut exit = decision();
    (exit.intent, exit.side) = (Intent::Exit, Side::Sell);
    assert!(try_on(&exit, |_, x| x.time_stop_secs = Some(60)).is_err());
}
