//! Secrets that were loaded are in no line of the trail, in no line of the log, and in no debug text.

use std::collections::BTreeMap;

use penstock_audit::{Draft, Event, Hash, Line, Redactor};
use penstock_config::{Config, Process, Sources, resolve};
use penstock_telemetry::LineFilter;
use penstock_types::vocab::{AuditEventType, StageName};
use penstock_types::{SessionId, Uuid};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::LogFilter;
use crate::audit::{log_redactor, redactor};
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

proptest! {
    #[test]
    fn taint_never_persists(which in 0..SECRETS.len(), seed in any::<u32>(), value in any_json("kSx9+pQ/averylongkey00")) {
        let _ = (which, seed);
        let config = config();
        let line = line_of(value.clone(), &redactor(&config));
        let secret = SECRETS[0].1;
        let escaped = Value::from(secret).to_string();
        prop_assert!(!line.contains(secret), "{line}");
        prop_assert!(!line.contains(escaped.trim_matches('"')), "{line}");

        let filter = LogFilter(log_redactor(&config));
        let text = value.to_string();
        let logged = filter.text(&text).unwrap_or(text);
        prop_assert!(!logged.contains(secret), "{logged}");
        let mut fields = Map::new();
        fields.insert("payload".to_owned(), value);
        let logged = Value::Object(filter.fields(fields)).to_string();
        prop_assert!(!logged.contains(secret), "{logged}");
    }
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
