//! Changes of the stage, the newest first.
//!
//! Input: `audit_events`. Output: the list. Invariants: today's and yesterday's partitions only: a service that runs
//! changes its stage every few seconds.

use chrono::{DateTime, TimeDelta, Utc};
use penstock_contracts::dashboard::{List, STAGES_MAX, StageHistoryRow};
use penstock_types::vocab::StageName;
use sqlx::PgConnection;

use super::error::ReadError;
use super::form::{id_text, ms};

pub(super) async fn read(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<List<StageHistoryRow, STAGES_MAX>, ReadError> {
    const WHAT: &str = "changes of the stage";
    let rows = sqlx::query!(
        r#"select ts as "ts!", stage as "stage!", cycle_id as "cycle_id!",
               decision_id as "decision_id!", symbol as "symbol!",
               coalesce(data ->> 'summary', '') as "summary!"
           from audit_events
           where event_type = 'STAGE_CHANGED' and day >= $1 and ts >= $2
           order by ts desc, seq desc limit $3"#,
        (now - TimeDelta::days(1)).date_naive(),
        now - TimeDelta::days(1),
        i64::try_from(STAGES_MAX).unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    rows.into_iter()
        .map(|r| {
            Ok(StageHistoryRow {
                ts_ms: ms(r.ts),
                stage: StageName::parse(&r.stage).map_err(ReadError::row(WHAT))?,
                cycle_id: id_text(Some(r.cycle_id)),
                decision_id: r.decision_id,
                symbol: r.symbol,
                summary: r.summary,
            })
        })
        .collect()
}
