//! Targets of the audit trail: its lines, and what must never get into them.

use penstock_audit::redact::{REDACTED, Source};
use penstock_audit::{Draft, Event, Hash, Line, Redactor};
use penstock_types::vocab::{AuditEventType, StageName};
use penstock_types::{SessionId, Uuid};
use serde_json::Value;

/// Any bytes are a line that is written as it was read, or an error; as data of an event they go round.
pub(super) fn audit_line(bytes: &[u8]) {
    if let Ok(line) = Line::parse(bytes) {
        assert_eq!(line.bytes().strip_suffix(b"\n"), Some(bytes), "a line has one form");
    }
    let Ok(Value::Object(data)) = serde_json::from_slice(bytes) else { return };
    let draft = Draft::new(StageName::Boot, AuditEventType::Marker, 1_771_243_200_251);
    let Ok(event) = Event::new(Draft { data, ..draft }, &Redactor::default()) else { return };
    let session = SessionId(Uuid::from_u128(0x0197_a5c0_0000_7000_8000_0000_0000_0001));
    let (line, text) = Line::write(event, session, 2, Hash([7; 32]));
    let body = text.strip_suffix(b"\n").expect("a line has an end");
    assert!(!body.contains(&b'\n'), "a line has one end");
    assert_eq!(Line::parse(body).expect("what was written reads"), line);
}

/// The first line is a secret, the rest a text and perhaps JSON: the secret is in nothing that comes out.
pub(super) fn audit_redact(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some((secret, text)) = text.split_once('\n') else { return };
    if secret.chars().count() < 8 || REDACTED.contains(secret) {
        return;
    }
    let redactor = Redactor::default().with_secrets([&secret.to_owned().into()]);
    let shown = redactor.text(text);
    assert!(!shown.contains(secret), "a text");
    assert_eq!(redactor.text(&shown), shown, "what is redacted stays as it is");
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let stored = redactor.stored_json(&value, Source::Ai);
    let is_marker = stored.starts_with("<TRUNCATED ") || stored == format!("\"{REDACTED}\"");
    assert!(is_marker || !stored.contains(secret), "stored JSON");
    if let Value::Object(map) = value {
        let data = Value::Object(redactor.data(&map));
        assert!(!data.to_string().contains(secret), "the data of an event");
    }
}
