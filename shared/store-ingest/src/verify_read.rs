//! What a verification or an export asks of a recorded run beside its raw rows: holes, refused rows,
//! dropped partitions, candles. Read-only.

use penstock_store::StoreError;
use penstock_types::raw::CandleRow;
use penstock_types::{RunId, Seq, Symbol, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;
use crate::raw_read::ReadError;

/// The first stretch of numbers without a row that no drop row covers, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnexplainedHole {
    /// First missing number.
    pub first_missing: Seq,
    /// Last missing number.
    pub last_missing: Seq,
    /// Unexplained stretches of the run.
    pub holes: i64,
}

/// The first unexplained hole of a run, up to the number that is loaded. What drop rows cover is
/// collected once, not per hole.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn first_unexplained_hole(
    pool: &PgPool,
    run_id: RunId,
) -> Result<Option<UnexplainedHole>, StoreError> {
    let row = sqlx::query!(
        r#"select h.first_missing as "first!", h.last_missing as "last!",
               count(*) over () as "holes!"
           from raw_seq_holes h where h.run_id = $1 and not coalesce((
               select range_agg(int8range(e.first_seq, e.last_seq, '[]'))
               from ingest_stream_events e where e.run_id = $1 and e.kind = 'raw_drop'
           ) @> int8range(h.first_missing, h.last_missing, '[]'), false)
           order by h.first_missing limit 1"#,
        run_id.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("find the holes of a run", CLUSTER, e))?;
    Ok(row.map(|r| UnexplainedHole {
        first_missing: Seq(r.first),
        last_missing: Seq(r.last),
        holes: r.holes,
    }))
}

/// Raw tables whose partition of the run has been dropped.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn dropped_tables(pool: &PgPool, run_id: RunId) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        "select table_name from partition_registry
         where run_id = $1 and dropped_at is not null order by table_name",
        run_id.0,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read the partitions of a run", CLUSTER, e))
}

/// Numbers of input rows that the cluster refused, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn quarantined(pool: &PgPool, run_id: RunId) -> Result<Vec<Seq>, StoreError> {
    let seqs = sqlx::query_scalar!(
        "select seq from raw_quarantine where run_id = $1 and stream < 16 order by seq",
        run_id.0,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read the quarantine of a run", CLUSTER, e))?;
    Ok(seqs.into_iter().map(Seq).collect())
}

/// The newest run of the domain that a run belongs to.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_run_beside(pool: &PgPool, run_id: RunId) -> Result<Option<RunId>, StoreError> {
    sqlx::query_scalar!(
        "select n.run_id from observation_runs r join observation_runs n on n.domain = r.domain
         where r.run_id = $1 order by n.run_id desc limit 1",
        run_id.0,
    )
    .fetch_optional(pool)
    .await
    .map(|found| found.map(RunId))
    .map_err(|e| StoreError::sql("find the newest run of the domain", CLUSTER, e))
}

/// Candles of a run behind one, by symbol and minute, at most `limit`.
///
/// # Errors
/// [`ReadError`].
pub async fn candles_after(
    pool: &PgPool,
    run_id: RunId,
    after: Option<(&Symbol, UtcMicros)>,
    limit: i64,
) -> Result<Vec<CandleRow>, ReadError> {
    let (symbol, minute) = after.map_or(("", UtcMicros(0)), |(s, m)| (s.as_str(), m));
    let rows = sqlx::query!(
        "select symbol, minute, o, h, l, c, base_vol, quote_vol, buy_base_vol, trades
         from candles_1m where run_id = $1 and (symbol, minute) > ($2, $3)
         order by symbol, minute limit $4",
        run_id.0,
        symbol,
        penstock_store::twins::db_time(minute),
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read the candles of a run", CLUSTER, e))?;
    rows.into_iter()
        .map(|r| {
            let unknown =
                || ReadError::Unknown { run_id, seq: 0, column: "symbol", value: r.symbol.clone() };
            Ok(CandleRow {
                symbol: Symbol::new(&r.symbol).map_err(|_| unknown())?,
                minute: r.minute.into(),
                open: r.o,
                high: r.h,
                low: r.l,
                close: r.c,
                base_vol: r.base_vol,
                quote_vol: r.quote_vol,
                buy_base_vol: r.buy_base_vol,
                trades: r.trades,
                complete: true,
            })
        })
        .collect()
}

/// Ranges of numbers that were shed, as their gap rows say, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn dropped_ranges(pool: &PgPool, run_id: RunId) -> Result<Vec<(Seq, Seq)>, StoreError> {
    let rows = sqlx::query!(
        r#"select first_seq as "first!", last_seq as "last!" from ingest_stream_events
           where run_id = $1 and kind = 'raw_drop' order by first_seq, last_seq"#,
        run_id.0,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read what was shed of a run", CLUSTER, e))?;
    Ok(rows.into_iter().map(|r| (Seq(r.first), Seq(r.last))).collect())
}
