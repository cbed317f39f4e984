//! What the last 24 hours were like: how far candidates came, what stopped them, how long orders took.
//!
//! Input: evaluations, selections, decisions, verdicts, orders, latencies, events of orders. Output: counts and
//! percentiles. Invariants: rows of older days are not touched: evaluations are found by the first id of the span,
//! orders and events by the index of their time.

use chrono::Days;
use penstock_contracts::dashboard::{Churn, CodeCount, Funnel, Latency, List, Percentiles};
use sqlx::PgConnection;

use super::super::error::ReadError;
use super::super::form::ms_of_us;
use super::super::sight::Sight;

/// How far candidates came, and what stopped them.
pub(super) async fn funnel(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
) -> Result<(Funnel, List<CodeCount, 20>), ReadError> {
    const WHAT: &str = "how far candidates came";
    let since = sight.now - Days::new(1);
    let wide = sqlx::query!(
        r#"select coalesce(sum(c.exec_allowed_count), 0)::bigint as "eligible!",
               coalesce(sum(jsonb_array_length(s.topn)), 0)::bigint as "topn!",
               coalesce(sum(jsonb_array_length(s.topn)) filter (where c.routes_evaluated > 0), 0)::bigint
                   as "deep!",
               coalesce(sum(cardinality(s.topk_final)), 0)::bigint as "topk!"
           from evaluation_cycles c
           left join cycle_selections s on s.evaluation_id = c.evaluation_id
           where c.evaluation_id >= $1 limit 1"#,
        sight.since_id
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let narrow = sqlx::query!(
        r#"select
               (select count(*) from decisions where evaluation_id >= $1 and version = 0)
                   as "proposed!",
               (select count(*) from ai_gate_events
                where ts >= $2 and verdict in ('ALLOW', 'MODIFY')) as "ai_allow!",
               o.sent as "sent!", o.filled as "filled!"
           from (select count(*) filter (where state not in ('pending_submit', 'error')) as sent,
                     count(*) filter (where cum_qty > 0) as filled
                 from execution_orders
                 where created_at >= $2 and role in ('entry', 'proof') and state <> 'created') o
           limit 1"#,
        sight.since_id,
        since
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let (risk_allow, blocks) = verdicts(conn, sight).await?;
    let funnel = Funnel {
        eligible: wide.eligible,
        topn: wide.topn,
        deep: wide.deep,
        topk: wide.topk,
        proposed: narrow.proposed,
        ai_allow: narrow.ai_allow,
        risk_allow,
        sent: narrow.sent,
        filled: narrow.filled,
    };
    Ok((funnel, blocks))
}

/// How often risk let a decision pass, and the codes of verdicts that stopped one, as the daily summary counts them.
async fn verdicts(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
) -> Result<(i64, List<CodeCount, 20>), ReadError> {
    // Verdicts have no index of times. Those of the day are found by their decisions, one by one, each once: the
    // offsets of 0 keep the planner from reading the table of all days instead.
    let rows = sqlx::query!(
        r#"with day as materialized (
               select v.verdict, v.reasons
               from (select decision_id from decisions where evaluation_id >= $1 offset 0) d
               cross join lateral (
                   select verdict, reasons from risk_verdicts r
                   where r.decision_id = d.decision_id offset 0
               ) v
           )
           select code, n as "n!" from (
               select null as code, count(*) as n from day where verdict = 'ALLOW'
               union all
               (select code, count(*) from (
                    select unnest(reasons) as code from day where verdict = 'BLOCK'
                    union all
                    select unnest(g.reasons) from ai_gate_events g
                    where g.ts >= $2 and g.verdict in ('BLOCK', 'ERROR')
                ) blocked group by code order by count(*) desc, code limit 20)
           ) counted
           order by code is not null, n desc, code limit 21"#,
        sight.since_id,
        sight.now - Days::new(1)
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("what stopped candidates"))?;
    let mut allowed = 0;
    let mut blocks = Vec::new();
    for row in rows {
        match row.code {
            Some(code) => blocks.push(CodeCount { code, n: row.n }),
            None => allowed = row.n,
        }
    }
    Ok((allowed, blocks.into_iter().collect()))
}

pub(super) async fn latency(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
) -> Result<Latency, ReadError> {
    let row = sqlx::query!(
        r#"select count(submit) as "submit_n!", count(ack) as "ack_n!", count(fill) as "fill_n!",
               count(stop) as "stop_n!",
               percentile_disc(array[0.5, 0.95, 0.99]) within group (order by submit) as submit,
               percentile_disc(array[0.5, 0.95, 0.99]) within group (order by ack) as ack,
               percentile_disc(array[0.5, 0.95, 0.99]) within group (order by fill) as fill,
               percentile_disc(array[0.5, 0.95, 0.99]) within group (order by stop) as stop
           from (
               select l.decision_to_submit_us as submit, l.submit_to_ack_seen_us as ack,
                   (extract(epoch from l.t3_fill_seen_ts_local - l.t2_ack_seen_ts_local)
                       * 1000000)::bigint as fill,
                   l.fill_seen_to_protection_ack_us as stop
               from execution_orders o
               join execution_order_latency l on l.order_id = o.order_id
               where o.created_at >= $1
           ) spans limit 1"#,
        sight.now - Days::new(1)
    )
    .fetch_one(conn)
    .await
    .map_err(ReadError::sql("how long orders took"))?;
    Ok(Latency {
        decision_submit: percentiles(row.submit_n, row.submit),
        submit_ack: percentiles(row.ack_n, row.ack),
        ack_fill: percentiles(row.fill_n, row.fill),
        fill_stop: percentiles(row.stop_n, row.stop),
    })
}

fn percentiles(n: i64, us: Option<Vec<i64>>) -> Percentiles {
    let us = us.unwrap_or_default();
    let of = |at: usize| ms_of_us(us.get(at).copied());
    Percentiles { n, p50_ms: of(0), p95_ms: of(1), p99_ms: of(2) }
}

/// Orders that were sent: with their row, out of stock, or before their row.
pub(super) async fn churn(conn: &mut PgConnection, sight: &Sight<'_>) -> Result<Churn, ReadError> {
    let row = sqlx::query!(
        r#"select count(*) filter (where ts_local > $1) as "last_10s!", count(*) as "last_60s!"
           from execution_order_events
           where ts_local > $2 and event_type in ('persist', 'authorise', 'preauth_sent')
           limit 1"#,
        sight.now - chrono::TimeDelta::seconds(10),
        sight.now - chrono::TimeDelta::seconds(60)
    )
    .fetch_one(conn)
    .await
    .map_err(ReadError::sql("orders of the last minute"))?;
    Ok(Churn { count_10s: row.last_10s, count_60s: row.last_60s })
}
