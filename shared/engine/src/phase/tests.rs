//! The schedule, its overrides, the next event.

use super::*;
use crate::cluster::{Counts, Member};
use penstock_types::engine_view::{FsmState, Tier};
use std::string::ToString;
use std::vec;
use std::vec::Vec;

fn event(id: &str, prep: u64) -> EventConfig {
    let id = id.to_string();
    let (start, mid, end, post) = (prep + 100, prep + 200, prep + 300, prep + 400);
    EventConfig { id, cluster: 16, prep, start, mid, end, post }
}

fn schedule() -> Schedule {
    let other = EventConfig { cluster: 17, ..event("other", 0) };
    Schedule::of_cluster(16, &[event("a", 1_000), event("b", 2_000), other])
}

/// A cluster of ten in a state, `unwind` of them in UNWIND and `build` in BUILD.
fn cluster(state: ClusterState, unwind: usize, build: usize) -> ClusterMemory {
    let member = |state| Member { state, tier: Tier::Neutral, is_inactive: false, cost: 0 };
    let mut members = vec![member(FsmState::Unwind); unwind];
    members.extend(vec![member(FsmState::Build); build]);
    members.resize(10, member(FsmState::Cooldown));
    let counts = members.iter().fold(Counts::default(), |sum, one| sum.with(one).unwrap());
    ClusterMemory::at(state, counts)
}

/// Runs ticks and gives every change.
fn run(
    memory: &mut PhaseMemory,
    ticks: core::ops::Range<u64>,
    cluster: &ClusterMemory,
) -> Vec<(u64, EventPhase, EventPhase, PhaseCause)> {
    let mut changes = Vec::new();
    for tick in ticks {
        let moved = memory.update(&PhaseConfig::default(), &schedule(), tick, cluster).unwrap();
        if let Some(moved) = moved {
            changes.push((tick, moved.from, moved.to, moved.cause));
        }
    }
    changes
}

#[test]
fn every_phase_has_one_that_follows_but_the_last() {
    let all: Vec<_> = EventPhase::ALL.iter().map(|phase| next(*phase)).collect();
    use EventPhase as P;
    assert_eq!(all, [Some(P::Start), Some(P::Mid), Some(P::End), Some(P::Post), None]);
}

#[test]
fn time_alone_walks_through_two_events() {
    use {EventPhase as P, PhaseCause as C};
    let calm = cluster(ClusterState::Calm, 0, 10);
    let mut memory = PhaseMemory::new(&schedule(), 900);
    assert_eq!(memory.phase(), P::Prep);
    assert_eq!(
        run(&mut memory, 900..2_450, &calm),
        [
            (1_100, P::Prep, P::Start, C::Time),
            (1_200, P::Start, P::Mid, C::Time),
            (1_300, P::Mid, P::End, C::Time),
            (1_400, P::End, P::Post, C::Time),
            (2_000, P::Post, P::Prep, C::NextEvent),
            (2_100, P::Prep, P::Start, C::Time),
            (2_200, P::Start, P::Mid, C::Time),
            (2_300, P::Mid, P::End, C::Time),
            (2_400, P::End, P::Post, C::Time),
        ]
    );
}

#[test]
fn an_engine_that_begins_inside_an_event_begins_in_its_phase() {
    let at = |tick| PhaseMemory::new(&schedule(), tick).phase();
    let phases = [0, 1_000, 1_100, 1_250, 1_399, 1_400, 1_999, 2_000, 2_150, 9_000].map(at);
    use EventPhase as P;
    assert_eq!(
        phases,
        [P::Prep, P::Prep, P::Start, P::Mid, P::End, P::Post, P::Post, P::Prep, P::Start, P::Post]
    );
}

#[test]
fn without_a_schedule_the_phase_is_the_middle_for_ever() {
    let none = Schedule::of_cluster(1, &[event("a", 1_000)]);
    let mut memory = PhaseMemory::new(&none, 0);
    let collapse = cluster(ClusterState::Unwind, 10, 0);
    for tick in 0..500 {
        assert_eq!(memory.update(&PhaseConfig::default(), &none, tick, &collapse), Ok(None));
    }
    assert_eq!((memory.phase(), memory.is_overridden()), (EventPhase::Mid, false));
}

#[test]
fn a_collapse_leads_to_the_end_in_single_steps_and_its_calm_to_post() {
    use {EventPhase as P, PhaseCause as C};
    let mut memory = PhaseMemory::new(&schedule(), 1_100);
    // Six of ten are a collapse, five are not; ten cluster ticks are long enough, nine are not.
    let narrow = cluster(ClusterState::Unwind, 5, 0);
    assert_eq!(run(&mut memory, 1_100..1_120, &narrow), []);
    let wide = cluster(ClusterState::Unwind, 6, 0);
    assert_eq!(run(&mut memory, 1_120..1_156, &wide), []);
    let steps = run(&mut memory, 1_156..1_160, &wide);
    assert_eq!(
        steps,
        [(1_156, P::Start, P::Mid, C::Collapse), (1_157, P::Mid, P::End, C::Collapse)]
    );
    assert!(memory.is_overridden());
    let early = cluster(ClusterState::Cooldown, 0, 6);
    assert_eq!(run(&mut memory, 1_160..1_180, &early), []);
    let over = cluster(ClusterState::Cooldown, 0, 7);
    let steps = run(&mut memory, 1_180..1_290, &over);
    assert_eq!(steps, [(1_256, P::End, P::Post, C::PostCollapse)]);
    assert!(memory.is_overridden());
    // The schedule catches up, and the next event begins as if nothing had been.
    assert_eq!(run(&mut memory, 1_290..1_410, &over), []);
    assert!(!memory.is_overridden());
    let steps = run(&mut memory, 1_410..2_101, &over);
    assert_eq!(
        steps,
        [(2_000, P::Post, P::Prep, C::NextEvent), (2_100, P::Prep, P::Start, C::Time)]
    );
}

#[test]
fn overrides_count_only_where_they_are_allowed() {
    let wide = cluster(ClusterState::Unwind, 10, 0);
    let mut memory = PhaseMemory::new(&schedule(), 1_000);
    // In PREP nothing is counted: START comes on time and the count begins there.
    let steps = run(&mut memory, 1_000..1_141, &wide);
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert_eq!((steps[0].0, steps[0].3), (1_100, PhaseCause::Time));
    assert_eq!((steps[1].0, steps[1].3), (1_140, PhaseCause::Collapse));
    // The calm of a collapse counts in END alone.
    let over = cluster(ClusterState::Cooldown, 0, 10);
    let mut memory = PhaseMemory::new(&schedule(), 1_100);
    assert_eq!(run(&mut memory, 1_100..1_199, &over), []);
    // An invalid cluster is no evidence.
    let invalid = ClusterMemory::new(0);
    let mut memory = PhaseMemory::new(&schedule(), 1_100);
    assert_eq!(run(&mut memory, 1_100..1_199, &invalid), []);
}

#[test]
fn event_and_phase_only_grow() {
    let clusters = [
        cluster(ClusterState::Unwind, 8, 0),
        cluster(ClusterState::Cooldown, 0, 9),
        cluster(ClusterState::Calm, 0, 10),
    ];
    let mut seed = 1_u64;
    for _ in 0..50 {
        let mut memory = PhaseMemory::new(&schedule(), 950);
        let mut last = (memory.event_index, memory.phase());
        for tick in 950..2_500 {
            if tick % 50 == 0 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            }
            let at = usize::try_from(seed >> 33).unwrap() % 3;
            let moved =
                memory.update(&PhaseConfig::default(), &schedule(), tick, &clusters[at]).unwrap();
            let now = (memory.event_index, memory.phase());
            assert_eq!(moved.is_some(), now != last);
            assert!(now >= last, "{last:?} to {now:?}");
            last = now;
        }
    }
}
