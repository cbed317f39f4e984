//! Defaults and their pinned hash, ranges, tokens and roles, the schedule.

use super::*;
use penstock_types::vocab::Venue;
use std::collections::BTreeSet;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

fn spot() -> InstrumentConfig {
    let roles = Roles { price_ref: true, flow: true, spot_primary: true, ..Roles::default() };
    InstrumentConfig {
        venue: Venue::KrakenSpot,
        symbol: "BTC/USD".to_string(),
        roles,
        qty_exp: 8,
        multiplier: 1,
        funding_interval_h: 8,
    }
}

fn with_token(change: impl FnOnce(&mut TokenConfig)) -> EngineConfig {
    let mut config = EngineConfig::default();
    let mut token = config.token(3, "BTC", Class::Fct, Profile::SpotOnly, vec![spot()]);
    change(&mut token);
    config.tokens.push(token);
    config
}

fn code(config: &EngineConfig) -> Result<(), &'static str> {
    config.check().map_err(|error| error.code())
}

#[test]
fn the_defaults_can_be_run_and_their_hash_is_pinned() {
    let config = EngineConfig::default();
    assert_eq!(config.check(), Ok(()));
    // A change of any hashed key or default changes this; nothing else may.
    assert_eq!(hex::encode(config.sha256()), PINNED);
}

const PINNED: &str = "44f99cc0766b75d3f4b2579525148ac6193405ada3170b054980db6a7e6302f4";

#[test]
fn the_canonical_text_is_canonical_json_with_every_key() {
    let mut config = with_token(|token| token.symbol = "quo\"te\n".to_string());
    let event = |id: &str, prep| EventConfig {
        id: id.to_string(),
        cluster: 16,
        prep,
        start: prep + 1,
        mid: prep + 2,
        end: prep + 3,
        post: prep + 4,
    };
    config.events = vec![event("a", 10), event("b", 14)];
    assert_eq!(config.check(), Ok(()));
    let text = config.canonical();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let canonical = penstock_types::canonical::to_bytes(&json).unwrap();
    assert_eq!(String::from_utf8(canonical).unwrap(), text);
    let mut keys = Vec::new();
    config.clone().visit(&mut |path, _| keys.push(path.to_string()));
    for key in &keys {
        let pointer = alloc::format!("/{}", key.replace('.', "/"));
        assert!(json.pointer(&pointer).is_some(), "{key}");
    }
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "no key twice");
    assert_eq!(json.pointer("/cost/weights/3"), Some(&15.into()));
    assert_eq!(json.pointer("/score/unwind/flip/lo"), Some(&30_000_000.into()));
    assert_eq!(json.pointer("/token/0/fsm/cost_gate/ready"), Some(&400_000.into()));
    assert_eq!(json.pointer("/token/0/w_funding"), Some(&5_000.into()));
    assert_eq!(json.pointer("/event/1/prep"), Some(&14.into()));
    assert_eq!(json.pointer("/schema"), Some(&"1.0".into()));
}

#[test]
fn every_number_changes_the_hash_and_is_refused_outside_its_range() {
    let mut paths = Vec::new();
    EngineConfig::default().visit(&mut |path, field| {
        if let Field::Int { value, min, max } = field {
            paths.push((path.to_string(), *value, min, max));
        }
    });
    assert!(paths.len() > 200, "{}", paths.len());
    let default = EngineConfig::default().sha256();
    for (path, value, min, max) in paths {
        let with = |new| {
            let mut config = EngineConfig::default();
            assert!(config.set(&path, new));
            config
        };
        assert_ne!(with(value + 1).sha256(), default, "{path}");
        assert_eq!(code(&with(min - 1)), Err("E_CFG_RANGE"), "{path}");
        assert_eq!(code(&with(max + 1)), Err("E_CFG_RANGE"), "{path}");
    }
    assert!(!EngineConfig::default().set("fsm.p9", 1));
}

#[test]
fn numbers_that_do_not_fit_each_other_are_refused() {
    for (path, value) in [
        ("snapshot_every_ticks", 7),
        ("score.unwind.flip.hi", 30_000_000),
        ("tier.expansion.m", 39),
        ("fsm.release.pressure", 40),
        ("fsm.release.fragile", 12),
        ("fsm.release.ready", 2),
        ("cluster.release", 5),
        // Memory of 0.0001 at a loss of 1.1 would turn negative.
        ("fsm.decay.unwind", 1),
    ] {
        let mut config = EngineConfig::default();
        assert!(config.set(path, value));
        assert_eq!(code(&config), Err("E_CFG_RANGE"), "{path}");
    }
    let mut config = EngineConfig::default();
    config.cost_weights[2] = 0;
    assert_eq!(code(&config), Err("E_CFG_RANGE"));
}

#[test]
fn tokens_have_ascending_ids_and_roles_that_fit() {
    assert_eq!(with_token(|_| {}).check(), Ok(()));
    type Change = fn(&mut TokenConfig);
    let broken: [Change; 12] = [
        |token| token.id = 0,
        |token| token.cluster = 0,
        |token| token.w_oi = 10_001,
        |token| token.profile = Profile::Deriv,
        |token| token.instruments.clear(),
        |token| token.instruments = vec![spot(); 5],
        |token| token.instruments[0].roles.price_ref = false,
        |token| token.instruments[0].roles.flow = false,
        |token| token.instruments[0].roles.oi_set = true,
        |token| token.instruments[0].qty_exp = 9,
        |token| token.instruments[0].multiplier = 0,
        |token| {
            let mut other = spot();
            other.roles = Roles { deriv_primary: true, ..Roles::default() };
            token.instruments.push(other);
        },
    ];
    for (n, change) in broken.into_iter().enumerate() {
        assert_eq!(code(&with_token(change)), Err("E_CFG_TOKEN"), "case {n}");
    }
    let mut twice = with_token(|_| {});
    twice.tokens.push(twice.tokens[0].clone());
    assert_eq!(code(&twice), Err("E_CFG_TOKEN"));
    // An override is judged like the numbers that it replaces.
    assert_eq!(code(&with_token(|token| token.fsm.h1 = 0)), Err("E_CFG_RANGE"));
    assert_eq!(code(&with_token(|token| token.fsm.release_ready = 1)), Err("E_CFG_RANGE"));
}

#[test]
fn schedules_are_ordered_and_do_not_overlap() {
    let event = |id: &str, times: [u64; 5]| {
        let [prep, start, mid, end, post] = times;
        EventConfig { id: id.to_string(), cluster: 16, prep, start, mid, end, post }
    };
    let check = |events: Vec<EventConfig>| {
        let mut config = with_token(|_| {});
        config.events = events;
        code(&config)
    };
    let first = event("a", [1, 2, 3, 4, 5]);
    assert_eq!(check(vec![first.clone(), event("b", [5, 6, 7, 8, 9])]), Ok(()));
    for events in [
        vec![event("a", [1, 2, 2, 4, 5])],
        vec![event("", [1, 2, 3, 4, 5])],
        vec![first.clone(), event("b", [4, 6, 7, 8, 9])],
        vec![first.clone(), event("a", [5, 6, 7, 8, 9])],
        vec![EventConfig { cluster: 9, ..first.clone() }],
    ] {
        assert_eq!(check(events), Err("E_CFG_SCHEDULE"));
    }
}

#[test]
fn classes_weigh_what_the_table_says() {
    let config = EngineConfig::default();
    let row = |class| {
        let class = config.class(class);
        (class.cluster, class.w_oi, class.w_funding)
    };
    assert_eq!(row(Class::Hma), (1, 10_000, 8_000));
    assert_eq!(row(Class::Hec), (1, 8_000, 10_000));
    assert_eq!(row(Class::Iat), (3, 10_000, 5_000));
    assert_eq!(row(Class::Mspc), (5, 5_000, 3_000));
    assert_eq!(row(Class::Fct), (16, 10_000, 5_000));
}
