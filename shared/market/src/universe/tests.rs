//! Exclusions, ranks, hysteresis, pins.

use super::*;
use crate::fixtures::symbol;

fn rules(pool_limit: usize) -> UniverseRules {
    let set = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    UniverseRules {
        quotes: set(&["USD"]),
        stablecoins: set(&["USDT"]),
        fx: set(&["USD", "EUR"]),
        deny: set(&["BAD/USD"]),
        pool_limit,
        l2_limit: None,
        execution_limit: None,
        l3_limit: None,
    }
}

fn pair(name: &str, status: Option<&str>) -> Pair {
    let symbol = symbol(name);
    let (base, quote) = (symbol.base().to_owned(), symbol.quote().to_owned());
    Pair { symbol, base, quote, status: status.map(str::to_owned) }
}

fn figures(volumes: &[(&str, i64)]) -> BTreeMap<Symbol, Figures> {
    let of = |v: i64| Figures {
        volume_24h_quote: Some(Decimal::from(v)),
        has_tickers: true,
        ..Figures::default()
    };
    volumes.iter().map(|(name, v)| (symbol(name), of(*v))).collect()
}

fn build_simple(
    limit: usize,
    volumes: &[(&str, i64)],
    pins: &[&str],
    before: &Universe,
) -> Universe {
    let pairs: Vec<Pair> = volumes.iter().map(|(name, _)| pair(name, Some("online"))).collect();
    let pinned = pins.iter().map(|p| symbol(p)).collect();
    build(&rules(limit), &pairs, &figures(volumes), &pinned, &BTreeSet::new(), before)
}

fn names(symbols: &[Symbol]) -> Vec<&str> {
    symbols.iter().map(Symbol::as_str).collect()
}

#[test]
fn every_exclusion_has_its_reason() {
    let pairs = [
        pair("A/USD", Some("online")),
        pair("B/USD", Some("limit_only")),
        pair("C/EUR", Some("online")),
        pair("D/USD", Some("maintenance")),
        pair("E/USD", None),
        pair("USDT/USD", Some("online")),
        pair("BAD/USD", Some("online")),
    ];
    let figures = figures(&[("A/USD", 5), ("B/USD", 4)]);
    let universe = build(
        &rules(0),
        &pairs,
        &figures,
        &BTreeSet::new(),
        &BTreeSet::from([symbol("B/USD")]),
        &Universe::default(),
    );
    assert_eq!(names(&universe.tracked), ["A/USD", "B/USD"]);
    assert_eq!(names(&universe.execution), ["A/USD"]);
    let reasons: Vec<_> = universe.excluded.iter().map(|(r, s)| (*r, names(s))).collect();
    assert_eq!(
        reasons,
        [
            ("SYMBOL_HARD_BLOCKED", vec!["B/USD"]),
            ("UNIVERSE_QUOTE_MISMATCH", vec!["C/EUR", "USDT/USD", "BAD/USD"]),
            ("UNIVERSE_STATUS", vec!["D/USD", "E/USD"]),
        ]
    );
}

#[test]
fn the_pool_is_the_best_by_volume_at_the_first_build() {
    let universe =
        build_simple(2, &[("A/USD", 1), ("B/USD", 9), ("C/USD", 5)], &[], &Universe::default());
    assert_eq!(names(&universe.tracked), ["B/USD", "C/USD"]);
    assert_eq!(names(&universe.excluded["UNIVERSE_VOLUME_LOW"]), ["A/USD"]);
}

#[test]
fn a_member_stays_two_epochs_and_then_gives_way_to_a_clearly_better_one() {
    let mut universe = build_simple(1, &[("A/USD", 9), ("B/USD", 1)], &[], &Universe::default());
    for epoch in 0..2 {
        universe = build_simple(1, &[("A/USD", 1), ("B/USD", 9)], &[], &universe);
        assert_eq!(names(&universe.tracked), ["A/USD"], "epoch {epoch}");
    }
    universe = build_simple(1, &[("A/USD", 1), ("B/USD", 9)], &[], &universe);
    assert_eq!(names(&universe.tracked), ["B/USD"]);
}

#[test]
fn a_pinned_symbol_is_in_every_layer_whatever_its_rank() {
    let universe = build_simple(
        1,
        &[("A/USD", 9), ("B/USD", 1)],
        &["B/USD", "GONE/USD"],
        &Universe::default(),
    );
    assert_eq!(names(&universe.tracked), ["A/USD", "B/USD", "GONE/USD"]);
    assert_eq!(names(&universe.execution), ["A/USD", "B/USD", "GONE/USD"]);
    assert_eq!(names(&universe.l2), ["A/USD", "B/USD", "GONE/USD"]);
}

#[test]
fn hash_and_config_hash_follow_sets_and_rules() {
    let one = build_simple(1, &[("A/USD", 9)], &[], &Universe::default());
    let two = build_simple(2, &[("A/USD", 9), ("B/USD", 1)], &[], &Universe::default());
    assert_ne!(one.hash(), two.hash());
    assert_ne!(rules(1).config_hash(), rules(2).config_hash());
    assert_eq!(one.hash().len(), 64);
}

fn with_level3(
    limit: Option<usize>,
    volumes: &[(&str, i64)],
    pins: &[&str],
    before: &Universe,
) -> Universe {
    let pairs: Vec<Pair> = volumes.iter().map(|(name, _)| pair(name, Some("online"))).collect();
    let pinned = pins.iter().map(|p| symbol(p)).collect();
    let rules = UniverseRules { l2_limit: Some(3), l3_limit: limit, ..rules(0) };
    build(&rules, &pairs, &figures(volumes), &pinned, &BTreeSet::new(), before)
}

#[test]
fn level_3_takes_the_best_of_the_books_and_every_pinned_symbol() {
    let volumes = [("A/USD", 50), ("B/USD", 40), ("C/USD", 30), ("D/USD", 20), ("E/USD", 10)];
    let none = Universe::default();
    assert_eq!(names(&with_level3(Some(2), &volumes, &[], &none).l3), ["A/USD", "B/USD"]);
    let pinned = with_level3(Some(2), &volumes, &["E/USD"], &none);
    assert_eq!(names(&pinned.l3), ["A/USD", "B/USD", "E/USD"]);
    assert!(pinned.l3.iter().all(|s| pinned.l2.contains(s)));
    assert_eq!(names(&with_level3(Some(9), &volumes, &[], &none).l3), ["A/USD", "B/USD", "C/USD"]);
    assert!(with_level3(None, &volumes, &["E/USD"], &none).l3.is_empty());
    assert!(with_level3(Some(0), &volumes, &["E/USD"], &none).l3.is_empty());
}

#[test]
fn a_member_of_level_3_gives_way_only_after_two_epochs_and_to_a_better_one() {
    let first = [("A/USD", 50), ("B/USD", 40), ("C/USD", 30)];
    let other = [("A/USD", 50), ("B/USD", 10), ("C/USD", 45)];
    let mut universe = with_level3(Some(2), &first, &[], &Universe::default());
    for _ in 0..2 {
        universe = with_level3(Some(2), &other, &[], &universe);
        assert_eq!(names(&universe.l3), ["A/USD", "B/USD"], "a member for less than two epochs");
    }
    universe = with_level3(Some(2), &other, &[], &universe);
    assert_eq!(names(&universe.l3), ["A/USD", "C/USD"]);
}
