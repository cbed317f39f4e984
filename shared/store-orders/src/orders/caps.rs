//! The caps of an entry inside the transaction that reserves its money.
//!
//! Input: the transaction of the entry, the limits that its cycle had. Output: nothing, or the conflict that names the cap
//! with both numbers. Invariants: transactions that reserve take one lock, so each sees what the one before it has
//! committed, and two of them never get the same money; the lock is taken last and ends with the transaction.

use penstock_trading::capital::caps::{Caps, Found, Holding, Reserved};
use penstock_types::Symbol;
use penstock_types::vocab::Strategy;
use sqlx::{Postgres, Transaction};

use crate::writer::WriteError;

/// Key of the advisory lock of everything that reserves: the bytes of `capital`.
const LOCK_KEY: i64 = 0x0063_6170_6974_616c;

const ACTION: &str = "reserve the money of an entry";

/// Judges an entry that is about to be reserved.
pub(super) async fn check(
    tx: &mut Transaction<'static, Postgres>,
    symbol: &Symbol,
    caps: &Caps,
) -> Result<(), WriteError> {
    // A statement of its own: the next one must see what whoever held it has committed.
    sqlx::query_scalar!(r#"select pg_advisory_xact_lock($1)::text as "locked""#, LOCK_KEY)
        .fetch_one(&mut **tx)
        .await
        .map_err(WriteError::sql(ACTION))?;
    let found = found(tx, symbol.quote()).await?;
    caps.exceeded(symbol, &found).map_or(Ok(()), |e| {
        let (value, limit) = (e.value.normalize(), e.limit.normalize());
        Err(WriteError::Conflict {
            action: ACTION,
            constraint: format!("the {} ({value} above {limit})", e.cap.as_str()),
            meaning: CAPITAL_TAKEN,
        })
    })
}

/// What a conflict of capital means.
pub const CAPITAL_TAKEN: &str = "other entries and positions have taken the capital";

async fn found(
    tx: &mut Transaction<'static, Postgres>,
    quote_asset: &str,
) -> Result<Found, WriteError> {
    let rows = sqlx::query!(
        r#"select 'cash' as "kind!", null::text as symbol, null::text as strategy,
               -- What was filled after the balance was said; as the account of a cycle reads it.
               balance + (select coalesce(sum(case side when 'buy' then -cost_quote else cost_quote end
                       - case when fee_asset = $1 then fee_asset_qty else 0 end), 0)
                   from fills
                   where ts_exchange > as_of + interval '1 ms' and split_part(symbol, '/', 2) = $1)
                   as "qty!",
               null::numeric as cost
           from exchange_balances where asset = $1
           union all
           select 'held', symbol, strategy, base_qty, cost_basis_quote
           from positions where status in ('open', 'closing')
           union all
           select 'reserved', symbol, strategy, reserved_quote, null
           from capital_reservations where released_at is null"#,
        quote_asset
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(WriteError::sql(ACTION))?;
    let mut found = Found::default();
    for row in rows {
        // An order without a strategy has another word here; it uses no budget of one.
        let strategy = row.strategy.as_deref().and_then(|text| Strategy::parse(text).ok());
        let Some(symbol) = row.symbol else {
            found.cash_quote = Some(row.qty);
            continue;
        };
        let symbol =
            Symbol::new(&symbol).map_err(|e| WriteError::row("capital_reservations", 0, e))?;
        if row.kind == "held" {
            let cost_quote = row.cost.unwrap_or_default();
            found.holdings.push(Holding { symbol, strategy, base_qty: row.qty, cost_quote });
        } else {
            found.reservations.push(Reserved { symbol, strategy, quote: row.qty });
        }
    }
    Ok(found)
}
