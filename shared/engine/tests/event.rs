//! A scheduled event of two tokens: cluster, phase and systemic alerts along the walk of both, of one, and with
//! one that is silent.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::alert::{AlertBody, AlertKind};
use penstock_engine::config::EventConfig;
use penstock_engine::{EngineConfig, Transition};
use penstock_types::engine_view::{ClusterState, EventPhase, FsmState, TokenFlags};

const CLUSTER: u8 = 16;

/// Two tokens of a cluster whose event is in START throughout.
fn event_config(compressed: bool) -> EngineConfig {
    let mut config = config(2);
    config.tier.compressed_enabled = compressed;
    for token in &mut config.tokens {
        token.cluster = CLUSTER;
    }
    config.events.push(EventConfig {
        id: "listing".to_owned(),
        cluster: CLUSTER,
        prep: NOON - 2_000,
        start: NOON - 1_000,
        mid: NOON + 100_000,
        end: NOON + 200_000,
        post: NOON + 300_000,
    });
    config
}

/// B's script begins 20 s later: its calm is as much longer.
fn both() -> [Market; 2] {
    let mut later = w1();
    later[0].ticks += 80;
    [Market::new(1, w1(), 7), Market::new(2, later, 7)]
}

fn whole() -> u64 {
    w1().iter().map(|s| s.ticks).sum::<u64>() + 80
}

/// Second at which a token enters a state.
fn enters(journal: &Journal, token: u16, state: FsmState) -> u64 {
    let found = token_steps(journal).into_iter().find(|step| step.1 == token && step.3 == state);
    found.unwrap().0 / 4
}

/// States of the cluster, the second of each entry, and the way.
fn cluster_steps(journal: &Journal) -> Vec<(ClusterState, u64, &'static str)> {
    let mut steps = Vec::new();
    for transition in &journal.transitions {
        if let Transition::Cluster(t) = transition {
            assert_eq!(t.tick_id % 4, 0, "a cluster moves on cluster ticks only");
            steps.push((t.to, (t.tick_id - journal.first_tick) / 4, t.edge.name()));
        }
    }
    steps
}

fn phase_steps(journal: &Journal) -> Vec<(EventPhase, u64, &'static str)> {
    let mut steps = Vec::new();
    for transition in &journal.transitions {
        if let Transition::Phase(t) = transition {
            steps.push((t.to, (t.tick_id - journal.first_tick) / 4, t.cause.name()));
        }
    }
    steps
}

#[track_caller]
fn near(got: u64, want: u64) {
    assert!(got.abs_diff(want) <= 1, "at {got} s, expected {want} s");
}

#[test]
fn w5_two_tokens_that_break_make_a_systemic_event() {
    for compressed in [false, true] {
        let journal = run(&event_config(compressed), &mut both(), NOON, whole(), |_, _| {});
        let steps = cluster_steps(&journal);
        let states: Vec<ClusterState> = steps.iter().map(|step| step.0).collect();
        let order = [
            ClusterState::Heating,
            ClusterState::Fragile,
            ClusterState::Unwind,
            ClusterState::Cooldown,
            ClusterState::Calm,
        ];
        assert_eq!(states, order);
        near(steps[0].1, enters(&journal, 1, FsmState::Fragile) + 5);
        near(steps[1].1, enters(&journal, 2, FsmState::TriggerReady) + 5);
        near(steps[2].1, enters(&journal, 2, FsmState::Unwind));
        let first_out =
            enters(&journal, 1, FsmState::Cooldown).min(enters(&journal, 2, FsmState::Cooldown));
        near(steps[3].1, first_out + 15);
        let both_back =
            enters(&journal, 1, FsmState::Build).max(enters(&journal, 2, FsmState::Build));
        near(steps[4].1, both_back + 60);

        let phases = phase_steps(&journal);
        assert_eq!(phases.len(), 3);
        assert_eq!((phases[0].0, phases[0].2), (EventPhase::Mid, "collapse"));
        assert_eq!((phases[1].0, phases[1].2), (EventPhase::End, "collapse"));
        near(phases[1].1, steps[2].1 + 10);
        assert_eq!((phases[2].0, phases[2].2), (EventPhase::Post, "post_collapse"));
        near(phases[2].1, both_back + 20);

        let systemic: Vec<_> =
            journal.alerts.iter().filter(|a| a.kind == AlertKind::Systemic).collect();
        let mut keys: Vec<_> =
            systemic.iter().map(|a| (a.cluster_state, a.tick_id / 3_600)).collect();
        assert!(keys.len() >= 2);
        keys.dedup();
        assert_eq!(keys.len(), systemic.len(), "one per state and quarter of an hour");
        assert!(systemic.iter().all(|a| a.body == AlertBody::Cluster { affected: 2, total: 2 }));
        // Every member's record says so.
        for alert in systemic {
            let at = usize::try_from(alert.tick_id - NOON).unwrap();
            for record in &journal.records[at * 2..at * 2 + 2] {
                let record = penstock_engine::record::Record::decode(record).unwrap();
                assert_eq!(
                    record.alert_mask & AlertKind::Systemic.bit(),
                    AlertKind::Systemic.bit()
                );
            }
        }
    }
}

#[test]
fn w5b_one_token_alone_heats_a_cluster_and_nothing_more() {
    for compressed in [false, true] {
        let [a, _] = both();
        let calm = Market::new(2, vec![Segment { ticks: whole(), ..CALM }], 9);
        let mut markets = [a, calm];
        let journal = run(&event_config(compressed), &mut markets, NOON, whole(), |_, _| {});
        let steps = cluster_steps(&journal);
        let states: Vec<_> = steps.iter().map(|step| (step.0, step.2)).collect();
        let order = [
            (ClusterState::Heating, "forward"),
            (ClusterState::Cooldown, "release"),
            (ClusterState::Calm, "normalise"),
        ];
        assert_eq!(states, order);
        near(steps[1].1, enters(&journal, 1, FsmState::Cooldown) + 60);
        assert!(journal.alerts.iter().all(|alert| alert.kind != AlertKind::Systemic));
        assert_eq!(phase_steps(&journal), []);
    }
}

#[test]
fn w5c_a_silent_token_freezes_the_cluster_and_not_its_partner() {
    let calm_secs = CALM.ticks - 1_600;
    let mut silenced = both();
    let quiet = run(&event_config(false), &mut silenced, NOON, whole(), |at, markets| {
        markets[1].silent = at >= calm_secs;
    });
    let alone = run(&event_config(false), &mut both(), NOON, whole(), |_, _| {});
    assert_eq!(cluster_steps(&quiet), []);
    let of_a = |journal: &Journal| -> Vec<_> {
        token_steps(journal).into_iter().filter(|step| step.1 == 1).collect()
    };
    assert_eq!(of_a(&quiet), of_a(&alone));
    assert_eq!(of_a(&quiet).len(), 6);
    let last = penstock_engine::record::Record::decode(quiet.records.last().unwrap()).unwrap();
    assert!(last.flags.contains(TokenFlags::INACTIVE));
    assert_eq!(last.cluster_state, ClusterState::Calm);
}
