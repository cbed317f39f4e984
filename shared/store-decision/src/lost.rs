//! What the trail lost, from the rows that say it: states and fills of orders, states of exit plans.
//!
//! Inputs: a session, a span of time. Outputs: the changes of that span, those of orders each with what the trail says of
//! it, those of plans without what it says already. Invariants: only rows are read that their own transactions wrote;
//! changes are found by their time, their events by the order and in the days of the span, so
//! that neither table is read as a whole. A fill may be reported long after its time: its event has no latest one.

use chrono::{DateTime, Utc};
use penstock_store::StoreError;
use penstock_types::{Decimal, OrderId, PositionId, SessionId};
use sqlx::PgPool;

use crate::CLUSTER;

/// A change of an order's state, or a fill, and what the trail says around it. Words are as the row has them.
#[derive(Debug, Clone, PartialEq)]
pub struct LostOrder {
    /// The order.
    pub order_id: OrderId,
    /// When, by this machine's clock.
    pub at: DateTime<Utc>,
    /// State before; none for a row that was just inserted.
    pub from_state: Option<String>,
    /// State after.
    pub to_state: String,
    /// It is a fill.
    pub is_fill: bool,
    /// The venue had taken the order before.
    pub was_live: bool,
    /// Events of the order within ten seconds of the change: type, blank, and the state or the outcome that it says.
    pub said: Vec<String>,
    /// What the order's fills in the trail say to be filled, since ten seconds before the change.
    pub said_fills: Vec<String>,
    /// Its hash, where the row has it.
    pub intent_hash: String,
    /// Client id, hyphenated.
    pub cl_ord_id: String,
    /// Pair.
    pub symbol: String,
    /// Role.
    pub role: String,
    /// Side.
    pub side: String,
    /// Type.
    pub order_type: String,
    /// Quantity.
    pub qty: Decimal,
    /// Limit.
    pub limit_price: Option<Decimal>,
    /// Trigger.
    pub trigger_price: Option<Decimal>,
    /// The venue's id, or empty.
    pub exchange_order_id: String,
    /// Executed so far.
    pub cum_qty: Option<Decimal>,
    /// Average price of that, as the order has it now.
    pub avg_price: Option<Decimal>,
}

/// A change of an exit plan without an event in the trail.
#[derive(Debug, Clone, PartialEq)]
pub struct LostPlan {
    /// Its position.
    pub position_id: PositionId,
    /// Pair.
    pub symbol: String,
    /// When.
    pub at: DateTime<Utc>,
    /// State before.
    pub from_state: String,
    /// State after.
    pub to_state: String,
}

/// Changes of orders of a span, oldest first.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn orders(
    pool: &PgPool,
    session: SessionId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<LostOrder>, StoreError> {
    // An event is said within moments of its row; the same state of an order within ten seconds is the same change.
    let rows = sqlx::query!(
        r#"select e.order_id, e.ts_local, e.from_state, e.to_state, e.cum_qty,
              e.exec_id is not null as "is_fill!",
              exists (select 1 from execution_order_events f
                where f.order_id = e.order_id and f.event_seq < e.event_seq
                  and (f.to_state in ('acked_open', 'partially_filled', 'pending_cancel')
                    or f.event_type = 'acked')) as "was_live!",
              array(select a.event_type || ' '
                  || coalesce(a.data ->> 'outcome', a.data ->> 'order_state', '')
                from audit_events a
                where a.day >= ($2::timestamptz at time zone 'UTC')::date - 1
                  and a.session_id = $1
                  and a.order_intent_id = 'oi_' || e.order_id and a.order_intent_id <> ''
                  and a.ts between e.ts_local - interval '10 s' and e.ts_local + interval '10 s')
                as "said!: Vec<String>",
              array(select a.data ->> 'filled_qty'
                from audit_events a
                where a.day >= ($2::timestamptz at time zone 'UTC')::date - 1
                  and a.session_id = $1 and a.event_type = 'ORDER_FILL'
                  and a.order_intent_id = 'oi_' || e.order_id and a.order_intent_id <> ''
                  and a.ts >= e.ts_local - interval '10 s' and a.data ? 'filled_qty')
                as "said_fills!: Vec<String>",
              coalesce((select f.payload ->> 'intent_hash' from execution_order_events f
                where f.order_id = e.order_id and f.payload is not null
                order by f.event_seq limit 1), '') as "intent_hash!",
              o.cl_ord_id::text as "cl_ord_id!", o.symbol, o.role, o.side, o.order_type, o.qty,
              o.limit_price, o.trigger_price, coalesce(o.exchange_order_id, '') as "exchange_order_id!",
              o.avg_price
           from execution_order_events e join execution_orders o on o.order_id = e.order_id
           where e.ts_local between $2 and $3
             and (e.exec_id is not null or e.to_state is distinct from e.from_state)
           order by e.event_id"#,
        session.0,
        from,
        to
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read changes of orders that the trail lost", CLUSTER, e))?;
    let changes = rows.into_iter().map(|r| LostOrder {
        order_id: OrderId(r.order_id),
        at: r.ts_local,
        from_state: r.from_state,
        to_state: r.to_state,
        is_fill: r.is_fill,
        was_live: r.was_live,
        said: r.said,
        said_fills: r.said_fills,
        intent_hash: r.intent_hash,
        cl_ord_id: r.cl_ord_id,
        symbol: r.symbol,
        role: r.role,
        side: r.side,
        order_type: r.order_type,
        qty: r.qty,
        limit_price: r.limit_price,
        trigger_price: r.trigger_price,
        exchange_order_id: r.exchange_order_id,
        cum_qty: r.cum_qty,
        avg_price: r.avg_price,
    });
    Ok(changes.collect())
}

/// Changes of exit plans of a span, oldest first.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn plans(
    pool: &PgPool,
    session: SessionId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<LostPlan>, StoreError> {
    let rows = sqlx::query!(
        r#"select e.ts, e.from_state as "from_state!", e.to_state as "to_state!", p.position_id, p.symbol
           from exit_events e join exit_plans x on x.plan_id = e.plan_id
             join positions p on p.position_id = x.position_id
           where e.ts between $2 and $3 and e.from_state is distinct from e.to_state
             and e.from_state is not null and e.to_state is not null
             and not exists (select 1 from audit_events a
               where a.day >= ($2::timestamptz at time zone 'UTC')::date - 1
                 and a.session_id = $1 and a.event_type = 'PROTECTION_STATE_CHANGED'
                 and (a.data ->> 'position_id')::bigint = p.position_id
                 and a.data ->> 'state_to' = e.to_state
                 and a.ts between e.ts - interval '10 s' and e.ts + interval '10 s')
           order by e.id"#,
        session.0,
        from,
        to
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read changes of plans that the trail lost", CLUSTER, e))?;
    let lost = rows.into_iter().map(|r| LostPlan {
        position_id: PositionId(r.position_id),
        symbol: r.symbol,
        at: r.ts,
        from_state: r.from_state,
        to_state: r.to_state,
    });
    Ok(lost.collect())
}
