//! Cells by hand, and what must hold of every sequence of results.

use super::*;
use crate::fixtures::{NOW, dec};
use proptest::prelude::*;

const HOUR_MS: i64 = 3_600_000;

fn result(net: &str, source: Source, at: UtcMicros) -> CellResult {
    CellResult { net_bps: dec(net), expected_bps: dec("10"), source, at }
}

fn cell(n: &str, mean: &str, ewma: &str) -> Cell {
    Cell {
        n: dec(n),
        mean_net_bps: dec(mean),
        m2: dec("0"),
        ewma_net_bps: dec(ewma),
        mean_expected_bps: dec("10"),
        hit_rate: dec("0.5"),
        updated_at: NOW,
    }
}

#[test]
fn a_realised_result_weighs_four_times_a_shadow() {
    let old = cell("1", "20", "20");
    let realised = fold(Some(&old), &result("-20", Source::Realised, NOW)).cell;
    assert_eq!((realised.n, realised.mean_net_bps), (dec("2"), dec("0")));
    assert_eq!((realised.m2, realised.ewma_net_bps), (dec("800"), dec("16")));
    assert_eq!(realised.hit_rate, dec("0.25"));
    let shadow = fold(Some(&old), &result("-20", Source::ShadowWanted, NOW)).cell;
    assert_eq!((shadow.n, shadow.mean_net_bps), (dec("1.25"), dec("12")));
    assert_eq!((shadow.m2, shadow.ewma_net_bps), (dec("320"), dec("19")));
    assert_eq!(shadow.hit_rate, dec("0.4"));
    let unwanted = fold(Some(&old), &result("-20", Source::ShadowUnwanted, NOW)).cell;
    assert_eq!(unwanted, Cell { ewma_net_bps: old.ewma_net_bps, ..shadow });
}

#[test]
fn four_shadows_have_the_mean_of_one_realised_result() {
    let mut shadows: Option<Cell> = None;
    for _ in 0..4 {
        let next = fold(shadows.as_ref(), &result("-7.5", Source::ShadowWanted, NOW));
        shadows = Some(next.cell);
    }
    assert_eq!(shadows, Some(fold(None, &result("-7.5", Source::Realised, NOW)).cell));
}

#[test]
fn a_cell_that_traded_nothing_has_a_recent_mean_of_zero() {
    let first = fold(None, &result("-90", Source::ShadowUnwanted, NOW)).cell;
    assert_eq!(
        (first.n, first.mean_net_bps, first.ewma_net_bps),
        (dec("0.25"), dec("-90"), dec("0"))
    );
    assert_eq!(fold(None, &result("-90", Source::Realised, NOW)).cell.ewma_net_bps, dec("-90"));
}

#[test]
fn refusals_that_were_right_never_suspend_a_cell() {
    let mut now = None;
    for _ in 0..1_000 {
        let folded = fold(now.as_ref(), &result("-90", Source::ShadowUnwanted, NOW));
        assert_eq!(folded.suspended_until, None);
        now = Some(folded.cell);
    }
    assert_eq!(now.unwrap().n, dec("250"));
}

#[test]
fn a_suspension_is_said_once_and_served_in_full() {
    // given: one result from the limit
    let edge = cell("29", "0", "-9.5");
    let folded = fold(Some(&edge), &result("-20", Source::Realised, NOW));
    // then: it begins with that result
    let end = NOW.plus_millis(SUSPEND_MS);
    assert_eq!(folded.suspended_until, Some(end));
    // when: everything earns while it rests
    let mut resting = folded.cell;
    for hour in 1..24 {
        let at = NOW.plus_millis(hour * HOUR_MS);
        assert!(resting.is_suspended(at), "hour {hour}");
        let folded = fold(Some(&resting), &result("90", Source::ShadowWanted, at));
        assert_eq!(folded.suspended_until, None, "it has begun before");
        resting = folded.cell;
    }
    // then: it has risen to the limit, and rests to its end
    assert_eq!((resting.ewma_net_bps, resting.updated_at), (dec("-10.0001"), NOW));
    assert!(resting.is_suspended(end.plus_millis(-1)));
    assert!(!resting.is_suspended(end));
    // and the next result decides
    let at = end.plus_millis(1);
    let good = fold(Some(&resting), &result("0", Source::ShadowWanted, at));
    assert_eq!((good.suspended_until, good.cell.is_suspended(at)), (None, false));
    let bad = fold(Some(&resting), &result("-90", Source::ShadowWanted, at));
    assert_eq!(bad.suspended_until, Some(at.plus_millis(SUSPEND_MS)));
}

#[test]
fn weight_fades_by_a_thirtieth_a_day_and_is_gone_after_thirty() {
    let day_ms = 24 * HOUR_MS;
    let old = cell("30", "40", "40");
    let after = |days: i64| {
        let at = NOW.plus_millis(days * day_ms);
        fold(Some(&old), &result("40", Source::Realised, at)).cell.n - Decimal::ONE
    };
    assert_eq!(after(0), dec("30"));
    assert_eq!(after(1), dec("29"));
    assert_eq!(after(2), dec("28.03"));
    assert!(after(29) > dec("10") && after(29) < dec("12"), "{}", after(29));
    assert_eq!(after(30), dec("0"), "the cell begins anew");
    // A result a day for a long time has the weight of thirty.
    let mut steady = None;
    for day in 0..400 {
        let at = NOW.plus_millis(day * day_ms);
        steady = Some(fold(steady.as_ref(), &result("1", Source::Realised, at)).cell);
    }
    let n = steady.unwrap().n;
    assert!(n > dec("29.5") && n < dec("30.5"), "{n}");
}

fn a_result() -> impl Strategy<Value = CellResult> {
    let source = prop::sample::select(Source::ALL.to_vec());
    (-99_999_999_i64..=99_999_999, -5_000_000_i64..5_000_000, source, 0_i64..40 * 24).prop_map(
        |(net, expected, source, hours)| CellResult {
            net_bps: Decimal::new(net, 4),
            expected_bps: Decimal::new(expected, 4),
            source,
            at: NOW.plus_millis(hours * HOUR_MS),
        },
    )
}

proptest! {
    /// Whatever comes in whatever order of time: no column overflows, weights are positive, shares stay shares.
    #[test]
    fn every_sequence_of_results_keeps_its_columns(results in prop::collection::vec(a_result(), 1..60)) {
        let mut now: Option<Cell> = None;
        for result in &results {
            let before = now;
            let folded = fold(before.as_ref(), result);
            let c = folded.cell;
            prop_assert!(c.n > Decimal::ZERO && c.n.scale() <= 2);
            prop_assert!(c.m2 >= Decimal::ZERO);
            prop_assert!(c.hit_rate >= Decimal::ZERO && c.hit_rate <= Decimal::ONE);
            prop_assert!(c.mean_net_bps.abs() <= Decimal::from(BPS_MAX));
            prop_assert!(c.ewma_net_bps.abs() <= Decimal::from(BPS_MAX));
            let rested = before.is_some_and(|b| b.is_suspended(result.at));
            prop_assert_eq!(rested && folded.suspended_until.is_some(), false);
            if rested {
                prop_assert!(c.is_suspended(result.at), "nothing shortens a suspension");
                prop_assert_eq!(Some(c.updated_at), before.map(|b| b.updated_at));
            }
            prop_assert_eq!(fold(before.as_ref(), result), folded);
            now = Some(c);
        }
    }
}
