//! What the configuration says of alerts.
//!
//! Input: the resolved configuration, which has refused half of a pair and a host that is not allowed. Output:
//! [`Settings`]. Invariants: no default stands here; a way out that is not set is not there.

use std::time::Duration;

use penstock_audit::Redactor;
use penstock_config::table::decision::Severity as Word;
use penstock_config::{Config, Endpoint, Value};
use penstock_contracts::alert::AlertSource;
use penstock_types::vocab::Severity;
use secrecy::SecretString;

use crate::board::Times;
use crate::outbox::Rules;
use crate::sink::{Sink, Target};

/// Settings of a service's alerts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which service.
    pub sender: AlertSource,
    /// Times of the board.
    pub times: Times,
    /// Alerts that may wait.
    pub capacity: usize,
    /// Milliseconds between two messages of one key.
    pub cooldown_ms: i64,
    /// Time limit of a message.
    pub timeout: Duration,
    /// Least severity that rings; none when sound is off.
    pub bell: Option<Severity>,
    /// Ways out of the machine.
    pub sinks: Vec<Sink>,
    /// What must not be said.
    pub redactor: Redactor,
}

impl Settings {
    /// Of a service.
    #[must_use]
    pub fn of(config: &Config, sender: AlertSource) -> Self {
        let a = &config.areas.alerts;
        Self {
            sender,
            times: Times {
                repeat_ms: int(a.alert_repeat_ms),
                window_ms: int(a.alert_active_window_ms),
            },
            capacity: usize::try_from(a.alert_queue_capacity).unwrap_or(usize::MAX),
            cooldown_ms: int(a.alert_cooldown_secs).saturating_mul(1_000),
            timeout: Duration::from_millis(a.alert_send_timeout_ms),
            bell: a.alert_sound_enabled.then(|| severity(a.alert_sound_min_severity)),
            sinks: sinks(config),
            redactor: redactor(config),
        }
    }

    /// Rules of a way out.
    #[must_use]
    pub const fn rules(&self, least: Severity) -> Rules {
        Rules { least, cooldown_ms: self.cooldown_ms, capacity: self.capacity }
    }
}

const fn severity(word: Word) -> Severity {
    match word {
        Word::Info => Severity::Info,
        Word::Warn => Severity::Warn,
        Word::Crit => Severity::Crit,
    }
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn sinks(config: &Config) -> Vec<Sink> {
    let a = &config.areas.alerts;
    let mut sinks = Vec::new();
    if let Endpoint::At(url) = &a.alert_webhook_url {
        let target = Target::Webhook { url: url.clone(), bearer: a.alert_webhook_token.clone() };
        sinks.push(Sink { target, least: severity(a.alert_webhook_min_severity) });
    }
    if let (Endpoint::At(api), Some(token), false) =
        (&a.alert_telegram_api_url, &a.alert_telegram_token, a.alert_telegram_chat_id.is_empty())
    {
        let (api, token) = (api.clone(), token.clone());
        let target = Target::Telegram { api, token, chat_id: a.alert_telegram_chat_id.clone() };
        sinks.push(Sink { target, least: severity(a.alert_telegram_min_severity) });
    }
    if let (Endpoint::At(api), Some(token), Some(user)) =
        (&a.alert_pushover_api_url, &a.alert_pushover_token, &a.alert_pushover_user)
    {
        let (api, token, user) = (api.clone(), token.clone(), user.clone());
        let target = Target::Pushover { api, token, user };
        sinks.push(Sink { target, least: severity(a.alert_pushover_min_severity) });
    }
    sinks
}

/// Every loaded secret, the names of their variables, and the hosts whose paths may be one.
fn redactor(config: &Config) -> Redactor {
    let a = &config.areas.alerts;
    let keys: Vec<_> = penstock_config::table::keys().filter(|key| key.is_secret()).collect();
    let secrets: Vec<SecretString> = keys
        .iter()
        .filter_map(|key| match &config.values().get(key.name)?.value {
            Value::Secret(secret) => Some(secret.clone()),
            _ => None,
        })
        .collect();
    let names: Vec<String> = keys.iter().map(|key| key.env()).collect();
    let hosts: Vec<String> =
        [&a.alert_webhook_url, &a.alert_telegram_api_url, &a.alert_pushover_api_url]
            .into_iter()
            .filter_map(|endpoint| match endpoint {
                Endpoint::At(url) => url.host_str().map(str::to_owned),
                Endpoint::Off => None,
            })
            .collect();
    Redactor::default()
        .with_secrets(&secrets)
        .with_env_names(names.iter().map(String::as_str))
        .with_sink_hosts(hosts.iter().map(String::as_str))
}
