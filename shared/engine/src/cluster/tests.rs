//! Every pair of state and edge, breadth by phase and tier, persistence, freezing.

use super::*;
use std::vec::Vec;

fn member(state: FsmState) -> Member {
    Member { state, tier: Tier::Neutral, is_inactive: false, cost: 500_000 }
}

fn counts(members: &[Member]) -> Counts {
    members.iter().fold(Counts::default(), |counts, one| counts.with(one).unwrap())
}

/// Counts of `n` members of which the listed states stand out; the rest is in BUILD.
fn of(n: usize, states: &[(FsmState, usize)]) -> Counts {
    let mut members: Vec<Member> = Vec::new();
    for (state, count) in states {
        members.extend(std::iter::repeat_n(member(*state), *count));
    }
    members.resize(n, member(FsmState::Build));
    counts(&members)
}

/// Cluster ticks until the counts, held, move a cluster out of `state`; `None` within 200.
fn leaves(state: ClusterState, now: Counts) -> Option<(u64, ClusterMoved)> {
    let mut memory = ClusterMemory { state, previous_unwind: 99, ..ClusterMemory::new(0) };
    let config = ClusterConfig::default();
    (1..=200_u64).find_map(|n| {
        memory.update(&config, EventPhase::Mid, n * 4, now).unwrap().map(|moved| (n, moved))
    })
}

#[test]
fn only_the_edges_of_the_table_exist() {
    use {ClusterEdge as E, ClusterState as S};
    let table = [
        (S::Calm, E::Forward, S::Heating),
        (S::Heating, E::Forward, S::Fragile),
        (S::Heating, E::Release, S::Cooldown),
        (S::Fragile, E::Forward, S::Unwind),
        (S::Fragile, E::Release, S::Cooldown),
        (S::Unwind, E::Forward, S::Cooldown),
        (S::Cooldown, E::Normalise, S::Calm),
    ];
    let mut found = Vec::new();
    for state in ClusterState::ALL {
        for edge in ClusterEdge::ALL {
            if let Some(to) = next(*state, edge) {
                found.push((*state, edge, to));
            }
        }
    }
    assert_eq!(found, table);
    let mut memory = ClusterMemory::new(0);
    assert!(matches!(memory.take(E::Release, 4, 0), Err(LayerFault::Invariant(_))));
}

#[test]
fn breadth_and_persistence_move_a_cluster() {
    let s = FsmState::Fragile;
    // Ten members in the middle of an event: 5, 7, 6 of them are needed.
    let rows = [
        (ClusterState::Calm, of(10, &[(s, 5)]), Some(5), of(10, &[(s, 4)])),
        (
            ClusterState::Heating,
            of(10, &[(FsmState::TriggerReady, 7)]),
            Some(5),
            of(10, &[(FsmState::TriggerReady, 6)]),
        ),
        (
            ClusterState::Fragile,
            of(10, &[(FsmState::Unwind, 6)]),
            Some(1),
            of(10, &[(FsmState::Unwind, 5)]),
        ),
        (
            ClusterState::Unwind,
            of(10, &[(FsmState::Unwind, 5)]),
            Some(15),
            of(10, &[(FsmState::Unwind, 6)]),
        ),
        (
            ClusterState::Cooldown,
            of(10, &[(FsmState::Cooldown, 4)]),
            Some(60),
            of(10, &[(FsmState::Cooldown, 5)]),
        ),
    ];
    for (state, enough, want, short) in rows {
        assert_eq!(leaves(state, enough).map(|(n, _)| n), want, "{state:?}");
        assert_eq!(leaves(state, short), None, "{state:?}");
    }
}

#[test]
fn releases_take_a_minute_of_faded_breadth() {
    // Heating at ten members needs five: fewer than half of that is two.
    let (n, moved) = leaves(ClusterState::Heating, of(10, &[(FsmState::Fragile, 2)])).unwrap();
    assert_eq!((n, moved.edge), (60, ClusterEdge::Release));
    assert_eq!(leaves(ClusterState::Heating, of(10, &[(FsmState::Fragile, 3)])), None);
    let (n, moved) = leaves(ClusterState::Fragile, of(10, &[(FsmState::Fragile, 4)])).unwrap();
    assert_eq!((n, moved.edge, moved.reason_bits), (60, ClusterEdge::Release, 0b11));
    assert_eq!(leaves(ClusterState::Fragile, of(10, &[(FsmState::Fragile, 5)])), None);
    assert_eq!(leaves(ClusterState::Fragile, of(10, &[(FsmState::TriggerReady, 1)])), None);
}

#[test]
fn an_unwind_that_widens_again_starts_the_count_again() {
    let config = ClusterConfig::default();
    let mut memory = ClusterMemory { state: ClusterState::Unwind, ..ClusterMemory::new(0) };
    for n in 1..=60_u64 {
        let unwinding = if n % 15 == 0 { 5 } else { 4 };
        let now = of(10, &[(FsmState::Unwind, unwinding)]);
        assert_eq!(memory.update(&config, EventPhase::Mid, n * 4, now), Ok(None), "{n}");
    }
}

#[test]
fn too_few_active_members_freeze_everything_but_the_validity() {
    let config = ClusterConfig::default();
    let mut memory = ClusterMemory::new(0);
    let hot = of(2, &[(FsmState::Fragile, 2)]);
    for n in 1..=4 {
        memory.update(&config, EventPhase::Start, n * 4, hot).unwrap();
    }
    let before = memory;
    let silent = Member { is_inactive: true, ..member(FsmState::Fragile) };
    let alone = counts(&[member(FsmState::Fragile), silent]);
    assert_eq!(alone.n, 1);
    for n in 5..100 {
        assert_eq!(memory.update(&config, EventPhase::Start, n * 4, alone), Ok(None));
    }
    assert!(!memory.is_valid());
    assert_eq!(ClusterMemory { is_valid: true, ..memory }, before);
    // It goes on where it stood.
    assert!(memory.update(&config, EventPhase::Start, 400, hot).unwrap().is_some());
    let nobody = counts(&[silent, silent]);
    assert_eq!(memory.update(&config, EventPhase::Start, 404, nobody), Ok(None));
}

#[test]
fn tiers_of_half_the_members_move_the_thresholds() {
    let tiers = |tier, n| {
        let mut members = [member(FsmState::Build); 10];
        members.iter_mut().take(n).for_each(|one| one.tier = tier);
        counts(&members).adjustment()
    };
    assert_eq!(tiers(Tier::Overleveraged, 5), 9_000);
    assert_eq!(tiers(Tier::Overleveraged, 4), 10_000);
    assert_eq!(tiers(Tier::Exhausted, 5), 11_000);
    assert_eq!(tiers(Tier::Exhausted, 4), 10_000);
    // One token alone heats a cluster of two and never more, but in a dump.
    let th = |phase, adjustment| thresholds(2, phase, adjustment);
    for adjustment in [9_000, 10_000, 11_000] {
        for phase in EventPhase::ALL {
            assert_eq!(th(*phase, adjustment).fragile, 2);
        }
    }
    assert_eq!(th(EventPhase::End, 10_000).unwind, 1);
    assert_eq!(th(EventPhase::End, 11_000).unwind, 2);
    assert_eq!(th(EventPhase::Start, 10_000).heating, 1);
}

#[test]
fn heat_is_a_mean_over_the_active_members() {
    let heat = |states: &[FsmState]| {
        let members: Vec<Member> = states.iter().map(|state| member(*state)).collect();
        counts(&members).heat_score().unwrap()
    };
    assert_eq!(heat(&[FsmState::Build, FsmState::Build]), 0);
    assert_eq!(heat(&[FsmState::Unwind, FsmState::Unwind]), 1_000_000);
    assert_eq!(heat(&[FsmState::Pressure, FsmState::Fragile, FsmState::Cooldown]), 266_666);
    assert_eq!(heat(&[FsmState::TriggerReady, FsmState::Build]), 400_000);
}

#[test]
fn counts_are_cumulative_along_the_states() {
    let now = of(
        10,
        &[
            (FsmState::Pressure, 1),
            (FsmState::Fragile, 2),
            (FsmState::TriggerReady, 1),
            (FsmState::Unwind, 3),
            (FsmState::Cooldown, 1),
        ],
    );
    assert_eq!((now.n, now.fragile, now.ready, now.unwind), (10, 6, 4, 3));
    assert_eq!((now.base, now.build, now.stirred), (3, 2, 7));
    assert_eq!(now.stirred_cost, 3_500_000);
}

#[test]
fn a_state_means_what_the_table_says() {
    let row = |state| {
        let c = context(state);
        let ClusterContext { threshold_multiplier, trigger_cost_multiplier, .. } = c;
        (threshold_multiplier, trigger_cost_multiplier, c.systemic_alert_level, c.cluster_weight)
    };
    assert_eq!(row(ClusterState::Calm), (10_000, 10_000, 0, 0));
    assert_eq!(row(ClusterState::Heating), (9_000, 10_000, 1, 500_000));
    assert_eq!(row(ClusterState::Fragile), (8_000, 10_000, 2, 800_000));
    assert_eq!(row(ClusterState::Unwind), (8_000, 7_000, 3, 1_000_000));
    assert_eq!(row(ClusterState::Cooldown), (10_000, 10_000, 0, 200_000));
}
