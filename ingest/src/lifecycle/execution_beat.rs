//! The sign of life of the other service: without it nobody delivers alerts, and nobody may be trading.
//!
//! Input: the fence of execution and the heartbeat of its holder, by the clock of the decision cluster.
//! Output: the alert EXECUTION_HEARTBEAT_MISSING while that row is older than three intervals, or is not there
//! although the lease runs. A service that has never run, or has ended cleanly, is not missing. While the
//! cluster cannot be read nobody is judged.

use super::alerts::{Alerts, Reason};
use penstock_alerts::peer::{Look, Peer, Watch};
use penstock_store::fence::FencedService;
use penstock_store_decision::heartbeat::{HolderBeat, of_holder};
use sqlx::PgPool;
use std::time::Duration;

/// Condition of the alert.
const EXECUTION: &str = "execution";

/// Looks once per own heartbeat.
pub(super) struct ExecutionBeat {
    domain: String,
    watch: Watch,
}

impl ExecutionBeat {
    pub(super) fn new(domain: String, every: Duration) -> Self {
        let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        Self { domain, watch: Watch::new(every_ms) }
    }

    /// Looks, and begins or ends the alert.
    pub(super) async fn look(&mut self, pool: &PgPool, alerts: &Alerts) {
        match of_holder(pool, FencedService::Execution, &self.domain).await {
            Ok(holder) => self.judge(holder.as_ref(), alerts),
            Err(error) => tracing::debug!("look for the heartbeat of execution: {error}"),
        }
    }

    fn judge(&mut self, holder: Option<&HolderBeat>, alerts: &Alerts) {
        let look = holder.map(|holder| Look {
            is_leased: holder.is_leased,
            age_ms: holder.beat.as_ref().map(|(age_ms, _)| *age_ms),
        });
        match (self.watch.judge(look), holder) {
            (Peer::Lost(age_ms), Some(HolderBeat { host, pid, .. })) => {
                let summary = match age_ms {
                    Some(age_ms) => {
                        format!("process {pid} on {host} has not beaten for {} s", age_ms / 1_000)
                    }
                    None => format!("process {pid} on {host} holds the fence and does not beat"),
                };
                tracing::error!("EXECUTION_HEARTBEAT_MISSING: {summary}; next: look at its log");
                alerts.begins(Reason::ExecutionHeartbeatMissing, EXECUTION, &summary);
            }
            (Peer::Back, _) => alerts.ends(Reason::ExecutionHeartbeatMissing, EXECUTION),
            (Peer::Lost(_), None) | (Peer::Well | Peer::Missing, _) => {}
        }
    }
}
