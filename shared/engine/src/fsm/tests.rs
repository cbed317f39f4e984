//! Every pair of state and edge, every threshold just below, at and above it, and random walks.

use super::*;
use crate::config::Profile;
use penstock_types::engine_view::Scores;
use proptest::prelude::*;
use std::vec::Vec;

fn numbers() -> FsmNumbers {
    FsmNumbers::default()
}

/// Nothing happens: scores 0, cost 100, the ordinary tier.
fn quiet(tick_id: u64) -> FsmInput {
    FsmInput {
        tick_id,
        profile: Profile::Deriv,
        scores: Scores::default(),
        cost: 1_000_000,
        threshold_multiplier: 10_000,
        oi_velocity: 0,
        is_oi_stale: false,
    }
}

/// Ticks until the input, held, moves a token out of `state`, and how; `None` within 2,000 ticks.
fn leaves(state: FsmState, input: FsmInput) -> Option<(u64, Moved)> {
    let mut memory = FsmMemory::in_state(state, 1_000_000, 7);
    (1..=2_000_u64).find_map(|n| {
        let input = FsmInput { tick_id: 1_000_000 + n, ..input };
        memory.update(&numbers(), true, &input).unwrap().map(|moved| (n, moved))
    })
}

#[test]
fn only_the_edges_of_the_table_exist() {
    use {Edge as E, FsmState as S};
    let table = [
        (S::Build, E::Forward, S::Pressure),
        (S::Pressure, E::Forward, S::Fragile),
        (S::Pressure, E::Release, S::Cooldown),
        (S::Fragile, E::Forward, S::TriggerReady),
        (S::Fragile, E::Release, S::Cooldown),
        (S::TriggerReady, E::Forward, S::Unwind),
        (S::TriggerReady, E::Release, S::Cooldown),
        (S::Unwind, E::Forward, S::Cooldown),
        (S::Cooldown, E::Normalise, S::Build),
        (S::Cooldown, E::Rebuild, S::Build),
    ];
    let mut found = Vec::new();
    for state in FsmState::ALL {
        for edge in Edge::ALL {
            if let Some(to) = next(*state, edge) {
                found.push((*state, edge, to));
            }
        }
    }
    assert_eq!(found, table);
    // An impossible pair is an error where it would be taken.
    let mut memory = FsmMemory::in_state(S::Build, 0, 0);
    assert!(matches!(memory.take(E::Release, 1, 0), Err(LayerFault::Invariant(_))));
}

#[test]
fn forward_conditions_hold_from_their_threshold_on_and_for_their_ticks() {
    let s = |pressure, fragile, trigger, unwind| Scores { pressure, fragile, trigger, unwind };
    let hot = FsmInput { cost: 0, ..quiet(0) };
    // State, input at the threshold, input just below it, ticks.
    let rows = [
        (FsmState::Build, s(400_000, 0, 0, 0), s(399_999, 0, 0, 0), 20),
        (FsmState::Pressure, s(400_000, 450_000, 0, 0), s(400_000, 449_999, 0, 0), 40),
        (FsmState::Fragile, s(0, 450_000, 500_000, 0), s(0, 450_000, 499_999, 0), 12),
        (FsmState::TriggerReady, s(0, 0, 500_000, 500_000), s(0, 0, 500_000, 499_999), 2),
    ];
    for (state, at, below, ticks) in rows {
        let (n, moved) = leaves(state, FsmInput { scores: at, ..hot }).unwrap();
        assert_eq!((n, moved.edge, moved.cycle_id), (ticks, Edge::Forward, 7), "{state:?}");
        assert_eq!(leaves(state, FsmInput { scores: below, ..hot }), None, "{state:?}");
    }
}

#[test]
fn costs_gate_the_way_on() {
    let scores = Scores { pressure: 400_000, fragile: 450_000, trigger: 500_000, unwind: 500_000 };
    for (state, gate) in [
        (FsmState::Pressure, 600_000),
        (FsmState::Fragile, 400_000),
        (FsmState::TriggerReady, 200_000),
    ] {
        let at = |cost| leaves(state, FsmInput { scores, cost, ..quiet(0) });
        assert_eq!(at(gate).unwrap().1.edge, Edge::Forward, "{state:?}");
        assert_eq!(at(gate + 1), None, "{state:?}");
    }
    // A hard unwind needs no cheap cost, and the bits say which part held.
    let hard = |unwind| {
        let scores = Scores { unwind, ..scores };
        leaves(FsmState::TriggerReady, FsmInput { scores, cost: 200_001, ..quiet(0) })
    };
    assert_eq!(hard(750_000).unwrap().1.reason_bits, 0b101);
    assert_eq!(hard(749_999), None);
}

#[test]
fn releases_take_half_the_level_and_many_times_the_ticks() {
    let s = |pressure, fragile, trigger, unwind| Scores { pressure, fragile, trigger, unwind };
    let rows = [
        (FsmState::Pressure, s(200_000, 225_000, 0, 0), s(200_001, 225_000, 0, 0), 240),
        (FsmState::Fragile, s(0, 225_000, 0, 0), s(0, 225_001, 0, 0), 480),
        (FsmState::TriggerReady, s(0, 0, 250_000, 250_000), s(0, 0, 250_001, 250_000), 240),
    ];
    for (state, at, above, ticks) in rows {
        let (n, moved) = leaves(state, FsmInput { scores: at, ..quiet(0) }).unwrap();
        assert_eq!((n, moved.edge, moved.to), (ticks, Edge::Release, FsmState::Cooldown));
        assert_eq!(leaves(state, FsmInput { scores: above, ..quiet(0) }), None, "{state:?}");
    }
    let fragile = FsmInput { scores: s(200_000, 225_001, 0, 0), ..quiet(0) };
    assert_eq!(leaves(FsmState::Pressure, fragile), None);
    let unwinding = FsmInput { scores: s(0, 0, 250_000, 250_001), ..quiet(0) };
    assert_eq!(leaves(FsmState::TriggerReady, unwinding), None);
}

#[test]
fn an_unwind_ends_when_it_is_calm_and_open_interest_stands_still_or_is_unknown() {
    let scores = Scores { unwind: 200_000, ..Scores::default() };
    let at = |scores, oi_velocity, is_oi_stale, profile| {
        let input = FsmInput { scores, oi_velocity, is_oi_stale, profile, ..quiet(0) };
        leaves(FsmState::Unwind, input).map(|(n, moved)| (n, moved.reason_bits))
    };
    let loud = Scores { unwind: 200_001, ..scores };
    assert_eq!(at(scores, -1_000, false, Profile::Deriv), Some((80, 0b011)));
    assert_eq!(at(scores, -1_001, false, Profile::Deriv), None);
    assert_eq!(at(scores, 1_001, true, Profile::Deriv), Some((80, 0b101)));
    assert_eq!(at(loud, 0, false, Profile::Deriv), None);
    assert_eq!(at(scores, 5_000, false, Profile::SpotOnly), Some((80, 0b1)));
}

#[test]
fn cooldown_ends_with_normal_evidence_or_with_renewed_stacking() {
    let at = |pressure, fragile, unwind, oi_velocity| {
        let scores = Scores { pressure, fragile, trigger: 0, unwind };
        let input = FsmInput { scores, oi_velocity, ..quiet(0) };
        leaves(FsmState::Cooldown, input).map(|(n, moved)| (n, moved.edge))
    };
    assert_eq!(at(400_000, 270_000, 200_000, 1), Some((1_200, Edge::Normalise)));
    assert_eq!(at(0, 270_001, 0, 0), None);
    assert_eq!(at(0, 0, 200_001, 0), None);
    // Stacking counts from the 1,200th tick of the state on, for 240 ticks.
    assert_eq!(at(400_001, 0, 0, 1), Some((1_439, Edge::Rebuild)));
    assert_eq!(at(400_001, 0, 0, 0), None);
    let mut memory = FsmMemory::in_state(FsmState::Cooldown, 0, 7);
    for tick in 1..=1_200 {
        memory.update(&numbers(), true, &quiet(tick)).unwrap();
    }
    assert_eq!((memory.state(), memory.cycle_id()), (FsmState::Build, 8));
}

#[test]
fn without_releases_six_edges_are_left() {
    let mut ring = FsmMemory::in_state(FsmState::Pressure, 0, 0);
    for tick in 1..=3_000 {
        assert_eq!(ring.update(&numbers(), false, &quiet(tick)), Ok(None));
    }
    let stacking = Scores { pressure: 1_000_000, ..Scores::default() };
    let mut rest = FsmMemory::in_state(FsmState::Cooldown, 0, 0);
    for tick in 1..=3_000 {
        let input = FsmInput { scores: stacking, oi_velocity: 9, ..quiet(tick) };
        assert_eq!(rest.update(&numbers(), false, &input), Ok(None));
    }
}

#[test]
fn tiers_scale_thresholds_on_both_sides() {
    let at = |state, threshold_multiplier, pressure| {
        let scores = Scores { pressure, ..Scores::default() };
        leaves(state, FsmInput { scores, threshold_multiplier, ..quiet(0) }).map(|(n, _)| n)
    };
    assert_eq!(at(FsmState::Build, 8_500, 340_000), Some(20));
    assert_eq!(at(FsmState::Build, 8_500, 339_999), None);
    assert_eq!(at(FsmState::Pressure, 12_000, 240_000), Some(240));
    assert_eq!(at(FsmState::Pressure, 12_000, 240_001), None);
}

#[test]
fn one_tick_without_the_condition_starts_the_count_again() {
    let mut memory = FsmMemory::in_state(FsmState::Build, 0, 0);
    let hot = Scores { pressure: 400_000, ..Scores::default() };
    for tick in 1..=60 {
        let scores = if tick % 20 == 0 { Scores::default() } else { hot };
        let moved = memory.update(&numbers(), true, &FsmInput { scores, ..quiet(tick) });
        assert_eq!(moved, Ok(None), "tick {tick}");
    }
}

#[test]
fn forward_comes_before_release() {
    // An unwind that is hard while the trigger has faded: both ways are open in the same tick.
    let mut n = numbers();
    (n.hu, n.release_ready, n.t1, n.u1) = (1, 1, 500_000, 0);
    let mut memory = FsmMemory::in_state(FsmState::TriggerReady, 0, 0);
    let input = FsmInput { cost: 0, ..quiet(1) };
    let moved = memory.update(&n, true, &input).unwrap().unwrap();
    assert_eq!((moved.edge, moved.to), (Edge::Forward, FsmState::Unwind));
}

/// Edges that a scan of records accepts.
fn is_edge(from: FsmState, to: FsmState) -> bool {
    Edge::ALL.into_iter().any(|edge| next(from, edge) == Some(to))
}

proptest! {
    #[test]
    fn random_evidence_walks_along_edges_only(
        steps in proptest::collection::vec(
            (0_i32..=1_000_000, 0_i32..=1_000_000, 0_i32..=1_000_000, 0_i32..=1_000_000, 0_i32..=1_000_000,
             8_000_i64..=12_000, -5_000_i64..5_000, any::<bool>(), 1_usize..400), 1..60),
        release in any::<bool>(),
    ) {
        let mut memory = FsmMemory::new(0);
        let mut tick = 0;
        let (mut state, mut cycle) = (memory.state(), memory.cycle_id());
        for (pressure, fragile, trigger, unwind, cost, multiplier, oi_velocity, stale, n) in steps {
            for _ in 0..n {
                tick += 1;
                let input = FsmInput {
                    scores: Scores { pressure, fragile, trigger, unwind },
                    cost,
                    threshold_multiplier: multiplier,
                    oi_velocity,
                    is_oi_stale: stale,
                    ..quiet(tick)
                };
                let moved = memory.update(&numbers(), release, &input).unwrap();
                prop_assert_eq!(moved.is_some(), memory.state() != state);
                if let Some(moved) = moved {
                    prop_assert!(is_edge(state, memory.state()));
                    prop_assert!(moved.reason_bits != 0);
                    prop_assert!(memory.state() == FsmState::Build || memory.state() > state);
                    prop_assert_eq!(memory.state_enter_tick(), tick);
                    let closed = u32::from(memory.state() == FsmState::Build);
                    prop_assert_eq!(memory.cycle_id(), cycle + closed);
                }
                (state, cycle) = (memory.state(), memory.cycle_id());
            }
        }
    }
}
