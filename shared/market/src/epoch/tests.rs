//! Each criterion flipped alone, the scaling of thresholds, and what an empty set means.

use super::*;
use crate::aggregator::Aggregator;
use crate::config::FoldConfig;
use crate::fixtures::{Rows, at_ms, dec, l3, lineage, status, symbol};
use penstock_types::raw::{RawBody, RawRow};
use penstock_types::vocab::{Side, StatusKind};
use penstock_types::{GenerationId, RunId, Seq};
use rstest::rstest;

const NAMES: [&str; 10] =
    ["A/USD", "B/USD", "C/USD", "D/USD", "E/USD", "F/USD", "G/USD", "H/USD", "I/USD", "J/USD"];

/// What a case takes away from a window in which everything is there.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    None,
    Tickers(usize),
    Trades(usize),
    Samples(usize),
    Books(usize),
    Size(usize),
    OpenGap,
    LongGap,
    ShortGap,
    Durability,
    PinnedBlind,
    PinnedWhole,
    HardBlocked(usize),
    NoFreshTicker,
}

fn window(flaw: Flaw) -> (Aggregator, usize) {
    let mut rows = Rows::default();
    let size = if let Flaw::Size(n) = flaw { n } else { NAMES.len() };
    let without = |n: usize, i: usize| i < n;
    for (i, name) in NAMES.iter().take(size).enumerate() {
        rows.universe(0, name, StatusKind::Connect);
        let has_tickers =
            !matches!(flaw, Flaw::Tickers(n) if without(n, i)) && flaw != Flaw::NoFreshTicker;
        let has_trades = !matches!(flaw, Flaw::Trades(n) if without(n, i));
        let samples = if matches!(flaw, Flaw::Samples(n) if without(n, i)) { 19 } else { 20 };
        for k in 0..samples {
            rows.book(k * 1_000 + 100, name, "100", "101");
        }
        for k in 0..if has_tickers { 10 } else { 9 } {
            rows.ticker(
                if flaw == Flaw::NoFreshTicker { 0 } else { 240_000 + k * 1_000 },
                name,
                "100",
                "101",
            );
        }
        if has_trades {
            rows.trade(5_000, name, Side::Buy, "100", "1");
        }
        if matches!(flaw, Flaw::Books(n) if without(n, i)) {
            let mut fail = status(StatusKind::ChecksumFail, "book");
            fail.symbol = Some(symbol(name));
            rows.push(299_000, RawBody::Status(fail));
        }
    }
    let gap = |kind, from: i64, to: Option<i64>| {
        let mut row = status(kind, "book");
        (row.gap_from, row.gap_to) = (Some(at_ms(from)), to.map(at_ms));
        RawBody::Status(row)
    };
    match flaw {
        Flaw::OpenGap => rows.push(290_000, gap(StatusKind::Gap, 289_000, None)),
        Flaw::LongGap | Flaw::ShortGap => {
            let end = if flaw == Flaw::LongGap { 131_000 } else { 130_000 };
            rows.push(20_000, gap(StatusKind::Gap, 10_000, None));
            rows.push(end, gap(StatusKind::Recovered, 10_000, Some(end)));
        }
        _ => {}
    }
    let mut aggregator = Aggregator::new(RunId(1), FoldConfig::default());
    rows.list.iter().for_each(|row| aggregator.apply(row));
    (aggregator, size)
}

fn judged(flaw: Flaw) -> EpochJudgement {
    let (mut aggregator, size) = window(flaw);
    let cut = aggregator.cut(GenerationId(1), at_ms(300_000), lineage(1));
    let execution: Vec<Symbol> = NAMES.iter().take(size).map(|n| symbol(n)).collect();
    let (mut pinned, mut hard_blocked) = (BTreeSet::new(), BTreeSet::new());
    match flaw {
        Flaw::PinnedBlind => drop(pinned.insert(symbol("Z/USD"))),
        Flaw::PinnedWhole => drop(pinned.insert(symbol("A/USD"))),
        Flaw::HardBlocked(n) => hard_blocked.extend(NAMES.iter().take(n).map(|n| symbol(n))),
        _ => {}
    }
    judge(&EpochInput {
        cut: &cut,
        execution: &execution,
        pinned: &pinned,
        hard_blocked: &hard_blocked,
        hard_blocked_left_out: usize::from(!hard_blocked.is_empty()),
        window_start: at_ms(0),
        gaps: aggregator.gaps(),
        gap_secs: 120,
        min_ticker_per_symbol: 10,
        min_universe: 5,
        is_durable: flaw != Flaw::Durability,
        level3: None,
    })
}

#[rstest]
#[case::whole(Flaw::None, EpochStatus::Valid, &[])]
#[case::tickers_at_the_limit(Flaw::Tickers(1), EpochStatus::Valid, &[])]
#[case::tickers(Flaw::Tickers(2), EpochStatus::Degraded, &["ticker"])]
#[case::trades_at_the_limit(Flaw::Trades(5), EpochStatus::Valid, &[])]
#[case::trades(Flaw::Trades(6), EpochStatus::Degraded, &["trade"])]
#[case::samples_at_the_limit(Flaw::Samples(1), EpochStatus::Valid, &[])]
#[case::samples(Flaw::Samples(2), EpochStatus::Degraded, &["l2"])]
#[case::books(Flaw::Books(2), EpochStatus::Degraded, &["l2"])]
#[case::size_at_the_limit(Flaw::Size(5), EpochStatus::Valid, &[])]
#[case::size(Flaw::Size(4), EpochStatus::Invalid, &["universe"])]
#[case::open_gap(Flaw::OpenGap, EpochStatus::Degraded, &["continuity"])]
#[case::long_gap(Flaw::LongGap, EpochStatus::Degraded, &["continuity"])]
#[case::gap_at_the_limit(Flaw::ShortGap, EpochStatus::Valid, &[])]
#[case::durability(Flaw::Durability, EpochStatus::Degraded, &["durability"])]
#[case::pinned_blind(Flaw::PinnedBlind, EpochStatus::Invalid, &["pinned"])]
#[case::pinned_whole(Flaw::PinnedWhole, EpochStatus::Valid, &[])]
#[case::hard_blocked_leaves_five(Flaw::HardBlocked(5), EpochStatus::Valid, &[])]
#[case::hard_blocked_leaves_four(Flaw::HardBlocked(6), EpochStatus::Degraded, &["universe"])]
#[case::nothing_fresh(Flaw::NoFreshTicker, EpochStatus::Invalid, &["ticker"])]
fn each_criterion_flipped_alone_gives_its_status(
    #[case] flaw: Flaw,
    #[case] status: EpochStatus,
    #[case] reasons: &[&str],
) {
    let got = judged(flaw);
    assert_eq!(
        (got.status, got.reasons.iter().map(String::as_str).collect::<Vec<_>>()),
        (status, reasons.to_vec())
    );
}

#[test]
fn pinned_and_blocked_symbols_are_counted_out_of_the_entry_set() {
    let pinned = judged(Flaw::PinnedWhole);
    assert_eq!((pinned.entry_set_count, pinned.pinned_excluded_count), (9, 1));
    let blocked = judged(Flaw::HardBlocked(3));
    assert_eq!((blocked.entry_set_count, blocked.hard_blocked_excluded_count), (7, 4));
}

#[test]
fn thresholds_follow_the_window_and_are_never_zero() {
    assert_eq!(scaled_threshold(10, 300), 10);
    assert_eq!(scaled_threshold(10, 20), 1);
    assert_eq!(scaled_threshold(20, 20), 2);
    assert_eq!(scaled_threshold(20, 16), 2, "1.07 is rounded up");
    assert_eq!(scaled_threshold(10, 0), 1);
    assert_eq!(scaled_threshold(10, 900), 10);
}

/// What is told of level 3: mode, share, criterion.
type Level3Judged = (L3Mode, Option<Decimal>, bool);

/// Ten whole symbols, of which the first `with` have `samples` L3 samples.
fn level3_judged(with: usize, samples: i64, level3: Level3Input<'_>) -> Level3Judged {
    let (mut aggregator, _) = window(Flaw::None);
    let mut seq = 1_000_000;
    for name in NAMES.iter().take(with) {
        for n in 0..samples {
            seq += 1;
            let body = RawBody::L3(l3(name));
            aggregator.apply(&RawRow { seq: Seq(seq), ts_local: at_ms(290_000 + n), body });
        }
    }
    let cut = aggregator.cut(GenerationId(1), at_ms(300_000), lineage(1));
    let none = BTreeSet::new();
    let got = judge(&EpochInput {
        cut: &cut,
        execution: &all(),
        pinned: &none,
        hard_blocked: &none,
        hard_blocked_left_out: 0,
        window_start: at_ms(0),
        gaps: aggregator.gaps(),
        gap_secs: 120,
        min_ticker_per_symbol: 10,
        min_universe: 5,
        is_durable: true,
        level3: Some(level3),
    });
    assert_eq!((got.status, got.reasons.len()), (EpochStatus::Valid, 0), "level 3 is never needed");
    (got.l3_mode, got.frac_l3.map(|d| d.normalize()), got.criteria_l3_ok)
}

fn all() -> Vec<Symbol> {
    NAMES.iter().map(|n| symbol(n)).collect()
}

#[rstest]
#[case::enough(7, 5, false, false, L3Mode::Ok, "0.7")]
#[case::enough_at_first(7, 5, true, false, L3Mode::Ok, "0.7")]
#[case::one_symbol_less(6, 5, false, false, L3Mode::Partial, "0.6")]
#[case::some_at_first(6, 5, true, false, L3Mode::Partial, "0.6")]
#[case::at_the_limit_of_some(1, 5, false, false, L3Mode::Partial, "0.1")]
#[case::none(0, 5, false, false, L3Mode::Absent, "0")]
#[case::none_at_first(0, 5, true, false, L3Mode::Cold, "0")]
#[case::too_few_samples(10, 4, false, false, L3Mode::Absent, "0")]
#[case::shed_or_lost_at_once(10, 5, false, true, L3Mode::Absent, "1")]
#[case::shed_at_first(10, 5, true, true, L3Mode::Absent, "1")]
fn coverage_of_level_3_gives_its_mode(
    #[case] with: usize,
    #[case] samples: i64,
    #[case] is_first: bool,
    #[case] is_lost: bool,
    #[case] mode: L3Mode,
    #[case] share: &str,
) {
    let level3 = Level3Input { symbols: &all(), is_first, is_lost };
    let got = level3_judged(with, samples, level3);
    assert_eq!(got, (mode, Some(dec(share)), mode == L3Mode::Ok));
}

#[test]
fn only_symbols_of_the_layer_are_asked_for_level_3() {
    let of = |layer: &[Symbol]| {
        let level3 = Level3Input { symbols: layer, is_first: false, is_lost: false };
        level3_judged(3, 5, level3)
    };
    // Three of four have it, and the six others need none.
    assert_eq!(of(&all()[..4]), (L3Mode::Ok, Some(dec("0.75")), true));
    assert_eq!(
        of(&[]),
        (L3Mode::Absent, Some(Decimal::ZERO), false),
        "an empty layer covers nothing"
    );
}

#[test]
fn level_3_that_is_off_is_no_criterion() {
    let got = judged(Flaw::None);
    assert_eq!((got.l3_mode, got.frac_l3, got.criteria_l3_ok), (L3Mode::Off, None, true));
}
