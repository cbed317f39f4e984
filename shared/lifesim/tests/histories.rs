//! The slice of every run of the tests, and the histories that found something once.

use penstock_lifesim::cover::{Cover, is_legal_order, is_legal_plan};
use penstock_lifesim::pairs::TABLE;
use penstock_lifesim::{EVENTS_MIN, FAULTS_MIN, report, run};
use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::{OrderState, PlanState};

/// Runs seeds; what they reached together.
fn hold(seeds: impl Iterator<Item = u64>) -> Cover {
    let mut cover = Cover::default();
    for seed in seeds {
        let history = run(seed, false);
        assert_eq!(history.broken, None, "scripts/simulate --seed {seed} --trace tells it");
        assert!(
            history.cover.events >= EVENTS_MIN,
            "seed {seed} has {} events",
            history.cover.events
        );
        assert!(history.cover.faults() >= FAULTS_MIN, "seed {seed} has too few faults");
        cover.add(&history.cover);
    }
    cover
}

/// Pairs that the table excludes are never reached.
fn excludes_nothing_that_happens(cover: &Cover) {
    let reached: Vec<String> =
        report::failures(cover, 0).into_iter().filter(|line| line.contains("reached")).collect();
    assert!(reached.is_empty(), "{}", reached.join("\n"));
}

#[test]
fn the_first_half_of_five_thousand_histories_holds() {
    excludes_nothing_that_happens(&hold(1..=2_500));
}

#[test]
fn the_second_half_of_five_thousand_histories_holds() {
    excludes_nothing_that_happens(&hold(2_501..=5_000));
}

#[test]
fn every_kept_seed_holds() {
    let seeds: Vec<u64> = include_str!("../seeds.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('|').next()?.trim().parse().ok())
        .collect();
    assert!(!seeds.is_empty(), "seeds.txt names no seed");
    hold(seeds.into_iter());
}

#[test]
fn one_seed_is_one_history() {
    for seed in [3, 142, 8_539] {
        let (one, other) = (run(seed, false), run(seed, false));
        assert_eq!(one.cover.events, other.cover.events);
        assert_eq!(report::tables(&one.cover), report::tables(&other.cover));
    }
    assert_ne!(report::tables(&run(3, false).cover), report::tables(&run(4, false).cover));
}

#[test]
fn each_line_of_the_table_names_a_legal_pair_once_with_its_reason() {
    let mut seen = std::collections::BTreeSet::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [machine, state, event, reason] = parts[..] else { panic!("{line}") };
        assert!(!reason.is_empty() && seen.insert((machine, state, event)), "{line}");
        let legal = match machine {
            "order" => {
                let state = OrderState::parse(state).unwrap_or_else(|e| panic!("{line}: {e}"));
                let event = OrderEvent::parse(event).unwrap_or_else(|e| panic!("{line}: {e}"));
                is_legal_order(state, event)
            }
            _ => {
                let state = PlanState::parse(state).unwrap_or_else(|e| panic!("{line}: {e}"));
                let event = PlanEvent::parse(event).unwrap_or_else(|e| panic!("{line}: {e}"));
                is_legal_plan(state, event)
            }
        };
        assert!(legal, "{line}: the machine refuses it anyway");
    }
}
