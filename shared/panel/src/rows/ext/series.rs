//! Figures over the last 24 hours, thinned evenly.
//!
//! Input: `equity_snapshots`, `health_samples`, `reconcile_runs`, `evaluation_cycles`. Output: series, the oldest point
//! first. Invariants: the day has [`POINTS_MAX`] spans of equal length, and a series has the last figure of each that
//! has one; a series without a figure has no points.

use chrono::{DateTime, Utc};
use penstock_contracts::dashboard::{List, Point, Series};
use penstock_types::Decimal;
use sqlx::PgConnection;

use super::super::error::ReadError;
use super::super::form::{amount, ms};
use super::super::sight::Sight;

/// Most points.
const POINTS_MAX: i64 = 240;
/// Length of a span, seconds: a day has [`POINTS_MAX`].
const SPAN_S: i64 = 86_400 / POINTS_MAX;
/// Digits after the point of scores and percents.
const SCORE_SCALE: u32 = 4;

type Points = Vec<Point>;

pub(super) async fn read(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
) -> Result<List<Series, 16>, ReadError> {
    // The span that is now is the last one.
    let last = sight.now.timestamp().div_euclid(SPAN_S);
    let since = DateTime::from_timestamp((last + 1 - POINTS_MAX) * SPAN_S, 0).unwrap_or_default();
    let mut all = money(conn, since).await?;
    all.extend(health(conn, since).await?);
    all.extend(passes(conn, since).await?);
    all.push(generations(conn, sight.since_id, since).await?);
    Ok(all.into_iter().collect())
}

/// A series of points that come newest first.
fn series(name: &str, unit: &str, mut points: Points) -> Series {
    points.reverse();
    Series { name: name.to_owned(), unit: unit.to_owned(), points: points.into_iter().collect() }
}

fn point(ts: DateTime<Utc>, value: Decimal) -> Point {
    Point { ts_ms: ms(ts), value: amount(value) }
}

async fn money(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<Series>, ReadError> {
    let rows = sqlx::query!(
        r#"select distinct on (1) floor(extract(epoch from ts) / $2::bigint)::bigint as "span!",
               ts as "ts!", equity_quote as "equity!", hwm_quote - equity_quote as "drawdown!"
           from equity_snapshots where ts >= $1
           order by 1 desc, ts desc limit $3"#,
        since,
        SPAN_S,
        POINTS_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("equity over the day"))?;
    let equity = rows.iter().map(|r| point(r.ts, r.equity)).collect();
    let drawdown = rows.iter().map(|r| point(r.ts, r.drawdown.max(Decimal::ZERO))).collect();
    Ok(vec![series("equity", "quote", equity), series("drawdown", "quote", drawdown)])
}

async fn health(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<Series>, ReadError> {
    let rows = sqlx::query!(
        r#"select distinct on (1) floor(extract(epoch from h.ts) / $2::bigint)::bigint as "span!",
               h.ts as "ts!", h.queue_pct_x10000 as "queue!", h.lag_ms as "lag!",
               h.wal_bytes as "wal!", h.db_bytes as "db!", h.disk_free_bytes as "disk!",
               h.events_per_min as "events!"
           from execution_sessions s
           join health_samples h on h.session_id = s.session_id and h.ts >= $1
           where s.ended_at is null or s.ended_at >= $1
           order by 1 desc, h.ts desc limit $3"#,
        since,
        SPAN_S,
        POINTS_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("health over the day"))?;
    let points = |of: &dyn Fn(&[i64; 6]) -> Decimal| -> Points {
        rows.iter()
            .map(|r| {
                let figures = [r.queue.into(), r.lag, r.wal, r.db, r.disk, r.events];
                point(r.ts, of(&figures))
            })
            .collect()
    };
    let whole = |at: usize| points(&|figures| Decimal::from(figures[at]));
    Ok(vec![
        series("queue_pct", "percent", points(&|f| Decimal::new(f[0], SCORE_SCALE))),
        series("lag_ms", "ms", whole(1)),
        series("wal_bytes", "bytes", whole(2)),
        series("db_bytes", "bytes", whole(3)),
        series("disk_free", "bytes", whole(4)),
        series("events_per_min", "per_min", whole(5)),
    ])
}

async fn passes(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<Series>, ReadError> {
    let rows = sqlx::query!(
        r#"select distinct on (1) floor(extract(epoch from started_at) / $2::bigint)::bigint as "span!",
               started_at as "ts!", coalesce(drift_score_x10000, 0) as "score!", dur_ms as "dur!"
           from reconcile_runs where kind in ('LIGHT', 'FULL') and started_at >= $1
           order by 1 desc, started_at desc limit $3"#,
        since,
        SPAN_S,
        POINTS_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("passes of the reconciliation over the day"))?;
    let drift = rows.iter().map(|r| point(r.ts, Decimal::new(r.score.into(), SCORE_SCALE)));
    let took = rows.iter().map(|r| point(r.ts, Decimal::from(r.dur)));
    Ok(vec![
        series("drift", "points", drift.collect()),
        series("rest_dur_ms", "ms", took.collect()),
    ])
}

/// Age of the state that evaluations were bound to.
async fn generations(
    conn: &mut PgConnection,
    since_id: i64,
    since: DateTime<Utc>,
) -> Result<Series, ReadError> {
    let rows = sqlx::query!(
        r#"select distinct on (1) floor(extract(epoch from started_at) / $2::bigint)::bigint as "span!",
               started_at as "ts!", state_age_ms as "age!"
           from evaluation_cycles
           where evaluation_id >= $4 and started_at >= $1 and state_age_ms is not null
           order by 1 desc, started_at desc limit $3"#,
        since,
        SPAN_S,
        POINTS_MAX,
        since_id
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("the age of the state over the day"))?;
    let ages = rows.iter().map(|r| point(r.ts, Decimal::from(r.age))).collect();
    Ok(series("generation_age_ms", "ms", ages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_divided_evenly() {
        assert_eq!(SPAN_S * POINTS_MAX, 86_400);
    }
}
