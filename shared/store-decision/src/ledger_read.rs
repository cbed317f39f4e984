//! Everything that `penstock verify ledger` folds again: orders with their events and fills, the ledger, positions,
//! results, changes of balances, balances.
//!
//! Input: a pool for reading. Output: [`Books`] as of one moment. Invariants: one repeatable-read transaction; every list
//! has one order, so that the first difference is always the same one; nothing is judged here.

use penstock_store::StoreError;
use penstock_types::{Decimal, UtcMicros};
use sqlx::{PgConnection, PgPool};

use crate::CLUSTER;

/// One moment of the rows, for all queries.
const BEGIN: &str = "begin isolation level repeatable read, read only";

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// Row.
    pub order_id: i64,
    /// The venue's id; none when it never told one.
    pub exchange_order_id: Option<String>,
    /// Pair.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// State.
    pub state: String,
    /// Base filled.
    pub cum_qty: Decimal,
    /// Cost of the fills, quote.
    pub cum_cost: Decimal,
    /// Mean price of the fills.
    pub avg_price: Option<Decimal>,
    /// Fees of the fills, quote.
    pub fee_quote: Decimal,
    /// Number of its last event.
    pub event_seq: i32,
}

/// An event of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Order.
    pub order_id: i64,
    /// Number, from 1.
    pub event_seq: i32,
    /// State before; none for the first.
    pub from_state: Option<String>,
    /// State after.
    pub to_state: String,
}

/// A fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillRow {
    /// Row.
    pub fill_id: i64,
    /// Order.
    pub order_id: i64,
    /// The venue's id.
    pub exec_id: String,
    /// Pair.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Price.
    pub price: Decimal,
    /// Base.
    pub qty: Decimal,
    /// Cost, quote.
    pub cost_quote: Decimal,
    /// Fee, quote.
    pub fee_quote: Decimal,
    /// Asset of the fee.
    pub fee_asset: String,
    /// Fee in that asset.
    pub fee_asset_qty: Decimal,
    /// The venue's time.
    pub at: UtcMicros,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Row.
    pub ledger_id: i64,
    /// Fill; none for a correction.
    pub fill_id: Option<i64>,
    /// Position.
    pub position_id: i64,
    /// Number within the position, from 1.
    pub ledger_seq: i32,
    /// Kind.
    pub kind: String,
    /// Change of base.
    pub delta_base: Decimal,
    /// Base before.
    pub base_before: Decimal,
    /// Base after.
    pub base_after: Decimal,
    /// Cost before.
    pub cost_before: Decimal,
    /// Cost after.
    pub cost_after: Decimal,
    /// Mean entry before.
    pub avg_entry_before: Option<Decimal>,
    /// Mean entry after.
    pub avg_entry_after: Option<Decimal>,
    /// Entry fees that no sale has borne yet.
    pub open_fees_after: Decimal,
    /// Net result.
    pub realized_quote: Decimal,
    /// Fee.
    pub fee_quote: Decimal,
}

/// A position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionRow {
    /// Row.
    pub position_id: i64,
    /// Pair.
    pub symbol: String,
    /// Status.
    pub status: String,
    /// Base.
    pub base_qty: Decimal,
    /// Cost of it.
    pub cost_basis_quote: Decimal,
    /// Mean entry.
    pub avg_entry_price: Option<Decimal>,
    /// Net results of its sales.
    pub realized_quote: Decimal,
    /// Entry fees that no sale has borne yet.
    pub open_entry_fees_quote: Decimal,
    /// All fees.
    pub fees_quote: Decimal,
    /// Number of its last ledger row.
    pub ledger_seq: i32,
}

/// A result of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// Row.
    pub id: i64,
    /// Position.
    pub position_id: i64,
    /// Fill of the sale.
    pub fill_id: i64,
    /// Base sold.
    pub closed_qty: Decimal,
    /// Proceeds less released cost.
    pub gross_quote: Decimal,
    /// Fees of both ways.
    pub fees_quote: Decimal,
    /// What is left.
    pub net_quote: Decimal,
}

/// An amount of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetAmount {
    /// Asset.
    pub asset: String,
    /// Amount.
    pub amount: Decimal,
}

/// A trade as the private stream told it, unaltered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldTrade {
    /// The venue's id.
    pub exec_id: String,
    /// Pair.
    pub symbol: Option<String>,
    /// `buy` or `sell`.
    pub side: Option<String>,
    /// Base.
    pub qty: Option<Decimal>,
    /// Price.
    pub price: Option<Decimal>,
}

/// Everything, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// Orders, ascending.
    pub orders: Vec<OrderRow>,
    /// Events, by order and number.
    pub events: Vec<EventRow>,
    /// Fills, ascending.
    pub fills: Vec<FillRow>,
    /// Ledger, by position and number.
    pub ledger: Vec<LedgerRow>,
    /// Positions, ascending.
    pub positions: Vec<PositionRow>,
    /// Results, ascending.
    pub results: Vec<ResultRow>,
    /// Changes that are no trades, summed by asset.
    pub changes: Vec<AssetAmount>,
    /// What the venue said it holds for us, by asset.
    pub balances: Vec<AssetAmount>,
    /// Trades that the private stream told us, by their ids.
    pub told: Vec<ToldTrade>,
    /// The opening balances: what traded before is in them; none before the first attach.
    pub opened_at: Option<UtcMicros>,
    /// Newest fill or change of a balance that is no trade; none when there is neither.
    pub newest_at: Option<UtcMicros>,
}

/// Reads the books.
///
/// # Errors
/// [`StoreError`].
pub async fn books(pool: &PgPool) -> Result<Books, StoreError> {
    let failed = |e| StoreError::sql("read the books", CLUSTER, e);
    let mut tx = pool.begin_with(BEGIN).await.map_err(failed)?;
    let mut books = trades(&mut tx).await.map_err(failed)?;
    (books.ledger, books.positions) = ledger(&mut tx).await.map_err(failed)?;
    (books.changes, books.balances) = money(&mut tx).await.map_err(failed)?;
    books.told = told(&mut tx).await.map_err(failed)?;
    (books.opened_at, books.newest_at) = times(&mut tx).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(books)
}

/// Orders, events, fills, results.
async fn trades(conn: &mut PgConnection) -> Result<Books, sqlx::Error> {
    let orders = sqlx::query_as!(
        OrderRow,
        "select order_id, exchange_order_id, symbol, side, state, cum_qty, cum_cost, avg_price, fee_quote,
             event_seq
         from execution_orders
         order by order_id"
    )
    .fetch_all(&mut *conn)
    .await?;
    let events = sqlx::query_as!(
        EventRow,
        "select order_id, event_seq, from_state, to_state
         from execution_order_events
         order by order_id, event_seq"
    )
    .fetch_all(&mut *conn)
    .await?;
    let fills = sqlx::query_as!(
        FillRow,
        "select fill_id, order_id, exec_id, symbol, side, price, qty, cost_quote, fee_quote, fee_asset,
             fee_asset_qty, ts_exchange as at
         from fills
         order by fill_id"
    )
    .fetch_all(&mut *conn)
    .await?;
    let results = sqlx::query_as!(
        ResultRow,
        "select id, position_id, fill_id, closed_qty, gross_quote, fees_quote, net_quote
         from realized_pnl
         order by id"
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok(Books { orders, events, fills, results, ..Books::default() })
}

async fn ledger(
    conn: &mut PgConnection,
) -> Result<(Vec<LedgerRow>, Vec<PositionRow>), sqlx::Error> {
    let ledger = sqlx::query_as!(
        LedgerRow,
        "select ledger_id, fill_id, position_id, ledger_seq, kind, delta_base, base_before, base_after,
             cost_before, cost_after, avg_entry_before, avg_entry_after, open_fees_after,
             realized_quote, fee_quote
         from fills_ledger
         order by position_id, ledger_seq"
    )
    .fetch_all(&mut *conn)
    .await?;
    let positions = sqlx::query_as!(
        PositionRow,
        "select position_id, symbol, status, base_qty, cost_basis_quote, avg_entry_price,
             realized_quote, open_entry_fees_quote, fees_quote, ledger_seq
         from positions
         order by position_id"
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok((ledger, positions))
}

async fn money(
    conn: &mut PgConnection,
) -> Result<(Vec<AssetAmount>, Vec<AssetAmount>), sqlx::Error> {
    let changes = sqlx::query_as!(
        AssetAmount,
        r#"select asset, sum(amount) as "amount!"
           from balance_changes
           group by asset
           order by asset collate "C""#
    )
    .fetch_all(&mut *conn)
    .await?;
    let balances = sqlx::query_as!(
        AssetAmount,
        r#"select asset, balance as amount
           from exchange_balances
           order by asset collate "C""#
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok((changes, balances))
}

/// When the opening balances were taken; none before the first attach.
///
/// # Errors
/// [`StoreError`].
pub async fn opened_at(pool: &PgPool) -> Result<Option<UtcMicros>, StoreError> {
    let failed = |e| StoreError::sql("read the opening", CLUSTER, e);
    let mut conn = pool.acquire().await.map_err(failed)?;
    Ok(times(&mut conn).await.map_err(failed)?.0)
}

async fn times(
    conn: &mut PgConnection,
) -> Result<(Option<UtcMicros>, Option<UtcMicros>), sqlx::Error> {
    let row = sqlx::query!(
        "select (select min(ts) from balance_changes where cause = 'opening') as opened,
             greatest((select max(ts_exchange) from fills), (select max(ts) from balance_changes))
                 as newest"
    )
    .fetch_one(conn)
    .await?;
    Ok((row.opened.map(UtcMicros::from), row.newest.map(UtcMicros::from)))
}

/// Trades of the private stream's raw messages: each once, however often it was told.
async fn told(conn: &mut PgConnection) -> Result<Vec<ToldTrade>, sqlx::Error> {
    sqlx::query_as!(
        ToldTrade,
        r#"select distinct on (t ->> 'exec_id') t ->> 'exec_id' as "exec_id!", t ->> 'symbol' as symbol,
               t ->> 'side' as side, (t ->> 'last_qty')::numeric as qty,
               (t ->> 'last_price')::numeric as price
           from raw_private_executions r
           cross join lateral jsonb_path_query(r.payload, '$.data[*] ? (@.exec_type == "trade")') t
           where r.channel = 'executions' and t ->> 'exec_id' is not null
           order by t ->> 'exec_id', r.received_at"#
    )
    .fetch_all(conn)
    .await
}
