//! Secrets that were loaded are in no line of the trail, in no line of the log, and in no debug text.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use penstock_alerts::{AlertSource, Alerts, Metrics, Settings as AlertSettings};
use penstock_audit::redact::Source;
use penstock_audit::{Draft, Event, Hash, Line, Redactor};
use penstock_config::{Config, Process, Sources, resolve};
use penstock_telemetry::LineFilter;
use penstock_trading::mode::{CauseCode, ModeChange};
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName, SysMode};
use penstock_types::{SessionId, UtcMicros, Uuid};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::LogFilter;
use crate::alerts::trail::event;
use crate::audit::{log_redactor, mode_changed, redactor};
use crate::mode::row;
use crate::settings::{RunMode, Settings};

const SECRETS: [(&str, &str); 3] = [
    ("KRAKEN_API_KEY", "kSx9+pQ/averylongkey00"),
    ("KRAKEN_API_SECRET", "c2VjcmV0LXNlY3JldC1zZWNyZXQ="),
    ("DECISION_DATABASE_URL", "postgres://exec_rw:pa55-w0rd-long@127.0.0.1:5433/decision"),
];

/// A configuration with secrets, as a service loads it.
fn config() -> Config {
    let env: BTreeMap<String, String> =
        SECRETS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sources = Sources {
        process: Process::Execution,
        file: None,
        environment: env,
        secret_files: BTreeMap::new(),
    };
    resolve(&sources).unwrap()
}

/// Any JSON, with the secret somewhere in a text or a key, if it comes that far.
fn any_json(secret: &'static str) -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-z \"\\\\/{}:]{0,12}".prop_map(|text| text),
        ("[a-z\"/ ]{0,6}", "[a-z\"/ ]{0,6}").prop_map(move |(a, b)| format!("{a}{secret}{b}")),
        ("[a-z]{1,6}").prop_map(move |a| format!("https://{a}.example/{secret}?q={secret}")),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn line_of(value: Value, redactor: &Redactor) -> String {
    let draft = Draft::new(StageName::Boot, AuditEventType::Marker, 1)
        .with("marker", "FENCE_BUSY")
        .with("fields", value);
    let event = Event::new(draft, redactor).unwrap();
    let session = SessionId(Uuid::now_v7());
    let (_, bytes) = Line::write(event, session, 1, Hash::ZERO);
    String::from_utf8(bytes).unwrap()
}

/// Every place that a value may end up in, with what stands there then.
fn sinks(config: &Config, value: &Value) -> Vec<(&'static str, String)> {
    let (trail, text) = (redactor(config), value.to_string());
    let mut found = Vec::new();
    // The trail: the line, and the same event as a row.
    let line = line_of(value.clone(), &trail);
    let read = Line::parse(line.trim_end().as_bytes()).unwrap();
    found.push(("line", line));
    found.push(("row", format!("{:?}", read.event.fields())));
    // The console shows what the trail keeps.
    found.push(("console", stage_line(&text, &trail)));
    // The log, its lines and the fields of its lines.
    let filter = LogFilter(log_redactor(config));
    found.push(("log", filter.text(&text).unwrap_or_else(|| text.clone())));
    let fields = [("payload".to_owned(), value.clone())].into_iter().collect();
    found.push(("fields of the log", Value::Object(filter.fields(fields)).to_string()));
    found.extend(alerted(config, &text));
    // What is kept of a question to the AI gate and of its answer.
    found.push(("ai", trail.stored_json(value, Source::Ai)));
    found.push(("ai detail", trail.text(&text)));
    // The row of a change of the mode, whose causes say texts of errors.
    let change = ModeChange {
        from: None,
        to: SysMode::Pause,
        primary: None,
        reasons: vec![CauseCode::AuditChainBroken],
        values: [("AUDIT_CHAIN_BROKEN".to_owned(), text)].into_iter().collect(),
        lasted_ms: 0,
    };
    let row = row(SessionId(Uuid::now_v7()), &change, UtcMicros::from_millis(1), &trail);
    found.push(("sys_mode_log", row.values.to_string()));
    found.push(("event of a mode", event_text(mode_changed(&change, 1), &trail)));
    found
}

/// An alert with a text as its summary and among its figures: what is sent, its heartbeat, its event.
fn alerted(config: &Config, text: &str) -> Vec<(&'static str, String)> {
    let alerts = Alerts::new(AlertSettings::of(config, AlertSource::Execution));
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let (told, trail) = (Arc::clone(&heard), redactor(config));
    alerts.set_listener(move |alert| {
        let sent = serde_json::to_string(alert).unwrap();
        told.lock().unwrap().extend([sent, event_text(event(alert), &trail)]);
    });
    let occurrence = alerts.occurrence(ReasonCode::DbUnavailable, text).of_symbol(text);
    alerts.raise(occurrence.with_metrics(Metrics::default().with("value", text)));
    let mut found = vec![("heartbeat", alerts.heartbeat().to_string())];
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2, "it was told");
    found.extend(heard.iter().map(|text| ("alert", text.clone())));
    found
}

fn event_text(draft: Draft, redactor: &Redactor) -> String {
    format!("{:?}", Event::new(draft, redactor).unwrap().fields())
}

/// What the console shows of a change of the stage with this summary.
fn stage_line(summary: &str, redactor: &Redactor) -> String {
    let draft = Draft::new(StageName::Boot, AuditEventType::StageChanged, 1);
    let event = Event::new(draft.with("stage_from", "").with("summary", summary), redactor);
    crate::audit::console::line(&event.unwrap())
}

proptest! {
    #[test]
    fn taint_never_persists((secret, value) in (0..SECRETS.len()).prop_flat_map(|which| {
        let secret = SECRETS[which].1;
        (Just(secret), any_json(secret))
    })) {
        let escaped = Value::from(secret).to_string();
        let twice = Value::from(escaped.trim_matches('"')).to_string();
        for (sink, text) in sinks(&config(), &value) {
            prop_assert!(!text.contains(secret), "{sink}: {text}");
            prop_assert!(!text.contains(escaped.trim_matches('"')), "{sink}: {text}");
            prop_assert!(!text.contains(twice.trim_matches('"')), "{sink}: {text}");
        }
    }
}

#[test]
fn a_harmless_value_reaches_every_sink() {
    // Otherwise a sink that shows nothing at all would pass the above.
    let shown = sinks(&config(), &json!({ "word": "harmless" }));
    let silent: Vec<&str> = shown
        .iter()
        .filter(|(_, text)| !text.contains("harmless"))
        .map(|(sink, _)| *sink)
        .collect();
    assert_eq!(silent, Vec::<&str>::new());
}

#[test]
fn every_secret_and_every_name_of_one_is_found() {
    let config = config();
    let redactor = redactor(&config);
    for (name, secret) in SECRETS {
        for text in [secret.to_owned(), format!("x{secret}y"), format!("set {name}")] {
            let line = line_of(json!({ "text": text }), &redactor);
            assert!(!line.contains(secret) && !line.contains(name), "{line}");
        }
    }
    // The password of a URL is a secret of its own.
    assert!(!line_of(json!("pa55-w0rd-long"), &redactor).contains("pa55-w0rd-long"));
    // A log line may name what has to be set, and never its value.
    let filter = LogFilter(log_redactor(&config));
    assert_eq!(filter.text("KRAKEN_API_KEY is not set"), None);
    assert!(filter.text(SECRETS[1].1).is_some());
}

#[test]
fn debug_is_redacted() {
    let config = config();
    let redactor = redactor(&config);
    let settings = Settings::new(config.clone(), RunMode::Attach).unwrap();
    let secret = SecretString::from(SECRETS[0].1);
    for text in [
        format!("{config:?}"),
        format!("{settings:?}"),
        format!("{redactor:?}"),
        format!("{:?}", LogFilter(redactor.clone())),
        format!("{secret:?}"),
        settings.stored_config.to_string(),
    ] {
        for (name, secret) in SECRETS {
            assert!(!text.contains(secret), "{name} is in a debug text");
        }
        assert!(!text.contains("pa55-w0rd-long"));
    }
    assert!(format!("{config:?}").contains("REDACTED"));
}
