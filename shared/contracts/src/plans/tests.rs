//! Tests of the plans: each rule at its limit and one step beyond.

use super::*;
use crate::fixtures::{amount, constraints, entry_plan, exit_plan, ladder_exit};
use penstock_types::vocab::ReasonCode::{
    FiltersDriftDetected, RiskSizeInvalid, StratExitInvalid, StratInputInvalid,
};
use rstest::rstest;

type Found = Vec<(&'static str, ReasonCode)>;

fn short(breaches: &[Invalid]) -> Found {
    breaches.iter().map(|b| (b.field, b.reason)).collect()
}

fn rules(change: fn(&mut DecisionConstraints)) -> Found {
    let mut spoiled = constraints();
    change(&mut spoiled);
    short(&spoiled.breaches())
}

fn entry(change: fn(&mut EntryPlan)) -> Found {
    let mut spoiled = entry_plan();
    change(&mut spoiled);
    short(&spoiled.breaches(&constraints()))
}

fn exit(plan: ExitPlan, change: fn(&mut ExitPlan)) -> Found {
    let mut spoiled = plan;
    change(&mut spoiled);
    short(&spoiled.breaches(entry_plan().limit_price.value(), &constraints()))
}

#[test]
fn the_fixtures_are_valid() {
    assert_eq!(rules(|_| ()), []);
    assert_eq!(entry(|_| ()), []);
    assert_eq!(exit(exit_plan(), |_| ()), []);
    assert_eq!(exit(ladder_exit(), |_| ()), []);
}

#[rstest]
#[case(|c: &mut DecisionConstraints| c.tick_size = amount("0"), "constraints.tick_size", StratInputInvalid)]
#[case(|c: &mut DecisionConstraints| c.step_size = amount("0"), "constraints.step_size", StratInputInvalid)]
#[case(|c: &mut DecisionConstraints| c.min_qty = amount("0"), "constraints.min_qty", StratInputInvalid)]
#[case(|c: &mut DecisionConstraints| c.min_notional = amount("0"), "constraints.min_notional", StratInputInvalid)]
#[case(|c: &mut DecisionConstraints| c.price_precision = -1, "constraints.price_precision", StratInputInvalid)]
#[case(|c: &mut DecisionConstraints| c.price_precision = 29, "constraints.price_precision", StratInputInvalid)]
#[case(|c: &mut DecisionConstraints| c.qty_precision = -1, "constraints.qty_precision", StratInputInvalid)]
#[case(|c: &mut DecisionConstraints| c.max_num_orders = 0, "constraints.max_num_orders", StratInputInvalid)]
#[case(|c: &mut DecisionConstraints| c.max_algo_orders = -1, "constraints.max_algo_orders", StratInputInvalid)]
#[case(|c: &mut DecisionConstraints| c.max_qty = amount("0.00004999"), "constraints.max_qty", FiltersDriftDetected)]
#[case(|c: &mut DecisionConstraints| c.max_notional = Some(amount("0.49999")), "constraints.max_notional", FiltersDriftDetected)]
#[case(
    |c: &mut DecisionConstraints| c.quantization_policy = QuantizationPolicy::Unknown,
    "constraints.quantization_policy",
    FiltersDriftDetected
)]
fn a_rule_of_the_pair_that_cannot_be_used_blocks(
    #[case] change: fn(&mut DecisionConstraints),
    #[case] field: &'static str,
    #[case] reason: ReasonCode,
) {
    assert_eq!(rules(change), [(field, reason)]);
}

#[rstest]
#[case(|c: &mut DecisionConstraints| c.price_precision = 0)]
#[case(|c: &mut DecisionConstraints| c.qty_precision = 0)]
#[case(|c: &mut DecisionConstraints| c.max_qty = amount("0.00005000"))]
#[case(|c: &mut DecisionConstraints| c.max_notional = Some(amount("0.50000")))]
#[case(|c: &mut DecisionConstraints| c.quantization_policy = QuantizationPolicy::KnownNonEnforced)]
fn a_rule_of_the_pair_at_its_limit_is_valid(#[case] change: fn(&mut DecisionConstraints)) {
    assert_eq!(rules(change), []);
}

#[rstest]
#[case(|e: &mut EntryPlan| { e.kind = EntryKind::Taker; e.time_in_force = TimeInForce::Ioc; e.ttl_ms = 0; })]
#[case(|e: &mut EntryPlan| { e.kind = EntryKind::Market; e.time_in_force = TimeInForce::Gtc; e.ttl_ms = 0; })]
#[case(|e: &mut EntryPlan| e.ttl_ms = 1)]
#[case(|e: &mut EntryPlan| e.max_repegs = 0)]
#[case(|e: &mut EntryPlan| e.queue_decision = None)]
#[case(|e: &mut EntryPlan| e.qty = amount("0.00005000"))]
#[case(|e: &mut EntryPlan| e.qty = amount("100.00000000"))]
#[case(|e: &mut EntryPlan| { e.fallback.enabled = false; e.fallback.max_slippage_bps = Bps(0); })]
#[case(|e: &mut EntryPlan| e.fallback.max_slippage_bps = Bps(1))]
#[case(|e: &mut EntryPlan| e.desired_price = amount("64250.1"))]
#[case(|e: &mut EntryPlan| e.desired_price = amount("64250.19999"))]
fn an_entry_at_its_limit_is_valid(#[case] change: fn(&mut EntryPlan)) {
    assert_eq!(entry(change), []);
}

#[rstest]
#[case(|e: &mut EntryPlan| e.desired_price = amount("64250.2"), "entry_plan.limit_price", StratInputInvalid)]
#[case(|e: &mut EntryPlan| e.desired_price = amount("64250.09"), "entry_plan.limit_price", StratInputInvalid)]
#[case(|e: &mut EntryPlan| e.qty = amount("0.002000001"), "entry_plan.qty", StratInputInvalid)]
#[case(|e: &mut EntryPlan| e.qty = amount("0.00004999"), "entry_plan.qty", RiskSizeInvalid)]
#[case(|e: &mut EntryPlan| e.qty = amount("100.00000001"), "entry_plan.qty", RiskSizeInvalid)]
#[case(|e: &mut EntryPlan| e.time_in_force = TimeInForce::Gtc, "entry_plan.time_in_force", StratInputInvalid)]
#[case(|e: &mut EntryPlan| e.time_in_force = TimeInForce::Ioc, "entry_plan.time_in_force", StratInputInvalid)]
#[case(|e: &mut EntryPlan| e.kind = EntryKind::Taker, "entry_plan.time_in_force", StratInputInvalid)]
#[case(|e: &mut EntryPlan| e.kind = EntryKind::Market, "entry_plan.time_in_force", StratInputInvalid)]
#[case(|e: &mut EntryPlan| e.ttl_ms = 0, "entry_plan.ttl_ms", StratInputInvalid)]
#[case(|e: &mut EntryPlan| e.max_repegs = -1, "entry_plan.max_repegs", StratInputInvalid)]
#[case(|e: &mut EntryPlan| e.max_repegs = 6, "entry_plan.max_repegs", StratInputInvalid)]
#[case(
    |e: &mut EntryPlan| e.fallback.max_slippage_bps = Bps(0),
    "entry_plan.fallback.max_slippage_bps",
    StratInputInvalid
)]
fn an_entry_one_step_beyond_is_refused_by_name(
    #[case] change: fn(&mut EntryPlan),
    #[case] field: &'static str,
    #[case] reason: ReasonCode,
) {
    assert_eq!(entry(change), [(field, reason)]);
}

#[test]
fn an_entry_pays_at_least_and_at_most_what_the_pair_takes() {
    let at = |least: &str, most: &str| {
        let rules = DecisionConstraints {
            min_notional: amount(least),
            max_notional: Some(amount(most)),
            ..constraints()
        };
        short(&entry_plan().breaches(&rules))
    };
    assert_eq!(at("128.50020", "128.50020"), []);
    assert_eq!(at("128.50021", "129"), [("entry_plan.qty", RiskSizeInvalid)]);
    assert_eq!(at("1", "128.50019"), [("entry_plan.qty", RiskSizeInvalid)]);
}

#[test]
fn bounds_of_a_pair_that_the_venue_does_not_enforce_are_recorded_only() {
    let least = DecisionConstraints { min_qty: amount("1.00000000"), ..constraints() };
    assert_eq!(short(&entry_plan().breaches(&least)), [("entry_plan.qty", RiskSizeInvalid)]);
    let quantization_policy = QuantizationPolicy::KnownNonEnforced;
    let recorded = DecisionConstraints { quantization_policy, ..least };
    assert_eq!(short(&entry_plan().breaches(&recorded)), []);
}

#[test]
fn prices_and_quantities_of_zero_are_refused() {
    assert!(entry(|e| e.qty = amount("0")).contains(&("entry_plan.qty", StratInputInvalid)));
    let zero = entry(|e| {
        e.desired_price = amount("0.05");
        e.limit_price = amount("0.0");
    });
    assert!(zero.contains(&("entry_plan.limit_price", StratInputInvalid)));
}

#[rstest]
#[case(exit_plan(), |e: &mut ExitPlan| e.time_stop_secs = 60)]
#[case(exit_plan(), |e: &mut ExitPlan| e.breakeven_arm_bps = None)]
#[case(exit_plan(), |e: &mut ExitPlan| e.sl_price = amount("64250.0"))]
#[case(exit_plan(), |e: &mut ExitPlan| e.sl_bps = amount("0.0001"))]
#[case(ladder_exit(), |e: &mut ExitPlan| e.tp_price = Some(amount("64250.2")))]
fn an_exit_at_its_limit_is_valid(#[case] plan: ExitPlan, #[case] change: fn(&mut ExitPlan)) {
    assert_eq!(exit(plan, change), []);
}

#[rstest]
#[case(exit_plan(), |e: &mut ExitPlan| e.sl_bps = amount("0"), "exit_plan.sl_bps", StratExitInvalid)]
#[case(exit_plan(), |e: &mut ExitPlan| e.panic_bps = amount("0"), "exit_plan.panic_bps", StratExitInvalid)]
#[case(exit_plan(), |e: &mut ExitPlan| e.trail_bps = Some(amount("0")), "exit_plan.trail_bps", StratExitInvalid)]
#[case(exit_plan(), |e: &mut ExitPlan| e.trail_bps = None, "exit_plan.trail_bps", StratExitInvalid)]
#[case(
    exit_plan(),
    |e: &mut ExitPlan| e.breakeven_arm_bps = Some(amount("0")),
    "exit_plan.breakeven_arm_bps",
    StratExitInvalid
)]
#[case(exit_plan(), |e: &mut ExitPlan| e.tp_bps = Some(amount("1")), "exit_plan.tp_bps", StratExitInvalid)]
#[case(exit_plan(), |e: &mut ExitPlan| e.tp_price = Some(amount("64300.0")), "exit_plan.tp_price", StratExitInvalid)]
#[case(exit_plan(), |e: &mut ExitPlan| e.sl_price = amount("64250.1"), "exit_plan.sl_price", StratExitInvalid)]
#[case(exit_plan(), |e: &mut ExitPlan| e.sl_price = amount("63840.65"), "exit_plan.sl_price", StratInputInvalid)]
#[case(exit_plan(), |e: &mut ExitPlan| e.sl_price = amount("0.0"), "exit_plan.sl_price", StratExitInvalid)]
#[case(exit_plan(), |e: &mut ExitPlan| e.time_stop_secs = 59, "exit_plan.time_stop_secs", StratInputInvalid)]
#[case(ladder_exit(), |e: &mut ExitPlan| e.tp_bps = Some(amount("0")), "exit_plan.tp_bps", StratExitInvalid)]
#[case(ladder_exit(), |e: &mut ExitPlan| e.tp_bps = None, "exit_plan.tp_bps", StratExitInvalid)]
#[case(ladder_exit(), |e: &mut ExitPlan| e.tp_price = None, "exit_plan.tp_price", StratExitInvalid)]
#[case(ladder_exit(), |e: &mut ExitPlan| e.trail_bps = Some(amount("1")), "exit_plan.trail_bps", StratExitInvalid)]
#[case(
    ladder_exit(),
    |e: &mut ExitPlan| e.tp_price = Some(amount("64250.1")),
    "exit_plan.tp_price",
    StratExitInvalid
)]
#[case(
    ladder_exit(),
    |e: &mut ExitPlan| e.tp_price = Some(amount("64507.15")),
    "exit_plan.tp_price",
    StratInputInvalid
)]
fn an_exit_one_step_beyond_is_refused_by_name(
    #[case] plan: ExitPlan,
    #[case] change: fn(&mut ExitPlan),
    #[case] field: &'static str,
    #[case] reason: ReasonCode,
) {
    assert_eq!(exit(plan, change), [(field, reason)]);
}

#[test]
fn a_step_that_is_no_step_has_no_multiples() {
    assert!(is_on_step(amount("0.3").value(), amount("0.1")));
    assert!(!is_on_step(amount("0.35").value(), amount("0.1")));
    assert!(!is_on_step(amount("0.3").value(), amount("0")));
}
