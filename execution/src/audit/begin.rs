//! The beginning of a session's trail: what is redacted, where it goes, its first events.
//!
//! Input: settings and the session. Output: the running writer, with CONFIG_LOADED said. Invariant: what
//! the redactor looks for is every secret that the configuration holds, and their names.

use std::sync::Arc;
use std::time::Duration;

use penstock_audit::{Draft, Redactor};
use penstock_config::{Config, Value};
use penstock_store::ClusterRole;
use penstock_store::pools::{self, PoolSettings};
use penstock_telemetry::build;
use penstock_types::SessionId;
use penstock_types::vocab::{AuditEventType, StageName};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;

use super::console::Console;
use super::pressure::PressureLimits;
use super::process::{Loop, StageNote};
use super::writer::{AuditWriter, WriterParts};
use crate::exit::StartError;
use crate::mode::ModeHandle;
use crate::settings::Settings;

/// Connections of the rows: inserts one after the other, and a partition beside them.
const CONNECTIONS: u32 = 2;
/// URLs of alert sinks, whose paths may be the secret.
const SINKS: [&str; 3] = ["alert_webhook_url", "alert_telegram_api_url", "alert_pushover_api_url"];

/// Every secret of a configuration, with what a redactor needs to find it.
#[must_use]
pub fn redactor(config: &Config) -> Redactor {
    let keys = || penstock_config::table::keys().filter(|key| key.is_secret());
    let names: Vec<String> = keys().map(penstock_config::key::Key::env).collect();
    loaded(config).with_env_names(names.iter().map(String::as_str))
}

/// The same for lines of the log, which may name a variable: whoever has to set it must read its name.
#[must_use]
pub fn log_redactor(config: &Config) -> Redactor {
    loaded(config)
}

fn loaded(config: &Config) -> Redactor {
    let values = config.values();
    let secrets: Vec<&SecretString> = penstock_config::table::keys()
        .filter_map(|key| match &values.get(key.name)?.value {
            Value::Secret(secret) => Some(secret),
            Value::Bool(_)
            | Value::Int(_)
            | Value::Decimal(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Unset => None,
        })
        .collect();
    let hosts: Vec<String> = SINKS
        .iter()
        .filter_map(|name| match &values.get(name)?.value {
            Value::Text(text) => url::Url::parse(text).ok()?.host_str().map(str::to_owned),
            _ => None,
        })
        .collect();
    let bytes = config.areas.audit.audit_redacted_json_max_bytes;
    Redactor::default()
        .with_secrets(secrets)
        .with_sink_hosts(hosts.iter().map(String::as_str))
        .with_json_bytes_max(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Starts the writer of a session and says what configuration is in force.
///
/// # Errors
/// [`StartError`] when the URL of the decision cluster cannot be read.
pub fn begin(
    settings: &Settings,
    session_id: SessionId,
    mode: &ModeHandle,
    schema_version: i64,
) -> Result<AuditWriter, StartError> {
    let areas = &settings.config.areas;
    let writer = AuditWriter::start(WriterParts {
        dir: areas.audit.audit_dir.clone(),
        session_id,
        pool: rows_pool(settings)?,
        mode: mode.clone(),
        redactor: Arc::new(redactor(&settings.config)),
        limits: PressureLimits::of(&settings.config),
        drop_samples: areas.audit.audit_drop_sample_events,
        sync_every: Duration::from_millis(areas.audit.jsonl_fsync_ms),
        console: Console::stderr(areas.evaluation.console_stage),
        clock: Arc::new(now_ms),
        run_started: run_started(settings, schema_version),
    });
    let handle = writer.handle();
    handle.post(config_loaded(settings));
    handle.enter(Loop::Service, StageName::Boot, StageNote::default());
    mode.say_to(&handle);
    Ok(writer)
}

/// Connections of its own, opened when they are needed: a cluster that is away must not hold up the files.
fn rows_pool(settings: &Settings) -> Result<PgPool, StartError> {
    let url = settings.config.areas.clusters.decision_database_url.as_ref();
    let options = PoolSettings::service("run-execution-live audit", CONNECTIONS);
    let url = url.map_or("", |url| url.expose_secret());
    Ok(pools::open_lazy(url, ClusterRole::Decision, &options)?)
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn run_started(settings: &Settings, schema_version: i64) -> Draft {
    Draft::new(StageName::Boot, AuditEventType::RunStarted, now_ms())
        .with("git_commit", build::GIT_COMMIT)
        .with("build_profile", build::PROFILE)
        .with("config_hash", settings.config_hash.as_str())
        .with("schema_version", schema_version)
        .with("venue", settings.domain())
        .with("ai_dec", settings.config.areas.ai_gate.ai_dec)
        .with("engine_mode", "LIVE")
}

/// Which keys differ from the compiled defaults, without secrets.
fn config_loaded(settings: &Settings) -> Draft {
    let changed: Vec<&str> = penstock_config::show::differences(&settings.config)
        .into_iter()
        .map(|difference| difference.key)
        .collect();
    Draft::new(StageName::Boot, AuditEventType::ConfigLoaded, now_ms())
        .with("config_hash", settings.config_hash.as_str())
        .with("changed_keys", changed)
}

/// The last event of a session.
#[must_use]
pub fn run_ended(exit_code: u8, uptime: Duration) -> Draft {
    Draft::new(StageName::Shutdown, AuditEventType::RunEnded, now_ms())
        .with("exit_code", exit_code)
        .with("uptime_s", uptime.as_secs())
}
