//! Quarantines of books that are lost too often onto the decision cluster, where decisions look.
//!
//! Input: the quarantines that the core has found, told with each cut. Output: one row of cause `l2_checksum` for each
//! symbol, with an end where the settings let it end by itself. What the cluster did not take is tried again with the
//! next cut; a row ends by its own time or by the operator's word, never by this task.

use std::collections::BTreeMap;

use penstock_store::StoreError;
use penstock_store_decision::instruments::{SafetyCause, set_safety_cause};
use penstock_types::vocab::{ReasonCode, SafetyMode};
use penstock_types::{RunId, Symbol, UtcMicros};
use sqlx::PgPool;

use crate::core::lost_books::BookQuarantine;
use crate::settings::BookQuarantineRule;
use crate::tasks::Hub;

/// The cause that they are rows of.
const CAUSE: &str = "l2_checksum";

/// The writing task.
pub(crate) struct BookQuarantines {
    pub hub: Hub,
}

impl BookQuarantines {
    /// Writes until it is cancelled.
    pub(crate) async fn run(mut self) {
        let cancel = self.hub.cancel.clone();
        // The service ends while it waits: rows end by their own time.
        let _ = cancel.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) {
        let mut written = BTreeMap::new();
        while self.hub.health.changed().await.is_ok() {
            let found = self.hub.health.borrow_and_update().book_quarantines.clone();
            let (rule, run_id) = (self.hub.settings.book_quarantine, self.hub.context.run().run_id);
            let settled =
                settle(&self.hub.clusters.decision, &found, rule, run_id, &mut written).await;
            if let Err(error) = settled {
                tracing::warn!("quarantine of a book not written, trying again: {error}");
            }
        }
    }
}

/// Writes what is not written.
async fn settle(
    pool: &PgPool,
    found: &[BookQuarantine],
    rule: BookQuarantineRule,
    run_id: RunId,
    written: &mut BTreeMap<Symbol, UtcMicros>,
) -> Result<(), StoreError> {
    for one in found {
        if written.get(&one.symbol) == Some(&one.at) {
            continue;
        }
        let (mode, expires_at) = if rule.auto_release {
            (SafetyMode::Quiet, Some(one.at.plus_millis(rule.ttl_ms)))
        } else {
            (SafetyMode::ExitOnly, None)
        };
        let row = SafetyCause {
            symbol: one.symbol.as_str(),
            cause: CAUSE,
            mode,
            primary_reason: ReasonCode::BookChecksumMismatch.as_str(),
            expires_at,
            run_id,
            detail: &serde_json::json!({ "quarantine": true, "resyncs": one.losses }),
        };
        set_safety_cause(pool, &row).await?;
        let symbol = one.symbol.as_str();
        tracing::warn!(symbol, resyncs = one.losses, "SYMBOL_QUARANTINED: its book was lost");
        written.insert(one.symbol.clone(), one.at);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_store::ClusterRole;
    use penstock_store::testing::TestPair;

    const ROWS: &str = "select cause || ' ' || mode || ' ' || primary_reason || ' ' || updated_by
        || ' ' || (detail ->> 'quarantine') || ' ' || (detail ->> 'resyncs')
        || ' ' || coalesce(extract(epoch from expires_at - clock_timestamp()) > 3500, false)
        from symbol_safety_state order by symbol";

    #[tokio::test]
    async fn a_quarantine_of_a_book_is_a_row_of_ingest_with_its_end_or_until_a_person_ends_it() {
        let pair = TestPair::new().await.unwrap();
        let pool = pair.pool(ClusterRole::Decision, "publisher_rw").await.unwrap();
        let at = UtcMicros::from(chrono::Utc::now());
        let found =
            |symbol: &str| BookQuarantine { symbol: Symbol::new(symbol).unwrap(), losses: 5, at };
        let rows = || async {
            let rows: Vec<String> = sqlx::query_scalar(ROWS).fetch_all(&pool).await.unwrap();
            rows
        };
        let mut written = BTreeMap::new();
        let rule = BookQuarantineRule { resyncs_max: 5, ttl_ms: 3_600_000, auto_release: true };
        let run = RunId(1);
        settle(&pool, &[found("A/USD")], rule, run, &mut written).await.unwrap();
        let quiet = "l2_checksum quiet BOOK_CHECKSUM_MISMATCH ingest true 5 true";
        assert_eq!(rows().await, [quiet]);
        // Told with each cut, and written once: what an operator has cleared stays cleared.
        sqlx::query("delete from symbol_safety_state").execute(&pool).await.unwrap();
        settle(&pool, &[found("A/USD")], rule, run, &mut written).await.unwrap();
        assert_eq!(rows().await, [] as [&str; 0]);
        let by_hand = BookQuarantineRule { auto_release: false, ..rule };
        settle(&pool, &[found("B/USD")], by_hand, run, &mut written).await.unwrap();
        let exit_only = "l2_checksum exit_only BOOK_CHECKSUM_MISMATCH ingest true 5 false";
        assert_eq!(rows().await, [exit_only]);
    }
}
