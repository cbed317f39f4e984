//! Cash, reservations, results of the day, and what of it is free for an entry.
//!
//! Input: rows of money, the settings that decide. Output: [`Money`], the free amount. Invariants: the rule is the one
//! that entries are sized by: cash less what is bound, and the share of the sizing equity less what is in use; the
//! smaller one, never below 0. Without the settings or the balance nothing is free.

use penstock_types::Decimal;
use penstock_types::decimal::{round_to, scale};
use sqlx::PgConnection;

use super::super::error::ReadError;
use super::super::sight::Sight;
use super::BPS_OF_ONE;
use crate::settings::Identity;

/// Drawdown from which half is sized with, basis points.
const THROTTLE_DRAWDOWN_BPS: Decimal = Decimal::from_parts(200, 0, 0, false, 0);

/// Settings that decide, as a session stored them.
pub(super) struct Settings {
    fixed_equity: Option<Decimal>,
    reserve_pct: Decimal,
    open_notional_pct: Decimal,
    exit_only_bps: Decimal,
    /// Losses in a row that matter.
    pub losses_max: i64,
    /// Time after which a row of losses is over, seconds.
    pub streak_reset_s: i64,
}

/// Money of one moment.
pub(super) struct Money {
    cash: Option<Decimal>,
    /// Open reservations.
    pub reserved: Decimal,
    /// What live buy orders without a reservation hold.
    pub held: Decimal,
    hwm: Option<Decimal>,
    /// Distance of the last snapshot to its mark.
    pub drawdown: Decimal,
    /// Equity with which the day began.
    pub day_open: Option<Decimal>,
    /// Net of fees.
    pub realized_today: Decimal,
    /// Positions that an entry opened today.
    pub trades_today: i64,
}

/// The settings of this session.
pub(super) async fn settings(
    conn: &mut PgConnection,
    identity: &Identity,
) -> Result<Option<Settings>, ReadError> {
    let row = sqlx::query!(
        r#"select k.fixed_equity_quote as fixed, k.equity_reserve_pct as "reserve!",
               k.max_open_notional_pct_of_equity as "open!", k.drawdown_exit_only_bps as "exit_only!",
               (k.risk ->> 'max_consecutive_losses')::bigint as "losses!",
               (k.risk ->> 'loss_streak_reset_secs')::bigint as "reset!"
           from exec_configs c
           cross join lateral jsonb_to_record(c.config -> 'decide') as k (
               fixed_equity_quote numeric, equity_reserve_pct numeric,
               max_open_notional_pct_of_equity numeric, drawdown_exit_only_bps numeric, risk jsonb)
           where c.config_hash in ($1,
               (select s.config_hash from execution_sessions s where s.session_id = $2))
           order by c.created_at desc limit 1"#,
        identity.config_hash,
        identity.session_id.0
    )
    .fetch_optional(conn)
    .await
    .map_err(ReadError::sql("the settings that decide"))?;
    Ok(row.map(|r| Settings {
        fixed_equity: r.fixed,
        reserve_pct: r.reserve,
        open_notional_pct: r.open,
        exit_only_bps: r.exit_only,
        losses_max: r.losses,
        streak_reset_s: r.reset,
    }))
}

/// Rows of money.
pub(super) async fn money(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
    quote_asset: &str,
) -> Result<Money, ReadError> {
    let row = sqlx::query!(
        r#"select
               (select balance from exchange_balances where asset = $1) as cash,
               (select coalesce(sum(reserved_quote), 0) from capital_reservations
                where released_at is null) as "reserved!",
               (select coalesce(sum(coalesce(o.limit_price, o.decision_mid, 0) * (o.qty - o.cum_qty)), 0)
                from execution_orders o
                where not o.terminal and o.state <> 'created' and o.side = 'buy'
                    and not exists (select from capital_reservations r
                        where r.order_id = o.order_id and r.released_at is null)) as "held!",
               coalesce(
                   (select equity_quote from equity_snapshots where ts < $2 order by ts desc limit 1),
                   (select equity_quote from equity_snapshots where ts >= $2 order by ts limit 1)
               ) as day_open,
               (select coalesce(sum(net_quote), 0) from realized_pnl where ts >= $2) as "realized!",
               (select count(*) from positions
                where entry_order_id is not null and opened_at >= $2) as "trades!",
               e.hwm_quote as "hwm?", e.hwm_quote - e.equity_quote as distance
           from (select) one
           left join (select hwm_quote, equity_quote from equity_snapshots order by ts desc limit 1) e
               on true
           limit 1"#,
        quote_asset,
        sight.today
    )
    .fetch_one(conn)
    .await
    .map_err(ReadError::sql("money"))?;
    Ok(Money {
        cash: row.cash,
        reserved: row.reserved,
        held: row.held,
        hwm: row.hwm,
        drawdown: row.distance.unwrap_or_default().max(Decimal::ZERO),
        day_open: row.day_open,
        realized_today: row.realized,
        trades_today: row.trades,
    })
}

/// What an entry could spend.
pub(super) fn free(sight: &Sight<'_>, money: &Money, settings: Option<&Settings>) -> Decimal {
    let (Some(cash), Some(settings)) = (money.cash, settings) else { return Decimal::ZERO };
    let mid = |p: &super::super::sight::Position| {
        let mid = sight.states.get(&p.symbol).and_then(|state| state.mid);
        round_to(mid.map_or(p.cost, |mid| mid * p.qty), scale::AMT)
    };
    // Dust cannot be sold: it is worth nothing.
    let positions: Decimal = sight.positions.iter().filter(|p| !p.is_dust).map(mid).sum();
    let equity = cash + positions;
    let sized_on = settings.fixed_equity.unwrap_or(equity);
    let throttle = throttle(money.hwm.unwrap_or(equity).max(equity), equity, settings);
    let kept = Decimal::ONE - settings.reserve_pct;
    let sizing = round_to(sized_on * kept * throttle, scale::AMT);
    let by_cash = cash - money.reserved - sight.live.foreign_holds_quote;
    let by_cap = settings.open_notional_pct * sizing - positions - money.reserved;
    round_to(by_cash.min(by_cap).max(Decimal::ZERO), scale::AMT)
}

fn throttle(hwm: Decimal, equity: Decimal, settings: &Settings) -> Decimal {
    let drawdown = if hwm > Decimal::ZERO {
        round_to((hwm - equity) / hwm * BPS_OF_ONE, scale::BPS)
    } else {
        Decimal::ZERO
    };
    if drawdown >= settings.exit_only_bps {
        Decimal::ZERO
    } else if drawdown >= THROTTLE_DRAWDOWN_BPS {
        Decimal::new(5, 1)
    } else {
        Decimal::ONE
    }
}
