//! Losses of order-by-order books that earlier processes recorded, so that their count survives a restart.
//!
//! Input: a time. Output: symbol and time of each loss since then, the oldest first. Losses that came
//! together with those of another symbol are left out: what hits several books at once is no fault of any.

use penstock_store::StoreError;
use penstock_store::twins::db_time;
use penstock_types::{Symbol, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;

/// Losses that one look gives at most.
const LOSSES_MAX: i64 = 10_000;

/// Losses since a time, each without another symbol's within ten seconds before or after it.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn single_level3_losses(
    pool: &PgPool,
    since: UtcMicros,
) -> Result<Vec<(Symbol, UtcMicros)>, StoreError> {
    let rows = sqlx::query!(
        r#"select e.symbol as "symbol!", e.ts
        from ingest_stream_events e
        where e.ts > $1
            and e.stream = 'level3'
            and e.kind in ('resync', 'checksum_fail')
            and e.symbol is not null
            and not exists (
                select from ingest_stream_events o
                where o.ts between e.ts - interval '10 seconds' and e.ts + interval '10 seconds'
                    and o.stream = 'level3'
                    and o.kind in ('resync', 'checksum_fail')
                    and o.symbol <> e.symbol)
        order by e.ts
        limit $2"#,
        db_time(since),
        LOSSES_MAX,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read losses of level 3 books", CLUSTER, e))?;
    // A name that is none was never tracked.
    let loss = |symbol: &str, ts| Some((Symbol::new(symbol).ok()?, UtcMicros::from(ts)));
    Ok(rows.iter().filter_map(|row| loss(&row.symbol, row.ts)).collect())
}
