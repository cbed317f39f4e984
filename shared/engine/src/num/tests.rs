//! Golden vectors of the arithmetic, and its agreement with a model of wider integers.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

#[test]
fn the_golden_vectors_come_out() {
    assert_eq!(mul_div(-7, 100_000_000, 3), Ok(-233_333_333));
    assert_eq!(mul_div(7, -1, 2), Ok(-3));
    assert_eq!(ramp(1_000, 1_000, 10_000), 0);
    assert_eq!(ramp(1_001, 1_000, 10_000), 1);
    assert_eq!(ramp(5_000, 1_000, 10_000), 4_444);
    assert_eq!(inv(7_000, 4_000, 10_000), 5_000);
    let run = |m: i64, n: usize| -> Vec<i32> {
        let mut s = 0;
        (0..n)
            .map(|_| {
                s = decay(s, 1_000_000, 8_000, m);
                s
            })
            .collect()
    };
    assert_eq!(run(10_000, 5), [200_000, 360_000, 488_000, 590_400, 672_320]);
    assert_eq!(run(9_000, 3), [200_000, 364_000, 498_480]);
}

#[test]
fn a_share_of_a_cluster_is_the_known_number_of_members() {
    let (start, end) = ([4_000, 6_000, 7_000], [6_000, 7_000, 5_000]);
    let (mid, post) = ([5_000, 7_000, 6_000], [8_000, 9_000, 8_000]);
    for (n, shares, want) in [
        (2, start, [1, 2, 2]),
        (2, end, [2, 2, 1]),
        (3, mid, [2, 3, 2]),
        (5, start, [2, 3, 4]),
        (10, end, [6, 7, 5]),
        (30, mid, [15, 21, 18]),
        (30, post, [24, 27, 24]),
    ] {
        assert_eq!(shares.map(|r| breadth(n, r, 10_000)), want, "n = {n}");
    }
    assert_eq!(breadth(2, 100, 9_000), 1);
    assert_eq!(breadth(4, 10_000, 11_000), 4);
}

#[test]
fn divisions_by_zero_and_the_ends_of_the_range_are_errors_or_zero() {
    assert_eq!(mul_div(1, 1, 0), Err(ArithError));
    assert_eq!(mul_div(i64::MIN, 1, -1), Err(ArithError));
    assert_eq!(mul_div(i64::MAX, i64::MAX, 1), Err(ArithError));
    assert_eq!(mul_div(i64::MAX, i64::MAX, i64::MAX), Ok(i64::MAX));
    assert_eq!(sdiv(i64::MAX, i64::MAX, 1), SDIV_MAX);
    assert_eq!(sdiv(i64::MIN, i64::MAX, 1), -SDIV_MAX);
    assert_eq!(sdiv(5, 5, 0), 0);
    assert_eq!(sdiv(5, 5, -1), 0);
    assert_eq!(range(0, 0), 0);
    assert_eq!(range(i64::MAX, i64::MAX), 0);
    assert_eq!(middle(i64::MAX, i64::MAX), i64::MAX);
    assert_eq!(abs(i64::MIN), Err(ArithError));
    assert_eq!((sat32(i64::MAX), sat32(i64::MIN)), (i32::MAX, i32::MIN));
    assert_eq!((sat16(40_000), sat16(-40_000)), (i16::MAX, i16::MIN));
    assert_eq!(Mix::default().score(), 0);
    assert_eq!(window_end_us(u64::MAX), i64::MAX);
    assert_eq!((POWERS[0], POWERS[14]), (1, 100_000_000_000_000));
    assert_eq!(POWERS[18].checked_mul(10), None);
}

proptest! {
    #[test]
    fn products_and_quotients_equal_those_of_wider_integers(
        a in any::<i64>(), b in any::<i64>(), c in any::<i64>(),
    ) {
        let exact = (c != 0).then(|| i128::from(a) * i128::from(b) / i128::from(c));
        let got = mul_div(a, b, c);
        prop_assert_eq!(got.ok().map(i128::from), exact.filter(|w| i64::try_from(*w).is_ok()));
        if c > 0 {
            let limit = i128::from(SDIV_MAX);
            prop_assert_eq!(i128::from(sdiv(a, b, c)), exact.unwrap().clamp(-limit, limit));
        }
    }

    #[test]
    fn small_operands_take_the_short_way_to_the_same_number(
        a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000, c in 1_i64..1_000_000,
    ) {
        let want = (i128::from(a) * i128::from(b) / i128::from(c)).clamp(-1_000_000_000_000, 1_000_000_000_000);
        prop_assert_eq!(i128::from(sdiv(a, b, c)), want);
        prop_assert_eq!(i128::from(mul_div(a, b, c).unwrap()), i128::from(a) * i128::from(b) / i128::from(c));
    }

    #[test]
    fn a_ramp_stays_in_bounds_and_never_falls(
        x in any::<i64>(), y in any::<i64>(), lo in any::<i64>(), hi in any::<i64>(),
    ) {
        prop_assume!(hi > lo);
        let (low, high) = (ramp(x.min(y), lo, hi), ramp(x.max(y), lo, hi));
        prop_assert!((0..=ACT_ONE).contains(&low));
        prop_assert!(low <= high);
        prop_assert_eq!(inv(x, lo, hi) + ramp(x, lo, hi), ACT_ONE);
    }

    #[test]
    fn a_memory_stays_a_score(
        s in 0_i32..=1_000_000, e in 0_i64..=1_000_000, d in 1_i64..=10_000, m in 1_i64..=11_000,
    ) {
        prop_assume!((ACT_ONE - d) * m / ACT_ONE <= ACT_ONE);
        let next = decay(s, e, d, m);
        prop_assert!((0..=1_000_000).contains(&next));
        // Without evidence nothing grows.
        prop_assert!(decay(s, 0, d, m) <= s);
    }

    #[test]
    fn a_mean_of_activations_is_a_score(terms in proptest::collection::vec((1_i64..=100, 0_i64..=10_000), 0..8)) {
        let mix = terms.iter().fold(Mix::default(), |mix, (w, a)| mix.with(*w, *a));
        prop_assert!((0..=SCORE_MAX).contains(&mix.score()));
        if let Some((_, first)) = terms.first()
            && terms.iter().all(|(_, a)| a == first)
        {
            prop_assert_eq!(mix.score(), first * 100);
        }
    }
}
