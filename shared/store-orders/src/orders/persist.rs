//! Writing an order before it is sent.
//!
//! Input: planned terms. Output: a [`PersistedOrder`], which only a committed transaction returns and
//! which the sending function demands. A crash before the commit leaves nothing anywhere; after it, a
//! row in `pending_submit` that reconcile looks up and never sends again.

use penstock_trading::capital::caps::Caps;
use penstock_trading::order::OrderEvent;
use penstock_types::cl_ord_id::ClOrdId;
use penstock_types::vocab::{
    ExecutionIntent, ExitReason, OrderRole, OrderState, OrderType, Side, TimeInForce,
};
use penstock_types::{Decimal, OrderId, PositionId, Symbol, UtcMicros};
use sqlx::{Postgres, Transaction};

use super::insert::{insert_latency, insert_order};
use super::terms::{NewOrder, OrderRecord, Standby};
use super::transition::{EventNote, insert_event};
use super::{caps, intent, read};
use crate::writer::{ExecStore, WriteError, timestamp};

/// An order whose row is committed and that may be sent once.
///
/// It cannot be made outside this crate and is consumed by the send: an order without its row cannot
/// reach the venue, and no row is sent twice.
///
/// ```compile_fail,E0451
/// fn forged(record: penstock_store_orders::orders::OrderRecord, intent_hash: String) {
///     let _ = penstock_store_orders::orders::PersistedOrder { record, intent_hash };
/// }
/// ```
///
/// ```compile_fail
/// fn twice(one: penstock_store_orders::orders::PersistedOrder) {
///     drop(one.clone());
/// }
/// ```
///
/// ```
/// fn read(one: &penstock_store_orders::orders::PersistedOrder) {
///     let _: &penstock_store_orders::orders::OrderRecord = one.record();
/// }
/// ```
#[derive(Debug, PartialEq)]
pub struct PersistedOrder {
    record: OrderRecord,
    intent_hash: String,
}

impl PersistedOrder {
    /// The committed row.
    #[must_use]
    pub const fn record(&self) -> &OrderRecord {
        &self.record
    }

    /// The hash of its intent, as the event of this step has it; empty when that could not be written, or not be taken.
    #[must_use]
    pub fn intent_hash(&self) -> &str {
        &self.intent_hash
    }
}

/// New terms of a standby row that is released for sending.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// Position it reduces.
    pub position_id: PositionId,
    /// Quantity, at most the row's.
    pub qty: Decimal,
    /// Trigger of a stop.
    pub trigger_price: Option<Decimal>,
    /// Limit of a close that rests; none: market.
    pub limit_price: Option<Decimal>,
    /// The venue refuses it after this.
    pub deadline_at: UtcMicros,
    /// Reason of a close.
    pub exit_reason: Option<ExitReason>,
    /// Id of the standby row that takes its place, with its quantity and trigger.
    pub next: Option<NextStandby>,
}

/// The standby row that replaces a released one.
#[derive(Debug, Clone, PartialEq)]
pub struct NextStandby {
    /// Its id.
    pub cl_ord_id: ClOrdId,
    /// Quantity: the entry's, or the base of a position without one.
    pub qty: Decimal,
    /// Trigger of a stop.
    pub trigger_price: Option<Decimal>,
}

impl ExecStore {
    /// Transaction A of an entry: symbol lock, caps, order, first event, standby row, reservation, latency.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when the symbol has a live entry, its lock is held, or a cap would be exceeded,
    /// [`WriteError::Fence`], [`WriteError::Store`].
    pub async fn persist_entry(
        &self,
        order: &NewOrder,
        standby: &Standby,
        caps: &Caps,
        t0: UtcMicros,
        now: UtcMicros,
    ) -> Result<PersistedOrder, WriteError> {
        const ACTION: &str = "persist an entry";
        let sql = WriteError::sql(ACTION);
        let mut tx = self.begin(ACTION).await?;
        let until = order.expire_at.or(order.deadline_at).unwrap_or(now).plus_millis(10_000);
        self.lock_symbol(&mut tx, &order.symbol, "entry", &order.cl_ord_id.text(), until).await?;
        caps::check(&mut tx, &order.symbol, caps).await?;
        let id = insert_order(self, &mut tx, order, OrderState::PendingSubmit, now).await?;
        let (record, intent_hash) = first_event(&mut tx, id, now).await?;
        let stop = stop_row(order, standby, id);
        let stop_id = insert_order(self, &mut tx, &stop, OrderState::Created, now).await?;
        insert_event(&mut tx, stop_id, 1, None, OrderState::Created, &prepared(now)).await?;
        let strategy = order.entry.as_ref().map_or("none", |e| e.strategy.as_str());
        sqlx::query!(
            "insert into capital_reservations (order_id, symbol, strategy, reserved_quote, created_at)
             values ($1, $2, $3, $4, $5)",
            id.0,
            order.symbol.as_str(),
            strategy,
            caps.reserve_quote,
            timestamp(now)
        )
        .execute(&mut *tx)
        .await
        .map_err(sql)?;
        insert_latency(&mut tx, id, t0).await?;
        self.commit(ACTION, tx).await?;
        Ok(PersistedOrder { record, intent_hash })
    }

    /// A reduce order without a standby row to use: protection or exit of an adopted position.
    ///
    /// # Errors
    /// As [`ExecStore::persist_entry`].
    pub async fn persist_reduce(
        &self,
        order: &NewOrder,
        t0: UtcMicros,
        now: UtcMicros,
    ) -> Result<PersistedOrder, WriteError> {
        const ACTION: &str = "persist a reduce order";
        let mut tx = self.begin(ACTION).await?;
        let id = insert_order(self, &mut tx, order, OrderState::PendingSubmit, now).await?;
        let (record, intent_hash) = first_event(&mut tx, id, now).await?;
        insert_latency(&mut tx, id, t0).await?;
        self.commit(ACTION, tx).await?;
        Ok(PersistedOrder { record, intent_hash })
    }

    /// Releases a standby row for sending and prepares the one that takes its place.
    ///
    /// # Errors
    /// As [`ExecStore::persist_entry`]; [`WriteError::Row`] when the row is not in stock any more.
    pub async fn authorise(
        &self,
        order_id: OrderId,
        release: &Release,
        t0: UtcMicros,
        now: UtcMicros,
    ) -> Result<PersistedOrder, WriteError> {
        const ACTION: &str = "authorise a standby row";
        let sql = WriteError::sql(ACTION);
        let mut tx = self.begin(ACTION).await?;
        let row = read::lock(&mut tx, order_id).await?;
        if row.state != OrderState::Created || release.qty > row.qty {
            let problem = format!("state {}, quantity {} of {}", row.state, release.qty, row.qty);
            return Err(WriteError::row("execution_orders", order_id.0, problem));
        }
        let rests = release.limit_price.is_some();
        let order_type = if rests { OrderType::Limit } else { row.order_type };
        let intent = match (row.role, rests) {
            (OrderRole::Protection, _) => ExecutionIntent::Protection,
            (_, true) => ExecutionIntent::MakerExit,
            (_, false) => ExecutionIntent::TakerExit,
        };
        sqlx::query!(
            "update execution_orders
             set state = 'pending_submit', state_since = $2, updated_at = $2, position_id = $3,
                qty = $4, trigger_price = coalesce($5, trigger_price), limit_price = $6,
                order_type = $7, post_only = $8, execution_intent = $9, deadline_at = $10,
                exit_reason = $11, event_seq = event_seq + 1, version = version + 1
             where order_id = $1",
            order_id.0,
            timestamp(now),
            release.position_id.0,
            release.qty,
            release.trigger_price,
            release.limit_price,
            order_type.as_str(),
            rests,
            intent.as_str(),
            timestamp(release.deadline_at),
            release.exit_reason.map(ExitReason::as_str)
        )
        .execute(&mut *tx)
        .await
        .map_err(sql)?;
        let record = one(&mut tx, order_id).await?;
        let intent_hash = intent::intent_hash(&mut tx, &record).await?;
        let note = EventNote { payload: intent::noted(&intent_hash), ..EventNote::local(now) };
        let seq = row.event_seq + 1;
        let from = Some(OrderState::Created);
        let named = note.named(OrderEvent::Authorise.as_str());
        insert_event(&mut tx, order_id, seq, from, OrderState::PendingSubmit, &named).await?;
        insert_latency(&mut tx, order_id, t0).await?;
        if let Some(next) = &release.next {
            let spec = StandbySpec {
                role: row.role,
                symbol: row.symbol.clone(),
                position_id: release.position_id,
            };
            self.prepare_standby(&mut tx, &spec, next, now).await?;
        }
        self.commit(ACTION, tx).await?;
        Ok(PersistedOrder { record, intent_hash })
    }

    /// Releases a standby row of this session without a write, while the decision cluster is away: its
    /// commit, long ago, is what allows the send. The caller sends it once and has the event
    /// `preauth_sent` written when the cluster is back.
    ///
    /// # Errors
    /// [`WriteError::Row`] when the row is not one in stock of this session, or the quantity is above it.
    pub fn release_unwritten(
        &self,
        row: &OrderRecord,
        qty: Decimal,
        trigger_price: Option<Decimal>,
        deadline_at: UtcMicros,
    ) -> Result<PersistedOrder, WriteError> {
        // A stop has a level, a close at market has none.
        let whole = match row.role {
            OrderRole::Protection => trigger_price.is_some(),
            OrderRole::Exit => trigger_price.is_none() && row.order_type == OrderType::Market,
            OrderRole::Entry | OrderRole::ExitTp | OrderRole::DustTopup | OrderRole::Proof => false,
        };
        let in_stock =
            row.state == OrderState::Created && whole && row.fencing_token == self.token();
        if !in_stock || qty > row.qty || qty <= Decimal::ZERO {
            let problem = format!("{} {}, quantity {qty} of {}", row.role, row.state, row.qty);
            return Err(WriteError::row("execution_orders", row.order_id.0, problem));
        }
        let record = OrderRecord {
            qty,
            trigger_price,
            deadline_at: Some(deadline_at),
            state: OrderState::PendingSubmit,
            ..row.clone()
        };
        Ok(PersistedOrder { record, intent_hash: String::new() })
    }

    /// Inserts a standby row of a position inside a transaction.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn prepare_standby(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        spec: &StandbySpec,
        next: &NextStandby,
        now: UtcMicros,
    ) -> Result<OrderId, WriteError> {
        let protects = spec.role == OrderRole::Protection;
        let row = NewOrder {
            cl_ord_id: next.cl_ord_id,
            symbol: spec.symbol.clone(),
            side: Side::Sell,
            role: spec.role,
            parent_order_id: None,
            position_id: Some(spec.position_id),
            intent: if protects { ExecutionIntent::Protection } else { ExecutionIntent::TakerExit },
            order_type: if protects { OrderType::StopLoss } else { OrderType::Market },
            tif: TimeInForce::Gtc,
            post_only: false,
            limit_price: None,
            trigger_price: next.trigger_price,
            qty: next.qty,
            deadline_at: None,
            expire_at: None,
            exit_policy: None,
            exit_reason: None,
            entry: None,
        };
        let id = insert_order(self, tx, &row, OrderState::Created, now).await?;
        insert_event(tx, id, 1, None, OrderState::Created, &prepared(now)).await?;
        Ok(id)
    }

    async fn lock_symbol(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        symbol: &Symbol,
        owner: &str,
        owner_ref: &str,
        until: UtcMicros,
    ) -> Result<(), WriteError> {
        const ACTION: &str = "lock a symbol";
        let taken = sqlx::query!(
            "insert into symbol_exec_locks as l
                (symbol, owner, owner_ref, fencing_token, acquired_at, expires_at)
             values ($1, $2, $3, $4, clock_timestamp(), $5)
             on conflict (symbol) do update set
                owner = excluded.owner, owner_ref = excluded.owner_ref,
                fencing_token = excluded.fencing_token, acquired_at = excluded.acquired_at,
                expires_at = excluded.expires_at
             where l.expires_at < clock_timestamp() or l.fencing_token < excluded.fencing_token
                or (excluded.owner = 'exit' and l.owner = 'entry')
                or (excluded.owner = l.owner and excluded.owner_ref = l.owner_ref)",
            symbol.as_str(),
            owner,
            owner_ref,
            self.token().0,
            timestamp(until)
        )
        .execute(&mut **tx)
        .await
        .map_err(WriteError::sql(ACTION))?;
        if taken.rows_affected() == 1 {
            return Ok(());
        }
        Err(WriteError::Conflict {
            action: ACTION,
            constraint: "symbol_exec_locks".to_owned(),
            meaning: "the symbol is locked by another order",
        })
    }
}

/// What a standby row belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct StandbySpec {
    /// `protection` or `exit`.
    pub role: OrderRole,
    /// Symbol.
    pub symbol: Symbol,
    /// Position.
    pub position_id: PositionId,
}

/// The first event of a row that is to be sent, with the hash of its intent.
async fn first_event(
    tx: &mut Transaction<'static, Postgres>,
    id: OrderId,
    now: UtcMicros,
) -> Result<(OrderRecord, String), WriteError> {
    let record = one(tx, id).await?;
    let hash = intent::intent_hash(tx, &record).await?;
    let note = EventNote { payload: intent::noted(&hash), ..EventNote::local(now) };
    insert_event(tx, id, 1, None, OrderState::PendingSubmit, &note.named("persist")).await?;
    Ok((record, hash))
}

fn prepared(now: UtcMicros) -> EventNote {
    EventNote::local(now).named("prepare")
}

fn stop_row(entry: &NewOrder, standby: &Standby, parent: OrderId) -> NewOrder {
    NewOrder {
        cl_ord_id: standby.cl_ord_id,
        symbol: entry.symbol.clone(),
        side: Side::Sell,
        role: OrderRole::Protection,
        parent_order_id: Some(parent),
        position_id: None,
        intent: ExecutionIntent::Protection,
        order_type: OrderType::StopLoss,
        tif: TimeInForce::Gtc,
        post_only: false,
        limit_price: None,
        trigger_price: Some(standby.trigger_price),
        qty: entry.qty,
        deadline_at: None,
        expire_at: None,
        exit_policy: None,
        exit_reason: None,
        entry: None,
    }
}

async fn one(
    tx: &mut Transaction<'static, Postgres>,
    id: OrderId,
) -> Result<OrderRecord, WriteError> {
    let mut rows = read::by_ids(tx, &[id]).await?;
    rows.pop().ok_or_else(|| WriteError::row("execution_orders", id.0, "no such row"))
}

/// The lock needs to know who asks for it; used by the closing sequence.
impl ExecStore {
    /// Takes the symbol's lock for an exit; an entry's lock gives way.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn lock_for_exit(
        &self,
        symbol: &Symbol,
        owner_ref: &str,
        until: UtcMicros,
    ) -> Result<(), WriteError> {
        const ACTION: &str = "lock a symbol for an exit";
        let mut tx = self.begin(ACTION).await?;
        self.lock_symbol(&mut tx, symbol, "exit", owner_ref, until).await?;
        self.commit(ACTION, tx).await
    }
}
