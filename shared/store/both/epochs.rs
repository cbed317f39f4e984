//! Universe snapshots, epochs and instruments, written with the same statements on both clusters: a
//! module of both query crates, each of which checks it against its own cluster.

use penstock_store::StoreError;
use penstock_store::twins::{
    InstrumentTwin, JudgedEpochRow, TwinMismatch, UniverseSnapshotRow, db_time,
};
use penstock_types::FencingToken;
use sqlx::PgConnection;

use crate::{CLUSTER, TwinError};

/// Inserts a universe snapshot, or finds the equal row.
///
/// # Errors
/// [`TwinError`].
pub async fn insert_snapshot(
    conn: &mut PgConnection,
    row: &UniverseSnapshotRow,
) -> Result<(), TwinError> {
    let sql = |e| StoreError::sql("write the universe snapshot", CLUSTER, e);
    sqlx::query!(
        "insert into execution_universe_snapshots (snapshot_id, run_id, lineage_id, as_of,
             published_at, execution_symbols, pinned_symbols, l3_symbols, tracked_symbols, excluded,
             universe_hash, fencing_token)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict (snapshot_id) do nothing",
        row.snapshot_id.0,
        row.run_id.0,
        row.lineage_id.0,
        db_time(row.as_of),
        db_time(row.published_at),
        &row.execution_symbols,
        &row.pinned_symbols,
        &row.l3_symbols,
        &row.tracked_symbols,
        row.excluded,
        row.universe_hash,
        row.fencing_token.0,
    )
    .execute(&mut *conn)
    .await
    .map_err(sql)?;
    let found = sqlx::query!(
        "select run_id, universe_hash from execution_universe_snapshots where snapshot_id = $1",
        row.snapshot_id.0,
    )
    .fetch_one(conn)
    .await
    .map_err(sql)?;
    let field = if found.run_id != row.run_id.0 {
        "run_id"
    } else if found.universe_hash != row.universe_hash {
        "universe_hash"
    } else {
        return Ok(());
    };
    let id = row.snapshot_id.to_string();
    Err(TwinMismatch { table: "execution_universe_snapshots", id, field }.into())
}

/// Inserts a judged epoch, or finds the equal row. Its snapshot must stand.
///
/// # Errors
/// [`TwinError`].
pub async fn insert_epoch(conn: &mut PgConnection, row: &JudgedEpochRow) -> Result<(), TwinError> {
    let sql = |e| StoreError::sql("write the epoch", CLUSTER, e);
    sqlx::query!(
        "insert into ingest_epochs (epoch_id, lineage_id, epoch_seq, run_id, snapshot_id,
             generation_id, status, window_start, window_end, created_at, completed_at,
             symbol_count, entry_set_count, pinned_excluded_count, hard_blocked_excluded_count,
             frac_ticker, frac_trade, frac_l2, frac_l3, l3_mode, criteria_ticker_ok,
             criteria_trade_ok, criteria_l2_ok, criteria_l3_ok, criteria_pinned_ok,
             criteria_universe_ok, criteria_continuity_ok, criteria_durability_ok, reasons,
             fencing_token)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
             $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)
         on conflict (epoch_id) do nothing",
        row.epoch_id.0,
        row.lineage_id.0,
        row.epoch_seq,
        row.run_id.0,
        row.snapshot_id.map(|s| s.0),
        row.generation_id.map(|g| g.0),
        row.status.as_str(),
        db_time(row.window_start),
        db_time(row.window_end),
        db_time(row.created_at),
        db_time(row.completed_at),
        row.symbol_count,
        row.entry_set_count,
        row.pinned_excluded_count,
        row.hard_blocked_excluded_count,
        row.frac_ticker,
        row.frac_trade,
        row.frac_l2,
        row.frac_l3,
        row.l3_mode.map(|m| m.as_str()),
        row.criteria.ticker_ok,
        row.criteria.trade_ok,
        row.criteria.l2_ok,
        row.criteria.l3_ok,
        row.criteria.pinned_ok,
        row.criteria.universe_ok,
        row.criteria.continuity_ok,
        row.criteria.durability_ok,
        &row.reasons,
        row.fencing_token.0,
    )
    .execute(&mut *conn)
    .await
    .map_err(sql)?;
    let found = sqlx::query!(
        "select lineage_id, status from ingest_epochs where epoch_id = $1",
        row.epoch_id.0,
    )
    .fetch_one(conn)
    .await
    .map_err(sql)?;
    let field = if found.lineage_id != row.lineage_id.0 {
        "lineage_id"
    } else if found.status != row.status.as_str() {
        "status"
    } else {
        return Ok(());
    };
    Err(TwinMismatch { table: "ingest_epochs", id: row.epoch_id.to_string(), field }.into())
}

/// Writes instruments; a row whose content is equal stays as it is. Returns the rows written.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn upsert_instruments(
    conn: &mut PgConnection,
    token: FencingToken,
    rows: &[InstrumentTwin],
) -> Result<u64, StoreError> {
    let text = |f: fn(&InstrumentTwin) -> &str| -> Vec<String> {
        rows.iter().map(|r| f(r).to_owned()).collect()
    };
    let number = |f: fn(&InstrumentTwin) -> penstock_types::Decimal| -> Vec<_> {
        rows.iter().map(f).collect()
    };
    let small = |f: fn(&InstrumentTwin) -> i16| -> Vec<i16> { rows.iter().map(f).collect() };
    let marginable: Vec<bool> = rows.iter().map(|r| r.marginable).collect();
    sqlx::query!(
        "insert into instruments as i (symbol, base, quote, status, price_increment, qty_increment,
             qty_min, cost_min, price_precision, qty_precision, marginable, content_hash, updated_at,
             fencing_token)
         select u.symbol, u.base, u.quote, u.status, u.price_increment, u.qty_increment, u.qty_min,
             u.cost_min, u.price_precision, u.qty_precision, u.marginable, u.content_hash,
             clock_timestamp(), $13
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::numeric[],
             $7::numeric[], $8::numeric[], $9::smallint[], $10::smallint[], $11::boolean[],
             $12::text[])
             as u (symbol, base, quote, status, price_increment, qty_increment, qty_min, cost_min,
                 price_precision, qty_precision, marginable, content_hash)
         on conflict (symbol) do update set
             base = excluded.base,
             quote = excluded.quote,
             status = excluded.status,
             price_increment = excluded.price_increment,
             qty_increment = excluded.qty_increment,
             qty_min = excluded.qty_min,
             cost_min = excluded.cost_min,
             price_precision = excluded.price_precision,
             qty_precision = excluded.qty_precision,
             marginable = excluded.marginable,
             content_hash = excluded.content_hash,
             updated_at = excluded.updated_at,
             fencing_token = excluded.fencing_token
         where i.content_hash <> excluded.content_hash",
        &text(|r| &r.symbol),
        &text(|r| &r.base),
        &text(|r| &r.quote),
        &text(|r| &r.status),
        &number(|r| r.price_increment),
        &number(|r| r.qty_increment),
        &number(|r| r.qty_min),
        &number(|r| r.cost_min),
        &small(|r| r.price_precision),
        &small(|r| r.qty_precision),
        &marginable,
        &text(|r| &r.content_hash),
        token.0,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    .map_err(|e| StoreError::sql("write instruments", CLUSTER, e))
}
