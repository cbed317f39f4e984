//! What retention asks the decision cluster: which runs and days hold evidence of orders, and whether
//! the service is paused.

use chrono::NaiveDate;
use penstock_store::StoreError;
use penstock_types::RunId;
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
