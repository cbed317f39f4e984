//! What retention asks the decision cluster: which runs and days hold evidence of orders, and whether
//! the service is paused.

use chrono::NaiveDate;
use penstock_store::StoreError;
use penstock_store::pools::{ActAs, set_local_role};
use penstock_types::{RunId, TickId};
use sqlx::PgPool;

use crate::CLUSTER;

/// A run that orders refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderRun {
    /// Run.
    pub run_id: RunId,
    /// One of its orders was filled.
    pub is_filled: bool,
    /// One of its orders is live, or a position that it opened is.
    pub is_live: bool,
}

/// Every run that an order names.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn order_runs(pool: &PgPool) -> Result<Vec<OrderRun>, StoreError> {
    let rows = sqlx::query!(
        r#"select o.run_id as "run_id!",
               bool_or(exists (select from fills f where f.order_id = o.order_id)) as "is_filled!",
               bool_or(not o.terminal or exists (select from positions p
                   where p.entry_order_id = o.order_id and p.status in ('open', 'closing')))
                   as "is_live!"
           from execution_orders o where o.run_id is not null group by o.run_id order by o.run_id"#
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("list runs with orders", CLUSTER, e))?;
    Ok(rows
        .into_iter()
        .map(|r| OrderRun { run_id: RunId(r.run_id), is_filled: r.is_filled, is_live: r.is_live })
        .collect())
}

/// UTC days on which an order was filled, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn filled_days(pool: &PgPool) -> Result<Vec<NaiveDate>, StoreError> {
    sqlx::query_scalar!(
        r#"select distinct (o.created_at at time zone 'UTC')::date as "day!"
           from execution_orders o
           where exists (select from fills f where f.order_id = o.order_id) order by 1"#
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("list days with fills", CLUSTER, e))
}

/// UTC days on which an order of ours was on its way or changed, ascending: what the engine said on them is cited.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn sent_days(pool: &PgPool) -> Result<Vec<NaiveDate>, StoreError> {
    sqlx::query_scalar!(
        r#"select distinct days.day as "day!"
           from execution_orders o, lateral (values ((o.created_at at time zone 'UTC')::date),
               ((o.updated_at at time zone 'UTC')::date)) as days (day)
           where o.state <> 'created' order by 1"#
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("list days with orders", CLUSTER, e))
}

/// Rows of the engine that have had their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldEngineRows {
    /// Transitions.
    pub transitions: u64,
    /// Alerts.
    pub alerts: u64,
    /// Checkpoints.
    pub checkpoints: u64,
}

/// Removes transitions and alerts before one tick, checkpoints before another; in a rehearsal only counts them.
/// Manifests stay for ever.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn forget_engine_rows(
    pool: &PgPool,
    said_before: TickId,
    checkpoints_before: TickId,
    is_rehearsal: bool,
) -> Result<OldEngineRows, StoreError> {
    let failed = |e| StoreError::sql("remove old rows of the engine", CLUSTER, e);
    let mut tx = pool.begin().await.map_err(failed)?;
    let transitions =
        sqlx::query!("delete from engine_transitions where tick_id < $1", said_before.0)
            .execute(&mut *tx)
            .await
            .map_err(failed)?
            .rows_affected();
    let alerts = sqlx::query!("delete from engine_alerts where tick_id < $1", said_before.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?
        .rows_affected();
    let checkpoints =
        sqlx::query!("delete from engine_checkpoints where tick_id < $1", checkpoints_before.0)
            .execute(&mut *tx)
            .await
            .map_err(failed)?
            .rows_affected();
    if is_rehearsal {
        tx.rollback().await.map_err(failed)?;
    } else {
        tx.commit().await.map_err(failed)?;
    }
    Ok(OldEngineRows { transitions, alerts, checkpoints })
}

/// Removes samples of the process's health of the days before this one; in a rehearsal only counts them. The table is
/// its owner's to thin out: nobody else may remove a row of it.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn forget_health(
    pool: &PgPool,
    first_kept: NaiveDate,
    is_rehearsal: bool,
) -> Result<u64, StoreError> {
    let failed = |e| StoreError::sql("remove old samples of health", CLUSTER, e);
    let before = first_kept.and_time(chrono::NaiveTime::MIN).and_utc();
    let mut tx = pool.begin().await.map_err(failed)?;
    set_local_role(&mut tx, ActAs::Owner).await.map_err(failed)?;
    let gone = sqlx::query!("delete from health_samples where ts < $1", before)
        .execute(&mut *tx)
        .await
        .map_err(failed)?
        .rows_affected();
    if is_rehearsal {
        tx.rollback().await.map_err(failed)?;
    } else {
        tx.commit().await.map_err(failed)?;
    }
    Ok(gone)
}

/// Today by the cluster's clock, and the newest mode of the service, if there was one.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn today_and_mode(pool: &PgPool) -> Result<(NaiveDate, Option<String>), StoreError> {
    let row = sqlx::query!(
        r#"select (clock_timestamp() at time zone 'UTC')::date as "today!",
               (select mode_to from sys_mode_log order by ts desc limit 1) as mode"#
    )
    .fetch_one(pool)
    .await
    .map_err(|e| StoreError::sql("read the day and the mode", CLUSTER, e))?;
    Ok((row.today, row.mode))
}
