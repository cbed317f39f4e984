//! The bytes of every walk, pinned: a number that changes here changes what everybody has published.
//!
//! After a deliberate change of a rule or default, print the new ones with
//! `PRINT_PINNED=1 cargo test -p penstock-engine --test pinned -- --nocapture` and say in the change why.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::EngineConfig;

fn walk(config: &EngineConfig, script: Vec<Segment>) -> String {
    let ticks = script.iter().map(|s| s.ticks).sum();
    digest(&run(config, &mut [Market::new(1, script, 7)], NOON, ticks, |_, _| {}))
}

fn five() -> EngineConfig {
    let mut config = config(1);
    config.tier.compressed_enabled = true;
    config
}

fn fizzle() -> Vec<Segment> {
    vec![CALM, PUMP, Segment { ticks: 12 * MINUTE, ..CALM }]
}

fn two() -> String {
    let mut config = config(2);
    for token in &mut config.tokens {
        token.cluster = 16;
    }
    let mut later = w1();
    later[0].ticks += 80;
    let mut markets = [Market::new(1, w1(), 7), Market::new(2, later, 7)];
    digest(&run(&config, &mut markets, NOON, 12_000, |_, _| {}))
}

fn spot() -> String {
    let mut config = EngineConfig::default();
    let class = penstock_engine::config::Class::Mspc;
    let profile = penstock_engine::config::Profile::SpotOnly;
    config.tokens.push(config.token(1, "T1", class, profile, spot_only()));
    digest(&run(&config, &mut [Market::spot(1, w1(), 7)], NOON, 7_000, |_, _| {}))
}

#[test]
fn walks_give_the_pinned_bytes() {
    let all = [
        ("w1", walk(&config(1), w1())),
        ("w1, five tiers", walk(&five(), w1())),
        ("w2", walk(&config(1), fizzle())),
        ("w5", two()),
        ("w1, spot only", spot()),
    ];
    if std::env::var_os("PRINT_PINNED").is_some() {
        all.iter().for_each(|(name, hash)| println!("(\"{name}\", \"{hash}\"),"));
    }
    for ((name, got), (pinned, want)) in all.iter().zip(PINNED) {
        assert_eq!((*name, got.as_str()), (pinned, want));
    }
}

const PINNED: [(&str, &str); 5] = [
    ("w1", "fb639733ad8d7106c5c6b37f39dc3ea2347bbae9e7fc61f6be4870fd3c6ecb8d"),
    ("w1, five tiers", "8739e9563156bd2919cd110d05db8d6ec42394aaf697f357e506d6c289e89acb"),
    ("w2", "311c7cf91177faffb2d19ab46e6347f6749d7b1771062406a348447782da5ed1"),
    ("w5", "ceddaa8e50a9c3ac8ab4849afa9fab6adea5b23d55b6f88b6d085c38f94043e1"),
    ("w1, spot only", "1e8a32204fa5f0bd909560d88b6820ea4fffdfb7d6df95499bb05417600b19a6"),
];
