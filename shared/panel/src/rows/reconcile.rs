//! Comparison with the venue: the last pass, and what differed.
//!
//! Input: `reconcile_runs`, `reconcile_diffs`, `execution_orders`, `decisions`. Output: the section. Invariants: a look
//! at single orders is no pass; the label is that of the last pass.

use chrono::{DateTime, TimeDelta, Utc};
use penstock_contracts::dashboard::{
    DriftLabel, List, ROWS_MAX, ReconcileDiffRow, ReconcileSnapshot,
};
use penstock_contracts::units::{TsMs, X10000};
use sqlx::PgConnection;

use super::error::ReadError;
use super::form::{id_text, ms};

/// Differences of a pass lie after its begin by the same clock; rows are looked for from this long before it.
const SLACK: TimeDelta = TimeDelta::minutes(1);

pub(super) async fn read(
    conn: &mut PgConnection,
    degrade_x10000: i64,
    limit: usize,
) -> Result<ReconcileSnapshot, ReadError> {
    let pass = sqlx::query!(
        r#"select reconcile_id as "id!", started_at as "started_at!", dur_ms as "dur_ms!",
               drift_score_x10000 as score
           from (
               (select reconcile_id, started_at, dur_ms, drift_score_x10000
                from reconcile_runs where kind = 'LIGHT'
                order by started_at desc, reconcile_id desc limit 1)
               union all
               (select reconcile_id, started_at, dur_ms, drift_score_x10000
                from reconcile_runs where kind = 'FULL'
                order by started_at desc, reconcile_id desc limit 1)
           ) r order by started_at desc, reconcile_id desc limit 1"#
    )
    .fetch_optional(&mut *conn)
    .await
    .map_err(ReadError::sql("the last pass of the reconciliation"))?;
    let recent_diffs = diffs(conn, limit).await?;
    let Some(pass) = pass else {
        return Ok(ReconcileSnapshot {
            last_reconcile_rest_ts_ms: TsMs(0),
            last_reconcile_rest_dur_ms: 0,
            drift_score_x10000: X10000(0),
            drift_label: DriftLabel::Ok,
            recent_diffs,
        });
    };
    let score = pass.score.unwrap_or(0);
    let differs = has_diffs(conn, pass.id, pass.started_at).await?;
    Ok(ReconcileSnapshot {
        last_reconcile_rest_ts_ms: ms(pass.started_at),
        last_reconcile_rest_dur_ms: pass.dur_ms.into(),
        drift_score_x10000: X10000(score),
        drift_label: label(score.into(), degrade_x10000, differs),
        recent_diffs,
    })
}

fn label(score: i64, degrade_x10000: i64, differs: bool) -> DriftLabel {
    if score >= degrade_x10000 && score > 0 {
        DriftLabel::Bad
    } else if differs || score > 0 {
        DriftLabel::Warn
    } else {
        DriftLabel::Ok
    }
}

async fn has_diffs(
    conn: &mut PgConnection,
    id: i64,
    started_at: DateTime<Utc>,
) -> Result<bool, ReadError> {
    sqlx::query_scalar!(
        r#"select exists (select from reconcile_diffs where ts >= $2 and reconcile_id = $1)
               as "differs!""#,
        id,
        started_at - SLACK
    )
    .fetch_one(conn)
    .await
    .map_err(ReadError::sql("differences of the last pass"))
}

async fn diffs(
    conn: &mut PgConnection,
    limit: usize,
) -> Result<List<ReconcileDiffRow, ROWS_MAX>, ReadError> {
    let rows = sqlx::query!(
        r#"select f.ts as "ts!", f.diff_kind as "kind!", f.symbol as "symbol!",
               f.local as "local!", f.remote as "remote!", f.points as "points!",
               f.settled as "settled!", f.resolved_at is not null as "resolved!",
               o.evaluation_id as "evaluation_id?", d.decision_id as "decision_id?"
           from (
               select diff_id, ts, diff_kind, symbol, order_id, local, remote, points, settled, resolved_at
               from reconcile_diffs order by ts desc, diff_id desc limit $1
           ) f
           left join execution_orders o on o.order_id = f.order_id
           left join lateral (
               select d.decision_id from decisions d
               where d.evaluation_id = o.evaluation_id and d.symbol = o.symbol
               order by d.version desc limit 1
           ) d on true
           order by f.ts desc, f.diff_id desc limit $1"#,
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("differences to the venue"))?;
    Ok(rows
        .into_iter()
        .map(|r| {
            let settled = if r.settled { "settled" } else { "not settled" };
            let resolved = if r.resolved { ", resolved" } else { "" };
            ReconcileDiffRow {
                ts_ms: ms(r.ts),
                symbol: r.symbol,
                cycle_id: id_text(r.evaluation_id),
                decision_id: r.decision_id.unwrap_or_default(),
                summary: format!(
                    "{}: ours {}, the venue's {}; {} points, {settled}{resolved}",
                    r.kind, r.local, r.remote, r.points
                ),
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{DriftLabel, label};

    #[test]
    fn the_label_follows_score_and_differences() {
        assert_eq!(label(0, 20_000, false), DriftLabel::Ok);
        assert_eq!(label(0, 20_000, true), DriftLabel::Warn);
        assert_eq!(label(19_999, 20_000, true), DriftLabel::Warn);
        assert_eq!(label(20_000, 20_000, true), DriftLabel::Bad);
        assert_eq!(label(0, 0, false), DriftLabel::Ok, "nothing was found");
    }
}
