//! Ingest as seen from here: its sign of life, and its alerts, which are repeated as our own with its name.
//!
//! Input: the holder of ingest's fence and its heartbeat, by the decision cluster's clock, once per interval and right
//! when a heartbeat becomes too old. Output: INGEST_HEARTBEAT_MISSING while it is missing, raised once; every alert of
//! that row, opened, counted and ended as it says; STRAT_INPUT_INVALID, raised once, while the row has entries that are
//! not of their form. Invariants: while the cluster cannot be read nothing is judged; no entry changes the mode.

use std::time::Duration;

use metrics::counter;
use penstock_alerts::peer::{Look, Peer, Watch};
use penstock_alerts::{AlertSource, Alerts, Metrics};
use penstock_contracts::alert::read_heartbeat;
use penstock_store::StoreError;
use penstock_store::fence::FencedService;
use penstock_store_decision::heartbeat::{HolderBeat, of_holder};
use penstock_types::vocab::ReasonCode;
use sqlx::PgPool;

use crate::context::Context;

/// Conditions of the two alerts.
const MISSING: &str = "ingest is missing";
const BROKEN: &str = "entries of ingest are broken";

/// Looks at ingest, one look after the other.
#[derive(Debug)]
struct IngestLook {
    domain: String,
    watch: Watch,
    seen: Option<serde_json::Value>,
}

impl IngestLook {
    /// Of a domain whose services beat this often.
    fn new(domain: &str, every_ms: i64) -> Self {
        Self { domain: domain.to_owned(), watch: Watch::new(every_ms), seen: None }
    }

    /// Looks once; gives back how long to wait for the next look, in milliseconds. A cluster that cannot be read is an
    /// error, and nothing is judged.
    async fn look(&mut self, pool: &PgPool, alerts: &Alerts) -> Result<i64, StoreError> {
        let holder = of_holder(pool, FencedService::Ingest, &self.domain).await?;
        let look = holder.as_ref().map(|holder| Look {
            is_leased: holder.is_leased,
            age_ms: holder.beat.as_ref().map(|(age_ms, _)| *age_ms),
        });
        self.judge(holder.as_ref(), look, alerts);
        match holder {
            Some(HolderBeat { beat: Some((_, entries)), .. }) => self.mirror(entries, alerts),
            // It starts: its last row may be another instance's.
            Some(HolderBeat { beat: None, is_leased: true, .. }) => {}
            // It has ended cleanly, or was never there.
            Some(HolderBeat { beat: None, is_leased: false, .. }) | None => {
                self.mirror(serde_json::json!([]), alerts);
            }
        }
        Ok(self.watch.pause_ms(look))
    }

    fn judge(&mut self, holder: Option<&HolderBeat>, look: Option<Look>, alerts: &Alerts) {
        match self.watch.judge(look) {
            Peer::Well | Peer::Missing => {}
            Peer::Lost(age_ms) => {
                let pid = holder.map_or(0, |holder| holder.pid);
                let summary = match age_ms {
                    Some(age_ms) => format!("process {pid} has not beaten for {age_ms} ms"),
                    None => format!("process {pid} holds the fence and does not beat"),
                };
                tracing::error!("INGEST_HEARTBEAT_MISSING: {summary}; next: look at its log");
                let metrics = Metrics::default()
                    .with("pid", i64::from(pid))
                    .with("age_ms", age_ms.unwrap_or(-1));
                let reason = ReasonCode::IngestHeartbeatMissing;
                alerts.begins(alerts.occurrence(reason, &summary).with_metrics(metrics), MISSING);
            }
            Peer::Back => alerts.ends(ReasonCode::IngestHeartbeatMissing, "", MISSING),
        }
    }

    /// Takes over the alerts of the row.
    fn mirror(&mut self, column: serde_json::Value, alerts: &Alerts) {
        let (entries, dropped) = read_heartbeat(&column);
        alerts.mirror(AlertSource::Ingest, entries);
        if self.seen.as_ref() == Some(&column) {
            return;
        }
        self.seen = Some(column);
        let reason = ReasonCode::StratInputInvalid;
        match (dropped.first(), alerts.holds(reason, BROKEN)) {
            (None, true) => alerts.ends(reason, "", BROKEN),
            (Some(first), is_told) => {
                let number = u64::try_from(dropped.len()).unwrap_or(u64::MAX);
                counter!("ingest_alerts_dropped_total").increment(number);
                tracing::warn!(
                    "{number} alerts of ingest's heartbeat are dropped; the first: {first}"
                );
                if !is_told {
                    let summary =
                        format!("{number} alerts of ingest's heartbeat are not of their form");
                    let number = i64::try_from(number).unwrap_or(i64::MAX);
                    let metrics = Metrics::default().with("dropped", number);
                    alerts
                        .begins(alerts.occurrence(reason, &summary).with_metrics(metrics), BROKEN);
                }
            }
            (None, false) => {}
        }
    }
}

/// Looks until the session ends.
pub(super) async fn run_looks(context: Context) {
    let every = context.settings.config.areas.telemetry.heartbeat_interval_ms;
    let every_ms = i64::try_from(every).unwrap_or(i64::MAX);
    let mut look = IngestLook::new(context.domain(), every_ms);
    loop {
        let pause_ms = match look.look(&context.pool, &context.alerts).await {
            Ok(pause_ms) => pause_ms,
            Err(error) => {
                tracing::debug!("look at ingest's heartbeat: {error}");
                every_ms
            }
        };
        let pause = Duration::from_millis(u64::try_from(pause_ms).unwrap_or(every));
        let paused = tokio::time::sleep(pause);
        if context.end.run_until_cancelled(paused).await.is_none() {
            return;
        }
    }
}
