//! The hash of what an order is meant to do, taken in the transaction that lets it out.
//!
//! Input: a row that is about to be sendable, its decision, the rules of its pair, the intent that it follows, all as they
//! stand in that transaction. Output: the hash, for its event. Invariants: no clock, session or client id is in it; the
//! number of earlier orders of its role for the same decision or position keeps two attempts with equal terms apart; an
//! order is not held back for a hash that cannot be taken: what has no exact form is hashed with the digits that it has,
//! and terms that no hash can be taken of leave none, with a warning. What is read for it is read with the order's own
//! transaction: an error of the database there ends that, as it does in every other statement of it.

use penstock_contracts::DecStr;
use penstock_contracts::OrderIntentHashPayload;
use penstock_contracts::units::Hex64;
use penstock_contracts::vocab::Mode;
use penstock_types::{Decimal, OrderId};
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};

use super::terms::OrderRecord;
use crate::writer::{ExecStore, WriteError};

/// Key of the hash in the event's payload.
const KEY: &str = "intent_hash";

/// What the hash is taken of beside the row.
struct Around {
    earlier: i64,
    snapshot_hash: Option<String>,
    sl_price: Option<String>,
    tp_price: Option<String>,
    price_increment: Option<Decimal>,
    qty_increment: Option<Decimal>,
    constraints_hash: Option<String>,
    parent_hash: Option<String>,
}

/// The hash of a row's intent; empty where none can be taken of its terms.
pub(super) async fn intent_hash(
    tx: &mut Transaction<'static, Postgres>,
    row: &OrderRecord,
) -> Result<String, WriteError> {
    let around = read(tx, row.order_id).await?;
    match payload(row, &around).intent_hash() {
        Ok(hash) => Ok(hash.as_str().to_owned()),
        Err(error) => {
            let id = row.order_id;
            tracing::warn!("order {id} goes out without the hash of its intent: {error}");
            Ok(String::new())
        }
    }
}

/// The hash as the payload of an event; none without a hash.
pub(super) fn noted(hash: &str) -> Option<Value> {
    (!hash.is_empty()).then(|| json!({ KEY: hash }))
}

async fn read(tx: &mut Transaction<'static, Postgres>, id: OrderId) -> Result<Around, WriteError> {
    sqlx::query_file_as!(Around, "queries/intent_around.sql", id.0)
        .fetch_one(&mut **tx)
        .await
        .map_err(WriteError::sql("read what an order follows"))
}

fn payload(row: &OrderRecord, around: &Around) -> OrderIntentHashPayload {
    let digits = |step: Option<Decimal>| step.map(|step| step.normalize().scale());
    let exact = |value: Decimal, step| {
        let short = DecStr::of(value.normalize());
        digits(step).and_then(|scale| DecStr::exact(value, scale).ok()).unwrap_or(short)
    };
    let price = |value: Decimal| exact(value, around.price_increment);
    let planned = |text: &Option<String>| DecStr::parse(text.as_deref()?).ok();
    let hash = |text: &Option<String>| Hex64::parse(text.as_deref()?).ok();
    let is_entry = row.enters();
    OrderIntentHashPayload {
        mode: Mode::Live,
        role: row.role,
        intent_seq: i32::try_from(around.earlier).unwrap_or(i32::MAX),
        symbol: row.symbol.clone(),
        side: row.side.into(),
        order_type: row.order_type,
        qty: exact(row.qty, around.qty_increment),
        limit_price: row.limit_price.map(price),
        trigger_price: row.trigger_price.map(price),
        exit_plan_sl: planned(&around.sl_price).filter(|_| is_entry),
        exit_plan_tp: planned(&around.tp_price).filter(|_| is_entry),
        snapshot_hash: hash(&around.snapshot_hash).filter(|_| is_entry),
        constraints_hash: hash(&around.constraints_hash).unwrap_or_else(|| Hex64::of_bytes(&[])),
        position_id: row.position_id,
        parent_intent_hash: hash(&around.parent_hash),
    }
}

impl ExecStore {
    /// The hash of an order's intent, as its event has it; none for a row that was never let out, that was let out while
    /// its event could not be written, or of whose terms none can be taken.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn intent_hash_of(&self, id: OrderId) -> Result<Option<String>, WriteError> {
        let mut conn = self.conn().await?;
        let found = sqlx::query_scalar!(
            "select payload ->> 'intent_hash' from execution_order_events
              where order_id = $1 and payload is not null order by event_seq limit 1",
            id.0
        )
        .fetch_optional(&mut *conn)
        .await
        .map_err(WriteError::sql("read the hash of an intent"))?;
        Ok(found.flatten())
    }
}
