//! The payload of an alert: canonical JSON (RFC 8785), and the id that follows from its bytes.
//!
//! Input: an alert and the token's symbol. Output: text. Invariants: fixed-point values are strings with
//! every digit of their scale, so that no float printing takes part; names are those of the vocabularies; a
//! field of another kind is absent. It runs after the tick and allocates.

use super::{Alert, AlertBody, Stable};
use crate::config::SCHEMA;
use crate::record::Record;
use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use penstock_types::frame::sha256;

/// An integer of `digits` decimals as text with all of them.
fn fixed(value: i64, digits: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", value.unsigned_abs(), width = digits.saturating_add(1));
    let (whole, fraction) = text.split_at(text.len().saturating_sub(digits));
    format!("{sign}{whole}.{fraction}")
}

/// The first 16 bytes of the payload's SHA-256 in hexadecimal.
#[must_use]
pub fn alert_id(payload: &str) -> String {
    let mut id = String::new();
    for byte in sha256(payload.as_bytes()).iter().take(16) {
        // Writing to a string does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

impl Alert {
    /// The canonical payload without `alert_id`; `symbol` is that of the token, unused for a cluster.
    #[must_use]
    pub fn payload(&self, symbol: &str) -> String {
        format!("{{\"alert\":{},{}}}", self.alert(symbol), self.rest())
    }

    /// The same with its `alert_id`.
    #[must_use]
    pub fn payload_with_id(&self, symbol: &str) -> String {
        let id = alert_id(&self.payload(symbol));
        format!("{{\"alert\":{},\"alert_id\":\"{id}\",{}}}", self.alert(symbol), self.rest())
    }

    fn alert(&self, symbol: &str) -> String {
        match &self.body {
            AlertBody::Token { record, effective_cost, stable } => {
                self.token(symbol, record, *effective_cost, stable.as_ref())
            }
            AlertBody::Cluster { affected, total } => format!(
                "{{\"affected_tokens\":{affected},\"confidence\":{},\"scope\":\"CLUSTER\",\
                 \"total_tokens\":{total},\"type\":\"{}\"}}",
                self.confidence,
                self.kind.name()
            ),
        }
    }

    fn token(
        &self,
        symbol: &str,
        record: &Record,
        effective_cost: i32,
        stable: Option<&Stable>,
    ) -> String {
        let (mut mean, mut bucket, mut dominance) = (String::new(), String::new(), String::new());
        if let Some(stable) = stable {
            mean = format!("\"avg_trigger_cost\":\"{}\",", fixed(stable.avg_trigger_cost, 4));
            bucket = format!("\"bucket_id\":{},", stable.bucket_id);
            dominance = format!("\"dominance_ratio\":\"{}\",", fixed(stable.dominance_ratio, 4));
        }
        format!(
            "{{{mean}{bucket}\"confidence\":{},\"direction\":\"{}\",{dominance}\
             \"effective_cost\":\"{}\",\"fsm_state\":\"{}\",\"metrics\":{},\"scope\":\"TOKEN\",\
             \"symbol\":{},\"tier\":\"{}\",\"token_id\":{},\"trigger_cost\":\"{}\",\
             \"type\":\"{}\"}}",
            self.confidence,
            record.direction.name(),
            fixed(i64::from(effective_cost), 4),
            record.fsm_state.name(),
            metrics(record),
            crate::config::quoted(symbol),
            record.tier.name(),
            record.token_id,
            fixed(i64::from(record.trigger_cost), 4),
            self.kind.name(),
        )
    }

    fn rest(&self) -> String {
        format!(
            "\"cluster_id\":{},\"cluster_state\":\"{}\",\"event_phase\":\"{}\",\
             \"schema_version\":\"{SCHEMA}\",\"tick_id\":{},\"ts_ms\":{}",
            self.cluster_id,
            self.cluster_state.name(),
            self.event_phase.name(),
            self.tick_id,
            self.tick_id.saturating_mul(250),
        )
    }
}

fn metrics(record: &Record) -> String {
    format!(
        "{{\"liquidation_imbalance\":\"{}\",\"mark_vs_mid_pct\":\"{}\",\"oi_velocity\":\"{}\",\
         \"spread_pct\":\"{}\",\"trade_delta\":\"{}\"}}",
        fixed(i64::from(record.liq_imbalance), 4),
        fixed(i64::from(record.mark_vs_mid), 8),
        fixed(i64::from(record.oi_velocity), 8),
        fixed(i64::from(record.spread_pct), 8),
        fixed(record.trade_delta, 4),
    )
}

#[cfg(test)]
mod tests {
    use super::fixed;

    #[test]
    fn numbers_keep_every_digit_of_their_scale() {
        assert_eq!(fixed(60_000, 8), "0.00060000");
        assert_eq!(fixed(228_000, 4), "22.8000");
        assert_eq!(fixed(-7_100, 4), "-0.7100");
        assert_eq!(fixed(0, 4), "0.0000");
        assert_eq!(fixed(i64::MIN, 4), "-922337203685477.5808");
    }
}
