//! No constant is dead: a change of a twentieth of any number of the configuration changes the bytes of a walk,
//! or it is listed here with the reason why the walks do not reach it and where a test stands at its bounds.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::config::{Class, EventConfig, Field, Profile};
use penstock_engine::{Engine, EngineConfig, FrameView};
use penstock_types::frame::{FrameEvent, FrameFlags};

/// Beginnings of the paths that are left out, and where a test stands at their bounds instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("gap_fill_max_ticks", "read between ticks; the proof of gaps"),
    ("snapshot_every_ticks", "read between ticks"),
    ("class.", "resolved into the tokens before the engine is made"),
    ("stale.", "the walks have fresh data; tests of the features"),
    ("base.", "the walks trade above the floors; tests of the features"),
    ("alerts.", "no quarter of an hour of the walks is stable; tests of the alerts"),
    ("phase.collapse_ratio", "a share of two members does not move; tests of the phases"),
    ("phase.post_ratio", "a share of two members does not move; tests of the phases"),
    ("cluster.release", "no breadth fades in the walks; tests of the clusters"),
    ("fsm.rebuild.", "no walk stacks again; tests of the token states"),
    ("fsm.release.pressure", "no pump of these walks is released; walk W2"),
    ("fsm.release.ready", "no walk fizzles that late; tests of the token states"),
    ("fsm.t1", "the cost comes after it in the walks; tests of the token states"),
    ("fsm.u_hard", "the cost comes before it in the walks; tests of the token states"),
    ("score.divergence.basis.", "the walks have one basis; tests of the cost"),
    ("score.divergence.mark.hi", "beyond its end in the walks; tests of the cost"),
    ("score.fragile.mark.hi", "beyond its end in the walks; tests of the cost"),
    ("score.elasticity.spread.", "outside its ramp in the walks; tests of the cost"),
    ("score.fragile.liq_imbalance.", "all or nothing in the walks"),
    ("tier.", "the walks cross bounds with room to spare; tests of the tiers stand at every one"),
];

/// A derivative and a spot-only token walk, a third fizzles, a fourth follows the first in its event.
fn market() -> (EngineConfig, Vec<Vec<FrameEvent>>) {
    let mut config = config(4);
    config.tier.compressed_enabled = true;
    let spot = config.token(2, "T2", Class::Mspc, Profile::SpotOnly, spot_only());
    config.tokens[1] = spot;
    for at in [0, 3] {
        config.tokens[at].cluster = 16;
    }
    config.events.push(EventConfig {
        id: "e".to_owned(),
        cluster: 16,
        prep: NOON,
        start: NOON + 1,
        mid: NOON + 100_000,
        end: NOON + 100_001,
        post: NOON + 100_002,
    });
    let mut later = w1();
    later[0].ticks += 80;
    let fizzle = vec![CALM, PUMP, STACKING, Segment { ticks: 40 * MINUTE, ..CALM }];
    let mut markets = [
        Market::new(1, w1(), 7),
        Market::spot(2, w1(), 7),
        Market::new(3, fizzle, 9),
        Market::new(4, later, 7),
    ];
    let frames = (NOON..NOON + 12_000)
        .map(|tick| {
            let mut events = Vec::new();
            markets.iter_mut().for_each(|market| market.tick(tick, &mut events));
            events
        })
        .collect();
    (config, frames)
}

/// What a tick says but for the chain, which begins with the configuration's hash.
type Said = (Vec<[u8; 64]>, Vec<u8>);

/// Runs the frames until `judge` has seen enough; true when it has.
fn run_until(
    config: &EngineConfig,
    frames: &[Vec<FrameEvent>],
    mut judge: impl FnMut(usize, Said) -> bool,
) -> bool {
    let mut engine = Engine::new(config).unwrap_or_else(|error| panic!("{error}"));
    let mut out = engine.output();
    (NOON..).zip(frames).enumerate().any(|(at, (tick_id, events))| {
        let frame = FrameView { tick_id, flags: FrameFlags(0), is_gap_fill: false, events };
        engine.step(&frame, &mut out).unwrap();
        let confidences = out.alerts.iter().map(|alert| alert.confidence).collect();
        judge(at, (out.records.clone(), confidences))
    })
}

/// Every fourth key from `part` on.
fn judge(part: usize) {
    let (config, frames) = market();
    let mut plain = Vec::new();
    run_until(&config, &frames, |_, said| {
        plain.push(said);
        false
    });
    let mut paths = Vec::new();
    config.clone().visit(&mut |path, field| {
        let is_here = !ELSEWHERE.iter().any(|(start, _)| path.starts_with(start));
        if let Field::Int { value, .. } = field
            && is_here
        {
            paths.push((path.to_owned(), *value));
        }
    });
    assert!(paths.len() > 120, "{}", paths.len());
    let mut dead = Vec::new();
    for (path, value) in paths.into_iter().skip(part).step_by(4) {
        let change = (value.abs() / 20).max(1);
        let shows = [value + change, value - change].into_iter().any(|new| {
            let mut changed = config.clone();
            assert!(changed.set(&path, new));
            // Tokens have taken their thresholds from here.
            for token in &mut changed.tokens {
                token.fsm = changed.fsm;
            }
            changed.check().is_ok() && run_until(&changed, &frames, |at, said| said != plain[at])
        });
        if !shows {
            dead.push(path);
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn d26_a_twentieth_of_a_number_shows_in_a_walk_first_quarter() {
    judge(0);
}

#[test]
fn d26_a_twentieth_of_a_number_shows_in_a_walk_second_quarter() {
    judge(1);
}

#[test]
fn d26_a_twentieth_of_a_number_shows_in_a_walk_third_quarter() {
    judge(2);
}

#[test]
fn d26_a_twentieth_of_a_number_shows_in_a_walk_fourth_quarter() {
    judge(3);
}
