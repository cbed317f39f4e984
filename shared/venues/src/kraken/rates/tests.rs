//! Costs, admission, what holds a counter and what lowers it.

use super::*;

#[test]
fn add_amend_cancel_of_the_documented_example_cost_eight() {
    let total = EngineCall::Add.cost()
        + EngineCall::Amend { age_ms: 7_000 }.cost()
        + EngineCall::Cancel { age_ms: 36_000 }.cost();
    assert!((total - 8.0).abs() < 1e-9);
}

#[test]
fn ages_fall_into_their_classes() {
    let cancel = |age_ms| EngineCall::Cancel { age_ms }.cost();
    let amend = |age_ms| EngineCall::Amend { age_ms }.cost();
    for (age_ms, want) in [
        (0, 8.0),
        (4_999, 8.0),
        (5_000, 6.0),
        (10_000, 5.0),
        (15_000, 4.0),
        (45_000, 2.0),
        (90_000, 1.0),
        (300_000, 0.0),
    ] {
        assert!((cancel(age_ms) - want).abs() < 1e-9, "{age_ms}");
    }
    assert!((amend(0) - 4.0).abs() < 1e-9);
    assert!((amend(15_000) - 1.0).abs() < 1e-9);
}

#[test]
fn steady_reads_leave_the_reserve_to_looks() {
    let mut budget = RestBudget::new(Tier::Intermediate, 0.0, 0);
    for _ in 0..12 {
        assert_eq!(budget.admit(1, RestUse::Steady, 0), Ok(()));
        budget.settle(-1);
    }
    assert_eq!(budget.admit(1, RestUse::Steady, 0), Err(2_000));
    for _ in 0..8 {
        assert_eq!(budget.admit(1, RestUse::Reserved, 0), Ok(()));
        budget.settle(-1);
    }
    assert_eq!(budget.admit(1, RestUse::Reserved, 0), Err(2_000));
    assert_eq!(budget.admit(1, RestUse::Reserved, 2_000), Ok(()));
}

#[test]
fn a_refusal_sets_the_model_to_the_ceiling() {
    let mut budget = RestBudget::new(Tier::Pro, 0.0, 0);
    budget.refused(0);
    assert!((budget.counter().value(0) - 20.0).abs() < 1e-9);
    assert!((budget.counter().value(5_000) - 15.0).abs() < 1e-9);
}

#[test]
fn cancels_pass_at_the_ceiling_and_adds_do_not() {
    let mut budget = EngineBudget::new(Tier::Starter, true, 0);
    assert!(budget.admit("BTC/USD", EngineCall::Add, ENGINE_SHARE_MAX, 0).is_err());
    let cancel = EngineCall::Cancel { age_ms: 1 };
    assert_eq!(budget.admit("BTC/USD", cancel, ENGINE_SHARE_MAX, 0), Ok(()));
    // 60 and 8 points: 21 above the share that an add may reach.
    budget.settle("BTC/USD", -1);
    let add = |budget: &mut EngineBudget, now_ms| {
        budget.admit("BTC/USD", EngineCall::Add, ENGINE_SHARE_MAX, now_ms)
    };
    assert!(add(&mut budget, 20_900).is_err());
    assert_eq!(add(&mut budget, 21_000), Ok(()));
}

#[test]
fn a_call_under_way_holds_its_counter() {
    let mut budget = EngineBudget::new(Tier::Intermediate, false, 0);
    let cancel = EngineCall::Cancel { age_ms: 0 };
    for _ in 0..2 {
        assert_eq!(budget.admit("BTC/USD", cancel, 0.0, 0), Ok(()));
    }
    let value = |budget: &EngineBudget, ms| budget.counter("BTC/USD").value(ms);
    assert!((value(&budget, 60_000) - 16.0).abs() < 1e-9, "neither was answered");
    budget.settle("BTC/USD", 60_000);
    assert!((value(&budget, 90_000) - 16.0).abs() < 1e-9, "one was not");
    budget.settle("BTC/USD", 90_000);
    assert!((value(&budget, 91_001) - 13.66).abs() < 1e-9);
}

#[test]
fn a_lower_count_of_the_venue_is_believed_when_nothing_was_sent_lately() {
    let mut budget = EngineBudget::new(Tier::Intermediate, true, 0);
    let value = |budget: &EngineBudget, ms| budget.counter("BTC/USD").value(ms);
    assert_eq!(budget.admit("BTC/USD", EngineCall::Cancel { age_ms: 0 }, 0.0, 0), Ok(()));
    budget.reported("BTC/USD", 10.0, 0);
    assert!((value(&budget, 0) - 133.0).abs() < 1e-9, "a call is under way");
    budget.reported("BTC/USD", 140.0, 0);
    assert!((value(&budget, 0) - 140.0).abs() < 1e-9, "more is more");
    budget.settle("BTC/USD", 0);
    budget.reported("BTC/USD", 10.0, 3_000);
    assert!(value(&budget, 3_000) > 100.0, "too soon");
    budget.reported("BTC/USD", 10.0, 3_001);
    assert!((value(&budget, 3_001) - 10.0).abs() < 1e-9);
}

#[test]
fn the_venue_s_own_count_replaces_the_model() {
    let mut budget = EngineBudget::new(Tier::Intermediate, false, 0);
    budget.set("ETH/USD", 99.0, 0);
    assert!(budget.admit("ETH/USD", EngineCall::Add, ENGINE_SHARE_MAX, 0).is_ok());
    assert!(budget.admit("ETH/USD", EngineCall::Add, ENGINE_SHARE_MAX, 0).is_err());
    budget.set_tier(Tier::Pro, 0);
    assert!(budget.admit("ETH/USD", EngineCall::Add, ENGINE_SHARE_MAX, 0).is_ok());
    assert_eq!(Tier::from_max_rate_count(125.0), Tier::Intermediate);
}
