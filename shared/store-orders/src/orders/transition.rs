//! Moving an order row by one event of the order machine.
//!
//! Input: what happened and what the report said. Output: the row before and after, and the step with
//! the effects that are left to the caller. One transaction: fence, row lock, machine, row, event, and
//! the effects that are rows themselves (reservation, standby row, venue id, terms). A report that was
//! applied before is recognised by its key and changes nothing.

use penstock_trading::order::{Effect, Facts, IllegalTransition, OrderEvent, Step, step};
use penstock_types::vocab::OrderState;
use penstock_types::{Decimal, OrderId, UtcMicros};
use sha2::{Digest, Sha256};
use sqlx::{Postgres, Transaction};

use super::read;
use super::terms::OrderRecord;
use crate::writer::{ExecStore, WriteError, timestamp};

penstock_types::closed_vocabulary! {
    /// Where an event came from.
    pub EventSource {
        /// This process.
        Local = "local",
        /// The answer to a request.
        WsMethod = "ws_method",
        /// A report of the stream.
        WsExecutions = "ws_executions",
        /// The stream's snapshot.
        WsSnapshot = "ws_snapshot",
        /// A look by REST.
        RestReconcile = "rest_reconcile",
        /// The operator.
        Operator = "operator",
    }
}

/// Terms of the venue's order, as a report gives them; absent means unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// Quantity.
    pub qty: Option<Decimal>,
    /// Limit.
    pub limit_price: Option<Decimal>,
    /// Trigger.
    pub trigger_price: Option<Decimal>,
    /// Deadline of a request that went out before its event could be written.
    pub deadline_at: Option<UtcMicros>,
}

/// What an event row says beside the states.
#[derive(Debug, Clone, PartialEq)]
pub struct EventNote {
    /// Source.
    pub source: EventSource,
    /// Name, when it is not that of the machine's event.
    pub name: Option<&'static str>,
    /// The venue's order id, when the report carries it.
    pub venue_id: Option<String>,
    /// The report's `exec_type`.
    pub exec_type: Option<String>,
    /// The report's `order_status`.
    pub order_status: Option<String>,
    /// Trade.
    pub exec_id: Option<String>,
    /// Quantity of the trade.
    pub last_qty: Option<Decimal>,
    /// Price of the trade.
    pub last_price: Option<Decimal>,
    /// The venue's executed quantity.
    pub cum_qty: Option<Decimal>,
    /// Reason.
    pub reason: Option<String>,
    /// The venue's time.
    pub ts_exchange: Option<UtcMicros>,
    /// Our time.
    pub ts_local: UtcMicros,
    /// Terms of the report.
    pub terms: Terms,
    /// What else is kept with it.
    pub payload: Option<serde_json::Value>,
}

impl EventNote {
    /// A note of this process.
    #[must_use]
    pub const fn local(ts_local: UtcMicros) -> Self {
        Self {
            source: EventSource::Local,
            name: None,
            venue_id: None,
            exec_type: None,
            order_status: None,
            exec_id: None,
            last_qty: None,
            last_price: None,
            cum_qty: None,
            reason: None,
            ts_exchange: None,
            ts_local,
            terms: Terms { qty: None, limit_price: None, trigger_price: None, deadline_at: None },
            payload: None,
        }
    }

    /// The same under another name.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.chars().take(200).collect());
        self
    }

    /// Key that recognises the same report: its content for what the venue sent, else its number.
    fn dedupe_key(&self, seq: i32) -> Vec<u8> {
        // A snapshot or a look repeats old facts on purpose: they confirm, and are never skipped.
        let reported = self.source == EventSource::WsExecutions && self.ts_exchange.is_some();
        let mut hash = Sha256::new();
        if reported {
            for part in [&self.exec_type, &self.order_status, &self.exec_id, &self.reason] {
                hash.update(part.as_deref().unwrap_or("").as_bytes());
                hash.update([0x1d]);
            }
            hash.update(self.ts_exchange.unwrap_or_default().0.to_be_bytes());
            for part in [self.cum_qty, self.terms.qty, self.terms.trigger_price] {
                hash.update(part.unwrap_or_default().normalize().to_string().as_bytes());
                hash.update([0x1d]);
            }
        } else {
            hash.update(b"local");
            hash.update(seq.to_be_bytes());
        }
        hash.finalize()[..16].to_vec()
    }
}

/// Outcome of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// The row moved or stayed, its event is written.
    Done {
        /// Row before.
        before: Box<OrderRecord>,
        /// Row after.
        after: Box<OrderRecord>,
        /// The machine's step.
        step: Step,
    },
    /// The same report was applied before.
    Duplicate,
    /// The pair cannot happen; the row is unchanged.
    Illegal(IllegalTransition),
}

/// What the caller knows beyond the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knowledge {
    /// A stop over base that no other live reduce order covers.
    pub adoptable: bool,
}

impl ExecStore {
    /// Applies one event that is no fill.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn apply(
        &self,
        order_id: OrderId,
        event: OrderEvent,
        note: &EventNote,
        knows: Knowledge,
    ) -> Result<Applied, WriteError> {
        const ACTION: &str = "apply an order event";
        let mut tx = self.begin(ACTION).await?;
        let before = read::lock(&mut tx, order_id).await?;
        if seen(&mut tx, order_id, &note.dedupe_key(before.event_seq + 1)).await? {
            return Ok(Applied::Duplicate);
        }
        let facts = facts_of(&before, note, knows);
        let step = match step(before.state, event, facts) {
            Ok(step) => step,
            Err(illegal) => return Ok(Applied::Illegal(illegal)),
        };
        store_step(&mut tx, &before, event, &step, note).await?;
        let mut rows = read::by_ids(&mut tx, &[order_id]).await?;
        let after = rows
            .pop()
            .ok_or_else(|| WriteError::row("execution_orders", order_id.0, "no such row"))?;
        self.commit(ACTION, tx).await?;
        Ok(Applied::Done { before: Box::new(before), after: Box::new(after), step })
    }
}

/// Facts of the machine from the locked row and the report.
pub(crate) fn facts_of(row: &OrderRecord, note: &EventNote, knows: Knowledge) -> Facts {
    let qty = note.terms.qty.unwrap_or(row.qty);
    Facts {
        has_fills: row.cum_qty > Decimal::ZERO,
        complete: row.cum_qty >= qty && row.cum_qty > Decimal::ZERO,
        booked_all: note.cum_qty.is_none_or(|venue| venue <= row.cum_qty),
        venue_id_known: row.exchange_order_id.is_some(),
        adoptable: knows.adoptable,
    }
}

async fn seen(
    tx: &mut Transaction<'static, Postgres>,
    id: OrderId,
    key: &[u8],
) -> Result<bool, WriteError> {
    let found = sqlx::query_scalar!(
        "select 1 as one from execution_order_events where order_id = $1 and dedupe_key = $2",
        id.0,
        key
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(WriteError::sql("look for an order event"))?;
    Ok(found.is_some())
}

/// Row, event and row effects of a step.
pub(crate) async fn store_step(
    tx: &mut Transaction<'static, Postgres>,
    row: &OrderRecord,
    event: OrderEvent,
    step: &Step,
    note: &EventNote,
) -> Result<(), WriteError> {
    let refresh = step.effects.contains(&Effect::RefreshTerms);
    let terms = if refresh { note.terms } else { Terms::default() };
    let comes_back = matches!(event, OrderEvent::LiveReport) && row.state.is_terminal();
    let reason = if comes_back {
        step.effects.contains(&Effect::CancelAtOnce).then_some("resurrected".to_owned())
    } else {
        note.reason.clone()
    };
    let moved = step.to != row.state;
    sqlx::query!(
        "update execution_orders
         set state = $2, state_since = case when $3 then $4 else state_since end,
            state_reason = case when $3 then $5 else coalesce(state_reason, $5) end,
            exchange_order_id = coalesce(exchange_order_id, $6), qty = coalesce($7, qty),
            limit_price = coalesce($8, limit_price), trigger_price = coalesce($9, trigger_price),
            position_id = coalesce(position_id, case when $10 then (select max(p.position_id)
                from positions p where p.symbol = execution_orders.symbol) end),
            deadline_at = coalesce($11, deadline_at),
            event_seq = event_seq + 1, version = version + 1, updated_at = $4
         where order_id = $1",
        row.order_id.0,
        step.to.as_str(),
        moved,
        timestamp(note.ts_local),
        reason,
        note.venue_id,
        terms.qty,
        terms.limit_price,
        terms.trigger_price,
        // An entry's standby row gets its position from the entry's fill; one that had ended, the newest.
        row.reduces()
            && !step.to.is_terminal()
            && (row.parent_order_id.is_none() || row.state.is_terminal()),
        terms.deadline_at.map(timestamp)
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("move an order"))?;
    let named = EventNote { name: note.name.or(Some(event.as_str())), ..note.clone() };
    insert_event(tx, row.order_id, row.event_seq + 1, Some(row.state), step.to, &named).await?;
    if step.effects.contains(&Effect::ReleaseReservation) {
        release_reservation(tx, row.order_id, step.to.as_str(), note.ts_local).await?;
    }
    if step.effects.contains(&Effect::CloseStandby) && row.enters() {
        close_standby_of_entry(tx, row.order_id, note.ts_local).await?;
    }
    if step.to.is_terminal() && row.enters() {
        unlock_symbol(tx, row).await?;
    }
    Ok(())
}

pub(crate) async fn release_reservation(
    tx: &mut Transaction<'static, Postgres>,
    id: OrderId,
    reason: &str,
    now: UtcMicros,
) -> Result<(), WriteError> {
    sqlx::query!(
        "update capital_reservations
         set reserved_quote = 0, released_at = $2, release_reason = $3
         where order_id = $1 and released_at is null",
        id.0,
        timestamp(now),
        reason
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("release a reservation"))?;
    Ok(())
}

async fn unlock_symbol(
    tx: &mut Transaction<'static, Postgres>,
    row: &OrderRecord,
) -> Result<(), WriteError> {
    sqlx::query!(
        "delete from symbol_exec_locks where symbol = $1 and owner = 'entry' and owner_ref = $2",
        row.symbol.as_str(),
        row.cl_ord_id.as_hyphenated().to_string()
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("unlock a symbol"))?;
    Ok(())
}

/// Closes the standby row of an entry that ended without a fill.
async fn close_standby_of_entry(
    tx: &mut Transaction<'static, Postgres>,
    entry: OrderId,
    now: UtcMicros,
) -> Result<(), WriteError> {
    let ids = sqlx::query_scalar!(
        "select order_id from execution_orders
         where parent_order_id = $1 and state = 'created' and position_id is null
         for update",
        entry.0
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(WriteError::sql("find a standby row"))?;
    close_rows(tx, &ids, "standby_unused", now).await
}

/// Moves standby rows to `error` with a reason.
pub(crate) async fn close_rows(
    tx: &mut Transaction<'static, Postgres>,
    ids: &[i64],
    reason: &str,
    now: UtcMicros,
) -> Result<(), WriteError> {
    for id in ids {
        let seq = sqlx::query_scalar!(
            "update execution_orders
             set state = 'error', state_since = $2, state_reason = $3, updated_at = $2,
                event_seq = event_seq + 1, version = version + 1
             where order_id = $1 and state = 'created'
             returning event_seq",
            id,
            timestamp(now),
            reason
        )
        .fetch_optional(&mut **tx)
        .await
        .map_err(WriteError::sql("close a standby row"))?;
        let Some(seq) = seq else { continue };
        let note = EventNote::local(now).named(OrderEvent::StandbyClosed.as_str()).because(reason);
        let from = Some(OrderState::Created);
        insert_event(tx, OrderId(*id), seq, from, OrderState::Error, &note).await?;
    }
    Ok(())
}

pub(crate) async fn insert_event(
    tx: &mut Transaction<'static, Postgres>,
    id: OrderId,
    seq: i32,
    from: Option<OrderState>,
    to: OrderState,
    note: &EventNote,
) -> Result<(), WriteError> {
    sqlx::query!(
        "insert into execution_order_events (order_id, event_seq, source, event_type, from_state,
            to_state, exec_type, order_status, exec_id, last_qty, last_price, cum_qty, reason,
            ts_exchange, ts_local, dedupe_key, payload)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        id.0,
        seq,
        note.source.as_str(),
        note.name.unwrap_or("note"),
        from.map(OrderState::as_str),
        to.as_str(),
        note.exec_type,
        note.order_status,
        note.exec_id,
        note.last_qty,
        note.last_price,
        note.cum_qty,
        note.reason,
        note.ts_exchange.map(timestamp),
        timestamp(note.ts_local),
        note.dedupe_key(seq),
        note.payload
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("insert an order event"))?;
    Ok(())
}
