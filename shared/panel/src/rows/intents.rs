//! Intents: how far the rows of orders are, and the list of orders.
//!
//! Input: `execution_orders`, `decisions`. Output: counts, the intents that changed last, the newest orders. Invariants:
//! a standby row is in none of them; an intent that waits is counted whatever its age, an ended one for a day; the
//! newest [`LOOKED_AT`] rows and every live one are looked at, however many there are.

use chrono::{DateTime, TimeDelta, Utc};
use penstock_contracts::dashboard::{
    IntentCounts, IntentRow, IntentState, IntentsSnapshot, List, ORDERS_MAX, OrderRow, ROWS_MAX,
};
use penstock_types::vocab::{OrderRole, OrderState, OrderType, Side};
use penstock_types::{Decimal, Symbol};
use sqlx::PgConnection;

use super::error::ReadError;
use super::form::{amount, amount_or_zero, id_text, ms, symbol};

/// Newest rows among which the ones that changed last are looked for. An entry lives for minutes and a day has at most
/// a few hundred orders; a stop that rests longer is live, and so looked at anyway.
const LOOKED_AT: i64 = 2_000;

/// How far an intent in this state is.
#[must_use]
pub const fn state_of(state: OrderState) -> IntentState {
    match state {
        OrderState::Created | OrderState::PendingSubmit => IntentState::Created,
        OrderState::SubmitUnknown | OrderState::Suspect | OrderState::ReconcileRequired => {
            IntentState::SentUnknown
        }
        OrderState::AckedOpen
        | OrderState::PartiallyFilled
        | OrderState::PendingCancel
        | OrderState::Filled
        | OrderState::Canceled
        | OrderState::Expired => IntentState::Confirmed,
        OrderState::LostOrRejected => IntentState::NotFound,
        OrderState::Rejected | OrderState::Error => IntentState::FailedTerminal,
    }
}

pub(super) async fn read(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<IntentsSnapshot, ReadError> {
    Ok(IntentsSnapshot {
        pending_by_state: counts(conn, now).await?,
        recent: recent(conn, limit).await?,
    })
}

async fn counts(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<IntentCounts, ReadError> {
    const WHAT: &str = "intents by state";
    // Waiting ones by the index of live rows, the others by that of their time.
    let rows = sqlx::query!(
        r#"select state as "state!", count(*) as "n!" from (
               select state from execution_orders
               where not terminal and state <> 'created'
                   and state in ('pending_submit', 'submit_unknown', 'suspect', 'reconcile_required')
               union all
               select state from execution_orders
               where created_at >= $1 and state not in ('created', 'pending_submit',
                   'submit_unknown', 'suspect', 'reconcile_required')
           ) o
           group by state order by state limit 20"#,
        now - TimeDelta::days(1)
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let mut counts = IntentCounts::default();
    for row in rows {
        let state = OrderState::parse(&row.state).map_err(ReadError::row(WHAT))?;
        *match state_of(state) {
            IntentState::Created => &mut counts.created,
            IntentState::SentUnknown => &mut counts.sent_unknown,
            IntentState::Confirmed => &mut counts.confirmed,
            IntentState::NotFound => &mut counts.not_found,
            IntentState::FailedTerminal => &mut counts.failed_terminal,
        } += row.n;
    }
    Ok(counts)
}

async fn recent(
    conn: &mut PgConnection,
    limit: usize,
) -> Result<List<IntentRow, ROWS_MAX>, ReadError> {
    const WHAT: &str = "recent intents";
    let rows = sqlx::query!(
        r#"select o.order_id as "order_id!", o.symbol as "symbol!", o.side as "side!",
               o.role as "role!", o.order_type as "order_type!", o.state as "state!",
               o.qty as "qty!", o.cum_qty as "cum_qty!", o.limit_price, o.trigger_price,
               o.updated_at as "updated_at!", o.evaluation_id, d.decision_id as "decision_id?"
           from (
               select order_id, symbol, side, role, order_type, state, qty, cum_qty, limit_price,
                        trigger_price, updated_at, evaluation_id
               from (
                   (select order_id, symbol, side, role, order_type, state, qty, cum_qty, limit_price,
                        trigger_price, updated_at, evaluation_id
                    from execution_orders where state <> 'created'
                    order by created_at desc limit $2)
                   union
                   (select order_id, symbol, side, role, order_type, state, qty, cum_qty, limit_price,
                        trigger_price, updated_at, evaluation_id
                    from execution_orders where not terminal and state <> 'created'
                    order by order_id desc limit $2)
               ) known order by updated_at desc, order_id desc limit $1
           ) o
           left join lateral (
               select d.decision_id from decisions d
               where d.evaluation_id = o.evaluation_id and d.symbol = o.symbol
               order by d.version desc limit 1
           ) d on true
           order by o.updated_at desc, o.order_id desc limit $1"#,
        i64::try_from(limit).unwrap_or(i64::MAX),
        LOOKED_AT
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    rows.into_iter()
        .map(|r| {
            let state = OrderState::parse(&r.state).map_err(ReadError::row(WHAT))?;
            let order = Words {
                side: &r.side,
                qty: r.qty,
                filled: r.cum_qty,
                order_type: OrderType::parse(&r.order_type).map_err(ReadError::row(WHAT))?,
                limit: r.limit_price,
                trigger: r.trigger_price,
                state,
            };
            Ok(IntentRow {
                order_intent_id: format!("oi_{}", r.order_id),
                symbol: symbol(WHAT, &r.symbol)?,
                intent_kind: OrderRole::parse(&r.role).map_err(ReadError::row(WHAT))?,
                state: state_of(state),
                last_ts_ms: ms(r.updated_at),
                cycle_id: id_text(r.evaluation_id),
                decision_id: r.decision_id.unwrap_or_default(),
                summary: order.summary(),
            })
        })
        .collect()
}

/// What an intent says of itself in words.
struct Words<'a> {
    side: &'a str,
    qty: Decimal,
    filled: Decimal,
    order_type: OrderType,
    limit: Option<Decimal>,
    trigger: Option<Decimal>,
    state: OrderState,
}

impl Words<'_> {
    fn summary(&self) -> String {
        let Self { side, qty, filled, order_type, limit, trigger, state } = self;
        let price = |name: &str, value: &Option<Decimal>| {
            value.map(|v| format!(" {name} {}", v.normalize())).unwrap_or_default()
        };
        let filled = if filled.is_zero() {
            String::new()
        } else {
            format!(", {} filled", filled.normalize())
        };
        let (at, from) = (price("at", limit), price("from", trigger));
        format!("{side} {} {order_type}{at}{from}: {state}{filled}", qty.normalize())
    }
}

pub(super) async fn orders(
    conn: &mut PgConnection,
) -> Result<List<OrderRow, ORDERS_MAX>, ReadError> {
    const WHAT: &str = "the newest orders";
    let rows = sqlx::query!(
        r#"select o.order_id as "order_id!", o.cl_ord_id as "cl_ord_id!", o.exchange_order_id,
               o.symbol as "symbol!", o.side as "side!", o.role as "role!",
               o.order_type as "order_type!", o.state as "state!", o.qty as "qty!",
               o.cum_qty as "cum_qty!", o.limit_price, o.trigger_price, o.avg_price,
               o.fee_quote as "fee_quote!", o.created_at as "created_at!", o.evaluation_id,
               d.decision_id as "decision_id?"
           from (
               select order_id, cl_ord_id, exchange_order_id, symbol, side, role, order_type, state, qty,
                   cum_qty, limit_price, trigger_price, avg_price, fee_quote, created_at, evaluation_id
               from execution_orders where state <> 'created'
               order by created_at desc, order_id desc limit $1
           ) o
           left join lateral (
               select d.decision_id from decisions d
               where d.evaluation_id = o.evaluation_id and d.symbol = o.symbol
               order by d.version desc limit 1
           ) d on true
           order by o.created_at desc, o.order_id desc limit $1"#,
        i64::try_from(ORDERS_MAX).unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    rows.into_iter()
        .map(|r| {
            Ok(OrderRow {
                ts_ms: ms(r.created_at),
                symbol: Symbol::new(&r.symbol).map_err(ReadError::row(WHAT))?,
                side: Side::parse(&r.side).map_err(ReadError::row(WHAT))?.into(),
                qty: amount(r.qty),
                price: amount_or_zero(r.limit_price),
                status: OrderState::parse(&r.state).map_err(ReadError::row(WHAT))?,
                order_intent_id: format!("oi_{}", r.order_id),
                cl_ord_id: r.cl_ord_id.to_string(),
                exchange_order_id: r.exchange_order_id.unwrap_or_default(),
                order_type: OrderType::parse(&r.order_type).map_err(ReadError::row(WHAT))?,
                role: OrderRole::parse(&r.role).map_err(ReadError::row(WHAT))?,
                trigger_price: amount_or_zero(r.trigger_price),
                filled_qty: amount(r.cum_qty),
                avg_price: amount_or_zero(r.avg_price),
                fee_quote: amount(r.fee_quote),
                cycle_id: id_text(r.evaluation_id),
                decision_id: r.decision_id.unwrap_or_default(),
            })
        })
        .collect()
}
