//! The engine's configuration from a file: defaults, overrides, events, hash, and a refusal of each code.

use std::collections::BTreeMap;

use penstock_config::engine::{EngineSettings, Gates};
use penstock_config::{Config, ConfigError, Process, Sources, resolve, table};
use penstock_engine::EngineConfig;
use penstock_engine::config::{Class, Field};
use proptest::prelude::*;
use rstest::rstest;

fn tool(file: &str) -> Result<Config, ConfigError> {
    resolve(&Sources {
        process: Process::Tool,
        file: Some(("penstock.toml".to_owned(), file.to_owned())),
        environment: BTreeMap::new(),
        secret_files: BTreeMap::new(),
    })
}

fn engine(file: &str) -> EngineSettings {
    tool(file).unwrap_or_else(|error| panic!("{error}")).engine
}

/// Two tokens, one of an event, with overrides.
const WHOLE: &str = r#"
[engine]
cost.weights = [34, 31, 20, 15]
alerts.publish_build = true
[engine.class.GMA]
w_oi = 9_000
[engine.class.GMA.fsm]
p1 = 410_000
h1 = 21
[engine.override.1.fsm]
h1 = 22
cost_gate.ready = 390_000

[[engine.token]]
id = 2
symbol = "NEW"
class = "FCT"
cluster = 17
instruments = [{ venue = "kraken", symbol = "NEW/USD", roles = ["price_ref", "flow"], qty_exp = 6 }]

[[engine.token]]
id = 1
symbol = "BTC"
class = "GMA"
profile = "DERIV"
instruments = [
  { venue = "binance_um", symbol = "BTCUSDT", roles = ["flow", "oi_set", "price_ref", "deriv_primary"] },
  { venue = "kraken", symbol = "BTC/USD", roles = ["spot_primary"] },
]

[[engine.event]]
id = "later"
cluster = 17
prep = 2026-02-17T12:00:00Z
start = 2026-02-17T13:00:00Z
mid = "2026-02-17T14:00:00Z"
end = 2026-02-17T15:00:00Z
post = 2026-02-17T16:00:00Z

[[engine.event]]
id = "listing"
cluster = 17
prep = 2026-02-16T12:00:00Z
start = 2026-02-16T12:00:00.001Z
mid = 2026-02-16T14:00:00Z
end = 2026-02-16T15:00:00Z
post = 2026-02-16T16:00:00Z
"#;

#[test]
fn every_key_of_the_engine_is_in_the_table_with_its_default_and_range_and_no_other_is_hashed() {
    let mut hashed = Vec::new();
    EngineConfig::default().visit(&mut |path, field| {
        let name = format!("engine.{path}");
        let key = table::find(&name).unwrap_or_else(|| panic!("{name} is no key"));
        let default = key.default.expect("has a default");
        match field {
            Field::Int { value, min, max } => {
                assert_eq!(key.shape.int, Some((min, max)), "{name}");
                assert_eq!(default, value.to_string(), "{name}");
            }
            Field::Bool(value) => assert_eq!(default, value.to_string(), "{name}"),
            Field::Weights(values) => {
                let written: Vec<String> = values.iter().map(ToString::to_string).collect();
                assert_eq!(default, written.join(","), "{name}");
            }
        }
        hashed.push(name);
    });
    let others: Vec<&str> = table::keys()
        .map(|key| key.name)
        .filter(|name| name.starts_with("engine.") && !hashed.iter().any(|own| own == name))
        .collect();
    let allowed = [
        "engine.gates",
        "engine.schema",
        "engine.disk_free_min_bytes",
        "engine.log_dir",
        "engine.journal_dir",
        "engine.snapshot_dir",
        "engine.alerts_dir",
        "engine.manifest_dir",
        "engine.signing_key_file",
        "engine.compress",
        "engine.keep_days",
        "engine.keep_days_traded",
        "engine.snapshot_keep_days",
        "engine.journal.group_ms",
        "engine.poll.oi_s",
        "engine.poll.oi_rps",
        "engine.poll.funding_s",
        "engine.alerts.publish_build",
    ];
    assert_eq!(others, allowed);
}

#[test]
fn defaults_are_the_engines_own() {
    let settings = engine("");
    assert_eq!(settings.config, EngineConfig::default());
    assert_eq!(settings.canonical, EngineConfig::default().canonical());
    assert_eq!(settings.sha256, EngineConfig::default().sha256());
    let local = settings.local;
    assert_eq!(local.log_dir.to_str(), Some(".data/engine/log"));
    assert_eq!(local.signing_key_file.to_str(), Some(".data/engine/keys/signing.pem"));
    assert_eq!((local.journal_group_ms, local.keep_days_traded), (1_000, 90));
    assert!(Gates::WORDS.contains(&local.gates.as_str()));
}

#[test]
fn overrides_are_put_into_their_tokens_and_events_become_ticks() {
    let config = engine(WHOLE).config;
    assert_eq!(config.check(), Ok(()));
    assert_eq!(config.cost_weights, [34, 31, 20, 15]);
    let [btc, new] = config.tokens.as_slice() else { panic!("two tokens") };
    assert_eq!((btc.id, btc.class, btc.cluster, btc.w_oi), (1, Class::Gma, 1, 9_000));
    assert_eq!((btc.fsm.p1, btc.fsm.h1, btc.fsm.cost_ready), (410_000, 22, 390_000));
    assert_eq!((new.cluster, new.w_funding, new.fsm), (17, 5_000, config.fsm));
    assert_eq!((config.fsm.p1, config.fsm.h1), (400_000, 20));
    let ids: Vec<&str> = config.events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["listing", "later"]);
    // Noon of that day, and the first tick at or after a millisecond behind it.
    assert_eq!((config.events[0].prep, config.events[0].start), (7_084_972_800, 7_084_972_801));
}

#[test]
fn d25_the_order_of_writing_changes_nothing() {
    let settings = engine(WHOLE);
    let mut parts = WHOLE.split("\n[[");
    let head = parts.next().expect("keys");
    let mut tables: Vec<String> = parts.map(|part| format!("\n[[{part}")).collect();
    for _ in 0..tables.len() {
        tables.rotate_left(1);
        assert_eq!(engine(&format!("{head}{}", tables.concat())), settings);
    }
    let roles = r#"["flow", "oi_set", "price_ref", "deriv_primary"]"#;
    let turned = r#"["deriv_primary", "flow", "price_ref", "oi_set", "flow"]"#;
    assert_eq!(engine(&WHOLE.replace(roles, turned)), settings);
    assert_eq!(engine(&WHOLE.replace("class.GMA", "class.gma")), settings);
}

#[test]
fn only_what_can_change_a_byte_changes_the_hash() {
    let hash = |file: &str| engine(file).sha256;
    let default = hash("");
    for same in [
        "[engine]\nlog_dir = \"/x\"",
        "[engine]\nsigning_key_file = \"/x\"",
        "[engine]\ndisk_free_min_bytes = 1",
        "[engine]\njournal.group_ms = 5",
        "[engine]\npoll.oi_s = 4",
        "[engine]\ncompress = false",
        "[engine]\nkeep_days = 31",
        "[engine]\nsnapshot_keep_days = 6",
        "[engine]\nalerts.publish_build = true",
        "[engine]\nfsm.h1 = 20",
        "topn_size = 21",
    ] {
        assert_eq!(hash(same), default, "{same}");
    }
    for other in ["[engine]\nfsm.h1 = 21", "[engine]\ntier.compressed.enabled = true"] {
        assert_ne!(hash(other), default, "{other}");
    }
    let whole = hash(WHOLE);
    for (from, to) in [("h1 = 22", "h1 = 23"), ("14:00:00Z", "14:00:01Z"), ("\"FCT\"", "\"MSPC\"")]
    {
        let file = WHOLE.replacen(from, to, 1);
        match tool(&file) {
            Ok(config) => assert_ne!(config.engine.sha256, whole, "{to}"),
            Err(error) => assert_eq!((to, error.engine_code()), ("\"MSPC\"", Some("E_CFG_TOKEN"))),
        }
    }
    let config = tool(WHOLE).expect("accepted");
    let other = tool(&WHOLE.replacen("h1 = 22", "h1 = 23", 1)).expect("accepted");
    assert_ne!(config.hash(), other.hash(), "an override is part of what is in force");
    assert_eq!(config.bindings.hash(), other.bindings.hash(), "and no part of the bindings");
}

/// Change of [`WHOLE`], code, and what the message must name: key, value, limit.
#[rstest]
#[case::type_of_a_key("p1 = 410_000", "p1 = \"x\"", "E_CFG_PARSE", &["engine.class.gma.fsm.p1", "\"x\"", "0..1000000"])]
#[case::unknown_key("p1 = 410_000", "p9 = 1", "E_CFG_PARSE", &["engine.class.gma.fsm.p9"])]
#[case::switch("h1 = 22", "release.enabled = false", "E_CFG_PARSE", &["engine.override.1.fsm.release.enabled", "false", "numbers"])]
#[case::not_toml("cost.weights = [34, 31, 20, 15]", "cost.weights = [34", "E_CFG_PARSE", &["penstock.toml", "line"])]
#[case::twice("[engine.override.1.fsm]", "[engine.class.gma.fsm]\np1 = 5\n[engine.override.1.fsm]", "E_CFG_PARSE", &["engine.class.gma.fsm.p1", "twice"])]
#[case::range("h1 = 22", "h1 = 1_201", "E_CFG_RANGE", &["engine.override.1.fsm.h1", "1201", "1..1200"])]
#[case::range_of_a_class("w_oi = 9_000", "w_oi = 10_001", "E_CFG_RANGE", &["ENGINE_CLASS_GMA_W_OI", "10001", "0..10000"])]
#[case::weights("[34, 31, 20, 15]", "[34, 31, 20, 0]", "E_CFG_RANGE", &["ENGINE_COST_WEIGHTS", "34,31,20,0", "1..1000"])]
#[case::release("h1 = 22", "release.ready = 2", "E_CFG_RANGE", &["override.1.fsm.release.ready", "is 2", "≥ 3"])]
#[case::memory("h1 = 22", "decay.unwind = 1", "E_CFG_RANGE", &["override.1.fsm.decay.unwind", "is 1", "10000"])]
#[case::tier("alerts.publish_build = true", "tier.expansion.m = 39", "E_CFG_RANGE", &["ENGINE_TIER_EXPANSION_M", "39", "≥ 40"])]
#[case::ramp("alerts.publish_build = true", "score.unwind.flip.lo = 80_000_000", "E_CFG_RANGE", &["ENGINE_SCORE_UNWIND_FLIP_HI", "80000000", "> 80000000"])]
#[case::snapshots("alerts.publish_build = true", "snapshot_every_ticks = 7", "E_CFG_RANGE", &["ENGINE_SNAPSHOT_EVERY_TICKS", "7", "3600"])]
#[case::retention("alerts.publish_build = true", "keep_days = 6", "E_CFG_RANGE", &["ENGINE_KEEP_DAYS", "6", "≥ ENGINE_SNAPSHOT_KEEP_DAYS (7)"])]
#[case::polls("alerts.publish_build = true", "stale.oi = 39", "E_CFG_RANGE", &["ENGINE_STALE_OI", "39", "≥ 40"])]
#[case::token_of_an_override("override.1.", "override.3.", "E_CFG_TOKEN", &["engine.override.3.fsm", "id 3", "bound"])]
#[case::participant("\"FCT\"", "\"HMA\"", "E_CFG_TOKEN", &["engine.token 2 class", "HMA", "FCT"])]
#[case::token_id("id = 2", "id = 0", "E_CFG_TOKEN", &["engine.token id", "0", "1..65535"])]
#[case::cluster("cluster = 17\ninstruments", "cluster = 256\ninstruments", "E_CFG_TOKEN", &["engine.token cluster", "256", "1..255"])]
#[case::spot_with_interest("[\"price_ref\", \"flow\"]", "[\"price_ref\", \"flow\", \"oi_set\"]", "E_CFG_TOKEN", &["engine.token 2", "oi_set"])]
#[case::order("start = 2026-02-17T13:00:00Z", "start = 2026-02-17T12:00:00Z", "E_CFG_SCHEDULE", &["engine.event start", "2026-02-17T12:00:00Z", "after prep"])]
#[case::local_time("start = 2026-02-17T13:00:00Z", "start = 2026-02-17T13:00:00", "E_CFG_SCHEDULE", &["engine.event start", "2026-02-17T13:00:00", "UTC"])]
#[case::overlap("prep = 2026-02-17T12:00:00Z", "prep = 2026-02-16T15:59:59Z", "E_CFG_SCHEDULE", &["engine.event prep", "later", "listing"])]
#[case::name("id = \"later\"", "id = \"listing\"", "E_CFG_SCHEDULE", &["engine.event id", "listing", "line"])]
#[case::empty_cluster("id = \"later\"\ncluster = 17", "id = \"later\"\ncluster = 18", "E_CFG_SCHEDULE", &["later", "no token"])]
#[case::strange_field("id = \"later\"", "id = \"later\"\ncolour = 1", "E_CFG_SCHEDULE", &["engine.event colour", "prep"])]
#[case::schema("alerts.publish_build = true", "schema = \"1.1\"", "E_CFG_SCHEMA", &["ENGINE_SCHEMA", "1.1", "1.0"])]
fn a_refusal_names_code_key_value_and_limit(
    #[case] from: &str,
    #[case] to: &str,
    #[case] code: &str,
    #[case] names: &[&str],
) {
    let file = WHOLE.replacen(from, to, 1);
    assert_ne!(file, WHOLE, "the case changes something");
    let error = tool(&file).expect_err("refused");
    let text = error.to_string();
    assert_eq!(error.engine_code(), Some(code), "{text}");
    for name in names {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(text.contains("next: "), "{text}");
}

/// Binance symbols whose open interest is polled, at ten per second.
fn polled(tokens: usize) -> String {
    (1..=tokens)
        .map(|id| {
            format!(
                "[[engine.token]]\nid = {id}\nsymbol = \"T{id}\"\nprofile = \"DERIV\"\ninstruments = [{{ venue = \"binance_um\", symbol = \"T{id}USDT\", roles = [\"price_ref\", \"deriv_primary\", \"flow\", \"oi_set\"] }}]\n"
            )
        })
        .collect()
}

#[test]
fn the_default_staleness_carries_three_hundred_polled_symbols() {
    assert_eq!(engine(&polled(300)).config.tokens.len(), 300);
    let error = tool(&polled(301)).expect_err("refused");
    assert_eq!(error.engine_code(), Some("E_CFG_RANGE"));
    assert!(error.to_string().contains("≥ 248"), "{error}");
    let more = format!("[engine]\nstale.oi = 248\n{}", polled(301));
    assert_eq!(engine(&more).config.stale.oi, 248);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// What was resolved comes back from its own text, and from nothing else.
    #[test]
    fn d25_canonical_text_goes_round(
        numbers in prop::collection::vec((0_usize..1_000, 1_i64..2_000), 0..12),
        symbol in "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]{1,12}",
        cut in 0_usize..10_000,
    ) {
        let mut config = engine(WHOLE).config;
        let mut paths = Vec::new();
        config.visit(&mut |path, _| paths.push(path.to_owned()));
        for (at, number) in numbers {
            let before = config.clone();
            config.set(&paths[at % paths.len()], number);
            if config.check().is_err() {
                config = before;
            }
        }
        config.tokens[0].symbol = symbol;
        let text = config.canonical();
        prop_assert_eq!(EngineConfig::parse(&text), Ok(config));
        let at = cut % text.len();
        if text.is_char_boundary(at) {
            prop_assert!(EngineConfig::parse(&text[..at]).is_err());
        }
        let longer = text + " ";
        prop_assert!(EngineConfig::parse(&longer).is_err());
    }

    /// Any text is refused or is canonical.
    #[test]
    fn any_text_is_refused_or_canonical(text in "[\\[\\]{}\":,a-z0-9\\\\u-]{0,60}") {
        let code = EngineConfig::parse(&text).map_err(|error| error.code());
        prop_assert_eq!(code.map(|config| config.canonical() == text), Err("E_CFG_PARSE"));
    }
}

#[test]
fn texts_that_are_almost_canonical_are_refused() {
    let text = EngineConfig::default().canonical();
    assert_eq!(EngineConfig::parse(&text), Ok(EngineConfig::default()));
    for (from, to, code) in [
        ("\"schema\":\"1.0\"", "\"schema\":\"2.0\"", "E_CFG_SCHEMA"),
        ("\"schema\":\"1.0\"", "\"schema\":1", "E_CFG_PARSE"),
        ("\"h1\":20", "\"h1\":020", "E_CFG_PARSE"),
        ("\"h1\":20", "\"h1\":0", "E_CFG_RANGE"),
        ("\"h1\":20", "\"h1\":20,\"h1\":20", "E_CFG_PARSE"),
        ("\"h1\":20", "\"h0\":1,\"h1\":20", "E_CFG_PARSE"),
        ("\"h1\":20,", "", "E_CFG_PARSE"),
        ("[35,30,20,15]", "[35,30,20]", "E_CFG_PARSE"),
        ("\"token\":[]", "\"token\":[[[[[[[[[]]]]]]]]]", "E_CFG_PARSE"),
        ("\"event\":[]", "\"event\":[{}]", "E_CFG_PARSE"),
    ] {
        assert!(text.contains(from), "{from}");
        let found = EngineConfig::parse(&text.replacen(from, to, 1)).expect_err(to);
        assert_eq!(found.code(), code, "{to}: {found}");
    }
}
