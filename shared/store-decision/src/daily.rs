//! `daily_summary`: one row for each UTC day, derived from rows in one statement.
//!
//! Purpose: write a day once and read it back. Inputs: a day. Outputs: its row. Invariants: a day that is written
//! never changes; every figure comes from rows that stand in the cluster, none from memory; money stays decimal.

use penstock_store::StoreError;
use penstock_types::{Decimal, UtcMicros};
use serde::Serialize;
use sqlx::PgPool;
use sqlx::types::chrono::NaiveDate;

use crate::CLUSTER;

/// A day's figures. Money is in quote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DailySummary {
    /// The UTC day.
    pub day: NaiveDate,
    /// When the row was written.
    pub created_at: UtcMicros,
    /// It was written at a later start than its time.
    pub late: bool,
    /// Positions that closed.
    pub trades: i32,
    /// Those of them with a gain after fees.
    pub wins: i32,
    /// Those with a loss.
    pub losses: i32,
    /// Gain of what was sold, before fees.
    pub gross_pnl_quote: Decimal,
    /// Fees of it, those of its entry included.
    pub fees_quote: Decimal,
    /// The difference.
    pub net_pnl_quote: Decimal,
    /// Mean of the fills' slippage, basis points; none without a fill.
    pub slippage_bps_avg: Option<Decimal>,
    /// Greatest distance of the equity below its high-water mark.
    pub max_drawdown_quote: Decimal,
    /// Share of maker fills in what was traded, times 10 000; none without a fill.
    pub maker_ratio_x10000: Option<i32>,
    /// Reasons of refusals by risk and AI gate, with their number.
    pub blocks_by_code: serde_json::Value,
    /// Cost of the remainders that stand as dust.
    pub dust_value_quote: Decimal,
    /// Seconds in each mode.
    pub uptime_s_by_mode: serde_json::Value,
    /// From a fill to its acknowledged stop, milliseconds: median.
    pub fill_to_protection_ms_p50: Option<i32>,
    /// 99th percentile, nearest rank.
    pub fill_to_protection_ms_p99: Option<i32>,
    /// Greatest.
    pub fill_to_protection_ms_max: Option<i32>,
    /// Seconds in which a plan stood without its stop.
    pub uncovered_seconds: Decimal,
}

/// Derives a day and writes it; false when it is already there.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn write(pool: &PgPool, day: NaiveDate, late: bool) -> Result<bool, StoreError> {
    let written = sqlx::query_file_scalar!("queries/daily_summary.sql", day, late)
        .fetch_optional(pool)
        .await
        .map_err(|e| StoreError::sql("write a daily summary", CLUSTER, e))?;
    Ok(written.is_some())
}

/// The row of a day; without one the newest.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn read(
    pool: &PgPool,
    day: Option<NaiveDate>,
) -> Result<Option<DailySummary>, StoreError> {
    sqlx::query_as!(
        DailySummary,
        "select day, created_at, late, trades, wins, losses, gross_pnl_quote, fees_quote,
             net_pnl_quote, slippage_bps_avg, max_drawdown_quote, maker_ratio_x10000,
             blocks_by_code, dust_value_quote, uptime_s_by_mode, fill_to_protection_ms_p50,
             fill_to_protection_ms_p99, fill_to_protection_ms_max, uncovered_seconds
         from daily_summary where $1::date is null or day = $1 order by day desc limit 1",
        day,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read a daily summary", CLUSTER, e))
}

/// The newest day that is written, and the day on which this domain's first session began; none before either.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn known_days(
    pool: &PgPool,
    domain: &str,
) -> Result<(Option<NaiveDate>, Option<NaiveDate>), StoreError> {
    let row = sqlx::query!(
        r#"select (select max(day) from daily_summary) as newest,
             (select (min(started_at) at time zone 'UTC')::date from execution_sessions
              where domain = $1) as first"#,
        domain,
    )
    .fetch_one(pool)
    .await
    .map_err(|e| StoreError::sql("read the days that are summed up", CLUSTER, e))?;
    Ok((row.newest, row.first))
}
