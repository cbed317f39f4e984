//! Purpose: judge keys together. Inputs: values that are each in range. Outputs: problems, warnings.
//! Invariants: a rule names the key that has to change and the bound it breaks. It changes no value.

mod alerts;

use penstock_engine::config::SCHEMA;
use secrecy::ExposeSecret;
use url::Url;

use crate::engine::{E_CFG_RANGE, E_CFG_SCHEMA};
use crate::error::Problem;
use crate::key::Process;
use crate::resolve::{Origin, Values};
use crate::table;
use crate::value::{Value, is_loopback};

/// Longest that a decision needs from the AI gate's answer to its submit, in milliseconds.
const AFTER_ANSWER_MS: i64 = 1_000;

/// How two whole numbers must stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Exceed,
    NotBeBelow,
}

/// Pairs of keys: the first must exceed, or not be below, the second.
const PAIRS: [(&str, Must, &str); 17] = [
    ("loop_stuck_ms_pause", Must::Exceed, "loop_stuck_ms_degrade"),
    ("ws_stale_ms_pause", Must::Exceed, "ws_stale_ms_degrade"),
    ("rest_stale_ms_pause", Must::Exceed, "rest_stale_ms_degrade"),
    ("disk_free_degrade_bytes", Must::Exceed, "disk_free_pause_bytes"),
    ("audit_writer_queue_full_pct", Must::Exceed, "audit_writer_queue_hi_watermark_pct"),
    ("reconcile_confirm_max_ms", Must::NotBeBelow, "reconcile_confirm_delay_ms"),
    ("reconcile_drift_pause_score_x10000", Must::Exceed, "reconcile_drift_degrade_score_x10000"),
    ("clock_drift_pause_ms", Must::NotBeBelow, "clock_drift_max_ms_live"),
    ("topn_size", Must::NotBeBelow, "topk_size"),
    ("risk_counter_repeg_pct", Must::Exceed, "risk_counter_entry_pct"),
    ("exit_quote_max_age_ms", Must::NotBeBelow, "quote_max_age_ms"),
    ("live_data_max_age_secs", Must::NotBeBelow, "route_freshness_fast_secs"),
    ("live_data_max_age_secs", Must::NotBeBelow, "route_freshness_slow_secs"),
    ("risk_max_open_orders_total", Must::NotBeBelow, "risk_max_open_orders_per_symbol"),
    ("engine.keep_days_traded", Must::NotBeBelow, "engine.keep_days"),
    ("engine.keep_days", Must::NotBeBelow, "engine.snapshot_keep_days"),
    ("spool_max_bytes", Must::NotBeBelow, "spool_segment_bytes"),
];

/// Least distance of LIGHT passes on the starter tier, milliseconds: its counter gives back 0.33 points a second.
const STARTER_LIGHT_MS_MIN: i64 = 6_000;

/// Judges all rules.
pub(crate) fn check(process: Process, values: &Values, problems: &mut Vec<Problem>) {
    for (greater, must, lesser) in PAIRS {
        if let (Some(a), Some(b)) = (values.int(greater), values.int(lesser)) {
            let holds = if must == Must::Exceed { a > b } else { a >= b };
            let relation = if must == Must::Exceed { ">" } else { "≥" };
            if !holds {
                let allowed = format!("{relation} {} ({b})", env(lesser));
                refuse(values, problems, greater, "does not fit another key", &allowed);
            }
        }
    }
    decimals(values, problems);
    truth_calls(values, problems);
    epochs(values, problems);
    selection(values, problems);
    engine(values, problems);
    names(values, problems);
    level3(process, values, problems);
    ai_gate(process, values, problems);
    clusters(process, values, problems);
    alerts::check(process, values, problems);
}

/// What is allowed and still worth saying.
pub(crate) fn warnings(values: &Values) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (Some(warm_up), Some(sample)) =
        (values.int("ingest_warmup_secs"), values.int("l2_sample_interval_ms"))
    {
        // A symbol is complete with 50 samples of its book.
        let needed_secs = (50 * sample + 999) / 1_000;
        if warm_up < needed_secs {
            warnings.push(format!(
                "INGEST_WARMUP_SECS {warm_up} is below 50 L2 samples ({needed_secs} s): symbols are complete later than the first epoch"
            ));
        }
    }
    warnings
}

fn decimals(values: &Values, problems: &mut Vec<Problem>) {
    let number = |name: &str| match values.get(name).map(|resolved| &resolved.value) {
        Some(Value::Decimal(number)) => Some(*number),
        _ => None,
    };
    for (greater, lesser, strictly) in [
        ("risk_max_exposure_total_quote", "risk_max_exposure_symbol_quote", false),
        ("pullback_max_bps", "pullback_min_bps", true),
        ("max_open_notional_pct_of_equity", "max_symbol_notional_pct_of_equity", false),
    ] {
        if let (Some(a), Some(b)) = (number(greater), number(lesser)) {
            let holds = if strictly { a > b } else { a >= b };
            if !holds {
                let relation = if strictly { ">" } else { "≥" };
                let allowed = format!("{relation} {} ({b})", env(lesser));
                refuse(values, problems, greater, "does not fit another key", &allowed);
            }
        }
    }
    let shares: Option<rust_decimal::Decimal> =
        ["capital_share_liquidity", "capital_share_momentum", "capital_share_volume"]
            .iter()
            .map(|name| number(name))
            .sum();
    if shares.is_some_and(|sum| sum > rust_decimal::Decimal::ONE) {
        let allowed = "the three CAPITAL_SHARE_* together at most 1";
        refuse(values, problems, "capital_share_liquidity", "makes the sum exceed 1", allowed);
    }
}

/// One LIGHT pass may fail before silence degrades the mode; and passes must fit the account's tier: what they cost,
/// one point each, stays within 60 % of what the tier's counter gives back.
fn truth_calls(values: &Values, problems: &mut Vec<Problem>) {
    let Some(every_ms) = values.int("reconcile_rest_interval_ms") else { return };
    if let Some(stale_ms) = values.int("rest_stale_ms_degrade")
        && stale_ms < 2 * every_ms
    {
        let allowed = format!("≥ 2 · RECONCILE_REST_INTERVAL_MS ({})", 2 * every_ms);
        let what = "would degrade after a single failed look";
        refuse(values, problems, "rest_stale_ms_degrade", what, &allowed);
    }
    let tier = values.get("kraken_tier").map(|resolved| &resolved.value);
    let is_starter = matches!(tier, Some(Value::Text(word)) if word == "starter");
    if is_starter && every_ms < STARTER_LIGHT_MS_MIN {
        let allowed = format!("≥ {STARTER_LIGHT_MS_MIN} with KRAKEN_TIER = starter");
        refuse(values, problems, "reconcile_rest_interval_ms", "costs too much", &allowed);
    }
}

fn epochs(values: &Values, problems: &mut Vec<Problem>) {
    let int = |name| values.int(name);
    if let (Some(age), Some(interval)) = (int("epoch_max_age_secs"), int("epoch_interval_secs"))
        && age < interval + 60
    {
        let allowed = format!("≥ EPOCH_INTERVAL_SECS + 60 ({})", interval + 60);
        refuse(
            values,
            problems,
            "epoch_max_age_secs",
            "would expire epochs before the next",
            &allowed,
        );
    }
    if let Some(limit) = int("execution_universe_limit")
        && limit != 0
        && limit < 5
    {
        refuse(
            values,
            problems,
            "execution_universe_limit",
            "is too small",
            "5..1000, or 0 (unbounded)",
        );
    }
    if let (Some(minutes), Some(warm_up), Some(interval)) = (
        int("live_validation_runtime_minutes"),
        int("ingest_warmup_secs"),
        int("epoch_interval_secs"),
    ) && minutes > 0
        && minutes * 60 <= warm_up + interval
    {
        let allowed = format!("0, or more than warm-up and one epoch ({} s)", warm_up + interval);
        let key = "live_validation_runtime_minutes";
        refuse(values, problems, key, "ends before anything can be seen", &allowed);
    }
}

fn selection(values: &Values, problems: &mut Vec<Problem>) {
    let weights: Option<i64> = ["liquidity", "momentum", "spread"]
        .iter()
        .map(|part| values.int(&format!("rank_weight_{part}_x10000")))
        .sum();
    if weights.is_some_and(|sum| sum != 10_000) {
        let key = "rank_weight_liquidity_x10000";
        refuse(values, problems, key, "the three weights do not add up", "sum 10000");
    }
}

fn engine(values: &Values, problems: &mut Vec<Problem>) {
    let int = |name: &str| values.int(name);
    if int("engine.snapshot_every_ticks").is_some_and(|ticks| 3_600 % ticks != 0) {
        refuse(
            values,
            problems,
            "engine.snapshot_every_ticks",
            "does not divide 3600",
            "a divisor of 3600",
        );
    }
    if let Some(Value::Text(schema)) = values.get("engine.schema").map(|resolved| &resolved.value)
        && schema != SCHEMA
    {
        refuse(values, problems, "engine.schema", "is the schema of another version", SCHEMA);
    }
    for tier in ["expansion", "compressed", "overleveraged", "exhausted"] {
        let (n, m) = (format!("engine.tier.{tier}.n"), format!("engine.tier.{tier}.m"));
        if let (Some(enter), Some(exit)) = (int(&n), int(&m))
            && exit < 2 * enter
        {
            refuse(
                values,
                problems,
                &m,
                "leaves faster than twice the entry",
                &format!("≥ {}", 2 * enter),
            );
        }
    }
    for key in table::keys() {
        let Some(term) = key.name.strip_suffix(".hi") else { continue };
        if let (Some(hi), Some(lo)) = (int(key.name), int(&format!("{term}.lo")))
            && hi <= lo
        {
            refuse(values, problems, key.name, "is not above the ramp's start", &format!("> {lo}"));
        }
    }
    for (name, count) in [("engine.cost.weights", 4), ("engine.alerts.weights", 3)] {
        let positive =
            |item: &String| item.parse::<u32>().is_ok_and(|weight| (1..=1_000).contains(&weight));
        if let Some(Value::List(items)) = values.get(name).map(|resolved| &resolved.value)
            && (items.len() != count || !items.iter().all(positive))
        {
            let allowed = format!("{count} whole numbers in 1..1000");
            refuse(values, problems, name, "is not a list of weights", &allowed);
        }
    }
}

/// Level 3 books: a budget that at least one symbol fits into, and a key for ingest. Only who asked for
/// them is refused without one: the default must not stop a recorder that has no key.
fn level3(process: Process, values: &Values, problems: &mut Vec<Problem>) {
    let points = match values.int("l3_depth") {
        Some(1_000) => 100,
        Some(100) => 25,
        _ => 5,
    };
    if values.int("l3_subscribe_rate").is_some_and(|rate| rate < points) {
        let allowed = format!("≥ {points}, what one symbol costs at this L3_DEPTH");
        refuse(values, problems, "l3_subscribe_rate", "admits no symbol at all", &allowed);
    }
    let [key, secret] = match process {
        Process::Ingest => ["kraken_api_key", "kraken_api_secret"],
        Process::Tool => ["penstock_ingest_api_key", "penstock_ingest_api_secret"],
        // Its own key is judged by the venue at its start.
        Process::Execution => return,
    };
    let is_set = |name: &str| {
        matches!(values.get(name).map(|resolved| &resolved.value), Some(Value::Secret(_)))
    };
    let verify = ["kraken_verify_api_key", "kraken_verify_api_secret"];
    let halves =
        if process == Process::Tool { vec![[key, secret], verify] } else { vec![[key, secret]] };
    for [key, secret] in halves {
        if is_set(key) != is_set(secret) {
            let missing = if is_set(key) { secret } else { key };
            let allowed = format!("{} and {}, or neither", env(key), env(secret));
            refuse(values, problems, missing, "is the missing half of a key", &allowed);
        }
    }
    let is_asked_for = values.get("l3_enable").is_some_and(|resolved| {
        matches!(resolved.value, Value::Bool(true)) && resolved.origin != Origin::Default
    });
    if process == Process::Ingest && is_asked_for && !(is_set(key) && is_set(secret)) {
        let reason = "needs KRAKEN_API_KEY and KRAKEN_API_SECRET of a key without trading rights";
        let allowed = "L3_ENABLE=false, or both set for ingest (`penstock up` sets them from PENSTOCK_INGEST_API_KEY and PENSTOCK_INGEST_API_SECRET)";
        refuse(values, problems, "l3_enable", reason, allowed);
    }
}

/// A gate that is on knows whom to ask, and an answer at the end of its time can still be used: the pointer of the state
/// must not have moved too far while it was waited for. Only execution needs the key.
fn ai_gate(process: Process, values: &Values, problems: &mut Vec<Problem>) {
    if values.int("ai_dec").unwrap_or_default() == 0 {
        return;
    }
    for name in ["ai_gate_base_url", "ai_gate_model", "ai_gate_api_key"] {
        let is_set = match values.get(name).map(|resolved| &resolved.value) {
            Some(Value::Text(text)) => !text.is_empty() && text != "off",
            Some(Value::Secret(secret)) => !secret.expose_secret().is_empty(),
            _ => false,
        };
        let needed = name != "ai_gate_api_key" || process == Process::Execution;
        if needed && !is_set {
            let allowed = "a value, or AI_DEC=0";
            refuse(values, problems, name, "is required when AI_DEC is above 0", allowed);
        }
    }
    let int = |name| values.int(name);
    if let (Some(timeout), Some(lag), Some(interval)) =
        (int("ai_gate_timeout_ms"), int("generation_max_lag"), int("state_refresh_interval_ms"))
        && timeout + AFTER_ANSWER_MS > lag * interval
    {
        let allowed = format!(
            "≤ GENERATION_MAX_LAG · STATE_REFRESH_INTERVAL_MS - {AFTER_ANSWER_MS} ({})",
            lag * interval - AFTER_ANSWER_MS
        );
        let reason = "allows an answer that comes too late for the generation it was asked of";
        refuse(values, problems, "ai_gate_timeout_ms", reason, &allowed);
    }
}

fn names(values: &Values, problems: &mut Vec<Problem>) {
    if let Some(Value::Text(domain)) = values.get("domain").map(|resolved| &resolved.value) {
        // It becomes part of file names.
        let fits = !domain.is_empty()
            && domain.len() <= 32
            && domain.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !fits {
            refuse(values, problems, "domain", "is not a domain name", "1 to 32 of a-z, 0-9, _");
        }
    }
    if let Some(Value::List(quotes)) = values.get("universe_quotes").map(|resolved| &resolved.value)
        && quotes.len() != 1
    {
        let reason =
            "names more or less than one quote asset: it is the money of sizing and ledger";
        refuse(values, problems, "universe_quotes", reason, "one asset");
    }
}

fn clusters(process: Process, values: &Values, problems: &mut Vec<Problem>) {
    let is = |name: &str, wanted: bool| matches!(values.get(name).map(|resolved| &resolved.value), Some(Value::Bool(flag)) if *flag == wanted);
    if is("execution_only", false) {
        let reason = "execution never runs ingest; `penstock up` runs both services";
        refuse(values, problems, "execution_only", reason, "true");
    }
    let secret = |name: &str| match values.get(name).map(|resolved| &resolved.value) {
        Some(Value::Secret(text)) => Some(text.expose_secret().to_owned()),
        _ => None,
    };
    let (ingest, decision) = (secret("ingest_database_url"), secret("decision_database_url"));
    if process == Process::Execution && ingest.is_some() {
        let reason = "execution must not be able to reach the ingest cluster";
        refuse(values, problems, "ingest_database_url", reason, "unset for execution");
    }
    if process == Process::Ingest && ingest.is_none() {
        refuse(values, problems, "ingest_database_url", "is required", "a postgres:// URL");
    }
    if process != Process::Tool && decision.is_none() {
        refuse(values, problems, "decision_database_url", "is required", "a postgres:// URL");
    }
    for (name, urls) in [("ingest_database_url", &ingest), ("decision_database_url", &decision)] {
        for url in urls.iter().flat_map(|urls| urls.split(',')) {
            if let Err((reason, allowed)) = judge_database(url.trim()) {
                refuse(values, problems, name, reason, allowed);
            }
        }
    }
    if let (Some(a), Some(b)) = (&ingest, &decision)
        && !is("allow_single_cluster", true)
        && b.split(',').any(|one| place_of(a).is_some() && place_of(a) == place_of(one.trim()))
    {
        let reason = "names the same server as INGEST_DATABASE_URL; two clusters are mandatory";
        let allowed = "another cluster (development only: ALLOW_SINGLE_CLUSTER=true)";
        refuse(values, problems, "decision_database_url", reason, allowed);
    }
}

fn judge_database(text: &str) -> Result<(), (&'static str, &'static str)> {
    let allowed =
        "postgres://user@host:port/database, or postgres:///database?host=/socket/directory";
    let url = Url::parse(text).map_err(|_| ("is not a URL", allowed))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(("is not a postgres:// URL", allowed));
    }
    let (host, _) = host_and_port(&url);
    let over_socket = host.is_empty() || host.starts_with('/');
    let encrypted = url.query_pairs().any(|(name, value)| {
        name == "sslmode" && matches!(&*value, "require" | "verify-ca" | "verify-full")
    });
    if over_socket || encrypted || is_loopback(&url) || crate::value::is_loopback_name(&host) {
        Ok(())
    } else {
        Err((
            "is plain text to a host that is not loopback",
            "a socket, a loopback address, or sslmode=require, verify-ca, verify-full",
        ))
    }
}

/// Host (a socket directory begins with `/`) and port of a database URL.
fn host_and_port(url: &Url) -> (String, u16) {
    let mut host = percent_decoded(url.host_str().unwrap_or(""));
    let mut port = url.port().unwrap_or(5_432);
    for (name, value) in url.query_pairs() {
        match &*name {
            "host" => host = value.into_owned(),
            "port" => port = value.parse().unwrap_or(port),
            _ => {}
        }
    }
    (host, port)
}

/// Server of a URL. Two databases of one server are one cluster.
fn place_of(text: &str) -> Option<(String, u16)> {
    let (host, port) = host_and_port(&Url::parse(text).ok()?);
    let host = if crate::value::is_loopback_name(&host) { "localhost".to_owned() } else { host };
    Some((host.trim_end_matches('/').to_ascii_lowercase(), port))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[i], hex.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 3;
            }
            (byte, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn env(name: &str) -> String {
    table::find(name).map_or_else(|| name.to_owned(), crate::key::Key::env)
}

/// Refuses the value of a key.
pub(crate) fn refuse(
    values: &Values,
    problems: &mut Vec<Problem>,
    name: &str,
    reason: &str,
    allowed: &str,
) {
    let (value, origin) = values.get(name).map_or_else(
        || ("(unset)".to_owned(), "default".to_owned()),
        |resolved| (resolved.value.shown(), resolved.origin.to_string()),
    );
    problems.push(Problem {
        key: env(name),
        origin,
        value,
        reason: reason.to_owned(),
        allowed: allowed.to_owned(),
        next: format!("change {} or the key it is measured against", env(name)),
        engine_code: match name {
            "engine.schema" => Some(E_CFG_SCHEMA),
            _ if name.starts_with("engine.") => Some(E_CFG_RANGE),
            _ => None,
        },
    });
}
