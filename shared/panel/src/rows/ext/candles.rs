//! Charts: closed minutes, fills, stops of two hours.
//!
//! Input: `candles_1m`, `fills`, `exit_events`, plans. Output: a chart for each of the first symbols. Invariants: a chart
//! has exactly its minutes; one without a candle is empty; fills and stops lie within the chart's time or before its
//! end.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use penstock_contracts::dashboard::{CandleFill, CandleStop, Candles, List, Ohlc};
use penstock_contracts::units::TsMs;
use penstock_types::Symbol;
use penstock_types::vocab::Side;
use sqlx::PgConnection;

use super::super::error::ReadError;
use super::super::form::{amount, ms};
use super::super::sight::Sight;

/// Most charts.
const CHARTS_MAX: usize = 8;
/// Minutes of a chart.
const MINUTES: usize = 120;
/// Length of a minute.
const STEP_MS: i64 = 60_000;
/// Most fills and stops of all charts; each has a limit of its own beside.
const MARKS_MAX: i64 = 1_600;

/// What is drawn of a symbol.
#[derive(Default)]
struct Chart {
    minutes: BTreeMap<i64, Ohlc>,
    fills: Vec<CandleFill>,
    stops: Vec<CandleStop>,
}

type Charts = BTreeMap<String, Chart>;

pub(super) async fn read(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
) -> Result<List<Candles, CHARTS_MAX>, ReadError> {
    let mut symbols = sight.charts();
    symbols.truncate(CHARTS_MAX);
    let end_ms = sight.live.now_ms.div_euclid(STEP_MS) * STEP_MS;
    let t0_ms = end_ms - STEP_MS * i64::try_from(MINUTES).unwrap_or(0);
    let t0 = DateTime::from_timestamp_millis(t0_ms).unwrap_or_default();
    let wanted: Vec<String> = symbols.iter().map(|s| s.as_str().to_owned()).collect();
    let mut charts = Charts::new();
    minutes(conn, &wanted, t0, &mut charts).await?;
    fills(conn, &wanted, t0, &mut charts).await?;
    stops(conn, &wanted, t0, &mut charts).await?;
    let one = |symbol: Symbol| {
        let mut chart = charts.remove(symbol.as_str()).unwrap_or_default();
        let minute = |n: usize| {
            let at = t0_ms + STEP_MS * i64::try_from(n).unwrap_or(0);
            chart.minutes.remove(&at).unwrap_or_default()
        };
        Candles {
            t0_ms: TsMs(t0_ms),
            step_ms: STEP_MS,
            ohlc: (0..MINUTES).map(minute).collect(),
            fills: chart.fills.into_iter().collect(),
            stops: chart.stops.into_iter().collect(),
            symbol,
        }
    };
    Ok(symbols.into_iter().map(one).collect())
}

async fn minutes(
    conn: &mut PgConnection,
    wanted: &[String],
    t0: DateTime<Utc>,
    charts: &mut Charts,
) -> Result<(), ReadError> {
    let rows = sqlx::query!(
        r#"select symbol as "symbol!", minute as "minute!", o as "o!", h as "h!", l as "l!", c as "c!"
           from candles_1m where symbol = any($1) and minute >= $2 and minute < $3
           order by symbol, minute limit 960"#,
        wanted,
        t0,
        t0 + TimeDelta::minutes(i64::try_from(MINUTES).unwrap_or(0))
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("candles"))?;
    for row in rows {
        let ohlc = [row.o, row.h, row.l, row.c].into_iter().map(amount).collect();
        let chart = charts.entry(row.symbol).or_default();
        chart.minutes.insert(row.minute.timestamp_millis(), ohlc);
    }
    Ok(())
}

async fn fills(
    conn: &mut PgConnection,
    wanted: &[String],
    t0: DateTime<Utc>,
    charts: &mut Charts,
) -> Result<(), ReadError> {
    const WHAT: &str = "fills of charts";
    let rows = sqlx::query!(
        r#"select symbol as "symbol!", side as "side!", price as "price!", qty as "qty!",
               ts_exchange as "ts!"
           from fills where ts_exchange >= $2 and symbol = any($1)
           order by ts_exchange, fill_id limit $3"#,
        wanted,
        t0,
        MARKS_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    for row in rows {
        let side = Side::parse(&row.side).map_err(ReadError::row(WHAT))?;
        charts.entry(row.symbol).or_default().fills.push(CandleFill {
            ts_ms: ms(row.ts),
            side: side.into(),
            price: amount(row.price),
            qty: amount(row.qty),
        });
    }
    Ok(())
}

/// Each stop from when it was set: those of the chart's time, and the one that stood before of an open position.
async fn stops(
    conn: &mut PgConnection,
    wanted: &[String],
    t0: DateTime<Utc>,
    charts: &mut Charts,
) -> Result<(), ReadError> {
    let rows = sqlx::query!(
        r#"select symbol as "symbol!", ts as "ts!", price as "price!" from (
               select p.symbol, e.ts, (e.detail ->> 'sl_price')::numeric as price, e.id
               from exit_events e
               join exit_plans x on x.plan_id = e.plan_id
               join positions p on p.position_id = x.position_id
               where e.ts >= $2 and p.symbol = any($1) and e.detail ->> 'sl_price' is not null
               union all
               select p.symbol, greatest(x.created_at, $2), x.sl_price, 0
               from positions p join exit_plans x on x.position_id = p.position_id
               where p.status in ('open', 'closing', 'dust') and p.symbol = any($1)
                   and not exists (select from exit_events e where e.ts >= $2
                       and e.plan_id = x.plan_id and e.detail ->> 'sl_price' is not null)
           ) s
           order by ts, id limit $3"#,
        wanted,
        t0,
        MARKS_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("stops of charts"))?;
    for row in rows {
        let stop = CandleStop { ts_ms: ms(row.ts), price: amount(row.price) };
        charts.entry(row.symbol).or_default().stops.push(stop);
    }
    Ok(())
}
