//! The sign of life of the other service: without it nobody delivers alerts, and nobody may be trading.
//!
//! Input: the fence of execution and the heartbeat of its holder, by the clock of the decision cluster.
//! Output: the alert EXECUTION_HEARTBEAT_MISSING while that row is older than three intervals, or is not there
//! although the lease runs. A service that has never run, or has ended cleanly, is not missing. While the
//! cluster cannot be read nobody is judged.

use super::alerts::{Alerts, Reason};
use penstock_store::fence::{FenceRow, FencedService, read_fence};
use penstock_store::{ClusterRole, StoreError};
use penstock_store_decision::heartbeat::{SeenHeartbeat, newest};
use sqlx::PgPool;
use std::time::Duration;

/// A row of this many intervals is too old.
const INTERVALS_MAX: i64 = 3;
/// Condition of the alert.
const EXECUTION: &str = "execution";

/// Looks once per own heartbeat.
pub(super) struct ExecutionBeat {
    domain: String,
    every: Duration,
    /// Looks in a row that found no row beside a living lease: a start takes a moment until its first beat.
    without: i64,
    is_missing: bool,
}

impl ExecutionBeat {
    pub(super) const fn new(domain: String, every: Duration) -> Self {
        Self { domain, every, without: 0, is_missing: false }
    }

    /// Looks, and begins or ends the alert.
    pub(super) async fn look(&mut self, pool: &PgPool, alerts: &Alerts) {
        match self.read(pool).await {
            Ok((fence, beat)) => {
                let missing = self.judge(fence.as_ref(), beat.as_ref());
                self.tell(missing.as_deref(), alerts);
            }
            Err(error) => tracing::debug!("look for the heartbeat of execution: {error}"),
        }
    }

    async fn read(
        &self,
        pool: &PgPool,
    ) -> Result<(Option<FenceRow>, Option<SeenHeartbeat>), StoreError> {
        let role = ClusterRole::Decision;
        let mut conn =
            pool.acquire().await.map_err(|e| StoreError::sql("take a connection", role, e))?;
        let fence = read_fence(&mut conn, FencedService::Execution, &self.domain).await?;
        drop(conn);
        Ok((fence, newest(pool, FencedService::Execution, &self.domain).await?))
    }

    /// What is missing, in words; `None` when nothing is.
    fn judge(&mut self, fence: Option<&FenceRow>, beat: Option<&SeenHeartbeat>) -> Option<String> {
        let fence = fence?;
        let own = beat.filter(|beat| beat.instance_id == fence.holder_id);
        let (process, host) = (fence.holder_pid, &fence.holder_host);
        let every_ms = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        self.without = if own.is_none() && fence.alive { self.without + 1 } else { 0 };
        match own {
            Some(beat) if beat.age_ms > every_ms.saturating_mul(INTERVALS_MAX) => Some(format!(
                "process {process} on {host} has not beaten for {} s",
                beat.age_ms / 1_000
            )),
            None if self.without >= INTERVALS_MAX => {
                Some(format!("process {process} on {host} holds the fence and does not beat"))
            }
            Some(_) | None => None,
        }
    }

    fn tell(&mut self, missing: Option<&str>, alerts: &Alerts) {
        match (missing, self.is_missing) {
            (Some(summary), false) => {
                tracing::error!("EXECUTION_HEARTBEAT_MISSING: {summary}; next: look at its log");
                alerts.begins(Reason::ExecutionHeartbeatMissing, EXECUTION, summary);
            }
            (None, true) => alerts.ends(Reason::ExecutionHeartbeatMissing, EXECUTION),
            (Some(_), true) | (None, false) => {}
        }
        self.is_missing = missing.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::{FencingToken, UtcMicros, Uuid};

    const HOLDER: Uuid = Uuid::from_u128(1);

    fn fence(alive: bool) -> FenceRow {
        FenceRow {
            fencing_token: FencingToken(1),
            holder_id: HOLDER,
            holder_host: "host".to_owned(),
            holder_pid: 7,
            lease_expires_at: UtcMicros(0),
            alive,
        }
    }

    fn beat(instance_id: Uuid, age_ms: i64) -> SeenHeartbeat {
        let (status, alerts) = (serde_json::json!({}), serde_json::json!([]));
        SeenHeartbeat { instance_id, age_ms, status, alerts }
    }

    /// What each of four looks in a row at the same rows says.
    fn looks(fence: Option<&FenceRow>, beat: Option<&SeenHeartbeat>) -> Vec<bool> {
        let mut peer = ExecutionBeat::new("test".to_owned(), Duration::from_secs(5));
        (0..4).map(|_| peer.judge(fence, beat).is_some()).collect()
    }

    #[test]
    fn a_row_that_is_too_old_is_missing_at_once_and_an_absent_one_beside_a_lease_after_three_looks()
    {
        let (alive, ended) = (fence(true), fence(false));
        let other = Uuid::from_u128(2);
        for (fence, beat, want) in [
            (None, None, [false; 4]),
            (None, Some(beat(HOLDER, 90_000)), [false; 4]),
            (Some(&alive), Some(beat(HOLDER, 15_000)), [false; 4]),
            (Some(&alive), Some(beat(HOLDER, 15_001)), [true; 4]),
            // Killed: its lease has ended, its row was never removed.
            (Some(&ended), Some(beat(HOLDER, 90_000)), [true; 4]),
            (Some(&alive), None, [false, false, true, true]),
            (Some(&alive), Some(beat(other, 90_000)), [false, false, true, true]),
            // A clean stop removes the row and ends the lease.
            (Some(&ended), None, [false; 4]),
            (Some(&ended), Some(beat(other, 90_000)), [false; 4]),
        ] {
            assert_eq!(looks(fence, beat.as_ref()), want, "{fence:?}, {beat:?}");
        }
    }
}
