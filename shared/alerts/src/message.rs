//! The forms of a message: JSON for a webhook, a line of text for people.
//!
//! Input: an alert or a digest, and who sends it. Output: bytes. Invariants: a text has one line and fits into the
//! shortest limit of the services that get it (1,024 characters, Pushover's); nothing stands in it that does not stand
//! in the alert, but for the page of its runbook.

use penstock_contracts::alert::AlertSource;
use penstock_types::UtcMicros;
use penstock_types::vocab::Severity;
use serde_json::{Value, json};

use crate::outbox::{Digest, Item};

/// Longest text.
pub const TEXT_CHARS_MAX: usize = 1_024;

/// A message that is ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Severity; of a digest the highest in it.
    pub severity: Severity,
    /// For a webhook.
    pub json: Value,
    /// For people.
    pub text: String,
}

impl Message {
    /// Of an item.
    #[must_use]
    pub fn of(item: &Item, sender: AlertSource) -> Self {
        match item {
            Item::Alert(alert, is_active) => {
                let document = alert.document(sender, *is_active);
                let at = UtcMicros::from_millis(alert.last_ms).rfc3339();
                let (reason, symbol) = (alert.id.key.reason, alert.id.key.symbol.as_str());
                let head = format!("{} {reason} {symbol}", alert.severity).trim_end().to_owned();
                let page = reason.runbook().map_or(String::new(), |page| format!("; {page}"));
                let text = format!(
                    "{head}: {} ({}, mode {}, {} times, last {at}){page}",
                    alert.summary, alert.id.key.source, alert.place.sys_mode, alert.count
                );
                Self { severity: alert.severity, json: json!(document), text: cut(text) }
            }
            Item::Digest(digest) => Self::of_digest(digest, sender),
        }
    }

    fn of_digest(digest: &Digest, sender: AlertSource) -> Self {
        let severity = if digest.warn > 0 { Severity::Warn } else { Severity::Info };
        let names = digest.names.join(", ");
        let (warn, info) = (digest.warn, digest.info);
        let text = format!("{} further alerts ({warn} WARN, {info} INFO): {names}", digest.count());
        let json = json!({
            "v": 1,
            "sender": sender.as_str(),
            "digest": {"count": digest.count(), "warn": warn, "info": info, "names": digest.names},
        });
        Self { severity, json, text: cut(text) }
    }
}

fn cut(text: String) -> String {
    if text.chars().count() <= TEXT_CHARS_MAX {
        text
    } else {
        text.chars().take(TEXT_CHARS_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::tests::open;
    use penstock_contracts::alert::Alert;
    use penstock_types::vocab::ReasonCode;

    #[test]
    fn an_alert_is_the_document_of_its_schema_and_one_line() {
        let alert = open(ReasonCode::ProtectionMissing, "BTC/USD", 3);
        let item = Item::Alert(Box::new(alert), true);
        let message = Message::of(&item, AlertSource::Execution);
        let read = Alert::read(message.json.to_string().as_bytes()).unwrap();
        assert_eq!((read.count, read.active), (3, true));
        assert_eq!(
            message.text,
            "CRIT PROTECTION_MISSING BTC/USD: something (execution, mode NORMAL, 3 times, last \
             2023-11-14T22:13:20.000000Z); runbooks/exchange.md#protection_missing"
        );
    }

    #[test]
    fn a_digest_names_the_first_and_counts_all() {
        let digest = Digest { warn: 2, info: 1, names: vec!["SPOOL_BACKLOG".to_owned()] };
        let message = Message::of(&Item::Digest(digest), AlertSource::Ingest);
        assert_eq!(message.text, "3 further alerts (2 WARN, 1 INFO): SPOOL_BACKLOG");
        assert_eq!(message.json["digest"]["count"], 3);
        assert_eq!(message.severity, Severity::Warn);
    }
}
