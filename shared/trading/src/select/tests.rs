//! Selections over made-up scores and returns.

use super::*;
use crate::decide::config::{MissingAction, SelectionConfig};
use crate::fixtures::{dec, symbol};
use crate::select::returns::Boundary;
use penstock_types::UtcMicros;
use proptest::prelude::*;

fn series(i: usize, of: impl Fn(i32) -> i32) -> ReturnSeries {
    ReturnSeries { symbol: symbol(i), points: (0..72).map(|at| Some(of(at))).collect() }
}

/// Three that move alike and two that do not.
fn all() -> Vec<ReturnSeries> {
    let wave = |at: i32| (at * 37 % 29) - 14;
    let other = |at: i32| (at * 11 % 23) - 11;
    let third = |at: i32| if at % 2 == 0 { 9 } else { -9 };
    vec![
        series(0, wave),
        series(1, move |at| 2 * wave(at)),
        series(2, other),
        series(3, third),
        series(4, wave),
    ]
}

fn contenders(scores: &[(usize, i64)]) -> Vec<(Symbol, Decimal)> {
    scores.iter().map(|(i, score)| (symbol(*i), Decimal::from(*score))).collect()
}

fn config() -> SelectionConfig {
    SelectionConfig::default()
}

fn chosen(
    scores: &[(usize, i64)],
    memory: &SelectionMemory,
    places: usize,
    config: &SelectionConfig,
) -> Selection {
    let owned = contenders(scores);
    let list: Vec<Contender<'_>> =
        owned.iter().map(|(symbol, score)| Contender { symbol, score: *score }).collect();
    let series = all();
    select(&list, memory, &Returns::new(&series, config), places, config)
}

fn symbols(of: &[usize]) -> Vec<Symbol> {
    of.iter().map(|i| symbol(*i)).collect()
}

#[test]
fn a_score_is_mapped_without_changing_the_order() {
    assert_eq!(score_x10000(dec("-3")), 0);
    assert_eq!(score_x10000(dec("0")), 0);
    assert_eq!(score_x10000(dec("10")), 5_000);
    assert_eq!(score_x10000(dec("2.5")), 2_000);
    assert_eq!(score_x10000(Decimal::MAX), 10_000);
}

#[test]
fn the_second_of_two_that_move_alike_gives_its_place_to_the_next() {
    // given: 0, 1 and 4 are one market; 2 and 3 are others
    let found = chosen(
        &[(0, 50), (1, 40), (2, 30), (3, 20), (4, 10)],
        &SelectionMemory::default(),
        3,
        &config(),
    );

    // then
    assert_eq!(found.topk_pre, symbols(&[0, 1, 2]));
    assert_eq!(found.topk_final, symbols(&[0, 2, 3]));
    assert!(found.correlation_applied);
    assert!(!found.churn_guard_applied);
    assert_eq!(found.max_pairwise_corr_x10000, 10_000);
    assert_eq!(found.cut(&symbol(1)), Some(ReasonCode::RiskCorrelationTooHigh));
    assert_eq!(found.cut(&symbol(4)), Some(ReasonCode::TopkCut));
    assert!(
        found.notes.contains(&Note { symbol: symbol(3), reason: ReasonCode::RiskDiversifyApplied })
    );
    assert_eq!(found.pairs.len(), 1);
}

#[test]
fn moving_against_each_other_is_no_concentration() {
    let config = config();
    let pair = [series(0, |at| at % 7 - 3), series(1, |at| 3 - at % 7)];
    let returns = Returns::new(&pair, &config);
    assert_eq!(returns.between(&symbol(0), &symbol(1)), Correlation::Known(-10_000));
    let (a, b) = (symbol(0), symbol(1));
    let both =
        [Contender { symbol: &a, score: dec("2") }, Contender { symbol: &b, score: dec("1") }];
    let found = select(&both, &SelectionMemory::default(), &returns, 3, &config);
    assert_eq!(found.topk_final.len(), 2);
    assert_eq!(found.max_pairwise_corr_x10000, -10_000);
}

#[test]
fn what_cannot_be_compared_is_one_at_a_time_unless_the_settings_allow_it() {
    // given: no returns at all
    let (a, b) = (symbol(7), symbol(8));
    let both =
        [Contender { symbol: &a, score: dec("2") }, Contender { symbol: &b, score: dec("1") }];
    let strict = config();
    let lenient = SelectionConfig { corr_missing_action: MissingAction::Allow, ..config() };

    // when
    let none = SelectionMemory::default();
    let one = select(&both, &none, &Returns::new(&[], &strict), 3, &strict);
    let two = select(&both, &none, &Returns::new(&[], &lenient), 3, &lenient);

    // then
    assert_eq!(one.topk_final, vec![a]);
    assert!(one.waits_for_returns(&b));
    assert_eq!(one.max_pairwise_corr_x10000, 10_000);
    assert_eq!((two.topk_final.len(), two.max_pairwise_corr_x10000), (2, 0));
}

#[test]
fn eight_missing_points_of_seventy_two_are_too_many_and_seven_are_not() {
    let config = config();
    for (missing, known) in [(7, true), (8, false)] {
        let mut pair = [series(0, |at| at % 7), series(1, |at| at % 5)];
        pair[1].points[..missing].fill(None);
        let found = Returns::new(&pair, &config).between(&symbol(0), &symbol(1));
        assert_eq!(matches!(found, Correlation::Known(_)), known, "{missing}");
    }
    let still = [series(0, |at| at % 7), series(1, |_| 3)];
    assert_eq!(Returns::new(&still, &config).between(&symbol(0), &symbol(1)), Correlation::Unknown);
}

#[test]
fn a_young_member_keeps_its_place_against_a_challenger_that_is_only_a_little_better() {
    // given: places for one; 2 was chosen once, 3 is a little better now
    let config = config();
    let member =
        |evaluations| SelectionMemory { members: vec![Member { symbol: symbol(2), evaluations }] };

    // when: 10 against 8 is 5000 against 4444
    let kept = chosen(&[(3, 10), (2, 8)], &member(5), 1, &config);
    let old = chosen(&[(3, 10), (2, 8)], &member(6), 1, &config);
    let beaten = chosen(&[(3, 15), (2, 8)], &member(1), 1, &config);
    let off = SelectionConfig { churn_guard_enabled: false, ..config.clone() };
    let unguarded = chosen(&[(3, 10), (2, 8)], &member(1), 1, &off);

    // then
    assert_eq!(kept.topk_final, symbols(&[2]));
    assert!(kept.churn_guard_applied);
    assert_eq!(kept.cut(&symbol(3)), Some(ReasonCode::TopkChurnGuard));
    assert_eq!(old.topk_final, symbols(&[3]));
    assert_eq!(beaten.topk_final, symbols(&[3]));
    assert_eq!(unguarded.topk_final, symbols(&[3]));
}

#[test]
fn membership_is_guarded_and_the_order_is_not() {
    let config = config();
    let memory = SelectionMemory { members: vec![Member { symbol: symbol(2), evaluations: 1 }] };
    let found = chosen(&[(3, 10), (2, 9)], &memory, 2, &config);
    assert_eq!(found.topk_final, symbols(&[3, 2]), "ranking order, not the guard's");
    assert!(!found.churn_guard_applied);
    assert_eq!(
        memory.after(&found.topk_final).members,
        vec![
            Member { symbol: symbol(2), evaluations: 2 },
            Member { symbol: symbol(3), evaluations: 1 },
        ]
    );
}

#[test]
fn returns_end_at_the_last_boundary_a_minute_ago_and_a_missing_close_costs_two() {
    // given: T0 is 30 s after a boundary, so that one does not count yet
    let boundary = Boundary(5_904_144);
    let t0 = UtcMicros(boundary.at().0 + 30_000_000);
    let last = Boundary::settled(t0);
    assert_eq!(last, boundary.back(1));
    assert_eq!(Boundary::settled(UtcMicros(boundary.at().0 + 60_000_000)), boundary);
    assert_eq!(Boundary::after(UtcMicros(boundary.at().0 - 60_000_000)), boundary);

    // when
    let mut closes = Closes::default();
    assert_eq!(closes.due(t0, 4), Some((last.back(4), last)));
    let bar = |back: i64, close: &str| (symbol(0), last.back(back), dec(close));
    closes.take(last, 4, [bar(4, "100"), bar(3, "101"), bar(1, "101"), bar(0, "100")]);

    // then: ln(1.01) is 99.5 bps
    let series = closes.series(&BTreeSet::from([symbol(0), symbol(1)]), 4);
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].points, vec![Some(100), None, None, Some(-100)]);
    assert_eq!(closes.due(t0, 4), None);
    let later = UtcMicros(t0.0 + 300_000_000);
    assert_eq!(closes.due(later, 4), Some((boundary, boundary)));
    closes.take(boundary, 4, []);
    assert_eq!(
        closes.series(&BTreeSet::from([symbol(0)]), 4)[0].points,
        vec![None, None, Some(-100), None]
    );
}

proptest! {
    /// Written a second time with floating point: never further off than rounding.
    #[test]
    fn correlation_is_pearsons(points in proptest::collection::vec((-500_i32..500, -500_i32..500), 72)) {
        let config = config();
        let pair = [
            ReturnSeries { symbol: symbol(0), points: points.iter().map(|p| Some(p.0)).collect() },
            ReturnSeries { symbol: symbol(1), points: points.iter().map(|p| Some(p.1)).collect() },
        ];
        let n = 72.0;
        let mean = |of: &dyn Fn(&(i32, i32)) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (mx, my) = (mean(&|p| f64::from(p.0)), mean(&|p| f64::from(p.1)));
        let cov = mean(&|p| (f64::from(p.0) - mx) * (f64::from(p.1) - my));
        let (vx, vy) = (mean(&|p| (f64::from(p.0) - mx).powi(2)), mean(&|p| (f64::from(p.1) - my).powi(2)));
        match Returns::new(&pair, &config).between(&symbol(0), &symbol(1)) {
            Correlation::Known(found) => {
                let wanted = 10_000.0 * cov / (vx * vy).sqrt();
                #[expect(clippy::cast_precision_loss, reason = "at most 10000")]
                let found = found as f64;
                prop_assert!((found - wanted).abs() <= 1.0, "{} {}", found, wanted);
            }
            Correlation::Unknown => prop_assert!(vx * vy < 1e-9),
        }
    }

    /// No more places than there are, finalists in ranking order, no two of them alike, everybody else has a reason.
    #[test]
    fn a_selection_is_small_ordered_and_explained(
        scores in proptest::collection::vec(0_i64..60, 0..5),
        young in 0_usize..5, places in 1_usize..4,
    ) {
        let config = config();
        let mut ranked: Vec<(usize, i64)> = scores.iter().copied().enumerate().collect();
        ranked.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
        let memory = SelectionMemory { members: vec![Member { symbol: symbol(young), evaluations: 2 }] };
        let found = chosen(&ranked, &memory, places, &config);
        prop_assert!(found.topk_final.len() <= places);
        let rank = |s: &Symbol| ranked.iter().position(|(i, _)| &symbol(*i) == s).unwrap();
        prop_assert!(found.topk_final.windows(2).all(|pair| rank(&pair[0]) < rank(&pair[1])));
        let series = all();
        let returns = Returns::new(&series, &config);
        for (at, a) in found.topk_final.iter().enumerate() {
            for b in &found.topk_final[at + 1..] {
                let Correlation::Known(value) = returns.between(a, b) else { panic!("all are known") };
                prop_assert!(value < config.corr_max_x10000);
            }
        }
        for (i, _) in &ranked {
            let chosen = found.topk_final.contains(&symbol(*i));
            prop_assert_eq!(found.cut(&symbol(*i)).is_none(), chosen);
        }
    }
}
