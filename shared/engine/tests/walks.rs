//! Walks of a market that the defaults must produce, with four tiers and with five.
//!
//! Times are asserted as bands, because they belong to the script's market; the bytes of every walk are pinned
//! in `pinned.rs`.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::EngineConfig;
use penstock_engine::alert::AlertKind;
use penstock_types::engine_view::{FsmState, Tier};

/// The defaults with one token, with four tiers and with five.
fn settings() -> [EngineConfig; 2] {
    let four = config(1);
    let mut five = four.clone();
    five.tier.compressed_enabled = true;
    [four, five]
}

fn walk(config: &EngineConfig, script: Vec<Segment>) -> Journal {
    let ticks = script.iter().map(|s| s.ticks).sum();
    run(config, &mut [Market::new(1, script, 7)], NOON, ticks, |_, _| {})
}

/// Seconds from the start of a script to the start of a segment.
fn start_of(script: &[Segment], segment: usize) -> u64 {
    script[..segment].iter().map(|s| s.ticks).sum::<u64>() / 4
}

/// States entered and the second of each entry.
fn entries(journal: &Journal) -> Vec<(FsmState, u64)> {
    token_steps(journal).into_iter().map(|(at, _, _, to, _)| (to, at / 4)).collect()
}

fn states(journal: &Journal) -> Vec<FsmState> {
    entries(journal).into_iter().map(|(state, _)| state).collect()
}

/// Cost at the last tick of a segment, in points.
fn last_cost(journal: &Journal, segment: usize) -> i32 {
    let of = |row: &&(usize, Tier, i32, FsmState)| row.0 == segment;
    journal.rows.iter().rev().find(of).unwrap().2 / 10_000
}

fn last_tier(journal: &Journal, segment: usize) -> Tier {
    journal.rows.iter().rev().find(|row| row.0 == segment).unwrap().1
}

#[test]
fn w1_a_market_walks_through_every_state_once() {
    for config in settings() {
        let script = w1();
        let journal = walk(&config, script.clone());
        let [pump, stacking, tension, cascade, dead] =
            [1, 2, 3, 4, 5].map(|segment| start_of(&script, segment));
        let entries = entries(&journal);
        let at = |state: FsmState| {
            let found: Vec<u64> =
                entries.iter().filter(|(to, _)| *to == state).map(|(_, at)| *at).collect();
            assert_eq!(found.len(), 1, "{state:?} is entered once");
            found[0]
        };
        assert_eq!(entries.len(), 6);
        assert!((pump + 5..pump + 30).contains(&at(FsmState::Pressure)));
        assert!((stacking + 30..stacking + 90).contains(&at(FsmState::Fragile)));
        assert!((tension + 3..tension + 15).contains(&at(FsmState::TriggerReady)));
        assert!((cascade + 2..cascade + 10).contains(&at(FsmState::Unwind)));
        assert!((dead..dead + 120).contains(&at(FsmState::Cooldown)));
        let rest = at(FsmState::Cooldown);
        assert!((rest + 300..=rest + 480).contains(&at(FsmState::Build)));
        // From the start to BUILD it takes 34 to 39 minutes.
        assert!((34 * 60..39 * 60).contains(&at(FsmState::Build)));
        // Calm, pump, stacking, tension: the market gets cheaper to break, and expensive again at the end.
        assert!(last_cost(&journal, 0) > 85);
        assert!((50..=80).contains(&last_cost(&journal, 1)));
        assert!((40..=55).contains(&last_cost(&journal, 2)));
        assert!((25..=40).contains(&last_cost(&journal, 3)));
        let entry = usize::try_from(at(FsmState::Unwind) * 4 + 8).unwrap();
        assert!(journal.rows[entry].2 < 200_000);
        assert!(last_cost(&journal, 6) > 80);
        let tiers = [0, 1, 2, 3, 4, 6].map(|segment| last_tier(&journal, segment));
        let (calm, wide, dense) = (Tier::Neutral, Tier::Expansion, Tier::Overleveraged);
        assert_eq!(tiers, [calm, wide, dense, dense, Tier::Exhausted, calm]);
        let kinds: Vec<AlertKind> = journal.alerts.iter().map(|alert| alert.kind).collect();
        assert_eq!(
            kinds,
            [
                AlertKind::StructuralBuild,
                AlertKind::StructuralFragile,
                AlertKind::StructuralTriggerReady,
                AlertKind::StructuralUnwind,
            ]
        );
    }
}

#[test]
fn w1_the_fifth_tier_changes_nothing_before_the_market_is_dead() {
    let [four, five] = settings().map(|config| walk(&config, w1()));
    let back = four.rows.iter().rposition(|row| row.3 != FsmState::Build).unwrap();
    assert_eq!(four.rows[..=back], five.rows[..=back]);
    assert_eq!(four.transitions, five.transitions);
    let spell = five.rows[back..].iter().filter(|row| row.1 == Tier::Compressed).count();
    assert!((4 * 30..4 * 240).contains(&spell), "{spell} ticks of COMPRESSED");
    assert!(four.rows.iter().all(|row| row.1 != Tier::Compressed));
}

#[test]
fn w2_a_pump_that_fades_is_released() {
    let script = vec![CALM, PUMP, Segment { ticks: 12 * MINUTE, ..CALM }];
    for config in settings() {
        let journal = walk(&config, script.clone());
        assert_eq!(states(&journal), [FsmState::Pressure, FsmState::Cooldown, FsmState::Build]);
        let fade = start_of(&script, 2);
        let (_, released) = entries(&journal)[1];
        assert!((fade + 60..fade + 110).contains(&released), "{}", released - fade);
        assert_eq!(token_steps(&journal)[1].4, "release");
        assert_eq!(token_steps(&journal)[2].4, "normalise");
    }
}

#[test]
fn w2b_stacking_that_fades_is_released() {
    let fade = [Segment { ticks: MINUTE, oi: 0, ..CALM }, Segment { ticks: 16 * MINUTE, ..CALM }];
    let script = vec![CALM, PUMP, STACKING, fade[0], fade[1]];
    for config in settings() {
        let journal = walk(&config, script.clone());
        let way = [FsmState::Pressure, FsmState::Fragile, FsmState::Cooldown, FsmState::Build];
        assert_eq!(states(&journal), way);
        let fade = start_of(&script, 3);
        let (_, released) = entries(&journal)[2];
        assert!((fade + 130..fade + 270).contains(&released), "{}", released - fade);
        assert_eq!(token_steps(&journal)[2].4, "release");
    }
}

#[test]
fn w3_one_large_liquidation_is_no_reason_to_move() {
    for config in settings() {
        assert_eq!(token_steps(&w3(&config)), []);
    }
}

/// Twelve hours of five streams of a regime, as five tokens that do not know each other; the bytes are pinned.
fn noise(name: &str, segment: Segment) {
    let hashes = [false, true].map(|compressed| {
        let mut config = config(5);
        config.tier.compressed_enabled = compressed;
        let mut markets: Vec<Market> =
            (1..=5_u16).map(|id| Market::new(id, vec![segment], u64::from(id) * 77)).collect();
        let journal = run(&config, &mut markets, NOON, segment.ticks, |_, _| {});
        assert_eq!(token_steps(&journal), []);
        digest(&journal)
    });
    assert_pinned(name, &hashes);
}

const HOURS_12: u64 = 12 * 60 * MINUTE;

#[test]
fn w4_noise_of_three_trades_per_tick_moves_nothing() {
    noise("w4 three trades a tick", Segment { ticks: HOURS_12, ..CALM });
}

#[test]
fn w4_noise_that_leans_to_buying_moves_nothing() {
    noise("w4 leaning to buying", Segment { ticks: HOURS_12, buys: 5_800, ..CALM });
}

#[test]
fn w4_thin_noise_moves_nothing() {
    noise("w4 thin", Segment { ticks: HOURS_12, every: 9, trades: 1, ..CALM });
}

#[test]
fn w4_very_thin_noise_moves_nothing() {
    noise("w4 very thin", Segment { ticks: HOURS_12, every: 61, trades: 1, ..CALM });
}
