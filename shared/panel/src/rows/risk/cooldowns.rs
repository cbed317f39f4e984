//! Symbols that rest after a stop, traded within the hour, or lost several times in a row.
//!
//! Input: `positions`, `realized_pnl`. Output: the list, by symbol. Invariants: the rules are those of the counters that
//! entries are judged by; a symbol of which nothing of this holds is left out.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use penstock_contracts::dashboard::{Cooldown, List, ROWS_MAX};
use penstock_contracts::units::TsMs;
use penstock_types::Decimal;
use sqlx::PgConnection;

use super::super::error::ReadError;
use super::super::form::{ms, symbol};
use super::super::sight::{READ_MAX, Sight};
use super::capital::Settings;

const WHAT: &str = "symbols that rest";

#[derive(Default)]
struct Past {
    until: TsMs,
    trades: i64,
    losses: i64,
}

pub(super) async fn read(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
    cooldown_s: i64,
    settings: Option<&Settings>,
) -> Result<List<Cooldown, ROWS_MAX>, ReadError> {
    let mut pasts = BTreeMap::<String, Past>::new();
    stopped_and_opened(conn, sight.now, cooldown_s, &mut pasts).await?;
    if let Some(settings) = settings {
        lost(conn, sight.now, settings, &mut pasts).await?;
    }
    let one = |(name, past): (String, Past)| {
        Ok(Cooldown {
            symbol: symbol(WHAT, &name)?,
            cooldown_until_ts_ms: past.until,
            trades_per_hour: past.trades,
            loss_streak: past.losses,
        })
    };
    pasts.into_iter().map(one).collect()
}

async fn stopped_and_opened(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    cooldown_s: i64,
    pasts: &mut BTreeMap<String, Past>,
) -> Result<(), ReadError> {
    let rest = TimeDelta::seconds(cooldown_s.clamp(0, 366 * 86_400));
    let rows = sqlx::query!(
        r#"select symbol as "symbol!", max(stopped) as stopped, coalesce(sum(opened), 0)::bigint as "opened!"
           from (
               select symbol, ts as stopped, 0::bigint as opened from realized_pnl
               where exit_reason = 'SL_hit' and ts > $1
               union all
               select symbol, null, 1 from positions
               where entry_order_id is not null and opened_at > $2
           ) past
           group by symbol order by symbol limit $3"#,
        now - rest,
        now - TimeDelta::hours(1),
        READ_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    for row in rows {
        let past = pasts.entry(row.symbol).or_default();
        past.until = row.stopped.map_or(TsMs(0), |at| ms(at + rest));
        past.trades = row.opened;
    }
    Ok(())
}

async fn lost(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    settings: &Settings,
    pasts: &mut BTreeMap<String, Past>,
) -> Result<(), ReadError> {
    let span_s = settings.losses_max.saturating_mul(settings.streak_reset_s);
    let rows = sqlx::query!(
        r#"select symbol as "symbol!", closed_at as "closed_at!", realized_quote as "net!"
           from (
               select symbol, closed_at, realized_quote, position_id, row_number() over (
                   partition by symbol order by closed_at desc, position_id desc) as newest
               from positions where status = 'closed' and entry_order_id is not null
                   and closed_at > $1
           ) c
           where newest <= $2 order by symbol, closed_at, position_id limit $3"#,
        now - TimeDelta::seconds(span_s.clamp(0, 366 * 86_400)),
        settings.losses_max,
        READ_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let mut closes = BTreeMap::<String, Vec<(DateTime<Utc>, Decimal)>>::new();
    for row in rows {
        closes.entry(row.symbol).or_default().push((row.closed_at, row.net));
    }
    let reset = TimeDelta::seconds(settings.streak_reset_s.clamp(0, 366 * 86_400));
    for (name, closes) in closes {
        let losses = streak(&closes, now, reset);
        if losses > 0 {
            pasts.entry(name).or_default().losses = losses;
        }
    }
    Ok(())
}

/// Losses in a row that still count: a result of at least 0 ends the row, and so does the reset's time after a loss.
fn streak(closes: &[(DateTime<Utc>, Decimal)], now: DateTime<Utc>, reset: TimeDelta) -> i64 {
    let mut losses = 0;
    let mut last: Option<DateTime<Utc>> = None;
    for (at, net) in closes {
        let over = last.is_some_and(|last| *at - last >= reset);
        if *net >= Decimal::ZERO {
            (losses, last) = (0, None);
        } else {
            losses = if over { 1 } else { losses + 1 };
            last = Some(*at);
        }
    }
    if last.is_none_or(|last| now - last >= reset) { 0 } else { losses }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_losses_ends_with_a_gain_or_with_time() {
        let at = |s: i64| DateTime::from_timestamp(1_771_243_200 + s, 0).unwrap();
        let hour = TimeDelta::hours(1);
        let of = |closes: &[(i64, i64)], now: i64| {
            let closes: Vec<_> =
                closes.iter().map(|(s, net)| (at(*s), Decimal::from(*net))).collect();
            streak(&closes, at(now), hour)
        };
        assert_eq!(of(&[], 0), 0);
        assert_eq!(of(&[(1, -1), (2, -1), (3, -1)], 10), 3);
        assert_eq!(of(&[(1, -1), (2, 0), (3, -1)], 10), 1);
        assert_eq!(of(&[(1, -1), (2, -1), (3, 5)], 10), 0);
        assert_eq!(of(&[(-3_600, -1), (0, -1)], 10), 1, "the first had ended");
        assert_eq!(of(&[(0, -1)], 3_599), 1);
        assert_eq!(of(&[(0, -1)], 3_600), 0);
    }
}
