//! The bytes of every walk, pinned: a number that changes here changes what everybody has published.
//!
//! With four tiers and with five; the noise of twelve hours is pinned where it is run.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::EngineConfig;
use penstock_engine::config::{Class, EventConfig, Profile};

/// Judges a walk with four tiers and with five.
#[track_caller]
fn pinned(name: &str, config: EngineConfig, walk: impl Fn(&EngineConfig) -> Journal) {
    let hashes = [false, true].map(|compressed| {
        let mut config = config.clone();
        config.tier.compressed_enabled = compressed;
        digest(&walk(&config))
    });
    assert_pinned(name, &hashes);
}

fn alone(script: &[Segment]) -> impl Fn(&EngineConfig) -> Journal {
    let script = script.to_vec();
    move |config| {
        let ticks = script.iter().map(|s| s.ticks).sum();
        run(config, &mut [Market::new(1, script.clone(), 7)], NOON, ticks, |_, _| {})
    }
}

/// Two tokens of an event in START throughout.
fn event_config() -> EngineConfig {
    let mut config = config(2);
    config.tokens.iter_mut().for_each(|token| token.cluster = 16);
    config.events.push(EventConfig {
        id: "listing".to_owned(),
        cluster: 16,
        prep: NOON - 2_000,
        start: NOON - 1_000,
        mid: NOON + 100_000,
        end: NOON + 200_000,
        post: NOON + 300_000,
    });
    config
}

/// Both tokens walk, the second 20 s behind the first; `change` may alter the second.
fn two(change: fn(&mut Market, u64)) -> impl Fn(&EngineConfig) -> Journal {
    move |config| {
        let mut later = w1();
        later[0].ticks += 80;
        let mut markets = [Market::new(1, w1(), 7), Market::new(2, later, 7)];
        run(config, &mut markets, NOON, 12_000, |at, markets| change(&mut markets[1], at))
    }
}

#[test]
fn w1_has_the_pinned_bytes() {
    pinned("w1", config(1), alone(&w1()));
    let mut spot = EngineConfig::default();
    spot.tokens.push(spot.token(1, "T1", Class::Mspc, Profile::SpotOnly, spot_only()));
    pinned("w1 spot only", spot, |config| {
        run(config, &mut [Market::spot(1, w1(), 7)], NOON, 7_000, |_, _| {})
    });
}

#[test]
fn w2_has_the_pinned_bytes() {
    let fade = |minutes| Segment { ticks: minutes * MINUTE, ..CALM };
    pinned("w2", config(1), alone(&[CALM, PUMP, fade(12)]));
    pinned("w2b", config(1), alone(&[CALM, PUMP, STACKING, fade(20)]));
}

#[test]
fn w3_has_the_pinned_bytes() {
    pinned("w3", config(1), w3);
}

#[test]
fn w5_has_the_pinned_bytes() {
    pinned("w5", event_config(), two(|_, _| {}));
    pinned("w5b", event_config(), |config| {
        let calm = Market::new(2, vec![Segment { ticks: 12_000, ..CALM }], 9);
        run(config, &mut [Market::new(1, w1(), 7), calm], NOON, 12_000, |_, _| {})
    });
    pinned("w5c", event_config(), two(|market, at| market.silent = at >= CALM.ticks - 1_600));
}
