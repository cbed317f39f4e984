//! Purpose: the engine's configuration, resolved. Inputs: values that are each in range, tokens, override
//! tables, events. Outputs: [`EngineSettings`]: what the engine reads, its canonical text and hash, and the
//! keys that no output byte depends on. Invariants: two files that say the same give the same text in
//! whatever order they say it; a refusal carries a code of the engine's own. It opens no directory.

mod events;
mod overrides;

use std::collections::BTreeMap;
use std::path::PathBuf;

use penstock_engine::EngineConfig;
use penstock_engine::config::{
    Class, EventConfig, Field as EngineField, InstrumentConfig, Profile, Roles, TokenConfig,
};
use penstock_types::vocab::Venue;

use crate::bindings::{Bindings, Instrument, Token};
use crate::error::Problem;
use crate::file::File;
use crate::resolve::Values;
use crate::value::Value;
use overrides::Override;
pub(crate) use overrides::is_override;

/// A key, a token, an event or a file that cannot be read.
pub(crate) const E_CFG_PARSE: &str = "E_CFG_PARSE";
/// A number outside its range, or one that does not fit another.
pub(crate) const E_CFG_RANGE: &str = "E_CFG_RANGE";
/// Times of events.
pub(crate) const E_CFG_SCHEDULE: &str = "E_CFG_SCHEDULE";
/// Tokens and their roles.
pub(crate) const E_CFG_TOKEN: &str = "E_CFG_TOKEN";
/// Another version of the keys.
pub(crate) const E_CFG_SCHEMA: &str = "E_CFG_SCHEMA";

crate::area::choice! {
    /// What the engine's gates do to entries.
    pub enum Gates {
        /// They block and reduce.
        Enforce = "enforce",
        /// They say what they would do.
        Shadow = "shadow",
        /// They are not asked.
        Off = "off",
    }
}

/// Keys of the engine that change no byte of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineLocal {
    /// Event logs.
    pub log_dir: PathBuf,
    /// Frames and quote blocks.
    pub journal_dir: PathBuf,
    /// Snapshots.
    pub snapshot_dir: PathBuf,
    /// Alerts.
    pub alerts_dir: PathBuf,
    /// Manifests and public keys.
    pub manifest_dir: PathBuf,
    /// Private key of the manifests.
    pub signing_key_file: PathBuf,
    /// Free bytes that a start demands.
    pub disk_free_min_bytes: u64,
    /// Gates.
    pub gates: Gates,
    /// Milliseconds between a frame's write and its sync.
    pub journal_group_ms: u64,
    /// Closed files are compressed.
    pub compress: bool,
    /// Days that the files of an ordinary day are kept.
    pub keep_days: u32,
    /// Days that the files of a day with an order of ours are kept.
    pub keep_days_traded: u32,
    /// Days that the last snapshot of a day lies among the snapshots.
    pub snapshot_keep_days: u32,
    /// Alerts of kind 1 reach the table.
    pub publish_build: bool,
}

/// The engine's configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Everything that can change a byte of its output; [`EngineConfig::check`] accepts it.
    pub config: EngineConfig,
    /// Its canonical JSON.
    pub canonical: String,
    /// SHA-256 of [`EngineSettings::canonical`].
    pub sha256: [u8; 32],
    /// The rest.
    pub local: EngineLocal,
}

/// What a file says about the engine beside its keys.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    overrides: Vec<Override>,
    events: Vec<EventConfig>,
}

/// Reads the override tables and the events of a file.
pub(crate) fn read(file: &File, file_name: &str, problems: &mut Vec<Problem>) -> Tables {
    Tables {
        overrides: overrides::read(file, file_name, problems),
        events: events::read(file, file_name, problems),
    }
}

/// Puts everything together; `None` with at least one problem.
pub(crate) fn resolve(
    values: &Values,
    bindings: &Bindings,
    tables: Tables,
    problems: &mut Vec<Problem>,
) -> Option<EngineSettings> {
    let before = problems.len();
    overrides::judge(&tables.overrides, bindings, problems);
    polls(values, bindings, problems);
    let mut config = EngineConfig::default();
    let mut missing = None;
    config.visit(&mut |path, field| {
        if fill(values, path, field).is_none() {
            missing = Some(path.to_owned());
        }
    });
    for token in bindings.tokens() {
        match of_token(&config, token, &tables.overrides) {
            Some(token) => config.tokens.push(token),
            None => missing = Some(format!("token {}", token.id)),
        }
    }
    config.events = tables.events;
    participants(&config, problems);
    if let Some(path) = missing {
        problems.push(defect(&format!("engine.{path} and its field disagree")));
    }
    if problems.len() == before
        && let Err(error) = config.check()
    {
        problems.push(from_engine(&error));
    }
    let local = local(values);
    if local.is_none() {
        problems.push(defect("a key of the engine and its field disagree"));
    }
    if problems.len() > before {
        return None;
    }
    let (canonical, sha256) = (config.canonical(), config.sha256());
    Some(EngineSettings { config, canonical, sha256, local: local? })
}

/// One field of the engine's from the key of the same path.
fn fill(values: &Values, path: &str, field: EngineField<'_>) -> Option<()> {
    let name = format!("engine.{path}");
    match (field, &values.get(&name)?.value) {
        (EngineField::Int { value, .. }, Value::Int(number)) => *value = *number,
        (EngineField::Bool(value), Value::Bool(flag)) => *value = *flag,
        (EngineField::Weights(weights), Value::List(items)) if items.len() == weights.len() => {
            for (weight, item) in weights.iter_mut().zip(items) {
                *weight = item.parse().ok()?;
            }
        }
        _ => return None,
    }
    Some(())
}

fn of_token(config: &EngineConfig, token: &Token, overrides: &[Override]) -> Option<TokenConfig> {
    let id = u16::try_from(token.id).ok()?;
    let class = Class::named(&token.class)?;
    let profile = Profile::named(&token.profile)?;
    let instruments = token.instruments.iter().map(instrument).collect::<Option<_>>()?;
    let mut resolved = config.token(id, &token.symbol, class, profile, instruments);
    if let Some(cluster) = token.cluster {
        resolved.cluster = u8::try_from(cluster).ok()?;
    }
    overrides::apply(overrides, &mut resolved);
    Some(resolved)
}

fn instrument(one: &Instrument) -> Option<InstrumentConfig> {
    let mut roles = Roles::default();
    for role in &one.roles {
        roles.add(role).then_some(())?;
    }
    let venue = match one.venue.as_str() {
        "kraken" => Venue::KrakenSpot,
        "kraken_futures" => Venue::KrakenFutures,
        "binance_um" => Venue::BinanceUm,
        _ => return None,
    };
    Some(InstrumentConfig {
        venue,
        symbol: one.symbol.clone(),
        roles,
        qty_exp: u32::try_from(one.qty_exp).ok()?,
        multiplier: one.multiplier,
        funding_interval_h: one.funding_interval_h,
    })
}

fn local(values: &Values) -> Option<EngineLocal> {
    let dir = |name: &str| values.field::<PathBuf>(&format!("engine.{name}"));
    Some(EngineLocal {
        log_dir: dir("log_dir")?,
        journal_dir: dir("journal_dir")?,
        snapshot_dir: dir("snapshot_dir")?,
        alerts_dir: dir("alerts_dir")?,
        manifest_dir: dir("manifest_dir")?,
        signing_key_file: dir("signing_key_file")?,
        disk_free_min_bytes: values.field("engine.disk_free_min_bytes")?,
        gates: values.field("engine.gates")?,
        journal_group_ms: values.field("engine.journal.group_ms")?,
        compress: values.field("engine.compress")?,
        keep_days: values.field("engine.keep_days")?,
        keep_days_traded: values.field("engine.keep_days_traded")?,
        snapshot_keep_days: values.field("engine.snapshot_keep_days")?,
        publish_build: values.field("engine.alerts.publish_build")?,
    })
}

/// Open interest that is polled one symbol per request must not go stale between two polls.
fn polls(values: &Values, bindings: &Bindings, problems: &mut Vec<Problem>) {
    let polled = |one: &&Instrument| {
        one.venue == "binance_um" && one.roles.iter().any(|role| role == "oi_set")
    };
    let instruments = bindings.tokens().iter().flat_map(|token| &token.instruments);
    let symbols = i64::try_from(instruments.filter(polled).count()).unwrap_or(i64::MAX);
    let int = |name: &str| values.int(name).unwrap_or(1).max(1);
    let per_second = int("engine.poll.oi_rps");
    let interval_s =
        int("engine.poll.oi_s").max(symbols.saturating_add(per_second - 1) / per_second);
    let least = interval_s.saturating_mul(8);
    if int("engine.stale.oi") < least {
        let allowed =
            format!("≥ {least}: two polls of {symbols} symbols, each every {interval_s} s");
        crate::rules::refuse(values, problems, "engine.stale.oi", "is below two polls", &allowed);
    }
}

/// Who takes part in an event is of its class and says so: nobody is re-classed silently.
fn participants(config: &EngineConfig, problems: &mut Vec<Problem>) {
    let scheduled: BTreeMap<u8, &str> =
        config.events.iter().map(|event| (event.cluster, event.id.as_str())).collect();
    for token in config.tokens.iter().filter(|token| token.class != Class::Fct) {
        if let Some(event) = scheduled.get(&token.cluster) {
            problems.push(Problem {
                key: format!("engine.token {} class", token.id),
                origin: "engine.token".to_owned(),
                value: token.class.name().to_owned(),
                reason: format!("shares cluster {} with event {event:?}", token.cluster),
                allowed: "FCT".to_owned(),
                next: "set class = \"FCT\", or move the token to another cluster".to_owned(),
                engine_code: Some(E_CFG_TOKEN),
            });
        }
    }
}

/// What the engine itself refuses.
fn from_engine(error: &penstock_engine::ConfigError) -> Problem {
    Problem {
        key: "engine".to_owned(),
        origin: "resolved".to_owned(),
        value: "(resolved)".to_owned(),
        reason: error.to_string(),
        allowed: String::new(),
        next: "correct the keys of [engine]".to_owned(),
        engine_code: Some(error.code()),
    }
}

fn defect(what: &str) -> Problem {
    Problem { engine_code: Some(E_CFG_PARSE), ..crate::resolve::internal_problem(what) }
}
