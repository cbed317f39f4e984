//! When alerts are raised, and how often.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const BUCKET: u64 = BUCKET_TICKS;

fn tick(tick_id: u64, state: FsmState) -> TokenTick {
    TokenTick { tick_id, state, is_entry: false, cycle_id: 0, cost: 100_000, is_suppressed: false }
}

fn numbers() -> AlertNumbers {
    AlertNumbers::default()
}

#[test]
fn entering_a_state_raises_its_kind_once_per_cycle() {
    let mut alerts = TokenAlerts::default();
    let entry = |at, state, cycle_id| TokenTick { is_entry: true, cycle_id, ..tick(at, state) };
    let mut raise = |t: TokenTick| alerts.update(&numbers(), &t).unwrap().structural;
    assert_eq!(raise(entry(0, FsmState::Pressure, 0)), Some(AlertKind::StructuralBuild));
    assert_eq!(raise(tick(1, FsmState::Pressure)), None);
    assert_eq!(raise(entry(2, FsmState::Fragile, 0)), Some(AlertKind::StructuralFragile));
    assert_eq!(raise(entry(3, FsmState::TriggerReady, 0)), Some(AlertKind::StructuralTriggerReady));
    assert_eq!(raise(entry(4, FsmState::Unwind, 0)), Some(AlertKind::StructuralUnwind));
    assert_eq!(raise(entry(5, FsmState::Cooldown, 0)), None);
    assert_eq!(raise(entry(6, FsmState::Build, 1)), None);
    // The same kind again within a cycle, as a replay over a cut log would see it.
    assert_eq!(raise(entry(7, FsmState::Pressure, 1)), Some(AlertKind::StructuralBuild));
    assert_eq!(raise(entry(8, FsmState::Pressure, 1)), None);
}

#[test]
fn held_back_alerts_are_not_raised_later() {
    let mut alerts = TokenAlerts::default();
    let held = TokenTick { is_entry: true, is_suppressed: true, ..tick(0, FsmState::Fragile) };
    assert_eq!(alerts.update(&numbers(), &held).unwrap(), Raised::default());
    assert_eq!(alerts.update(&numbers(), &tick(1, FsmState::Fragile)).unwrap(), Raised::default());
}

/// Runs the last `ticks` ticks of a bucket, `fragile` of them in FRAGILE, and gives what its last tick raised.
fn quarter(ticks: u64, fragile: u64, cost: i32, last: FsmState) -> Option<Stable> {
    let mut alerts = TokenAlerts::default();
    let mut raised = Raised::default();
    for i in 0..ticks {
        let state = if i + 1 == ticks {
            last
        } else if i < fragile {
            FsmState::Fragile
        } else {
            FsmState::Pressure
        };
        let t = TokenTick { cost, ..tick(9 * BUCKET + BUCKET - ticks + i, state) };
        raised = alerts.update(&numbers(), &t).unwrap();
    }
    raised.stable
}

#[test]
fn a_stable_quarter_is_long_dominated_and_cheap() {
    let stable = quarter(3_600, 2_160, 400_000, FsmState::Pressure).unwrap();
    assert_eq!(
        stable,
        Stable {
            ticks: 3_600,
            dominant_ticks: 2_160,
            dominance_ratio: 6_000,
            avg_trigger_cost: 400_000,
            bucket_id: 9,
        }
    );
    assert_eq!(quarter(3_600, 2_159, 400_000, FsmState::Pressure), None);
    assert_eq!(quarter(3_600, 2_160, 400_001, FsmState::Pressure), None);
    assert_eq!(quarter(3_600, 3_000, 400_000, FsmState::Cooldown), None);
    assert!(quarter(3_240, 3_000, 1, FsmState::Fragile).is_some());
    assert_eq!(quarter(3_239, 3_000, 1, FsmState::Fragile), None);
}

#[test]
fn activity_counts_the_last_minute_with_this_tick() {
    let mut alerts = TokenAlerts::default();
    for at in 0..500 {
        let state = if at < 300 { FsmState::Pressure } else { FsmState::Cooldown };
        alerts.update(&numbers(), &tick(at, state)).unwrap();
        let want = match at {
            0..240 => at + 1,
            240..300 => 240,
            300..540 => 240 - (at - 299),
            _ => 0,
        };
        assert_eq!(u64::from(alerts.active_ticks()), want, "tick {at}");
    }
}

#[test]
fn a_cluster_is_reported_once_per_state_and_quarter() {
    let mut alerts = ClusterAlerts::default();
    let mut raised = Vec::new();
    for second in 0..2_000_u64 {
        let tick = second * 4;
        let state = match second {
            0..10 => ClusterState::Heating,
            10..400 => ClusterState::Fragile,
            400..410 => ClusterState::Unwind,
            410..500 => ClusterState::Cooldown,
            // Again within the same quarter.
            500..700 => ClusterState::Fragile,
            _ => ClusterState::Fragile,
        };
        if alerts.update(tick, state, second == 400) {
            raised.push((second, state));
        }
    }
    assert_eq!(
        raised,
        [
            (14, ClusterState::Fragile),
            (400, ClusterState::Unwind),
            (900, ClusterState::Fragile),
            (1_800, ClusterState::Fragile),
        ]
    );
}

proptest! {
    #[test]
    fn confidence_is_a_percentage(p in 0_i64..=1_000_000, c in 0_i64..=1_000_000, w in 0_i64..=1_000_000) {
        prop_assert!(confidence(&[40, 40, 20], p, c, w).unwrap() <= 100);
    }
}
