//! Open positions with what covers them, and the stock of standby rows.
//!
//! Input: positions and plans, `exit_events`, `fills_ledger`, standby rows, bids, looks that are due. Output: cards.
//! Invariants: covered and uncovered make up the position; only an uncovered rest has a time.

use chrono::{DateTime, Utc};
use penstock_contracts::dashboard::{List, PositionCard};
use penstock_types::Decimal;
use sqlx::PgConnection;

use super::super::error::ReadError;
use super::super::form::{age_ms, amount, amount_or_zero};
use super::super::sight::{Position, Sight};

/// Most cards.
const CARDS_MAX: usize = 200;

pub(super) async fn cards(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
) -> Result<List<PositionCard, CARDS_MAX>, ReadError> {
    let mut cards = Vec::new();
    for position in sight.positions.iter().take(CARDS_MAX) {
        let uncovered = (position.qty - position.protected).max(Decimal::ZERO);
        let since = match uncovered.is_zero() {
            true => None,
            false => Some(uncovered_since(conn, position).await?),
        };
        cards.push(card(sight, position, uncovered, since));
    }
    Ok(cards.into_iter().collect())
}

fn card(
    sight: &Sight<'_>,
    position: &Position,
    uncovered: Decimal,
    since: Option<DateTime<Utc>>,
) -> PositionCard {
    let now_ms = sight.live.now_ms;
    let bid = sight.bid(&position.symbol);
    let plan = position.plan.as_ref();
    PositionCard {
        position_id: position.id,
        symbol: position.symbol.clone(),
        qty: amount(position.qty),
        avg_entry: amount_or_zero(position.avg_entry),
        last: amount_or_zero(bid),
        upnl_quote: amount_or_zero(bid.map(|bid| bid * position.qty - position.cost)),
        sl: amount_or_zero(plan.map(|plan| plan.sl)),
        tp: amount_or_zero(plan.and_then(|plan| plan.tp)),
        protection_state: plan.map(|plan| plan.state.clone()).unwrap_or_default(),
        covered_qty: amount(position.qty - uncovered),
        uncovered_qty: amount(uncovered),
        uncovered_ms: since.map_or(0, |since| age_ms(since, now_ms)),
        confirm_pending: sight.live.confirm_pending.contains(&position.symbol),
        age_ms: age_ms(position.opened_at, now_ms),
    }
}

/// Since when a position has an uncovered rest: since its cover was last changed or base was last added, whichever is
/// later; else since its plan is in its state; else since it is open.
async fn uncovered_since(
    conn: &mut PgConnection,
    position: &Position,
) -> Result<DateTime<Utc>, ReadError> {
    let latest = sqlx::query_scalar!(
        r#"select greatest(
               (select ts from exit_events
                where ts >= $3 and plan_id = $2 and detail ->> 'protected_qty' is not null
                order by ts desc limit 1),
               (select created_at from fills_ledger where position_id = $1 and delta_base > 0
                order by ledger_seq desc limit 1)) as latest
           limit 1"#,
        position.id,
        position.plan.as_ref().map(|plan| plan.id),
        position.opened_at
    )
    .fetch_one(conn)
    .await
    .map_err(ReadError::sql("since when a position is uncovered"))?;
    let state = position.plan.as_ref().map(|plan| plan.since);
    Ok(latest.or(state).unwrap_or(position.opened_at))
}

/// Standby rows, by the indexes of both kinds.
pub(super) async fn standby_orders(conn: &mut PgConnection) -> Result<i64, ReadError> {
    sqlx::query_scalar!(
        r#"select (select count(*) from execution_orders
                   where state = 'created' and position_id is null)
               + (select count(*) from execution_orders
                  where state = 'created' and position_id is not null) as "n!"
           limit 1"#
    )
    .fetch_one(conn)
    .await
    .map_err(ReadError::sql("standby rows"))
}
