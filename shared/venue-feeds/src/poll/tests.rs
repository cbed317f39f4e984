//! The schedule as a table: phases, budget, stretching, stops.

use super::open_interest::OiSchedule;
use super::*;
use proptest::prelude::*;

const RULE: OiRule = OiRule { interval_s: 5, requests_per_s: 10, weight_max: 2_400 };

fn plan(symbols: usize) -> PollPlan {
    let rule =
        PollRule { funding_s: 60, open_interest: Some(RULE), periods_s: None, clock_s: None };
    PollPlan::new(rule, &vec![true; symbols], 0)
}

/// Requests of a time, every 10 ms: when and what.
fn run(plan: &mut PollPlan, from_ms: i64, to_ms: i64) -> Vec<(i64, Ask)> {
    let mut asked = Vec::new();
    for ms in (from_ms..to_ms).step_by(10) {
        while let Some(ask) = plan.next(ms) {
            asked.push((ms, ask));
        }
    }
    asked
}

fn times(asked: &[(i64, Ask)], wanted: Ask) -> Vec<i64> {
    asked.iter().filter(|(_, ask)| *ask == wanted).map(|(ms, _)| *ms).collect()
}

#[test]
fn funding_comes_every_minute_and_at_once_after_a_reconnect() {
    let mut plan = plan(0);
    let asked = run(&mut plan, 0, 130_000);
    assert_eq!(times(&asked, Ask::Funding), [0, 60_000, 120_000]);
    plan.reconnected(130_000);
    assert_eq!(times(&run(&mut plan, 130_000, 200_000), Ask::Funding), [130_000, 190_000]);
}

#[test]
fn lengths_of_periods_come_every_hour() {
    let rule =
        PollRule { funding_s: 60, open_interest: None, periods_s: Some(3_600), clock_s: None };
    let asked = run(&mut PollPlan::new(rule, &[], 0), 0, 7_300_000);
    assert_eq!(times(&asked, Ask::Periods), [0, 3_600_000, 7_200_000]);
}

#[test]
fn the_clock_comes_at_its_own_distance_and_a_failed_look_waits_for_the_next() {
    let rule = PollRule { funding_s: 600, open_interest: None, periods_s: None, clock_s: Some(60) };
    let mut plan = PollPlan::new(rule, &[], 0);
    assert_eq!(times(&run(&mut plan, 0, 100), Ask::Clock), [0]);
    plan.ended(Ask::Clock, Outcome::Failed, 100);
    assert_eq!(times(&run(&mut plan, 100, 130_000), Ask::Clock), [60_000, 120_000]);
}

#[test]
fn symbols_are_spread_evenly_over_the_interval() {
    let mut plan = plan(5);
    let asked = run(&mut plan, 0, 15_000);
    for symbol in 0..5 {
        let first = i64::try_from(symbol).unwrap() * 1_000;
        let want = [first, first + 5_000, first + 10_000];
        let got = times(&asked, Ask::OpenInterest(symbol));
        assert_eq!(got, want, "{symbol}");
    }
    assert_eq!(plan.first_change(), None);
}

#[test]
fn more_symbols_than_the_budget_stretch_the_interval_of_all() {
    for (symbols, interval_s) in [(50, 5), (51, 6), (120, 12), (300, 30)] {
        let mut plan = plan(symbols);
        let change = plan.first_change();
        assert_eq!(change.map_or(5, |c| c.interval_s), interval_s, "{symbols}");
        assert_eq!(change.is_some(), symbols > 50);
        let asked = run(&mut plan, 0, 4 * interval_s * 1_000);
        for symbol in 0..symbols {
            let count = times(&asked, Ask::OpenInterest(symbol)).len();
            assert!((3..=4).contains(&count), "{symbol} of {symbols}: {count}");
        }
    }
}

#[test]
fn others_come_once_a_minute() {
    let rule =
        PollRule { funding_s: 60, open_interest: Some(RULE), periods_s: None, clock_s: None };
    let mut plan = PollPlan::new(rule, &[true, false], 0);
    let asked = run(&mut plan, 0, 60_000);
    assert_eq!(times(&asked, Ask::OpenInterest(0)).len(), 12);
    assert_eq!(times(&asked, Ask::OpenInterest(1)).len(), 1);
}

#[test]
fn a_high_weight_doubles_the_interval_until_it_was_low_for_a_minute() {
    let mut plan = plan(2);
    let answered = |used| Outcome::Answered { used_weight: Some(used) };
    let ask = Ask::OpenInterest(0);
    assert_eq!(plan.ended(ask, answered(1_200), 0), None, "half is not above half");
    let change = plan.ended(ask, answered(1_225), 1_000).unwrap();
    assert_eq!((change.interval_s, change.cause), (10, StretchCause::UsedWeight));
    assert_eq!(plan.ended(ask, answered(900), 2_000), None);
    assert_eq!(plan.ended(ask, answered(1_000), 40_000), None, "41 % begins the minute anew");
    assert_eq!(plan.ended(ask, answered(100), 50_000), None);
    assert_eq!(plan.ended(ask, answered(100), 109_999), None);
    let change = plan.ended(ask, answered(100), 110_000).unwrap();
    assert_eq!((change.interval_s, change.cause), (5, StretchCause::Restored));
}

#[test]
fn a_refusal_stops_everything_for_as_long_as_the_venue_says() {
    for (status, retry_after_s, stop_s) in
        [(429, None, 60), (429, Some(7), 7), (418, None, 120), (418, Some(3_600), 3_600)]
    {
        let mut plan = plan(1);
        run(&mut plan, 0, 1_000);
        let refused = Outcome::Refused { status, retry_after_s };
        let change = plan.ended(Ask::OpenInterest(0), refused, 1_000).unwrap();
        assert_eq!(change.cause, StretchCause::RateLimited);
        assert_eq!(plan.ended(Ask::OpenInterest(0), refused, 1_000), None, "told once");
        let end_ms = 1_000 + stop_s * 1_000;
        assert_eq!(run(&mut plan, 1_000, end_ms), [], "{status}");
        let next = run(&mut plan, end_ms, end_ms + 100);
        assert!(!next.is_empty(), "{status}");
        let answered = Outcome::Answered { used_weight: Some(10) };
        let change = plan.ended(Ask::Funding, answered, end_ms + 100).unwrap();
        assert_eq!((change.cause, change.interval_s), (StretchCause::Restored, 5));
    }
}

#[test]
fn a_failed_funding_request_is_due_again_after_a_doubling_pause() {
    let mut plan = plan(0);
    let mut now_ms = 0;
    for pause_ms in [200, 400, 800, 1_600] {
        assert_eq!(plan.next(now_ms), Some(Ask::Funding));
        plan.ended(Ask::Funding, Outcome::Failed, now_ms);
        assert_eq!(plan.next(now_ms + pause_ms - 1), None);
        now_ms += pause_ms;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    /// In any second the budget holds, whatever reconnects ask for.
    #[test]
    fn the_budget_holds(symbols in 1usize..400, reconnects in proptest::collection::vec(0i64..30_000, 0..6)) {
        let mut schedule = OiSchedule::new(RULE, &vec![true; symbols], 0);
        let mut sent = Vec::new();
        for ms in (0..30_000).step_by(50) {
            if reconnects.iter().any(|at| at / 50 == ms / 50) {
                schedule.reconnected(ms);
            }
            while schedule.next(ms).is_some() {
                sent.push(ms);
            }
        }
        for (nth, first) in sent.iter().enumerate() {
            let within = sent[nth..].iter().take_while(|ms| **ms < first + 1_000).count();
            prop_assert!(within <= 11, "{within} from {first} on");
        }
    }
}
