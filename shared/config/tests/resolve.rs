//! Precedence, refusals and hashes of the whole configuration.

use std::collections::BTreeMap;

use penstock_config::{Config, ConfigError, Origin, Process, Sources, resolve, show};
use proptest::prelude::*;
use rstest::rstest;

const INGEST: (&str, &str) = ("INGEST_DATABASE_URL", "postgres://i@%2Frun%2Fs:25432/ingest");
const DECISION: (&str, &str) = ("DECISION_DATABASE_URL", "postgres://d@%2Frun%2Fs:25433/decision");

fn with(process: Process, file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    resolve(&Sources {
        process,
        file: (!file.is_empty()).then(|| ("penstock.toml".to_owned(), file.to_owned())),
        environment,
        secret_files: BTreeMap::new(),
    })
}

fn tool(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    with(Process::Tool, file, environment)
}

fn refusal(result: Result<Config, ConfigError>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn environment_beats_file_beats_default() {
    let file = "topn_size = 30\nepoch_interval_secs = 60\n";
    let config = tool(file, &[("TOPN_SIZE", "40"), ("TOPK_SIZE", "")]).expect("accepted");

    assert_eq!(config.areas.selection.topn_size, 40);
    assert_eq!(config.areas.epochs.epoch_interval_secs, 60);
    assert_eq!(config.areas.selection.topk_size, 3, "an empty variable counts as unset");
    let origin = |name| config.values().get(name).map(|value| value.origin.clone());
    assert_eq!(origin("topn_size"), Some(Origin::Environment));
    let line = Origin::File { name: "penstock.toml".to_owned(), line: 2 };
    assert_eq!(origin("epoch_interval_secs"), Some(line));
    assert_eq!(origin("topk_size"), Some(Origin::Default));
}

#[test]
fn compiled_defaults_are_accepted_and_derive_what_is_unset() {
    let config = tool("", &[]).expect("accepted");
    assert_eq!(config.epoch_max_age_secs(), 420);
    assert_eq!(config.areas.spool.spool_dir.to_str(), Some(".data/spool"));
    assert!(!config.areas.evaluation.execution_enable);
    assert_eq!(config.areas.routes.min_confidence.to_string(), "0.35");
    assert_eq!(show::differences(&config), []);
    let moved = tool("", &[("PENSTOCK_DATA", "/srv/p")]).expect("accepted");
    assert_eq!(moved.areas.spool.spool_dir.to_str(), Some("/srv/p/spool"));
    assert_eq!(moved.hash(), config.hash(), "the data root is no part of what is hashed");
}

#[rstest]
#[case::unknown_key("epoch_intervall_secs = 1", "did you mean epoch_interval_secs")]
#[case::unknown_engine_key("[engine.stale]\nbok = 1", "ENGINE_STALE_BOOK")]
#[case::wrong_type("topn_size = \"20\"", "is not a whole number")]
#[case::fraction("topn_size = 2.5", "is not a whole number")]
#[case::out_of_range("topn_size = 0", "allowed: 1..200")]
#[case::not_a_multiple("state_refresh_interval_ms = 600", "a multiple of 250")]
#[case::not_in_list("l2_depth = 20", "allowed: 10, 25, 100, 500, 1000")]
#[case::not_a_word("tp_action = \"maybe\"", "raise_stop, close")]
#[case::bool_word("execution_enable = \"on\"", "1, 0, true, false, yes, no")]
#[case::decimal_range("run_rollover_hours = 0.01", "0.02..8760")]
#[case::secret_in_file("kraken_api_key = \"topsecret\"", "secrets never stand in the file")]
#[case::l3_budget("l3_depth = 1000\nl3_subscribe_rate = 99", "≥ 100")]
#[case::route_that_sells_first("route_pumpfadeexhaustion = \"live\"", "ROUTE_PUMPFADEEXHAUSTION")]
#[case::gate_without_endpoint("ai_dec = 1\nai_gate_model = \"m\"", "AI_GATE_BASE_URL")]
#[case::gate_switched_off(
    "ai_dec = 1\nai_gate_base_url = \"off\"\nai_gate_model = \"m\"",
    "AI_GATE_BASE_URL"
)]
#[case::gate_without_model(
    "ai_dec = 2\nai_gate_base_url = \"https://a.example.com/v1\"",
    "AI_GATE_MODEL"
)]
#[case::gate_in_plain_text("ai_gate_base_url = \"http://a.example.com/v1\"", "plain text")]
#[case::gate_key_in_file("ai_gate_api_key = \"k\"", "secrets never stand in the file")]
#[case::gate_setting("ai_dec = 3", "allowed: 0..2")]
#[case::absent_trailing("exit_protection_kind = \"native_trailing\"", "native_trailing")]
#[case::webhook_host("alert_webhook_url = \"https://example.com\"", "ALERT_WEBHOOK_ALLOW_HOSTS")]
#[case::webhook_scheme("alert_webhook_url = \"wss://127.0.0.1/\"", "not an http or https address")]
#[case::webhook_plain(
    "alert_webhook_url = \"http://example.com\"\nalert_webhook_allow_hosts = [\"example.com\"]",
    "plain text"
)]
#[case::plain_text("kraken_rest_url = \"http://example.com\"", "plain text")]
#[case::plain_text_lookalike(
    "kraken_ws_public_url = \"ws://127.0.0.1.example.com/v2\"",
    "plain text"
)]
#[case::password_in_url("kraken_rest_url = \"https://me:secret@example.com\"", "user or password")]
#[case::panel_outside("webui_bind = \"0.0.0.0\"", "not a loopback address")]
#[case::order_of_ages("ws_stale_ms_pause = 2000", "WS_STALE_MS_DEGRADE (2000)")]
#[case::truth_calls("reconcile_rest_interval_ms = 6000", "RECONCILE_REST_INTERVAL_MS (12000)")]
#[case::starter("kraken_tier = \"starter\"", "≥ 6000 with KRAKEN_TIER = starter")]
#[case::weights("rank_weight_spread_x10000 = 1501", "sum 10000")]
#[case::top("topk_size = 5\ntopn_size = 4", "TOPK_SIZE (5)")]
#[case::exposure("risk_max_exposure_total_quote = 100", "RISK_MAX_EXPOSURE_SYMBOL_QUOTE")]
#[case::epoch_age("epoch_max_age_secs = 300", "≥ EPOCH_INTERVAL_SECS + 60 (360)")]
#[case::small_pool("execution_universe_limit = 4", "5..1000")]
#[case::execution_only("execution_only = false", "penstock up")]
#[case::ramp("[engine.score.density.funding]\nlo = 2000000000", "ENGINE_SCORE_DENSITY_FUNDING_HI")]
#[case::domain("domain = \"../x\"", "DOMAIN")]
#[case::not_toml("topn_size = ", "TOML")]
fn a_bad_file_is_refused_with_the_reason(#[case] file: &str, #[case] expected: &str) {
    let text = refusal(tool(file, &[]));
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("next: "), "{text}");
    assert!(!text.contains("topsecret"), "{text}");
}

#[rstest]
#[case("PENSTOCK_DATEN", "/x", "PENSTOCK_DATA")]
#[case("TOPN_SIZE", "many", "is not a whole number")]
#[case("KRAKEN_WS_PUBLIC_URL", "ws://10.0.0.1/v2", "plain text")]
fn a_bad_variable_is_refused(#[case] name: &str, #[case] value: &str, #[case] expected: &str) {
    let text = refusal(tool("", &[(name, value)]));
    assert!(text.contains(name), "{text}");
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_others_put_into_the_environment_is_nobodys_business() {
    tool("", &[("HOME", "/root"), ("DATABASE_URL", "postgres://x"), ("TERM", "x")])
        .expect("accepted");
}

#[test]
fn off_values_of_absent_features_and_keys_of_later_parts_are_accepted() {
    let file = "l3_enable = false\nkraken_futures_ws_url = \"off\"\nai_dec = 0\nwebui_port = 9000\nretention_ai_days = 5\n[engine.class.GMA.fsm.decay]\nunwind = 5000\n";
    let config = tool(file, &[]).expect("accepted");
    assert_eq!(config.areas.panel.webui_port, 9_000);
}

#[test]
fn a_gate_that_is_on_has_a_key_in_execution_and_time_that_its_generation_allows() {
    let file =
        "ai_dec = 2\nai_gate_base_url = \"https://a.example.com/v1\"\nai_gate_model = \"m\"\n";
    let execution = |file: &str, more: &[(&str, &str)]| {
        with(Process::Execution, file, &[&[DECISION], more].concat())
    };
    let key = [("AI_GATE_API_KEY", "a-key")];
    let config = execution(file, &key).expect("accepted");
    assert_eq!(config.areas.ai_gate.ai_dec, 2);
    assert!(refusal(execution(file, &[])).contains("AI_GATE_API_KEY"));
    tool(file, &[]).expect("only who asks needs the key");
    execution("ai_gate_timeout_ms = 60000", &[]).expect("a gate that is off has no time to keep");
    for (more, fits) in [
        ("ai_gate_timeout_ms = 4000\n", true),
        ("ai_gate_timeout_ms = 4001\n", false),
        ("ai_gate_timeout_ms = 9000\ngeneration_max_lag = 10\n", true),
        ("ai_gate_timeout_ms = 4000\nstate_refresh_interval_ms = 750\n", false),
    ] {
        let found = execution(&format!("{file}{more}"), &key);
        assert_eq!(found.is_ok(), fits, "{more}");
        if !fits {
            assert!(refusal(found).contains("AI_GATE_TIMEOUT_MS"));
        }
    }
}

#[test]
fn level_3_is_on_by_default_and_only_an_explicit_wish_needs_a_key() {
    let ingest = |file: &str, more: &[(&str, &str)]| {
        with(Process::Ingest, file, &[&[INGEST, DECISION], more].concat())
    };
    let both = [("KRAKEN_API_KEY", "k"), ("KRAKEN_API_SECRET", "c2VjcmV0")];

    assert!(ingest("", &[]).expect("a recorder without a key").areas.feeds.l3_enable);
    ingest("l3_enable = true", &both).expect("accepted");
    ingest("l3_enable = false", &[]).expect("accepted");
    for (file, more) in
        [("l3_enable = true", &[] as &[(&str, &str)]), ("", &[("L3_ENABLE", "true")])]
    {
        let text = refusal(ingest(file, more));
        assert!(text.contains("KRAKEN_API_KEY"), "{text}");
        assert!(text.contains("L3_ENABLE=false"), "{text}");
    }
    let half = refusal(ingest("", &both[..1]));
    assert!(half.contains("KRAKEN_API_SECRET"), "{half}");
    with(Process::Execution, "l3_enable = true", &[DECISION]).expect("not execution's business");
}

#[test]
fn loopback_may_be_plain_text() {
    for url in ["ws://127.0.0.1:4000/v2", "ws://localhost:4000/v2", "ws://[::1]:4000/v2"] {
        tool("", &[("KRAKEN_WS_PUBLIC_URL", url)]).expect(url);
    }
}

#[test]
fn each_process_gets_the_urls_that_it_may_have() {
    let missing = refusal(with(Process::Ingest, "", &[DECISION]));
    assert!(missing.contains("INGEST_DATABASE_URL"), "{missing}");
    let forbidden = refusal(with(Process::Execution, "", &[INGEST, DECISION]));
    assert!(forbidden.contains("must not be able to reach the ingest cluster"), "{forbidden}");
    with(Process::Execution, "", &[DECISION]).expect("accepted");
    with(Process::Ingest, "", &[INGEST, DECISION]).expect("accepted");
}

#[rstest]
#[case("postgres://a@db:5432/one?sslmode=require", "postgres://b@db/two?sslmode=require")]
#[case("postgres://a@localhost:5432/one", "postgres://b@127.0.0.1/two")]
#[case("postgres:///one?host=/run/s&port=25432&user=a", "postgres://b@%2Frun%2Fs:25432/two")]
#[case(
    "postgres://a@x:1/one?sslmode=require",
    "postgres://a@y:1/one?sslmode=require,postgres://a@x:1/one?sslmode=require"
)]
fn both_urls_must_not_name_one_server(#[case] ingest: &str, #[case] decision: &str) {
    let both = [("INGEST_DATABASE_URL", ingest), ("DECISION_DATABASE_URL", decision)];
    let text = refusal(with(Process::Ingest, "", &both));
    assert!(text.contains("two clusters are mandatory"), "{text}");
    let mut allowed = both.to_vec();
    allowed.push(("ALLOW_SINGLE_CLUSTER", "yes"));
    with(Process::Ingest, "", &allowed).expect("accepted for development");
}

#[test]
fn database_urls_are_judged_without_being_shown() {
    let plain = refusal(with(
        Process::Execution,
        "",
        &[("DECISION_DATABASE_URL", "postgres://u:hunter2@db.example.com/d")],
    ));
    assert!(plain.contains("plain text"), "{plain}");
    assert!(!plain.contains("hunter2"), "{plain}");
    let config = with(Process::Execution, "", &[DECISION, ("KRAKEN_API_SECRET", "hunter2")])
        .expect("accepted");
    let shown = format!("{:?}\n{:?}\n{}", config, show::rows(&config), config.canonical());
    assert!(!shown.contains("hunter2"), "a secret is shown");
    assert!(!shown.contains("25433"), "a database URL is shown");
}

#[test]
fn the_hash_changes_with_every_value_but_secrets() {
    let base = tool("", &[]).expect("accepted");
    let other = tool("topn_size = 21", &[]).expect("accepted");
    let same = tool("topn_size = 20", &[("KRAKEN_API_KEY", "k")]).expect("accepted");
    assert_eq!(base.hash().len(), 64);
    assert_ne!(base.hash(), other.hash());
    assert_eq!(base.hash(), same.hash(), "writing a default changes nothing");
}

const TOKENS: &str = r#"
[[engine.token]]
id = 2
symbol = "ETH"
instruments = [{ venue = "kraken", symbol = "ETH/USD", roles = ["flow", "price_ref"], qty_exp = 6 }]

[[engine.token]]
id = 1
symbol = "BTC"
class = "GMA"
instruments = [{ venue = "kraken", symbol = "BTC/USD", roles = ["price_ref", "flow"] }]
"#;

#[test]
fn bindings_are_canonical_ascending_and_complete() {
    let config = tool(TOKENS, &[]).expect("accepted");
    let text = String::from_utf8(config.bindings.canonical()).expect("text");
    let expected = r#"[{"id":1,"instruments":[{"funding_interval_h":8,"multiplier":1,"qty_exp":8,"roles":["price_ref","flow"],"symbol":"BTC/USD","venue":"kraken"}],"symbol":"BTC"},{"id":2,"instruments":[{"funding_interval_h":8,"multiplier":1,"qty_exp":6,"roles":["price_ref","flow"],"symbol":"ETH/USD","venue":"kraken"}],"symbol":"ETH"}]"#;
    assert_eq!(text, expected);
    let none = tool("", &[]).expect("accepted");
    assert_eq!(none.bindings.canonical(), b"[]");
    assert_ne!(none.bindings.hash(), config.bindings.hash());
    assert_ne!(none.hash(), config.hash());
}

#[rstest]
#[case("id = 2", "id = 1", "is bound twice")]
#[case("id = 2", "id = 0", "1..65535")]
#[case("qty_exp = 6", "qty_exp = 9", "0..8")]
#[case("\"flow\", \"price_ref\"", "\"flow\"", "price_ref")]
#[case("\"flow\", \"price_ref\"", "\"flow\", \"price_ref\", \"deriv_primary\"", "profile")]
#[case("\"flow\", \"price_ref\"", "\"flaw\", \"price_ref\"", "is not a role")]
#[case("symbol = \"ETH\"", "symbol = \"ETH\"\ncolour = 1", "is not a known field")]
fn a_bad_token_is_refused(#[case] from: &str, #[case] to: &str, #[case] expected: &str) {
    let text = refusal(tool(&TOKENS.replacen(from, to, 1), &[]));
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("engine.token"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever whole number is written, it is either in force or refused by name.
    #[test]
    fn a_number_is_in_force_or_refused(number in any::<i32>()) {
        match tool(&format!("topn_size = {number}\ntopk_size = 1\n"), &[]) {
            Ok(config) => {
                prop_assert!((1..=200).contains(&number));
                prop_assert_eq!(i64::from(config.areas.selection.topn_size), i64::from(number));
            }
            Err(error) => {
                prop_assert!(!(1..=200).contains(&number));
                prop_assert!(error.to_string().contains("TOPN_SIZE"));
            }
        }
    }

    /// A decimal keeps every digit that was written, in the file and in the environment alike.
    #[test]
    fn decimals_keep_their_digits(digits in 1_u64..1_000_000_000, scale in 0_u32..9) {
        let text = rust_decimal::Decimal::from_i128_with_scale(i128::from(digits), scale).to_string();
        prop_assume!(digits >= 10_u64.pow(scale.saturating_sub(2)));
        let file = tool(&format!("risk_per_trade_quote = {text}\n"), &[]).expect("in range");
        let environment = tool("", &[("RISK_PER_TRADE_QUOTE", &text)]).expect("in range");
        prop_assert_eq!(file.areas.risk.risk_per_trade_quote.to_string(), text);
        prop_assert_eq!(file.hash(), environment.hash());
    }

    /// Any text of any key gives an answer.
    #[test]
    fn any_text_gives_an_answer(key in "[a-z_.]{0,20}", value in "(?s).{0,40}") {
        if let Err(error) = tool(&format!("{key} = {value}\n"), &[]) {
            prop_assert!(!error.problems.is_empty());
        }
    }
}

/// A service that could only half use a way out for alerts does not start; the tool has no use for the secrets.
#[test]
fn half_of_a_way_out_for_alerts_is_refused() {
    let chat = ("ALERT_TELEGRAM_CHAT_ID", "42");
    let bot = ("ALERT_TELEGRAM_TOKEN", "12:abcdefgh");
    let (app, user) = (("ALERT_PUSHOVER_TOKEN", "abcdefgh"), ("ALERT_PUSHOVER_USER", "ijklmnop"));
    let bearer = ("ALERT_WEBHOOK_TOKEN", "abcdefgh");
    for (half, missing) in [
        (chat, "ALERT_TELEGRAM_TOKEN"),
        (bot, "ALERT_TELEGRAM_CHAT_ID"),
        (app, "ALERT_PUSHOVER_USER"),
        (user, "ALERT_PUSHOVER_TOKEN"),
        (bearer, "ALERT_WEBHOOK_URL"),
    ] {
        let text = refusal(with(Process::Execution, "", &[DECISION, half]));
        assert!(text.contains(missing), "{missing}: {text}");
        assert!(!text.contains("abcdefgh"), "{text}");
        refusal(with(Process::Ingest, "", &[DECISION, INGEST, half]));
        tool("", &[half]).expect("the tool sends nothing");
    }
    let file = "alert_webhook_url = \"https://hooks.example.com/x\"\nalert_webhook_allow_hosts = [\"hooks.example.com\"]\n";
    let whole = [DECISION, chat, bot, app, user, bearer];
    with(Process::Execution, file, &whole).expect("accepted");
}
